"""Tools for planning and overview: schemas, sane answers on two sites, refusals in words, and a plant left alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from tests.tools.plant_cases import SITES, ask, ports, quiet, refused, site, tools
from tools.overview_tools import overview_tools
from tools.plan_tools import plan_tools
from tools.plant_tools import plant_tools


def test_schemas(snapshot: SnapshotAssertion) -> None:
    every = [*plan_tools(ports("demo")), *overview_tools(ports("demo"))]
    assert [convert_to_openai_tool(tool) for tool in every] == snapshot


def test_the_list_holds_each_tool_once_with_one_line_for_the_model() -> None:
    made = plant_tools(ports("demo"))
    assert len({tool.name for tool in made}) == len(made) == 21
    for tool in made:
        assert "\n" not in tool.description
        assert len(tool.description) <= 110


# ---- sizing and splits -------------------------------------------------------------------------------------------


def test_a_fleet_is_sized_and_reasons_are_given() -> None:
    found = ask(
        "demo",
        "sizing",
        model="llama-3.1-70b",
        gpu="H200",
        rate_rps=20,
        ttft_slo_ms="500ms",
        tpot_slo_ms="50ms",
    )
    best = found["best"]
    assert 8 <= best["gpus"] <= 32
    assert best["gpus"] == best["instances"] * best["tp"] * best["pp"] * best["dp"]
    assert best["ttft_p99_ms"] <= 500
    assert best["tpot_p99_ms"] <= 50
    assert best["tokens_per_s"] == pytest.approx(20 * 256, rel=0.1)
    assert found["prefill_and_decode"] in ("together", "apart")
    assert found["limited_by"]


def test_more_requests_need_no_fewer_accelerators() -> None:
    gpus = [
        ask("demo", "sizing", model="llama-3.1-8b", gpu="H100", rate_rps=r)["best"]["gpus"] for r in (5, 60)
    ]
    assert gpus[0] < gpus[1]


def test_too_few_accelerators_and_too_tight_an_slo_say_what_would_do() -> None:
    assert "Allow" in refused("demo", "sizing", model="llama-3.1-70b", gpu="H200", rate_rps=20, max_gpus=8)
    tight = refused("demo", "sizing", model="llama-3.1-405b", gpu="H100", rate_rps=1, tpot_slo_ms="1ms")
    assert "cannot be met by H100-SXM" in tight


def test_splits_come_with_reasons() -> None:
    found = ask("demo", "parallelism", model="deepseek-v3", gpu="H200", gpus=8)
    possible = [one for one in found["serve"] if one["possible"]]
    assert found["best"] in [one["name"] for one in possible]
    assert all(one["why_not"] for one in found["serve"] if not one["possible"])
    assert min(possible, key=lambda one: one["decode_ms"])["name"] == found["best"]
    assert ask("demo", "parallelism", model="deepseek-v3", gpu="H100", gpus=2)["best"] == ""


def test_training_compares_data_with_expert_parallelism() -> None:
    found = ask("demo", "parallelism", model="deepseek-v3", gpu="H200", gpus=2048, purpose="train")
    by_name = {one["name"]: one for one in found["train"]}
    assert not by_name["data parallel"]["possible"], "671 B weights do not fit one accelerator"
    assert found["best"].startswith("expert parallel")
    experts = by_name[found["best"]]
    assert experts["communication_gb"] < by_name["data parallel, all split"]["communication_gb"]
    dense = ask("demo", "parallelism", model="llama-3.1-8b", gpu="H100", gpus=64, purpose="train")
    assert "no experts" in dense["train"][-1]["why_not"]


# ---- what_if -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SITES)
def test_a_lower_clock_slows_and_the_plant_stays_as_it_is(name: str) -> None:
    before = quiet(name).to_dict()
    found = ask(name, "what_if", changes="clock=1200MHz", minutes=1)
    rows = {row["what"]: row for row in found["rows"]}
    tpot = rows["pool-chat: TPOT P99"]
    assert tpot["with_it"] > tpot["without"]
    assert rows["pool-chat: energy of its GPUs"]["with_it"] < rows["pool-chat: energy of its GPUs"]["without"]
    assert found["changes"] == [f"clock 1200 MHz on {len(site(name).of_kind('gpu_node'))} assets"]
    assert found["seconds"] == 60.0
    assert quiet(name).to_dict() == before


def test_a_warmer_supply_costs_less_cooling() -> None:
    rows = {r["what"]: r for r in ask("demo", "what_if", changes="supply_temp=40C", minutes=2)["rows"]}
    assert rows["warmest coolant return"]["with_it"] > rows["warmest coolant return"]["without"]
    assert rows["hottest GPU"]["with_it"] >= rows["hottest GPU"]["without"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"changes": "it rains"}, "is not a change"),
        ({"changes": "foo=3"}, "not something a what-if can set"),
        ({"changes": "clock=30C"}, "a frequency is wanted"),
        ({"changes": "cdu-9.flow=100"}, "no asset 'cdu-9'"),
        ({"changes": "batch=64", "minutes": 60}, "less than or equal to 10"),
    ],
)
def test_changes_that_cannot_be_are_refused(args: dict[str, object], words: str) -> None:
    assert words in refused("demo", "what_if", **args)


# ---- overview ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "gpus", "nodes"), [("demo", 256, 32), ("hall-1024", 1024, 128)])
def test_the_site_in_figures(name: str, gpus: int, nodes: int) -> None:
    found = ask(name, "site_summary")
    assert (found["gpus"], found["nodes"]) == ({"H100-SXM": gpus}, nodes)
    assert found["it_full_kw"] == pytest.approx(nodes * 10.2, rel=0.01)
    assert found["grid_full_kw"] > found["grid_now_kw"] > found["it_now_kw"]
    assert 1.05 < found["pue_now"] < 1.6
    assert len(found["pools"]) == 3


def test_the_paths_of_a_node_and_of_this_host() -> None:
    node = ask("demo", "host_paths", node="gpu-01", model="llama-3.1-70b")
    by_name = {one["path"]: one for one in node["paths"]}
    assert by_name["ssd_gds"]["load_s"] < by_name["ssd_bounce"]["load_s"], "no copy by the CPU"
    assert by_name["dram_hbm"]["load_s"] == pytest.approx(141.1 / by_name["dram_hbm"]["gb_per_s"], rel=0.05)
    here = ask("demo", "host_paths")
    assert here["paths"]
    assert here["host"].startswith("Linux")
    assert all(one["why"] for one in here["paths"] if one["usable"] != "usable")


def test_jobs_and_what_pausing_frees() -> None:
    found = ask("hall-1024", "jobs", after_h=3)
    jobs = {one["name"]: one for one in (*found["running"], *found["waiting"]) if not one["service"]}
    assert jobs["pretrain"]["node_count"] == 64
    running = next(one for one in jobs.values() if one["flexible"] and one["state"] == "running")
    freed = ask("hall-1024", "jobs", after_h=3, pause=running["name"])
    assert freed["freed_kw"] == pytest.approx(running["above_idle_kw"])
    assert 0 <= freed["net_freed_kw"] <= freed["freed_kw"] + 1e-6
    assert ask("hall-1024", "jobs", after_h=3)["running"] == found["running"], "trying changes nothing"


def test_a_job_that_is_moved_frees_its_rack() -> None:
    """At the start of hall-1024 the first fine-tuning jobs have not come; nodes are free to move to later."""
    moved = tools("hall-1024")["jobs"].invoke({"after_h": 1.5, "move": "finetune-1"})
    if isinstance(moved, str):
        assert "no room for finetune-1" in moved
    else:
        assert moved["moved_to"]
        assert moved["relieved"]


def test_faults_by_id_by_asset_and_by_kind() -> None:
    assert ask("demo", "faults")["count"] >= 40
    one = ask("demo", "faults", id="pump_trip")
    assert {"cdu-1-pump-a", "cdu-2-pump-a"} <= set(one["detail"]["can_strike"]), "those on duty"
    assert one["detail"]["effects"]
    assert one["detail"]["lines"]
    named = ask("demo", "faults", asset="cdu-1-pump-a")["faults"]
    assert {f["id"] for f in named} == {f["id"] for f in ask("demo", "faults", asset="pump")["faults"]}


def test_trends_place_the_site() -> None:
    found = ask("demo", "trends", mean_kw=1000, pue=1.2)
    assert found["annual_gwh"] == 8.76
    assert found["nearest_by_pue"] == "AI"
    assert [era["pue"] for era in found["eras"]] == [3.0, 1.8, 1.4]
    assert found["eras"][2]["grew"]["energy_twh"] == 2.0
    assert ask("hall-1024", "trends")["mean_mw"] == pytest.approx(1.5, rel=0.2)


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("parallelism", {"model": "nope", "gpu": "H100"}, "unknown model 'nope'; near are"),
        ("parallelism", {"model": "llama-3.1-8b", "gpu": "H900"}, "H900"),
        ("parallelism", {"model": "llama-3.1-8b", "gpu": "H100", "gpus": 1024}, "at most 128"),
        ("sizing", {"model": "llama-3.1-8b", "gpu": "H100"}, "rate_rps: Field required"),
        ("sizing", {"model": "llama-3.1-8b", "gpu": "H100", "rate_rps": 1e6}, "less than or equal to 300"),
        ("host_paths", {"node": "cdu-1"}, "name a gpu_node"),
        ("jobs", {"pause": "nobody"}, "no job 'nobody'; there are"),
        ("jobs", {"pause": "pretrain"}, "may not be stopped"),
        ("faults", {"id": "pump"}, "use for example pump_"),
        ("faults", {"asset": "unicorn"}, "kinds that faults strike are"),
        ("trends", {"pue": 0.5}, "greater than or equal to 1"),
    ],
)
def test_what_the_caller_can_mend_is_said(tool: str, args: dict[str, object], words: str) -> None:
    assert words in refused("demo", tool, **args)


_ALL: list[tuple[str, dict[str, Any]]] = [
    ("kv_cache", {"pool": "pool-chat"}), ("batching", {"pool": "pool-chat"}), ("request_way", {"pool": "pool-chat"}),
    ("dvfs", {"pool": "pool-chat"}), ("ess_state", {}), ("ess_runtime", {}), ("ess_dispatch", {"hours": 72}),
    ("cooling", {}), ("asset_lost", {"asset": "cdu-1", "minutes": 60}), ("site_summary", {}), ("host_paths", {}),
    ("jobs", {"after_h": 720}), ("faults", {}), ("trends", {}), ("telemetry_quality", {"asset": "cdu-1"}),
    ("telemetry_history", {"asset": "cdu-1"}), ("what_if", {"changes": "batch=64", "minutes": 10}),
    ("sizing", {"model": "llama-3.1-70b", "gpu": "H100", "rate_rps": 300, "max_gpus": 512}),
    ("parallelism", {"model": "deepseek-v3", "gpu": "H200", "gpus": 128}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "args"), _ALL, ids=[name for name, _ in _ALL])
def test_each_call_is_bounded_and_reads_only(tool: str, args: dict[str, object]) -> None:
    """On the site of 1,024 accelerators, at the limits of what may be asked: under about five seconds of CPU."""
    before = quiet("hall-1024").to_dict()
    ask("hall-1024", "what_if", changes="batch=64", minutes=1)  # kernels are compiled or loaded
    begin = time.process_time()
    ask("hall-1024", tool, **args)
    assert time.process_time() - begin < 7.5
    assert quiet("hall-1024").to_dict() == before
