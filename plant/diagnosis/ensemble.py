"""Many plants that could all be the site: the estimate with its constants varied within what is not known of them.

What readings pin down stays where they put it: each node's GPUs stand at the temperature that was read, by a thermal
resistance that fits it, so that throttling and shutdown come where they would on the site. What readings of a quiet
hour cannot tell is drawn anew for each member: heat capacities, how the cold plate's resistance is split, exchanger and
pump reserves, batteries, the severity of the fault that goes on, and how the load moves meanwhile.

Every choice is run on the same members with the same draws, so that their differences are due to the choice alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.observed import FloatArray
from plant.dynamics.knobs import FAULT_KNOBS
from plant.dynamics.store import build
from plant.power.gpu import COEFFICIENTS

MEMBERS = 16
Value = float | int | str | bool


@dataclass(frozen=True)
class Spread:
    """How little is known of one constant: standard deviation of its logarithm."""

    kind: str
    column: str
    shared: float
    """Common to all assets of the kind: the model is wrong about the type."""
    each: float = 0.0
    """Of each asset apart: one is not like the other."""


SPREADS = (
    Spread("gpu_node", "c_die", 0.12, 0.05),
    Spread("gpu_node", "c_plate", 0.15, 0.05),
    Spread("gpu_node", "base_idle_kw", 0.1, 0.05),
    Spread("gpu_node", "base_max_kw", 0.03),
    Spread("rack", "kj_per_k", 0.15, 0.05),
    Spread("cdu", "kj_per_k", 0.15, 0.05),
    Spread("cdu", "ntu_design", 0.12, 0.05),
    Spread("cdu", "flow_max_lpm", 0.08, 0.04),
    Spread("cdu", "volume_l", 0.08),
    Spread("cdu", "leak_lpm", 0.3),
    Spread("water", "kj_per_k", 0.2),
    Spread("chiller", "capacity_kw", 0.06),
    Spread("chiller", "cop_design", 0.05),
    Spread("crah", "capacity_kw", 0.08, 0.04),
    Spread("hall", "kj_per_k", 0.2),
    Spread("hall", "ua_kw_per_k", 0.2),
    Spread("ups", "battery_kwh", 0.1),
    Spread("ess", "capacity_kwh", 0.04),
    Spread("pool", "node_rps", 0.04),
    Spread("pool", "ttft_base_ms", 0.03),
)
"""Constants that a site file gives to about a tenth, and that quiet readings hardly show. Levels that are read (base
power) vary by the meters' few per cent."""
FILM, RESISTANCE, SEVERITY, RAMP = 0.25, 0.02, 0.2, 0.2
"""Sigmas of the film's part of a plate's resistance, of its whole once it was fitted, of a fault's severity and of how
long it grows."""
VOLTAGE = 0.06
"""Sigma of where the GPUs' voltage starts to rise with the clock, and of the voltage below: it tells what a clock or a
power cap does, and nothing of the power at full clock."""
ARRIVALS, JOBS, AIR_K = 0.08, 0.02, 0.8
"""How far requests, jobs and the air outside move within the horizon: sigmas of logarithms, and K."""
FAULTY = (
    "wear_pu", "passage_pu", "pressure_pu", "supply_offset_k", "fouling_pu", "capacity_pu", "fan_pu", "recirculation_pu",
    "thermal_pu", "link_pu", "nvme_pu", "clock_share_pu", "imbalance_pu", "battery_capacity_pu", "bandwidth_pu",
    "latency_pu", "recompute_pu",
)  # fmt: skip
"""Quantities that stand off their sound value only where something is wrong: their deviation is a fault's severity."""
_VOLTAGE_PLACES = (COEFFICIENTS.index("knee_pu"), COEFFICIENTS.index("v_min_pu"))
LEAST_RISE_K = 4.0
"""A GPU nearer to its coolant tells nothing of its thermal resistance."""


@dataclass(frozen=True)
class Step:
    """One thing that can be done, in the catalog's terms. `action` "": nothing."""

    action: str
    asset: str
    args: Mapping[str, Value]
    label: str
    """In words, for people."""


NOTHING = Step("", "", {}, "nothing")


class Ensemble:
    """Members that start from one estimate. The estimate's plant is not touched."""

    def __init__(
        self, estimate: Estimate, count: int = MEMBERS, seed: int = 0, horizon_s: float = 900.0
    ) -> None:
        """An even number of members, at least `count`, mirrored in pairs so that their middle is the estimate.

        The same seed gives the same members. `horizon_s` is over how long the load drifts.
        """
        self._now = estimate.plant.now
        self._bench = estimate.plant.copy()
        self._sound = build(estimate.plant.site)
        doubtful = {(problem.asset, problem.metric) for problem in estimate.note.problems}
        self.bias = {key: value for key, value in estimate.bias.items() if key not in doubtful}
        """What is still to be added to the model's readings; a reading that is not to be trusted adds nothing."""
        self._fit_resistances()
        self._fit_queues()
        self._base = self._bench.store.values.copy()
        self._base_ramps = [list(ramp) for ramp in self._bench.ramps]
        self._power = self._bench.store.edges.power
        pairs = max(1, (count + 1) // 2)
        self._starts = [
            self._member(_Normal(np.random.default_rng([seed, pair]), sign), horizon_s)
            for pair in range(pairs)
            for sign in (1.0, -1.0)
        ]

    def __len__(self) -> int:
        return len(self._starts)

    def run(
        self, step: Step, horizon_s: float, probes: NDArray[np.int64], every_s: float, step_s: float
    ) -> FloatArray:
        """[members, times, probes]: each member over the horizon with that step taken at its begin; the first row is
        the moment itself. A member that diverges holds what is not finite."""
        runs = []
        for start in self._starts:
            self._reset(*start)
            if step.action:
                self._bench.apply(step.action, step.asset, step.args)
            first = self._bench.store.values[probes][None, :]
            runs.append(np.vstack([first, self._bench.sample(horizon_s, probes, every_s, step_s)]))
        return np.stack(runs)

    def _reset(self, values: FloatArray, ramps: list[list[float]], power: FloatArray) -> None:
        self._bench.store.values[:] = values
        self._bench.store.edges = self._bench.store.edges._replace(power=power)
        self._bench.ramps = [list(ramp) for ramp in ramps]
        self._bench.now = self._now

    def _fit_resistances(self) -> None:
        """Nodes whose GPUs were read warmer or cooler than the model get the thermal resistance that fits."""
        tables = self._bench.store.tables
        for node, (kind, row) in self._bench.store.rows.items():
            bias = self.bias.get((node, "gpu_temp_c")) if kind == "gpu_node" else None
            if bias is None:
                continue
            n = tables.gpu_node[row]
            gpus = tables.gpu[int(n["gpu_first"]) : int(n["gpu_first"] + n["gpu_rows"])]
            coolant_c = _coolant_c(tables, n)
            rise_k = float(gpus["die_c"].max()) - coolant_c
            if rise_k < LEAST_RISE_K:
                continue
            factor = float(np.clip((rise_k + bias) / rise_k, 0.5, 2.0))
            for part in ("die_c", "plate_c"):
                gpus[part] = coolant_c + (gpus[part] - coolant_c) * factor
            for told in ("gpu_temp_c", "gpu_temp_mean_c"):
                n[told] = coolant_c + (n[told] - coolant_c) * factor
            n["r0"], n["film"], n["seen_film"] = n["r0"] * factor, n["film"] * factor, -1.0
            del self.bias[node, "gpu_temp_c"]

    def _fit_queues(self) -> None:
        """Queues are as long as they were read. What a request then waits follows from them: a gap to the model that
        was read in a jam is no bias."""
        pools = self._bench.store.tables.pool
        for row, pool in enumerate(self._bench.store.names["pool"]):
            pools["queue"][row] = max(0.0, float(pools["queue"][row]) + self.bias.pop((pool, "queue"), 0.0))
            if pools["queue"][row] > 1.0 or pools["ttft_ms"][row] > 2.0 * pools["ttft_base_ms"][row]:
                self.bias.pop((pool, "ttft_ms"), None)

    def _member(self, draw: _Normal, horizon_s: float) -> tuple[FloatArray, list[list[float]], FloatArray]:
        self._reset(self._base, self._base_ramps, self._power)
        tables = self._bench.store.tables
        for spread in SPREADS:
            table = getattr(tables, spread.kind)
            log = spread.shared * draw.one() + spread.each * draw.many(len(table))
            table[spread.column] *= np.exp(log)
        self._vary_plates(draw)
        self._vary_fault(draw)
        self._vary_load(draw, horizon_s)
        for column in ("dry_mean_c", "wet_mean_c"):
            tables.site[column] += AIR_K * draw.one()
        tables.gpu_node["seen_busy"] = -1.0
        ramps = [list(ramp) for ramp in self._bench.ramps]
        return self._bench.store.values.copy(), ramps, self._voltages(draw)

    def _voltages(self, draw: _Normal) -> FloatArray:
        """The power vectors with other knees and floors of the voltage; both stay below the voltage at full clock."""
        power: FloatArray = self._power.copy()
        for place in _VOLTAGE_PLACES:
            power[:, place] = np.minimum(power[:, place] * np.exp(VOLTAGE * draw.one()), 0.97)
        return power

    def _vary_plates(self, draw: _Normal) -> None:
        """The film's part of each plate's resistance, and a little of the whole; dies keep their temperature."""
        tables = self._bench.store.tables
        n = tables.gpu_node
        film = np.exp(FILM * draw.one() + 0.05 * draw.many(len(n)))
        whole = np.exp(RESISTANCE * draw.many(len(n)))
        new_film = np.minimum(n["film"] * film, 0.8 * (n["r0"] + n["film"])) * whole
        new_r0 = (n["r0"] + n["film"]) * whole - new_film
        for row, node in enumerate(n):
            gpus = tables.gpu[int(node["gpu_first"]) : int(node["gpu_first"] + node["gpu_rows"])]
            coolant_c = _coolant_c(tables, node)
            moved = (gpus["plate_c"] - coolant_c) * float(new_film[row] / node["film"])
            gpus["plate_c"] = np.minimum(coolant_c + moved, gpus["die_c"])
        n["film"], n["r0"], n["seen_film"] = new_film, new_r0, -1.0

    def _vary_fault(self, draw: _Normal) -> None:
        """What stands off its sound value stands more or less so, and what grows does so faster or slower."""
        for name in FAULTY:
            knob, factor = FAULT_KNOBS[name], float(np.exp(SEVERITY * draw.one()))
            for kind in knob.kinds:
                now = getattr(self._bench.store.tables, kind)[knob.of]
                now[:] = _worse(
                    now, getattr(self._sound.tables, kind)[knob.of], factor, (knob.low, knob.high)
                )
        severity, pace = float(np.exp(SEVERITY * draw.one())), float(np.exp(RAMP * draw.one()))
        for ramp in self._bench.ramps:
            low, high = (0.0, 1.0) if 0.0 <= min(ramp[1:3]) <= max(ramp[1:3]) <= 1.0 else (-np.inf, np.inf)
            ramp[2] = float(np.clip(ramp[1] + (ramp[2] - ramp[1]) * severity, low, high))
            ramp[4] *= pace

    def _vary_load(self, draw: _Normal, horizon_s: float) -> None:
        """Requests drift from what they are now, each pool for itself; jobs hardly."""
        store, growing = self._bench.store, {int(ramp[0]): ramp for ramp in self._bench.ramps}
        pools = store.tables.pool
        for row, factor in enumerate(np.exp(ARRIVALS * draw.many(len(pools)))):
            offset, now = store.offset("pool", row, "arrival_rps"), float(pools["arrival_rps"][row])
            if offset in growing:
                growing[offset][2] *= float(factor)
            elif now > 0.0:
                begin_s = float(store.tables.site["elapsed_s"][0])
                self._bench.ramps.append([float(offset), now, now * float(factor), begin_s, horizon_s])
        nodes = store.tables.gpu_node
        nodes["job_load_pu"] = np.minimum(1.0, nodes["job_load_pu"] * np.exp(JOBS * draw.one()))


class _Normal:
    """Standard normal numbers, or their mirror image."""

    def __init__(self, rng: np.random.Generator, sign: float) -> None:
        self._rng, self._sign = rng, sign

    def one(self) -> float:
        return self._sign * float(self._rng.standard_normal())

    def many(self, count: int) -> FloatArray:
        drawn: FloatArray = self._sign * self._rng.standard_normal(count)
        return drawn


def _coolant_c(tables: Any, node: Any) -> float:
    """What a node's plates or heat sinks give their heat to."""
    rack = tables.rack[int(node["rack"])]
    return float(rack["plate_c"] if node["liquid"] > 0.5 else rack["inlet_temp_c"])


def _worse(now: FloatArray, sound: FloatArray, factor: float, bounds: tuple[float, float]) -> FloatArray:
    """The deviation times `factor`: as a power where both are above 0 (a passage of 0.3 becomes 0.3 ** factor)."""
    off = np.abs(now - sound) > 1e-9
    both = off & (now > 0.0) & (sound > 0.0)
    ratio = np.divide(now, sound, out=np.ones_like(now), where=both)
    varied = np.where(both, sound * ratio**factor, sound + (now - sound) * factor)
    return np.where(off, np.clip(varied, *bounds), now)
