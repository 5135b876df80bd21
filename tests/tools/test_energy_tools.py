"""Tools about energy: schemas, clocks that save, a storage whose figures close, a plan that never costs more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from plant.sim import Reading
from tests.tools.bench import NIGHT
from tests.tools.plant_cases import SITES, ask, ports, refused
from tools.energy_tools import energy_tools


def test_schemas(snapshot: SnapshotAssertion) -> None:
    assert [convert_to_openai_tool(tool) for tool in energy_tools(ports("demo"))] == snapshot


@pytest.mark.parametrize("by", ["clock", "power_cap"])
@pytest.mark.parametrize("site", SITES)
def test_a_lower_clock_saves_energy_within_the_slo(site: str, by: str) -> None:
    found = ask(site, "dvfs", pool="pool-chat", rate_rps=24, ttft_slo_ms="2s", tpot_slo_ms="60ms", by=by)
    full, best = found["full"], found["best"]
    assert best["keeps_slo"]
    assert best["ttft_p99_ms"] <= 2000
    assert best["tpot_p99_ms"] <= 60
    assert best["joule_per_1000_tokens"] < full["joule_per_1000_tokens"]
    assert 0.05 < found["energy_saved_pu"] < 0.45, "measured on H200 decode: up to 32 % (arXiv 2605.11999)"
    assert best["gpu_w"] < full["gpu_w"] <= 700
    assert found["tpot_added_ms"] > 0
    assert (best["cap_w"] is None) == (by == "clock")


def test_decode_is_slowed_before_prefill() -> None:
    """Decode waits for memory, so its clock costs least."""
    best = ask("demo", "dvfs", pool="pool-chat", rate_rps=24, ttft_slo_ms=800, tpot_slo_ms=60)["best"]
    assert best["decode_mhz"] < best["prefill_mhz"]


def test_an_slo_that_full_clock_breaks_is_said() -> None:
    found = ask("demo", "dvfs", pool="pool-chat", rate_rps=24, ttft_slo_ms=1, tpot_slo_ms=1)
    assert not found["best"]["keeps_slo"]
    assert found["energy_saved_pu"] == 0.0
    assert "no clock keeps this SLO" in found["note"]


@pytest.mark.parametrize("site", SITES)
def test_the_state_of_the_storage_closes(site: str) -> None:
    found = ask(site, "ess_state")
    inside = found["capacity_kwh"] * (found["soc_pct"] - found["soc_min_pct"]) / 100
    assert found["usable_kwh"] == pytest.approx(inside * 0.949, rel=2e-3), "one-way efficiency of the spec"
    assert found["minutes_at_rated"] == pytest.approx(60 * found["usable_kwh"] / found["rated_kw"], rel=2e-3)
    assert found["room_kwh"] > found["capacity_kwh"] * (found["soc_max_pct"] - found["soc_pct"]) / 100
    assert found["minutes_at_site_load"] == 0.0, "the converter is smaller than the site"
    assert found["site_kw"] > found["rated_kw"]


def test_runtime_at_a_load_and_what_is_kept() -> None:
    whole = ask("demo", "ess_runtime", load_kw="80kW")
    kept = ask("demo", "ess_runtime", load_kw=80, keep_pct=30)
    assert whole["carries_it"]
    assert whole["minutes"] == pytest.approx(60 * 100 * 0.95 / 80, rel=0.02), (
        "50 % of 200 kWh, about 95 % of it"
    )
    assert kept["minutes"] == pytest.approx(0.6 * whole["minutes"], rel=1e-3), "30 of the 50 points"


def test_more_than_the_converter_carries_is_said_with_what_is_left() -> None:
    found = ask("demo", "ess_runtime")
    assert (found["carries_it"], found["minutes"]) == (False, 0.0)
    assert found["minutes_at_most"] > 50
    assert f"{found['load_kw'] - 100:.1f}" in found["note"]


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("load", [[], [200.0], [float(100 + 25 * (h % 7)) for h in range(24)], [0.0]])
def test_a_plan_never_costs_more_than_no_storage(site: str, load: list[float]) -> None:
    found = ask(site, "ess_dispatch", hours=24, load_kw=load)
    assert found["bill"] <= found["bill_without"] + 1e-6
    assert found["saving"] >= 0.0
    for hour in found["hours"]:
        assert hour["grid_kw"] >= -1e-6, "it never exports"
        assert hour["grid_kw"] == pytest.approx(hour["load_kw"] - hour["ess_kw"], abs=0.2, rel=2e-3)
        assert 9.9 <= hour["soc_pct"] <= 90.1


def test_it_discharges_when_power_is_dear() -> None:
    hours = ask("hall-1024", "ess_dispatch", start_hour=0)["hours"]
    dear = [h["ess_kw"] for h in hours if h["price_per_kwh"] > 0.15]
    cheap = [h["ess_kw"] for h in hours if h["price_per_kwh"] < 0.15]
    assert sum(dear) > 0 > sum(cheap)


def test_a_higher_peak_is_pointed_out() -> None:
    found = ask("hall-1024", "ess_dispatch", start_hour=0)
    assert ("raises the peak" in found["note"]) == (found["peak_kw"] > found["peak_without_kw"] + 0.5)


def test_a_real_sites_readings_count() -> None:
    """Telemetry goes before the model; a tripped converter carries nothing."""
    values = {"soc_pct": 42.0, "power_kw": -5.0, "available": 0.0}
    read = replace(ports("demo"), read=lambda name: Reading(name, NIGHT, values), twin=None)
    named = {tool.name: tool for tool in energy_tools(read)}
    state = named["ess_state"].invoke({})
    assert (state["soc_pct"], state["power_kw"], state["available"]) == (42.0, -5.0, False)
    assert "quiet state" in state["note"]
    runtime = named["ess_runtime"].invoke({"load_kw": 50})
    assert (runtime["minutes"], runtime["most_kw"]) == (0.0, 0.0)
    assert "not available" in runtime["note"]
    assert "nothing to plan" in named["ess_dispatch"].invoke({})


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("ess_state", {"asset": "cdu-1"}, "cdu-1 is a cdu; name a ess, such as ess-1"),
        ("ess_state", {"asset": "ess-9"}, "use for example ess-1"),
        ("ess_runtime", {"load_kw": "80C"}, "load_kw: '80C' is a temperature"),
        ("ess_runtime", {"load_kw": 0}, "greater than 0"),
        ("ess_dispatch", {"hours": 3, "load_kw": [1, 2]}, "2 loads for 3 hours"),
        ("ess_dispatch", {"hours": 400}, "hours"),
        ("dvfs", {"model": "llama-2-7b", "gpu": "Groq-LPU-v1", "tp": 72}, "clock of Groq-LPU-v1 is fixed"),
    ],
)
def test_what_the_caller_can_mend_is_said(tool: str, args: dict[str, object], words: str) -> None:
    assert words in refused("demo", tool, **args)


def test_a_site_without_storage_says_so() -> None:
    assert "this site has no ess" in refused("lab-16", "ess_state")
