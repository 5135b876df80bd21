"""Tested causes and rehearsed actions at a terminal: shares with intervals, what speaks for and against, small curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from plant.diagnosis.quantities import limit_words, quantity_words
from plant.diagnosis.results import Band, CausalPath, Curve, Rehearsal, StateNote, Verdict
from plant.diagnosis.words import named, unit
from setpoint.app import trial_words
from setpoint.app.charts import figure
from setpoint.app.formatting import names, span, visible
from setpoint.app.path_picture import path_lines
from setpoint.app.rehearsal_page import telling, worst_words
from setpoint.app.trial_pictures import interval_words, near_onset, sparkline
from setpoint.app.trial_words import (
    LEAST_SHOWN,
    cause_facts,
    cause_words,
    cost_words,
    difference_words,
    rehearsal_facts,
    share_words,
    state_words,
)
from setpoint.contracts import ActionProposal, Hypothesis

if TYPE_CHECKING:
    from setpoint.app.views import Screen

CURVES, REASONS, OTHER_REASONS = 3, 4, 1
"""Curves and reasons of the first cause; reasons of the others, for and against each."""
DEEP = 9
"""Columns before what is said about one candidate."""


def tested(screen: Screen, diagnosis: Mapping[str, Any]) -> bool:
    """Every cause that was weighed against the readings. False where none was."""
    rows = [
        (one, Verdict.model_validate(one["tested"])) for one in diagnosis["hypotheses"] if one.get("tested")
    ]
    if not rows:
        return False
    screen.head("candidate causes, share with its 90 % interval")
    small = [one["title"] for one, verdict in rows[1:] if verdict.share < LEAST_SHOWN and verdict.asset]
    for place, (one, verdict) in enumerate(rows):
        if place and verdict.share < LEAST_SHOWN:
            continue
        _head(screen, str(one["title"]), verdict, first=not place)
        _reasons(screen, verdict, OTHER_REASONS if place else REASONS)
        if not place:
            _curves(screen, verdict.curves[:CURVES])
    if small:
        screen.hung("", f"under {share_words(LEAST_SHOWN)}: {names(small, 8)}", DEEP, "dim")
    if rest := trial_words.open_words([Hypothesis.model_validate(one) for one in diagnosis["hypotheses"]]):
        screen.hung("", rest, DEEP, "dim")
    if diagnosis.get("state"):
        _state(screen, StateNote.model_validate(diagnosis["state"]))
    return True


def _head(screen: Screen, title: str, verdict: Verdict, *, first: bool) -> None:
    where = f" at {verdict.asset}" if verdict.asset else ""
    if verdict.also:
        where += f", with {cause_words(verdict.also)}"
    text = Text.assemble(
        (f"{share_words(verdict.share):>{DEEP - 1}} ", "bold" if first else ""),
        (f"{title}{where}", "bold" if first else ""),
        (f"  {interval_words(verdict.low, verdict.high)}", "dim"),
    )
    screen.console.print(text)
    screen.hung("", cause_facts(verdict, screen.zone), DEEP, "dim")


def _reasons(screen: Screen, verdict: Verdict, most: int) -> None:
    for sign, style, reasons in (("+", "green", verdict.supports), ("-", "yellow", verdict.against)):
        for reason in reasons[:most]:
            screen.hung(f"{sign:>{DEEP - 1}}", reason, DEEP, label_style=style)


def _curves(screen: Screen, curves: Sequence[Curve]) -> None:
    """What was read over what the model gives with the cause, on one scale; their ends as numbers."""
    if not curves:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("", "", Text("read", "dim"), Text("model with this cause", "dim"), Text("without", "dim"))
    for curve in map(near_onset, curves):
        read = [value for value in curve.observed if value is not None]
        low, high = min([*read, *curve.simulated]), max([*read, *curve.simulated])
        table.add_row(
            " " * (DEEP - 3), Text(visible(f"{curve.asset} {named(curve.metric)} {unit(curve.metric)}".rstrip())),
            Text(f"{sparkline(curve.observed, low, high)} {figure(read[-1]) if read else ''}"),
            Text(f"{sparkline(curve.simulated, low, high)} {figure(curve.simulated[-1])}"),
            Text(figure(curve.healthy[-1]), "dim"),
        )  # fmt: skip
    screen.console.print(table)


def _state(screen: Screen, state: StateNote) -> None:
    screen.hung("model", state_words(state, screen.zone), style="" if state.confidence >= 0.8 else "yellow")
    for problem in state.problems[:4]:
        screen.hung("", problem.text, style="yellow")
    if len(state.problems) > 4:
        screen.hung("", f"and {len(state.problems) - 4} more problems with readings", style="yellow")


def path(screen: Screen, diagnosis: Mapping[str, Any]) -> None:
    """From the cause over its effects to what was seen, as a tree."""
    if not diagnosis.get("path"):
        return
    lines = path_lines(CausalPath.model_validate(diagnosis["path"]))
    if len(lines) > 1:
        screen.head("from the cause to what was seen")
        for line in lines:
            depth = len(line) - len(line.lstrip())
            screen.hung(" " * (depth + 2), line.strip(), depth + 2)


def in_brief(proposal: Mapping[str, Any] | None) -> str:
    """What a rehearsal says of an action, in one line; "" without one."""
    return trial_words.in_brief(ActionProposal.model_validate(proposal) if proposal else None)


def rehearsed(screen: Screen, proposal: Mapping[str, Any]) -> None:
    """The difference first, then chances, costs and the other ways to go on."""
    if not proposal.get("rehearsal"):
        return
    found = Rehearsal.model_validate(proposal["rehearsal"])
    screen.hung("what if", found.said or "nothing the model shows would change", style="bold")
    if found.refused:
        screen.hung("refused", found.refused, style="bold yellow")
    for label, line in (*_chances(found), *_costs(found), *_courses(found), *_options(found)):
        screen.hung(label, line)
    screen.hung("", rehearsal_facts(found, screen.zone), style="dim")


def _chances(found: Rehearsal) -> Iterator[tuple[str, str]]:
    for place, risk in enumerate(telling(found.risks)):
        yield (
            "" if place else "chance of",
            f"{limit_words(risk.name, risk.limit)} ({risk.asset}): {share_words(risk.without)} without it, {share_words(risk.acted)} with it "
            f"({interval_words(risk.low, risk.high)})",
        )


def _costs(found: Rehearsal) -> Iterator[tuple[str, str]]:
    for place, cost in enumerate(found.costs):
        yield (
            "" if place else f"in {span(found.horizon_s)}",
            f"{cost_words(cost)}: {figure(cost.without)} without it, {figure(cost.acted)} with it ({difference_words(cost)})",
        )


def _courses(found: Rehearsal) -> Iterator[tuple[str, str]]:
    for place, band in enumerate(found.bands[:CURVES]):
        without, acted = ([row[1] for row in rows] for rows in (band.without, band.acted))
        low, high = min([*without, *acted]), max([*without, *acted])
        yield (
            "" if place else "course",
            f"{band_words(band)}: without {sparkline(without, low, high, 14)} {figure(without[-1])}   "
            f"with {sparkline(acted, low, high, 14)} {figure(acted[-1])}",
        )


def band_words(band: Band) -> str:
    """What a band is of, with its unit."""
    words, of = quantity_words(band.asset, band.metric), unit(band.metric)
    return f"{words}, {of}" if of else words


def _options(found: Rehearsal) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(found.options):
        worst = (
            f"{share_words(one.worst_risk)} chance of {worst_words(one, found)}"
            if one.worst_limit
            else "breaks no limit"
        )
        yield (
            "" if place else "options",
            f"{place + 1}. {one.label}: {worst}; {figure(one.gpu_work_pct)} % of GPU work, {figure(one.energy_kwh)} kWh",
        )
