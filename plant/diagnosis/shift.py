"""How far readings stand from where they would stand without a fault, in units of their noise; and which of them
stopped or stood still since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.observed import FloatArray, Key, Observed
from plant.diagnosis.sensing import SILENT_S, STUCK_ROWS

if TYPE_CHECKING:
    from plant.diagnosis.estimate import Estimate

LAST_S, LEAST_ROWS, OF_ITS_AGE = 300.0, 3, 0.7
"""The part of the window whose median counts: so much time, less where the trouble is younger, but never fewer rows."""
BEFORE_S, PARTS = 600.0, 12
"""A change that passed is looked for from so long before the first event on, in at most so many overlapping parts."""
MOVED = 0.6
"""Share of the samples at which a reading changed before it stood still, for that to mean anything."""


def shift(observed: Observed, estimate: Estimate, key: Key, last_s: float | None = None) -> float:
    """Median of the last readings less the healthy course, in noise; positive: higher than it should be.

    NaN where the signal is not read at the end, or had no usual level before the trouble.
    """
    return shifts(observed, estimate, (key,), last_s).get(key, np.nan)


def shifts(
    observed: Observed, estimate: Estimate, keys: Sequence[Key] | None = None, last_s: float | None = None
) -> Mapping[Key, float]:
    """`shift` of these signals, of all observed ones where none are named; those without an answer are left out."""
    wanted, gaps = _gaps(observed, estimate, keys)
    rows = _rows(observed, _young_s(observed) if last_s is None else last_s)
    return _known(wanted, _median(gaps[:, -rows:]))


def peaks(observed: Observed, estimate: Estimate) -> Mapping[Key, float]:
    """Like `shifts`, of the part of the trouble in which each signal stood furthest off: a fault that has passed still
    shows."""
    wanted, gaps = _gaps(observed, estimate, None)
    rows = _rows(observed, _young_s(observed))
    begin_s = max(estimate.at_s, _first_s(observed) - BEFORE_S)
    first = gaps.shape[1] - sum(1 for t in observed.times_s if t > begin_s)
    stride = max(1, rows // 2, (gaps.shape[1] - first - rows) // PARTS)
    ends = range(gaps.shape[1], max(first, 0) + rows - 1, -stride)
    parts = np.array([_median(gaps[:, end - rows : end]) for end in ends])
    if not len(parts) or not wanted:
        return {}
    furthest = np.argmax(np.nan_to_num(np.abs(parts), nan=-1.0), axis=0)
    return _known(wanted, parts[furthest, np.arange(len(wanted))])


def silent(observed: Observed, estimate: Estimate) -> frozenset[Key]:
    """Signals that were read before the trouble and then were not for SILENT_S or longer, even if they came back."""
    keys, before, after = _parts(observed, estimate)
    if not keys:
        return frozenset()
    run = _longest(np.isnan(after))
    gone = (run * observed.step_s >= SILENT_S) & np.isfinite(before).any(axis=1)
    return frozenset(key for key, hit in zip(keys, gone, strict=True) if hit)


def stuck(observed: Observed, estimate: Estimate) -> frozenset[Key]:
    """Signals that moved at most samples before the trouble and then repeated one value STUCK_ROWS times or longer."""
    keys, before, after = _parts(observed, estimate)
    if not keys:
        return frozenset()
    steps = np.diff(before, axis=1)
    read = np.isfinite(steps)
    moved = ((steps != 0.0) & read).sum(axis=1) > MOVED * np.maximum(read.sum(axis=1), STUCK_ROWS)
    still = _longest(np.diff(after, axis=1) == 0.0) >= STUCK_ROWS
    return frozenset(key for key, hit in zip(keys, moved & still, strict=True) if hit)


def _parts(observed: Observed, estimate: Estimate) -> tuple[list[Key], FloatArray, FloatArray]:
    """Readings before and after the estimate's moment, a row a signal."""
    keys = list(observed.series)
    table = np.array([observed.series[key] for key in keys])
    middle = observed.index(estimate.at_s) + 1
    return (keys, table[:, :middle], table[:, middle:]) if keys else (keys, table, table)


def _longest(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Longest run of true values in each row."""
    run = best = np.zeros(len(hit), dtype=np.int64)
    for column in hit.T:
        run = (run + 1) * column
        best = np.maximum(best, run)
    return best


def _gaps(observed: Observed, estimate: Estimate, keys: Sequence[Key] | None) -> tuple[list[Key], FloatArray]:
    """Readings less the healthy course in noise, [signals, times after the estimate]."""
    wanted = [
        key for key in (observed.series if keys is None else keys)
        if key in observed.series and key in estimate.healthy and estimate.noise.get(key, 0.0) > 0.0
    ]  # fmt: skip
    first = min(observed.index(estimate.at_s) + 1, len(observed.times_s) - 1)
    if not wanted:
        return wanted, np.zeros((0, len(observed.times_s) - first))
    gaps = np.array([observed.series[key][first:] - estimate.healthy[key][first:] for key in wanted])
    return wanted, gaps / np.array([[estimate.noise[key]] for key in wanted])


def _first_s(observed: Observed) -> float:
    """Of the events of note; the window's start where there is none."""
    return min((s.at_s for s in observed.signs if s.firing and s.priority < "P3"), default=0.0)


def _young_s(observed: Observed) -> float:
    """So much of the window's end as surely lies within the trouble."""
    return min(LAST_S, OF_ITS_AGE * (float(observed.times_s[-1]) - _first_s(observed)))


def _rows(observed: Observed, span_s: float) -> int:
    return max(LEAST_ROWS, round(span_s / max(observed.step_s, 1.0)))


def _median(table: FloatArray) -> FloatArray:
    """By row, over what was read; NaN where nothing was. (Faster than numpy's nanmedian, which goes row by row.)"""
    ordered = np.sort(table, axis=1)  # NaN last
    count = np.isfinite(table).sum(axis=1)
    each = np.arange(len(table))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    if not table.size:
        return np.full(len(table), np.nan)
    middle = 0.5 * (ordered[each, low] + ordered[each, np.minimum(high, table.shape[1] - 1)])
    return np.where(count > 0, middle, np.nan)


def _known(keys: Sequence[Key], values: FloatArray) -> dict[Key, float]:
    return {key: float(z) for key, z in zip(keys, values, strict=True) if np.isfinite(z)}
