"""Suite `alert`: is what an operator is told faithful, complete, short and readable?

One sample is one P0 or P1 incident of a generated night or of a text by hand, as it was or changed. Two texts are
judged of each: the deterministic first notice, and the light model's words where the contender has one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from agents.alert_facts import Case
from agents.alerter import first_notice
from agents.rewording import reword
from evals.figures import Figure, rate, share
from evals.reading import reading_ease
from evals.registry import Ask, Prepared, Row
from evals.running.contenders import EVAL_TIMEOUT_S
from evals.running.tasks import suite_task
from evals.suites.alert.cases import CHANGES, case_in, cases
from evals.suites.alert.judging import (
    first_step,
    keeps_phrases,
    missing,
    reason_of,
    unfaithful,
    unseen_mistakes,
)
from setpoint.contracts import Notice
from setpoint.llm import RoleModel

__all__ = ["CHANGES", "figures", "gate", "judge", "prepare"]
LONG_CHARS = 600
"""More than this does not fit a phone's screen."""
MAX_LINES = 3
TEMPLATE, WORDS, JUDGE = "first notice", "model words", "judge"
LEAST_OF_A_TAG = 5


def prepare(ask: Ask) -> Prepared:
    """The task. `data` is not needed: nights are generated, texts by hand come with the project."""
    model, skipped = ask.contender.role("light"), list[str]()
    if model is None:
        skipped.append(f"model words: {ask.contender.name} has no light model")

    def tell(case: Row) -> Row:
        return _told(case_in(case), model)

    task = suite_task("alert", cases(ask), tell, as_told, ("faithful", "complete", "short"))
    # Its target, the asset, is a fact of the source that the notice must repeat, no answer.
    return Prepared(task, figures, tuple(skipped), gate, lambda _: ())


def _told(case: Case, model: RoleModel | None) -> Row:
    """The first notice, and the model's words. Both are the product's own."""
    step = first_step(case.triage, case.site)
    notice = first_notice(case.incident, [case.lead], [case.triage], case.site, step)
    said: dict[str, Any] = {"text": notice.text, "notice": notice.model_dump(mode="json")}
    if model is not None:
        words = asyncio.run(reword(model, case, timeout_s=EVAL_TIMEOUT_S))
        said |= {"words": words.text, "refused": words.problem, "tokens": words.tokens, "tries": words.tries}
    return said


def as_told(case: Row, said: Row) -> Row:
    """Faithful, complete, short; 1 is good."""
    notice, words = Notice.model_validate(said["notice"]), said.get("words")
    row = judge(case_in(case), notice, words, said.get("refused", ""))
    row |= {"set": case["set"], "change": case["change"]}
    return row | {key: said[key] for key in ("tokens", "tries") if key in said}


def judge(case: Case, notice: Notice, words: str | None, refused: str) -> dict[str, Any]:
    """Everything measured of one case. `words`: the model's, "" where they were refused, None without a model."""
    whole = f"{notice.title}\n{notice.text}"
    problems, absent = unfaithful(whole, case), missing(whole, case)
    planted, unseen = unseen_mistakes(whole, case)
    row: dict[str, Any] = {
        "faithful": not problems,
        "complete": not absent,
        "short": len(notice.text) <= LONG_CHARS and len(notice.text.splitlines()) <= MAX_LINES,
        "chars": len(notice.text),
        "ease": reading_ease(notice.text),
        "planted": planted,
        "unseen": unseen,
        "problems": [*problems, *(f"does not say {what}" for what in absent)],
    }
    return row if words is None else row | _of_words(case, words, refused, row["problems"])


def _of_words(case: Case, words: str, refused: str, problems: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"fell_back": not words, "refused": refused}
    if not words:
        return found
    bad = unfaithful(words, case)
    return found | {
        "words_faithful": not bad,
        "words_complete": not missing(words, case),
        "words_verbatim": keeps_phrases(words, case),
        "words_ease": reading_ease(words),
        "words_chars": len(words),
        "problems": [*problems, *(f"model: {problem}" for problem in bad)],
    }


# ---- figures -------------------------------------------------------------------------------------------------------


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Of the template, of the model's words where there is a model, and of the judge."""
    return [*_of_template(rows), *_of_model(rows), *_of_judge(rows)]


def _of_template(rows: Sequence[Row]) -> list[Figure]:
    found = [
        rate(TEMPLATE, "faithful", rows, _is("faithful"), hard=True),
        rate(TEMPLATE, "complete", rows, _is("complete")),
        rate(TEMPLATE, f"short (3 lines, {LONG_CHARS} characters)", rows, _is("short")),
        rate(TEMPLATE, "characters", rows, _number("chars"), better="lower"),
        rate(TEMPLATE, "reading ease (Flesch)", rows, _number("ease")),
    ]

    def good(row: Row) -> bool:
        return bool(row["faithful"] and row["complete"] and row["short"])

    for tag in ("set", "change"):
        for value in dict.fromkeys(row.get(tag, "") for row in rows):
            some = [row for row in rows if row.get(tag) == value]
            if value and len(some) >= LEAST_OF_A_TAG:
                found.append(rate(TEMPLATE, f"faithful, complete and short, {value}", some, good))
    return found


def _of_model(rows: Sequence[Row]) -> list[Figure]:
    asked = [row for row in rows if "fell_back" in row]
    if not asked:
        return []
    spoken = [row for row in asked if not row["fell_back"]]
    found = [
        rate(WORDS, "fell back to the template", asked, _is("fell_back"), better="lower"),
        rate(WORDS, "tokens a notice", asked, _number("tokens"), better="lower"),
        rate(WORDS, "attempts a notice", asked, _number("tries"), better="lower"),
    ]
    if spoken:
        found += [
            rate(WORDS, "faithful", spoken, _is("words_faithful"), hard=True),
            rate(WORDS, "complete", spoken, _is("words_complete")),
            rate(WORDS, "keeps the given phrases", spoken, _is("words_verbatim")),
            rate(WORDS, "characters", spoken, _number("words_chars"), better="lower"),
            rate(WORDS, "reading ease (Flesch)", spoken, _number("words_ease")),
        ]
    return [*found, *_refusals(asked)]


def _refusals(asked: Sequence[Row]) -> list[Figure]:
    """How often each reason refused a model's words for good, commonest first."""
    reasons = [{reason_of(part) for part in row["refused"].split("; ") if part} for row in asked]
    counted = Counter(reason for some in reasons for reason in sorted(some))
    return [
        share(WORDS, f"refused: {reason}", hits, len(asked), better="")
        for reason, hits in counted.most_common()
    ]


def _of_judge(rows: Sequence[Row]) -> list[Figure]:
    """A judge that sees no mistake proves nothing of what it passes."""
    planted = sum(row["planted"] for row in rows)
    seen = planted - sum(len(row["unseen"]) for row in rows)
    return [share(JUDGE, "planted mistakes seen", seen, planted, "one at a time in each first notice")]


def _is(key: str) -> Callable[[Row], bool]:
    return lambda row: bool(row[key])


def _number(key: str) -> Callable[[Row], float]:
    return lambda row: float(row.get(key, 0.0))


def gate(found: Sequence[Figure]) -> str:
    """Nobody may be told what is not so."""
    bad = [figure for figure in found if figure.name == "faithful" and figure.value < 1.0]
    return "; ".join(f"{one.set}: only {one.value:.3f} of {one.n} are faithful" for one in bad)
