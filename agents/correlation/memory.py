"""What the correlator remembers. Plain values, so that all of it can be written down and read back.

Times are event times in seconds since the epoch. Every table is bounded: what was used longest ago goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

from agents.announced import Announced
from agents.correlation.symptoms import Symptom

V = TypeVar("V")

SUBJECTS = 200
FIRED = 1000
BURST = 5000
KEYS = 64
"""Longest lists kept of a group's assets, a condition's repeats, a template's recent events, an asset's conditions."""
GROUPS = 50_000
CONDITIONS = 200_000
ASSETS = 100_000
PARTS = 100_000
TEMPLATES = 20_000
ANNOUNCED, OF_ONE_ASSET = 5000, 8
SEEN = 5000
"""Most entries of each table."""


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
    returns: int = 0
    """Times it came back after the repeat window."""
    worst: int = 0
    """Highest severity so far, as a number."""


@dataclass(slots=True)
class Trouble:
    """An asset has trouble of one symptom class: what stands on the asset may show its effects."""

    group: str
    last_s: float
    keys: list[str] = field(default_factory=list)
    """Its conditions that have not ended, at most `KEYS`."""


@dataclass(slots=True)
class Burst:
    """Recent events of one template."""

    first_s: float
    """First time it was ever seen."""
    count: int = 0
    times: list[float] = field(default_factory=list)
    assets: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Asset to the last time it said this."""
    group: str = ""
    """The storm's incident."""
    before: list[str] = field(default_factory=list)
    """The last incidents that events of this template opened alone."""


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
    symptom: Symptom
    last_s: float


@dataclass
class State:
    """Everything, in one value."""

    watermark_s: float = 0.0
    first_s: float = 0.0
    """Oldest event time seen: the site has history before a change only if this lies before it."""
    events: int = 0
    groups: OrderedDict[str, Group] = field(default_factory=OrderedDict)
    conditions: OrderedDict[str, Condition] = field(default_factory=OrderedDict)
    troubles: OrderedDict[str, dict[Symptom, Trouble]] = field(default_factory=OrderedDict)
    """Subject to symptom to trouble."""
    signs: OrderedDict[str, OrderedDict[str, Sign]] = field(default_factory=OrderedDict)
    """ "carrier|symptom" to subject to its last sign that nothing upstream explained."""
    waiting: OrderedDict[str, list[Waiting]] = field(default_factory=OrderedDict)
    """Upstream asset to groups below it."""
    bursts: OrderedDict[str, Burst] = field(default_factory=OrderedDict)
    """By template number."""
    parts: OrderedDict[str, Part] = field(default_factory=OrderedDict)
    changes: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """ "change|template" to the incident of patterns new since that change."""
    failures: OrderedDict[str, OrderedDict[str, float]] = field(default_factory=OrderedDict)
    """Enclosure to failed parts in it to the time of failure."""
    announced: OrderedDict[str, list[Announced]] = field(default_factory=OrderedDict)
    """Asset in lower case to the planned work that was announced for it."""
    seen: list[str] = field(default_factory=list)
    """Ids of the last events, oldest first."""
    templates: list[tuple[int, str, str, int]] = field(default_factory=list)


def touch(table: OrderedDict[str, V], key: str) -> V | None:
    """The value, marked as just used; None where there is none."""
    value = table.get(key)
    if value is not None:
        table.move_to_end(key)
    return value


def put(table: OrderedDict[str, V], key: str, value: V, limit: int) -> V:
    """Store the value as just used, drop the oldest beyond the limit, and return it."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > limit:
        table.popitem(last=False)
    return value


def drop_before(times: list[float], limit_s: float) -> None:
    """Remove the times before the limit; the list is sorted, or nearly so."""
    keep = 0
    while keep < len(times) and times[keep] < limit_s:
        keep += 1
    del times[:keep]
