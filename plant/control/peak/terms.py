"""The terms of supply, checked: a tariff without holes, and what a kWh costs in each step of a plan."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from plant.control.results import Trouble
from plant.specs import Tariff, TariffBand

FloatArray = NDArray[np.float64]
REMEDY = "Mend the tariff in the site file: price_per_kwh, bands and demand_per_kw_month"
STAND_IN_DEMAND = 1.0
"""Of a site without any price: peaks are still held down, and a plan needs some worth for them."""


def checked(tariff: Tariff) -> tuple[Tariff, tuple[Trouble, ...]]:
    """The tariff to plan with, and a trouble for each hole, with what stands in for it. None of them blocks.

    A price that is negative or no number is replaced by the mean of the hours that have one; so is a price of 0 for
    hours that no band covers, where bands do have a price. A demand charge that is negative or no number counts as 0.

    >>> evening = TariffBand(from_hour=17, to_hour=21, price_per_kwh=0.3)
    >>> mended, troubles = checked(Tariff(price_per_kwh=0.0, bands=(evening,)))
    >>> mended.price_per_kwh, troubles[0].what
    (0.3, 'No band covers 20 of 24 hours, and their price is 0 EUR for each kWh')
    """
    troubles: list[Trouble] = []
    sound = [band for band in tariff.bands if _price(band.price_per_kwh)]
    uncovered = 24 - sum(band.to_hour - band.from_hour for band in tariff.bands)
    told = [(band.price_per_kwh, band.to_hour - band.from_hour) for band in sound]
    if uncovered and _price(tariff.price_per_kwh) and (tariff.price_per_kwh > 0.0 or not _dear(sound)):
        told.append((tariff.price_per_kwh, uncovered))
    mean = sum(price * hours for price, hours in told) / sum(hours for _, hours in told) if told else 0.0
    per = f"{tariff.currency} for each kWh"
    bands = []
    for band in tariff.bands:
        if not _price(band.price_per_kwh):
            what = (
                f"The price from {band.from_hour} to {band.to_hour} o'clock is {band.price_per_kwh:g} {per}"
            )
            troubles.append(_gap(what, f"plans with {mean:.4g} {per}, the mean of the other hours"))
            band = band.model_copy(update={"price_per_kwh": mean})
        bands.append(band)
    base = tariff.price_per_kwh
    if uncovered and (not _price(base) or (base == 0.0 and _dear(sound))):
        what = f"No band covers {uncovered} of 24 hours, and their price is {base:g} {per}"
        troubles.append(_gap(what, f"plans those hours with {mean:.4g} {per}, the mean of the others"))
        base = mean
    demand = tariff.demand_per_kw_month
    if not _price(demand):
        troubles.append(
            _gap(f"The demand charge is {demand:g} {tariff.currency} for each kW", "counts it as 0")
        )
        demand = 0.0
    if not any(band.price_per_kwh > 0.0 for band in bands) and not base > 0.0 and not demand > 0.0:
        troubles.append(_gap("The tariff has neither an energy price nor a demand charge",
                             "holds peaks down without counting money"))  # fmt: skip
        demand = STAND_IN_DEMAND
    mended = {
        "bands": tuple(bands),
        "price_per_kwh": base if _price(base) else mean,
        "demand_per_kw_month": demand,
    }
    return tariff.model_copy(update=mended), tuple(troubles)


def _price(value: float) -> bool:
    return math.isfinite(value) and value >= 0.0


def _dear(bands: list[TariffBand]) -> bool:
    return any(band.price_per_kwh > 0.0 for band in bands)


def _gap(what: str, instead: str) -> Trouble:
    return Trouble(kind="tariff_gap", what=what, instead=instead, remedy=REMEDY, blocks=False)


def prices_ahead(tariff: Tariff, start: datetime, steps: int, step_s: float, zone: ZoneInfo) -> FloatArray:
    """(steps,) price of a kWh by the site's own clock, over changes of summer time too."""
    begins = (start + timedelta(seconds=step * step_s) for step in range(steps))
    hours = (local.hour + local.minute / 60.0 for local in (moment.astimezone(zone) for moment in begins))
    return np.array([tariff.price_at(hour) for hour in hours])


def month_start(now: datetime, zone: ZoneInfo) -> datetime:
    """Begin of the billing month, by the site's clock."""
    return now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_end(now: datetime, zone: ZoneInfo) -> datetime:
    """Its end."""
    return month_start(month_start(now, zone) + timedelta(days=32), zone)
