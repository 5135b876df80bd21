"""What energy a peak asks for: how much must lie in store to hold a target, and the lowest target a store can hold.

Both are of one load path that storage meets without knowing it: it gives what is above the target and refills below
it. What the converter's power cannot hold is left out of the energy; `least_target_kw` is then set by the power.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.compiled import njit
from plant.control.peak.battery import Storage

FloatArray = NDArray[np.float64]
BISECTIONS = 14
"""Halvings of the target's range: 2 MW come down to 120 W."""


@njit(cache=True)
def _asks(
    load: Any, hours: float, target: float, power: float, eta_in: float, eta_out: float, room: float
) -> float:
    """Stored energy above the lowest charge, at the begin, that holds the target throughout; infinite where a peak asks
    for more than the store has room for."""
    ahead = 0.0
    for step in range(load.size - 1, -1, -1):
        over = load[step] - target
        if over > 0.0:
            ahead += min(over, power) / eta_out * hours
            if ahead > room:
                return np.inf
        else:
            ahead = max(ahead - min(-over, power) * eta_in * hours, 0.0)
    return ahead


@njit(cache=True)
def _least(
    loads: Any,
    hours: float,
    usable: float,
    power: float,
    eta_in: float,
    eta_out: float,
    room: float,
    least: Any,
) -> None:
    for path in range(loads.shape[0]):
        load = loads[path]
        high = load.max()
        low = high - power
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            if _asks(load, hours, middle, power, eta_in, eta_out, room) > usable:
                low = middle
            else:
                high = middle
        least[path] = high


def needed_kwh(
    loads_kw: FloatArray, step_s: float, target_kw: float, storage: Storage, sight_h: float
) -> FloatArray:
    """(S, K): energy above the reserve that each path asks for within `sight_h` of each step, to be held at the target
    without a refill meanwhile; never more than the store has room for.

    >>> store = Storage(100.0, 20.0, 180.0, 200.0, 0.9, 0.9, 0.0, 1.0)
    >>> needed_kwh(np.array([[200.0, 290.0, 200.0]]), 3600.0, 245.0, store, 2.0).round(2).tolist()
    [[50.0, 50.0, 0.0]]
    """
    hours = step_s / 3600.0
    over = np.clip(loads_kw - target_kw, 0.0, storage.power_kw) / storage.eta_discharge * hours
    sums = np.pad(np.cumsum(over, axis=1), ((0, 0), (1, 0)))
    ends = np.minimum(np.arange(over.shape[1]) + max(1, round(sight_h / hours)), over.shape[1])
    need: FloatArray = np.minimum(sums[:, ends] - sums[:, :-1], storage.usable_kwh)
    return need


def least_targets_kw(loads_kw: FloatArray, step_s: float, stored_kwh: float, storage: Storage) -> FloatArray:
    """(S,): the lowest draw at which each path can be held from what is stored now."""
    least, usable = np.empty(len(loads_kw)), max(stored_kwh - storage.low_kwh, 0.0)
    if loads_kw.size:
        _least(
            loads_kw, step_s / 3600.0, usable, storage.power_kw, storage.eta_charge, storage.eta_discharge,
            max(storage.usable_kwh, usable), least,
        )  # fmt: skip
    return least
