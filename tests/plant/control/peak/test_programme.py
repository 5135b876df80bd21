"""The programme: it keeps its limits, agrees with a plan found otherwise, and says when there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.control.peak.battery import NO_WEAR, Storage
from plant.control.peak.planner import Situation, Tuning, decide
from plant.control.peak.programme import Plan, Problem, solve

STORE = Storage(100.0, 40.0, 180.0, 200.0, 0.95, 0.95, 0.6, 1.0)


def problem(load: list[float] | np.ndarray, **changes: object) -> Problem:
    table = np.atleast_2d(np.asarray(load, dtype=float))
    steps = table.shape[1]
    base = Problem(
        load_kw=table, weights=np.full(len(table), 1.0 / len(table)), hours=np.ones(steps), prices=np.full(steps, 0.1),
        demand_per_kw=10.0, peak_so_far_kw=0.0, storage=STORE, stored_kwh=180.0,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name


def grid(asked: Problem, plan: Plan) -> np.ndarray:
    return asked.load_kw - plan.power_kw


def test_a_peak_is_cut_to_what_the_energy_allows() -> None:
    """140 kWh in store give 133 over two hours of 300 kW: 300 - 66.5."""
    asked = problem([200.0, 300.0, 300.0, 200.0], stored_kwh=180.0)
    assert solve(asked).peaks_kw[0] == pytest.approx(300.0 - 140.0 * 0.95 / 2.0, abs=0.1)


def test_what_lies_below_the_peak_already_paid_is_left_alone() -> None:
    plan = solve(problem([200.0, 300.0, 300.0, 200.0], peak_so_far_kw=310.0, end_value_per_kwh=0.2))
    assert np.abs(plan.power_kw).max() == pytest.approx(0.0, abs=1e-6)


def test_a_later_peak_that_comes_anyhow_makes_the_present_one_free() -> None:
    asked = problem([200.0, 300.0, 200.0], end_value_per_kwh=0.2, later_peaks_kw=np.array([400.0, 500.0]))
    assert np.abs(solve(asked).power_kw).max() == pytest.approx(0.0, abs=1e-6)


def test_the_price_moves_energy_only_where_it_pays_for_losses_and_wear() -> None:
    prices = np.array([0.10, 0.10, 0.13, 0.13])
    flat = problem([300.0] * 4, prices=prices, demand_per_kw=0.0, stored_kwh=40.0)
    assert solve(flat).power_kw.max() > 90.0
    worn = replace(STORE, wear=replace(NO_WEAR, per_kwh=0.05))
    assert solve(replace(flat, storage=worn)).power_kw.max() == pytest.approx(0.0, abs=1e-6)


def test_the_fixed_loss_of_the_converter_is_seen_by_the_integer_programme_only() -> None:
    """A spread that pays for the linear losses but not for 6 kW as long as the converter runs."""
    lossy = replace(STORE, fixed_loss_kw=6.0)
    prices = np.array([0.100, 0.100, 0.115, 0.115])
    asked = problem([300.0] * 4, prices=prices, demand_per_kw=0.0, stored_kwh=40.0, storage=lossy)
    blind, seeing = solve(asked), solve(asked, integer_steps=4)
    assert blind.power_kw.max() > 50.0
    assert seeing.power_kw.max() == pytest.approx(0.0, abs=1e-6)
    assert seeing.gap is not None


def test_charging_in_the_first_step_stays_under_its_cap() -> None:
    asked = problem([300.0, 500.0], stored_kwh=40.0, charge_cap_kw=320.0)
    assert solve(asked).base_kw == pytest.approx(-20.0, abs=0.5)


def test_energy_that_is_to_be_kept_is_not_sold() -> None:
    prices = np.array([0.3, 0.1, 0.1])
    sold = solve(problem([300.0] * 3, prices=prices, demand_per_kw=0.0))
    kept = solve(
        problem([300.0] * 3, prices=prices, demand_per_kw=0.0, keep_kwh=np.full(3, 150.0), short_price=5.0)
    )
    assert sold.stored_kwh[0, 0] < 100.0
    assert kept.stored_kwh[0, 0] == pytest.approx(150.0, abs=0.1)


def test_the_contracted_power_is_held_where_it_can_be_and_the_plan_stands_where_it_cannot() -> None:
    held = solve(problem([200.0, 290.0], most_import_kw=200.0, demand_per_kw=0.0))
    assert held.peaks_kw[0] <= 200.0 + 0.1
    over = solve(problem([200.0, 900.0], most_import_kw=200.0, demand_per_kw=0.0))
    assert over.status == "optimal"
    assert over.peaks_kw[0] == pytest.approx(800.0, abs=0.1)


def test_out_of_time_means_a_resting_battery() -> None:
    asked = problem(np.random.default_rng(0).uniform(100.0, 300.0, (30, 96)))
    plan = solve(asked, time_limit_s=1e-6)
    assert plan.status == "time limit"
    assert plan.base_kw == 0.0
    assert not plan.power_kw.any()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), paths=st.integers(1, 4), steps=st.integers(2, 12),
    soc=st.floats(0.0, 1.0), floor=st.floats(0.0, 400.0),
)  # fmt: skip
def test_every_plan_keeps_its_limits(seed: int, paths: int, steps: int, soc: float, floor: float) -> None:
    rng = np.random.default_rng(seed)
    asked = problem(
        rng.uniform(50.0, 400.0, (paths, steps)), prices=rng.uniform(0.0, 0.4, steps), stored_kwh=200.0 * soc,
        peak_so_far_kw=floor, least_import_kw=20.0,
    )  # fmt: skip
    plan = solve(asked)
    assert plan.status == "optimal"
    assert np.abs(plan.power_kw).max() <= STORE.power_kw + 1e-6
    low, high = min(STORE.low_kwh, asked.stored_kwh), max(STORE.high_kwh, asked.stored_kwh)
    assert plan.stored_kwh.min() >= low - 1e-6
    assert plan.stored_kwh.max() <= high + 1e-6
    assert grid(asked, plan).min() >= 20.0 - 1e-6
    assert (plan.peaks_kw >= grid(asked, plan).max(axis=1) - 1e-6).all()


# ---- up to which draw charging goes ------------------------------------------------------------------------------


def month(demand_per_kw: float) -> Situation:
    """A flat 900 kW, cheap by night and dear in the evening, ten days before the month's end; 950 kW were drawn by
    storage so far, 1,000 kW would have been drawn without it."""
    hours = np.arange(96) / 4.0
    load = np.full(96, 900.0)
    return Situation(
        expected_kw=load, low_kw=load - 5.0, high_kw=load + 5.0, level=0.9,
        prices=np.where(hours < 6.0, 0.05, np.where(hours > 17.0, 0.40, 0.10)), step_s=900.0, stored_kwh=40.0,
        grid_peak_kw=905.0, load_peak_kw=1000.0, demand_per_kw=demand_per_kw, rough_kw=np.array([2.0]),
        past_kw=load, period_steps=960,
    )  # fmt: skip


def test_charging_makes_a_peak_only_where_what_it_earns_pays_for_it() -> None:
    store = Storage(100.0, 40.0, 600.0, 640.0, 0.95, 0.95, 0.6, 1.0)
    cheap, dear = (decide(month(price), store, Tuning()).order.charge_cap_kw for price in (0.5, 50.0))
    assert dear < 905.0
    assert 905.0 < cheap < 1000.0
