"""The forecaster: what it promises of shapes and honesty, and what it is worth against what it must beat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plant.control.forecast.bench import AHEAD, DATA, DAY, RATES, pool_rates, public_rates
from plant.control.forecast.model import Bands, Forecaster, persistence, seasonal_naive
from plant.control.forecast.rolling import BASELINES, error_pu, roll
from setpoint.errors import InputError, UsageError

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP_S = 600.0


def swinging(days: float, seed: int = 1, noise: float = 0.03) -> NDArray[np.float64]:
    """A daily swing with noise, 10-minute steps."""
    steps = np.arange(round(days * DAY))
    rng = np.random.default_rng(seed)
    return np.asarray(
        1000.0 + 300.0 * np.sin(2 * np.pi * steps / DAY) + 1000.0 * noise * rng.standard_normal(len(steps))
    )


def sound(bands: Bands, horizon: int) -> None:
    for end in (bands.low, bands.expected, bands.high):
        assert end.shape == (horizon,)
        assert np.isfinite(end).all()
    assert (bands.low <= bands.expected).all()
    assert (bands.expected <= bands.high).all()


@given(
    length=st.integers(1, 700),
    gaps=st.lists(st.tuples(st.integers(0, 699), st.integers(1, 200)), max_size=4),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e6]),
    shift=st.sampled_from([0.0, -500.0, 500.0]),
)
@settings(max_examples=40, deadline=None)
def test_any_history_with_gaps_gives_finite_ordered_bands_or_says_why_not(
    length: int, gaps: list[tuple[int, int]], scale: float, shift: float
) -> None:
    values = scale * (np.abs(swinging(5)[:length]) + shift)
    for begin, long in gaps:
        values[begin : begin + long] = np.nan
    if not np.isfinite(values).any():
        with pytest.raises(InputError, match="nothing was read"):
            Forecaster(STEP_S, 50).fit(values, START)
        return
    sound(Forecaster(STEP_S, 50).fit(values, START).predict(values, START), 50)


def test_little_history_gives_the_last_value_and_bands_that_widen() -> None:
    values = swinging(0.5)
    model = Forecaster(STEP_S, DAY).fit(values, START)
    bands = model.predict(values, START)
    assert "less than 30 h" in model.method
    assert (bands.expected == values[-1]).all()
    assert bands.high[-1] - bands.low[-1] > bands.high[0] - bands.low[0] > 0
    assert bands.high[-1] - bands.low[-1] >= 2 * 0.3 * values[-1] - 1e-9


def test_a_daily_swing_is_found_and_beats_all_three_baselines_at_every_horizon() -> None:
    tried = roll(swinging(10), START, STEP_S, AHEAD, 8 * DAY, every=5)
    for column in range(len(AHEAD)):
        good = np.isfinite(tried.came[:, column])
        ours = error_pu(tried.ours[:, column], tried.came[:, column])[good].mean()
        for name in BASELINES:
            assert ours < error_pu(tried.baselines[name][:, column], tried.came[:, column])[good].mean(), (
                name,
                column,
            )


def test_intervals_hold_about_as_often_as_they_say_on_pools_not_looked_at() -> None:
    inside: list[bool] = []
    for seed in (301, 302):
        tried = roll(pool_rates(seed, 14), START, STEP_S, AHEAD, 9 * DAY, every=17)
        good = np.isfinite(tried.came)
        inside += ((tried.low <= tried.came) & (tried.came <= tried.high))[good].tolist()
    assert 0.85 <= np.mean(inside) <= 0.97


def test_an_interval_of_a_higher_level_is_wider() -> None:
    values = swinging(6)
    half, most = (
        Forecaster(STEP_S, 30, level=level).fit(values, START).predict(values, START) for level in (0.5, 0.95)
    )
    assert ((most.high - most.low) > (half.high - half.low)).all()


def test_predicting_changes_nothing_and_uses_nothing_of_the_future() -> None:
    values = swinging(8)
    model = Forecaster(STEP_S, 36).fit(values[: 6 * DAY], START)
    first = model.predict(values[: 7 * DAY], START)
    model.predict(values, START)
    again = model.predict(values[: 7 * DAY], START)
    np.testing.assert_array_equal(first.expected, again.expected)
    np.testing.assert_array_equal(first.low, again.low)


def test_errors_since_the_fit_widen_the_interval() -> None:
    values = swinging(8, noise=0.01)
    wild = values.copy()
    wild[7 * DAY :] *= 1.0 + 0.3 * np.random.default_rng(5).standard_normal(DAY)
    model = Forecaster(STEP_S, 12).fit(values[: 7 * DAY], START)
    calm, restless = model.predict(values, START), model.predict(wild, START)
    assert (restless.high - restless.low).mean() > 2 * (calm.high - calm.low).mean()


def test_a_job_known_ahead_is_foreseen_with_its_power() -> None:
    rng = np.random.default_rng(3)
    jobs = np.repeat(rng.integers(0, 2, 10 * 12), DAY // 12).astype(float)
    values = swinging(10) + 400.0 * jobs
    history = values[: 9 * DAY]
    known, ahead = jobs[: 9 * DAY, None], jobs[9 * DAY :, None]
    came = values[9 * DAY :]
    told = Forecaster(STEP_S, DAY).fit(history, START, known).predict(history, START, ahead, known)
    untold = Forecaster(STEP_S, DAY).fit(history, START).predict(history, START)
    assert error_pu(told.expected, came).mean() < 0.5 * error_pu(untold.expected, came).mean()
    assert np.mean((told.low <= came) & (came <= told.high)) > 0.7


def test_where_the_schedule_is_not_known_the_forecast_is_that_without_it() -> None:
    jobs = np.repeat(np.arange(60) % 2, DAY // 6).astype(float)
    values = swinging(10) + 400.0 * jobs
    ahead = np.full((DAY, 1), np.nan)
    ahead[:72] = 1.0
    partly = Forecaster(STEP_S, DAY).fit(values, START, jobs).predict(values, START, ahead, jobs)
    without = Forecaster(STEP_S, DAY).fit(values, START).predict(values, START)
    np.testing.assert_array_equal(partly.expected[72:], without.expected[72:])
    assert (partly.expected[:72] != without.expected[:72]).any()


def test_covariates_of_the_fit_are_remembered_by_their_time() -> None:
    jobs = np.repeat(np.arange(60) % 2, DAY // 6).astype(float)
    values = swinging(10) + 400.0 * jobs
    model = Forecaster(STEP_S, 36).fit(values, START, jobs)
    ahead = np.ones((36, 1))
    given, remembered = model.predict(values, START, ahead, jobs), model.predict(values, START, ahead)
    np.testing.assert_allclose(given.expected, remembered.expected)
    later = START + timedelta(seconds=DAY * STEP_S)
    np.testing.assert_allclose(
        model.predict(values[DAY:], later, ahead, jobs[DAY:]).expected,
        model.predict(values[DAY:], later, ahead).expected,
    )


@pytest.mark.parametrize(("step_s", "steps", "level"), [(0.0, 10, 0.9), (60.0, 0, 0.9), (60.0, 10, 1.0)])
def test_what_cannot_be_forecast_is_refused(step_s: float, steps: int, level: float) -> None:
    with pytest.raises(UsageError, match="cannot be forecast"):
        Forecaster(step_s, steps, level=level)


def test_wrong_shapes_and_a_start_without_a_zone_are_refused() -> None:
    values = swinging(3)
    with pytest.raises(InputError, match="432 rows are needed"):
        Forecaster(STEP_S, 10).fit(values, START, np.zeros((3, 1)))
    with pytest.raises(InputError, match="no zone"):
        Forecaster(STEP_S, 10).fit(values, datetime(2026, 1, 1))
    jobs = np.repeat(np.arange(72) % 2, 6).astype(float)
    model = Forecaster(STEP_S, 10).fit(values + 100 * jobs, START, jobs)
    with pytest.raises(InputError, match="10 rows are needed"):
        model.predict(values, START, np.zeros((4, 1)), jobs)
    with pytest.raises(InputError, match="learned with 1 covariates"):
        model.predict(values, START, np.zeros((10, 2)), np.zeros((432, 2)))


def test_baselines_repeat_what_was_read() -> None:
    values = np.array([1.0, 2.0, np.nan, 4.0])
    assert persistence(values, 2).tolist() == [4.0, 4.0]
    assert seasonal_naive(values, 5, 3).tolist() == [2.0, 4.0, 4.0, 2.0, 4.0]
    with pytest.raises(InputError, match="no finite reading"):
        persistence(np.array([np.nan]), 1)


@pytest.mark.skipif(not (DATA / RATES).exists(), reason="public data absent: ../shared/data/plant")
def test_on_public_rates_baselines_are_beaten_over_the_horizons() -> None:
    """Days 8 to 14, on which nothing was chosen. Every fourth moment only: the bench has all, and each horizon apart."""
    rates = public_rates(DATA)
    assert rates is not None
    tried = roll(rates, START, STEP_S, AHEAD, 7 * DAY, every=4)

    def errors(found: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([
            np.nanmean(error_pu(found[:, column], tried.came[:, column])) for column in range(len(AHEAD))
        ])  # fmt: skip

    best = np.min([errors(found) for found in tried.baselines.values()], axis=0)
    assert (errors(tried.ours) / best).mean() < 0.97
    assert (errors(tried.ours) / best).max() < 1.06
