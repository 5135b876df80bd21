"""A rehearsal tells what doing something changes, refuses what brings trouble, and never what takes some away."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.diagnosis.ensemble import NOTHING, Ensemble, Step
from plant.diagnosis.estimate import Estimate
from plant.diagnosis.outlook import share_interval
from plant.diagnosis.quiet import as_estimate
from plant.diagnosis.rehearse import Bound, horizon_of, rehearse
from plant.diagnosis.results import LimitRisk, Rehearsal, SensorProblem
from plant.sim import Plant
from plant.site import Site, load_site, site_file_of
from setpoint.errors import UsageError

NIGHT = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
PUMP = Step("start_standby_pump", "cdu-1-pump-b", {}, "start the other pump")


@cache
def demo() -> Site:
    return load_site(site_file_of("demo"))


@cache
def steady() -> Plant:
    return Plant.start(demo(), NIGHT)


def quiet(**knobs: tuple[str, float]) -> Estimate:
    """The quiet site, with knobs turned and half a minute gone."""
    plant = steady().copy()
    for knob, (asset, value) in knobs.items():
        plant.inject_knob(asset, knob, value)
    if knobs:
        plant.advance(10.0)
    return as_estimate(plant)


def pump_lost() -> Estimate:
    return quiet(failed=("cdu-1-pump-a", 1.0))


def risk(rehearsal: Rehearsal, name: str) -> LimitRisk:
    return next(one for one in rehearsal.risks if one.name == name)


def end_of(rehearsal: Rehearsal, asset: str, metric: str) -> tuple[float, float, float]:
    return next(b.acted[-1] for b in rehearsal.bands if (b.asset, b.metric) == (asset, metric))


# ---- what it tells -----------------------------------------------------------------------------------------------


def test_the_standby_pump_saves_the_loop() -> None:
    found = rehearse(demo(), pump_lost(), PUMP.action, PUMP.asset, {}, bound=Bound(0.1))
    heat = risk(found, "gpu_temp_max_c")
    assert (heat.without, heat.acted, heat.asset) == (1.0, 0.0, "cdu-1")
    assert heat.high == pytest.approx(share_interval(0.0, 16)[1])
    lost = next(cost for cost in found.costs if cost.what == "gpus_lost")
    assert (lost.without, lost.acted) == (96.0, 0.0)
    assert found.refused == ""
    assert found.options[0].action == "start_standby_pump"
    assert "100 % without, 0 % with" in found.said
    assert "96 without, 0 with" in found.said


def test_it_starts_from_the_estimate_and_leaves_it_alone() -> None:
    known = pump_lost()
    before = known.plant.store.values.copy()
    rehearse(demo(), known, PUMP.action, PUMP.asset, {})
    assert np.array_equal(known.plant.store.values, before)
    assert known.plant.journal == {}


def test_the_same_seed_gives_the_same_rehearsal_and_another_seed_another() -> None:
    known = pump_lost()
    one, same, other = (
        rehearse(demo(), known, "cap_gpu_power", "gpu-01", {"cap_w": 300.0}, seed=seed) for seed in (3, 3, 4)
    )
    assert one.model_copy(update={"seconds": 0.0}) == same.model_copy(update={"seconds": 0.0})
    assert one.bands != other.bands


@settings(max_examples=8, deadline=None)
@given(low=st.integers(200, 450), step=st.integers(50, 250))
def test_a_tighter_cap_is_never_warmer_and_never_draws_more(low: int, step: int) -> None:
    tight, loose = (
        rehearse(demo(), quiet(), "cap_gpu_power", "gpu-20", {"cap_w": float(cap)}, members=4)
        for cap in (low, low + step)
    )
    energy = {
        r.args["cap_w"]: next(c.acted for c in r.costs if c.what == "energy_kwh") for r in (tight, loose)
    }
    assert energy[low] <= energy[low + step] + 1e-6
    metrics = [{(b.asset, b.metric) for b in r.bands} for r in (tight, loose)]
    for key in metrics[0] & metrics[1] & {("gpu-20", "gpu_temp_c"), ("gpu-20", "power_kw")}:
        assert end_of(tight, *key)[1] <= end_of(loose, *key)[1] + 1e-3


def test_nothing_changed_is_said_so() -> None:
    found = rehearse(demo(), quiet(), "set_kv_watermark", "pool-chat", {"watermark_pct": 90.0}, members=4)
    assert found.said.startswith("It changes nothing within 10 min")


def test_storage_is_followed_as_long_as_it_runs() -> None:
    args = {"power_kw": 100.0, "duration_min": 90.0}
    found = rehearse(demo(), quiet(), "discharge_ess", "ess-1", args)
    assert found.horizon_s == horizon_of("discharge_ess", args) == 90 * 60 + 300
    assert risk(found, "soc_min_pct").acted == 1.0
    assert "storage emptied to 10 %" in found.refused


def test_at_most_six_plots_those_in_danger_first() -> None:
    found = rehearse(demo(), pump_lost(), PUMP.action, PUMP.asset, {})
    assert len(found.bands) <= 6
    assert found.bands[0].limit is not None
    for band in found.bands:
        assert len(band.times_s) == len(band.without) == len(band.acted)
        assert all(low <= middle <= high for low, middle, high in (*band.without, *band.acted))


# ---- the interlock -----------------------------------------------------------------------------------------------


def test_an_action_that_brings_trouble_is_refused_with_the_better_one() -> None:
    hot = quiet(supply_offset_k=("cdu-1", 6.0))
    found = rehearse(
        demo(), hot, "set_supply_temp", "cdu-1", {"temp_c": 44.0}, bound=Bound(0.02),
        alternatives=[Step("set_supply_temp", "cdu-1", {"temp_c": 30.0}, "set it to 30 C")],
    )  # fmt: skip
    assert (
        "coolant supply over 45 C (cdu-1) is 100 % with it and 0 % without it, at most 2 % allowed"
        in found.refused
    )
    assert "better" in found.refused


def test_what_lowers_a_chance_that_is_high_is_not_refused() -> None:
    """Half of the loop's flow is gone and the GPUs throttle; some more flow helps some members only."""
    strangled = quiet(passage_pu=("cdu-1", 0.06))
    found = rehearse(demo(), strangled, "cap_gpu_power", "gpu-01", {"cap_w": 300.0}, bound=Bound(0.0))
    assert max(one.acted for one in found.risks) > 0.0
    assert found.refused == ""


def test_what_changes_nothing_in_an_emergency_is_not_refused() -> None:
    found = rehearse(
        demo(), pump_lost(), "set_kv_watermark", "pool-batch", {"watermark_pct": 80.0}, bound=Bound(0.05),
        cause="coolant_pump_failure@cdu-1-pump-a",
    )  # fmt: skip
    assert risk(found, "gpu_temp_max_c").acted == 1.0
    assert found.refused == ""


def test_latency_yields_where_equipment_is_saved() -> None:
    """Shedding a pool breaks its own latency; what is given up by design refuses nothing."""
    args = {"batch_limit": 8.0}
    strict = rehearse(demo(), quiet(), "set_batch_limit", "pool-chat", args, bound=Bound(0.05))
    assert "time to first token" in strict.refused
    given_up = Bound(0.05, yields=frozenset({"ttft_slo_ms", "kv_use_max_pct"}))
    assert rehearse(demo(), quiet(), "set_batch_limit", "pool-chat", args, bound=given_up).refused == ""


def test_isolating_a_leak_is_better_than_letting_it_run() -> None:
    found = rehearse(demo(), quiet(leak=("r-02", 1.0)), "close_leak_valve", "r-02", {})
    leak = risk(found, "coolant_leak")
    assert (leak.without, leak.acted) == (1.0, 0.0)
    assert found.options[0].action == "close_leak_valve"


# ---- the state it starts from --------------------------------------------------------------------------------------


def biased(known: Estimate, node: str, gap_c: float) -> Estimate:
    return replace(known, bias={(node, "gpu_temp_c"): gap_c})


def test_the_gap_of_a_node_read_warmer_goes_into_its_thermal_resistance() -> None:
    """So it shrinks with the node's power, where an added constant would stay."""
    probes = steady().probes(["gpu-02.gpu_temp_c"])
    cap = Step("cap_gpu_power", "gpu-02", {"cap_w": 200.0}, "")
    plain, warm = (
        Ensemble(known, count=2).run(cap, 600.0, probes, 10.0, 5.0)[:, :, 0]
        for known in (quiet(), biased(quiet(), "gpu-02", 15.0))
    )
    gap = warm - plain
    assert gap[:, 0] == pytest.approx(15.0, abs=0.1)
    assert np.all(gap[:, -1] < 11.0)
    assert np.all(gap[:, -1] > 3.0)


def test_a_reading_that_is_not_to_be_trusted_adds_nothing() -> None:
    known = biased(quiet(), "gpu-02", 15.0)
    stuck = SensorProblem(kind="stuck", asset="gpu-02", metric="gpu_temp_c", text="it stands still")
    doubted = replace(known, note=known.note.model_copy(update={"problems": (stuck,)}))
    assert Ensemble(doubted).bias == {}
    assert np.array_equal(_run(Ensemble(doubted)), _run(Ensemble(quiet())))


def _run(ensemble: Ensemble) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return ensemble.run(NOTHING, 60.0, steady().probes(["gpu-02.gpu_temp_c"]), 10.0, 5.0)


def test_members_are_mirrored_and_share_their_draws_over_choices() -> None:
    ensemble = Ensemble(quiet(), count=6, seed=2)
    probes = steady().probes(["cdu-1.kj_per_k", "cdu-1.flow_lpm"])
    without, acted = (
        ensemble.run(step, 60.0, probes, 10.0, 5.0)
        for step in (NOTHING, Step("set_coolant_flow", "cdu-1", {"flow_lpm": 180.0}, ""))
    )
    logs = np.log(without[:, 0, 0] / steady().number("cdu-1", "kj_per_k"))
    assert logs[0::2] == pytest.approx(-logs[1::2])
    assert np.array_equal(without[:, :, 0], acted[:, :, 0])
    assert np.all(acted[:, -1, 1] > without[:, -1, 1])


def test_members_that_diverge_are_left_out_and_lower_the_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ensemble.run

    def broken(self: Ensemble, *args: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        found = real(self, *args)  # type: ignore[arg-type]  # passed on as they came
        found[:2] = np.nan
        return found

    monkeypatch.setattr(Ensemble, "run", broken)
    found = rehearse(demo(), quiet(), "cap_gpu_power", "gpu-01", {"cap_w": 300.0}, members=8)
    assert (found.members, found.confidence) == (6, 0.75)


def test_what_moves_nothing_cannot_be_rehearsed() -> None:
    with pytest.raises(UsageError, match="moves nothing in the plant model"):
        rehearse(demo(), quiet(), "open_ticket", "gpu-01", {"queue": "hardware"})


@pytest.mark.parametrize("name", ["lab-16", "gb200-row"])
def test_small_sites_have_a_rehearsal_too(name: str) -> None:
    """Without racks, pools or storage in the file there is less to tell, and still something."""
    site = load_site(site_file_of(name))
    node = site.of_kind("gpu_node")[0].name
    found = rehearse(
        site, as_estimate(Plant.start(site, NIGHT)), "cap_gpu_power", node, {"cap_w": 300.0}, members=4
    )
    assert found.bands
    assert found.said


def test_a_limit_that_is_broken_elsewhere_either_way_is_not_the_actions_matter() -> None:
    found = rehearse(demo(), pump_lost(), "set_kv_watermark", "pool-batch", {"watermark_pct": 80.0})
    assert "gpu_temp_max_c" not in {one.name for one in found.risks}
    assert all(option.worst_limit != "gpu_temp_max_c" for option in found.options)
    assert "Doing nothing is as good" in found.said


def test_a_better_way_is_named() -> None:
    found = rehearse(
        demo(), pump_lost(), "cap_gpu_power", "gpu-01", {"cap_w": 300.0},
        alternatives=[Step("start_standby_pump", "cdu-1-pump-b", {}, "Start standby pump cdu-1-pump-b")],
        cause="coolant_pump_failure@cdu-1-pump-a",
    )  # fmt: skip
    assert found.options[0].label == "Start standby pump cdu-1-pump-b"
    assert "Better: Start standby pump cdu-1-pump-b" in found.said
    assert all(option.gpu_work_pct <= 100.0 for option in found.options)


def test_what_differs_little_from_doing_nothing_does_not_come_before_it() -> None:
    found = rehearse(demo(), pump_lost(), "set_kv_watermark", "pool-batch", {"watermark_pct": 80.0})
    assert found.options[0].action == ""
