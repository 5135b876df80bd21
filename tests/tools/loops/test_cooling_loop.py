"""The cooling loop over a simulated site: what it reads, foresees and asks for, and what it does when readings fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agents.optimizer import only_possible
from plant.site import load_site, site_file_of
from setpoint.contracts import Action
from setpoint.contracts.loops import LoopPlan, Observed
from tools.loops.cooling_loop import CoolingLoop, make
from tools.loops.days_site import DaysSite
from tools.loops.ports import LoopPorts, make_loop
from tools.readings import Reading
from tools.telemetry import Series

START = datetime(2026, 4, 14, 6, tzinfo=UTC)


def _days(name: str = "demo") -> DaysSite:
    return DaysSite(load_site(site_file_of(name)), START, seed=7, warm_days=0.1)


@pytest.fixture
def days() -> DaysSite:
    return _days()


def _plan(loop: CoolingLoop, at: datetime) -> LoopPlan:
    watch = loop.monitor(at)
    return loop.optimise(watch, loop.predict(watch))


def _turn(days: DaysSite, loop: CoolingLoop) -> LoopPlan:
    """One cycle with every move made."""
    plan = _plan(loop, days.now)
    for k, move in enumerate(plan.moves):
        days.apply(Action(name=move.action, asset=move.asset, args=move.args), f"{days.now}-{k}")
    days.pass_to(days.now + timedelta(seconds=loop.cycle_s))
    return plan


def test_it_saves_within_limits_and_then_leaves_people_alone(days: DaysSite) -> None:
    loop = make(days.ports())
    plans = [_turn(days, loop) for _ in range(10)]
    assert plans[0].moves
    assert sum(len(plan.moves) for plan in plans[-3:]) <= 3
    design = plans[-1].savings[1]
    assert design.saved_pu > 0.03
    assert design.low is not None
    assert design.high is not None
    assert design.low <= design.saved <= design.high
    meters = days.meters()
    assert meters["rack_inlet_max_c"] < days.site.limits["rack_inlet_max_c"]
    assert meters["hottest_gpu_c"] < days.site.limits["gpu_temp_max_c"]


def test_every_move_is_possible_and_quotes_its_numbers(days: DaysSite) -> None:
    plan = _plan(make(days.ports()), days.now)
    assert only_possible(plan, days.site, days.read).moves == plan.moves
    for move in plan.moves:
        value = float(next(iter(move.args.values())))
        assert f"{value:.0f}" in move.why or f"{value:.1f}" in move.why


def test_the_same_moment_gives_the_same_plan(days: DaysSite) -> None:
    loop = make(days.ports())
    one, two = _plan(loop, days.now), _plan(loop, days.now)
    assert one.model_copy(update={"solver": None}) == two.model_copy(update={"solver": None})


def test_what_it_foresees_is_read_and_counted(days: DaysSite) -> None:
    loop = make(days.ports())
    plan = _turn(days, loop)
    foreseen = loop.foresee(plan)
    assert {one.name for one in foreseen} == {"cdu-1.heat_kw", "cdu-2.heat_kw"}
    read = [days.read(one.name.split(".")[0]) for one in foreseen]
    observed = [
        Observed(foreseen=one, read=reading.values["heat_kw"] if reading else None)
        for one, reading in zip(foreseen, read, strict=True)
    ]
    loop.learn(observed)
    assert all(one.read == pytest.approx(one.foreseen.expected, rel=0.5) for one in observed)
    assert f"of {len(observed)} intervals held" in _plan(loop, days.now).forecasts[0].skill


def test_a_new_process_goes_on_with_what_was_learned(days: DaysSite) -> None:
    loop = make(days.ports())
    _turn(days, loop)
    state = json.loads(json.dumps(loop.state()))
    other = make(days.ports())
    other.restore(state)
    assert other._predictor._grey["liquid"].weights == pytest.approx(loop._predictor._grey["liquid"].weights)
    other.restore({"predictor": "nonsense", "held": "three"})
    assert _plan(other, days.now).headline


def _without(ports: LoopPorts, lost: Callable[[str], bool]) -> LoopPorts:
    def read(asset: str) -> Reading | None:
        return None if lost(asset) else ports.read(asset)

    return replace(ports, read=read)


def test_a_cdu_that_is_not_read_is_left_alone(days: DaysSite) -> None:
    plan = _plan(make(_without(days.ports(), lambda asset: asset == "cdu-1")), days.now)
    assert "cdu-1" not in {move.asset for move in plan.moves}
    assert "cdu-2" in {move.asset for move in plan.moves}
    assert any(
        trouble.kind == "missing" and trouble.asset == "cdu-1"
        for trouble in plan.troubles
        + make(_without(days.ports(), lambda a: a == "cdu-1")).monitor(days.now).troubles
    )
    assert not plan.local


def test_a_loop_whose_gpus_are_not_seen_gets_flow_for_its_rated_heat(days: DaysSite) -> None:
    loop = make(days.ports())
    for _ in range(3):
        _turn(days, loop)
    reading = days.read("cdu-1")
    assert reading is not None
    low_lpm = reading.values["flow_setpoint_lpm"]
    on_loop = {node.name for node in days.site.below("cdu-1", "gpu_node")}

    class Blind:
        def metrics(self, asset: str) -> list[str]:
            return [] if asset in on_loop else list(days.history.metrics(asset))

        def series(self, asset: str, metric: str) -> Series | None:
            return None if asset in on_loop else days.history.series(asset, metric)

    plan = _plan(make(replace(days.ports(), history=Blind())), days.now)
    move = next(one for one in plan.moves if one.asset == "cdu-1")
    assert float(move.args["flow_lpm"]) > low_lpm + 20.0
    assert "not read well enough" in move.why
    assert any(one.asset == "cdu-1" for one in plan.troubles)


def test_with_no_cdu_read_it_hands_over(days: DaysSite) -> None:
    plan = _plan(make(_without(days.ports(), lambda asset: asset.startswith("cdu"))), days.now)
    assert plan.local
    assert plan.moves == ()
    assert any(trouble.blocks for trouble in plan.troubles)


def test_an_impossible_reading_is_a_trouble_and_no_number(days: DaysSite) -> None:
    days.inject("sensor_stuck.flow_setpoint_lpm", "cdu-1", value=9e6)
    watch = make(days.ports()).monitor(days.now)
    assert "cdu-1.flow_setpoint_lpm" not in watch.readings
    assert any(one.kind == "impossible" and one.asset == "cdu-1" for one in watch.troubles)


def test_a_clock_that_runs_back_is_told_and_planned_through(days: DaysSite) -> None:
    loop = make(days.ports())
    days.pass_to(days.now + timedelta(minutes=30))
    loop.monitor(days.now)
    watch = loop.monitor(days.now - timedelta(minutes=20))
    assert any(one.kind == "clock_jump" for one in watch.troubles)
    assert loop.optimise(watch, loop.predict(watch)).headline


@pytest.mark.parametrize("name", ["lab-16", "gb200-row"])
def test_other_sites_have_a_plan_too(name: str) -> None:
    days = _days(name)
    plan = _plan(make_loop("cooling", days.ports()), days.now)  # type: ignore[arg-type]  # it is the cooling loop
    assert plan.headline
    assert only_possible(plan, days.site, days.read).moves == plan.moves


def test_without_history_it_says_so_and_hands_over(days: DaysSite) -> None:
    class Nothing:
        def metrics(self, asset: str) -> list[str]:
            return []

        def series(self, asset: str, metric: str) -> None:
            return None

    plan = _plan(make(replace(days.ports(), history=Nothing())), days.now)
    assert plan.local
    assert plan.moves == ()
    assert any(one.kind == "uncertain" and one.blocks for one in plan.troubles)
