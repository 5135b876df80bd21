"""What the page of one cycle of a control loop shows: the plan as its own page does, and what became of it."""

from __future__ import annotations

from typing import Any

from agents.plan_said import Words
from setpoint.app.formatting import day_and_time
from setpoint.app.plan_page import FUNCTIONS, joined, plan_values
from setpoint.app.plan_views import Made
from setpoint.app.wiring import Runtime
from setpoint.contracts.loops import Cycle

FILTERS = {"joined": joined}
_CALLED = {function.__name__: function for function in FUNCTIONS}
"""Shadow those of the same name that the parts of an incident use."""


def cycle_values(runtime: Runtime, name: str) -> dict[str, Any]:
    """Raises UsageError where there is no such cycle."""
    ledger = runtime.ledger
    cycle, reviews = ledger.get_cycle(name), ledger.list_reviews(incident_id=name)
    return _CALLED | plan_values(_made(cycle, runtime)) | {
        "cycle": cycle, "reviews": reviews, "live": " ".join([name, *(one.id for one in reviews)]),
        "acts": {one.review_id: one for one in ledger.list_actions(incident_id=name)},
        "read": [one for one in cycle.observed if one.read is not None],
    }  # fmt: skip


def _made(cycle: Cycle, runtime: Runtime) -> Made:
    """The cycle's plan with the words that were said of it."""
    source = f"readings of {runtime.site.name} up to {day_and_time(cycle.at, runtime.site.zone)}"
    said = cycle.advice
    return Made(
        cycle.plan, runtime.site.zone, Words(said.forecast, said.written_by), Words(said.advice, said.written_by), source,
        spent_s=tuple(cycle.spent_s.items()),
    )  # fmt: skip
