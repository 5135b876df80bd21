"""What an operator does with causes and the incidents under them: part of the desk's closed list of functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agents.flood import flood_line
from setpoint.app.causes import flood_now, have_analysed
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.app.desk import Desk


def incidents_causes(desk: Desk) -> JsonValue:
    """Open incidents under their causes, the gravest first, and whether alarms come as a flood."""
    flood = flood_now(desk.ledger, desk.site, desk.flood_per_10min, datetime.now(UTC))
    return flood.model_dump(mode="json") | {"line": flood_line(flood)}


def incidents_ungroup(desk: Desk, id: str, who: str, why: str) -> JsonValue:
    """Take an incident out from under the one whose cause was thought to explain it; it stays out."""
    if not why.strip():
        raise UsageError("taking an incident out needs a reason", remedy="Add --why")
    taken = desk.ledger.ungroup_explained(id, who, why)
    have_analysed(desk.ledger, id)
    return taken.model_dump(mode="json")
