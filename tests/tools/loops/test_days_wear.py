"""A simulated site whose parts wear, as the maintenance loop sees it: signs, restoring, tickets, and a sound site."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant.control.days_wear import DaysWear, WearPart, WornPart
from plant.control.maintenance.parts import PARTS
from plant.site import Site, load_site, site_file_of
from setpoint.contracts import Action
from setpoint.contracts.loops import LoopPlan
from tools.loops.days_site import DaysSite
from tools.loops.maintenance_loop import MaintenanceLoop
from tools.loops.maintenance_records import since_renewed
from tools.loops.maintenance_site import parts_of
from tools.telemetry import History

START = datetime(2026, 11, 3, tzinfo=UTC)
WARM_DAYS = 6.0
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(site_file_of("lab-16"))


def test_worn_days_are_the_same_by_seed_and_after_a_restore(site: Site) -> None:
    days = DaysSite(site, START, warm_days=1.0, seed=5, wear=True)
    days.pass_to(START + 6 * HOUR)
    days.apply(Action(name="open_ticket", asset="crah-1", args={"queue": "facilities"}), "T-1")
    days.pass_to(START + 12 * HOUR)
    again = DaysSite.from_dict(site, json.loads(json.dumps(days.to_dict())))
    assert again.worn() == days.worn()
    assert again.plant.to_dict() == days.plant.to_dict()
    assert again.meters() == pytest.approx(days.meters(), rel=1e-12)
    for asset, metric in (("crah-1", "fan_rpm"), ("crah-1", "fan_pu"), ("chiller-1", "approach_k")):
        assert _values(again.history, asset, metric) == _values(days.history, asset, metric)
    ordered = [(one.asset, one.ticket_at) for one in again.worn() if one.ticket_at is not None]
    assert ordered == [("crah-1", START + 6 * HOUR)]


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


def test_a_failing_pump_is_named_before_it_fails() -> None:
    demo = load_site(site_file_of("demo"))
    pumps = [asset.name for asset in demo.of_kind("pump")]
    seed, pump, fails_at = next(
        (seed, one.asset, one.fails_at) for seed in range(2000)
        for one in _truth(demo, seed, pumps) if one.announced and 14 < (one.fails_at - START) / DAY < 30
    )  # fmt: skip
    plan = _plan(DaysSite(demo, START, warm_days=WARM_DAYS, seed=seed, wear=True))
    task = next(task for task in plan.tasks if task.asset == pump)
    assert task.window_start
    assert START < task.window_start < fails_at
    assert task.low
    assert task.high
    assert task.low < fails_at < task.high
    assert "chance" in task.because


def test_a_sound_site_gets_no_tickets(site: Site) -> None:
    assets = [asset.name for asset in site.assets]
    seed = next(
        seed for seed in range(2000)
        if not any(one.announced and one.fails_at - START < 365 * DAY for one in _truth(site, seed, assets))
    )  # fmt: skip
    days = DaysSite(site, START, warm_days=WARM_DAYS, seed=seed, wear=True)
    loop = MaintenanceLoop(days.ports())
    for _ in range(2):
        plan = _plan(days, loop)
        assert plan.moves == ()
        assert not [task for task in plan.tasks if task.window_start]
        assert len(plan.tasks) >= 5, "what was looked at is listed"
        assert all("within 14 days with a chance of" in task.because for task in plan.tasks)
        days.pass_to(days.now + DAY)


def _truth(site: Site, seed: int, assets: Sequence[str]) -> list[WornPart]:
    """Of these assets' parts, as so many days before the start would have them."""
    begin = START - WARM_DAYS * DAY
    parts = [
        WearPart(p.asset, p.kind, p.count, p.age_days) for p in parts_of(site, begin) if p.asset in assets
    ]
    return list(DaysWear(site, parts, begin, seed).truth())


def _plan(days: DaysSite, loop: MaintenanceLoop | None = None) -> LoopPlan:
    loop = loop or MaintenanceLoop(days.ports())
    watch = loop.monitor(days.now)
    return loop.optimise(watch, loop.predict(watch))


def test_readings_of_the_part_before_do_not_count_for_the_one_in_place() -> None:
    signal = PARTS["condenser"].by_metric["approach_k"]
    worn = np.array([0.70, 0.72, 0.71, 0.74, 0.75])

    def read(*damage: float) -> int:
        return since_renewed(signal, np.array([signal.reading(d) for d in (*worn, *damage)]))

    assert read(0.02) == 5
    assert read(0.2, 0.01, 0.03) == 6, "the day of the work mixes both"
    assert read(0.77, 0.78) == 0
    assert read(0.6, 0.79) == 0, "a day that read low"
