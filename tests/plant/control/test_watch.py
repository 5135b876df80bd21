"""Raw readings to an even grid: nothing impossible gets in, nothing true is thrown away, and what was done is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plant.control.watch import LEAD_S, EvenSeries, bounds_of, bridge, even_series

END = datetime(2026, 3, 14, 12, tzinfo=UTC)


def even(values: list[float], *, every_s: float = 60.0, steps: int = 30, step_s: float = 60.0, metric: str = "load_kw",
         ages_s: list[float] | None = None) -> EvenSeries:  # fmt: skip
    """Readings at even distances, the last one at the end, unless their ages are given."""
    ages_s = ages_s if ages_s is not None else [(len(values) - 1 - k) * every_s for k in range(len(values))]
    times = [END - timedelta(seconds=age) for age in ages_s]
    return even_series("feed-a", metric, times, values, end=END, steps=steps, step_s=step_s)


def wandering(count: int, seed: int = 1) -> list[float]:
    walk = 1000.0 + np.cumsum(np.random.default_rng(seed).standard_normal(count))
    return [float(value) for value in walk]


def kinds(found: EvenSeries) -> list[str]:
    return [trouble.kind for trouble in found.troubles]


def test_sound_readings_pass_as_they_are_and_nothing_is_told() -> None:
    values = wandering(60)
    found = even(values)
    np.testing.assert_allclose(found.values, values[-30:])
    assert found.troubles == ()
    assert found.start == END - timedelta(minutes=30)
    assert found.covered_pu == 1.0


def test_several_readings_a_step_are_averaged() -> None:
    found = even([1.0, 3.0, 5.0, 7.0], every_s=30.0, steps=2)
    assert found.values.tolist() == [2.0, 6.0]


def test_a_sensor_slower_than_the_grid_is_interpolated_without_a_word() -> None:
    found = even([float(k) for k in range(0, 31, 10)], every_s=600.0, steps=30)
    assert np.isfinite(found.values).all()
    assert (np.diff(found.values) >= 0).all()
    assert found.troubles == ()


def test_short_gaps_are_bridged_and_told_long_ones_stay_open_and_are_told() -> None:
    values = wandering(180)
    values[100:104] = [float("nan")] * 4
    values[120:150] = [float("nan")] * 30
    found = even(values, steps=180)
    assert found.bridged == 4
    assert np.isfinite(found.values[100:104]).all()
    assert np.isnan(found.values[120:150]).all()
    assert kinds(found) == ["missing", "missing"]
    assert "4 min of 3 h not read" in found.troubles[0].what
    assert "30 min of 3 h not read, in gaps too long to bridge" in found.troubles[1].what
    assert not any(trouble.blocks for trouble in found.troubles)


def test_nothing_read_is_all_nan_and_one_trouble() -> None:
    found = even([])
    assert np.isnan(found.values).all()
    assert kinds(found) == ["missing"]


@pytest.mark.parametrize("value", [1e7, -1e7, float("inf")])
def test_what_cannot_be_is_left_out(value: float) -> None:
    values = wandering(60)
    values[50] = value
    found = even(values)
    assert found.values.max() < 1100.0
    assert found.values.min() > 900.0
    assert kinds(found)[0] == ("impossible" if np.isfinite(value) else "missing")


def test_a_lone_spike_is_left_out_and_a_burst_is_kept() -> None:
    spiked = wandering(60)
    spiked[50] = 9000.0
    burst = wandering(60)
    burst[45:55] = [value + 900.0 for value in burst[45:55]]
    assert even(spiked).values.max() < 1100.0
    assert "far from the ones before and after, the last 9000" in even(spiked).troubles[0].what
    np.testing.assert_allclose(even(burst).values, burst[-30:])


def test_a_sensor_that_stands_still_is_left_out_but_a_setpoint_may_stand() -> None:
    stuck = wandering(100)
    stuck[70:] = [stuck[70]] * 30
    found = even(stuck, steps=100)
    assert kinds(found) == ["stale", "missing"]
    assert "stood at" in found.troubles[0].what
    assert np.isnan(found.values[-20:]).all()
    setpoint = [24.0] * 40 + [23.0] * 30 + [25.0] * 20 + [24.5] * 10
    assert even(setpoint, steps=100, metric="supply_temp_c").troubles == ()


def test_stamps_from_the_future_are_left_out() -> None:
    values = wandering(31)
    found = even([*values, 5000.0], ages_s=[*(60.0 * (30 - k) for k in range(31)), -3600.0])
    assert kinds(found) == ["clock_jump"]
    assert "1 reading stamped up to 60 min ahead" in found.troubles[0].what
    assert found.values.max() < 1100.0


def test_a_clock_that_ran_back_is_told_and_what_came_last_counts() -> None:
    ages_s = [1800.0 - 60.0 * k for k in range(31)]
    values = wandering(31)
    twice = [*values[:20], *[value + 50.0 for value in values[10:31]]]
    found = even(twice, ages_s=[*ages_s[:20], *ages_s[10:31]])
    assert kinds(found) == ["clock_jump"]
    assert "ran back once, by up to 9 min" in found.troubles[0].what
    np.testing.assert_allclose(found.values[10:], np.array(values[11:]) + 50.0)


@given(
    readings=st.lists(
        st.tuples(
            st.floats(-7200, 40_000),
            st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 2000)),
        ),
        max_size=120,
    ),
    steps=st.integers(1, 60),
    step_s=st.sampled_from([1.0, 60.0, 900.0]),
    metric=st.sampled_from(["load_kw", "soc_pct", "supply_temp_c", "mood"]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_read_the_grid_has_its_length_and_only_possible_values(
    readings: list[tuple[float, float]], steps: int, step_s: float, metric: str
) -> None:
    times = [END - timedelta(seconds=age) for age, _ in readings]
    found = even_series(
        "x", metric, times, [value for _, value in readings], end=END, steps=steps, step_s=step_s
    )
    assert found.values.shape == (steps,)
    known = found.values[np.isfinite(found.values)]
    assert not np.isinf(found.values).any()
    least, most = bounds_of(metric)
    assert ((known >= least - 1e-9) & (known <= most + 1e-9)).all()
    if len(known) and metric != "mood":
        true = [
            value
            for age, value in readings
            if age < steps * step_s + LEAD_S + step_s and least <= value <= most
        ]
        assert min(true) - 1e-6 <= known.min()
        assert known.max() <= max(true) + 1e-6
    if not len(known):
        assert "missing" in kinds(found)


@given(st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3)), min_size=1, max_size=50), st.integers(0, 6))
@settings(deadline=None)
def test_bridging_changes_no_reading_and_closes_no_long_gap(read: list[float | None], most: int) -> None:
    grid: NDArray[np.float64] = np.array([np.nan if value is None else value for value in read])
    filled, bridged = bridge(grid, most)
    known = np.isfinite(grid)
    np.testing.assert_array_equal(filled[known], grid[known])
    assert int(np.isfinite(filled).sum() - known.sum()) == bridged
    assert np.isnan(filled[: int(np.argmax(known)) if known.any() else len(grid)]).all()


def test_bounds_are_those_of_the_longest_unit_that_fits() -> None:
    assert bounds_of("gpu_temp_c") == (-40.0, 150.0)
    assert bounds_of("power_kw") == (-1e6, 1e6)
    assert bounds_of("hbm_sbe_per_h") == (0.0, 1e9)
    assert bounds_of("running") == (0.0, 1.0)
