"""Water and fan setpoints: what warmer water saves, what it costs rooms and loops, and what a fan held too slow does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plant.dynamics.reduced import Reduced
from plant.sim import Plant
from plant.site import load_site, site_file_of
from plant.thermal.chiller import WARM_GAIN_PER_K

NOON = datetime(2026, 4, 14, 10, tzinfo=UTC)
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def started() -> Plant:
    return Plant.start(load_site(site_file_of("hall-1024")), NOON)


def _with_water(started: Plant, temp_c: float) -> Plant:
    plant = started.copy()
    plant.store.tables.chiller["water_setpoint_c"] = temp_c
    plant.advance(HOUR_S)
    return plant


def test_warmer_water_saves_by_the_stated_rate(started: Plant) -> None:
    cold, warm = _with_water(started, 18.0), _with_water(started, 20.0)
    heat, power = warm.store.tables.chiller["heat_kw"].sum(), warm.store.tables.chiller["power_kw"].sum()
    fans = float(cold.store.tables.chiller["fan_rated_kw"].sum()) * (heat / 2100.0) ** 3
    cold_kw = float(cold.store.tables.chiller["power_kw"].sum())
    assert (cold_kw - fans) / (power - fans) == pytest.approx(1.0 + 2.0 * WARM_GAIN_PER_K, rel=0.01)
    assert warm.store.tables.water["temp_c"][0] == pytest.approx(20.0, abs=0.01)


def test_water_that_has_not_risen_yet_saves_nothing(started: Plant) -> None:
    plant = started.copy()
    plant.store.tables.chiller["water_setpoint_c"] = 24.0
    plant.advance(5.0)
    assert plant.store.tables.water["temp_c"][0] < 18.5
    still = started.copy()
    still.advance(5.0)
    cop, before = plant.store.tables.chiller["cop"], still.store.tables.chiller["cop"]
    assert (cop[plant.store.tables.chiller["heat_kw"] > 1.0] <= 1.02 * before.max()).all()


def test_the_coldest_chiller_sets_a_shared_water(started: Plant) -> None:
    plant = started.copy()
    plant.store.tables.chiller["water_setpoint_c"][:2] = 22.0
    plant.advance(HOUR_S)
    assert plant.store.tables.water["temp_c"][0] == pytest.approx(18.0, abs=0.01)


def test_handlers_cannot_hold_air_below_water_and_heat(started: Plant) -> None:
    plant = _with_water(started, 24.0)
    hall, crah = plant.store.tables.hall, plant.store.tables.crah
    carried = float(crah["heat_kw"][crah["hall"] == 1].sum())
    assert hall["temp_c"][1] == pytest.approx(24.0 + carried / 75.0, abs=0.05)
    assert plant.store.tables.rack["inlet_temp_c"].max() > 27.0
    assert plant.residual_pu < 1e-9


def test_a_loop_cannot_supply_below_its_water(started: Plant) -> None:
    plant = _with_water(started, 33.0)
    assert (plant.store.tables.cdu["supply_temp_c"] > 33.0).all()
    assert plant.residual_pu < 1e-9


def test_fans_go_by_the_cube_and_too_little_air_recirculates(started: Plant) -> None:
    plant = started.copy()
    plant.store.tables.crah["fan_setpoint_pu"] = 0.5
    plant.advance(HOUR_S)
    crah = plant.store.tables.crah
    assert crah["power_kw"] == pytest.approx(crah["fan_rated_kw"] * 0.125)
    assert plant.store.tables.rack["inlet_temp_c"].max() > 27.0, "hall 2 needs three quarters of the air"
    plant.store.tables.crah["fan_setpoint_pu"] = 0.9
    plant.advance(HOUR_S)
    assert plant.store.tables.rack["inlet_temp_c"].max() == pytest.approx(24.0, abs=0.05)
    plant.store.tables.crah["fan_setpoint_pu"] = 0.0
    plant.advance(HOUR_S)
    assert plant.store.tables.crah["power_kw"] == pytest.approx(
        started.store.tables.crah["power_kw"], rel=0.02
    )


def test_an_economiser_is_worth_more_with_warm_water(started: Plant) -> None:
    def compressor_kw(setpoint_c: float) -> float:
        plant = started.copy()
        plant.store.tables.chiller["economiser"] = 1.0
        plant.store.tables.site["wet_mean_c"] = 15.0
        plant.store.tables.chiller["water_setpoint_c"] = setpoint_c
        plant.advance(HOUR_S)
        return float(plant.store.tables.chiller["power_kw"].sum())

    assert compressor_kw(22.0) < 0.5 * compressor_kw(18.0)


def test_the_reduced_twin_follows_the_water(started: Plant) -> None:
    twin = Reduced.of(_with_water(started, 21.0), "chiller-1")
    whole = twin.run(1800.0)
    plant = _with_water(started, 21.0)
    plant.advance(1800.0)
    assert whole["site.cooling_kw"][-1] == pytest.approx(plant.totals()["cooling_kw"], rel=0.01)
    warmer = Reduced.of(_with_water(started, 23.0), "chiller-1").run(1800.0)
    assert warmer["site.cooling_kw"][-1] < whole["site.cooling_kw"][-1] - 3.0
