"""What was read of a site through its days: slow quantities for three weeks, everything for the last two hours.

A day's whole readings of a thousand GPUs at ten seconds are 100 MB; loops look days back at the site, its loops, pools
and power gear, and minutes back at nodes. Single precision: 7 digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.observed import Key
from plant.dynamics.columns import told
from plant.sim import Plant
from tools.telemetry import Series
from tools.windows import Block

FloatArray = NDArray[np.float64]
SITE = "site"
"""The whole site's totals stand under this name."""
HOTTEST = "gpu_temp_max_c"
"""Of the whole site: its hottest GPU."""
STEP_S, FINE_ROWS = 10.0, 720
HOUR_S = 3600.0
SLOW_S, SLOW_ROWS = 60.0, 21 * 1440
HOURLY_ROWS = 21 * 24
_ALL = frozenset(
    {SITE, "feed", "ess", "service", "pool", "cdu", "pump", "chiller", "crah", "hall", "ups", "ats"}
)
_SOME: Mapping[str, tuple[str, ...]] = {
    "rack": ("power_kw", "inlet_temp_c", "outlet_temp_c"), "pdu": ("load_kw", "load_pct"),
}  # fmt: skip
"""Kinds of which all is kept for weeks, and of which some is."""


class DaysHistory:
    """`tools.telemetry.History` and `tools.windows.BlockHistory` of a site in its days, up to where it stands."""

    def __init__(self, plant: Plant, sensors: Sequence[Key] = ()) -> None:
        """`sensors`: what is read each hour beside the plant's own quantities (`take_hour`)."""
        self.keys: list[Key] = []
        places: list[int] = []
        slow: list[int] = []
        for name, kind, row in _rows(plant):
            for metric in told(kind):
                if kind in _ALL or metric in _SOME.get(kind, ()):
                    slow.append(len(self.keys))
                self.keys.append((name, metric))
                places.append(plant.store.offset(kind, row, metric))
        slow.append(len(self.keys))
        self.probes = np.array(places, np.int64)
        """Where the quantities stand in the plant; the hottest GPU is found from them and comes last."""
        self.keys.append((SITE, HOTTEST))
        self.places = {(asset.lower(), metric): k for k, (asset, metric) in enumerate(self.keys)}
        self._nodes = self.columns("gpu_temp_c")
        self._slow_keys = np.array(slow, np.int64)
        self._slow_place = {k: place for place, k in enumerate(slow)}
        self._fine = _Ring(FINE_ROWS, len(self.keys))
        self._slow = _Ring(SLOW_ROWS, len(slow))
        self._sensors = tuple(sensors)
        self._sensor_places = {(asset.lower(), metric): k for k, (asset, metric) in enumerate(sensors)}
        self._hourly = _Ring(HOURLY_ROWS, len(sensors))
        self._by_asset: dict[str, list[str]] = {}
        for asset, metric in (*self.keys, *sensors):
            self._by_asset.setdefault(asset.lower(), []).append(metric)

    def columns(self, metric: str) -> NDArray[np.int64]:
        """Where this metric of every asset stands in a row."""
        return np.array([k for k, (_, name) in enumerate(self.keys) if name == metric], np.int64)

    def whole(self, sampled: FloatArray) -> FloatArray:
        """Rows of probed quantities [rows, probes], with what is found from them."""
        hottest = sampled[:, self._nodes].max(axis=1) if len(self._nodes) else np.full(len(sampled), np.nan)
        return np.column_stack([sampled, hottest])

    def take(self, rows: FloatArray, last: datetime, *, minute: bool) -> None:
        """Keep rows, ten seconds apart, the last at that moment. `minute`: that one is kept for weeks too."""
        self._fine.add(rows, last.timestamp(), STEP_S)
        if minute:
            self._slow.add(rows[-1:, self._slow_keys], last.timestamp(), SLOW_S)

    def take_hour(self, values: FloatArray, at: datetime) -> None:
        """Keep one reading of each of `sensors`; NaN where nothing was read."""
        self._hourly.add(values[None, :], at.timestamp(), HOUR_S)

    def sensed(self, asset: str) -> dict[str, float]:
        """The last readings of the hourly sensors on an asset."""
        return {
            metric: round(value, 3)
            for (name, metric), place in self._sensor_places.items()
            if name == asset.lower() and np.isfinite(value := self._hourly.last(place))
        }

    # ---- History ------------------------------------------------------------------------------------------------

    def metrics(self, asset: str) -> Sequence[str]:
        return self._by_asset.get(asset.lower(), [])

    def series(self, asset: str, metric: str) -> Series | None:
        """Each minute for weeks where it is slow, each hour where a sensor is, else each ten seconds for two hours; None
        for what is not read."""
        key = asset.lower(), metric
        if key in self._sensor_places:
            sensor = self._sensor_places[key]
            return _series(*self._sensors[sensor], *self._hourly.column(sensor))
        place = self.places.get(key)
        if place is None:
            return None
        slow = self._slow_place.get(place)
        times, values = self._fine.column(place) if slow is None else self._slow.column(slow)
        return _series(self.keys[place][0], metric, times, values)

    def block(self, start: datetime, end: datetime) -> Block:
        """All readings of a span: each ten seconds within the last two hours, before that the slow ones each minute."""
        times, values = self._fine.between(start.timestamp(), end.timestamp())
        first = self._fine.first_s
        if start.timestamp() < first:
            early, slow = self._slow.between(start.timestamp(), min(end.timestamp(), first - 1.0))
            padded = np.full((len(early), len(self.keys)), np.nan)
            padded[:, self._slow_keys] = slow
            times, values = np.concatenate([early, times]), np.concatenate([padded, values])
        return Block(times, tuple(self.keys), values)


def _rows(plant: Plant) -> list[tuple[str, str, int]]:
    """Name, kind of table and row of everything that is read."""
    found = [
        (asset.name, *plant.store.rows[asset.name])
        for asset in plant.site.assets
        if asset.name in plant.store.rows
    ]
    return [*found, (SITE, "site", 0)]


def _series(asset: str, metric: str, times: FloatArray, values: FloatArray) -> Series:
    kept = np.flatnonzero(np.isfinite(values))
    moments = tuple(map(_moment, times[kept].tolist()))
    return Series(asset, metric, moments, tuple(np.round(values[kept], 3).tolist()))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(stamp_s: float) -> datetime:
    return _EPOCH + timedelta(seconds=stamp_s)


class _Ring:
    """The last rows of a table of readings."""

    def __init__(self, rows: int, columns: int) -> None:
        self._values = np.empty((rows, columns), np.float32)
        self._times = np.empty(rows)
        self._count = 0

    def add(self, rows: FloatArray, last_s: float, step_s: float) -> None:
        places = np.arange(self._count, self._count + len(rows)) % len(self._times)
        self._values[places] = rows
        self._times[places] = last_s - step_s * np.arange(len(rows) - 1, -1, -1)
        self._count += len(rows)

    @property
    def first_s(self) -> float:
        """Time of the oldest row; infinite without one."""
        return float(self._times[self._order()[0]]) if self._count else np.inf

    def last(self, place: int) -> float:
        """NaN before the first row."""
        return float(self._values[(self._count - 1) % len(self._times), place]) if self._count else np.nan

    def column(self, place: int) -> tuple[FloatArray, FloatArray]:
        order = self._order()
        return self._times[order], self._values[order, place].astype(np.float64)

    def between(self, start_s: float, end_s: float) -> tuple[FloatArray, FloatArray]:
        order = self._order()
        order = order[(self._times[order] >= start_s - 1e-6) & (self._times[order] <= end_s + 1e-6)]
        return self._times[order], self._values[order].astype(np.float64)

    def _order(self) -> NDArray[np.int64]:
        return np.arange(max(0, self._count - len(self._times)), self._count) % len(self._times)
