"""Bills by hand, dispatch against its own bounds, and the ServeGen fortnight of the notes."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.power import tariff as costs
from plant.power.ess import Ess
from plant.power.tariff import bill, carbon_kg, dispatch, naive_schedule, per_1000_tokens, price_series
from plant.specs import EssSpec, Tariff, TariffBand
from setpoint.errors import InputError, UsageError

EVENING = Tariff(
    price_per_kwh=0.10,
    bands=(TariffBand(from_hour=17, to_hour=21, price_per_kwh=0.40),),
    demand_per_kw_month=12.0,
)
KEPCO = Tariff(
    currency="KRW",
    price_per_kwh=106.6,
    bands=tuple(
        TariffBand(from_hour=a, to_hour=b, price_per_kwh=price)
        for a, b, price in ((0, 8, 89.7), (9, 12, 136.0), (16, 19, 136.0), (22, 24, 89.7))
    ),
    demand_per_kw_month=7470.0,
)
"""KEPCO industrial B, high voltage A, option 2, winter (tariff_ess.json)."""


def test_examples_in_the_docstrings_hold(examples) -> None:
    failed, attempted = examples.failures(costs)
    assert failed == 0
    assert attempted >= 7


def test_a_day_billed_by_hand() -> None:
    load = [100.0] * 17 + [200.0] * 4 + [100.0] * 3
    found = bill(load, 3600.0, EVENING)
    assert found.energy_kwh == 2800.0
    assert found.peak_kw == 200.0
    assert found.energy_cost == pytest.approx(20 * 100 * 0.10 + 800 * 0.40)
    assert found.demand_cost == pytest.approx(12.0 * 200.0 * 24 / 730.5)
    assert found.total == pytest.approx(found.energy_cost + found.demand_cost)


def test_prices_follow_the_sites_clock_over_midnight() -> None:
    hours = price_series(EVENING, 24, 3600.0, start_hour=20.5)
    assert [EVENING.price_at(20.5 + i) for i in range(24)] == hours.tolist()


def test_export_is_paid_at_its_own_price() -> None:
    found = bill([-100.0, 100.0], 3600.0, Tariff(price_per_kwh=0.2, export_price_per_kwh=0.05))
    assert found.export_revenue == 5.0
    assert found.energy_cost == 20.0


def test_carbon_of_a_series_and_of_tokens() -> None:
    assert carbon_kg([1000.0, 1000.0], 3600.0, 350.0) == pytest.approx(700.0)
    assert per_1000_tokens(carbon_kg([10.0], 3600.0, 350.0), 700_000) == pytest.approx(0.005)
    with pytest.raises(InputError, match="3 carbon intensities for 2 steps"):
        carbon_kg([1.0, 1.0], 60.0, [1.0, 2.0, 3.0])
    with pytest.raises(UsageError, match="no token"):
        per_1000_tokens(1.0, 0)


@settings(max_examples=25, deadline=None)
@given(
    load=st.lists(st.floats(0.0, 500.0), min_size=3, max_size=48), start=st.floats(10.0, 90.0),
    demand=st.floats(0.0, 30.0), wear=st.floats(0.0, 0.2),
)  # fmt: skip
def test_a_plan_never_costs_more_and_keeps_every_limit(load, start, demand, wear) -> None:
    tariff = EVENING.model_copy(update={"demand_per_kw_month": demand})
    plan = dispatch(load, tariff, Ess(EssSpec()), 1800.0, soc_start_pct=start, wear_per_kwh=wear)
    assert plan.bill.total <= plan.without.total + 1e-9
    assert plan.soc_pct.min() >= 10.0 - 0.1
    assert plan.soc_pct.max() <= 90.0 + 1e-9
    assert np.abs(plan.power_kw).max() <= 100.0 + 1e-9
    assert plan.grid_kw.min() >= -1e-9
    assert plan.grid_kw == pytest.approx(np.asarray(load) - plan.power_kw)


def test_a_dear_hour_is_bought_cheaply_and_the_saving_is_that_of_the_round_trip() -> None:
    """Flat load, no demand charge: the window's 160 kWh moved once. Saved: 0.4 of what comes out, paid 0.1 to refill."""
    tariff = EVENING.model_copy(update={"demand_per_kw_month": 0.0})
    plan = dispatch([150.0] * 24, tariff, Ess(EssSpec()), 3600.0, soc_start_pct=10.0)
    out = float(np.maximum(plan.power_kw, 0.0).sum())
    refill = float(np.maximum(-plan.power_kw, 0.0).sum())
    assert out == pytest.approx(160.0 * 0.949, rel=0.02)
    assert out / refill == pytest.approx(0.949**2, rel=0.02)
    assert plan.without.total - plan.bill.total == pytest.approx(0.4 * out - 0.1 * refill, rel=1e-6)


def test_a_peak_is_shaved_flat() -> None:
    """Demand charge alone: a two-hour peak of 300 kW over 200 kW, 160 kWh in store: 200 + (200 - 0.949 * 160) / 2."""
    load = [200.0] * 10 + [300.0] * 2 + [200.0] * 12
    tariff = Tariff(price_per_kwh=0.0, demand_per_kw_month=10.0)
    plan = dispatch(load, tariff, Ess(EssSpec()), 3600.0, soc_start_pct=50.0)
    assert plan.bill.peak_kw == pytest.approx(300.0 - 0.5 * 160.0 * 0.949, rel=0.01)


@pytest.mark.parametrize(
    ("load", "what"),
    [([], "one or more finite"), ([1.0, float("nan")], "one or more finite"), ([-5.0], "below 0")],
)
def test_a_load_that_cannot_be_planned_is_refused(load, what) -> None:
    with pytest.raises(InputError, match=what):
        dispatch(load, EVENING, Ess(EssSpec()), 600.0)


def test_a_start_outside_the_window_is_refused() -> None:
    with pytest.raises(UsageError, match="outside the window 10 to 90%"):
        dispatch([1.0, 2.0], EVENING, Ess(EssSpec()), 600.0, soc_start_pct=5.0)


def test_the_servegen_fortnight(shared_data) -> None:
    """4 MW and 6 MW that follow the requests, 2 MW / 4 MWh. The notes: the best plan saves 3.48% and cuts the peak by
    20%; charging by the clock raises the bill and the peak by 20%."""
    with (shared_data / "plant" / "rate_servegen_m-large_10min.csv").open(encoding="utf-8") as file:
        rps = np.array([float(row["rps"]) for row in csv.DictReader(file)])
    load = 4000.0 + 6000.0 * rps / rps.max()
    battery = Ess(EssSpec(capacity_kwh=4000.0, power_kw=2000.0, soc_start_pct=50.0))
    plan, rule = (make(load, KEPCO, battery, 600.0) for make in (dispatch, naive_schedule))
    assert plan.saving_pu == pytest.approx(0.0348, abs=0.003)
    assert plan.bill.peak_kw / plan.without.peak_kw == pytest.approx(0.80, abs=0.01)
    assert rule.saving_pu < -0.015
    assert rule.bill.peak_kw / rule.without.peak_kw == pytest.approx(1.2, abs=0.01)
