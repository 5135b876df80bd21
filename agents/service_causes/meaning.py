"""What a metric of some service means: its quantity by name, and the bound it runs against."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from knowledge.service_causes import Quantity, load_catalog
from tools.case_types import Fact, Readings, ServiceCase

_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Z][a-z])")
_LIMIT = re.compile(r"\b(limits?|max(imum)?|quota|capacity|allocatable|ceiling|hard)\b")
_PERCENT = re.compile(r"\b(percent|percentage|pct)\b")
_OF = re.compile(r"\b(\d[\d,.]*) ?(?:of|/|out of) ?(\d[\d,.]*)\b")
_UN = re.compile(r"\bun (?=healthy|available|ready|acked)")
_MAXIMUM = re.compile(r"\b(?:maximum|limit|max|cap|ceiling)\b (?:of|is|at|=|:) ?(\d[\d,]*)\b", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B?|m)?", re.IGNORECASE)
_SCALE = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40}
_OTHER = Quantity("other", "other", "up", "another quantity", ())


def words(name: str) -> str:
    """A metric's name in lower-case words.

    >>> words("FreeStorageSpace"), words("HTTPCode_Target_5XX_Count"), words("redis_memory_used_bytes")
    ('free storage space', 'http code target 5xx count', 'redis memory used bytes')
    """
    spaced = re.sub(r"[^a-z0-9]+", " ", _SPLIT.sub(" ", name).lower()).strip()
    return _UN.sub("un", spaced)


@lru_cache(maxsize=4096)
def quantity_of(name: str) -> Quantity:
    """What a metric's name says it is.

    >>> quantity_of("ReplicaLag").id, quantity_of("kafka_consumergroup_lag").id, quantity_of("p99_ms").id
    ('replication_lag', 'queue_lag', 'latency')
    """
    spaced = words(name)
    for quantity in load_catalog().quantities:
        if any(pattern.search(spaced) for pattern in quantity.words):
            return quantity
    return _OTHER


def is_limit(readings: Readings) -> bool:
    """A series that states a bound rather than a use, such as memory_limit_bytes."""
    spaced = words(readings.name)
    if not _LIMIT.search(spaced) or quantity_of(readings.name).role not in ("saturation", "queue", "other"):
        return False
    return len(set(readings.values)) <= max(2, len(readings.values) // 10)


def is_percent(readings: Readings) -> bool:
    unit = readings.unit.strip().lower()
    return unit in ("%", "percent", "pct", "percentage") or bool(_PERCENT.search(words(readings.name)))


@dataclass(frozen=True)
class Bound:
    """The most a quantity can reach, and where that is said."""

    value: float
    words: str = ""
    """Name and value as the source has them; "" for a natural bound such as 100 %."""
    file: str = ""
    place: str = ""


def bound_of(readings: Readings, case: ServiceCase) -> Bound | None:
    """The most a quantity can reach; None where nothing says."""
    if is_percent(readings):
        return Bound(100.0)
    quantity = quantity_of(readings.name)
    if quantity.role != "saturation":
        return None
    if (
        max(readings.values) <= 1.05
        and re.search(r"ratio|fraction|util", words(readings.name))
        and quantity.id != "limit"
    ):
        return Bound(1.0)
    return (
        _limit_series(readings, quantity, case)
        or _limit_fact(readings, quantity, case)
        or _limit_said(quantity, case)
    )


def _limit_series(readings: Readings, quantity: Quantity, case: ServiceCase) -> Bound | None:
    for other in case.readings:
        same = quantity_of(other.name).id == quantity.id and (other.of == readings.of or not other.of)
        if same and other is not readings and is_limit(other):
            return Bound(float(median(other.values[-3:])), other.name, other.file, other.field)
    return None


def _limit_fact(readings: Readings, quantity: Quantity, case: ServiceCase) -> Bound | None:
    most = max(readings.values)
    for fact in case.facts:
        path = words(f"{fact.field} {fact.key}")
        value = size(fact.text)
        if value is None or (not _LIMIT.search(path) and not fact.key.lower().startswith("max")):
            continue
        # A bound far above or below what was read is that of something else.
        if quantity_of(fact.key).id == quantity.id and 0.5 * most <= value <= 20 * most:
            return Bound(value, f"{fact.key} {fact.text}", fact.file, fact.field)
    return None


def _limit_said(quantity: Quantity, case: ServiceCase) -> Bound | None:
    """`469 of 500` beside the word for the quantity."""
    for line in case.lines:
        if (stated := _MAXIMUM.search(line.text)) and quantity_of(
            line.text[: stated.start()]
        ).id == quantity.id:
            return Bound(float(stated[1].replace(",", "")), line.text, line.file, line.field)
        match = _OF.search(line.text)
        if match and quantity_of(line.text[: match.start()]).id == quantity.id:
            return Bound(float(match[2].replace(",", "").rstrip(".")), line.text, line.file, line.field)
    return None


def size(text: str) -> float | None:
    """A number with its binary or decimal suffix.

    >>> size("512Mi"), size("1000"), size("10.0.0.1")
    (536870912.0, 1000.0, None)
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        return None
    suffix = (match[2] or "").lower().removesuffix("b")
    return float(match[1]) * _SCALE.get(suffix, 1.0)


def usage_facts(case: ServiceCase) -> list[tuple[Fact, Fact]]:
    """Single values of use beside their limits, such as used_memory and maxmemory: (use, limit)."""
    sized = [(fact, value) for fact in case.facts if (value := size(fact.text)) is not None and value > 0]
    found = []
    for limit, most in sized:
        if not (_LIMIT.search(words(limit.key)) or limit.key.lower().startswith("max")):
            continue
        kind = quantity_of(limit.key)
        for use, value in sized:
            named = re.search(r"used|current|in use|active|usage|connected", words(use.key))
            if (
                named
                and use.file == limit.file
                and use.of == limit.of
                and quantity_of(use.key).id == kind.id
                and value >= 0.9 * most
            ):
                found.append((use, limit))
    return found
