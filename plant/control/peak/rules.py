"""What planning is held against: rules that a site can run without a forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage, Wear, storage_of
from plant.control.peak.follow import Order
from plant.control.peak.need import least_targets_kw
from plant.control.peak.online import Case, Ran, ran, run
from plant.control.peak.programme import Problem, solve
from plant.power.policy import HOLD_AIM_PU
from plant.power.tariff import Schedule, dispatch, naive_schedule, price_series

FloatArray = NDArray[np.float64]
CHARGE_PU = 0.9
"""Of the threshold: up to there the threshold rule charges."""


@dataclass
class Threshold:
    """Discharges what is above a threshold and charges below nine tenths of it, whatever the price.

    The threshold is the lowest draw at which a full battery would have held each day before, tuned anew each day on
    all earlier days; on the first it is the load seen so far. It never lies below the peak already paid for. It has
    the same real-time layer as the plan.
    """

    case: Case
    storage: Storage

    def order(self, at: int, stored_kwh: float, grid_kw: FloatArray) -> Order:
        """See `online.Policy`."""
        case = self.case
        day = round(86400.0 / case.meter_s)
        past = case.metered(np.concatenate([case.before_kw, case.load_kw[: max(at, 1)]]))
        whole = past.size // day * day
        if whole:
            days = past[:whole].reshape(-1, day)
            held = float(least_targets_kw(days, case.meter_s, self.storage.high_kwh, self.storage).max())
        else:
            held = float(past.max(initial=case.load_kw[0]))
        target = max(held, float(case.metered(grid_kw).max(initial=0.0)))
        return Order(-self.storage.power_kw, target, CHARGE_PU * target)


def perfect(case: Case, wear: Wear) -> Ran:
    """The cheapest plan by one who knows the whole period, with the same reserve and the same wear price.

    Two programmes are run through the battery's model and the cheaper is taken: `plant.power.tariff.dispatch`, whose
    set powers may run the store dry by a little before the last peak, and that of `programme` whose peak the real-time
    layer holds.
    """
    metered = replace(
        case, load_kw=case.metered(case.load_kw), step_s=case.meter_step_s, meter_s=case.meter_step_s,
        before_kw=np.zeros(0), known=None, flexible=(),
    )  # fmt: skip
    plan = dispatch(metered.load_kw, case.tariff, case.reserved, metered.step_s, start_hour=case.start_hour,
                    wear_per_kwh=wear.per_kwh)  # fmt: skip
    set_powers = _of(case, "perfect foresight", plan, wear)
    storage = storage_of(case.ess, reserve_pct=case.reserve_pct, wear=wear)
    held = run(metered, Known(metered, storage), "perfect foresight", storage, metered.step_s, wear)
    return min(set_powers, _spread(case, held, wear), key=lambda one: one.total)


class Known:
    """Orders of the best plan for a load that is known."""

    def __init__(self, case: Case, storage: Storage) -> None:
        count = case.load_kw.size
        prices = price_series(case.tariff, count, case.step_s, case.start_hour)
        problem = Problem(
            load_kw=case.load_kw[None, :], weights=np.ones(1), hours=np.full(count, case.step_s / 3600.0), prices=prices,
            demand_per_kw=case.demand_per_kw, peak_so_far_kw=0.0, storage=storage,
            stored_kwh=storage.kwh(case.ess.spec.soc_start_pct),
            end_value_per_kwh=float(prices.mean()) / case.ess.spec.efficiency_one_way,
        )  # fmt: skip
        plan = solve(problem, time_limit_s=120.0)
        self._power_kw, self._peak_kw = plan.power_kw[0], float(plan.peaks_kw[0])

    def order(self, at: int, stored_kwh: float, grid_kw: FloatArray) -> Order:
        """See `online.Policy`."""
        peak_kw = self._peak_kw / HOLD_AIM_PU
        return Order(float(self._power_kw[at]), peak_kw, peak_kw)


def time_of_use(case: Case, wear: Wear) -> Ran:
    """Charges at full power in the cheapest hours and discharges in the dearest, blind to the peak."""
    plan = naive_schedule(
        case.metered(case.load_kw), case.tariff, case.reserved, case.meter_step_s, start_hour=case.start_hour
    )
    return _of(case, "time-of-use rule", plan, wear)


def none(case: Case) -> Ran:
    """No battery."""
    load = case.load_kw
    still = np.full(load.size, case.ess.spec.soc_start_pct)
    return ran(case, "no battery", np.zeros(load.size), still, Wear(0.0, 0.0, ""))


def _of(case: Case, name: str, plan: Schedule, wear: Wear) -> Ran:
    """A plan in metering steps, as what came of it."""
    return _stepped(case, name, plan.power_kw, plan.soc_pct, wear)


def _spread(case: Case, found: Ran, wear: Wear) -> Ran:
    return _stepped(case, found.name, found.power_kw, found.soc_pct, wear)


def _stepped(case: Case, name: str, power_kw: FloatArray, soc_pct: FloatArray, wear: Wear) -> Ran:
    """Powers of metering steps at the case's own step; the battery rests in what is left of the last interval."""
    each = round(case.meter_step_s / case.step_s)
    power, soc = np.repeat(power_kw, each), np.repeat(soc_pct, each)
    rest = case.load_kw.size - power.size
    return ran(case, name, np.pad(power, (0, rest)), np.pad(soc, (0, rest), mode="edge"), wear)
