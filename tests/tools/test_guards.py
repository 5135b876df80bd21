"""Each interlock refuses where it must and lets pass where it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from plant.site import load_site, site_file_of
from setpoint.contracts import Action
from setpoint.contracts.site import Asset, Site
from setpoint.errors import ActionRefused
from tests.tools.bench import NIGHT, Bench, action
from tools.actions import CATALOG
from tools.guards import ALWAYS, GUARDS, LAST, ON_SITE, Situation, check, hindrance, refusals
from tools.readings import Reading

Arrange = Callable[[Bench], None]


def nothing(bench: Bench) -> None: ...


def write(asset: str, **values: float) -> Arrange:
    def do(bench: Bench) -> None:
        bench.plant.state[asset] |= values

    return do


def fault(name: str, asset: str) -> Arrange:
    return lambda bench: bench.adapter.inject(name, asset)


def drained(*nodes: str) -> Arrange:
    def do(bench: Bench) -> None:
        for node in nodes:
            bench.plant.state[node]["drained"] = 1.0

    return do


def capped(*nodes: str) -> Arrange:
    def do(bench: Bench) -> None:
        for node in nodes:
            bench.plant.state[node]["power_cap_w"] = 200.0

    return do


def both(*steps: Arrange) -> Arrange:
    def do(bench: Bench) -> None:
        for step in steps:
            step(bench)

    return do


VIP_OTHERS = ("gpu-13", "gpu-14", "gpu-15")
R1 = ("gpu-01", "gpu-02", "gpu-03", "gpu-04")
FLOW_180 = action("set_coolant_flow", "cdu-1", flow_lpm=180.0)
RACK_VALVE = action("close_leak_valve", "r-01")
STANDBY = action("start_standby_pump", "cdu-1-pump-b")
PUMP_A_FAILED = fault("coolant_pump_failure", "cdu-1-pump-a")

RESUME = action("resume_job", "gpu-20")
PAUSED = write("gpu-20", job_running=0.0)
HOLD = action("hold_draw", "ess-1", target_kw=300.0, keep_pct=30.0)
SLOWER = action("lock_pool_clock", "pool-chat", clock_mhz=1200.0)

REFUSED = [
    # guard that must refuse, what is arranged, the action, what it must say
    ("ramp_limit", nothing, action("set_coolant_flow", "cdu-1", flow_lpm=300.0), "Go to 230 first"),
    ("ramp_limit", nothing, action("set_supply_temp", "cdu-1", temp_c=40.0), "at most 3 allowed at once"),
    ("pool_keeps_a_node", drained(*VIP_OTHERS), action("drain_node", "gpu-16"), "last healthy node of pool-vip"),
    ("pool_keeps_a_node", drained(*VIP_OTHERS), action("reset_gpu", "gpu-16"), "last healthy node of pool-vip"),
    ("pool_keeps_a_node", both(drained("gpu-13", "gpu-14"), fault("gpu_off_bus", "gpu-15")),
     action("drain_node", "gpu-16"), "last healthy node"),
    ("pool_keeps_a_node", both(drained("gpu-13", "gpu-14"), fault("sensor_lost", "gpu-15"),
     lambda b: b.clock.forward(120)), action("drain_node", "gpu-16"), "last healthy node"),
    ("idle_before_reset", nothing, action("reset_gpu", "gpu-20"), "92% load, at most 5%"),
    ("not_in_pool", nothing, action("pause_job", "gpu-01"), "Use drain_node"),
    ("smaller_than_now", nothing, action("switch_to_smaller_model", "pool-chat", model="large"), "is not smaller"),
    ("flow_carries_heat", write("cdu-1", heat_kw=160.0), action("set_coolant_flow", "cdu-1", flow_lpm=75.0),
     "Choose at least 121 LPM"),
    ("no_flow_into_leak", fault("coolant_leak", "r-02"), FLOW_180, "leak-r-02 reports water"),
    ("above_dew_point", write("hall-1", humidity_pct=95.0), action("set_supply_temp", "cdu-1", temp_c=30.0), ""),
    ("above_dew_point", both(write("hall-1", humidity_pct=90.0), write("cdu-1", supply_setpoint_c=25.0)),
     action("set_supply_temp", "cdu-1", temp_c=24.0), "Choose at least 24.3 C"),
    ("above_dew_point", both(fault("sensor_lost", "hall-1"), lambda b: b.clock.forward(120)),
     action("set_supply_temp", "cdu-1", temp_c=31.0), "no fresh air temperature"),
    ("pump_can_start", write("cdu-1-pump-b", failed=1.0), STANDBY, "has failed"),
    ("pump_can_start", nothing, action("start_standby_pump", "cdu-1-pump-a"), "runs already"),
    ("pump_can_start", write("cdu-1", valve_open=0.0), STANDBY, "valve of cdu-1 is closed"),
    ("no_pump_into_leak", fault("coolant_leak", "cdu-1"), STANDBY, "leak-cdu-1 reports water"),
    ("capped_before_valve", nothing, RACK_VALVE, "Drain them or cap their GPUs at 200 W first"),
    ("capped_before_valve", capped(*R1[:3]), RACK_VALVE, "1 nodes behind the valve run uncapped (gpu-04)"),
    ("capped_before_valve", capped(*R1), action("close_leak_valve", "cdu-1"), "8 nodes"),
    ("soc_stays_above_min", write("ess-1", soc_pct=35.0), action("discharge_ess", "ess-1", power_kw=100.0),
     "at least 30% is kept"),
    ("soc_stays_above_min", both(write("ess-1", soc_pct=20.0), fault("power_feed_lost", "feed-a")),
     action("discharge_ess", "ess-1", power_kw=100.0), "at least 10% is kept"),
    ("soc_stays_below_max", write("ess-1", soc_pct=85.0), action("charge_ess", "ess-1", power_kw=50.0), "at most 90%"),
    ("feed_has_headroom", nothing, action("charge_ess", "ess-1", power_kw=90.0, duration_min=5.0), "at most 430 kW"),
    ("not_for_many", nothing, action("shed_load", "pool-vip", power_kw=10.0), "VIP tenant"),
    ("not_for_many", nothing, action("shed_load", "r-01", power_kw=10.0), "Shed standard work first"),
    ("no_maintenance", lambda b: b.clock.forward(4.5 * 3600), action("drain_node", "gpu-31"), "memory modules"),
    ("fresh_telemetry", both(fault("sensor_lost", "cdu-1"), lambda b: b.clock.forward(31)), FLOW_180,
     "31 s old, at most 30 s"),
    ("job_is_paused", nothing, RESUME, "the job on gpu-20 runs"),
    ("job_is_paused", write("gpu-20", job=-1.0, job_running=0.0), RESUME, "holds no job"),
    ("feed_carries_job", both(PAUSED, write("feed-a", load_kw=425.0)), RESUME, "with the 1 nodes of the job"),
    ("feed_carries_job", both(PAUSED, write("feed-a", load_kw=255.0), *(write(f"gpu-{n}", job=3.0) for n in range(17, 33))),
     RESUME, "with the 16 nodes of the job"),
    ("pool_has_nodes", nothing, action("scale_pool", "pool-chat", nodes=9), "Choose at most 8"),
    ("pool_carries_load", nothing, action("scale_pool", "pool-chat", nodes=5), "Choose at least 6"),
    ("pool_carries_load", write("pool-chat", load_pu=0.1, queue=40.0), action("scale_pool", "pool-chat", nodes=7),
     "40 requests wait"),
    ("not_slower_with_queue", write("pool-chat", queue=40.0), SLOWER, "40 requests wait"),
    ("water_below_its_users", nothing, action("set_water_temp", "chiller-1", temp_c=26.0), "Choose at most 25 C"),
    ("water_below_its_users", write("cdu-1", supply_setpoint_c=25.0), action("set_water_temp", "chiller-1", temp_c=21.5),
     "Choose at most 21 C"),
    ("storage_can_hold", write("ess-1", available=0.0), HOLD, "out of service"),
    ("storage_can_hold", write("ess-1", soc_pct=30.0), HOLD, "Charge it first"),
    ("storage_can_hold", nothing, action("hold_draw", "ess-1", target_kw=300.0, keep_pct=30.0, base_kw=-130.0),
     "at most 100 kW"),
]  # fmt: skip

ALLOWED = [
    ("ramp_limit", nothing, FLOW_180),
    ("pool_keeps_a_node", drained("gpu-13", "gpu-14"), action("drain_node", "gpu-16")),
    ("pool_keeps_a_node", both(drained(*VIP_OTHERS), fault("gpu_off_bus", "gpu-16")), action("drain_node", "gpu-16")),
    ("pool_keeps_a_node", nothing, action("drain_node", "gpu-20")),
    ("idle_before_reset", both(drained("gpu-20"), lambda b: b.clock.forward(10)), action("reset_gpu", "gpu-20")),
    ("not_in_pool", nothing, action("pause_job", "gpu-20")),
    ("smaller_than_now", nothing, action("switch_to_smaller_model", "pool-chat", model="small")),
    ("flow_carries_heat", nothing, action("set_coolant_flow", "cdu-1", flow_lpm=100.0)),
    ("no_flow_into_leak", fault("coolant_leak", "r-02"), action("set_coolant_flow", "cdu-1", flow_lpm=100.0)),
    ("no_flow_into_leak", fault("coolant_leak", "r-05"), FLOW_180),
    ("no_flow_into_leak", both(fault("coolant_leak", "r-02"), write("r-02", valve_open=0.0)), FLOW_180),
    ("above_dew_point", nothing, action("set_supply_temp", "cdu-1", temp_c=30.0)),
    ("pump_can_start", PUMP_A_FAILED, STANDBY),
    ("no_pump_into_leak", fault("coolant_leak", "cdu-2"), STANDBY),
    ("capped_before_valve", capped(*R1), RACK_VALVE),
    ("capped_before_valve", drained(*R1), RACK_VALVE),
    ("soc_stays_above_min", nothing, action("discharge_ess", "ess-1", power_kw=50.0)),
    ("soc_stays_above_min", both(write("ess-1", soc_pct=40.0), fault("power_feed_lost", "feed-a")),
     action("discharge_ess", "ess-1", power_kw=80.0)),
    ("soc_stays_below_max", nothing, action("charge_ess", "ess-1", power_kw=50.0)),
    ("feed_has_headroom", nothing, action("charge_ess", "ess-1", power_kw=20.0)),
    ("not_for_many", nothing, action("shed_load", "pool-batch", power_kw=10.0)),
    ("not_life_safety", nothing, action("shed_load", "pool-batch", power_kw=10.0)),
    ("no_maintenance", nothing, action("drain_node", "gpu-31")),
    ("fresh_telemetry", lambda b: b.clock.forward(3600), FLOW_180),
    ("job_is_paused", PAUSED, RESUME),
    ("feed_carries_job", both(PAUSED, lambda b: b.clock.forward(60)), RESUME),
    ("pool_has_nodes", nothing, action("scale_pool", "pool-chat", nodes=8)),
    ("pool_carries_load", nothing, action("scale_pool", "pool-chat", nodes=6)),
    ("pool_carries_load", write("pool-chat", load_pu=1.0, queue=40.0), action("scale_pool", "pool-chat", nodes=8)),
    ("not_slower_with_queue", nothing, SLOWER),
    ("not_slower_with_queue", write("pool-chat", queue=40.0), action("lock_pool_clock", "pool-chat", clock_mhz=1980.0)),
    ("water_below_its_users", nothing, action("set_water_temp", "chiller-1", temp_c=21.0)),
    ("storage_can_hold", nothing, HOLD),
    ("storage_can_hold", write("ess-1", soc_pct=30.0), action("hold_draw", "ess-1", target_kw=300.0, keep_pct=40.0)),
]  # fmt: skip


def found(bench: Bench, arrange: Arrange, wanted: Action) -> dict[str, str]:
    bench.adapter.read("cdu-1")
    arrange(bench)
    return {r.guard: f"{r.what}. {r.remedy}" for r in refusals(bench.situation(wanted))}


@pytest.mark.parametrize(("guard", "arrange", "wanted", "says"), REFUSED)
def test_refuses(bench: Bench, guard: str, arrange: Arrange, wanted: Action, says: str) -> None:
    if guard == "above_dew_point" and not says:
        wanted, says = action("set_supply_temp", "cdu-1", temp_c=30.0), "dew point"
        arrange = both(arrange, write("hall-1", temp_c=32.0))
    reasons = found(bench, arrange, wanted)
    assert guard in reasons
    assert says in reasons[guard]


@pytest.mark.parametrize(("guard", "arrange", "wanted"), ALLOWED)
def test_lets_pass(bench: Bench, guard: str, arrange: Arrange, wanted: Action) -> None:
    assert guard not in found(bench, arrange, wanted)


def test_every_guard_has_a_refusing_and_a_passing_case() -> None:
    elsewhere = {"not_stopped", "rate_limit", *LAST}  # LAST: in test_rehearsal.py
    shown = {row[0] for row in REFUSED} | {*elsewhere, "not_life_safety"}
    assert shown == set(GUARDS)
    assert {row[0] for row in ALLOWED} | elsewhere == set(GUARDS)


def test_every_guard_is_used() -> None:
    used = {name for spec in CATALOG.values() for name in spec.interlocks} | {*ALWAYS, *ON_SITE, *LAST}
    assert used == set(GUARDS)


def test_the_stop_refuses_everything_even_a_page(bench: Bench) -> None:
    for wanted in (FLOW_180, action("page", "gpu-01")):
        with pytest.raises(ActionRefused, match="all actions are stopped: by alice: smoke in hall 1"):
            check(bench.situation(wanted, stopped="by alice: smoke in hall 1"))


def test_the_rate_limit_counts_the_last_hour(bench: Bench) -> None:
    check(bench.situation(FLOW_180, done_last_hour=5))
    with pytest.raises(ActionRefused, match="6 actions on cdu-1 in the last hour, at most 6 allowed"):
        check(bench.situation(FLOW_180, done_last_hour=6))


def test_a_page_needs_no_telemetry_and_ignores_maintenance(bench: Bench) -> None:
    bench.clock.forward(4.5 * 3600)
    assert refusals(bench.situation(action("page", "gpu-31"))) == ()


def test_no_telemetry_at_all_refuses(bench: Bench) -> None:
    with pytest.raises(ActionRefused, match="no telemetry of cdu-1"):
        check(bench.situation(FLOW_180, read=lambda asset: None))


def test_a_reading_from_the_future_refuses(bench: Bench) -> None:
    ahead = datetime(2026, 3, 14, 21, 5, tzinfo=UTC)
    with pytest.raises(ActionRefused, match="old, at most"):
        check(
            bench.situation(FLOW_180, read=lambda asset: Reading(asset, ahead, {"flow_setpoint_lpm": 150.0}))
        )


@pytest.mark.parametrize(
    ("kind", "what"), [("fire_panel", "life safety"), ("door", "life safety"), ("cdu", "cooling")]
)
def test_load_that_feeds_life_safety_or_cooling_is_never_shed(kind: str, what: str) -> None:
    fed = Asset.model_validate({"name": "fed", "kind": kind, "on": ("pdu-1",)})
    site = Site(name="s", assets=(Asset(name="pdu-1", kind="pdu"), fed))
    reading = Reading("pdu-1", NIGHT, {"load_kw": 5.0})
    wanted = Action(name="shed_load", asset="pdu-1", args={"power_kw": 5.0})
    with pytest.raises(ActionRefused, match=what):
        check(Situation(wanted, site, NIGHT, lambda asset: reading))


def test_all_reasons_are_counted(bench: Bench) -> None:
    with pytest.raises(ActionRefused, match=r"\(and \d more\)"):
        check(bench.situation(action("set_coolant_flow", "cdu-1", flow_lpm=300.0), stopped="by bob: test"))


def test_an_interlock_is_known_before_people_are_asked(bench: Bench) -> None:
    found = hindrance(action("migrate_job", "gpu-13"), bench.site, bench.adapter.read, NIGHT)
    assert found is not None
    assert found.guard == "not_in_pool"
    assert hindrance(action("drain_node", "gpu-13"), bench.site, bench.adapter.read, NIGHT) is None
    assert hindrance(action("migrate_job", "gpu-13"), bench.site, lambda _asset: None, NIGHT) is None


def test_a_pool_whose_load_is_not_read_is_not_made_smaller(bench: Bench) -> None:
    blind = replace(bench.situation(action("scale_pool", "pool-chat", nodes=7)), read=lambda asset: None)
    assert [r.what for r in GUARDS["pool_carries_load"](blind)] == [
        "no load and no serving nodes are read of pool-chat"
    ]


def test_a_pool_of_instances_over_two_nodes_is_scaled_by_two() -> None:
    hall = load_site(site_file_of("hall-1024"))
    situation = Situation(action("scale_pool", "pool-reason", nodes=5), hall, NIGHT, read=lambda asset: None)
    assert [r.remedy for r in GUARDS["pool_has_nodes"](situation)] == ["Choose 4 or 6"]
    even = replace(situation, action=action("scale_pool", "pool-reason", nodes=6))
    assert list(GUARDS["pool_has_nodes"](even)) == []
