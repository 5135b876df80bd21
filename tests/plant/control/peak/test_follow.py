"""The real-time layer and what a peak asks for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.control.peak.battery import Storage
from plant.control.peak.follow import Meter, Order, follow_paths, setpoint_kw, stands
from plant.control.peak.levers import FlexibleJob, Pause, best_pauses, paused
from plant.control.peak.need import least_targets_kw, needed_kwh
from plant.control.peak.paths import draws, roughness_kw, sample_paths
from plant.power.policy import HOLD_AIM_PU

STORE = Storage(200.0, 80.0, 360.0, 400.0, 0.95, 0.95, 1.2, 1.0)


def order(**changes: float) -> Order:
    return Order(**({"base_kw": 0.0, "target_kw": 1000.0, "charge_cap_kw": 950.0} | changes))


def test_above_the_target_storage_gives_the_excess() -> None:
    assert setpoint_kw(order(), 1100.0, Meter(), STORE, 300.0) == pytest.approx(1100.0 - HOLD_AIM_PU * 1000.0)


def test_charging_never_lifts_the_draw_above_its_cap() -> None:
    for draw_kw in np.linspace(700.0, 1000.0, 13):
        power = setpoint_kw(order(base_kw=-200.0), float(draw_kw), Meter(), STORE, 200.0)
        assert draw_kw - power <= max(950.0, draw_kw) + 1e-9


def test_what_went_over_early_in_the_interval_is_made_good() -> None:
    meter = Meter(900.0)
    meter.add(1060.0, 300.0)
    assert meter.allowed_kw(1000.0) == pytest.approx(970.0)
    meter.add(970.0, 600.0)
    assert meter.allowed_kw(1000.0) == pytest.approx(1000.0)


def test_an_empty_store_gives_nothing() -> None:
    assert setpoint_kw(order(), 1300.0, Meter(), STORE, 80.0) == 0.0


def test_energy_kept_for_bursts_is_not_sold_and_is_refilled() -> None:
    selling = order(base_kw=150.0, keep_kwh=250.0)
    assert setpoint_kw(selling, 800.0, Meter(), STORE, 300.0) == 150.0
    assert setpoint_kw(selling, 800.0, Meter(), STORE, 200.0) == pytest.approx(-50.0 / 0.95)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True), ({"target_kw": 1008.0}, True), ({"target_kw": 1012.0}, False), ({"target_kw": 985.0}, False),
        ({"base_kw": 150.0}, True), ({"base_kw": 30.0}, False), ({"base_kw": 0.0}, False), ({"base_kw": -100.0}, False),
        ({"keep_kwh": 90.0}, True), ({"keep_kwh": 130.0}, False), ({"charge_cap_kw": 900.0}, True),
    ],
)  # fmt: skip
def test_an_order_stands_until_the_plan_differs(change: dict[str, float], same: bool) -> None:
    running = order(base_kw=100.0, keep_kwh=100.0)
    assert stands(running, order(**({"base_kw": 100.0, "keep_kwh": 100.0} | change)), STORE, 300.0) is same


def test_to_charge_faster_than_wanted_does_no_harm_and_slower_does() -> None:
    fast, slow = order(base_kw=-200.0), order(base_kw=-80.0)
    assert stands(fast, slow, STORE, 300.0)
    assert not stands(slow, fast, STORE, 300.0)
    assert not stands(slow, order(base_kw=-80.0, charge_cap_kw=900.0), STORE, 300.0)


def test_paths_are_followed_within_power_and_energy() -> None:
    loads = np.full((3, 8), 900.0)
    loads[1, 2:4] = 1150.0
    loads[2, :] = 1300.0
    grid, stored = follow_paths(loads, np.full(8, 0.25), np.zeros(8), order(), STORE, 360.0)
    assert grid[0] == pytest.approx(loads[0])
    assert grid[1].max() == pytest.approx(1000.0)
    assert grid[2, 0] == pytest.approx(1100.0)
    assert grid[2, -1] == pytest.approx(1300.0)
    assert stored.min() >= STORE.low_kwh - 1e-9


def test_the_least_target_is_set_by_energy_or_by_power() -> None:
    flat_hours = np.full((1, 8), 900.0)
    long_peak, short_peak = flat_hours.copy(), flat_hours.copy()
    long_peak[0, 2:8] = 1200.0
    short_peak[0, 3] = 1200.0
    by_energy, by_power = (
        float(least_targets_kw(one, 3600.0, 360.0, STORE)[0]) for one in (long_peak, short_peak)
    )
    assert by_energy == pytest.approx(1200.0 - 280.0 * 0.95 / 6.0, abs=1.0)
    assert by_power == pytest.approx(1000.0, abs=1.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), stored=st.floats(80.0, 360.0))
def test_a_path_held_at_its_least_target_stays_there(seed: int, stored: float) -> None:
    """What `need` says can be held is held when it is run, refilling below the target."""
    load = np.random.default_rng(seed).uniform(600.0, 1300.0, (1, 24))
    target = float(least_targets_kw(load, 3600.0, stored, STORE)[0])
    held = order(target_kw=target, charge_cap_kw=target)
    grid, _ = follow_paths(load, np.ones(24), np.full(24, -200.0), held, STORE, stored)
    assert grid.max() <= target + 1e-6


def test_a_longer_sight_never_asks_for_less() -> None:
    loads = np.random.default_rng(1).uniform(600.0, 1300.0, (4, 48))
    short, long = (needed_kwh(loads, 900.0, 1100.0, STORE, hours) for hours in (1.0, 4.0))
    assert (long >= short - 1e-9).all()
    assert long.max() <= STORE.usable_kwh


def test_paths_fill_the_band_and_keep_bursts() -> None:
    expected = np.full(96, 1000.0)
    rough = np.zeros(960)
    rough[100:104] = 400.0
    paths = sample_paths(expected, expected - 100.0, expected + 100.0, 0.9, rough, draws(400, 96, 900.0))
    inside = (np.abs(paths - 1000.0) <= 100.0).mean()
    assert 0.82 < inside < 0.95
    assert paths.max() > 1350.0


def test_a_short_history_is_filled_up_with_made_up_days() -> None:
    rng = np.random.default_rng(0)
    assert roughness_kw(np.full(10, 500.0), 900.0, rng).size == 7 * 96
    known = roughness_kw(np.where(np.arange(960) == 500, 900.0, 500.0), 900.0, rng)
    assert known.size == 960
    assert known.max() == pytest.approx(400.0)
    assert np.isfinite(roughness_kw(np.array([np.nan] * 5), 900.0, rng)).all()


def test_a_job_waits_where_storage_is_not_enough_and_only_then() -> None:
    loads = np.full((2, 48), 900.0)
    loads[:, 8:20] = 1400.0
    job = FlexibleJob("tune", "gpu-01", 150.0, 0, 30, 0.3)

    def found(floor_kw: float) -> tuple[list[Pause], np.ndarray]:
        return best_pauses(
            loads, 900.0, 360.0, STORE, [job], floor_kw=floor_kw, quantile=0.5, demand_per_kw=10.0, price=0.1
        )

    chosen, after = found(0.0)
    assert [pause.job.name for pause in chosen] == ["tune"]
    assert chosen[0].gain > 0.0
    assert after.sum() == pytest.approx(loads.sum(), rel=1e-9)
    assert found(1500.0)[0] == []


def test_a_pause_moves_work_and_loses_none() -> None:
    loads = np.full((1, 40), 500.0)
    job = FlexibleJob("tune", "gpu-01", 100.0, 0, 20, 0.3)
    chosen, _ = best_pauses(
        loads, 900.0, 80.0, STORE, [job], floor_kw=0.0, quantile=0.5, demand_per_kw=0.0, price=0.1
    )
    assert chosen == []
    moved = paused(loads, Pause(job, 4, 8, 0.0, 0.0, 0.0))
    assert moved.sum() == pytest.approx(loads.sum())
    assert moved[0, 5] == 400.0
    assert moved[0, 22] == 600.0
