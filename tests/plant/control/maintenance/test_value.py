"""What renewal at a time is worth, and which policy wins."""

from __future__ import annotations

import numpy as np
import pytest

from plant.control.maintenance.fleet import held_against
from plant.control.maintenance.parts import PARTS
from plant.control.maintenance.survival import GRID_DAYS, Outlook, fitted
from plant.control.maintenance.value import Price, Worth, cost_rate_per_day

PRICE = Price(1000.0, 8000.0)


def test_a_constant_hazard_is_never_worth_a_calendar() -> None:
    _, age = cost_rate_per_day(1.0 - np.exp(-GRID_DAYS / 2000.0), PRICE)
    assert age == float("inf")


def test_renewal_is_put_just_before_a_failure_that_is_foreseen() -> None:
    dies = Outlook("pump_bearing", np.clip((GRID_DAYS - 40.0) / 20.0, 0.0, 1.0), None)
    worth = Worth.of(dies, PRICE, 10.0)
    assert 35.0 < GRID_DAYS[int(np.argmin(worth.costs))] < 45.0
    gain = worth.gain(np.array([5.0, 36.0, 70.0]), 90.0)
    assert gain[1] > gain[0] > 0.0
    assert gain[2] == pytest.approx(0.0, abs=1.0)


def test_what_lasts_is_left_alone() -> None:
    lasts = Outlook("pump_bearing", np.clip((GRID_DAYS - 3000.0) / 2000.0, 0.0, 1.0), None)
    assert (Worth.of(lasts, PRICE, 1.0).gain(np.array([1.0, 30.0, 80.0]), 90.0) <= 0.0).all()


def test_forecasts_beat_running_to_failure_on_the_same_lives() -> None:
    run, *_, forecast = held_against(PARTS["condenser"], fitted()["condenser"], 40, 71)
    assert run.policy == "run to failure"
    assert run.life_used == 1.0
    assert forecast.low > 0.0
    assert forecast.failures_a_century < run.failures_a_century
