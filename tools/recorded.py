"""Readings kept: what a simulated plant's sensors said as plant time passed, and what events of a real site told.

Both are `tools.telemetry.History`. Neither is written to disk by this module: a simulated plant's readings are gone
with the process, those of events stand in the ledger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Protocol

import numpy as np

from plant.sim import Plant
from setpoint.contracts import Event
from setpoint.contracts.site import Site
from tools.telemetry import Kept, Series
from tools.windows import Block

EVERY_S = 10.0
KEPT_S = 7200.0
EVENT_DAYS = 14
MOST_READINGS = 200_000
"""Of events; the oldest go first."""
STALE_S = 30.0
"""Events are read again after so long."""


class PlantHistory:
    """A ring of the last two hours, one row of all told quantities each ten seconds of plant time.

    It keeps what telemetry says: a sensor that is stuck or off is recorded so, and one that is lost leaves a gap.
    Single precision: 7 digits.
    """

    def __init__(self, plant: Plant, refresh: Callable[[], datetime]) -> None:
        """`refresh` brings the plant up to now, which records, and gives the time it is."""
        self._refresh, self._lock = refresh, RLock()
        self._places: dict[str, dict[str, int]] = {}
        offsets: list[int] = []
        for asset in plant.site.assets:
            state = plant.state[asset.name]
            if state.kind:
                row = plant.store.rows[asset.name][1]
                found = {metric: len(offsets) + k for k, metric in enumerate(state.told)}
                offsets += [plant.store.offset(state.kind, row, metric) for metric in state.told]
                self._places[asset.name.lower()] = found
        self._offsets = np.array(offsets, dtype=np.int64)
        self._keys = tuple(
            (asset.name, metric)
            for asset in plant.site.assets
            for metric in self._places.get(asset.name.lower(), ())
        )
        rows = int(KEPT_S / EVERY_S)
        self._values = np.full((rows, len(offsets)), np.nan, dtype=np.float32)
        self._times = np.zeros(rows)
        self._count = 0
        self._last: datetime | None = None

    def due_s(self, plant: Plant) -> float:
        """Seconds of plant time until the next row; 0 or less where it is due."""
        return 0.0 if self._last is None else EVERY_S - (plant.now - self._last).total_seconds()

    def take(self, plant: Plant) -> None:
        """One row at the plant's time."""
        row = np.round(plant.store.values[self._offsets], 3)
        for name, state in plant.state.items():
            if state.notes and name.lower() in self._places:
                self._sensed(plant, name, row)
        with self._lock:
            place = self._count % len(self._times)
            self._values[place], self._times[place] = row, plant.now.timestamp()
            self._count, self._last = self._count + 1, plant.now

    def _sensed(self, plant: Plant, name: str, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """Notes may be of sensor faults: what telemetry says counts, and nothing where it says nothing new."""
        reading = plant.telemetry(name)
        lost = reading.time < plant.now
        for metric, place in self._places[name.lower()].items():
            row[place] = np.nan if lost else reading.values.get(metric, np.nan)

    def metrics(self, asset: str) -> Sequence[str]:
        """All that telemetry tells of the asset."""
        return sorted(self._places.get(asset.lower(), ()))

    def block(self, start: datetime, end: datetime) -> Block:
        """All that was read in a span, up to now."""
        self._refresh()
        with self._lock:
            first = max(0, self._count - len(self._times))
            rows = np.arange(first, self._count) % len(self._times)
            rows = rows[(self._times[rows] >= start.timestamp()) & (self._times[rows] <= end.timestamp())]
            times, values = self._times[rows].copy(), self._values[rows].astype(np.float64)
        return Block(times, self._keys, values)

    def series(self, asset: str, metric: str) -> Series | None:
        """Up to now; None for what is not told."""
        place = self._places.get(asset.lower(), {}).get(metric)
        if place is None:
            return None
        now = self._refresh().timestamp()
        with self._lock:
            first = max(0, self._count - len(self._times))
            rows = np.arange(first, self._count) % len(self._times)
            times, values = self._times[rows], self._values[rows, place]
        kept = np.isfinite(values) & (times <= now + 1e-6)
        moments = tuple(datetime.fromtimestamp(float(t), UTC) for t in times[kept])
        return Series(asset, metric, moments, tuple(round(float(v), 3) for v in values[kept]))


class EventSource(Protocol):
    """What is read of the ledger."""

    def iter_events(self, since: datetime | None = None) -> Iterator[Event]: ...


class EventHistory:
    """Numeric readings that events carried: metric, value and time. Of the last fourteen days."""

    def __init__(self, ledger: EventSource, site: Site, clock: Callable[[], datetime]) -> None:
        self._ledger, self._site, self._clock = ledger, site, clock
        self._kept = Kept({})
        self._read_at: datetime | None = None

    def metrics(self, asset: str) -> Sequence[str]:
        return self._fresh().metrics(asset)

    def series(self, asset: str, metric: str) -> Series | None:
        return self._fresh().series(asset, metric)

    def _fresh(self) -> Kept:
        now = self._clock()
        if self._read_at is None or (now - self._read_at).total_seconds() > STALE_S:
            newest = deque(self._readings(now - timedelta(days=EVENT_DAYS)), maxlen=MOST_READINGS)
            self._kept, self._read_at = Kept.of(newest), now
        return self._kept

    def _readings(self, since: datetime) -> Iterator[tuple[str, str, datetime, float]]:
        for event in self._ledger.iter_events(since):
            if event.metric and event.value is not None:
                asset = self._site.find(event.asset)
                yield (asset.name if asset else event.asset), event.metric, event.time, event.value
