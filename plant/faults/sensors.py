"""What is measured: the readings of every asset through a run, sampled from the simulated plant with the errors of
real sensors, beside quantities that the plant does not simulate."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from pydantic import Field, TypeAdapter

from plant.closed import Closed
from plant.dynamics.columns import COLUMNS
from plant.faults.catalog import Signal, scaled
from plant.faults.place import FaultPlan, targets
from plant.faults.wire import stable_hash
from plant.site import Site

if TYPE_CHECKING:
    from plant.faults.ground import Ground
    from plant.sim import Plant

PATH = Path(__file__).parent / "sensors.yaml"
Series = dict[tuple[str, str], Any]
"""Readings by (asset, metric): arrays of float64, one value a sample, NaN where nothing was read."""
DAY_S = 86400.0


class Sensor(Closed):
    """One measured quantity of a kind of asset."""

    source: str = Field("", alias="from")
    base: float = 0.0
    spread: float = 0.0
    walk: float = 0.0
    noise: float = 0.0
    step: float = 0.0
    least: float = -math.inf
    most: float = math.inf


@lru_cache(maxsize=1)
def load_sensors() -> dict[str, dict[str, Sensor]]:
    """By kind of asset and metric."""
    raw = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, dict[str, Sensor]]).validate_python(raw)


def rng_of(*parts: object) -> np.random.Generator:
    """A generator of its own for each purpose, so that one more sensor changes no other."""
    return np.random.default_rng(stable_hash("|".join(map(str, parts))))


class Sampler:
    """Reads the simulated plant at fixed times into arrays."""

    def __init__(self, site: Site, times_s: Any, start: datetime) -> None:
        self.site, self.times_s, self.start = site, times_s, start
        self._keys: list[tuple[str, str]] = []
        self._places = np.zeros(0, dtype=np.int64)
        self._table: Any = None

    def attach(self, plant: Plant) -> None:
        """Find where each sensor's quantity stands in the plant's numbers."""
        found: list[tuple[tuple[str, str], int]] = []
        for asset in self.site.assets:
            for metric, sensor in load_sensors().get(asset.kind, {}).items():
                place = self._place(plant, asset.name, sensor.source) if sensor.source else None
                if place is not None:
                    found.append(((asset.name, metric), place))
        self._keys = [key for key, _ in found]
        self._places = np.array([place for _, place in found], dtype=np.int64)
        self._table = np.full((len(self.times_s), len(found)), np.nan)

    def _place(self, plant: Plant, asset: str, source: str) -> int | None:
        """Offset of a quantity of the asset, or of the nearest asset of a kind above it; None where there is none."""
        upper, _, metric = source.rpartition(".")
        above = (n for n in self.site.upstream(asset) if self._kind(n) == upper)
        origin = next(above, "") if upper else asset
        kind, row = plant.store.rows.get(origin, ("", 0))
        if all(column.name != metric for column in COLUMNS.get(kind, ())):
            return None
        return plant.store.offset(kind, row, metric)

    def sample(self, number: int, plant: Plant) -> None:
        """Take sample `number` of everything."""
        self._table[number] = plant.store.values[self._places]

    @property
    def raw(self) -> Series:
        """True quantities by (asset, metric)."""
        return {key: self._table[:, place].copy() for place, key in enumerate(self._keys)}

    def finish(self, seed: int, plans: tuple[FaultPlan, ...], ground: Ground) -> Series:
        """All readings: sampled and background, as sensors show them, with what the faults do to sensors."""
        out: Series = {}
        raw = self.raw
        ground.felt(raw, self.times_s)
        for asset in self.site.assets:
            for metric, sensor in load_sensors().get(asset.kind, {}).items():
                key = (asset.name, metric)
                true = raw.get(key) if sensor.source else self._background(seed, *key, sensor)
                if true is not None:
                    out[key] = true
        self._add_derived(out)
        for plan in plans:
            for signal in plan.fault.signals:
                self._apply(out, plan, signal)
        for (name, metric), values in out.items():
            kind = self.site.by_name[name.lower()].kind
            sensor = load_sensors()[kind].get(metric, Sensor())
            if (noise := sensor.noise * ground.noise_pu(name, metric)) > 0:
                values = values + noise * rng_of(seed, name, metric, "noise").standard_normal(len(values))
            out[name, metric] = _shown(values, sensor)
        self._freeze(out, plans)
        self._silence_dead_nodes(out)
        return out

    def _background(self, seed: int, asset: str, metric: str, sensor: Sensor) -> Any:
        rng = rng_of(seed, asset, metric, "level")
        level = sensor.base + sensor.spread * rng.standard_normal()
        swing = sensor.walk * np.sin(2 * np.pi * (self._day_s() / DAY_S + 0.05 * rng.standard_normal()))
        return np.clip(level + swing, sensor.least, sensor.most)

    def _day_s(self) -> Any:
        """Seconds since the site's midnight, shifted so that the swing peaks at 15:00."""
        local = self.start.astimezone(self.site.zone)
        return self.times_s + local.hour * 3600 + local.minute * 60 - 9 * 3600

    def _add_derived(self, out: Series) -> None:
        """The dew point that hall sensors show (Magnus formula over water, a 17.62, b 243.12 C)."""
        for asset in self.site.assets:
            if asset.kind != "sensor" or any(self._kind(name) == "rack" for name in asset.on):
                continue
            hall = next((n for n in asset.on if (n, "humidity_pct") in out and (n, "temp_c") in out), None)
            if hall is not None:
                temp, wet = out[hall, "temp_c"], np.clip(out[hall, "humidity_pct"], 1.0, 100.0)
                gamma = np.log(wet / 100) + 17.62 * temp / (243.12 + temp)
                out[asset.name, "dew_point_c"] = 243.12 * gamma / (17.62 - gamma)

    def _kind(self, name: str) -> str:
        found = self.site.find(name)
        return found.kind if found else ""

    def _apply(self, out: Series, plan: FaultPlan, signal: Signal) -> None:
        """Bend the readings of a signal's sensors. Its change grows in a straight line and ends with the fault."""
        if signal.mode == "freeze":
            return
        for asset in targets(self.site, plan.asset, signal):
            metrics = [m for a, m in out if a == asset] if signal.metric == "*" else [signal.metric]
            for metric in metrics:
                if (asset, metric) in out:
                    out[asset, metric] = self._bent(out[asset, metric], plan, signal)

    def _bent(self, values: Any, plan: FaultPlan, signal: Signal) -> Any:
        share, value = self._share(plan, signal), scaled(signal.value, plan.severity)
        if signal.mode == "drop":
            return np.where(share > 0, np.nan, values)
        if signal.mode == "add":
            return values + share * value
        goal = values * value if signal.mode == "times" else value
        return values + share * (goal - values)

    def _share(self, plan: FaultPlan, signal: Signal) -> Any:
        begin = plan.at_s + signal.from_s
        full = plan.full_s if signal.full_s is None else plan.at_s + signal.full_s
        rising = (self.times_s >= begin) * 1.0
        if full > begin:
            rising = np.clip((self.times_s - begin) / (full - begin), 0.0, 1.0)
        return rising if plan.end_s is None else np.where(self.times_s >= plan.end_s, 0.0, rising)

    def _freeze(self, out: Series, plans: tuple[FaultPlan, ...]) -> None:
        """A frozen sensor repeats its last reading, noise and all."""
        for plan in plans:
            for signal in (s for s in plan.fault.signals if s.mode == "freeze"):
                for asset in targets(self.site, plan.asset, signal):
                    if (asset, signal.metric) in out:
                        values = out[asset, signal.metric].copy()
                        stuck = self._share(plan, signal) > 0
                        values[stuck] = values[max(0, int(np.argmax(stuck)) - 1)]
                        out[asset, signal.metric] = values

    def _silence_dead_nodes(self, out: Series) -> None:
        """A node that is down reports nothing but that it is down; its rack still meters its power."""
        for name, metric in list(out):
            up = out.get((name, "up"))
            if (
                up is None
                or metric in ("up", "power_kw")
                or self.site.by_name[name.lower()].kind != "gpu_node"
            ):
                continue
            out[name, metric] = np.where(up == 0.0, np.nan, out[name, metric])

    def time(self, number: int) -> datetime:
        return self.start + timedelta(seconds=float(self.times_s[number]))


def _shown(values: Any, sensor: Sensor) -> Any:
    """Within the bounds, at the sensor's resolution."""
    values = np.clip(values, sensor.least, sensor.most)
    if sensor.step > 0:
        digits = max(0, -math.floor(math.log10(sensor.step)))
        values = np.round(np.round(values / sensor.step) * sensor.step, digits)
    return values
