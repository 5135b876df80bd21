"""A simulated site in its days: one clock, history, jobs, actions, meters, and going on after a kill."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant.power.tariff import HOURS_A_MONTH, bill
from plant.site import Site, load_site, site_file_of
from setpoint.contracts import Action
from setpoint.errors import BackendError, InputError, UsageError
from tools.loops.days_meters import DemandMeter
from tools.loops.days_site import DaysSite
from tools.telemetry import quality
from tools.windows import BlockHistory, readings

START = datetime(2026, 11, 3, 6, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site(site_file_of("demo"))


@pytest.fixture
def days(demo: Site) -> DaysSite:
    return DaysSite(demo, START, warm_days=1.0)


def do(days: DaysSite, name: str, asset: str, key: str = "", **args: float | int) -> None:
    days.apply(
        Action(name=name, asset=asset, args=dict(args)), key or f"{name}-{asset}-{days.now.isoformat()}"
    )


def flexible(days: DaysSite) -> str:
    """A node of a job that may be paused; time passes until there is one."""
    while True:
        for job in days.jobs(days.now, days.now + MINUTE):
            if job.flexible and job.start <= days.now and not job.paused:
                return job.nodes[0]
        days.pass_to(days.now + HOUR)


# ---- time --------------------------------------------------------------------------------------------------------


def test_it_stands_at_its_start_with_its_days_behind_it(days: DaysSite) -> None:
    assert days.now == START
    series = days.history.series("site", "grid_kw")
    assert series is not None
    assert (series.times[0], series.times[-1]) == (START - timedelta(days=1) + MINUTE, START)
    found = quality(series, START - timedelta(days=1), START)
    assert (found.step_s, found.gaps) == (60.0, ())
    assert max(series.values) > 1.2 * min(series.values)


def test_time_passes_in_whole_steps_and_never_back(days: DaysSite) -> None:
    days.pass_to(START + timedelta(seconds=47))
    assert days.now == START + timedelta(seconds=40)
    days.pass_to(START)
    assert days.now == START + timedelta(seconds=40)
    days.settle(1)
    assert days.now == START + timedelta(seconds=50)
    reading = days.read("cdu-1")
    assert reading is not None
    assert reading.time == days.now


def test_the_same_days_come_however_time_is_let_pass(demo: Site, days: DaysSite) -> None:
    other = DaysSite(demo, START, warm_days=1.0)
    for seconds in (30, 47, 260, 3600, 3611, 7200):
        other.pass_to(START + timedelta(seconds=seconds))
    days.pass_to(START + 2 * HOUR)
    assert other.plant.to_dict() == days.plant.to_dict()
    assert other.meters() == pytest.approx(days.meters(), rel=1e-12)
    seeded = DaysSite(demo, START, warm_days=1.0, seed=8)
    assert seeded.plant.to_dict() != days.plant.to_dict()


def test_requests_jobs_and_weather_move_it(days: DaysSite) -> None:
    days.pass_to(START + 24 * HOUR)
    moving = {("pool-chat", "arrival_rps"), ("site", "dry_bulb_c"), ("site", "it_kw"), ("feed-a", "load_kw"),
              ("cdu-1", "return_temp_c"), ("site", "gpu_temp_max_c")}  # fmt: skip
    for asset, metric in moving:
        series = days.history.series(asset, metric)
        assert series is not None
        assert np.std(series.values) > 0.005 * abs(np.mean(series.values)), (asset, metric)
    assert len(days.jobs(START, days.now)) >= 2


# ---- readings ----------------------------------------------------------------------------------------------------


def test_the_last_readings_are_what_it_shows_now(days: DaysSite) -> None:
    days.pass_to(START + 10 * MINUTE)
    for asset, metric in (
        ("cdu-1", "flow_lpm"),
        ("gpu-05", "gpu_temp_c"),
        ("site", "grid_kw"),
        ("site", "gpu_temp_max_c"),
    ):
        series, reading = days.history.series(asset, metric), days.read(asset)
        assert series is not None
        assert reading is not None
        assert series.times[-1] == days.now
        assert series.values[-1] == pytest.approx(reading.values[metric], rel=1e-5)
    assert days.read("no-such") is None
    assert days.history.series("cdu-1", "no_such") is None


def test_nodes_are_kept_for_two_hours_and_the_rest_for_weeks(days: DaysSite) -> None:
    node, loop = days.history.series("gpu-05", "gpu_temp_c"), days.history.series("cdu-1", "supply_temp_c")
    assert node is not None
    assert loop is not None
    assert (len(node.times), len(loop.times)) == (720, 1440)
    assert node.times[-1] - node.times[-2] == timedelta(seconds=10)


def test_blocks_are_on_one_time_line_and_gridded_as_any(days: DaysSite, demo: Site) -> None:
    assert isinstance(days.history, BlockHistory)
    block = days.history.block(START - 3 * HOUR, START)
    assert (np.diff(block.times) > 0).all()
    assert block.values.shape == (len(block.times), len(block.keys))
    _, recent = readings(days.history, demo, START - HOUR, START, 30.0)
    assert np.isfinite(recent["gpu-05", "gpu_temp_c"]).all()
    _, longer = readings(days.history, demo, START - 6 * HOUR, START, 300.0)
    assert np.isfinite(longer["cdu-1", "flow_lpm"]).all()
    assert not np.isfinite(longer["gpu-05", "gpu_temp_c"][:10]).any()


def test_a_lost_sensor_leaves_a_gap_and_an_offset_one_is_shown_so(days: DaysSite) -> None:
    true_c = days.plant.number("cdu-2", "supply_temp_c")
    days.inject("sensor_lost", "cdu-1")
    days.inject("sensor_offset.supply_temp_c", "cdu-2", value=5.0)
    lost_at = days.now
    days.pass_to(START + 10 * MINUTE)
    lost, off = days.history.series("cdu-1", "flow_lpm"), days.history.series("cdu-2", "supply_temp_c")
    assert lost is not None
    assert off is not None
    assert lost.times[-1] == lost_at
    assert off.values[-1] == pytest.approx(true_c + 5.0, abs=0.5)
    reading = days.read("cdu-1")
    assert reading is not None
    assert reading.time == lost_at


# ---- actions -----------------------------------------------------------------------------------------------------


def test_a_key_is_done_once(days: DaysSite) -> None:
    do(days, "discharge_ess", "ess-1", "K", power_kw=40.0, duration_min=30.0)
    days.settle(600)
    do(days, "discharge_ess", "ess-1", "K", power_kw=40.0, duration_min=30.0)
    assert days.plant.number("ess-1", "left_s") == pytest.approx(1200.0)
    assert (days.applied("K"), days.applied("other")) == (True, False)
    assert [action.name for _, action in days.acts] == ["discharge_ess"]
    assert days.meters()["ess_out_kwh"] == pytest.approx(40.0 / 6, rel=0.01)


def test_a_paused_job_stands_until_it_is_resumed(days: DaysSite) -> None:
    node = flexible(days)
    name = next(job.name for job in days.jobs(days.now, days.now + MINUTE) if node in job.nodes)
    nodes = next(job.nodes for job in days.jobs(days.now, days.now + MINUTE) if job.name == name)
    before_kw = days.plant.totals()["it_kw"]
    do(days, "pause_job", node)
    days.settle(300)
    assert {days.plant.number(one, "job_running") for one in nodes} == {0.0}
    assert days.plant.totals()["it_kw"] < before_kw - 2.0 * len(nodes)
    assert [job.paused for job in days.jobs(days.now, days.now + MINUTE) if job.name == name] == [True]
    do(days, "resume_job", node)
    days.settle(300)
    assert {days.plant.number(one, "job_running") for one in nodes} == {1.0}


def test_what_the_scheduler_does_not_take_is_not_done(days: DaysSite) -> None:
    busy = {node for job in days.jobs(days.now, days.now + MINUTE) for node in job.nodes}
    idle = next(
        n.name for n in days.site.of_kind("gpu_node") if not days.site.pool_of(n.name) and n.name not in busy
    )
    saved = days.to_dict()
    with pytest.raises(BackendError, match="no job runs on"):
        do(days, "pause_job", idle, "K")
    assert days.applied("K") is False
    assert days.to_dict() == saved


def test_a_twin_goes_its_own_way(days: DaysSite) -> None:
    twin = days.twin()
    twin.apply("scale_pool", "pool-chat", {"nodes": 2})
    twin.advance(3600)
    assert days.plant.number("pool-chat", "healthy_nodes") == 8.0
    assert days.now == START


def test_a_broken_node_loses_its_job(days: DaysSite) -> None:
    node = next(job.nodes[0] for job in days.jobs(days.now, days.now + HOUR) if job.start <= days.now)
    days.inject("host_crash", node)
    days.settle(180)
    assert all(node not in job.nodes for job in days.jobs(days.now, days.now + MINUTE) if job.end > days.now)


# ---- meters ------------------------------------------------------------------------------------------------------


def test_meters_agree_with_the_plants_own_and_with_the_tariff(days: DaysSite) -> None:
    kwh = days.plant.totals()["grid_kwh"]
    days.pass_to(START + 12 * HOUR)
    found, series = days.meters(), days.history.series("site", "grid_kw")
    assert series is not None
    assert found["hours"] == 12.0
    assert found["grid_kwh"] == pytest.approx(days.plant.totals()["grid_kwh"] - kwh, rel=1e-6)
    minutes = np.array(series.since(START + MINUTE).values)
    local = START.astimezone(days.site.zone)
    paid = bill(minutes, 60.0, days.site.tariff, local.hour + local.minute / 60)
    assert found["energy_cost"] == pytest.approx(paid.energy_cost, rel=2e-3)
    assert found["peak_kw"] == pytest.approx(minutes.reshape(-1, 15).mean(axis=1).max(), rel=5e-3)
    parts = sum(found[part] for part in ("pump_kwh", "fan_kwh", "chiller_kwh"))
    assert parts <= found["cooling_kwh"] <= 1.3 * parts
    assert found["carbon_kg"] == pytest.approx(0.35 * found["grid_kwh"], rel=1e-6)
    assert found["job_node_h"] > 10.0
    assert 0.0 <= found["slo_late_share"] < 0.01


def test_a_pool_that_cannot_carry_its_load_is_late(days: DaysSite) -> None:
    do(days, "scale_pool", "pool-chat", nodes=1)
    days.pass_to(START + HOUR)
    found = days.meters()
    assert found["slo_late_s.pool-chat"] > 3000.0
    assert found["slo_late_s.pool-vip"] == 0.0
    assert 0.1 < found["slo_late_share"] < 1.0


# ---- going on ----------------------------------------------------------------------------------------------------


def test_killed_days_go_on_exactly(demo: Site, days: DaysSite) -> None:
    node = flexible(days)
    do(days, "scale_pool", "pool-chat", nodes=5)
    days.settle(70)
    do(days, "pause_job", node)
    days.inject("coolant_flow_restricted", "cdu-2", value=0.6)
    days.settle(1810)
    saved = json.loads(json.dumps(days.to_dict()))
    again = DaysSite.from_dict(demo, saved)
    assert again.now == days.now
    for one in (days, again):
        one.pass_to(one.now + HOUR)
        do(one, "resume_job", node, "after")
        one.pass_to(one.now + HOUR)
    assert again.plant.to_dict() == days.plant.to_dict()
    assert again.meters() == days.meters()
    assert again.history.series("site", "grid_kw") == days.history.series("site", "grid_kw")
    assert again.jobs(START, again.now + 12 * HOUR) == days.jobs(START, days.now + 12 * HOUR)
    assert again.acts == days.acts


def test_a_series_ends_where_it_stands_and_knows_nothing_later(days: DaysSite) -> None:
    for asset, metric in days.history.keys[::37]:
        series = days.history.series(asset, metric)
        assert series is not None
        assert all(moment <= days.now for moment in series.times[-1:])


@pytest.mark.parametrize(
    "spoil", [{"version": 9}, {"site": "other"}, {"moves": [{"action": {}}]}, {"now": "yesterday"}]
)
def test_what_is_no_saved_run_is_said(demo: Site, days: DaysSite, spoil: dict[str, object]) -> None:
    with pytest.raises(InputError, match="saved"):
        DaysSite.from_dict(demo, {**days.to_dict(), **spoil})


def test_impossible_begins_are_said(demo: Site) -> None:
    with pytest.raises(UsageError, match="has no zone"):
        DaysSite(demo, datetime(2026, 1, 1))
    with pytest.raises(UsageError, match="days of history"):
        DaysSite(demo, START, warm_days=-1.0)


def test_a_drained_serving_node_takes_no_jobs_node(days: DaysSite) -> None:
    """The scheduler's replicas stand for the pool's own nodes; they do not wander off to nodes of jobs."""
    do(days, "drain_node", "gpu-05")
    days.inject("host_crash", "gpu-06")
    days.settle(180)
    assert all(set(task.nodes) <= set(days.site.pools[0].nodes) for name, task in days._jobs.scheduler.tasks.items()
               if name.startswith("pool-chat/"))  # fmt: skip
    assert days.plant.number("pool-chat", "healthy_nodes") == 6.0


def test_the_months_highest_quarter_before_the_days_is_charged_too(demo: Site) -> None:
    """Storage that charges at full power for a quarter on the eve makes the demand of the days after."""
    meter = DemandMeter(demo.zone)
    rows = np.full(6, 500.0)
    for minute in range(15):
        mean = meter.add(rows, START + timedelta(minutes=minute + 1))
    assert mean == pytest.approx(500.0)
    days = DaysSite(demo, START + timedelta(days=1), warm_days=1.0)
    before_kw = days._demand.by_month[meter.month(START)]
    days.settle(3600)
    told = days.meters()
    assert told["peak_kw"] <= before_kw
    assert told["billed_kw"] == pytest.approx(max(before_kw, told["peak_kw"]))
    assert told["demand_cost"] == pytest.approx(
        demo.tariff.demand_per_kw_month * max(before_kw, told["peak_kw"]) / HOURS_A_MONTH
    )
    assert 0.0 < told["serving_kwh"] < told["it_kwh"]
