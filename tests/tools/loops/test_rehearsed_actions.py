"""Actions that loops call for, rehearsed from readings of a site in its days: where it stands is where the rehearsal
begins, and what would break a limit is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from plant.diagnosis.results import Rehearsal
from plant.site import load_site, site_file_of
from setpoint.contracts import Action
from tools.actions import validate
from tools.loops.days_site import DaysSite
from tools.rehearsal import live_estimate, rehearse_action

START = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def days() -> DaysSite:
    """Parked to five nodes at a lower clock, on warmer water, with one handler's fans held, and one job paused."""
    made = DaysSite(load_site(site_file_of("demo")), START, warm_days=0.5)
    while not any(
        job.flexible and job.start <= made.now for job in made.jobs(made.now, made.now + timedelta(minutes=1))
    ):
        made.pass_to(made.now + timedelta(hours=1))
    job = next(job for job in made.jobs(made.now, made.now + timedelta(minutes=1)) if job.flexible)
    for name, asset, args in (
        ("scale_pool", "pool-chat", {"nodes": 5}), ("lock_pool_clock", "pool-chat", {"clock_mhz": 1500.0}),
        ("set_water_temp", "chiller-1", {"temp_c": 21.5}),
        ("pause_job", job.nodes[0], {}),
    ):  # fmt: skip
        made.apply(validate(Action(name=name, asset=asset, args=dict(args)), made.site), f"{name}-{asset}")
    made.settle(3600.0)
    return made


def rehearsed(days: DaysSite, name: str, asset: str, **args: float | int) -> Rehearsal:
    estimate = live_estimate(days.site, days.history, days.now)
    assert estimate is not None
    found = rehearse_action(
        days.site, estimate, validate(Action(name=name, asset=asset, args=dict(args)), days.site)
    )
    assert found is not None
    return found


def test_the_estimate_stands_as_the_site_was_set(days: DaysSite) -> None:
    estimate = live_estimate(days.site, days.history, days.now)
    assert estimate is not None
    for asset, metric in (("pool-chat", "serving_nodes"), ("pool-chat", "healthy_nodes"), ("pool-chat", "clock_lock_mhz"),
                          ("chiller-1", "water_setpoint_c"), ("crah-1", "fan_setpoint_pu")):  # fmt: skip
        assert estimate.plant.number(asset, metric) == pytest.approx(days.plant.number(asset, metric)), metric
    nodes = [node.name for node in days.site.of_kind("gpu_node")]
    for metric in ("parked", "drained", "job", "job_running"):
        assert [estimate.plant.number(n, metric) for n in nodes] == [
            days.plant.number(n, metric) for n in nodes
        ], metric
    site_kw, model_kw = days.plant.totals()["it_kw"], estimate.plant.totals()["it_kw"]
    assert model_kw == pytest.approx(site_kw, rel=0.03)


def test_too_few_nodes_are_refused_and_enough_are_not(days: DaysSite) -> None:
    few = rehearsed(days, "scale_pool", "pool-chat", nodes=1)
    assert "time to first token" in few.refused
    assert rehearsed(days, "scale_pool", "pool-chat", nodes=8).refused == ""


def test_nodes_that_come_back_serve_within_the_horizon(days: DaysSite) -> None:
    found = rehearsed(days, "scale_pool", "pool-chat", nodes=8)
    use = next(band for band in found.bands if band.metric == "kv_use_pct")
    assert use.acted[-1][1] < use.without[-1][1]


def test_a_lower_clock_draws_less_and_breaks_nothing(days: DaysSite) -> None:
    found = rehearsed(days, "lock_pool_clock", "pool-chat", clock_mhz=1200.0)
    energy = next(cost for cost in found.costs if cost.what == "energy_kwh")
    assert energy.acted < energy.without
    assert found.refused == ""


def test_warmer_water_takes_less_power(days: DaysSite) -> None:
    found = rehearsed(days, "set_water_temp", "chiller-1", temp_c=22.0)
    energy = next(cost for cost in found.costs if cost.what == "energy_kwh")
    assert energy.acted < energy.without
    assert found.refused == ""


def test_a_job_that_goes_on_draws_its_power_again(days: DaysSite) -> None:
    paused = next(job for job in days.jobs(days.now, days.now + timedelta(minutes=1)) if job.paused)
    found = rehearsed(days, "resume_job", paused.nodes[0])
    energy, work = (
        next(cost for cost in found.costs if cost.what == what) for what in ("energy_kwh", "gpu_work_pct")
    )
    assert energy.acted > energy.without + 0.5 * len(paused.nodes)
    assert work.acted > work.without
