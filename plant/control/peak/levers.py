"""What else than storage lowers a peak, in the order of what it costs: flexible jobs wait, batches shrink, a smaller
model serves. Costs are stated assumptions; a site may give its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage
from plant.control.peak.need import least_targets_kw

FloatArray = NDArray[np.float64]
PAUSES_H = (1.0, 2.0, 4.0)
"""How long a job may wait at a stretch: its owners were told that it is flexible, not that it is dropped."""
STARTS_H = tuple(range(13))
BATCH_PER_KWH, MODEL_PER_KWH = 0.5, 2.0
"""EUR for each kWh not drawn. A serving kWh earns some 10 EUR (an H100 hour at 2 EUR draws 0.7 kW and its share of the
rest); a smaller batch delays a few per cent of it, a smaller model answers all of it worse (m: assumed)."""
BATCH_PU, MODEL_PU = 0.08, 0.25
"""Of a pool's power: decode at half the batch draws 8 to 15 % less (ML.ENERGY, H100: 691 W at batch 256, 486 W at 8), a
model of a size class below a quarter less at equal load (m)."""


@dataclass(frozen=True)
class FlexibleJob:
    """A job that may wait."""

    name: str
    node: str
    """One of its nodes; pausing that pauses the whole."""
    kw: float
    """What the site draws less while it waits."""
    start_step: int
    """From the plan's begin; 0 or before: it runs."""
    end_step: int
    lost_h: float
    """Work done again after a pause: half of the time between two checkpoints, and the restart."""


@dataclass(frozen=True)
class Pause:
    """A job's wait, and its worth."""

    job: FlexibleJob
    start_step: int
    steps: int
    lower_kw: float
    """By so much the target sinks."""
    cost: float
    gain: float
    """Demand charge saved less the cost."""


def paused(loads_kw: FloatArray, pause: Pause) -> FloatArray:
    """Loads with the job's power taken out while it waits, and added where it then runs longer."""
    moved = loads_kw.copy()
    first, last = pause.start_step, pause.start_step + pause.steps
    moved[:, first:last] -= pause.job.kw
    again = pause.steps
    moved[:, pause.job.end_step : pause.job.end_step + again] += pause.job.kw
    return np.maximum(moved, 0.0)


def best_pauses(
    loads_kw: FloatArray,
    step_s: float,
    stored_kwh: float,
    storage: Storage,
    jobs: Sequence[FlexibleJob],
    *,
    floor_kw: float,
    quantile: float,
    demand_per_kw: float,
    price: float,
    most: int = 4,
) -> tuple[list[Pause], FloatArray]:
    """Pauses that pay, greatest gain first, and the loads with them. Below `floor_kw` a lower peak is worth nothing."""
    chosen: list[Pause] = []
    left = list(jobs)
    while left and len(chosen) < most:
        before = _held_kw(loads_kw, step_s, stored_kwh, storage, quantile)
        if before <= floor_kw:
            break
        tried = [
            found for job in left
            for found in _pauses(loads_kw, step_s, stored_kwh, storage, job, before, floor_kw, quantile, demand_per_kw, price)
        ]  # fmt: skip
        best = max(tried, key=lambda one: one.gain, default=None)
        if best is None or best.gain <= 0.0:
            break
        chosen.append(best)
        left.remove(best.job)
        loads_kw = paused(loads_kw, best)
    return chosen, loads_kw


def _pauses(
    loads_kw: FloatArray, step_s: float, stored_kwh: float, storage: Storage, job: FlexibleJob, before_kw: float,
    floor_kw: float, quantile: float, demand_per_kw: float, price: float,
) -> list[Pause]:  # fmt: skip
    """Every start and length within the job's own span, with what each is worth."""
    hour, found = 3600.0 / step_s, []
    for start_h in STARTS_H:
        for length_h in PAUSES_H:
            start, steps = max(round(start_h * hour), job.start_step), round(length_h * hour)
            if start + steps > min(job.end_step, loads_kw.shape[1]):
                continue
            cost = job.lost_h * job.kw * price
            trial = Pause(job, start, steps, 0.0, cost, 0.0)
            after = max(_held_kw(paused(loads_kw, trial), step_s, stored_kwh, storage, quantile), floor_kw)
            lower = before_kw - after
            found.append(Pause(job, start, steps, lower, cost, lower * demand_per_kw - cost))
    return found


def _held_kw(
    loads_kw: FloatArray, step_s: float, stored_kwh: float, storage: Storage, quantile: float
) -> float:
    return float(np.quantile(least_targets_kw(loads_kw, step_s, stored_kwh, storage), quantile))


@dataclass(frozen=True)
class Cut:
    """A last step: serving gives up some of its speed or quality."""

    action: str
    service: str
    kw: float
    per_kwh: float
    """Cost of a kWh not drawn, in EUR."""


def merit_order(cuts: Sequence[Cut], over_kw: float) -> list[Cut]:
    """The cheapest cuts that together take `over_kw` off; a service gives each kind once.

    >>> cheap, dear = Cut("set_batch_limit", "a", 30.0, 0.5), Cut("switch_to_smaller_model", "a", 90.0, 2.0)
    >>> [cut.action for cut in merit_order([dear, cheap], 25.0)], len(merit_order([dear, cheap], 100.0))
    (['set_batch_limit'], 2)
    """
    chosen: list[Cut] = []
    for cut in sorted(cuts, key=lambda one: one.per_kwh):
        if sum(one.kw for one in chosen) >= over_kw:
            break
        chosen.append(cut)
    return chosen
