"""The site in motion against closed forms: steady states, time constants, balances, trips, and its twin."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from plant.dynamics import knobs
from plant.dynamics.columns import COLUMNS, dtype
from plant.dynamics.reduced import Reduced
from plant.sim import FAULT_KNOBS, FAULTS, Plant
from plant.site import Site, load_site
from setpoint.errors import InputError, UsageError

NIGHT = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
DEMO = Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml"


@pytest.fixture(scope="module")
def warm() -> Plant:
    return Plant.start(load_site(DEMO), NIGHT)


@pytest.fixture
def plant(warm: Plant) -> Plant:
    return warm.copy()


def worst_residual(plant: Plant, steps: int, step_s: float) -> float:
    for _ in range(steps):
        plant.advance(step_s, step_s)
    return plant.residual_pu


# ---- steady states and time constants ----------------------------------------------------------------------


def test_die_and_plate_stand_where_resistances_put_them(plant: Plant) -> None:
    node, rack, cdu = (plant.state[name] for name in ("gpu-20", "r-05", "cdu-2"))
    flow_pu = float(rack["flow_lpm"]) / float(rack["design_lpm"])
    coolant_c = 0.5 * (float(rack["outlet_temp_c"]) + float(cdu["supply_temp_c"]))
    film = float(node["film"]) * flow_pu**-0.8
    expected = coolant_c + float(node["gpu_power_w"]) * (float(node["r0"]) + film)
    assert node["gpu_temp_c"] == pytest.approx(expected, abs=0.01)


def test_all_heat_of_a_quiet_site_leaves_it(plant: Plant) -> None:
    totals = plant.totals()
    facility_kw = totals["it_kw"] + totals["losses_kw"] + totals["cooling_kw"] + totals["lights_kw"]
    assert totals["grid_kw"] == pytest.approx(facility_kw, rel=1e-9)
    assert totals["pue"] == pytest.approx(facility_kw / totals["it_kw"], rel=1e-9)
    assert 1.1 < totals["pue"] < 1.5
    out_kw = float(plant.store.tables.site["heat_out_kj"][0]) / 5.0
    assert out_kw == pytest.approx(facility_kw, rel=0.002)


@pytest.mark.parametrize("step_s", [0.2, 1.0, 5.0])
def test_a_rack_warms_with_its_own_time_constant(plant: Plant, step_s: float) -> None:
    """C/(m cp) of the rack's coolant, seen after a step of the heat in its cold plates; half of what plates and dies
    store warms with it, since they see the mean of supply and outlet."""
    rack, litre = plant.state["r-05"], float(plant.state["cdu-2"]["litre_kj_per_k"])
    for node in ("gpu-17", "gpu-18", "gpu-19", "gpu-20"):
        plant.set_load(node, 0.0, 0.0, 0.0)
    plant.advance(3600)
    before = float(rack["outlet_temp_c"])
    for node in ("gpu-17", "gpu-18", "gpu-19", "gpu-20"):
        plant.set_load(node, 0.9, 0.4, 0.5)
    plates_kj_per_k = 32 * (plant.number("gpu-20", "c_plate") + plant.number("gpu-20", "c_die")) / 1000
    kw_per_k = float(rack["flow_lpm"]) / 60 * litre
    tau_s = (float(rack["kj_per_k"]) + 0.5 * plates_kj_per_k) / kw_per_k
    found = plant.record(1800.0, 5.0, ["r-05.outlet_temp_c"], step_s)
    warmed = (found["r-05.outlet_temp_c"] - before) / (found["r-05.outlet_temp_c"][-1] - before)
    reached_s = float(np.interp(1 - math.exp(-1), warmed, found["time_s"]))
    # The plates' own 10 s come first; the step itself may shift it by half of one.
    assert reached_s == pytest.approx(tau_s + 10.0, abs=2.0)


@pytest.mark.parametrize("step_s", [1.0, 5.0])
def test_the_step_does_not_change_the_answer(plant: Plant, step_s: float) -> None:
    fine, coarse = plant.copy(), plant.copy()
    for one in (fine, coarse):
        one.inject_knob("cdu-1", "passage_pu", 0.2, ramp_s=120.0)
        one.state["gpu-20"]["power_cap_w"] = 400.0
    columns = ["gpu-01.gpu_temp_c", "cdu-1.return_temp_c", "gpu-20.gpu_temp_c"]
    a, b = fine.record(600.0, 60.0, columns, 0.1), coarse.record(600.0, 60.0, columns, step_s)
    for column in columns:
        assert b[column] == pytest.approx(a[column], abs=0.1 * step_s), column


def test_the_day_turns_and_the_chillers_feel_it(plant: Plant) -> None:
    found = plant.record(86400.0, 600.0, ["site.dry_bulb_c", "chiller-1.cop", "site.pue"], 5.0)
    weather = plant.site.weather
    assert found["site.dry_bulb_c"].mean() == pytest.approx(weather.dry_bulb_c, abs=0.05)
    assert np.ptp(found["site.dry_bulb_c"]) == pytest.approx(weather.swing_k, abs=0.05)
    warmest = int(found["site.dry_bulb_c"].argmax())
    assert found["chiller-1.cop"][warmest] < found["chiller-1.cop"].max()
    local_h = (plant.now.astimezone(plant.site.zone).hour + found["time_s"][warmest] / 3600) % 24
    assert local_h == pytest.approx(15.0, abs=0.5)


# ---- balance of energy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [0.3, 1.0, 5.0, 30.0])
@pytest.mark.parametrize(
    ("asset", "knob", "value"),
    [
        ("cdu-1-pump-a", "failed", 1.0), ("chiller-1", "running", 0.0), ("crah-3", "running", 0.0),
        ("feed-a", "available", 0.0), ("gpu-07/gpu3", "thermal_pu", 4.0), ("pdu-01a", "breaker_closed", 0.0),
        ("cdu-2", "leak", 1.0), ("pool-chat", "arrival_rps", 200.0), ("ups-2", "on_battery", 1.0),
    ],
)  # fmt: skip
def test_energy_is_neither_made_nor_lost(
    plant: Plant, asset: str, knob: str, value: float, step_s: float
) -> None:
    plant.apply("discharge_ess", "ess-1", {"power_kw": 70.0, "duration_min": 5.0})
    plant.inject_knob(asset, knob, value)
    assert worst_residual(plant, 120, step_s) < 1e-9


def test_energy_of_an_hour_is_the_meters(plant: Plant) -> None:
    """Independent of the step's own balance: meters against stores over an hour with charging."""
    site = plant.store.tables.site
    before = plant.totals(), float(site["battery_kj"][0]), float(site["stored_kj"][0])
    plant.apply("charge_ess", "ess-1", {"power_kw": 40.0, "duration_min": 30.0})
    found = plant.record(3600.0, 5.0, ["site.heat_out_kj"], 5.0)
    drawn_kj = 3600 * (plant.totals()["grid_kwh"] - before[0]["grid_kwh"])
    stored_kj = float(site["battery_kj"][0]) - before[1] + float(site["stored_kj"][0]) - before[2]
    assert drawn_kj == pytest.approx(float(found["site.heat_out_kj"].sum()) + stored_kj, rel=1e-9)
    assert float(site["battery_kj"][0]) - before[1] == pytest.approx(40 * 1800 * 0.949, rel=0.005)


# ---- loops that close --------------------------------------------------------------------------------------


def test_a_cap_holds_power_and_lowers_the_clock(plant: Plant) -> None:
    plant.state["gpu-20"]["power_cap_w"] = 350.0
    plant.advance(60)
    assert plant.number("gpu-20", "gpu_power_w") == pytest.approx(350.0, rel=1e-3)
    assert plant.number("gpu-20", "clock_mhz") < 1800


def test_one_bad_interface_throttles_one_gpu(plant: Plant) -> None:
    plant.inject_knob("gpu-20/gpu3", "thermal_pu", 6.0)
    plant.advance(300)
    bad, good = plant.gpu_telemetry("gpu-20/gpu3"), plant.gpu_telemetry("gpu-20/gpu2")
    assert (bad["throttled"], good["throttled"]) == (1.0, 0.0)
    assert 87.0 < bad["gpu_temp_c"] < 91.0
    assert bad["clock_mhz"] < good["clock_mhz"] == 1980.0
    assert plant.number("gpu-20", "clock_min_mhz") == pytest.approx(bad["clock_mhz"])


def test_the_slowest_gpu_slows_the_pool(plant: Plant) -> None:
    before = plant.number("pool-vip", "rate_rps")
    plant.inject_knob("gpu-13/gpu0", "clock_stuck_mhz", 400.0)
    plant.advance(60)
    assert plant.number("pool-vip", "rate_rps") < 0.95 * before


def test_throttled_dies_rest_within_the_droop(plant: Plant) -> None:
    plant.inject_knob("cdu-2", "passage_pu", 0.05)
    found = plant.record(1800.0, 10.0, ["gpu-20.gpu_temp_c", "gpu-20.throttled"], 5.0)
    throttled = found["gpu-20.throttled"] > 0
    assert throttled.any()
    assert found["gpu-20.gpu_temp_c"][throttled].max() < 95.0
    assert np.abs(np.diff(found["gpu-20.gpu_temp_c"][-30:])).max() < 0.5  # it does not hunt


def test_without_any_cooling_all_trip_and_cool_down_again(plant: Plant) -> None:
    for pump in plant.each("pump"):
        plant.state[pump]["failed"] = 1.0
    plant.advance(1800)
    liquid = [node for node in plant.each("gpu_node") if plant.loop_of(node)]
    assert all(plant.number(node, "up") == 0.0 for node in liquid)
    assert max(plant.number(node, "gpu_temp_c") for node in liquid) < 95.5
    assert plant.number("gpu-30", "up") == 1.0


def test_chillers_gone_the_water_warms_by_its_heat(plant: Plant) -> None:
    for chiller in plant.each("chiller"):
        plant.inject_knob(chiller, "running", 0.0)
    plant.advance(10)
    water = plant.store.tables.water
    before, heat_kw = float(water["temp_c"][0]), float(water["heat_kw"][0] + water["pump_kw"][0])
    plant.advance(60)
    rise = 60 * heat_kw / float(water["kj_per_k"][0])
    assert float(water["temp_c"][0]) - before == pytest.approx(rise, rel=0.05)


def test_worn_pump_runs_faster_until_it_cannot(plant: Plant) -> None:
    plant.inject_knob("cdu-1-pump-a", "wear_pu", 0.9, ramp_s=7200.0)
    found = plant.record(7200.0, 60.0, ["cdu-1-pump-a.speed_pct", "cdu-1.flow_lpm"], 5.0)
    speed, flow = found["cdu-1-pump-a.speed_pct"], found["cdu-1.flow_lpm"]
    assert (np.diff(speed) > -1e-6).all()
    assert flow[len(flow) // 2] == pytest.approx(150.0, abs=0.1)
    assert flow[-1] < 60.0


def test_a_leak_empties_the_loop(plant: Plant) -> None:
    plant.inject_knob("cdu-2", "leak_lpm", 10.0)
    plant.inject_knob("r-05", "leak", 1.0)
    assert plant.telemetry("leak-r-05").values["wet"] == 1.0
    plant.advance(600)
    assert plant.number("cdu-2", "reservoir_pct") == pytest.approx(75.0, abs=0.5)
    plant.advance(1500)
    assert plant.number("cdu-2", "flow_lpm") < 100.0


def test_shed_load_goes_off_and_comes_back(plant: Plant) -> None:
    before = plant.totals()["it_kw"]
    plant.apply("shed_load", "pool-batch", {"power_kw": 8.0})
    plant.advance(120)
    assert plant.totals()["it_kw"] == pytest.approx(before - 8.0, abs=2.5)
    plant.state["pool-batch"]["shed_kw"] = 0.0
    plant.advance(120)
    assert plant.totals()["it_kw"] == pytest.approx(before, abs=0.1)


def test_lost_power_supplies_brake_the_node(plant: Plant) -> None:
    """Four of six carry it all; with three left the GPUs are capped at what is."""
    before = plant.number("gpu-20", "power_kw")
    plant.inject_knob("gpu-20", "psu_ok", 4.0)
    plant.advance(30)
    assert plant.number("gpu-20", "power_kw") == pytest.approx(before)
    plant.inject_knob("gpu-20", "psu_ok", 3.0)
    plant.advance(30)
    assert plant.number("gpu-20", "power_kw") <= 0.75 * (8 * 0.7 + 4.6)


def test_both_feeds_lost_the_batteries_carry_racks_but_nothing_cools(plant: Plant) -> None:
    for feed in plant.each("feed"):
        plant.inject_knob(feed, "available", 0.0)
    plant.advance(30)
    assert plant.number("gpu-30", "up") == 1.0
    assert plant.totals()["grid_kw"] == 0.0
    assert plant.number("cdu-1", "flow_lpm") < 1.0
    plant.advance(3600)
    assert all(plant.number(node, "up") == 0.0 for node in plant.each("gpu_node"))
    assert plant.residual_pu < 1e-9


# ---- load from outside, faults, sensors --------------------------------------------------------------------


def test_a_serving_engine_can_drive_a_pool(plant: Plant) -> None:
    plant.set_load("pool-chat", 0.95, 0.35, 0.5)
    plant.state["pool-chat"] |= {"ttft_ms": 321.0, "queue": 7.0}
    plant.advance(120)
    told = plant.telemetry("pool-chat").values
    assert (told["ttft_ms"], told["queue"]) == (321.0, 7.0)
    assert plant.number("gpu-01", "busy") == 0.95
    plant.free_load("pool-chat")
    plant.advance(60)
    assert plant.number("pool-chat", "ttft_ms") == pytest.approx(180.0)


def test_uses_noted_at_a_low_clock_give_the_same_power_there(plant: Plant) -> None:
    from plant.power.gpu import gpu_power_w

    plant.state["gpu-20"]["clock_lock_mhz"] = 990.0
    plant.set_load("gpu-20", 1.0, 0.2, 0.3, clock_pu=0.5)
    plant.advance(30)
    power = plant.store.edges.power[int(plant.number("gpu-20", "hw"))]
    assert plant.number("gpu-20", "gpu_power_w") == pytest.approx(
        gpu_power_w(power, 1.0, 0.2, 0.3, 0.5), rel=0.01
    )


def test_a_lying_sensor_lies_and_the_plant_does_not(plant: Plant) -> None:
    twin = plant.copy()
    plant.inject_knob("cdu-1", "sensor_offset.supply_temp_c", 6.0, ramp_s=600.0)
    plant.inject_knob("cdu-1", "sensor_stuck.flow_lpm", 111.0)
    plant.inject_knob("r-01", "sensor_scale.power_kw", 0.5)
    for one in (plant, twin):
        one.advance(300)
    told, true = plant.telemetry("cdu-1").values, twin.telemetry("cdu-1").values
    assert told["supply_temp_c"] == pytest.approx(true["supply_temp_c"] + 3.0, abs=0.01)
    assert told["flow_lpm"] == 111.0
    assert plant.telemetry("r-01").values["power_kw"] == pytest.approx(
        0.5 * twin.number("r-01", "power_kw"), abs=1e-3
    )
    assert plant.store.values.tolist() == twin.store.values.tolist()


def _an_asset(plant: Plant, knob: knobs.FaultKnob) -> str:
    kind = knob.kinds[0]
    if kind in ("*", "site", "gpu"):
        return {"*": "cdu-1", "site": "site", "gpu": "gpu-07/gpu3"}[kind]
    return next(name for name in plant.store.names[kind] if name)


@pytest.mark.parametrize("name", sorted(FAULT_KNOBS))
def test_every_knob_moves_something_and_leaves_the_plant_sane(plant: Plant, name: str) -> None:
    knob = FAULT_KNOBS[name]
    for kind in knob.kinds:
        assert kind == "*" or name == "gpus_ok" or knob.of in (dtype(kind).names or ()), (name, kind)
    asset, before = _an_asset(plant, knob), plant.copy()
    suffix = ".supply_temp_c" if name in knobs.SENSOR_KNOBS else ""
    for value in (max(knob.low, -5.0), max(knob.low, min(knob.high, 5.0))):
        plant.inject_knob(asset, name + suffix, value)
        plant.advance(60)
    assert plant.to_dict()["inside"] != before.to_dict()["inside"] or plant.telemetry(
        "cdu-1"
    ) != before.telemetry("cdu-1")
    assert np.isfinite(plant.store.values).all()
    assert plant.residual_pu < 1e-9


@pytest.mark.parametrize(
    ("asset", "knob", "value", "says"),
    [
        ("cdu-1", "wear_pu", 0.2, "Name a pump"), ("gpu-01", "power_cap_w", 9e9, "between 50 and 2000"),
        ("cdu-1", "wear", 0.2, "Use .*wear_pu"), ("cdu-1", "sensor_offset.nonsense", 1.0, "it tells"),
        ("cdu-1", "passage_pu", float("nan"), "between"),
    ],
)  # fmt: skip
def test_wrong_knobs_are_refused_with_a_remedy(
    plant: Plant, asset: str, knob: str, value: float, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        plant.inject_knob(asset, knob, value)


def test_unknown_names(plant: Plant) -> None:
    with pytest.raises(KeyError):
        plant.inject("no_such_fault", "cdu-1")
    with pytest.raises(KeyError):
        plant.inject_knob("gpu-01/gpu9", "thermal_pu", 2.0)
    with pytest.raises(UsageError, match=r"ASSET\.METRIC"):
        plant.record(10.0, 5.0, ["cdu-9.flow_lpm"])


# ---- determinism and saving --------------------------------------------------------------------------------


def test_it_comes_back_exactly_in_the_middle_of_ramps(plant: Plant) -> None:
    plant.inject_knob("cdu-1-pump-a", "wear_pu", 0.6, ramp_s=900.0)
    plant.inject_knob("cdu-2", "sensor_offset.supply_temp_c", 6.0, ramp_s=900.0)
    plant.inject_knob("gpu-07/gpu2", "thermal_pu", 3.0)
    plant.inject("prefill_surge", "pool-chat", factor=1.7)
    plant.advance(333)
    twin = Plant.from_dict(plant.site, json.loads(json.dumps(plant.to_dict())))
    for one in (plant, twin):
        one.advance(1111)
    assert twin.to_dict() == plant.to_dict()
    assert twin.telemetry("cdu-2") == plant.telemetry("cdu-2")
    assert twin.store.values.tolist() == plant.store.values.tolist()


def test_what_an_older_version_wrote_is_taken_over(plant: Plant) -> None:
    old = {
        "now": NIGHT.isoformat(), "journal": {"k": {"before": {}, "after": {}}},
        "state": {
            "gpu-20": {"power_cap_w": 400.0, "drained": 1.0, "pages": 2.0, "gpus_ok": 7.0},
            "pool-chat": {"model": "medium", "arrival_rps": 11.0}, "cdu-1": {"flow_setpoint_lpm": 180.0},
            "gone-01": {"up": 1.0},
        },
    }  # fmt: skip
    taken = Plant.from_dict(plant.site, old)
    assert taken.number("gpu-20", "power_cap_w") == 400.0
    assert taken.number("gpu-20", "gpus_ok") == 7.0
    assert taken.state["gpu-20"]["pages"] == 2.0
    assert taken.telemetry("pool-chat").values["model_rank"] == 1.0
    assert taken.number("cdu-1", "flow_setpoint_lpm") == 180.0
    assert "k" in taken.journal


def test_what_is_no_plant_is_refused(plant: Plant) -> None:
    with pytest.raises(InputError, match="the plant starts afresh"):
        Plant.from_dict(plant.site, {"now": "yesterday", "state": {}, "journal": {}})
    with pytest.raises(InputError, match="newer version"):
        Plant.from_dict(plant.site, {"version": 99, "now": NIGHT.isoformat(), "state": {}, "journal": {}})


def test_a_copy_goes_its_own_way(plant: Plant) -> None:
    twin = plant.copy()
    twin.inject("coolant_pump_failure", "cdu-1-pump-a")
    twin.advance(100)
    assert plant.number("cdu-1", "flow_lpm") == pytest.approx(150.0)
    assert twin.number("cdu-1", "flow_lpm") < 1.0


# ---- the twin ----------------------------------------------------------------------------------------------

RUNS = [
    ("cdu-1", "cdu-1", "flow_setpoint_lpm", 70.0), ("cdu-1", "cdu-1-pump-a", "wear_pu", 0.89),
    ("cdu-2", "cdu-2", "supply_setpoint_c", 38.0), ("r-05", "r-05", "valve_open", 0.1),
    ("gpu-03", "gpu-03", "thermal_pu", 4.0), ("gpu-20", "gpu-20", "power_cap_w", 300.0),
    ("crah-3", "crah-3", "running", 0.0), ("chiller-1", "chiller-1", "running", 0.0),
    ("pool-chat", "pool-chat", "arrival_rps", 60.0), ("feed-a", "feed-a", "available", 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("around", "asset", "column", "value"), RUNS)
@pytest.mark.parametrize(("step_s", "most_k"), [(1.0, 0.01), (2.0, 0.3), (5.0, 0.8)])
def test_the_twin_agrees_with_the_whole(
    plant: Plant, around: str, asset: str, column: str, value: float, step_s: float, most_k: float
) -> None:
    """Whole site in steps of a second. In equal steps they are the same; in steps of 5 s the twin lags a little."""
    twin = Reduced.of(plant, around).run(600.0, step_s, [(60.0, asset, column, value)], every_s=10.0)
    names = [name for name in twin if name.endswith("_temp_c") and "." in name]
    first = plant.record(60.0, 10.0, names, 1.0)
    if column == "thermal_pu":
        plant.inject_knob(asset, column, value)
    else:
        plant.state[asset][column] = value
    second = plant.record(540.0, 10.0, names, 1.0)
    for name in names:
        whole = np.concatenate([first[name], second[name]])
        assert twin[name] == pytest.approx(whole, abs=most_k), name


@pytest.mark.parametrize(("step_s", "most_k"), [(1.0, 0.01), (2.0, 0.3), (5.0, 0.8)])
def test_the_twin_agrees_through_a_pump_trip_and_its_standby(
    plant: Plant, step_s: float, most_k: float
) -> None:
    moves = [(60.0, "cdu-1-pump-a", "failed", 1.0), (150.0, "cdu-1-pump-b", "running", 1.0)]
    twin = Reduced.of(plant, "cdu-1").run(600.0, step_s, moves, every_s=10.0)
    names = [name for name in twin if name.endswith("_temp_c") and "." in name]
    parts = [plant.record(60.0, 10.0, names, 1.0)]
    for (_, asset, column, value), seconds in zip(moves, (90.0, 450.0), strict=True):
        plant.state[asset][column] = value
        parts.append(plant.record(seconds, 10.0, names, 1.0))
    for name in names:
        assert twin[name] == pytest.approx(np.concatenate([part[name] for part in parts]), abs=most_k), name
    assert twin["gpu_temp_c"].max() > 80.0


@pytest.mark.parametrize("step_s", [1.0, 2.0, 5.0])
def test_the_twin_trips_when_the_whole_does(plant: Plant, step_s: float) -> None:
    moves = [(60.0, "cdu-1-pump-a", "failed", 1.0)]
    twin = Reduced.of(plant, "cdu-1").run(600.0, step_s, moves, every_s=10.0)["gpu-01.power_kw"]
    plant.advance(60, 1.0)
    plant.state["cdu-1-pump-a"]["failed"] = 1.0
    whole = plant.record(540.0, 10.0, ["gpu-01.power_kw"], 1.0)["gpu-01.power_kw"]
    assert abs(int((twin[6:] == 0).argmax()) - int((whole == 0).argmax())) <= 1


def test_the_twin_of_a_loop_is_small_and_starts_anew_each_run(plant: Plant) -> None:
    twin = Reduced.of(plant, "cdu-1")
    assert twin.states <= 20
    changes = [(30.0, "cdu-1-pump-a", "failed", 1.0)]
    one, two = twin.run(300.0, 5.0, changes), twin.run(300.0, 5.0, changes)
    assert all((one[name] == two[name]).all() for name in one)
    assert one["gpu_temp_c"][-1] > one["gpu_temp_c"][0] + 20


def test_the_twin_refuses_what_it_cannot_tell_apart(plant: Plant) -> None:
    twin = Reduced.of(plant, "cdu-1")
    with pytest.raises(UsageError, match=r"Reduced\.of\(plant, 'gpu-03'\)"):
        twin.run(60.0, 5.0, [(10.0, "gpu-03", "power_cap_w", 300.0)])
    with pytest.raises(UsageError, match="not in this twin"):
        twin.run(60.0, 5.0, [(10.0, "cdu-2", "flow_setpoint_lpm", 100.0)])
    capped = twin.run(300.0, 5.0, [(10.0, "cdu-1", "power_cap_w", 300.0)])
    assert capped["gpu_temp_c"][-1] < capped["gpu_temp_c"][0] - 3


# ---- sites that say little ---------------------------------------------------------------------------------


def test_a_site_of_nodes_alone_runs(plant: Plant) -> None:
    site = Site.model_validate(
        {"name": "bare", "assets": [{"name": f"n-{i}", "kind": "gpu_node"} for i in range(4)]}
    )
    bare = Plant.start(site, NIGHT)
    bare.advance(600)
    assert bare.number("n-0", "power_kw") > 5.0
    assert 40 < bare.number("n-0", "gpu_temp_c") < 87
    assert 1.05 < bare.totals()["pue"] < 1.6
    assert bare.residual_pu < 1e-9


def test_an_empty_site_stands_still() -> None:
    empty = Plant.start(Site(name="empty"), NIGHT)
    empty.advance(600)
    assert empty.totals()["grid_kw"] < 1.0
    assert np.isfinite(empty.store.values).all()


def test_every_column_says_what_it_is() -> None:
    assert all(column.meaning for columns in COLUMNS.values() for column in columns)
    assert set(FAULTS) & set(FAULT_KNOBS) == set()
