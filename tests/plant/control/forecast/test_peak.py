"""The peak of the next day, as a distribution."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from plant.control.forecast.bench import DAY, pool_rates
from plant.control.forecast.model import Forecaster
from plant.control.forecast.rolling import error_pu, roll_peaks
from setpoint.errors import InputError

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP_S = 600.0


def test_on_pools_not_looked_at_it_beats_yesterdays_peak_and_its_interval_holds() -> None:
    ours, yesterday, inside = [], [], []
    for seed in range(311, 317):
        tried = roll_peaks(pool_rates(seed, 16), START, STEP_S, 8 * DAY, 36)
        ours += error_pu(np.array([peak.expected for peak in tried.found]), tried.came).tolist()
        yesterday += error_pu(tried.yesterday, tried.came).tolist()
        inside += [peak.low <= came <= peak.high for peak, came in zip(tried.found, tried.came, strict=True)]
    assert np.mean(ours) < np.mean(yesterday)
    assert np.mean(inside) >= 0.85


def test_chance_and_quantile_belong_to_one_distribution() -> None:
    values = pool_rates(9, 10)
    peak = Forecaster(STEP_S, DAY).fit(values, START).peak(values, START)
    assert peak.low < peak.expected < peak.high
    assert peak.chance_above(peak.expected) == pytest.approx(0.5, abs=0.1)
    assert peak.chance_above(peak.quantile(0.9)) == pytest.approx(0.1, abs=0.03)
    assert peak.chance_above(100 * peak.high) < 0.01


def test_a_job_that_is_announced_raises_the_peak_by_its_power() -> None:
    rng = np.random.default_rng(2)
    jobs = np.repeat(rng.integers(0, 2, 10 * 12), DAY // 12).astype(float)
    values = 1000.0 + 5.0 * rng.standard_normal(10 * DAY) + 300.0 * jobs
    model = Forecaster(STEP_S, DAY).fit(values, START, jobs)
    rest, busy = (model.peak(values, START, np.full((DAY, 1), load), jobs).expected for load in (0.0, 1.0))
    assert busy - rest == pytest.approx(300.0, rel=0.05)


def test_less_than_a_day_says_so_and_a_day_gives_wide_bands() -> None:
    values = pool_rates(9, 1)
    with pytest.raises(InputError, match="needs 144 steps"):
        Forecaster(STEP_S, DAY).fit(values[:50], START).peak(values[:50], START)
    peak = Forecaster(STEP_S, DAY).fit(values, START).peak(values, START)
    assert peak.expected == values.max()
    assert peak.high > 1.2 * peak.expected
