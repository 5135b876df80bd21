"""From a forecast to an order for the next minutes: paths, programme, target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage
from plant.control.peak.follow import NO_BASE_PU, Order
from plant.control.peak.need import least_targets_kw, needed_kwh
from plant.control.peak.paths import draws, sample_paths
from plant.control.peak.programme import Plan, Problem, solve

FloatArray = NDArray[np.float64]


CHARGE_PU = 0.985
"""Charging keeps the draw below this share of a peak that is paid for, or comes anyhow, and that no battery would have
drawn too."""
BURST_H = 0.5
"""Length of the bursts that energy is kept for."""


@dataclass(frozen=True)
class Tuning:
    """How the planner weighs chance. Chosen on generated sites with seeds that no figure is reported on."""

    paths: int = 120
    """Drawn for the target and for the energy kept."""
    plan_paths: int = 1
    """Of them in the programme; 1: the expected load alone."""
    target_quantile: float = 0.2
    """Of the paths' lowest holdable draws: the draw that storage holds."""
    near_h: float = 1.5
    """That is looked so far ahead; what comes later may be held by what is charged meanwhile."""
    forced_quantile: float = 0.15
    """Of the same over the whole horizon: a peak that comes almost surely, so that shaving below it is in vain."""
    keep_least: float = 0.9
    keep_most: float = 0.95
    """Bounds of the quantile of the energy that paths ask for at that target: what is kept (`keep_quantile`)."""
    seen_pu: float = 0.2
    """Of the usable energy: so much at most is kept always for a burst as the worst of the history."""
    sight_h: float = 2.5
    """Energy for peaks is kept so long ahead, without counting on a refill."""
    levels: int = 3
    """Draws up to which charging is weighed."""
    month_quantile: float = 0.5
    """Of the peaks that the rest of the billing period may force anyhow: nothing is shaved below it."""
    short_price_pu: float = 1.0
    """Price of a kWh short of it for an hour, of the dearest hour's."""
    ready_price_pu: float = 0.01
    """Worth of a kWh that lies ready for an hour, of the dearest hour's price."""
    fine_hours: float = 6.0
    """Planned at the full step; beyond, four steps are one."""
    time_limit_s: float = 2.0
    integer_steps: int = 0
    least_import_pu: float = 0.15


@dataclass(frozen=True)
class Situation:
    """What is known when a plan is made. All loads are draws without storage, in kW."""

    expected_kw: FloatArray
    low_kw: FloatArray
    high_kw: FloatArray
    """(K,) each: forecast of the load from now, one value a step."""
    level: float
    prices: FloatArray
    """(K,): of a kWh."""
    step_s: float
    stored_kwh: float
    grid_peak_kw: float
    """The billing period's highest metered draw so far, with storage as it was run."""
    load_peak_kw: float
    """The same without storage: charging never draws more, so that no peak is made that would not have been."""
    demand_per_kw: float
    """For the whole billing period."""
    rough_kw: FloatArray
    """Roughness of the load, see `paths.roughness_kw`."""
    past_kw: FloatArray = field(default_factory=lambda: np.zeros(0))
    """(n,): the load's history at the same step; NaN for gaps."""
    most_import_kw: float = np.inf
    period_steps: int = 0
    """Until the billing period ends; 0: beyond the horizon."""
    later_peaks_kw: FloatArray | None = None


@dataclass(frozen=True)
class Decision:
    """The order until the next plan, and the plan behind it."""

    order: Order
    plan: Plan
    loads_kw: FloatArray
    """(S, K'): the paths it was made for."""
    hours: FloatArray
    """(K',): length of each of its steps."""
    fine_h: float = 0.0
    """Planned at the full step for so long."""

    @property
    def grid_kw(self) -> FloatArray:
        """(K',): mean draw over the paths."""
        mean: FloatArray = (self.loads_kw - self.plan.power_kw).mean(axis=0)
        return mean


def decide(now: Situation, storage: Storage, tuning: Tuning) -> Decision:
    """The order for the next minutes. With a programme that finds nothing the battery rests and only holds the peak
    so far; `plan.status` says it."""
    paths = paths_of(now, tuning)
    least, sure = _protection(now, storage, tuning, paths)
    levels = _levels(now, tuning, sure)
    tried = [_planned(now, storage, tuning, paths, level, max(least, level)) for level in levels]
    found = [one for one in tried if one.decision.plan.status == "optimal"] or tried[:1]
    return min(found, key=lambda one: one.cost(now, storage, sure)).decision


@dataclass(frozen=True)
class _Planned:
    """A decision with charging up to a draw, which is then paid for as the billing period's peak."""

    level_kw: float
    decision: Decision

    def cost(self, now: Situation, storage: Storage, sure_kw: float) -> float:
        """Of the peak, and of energy and wear until the billing period ends, taken as days like those of the plan."""
        made, plan, hours = self.decision, self.decision.plan, self.decision.hours
        power = plan.power_kw.mean(axis=0)
        (prices,) = _coarser(now.step_s, made.fine_h, now.prices[None, :])[1]
        drawn = made.loads_kw.mean(axis=0) - power
        given_kwh = float((np.maximum(power, 0.0) * hours).sum())
        held = (
            float(now.prices.min())
            / storage.eta_charge
            * (float(plan.stored_kwh[:, -1].mean()) - now.stored_kwh)
        )
        energy = float((drawn * prices[0] * hours).sum()) + storage.wear.per_kwh * given_kwh - held
        left = max(now.period_steps * now.step_s / (float(hours.sum()) * 3600.0), 1.0)
        return now.demand_per_kw * max(self.level_kw, sure_kw) + left * energy


def _levels(now: Situation, tuning: Tuning, sure_kw: float) -> list[float]:
    """Draws that charging may reach, to be weighed: more makes a peak and moves more energy to cheap hours. None is
    above what the site drew without storage, so that no peak is made that no battery would have drawn."""
    most = min(max(now.load_peak_kw, sure_kw), now.most_import_kw)
    low = min(sure_kw, most)
    return [float(level) for level in np.unique(np.linspace(low, most, tuning.levels))]


def _planned(
    now: Situation, storage: Storage, tuning: Tuning, paths: FloatArray, level_kw: float, target_kw: float
) -> _Planned:
    """The plan that charges up to one draw and holds another one."""
    target = min(target_kw, now.most_import_kw)
    cap = CHARGE_PU * min(level_kw, now.load_peak_kw, now.most_import_kw)
    keep = storage.low_kwh + _kept(now, storage, tuning, paths, target)
    planned = paths[: tuning.plan_paths] if tuning.plan_paths > 1 else now.expected_kw[None, :]
    hours, (loads, prices, kept) = _coarser(
        now.step_s, tuning.fine_hours, planned, now.prices[None, :], keep[None, :]
    )
    dearest = float(now.prices.max())
    problem = Problem(
        load_kw=loads, weights=np.full(len(loads), 1.0 / len(loads)), hours=hours, prices=prices[0],
        demand_per_kw=now.demand_per_kw, peak_so_far_kw=target, storage=storage, stored_kwh=now.stored_kwh,
        end_value_per_kwh=float(now.prices.min()) / storage.eta_charge,
        least_import_kw=tuning.least_import_pu * float(now.expected_kw.mean()),
        charge_cap_kw=cap, most_import_kw=now.most_import_kw, keep_kwh=kept[0],
        short_price=tuning.short_price_pu * dearest, ready_price=tuning.ready_price_pu * dearest,
    )  # fmt: skip
    plan = solve(problem, time_limit_s=tuning.time_limit_s, integer_steps=tuning.integer_steps)
    order = Order(plan.base_kw, target, cap, problem.least_import_kw, float(keep[0]))
    return _Planned(level_kw, Decision(order, plan, loads, hours, tuning.fine_hours))


def lasting(decision: Decision, storage: Storage) -> tuple[Order, float]:
    """The order for as long as the plan's base power keeps its sign, at its mean, and the hours of that. What the plan
    gives above the target is left to the real-time layer."""
    planned, order = decision.plan.power_kw[0], decision.order
    above = np.maximum(decision.loads_kw.mean(axis=0) - order.target_kw, 0.0)
    besides = np.where(planned > 0.0, np.maximum(planned - above, 0.0), planned)
    sign = np.where(np.abs(besides) < NO_BASE_PU * storage.power_kw, 0.0, np.sign(besides))
    other = np.flatnonzero(sign != sign[0])
    end = int(other[0]) if other.size else sign.size
    base = float(np.average(besides[:end], weights=decision.hours[:end])) if sign[0] else 0.0
    return replace(order, base_kw=base), float(decision.hours[:end].sum())


def paths_of(now: Situation, tuning: Tuning) -> FloatArray:
    """(S, K) loads that may come."""
    chance = draws(tuning.paths, now.expected_kw.size, now.step_s)
    return sample_paths(now.expected_kw, now.low_kw, now.high_kw, now.level, now.rough_kw, chance)


def _protection(now: Situation, storage: Storage, tuning: Tuning, paths: FloatArray) -> tuple[float, float]:
    """The least draw to hold, and the draw that is reached almost surely anyhow."""
    paths = paths[:, : now.period_steps] if now.period_steps else paths
    near = paths[:, : max(1, round(tuning.near_h * 3600.0 / now.step_s))]
    holdable, forced = (least_targets_kw(some, now.step_s, now.stored_kwh, storage) for some in (near, paths))
    sure = max(now.grid_peak_kw, float(np.quantile(forced, tuning.forced_quantile)))
    target = max(sure, forced_kw(now, tuning), float(np.quantile(holdable, tuning.target_quantile)))
    return min(target, now.most_import_kw), sure


def _kept(
    now: Situation, storage: Storage, tuning: Tuning, paths: FloatArray, target_kw: float
) -> FloatArray:
    """(K,) energy above the reserve that bursts over a draw may ask for."""
    paths = paths[:, : now.period_steps] if now.period_steps else paths
    asked = needed_kwh(paths, now.step_s, target_kw, storage, tuning.sight_h)
    need = np.quantile(asked, keep_quantile(now, storage, tuning), axis=0)
    seen = needed_kwh(np.nan_to_num(now.past_kw)[None, :], now.step_s, target_kw, storage, tuning.sight_h)
    burst_kwh = min(float(seen.max(initial=0.0)), tuning.seen_pu * storage.usable_kwh)
    keep = np.zeros(now.expected_kw.size)
    keep[: need.size] = np.maximum(np.append(need[1:], 0.0), burst_kwh)
    return keep


def keep_quantile(now: Situation, storage: Storage, tuning: Tuning) -> float:
    """Share of paths whose bursts are covered by what is kept: the newsvendor's.

    A kWh sold at the dearest hour and bought back in the cheapest earns the spread less wear. A kWh that lacks in a
    burst of BURST_H raises the peak by 1 / BURST_H kW.
    """
    prices = now.prices
    earned = (
        float(prices.max()) * storage.eta_discharge
        - float(prices.min()) / storage.eta_charge
        - storage.wear.per_kwh
    )
    lost = now.demand_per_kw / BURST_H
    wanted = 1.0 - max(earned, 0.0) / lost if lost > 0.0 else 0.0
    return min(max(wanted, tuning.keep_least), tuning.keep_most)


def forced_kw(now: Situation, tuning: Tuning) -> float:
    """A peak that the rest of the billing period is expected to force anyhow; 0 where nothing tells."""
    if now.later_peaks_kw is None or not now.later_peaks_kw.size:
        return 0.0
    return float(np.quantile(now.later_peaks_kw, tuning.month_quantile))


def _coarser(
    step_s: float, fine_hours: float, *tables: FloatArray, group: int = 4
) -> tuple[FloatArray, list[FloatArray]]:
    """Lengths of steps in hours, and tables (n, K) with each `group` of steps beyond `fine_hours` taken as their mean."""
    steps = tables[0].shape[1]
    fine = min(round(fine_hours * 3600.0 / step_s), steps)
    groups = (steps - fine) // group
    hours = np.concatenate([np.full(fine, 1.0), np.full(groups, float(group))]) * step_s / 3600.0
    made = []
    for table in tables:
        rest = table[:, fine : fine + groups * group].reshape(len(table), groups, group).mean(axis=2)
        made.append(np.concatenate([table[:, :fine], rest], axis=1))
    return hours, made
