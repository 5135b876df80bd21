"""Outputs of a model in full, beside the template's: drawn by lot from held-out nights and from real texts, none left out.

    python -m evals.outputs --model bundled --out report.html

A text is marked where the model's words were refused (with every try and the reason), where a judge that is apart from
the verifier finds something wrong or missing, where it reads hard, and where code had no name for what happened, so that the
model says less than the quotation in the template does. A notice is shown whole: its title is code's in both.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from random import Random

from agents.alert_facts import Case, case_of
from agents.alerter import first_notice
from agents.evidence import Case as Incident
from agents.evidence import gather, most_urgent
from agents.explainer import TEMPLATE, explain, subject_of
from agents.rewording import alert_input, reword
from agents.troubleshooter import certainty, rank_causes
from agents.verification import verify_answer
from evals import triage_data
from evals.model_trial import FREE_BUDGET, Listener
from evals.playing import DEMO_SITE
from evals.reading import reading_ease
from evals.running.contenders import EVAL_TIMEOUT_S, contender
from evals.running.provenance import made
from evals.suites.alert.cases import opened_by
from evals.suites.alert.judging import missing, unfaithful
from evals.suites.triage.cases import FAULT_SITES, FAULTS, played
from evals.triage_score import PAGES
from evals.word_inputs import OF_SPLIT, todo_of
from knowledge.causes import load_causes
from setpoint.contracts.site import load_site
from setpoint.errors import SetpointError, UsageError
from setpoint.intake import sense
from setpoint.llm import RoleModel
from setpoint.settings import TriageSettings

NIGHTS = 4
SHARES = {"alert, generated night": 0.3, "alert, real text": 0.3, "step": 0.26, "conclusion": 0.14}
"""Of all outputs; where a kind has too few, the others fill up."""
_ECHO = re.compile(r"(.+?) on .* this cause: (.+)\.$")
HARD = 50.0
"""Flesch's reading ease below this is "fairly difficult", as its author called it."""
POOL = 6
"""So many times as many cases are drawn from as are shown."""


@dataclass(frozen=True)
class Output:
    """One text, both ways."""

    kind: str
    source: str
    about: str
    """What the source said."""
    template: str
    words: str
    """The model's, facts filled in; "" where they were refused."""
    tries: tuple[tuple[str, str], ...]
    """Raw words of each try, and why they were refused; "" where not."""
    marks: tuple[str, ...]
    """What is bad about it."""
    title: str = ""
    """Of a notice: code's, whoever wrote the rest."""

    @property
    def refused(self) -> bool:
        return not self.words


def outputs(model: RoleModel, count: int, split: str, seed: int, data: Path | None) -> list[Output]:
    """Drawn by lot, the same for the same seed, whatever the model makes of them."""
    nights = [case for number in range(NIGHTS) for case in _incidents(OF_SPLIT[split] + number, number)]
    real, rng = _real(data), Random(seed)
    drawn = {
        "alert, generated night": [("generated night", case) for case in nights],
        "alert, real text": real,
        "analysis": [("generated night", case) for case in nights],
    }
    for cases in drawn.values():
        rng.shuffle(cases)
    found: dict[str, list[Output]] = {kind: [] for kind in SHARES}
    for kind in ("alert, generated night", "alert, real text"):
        for source, case in drawn[kind][: round(SHARES[kind] * count)]:
            found[kind].append(_alert(model, kind, source, case))
    wanted = count - sum(map(len, found.values()))
    for source, case in drawn["analysis"]:
        for one in _analysis(model, source, case):
            found[one.kind].append(one)
        if len(found["step"]) >= POOL * wanted:
            break
    conclusions = found["conclusion"][: max(1, round(wanted * SHARES["conclusion"] / 0.4))]
    steps = found["step"]
    rng.shuffle(steps)
    return [
        *found["alert, generated night"], *found["alert, real text"], *steps[: wanted - len(conclusions)], *conclusions,
    ]  # fmt: skip


def _incidents(seed: int, number: int) -> Iterator[Incident]:
    site = FAULT_SITES[number % len(FAULT_SITES)]
    return (case for case in played(FAULTS, site, seed).cases if case.incident.priority in PAGES)


def _real(data: Path | None) -> list[tuple[str, Incident]]:
    """Incidents that single texts of public data open, one a wording; nothing where the data is not there."""
    try:
        folder = triage_data.data_dir(data)
    except UsageError:
        return []
    site, found, seen = load_site(DEMO_SITE), list[tuple[str, Incident]](), set[str]()
    for read in (triage_data.redfish, triage_data.prometheus, triage_data.xid_texts, triage_data.mercury):
        for row in read(folder):
            if row.gold in PAGES and row.message not in seen:
                seen.add(row.message)
                case = opened_by(sense(row.event, site, TriageSettings()))
                if case is not None and case.incident.priority in PAGES:
                    found.append((f"real text, {read.__name__.removesuffix('_texts')}", case))
    return found


# ---- one text -----------------------------------------------------------------------------------------------------------


def _alert(model: RoleModel, kind: str, source: str, played_case: Incident) -> Output:
    events = [event for event in played_case.events if event.status == "firing"] or list(played_case.events)
    triages = list(played_case.triages.values())
    case = case_of(played_case.incident, events, triages, played_case.site)
    heard = Listener(model)
    found = asyncio.run(reword(heard, case, timeout_s=EVAL_TIMEOUT_S))
    notice = first_notice(case.incident, events, triages, case.site)
    plain = notice.text
    inputs = alert_input(case)
    tries = tuple(
        (words, "; ".join(verify_answer(words, inputs, firing=case.lead.status == "firing", closed=heard.terse).problems))
        for words in (heard.texts or [[]])[-1]
    )  # fmt: skip
    if not found.text and tries and not tries[-1][1]:
        tries = (*tries[:-1], (tries[-1][0], found.problem))
    return Output(
        kind,
        source,
        case.lead.message,
        plain,
        found.text,
        tries,
        _marks(found.text, case, notice.title),
        notice.title,
    )


def _analysis(model: RoleModel, source: str, case: Incident) -> Iterator[Output]:
    """Every step and the conclusion of one incident, over the causes that code ranks by signatures."""
    evidence, of_event = gather(case)
    pieces = {piece.id: piece for piece in evidence}
    ranked = rank_causes(case, load_causes(), of_event, evidence)
    top, sure = ranked[0], certainty(ranked)
    subject, todo = subject_of(evidence, top, most_urgent(case, of_event)), todo_of(case, top, sure)
    heard = Listener(model)
    plain_steps, plain_end, _ = explain(None, top, sure, pieces, subject, todo, replace(FREE_BUDGET))
    steps, end, problems = explain(heard, top, sure, pieces, subject, todo, replace(FREE_BUDGET))
    why = dict(problem.split(": ", 1) for problem in problems)
    for number, (plain, step, tries) in enumerate(zip_longest(plain_steps, steps, heard.texts[:-1]), 1):
        about = f"{top.title}: {pieces[step.evidence[0]].text}"
        yield _analysed(
            "step",
            source,
            about,
            plain.text,
            step.text,
            step.written_by,
            tries,
            why.get(f"step {number}", ""),
        )
    about = f"{top.title} ({sure})"
    yield _analysed(
        "conclusion", source, about, plain_end.text, end.text, end.written_by, heard.texts[-1], why.get("summary", "")
    )  # fmt: skip


def _analysed(
    kind: str, source: str, about: str, plain: str, text: str, by: str, tries: Sequence[str], problem: str
) -> Output:
    words = "" if by == TEMPLATE else text
    last = len(tries) - 1
    kept = tuple(
        (one, problem if place == last and not words else "refused" if place < last else "")
        for place, one in enumerate(tries)
    )
    return Output(kind, source, about, plain, words, kept, _marks(words, None))


def _marks(words: str, case: Case | None, title: str = "") -> tuple[str, ...]:
    if not words:
        return ("refused by the verifier",)
    found = []
    if case is not None:
        found += [f"the judge: {one}" for one in unfaithful(f"{title}\n{words}", case)]
        found += [f"the judge: does not say {one}" for one in missing(f"{title}\n{words}", case)]
        if not case.triage.condition and '"' not in words:
            found.append("what happened has no name here: the words say less than the source did")
        if case.lead.asset == "unknown" and '"' not in words:
            found.append("says less than the source: neither the machine nor its message")
    if (said := _ECHO.match(words)) and said[1].lower() == said[2].lower():
        found.append("says the same twice: what was seen is the cause itself")
    if reading_ease(words) < HARD:
        found.append(f"reads hard: {reading_ease(words):.0f}")
    return tuple(found)


# ---- the report ---------------------------------------------------------------------------------------------------------


def summary(rows: Sequence[Output]) -> list[str]:
    """Counts, before anybody reads on."""
    spoken = [row for row in rows if not row.refused]
    lines = [
        f"{len(rows)} outputs: {len(spoken)} in the model's words, {len(rows) - len(spoken)} fell back to the template, "
        f"{sum(bool(row.marks) for row in spoken)} in its words and marked all the same"
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        mine = [row for row in rows if row.kind == kind]
        lines.append(f"{kind}: {sum(not row.refused for row in mine)} of {len(mine)} in its words")
    if spoken:
        own = sum(reading_ease(row.words) for row in spoken) / len(spoken)
        plain = sum(reading_ease(row.template) for row in spoken) / len(spoken)
        lines.append(f"reading ease of those (Flesch, 100 is easiest): {own:.0f}, the template's {plain:.0f}")
    return lines


def as_markdown(rows: Sequence[Output], title: str, notes: Sequence[str]) -> str:
    """For a README or an issue."""
    parts = [f"# {title}", "", *(f"- {line}" for line in (*notes, *summary(rows))), ""]
    for number, row in enumerate(rows, 1):
        parts += [
            f"## {number}. {row.kind}{' - MARKED' if row.marks else ''}",
            "",
            f"From: {row.source}: {_line(row.about)}",
            "",
        ]
        parts += [
            "| | |",
            "|---|---|",
            *([f"| title | {_cell(row.title)} |"] if row.title else []),
            f"| template | {_cell(row.template)} |",
            f"| model | {_cell(row.words) or '(refused: the template stands)'} |",
        ]
        parts += [
            f"| try {place} | `{_cell(words)}` {_cell(_line(why))} |"
            for place, (words, why) in enumerate(row.tries, 1)
        ]
        parts += [f"| mark | {_cell(mark)} |" for mark in row.marks]
        parts.append("")
    return "\n".join(parts)


def as_html(rows: Sequence[Output], title: str, notes: Sequence[str]) -> str:
    """One page, nothing fetched from elsewhere."""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in (*notes, *summary(rows)))
    sections = "".join(_section(number, row) for number, row in enumerate(rows, 1))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_CSS}</style>'
        f"<h1>{html.escape(title)}</h1><ul>{items}</ul>{sections}</html>\n"
    )


def _section(number: int, row: Output) -> str:
    def line(name: str, text: str, kind: str = "") -> str:
        return f'<tr class="{kind}"><th>{name}<td>{html.escape(text)}'

    tries = "".join(
        line(f"try {place}", f"{words}{'  - ' + _line(why) if why else ''}", "try") for place, (words, why) in enumerate(row.tries, 1)
    )  # fmt: skip
    marks = "".join(line("mark", mark, "mark") for mark in row.marks)
    words = row.words or "(refused: the template stands)"
    return (
        f'<section class="{"bad" if row.marks else ""}"><h2>{number}. {html.escape(row.kind)}</h2>'
        f"<p>{html.escape(row.source)}: {html.escape(_line(row.about))}</p>"
        f"<table>{line('title', row.title) if row.title else ''}{line('template', row.template)}{line('model', words, 'model')}{tries}{marks}</table></section>"
    )


_CSS = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
section{border-left:4px solid #2f7d5b;margin:1.2rem 0;padding:.1rem 1rem;background:#f6f8f9}section.bad{border-color:#b3401f}
h1{font-size:1.4rem}h2{font-size:1rem;margin:.4rem 0}p{margin:.2rem 0;color:#556}table{border-collapse:collapse;width:100%}
th{text-align:left;width:6rem;vertical-align:top;color:#556;font-weight:500}td{padding:.15rem 0;white-space:pre-line}
.model td{font-weight:600}.try td{font-family:ui-monospace,monospace;font-size:.85em;color:#556}.mark td,.mark th{color:#b3401f}
@media(prefers-color-scheme:dark){body{background:#11161c;color:#dde4ea}section{background:#1a212a}p,th,.try td{color:#9aa7b4}
.mark td,.mark th{color:#ff9b7a}section.bad{border-color:#ff9b7a}}"""


def _line(text: str, longest: int = 240) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 3]}..."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the report and says how many are in the model's words."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.outputs", description="Outputs of a model in full."
    )
    parser.add_argument("--model", default="bundled", help="bundled, FILE.gguf or URL#MODEL")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--split", default="held-out", choices=tuple(OF_SPLIT))
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--data", type=Path, help="folder of public data (default: where it usually lies)")
    parser.add_argument("--out", type=Path, required=True, help=".html or .md")
    options = parser.parse_args(arguments)
    try:
        who = contender(options.model if options.model == "bundled" else f"light={options.model},heavy=none")
        model = who.role("light")
        assert model is not None  # the light model was named
        who.check()
        rows = outputs(model, options.count, options.split, options.seed, options.data)
    except SetpointError as error:
        print(f"evals.outputs: {error}", file=sys.stderr)
        return error.exit_code
    about = made(sys.argv[1:])
    notes = (
        f"model {model.name}, sha256 {model.sha256[:16] or 'unknown (a server)'}, {about.date} UTC, code {about.code}",
        f"drawn by lot (seed {options.seed}) from {options.split} nights and real texts; nothing was left out or chosen",
    )
    write = as_markdown if options.out.suffix == ".md" else as_html
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(write(rows, f"{len(rows)} outputs of {model.name}", notes), encoding="utf-8")
    print("\n".join(summary(rows)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
