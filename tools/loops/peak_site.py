"""What the peak loop finds on a site: its batteries as one store, its schedule, and what else could give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plant.capacity import node_full_kw
from plant.control.peak.battery import NO_WEAR, Storage, storage_of, wear_of
from plant.control.peak.follow import Order, stands
from plant.control.peak.levers import (
    BATCH_PER_KWH,
    BATCH_PU,
    MODEL_PER_KWH,
    MODEL_PU,
    Cut,
    FlexibleJob,
)
from plant.jobs.schedule import ScheduledJob
from plant.power.ess import Ess, health_at_age
from plant.specs import EssSpec, NodeSpec
from setpoint.contracts.loops import Trouble
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing, named
from tools.readings import Reading, value

FloatArray = NDArray[np.float64]
RESTART_S = 300.0
"""Of a job from its checkpoint."""
CHECKPOINT_S = 1800.0
"""Between two checkpoints of a job that the site file does not describe."""
SMALLEST_BATCH = 32
LATE_S = 120.0
"""A cycle may be so late."""


@dataclass(frozen=True)
class Unit:
    """One battery as it is now."""

    name: str
    storage: Storage
    stored_kwh: float
    soh_pu: float
    follows: bool = False
    """Its converter can hold a draw by itself (`hold_draw`)."""
    runs: Order | None = None
    """The draw it holds now, and what besides."""
    left_s: float = 0.0
    """That it still does."""

    @property
    def above_kwh(self) -> float:
        """Above the reserve."""
        return max(self.stored_kwh - self.storage.low_kwh, 0.0)

    @property
    def room_kwh(self) -> float:
        """Below full."""
        return max(self.storage.high_kwh - self.stored_kwh, 0.0)


NOTHING = Storage(0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0)
"""The store of a site without one."""


def units_of(site: Site, sensing: Sensing) -> list[Unit]:
    """Batteries that are read and run. Each that is not is a trouble, which blocks none of the others."""
    units = []
    for name in named(site, "ess"):
        soc_pct = sensing.number(name, "soc_pct", blocks=False)
        available = sensing.number(name, "available", blocks=False)
        sensing.number(name, "power_kw", blocks=False)
        if soc_pct is None:
            continue
        if available is not None and available < 0.5:
            sensing.add(Trouble(
                kind="adapter", asset=name, metric="available", what=f"{name} is out of service",
                instead="plans without it", remedy="Reset its converter, or wait for it", blocks=False,
            ))  # fmt: skip
            continue
        units.append(_held(_unit(site, name, soc_pct), sensing.ports.read(name)))
    return units


def _held(unit: Unit, reading: Reading | None) -> Unit:
    """With what its converter says of the draw it holds."""
    if reading is None or "hold_kw" not in reading.values or unit.storage is NOTHING:
        return unit
    target_kw, said = value(reading, "hold_kw", 0.0), partial(value, reading)
    order = Order(
        base_kw=said("power_setpoint_kw", 0.0), target_kw=target_kw, charge_cap_kw=said("charge_cap_kw", 0.0),
        keep_kwh=unit.storage.kwh(said("keep_pct", 0.0)),
    )  # fmt: skip
    return replace(unit, follows=True, runs=order if target_kw > 0.0 else None, left_s=said("left_s", 0.0))


def _unit(site: Site, name: str, soc_pct: float) -> Unit:
    spec = site.spec(name, EssSpec)
    health = health_at_age(spec.age_years, spec.cell_temp_c)
    try:
        ess = Ess(spec, health)
        storage = storage_of(
            ess, reserve_pct=site.limits.get("soc_reserve_pct", 0.0), wear=wear_of(ess, site.tariff.currency)
        )
    except UsageError:  # worn out: it counts as empty
        return Unit(name, NOTHING, 0.0, health.soh_pu)
    return Unit(name, storage, storage.kwh(soc_pct), health.soh_pu)


def together(units: Sequence[Unit]) -> tuple[Storage, float]:
    """All batteries as one store, and what lies in it in kWh. Efficiencies and wear are weighed by power."""
    power = sum(unit.storage.power_kw for unit in units)
    if power <= 0.0:
        return NOTHING, 0.0

    def mean(figure: str) -> float:
        return float(sum(getattr(unit.storage, figure) * unit.storage.power_kw for unit in units)) / power

    def total(figure: str) -> float:
        return float(sum(getattr(unit.storage, figure) for unit in units))

    wear = max((unit.storage.wear for unit in units), key=lambda one: one.per_kwh, default=NO_WEAR)
    store = Storage(
        power_kw=power, low_kwh=total("low_kwh"), high_kwh=total("high_kwh"), capacity_kwh=total("capacity_kwh"),
        eta_charge=mean("eta_charge"), eta_discharge=mean("eta_discharge"), fixed_loss_kw=total("fixed_loss_kw"),
        keep_pu_per_h=mean("keep_pu_per_h"), wear=wear,
    )  # fmt: skip
    return store, sum(unit.stored_kwh for unit in units)


def shares(units: Sequence[Unit], power_kw: float, hours: float) -> dict[str, float]:
    """A power for all, split by what each can give or take for so long; positive discharges."""
    able = {unit.name: _able_kw(unit, power_kw > 0.0, hours) for unit in units}
    whole = sum(able.values())
    if whole <= 0.0:
        return {}
    part = min(abs(power_kw) / whole, 1.0)
    sign = 1.0 if power_kw > 0.0 else -1.0
    return {name: sign * part * kw for name, kw in able.items()}


def _able_kw(unit: Unit, gives: bool, hours: float) -> float:
    if gives:
        return min(unit.storage.power_kw, unit.above_kwh * unit.storage.eta_discharge / hours)
    return min(unit.storage.power_kw, unit.room_kwh / unit.storage.eta_charge / hours)


def held_by(unit: Unit, storage: Storage, order: Order) -> Order:
    """A unit's part of an order for all: of power by its rating, of energy by its capacity."""
    part, size = unit.storage.power_kw / storage.power_kw, unit.storage.capacity_kwh / storage.capacity_kwh
    keep_kwh = min(max(order.keep_kwh * size, unit.storage.low_kwh), unit.storage.high_kwh)
    return replace(order, base_kw=order.base_kw * part, keep_kwh=keep_kwh)


def still_holds(unit: Unit, wanted: Order, cycle_s: float) -> bool:
    """Whether what it holds outlasts the next cycle and does as well as what is wanted."""
    return unit.runs is not None and unit.left_s > cycle_s + LATE_S and stands(
        unit.runs, wanted, unit.storage, unit.stored_kwh
    )  # fmt: skip


# ---- the schedule -----------------------------------------------------------------------------------------------


def jobs_kw(
    ports: LoopPorts, start: datetime, steps: int, step_s: float, overhead_pu: float = 0.0
) -> FloatArray:
    """(steps,) kW that scheduled jobs draw above idle, means over the steps; paused ones draw nothing."""
    end = start + timedelta(seconds=steps * step_s)
    load, edges = np.zeros(steps), np.arange(steps) * step_s
    for job in ports.jobs(start, end):
        if job.paused:
            continue
        begin_s, end_s = ((moment - start).total_seconds() for moment in (job.start, job.end))
        inside = np.clip(np.minimum(edges + step_s, end_s) - np.maximum(edges, begin_s), 0.0, step_s)
        load += job_kw(ports.site, job) * (1.0 + overhead_pu) * inside / step_s
    return load


def job_kw(site: Site, job: ScheduledJob) -> float:
    """Power of a job above the idle power of its nodes."""
    total = 0.0
    for node in job.nodes:
        if site.find(node) is None:
            continue
        spec = site.spec(node, NodeSpec)
        idle_kw = spec.base_idle_kw + spec.gpus * site.node_gpu(node).idle_w / 1000.0
        total += job.load_pu * max(node_full_kw(site, node) - idle_kw, 0.0)
    return total


def flexible_jobs(ports: LoopPorts, now: datetime, steps: int, step_s: float) -> list[FlexibleJob]:
    """Jobs of the horizon that may wait, the largest first."""
    found = []
    for job in ports.jobs(now, now + timedelta(seconds=steps * step_s)):
        kw = job_kw(ports.site, job)
        if not job.flexible or job.paused or not job.nodes or kw <= 0.0:
            continue
        begin, end = (round((moment - now).total_seconds() / step_s) for moment in (job.start, job.end))
        lost_s = 0.5 * _checkpoint_s(ports.site, job.name) + RESTART_S
        found.append(FlexibleJob(job.name, job.nodes[0], kw, max(begin, 0), end, lost_s / 3600.0))
    return sorted(found, key=lambda job: -job.kw)[:6]


def paused_jobs(ports: LoopPorts, now: datetime) -> list[ScheduledJob]:
    """Jobs that wait now."""
    return [job for job in ports.jobs(now, now + timedelta(hours=1)) if job.paused and job.nodes]


def _checkpoint_s(site: Site, name: str) -> float:
    return next((job.checkpoint_s for job in site.jobs if name.startswith(job.name)), CHECKPOINT_S)


# ---- the last steps ---------------------------------------------------------------------------------------------


def cuts_of(ports: LoopPorts) -> list[Cut]:
    """What serving pools could give up, from their readings of now."""
    site, found = ports.site, []
    for pool in site.pools:
        full_kw = sum(node_full_kw(site, node) for node in pool.nodes)
        reading = ports.read(pool.name)
        if reading is None:
            continue
        if value(reading, "batch_limit", 256.0) > SMALLEST_BATCH:
            found.append(Cut("set_batch_limit", pool.name, BATCH_PU * full_kw, BATCH_PER_KWH))
        if value(reading, "model_rank", 0.0) < 2.0:
            found.append(Cut("switch_to_smaller_model", pool.name, MODEL_PU * full_kw, MODEL_PER_KWH))
    return found


def cut_args(ports: LoopPorts, cut: Cut) -> dict[str, float | int | str | bool]:
    """Arguments of a cut's action: half the batch, or the next smaller model."""
    reading = ports.read(cut.service)
    if cut.action == "set_batch_limit":
        return {"batch_limit": max(int(value(reading, "batch_limit", 256.0)) // 2, SMALLEST_BATCH)}
    return {"model": "medium" if value(reading, "model_rank", 0.0) < 1.0 else "small"}
