"""A case of a service incident as plain values: the alert, and every piece of evidence with the place it stands at.

Nothing here judges. What an operator later reads as a quote or a number comes from these values unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Readings:
    """One quantity over time, oldest first; readings that are missing or not finite are left out."""

    file: str
    field: str
    """Place in the file, such as `metric_data_results[2]`."""
    name: str
    """As the source calls it."""
    unit: str
    """As the source writes it; "" where it does not."""
    of: str
    """Which thing it belongs to, from labels or dimensions; "" where nothing says."""
    times: tuple[datetime, ...]
    values: tuple[float, ...]

    @property
    def step_s(self) -> float:
        """Usual seconds between readings; 0 for fewer than two."""
        gaps = sorted((b - a).total_seconds() for a, b in zip(self.times, self.times[1:], strict=False))
        return gaps[len(gaps) // 2] if gaps else 0.0


@dataclass(frozen=True)
class Line:
    """Something the evidence says in words: an event, a log line, a state of an object."""

    file: str
    field: str
    """Place in the file: a path, or `line 12`."""
    text: str
    """The words alone, as written."""
    time: datetime | None = None
    about: str = ""
    """What else its record says, as `key value` pairs."""


@dataclass(frozen=True)
class Fact:
    """One value without a time: a limit, a setting, a count."""

    file: str
    field: str
    key: str
    text: str
    number: float | None = None
    of: str = ""


@dataclass(frozen=True)
class Consumer:
    """One row of a ranking, such as a statement and its share of load."""

    file: str
    field: str
    table: str
    """Name of the ranking, such as top_sql."""
    name: str
    weight: float
    measure: str
    """Key of `weight`."""
    kind: str = ""
    """The row's own type, where it gives one."""
    parts: tuple[tuple[str, float], ...] = ()
    """What the row's weight consists of (name or type, weight), where it is broken down."""


@dataclass(frozen=True)
class Alert:
    """What raised the incident."""

    file: str
    title: str
    text: str
    """Title and all annotations, one after the other."""
    state: str = ""
    severity: str = ""
    at: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Something in the input that could not be used."""

    where: str
    """File and place."""
    text: str


@dataclass(frozen=True)
class ServiceCase:
    """All that may be looked at."""

    name: str
    alert: Alert | None
    readings: tuple[Readings, ...] = ()
    lines: tuple[Line, ...] = ()
    facts: tuple[Fact, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    files: tuple[str, ...] = ()
    """Evidence files that were read, by name."""
    question: str = ""
    choices: tuple[str, ...] = ()
    """The closed list of answers, where the case gives one."""
    meanings: dict[str, str] = field(default_factory=dict)
    """What the case says that an answer of its list means, where it says so."""
    problems: tuple[Problem, ...] = ()
    withheld: tuple[str, ...] = ()
    """Files and fields left unread because they state the answer."""
