"""A site under requests: what goes in comes out, loops close, faults hurt as they should, storage keeps its rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plant import Run, Site, load_of, load_site, plan_run, read_changes, simulate
from plant.faults.catalog import load_catalog
from plant.faults.place import fitting, parse_fault
from plant.inference.memory import smallest_share
from plant.inference.trace import Trace, make_trace, synthetic
from plant.power.policy import LEAST_IMPORT_PU
from plant.run import PoolServed
from setpoint.errors import InputError, UsageError

MINUTES = 1 / 60


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site("demo")


@pytest.fixture(scope="module")
def quiet(demo: Site) -> Run:
    return run(demo)


def run(
    site: Site, minutes: float = 6, *, rate: float = 0.5, change: str = "", fault: str = "", step_s: float | None = None,
    trace: Trace | None = None,
) -> Run:  # fmt: skip
    hours = minutes * MINUTES
    requests = trace if trace is not None else load_of(site, None, hours=hours, rate=rate)
    faults = [parse_fault(fault, site)] if fault else []
    changes = read_changes(change, site) if change else ()
    return simulate(plan_run(site, requests, hours=hours, step_s=step_s, faults=faults, changes=changes))


def chat(found: Run) -> PoolServed:
    return next(pool for pool in found.pools if pool.name == "pool-chat")


def site_series(found: Run, metric: str) -> np.ndarray:
    return found.series[metric, found.site]


# ---- accounts ----------------------------------------------------------------------------------------------------


def test_totals_are_the_integrals_of_the_series_and_the_plant_s_own_meters(demo: Site, quiet: Run) -> None:
    t, hour = quiet.totals, quiet.step_s / 3600
    assert t.it_kwh == pytest.approx(site_series(quiet, "it_kw").sum() * hour)
    assert t.grid_kwh == pytest.approx(site_series(quiet, "grid_kw").sum() * hour)
    parts = np.sum(
        [site_series(quiet, part) for part in ("it_kw", "cooling_kw", "losses_kw", "lights_kw")], axis=0
    )
    assert site_series(quiet, "facility_kw") == pytest.approx(parts)
    assert t.facility_kwh == pytest.approx(parts.sum() * hour)
    assert t.pue == pytest.approx(t.facility_kwh / t.it_kwh)
    assert t.facility_kwh == pytest.approx(
        t.grid_kwh + site_series(quiet, "ess_total_kw").sum() * hour, rel=1e-6
    )
    assert t.carbon_kg == pytest.approx(t.grid_kwh * demo.tariff.carbon_g_per_kwh / 1000)
    assert t.energy_cost == pytest.approx(t.grid_kwh * demo.tariff.price_at(13))
    assert t.wh_per_1k_tokens * t.output_tokens / 1e6 < t.facility_kwh


def test_the_plant_draws_what_the_engines_drew(demo: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models of the same accelerators: the engines step by step, the plant window by window."""
    from plant.simulation import _Simulation

    made = _Simulation(plan_run(demo, load_of(demo, None, hours=0.05, rate=0.6), hours=0.05))
    drawn_kwh, keep = 0.0, made.record.keep

    def watch(*arguments: Any) -> None:
        nonlocal drawn_kwh
        tables = made.plant.store.tables
        for row in made.rows[0]:
            first = int(tables.gpu_node["gpu_first"][row])
            watts = tables.gpu["power_w"][first : first + int(tables.gpu_node["gpu_rows"][row])]
            drawn_kwh += float(watts.sum()) / 3.6e6
        keep(*arguments)

    monkeypatch.setattr(made.record, "keep", watch)
    energy_kwh = chat(made.run(None)).energy_kwh
    assert drawn_kwh == pytest.approx(energy_kwh, rel=1e-6)
    assert made.plant.residual_pu < 1e-9


def test_every_request_is_accounted_for_and_the_same_plan_gives_the_same_run(demo: Site, quiet: Run) -> None:
    again = run(demo)
    assert again.totals == quiet.totals
    assert all(np.array_equal(again.series[key], quiet.series[key], equal_nan=True) for key in quiet.series)
    for pool in quiet.pools:
        assert pool.completed + pool.rejected + pool.unfinished == pool.arrived
    asked = load_of(demo, None, hours=0.1, rate=0.5).arrival_s
    assert sum(pool.arrived for pool in quiet.pools) == int((asked < 360.0).sum())


def test_a_coarser_step_tells_the_same(demo: Site, quiet: Run) -> None:
    coarse = run(demo, step_s=5.0)
    assert coarse.totals.facility_kwh == pytest.approx(quiet.totals.facility_kwh, rel=0.02)
    assert chat(coarse).ttft_p50_ms == pytest.approx(chat(quiet).ttft_p50_ms, rel=0.03)
    assert chat(coarse).completed == chat(quiet).completed


def test_one_window_and_one_request_are_enough(demo: Site) -> None:
    alone = run(demo, 1, trace=make_trace(np.zeros(1), np.array([100]), np.array([50])), step_s=60.0)
    assert len(alone.time_s) == 1
    assert sum(pool.completed for pool in alone.pools) == 1
    assert "NaN" not in str(alone.to_dict())


# ---- the loop of load, power, heat and clock -----------------------------------------------------------------------


def test_heat_follows_a_load_step_with_a_lag(demo: Site) -> None:
    """Power of the pool's accelerators is there within seconds, the coolant takes minutes."""
    late = synthetic(9000, 60.0, 3)
    found = run(demo, 12, trace=replace(late, arrival_s=late.arrival_s + 240.0))
    power, back = found.series["gpu_power_w", "pool-chat"], found.series["return_temp_c", "cdu-1"]
    before, after = power[200:239].mean(), power[300:380].mean()
    assert after > before + 150
    assert power[255] > before + 0.7 * (after - before)
    warm, hot = back[238], back[380:].max()
    assert hot > warm + 1.0
    reached_s = int(np.argmax(back[240:] > warm + 0.63 * (hot - warm)))
    assert 15 < reached_s < 300


def test_a_pump_that_trips_ends_in_throttled_clocks_and_slow_answers(demo: Site, quiet: Run) -> None:
    found = run(demo, fault="pump_trip:cdu-1-pump-a@1m")
    flow, hottest = found.series["flow_lpm", "cdu-1"], found.series["gpu_temp_c", "r-01"]
    assert flow[50] > 100
    assert flow[80] < 5
    assert hottest[100:240].max() > hottest[:60].max() + 20
    clock = found.series["clock_mhz", "pool-chat"]
    assert clock[:60].min() == clock.max()
    assert clock[100:300].min() < 0.5 * clock.max()
    assert chat(found).tpot_p99_ms > 1.5 * chat(quiet).tpot_p99_ms
    assert chat(found).attained_pu < chat(quiet).attained_pu
    assert found.series["queue", "pool-chat"][-1] > 100
    assert [(one.at_s, one.asset) for one in found.happened][:1] == [(60.0, "cdu-1-pump-a")]
    assert any("cdu-1-pump-b stands by" in note for note in found.notes)


def test_lower_clocks_save_power_and_cost_prompts_more_than_tokens(demo: Site, quiet: Run) -> None:
    slow = run(demo, change="clock=1200MHz")
    assert chat(slow).energy_kwh < 0.75 * chat(quiet).energy_kwh
    ttft, tpot = (
        chat(slow).ttft_p50_ms / chat(quiet).ttft_p50_ms,
        chat(slow).tpot_p50_ms / chat(quiet).tpot_p50_ms,
    )
    assert ttft > 1.25
    assert tpot < 1 + 0.6 * (ttft - 1)


def test_a_clock_for_decode_alone_saves_at_the_plant_and_hardly_touches_latency(
    demo: Site, quiet: Run
) -> None:
    found = run(demo, change="decode_clock=1000MHz")
    saved = chat(quiet).energy_kwh - chat(found).energy_kwh
    assert saved > 0.1 * chat(quiet).energy_kwh
    assert quiet.totals.it_kwh - found.totals.it_kwh > 0.9 * saved
    assert chat(found).ttft_p50_ms == pytest.approx(chat(quiet).ttft_p50_ms, rel=0.03)
    assert chat(found).tpot_p50_ms < 1.05 * chat(quiet).tpot_p50_ms


def test_a_power_cap_is_kept_and_bites_where_prompts_are_computed(demo: Site, quiet: Run) -> None:
    found = run(demo, change="power_cap=400W")
    assert found.series["gpu_power_w", "pool-chat"][10:].max() < 405
    assert chat(found).ttft_p50_ms > 1.02 * chat(quiet).ttft_p50_ms


def test_warmer_coolant_costs_less_cooling(demo: Site, quiet: Run) -> None:
    assert run(demo, change="supply_temp=40C").totals.pue < quiet.totals.pue
    assert run(demo, change="dry_bulb=33C wet_bulb=25C").totals.pue > quiet.totals.pue + 0.02


def test_no_arrivals_leave_idle_power_and_twice_the_arrivals_double_the_tokens(
    demo: Site, quiet: Run
) -> None:
    none, twice = run(demo, change="rate=0"), run(demo, change="rate=2")
    assert (chat(none).arrived, chat(none).output_tokens) == (0, 0)
    idle_kwh = 64 * demo.gpu("H100-SXM").idle_w / 1000 * 0.1
    assert chat(none).energy_kwh == pytest.approx(idle_kwh, rel=1e-6)
    assert chat(twice).arrived == pytest.approx(2 * chat(quiet).arrived, rel=0.02)
    late = twice.series["prefill_tokens_per_s", "pool-chat"]
    assert late[300:].mean() > 0.8 * late[60:300].mean()


def test_a_batch_limit_too_low_fills_the_queue(demo: Site, quiet: Run) -> None:
    found = run(demo, change="pool-chat.batch=2")
    assert found.series["queue", "pool-chat"][-1] > 50
    assert chat(found).tpot_p50_ms < chat(quiet).tpot_p50_ms
    assert chat(found).ttft_p99_ms > 10 * chat(quiet).ttft_p99_ms


def test_longer_contexts_fill_the_cache(demo: Site, quiet: Run) -> None:
    found = run(demo, fault="kv_thrash:pool-chat@0s")
    assert chat(found).kv_peak_pu > 1.5 * chat(quiet).kv_peak_pu


def test_a_starved_cache_preempts_and_still_finishes(demo: Site) -> None:
    pool = demo.pools[2].model_copy(update={"share": 1.0, "nodes": ("gpu-25",), "max_len": 4096})
    least = smallest_share(demo.deployment(pool), 3 * 4096)
    pool = pool.model_copy(update={"memory_share": least})
    starved = demo.model_copy(update={"pools": (pool,)})
    count = 400
    trace = make_trace(np.linspace(0.0, 20.0, count), np.full(count, 800), np.full(count, 600))
    served = run(starved, 6, trace=trace).pools[0]
    assert served.preemptions > 0
    assert served.swaps + served.recomputes == served.preemptions
    assert (served.completed, served.rejected) == (count, 0)


def test_a_pool_with_prompts_and_answers_apart_serves_all() -> None:
    row = load_site("gb200-row")
    assert row.pools[0].prefill_instances
    found = run(row, 2, rate=0.02)
    assert found.pools[0].completed > 0.95 * found.pools[0].arrived
    assert found.pools[0].tpot_p50_ms > 0


# ---- power and storage -------------------------------------------------------------------------------------------


def test_a_lost_feed_is_carried_by_the_ups_and_the_facility_still_counts_it(demo: Site, quiet: Run) -> None:
    found = run(demo, fault="feed_lost:feed-a@2m")
    grid, facility = site_series(found, "grid_kw"), site_series(found, "facility_kw")
    assert grid[200] < 0.8 * grid[110]
    assert facility[200] == pytest.approx(facility[110], rel=0.05)
    assert found.totals.pue == pytest.approx(quiet.totals.pue, abs=0.02)
    assert chat(found).completed == chat(quiet).completed


def test_storage_gives_in_the_dearest_hours_and_takes_in_the_cheapest_and_never_feeds_in() -> None:
    row = load_site("gb200-row")
    found = run(row, 26 * 60, rate=0.002, step_s=120.0)
    power, charge = found.series["ess_kw", "ess-1"], found.series["soc_pct", "ess-1"]
    hours = (13 + found.time_s / 3600) % 24
    prices = np.array([row.tariff.price_at(int(hour)) for hour in hours])
    assert set(prices[power > 5]) <= {prices.max()}
    assert set(prices[power < -5]) <= {prices.min()}
    assert charge.min() < 35 < 85 < charge.max() <= 90.5
    assert site_series(found, "grid_kw").min() > 0
    assert site_series(found, "grid_kw")[power > 5].mean() == pytest.approx(
        LEAST_IMPORT_PU * site_series(found, "facility_kw")[power > 5].mean(), rel=0.2
    )


# ---- every fault ---------------------------------------------------------------------------------------------------


def test_every_fault_of_the_catalog_runs(demo: Site) -> None:
    """All of the kinds that strike the demo site, each for a minute; nothing but latency may have holes."""
    trace = load_of(demo, None, hours=1 * MINUTES, rate=0.2)
    told = 0
    for name, fault in load_catalog().items():
        if not fault.effects or not fitting(fault, demo):
            continue
        plan = plan_run(demo, trace, hours=1 * MINUTES, step_s=10.0, faults=[parse_fault(f"{name}@4s", demo)])
        found = simulate(plan)
        told += 1
        for pool in found.pools:
            assert pool.completed + pool.rejected + pool.unfinished == pool.arrived, name
        for (metric, _), values in found.series.items():
            if not metric.startswith(("ttft", "tpot", "wh_per", "carbon_g")):
                assert np.isfinite(values).all(), (name, metric)
    assert told >= 50


# ---- what is asked -------------------------------------------------------------------------------------------------


def test_a_trace_of_time_since_1970_begins_with_the_run(demo: Site, tmp_path: Path) -> None:
    file = tmp_path / "late.csv"
    file.write_text("arrival_s,input_toks,output_toks\n1700000000,100,20\n1700000030,100,20\n")
    trace = load_of(demo, file)
    assert trace.arrival_s.tolist() == [0.0, 30.0]
    assert plan_run(demo, trace).seconds == 90.0
    assert "begins at 1,700,000,000 s" in trace.notes[0]


def test_a_short_trace_is_repeated_and_unsorted_arrivals_are_refused_or_sorted(
    demo: Site, tmp_path: Path
) -> None:
    file = tmp_path / "short.csv"
    file.write_text("arrival_s,input_toks,output_toks\n0,100,20\n9,100,20\n5,100,20\n")
    with pytest.raises(InputError, match="not sorted"):
        load_of(demo, file)
    trace = load_of(demo, file, sort=True, hours=0.01)
    assert len(trace) > 9
    assert (np.diff(trace.arrival_s) >= 0).all()


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_hours_that_cannot_be_run_are_refused(demo: Site, hours: float) -> None:
    with pytest.raises(UsageError, match="above zero, at most 8,784 hours"):
        plan_run(demo, synthetic(5, 1.0, 1), hours=hours)
    with pytest.raises(UsageError):
        load_of(demo, None, hours=hours)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 1e9])
def test_rates_that_cannot_be_served_are_refused(demo: Site, rate: float) -> None:
    with pytest.raises(UsageError):
        load_of(demo, None, hours=0.1, rate=rate)


def test_a_fault_after_the_end_and_too_many_windows_are_refused(demo: Site) -> None:
    trace = synthetic(5, 1.0, 1)
    with pytest.raises(UsageError, match="pump_trip begins at 36000 s, the run ends at 360 s"):
        plan_run(demo, trace, hours=0.1, faults=[parse_fault("pump_trip@10h", demo)])
    with pytest.raises(UsageError, match="Choose a --step of"):
        plan_run(demo, trace, hours=0.1, step_s=1e-9)


def test_a_site_without_pools_is_refused_with_the_remedy(demo: Site) -> None:
    bare = demo.model_copy(update={"pools": ()})
    with pytest.raises(UsageError, match="Describe a pool under `pools:`"):
        load_of(bare, None)
    with pytest.raises(UsageError, match="Describe a pool under `pools:`"):
        plan_run(bare, synthetic(5, 1.0, 1))


def test_a_run_starts_on_a_warm_plant(demo: Site, quiet: Run) -> None:
    assert quiet.series["return_temp_c", "cdu-1"][0] > 36
