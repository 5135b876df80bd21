"""What it is worth to renew a part at a given time, with its failure and its early loss priced.

Renewal reward: a part that is renewed costs its kind's cost rate from then on, so a plan pays

    cost(w) = C_f F(w) + C_p (1 - F(w)) - g * integral of (1 - F) from 0 to w

for renewal at w: the failure if it comes first, else the planned work, less what the old part's remaining life spares
(R. E. Barlow, F. Proschan, Mathematical Theory of Reliability, 1965, age replacement). Money in the site's currency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.parts import PartKind
from plant.control.maintenance.survival import GRID_DAYS, KindModel, Outlook, outlook

FloatArray = NDArray[np.float64]
CREW_PER_HOUR = 70.0
"""One technician, assumed."""
GPU_HOUR = 2.0
"""Worth of one GPU for an hour, assumed (of the order of its rental price)."""


@dataclass(frozen=True)
class Price:
    """Cost of renewing one part on a date of one's choosing, and of a failure instead."""

    planned: float
    failure: float

    @classmethod
    def of(cls, kind: PartKind, lost_gpu_hours: float = 0.0) -> Price:
        """`lost_gpu_hours`: work that a failure interrupts, beyond the kind's own failure cost."""
        planned = kind.work.part_cost + kind.work.hours * CREW_PER_HOUR
        return cls(planned, planned + kind.work.failure_cost + lost_gpu_hours * GPU_HOUR)


def cost_rate_per_day(failed_by: FloatArray, price: Price) -> tuple[float, float]:
    """Least long-run cost of a part a day that is renewed at a fixed age, and that age (infinite: run to failure).

    >>> wears = 1 - np.exp(-((GRID_DAYS / 1000) ** 4))
    >>> rate, age = cost_rate_per_day(wears, Price(1000.0, 10000.0))
    >>> round(rate, 2), round(age / 10) * 10
    (3.05, 450)
    """
    ages, lived = GRID_DAYS[1:], _lived(failed_by)[1:]
    rates = (price.failure * failed_by[1:] + price.planned * (1.0 - failed_by[1:])) / lived
    best = int(np.argmin(rates))
    return float(rates[best]), float(ages[best]) if best < len(ages) - 1 else float("inf")


def new_part(kind: PartKind, model: KindModel) -> Outlook:
    """The time to failure of a new one whose readings nobody follows."""
    return outlook(kind, model, None, age_days=0.0)


@dataclass(frozen=True)
class Worth:
    """Expected cost of one part, as a function of when it is renewed."""

    price: Price
    rate_per_day: float
    """Of the part that comes in."""
    days: FloatArray
    costs: FloatArray
    """By `days`; constants that no plan changes are left out."""

    @classmethod
    def of(cls, forecast: Outlook, price: Price, rate_per_day: float) -> Worth:
        failed = forecast.failed_by
        costs = price.failure * failed + price.planned * (1.0 - failed) - rate_per_day * _lived(failed)
        return cls(price, rate_per_day, GRID_DAYS, costs)

    def cost(self, days: float | FloatArray) -> FloatArray:
        return np.asarray(np.interp(days, self.days, self.costs))

    def later(self, horizon_days: float) -> float:
        """Least cost of all plans that renew it after the horizon, or never."""
        after = self.costs[self.days >= horizon_days]
        return float(min(self.cost(horizon_days), after.min()))

    def gain(self, days: FloatArray, horizon_days: float) -> FloatArray:
        """What renewal at those times saves against the best that leaves it until after the horizon."""
        return self.later(horizon_days) - self.cost(days)


def _lived(failed_by: FloatArray) -> FloatArray:
    """Expected time in service until failure or each of GRID_DAYS."""
    left = 1.0 - failed_by
    pieces = 0.5 * (left[1:] + left[:-1]) * np.diff(GRID_DAYS)
    return np.concatenate([[0.0], np.cumsum(pieces)])
