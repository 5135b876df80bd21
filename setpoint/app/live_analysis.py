"""One analysis as it scrolls by: the cause with what was tried, what was seen, what to do. The whole is in the report."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from plant.diagnosis.results import Verdict
from setpoint.app.formatting import one_line, visible
from setpoint.app.path_picture import path_lines
from setpoint.app.trial_pictures import interval_words
from setpoint.app.trial_words import LEAST_SHOWN, open_words, share_words
from setpoint.contracts import Diagnosis, Hypothesis

MOST_RIVALS, MOST_REASONS = 2, 2
"""Causes beside the first that are shown, and reasons for and against the first one."""
MOST_PATH, MOST_EVIDENCE, MOST_STEPS = 6, 6, 5
AGAIN = 0.1
"""A share that moves by less is no news."""


def headline(diagnosis: Diagnosis, before: Diagnosis | None) -> Text:
    """The first cause with its share, and whether that is news."""
    top = diagnosis.top
    still = "still " if before is not None and is_same(diagnosis, before) else ""
    return Text.assemble(
        (" CAUSE ", "bold black on cyan"), "  ", (diagnosis.incident_id, "bold"), f"  {still}",
        (f"{top.title}{_where(top)}", "bold"), f"  {share_words(top.score)}", _others(diagnosis),
    )  # fmt: skip


def is_same(one: Diagnosis, other: Diagnosis) -> bool:
    """The same first cause at the same place, about as sure."""
    first, second = one.top, other.top
    places = [top.tested.asset if top.tested else "" for top in (first, second)]
    return first.cause == second.cause and places[0] == places[1] and abs(first.score - second.score) < AGAIN


def analysis(diagnosis: Diagnosis, before: Diagnosis | None) -> Text:
    """What stands under the headline; short where the analysis before came to the same."""
    body = Text(f"{visible(diagnosis.summary)}\n")
    if before is not None and is_same(diagnosis, before):
        _lines(body, "", _said_no(diagnosis), "")
        body.append(
            f"the same as before; all of it: setpoint incidents show {diagnosis.incident_id}\n", "dim"
        )
        return body
    _causes(body, diagnosis)
    if diagnosis.disagreement:
        body.append(f"but: {visible(diagnosis.disagreement)}\n", "magenta")
    _path(body, diagnosis)
    _evidence(body, diagnosis)
    _guide(body, diagnosis)
    _lines(body, "not proposed", _said_no(diagnosis), "  - ")
    body.append(f"words: {diagnosis.written_by}; cause decided in mode {diagnosis.mode}; "
                f"{diagnosis.seconds:.1f} s, {diagnosis.tokens} tokens", "dim")  # fmt: skip
    for problem, parts in _by_problem(diagnosis.fallbacks).items():
        body.append(f"\n{', '.join(parts)} fell back to plain facts: {problem}", "magenta")
    return body


def _where(hypothesis: Hypothesis) -> str:
    return f" at {hypothesis.tested.asset}" if hypothesis.tested and hypothesis.tested.asset else ""


def _others(diagnosis: Diagnosis) -> str:
    rest = [f"{h.title} {share_words(h.score)}" for h in diagnosis.hypotheses[1:3] if h.score >= 0.03]
    return f"  (else: {', '.join(rest)})" if rest else ""


def _causes(body: Text, diagnosis: Diagnosis) -> None:
    if diagnosis.untested:
        body.append(f"not tried on the plant model: {visible(diagnosis.untested)}\n", "yellow")
    if diagnosis.service:
        body.append(f"from events and readings alone: {visible(diagnosis.service)}\n")
    tried = [(one, one.tested) for one in diagnosis.hypotheses if one.tested]
    if not tried:
        return
    body.append("causes held against the plant model, share and 90 % interval\n", "underline")
    for place, (one, verdict) in enumerate(tried[: MOST_RIVALS + 1]):
        if place and verdict.share < LEAST_SHOWN:
            continue
        judged = "" if verdict.tried or not verdict.asset else "; by its events alone"
        body.append(f"  {share_words(verdict.share):>9}  ")
        body.append(f"{one.title}{_where(one)}", "" if place else "bold")
        body.append(f"  {interval_words(verdict.low, verdict.high)}{judged}\n", "dim")
        if not place:
            _reasons(body, verdict)
    if rest := open_words(diagnosis.hypotheses):
        body.append(f"             {rest}\n", "dim")


def _reasons(body: Text, verdict: Verdict) -> None:
    for mark, reasons in (("+", verdict.supports), ("-", verdict.against)):
        for reason in reasons[:MOST_REASONS]:
            body.append(f"             {mark} {one_line(reason)}\n")


def _path(body: Text, diagnosis: Diagnosis) -> None:
    lines = path_lines(diagnosis.path) if diagnosis.path else []
    if len(lines) > 1:
        _lines(body, "from the cause to what was seen", _cut(lines, MOST_PATH), "  ")


def _evidence(body: Text, diagnosis: Diagnosis) -> None:
    top = diagnosis.top

    def mark(key: str) -> str:
        return "+" if key in top.supports else "-" if key in top.contradicts else " "

    lines = [f"{mark(piece.id)} {piece.id:<4}{one_line(piece.text)}" for piece in diagnosis.evidence]
    _lines(body, "evidence", _cut(lines, MOST_EVIDENCE), "  ")
    for absent in top.missing:
        body.append(f"    not seen: {absent}\n")


def _guide(body: Text, diagnosis: Diagnosis) -> None:
    calls = [step for step in diagnosis.guide.steps if "#escalate-when" in step.citation.passage_id]
    steps = [step for step in diagnosis.guide.steps if step not in calls]
    numbered = [f"{n}. {one_line(step.text)} [{step.citation.passage_id}]" for n, step in enumerate(steps, 1)]
    _lines(body, "recovery guide", _cut(numbered, MOST_STEPS), "  ")
    _lines(body, "escalate when", [one_line(step.text) for step in calls], "  - ")


def _said_no(diagnosis: Diagnosis) -> list[str]:
    return [one_line(f"{one.subject}: {one.why}") for one in diagnosis.withheld]


def _cut(lines: Sequence[str], most: int) -> list[str]:
    left = len(lines) - most
    return list(lines) if left <= 1 else [*lines[:most], f"... and {left} more in the report"]


def _lines(body: Text, title: str, lines: Sequence[str], indent: str) -> None:
    if lines and title:
        body.append(f"{title}\n", "underline")
    for line in lines:
        body.append(f"{indent}{line}\n")


def _by_problem(fallbacks: Sequence[str]) -> dict[str, list[str]]:
    """`step 1: reason`, `summary: reason` as one entry a reason."""
    found: dict[str, list[str]] = {}
    for fallback in fallbacks:
        part, _, problem = fallback.partition(": ")
        found.setdefault(problem, []).append(part)
    return found
