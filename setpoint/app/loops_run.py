"""A finished run of control loops over simulated days: everything that its report and its end table say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from setpoint.app.loop_wear import WearVerdict
from setpoint.contracts import Review
from setpoint.contracts.loops import Cycle, LoopName, Trouble
from setpoint.ledger.records import ActionRecord


@dataclass(frozen=True)
class Track:
    """One quantity over the run, on one grid, for a plot: as it was with the loops at work, and without them."""

    name: str
    """"asset.metric"."""
    title: str
    unit: str
    times_s: tuple[float, ...]
    """Seconds since the run's start."""
    with_loop: tuple[float, ...]
    """NaN where nothing was read."""
    without: tuple[float, ...] = ()
    """Of the same length; empty where the days were not run without."""


@dataclass(frozen=True)
class Skill:
    """What the forecasts of one quantity were worth in this run, held against what was read."""

    loop: LoopName
    name: str
    title: str
    unit: str
    ahead_s: float
    """How far ahead, from the moment the forecast was made to the end of the step."""
    count: int
    """Forecasts that could be held against a reading."""
    error: float
    """Mean absolute error, in the unit."""
    error_pu: float
    """The same as a share of the mean of what was read; NaN where that is 0."""
    persistence: float
    """Mean absolute error of "it stays as it is", at the same moments."""
    inside: float
    """Share of readings within the interval."""
    level: float
    """What that share should be."""


@dataclass(frozen=True)
class Asked:
    """One proposal that was put to review, with what became of it."""

    cycle: str
    at: datetime
    """When its cycle was, on the site's clock."""
    review: Review
    """Its decision is in it; simulated ones are a policy's."""
    outcome: ActionRecord | None = None
    """None: it was not carried out."""
    why_ended: str = ""
    """Of a review that was withdrawn or refused after approval: the reason."""


@dataclass(frozen=True)
class RaisedTrouble:
    """A blocking trouble that a loop raised an event for."""

    loop: LoopName
    trouble: Trouble
    since: datetime
    until: datetime | None
    """None: it lasted to the end of the run."""
    cycles: int = 1
    """For so many cycles."""


@dataclass(frozen=True)
class LoopRun:
    """One run. `without` is empty where the days were not run again without the loops."""

    names: tuple[LoopName, ...]
    site: str
    seed: int
    start: datetime
    end: datetime
    decide: str
    """Who decided: "ask", "--decide approve", or the name of a policy."""
    cycles: tuple[Cycle, ...]
    """Of all loops, by time."""
    meters: dict[str, float] = field(default_factory=dict)
    """What the site's meters counted with the loops at work: keys as `DaysSite.meters()` has them."""
    without: dict[str, float] = field(default_factory=dict)
    """The same days, same seed, without any loop."""
    series: dict[str, Track] = field(default_factory=dict)
    skill: tuple[Skill, ...] = ()
    asked: tuple[Asked, ...] = ()
    troubles: tuple[RaisedTrouble, ...] = ()
    spent_s: dict[str, float] = field(default_factory=dict)
    """Wall seconds by node of the graph, all cycles together; "site" is the simulated site itself."""
    wall_s: float = 0.0
    command: str = ""
    """The command line, for the report's foot."""
    versions: dict[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    """IANA name of the site's time zone: the report's days and hours are told in it."""
    currency: str = ""
    """Of what the meters count in money."""
    limits: dict[str, float] = field(default_factory=dict)
    """The site's limits by name, to hold the hottest and the highest against."""
    wear: WearVerdict | None = None
    """What came of parts that wear; None where none do."""
