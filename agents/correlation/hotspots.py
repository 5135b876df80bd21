"""Places where parts fail more often than chance explains: a hot cage, a bad rack."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from agents.correlation.memory import ASSETS, put, touch
from agents.correlation.neighbourhood import Place

_SPAN_S = 30 * 86_400.0
_LEAST = 4
"""Failed parts below this number prove nothing."""
_CHANCE = 0.01
"""Chance of one false alarm over all places of a level."""
_PARTS_KEPT = 500


@dataclass(frozen=True, slots=True)
class HotPlace:
    """One enclosure that loses too many parts."""

    place: str
    parts: int
    """Different parts that failed in it in the last 30 days."""
    expected: float
    """Mean of the enclosures of its level that had any failure."""


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
    mean = sum(count for _, count in rows) / len(rows)
    return [
        HotPlace(name, count, mean)
        for name, count in rows
        if count >= _LEAST and poisson_tail(count, mean) < _CHANCE / len(rows)
    ]


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
