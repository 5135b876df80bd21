"""The simulated site moves as a site does, and comes back after a restart as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plant.sim import EFFECTS, FAULTS, Plant
from plant.site import Site, load_site

NIGHT = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
DEMO = Path(__file__).parents[2] / "plant" / "sites" / "demo.yaml"


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DEMO)


@pytest.fixture
def plant(site: Site) -> Plant:
    return Plant.start(site, NIGHT)


def read(plant: Plant, asset: str, metric: str) -> float:
    return plant.telemetry(asset).values[metric]


def test_the_demo_site_hangs_together(site: Site) -> None:
    names = [asset.name for asset in site.assets]
    assert len(names) == len(set(names))
    unknown = {p for a in site.assets for p in (*a.on, *a.redundant_with) if p not in names}
    assert unknown == set()
    assert sum(asset.kind == "gpu_node" for asset in site.assets) == 32


def test_a_pump_is_above_everything_it_cools(site: Site) -> None:
    below = site.downstream("cdu-1-pump-a")
    assert {"cdu-1", "r-01", "gpu-01", "gpu-12"} <= set(below)
    assert "gpu-13" not in below


def test_the_quiet_plant_stands_still(plant: Plant) -> None:
    """Only the weather goes on: what hangs on it moves by less than one in a hundred in ten minutes."""
    before = {name: dict(plant.telemetry(name).values) for name in plant.state}
    plant.advance(600)
    for name, values in before.items():
        weathered = plant.site.by_name[name.lower()].kind in ("feed", "ats", "chiller", "crah")
        close = pytest.approx(values, rel=0.01) if weathered else pytest.approx(values, abs=0.01)
        assert dict(plant.telemetry(name).values) == close, name


def test_coolant_rise_follows_the_heat_balance(plant: Plant) -> None:
    plant.advance(600)
    values = plant.telemetry("cdu-1").values
    rise = values["return_temp_c"] - values["supply_temp_c"]
    assert rise == pytest.approx(15.1 * values["heat_kw"] / values["flow_lpm"], rel=0.01)


def test_site_power_is_carried_by_both_feeds(plant: Plant) -> None:
    it_kw = sum(read(plant, node, "power_kw") for node in plant.each("gpu_node"))
    feeds_kw = read(plant, "feed-a", "load_kw") + read(plant, "feed-b", "load_kw")
    assert 1.1 < feeds_kw / it_kw < 1.6


def test_a_failed_pump_throttles_then_trips_its_nodes_alone(plant: Plant) -> None:
    plant.inject("coolant_pump_failure", "cdu-1-pump-a")
    plant.advance(40)
    assert read(plant, "cdu-1", "flow_lpm") < 1
    plant.advance(60)
    assert read(plant, "gpu-01", "throttled") == 1.0
    assert read(plant, "gpu-01", "clock_mhz") < 1500
    plant.advance(540)
    assert read(plant, "gpu-01", "up") == 0.0
    assert read(plant, "gpu-20", "up") == 1.0


def test_the_standby_pump_saves_them(plant: Plant) -> None:
    plant.inject("coolant_pump_failure", "cdu-1-pump-a")
    plant.advance(20)
    plant.apply("start_standby_pump", "cdu-1-pump-b", {})
    plant.advance(300)
    assert read(plant, "cdu-1", "flow_lpm") == pytest.approx(150, abs=0.5)
    assert read(plant, "gpu-01", "up") == 1.0
    assert read(plant, "gpu-01", "throttled") == 0.0


def test_a_prefill_surge_queues_and_heats(plant: Plant) -> None:
    before = read(plant, "cdu-1", "heat_kw"), read(plant, "pool-chat", "ttft_ms")
    plant.inject("prefill_surge", "pool-chat", factor=2.0)
    plant.advance(120)
    assert read(plant, "cdu-1", "heat_kw") > before[0]
    assert read(plant, "pool-chat", "ttft_ms") > 5 * before[1]
    plant.apply("switch_to_smaller_model", "pool-chat", {"model": "medium"})
    plant.advance(1200)
    assert read(plant, "pool-chat", "ttft_ms") < before[1]


def test_a_power_cap_lowers_power_clock_and_temperature(plant: Plant) -> None:
    before = plant.telemetry("gpu-20").values
    plant.apply("cap_gpu_power", "gpu-20", {"cap_w": 400.0})
    plant.advance(120)
    after = plant.telemetry("gpu-20").values
    assert after["gpu_power_w"] == pytest.approx(400, rel=0.01)
    assert after["clock_mhz"] < before["clock_mhz"]
    assert after["gpu_temp_c"] < before["gpu_temp_c"] - 5


def test_a_lost_feed_runs_its_ups_down_and_then_moves_the_load(plant: Plant) -> None:
    """The battery carries one side for ten minutes; then the racks live on the other side alone."""
    both_kw = read(plant, "feed-a", "load_kw") + read(plant, "feed-b", "load_kw")
    other_kw = read(plant, "feed-b", "load_kw")
    plant.inject("power_feed_lost", "feed-a")
    plant.advance(60)
    assert read(plant, "feed-a", "load_kw") == 0.0
    assert other_kw < read(plant, "feed-b", "load_kw") < both_kw
    assert read(plant, "ups-1", "on_battery") == 1.0
    assert read(plant, "ups-1", "battery_pct") < 95
    assert read(plant, "pdu-01a", "load_kw") == pytest.approx(read(plant, "pdu-01b", "load_kw"))
    plant.advance(1800)
    assert read(plant, "ups-1", "on_battery") == 0.0
    assert read(plant, "pdu-01a", "fed") == 0.0
    assert read(plant, "feed-b", "load_kw") == pytest.approx(both_kw, rel=0.03)
    assert all(read(plant, node, "up") == 1.0 for node in plant.each("gpu_node"))


def test_a_gpu_off_the_bus_takes_its_node_out_of_the_pool(plant: Plant) -> None:
    plant.inject("gpu_off_bus", "gpu-03")
    plant.advance(10)
    assert read(plant, "pool-chat", "healthy_nodes") == 7
    plant.apply("reset_gpu", "gpu-03", {})
    plant.advance(10)
    assert read(plant, "pool-chat", "healthy_nodes") == 8


def test_a_hard_gpu_fault_stays_after_a_reset(plant: Plant) -> None:
    plant.inject("gpu_off_bus", "gpu-03", hard=1.0)
    plant.apply("reset_gpu", "gpu-03", {})
    assert read(plant, "gpu-03", "gpus_ok") == 7


def test_a_closed_valve_stops_the_leak_and_the_cooling(plant: Plant) -> None:
    plant.inject("coolant_leak", "r-01")
    assert read(plant, "leak-r-01", "wet") == 1.0
    plant.apply("close_leak_valve", "r-01", {})
    plant.advance(120)
    assert read(plant, "gpu-01", "gpu_temp_c") > read(plant, "gpu-05", "gpu_temp_c") + 10


def test_the_storage_stops_by_itself_when_its_time_is_over(plant: Plant) -> None:
    plant.apply("discharge_ess", "ess-1", {"power_kw": 60.0, "duration_min": 10.0})
    plant.advance(300)
    assert read(plant, "ess-1", "power_kw") == 60.0
    plant.advance(400)
    assert read(plant, "ess-1", "power_kw") == 0.0
    assert read(plant, "ess-1", "soc_pct") == pytest.approx(60 - 100 * 10 / 0.949 / 200, abs=0.5)


def test_the_storage_never_leaves_its_window(plant: Plant) -> None:
    plant.apply("discharge_ess", "ess-1", {"power_kw": 100.0, "duration_min": 480.0})
    plant.advance(3 * 3600)
    assert read(plant, "ess-1", "soc_pct") >= 9.0


def test_a_lost_sensor_keeps_its_old_time(plant: Plant) -> None:
    plant.inject("sensor_lost", "cdu-1")
    lost_at = plant.now
    plant.advance(300)
    assert plant.telemetry("cdu-1").time == lost_at
    assert plant.telemetry("cdu-2").time > lost_at


def test_it_comes_back_from_json_exactly(plant: Plant, site: Site) -> None:
    plant.inject("coolant_pump_failure", "cdu-1-pump-a")
    plant.apply("cap_gpu_power", "gpu-01", {"cap_w": 300.0}, key="k1")
    plant.advance(33)
    twin = Plant.from_dict(site, json.loads(json.dumps(plant.to_dict())))
    for one in (plant, twin):
        one.advance(77)
    assert twin.to_dict() == plant.to_dict()


def test_one_key_is_applied_once(plant: Plant) -> None:
    for _ in range(3):
        plant.apply("reset_gpu", "gpu-01", {}, key="k1")
    assert read(plant, "gpu-01", "resets") == 1


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_keeps_the_plant_finite(plant: Plant, fault: str) -> None:
    kinds = {"prefill_surge": "pool-chat", "power_feed_lost": "feed-a", "ess_fault": "ess-1", "coolant_leak": "r-02",
             "coolant_pump_failure": "cdu-1-pump-a", "chiller_failure": "chiller-1", "crah_failure": "crah-3",
             "gpu_off_bus": "gpu-01", "host_crash": "gpu-01"}  # fmt: skip
    before = plant.to_dict()["state"][kinds.get(fault, "cdu-1")].copy()
    plant.inject(fault, kinds.get(fault, "cdu-1"))
    assert plant.state[kinds.get(fault, "cdu-1")] != before
    plant.advance(1200)
    for node in plant.each("gpu_node"):
        assert 20 < read(plant, node, "gpu_temp_c") < 110


def test_the_simulator_knows_every_action_of_the_catalog() -> None:
    from tools.actions import CATALOG

    assert set(EFFECTS) == set(CATALOG)
