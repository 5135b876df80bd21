"""The peak loop on sites with storage and without, with sound readings and bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from plant.jobs.schedule import ScheduledJob
from plant.site import load_site, site_file_of
from plant.specs import Tariff, TariffBand
from setpoint.contracts import Action
from setpoint.contracts.loops import Foreseen, LoopPlan, Observed
from setpoint.contracts.site import Site
from tools.actions import validate
from tools.loops.days_site import DaysSite
from tools.loops.peak_loop import OWN, PeakLoop, make
from tools.loops.ports import LoopPorts
from tools.readings import Reading
from tools.telemetry import Kept

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
EVENING = Tariff(
    price_per_kwh=0.10,
    bands=(TariffBand(from_hour=17, to_hour=21, price_per_kwh=0.30),),
    demand_per_kw_month=10.0,
)
ASSETS: list[dict[str, Any]] = [
    {"name": "feed-a", "kind": "feed", "spec": {"capacity_kw": 3000}},
    {"name": "ess-1", "kind": "ess", "on": ["feed-a"], "spec": {"power_kw": 200, "capacity_kwh": 400}},
    {"name": "gpu-[01-08]", "kind": "gpu_node", "on": ["feed-a"]},
]
LIMITS = {"soc_reserve_pct": 20.0, "site_power_max_kw": 1500.0, "ess_power_max_kw": 200.0}


def site(**changes: object) -> Site:
    names = [asset | {"name": f"gpu-0{n}"} for asset in ASSETS[2:] for n in range(1, 9)]
    told = {"name": "small", "assets": ASSETS[:2] + names, "limits": LIMITS, "tariff": EVENING} | changes
    return Site.model_validate(told)


def own_kw(days: int = 9, swing: float = 200.0) -> np.ndarray:
    """By ten minutes, ending now: highest in the evening."""
    hours = (np.arange(days * 144) - days * 144) / 6.0 + NOW.hour
    noise = np.random.default_rng(3).normal(0.0, 12.0, hours.size)
    return 1000.0 + swing * np.sin(2 * np.pi * (hours - 12.0) / 24.0) + noise


def ports(
    at: Site, load: np.ndarray, *, readings: dict[str, dict[str, float]] | None = None,
    jobs: Sequence[ScheduledJob] = (), horizon_s: float | None = None, now: datetime = NOW,
) -> LoopPorts:  # fmt: skip
    latest = {
        "feed-a": {"load_kw": float(load[-1])},
        "ess-1": {"soc_pct": 60.0, "available": 1.0, "power_kw": 0.0},
    }
    latest |= readings or {}
    times = [now - timedelta(minutes=10 * back) for back in range(len(load) - 1, -1, -1)]
    kept = Kept.of(("feed-a", "load_kw", time, float(kw)) for time, kw in zip(times, load, strict=True))
    return LoopPorts(
        site=at, history=kept, clock=lambda: now, horizon_s=horizon_s,
        read=lambda name: Reading(name, now, latest[name]) if name in latest else None,
        jobs=lambda start, end: [job for job in jobs if job.start < end and job.end > start],
    )  # fmt: skip


def turned(loop: PeakLoop, now: datetime = NOW) -> LoopPlan:
    watch = loop.monitor(now)
    return loop.optimise(watch, loop.predict(watch))


def kinds(plan: LoopPlan) -> list[str]:
    return [one.kind for one in plan.troubles]


@pytest.fixture(scope="module")
def plan() -> LoopPlan:
    return turned(make(ports(site(), own_kw())))


def test_the_evening_is_shaved_and_the_bill_sinks(plan: LoopPlan) -> None:
    by_name = {saving.what: saving for saving in plan.savings}
    assert by_name["peak"].saved > 30.0
    assert by_name["bill"].saved > 0.0
    low, high = by_name["bill"].low, by_name["bill"].high
    assert low is not None
    assert high is not None
    assert low <= by_name["bill"].saved <= high
    assert not plan.troubles
    assert not plan.local


def test_every_move_is_one_of_the_catalog_within_the_sites_bounds(plan: LoopPlan) -> None:
    assert plan.moves
    assert list(plan.moves) == sorted(plan.moves, key=lambda move: move.at)
    for move in plan.moves:
        assert validate(Action(name=move.action, asset=move.asset, args=dict(move.args)), site())


def test_the_evening_discharges_and_never_below_the_reserve(plan: LoopPlan) -> None:
    evening = [move for move in plan.moves if 17 <= move.at.hour < 21]
    assert any(move.action == "discharge_ess" for move in evening)
    soc = next(curve for curve in plan.curves if curve.name == "storage.soc_pct")
    assert min(soc.planned) >= 20.0 - 1e-6
    assert max(soc.planned) <= 90.0 + 1e-6


def test_curves_and_forecasts_have_the_horizons_length(plan: LoopPlan) -> None:
    steps = round(plan.horizon_s / 900.0)
    assert len(plan.forecasts[0].expected) == steps
    for curve in plan.curves:
        assert len(curve.planned) == len(curve.without) == steps


def test_what_it_foresees_counts_its_own_move(plan: LoopPlan) -> None:
    loop = make(ports(site(), own_kw()))
    (seen,) = loop.foresee(plan)
    moved = sum(
        float(move.args["power_kw"]) * (1 if move.action == "discharge_ess" else -1)
        for move in plan.moves if move.at <= NOW
    )  # fmt: skip
    assert seen.expected == pytest.approx(plan.forecasts[0].expected[0] - moved)
    assert seen.due == NOW + timedelta(minutes=15)


def test_the_same_moment_gives_the_same_plan(plan: LoopPlan) -> None:
    again = turned(make(ports(site(), own_kw())))
    assert again.moves == plan.moves
    assert again.savings == plan.savings


def test_without_storage_a_flexible_job_waits() -> None:
    """The peak of the evening is new this month, and only a job can give way."""
    load = own_kw()
    load[-40:] += np.linspace(0.0, 500.0, 40)
    job = ScheduledJob(
        "tune", ("gpu-01", "gpu-02", "gpu-03"), NOW - timedelta(hours=2), NOW + timedelta(hours=14), 0.9, True
    )
    bare = site(assets=[asset for asset in site().model_dump()["assets"] if asset["kind"] != "ess"])
    found = turned(make(ports(bare, load, jobs=[job], readings={"ess-1": {}})))
    assert any("no storage" in one.what for one in found.troubles)
    assert not [move for move in found.moves if move.action.endswith("_ess")]
    waits = [move for move in found.moves if move.action == "pause_job"]
    assert [move.asset for move in waits] == ["gpu-01"]


def test_a_paused_job_comes_back_where_its_power_fits() -> None:
    job = ScheduledJob(
        "tune", ("gpu-01",), NOW - timedelta(hours=2), NOW + timedelta(hours=14), 0.9, True, paused=True
    )
    found = turned(make(ports(site(), own_kw(), jobs=[job])))
    assert [move.asset for move in found.moves if move.action == "resume_job"] == ["gpu-01"]


def test_serving_is_cut_only_when_the_contract_is_in_danger() -> None:
    pools = [{"name": "chat", "nodes": ["gpu-05", "gpu-06"]}]
    readings = {
        "chat": {"batch_limit": 256.0, "model_rank": 0.0},
        "ess-1": {"soc_pct": 20.0, "available": 1.0, "power_kw": 0.0},
    }
    calm = turned(make(ports(site(pools=pools), own_kw(), readings=readings)))
    assert not [move for move in calm.moves if move.asset == "chat"]
    tight = site(pools=pools, limits=LIMITS | {"site_power_max_kw": 1000.0})
    pressed = [
        move for move in turned(make(ports(tight, own_kw(), readings=readings))).moves if move.asset == "chat"
    ]
    assert pressed[0].action == "set_batch_limit"
    assert pressed[0].args == {"batch_limit": 128}


@pytest.mark.parametrize(
    ("reading", "kind"),
    [({}, "missing"), ({"soc_pct": 140.0, "available": 1.0, "power_kw": 0.0}, "impossible")],
)
def test_a_battery_that_is_not_read_is_left_out(reading: dict[str, float], kind: str) -> None:
    found = turned(make(ports(site(), own_kw(), readings={"ess-1": reading})))
    assert kind in kinds(found)
    assert not [move for move in found.moves if move.asset == "ess-1"]


def test_a_tripped_converter_is_told_and_not_used() -> None:
    found = turned(
        make(
            ports(site(), own_kw(), readings={"ess-1": {"soc_pct": 60.0, "available": 0.0, "power_kw": 0.0}})
        )
    )
    assert any("out of service" in one.what for one in found.troubles)
    assert not [move for move in found.moves if move.asset == "ess-1"]


def test_a_tariff_with_a_hole_is_told_and_planned_with_a_stand_in() -> None:
    holed = site(tariff=EVENING.model_copy(update={"price_per_kwh": 0.0}))
    found = turned(make(ports(holed, own_kw())))
    assert kinds(found) == ["tariff_gap"]
    assert "20 of 24 hours" in found.troubles[0].what
    assert not found.local


def test_a_feed_that_is_not_read_blocks() -> None:
    found = turned(make(ports(site(), own_kw(), readings={"feed-a": {}})))
    assert any(one.blocks and one.asset == "feed-a" for one in found.troubles)


def test_no_history_hands_over_to_the_local_controller() -> None:
    loop = make(ports(site(), np.full(3, np.nan)))
    watch = loop.monitor(NOW)
    assert loop.predict(watch) == ()
    found = loop.optimise(watch, ())
    assert found.local
    assert not found.moves
    assert loop.foresee(found) == ()


def test_an_hour_of_history_is_enough_for_a_careful_plan() -> None:
    found = turned(make(ports(site(), own_kw()[-6:])))
    assert not found.local
    assert "last value" in found.forecasts[0].method


def test_a_hole_in_the_history_is_bridged() -> None:
    load = own_kw()
    load[-300:-250] = np.nan
    found = turned(make(ports(site(), load)))
    assert not found.local
    assert np.isfinite(found.forecasts[0].expected).all()


def test_a_solver_out_of_time_rests_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make(ports(site(), own_kw()))
    loop.tuning = replace(loop.tuning, time_limit_s=1e-9, plan_paths=40)
    found = turned(loop)
    assert kinds(found) == ["solver_timeout"]
    assert found.local
    assert not found.moves


@pytest.mark.parametrize(("asked_h", "planned_h"), [(6.0, 6.0), (0.1, 1.0), (500.0, 48.0)])
def test_the_horizon_is_the_one_asked_for_within_bounds(asked_h: float, planned_h: float) -> None:
    assert make(ports(site(), own_kw(), horizon_s=asked_h * 3600.0)).horizon_s == planned_h * 3600.0


def test_bands_widen_with_misses_and_state_travels() -> None:
    loop = make(ports(site(), own_kw()))
    miss = Foreseen(loop="peak", at=NOW, due=NOW, name="site.grid_kw", expected=1.0, low=0.0, high=2.0)
    loop.learn([Observed(foreseen=miss, read=9.0)] * 5 + [Observed(foreseen=miss, read=None)])
    other = make(ports(site(), own_kw()))
    narrow = other.predict(other.monitor(NOW))[0]
    other.restore(loop.state())
    wide = other.predict(other.monitor(NOW))[0]
    assert loop.state()["told"] == 5
    assert wide.high[10] - wide.low[10] > 1.2 * (narrow.high[10] - narrow.low[10])
    other.restore({"spread": "x", "held": -1, "unknown": 3})
    assert other.state() == loop.state()
    assert wide.name == OWN


def test_on_a_simulated_site_the_plan_is_done_as_it_stands() -> None:
    """Three cycles on the demo site: every due move is taken by the plant, and the reserve is kept."""
    days = DaysSite(load_site(site_file_of("demo")), datetime(2026, 3, 18, 16, 0, tzinfo=UTC), warm_days=3.0)
    loop, guarded = make(days.ports()), days.site.limits["soc_reserve_pct"]
    for cycle in range(3):
        found = turned(loop, days.now)
        assert not found.local
        for move in found.moves:
            action = validate(Action(name=move.action, asset=move.asset, args=dict(move.args)), days.site)
            if move.at <= days.now:
                days.apply(action, f"{cycle}{action.name}")
        days.settle(900.0)
        reading = days.read("ess-1")
        assert reading is not None
        assert reading.values["soc_pct"] >= guarded - 0.5


# ---- batteries that hold a draw by themselves --------------------------------------------------------------------


FOLLOWS = {"soc_pct": 60.0, "available": 1.0, "power_kw": 0.0, "power_setpoint_kw": 0.0, "hold_kw": 0.0,
           "charge_cap_kw": 0.0, "keep_pct": 0.0, "left_s": 0.0}  # fmt: skip


def due(plan: LoopPlan) -> list[Any]:
    return [move for move in plan.moves if move.at <= plan.made and move.asset == "ess-1"]


def running(move: Any, **changes: float) -> dict[str, float]:
    """What such a battery shows once the order is carried out."""
    args = {name: float(value) for name, value in move.args.items()}
    shown = {"hold_kw": args["target_kw"], "power_setpoint_kw": args["base_kw"], "charge_cap_kw": args["charge_cap_kw"],
             "keep_pct": args["keep_pct"], "left_s": 60.0 * args["duration_min"]}  # fmt: skip
    return FOLLOWS | shown | changes


def test_a_battery_that_can_is_told_the_draw_to_hold() -> None:
    found = turned(make(ports(site(), own_kw(), readings={"ess-1": FOLLOWS})))
    (move,) = due(found)
    assert move.action == "hold_draw"
    assert move.args["keep_pct"] >= 20.0
    assert move.args["duration_min"] >= 60.0
    assert {one.action for one in found.moves} == {"hold_draw"}
    for one in found.moves:
        assert validate(Action(name=one.action, asset=one.asset, args=dict(one.args)), site())


def test_nobody_is_asked_again_while_the_order_does() -> None:
    (move,) = due(turned(make(ports(site(), own_kw(), readings={"ess-1": FOLLOWS}))))
    again = turned(make(ports(site(), own_kw(), readings={"ess-1": running(move)})))
    assert due(again) == []
    for changes in ({"left_s": 600.0}, {"hold_kw": 0.9 * float(move.args["target_kw"])}, {"keep_pct": 85.0}):
        other = turned(make(ports(site(), own_kw(), readings={"ess-1": running(move, **changes)})))
        assert [one.action for one in due(other)] == ["hold_draw"], changes


def test_what_it_foresees_counts_the_draw_that_is_held() -> None:
    (move,) = due(turned(make(ports(site(), own_kw(), readings={"ess-1": FOLLOWS}))))
    low = running(move, hold_kw=950.0, power_setpoint_kw=0.0, soc_pct=80.0)
    loop = make(ports(site(), own_kw(), readings={"ess-1": low}))
    plan = turned(loop)
    asked = plan.model_copy(update={"moves": ()})
    (seen,) = loop.foresee(asked)
    assert plan.forecasts[0].expected[0] > 960.0
    assert seen.expected == pytest.approx(950.0, rel=0.005)


def test_two_batteries_share_an_order_by_their_ratings() -> None:
    assets = [*site().model_dump()["assets"]]
    second = {
        "name": "ess-2",
        "kind": "ess",
        "on": ["feed-a"],
        "spec": {"power_kw": 100, "capacity_kwh": 200},
    }
    readings = {"ess-1": FOLLOWS, "ess-2": FOLLOWS | {"soc_pct": 50.0}}
    evening = NOW + timedelta(hours=6)
    two = ports(site(assets=[*assets, second]), own_kw(), readings=readings, now=evening)
    plan = turned(make(two), evening)
    first, other = (next(one for one in plan.moves if one.asset == name) for name in ("ess-1", "ess-2"))
    assert first.args["base_kw"] == pytest.approx(2.0 * float(other.args["base_kw"]), abs=0.2)
    assert first.args["target_kw"] == other.args["target_kw"]
