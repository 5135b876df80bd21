"""What the correlator remembers. Plain values, so that all of it can be written down and read back.

Times are event times in seconds since the epoch. Every table is bounded: what was used longest ago goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Group:
    """One incident, as far as grouping needs it."""

    id: str
    key: str
    opened_s: float
    last_s: float
    subjects: list[str] = field(default_factory=list)
    """Assets in it, in order of appearance, at most `SUBJECTS`."""
    firing: set[str] = field(default_factory=set)
    """Keys of its conditions that have not cleared."""
    cleared: bool = False
    """All that could clear has cleared."""
    related: list[str] = field(default_factory=list)


SUBJECTS = 200


@dataclass(slots=True)
class Condition:
    """One dedup key."""

    group: str
    first_s: float
    last_s: float
    fired: list[float] = field(default_factory=list)
    """Times it fired within the repeat window, at most `FIRED`."""
    toggles: list[float] = field(default_factory=list)
    """Times it changed between firing and resolved, within the flap window."""
    firing: bool = True
    clears: bool = False
    """Its source tells when it ends."""
    flapping: bool = False
    worst: int = 0
    """Highest severity so far, as a number."""


FIRED = 1000


@dataclass(slots=True)
class Trouble:
    """An asset has trouble of one symptom class: what stands on the asset may show its effects."""

    group: str
    last_s: float
    firing: bool = True


@dataclass(slots=True)
class Burst:
    """Recent events of one template."""

    first_s: float
    """First time it was ever seen."""
    times: list[float] = field(default_factory=list)
    assets: dict[str, float] = field(default_factory=dict)
    """Asset to the last time it said this."""
    group: str = ""
    """The storm's incident."""


@dataclass(slots=True)
class Part:
    """A physical part, by serial number."""

    failures: int
    last_s: float
    group: str
    own: bool
    """The group is about this part (and not a burst it was caught in)."""


@dataclass(slots=True)
class Sign:
    """One asset showed a symptom."""

    group: str
    last_s: float


@dataclass(slots=True)
class Waiting:
    """A group that something upstream may turn out to explain."""

    group: str
    symptom: str
    last_s: float


@dataclass
class State:
    """Everything, in one value."""

    watermark_s: float = 0.0
    first_s: float = 0.0
    """Oldest event time seen: the site has history before a change only if this lies before it."""
    events: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    conditions: dict[str, Condition] = field(default_factory=dict)
    troubles: dict[str, dict[str, Trouble]] = field(default_factory=dict)
    """Subject to symptom to trouble."""
    signs: dict[str, dict[str, Sign]] = field(default_factory=dict)
    """ "carrier|symptom" to subject to its last sign that nothing upstream explained."""
    waiting: dict[str, list[Waiting]] = field(default_factory=dict)
    """Upstream asset to groups below it."""
    bursts: dict[str, Burst] = field(default_factory=dict)
    """By template number."""
    parts: dict[str, Part] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    """ "change|template" to the incident of patterns new since that change."""
    failures: dict[str, dict[str, float]] = field(default_factory=dict)
    """Enclosure to failed parts in it to the time of failure."""
    seen: list[str] = field(default_factory=list)
    """Ids of the last events, oldest first."""
    templates: list[tuple[int, str, str, int]] = field(default_factory=list)


class Bounded(OrderedDict[K, V], Generic[K, V]):
    """A table that forgets what was touched longest ago."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def touch(self, key: K) -> V | None:
        """The value, marked as just used; None where there is none."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> V:
        """Store and return it, dropping the oldest beyond the limit."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.limit:
            self.popitem(last=False)
        return value


def drop_before(times: list[float], limit_s: float) -> None:
    """Remove the times before the limit; the list is sorted, or nearly so."""
    keep = 0
    while keep < len(times) and times[keep] < limit_s:
        keep += 1
    del times[:keep]
