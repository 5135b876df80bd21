"""Paths of degradation from readings."""

from __future__ import annotations

import numpy as np
import pytest

from plant.control.maintenance.parts import PARTS
from plant.control.maintenance.trend import SlopePrior, strongest, trend, window_days

PUMP, FILTER = PARTS["pump_bearing"], PARTS["coolant_filter"]
WIDE = SlopePrior(0.03, 0.05)
DAYS = np.arange(0.0, 90.0, 3.0)


def _vibration(damage: np.ndarray, seed: int = 0, noise: float = 0.025) -> np.ndarray:
    shown = damage + noise * np.random.default_rng(seed).standard_normal(len(damage))
    return 1.6 + shown * 5.5


def test_a_sound_unit_shows_no_sign() -> None:
    hits = sum(
        found.sign
        for seed in range(200)
        if (found := trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, _vibration(0.0 * DAYS, seed), WIDE))
    )
    assert hits <= 2


def test_a_sensor_noisier_than_told_makes_no_sign() -> None:
    hits = sum(
        found.sign
        for seed in range(200)
        if (
            found := trend(
                PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, _vibration(0.0 * DAYS, seed, 0.1), WIDE
            )
        )
    )
    assert hits <= 3


def test_exponential_wear_is_extrapolated_to_its_limit() -> None:
    rate = 0.04
    damage = 0.25 * np.exp(rate * (DAYS - DAYS[-1]))
    found = trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, _vibration(damage, noise=0.006), WIDE)
    assert found is not None
    assert found.sign
    assert found.growing
    assert found.rul_days == pytest.approx(np.log(1 / 0.25) / rate, rel=0.25)


def test_a_straight_line_is_believed_where_it_fits_clearly_better() -> None:
    damage = np.maximum(0.0, (DAYS - 20.0) * 0.008)
    found = trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, _vibration(damage, noise=0.004), WIDE)
    assert found is not None
    assert not found.growing
    assert found.rul_days == pytest.approx((1.0 - damage[-1]) / 0.008, rel=0.2)


def test_a_clogging_filter_is_a_line() -> None:
    damage = 0.3 + DAYS * 0.003
    found = trend(
        FILTER, FILTER.by_metric["filter_dp_kpa"], DAYS, 24.0 + damage * 36.0, SlopePrior(0.002, 0.002)
    )
    assert found is not None
    assert found.rul_days == pytest.approx((1.0 - damage[-1]) / 0.003, rel=0.1)


def test_a_wild_reading_makes_no_sign() -> None:
    values = _vibration(0.0 * DAYS)
    values[-7] = 9.0
    found = trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, values, WIDE)
    assert found is not None
    assert not found.sign


def test_gaps_and_few_readings_are_told_apart() -> None:
    values = _vibration(0.0 * DAYS)
    values[::2] = np.nan
    assert trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, values, WIDE) is not None
    assert trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS[:3], values[:3], WIDE) is None
    assert trend(PUMP, PUMP.by_metric["vibration_mm_s"], np.zeros(0), np.zeros(0), WIDE) is None


def test_past_its_limit_the_time_left_is_short_but_not_nothing() -> None:
    found = trend(
        FILTER, FILTER.by_metric["filter_dp_kpa"], DAYS, np.full(len(DAYS), 61.0), SlopePrior(0.002, 0.001)
    )
    assert found is not None
    assert 0.5 <= found.rul_days < 60.0


def test_the_signal_that_ends_soonest_speaks() -> None:
    slow = trend(
        FILTER,
        FILTER.by_metric["filter_dp_kpa"],
        DAYS,
        24 + 36 * (0.2 + 0.001 * DAYS),
        SlopePrior(0.002, 0.002),
    )
    fast = trend(
        FILTER,
        FILTER.by_metric["passage_pu"],
        DAYS,
        1 - 0.45 * (0.2 + 0.006 * DAYS),
        SlopePrior(0.002, 0.002),
    )
    assert slow
    assert fast
    assert strongest([slow, fast]) is fast
    assert strongest([]) is None


def test_slow_wear_is_looked_at_for_longer() -> None:
    assert window_days(PUMP) == 90.0
    assert window_days(PARTS["ess_cells"]) == 730.0


def test_readings_ahead_stay_between_their_ends() -> None:
    damage = 0.25 * np.exp(0.04 * (DAYS - DAYS[-1]))
    found = trend(PUMP, PUMP.by_metric["vibration_mm_s"], DAYS, _vibration(damage), WIDE)
    assert found
    middle, low, high = found.ahead(np.arange(1.0, 15.0), 0.025, 0.9)
    assert (low < middle).all()
    assert (middle < high).all()
    assert (np.diff(high - low) > 0).all()
