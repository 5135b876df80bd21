"""A small battery and a load with an evening peak."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from plant.control.peak.battery import Storage, storage_of, wear_of
from plant.control.peak.online import Case
from plant.power.ess import Ess
from plant.specs import EssSpec, Tariff, TariffBand

EVENING = Tariff(
    price_per_kwh=0.10,
    bands=(TariffBand(from_hour=17, to_hour=21, price_per_kwh=0.30),),
    demand_per_kw_month=10.0,
)


@pytest.fixture
def ess() -> Ess:
    return Ess(EssSpec(power_kw=200.0, capacity_kwh=400.0, soc_start_pct=50.0))


@pytest.fixture
def storage(ess: Ess) -> Storage:
    return storage_of(ess, reserve_pct=20.0, wear=wear_of(ess, "EUR"))


def days_of(days: int, seed: int, step_s: float = 900.0) -> np.ndarray:
    """A load of 1 MW with a day's swing, noise and a burst on the third day."""
    steps = round(days * 86400.0 / step_s)
    hours = np.arange(steps) * step_s / 3600.0
    rng = np.random.default_rng(seed)
    load: np.ndarray = (
        1000.0 + 200.0 * np.sin(2 * np.pi * (hours - 9.0) / 24.0) + rng.normal(0.0, 15.0, steps)
    )
    load[(hours > 62.0) & (hours < 62.6)] += 250.0
    return load


@pytest.fixture
def case(ess: Ess) -> Case:
    """Five days after five days of history, at a minute a step."""
    minutes = np.repeat(days_of(10, 3), 15)
    return Case(
        "made up",
        minutes[7200:],
        60.0,
        datetime(2026, 3, 2, tzinfo=UTC),
        EVENING,
        ess,
        before_kw=minutes[:7200],
    )
