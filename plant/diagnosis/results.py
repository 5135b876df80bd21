"""What diagnosis and rehearsal say, as plain frozen values that travel through ledger, report and console."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from plant.closed import Closed

ProblemKind = Literal["silent", "stuck", "biased", "contradicts", "clock", "mismatch", "diverged"]
Medium = Literal["coolant", "power", "air", "network", "work", "sensing", "itself"]


class SensorProblem(Closed):
    """A reading that is not to be trusted, or a plant model that does not fit: it lowers confidence."""

    kind: ProblemKind
    asset: str
    metric: str = ""
    text: str
    """One sentence with its numbers."""


class Curve(Closed):
    """One signal: what was observed, what the site would do without a fault, and what it does with the cause."""

    asset: str
    metric: str
    """With its unit at the end of the name."""
    times_s: tuple[float, ...]
    """Seconds from the onset of the cause; negative before it."""
    observed: tuple[float | None, ...]
    healthy: tuple[float, ...]
    simulated: tuple[float, ...]
    evidence: float
    """Log-likelihood ratio of the cause against no fault in this signal: above 0 it speaks for the cause."""


class Verdict(Closed):
    """How one candidate cause fared when it was tried on the plant model."""

    cause: str
    """Id of the root-cause catalog; "no_fault" and "unknown" are weighed like the others."""
    asset: str = ""
    """Where it was put; "" for no fault and unknown."""
    mechanism: str = ""
    """Id in plant/diagnosis/mechanisms.yaml; "" where there is nothing the plant can run."""
    also: str = ""
    """Second fault of a double one, as "cause@asset"."""
    share: float = Field(ge=0.0, le=1.0)
    """Posterior probability over all candidates weighed."""
    low: float = Field(ge=0.0, le=1.0)
    high: float = Field(ge=0.0, le=1.0)
    """90 % interval of the share under the uncertainty of noise, model error and weights."""
    onset: datetime | None = None
    severity: float | None = None
    """0 to 1 of the mechanism's range, as fitted."""
    ramp_s: float | None = None
    from_events: float = 0.0
    """Log evidence of the event pattern."""
    from_signals: float = 0.0
    """Log evidence of the signals against no fault; 0 where none could be compared."""
    curves: tuple[Curve, ...] = ()
    """Most telling first, for and against."""
    supports: tuple[str, ...] = ()
    """Sentences with numbers: what was observed and the cause explains."""
    against: tuple[str, ...] = ()
    """Sentences with numbers: what the cause would show and was not observed, or the other way round."""
    tried: bool = False
    """It was run on the plant model (else judged by signs and events alone)."""


class Link(Closed):
    """One step from a cause towards what was observed."""

    source: str
    target: str
    """Assets."""
    medium: Medium
    effect: str
    """What it does there, in words with numbers where the plant model gives them."""
    after_s: float | None = None
    """Seconds from the onset until the model shows it."""
    events: tuple[str, ...] = ()
    """Ids of observed events at the target that this step explains."""
    assets: tuple[str, ...] = ()
    """Every asset that `target` stands for."""
    seen: str = ""
    """What the most urgent of those events said; "" where the target is only on the way."""
    seen_after_s: float | None = None
    """Seconds from the onset to the first of those events; negative before it."""


class CausalPath(Closed):
    """From the root cause to each observed event, along the site's topology."""

    cause: str
    root: str
    links: tuple[Link, ...] = ()
    explained: tuple[str, ...] = ()
    """Event ids, those at the root included."""
    unexplained: tuple[str, ...] = ()
    onset: datetime | None = None
    """Where the seconds of the links count from."""
    seen: str = ""
    """What the most urgent event at the root said; "" where the root itself said nothing."""
    seen_after_s: float | None = None
    more: int = Field(0, ge=0)
    """Links that are not shown; their events are counted as explained."""


class StateNote(Closed):
    """How well the plant model was brought to the site's state."""

    as_of: datetime
    signals: int
    """Readings that were compared."""
    confidence: float = Field(ge=0.0, le=1.0)
    """Share of the compared signals that the model reproduces within their error."""
    problems: tuple[SensorProblem, ...] = ()


class Trial(Closed):
    """All that testing the causes of one incident gave."""

    state: StateNote
    verdicts: tuple[Verdict, ...]
    """Most probable first; "no_fault" and "unknown" among them."""
    candidates: int
    runs: int
    """Runs of the plant model."""
    seconds: float
    problems: tuple[str, ...] = ()
    """Candidates whose run failed or diverged, with the reason; the others went on."""


class Band(Closed):
    """One quantity over the horizon, with and without the action: median and 90 % interval of the ensemble."""

    asset: str
    metric: str
    times_s: tuple[float, ...]
    without: tuple[tuple[float, float, float], ...]
    """(5 %, 50 %, 95 %) at each time, nothing being done."""
    acted: tuple[tuple[float, float, float], ...]
    limit: float | None = None
    limit_is: Literal["above", "below", ""] = ""
    """On which side of the limit it must not go."""


class LimitRisk(Closed):
    """The chance of breaking one limit within the horizon."""

    name: str
    """As in the site file, such as gpu_temp_max_c."""
    asset: str
    """The asset that comes nearest."""
    limit: float
    without: float = Field(ge=0.0, le=1.0)
    acted: float = Field(ge=0.0, le=1.0)
    low: float = Field(0.0, ge=0.0, le=1.0)
    high: float = Field(1.0, ge=0.0, le=1.0)
    """90 % interval of `acted`, from the size of the ensemble."""


class Cost(Closed):
    """What doing it changes over the horizon, against doing nothing: median and 90 % interval."""

    what: Literal["energy_kwh", "served_share_pct", "ttft_ms", "gpu_work_pct", "gpus_lost"]
    without: float
    acted: float
    low: float
    high: float
    """Interval of `acted` minus `without`."""


class Option(Closed):
    """One way to go on, compared with the others on the same ensemble."""

    label: str
    """"nothing", or the catalog action with its arguments in words."""
    action: str = ""
    asset: str = ""
    worst_risk: float = Field(ge=0.0, le=1.0)
    worst_limit: str = ""
    gpu_work_pct: float
    energy_kwh: float
    score: float
    """Lower is better: risk first, then lost work, then energy."""


class Rehearsal(Closed):
    """The site's next minutes with and without an action."""

    action: str
    asset: str
    args: dict[str, float | int | str | bool]
    as_of: datetime
    horizon_s: float
    members: int
    confidence: float = Field(ge=0.0, le=1.0)
    """Of the state it started from."""
    cause: str = ""
    """The fault that goes on in both runs, as "cause@asset"; "" where none is known."""
    bands: tuple[Band, ...] = ()
    """Those that the action changes most, at most six."""
    risks: tuple[LimitRisk, ...] = ()
    costs: tuple[Cost, ...] = ()
    options: tuple[Option, ...] = ()
    """Doing nothing, the action, and the catalog's alternatives; best first."""
    said: str = ""
    """The difference in one or two sentences, every number from the runs."""
    refused: str = ""
    """Why the interlock refuses it; "" where it does not."""
    seconds: float = 0.0


class Compared(Closed):
    """What was predicted for an action against what came."""

    action: str
    asset: str
    quantities: int
    inside: int
    """How many observed values lay within their 90 % interval at the end of the horizon."""
    came_true: bool
    worst: str = ""
    """The quantity furthest outside, in words; "" where all lay inside."""
    rows: tuple[tuple[str, float, float, float, float], ...] = ()
    """(asset.metric, low, median, high, observed)."""
