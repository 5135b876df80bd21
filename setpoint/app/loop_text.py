"""What `setpoint loop run` prints at its end: what the loops changed, what forecasts were worth, what became of every
proposal."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from setpoint.app.formatting import counted, one_line, span
from setpoint.app.loop_meters import METERS, MONEY, SHARE, Meter
from setpoint.app.loop_wear import WearVerdict, wear_rows, wear_words
from setpoint.app.loops_run import Asked, LoopRun

WIDTH = 118
MOST_REASONS = 8
DECIDED = {
    "approve": "approved",
    "edit": "approved with changes",
    "reject": "rejected",
    "respond": "answered",
}


def as_text(run: LoopRun) -> str:
    """The end table and what goes with it, plain."""
    screen = io.StringIO()
    console = Console(file=screen, width=WIDTH, color_system=None, highlight=False, emoji=False, markup=False)
    hours = (run.end - run.start).total_seconds() / 3600.0
    console.print(
        f"{' and '.join(run.names)} on {run.site}, seed {run.seed}: {hours:g} h from {run.start:%Y-%m-%d %H:%M} UTC, "
        f"{counted(len(run.cycles), 'cycle')}, decided by {run.decide}; {hours / max(run.wall_s, 1e-9) * 3600:.0f} "
        f"simulated seconds a second ({span(run.wall_s)})"
    )
    console.print()
    console.print(_meters(run))
    if run.skill:
        console.print()
        console.print(_skill(run))
    console.print()
    for line in _proposals(run):
        console.print(line)
    if run.wear is not None:
        console.print()
        for line in wear_words(run.wear, run.without.get("parts_failed")):
            console.print(line)
        if rows := wear_rows(run.wear):
            console.print()
            console.print(_wear(rows))
            console.print()
    if run.spent_s:
        spent = ", ".join(f"{node} {seconds:.1f} s" for node, seconds in _largest(run.spent_s))
        console.print(f"Wall time by part: {spent}.")
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()) + "\n"


def _meters(run: LoopRun) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("", "with the loop" if len(run.names) == 1 else "with the loops", "without", "difference"):
        table.add_column(column, justify="left" if not column else "right")
    for meter in METERS:
        if meter.name in run.meters and not meter.part:
            table.add_row(*(Text(cell) for cell in _row(run, meter)))
    return table


def _row(run: LoopRun, meter: Meter) -> tuple[str, str, str, str]:
    unit = {MONEY: run.currency, SHARE: "%"}.get(meter.unit, meter.unit)
    scale, places = 100.0 if meter.unit == SHARE else 1.0, meter.decimals
    own, other = scale * run.meters[meter.name], run.without.get(meter.name)
    label = f"{meter.words}, {unit}" if unit else meter.words
    if other is None:
        return label, f"{own:,.{places}f}", "", ""
    other *= scale
    apart = own - other
    share = f" ({apart / other:+.1%})" if other and unit not in ("C", "%") and abs(apart) > 1e-9 else ""
    return label, f"{own:,.{places}f}", f"{other:,.{places}f}", f"{apart:+,.{places}f}{share}"


def _skill(run: LoopRun) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("forecast", "ahead", "off by", "it stays as it is", "inside the interval", "forecasts"):
        table.add_column(column, justify="left" if column == "forecast" else "right")
    for one in run.skill:
        share = "" if math.isnan(one.error_pu) else f" ({one.error_pu:.1%})"
        table.add_row(
            *(
                Text(cell)
                for cell in (
                    one.title,
                    span(one.ahead_s),
                    f"{one.error:.3g} {one.unit}{share}",
                    f"{one.persistence:.3g} {one.unit}",
                    f"{one.inside:.0%} of {one.level:.0%}",
                    str(one.count),
                )
            )
        )
    return table


def _wear(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("asset", "part", "what came", "when", "named"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _proposals(run: LoopRun) -> list[str]:
    lines = []
    if run.asked:
        fates = Counter(fate(one) for one in run.asked)
        lines.append(
            f"{counted(len(run.asked), 'proposal')}: " + ", ".join(f"{n} {words}" for words, n in fates.most_common()) + "."
        )  # fmt: skip
    else:
        lines.append("Nothing was proposed.")
    examples: dict[str, str] = {}
    withheld: Counter[str] = Counter()
    for why in (one.why for cycle in run.cycles for one in cycle.withheld):
        withheld[_kind_of_reason(why)] += 1
        examples.setdefault(_kind_of_reason(why), why)
    if withheld:
        lines.append(
            f"{counted(sum(withheld.values()), 'move')} withheld, alike reasons together, by the first of them:"
        )
        lines += [
            f"  {many:>5}  {one_line(examples[kind], 105)}"
            for kind, many in withheld.most_common(MOST_REASONS)
        ]
    for trouble in run.troubles:
        until = f"to {trouble.until:%m-%d %H:%M}" if trouble.until else "to the end"
        lines.append(
            f"Trouble, {trouble.since:%m-%d %H:%M} {until} ({counted(trouble.cycles, 'cycle')}): "
            f"{one_line(trouble.trouble.what)} {one_line(trouble.trouble.instead)}"
        )
    return lines


def fate(one: Asked) -> str:
    """What became of a question, in a few words."""
    if one.outcome is not None:
        return (
            "done"
            if one.outcome.state == "done"
            else f"{one.outcome.state.replace('_', ' ')} by the executor"
        )
    decision = one.review.decision
    if one.review.state == "pending":
        return "still waiting"
    if decision is None:
        return "withdrawn for a newer plan" if one.review.state == "withdrawn" else one.review.state
    if decision.type in ("approve", "edit"):
        return "approved and refused afterwards" if one.why_ended else "approved, not carried out"
    return DECIDED[decision.type]


def _kind_of_reason(why: str) -> str:
    """A reason without what differs from one to the next, so that alike ones are counted together."""
    words = why.split(": ", 1)[0] if ": REV-" in why else why
    return " ".join("..." if any(char.isdigit() for char in word) else word for word in words.split())


def _largest(spent: dict[str, float]) -> Sequence[tuple[str, float]]:
    return sorted(spent.items(), key=lambda item: -item[1])


def as_json(run: LoopRun) -> str:
    """Everything but the plans themselves, which `setpoint loop show CYCLE` prints from a kept store."""
    document: dict[str, Any] = {
        "loops": list(run.names),
        "site": run.site,
        "seed": run.seed,
        "start": run.start.isoformat(),
        "end": run.end.isoformat(),
        "decide": run.decide,
        "meters": run.meters,
        "without": run.without,
        "skill": [{**vars(one), "error_pu": None if math.isnan(one.error_pu) else one.error_pu} for one in run.skill],
        "asked": [
            {"cycle": one.cycle, "at": one.at.isoformat(), "review": one.review.id, "subject": one.review.subject,
             "fate": fate(one), "why": one.why_ended}
            for one in run.asked
        ],
        "cycles": [
            {"id": one.id, "state": one.state, "headline": one.plan.headline,
             "proposals": [p.id for p in one.proposals],
             "withheld": [w.model_dump(mode="json") for w in one.withheld],
             "savings": [s.model_dump(mode="json") for s in one.plan.savings], "spent_s": one.spent_s}
            for one in run.cycles
        ],
        "troubles": [
            {"loop": one.loop, "since": one.since.isoformat(), "until": one.until.isoformat() if one.until else None,
             "cycles": one.cycles, **one.trouble.model_dump(mode="json")}
            for one in run.troubles
        ],
        "wear": _wear_values(run.wear) if run.wear else None,
        "spent_s": run.spent_s,
        "wall_s": run.wall_s,
        "versions": run.versions,
    }  # fmt: skip
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _wear_values(verdict: WearVerdict) -> dict[str, Any]:
    """Plain values; moments as ISO text."""
    return cast(
        dict[str, Any], json.loads(json.dumps(asdict(verdict), default=lambda moment: moment.isoformat()))
    )
