"""The maintenance loop on the demo site: parts that wear get a date, the others what their kind does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from plant.sim import Plant
from plant.site import Change, MaintenanceWindow, Site, load_site, site_file_of
from setpoint.contracts import Action
from setpoint.contracts.loops import LoopPlan, Observed
from tools.actions import validate
from tools.loops.maintenance_loop import MaintenanceLoop
from tools.loops.maintenance_site import age_of, parts_of
from tools.loops.ports import LoopPorts, make_loop
from tools.telemetry import Kept

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DAYS = 14
Readings = list[tuple[str, str, datetime, float]]


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(site_file_of("demo"))


MOMENTS = [NOW - timedelta(hours=n) for n in reversed(range(DAYS * 24))]


def _feeds(site: Site) -> Readings:
    """A draw that is low from midnight to six."""
    return [
        (feed.name, "load_kw", at, 100.0 if at.hour < 6 else 160.0) for feed in site.of_kind("feed") for at in MOMENTS
    ]  # fmt: skip


def _signal(asset: str, metric: str, of_days: Callable[[float], float], until: datetime = NOW) -> Readings:
    """Readings by the hour, of days before `NOW`."""
    return [
        (asset, metric, at, of_days((at - NOW).total_seconds() / 86400.0)) for at in MOMENTS if at <= until
    ]


def _worn(site: Site, pump: str) -> Readings:
    """One pump's vibration grows by 6 % a day and stands at two thirds of the way; the others are sound."""
    rng = np.random.default_rng(1)

    def shown(day: float, worn: bool) -> float:
        return 1.6 + (3.63 * math.exp(0.06 * day) if worn else 0.0) + 0.05 * float(rng.standard_normal())

    rows: Readings = []
    for asset in site.of_kind("pump"):
        rows += _signal(asset.name, "vibration_mm_s", partial(shown, worn=asset.name == pump))
    return rows


def _ports(site: Site, readings: Readings, now: datetime = NOW) -> LoopPorts:
    return LoopPorts(site=site, read=lambda name: None, history=Kept.of(readings), clock=lambda: now)


def _plan(loop: MaintenanceLoop, now: datetime = NOW) -> LoopPlan:
    watch = loop.monitor(now)
    return loop.optimise(watch, loop.predict(watch))


def _pump(site: Site) -> str:
    return site.of_kind("pump")[0].name


def test_a_worn_pump_gets_a_window_of_low_load_and_a_ticket(site: Site) -> None:
    pump = _pump(site)
    loop = make_loop("maintenance", _ports(site, _feeds(site) + _worn(site, pump)))
    plan = _plan(loop)  # type: ignore[arg-type]  # make_loop gives the protocol
    task = next(task for task in plan.tasks if task.asset == pump)
    assert task.window_start
    assert task.window_end
    assert task.expected_failure
    assert task.low
    assert task.low < task.expected_failure
    assert task.fails_within > 0.8
    assert "vibration_mm_s" in task.because
    lead = timedelta(days=10)
    assert task.window_start >= NOW + lead
    assert [move.asset for move in plan.moves] == [pump]
    validate(Action(name=plan.moves[0].action, asset=pump, args=dict(plan.moves[0].args)), site)
    saved = {saving.what: saving for saving in plan.savings}
    assert saved["unforeseen failures"].saved > 0.0
    assert plan.solver
    assert plan.solver.status == "optimal"


def test_the_draw_is_foretold_and_work_falls_into_its_low_hours(site: Site) -> None:
    pump = _pump(site)
    loop = MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, pump)))
    watch = loop.monitor(NOW)
    forecasts = loop.predict(watch)
    load = forecasts[0]
    assert load.name == "site.own_kw"
    assert len(load.expected) == 14 * 24
    feeds = len(site.of_kind("feed"))
    assert load.expected[2] == pytest.approx(100.0 * feeds, rel=0.15)
    assert load.expected[11] == pytest.approx(160.0 * feeds, rel=0.15)
    signal = forecasts[1]
    assert signal.name == f"{pump}.vibration_mm_s"
    assert signal.expected[-1] > signal.expected[0] > 4.0
    assert all(
        low < middle < high
        for low, middle, high in zip(signal.low, signal.expected, signal.high, strict=True)
    )


def test_a_shorter_horizon_plans_no_further(site: Site) -> None:
    ports = replace(_ports(site, _feeds(site) + _worn(site, _pump(site))), horizon_s=20 * 86400.0)
    plan = _plan(MaintenanceLoop(ports))
    assert plan.horizon_s == 20 * 86400.0
    assert all(task.window_start < NOW + timedelta(days=20) for task in plan.tasks if task.window_start)


def test_a_sound_site_is_left_alone(site: Site) -> None:
    plan = _plan(MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, "none"))))
    assert plan.moves == ()
    assert not [task for task in plan.tasks if task.window_start]
    assert "No work is due" in plan.headline
    assert not any(trouble.blocks for trouble in plan.troubles)


def test_both_pumps_of_a_loop_are_never_done_on_one_day(site: Site) -> None:
    first = site.of_kind("pump")[0]
    partner = next(part for part in parts_of(site, NOW) if part.asset == first.name)
    other = next(
        part for part in parts_of(site, NOW)
        if part.asset != first.name and part.kind.name == "pump_bearing" and set(part.not_with) & set(partner.not_with)
    )  # fmt: skip
    readings = [row for row in _worn(site, first.name) if row[0] != other.asset]
    twin = [(other.asset, metric, at, value) for name, metric, at, value in readings if name == first.name]
    plan = _plan(MaintenanceLoop(_ports(site, _feeds(site) + readings + twin)))
    days = [
        task.window_start.date()
        for task in plan.tasks
        if task.asset in (first.name, other.asset) and task.window_start
    ]
    assert len(days) == 2
    assert days[0] != days[1]


def test_the_same_moment_gives_the_same_plan_and_a_ticket_is_not_repeated_daily(site: Site) -> None:
    pump = _pump(site)
    loop = MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, pump)))
    first, again = _plan(loop), _plan(loop)
    assert first.tasks == again.tasks
    assert first.moves == again.moves
    later = _plan(loop, NOW + timedelta(days=1))
    assert later.moves == ()


def test_a_spare_that_was_ordered_is_not_waited_for_anew(site: Site) -> None:
    pump = _pump(site)
    loop = MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, pump)))
    _plan(loop)
    later = _plan(loop, NOW + timedelta(days=2))
    task = next(task for task in later.tasks if task.asset == pump)
    assert task.window_start
    assert task.window_start < NOW + timedelta(days=12)


def test_after_the_work_is_done_nothing_is_on_order(site: Site) -> None:
    pump = _pump(site)
    loop = MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, pump)))
    assert _plan(loop).moves
    renewed = MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, "none")))
    renewed.restore({"asked": loop.state()["asked"], "ordered": loop.state()["ordered"]})
    _plan(renewed)
    assert renewed.state()["ordered"] == {}


def test_what_was_learned_goes_on_in_a_new_process(site: Site) -> None:
    pump = _pump(site)
    ports = _ports(site, _feeds(site) + _worn(site, pump))
    loop = MaintenanceLoop(ports)
    plan = _plan(loop)
    foreseen = loop.foresee(plan)
    assert foreseen
    assert foreseen[0].due == NOW + timedelta(days=1)
    loop.learn([Observed(foreseen=one, read=one.expected) for one in foreseen])
    loop.learn([Observed(foreseen=foreseen[0], read=None)])
    saved = json.loads(json.dumps(loop.state()))
    after = MaintenanceLoop(_ports(site, _feeds(site)))  # its history no longer reaches back
    after.restore(saved)
    assert after.state() == loop.state()
    task = next(task for task in _plan(after).tasks if task.asset == pump)
    assert task.fails_within > 0.8
    after.restore({"records": 7, "asked": {"x": "no moment"}, "held": "many", "unknown": 1})


def test_readings_that_cannot_be_are_left_out_and_told(site: Site) -> None:
    pump = _pump(site)
    wild = _signal(pump, "vibration_mm_s", lambda day: -5.0 if day > -5 else 1.6)
    watch = MaintenanceLoop(_ports(site, _feeds(site) + wild)).monitor(NOW)
    told = [trouble for trouble in watch.troubles if trouble.kind == "impossible"]
    assert [(one.asset, one.metric, one.blocks) for one in told] == [(pump, "vibration_mm_s", False)]
    assert "0 to 100" in told[0].what


def test_stale_and_future_readings_are_told(site: Site) -> None:
    pump = _pump(site)
    old = _signal(pump, "vibration_mm_s", lambda day: 5.0, until=NOW - timedelta(days=6))
    loop = MaintenanceLoop(_ports(site, _feeds(site) + old))
    plan = _plan(loop)
    assert {trouble.kind for trouble in loop.monitor(NOW).troubles if trouble.asset == pump} == {"stale"}
    assert not [task for task in plan.tasks if task.asset == pump]
    ahead = [(pump, "vibration_mm_s", NOW + timedelta(hours=3), 1.6), *_worn(site, "none")]
    troubles = MaintenanceLoop(_ports(site, _feeds(site) + ahead)).monitor(NOW).troubles
    assert any(trouble.kind == "clock_jump" and trouble.asset == pump for trouble in troubles)


def test_without_any_history_it_says_so_and_plans_nothing(site: Site) -> None:
    loop = MaintenanceLoop(_ports(site, []))
    plan = _plan(loop)
    assert plan.moves == ()
    assert any(trouble.kind == "missing" for trouble in loop.monitor(NOW).troubles)
    assert not any(trouble.blocks for trouble in loop.monitor(NOW).troubles)
    assert any("hours count alike" in note for note in plan.notes)
    assert any("neither read nor of known age" in note for note in plan.notes)


def test_ages_come_from_the_changes_of_the_site_file(site: Site) -> None:
    cdu = site.of_kind("cdu")[0]
    part = next(part for part in parts_of(site, NOW) if part.asset == cdu.name)
    assert part.age_days is None
    changed = Change(time=NOW - timedelta(days=500), assets=cdu.name, what="Coolant filter changed")
    aged = site.model_copy(update={"changes": (changed,)})
    assert age_of(aged, cdu, part.kind, NOW)[0] == pytest.approx(500.0)
    only_seen = Change(time=NOW - timedelta(days=5), assets=cdu.name, what="Filter inspected")
    assert age_of(site.model_copy(update={"changes": (only_seen,)}), cdu, part.kind, NOW)[0] is None
    plan = _plan(MaintenanceLoop(_ports(aged, _feeds(site))))
    task = next(task for task in plan.tasks if task.asset == cdu.name)
    assert task.window_start, "an unread filter of 500 days is due"
    assert "500 days ago" in task.because


def test_no_work_while_its_partner_is_in_maintenance(site: Site) -> None:
    pump = _pump(site)
    free = next(
        task
        for task in _plan(MaintenanceLoop(_ports(site, _feeds(site) + _worn(site, pump)))).tasks
        if task.asset == pump
    )
    assert free.window_start
    partner = next(asset for asset in site.of_kind("pump") if pump in asset.redundant_with)
    closed = MaintenanceWindow(
        start=free.window_start - timedelta(days=1),
        end=free.window_start + timedelta(days=4),
        assets=partner.name,
    )
    blocked = site.model_copy(update={"maintenance": (closed,)})
    task = next(
        task
        for task in _plan(MaintenanceLoop(_ports(blocked, _feeds(site) + _worn(site, pump)))).tasks
        if task.asset == pump
    )
    assert task.window_start
    assert not closed.start <= task.window_start < closed.end


def test_the_simulated_plants_own_wear_is_found(site: Site) -> None:
    """Head lost by a pump and passage lost by a filter, as the plant's telemetry shows them."""
    plant = Plant.start(site, NOW - timedelta(days=6))
    pump, cdu = _pump(site), site.of_kind("cdu")[-1].name
    plant.inject_knob(pump, "wear_pu", 0.4, ramp_s=12 * 86400.0)
    plant.inject_knob(cdu, "passage_pu", 0.5, ramp_s=20 * 86400.0)
    rows: Readings = []
    watched = [asset for asset in site.assets if asset.kind in ("pump", "cdu", "chiller", "crah", "feed")]
    for _ in range(24):
        plant.advance(6 * 3600.0)
        rows += [
            (a.name, m, plant.now, v) for a in watched for m, v in plant.telemetry(a.name).values.items()
        ]
    plan = _plan(MaintenanceLoop(_ports(site, rows)))
    assert {task.asset for task in plan.tasks if task.fails_within > 0.3} == {pump, cdu}
