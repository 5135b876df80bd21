"""Foresight and setpoints: learned from readings, ahead of announced work, safe where readings fail."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant.control.cooling.controller import Controller, Decision, Setpoints, Tuning
from plant.control.cooling.layers import coolant_layer, gpu_c, heat_layer, utilisation_layer
from plant.control.cooling.layout import Layout, layout_of
from plant.control.cooling.predictor import Predictor, Snapshot
from plant.control.cooling.reactive import Gains, ReactivePI, fixed
from plant.control.cooling.trial import Policy, Trial, Wrong, start_of
from plant.jobs.schedule import ScheduledJob
from plant.site import load_site, site_file_of

NOW = datetime(2026, 4, 14, 10, tzinfo=UTC)


def _job(
    nodes: tuple[str, ...], start: datetime, end: datetime, load_pu: float = 0.92, paused: bool = False
) -> ScheduledJob:
    return ScheduledJob("job", nodes, start, end, load_pu, flexible=False, paused=paused)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(load_site(site_file_of("hall-1024")))


def _seen(
    layout: Layout,
    at: datetime,
    load: float,
    setpoints: Setpoints,
    *,
    heat_times: float = 1.0,
    noise: float = 0.0,
) -> Snapshot:
    """A steady moment of a plant that gives off `heat_times` the nominal heat."""
    rng = np.random.default_rng(int(at.timestamp()) % 2**31)
    loads = np.full(len(layout.nodes.names), load)
    heat = heat_layer(layout, utilisation_layer(layout, loads[None, :]))
    liquid = heat_times * heat.liquid_kw[0] * (1.0 + noise * rng.standard_normal(len(layout.loops.names)))
    coolant = coolant_layer(layout.loops, liquid, setpoints.flow_lpm, setpoints.supply_c)
    air = heat.air_kw[0] + 20.0
    inlet = np.maximum(layout.halls.supply_c, setpoints.water_c[0] + air / layout.halls.kw_per_k)
    return Snapshot(
        at, loads, liquid, setpoints.flow_lpm.copy(), setpoints.supply_c.copy(), gpu_c(layout, coolant, heat.gpu_w[0]) + 50.0 * noise * rng.standard_normal(6),
        air, inlet, inlet + 45.0, setpoints.water_c.copy(), 12.0,
    )  # fmt: skip


def _learned(
    layout: Layout, load: float = 0.3, *, minutes: int = 180, heat_times: float = 1.1
) -> tuple[Predictor, Snapshot, Setpoints]:
    predictor, now = Predictor(layout, keep_errors=True), fixed(layout)
    for k in range(minutes):
        seen = _seen(
            layout, NOW + timedelta(minutes=k - minutes + 1), load, now, heat_times=heat_times, noise=0.01
        )
        predictor.observe(seen)
        predictor.ahead([])
    return predictor, seen, now


def _decide(
    layout: Layout,
    predictor: Predictor,
    seen: Snapshot,
    now: Setpoints,
    jobs: list[ScheduledJob],
    **tuning: float,
) -> Decision:
    return Controller(layout, Tuning(**tuning)).decide(seen, predictor.ahead(jobs), now, now)  # type: ignore[arg-type]  # numbers only


def test_it_learns_what_the_site_file_does_not_say(layout: Layout) -> None:
    predictor, seen, _ = _learned(layout)
    ahead = predictor.ahead([])
    assert ahead.liquid_kw.expected[9] == pytest.approx(seen.liquid_kw, rel=0.02)
    assert predictor.errors is not None
    errors = {rival: predictor.errors.mean("liquid", rival, 10) for rival in ("physics", "learned")}
    assert errors["learned"] < 0.5 * errors["physics"]


def test_an_announced_step_is_in_the_forecast_and_an_unannounced_one_is_not(layout: Layout) -> None:
    predictor, _, _ = _learned(layout, 0.0)
    job = _job(
        tuple(f"gpu-{n:03d}" for n in range(33, 97)), NOW + timedelta(minutes=10), NOW + timedelta(hours=3)
    )
    with_job, without = predictor.ahead([job]).liquid_kw.expected, predictor.ahead([]).liquid_kw.expected
    assert with_job[7] == pytest.approx(without[7], rel=0.02)
    assert (with_job[20, 2:] > 2.0 * without[20, 2:]).all()


def test_flow_rises_before_the_job_begins_and_only_as_far_as_it_needs(layout: Layout) -> None:
    predictor, seen, now = _learned(layout, 0.0)
    low = replace(now, flow_lpm=np.full(6, 80.0))
    job = _job(
        tuple(f"gpu-{n:03d}" for n in range(33, 97)), NOW + timedelta(minutes=2), NOW + timedelta(hours=3)
    )
    announced = _decide(layout, predictor, seen, low, [job])
    surprise = _decide(layout, predictor, seen, low, [])
    assert announced.flow_plan_lpm[5, 2:].min() > surprise.flow_plan_lpm[5, 2:].max() + 10.0
    assert announced.setpoints.flow_lpm[2:].min() >= surprise.setpoints.flow_lpm[2:].max()
    assert announced.flow_plan_lpm.max() < layout.loops.most_lpm.min()


def test_ramps_spread_a_change_over_the_cycles_before_it(layout: Layout) -> None:
    predictor, seen, now = _learned(layout, 0.0)
    low = replace(now, flow_lpm=np.full(6, 80.0), water_c=np.array([24.0]))
    job = _job(
        tuple(f"gpu-{n:03d}" for n in range(33, 129)), NOW + timedelta(minutes=9), NOW + timedelta(hours=3)
    )
    found = _decide(layout, predictor, seen, low, [job], flow_ramp_lpm=4.0, water_down_k=0.2)
    steps = np.diff(found.flow_plan_lpm[1:], axis=0)
    assert steps.max() <= 4.0 + 1e-6
    assert np.diff(found.water_plan_c[1:], axis=0).min() >= -0.2 - 1e-6
    assert found.setpoints.water_c[0] <= 24.0


def test_every_limit_holds_at_full_load(layout: Layout) -> None:
    predictor, seen, now = _learned(layout, 1.0, heat_times=1.0)
    for _ in range(30):
        decision = _decide(layout, predictor, seen, now, [])
        now = decision.setpoints
        seen = _seen(layout, seen.at + timedelta(minutes=1), 1.0, now)
        predictor.observe(seen)
    coolant = coolant_layer(layout.loops, seen.liquid_kw, now.flow_lpm, now.supply_c)
    assert coolant.rise_k.max() < layout.limits.rise_k
    assert seen.gpu_c.max() < layout.limits.gpu_c
    assert seen.inlet_c.max() < layout.limits.inlet_c
    assert now.flow_lpm.max() < 0.8 * fixed(layout).flow_lpm.max(), "and it is not simply the design flow"
    assert now.water_c[0] > layout.waters.design_c[0] + 1.0


def test_a_loop_that_is_not_read_is_left_to_the_local_controller(layout: Layout) -> None:
    predictor, seen, now = _learned(layout)
    blind = replace(seen, gpu_c=np.where(np.arange(6) == 2, np.nan, seen.gpu_c))
    local = replace(now, flow_lpm=np.full(6, 177.0))
    found = Controller(layout).decide(blind, predictor.ahead([]), now, local)
    assert found.local == ("cdu-3",)
    assert found.setpoints.flow_lpm[2] == 177.0
    assert (np.delete(found.setpoints.flow_lpm, 2) != 177.0).all()
    assert "cdu-3" in found.why[0]


def test_air_that_is_not_read_takes_the_water_back_to_its_design(layout: Layout) -> None:
    predictor, seen, now = _learned(layout)
    warm = replace(now, water_c=np.array([22.0]))
    blind = replace(seen, inlet_c=np.array([24.0, np.nan]))
    found = Controller(layout).decide(blind, predictor.ahead([]), warm, fixed(layout))
    assert found.local == ("hall-2",)
    assert found.setpoints.water_c[0] == pytest.approx(19.0), "by no more than one ramp"


def test_what_no_setpoint_holds_is_said_and_a_raised_supply_is_led_back(layout: Layout) -> None:
    predictor, seen, now = _learned(layout, 1.0, heat_times=1.0)
    hot = replace(now, supply_c=np.full(6, 45.0))
    tight = replace(layout, limits=replace(layout.limits, gpu_c=60.0))
    found = Controller(tight).decide(seen, predictor.ahead([]), hot, hot)
    assert found.setpoints.supply_c == pytest.approx(np.full(6, 43.0))
    assert any("cdu-4 needs more than the 420 LPM" in one for one in found.short)
    assert not Controller(layout).decide(seen, predictor.ahead([]), now, now).short


def test_too_wide_an_interval_hands_over(layout: Layout) -> None:
    predictor, seen, now = _learned(layout)
    found = Controller(layout, Tuning(uncertain_k=0.1)).decide(seen, predictor.ahead([]), now, now)
    assert found.local == layout.loops.names
    assert "0.1 K are allowed" in found.why[0]


def test_a_jump_of_the_clock_starts_the_waiting_forecasts_anew(layout: Layout) -> None:
    predictor, _, now = _learned(layout)
    before = predictor.bands["liquid", 1].scored
    predictor.observe(_seen(layout, NOW - timedelta(hours=5), 0.9, now))
    predictor.ahead([])
    assert predictor.bands["liquid", 1].scored == before
    assert np.isfinite(predictor.ahead([]).liquid_kw.expected).all()


def test_what_was_learned_travels(layout: Layout) -> None:
    predictor, seen, _ = _learned(layout)
    other = Predictor(layout)
    other.restore(json.loads(json.dumps(predictor.state())))
    for k in range(20):
        other.observe(replace(seen, at=NOW + timedelta(minutes=k - 19)))
    assert other.ahead([]).liquid_kw.expected[5] == pytest.approx(seen.liquid_kw, rel=0.02)
    other.restore({"grey": 3, "bands": {"liquid.1": []}, "gpu": {"weights": "x"}})


def test_a_coil_is_judged_at_rest_and_not_while_its_water_moves(layout: Layout) -> None:
    def gain_after(waters: list[float], worn: float) -> float:
        predictor = Predictor(layout)
        for k, water in enumerate(waters):
            now = replace(fixed(layout), water_c=np.array([water]))
            seen = _seen(layout, NOW + timedelta(minutes=k), 0.9, now)
            inlet = 23.0 + worn * seen.air_kw / layout.halls.kw_per_k  # the room as it was with water at 23 C
            predictor.observe(replace(seen, inlet_c=inlet))
        return float(predictor.ahead([]).inlet_k_per_kw[1] * layout.halls.kw_per_k[1])

    assert gain_after([23.0] * 240, 1.2) == pytest.approx(1.2, abs=0.03)
    assert gain_after([23.0] * 240 + [22.0, 20.5, 19.0, 18.0], 1.2) == pytest.approx(1.2, abs=0.03)
    assert gain_after([23.0] * 240, 4.0) <= 1.6


def test_nothing_observed_is_said(layout: Layout) -> None:
    with pytest.raises(ValueError, match="nothing observed"):
        Predictor(layout).ahead([])


def test_the_pi_holds_its_rise_and_its_intake(layout: Layout) -> None:
    pi, now = ReactivePI(layout, Gains(rise_k=16.0, inlet_c=25.5)), fixed(layout)
    for k in range(300):
        now = pi.decide(_seen(layout, NOW + timedelta(minutes=k), 0.95, now), now, 60.0)
    seen = _seen(layout, NOW, 0.95, now)
    assert coolant_layer(layout.loops, seen.liquid_kw, now.flow_lpm, now.supply_c).rise_k == pytest.approx(
        np.full(6, 16.0), abs=0.1
    )
    assert seen.inlet_c.max() == pytest.approx(25.5, abs=0.1)


def test_a_quarter_of_a_day_on_the_plant_breaks_no_limit_and_saves() -> None:
    site = load_site(site_file_of("demo"))
    met = {}
    for kind in ("fixed", "proactive"):
        trial = Trial(site, start_of(site, 4), 55, Policy(kind, kind), Wrong(0.2, 0.2, 0.1))
        met[kind] = trial.run(0.15, learn_days=0.1)
    ours = met["proactive"]
    assert (ours.over_gpu_s, ours.over_inlet_s, ours.over_rise_s) == (0.0, 0.0, 0.0)
    assert ours.total_kwh.sum() < 0.97 * met["fixed"].total_kwh.sum()
