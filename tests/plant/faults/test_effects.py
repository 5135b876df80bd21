"""Knobs of the catalog are knobs of the plant: in range, of the right kind, and what they move is seen to move."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from plant.dynamics.knobs import FAULT_KNOBS
from plant.faults.catalog import Fault, load_catalog, scaled
from plant.faults.effects import RESTART, Hand, goal_of, inject, moves, stands_at
from plant.faults.place import FaultPlan, fitting, parse_fault, reach
from plant.sim import Plant
from plant.site import Site, load_site

SITES = Path(__file__).parents[3] / "plant" / "sites"
NIGHT = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
WITH_EFFECTS = [fault for fault in load_catalog().values() if fault.effects]


@cache
def warm(name: str) -> Plant:
    return Plant.start(site(name), NIGHT)


@cache
def site(name: str) -> Site:
    return load_site(SITES / f"{name}.yaml")


def home(fault_id: str) -> Site:
    fault = load_catalog()[fault_id]
    return next(site(name) for name in ("demo", "gb200-row", "lab-16") if fitting(fault, site(name)))


@pytest.mark.parametrize("fault", WITH_EFFECTS, ids=lambda fault: fault.id)
def test_its_knobs_are_there_and_in_range(fault: Fault) -> None:
    for effect in fault.effects:
        knob = FAULT_KNOBS[effect.knob]
        for severity in (*fault.severity, 0.5):
            value = scaled(effect.value, severity)
            assert knob.low <= value <= knob.high or effect.relative, (fault.id, effect.knob)
    assert {mend.knob for mend in fault.mends} <= {*FAULT_KNOBS, RESTART}


@pytest.mark.parametrize("fault", [fault.id for fault in WITH_EFFECTS])
def test_what_it_reaches_reads_otherwise_than_on_a_sound_twin(fault: str) -> None:
    where = home(fault)
    plan = FaultPlan(load_catalog()[fault], fitting(load_catalog()[fault], where)[0], 0.0, 1.0)
    sound, struck = warm(where.name).copy(), warm(where.name).copy()
    inject(struck, plan, at_once=True)
    for plant in (sound, struck):  # a weak battery shows only when it is used
        if fault == "ups_battery_degraded":
            plant.inject_knob("feed-a", "available", 0.0)
        if fault == "ess_cell_imbalance":
            plant.apply("discharge_ess", plan.asset, {"power_kw": 50.0, "duration_min": 30})
        plant.advance(240)
    around = reach(plan, where) | set(where.downstream(plan.asset))
    apart = [name for name in around if sound.telemetry(name).values != struck.telemetry(name).values]
    assert apart


def test_a_mended_fault_leaves_no_trace() -> None:
    """Half an hour after the repair the loop reads as on a twin that never failed."""
    demo = site("demo")
    plan = FaultPlan(load_catalog()["pump_trip"], "cdu-1-pump-a", 60.0, 1.0, end_s=90.0)
    sound, struck = warm("demo").copy(), warm("demo").copy()
    hand, clock = Hand(struck), 0.0
    for move in sorted(moves(plan, demo, 7200.0), key=lambda move: move.at_s):
        struck.advance(move.at_s - clock)
        hand.turn(move)
        clock = move.at_s
        if clock == 60.0:
            assert stands_at(struck, "cdu-1-pump-a", "failed") == 1.0
    struck.advance(7200.0 - clock)
    sound.advance(7200.0)
    for metric in ("flow_lpm", "supply_temp_c", "return_temp_c"):
        assert struck.number("cdu-1", metric) == pytest.approx(sound.number("cdu-1", metric), abs=0.2)


def test_nodes_that_tripped_are_switched_on_again() -> None:
    demo = site("demo")
    plan = FaultPlan(load_catalog()["pump_trip"], "cdu-1-pump-a", 0.0, 1.0, end_s=900.0)
    plant = warm("demo").copy()
    hand, clock = Hand(plant), 0.0
    for move in sorted(moves(plan, demo, 3600.0), key=lambda move: move.at_s):
        plant.advance(move.at_s - clock)
        if move.effect.knob == RESTART and clock < move.at_s:
            assert plant.number("gpu-01", "up") == 0.0
        hand.turn(move)
        clock = move.at_s
    plant.advance(300.0)
    assert plant.number("gpu-01", "up") == 1.0
    assert plant.number("gpu-01", "gpus_ok") == 8.0


def test_a_ramp_is_slow_on_a_running_plant() -> None:
    plant = warm("demo").copy()
    plan = parse_fault("clogged_filter:cdu-1@0", site("demo"))
    before = plant.number("cdu-1", "flow_lpm")
    inject(plant, plan)
    plant.advance(60)
    early = plant.number("cdu-1", "passage_pu")
    plant.advance(plan.fault.ramp_s)
    assert 0.98 < early < 1.0
    assert plant.number("cdu-1", "passage_pu") == pytest.approx(scaled((0.8, 0.45), plan.severity))
    assert plant.number("cdu-1", "flow_lpm") <= before


def test_a_surge_multiplies_what_usually_arrives_and_follows_it() -> None:
    plant = warm("demo").copy()
    usual = plant.number("pool-chat", "arrival_rps")
    plan = FaultPlan(load_catalog()["prefill_surge"], "pool-chat", 0.0, 1.0, end_s=600.0)
    hand = Hand(plant)
    turns = list(moves(plan, site("demo"), 3600.0))
    for move in turns[:-1]:
        hand.turn(move)
    assert plant.number("pool-chat", "arrival_rps") == pytest.approx(3.0 * usual)
    hand.set_usual("pool-chat", "arrival_rps", 0.5 * usual)
    assert plant.number("pool-chat", "arrival_rps") == pytest.approx(1.5 * usual)
    hand.turn(turns[-1])
    assert plant.number("pool-chat", "arrival_rps") == pytest.approx(0.5 * usual)


def test_a_count_may_be_given_as_so_many_less() -> None:
    effect = load_catalog()["gpu_off_bus"].effects[0]
    assert goal_of(effect, 1.0, 8.0) == 7.0
