"""The real-time layer: what storage does between two plans, so that an error of the forecast does not make a peak.

The plan gives a target draw and a base power. Each second or minute the layer reads the site's draw without storage:
above the target storage gives the excess, below it the base power is run, and charging never lifts the draw above its
own cap. Demand is metered as a mean over a quarter of an hour, so what went over early in it is made good before it ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage
from plant.power.policy import HOLD_AIM_PU, REFILL_H

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """What holds until the next plan."""

    base_kw: float
    """For the price's sake; positive discharges."""
    target_kw: float
    """Draw of the grid that storage holds."""
    charge_cap_kw: float
    """Draw that charging must not pass."""
    least_import_kw: float = 0.0
    keep_kwh: float = 0.0
    """Stored energy kept for peaks: below it nothing is given for the price's sake, and it is refilled."""


OTHER_PU, BASE_PU, KEEP_PU = 0.01, 0.3, 0.1
"""An order stands while target and cap differ by less than that share of the target, base power by less than that share
of the rating, and energy kept by less than that share of what can be used."""
NO_BASE_PU = 0.02
"""Of the rating: less base power is none."""


def stands(running: Order, wanted: Order, storage: Storage, stored_kwh: float) -> bool:
    """Whether the running order does as well as the wanted one, so that nobody need be asked anew."""
    near_kw = OTHER_PU * wanted.target_kw
    charges = wanted.base_kw < 0.0 or stored_kwh < wanted.keep_kwh
    return (
        abs(running.target_kw - wanted.target_kw) <= near_kw
        and _base_stands(running.base_kw, wanted.base_kw, storage.power_kw)
        and abs(running.keep_kwh - wanted.keep_kwh) <= KEEP_PU * storage.usable_kwh
        and (abs(running.charge_cap_kw - wanted.charge_cap_kw) <= near_kw or not charges)
    )


def _base_stands(running_kw: float, wanted_kw: float, rating_kw: float) -> bool:
    """Of one sign and near; to charge faster than wanted does no harm, since the cap holds."""
    signs = [
        0 if abs(kw) < NO_BASE_PU * rating_kw else math.copysign(1, kw) for kw in (running_kw, wanted_kw)
    ]
    faster_kw = running_kw - wanted_kw if signs[1] < 0 else abs(running_kw - wanted_kw)
    return signs[0] == signs[1] and faster_kw <= BASE_PU * rating_kw


@dataclass
class Meter:
    """The running demand interval of the utility's meter."""

    interval_s: float = 900.0
    drawn_kwh: float = 0.0
    passed_s: float = 0.0

    def add(self, grid_kw: float, seconds: float) -> None:
        """Count a draw; a full interval starts anew."""
        self.drawn_kwh += grid_kw * seconds / 3600.0
        self.passed_s += seconds
        if self.passed_s >= self.interval_s - 1e-6:
            self.drawn_kwh, self.passed_s = 0.0, 0.0

    def allowed_kw(self, target_kw: float) -> float:
        """Draw for the rest of the interval that makes its mean the target, within a tenth of the target."""
        left_h = (self.interval_s - self.passed_s) / 3600.0
        rest = (target_kw * self.interval_s / 3600.0 - self.drawn_kwh) / left_h
        return min(max(rest, 0.9 * target_kw), 1.1 * target_kw)


def setpoint_kw(order: Order, draw_kw: float, meter: Meter, storage: Storage, stored_kwh: float) -> float:
    """Power asked of the storage for a draw just read; positive discharges.

    >>> from plant.control.peak.battery import Storage
    >>> s = Storage(1000.0, 100.0, 900.0, 1000.0, 0.95, 0.95, 6.0, 1.0)
    >>> order = Order(base_kw=-300.0, target_kw=5000.0, charge_cap_kw=4900.0)
    >>> [setpoint_kw(order, draw, Meter(), s, 500.0) for draw in (4000.0, 4800.0, 5400.0)]
    [-300.0, -100.0, 407.5]
    """
    allowed = meter.allowed_kw(HOLD_AIM_PU * order.target_kw)
    if draw_kw > allowed:
        wanted = max(draw_kw - allowed, _base_kw(order, storage, stored_kwh))
    else:
        wanted = _base_kw(order, storage, stored_kwh)
        if wanted < 0.0:
            wanted = -min(-wanted, max(min(order.charge_cap_kw, allowed) - draw_kw, 0.0))
    if wanted > 0.0:
        wanted = min(wanted, max(draw_kw - order.least_import_kw, 0.0))
        if stored_kwh <= storage.low_kwh:
            wanted = 0.0
    return min(max(wanted, -storage.power_kw), storage.power_kw)


def _base_kw(order: Order, storage: Storage, stored_kwh: float) -> float:
    """The base power, unless energy for peaks is short: then a refill within REFILL_H."""
    short_kwh = order.keep_kwh - stored_kwh
    if short_kwh <= 0.0:
        return order.base_kw
    return min(order.base_kw, 0.0, -short_kwh / storage.eta_charge / REFILL_H)


def follow_paths(
    loads_kw: FloatArray,
    hours: FloatArray,
    planned_kw: FloatArray,
    order: Order,
    storage: Storage,
    stored_kwh: float,
) -> tuple[FloatArray, FloatArray]:
    """A plan under loads other than expected: (S, K) grid power in kW and (S, K) stored energy in kWh at step ends.

    `planned_kw` (K,) is the plan's power; charge as planned under the cap, discharge for the price's sake as planned,
    and always what is above the target. Linear losses, as in the plan.
    """
    stored = np.full(len(loads_kw), stored_kwh)
    grid, kept = np.empty_like(loads_kw), np.empty_like(loads_kw)
    low = min(storage.low_kwh, stored_kwh)
    for step, hour in enumerate(hours):
        load = loads_kw[:, step]
        room_kw = np.maximum(order.charge_cap_kw - load, 0.0)
        base = np.maximum(planned_kw[step], -room_kw) if planned_kw[step] < 0.0 else planned_kw[step]
        wanted = np.where(load > order.target_kw, np.maximum(load - order.target_kw, base), base)
        wanted = np.minimum(wanted, np.maximum(load - order.least_import_kw, 0.0))
        most_out = np.maximum(stored - low, 0.0) * storage.eta_discharge / hour
        most_in = np.maximum(storage.high_kwh - stored, 0.0) / storage.eta_charge / hour
        power = np.clip(
            wanted, -np.minimum(most_in, storage.power_kw), np.minimum(most_out, storage.power_kw)
        )
        out, into = np.maximum(power, 0.0), np.maximum(-power, 0.0)
        stored = stored + (into * storage.eta_charge - out / storage.eta_discharge) * hour
        grid[:, step], kept[:, step] = load - power, stored
    return grid, kept
