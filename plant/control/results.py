"""What a control loop sees, foresees and wants, as plain frozen values that travel through graph, ledger, report and
console. Times are aware datetimes; series have a fixed step and units in their names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from plant.closed import Closed

LoopName = Literal["energy", "peak", "cooling", "maintenance"]
LOOPS: tuple[LoopName, ...] = ("energy", "peak", "cooling", "maintenance")
TroubleKind = Literal[
    "missing",
    "stale",
    "impossible",
    "clock_jump",
    "tariff_gap",
    "infeasible",
    "solver_timeout",
    "uncertain",
    "adapter",
]
Setting = float | int | str | bool


class Trouble(Closed):
    """Something a loop cannot rest on, and what it does instead."""

    kind: TroubleKind
    asset: str = ""
    metric: str = ""
    what: str
    """One sentence with its numbers: what is wrong."""
    instead: str
    """What the loop does: holds the last safe setpoint, hands over to the local controller, uses a default."""
    remedy: str = ""
    blocks: bool = True
    """No move may be proposed while it lasts; False: the plan goes on with a stated substitute."""


class Watch(Closed):
    """What a loop reads at the start of a cycle."""

    loop: LoopName
    at: datetime
    readings: dict[str, float] = Field(default_factory=dict)
    """By "asset.metric", the latest of each that is to be trusted."""
    troubles: tuple[Trouble, ...] = ()


class Forecast(Closed):
    """One quantity ahead of time, with the interval that holds it with probability `level`."""

    name: str
    """"asset.metric", or a name of the loop's own with its unit at the end ("site.grid_kw")."""
    title: str
    unit: str
    start: datetime
    """Beginning of the first step."""
    step_s: float = Field(gt=0)
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float = Field(0.9, gt=0, lt=1)
    method: str
    """How it was made, in a few words ("gradient boosting over 14 days, conformal interval")."""
    skill: str = ""
    """What it is worth, measured: "4.1 % off on the last day, persistence 7.9 %"."""


class Curve(Closed):
    """One planned quantity over the horizon, for a plot: with the plan, and without it."""

    name: str
    title: str
    unit: str
    start: datetime
    step_s: float = Field(gt=0)
    planned: tuple[float, ...]
    without: tuple[float, ...] = ()
    limit: float | None = None
    limit_name: str = ""


class Move(Closed):
    """One action of the catalog that the plan wants, at a time. A loop proposes those that are due now."""

    at: datetime
    action: str
    asset: str
    args: dict[str, Setting] = Field(default_factory=dict)
    why: str
    """One sentence whose every number is copied from the plan's facts."""
    saves: str = ""
    """What it is worth, in words with numbers; "" where it is not for saving."""


class Saving(Closed):
    """What a plan is worth against a stated baseline, over its horizon."""

    what: str
    """"energy", "bill", "peak", "cooling energy", "carbon", "downtime"."""
    unit: str
    planned: float
    baseline: float
    baseline_name: str
    """In words: "no battery", "reactive PI at the same limit"."""
    low: float | None = None
    high: float | None = None
    """Interval of (baseline - planned) under the forecast's uncertainty."""

    @property
    def saved(self) -> float:
        """Baseline less planned."""
        return self.baseline - self.planned

    @property
    def saved_pu(self) -> float:
        """Share of the baseline; 0 where the baseline is 0."""
        return self.saved / self.baseline if self.baseline else 0.0


class Risk(Closed):
    """What may go wrong with a plan, and how likely."""

    what: str
    chance: float | None = Field(None, ge=0, le=1)
    without: float | None = Field(None, ge=0, le=1)
    """The same chance without the plan."""
    limit: str = ""


class SolverNote(Closed):
    """How the optimum was found."""

    method: str
    """"LP by HiGHS", "search over 24 clocks"."""
    status: str
    """"optimal", "time limit", "infeasible"."""
    seconds: float = Field(ge=0)
    variables: int = Field(0, ge=0)
    gap: float | None = None
    """Relative gap that is left, of integer programmes."""


class Task(Closed):
    """One piece of maintenance, with when the part is expected to fail and when it is best done."""

    asset: str
    part: str
    """"pump bearing", "air filter", "battery cells"."""
    work: str
    """What is done, a short imperative."""
    expected_failure: datetime | None = None
    low: datetime | None = None
    high: datetime | None = None
    """Interval of the failure time; None: beyond what can be said."""
    fails_within: float = Field(0.0, ge=0, le=1)
    """Chance that it fails before the plan's horizon ends."""
    window_start: datetime | None = None
    window_end: datetime | None = None
    """When it is done; None: not planned within the horizon."""
    crew: str = "facilities"
    hours: float = Field(1.0, gt=0)
    because: str = ""
    """The readings it rests on, with numbers."""


class LoopPlan(Closed):
    """What one loop wants over its horizon, and why."""

    loop: LoopName
    site: str
    made: datetime
    horizon_s: float = Field(gt=0)
    headline: str
    """One sentence without words of a model: what it wants and what that saves."""
    forecasts: tuple[Forecast, ...] = ()
    curves: tuple[Curve, ...] = ()
    moves: tuple[Move, ...] = ()
    """By time; those at or before `made` are due now."""
    savings: tuple[Saving, ...] = ()
    risks: tuple[Risk, ...] = ()
    tasks: tuple[Task, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    facts: dict[str, str] = Field(default_factory=dict)
    """Everything a text about it may quote, already formatted with its unit, by name ("peak": "1,412 kW")."""
    notes: tuple[str, ...] = ()
    """Assumptions and limits of the plan, in sentences."""
    solver: SolverNote | None = None
    local: bool = False
    """It hands over to the local controller and proposes nothing."""


class Foreseen(Closed):
    """What a cycle expects to be read later, to be held against what comes."""

    loop: LoopName
    at: datetime
    """When it was said."""
    due: datetime
    name: str
    expected: float
    low: float
    high: float
    unit: str = ""


class Observed(Closed):
    """What came of it."""

    foreseen: Foreseen
    read: float | None
    """None: nothing was read; it then teaches nothing."""

    @property
    def inside(self) -> bool | None:
        """Whether the interval held it."""
        return None if self.read is None else self.foreseen.low <= self.read <= self.foreseen.high
