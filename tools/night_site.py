"""A composed night behind the adapter: its plant breaks as the night's faults have it, and answers to actions.

Two clocks: readings that the executor asks for are stamped with the wall clock, since that is when they were read; the
history is on the night's clock, like the night's events, and ends where the night stands now.

The night's lines were composed beforehand, of a plant that nobody touched. After an action the readings are those of the
plant that was acted on, and so are the lines of `told`; who plays `Night.events` himself hears of a plant that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

import numpy as np

from plant.faults.course import Course
from plant.faults.ground import Ground
from plant.faults.night import Night, retell
from plant.faults.place import targets
from plant.faults.sensors import Sampler
from plant.faults.wire import ROUTINE, Line
from plant.sim import Plant
from setpoint.contracts import Action
from tools.readings import Reading
from tools.telemetry import Series
from tools.windows import Block


class NightSite:
    """The site of a night. It stands at the night's start until `pass_to` lets time pass; nothing is written down."""

    def __init__(self, night: Night, clock: Callable[[], datetime]) -> None:
        self.site, self._night, self._clock = night.site, night, clock
        self._lock = RLock()
        self.plant = Plant.start(night.site, night.start)
        times_s = night.telemetry.times_s
        self._sampler = Sampler(night.site, times_s, night.start)
        self._sampler.attach(self.plant)
        self._course = Course(self.plant, night.plans, night.seed, float(times_s[-1]))
        self._taken = 0
        """Samples of the night that were taken."""
        self._acts: list[tuple[datetime, Action]] = []
        self._told_until = night.start
        self._shown: tuple[int, Mapping[tuple[str, str], Any]] = (-1, {})
        self._moments = tuple(night.start + timedelta(seconds=float(s)) for s in times_s)
        self._bent = tuple(_bent(night))
        self._told = {asset.name.lower(): asset.name for asset in night.site.assets}
        self._metrics: dict[str, list[str]] = {}
        for name, metric in sorted(night.telemetry.series):
            self._metrics.setdefault(name.lower(), []).append(metric)
        self.history = NightHistory(self)
        self._go_to(0.0)

    @property
    def now(self) -> datetime:
        """Where the night stands."""
        return self._night.start + timedelta(seconds=self._course.at_s)

    def pass_to(self, moment: datetime) -> None:
        """Let the night go on until then, its faults at work. A moment that has passed changes nothing."""
        with self._lock:
            self._go_to((moment - self._night.start).total_seconds())

    def told(self) -> list[Line]:
        """Raw lines that came since the last call, up to where the night stands."""
        with self._lock:
            since, self._told_until = self._told_until, self.now
            lines: Sequence[Line] = self._night.events
            if self._acts:
                quiet = [line for line in lines if line.story == ROUTINE]
                lines = [*quiet, *retell(self._night, self._sampler, self._samples(), self._taken)]
            return [line for line in lines if since < line.time <= self._told_until]

    def twin(self) -> Plant:
        """A copy of the plant as it is now, on the night's clock."""
        with self._lock:
            return self.plant.copy()

    def read(self, asset: str) -> Reading | None:
        """What the sensors of the asset show now; a lost one shows nothing. None where nothing is read."""
        name = self._told.get(asset.lower())
        if name is None:
            return None
        with self._lock:
            values = self._sensed(name)
        return Reading(name, self._clock(), values) if values else None

    def apply(self, action: Action, key: str) -> None:
        with self._lock:
            self.plant.apply(action.name, action.asset, action.args, key)
            self._acts.append((self.now, action))

    def applied(self, key: str) -> bool | None:
        return key in self.plant.journal

    @property
    def acts(self) -> tuple[tuple[datetime, Action], ...]:
        """What was done to the site and when, on the night's clock, the first first."""
        with self._lock:
            return tuple(self._acts)

    def settle(self, seconds: float) -> None:
        """The night goes on by so much."""
        with self._lock:
            self._go_to(self._course.at_s + seconds)

    # ---- readings ---------------------------------------------------------------------------------------------------

    def metrics(self, asset: str) -> list[str]:
        """All that the night's sensors read of the asset."""
        return self._metrics.get(asset.lower(), [])

    def readings(self, asset: str, metric: str) -> Series | None:
        """Readings up to now; None where there is no such sensor."""
        name = self._told.get(asset.lower(), asset)
        with self._lock:
            values = self._samples().get((name, metric))
            taken = self._taken
        if values is None:
            return None
        values = values[:taken]
        kept = np.flatnonzero(np.isfinite(values))
        moments = self._moments[:taken] if len(kept) == taken else tuple(self._moments[k] for k in kept)
        return Series(name, metric, moments, tuple(np.round(values[kept], 4).tolist()))

    def block(self, start: datetime, end: datetime) -> Block:
        """All readings of a span, up to now."""
        with self._lock:
            samples, taken = self._samples(), self._taken
        stamps = np.array([moment.timestamp() for moment in self._moments[:taken]])
        rows = np.flatnonzero((stamps >= start.timestamp()) & (stamps <= end.timestamp()))
        return Block(
            stamps[rows], tuple(samples), np.stack([values[rows] for values in samples.values()], axis=1)
        )

    def _samples(self) -> Mapping[tuple[str, str], Any]:
        """Readings of the whole night. Until somebody acts they are the night's own; afterwards those of the plant as
        it went on, read by the same sensors with the same errors."""
        if not self._acts:
            return self._night.telemetry.series
        if self._shown[0] != self._taken:
            self._shown = (self._taken, self._sampler.finish(self._night.seed, self._night.plans, Ground()))
        return self._shown[1]

    def _sensed(self, name: str) -> dict[str, float]:
        """Readings of one asset now. What the plant does not compute, and what a fault bends, is as last sampled."""
        shown, at = self._samples(), self._taken - 1
        values = dict(self.plant.telemetry(name).values)
        for metric in self.metrics(name):
            reading = float(shown[name, metric][at])
            if not math.isfinite(reading):
                values.pop(metric, None)
            elif metric not in values or self._is_bent(name, metric):
                values[metric] = reading
        return values

    def _is_bent(self, name: str, metric: str) -> bool:
        """Whether a fault is at work on this sensor."""
        return any(
            bent.metric in ("*", metric)
            and bent.asset == name
            and bent.from_s <= self._course.at_s < bent.to_s
            for bent in self._bent
        )

    # ---- the night's time -------------------------------------------------------------------------------------------

    def _go_to(self, at_s: float) -> None:
        """To that second, with a sample of every sensor and a move of the demand where they are due. The night's end
        stops the samples, not the plant."""
        times_s = self._sampler.times_s
        while self._taken < len(times_s) and float(times_s[self._taken]) <= at_s:
            due_s = float(times_s[self._taken])
            self._course.go_to(due_s)
            self._course.demand.move(due_s)
            self._sampler.sample(self._taken, self.plant)
            self._taken += 1
        self._course.go_to(at_s)


@dataclass(frozen=True)
class _Bent:
    """A sensor that a fault makes show something else, from one second of the night to another."""

    asset: str
    metric: str
    from_s: float
    to_s: float


def _bent(night: Night) -> Iterator[_Bent]:
    for plan in night.plans:
        end_s = math.inf if plan.end_s is None else plan.end_s
        for signal in plan.fault.signals:
            for asset in targets(night.site, plan.asset, signal):
                yield _Bent(asset, signal.metric, plan.at_s + signal.from_s, end_s)


class NightHistory:
    """`tools.telemetry.History` of a night, up to where it stands; all of a span at once for diagnosis."""

    def __init__(self, site: NightSite) -> None:
        self._site = site

    def metrics(self, asset: str) -> Sequence[str]:
        return self._site.metrics(asset)

    def series(self, asset: str, metric: str) -> Series | None:
        return self._site.readings(asset, metric)

    def block(self, start: datetime, end: datetime) -> Block:
        return self._site.block(start, end)
