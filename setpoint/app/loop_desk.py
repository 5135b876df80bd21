"""Desk functions about control loops: their cycles, and what a review that belongs to one shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from setpoint.contracts.loops import LOOPS
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.app.desk import Desk

PREFIX = "LOOP-"


def loops_list(desk: Desk, loop: str = "", waiting: bool = False, limit: int = 50) -> JsonValue:
    """Cycles, the latest last, each in a line."""
    if loop and loop not in LOOPS:
        raise UsageError(f"no control loop {loop!r}", remedy=f"One of: {', '.join(LOOPS)}")
    found = desk.ledger.list_cycles(loop=loop, states=("waiting",) if waiting else (), limit=limit)
    return [
        {
            "id": one.id, "loop": one.loop, "at": one.at.isoformat(), "state": one.state,
            "headline": one.plan.headline, "asked": len(one.proposals), "withheld": len(one.withheld),
            "done": sum(outcome.state == "done" for outcome in one.outcomes),
            "troubles": sum(trouble.blocks for trouble in one.plan.troubles),
        }
        for one in found
    ]  # fmt: skip


def loops_show(desk: Desk, id: str = "") -> JsonValue:
    """One cycle with its reviews and acts; the latest where none is named."""
    if not id:
        latest = desk.ledger.list_cycles(limit=1)
        if not latest:
            raise UsageError(
                "no control loop has turned yet", remedy="`setpoint loop run NAME --keep --store DIR`"
            )
        id = latest[0].id
    cycle = desk.ledger.get_cycle(id)
    return {
        "cycle": cycle.model_dump(mode="json"),
        "reviews": [one.model_dump(mode="json") for one in desk.ledger.list_reviews(incident_id=id)],
        "actions": [one.model_dump(mode="json") for one in desk.ledger.list_actions(incident_id=id)],
    }


def about(desk: Desk, names: Sequence[str]) -> dict[str, dict[str, JsonValue]]:
    """What a review shows of the cycle it belongs to, by the cycle's id. Other ids are passed over."""
    found = {name: desk.ledger.find_cycle(name) for name in dict.fromkeys(names) if name.startswith(PREFIX)}
    return {
        name: {"loop": cycle.loop, "incident_title": cycle.plan.headline}
        for name, cycle in found.items()
        if cycle is not None
    }


def refuse_cycle(id: str) -> None:
    """Raises UsageError where a cycle is asked for as an incident."""
    if id.startswith(PREFIX):
        raise UsageError(
            f"{id} is a cycle of a control loop, no incident", remedy=f"`setpoint loop show {id}`"
        )
