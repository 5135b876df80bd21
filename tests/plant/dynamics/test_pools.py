"""Nodes parked for want of load: which, what they draw, and how long they take to come back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plant.dynamics.pools import ENGINE_START_S, come_back_s
from plant.sim import Plant
from plant.site import load_site, site_file_of

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
POOL = "pool-chat"


@pytest.fixture(scope="module")
def warm() -> Plant:
    return Plant.start(load_site(site_file_of("demo")), NOW)


@pytest.fixture
def plant(warm: Plant) -> Plant:
    return warm.copy()


def serving(plant: Plant) -> list[str]:
    return [node for node in plant.pool_nodes(POOL) if plant.number(node, "drained") == 0.0]


def test_the_first_nodes_serve_and_the_rest_rest(plant: Plant) -> None:
    whole_kw = plant.totals()["it_kw"]
    plant.apply("scale_pool", POOL, {"nodes": 6})
    plant.advance(120)
    nodes = plant.pool_nodes(POOL)
    assert serving(plant) == nodes[:6]
    assert plant.telemetry(POOL).values["healthy_nodes"] == 6.0
    idle_kw = plant.number(nodes[7], "base_idle_kw") + 8 * plant.store.gpus[0].idle_w / 1000
    assert plant.number(nodes[7], "power_kw") == pytest.approx(idle_kw, rel=1e-3)
    assert plant.totals()["it_kw"] < whole_kw - 1.0


def test_a_parked_node_comes_back_after_its_engine_has_started_and_its_weights_are_there(
    plant: Plant,
) -> None:
    plant.apply("scale_pool", POOL, {"nodes": 2})
    plant.advance(60)
    plant.apply("scale_pool", POOL, {"nodes": 4})
    wait_s = come_back_s(plant, POOL)
    assert wait_s > ENGINE_START_S
    plant.advance(5.0 * int((wait_s - 10) // 5))
    assert len(serving(plant)) == 2
    assert plant.number(plant.pool_nodes(POOL)[3], "parked") == 2.0
    plant.advance(20)
    assert serving(plant) == plant.pool_nodes(POOL)[:4]
    assert plant.number(plant.pool_nodes(POOL)[3], "parked") == 0.0


def test_a_node_on_its_way_back_is_not_started_again_and_may_be_called_off(plant: Plant) -> None:
    plant.apply("scale_pool", POOL, {"nodes": 2})
    plant.apply("scale_pool", POOL, {"nodes": 4})
    plant.advance(30)
    ramps = [list(ramp) for ramp in plant.ramps]
    plant.apply("scale_pool", POOL, {"nodes": 4})
    assert plant.ramps == ramps, "the second wish puts nothing off"
    plant.apply("scale_pool", POOL, {"nodes": 2})
    plant.advance(600)
    assert len(serving(plant)) == 2


def test_what_an_operator_drained_or_what_is_broken_is_left_and_counts_for_none(plant: Plant) -> None:
    nodes = plant.pool_nodes(POOL)
    plant.apply("drain_node", nodes[0], {})
    plant.inject("host_crash", nodes[1])
    plant.advance(30)
    plant.apply("scale_pool", POOL, {"nodes": 3})
    plant.advance(30)
    assert serving(plant) == [nodes[1], nodes[2], nodes[3], nodes[4]]
    assert plant.telemetry(POOL).values["healthy_nodes"] == 3.0
    plant.apply("scale_pool", POOL, {"nodes": 8})
    plant.advance(600)
    assert plant.number(nodes[0], "drained") == 1.0


def test_a_saved_plant_goes_on_with_its_nodes_on_their_way(plant: Plant) -> None:
    plant.apply("scale_pool", POOL, {"nodes": 2})
    plant.apply("scale_pool", POOL, {"nodes": 8})
    plant.advance(20)
    again = Plant.from_dict(plant.site, plant.to_dict())
    for one in (plant, again):
        one.advance(300)
    assert again.to_dict() == plant.to_dict()
    assert len(serving(again)) == 8


def test_a_pools_clock_is_its_nodes_clock(plant: Plant) -> None:
    before_kw = plant.totals()["it_kw"]
    plant.apply("lock_pool_clock", POOL, {"clock_mhz": 1200.0})
    plant.advance(60)
    assert {plant.number(node, "clock_lock_mhz") for node in plant.pool_nodes(POOL)} == {1200.0}
    assert plant.telemetry(POOL).values["clock_lock_mhz"] == 1200.0
    assert plant.number("gpu-20", "clock_lock_mhz") == 1980.0
    assert plant.totals()["it_kw"] < before_kw - 1.0


def test_a_job_pauses_and_resumes_on_all_its_nodes(plant: Plant) -> None:
    for node in ("gpu-20", "gpu-21"):
        plant.state[node]["job"] = 4.0
    plant.apply("pause_job", "gpu-20", {})
    assert [plant.number(f"gpu-{n}", "job_running") for n in (20, 21, 22)] == [0.0, 0.0, 1.0]
    plant.apply("resume_job", "gpu-21", {})
    assert [plant.number(f"gpu-{n}", "job_running") for n in (20, 21, 22)] == [1.0, 1.0, 1.0]


def test_chillers_that_share_a_water_are_set_together(plant: Plant) -> None:
    chiller_kw = plant.totals()["cooling_kw"]
    plant.apply("set_water_temp", "chiller-1", {"temp_c": 22.0})
    plant.advance(1800)
    assert plant.telemetry("chiller-2").values["water_setpoint_c"] == 22.0
    assert plant.number("chiller-1", "water_temp_c") == pytest.approx(22.0, abs=0.5)
    assert plant.totals()["cooling_kw"] < chiller_kw
