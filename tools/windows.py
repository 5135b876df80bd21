"""The readings of a whole site over a span, on one grid: what diagnosis looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.observed import Key
from setpoint.contracts.site import Site
from tools.telemetry import History, Series

FloatArray = NDArray[np.float64]
STALE_STEPS = 2.5
"""A grid time takes the last reading that is at most so many usual steps old."""


@dataclass(frozen=True)
class Block:
    """Readings taken together: one row a time, NaN where a sensor gave none."""

    times: FloatArray
    """Seconds since 1970, rising."""
    keys: tuple[Key, ...]
    values: FloatArray
    """[times, keys]."""


@runtime_checkable
class BlockHistory(Protocol):
    """A history that can give all readings of a span at once."""

    def block(self, start: datetime, end: datetime) -> Block: ...


@dataclass(frozen=True)
class Gridded:
    """A history over arrays that share their times, as a composed night or a historian's export gives them."""

    start: datetime
    times_s: FloatArray
    values: Mapping[Key, FloatArray]
    until: datetime | None = None
    """Nothing after it is told; None: all is."""

    def metrics(self, asset: str) -> list[str]:
        return sorted(metric for name, metric in self.values if name.lower() == asset.lower())

    def series(self, asset: str, metric: str) -> Series | None:
        values = self.values.get((asset, metric))
        if values is None:
            return None
        rows = [row for row in np.flatnonzero(np.isfinite(values)) if row < self._rows]
        times = tuple(self.start + timedelta(seconds=float(self.times_s[row])) for row in rows)
        return Series(asset, metric, times, tuple(float(values[row]) for row in rows))

    def block(self, start: datetime, end: datetime) -> Block:
        zero = self.start.timestamp()
        stamps = self.times_s + zero
        rows = np.flatnonzero((stamps >= start.timestamp()) & (stamps <= end.timestamp()))
        rows = rows[rows < self._rows]
        keys = tuple(self.values)
        table = (
            np.stack([self.values[key][rows] for key in keys], axis=1) if keys else np.zeros((len(rows), 0))
        )
        return Block(stamps[rows], keys, table)

    def upto(self, moment: datetime) -> Gridded:
        """The same history as it was then."""
        return Gridded(self.start, self.times_s, self.values, moment)

    @property
    def _rows(self) -> int:
        if self.until is None:
            return len(self.times_s)
        return int(np.searchsorted(self.times_s, (self.until - self.start).total_seconds() + 1e-6))


def readings(
    history: History, site: Site, start: datetime, end: datetime, step_s: float
) -> tuple[FloatArray, dict[Key, FloatArray]]:
    """Grid times in seconds from `start`, and what each sensor last read at each of them; NaN where that is old."""
    times_s = np.arange(0.0, (end - start).total_seconds() + 1e-6, step_s)
    grid = times_s + start.timestamp()
    if isinstance(history, BlockHistory):
        block = history.block(start - timedelta(seconds=2 * step_s), end)
        return times_s, _gridded(grid, step_s, block)
    return times_s, dict(_each(history, site, grid, start, end, step_s))


def last_read(history: History, site: Site, upto: datetime) -> datetime:
    """Time of the last reading of anything up to a moment, looked for two hours back; the moment where there is none."""
    since = upto - timedelta(hours=2)
    if isinstance(history, BlockHistory):
        times = history.block(since, upto).times
        return datetime.fromtimestamp(float(times[-1]), UTC) if len(times) else upto
    ends = [
        series.times[-1]
        for asset in site.assets
        for metric in history.metrics(asset.name)[:1]
        if (series := history.series(asset.name, metric))
        and series.times
        and since <= series.times[-1] <= upto
    ]
    return max(ends, default=upto)


def _gridded(grid: FloatArray, step_s: float, block: Block) -> dict[Key, FloatArray]:
    if not len(block.times):
        return {}
    rows = np.maximum(np.searchsorted(block.times, grid + 1e-6) - 1, 0)
    usual_s = max(step_s, float(np.median(np.diff(block.times))) if len(block.times) > 1 else step_s)
    there = np.where(np.isfinite(block.values), np.arange(len(block.times))[:, None], -1)
    last = np.maximum.accumulate(there, axis=0)[rows]  # row of each sensor's last reading
    age_s = grid[:, None] - block.times[np.maximum(last, 0)]
    fresh = (last >= 0) & (age_s > -1e-6) & (age_s <= STALE_STEPS * usual_s)
    taken = np.where(fresh, np.take_along_axis(block.values, np.maximum(last, 0), axis=0), np.nan)
    return {key: taken[:, k] for k, key in enumerate(block.keys) if np.isfinite(taken[:, k]).any()}


def _each(
    history: History, site: Site, grid: FloatArray, start: datetime, end: datetime, step_s: float
) -> Iterable[tuple[Key, FloatArray]]:
    for asset in site.assets:
        for metric in history.metrics(asset.name):
            series = history.series(asset.name, metric)
            kept = _between(series, start, end) if series else None
            if kept is not None:
                block = Block(kept[0], ((asset.name, metric),), kept[1][:, None])
                yield from _gridded(grid, step_s, block).items()


def _between(series: Series, start: datetime, end: datetime) -> tuple[FloatArray, FloatArray] | None:
    pairs = [
        (t.astimezone(UTC).timestamp(), v) for t, v in zip(series.times, series.values, strict=True)
        if start - timedelta(minutes=2) <= t <= end
    ]  # fmt: skip
    if not pairs:
        return None
    table = np.array(pairs)
    return table[:, 0], table[:, 1]
