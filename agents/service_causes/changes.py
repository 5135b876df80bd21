"""How a series moved: steps, ramps and excursions, with onset, size against its own noise, and whether it came back.

Three shapes are fitted by least squares (a step, a ramp from an onset, an excursion that returns) and weighed against
no change by the Bayesian information criterion. What is significant and large enough for its kind is a movement.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import numpy as np
from numpy.typing import NDArray

from agents.service_causes.meaning import Bound, bound_of, is_limit, is_percent, quantity_of
from knowledge.service_causes import Quantity
from tools.case_types import Readings, ServiceCase

FULL = 0.9
"""Share of its bound from which a resource counts as used up."""
NEARLY_GONE = 0.2
"""A falling quantity without a known bound is about to run out at this share of where it began."""
LEAST_READINGS = 4
MOST_BINS = 240
NOISES = 4.0
"""A change is news from so many times the scatter of neighbouring readings."""
LEAST_CHANGE = {
    "saturation": 0.25, "errors": 1.0, "latency": 0.5, "lag": 1.0, "queue": 0.8, "load": 0.4, "output": 0.25,
    "availability": 0.1, "free": 0.1, "expiry": 0.02, "limit": 0.05, "other": 0.5,
}  # fmt: skip
"""Least change against the level before, by role: an error rate doubles easily, free storage hardly moves."""
LEAST_SPIKY, LEAST_SPIKES = 24, 3
SPIKE_NOISES, SPIKE_SHARE, SPIKE_MOST = 10.0, 1.0, 0.3
"""A spike is so many times the scatter and so many times the level away; spikes take at most so much of the window."""
LEAST_POINTS = 10.0
"""Least change of a percentage, in points."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Movement:
    """One series and how it moved."""

    readings: Readings
    quantity: Quantity
    events: frozenset[str]
    """Of up, down, full, zero, low, spikes; empty where it stayed within its usual band."""
    onset: datetime | None
    before: float
    after: float
    peak: float
    """The most extreme value in the direction it moved."""
    noises: float
    """Size of the change in units of the scatter of neighbouring readings."""
    recovered: bool
    bound: Bound | None = None
    ends: datetime | None = None
    """When it was back, where it came back."""
    spikes: tuple[datetime, ...] = ()
    """When each of several short excursions began."""

    @property
    def bad(self) -> bool:
        """Whether it went where it hurts."""
        return bool(self.events & {"full", "low", "zero"}) or self.quantity.bad in self.events

    @property
    def size(self) -> float:
        return abs(self.after - self.before) / max(abs(self.before), 1e-9)


@dataclass(frozen=True)
class _Shape:
    start: int
    stop: int
    """First reading after an excursion; the length where it lasts to the end."""
    cost: float
    ramp: bool = False


def movement(readings: Readings, case: ServiceCase) -> Movement:
    """How one series moved."""
    quantity = quantity_of(readings.name)
    limit = is_limit(readings)
    if limit:
        quantity = Quantity("limit", "limit", "down", "a limit", ())
    values = np.asarray(readings.values)
    bound = None if limit else bound_of(readings, case)
    if found := spikes_of(values, quantity.bad == "down"):
        return _spiky(readings, quantity, values, found, bound)
    shape = _shape(values) if len(values) >= LEAST_READINGS else None
    if shape is None:
        return _still(readings, quantity, bound, case)
    shape = _earliest(values, shape)
    before, after, peak = _levels(values, shape)
    if not _matters(values, before, peak if shape.stop < len(values) else after, quantity, readings):
        return _still(readings, quantity, bound, case)
    recovered = shape.stop < len(values) or _came_back(values, before, after, shape)
    moved = peak if recovered else after
    events = {"up" if moved > before else "down"} | _extremes(
        values, shape, before, moved, quantity, bound, recovered
    )
    scatter = _scatter(values)
    return Movement(
        readings, quantity, frozenset(events), readings.times[shape.start], before, after, peak,
        min(abs(moved - before) / scatter, 999.0), recovered, bound,
        ends=readings.times[shape.stop] if shape.stop < len(values) else None,
    )  # fmt: skip


def _spiky(
    readings: Readings,
    quantity: Quantity,
    values: Floats,
    found: Sequence[tuple[int, int]],
    bound: Bound | None,
) -> Movement:
    """A series that leaves its level again and again: it lasts, though each time it comes back."""
    level = float(np.median(values))
    tips = [float(max(values[a:b], key=lambda value: abs(value - level))) for a, b in found]
    peak = float(np.median(tips))
    return Movement(
        readings, quantity, frozenset({"spikes", "up" if peak > level else "down"}), readings.times[found[0][0]],
        level, peak, peak, min(abs(peak - level) / _scatter(values), 999.0), False, bound,
        spikes=tuple(readings.times[a] for a, _ in found),
    )  # fmt: skip


def spikes_of(values: Floats, down: bool) -> list[tuple[int, int]]:
    """Short excursions that come again over most of the window, as (first reading, reading after the last).

    So many, so short, so far from the level and so spread that they are no noise and no single event.
    """
    if len(values) < LEAST_SPIKY:
        return []
    level, scatter = float(np.median(values)), _scatter(values)
    far = max(SPIKE_NOISES * scatter, SPIKE_SHARE * abs(level), 1e-12)
    away = (level - values if down else values - level) > far
    within = np.abs(values - level) <= 0.5 * far
    if away.sum() + within.sum() < 0.95 * len(values):
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], away.astype(int), [0]])))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    if len(runs) < LEAST_SPIKES or sum(b - a for a, b in runs) > SPIKE_MOST * len(values):
        return []
    gaps = [b[0] - a[1] for a, b in itertools.pairwise(runs)]
    usual = float(np.median(gaps))
    spread = runs[-1][1] - runs[0][0]
    goes_on = len(values) - runs[-1][1] <= 2.0 * usual
    return runs if spread >= 0.4 * len(values) and goes_on and min(gaps) >= 0.25 * usual else []


def _still(readings: Readings, quantity: Quantity, bound: Bound | None, case: ServiceCase) -> Movement:
    """A series within its usual band. It may be at its bound, or run out, from the first reading on."""
    level = float(median(readings.values))
    named = case.alert is not None and readings.name.lower() in case.alert.text.lower()
    events = set()
    if bound and quantity.role == "saturation" and level >= bound.value * (FULL if named else 0.97):
        events.add("full")
    if quantity.role == "expiry" and min(readings.values) <= 1.0:
        events.add("low")
    if quantity.role == "free" and len(readings.values) > 1 and max(readings.values) <= 0:
        events.add("zero")
    return Movement(
        readings, quantity, frozenset(events), readings.times[0] if events else None, level, level,
        level, 0.0, False, bound,
    )  # fmt: skip


def _shape(values: Floats) -> _Shape | None:
    """The best shape, if it is worth its parameters."""
    width = max(1, -(-len(values) // MOST_BINS))
    binned = (
        np.array([part.mean() for part in np.array_split(values, len(values) // width)])
        if width > 1
        else values
    )
    count = len(binned)
    sums, squares = np.concatenate([[0.0], np.cumsum(binned)]), np.concatenate([[0.0], np.cumsum(binned**2)])
    floor = max(float(np.ptp(binned)) ** 2 * 1e-5, 1e-18) * count
    flat = _spread(sums, squares, 0, count)
    if flat <= floor * 1e-3:
        return None
    shapes = [(_step(sums, squares, count), 2), (_ramp(binned), 3), (_excursion(sums, squares, count), 3)]
    scored = [
        (count * np.log((s.cost + floor) / count) + (p + 1) * np.log(count), n)
        for n, (s, p) in enumerate(shapes)
        if s
    ]
    best, which = min(scored)
    if best > count * np.log((flat + floor) / count) + np.log(count) - 2.0:
        return None
    found = shapes[which][0]
    assert found is not None
    return _Shape(
        min(found.start * width, len(values) - 1),
        min(found.stop * width, len(values)),
        found.cost,
        found.ramp,
    )


def _spread(sums: Floats, squares: Floats, a: int, b: int) -> float:
    """Sum of squares around the mean of readings a to b."""
    return float(max(0.0, squares[b] - squares[a] - (sums[b] - sums[a]) ** 2 / max(b - a, 1)))


def _step(sums: Floats, squares: Floats, count: int) -> _Shape | None:
    costs = [(_spread(sums, squares, 0, k) + _spread(sums, squares, k, count), k) for k in range(1, count)]
    cost, start = min(costs)
    return _Shape(start, count, cost)


def _ramp(values: Floats) -> _Shape | None:
    """Level, then a straight line from an onset on."""
    count = len(values)
    best: _Shape | None = None
    for start in range(0, count - 3):
        slope = np.maximum(0.0, np.arange(count) - start)
        design = np.column_stack([np.ones(count), slope])
        solved, *_ = np.linalg.lstsq(design, values, rcond=None)
        cost = float(((values - design @ solved) ** 2).sum())
        if best is None or cost < best.cost:
            best = _Shape(min(start + 1, count - 1), count, cost, ramp=True)
    return best


def _excursion(sums: Floats, squares: Floats, count: int) -> _Shape | None:
    """Away for a while, then back at the level before."""
    if count < 6:
        return None
    a, b = np.meshgrid(np.arange(2, count - 3), np.arange(3, count - 1), indexing="ij")
    inside = squares[b] - squares[a] - (sums[b] - sums[a]) ** 2 / np.maximum(b - a, 1)
    total, square = sums[count] - sums[b] + sums[a], squares[count] - squares[b] + squares[a]
    costs = np.where(
        b > a, np.maximum(0.0, inside) + np.maximum(0.0, square - total**2 / (count - (b - a))), np.inf
    )
    at = np.unravel_index(int(np.argmin(costs)), costs.shape)
    return _Shape(int(a[at]), int(b[at]), float(costs[at]))


def _earliest(values: Floats, shape: _Shape) -> _Shape:
    """The same shape from the reading on at which it had plainly left the level before."""
    _, after, _ = _levels(values, shape)
    start = shape.start
    while start > 1:
        level = float(np.median(values[: start - 1]))
        if abs(values[start - 1] - level) < 0.1 * abs(after - level):
            break
        start -= 1
    return _Shape(start, shape.stop, shape.cost, shape.ramp)


def _levels(values: Floats, shape: _Shape) -> tuple[float, float, float]:
    """Level before, level at the end of the change, most extreme value within it."""
    outside = np.concatenate([values[: shape.start], values[shape.stop :]])
    before = float(np.median(outside))
    inside = values[shape.start : shape.stop]
    after = float(np.median(inside[-max(1, len(inside) // 4) :])) if shape.ramp else float(np.median(inside))
    peak = float(inside.max() if after >= before else inside.min())
    return before, after, peak


def _scatter(values: Floats) -> float:
    """Usual difference of neighbours, as a standard deviation; never nothing."""
    steps = np.abs(np.diff(values))
    usual = 1.4826 * float(np.median(steps)) / 2**0.5
    return max(usual, 1e-3 * float(np.median(np.abs(values))), 1e-6 * float(np.abs(values).max()), 1e-12)


def _matters(values: Floats, before: float, after: float, quantity: Quantity, readings: Readings) -> bool:
    """Whether a change is large enough for its kind, and above the noise."""
    change = abs(after - before)
    if change < NOISES * _scatter(values):
        return False
    if is_percent(readings) and quantity.role in ("saturation", "queue"):
        return change >= LEAST_POINTS
    if is_percent(readings) and quantity.role in ("errors", "output"):
        return change >= 1.0
    return change >= LEAST_CHANGE.get(quantity.role, 0.5) * max(abs(before), 1e-9)


def _came_back(values: Floats, before: float, after: float, shape: _Shape) -> bool:
    """Whether the last readings are near the level before again."""
    tail = values[-max(2, len(values) // 10) :]
    if len(values) - shape.start <= len(tail):
        return False
    return abs(float(np.median(tail)) - before) < 0.25 * abs(after - before)


def _extremes(
    values: Floats, shape: _Shape, before: float, after: float, quantity: Quantity,
    bound: Bound | None, recovered: bool,
) -> set[str]:  # fmt: skip
    """Whether it reached a bound, nothing, or is about to."""
    found = set()
    inside = values[shape.start : shape.stop]
    if bound and quantity.role in ("saturation", "queue") and after > before:
        near = float(np.mean(inside >= FULL * bound.value))
        at_end = float(np.median(inside[-3:])) >= FULL * bound.value
        if at_end or (recovered and near >= 0.3):
            found.add("full")
    if before > 0 and after <= 0.01 * before:
        found.add("zero")
    if quantity.role == "free" and after < before and (bound is None or bound.value != 100.0):
        if float(inside[-2:].max()) <= NEARLY_GONE * before or float(inside.min()) <= 0.1 * before:
            found.add("low")
    elif quantity.role == "free" and float(inside.min()) <= 10.0:
        found.add("low")
    if quantity.role == "expiry" and float(values.min()) <= 1.0:
        found.add("low")
    return found


def runs_out(moved: Movement) -> timedelta | None:
    """How long a falling quantity lasts at its present pace; None where it does not fall."""
    values, times = moved.readings.values, moved.readings.times
    if moved.onset is None or moved.quantity.role != "free" or "down" not in moved.events or moved.recovered:
        return None
    start = times.index(moved.onset)
    seconds = (times[-1] - times[start]).total_seconds()
    fallen = values[max(0, start - 1)] - values[-1]
    return timedelta(seconds=values[-1] / fallen * seconds) if fallen > 0 and seconds > 0 else None
