"""The five layers between a job schedule and the temperature of a rack, each an array over the steps ahead.

    schedule -> utilisation of nodes -> power and heat -> coolant -> temperatures

Each function takes one layer to the next with the nominal figures of the site; what they miss is learned elsewhere
(`predictor`). Step k of an array is the state at `now + (k + 1) * step_s`. Columns are nodes, loops or halls in the order
of the `Layout`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plant.control.cooling.layout import FloatArray, Halls, Layout, Loops, Nodes
from plant.thermal.loop import pump_power_kw, speed_pu

RUNS_PU = 0.05
"""A node with more load than that is at work."""
FILM_EXPONENT = -0.8
"""Of a cold plate's film over flow (plant.thermal.plate)."""
RACK_LITRES_PU = 0.4
"""Share of a loop's coolant that stands in its racks (plant.dynamics.store)."""


class Job(Protocol):
    """A job as a scheduler plans it."""

    @property
    def nodes(self) -> tuple[str, ...]: ...
    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def load_pu(self) -> float: ...
    @property
    def paused(self) -> bool: ...


@dataclass(frozen=True)
class ScheduleLayer:
    """What is known of the work ahead."""

    now: datetime
    step_s: float
    load_pu: FloatArray
    """(steps, nodes), share of full load expected of each node."""
    planned: NDArray[np.bool_]
    """(steps, nodes), the scheduler says so; False: what runs now is taken to go on."""


@dataclass(frozen=True)
class UtilisationLayer:
    """How busy the GPUs of each loop and hall are."""

    load_pu: FloatArray
    """(steps, nodes)."""
    loop_pu: FloatArray
    """(steps, loops), mean of its nodes."""
    top_pu: FloatArray
    """(steps, loops), the busiest node."""


@dataclass(frozen=True)
class HeatLayer:
    """Power drawn becomes heat."""

    liquid_kw: FloatArray
    """(steps, loops), into coolant."""
    air_kw: FloatArray
    """(steps, halls), into room air, without losses of the power chain."""
    gpu_w: FloatArray
    """(steps, loops), one GPU of the busiest node."""


@dataclass(frozen=True)
class CoolantLayer:
    """What the loops do with it."""

    flow_lpm: FloatArray
    """(steps, loops) or (loops,)."""
    supply_c: FloatArray
    rise_k: FloatArray
    """Return less supply."""

    @property
    def return_c(self) -> FloatArray:
        return self.supply_c + self.rise_k


@dataclass(frozen=True)
class TemperatureLayer:
    """Where it ends."""

    gpu_c: FloatArray
    """(steps, loops), hottest die."""
    inlet_c: FloatArray
    """(steps, halls), warmest air a rack takes in."""


def schedule_layer(
    nodes: Nodes, jobs: Iterable[Job], now: datetime, load_now_pu: FloatArray, steps: int, step_s: float
) -> ScheduleLayer:
    """Loads ahead: the scheduler's where it plans, elsewhere what runs now goes on.

    A job that should run and does not is late: it may start at any moment, so its plan stands. A node at work that no job
    claims does unannounced work, which goes on. `load_now_pu` may hold NaN; those nodes count as at rest.
    """
    row = {name: i for i, name in enumerate(nodes.names)}
    at_now = np.nan_to_num(load_now_pu)
    load = np.where(nodes.pooled | (at_now > RUNS_PU), at_now, 0.0)[None, :].repeat(steps, 0)
    planned = np.zeros((steps, len(nodes.names)), dtype=bool)
    moments = [now + timedelta(seconds=(k + 1) * step_s) for k in range(steps)]
    mine = [
        (job, [row[n] for n in job.nodes if n in row and not nodes.pooled[row[n]]])
        for job in jobs
        if not job.paused
    ]
    for job, rows in mine:
        if rows and job.start <= now < job.end:
            load[:, rows], planned[:, rows] = 0.0, True
    for job, rows in mine:
        inside = np.array([job.start <= moment < job.end for moment in moments])
        if rows and inside.any():
            there = float(at_now[rows].mean())
            runs = job.start <= now and there > RUNS_PU
            cells = np.ix_(inside, np.array(rows))
            load[cells] = there if runs else job.load_pu
            planned[cells] = True
    return ScheduleLayer(now, step_s, load, planned)


def utilisation_layer(layout: Layout, load_pu: FloatArray) -> UtilisationLayer:
    """(steps, nodes) to loops."""
    counts = np.maximum(
        _sums(np.ones((1, len(layout.nodes.names))), layout.nodes.loop, len(layout.loops.names)), 1.0
    )
    return UtilisationLayer(
        load_pu, _sums(load_pu, layout.nodes.loop, len(layout.loops.names)) / counts,
        _tops(load_pu, layout.nodes.loop, len(layout.loops.names)),
    )  # fmt: skip


def heat_layer(layout: Layout, use: UtilisationLayer) -> HeatLayer:
    """Node power = rest + span x load; cold plates take their share, the room the rest."""
    n = layout.nodes
    node_kw = n.idle_kw + n.span_kw * use.load_pu
    wet_kw = node_kw * n.liquid_share
    return HeatLayer(
        _sums(wet_kw, n.loop, len(layout.loops.names)),
        _sums(node_kw - wet_kw, n.hall, len(layout.halls.names)) + layout.halls.house_kw,
        _tops(n.gpu_idle_w + n.gpu_span_w * use.load_pu, n.loop, len(layout.loops.names)),
    )  # fmt: skip


def coolant_layer(
    loops: Loops, liquid_kw: FloatArray, flow_lpm: FloatArray, supply_c: FloatArray
) -> CoolantLayer:
    """Rise = heat over flow times the heat of a litre."""
    rise_k = liquid_kw * 60.0 / (np.maximum(flow_lpm, 1e-3) * loops.kj_per_l_k)
    return CoolantLayer(flow_lpm, supply_c + 0.0 * rise_k, rise_k)


def gpu_c(layout: Layout, coolant: CoolantLayer, gpu_w: FloatArray) -> FloatArray:
    """Hottest die of each loop: mean coolant, film of the plate at this flow, interface (plant.thermal.plate)."""
    loops = layout.loops
    film_now = loops.film_k_per_w * (np.maximum(coolant.flow_lpm, 1e-3) / loops.rack_lpm) ** FILM_EXPONENT
    mean_c = coolant.supply_c + 0.5 * coolant.rise_k
    return np.asarray(mean_c + gpu_w * (loops.k_per_w + film_now), np.float64)


def inlet_c(halls: Halls, air_kw: FloatArray, water_c: FloatArray, k_per_kw: FloatArray) -> FloatArray:
    """Warmest intake: what the handlers are set to, or as warm as their water and the heat make it."""
    mine = np.where(halls.water >= 0, water_c[np.maximum(halls.water, 0)], -273.0)
    return np.asarray(np.maximum(halls.supply_c, mine + air_kw * k_per_kw), np.float64)


def warmest_water_c(
    loops: Loops, liquid_kw: FloatArray, flow_lpm: FloatArray, supply_c: FloatArray
) -> FloatArray:
    """Water at which the exchanger of each loop just holds that supply at that heat: return - heat / best."""
    rise = coolant_layer(loops, liquid_kw, flow_lpm, supply_c)
    return np.asarray(
        rise.return_c - liquid_kw / np.maximum(exchanger_kw_per_k(loops, flow_lpm), 1e-6), np.float64
    )


def exchanger_kw_per_k(loops: Loops, flow_lpm: FloatArray) -> FloatArray:
    """Heat of each CDU's exchanger for a kelvin between the coolant that returns and the water: counterflow, as
    `plant.thermal.loop.effectiveness` has it, by columns."""
    rate, full = flow_lpm * loops.kj_per_l_k / 60.0, loops.most_lpm * loops.kj_per_l_k / 60.0
    pipe = full / loops.ratio
    small, large = np.minimum(rate, pipe), np.maximum(rate, pipe)
    film = 2.0 / (1.0 + np.maximum(flow_lpm / loops.most_lpm, 1e-3) ** FILM_EXPONENT)
    ratio = np.minimum(small / large, 0.999)
    decay = np.exp(-loops.ntu * full * film / np.maximum(small, 1e-9) * (1.0 - ratio))
    return np.asarray(small * (1.0 - decay) / (1.0 - ratio * decay), np.float64)


def pump_kw(loops: Loops, flow_lpm: FloatArray) -> FloatArray:
    """Power of each loop's pumps at that flow: one sound pump, clean loop."""
    share = np.asarray(flow_lpm, dtype=float) / loops.most_lpm
    return np.array(
        [
            pump_power_kw(speed_pu(float(q), 1.0, 1.0, 1.0), kw)
            for q, kw in zip(share, loops.pump_kw, strict=True)
        ]
    )


def lag(values: FloatArray, before: FloatArray, tau_s: FloatArray, step_s: float) -> FloatArray:
    """What follows `values` (steps, columns) with a time constant, from `before` on."""
    keep = np.exp(-step_s / np.maximum(tau_s, 1e-6))
    found, at = np.empty_like(values), np.asarray(before, dtype=float)
    for k in range(len(values)):
        at = values[k] + (at - values[k]) * keep
        found[k] = at
    return found


def _sums(values: FloatArray, group: NDArray[np.int64], count: int) -> FloatArray:
    """(steps, nodes) summed by group; nodes of group -1 are left out."""
    member = (group[:, None] == np.arange(count)[None, :]).astype(float)
    return np.asarray(values @ member, np.float64)


def _tops(values: FloatArray, group: NDArray[np.int64], count: int) -> FloatArray:
    """The greatest of each group; 0 for an empty one."""
    columns = [
        values[:, group == i].max(axis=1) if (group == i).any() else np.zeros(len(values))
        for i in range(count)
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(values), 0))
