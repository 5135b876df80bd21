"""A simulated site whose parts wear, as the maintenance loop sees it: signs, restoring, tickets, and a sound site."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from plant.site import Change, Site, load_site, site_file_of
from setpoint.contracts import Action
from tools.loops.days_site import DaysSite
from tools.loops.maintenance_loop import MaintenanceLoop
from tools.telemetry import History

START = datetime(2026, 11, 3, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PUMP_SEED = 0


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(site_file_of("lab-16"))


def test_worn_days_are_the_same_by_seed_and_after_a_restore(site: Site) -> None:
    days = DaysSite(site, START, warm_days=1.0, seed=5, wear=True)
    days.pass_to(START + 6 * HOUR)
    days.apply(Action(name="open_ticket", asset="crah-1", args={"queue": "facilities"}), "T-1")
    days.pass_to(START + 9 * DAY)
    again = DaysSite.from_dict(site, json.loads(json.dumps(days.to_dict())))
    assert again.worn() == days.worn()
    assert again.plant.to_dict() == days.plant.to_dict()
    assert again.meters() == pytest.approx(days.meters(), rel=1e-12)
    for asset, metric in (("crah-1", "fan_rpm"), ("crah-1", "fan_pu"), ("chiller-1", "approach_k")):
        assert _values(again.history, asset, metric) == _values(days.history, asset, metric)
    renewed = [one for one in days.worn() if one.ticket_at is not None]
    assert [(one.asset, one.failed) for one in renewed] == [("crah-1", False)]
    assert renewed[0].renewed_at
    assert days.meters()["parts_renewed"] == 1.0


def _values(history: History, asset: str, metric: str) -> tuple[float, ...]:
    series = history.series(asset, metric)
    assert series is not None
    return series.values


def test_without_wear_nothing_is_added(site: Site) -> None:
    days = DaysSite(site, START, warm_days=0.5)
    assert days.worn() == ()
    assert "parts_failed" not in days.meters()
    assert "fan_rpm" not in days.history.metrics("crah-1")
    assert not days.to_dict()["wear"]


def test_sensors_are_read_by_the_hour_and_shown_now(site: Site) -> None:
    days = DaysSite(site, START, warm_days=2.0, seed=5, wear=True)
    series = days.history.series("chiller-1", "approach_k")
    assert series is not None
    assert len(series.values) == 48
    assert {late - early for early, late in zip(series.times, series.times[1:], strict=False)} == {HOUR}
    reading = days.read("chiller-1")
    assert reading is not None
    assert reading.values["approach_k"] == pytest.approx(series.values[-1])
    assert reading.values["fouling_pu"] >= 0.0
    assert all(0.0 <= value <= 1.0 for value in _values(days.history, "chiller-1", "fouling_pu"))


def test_a_worn_filter_is_named_before_it_fails_and_a_sound_site_is_left_alone(site: Site) -> None:
    """The chiller's condenser at an age at which most have to be cleaned, against one that was just cleaned."""
    worn, sound = (_aged(site, days) for days in (520.0, 5.0))
    seed = next(seed for seed in range(40) if _fails_within(worn, seed, 25.0, 60.0))
    days = DaysSite(worn, START, warm_days=14.0, seed=seed, wear=True)
    plan = _plan(days)
    truth = next(one for one in days.worn() if one.asset == "chiller-1")
    task = next(task for task in plan.tasks if task.asset == "chiller-1")
    assert task.window_start
    assert START < task.window_start < truth.fails_at
    assert task.low
    assert task.high
    assert task.low < truth.fails_at < task.high
    days = DaysSite(sound, START, warm_days=14.0, seed=seed, wear=True)
    plan = _plan(days)
    assert not [task for task in plan.tasks if task.asset == "chiller-1" and task.window_start]
    assert not [move for move in plan.moves if move.asset == "chiller-1"]


def _aged(site: Site, days: float) -> Site:
    """The same site whose condenser was cleaned so many days before the start."""
    cleaned = Change(time=START - days * DAY, assets="chiller-*", what="Chiller condenser cleaned")
    return site.model_copy(update={"changes": (cleaned,)})


def _fails_within(site: Site, seed: int, least: float, most: float) -> bool:
    found = DaysSite(site, START - 13 * DAY, warm_days=1.0, seed=seed, wear=True).worn()
    one = next(one for one in found if one.asset == "chiller-1")
    return one.announced and least < (one.fails_at - START) / DAY < most


def _plan(days: DaysSite):  # type: ignore[no-untyped-def]  # LoopPlan
    loop = MaintenanceLoop(days.ports())
    watch = loop.monitor(days.now)
    return loop.optimise(watch, loop.predict(watch))
