"""Root cause of a service incident without a plant: from a case to findings, and findings as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from agents.service_causes import chain, wording
from agents.service_causes.answers import answer_of, category_of, is_ours
from agents.service_causes.candidates import candidates_of
from agents.service_causes.choosing import Choice, choose, kind_of
from agents.service_causes.concluding import conclusion_of, missing_of
from agents.service_causes.findings import AnswerShare, Certainty, Cited, Role, ServiceFindings
from agents.service_causes.pieces import Item, file_of, items_of
from agents.service_causes.showing import MOST_EVIDENCE, evidence_of, order_of
from agents.service_causes.view import View
from agents.service_causes.weigh import see, weigh
from knowledge.service_causes import HEALTHY, UNKNOWN, load_catalog
from tools.case_types import ServiceCase

WARMTH, WARMER = 1.3, 0.12
"""Scores are divided by the first before they become shares; each problem in the input adds the second."""
SHOWN, MOST_OTHER_FILES = 5, 4
_CHECK = {
    HEALTHY: "Close the alert; if it comes back, look at its threshold.",
    UNKNOWN: "Collect logs, recent changes and the metrics of what the service calls for the same hour.",
}


def explain_case(case: ServiceCase) -> ServiceFindings:
    """What happened, as far as the evidence tells. Never raises for odd evidence: what does not fit is left aside."""
    seen = see(case)
    weighed = weigh(seen)
    chain.separate(weighed, seen)
    scores = {mode: one.score for mode, one in weighed.items() if one.score > 0}
    calm, untold = chain.fault_free(seen, weighed), chain.not_to_tell(seen, weighed)
    scores |= {HEALTHY: calm, UNKNOWN: untold}
    shares = _shares(scores, len(case.problems))
    best = max(shares, key=lambda mode: shares[mode])
    if is_ours(case.choices):
        return _put(View(seen, weighed, shares, best))
    choices = choose(seen, weighed, calm, untold)
    found = _shares({one.answer: one.score for one in choices}, len(case.problems))
    return _put_choice(
        View(seen, weighed, shares | {choices[0].mode: found[choices[0].answer]}, choices[0].mode),
        choices,
        found,
    )


def _shares(scores: Mapping[str, float], problems: int) -> dict[str, float]:
    warmth = WARMTH + WARMER * min(problems, 8)
    top = max(scores.values())
    raw = {mode: math.exp((score - top) / warmth) for mode, score in scores.items()}
    return {mode: value / sum(raw.values()) for mode, value in raw.items()}


def _put(v: View) -> ServiceFindings:
    case = v.seen.case
    evidence = evidence_of(v)
    return ServiceFindings(
        case=case.name,
        alert=case.alert.title if case.alert else "",
        question=case.question,
        category=category_of(v.best, case.choices),
        mode=v.best,
        title=load_catalog().modes[v.best].title if v.top else load_catalog().categories[v.best].title,
        answer=answer_of(v.best, case.choices),
        share=v.shares[v.best],
        certainty=v.how,
        conclusion=conclusion_of(v),
        evidence=tuple(evidence),
        order=tuple(order_of(v)),
        candidates=tuple(candidates_of(v)),
        second=v.second.mode.id if v.second else "",
        missing=tuple(missing_of(v)),
        quiet=tuple(dict.fromkeys(m.readings.name for m in v.seen.movements if not m.bad)),
        check=v.top.mode.check if v.top else _CHECK[v.best],
        problems=tuple(f"{p.where}: {p.text}" for p in case.problems),
        files=case.files,
        withheld=case.withheld,
    )


def _put_choice(v: View, choices: Sequence[Choice], shares: Mapping[str, float]) -> ServiceFindings:
    """Findings in the words of a list that someone else set."""
    first, found = choices[0], _put(v)
    share = shares[first.answer]
    how = wording.certainty(share, v.best)
    ranked = [
        AnswerShare(answer=one.answer, meaning=one.meaning, share=shares[one.answer], mode=one.mode)
        for one in choices
    ]
    told = [wording.of_item(item.source, v.seen) for item in first.items]
    evidence = _merged(found.evidence, told)
    said = v.top is None and first.mode == UNKNOWN and kind_of(first.answer, first.meaning) == ""
    more = (
        {"title": first.meaning or first.answer, "conclusion": _in_their_words(first, how, share, told)}
        if said
        else {}
    )
    return found.model_copy(
        update={
            "category": first.answer, "answer": first.answer, "share": share, "certainty": how, "answers": tuple(ranked),
            "evidence": (*evidence, *_of_other_files(v, [*evidence, *found.order])), **more,
        }
    )  # fmt: skip


def _in_their_words(first: Choice, how: Certainty, share: float, told: Sequence[Cited]) -> str:
    """A conclusion where no mode of ours is behind the answer: what of the evidence is about it."""
    meaning = f": {first.meaning}" if first.meaning else ""
    said = [
        f"{wording.sure(how, share)} {first.answer}{meaning}. No cause of our own list stands behind this answer;"
    ]
    said.append("of those allowed it is the one that the evidence is about.")
    return " ".join([*said, *(f"{cited.text[:300].rstrip('. ')}." for cited in told[:3])])


def _of_other_files(v: View, cited: Sequence[Cited]) -> list[Cited]:
    """The weightiest piece of each file that nothing else is quoted from: what it says, or that nothing moved there."""
    known = {one.file for one in cited}
    best: dict[str, Item] = {}
    for item in items_of(v.seen):
        file = file_of(item)
        if file not in known and (file not in best or abs(item.weight) > abs(best[file].weight)):
            best[file] = item
    return [wording.of_item(best[file].source, v.seen) for file in sorted(best)][:MOST_OTHER_FILES]


def _merged(first: Sequence[Cited], more: Sequence[Cited]) -> tuple[Cited, ...]:
    """Both, each piece once; of a long list the last ones give way."""
    rows = {
        (one.file, one.place, one.quote): one
        for one in reversed([*first[: MOST_EVIDENCE - len(more)], *more])
    }
    return tuple(reversed(rows.values()))


def render(found: ServiceFindings) -> str:
    """The findings as an operator reads them."""
    lines = [
        f"{found.alert or found.case}",
        "",
        f"{found.answer}: {found.title} ({found.share:.0%}, {found.certainty})",
        "",
        found.conclusion,
    ]
    lines += _block("Evidence", [_cited(c) for c in found.evidence])
    lines += _block(
        "In order", [f"{wording.clock(c.time)}  {_mark(c.role)}{c.text}" for c in found.order if c.time]
    )
    ruled = [
        c
        for c in found.candidates
        if c.standing in ("eliminated", "effect", "possible") and c.mode not in (HEALTHY, UNKNOWN)
    ]
    lines += _block(
        "Ruled out or less likely", [f"{c.title} ({c.share:.0%}): {c.reason}" for c in ruled[:SHOWN]]
    )
    others = [f"{one.answer} ({one.share:.0%})" for one in found.answers[1:SHOWN]]
    lines += _block("Other answers allowed", [", ".join(others)] if others else [])
    if found.check:
        lines += ["", f"Look at next: {found.check}"]
    lines += _block("Input that could not be used", found.problems)
    return "\n".join(lines)


def _block(title: str, items: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _cited(cited: Cited) -> str:
    return f"{cited.text} [{cited.file}{' ' + cited.place if cited.place else ''}]"


def _mark(role: Role) -> str:
    return {"unrelated": "(not linked) ", "change": "(change) ", "recovery": "(recovery) "}.get(role, "")
