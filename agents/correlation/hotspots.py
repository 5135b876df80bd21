"""Places where parts fail more often than chance explains: a hot cage, a bad rack."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from agents.correlation.memory import ASSETS, put, touch
from agents.correlation.neighbourhood import Place

SPAN_DAYS = 90
_SPAN_S = SPAN_DAYS * 86_400.0
_LEAST = 4
"""Failed parts below this number prove nothing."""
_CHANCE = 0.01
"""Chance of one false alarm over all places of a level."""
_FLOOR = 0.05
"""Lowest rate assumed: a handful of single failures says little."""
_PARTS_KEPT = 500


@dataclass(frozen=True, slots=True)
class HotPlace:
    """One enclosure that loses too many parts."""

    place: str
    parts: int
    """Different parts that failed in it in the last 90 days."""
    expected: float
    """Mean of the enclosures of its level."""


def note_failure(
    failures: OrderedDict[str, OrderedDict[str, float]], place: Place, part: str, time_s: float
) -> None:
    """Count a failed part (or asset) once in every enclosure around it."""
    racks = [name for name, kind in place.upstream if kind == "rack"]
    for level, name in enumerate(reversed(racks)):
        key = f"{level}|{name}"
        parts = touch(failures, key)
        if parts is None:
            parts = put(failures, key, OrderedDict(), ASSETS)
        put(parts, part or place.name, time_s, _PARTS_KEPT)


def hot_places(failures: Mapping[str, Mapping[str, float]], now_s: float) -> list[HotPlace]:
    """Enclosures whose count has less than 1% chance under a Poisson law over their level, hottest first."""
    levels: dict[str, list[tuple[str, int]]] = {}
    for key, parts in failures.items():
        level, name = key.split("|", 1)
        if recent := sum(now_s - _SPAN_S <= time_s <= now_s for time_s in parts.values()):
            levels.setdefault(level, []).append((name, recent))
    hot = [place for rows in levels.values() for place in _hot_of(rows)]
    return sorted(hot, key=lambda place: (-place.parts / place.expected, place.place))


def _hot_of(rows: list[tuple[str, int]]) -> list[HotPlace]:
    usual = usual_rate(sum(count for _, count in rows) / len(rows))
    places = len(rows) / (1.0 - math.exp(-usual))
    return [
        HotPlace(name, count, usual)
        for name, count in rows
        if count >= _LEAST and poisson_tail(count, usual) < _CHANCE / places
    ]


def usual_rate(mean_of_failing: float) -> float:
    """Mean of all enclosures, from the mean of those that had a failure: the others are not seen.

    The zero-truncated Poisson law: m = r / (1 - exp(-r)), solved for r by iteration.

    >>> round(usual_rate(1.582), 2), usual_rate(1.0)
    (1.0, 0.05)
    """
    rate = mean_of_failing
    for _ in range(200):
        rate = mean_of_failing * (1.0 - math.exp(-rate))
    return max(rate, _FLOOR)


def poisson_tail(count: int, mean: float) -> float:
    """P(X >= count) for a Poisson variable.

    >>> round(poisson_tail(5, 1.0), 5)
    0.00366
    """
    below, term = 0.0, math.exp(-mean)
    for k in range(count):
        below += term
        term *= mean / (k + 1)
    return max(0.0, 1.0 - below)
