"""What no plant model here knows of a real site: weather that turns, heat nobody meters, valves that hunt, jobs whose
load swings; gauges that are off and slow; and readings that stand still, lie or do not arrive."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from plant.faults.effects import Hand
from plant.faults.place import FaultPlan, reach
from plant.faults.sensors import Sensor, Series, load_sensors
from plant.faults.wire import stable_hash
from plant.sim import Plant
from plant.site import Site

TroubleKind = Literal["silent", "stale", "lying"]


class Drift:
    """Moves a plant beside faults and demand."""

    WEATHER_K = (1.0, 4.0)
    UNMETERED_PU = (0.02, 0.08)
    """Heat of a hall, and load of a feed, that no meter of the site sees, over what they see."""
    HUNT_K, HUNT_S = (0.1, 0.5), (480.0, 1200.0)
    """Half the swing of a loop's supply temperature about its setpoint by a sticking valve, and its period."""
    DIP_PU, DIP_S, WORK_S = (0.3, 0.6), (60.0, 240.0), (1200.0, 2400.0)
    """A job's load while it writes a checkpoint or evaluates, for how long, and how long it works between."""

    def __init__(self, plant: Plant, seed: str) -> None:
        """`plant` stands at the night's start."""
        rng = self._rng = random.Random(seed)
        tables = plant.store.tables
        self._weather = tuple(float(tables.site[name][0]) for name in ("dry_mean_c", "wet_mean_c"))
        self._front = (
            rng.uniform(*self.WEATHER_K) * rng.choice((-1, 1)),
            rng.uniform(2, 6) * 3600,
            rng.uniform(0, math.pi),
        )
        self._unmetered = [
            (rows, number, float(usual) * rng.uniform(*self.UNMETERED_PU), rng.uniform(1, 4) * 3600)
            for rows, column in ((tables.hall, "heat_kw"), (tables.feed, "load_kw"))
            for number, usual in enumerate(rows[column])
        ]
        self._hunt = {
            name: (rng.uniform(-0.4, 0.4), rng.uniform(*self.HUNT_K), rng.uniform(*self.HUNT_S))
            for name in plant.each("cdu")
        }
        self._jobs = self._partition(plant)

    def _partition(self, plant: Plant) -> list[_Job]:
        """Nodes outside every pool, in up to three jobs."""
        free = [name for name in plant.each("gpu_node") if plant.number(name, "pooled") == 0.0]
        cuts = sorted({0, len(free), *(self._rng.randint(0, len(free)) for _ in range(2))})
        usual = {name: plant.number(name, "job_load_pu") for name in free}
        return [
            _Job({name: usual[name] for name in free[low:high]}, self._rng.uniform(*self.WORK_S))
            for low, high in itertools.pairwise(cuts)
        ]

    def move(self, hand: Hand, at_s: float) -> None:
        """Set all of it for this time."""
        swing_k, period_s, phase = self._front
        warmer_k = swing_k * (math.sin(2 * math.pi * at_s / period_s + phase) - math.sin(phase))
        for name, usual_c in zip(("dry_mean_c", "wet_mean_c"), self._weather, strict=True):
            hand.plant.inject_knob("site", name, usual_c + warmer_k)
        for rows, number, kw, period_s in self._unmetered:
            rows["other_kw"][number] = kw * (1 + 0.4 * math.sin(2 * math.pi * at_s / period_s + number))
        for name, (offset_k, swing_k, period_s) in self._hunt.items():
            saw = 4 * abs((at_s / period_s) % 1.0 - 0.5) - 1
            hand.set_usual(name, "supply_offset_k", offset_k + swing_k * saw)
        for job in self._jobs:
            self._turn(hand, job, at_s)

    def _turn(self, hand: Hand, job: _Job, at_s: float) -> None:
        """Work, dip, work: nodes of one job move together."""
        if at_s < job.next_s:
            return
        job.dips = not job.dips
        job.next_s = at_s + self._rng.uniform(*(self.DIP_S if job.dips else self.WORK_S))
        share = self._rng.uniform(*self.DIP_PU) if job.dips else 1.0
        for name, usual in job.load_pu.items():
            hand.set_usual(name, "job_load_pu", usual * share)


class _Job:
    """Nodes that work and pause together."""

    def __init__(self, load_pu: dict[str, float], first_s: float) -> None:
        self.load_pu, self.next_s, self.dips = load_pu, first_s, False


class Gauges:
    """Sensors as installed: off by a constant, slow, and more or less noisy than the data sheet says."""

    NOISE_PU = (0.5, 2.0)
    LAG_S = (10.0, 60.0)
    OFF_K, OFF_PU = 0.3, 0.015
    """Standard deviations of a thermometer's error and of any other gauge's."""
    SLOW = ("inlet_temp_c", "supply_temp_c", "return_temp_c", "temp_c")

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def noise_pu(self, asset: str, metric: str) -> float:
        low, high = self.NOISE_PU
        return low * math.exp(self._rng(asset, metric, "noise").random() * math.log(high / low))

    def bend(self, series: Series, times_s: Any, site: Site) -> None:
        """True quantities to what the gauges hold, in place."""
        for (asset, metric), values in series.items():
            if not _measured(site, asset, metric):
                continue
            rng = self._rng(asset, metric, "error")
            if metric.endswith("_c"):
                values = values + self.OFF_K * rng.gauss(0, 1)
            else:
                values = values * (1 + self.OFF_PU * rng.gauss(0, 1))
            if metric in self.SLOW:
                values = lagging(values, times_s, rng.uniform(*self.LAG_S))
            series[asset, metric] = values

    def _rng(self, asset: str, metric: str, purpose: str) -> random.Random:
        return random.Random(stable_hash(f"{self._seed}|{asset}|{metric}|{purpose}"))


def lagging(values: Any, times_s: Any, lag_s: float) -> Any:
    """What a first-order sensor shows of values of shape (samples,).

    >>> [round(float(v), 2) for v in lagging(np.array([0.0, 1.0, 1.0]), np.array([0.0, 30.0, 60.0]), 30.0)]
    [0.0, 0.63, 0.86]
    """
    out = np.array(values, dtype=np.float64)
    follow = 1 - np.exp(-np.diff(times_s) / lag_s)
    for number in range(1, len(out)):
        out[number] = out[number - 1] + follow[number - 1] * (values[number] - out[number - 1])
    return out


@dataclass(frozen=True)
class Trouble:
    """One sensor that is not to be trusted for a while. Seconds count from the night's start."""

    kind: TroubleKind
    asset: str
    metric: str
    from_s: float
    to_s: float

    def __str__(self) -> str:
        return f"{self.asset} {self.metric} {self.kind}"


class Bus:
    """The way from the sensors to the historian: some readings stand still, lie or never arrive. Half of these are on
    assets that a fault reaches, where they hurt."""

    COUNTS: tuple[tuple[TroubleKind, int, int], ...] = (("silent", 2, 4), ("stale", 1, 2), ("lying", 1, 2))
    SPAN_S = (900.0, 3600.0)
    LIE_PU, LIE_K = (0.03, 0.08), (1.0, 3.0)

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.troubles: list[Trouble] = []
        """Once carried."""

    def carry(self, series: Series, times_s: Any, site: Site, plans: Sequence[FaultPlan]) -> None:
        """Readings to what arrives of them, in place."""
        rng = random.Random(self._seed)
        keys = sorted(key for key in series if _measured(site, *key))
        touched = {name for plan in plans for name in reach(plan, site)}
        near = [key for key in keys if key[0] in touched] or keys
        self.troubles = []
        for trouble, least, most in self.COUNTS:
            for _ in range(rng.randint(least, most)):
                key = rng.choice(near if rng.random() < 0.5 else keys)
                begin_s = rng.uniform(0, float(times_s[-1]))
                end_s = begin_s + rng.uniform(*self.SPAN_S)
                span = (times_s >= begin_s) & (times_s < end_s)
                series[key] = self._troubled(trouble, series[key], span, key[1], rng)
                whole = trouble == "lying"
                self.troubles.append(
                    Trouble(trouble, *key, 0.0 if whole else begin_s, math.inf if whole else end_s)
                )

    def _troubled(self, trouble: str, values: Any, span: Any, metric: str, rng: random.Random) -> Any:
        if trouble == "silent":
            return np.where(span, np.nan, values)
        if trouble == "stale":
            return np.where(span, values[int(np.argmax(span))], values)
        side = rng.choice((-1, 1))
        if metric.endswith("_c"):
            return values + side * rng.uniform(*self.LIE_K)
        return values * (1 + side * rng.uniform(*self.LIE_PU))


class Witnesses:
    """Sensors near a fault that fail just when they are needed: by each fault one falls silent, one stands still at
    what it read, and one goes off further and further, from shortly before the onset to the end of the night. Two of
    them are on the struck asset, where it has so many."""

    BEFORE_S = (30.0, 600.0)
    OFF_PU, OFF_K, GROWS_S = (0.08, 0.20), (2.0, 5.0), 1200.0
    """How far a lying sensor goes off (of the largest it reads, or kelvin), and how long it takes to."""
    KINDS: tuple[TroubleKind, ...] = ("silent", "stale", "lying")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.troubles: list[Trouble] = []
        """Once carried."""

    def carry(self, series: Series, times_s: Any, site: Site, plans: Sequence[FaultPlan]) -> None:
        """Readings to what arrives of them, in place."""
        self.troubles = []
        for plan in plans:
            rng = random.Random(f"{self._seed}-{plan.story}")
            spoiled = {(trouble.asset, trouble.metric) for trouble in self.troubles}
            keys = [key for key in _nearest(series, plan, site, rng) if key not in spoiled]
            for kind, key in zip(rng.sample(self.KINDS, len(self.KINDS)), keys, strict=False):
                from_s = max(0.0, plan.at_s - rng.uniform(*self.BEFORE_S))
                series[key] = self._spoiled(kind, series[key], times_s, from_s, key[1], rng)
                self.troubles.append(Trouble(kind, *key, from_s, math.inf))

    def _spoiled(
        self, kind: TroubleKind, values: Any, times_s: Any, from_s: float, metric: str, rng: random.Random
    ) -> Any:
        after = times_s >= from_s
        if kind == "silent":
            return np.where(after, np.nan, values)
        if kind == "stale":
            before = values[~after & np.isfinite(values)]
            return np.where(after, before[-1] if len(before) else np.nan, values)
        grown = np.clip((times_s - from_s) / self.GROWS_S, 0.0, 1.0) * rng.choice((-1, 1))
        if metric.endswith("_c"):
            return values + grown * rng.uniform(*self.OFF_K)
        largest = np.max(np.abs(values[np.isfinite(values)]), initial=0.0)
        return values + grown * rng.uniform(*self.OFF_PU) * largest


def _nearest(series: Series, plan: FaultPlan, site: Site, rng: random.Random) -> list[tuple[str, str]]:
    """Sensors where the fault shows, in an order drawn: two of the struck asset first."""
    near = reach(plan, site)
    keys = sorted(key for key in series if key[0] in near and _measured(site, *key))
    rng.shuffle(keys)
    own = [key for key in keys if key[0] == plan.asset][:2]
    return own + [key for key in keys if key not in own]


_ALARMED_WHEN_ABSENT = ("sensor", "leak_sensor")
"""Kinds whose silence monitoring reports at once; that would be a fault of its own."""


def _measured(site: Site, asset: str, metric: str) -> bool:
    """A quantity that an instrument measures on a scale, not a state that a controller reports."""
    found = site.find(asset)
    if found is None or found.kind in _ALARMED_WHEN_ABSENT:
        return False
    sensor = load_sensors().get(found.kind, {}).get(metric, Sensor())
    return bool(sensor.source) and sensor.noise > 0
