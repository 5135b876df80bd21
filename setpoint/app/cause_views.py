"""Open troubles by cause at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from agents.alert_facts import lasted
from setpoint.app.formatting import counted, names, one_line

if TYPE_CHECKING:
    from setpoint.app.views import Screen

COLOUR = {"P0": "bold white on red", "P1": "bold red", "P2": "yellow", "P3": "dim"}
SHOWN = 30
"""Rows without a cause; of more only P0 are shown, and the rest is counted."""


def standing(row: Mapping[str, Any]) -> str:
    """What a list says of an incident that explains others, or that another one explains."""
    if row.get("explained_by"):
        return f"  [explained by {row['explained_by']}]"
    return f"  [+{row['explains']} explained]" if row.get("explains") else ""


def flood_line(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(f"{value['line']} Causes first: setpoint incidents causes", "bold red")


def open_causes(screen: Screen, value: Mapping[str, Any]) -> None:
    """Causes first, then what has none yet."""
    rows = value["rows"]
    if not rows:
        screen.line("nothing is open but routine", "dim")
        return
    screen.line(value["line"], "bold red" if value["active"] else "bold")
    causes = [row for row in rows if row["known"]]
    others = [row for row in rows if not row["known"]]
    for row in causes:
        _row(screen, row)
    if others:
        screen.head("no cause yet")
    shown = [row for place, row in enumerate(others) if place < SHOWN or row["priority"] == "P0"]
    for row in shown:
        _row(screen, row)
    if len(shown) < len(others):
        screen.line(
            f"{counted(len(others) - len(shown), 'more incident')}, none of them P0: setpoint incidents list",
            "dim",
        )


def _row(screen: Screen, row: Mapping[str, Any]) -> None:
    where = f" on {row['asset']}" if row["asset"] else ""
    share = f"  {row['share']:.0%}" if row["share"] is not None else ""
    screen.console.print(
        Text.assemble(
            (f" {row['priority']} ", COLOUR[row["priority"]]),
            "  ",
            (f"{one_line(row['cause'])}{where}", "bold"),
            f"{share}  {row['incident']}  for {lasted(row['age_s'])}",
        )
    )
    for line in consequences(row):
        screen.hung("", line, 5)


def consequences(row: Mapping[str, Any]) -> Iterator[str]:
    """What hangs on one trouble, in the order a person asks: how soon, how much, what it explains, what is asked."""
    if row["to_limit_s"] is not None:
        when = f"in {lasted(row['to_limit_s'])}" if row["to_limit_s"] > 0 else "now"
        yield f"{row['limit']} passes its limit {when} if nothing is done"
    if row["at_stake_gpus"]:
        spoken = f", {row['gpus']} of them have alarms" if row["gpus"] < row["at_stake_gpus"] else ""
        yield f"{counted(row['at_stake_gpus'], 'GPU')} at stake ({row['power_kw']:.0f} kW at full load){spoken}"
    if row["members"]:
        yield (
            f"explains {counted(len(row['members']), 'other incident')}, {counted(row['alarms'], 'alarm')} in all: "
            f"{names(row['members'], 4)}"
        )
    if row["waits"]:
        yield f"waits for a decision: {names(row['waits'], 3)}"


def ungrouped(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(
        f"{value['incident_id']} stands for itself again; it was under {value['root_id']}. Setpoint will not group it again"
    )
