"""From trouble at an asset to the right action on the right asset."""

from __future__ import annotations

import pytest

from setpoint.errors import ActionRefused, InputError
from tests.tools.bench import Bench
from tools.actions import validate
from tools.guards import pools_on, refusals
from tools.proposals import proposal, propose


@pytest.mark.parametrize(
    ("name", "trouble", "target"),
    [
        ("start_standby_pump", "cdu-1-pump-a", "cdu-1-pump-b"),
        ("start_standby_pump", "cdu-1", "cdu-1-pump-b"),
        ("start_standby_pump", "gpu-14", "cdu-2-pump-b"),
        ("close_leak_valve", "leak-r-05", "r-05"),
        ("close_leak_valve", "leak-cdu-2", "cdu-2"),
        ("set_coolant_flow", "r-02", "cdu-1"),
        ("set_coolant_flow", "cdu-2-pump-a", "cdu-2"),
        ("cap_gpu_power", "gpu-09/gpu3", "gpu-09"),
        ("drain_node", "bmc-17", "gpu-17"),
        ("set_batch_limit", "gpu-02", "pool-chat"),
        ("set_kv_watermark", "pool-vip", "pool-vip"),
        ("discharge_ess", "feed-b", "ess-1"),
        ("shed_load", "feed-a", "pool-batch"),
        ("page", "some-unknown-box", "some-unknown-box"),
    ],
)
def test_it_finds_the_asset_the_action_belongs_on(bench: Bench, name: str, trouble: str, target: str) -> None:
    if name == "start_standby_pump":
        bench.clock.forward(5)
    assert propose(name, trouble, bench.site, bench.adapter.read).asset == target


def test_flow_follows_from_the_heat_balance_with_margin(bench: Bench) -> None:
    bench.plant.state["cdu-1"]["flow_setpoint_lpm"] = 120.0
    found = propose("set_coolant_flow", "cdu-1", bench.site, bench.adapter.read)
    heat_kw = bench.reading("cdu-1", "heat_kw")
    assert found.args["flow_lpm"] == pytest.approx(1.15 * 15.1 * heat_kw / 10.0, abs=0.1)


def test_flow_goes_no_further_than_the_ramp(bench: Bench) -> None:
    bench.plant.state["cdu-1"] |= {"flow_setpoint_lpm": 60.0, "heat_kw": 160.0}
    found = propose("set_coolant_flow", "cdu-1", bench.site, bench.adapter.read)
    assert found.args["flow_lpm"] == 140.0


def test_a_loop_near_the_dew_point_is_warmed(bench: Bench) -> None:
    bench.plant.state["hall-1"] |= {"temp_c": 30.0, "humidity_pct": 90.0}
    bench.plant.state["cdu-1"]["supply_setpoint_c"] = 29.0
    found = propose("set_supply_temp", "cdu-1", bench.site, bench.adapter.read)
    assert float(found.args["temp_c"]) > 29.0


def test_the_storage_covers_the_excess_over_the_contract(bench: Bench) -> None:
    for feed in ("feed-a", "feed-b"):
        bench.plant.state[feed]["load_kw"] = 235.0
    found = propose("discharge_ess", "feed-a", bench.site, bench.adapter.read)
    assert found.args["power_kw"] == pytest.approx(1.1 * 40.0)


@pytest.mark.parametrize(
    "name", ["discharge_ess", "charge_ess", "set_coolant_flow", "set_supply_temp", "shed_load"]
)
def test_what_is_proposed_on_a_quiet_site_passes_the_guards(bench: Bench, name: str) -> None:
    trouble = "cdu-1" if "set_" in name else "feed-a"
    found = propose(name, trouble, bench.site, bench.adapter.read)
    assert refusals(bench.situation(found)) == ()


def test_air_cooled_nodes_have_no_pump_to_start(bench: Bench) -> None:
    with pytest.raises(ActionRefused, match="nothing related to gpu-30"):
        propose("start_standby_pump", "gpu-30", bench.site, bench.adapter.read)


def test_no_standby_is_left(bench: Bench) -> None:
    bench.plant.state["cdu-1-pump-b"]["failed"] = 1.0
    with pytest.raises(ActionRefused, match="nothing related"):
        propose("start_standby_pump", "cdu-1-pump-a", bench.site, bench.adapter.read)


def test_unknown_names(bench: Bench) -> None:
    with pytest.raises(InputError):
        propose("explode", "gpu-01", bench.site)
    with pytest.raises(ActionRefused, match="not in the site file"):
        propose("drain_node", "nowhere", bench.site)


def test_defaults_stand_without_telemetry(bench: Bench) -> None:
    assert propose("cap_gpu_power", "gpu-01", bench.site).args == {"cap_w": 500.0}
    with pytest.raises(ActionRefused, match="Give flow_lpm"):
        propose("set_coolant_flow", "cdu-1", bench.site)


def test_a_proposal_is_complete_and_stable(bench: Bench) -> None:
    made = [
        proposal(
            "drain_node", "gpu-20", bench.site, incident_id="INC-1", why="GPU off the bus", evidence=("E1",)
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert made[0].risk == "medium"
    assert made[0].effect.startswith("Drain gpu-20. Moves work off the node")
    assert validate(made[0].action, bench.site) == made[0].action


def test_flow_is_proposed_upwards_even_where_it_carries_the_heat(bench: Bench) -> None:
    bench.plant.state["cdu-1"]["flow_setpoint_lpm"] = 200.0
    found = propose("set_coolant_flow", "cdu-1", bench.site, bench.adapter.read)
    assert found.args["flow_lpm"] == pytest.approx(230.0)


def test_a_job_is_moved_only_off_a_node_that_runs_one(bench: Bench) -> None:
    with pytest.raises(ActionRefused, match="nothing related"):
        propose("migrate_job", "gpu-13", bench.site, bench.adapter.read)
    moved = propose("migrate_job", "cdu-1", bench.site, bench.adapter.read)
    assert not pools_on(bench.site, moved.asset)
