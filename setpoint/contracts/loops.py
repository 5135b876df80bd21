"""Control loops: what a cycle saw, wanted and came to. The plan's own values live with the plant (`plant.control`)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from plant.control.results import (
    LOOPS,
    Curve,
    Forecast,
    Foreseen,
    LoopName,
    LoopPlan,
    Move,
    Observed,
    Risk,
    Saving,
    SolverNote,
    Task,
    Trouble,
    Watch,
)
from setpoint.contracts.action import ActionProposal, Outcome, Withheld
from setpoint.contracts.event import Frozen

__all__ = [
    "LOOPS",
    "Advice",
    "Curve",
    "Cycle",
    "CycleState",
    "Forecast",
    "Foreseen",
    "LoopName",
    "LoopPlan",
    "Move",
    "Observed",
    "Risk",
    "Saving",
    "SolverNote",
    "Task",
    "Trouble",
    "Watch",
]

CycleState = Literal["waiting", "recorded", "superseded"]


class Advice(Frozen):
    """What an operator reads of a plan: the forecast told, the advice, each verified against the plan's facts."""

    forecast: str = ""
    """By the interpreter: what is coming."""
    advice: str = ""
    """By the advisor: what to do, what it is worth, what it risks."""
    written_by: str = "template"
    """Model name, or "template"."""
    fell_back: str = ""
    """Why the model's words were not taken; "" where they were, or none was asked."""


class Cycle(Frozen):
    """One turn of one loop, as the ledger keeps it."""

    id: str
    """"LOOP-cooling-20260314T120000Z"; proposals carry it in the place of an incident."""
    loop: LoopName
    at: datetime
    state: CycleState = "waiting"
    plan: LoopPlan
    advice: Advice = Advice()
    proposals: tuple[ActionProposal, ...] = ()
    """Put to review, with their rehearsals."""
    withheld: tuple[Withheld, ...] = ()
    """Wanted and not put to review, each with the reason."""
    outcomes: tuple[Outcome, ...] = ()
    observed: tuple[Observed, ...] = ()
    """What earlier cycles foresaw for this moment, against what was read."""
    spent_s: dict[str, float] = Field(default_factory=dict)
    """Wall seconds by node of the graph."""
