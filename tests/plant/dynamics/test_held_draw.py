"""Storage that holds the site's draw by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plant.sim import Plant
from plant.site import load_site, site_file_of

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def plant() -> Plant:
    """Demo: draws a steady 366 kW; ess-1 gives 100 kW and holds 120 of 200 kWh, of which 60 are the reserve."""
    made = Plant.start(load_site(site_file_of("demo")), START)
    made.advance(600)
    return made


def hold(plant: Plant, **args: float) -> None:
    wanted = {
        "target_kw": 316.0,
        "base_kw": 0.0,
        "charge_cap_kw": 0.0,
        "keep_pct": 30.0,
        "duration_min": 60.0,
    } | args
    plant.apply("hold_draw", "ess-1", wanted)


def grid_kw(plant: Plant) -> float:
    return plant.totals()["grid_kw"]


def test_what_is_above_the_target_comes_from_storage(plant: Plant) -> None:
    hold(plant)
    for _ in range(50):
        plant.advance(60)
        assert grid_kw(plant) == pytest.approx(316.0, rel=0.005)


def test_below_the_target_it_gives_its_base_power_and_never_feeds_in(plant: Plant) -> None:
    hold(plant, target_kw=500.0, base_kw=40.0)
    plant.advance(60)
    assert plant.number("ess-1", "power_kw") == pytest.approx(40.0)
    plant.state["ess-1"]["power_max_kw"] = 900.0
    hold(plant, target_kw=500.0, base_kw=900.0)
    plant.advance(60)
    assert grid_kw(plant) > 0.1 * 366.0


def test_charging_stays_below_its_cap_and_below_the_target(plant: Plant) -> None:
    hold(plant, target_kw=500.0, base_kw=-100.0, charge_cap_kw=400.0)
    plant.advance(120)
    assert grid_kw(plant) == pytest.approx(400.0, rel=0.005)
    hold(plant, target_kw=390.0, base_kw=-100.0, charge_cap_kw=450.0)
    plant.advance(120)
    assert grid_kw(plant) == pytest.approx(390.0, rel=0.005)


def test_the_reserve_stays_and_what_is_kept_is_refilled(plant: Plant) -> None:
    hold(plant, target_kw=280.0, duration_min=180.0)
    plant.advance(3 * 3600)
    assert plant.number("ess-1", "soc_pct") == pytest.approx(30.0, abs=0.1)
    hold(plant, target_kw=500.0, charge_cap_kw=450.0, keep_pct=40.0, duration_min=240.0)
    plant.advance(4 * 3600)
    assert plant.number("ess-1", "soc_pct") == pytest.approx(40.0, abs=1.0)


def test_an_order_ends_and_another_power_takes_its_place(plant: Plant) -> None:
    hold(plant, duration_min=5.0)
    plant.advance(301)
    assert plant.number("ess-1", "hold_kw") == 0.0
    assert plant.number("ess-1", "power_kw") == 0.0
    hold(plant)
    plant.apply("discharge_ess", "ess-1", {"power_kw": 20.0, "duration_min": 5.0})
    plant.advance(60)
    assert plant.number("ess-1", "power_kw") == pytest.approx(20.0)


def test_an_empty_moment_does_not_end_it(plant: Plant) -> None:
    """A charge at the reserve gives nothing, and goes on as soon as there is charge again."""
    plant.state["ess-1"]["soc_pct"] = 30.0
    hold(plant)
    plant.advance(60)
    assert plant.number("ess-1", "power_kw") == 0.0
    plant.state["ess-1"]["soc_pct"] = 60.0
    plant.advance(60)
    assert plant.number("ess-1", "power_kw") == pytest.approx(50.0, abs=1.0)


def test_a_ticket_may_be_about_the_site_itself_and_another_action_may_not(plant: Plant) -> None:
    assert plant.apply("open_ticket", "site", {"queue": "facilities"}, "K") == {"before": {}, "after": {}}
    assert "K" in plant.journal
    with pytest.raises(KeyError):
        plant.apply("hold_draw", "site", {"target_kw": 1.0})
