"""Heat and temperatures minutes ahead: the physical layers, corrected online by what is read, with intervals.

Per loop a grey box: the nominal heat of the work the schedule names, behind the loop's own time constant, with gain and
offset identified by recursive least squares. On top, for each horizon, a learned residual that all loops share (how much of
the present deviation lasts, how far announced steps really come), and a conformal interval of its own errors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from plant.control.cooling.adaptive import Band, Errors, LeastSquares, Shares
from plant.control.cooling.layers import (
    RACK_LITRES_PU,
    HeatLayer,
    Job,
    UtilisationLayer,
    coolant_layer,
    gpu_c,
    heat_layer,
    lag,
    schedule_layer,
    utilisation_layer,
)
from plant.control.cooling.layout import FloatArray, IntArray, Layout

HORIZONS = (1, 2, 5, 10, 15, 20, 30, 45, 60)
"""Steps ahead at which residuals and intervals are learned; between them they are interpolated."""
LOOP_LITRES = 400.0
"""Coolant of a loop, for its time constant."""
AIR_TAU_S = 60.0
"""Of the air a rack takes in, behind its room."""
REFERENCE_W = 700.0
FEATURES = 5
SMOOTHED_S = 180.0
"""Load that is taken to go on is a mean of so long; a jump by more than JUMP_PU is believed at once."""
JUMP_PU = 0.15
TOP_PU = 1.03
"""Allowance on what full load gives off."""
EXTRA_S = 900.0
"""Over which the intake's distance from what its room explains is smoothed."""
STEADY_STEPS, STEADY_K = 6, 0.3
"""A coil is judged only where its water and its air have moved by less than that over so many steps: a room lags its water,
and while it does their distance says nothing of the coil."""
COIL_LEAST, COIL_MOST = 0.8, 1.6
"""Of its nominal resistance; beyond, it is not the coil that is wrong."""
FORGET_K_PER_S = 0.1 / 3600.0
"""How fast the record of the hottest air-cooled die fades."""


@dataclass(frozen=True)
class Snapshot:
    """What is read at one moment. NaN: not to be trusted or not there. Columns as in the `Layout`."""

    at: datetime
    load_pu: FloatArray
    """(nodes,)."""
    liquid_kw: FloatArray
    """(loops,), into the coolant."""
    flow_lpm: FloatArray
    supply_c: FloatArray
    gpu_c: FloatArray
    """(loops,), hottest die."""
    air_kw: FloatArray
    """(halls,), what its handlers take out."""
    inlet_c: FloatArray
    """(halls,), warmest intake."""
    air_gpu_c: FloatArray
    """(halls,), hottest die that air cools."""
    water_c: FloatArray
    """(waters,)."""
    wet_bulb_c: float = float("nan")


@dataclass(frozen=True)
class Quantity:
    """One quantity ahead, (steps, columns)."""

    expected: FloatArray
    half: FloatArray
    """Half width of the interval at the level told."""
    above: FloatArray
    """(steps, columns), by what it may exceed the expected so many steps after it was last read, with the small chance
    that a controller allows."""
    most: FloatArray
    """(columns,), with every node at full load: more cannot be."""
    physics: FloatArray
    """The nominal layers alone."""

    def upper(self, step: IntArray, lead: IntArray) -> FloatArray:
        """(cells, columns), what may come at those steps if it is read again `lead` steps before."""
        return np.asarray(np.minimum(self.expected[step] + self.above[lead - 1], self.most), np.float64)


@dataclass(frozen=True)
class Ahead:
    """What is coming."""

    at: datetime
    step_s: float
    liquid_kw: Quantity
    air_kw: Quantity
    gpu_w: FloatArray
    """(steps, loops), a GPU of the busiest node."""
    gpu_bias_c: FloatArray
    """(steps, loops), by what the hottest die is above its nominal temperature."""
    gpu_above_k: FloatArray
    """(steps,), by what it may exceed that so many steps after it was last read, with the controller's chance."""
    gpu_most_w: FloatArray
    """(loops,), a GPU at full load."""
    gpu_most_bias_c: FloatArray
    gpu_half_k: FloatArray
    inlet_k_per_kw: FloatArray
    """(halls,), of raised water."""
    inlet_extra_k: FloatArray
    """(halls,), what racks take in above that: recirculation, a weak handler."""
    air_gpu_above_k: FloatArray
    """(halls,), hottest air-cooled die above the intake of its hall, at full load."""
    use: UtilisationLayer

    def gpu_c(self, layout: Layout, flow_lpm: FloatArray, supply_c: FloatArray) -> FloatArray:
        """(steps, loops), hottest die expected at those setpoints."""
        coolant = coolant_layer(layout.loops, self.liquid_kw.expected, flow_lpm, supply_c)
        return gpu_c(layout, coolant, self.gpu_w) + self.gpu_bias_c


@dataclass
class _Told:
    """A forecast that waits for what comes of it."""

    features: dict[str, FloatArray]
    physics: dict[str, FloatArray]
    expected: dict[str, FloatArray]
    half: dict[str, FloatArray]
    half_gpu: float
    gpu_w: FloatArray
    gpu_bias_c: FloatArray
    base: dict[str, dict[str, FloatArray]]
    """Rivals: persistence and the nominal layers."""


class Predictor:
    """Learns from each `observe`, foresees by `ahead`. One step of `step_s` between two observations."""

    def __init__(
        self,
        layout: Layout,
        step_s: float = 60.0,
        steps: int = 30,
        *,
        level: float = 0.9,
        chance: float = 0.001,
        keep_errors: bool = False,
    ) -> None:
        """`level` of the intervals told; `chance` of the upper bounds a controller rests on; `keep_errors`: for reports."""
        self.layout, self.step_s, self.steps, self.chance = layout, step_s, steps, chance
        self.horizons = tuple(h for h in HORIZONS if h <= steps)
        loops, halls = len(layout.loops.names), len(layout.halls.names)
        self._rated = {
            "liquid": np.maximum(layout.loops.rated_kw, 1.0),
            "air": np.maximum(layout.halls.capacity_kw, 1.0),
        }
        self._grey = {
            "liquid": LeastSquares(np.tile([0.0, 1.0], (loops, 1)), np.array([0.01, 0.01]), noise=0.002),
            "air": LeastSquares(np.tile([0.0, 1.0], (halls, 1)), np.array([0.05, 0.02]), noise=0.002),
        }
        self._rest = {
            (q, h): LeastSquares(_prior(h), np.full(FEATURES, 0.05), noise=0.003)
            for q in self._rated
            for h in self.horizons
        }
        self.bands = {(q, h): Band(level, prior=0.1) for q in self._rated for h in self.horizons}
        self._shares = {
            (q, h): Shares(level, np.ones(len(rated)))
            for q, rated in self._rated.items()
            for h in self.horizons
        }
        self.gpu_bands = {h: Band(level, prior=3.0) for h in self.horizons}
        self._gpu = LeastSquares(np.zeros((loops, 2)), np.array([4.0, 9.0]), noise=0.25)
        self._coil = LeastSquares(np.ones((halls, 1)), np.array([0.01]), noise=0.01)
        self.errors: Errors | None = Errors() if keep_errors else None
        self._full = heat_layer(layout, utilisation_layer(layout, np.ones((1, len(layout.nodes.names)))))
        self._air_gpu_k = _air_gpu_k(layout)
        self._extra_k = np.zeros(halls)
        self._load: FloatArray | None = None
        self._lagged: dict[str, FloatArray] = {}
        self._coil_past: deque[FloatArray] = deque(maxlen=STEADY_STEPS)
        """Water and intake of each hall."""
        self._recent: dict[str, deque[FloatArray]] = {q: deque(maxlen=16) for q in self._rated}
        self._read: dict[str, deque[FloatArray]] = {q: deque(maxlen=6) for q in self._rated}
        self._last: datetime | None = None
        self._seen: Snapshot | None = None
        self._waiting: dict[int, list[tuple[int, _Told]]] = {}
        self._count = 0

    # ---- learning -----------------------------------------------------------------------------------

    def observe(self, seen: Snapshot) -> None:
        """Takes in one moment. A gap or jump of the clock drops what waited and starts the lags anew."""
        gap_s = (seen.at - self._last).total_seconds() if self._last else 0.0
        if self._last and not 0.5 * self.step_s <= gap_s <= 1.5 * self.step_s:
            self._waiting.clear()
            self._lagged.clear()
            self._load = None
            for kept in (*self._recent.values(), *self._read.values(), self._coil_past):
                kept.clear()
        self._last, self._seen, self._count = seen.at, seen, self._count + 1
        self._smooth(np.nan_to_num(seen.load_pu))
        hotter = np.nan_to_num(seen.air_gpu_c - seen.inlet_c, nan=0.0)
        self._air_gpu_k = np.maximum(self._air_gpu_k - FORGET_K_PER_S * self.step_s, hotter)
        heat = heat_layer(self.layout, utilisation_layer(self.layout, np.nan_to_num(seen.load_pu)[None, :]))
        read = {"liquid": seen.liquid_kw, "air": seen.air_kw}
        self._settle(seen, read)
        for q, nominal in (("liquid", heat.liquid_kw), ("air", heat.air_kw)):
            before = self._lagged.get(q, nominal[0])
            self._lagged[q] = lag(nominal, before, self._tau_s(q), self.step_s)[0]
            self._identify(q, read[q])
        self._learn_gpu(seen, heat)
        self._learn_coil(seen)

    def _smooth(self, load_pu: FloatArray) -> None:
        before = load_pu if self._load is None else self._load
        keep = np.where(np.abs(load_pu - before) > JUMP_PU, 0.0, np.exp(-self.step_s / SMOOTHED_S))
        self._load = load_pu + (before - load_pu) * keep

    def _tau_s(self, quantity: str) -> FloatArray:
        """Rack coolant turns over with the flow; room air follows within a minute."""
        loops = self.layout.loops
        if quantity == "air" or self._seen is None:
            return np.full(len(self._rated[quantity]), AIR_TAU_S)
        flow = np.where(np.isfinite(self._seen.flow_lpm), self._seen.flow_lpm, loops.design_lpm)
        return np.asarray(60.0 * RACK_LITRES_PU * LOOP_LITRES / np.maximum(flow, 1.0), np.float64)

    def _identify(self, q: str, read: FloatArray) -> None:
        rated = self._rated[q]
        nominal = self._lagged[q] / rated
        self._grey[q].learn(np.stack([np.ones(len(rated)), nominal], axis=1), read / rated)
        self._recent[q].append((read - self._corrected(q, self._lagged[q][None, :])[0]) / rated)
        self._read[q].append(read / rated)

    def _corrected(self, q: str, nominal: FloatArray) -> FloatArray:
        weights = self._grey[q].weights
        return np.asarray(weights[:, 0] * self._rated[q] + weights[:, 1] * nominal, np.float64)

    def _learn_gpu(self, seen: Snapshot, heat: HeatLayer) -> None:
        nominal = self._nominal_gpu(seen, seen.liquid_kw, heat.gpu_w[0])
        power = heat.gpu_w[0] / REFERENCE_W
        self._gpu.learn(np.stack([np.ones(len(power)), power], axis=1), seen.gpu_c - nominal)

    def _nominal_gpu(self, seen: Snapshot, liquid_kw: FloatArray, gpu_w: FloatArray) -> FloatArray:
        return gpu_c(
            self.layout, coolant_layer(self.layout.loops, liquid_kw, seen.flow_lpm, seen.supply_c), gpu_w
        )

    def _learn_coil(self, seen: Snapshot) -> None:
        """How far the intake stands above the water for each kW, where the handlers no longer hold their setpoint; and what
        it stands above that, smoothed."""
        halls = self.layout.halls
        water_c = np.where(halls.water >= 0, seen.water_c[halls.water], np.nan)
        self._coil_past.append(np.stack([water_c, seen.inlet_c]))
        floats = (seen.inlet_c > halls.supply_c + 0.4) & (seen.air_kw > 1.0) & self._steady()
        gain = np.where(
            floats, (seen.inlet_c - water_c) * halls.kw_per_k / np.maximum(seen.air_kw, 1.0), np.nan
        )
        self._coil.learn(np.ones((len(gain), 1)), np.clip(gain, COIL_LEAST, COIL_MOST))
        room_c = np.maximum(halls.supply_c, water_c + seen.air_kw * self._inlet_k_per_kw())
        above_k = np.nan_to_num(np.maximum(seen.inlet_c - room_c, -1.0))
        self._extra_k += (above_k - self._extra_k) * (1.0 - np.exp(-self.step_s / EXTRA_S))

    def _steady(self) -> NDArray[np.bool_]:
        """(halls,), neither water nor intake moved lately; pairs of readings are compared, for the sake of noise."""
        past = np.array(self._coil_past)
        if len(past) < STEADY_STEPS:
            return np.zeros(len(self.layout.halls.names), dtype=bool)
        moved = np.abs(past[-2:].mean(axis=0) - past[:2].mean(axis=0))
        return np.asarray((moved < STEADY_K).all(axis=0), dtype=bool)

    def _settle(self, seen: Snapshot, read: Mapping[str, FloatArray]) -> None:
        """What was told of this moment, against what is read."""
        for h, told in self._waiting.pop(self._count, []):
            for q, rated in self._rated.items():
                error = (read[q] - told.expected[q]) / rated
                self.bands[q, h].score(error, told.half[q])
                self._shares[q, h].learn(error, told.half[q])
                self._rest[q, h].learn_together(told.features[q], (read[q] - told.physics[q]) / rated)
            nominal = self._nominal_gpu(seen, told.expected["liquid"], told.gpu_w)
            error = seen.gpu_c - nominal - told.gpu_bias_c
            self.gpu_bands[h].score(error, told.half_gpu)
            if self.errors is not None:
                self._compare(self.errors, h, told, {**read, "gpu": seen.gpu_c}, error)

    @staticmethod
    def _compare(
        errors: Errors, h: int, told: _Told, read: Mapping[str, FloatArray], gpu_error: FloatArray
    ) -> None:
        for q, rivals in told.base.items():
            errors.add(q, "learned", h, gpu_error if q == "gpu" else read[q] - told.expected[q])
            for rival, values in rivals.items():
                errors.add(q, rival, h, read[q] - values)

    # ---- foresight ----------------------------------------------------------------------------------

    def ahead(self, jobs: Iterable[Job]) -> Ahead:
        """From the last moment observed. Raises ValueError where nothing was observed yet."""
        seen = self._seen
        if seen is None:
            raise ValueError("nothing observed yet")
        load = self._load if self._load is not None else seen.load_pu
        plan = schedule_layer(self.layout.nodes, jobs, seen.at, load, self.steps, self.step_s)
        use = utilisation_layer(self.layout, plan.load_pu)
        heat = heat_layer(self.layout, use)
        found, told = {}, {}
        for q, nominal, full in (
            ("liquid", heat.liquid_kw, self._full.liquid_kw), ("air", heat.air_kw, self._full.air_kw)
        ):  # fmt: skip
            lagged = lag(nominal, self._lagged[q], self._tau_s(q), self.step_s)
            found[q], told[q] = self._quantity(q, lagged, full)
        half = self._between([self.gpu_bands[h].half() for h in self.horizons])
        above = self._between([self.gpu_bands[h].above(self.chance) for h in self.horizons])
        made = Ahead(
            seen.at, self.step_s, found["liquid"], found["air"], heat.gpu_w, self._gpu_bias_c(heat.gpu_w), above,
            self._full.gpu_w[0], self._gpu_bias_c(self._full.gpu_w)[0], half, self._inlet_k_per_kw(), self._extra_k.copy(),
            self._air_gpu_k, use,
        )  # fmt: skip
        self._wait(seen, made, told)
        return made

    def _gpu_bias_c(self, gpu_w: FloatArray) -> FloatArray:
        weights = self._gpu.weights
        return np.asarray(weights[:, 0] + weights[:, 1] * gpu_w / REFERENCE_W, np.float64)

    def _quantity(
        self, q: str, nominal: FloatArray, full: FloatArray
    ) -> tuple[Quantity, dict[int, FloatArray]]:
        """The forecast of one quantity, and the features it was made with by horizon."""
        rated = self._rated[q]
        physics = self._corrected(q, nominal)
        now = self._corrected(q, self._lagged[q][None, :])[0]
        common = self._features(q)
        features = {}
        for h in self.horizons:
            features[h] = common.copy()
            features[h][:, 3] = (physics[h - 1] - now) / rated
        rest = self._between(np.array([features[h] @ self._rest[q, h].weights[0] for h in self.horizons]))
        half = self._between(np.array([self._half(q, h) for h in self.horizons])) * rated
        above = self._between([self.bands[q, h].above(self.chance) for h in self.horizons])[:, None] * rated
        expected = np.maximum(physics + rest * rated, 0.0)
        most = np.maximum(TOP_PU * self._corrected(q, full)[0], expected[0])
        return Quantity(expected, half, above, most, nominal), features

    def _half(self, q: str, h: int) -> FloatArray:
        """(columns,), half widths of the interval, of the rated heat."""
        return np.asarray(self.bands[q, h].half() * self._shares[q, h].values, np.float64)

    def _features(self, q: str) -> FloatArray:
        """(columns, FEATURES): constant, deviation now, its mean of a quarter of an hour, the step to come (filled in by
        horizon), the trend."""
        blank = np.zeros(len(self._rated[q]))
        recent, read = self._recent[q], self._read[q]
        now = np.nan_to_num(recent[-1]) if recent else blank
        mean = np.nan_to_num(np.mean(recent, axis=0)) if recent else now
        trend = np.nan_to_num(read[-1] - read[0]) if read else blank
        return np.stack([blank + 0.1, now, mean, blank, trend], axis=1)

    def _between(self, values: FloatArray | list[float]) -> FloatArray:
        """Values at the horizons, interpolated to every step; (steps,) or (steps, columns)."""
        at = np.asarray(values, dtype=float)
        steps = np.arange(1, self.steps + 1)
        if at.ndim == 1:
            return np.asarray(np.interp(steps, self.horizons, at), np.float64)
        columns = [np.interp(steps, self.horizons, at[:, k]) for k in range(at.shape[1])]
        return np.stack(columns, axis=1) if columns else np.zeros((self.steps, 0))

    def _inlet_k_per_kw(self) -> FloatArray:
        return np.asarray(self._coil.weights[:, 0] / np.maximum(self.layout.halls.kw_per_k, 1e-6), np.float64)

    def _wait(self, seen: Snapshot, made: Ahead, features: Mapping[str, dict[int, FloatArray]]) -> None:
        quantities = {"liquid": made.liquid_kw, "air": made.air_kw}
        held = {"liquid": seen.liquid_kw, "air": seen.air_kw}
        for h in self.horizons:
            k = h - 1
            base: dict[str, dict[str, FloatArray]] = {}
            if self.errors is not None:
                base = {q: {"persistence": held[q], "physics": quantities[q].physics[k]} for q in quantities}
                nominal = self._nominal_gpu(seen, made.liquid_kw.physics[k], made.gpu_w[k])
                base["gpu"] = {"persistence": seen.gpu_c, "physics": nominal}
            told = _Told(
                {q: features[q][h] for q in features},
                {q: self._corrected(q, quantities[q].physics[k]) for q in quantities},
                {q: quantities[q].expected[k] for q in quantities},
                {q: self._half(q, h) for q in quantities}, self.gpu_bands[h].half(),
                made.gpu_w[k], made.gpu_bias_c[k], base,
            )  # fmt: skip
            self._waiting.setdefault(self._count + h, []).append((h, told))

    # ---- what travels -------------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """What it has learned, as JSON values."""
        return {
            "grey": {q: m.state() for q, m in self._grey.items()},
            "rest": {f"{q}.{h}": m.state() for (q, h), m in self._rest.items()},
            "shares": {f"{q}.{h}": s.state() for (q, h), s in self._shares.items()},
            "bands": {f"{q}.{h}": b.state() for (q, h), b in self.bands.items()},
            "gpu_bands": {str(h): b.state() for h, b in self.gpu_bands.items()},
            "gpu": self._gpu.state(), "coil": self._coil.state(), "air_gpu_k": self._air_gpu_k.tolist(),
        }  # fmt: skip

    def restore(self, saved: Mapping[str, object]) -> None:
        """Goes on with what was learned; ignores what does not fit this site."""
        for (part, name), learner in self._learners().items():
            kept = saved.get(part)
            kept = kept.get(name) if name and isinstance(kept, Mapping) else kept
            if isinstance(kept, Mapping):
                learner.restore(kept)
        hotter = saved.get("air_gpu_k")
        if isinstance(hotter, list) and len(hotter) == len(self._air_gpu_k):
            self._air_gpu_k = np.asarray(hotter, float)

    def _learners(self) -> dict[tuple[str, str], LeastSquares | Band | Shares]:
        """All that learns, by its place in `state`."""
        found: dict[tuple[str, str], LeastSquares | Band | Shares] = {
            ("grey", q): m for q, m in self._grey.items()
        }
        found |= {("rest", f"{q}.{h}"): m for (q, h), m in self._rest.items()}
        found |= {("shares", f"{q}.{h}"): s for (q, h), s in self._shares.items()}
        found |= {("bands", f"{q}.{h}"): b for (q, h), b in self.bands.items()}
        found |= {("gpu_bands", str(h)): b for h, b in self.gpu_bands.items()}
        return found | {("gpu", ""): self._gpu, ("coil", ""): self._coil}


def _air_gpu_k(layout: Layout) -> FloatArray:
    """Nominal distance of an air-cooled die from its intake, at full load."""
    n = layout.nodes
    hotter = (n.k_per_w + n.film_k_per_w) * (n.gpu_idle_w + n.gpu_span_w)
    return np.array(
        [hotter[(n.hall == i) & (n.loop < 0)].max(initial=0.0) for i in range(len(layout.halls.names))]
    )


def _prior(horizon: int) -> FloatArray:
    """Deviations fade with an hour's constant until data say otherwise."""
    return np.array([0.0, np.exp(-horizon / 60.0), 0.0, 0.0, 0.0])
