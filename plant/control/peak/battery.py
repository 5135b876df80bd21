"""What a planner needs to know of a battery: limits, efficiencies, and what using and filling it costs in wear.

Sign as everywhere: power is positive when the battery DISCHARGES into the site, on the AC side of its converter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plant.power.ess import Ess, calendar_rate_pu, cycle_rate_pu, pcs_loss_kw

FloatArray = NDArray[np.float64]
END_OF_LIFE_PU = 0.2
"""Capacity lost when a battery is replaced; the usual warranty figure of grid storage."""
MID_LIFE_CALENDAR_PU = 0.1
"""Capacity that age alone has taken half-way through such a life; calendar wear is priced at its rate there."""
YEAR_H = 8766.0
PRICE_PER_KWH = {"EUR": 150.0, "USD": 165.0, "KRW": 228_000.0}
"""Of a turnkey battery system for each kWh of capacity, by currency (m: the world's average late in 2024, 165 USD, at
1,380 KRW and 0.91 EUR a dollar). A site that knows better gives its own."""
TYPICAL_PU = 0.5
"""Share of its rating at which the converter's efficiency is taken for a linear plan."""


@dataclass(frozen=True)
class Wear:
    """What ageing costs, in the tariff's currency."""

    per_kwh: float
    """For each kWh discharged (AC)."""
    per_kwh_h: float
    """For each kWh that lies in store for an hour, beyond an empty store: full cells age faster."""
    basis: str
    """Where the figures come from, in words."""


NO_WEAR = Wear(0.0, 0.0, "wear is not priced")


def wear_of(ess: Ess, currency: str, price_per_kwh: float | None = None) -> Wear:
    """Wear price of a battery from the price of its replacement for each kWh of capacity.

    Use: the replacement spread over the full discharges that take END_OF_LIFE_PU of an LFP cell by the law of
    `plant.power.ess.cycle_rate_pu` (average over life, since its first cycles age it most). Calendar: the square-root
    law's rate at MID_LIFE_CALENDAR_PU, its dependence on charge taken as a straight line across the window.

    >>> from plant.specs import EssSpec
    >>> wear = wear_of(Ess(EssSpec(capacity_kwh=4000, power_kw=2000)), "EUR")
    >>> round(wear.per_kwh, 4), round(wear.per_kwh_h * 24, 4)
    (0.0189, 0.0282)
    """
    price = PRICE_PER_KWH.get(currency) if price_per_kwh is None else price_per_kwh
    if price is None or price <= 0.0:
        return NO_WEAR
    spec = ess.spec
    c_rate = spec.power_kw / spec.capacity_kwh
    rate = float(cycle_rate_pu(c_rate, spec.cell_temp_c))
    discharges = (END_OF_LIFE_PU / rate) ** (1.0 / 0.55)
    low, high = (_calendar_pu_a_year(spec.cell_temp_c, soc) for soc in (spec.soc_min_pct, spec.soc_max_pct))
    span_kwh_pu = (spec.soc_max_pct - spec.soc_min_pct) / 100.0
    per_kwh_h = max(high - low, 0.0) / END_OF_LIFE_PU * price / span_kwh_pu / YEAR_H
    basis = (
        f"{price:g} {currency} for each kWh replaced, {discharges:,.0f} full discharges to the end of life"
    )
    return Wear(price / discharges / spec.efficiency_one_way, per_kwh_h, basis)


def _calendar_pu_a_year(temp_c: float, soc_pct: float) -> float:
    """Capacity lost in a year at rest at mid-life: d sqrt(k^2 t) / dt = k^2 / (2 q)."""
    rate = float(calendar_rate_pu(temp_c, soc_pct))
    return rate * rate * YEAR_H * 3600.0 / (2.0 * MID_LIFE_CALENDAR_PU)


@dataclass(frozen=True)
class Storage:
    """A battery as a linear plan sees it. Energy in kWh stored, power in kW AC."""

    power_kw: float
    low_kwh: float
    """The reserve, or the lowest charge."""
    high_kwh: float
    capacity_kwh: float
    eta_charge: float
    eta_discharge: float
    fixed_loss_kw: float
    """Of the converter while it runs."""
    keep_pu_per_h: float
    """Share of the charge that is left after an hour at rest."""
    wear: Wear = NO_WEAR

    @property
    def usable_kwh(self) -> float:
        """Between reserve and full."""
        return self.high_kwh - self.low_kwh

    def kwh(self, soc_pct: float) -> float:
        """Stored energy at a state of charge, in percent of what capacity is left."""
        return self.capacity_kwh * soc_pct / 100.0

    def soc_pct(self, kwh: float | FloatArray) -> float | FloatArray:
        """State of charge of a stored energy."""
        return 100.0 * kwh / self.capacity_kwh


def storage_of(ess: Ess, *, reserve_pct: float = 0.0, wear: Wear = NO_WEAR) -> Storage:
    """The linear view of a battery; `reserve_pct` is kept for ride-through.

    Efficiency is that of the converter at half its rating, where shaving mostly runs, and of the cells.
    """
    p = ess.vector
    at_kw = TYPICAL_PU * p[1]
    loss_kw = float(pcs_loss_kw(at_kw, p[1], p[3], p[4], p[5]))
    low_pct = min(max(float(p[6]), reserve_pct), float(p[7]))
    return Storage(
        power_kw=float(p[1]) if p[9] > 0.0 else 0.0,
        low_kwh=float(p[0]) * low_pct / 100.0,
        high_kwh=float(p[0] * p[7]) / 100.0,
        capacity_kwh=float(p[0]),
        eta_charge=float(p[2]) * (at_kw - loss_kw) / at_kw,
        eta_discharge=float(p[2]) * at_kw / (at_kw + loss_kw),
        fixed_loss_kw=float(p[1] * p[3]),
        keep_pu_per_h=math.exp(-float(p[8]) * 3600.0),
        wear=wear,
    )
