"""Tools about serving: schemas, figures against closed forms, and what they say when they cannot."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from tests.tools.plant_cases import SITES, ask, ports, refused
from tools.inference_tools import inference_tools


def test_schemas(snapshot: SnapshotAssertion) -> None:
    assert [convert_to_openai_tool(tool) for tool in inference_tools(ports("demo"))] == snapshot


@pytest.mark.parametrize("site", SITES)
def test_the_cache_of_a_pool_adds_up(site: str) -> None:
    """Llama-3.1-70B at 16 bits: 2 * 80 layers * 8 heads * 128 * 2 bytes = 327,680 bytes a token, 141 GB of weights."""
    found = ask(site, "kv_cache", pool="pool-chat", rate_rps=40)
    assert found["token_kb"] == pytest.approx(327.68, rel=1e-3)
    assert found["weights_gb"] == pytest.approx(141, rel=0.01)
    assert found["pool_tokens"] == found["blocks"] * found["block_tokens"]
    assert found["pool_gb"] == pytest.approx(found["pool_tokens"] * 327_680 / 1e9, rel=2e-3)
    assert found["pool_gb"] + found["weights_gb"] < 0.9 * 8 * 85.9
    assert 0.0 < found["waste_pu"] < 0.04
    assert found["longest_context_tokens"] == 16384
    assert found["use_now_pct"] is not None


def test_more_load_fills_more_of_the_cache_until_it_is_overrun() -> None:
    shares = [
        ask("demo", "kv_cache", pool="pool-chat", rate_rps=rate)["occupancy_pu"] for rate in (8, 32, 64)
    ]
    assert all(0 < low < high < 1 for low, high in pairwise(shares))
    over = ask("demo", "kv_cache", pool="pool-chat", rate_rps=2000)
    assert (over["running"], over["occupancy_pu"]) == (None, None)
    assert "queue grows" in over["note"]


def test_a_short_prompt_is_recomputed_and_a_long_one_swapped() -> None:
    """The vLLM paper, section 4.5: swapping's many small copies cost more for short sequences; prefill grows faster."""
    short = ask("demo", "kv_cache", pool="pool-batch", preempted_tokens=64)
    long = ask("demo", "kv_cache", pool="pool-batch", preempted_tokens=16_000)
    assert (short["cheaper"], long["cheaper"]) == ("recompute", "swap")
    assert short["recompute_ms"] < short["swap_ms"]
    assert long["swap_ms"] < long["recompute_ms"]


def test_what_does_not_fit_cpu_memory_is_recomputed() -> None:
    """Llama-2-7B keeps 524,288 bytes a token (no shared heads): 64 GB of swap space hold 122,070 tokens."""
    found = ask("demo", "kv_cache", model="llama-2-7b", gpu="H200", preempted_tokens=131_072)
    assert found["swap_ms"] is None
    assert found["cheaper"] == "recompute"


@pytest.mark.parametrize("site", SITES)
def test_a_larger_batch_limit_serves_more_at_longer_steps(site: str) -> None:
    found = ask(site, "batching", pool="pool-chat", batches=[8, 256], chunks=[2048])
    few, many = found["rows"]
    assert many["tokens_per_s"] > 1.5 * few["tokens_per_s"]
    assert many["mean_batch"] > few["mean_batch"]
    assert many["tpot_p50_ms"] > few["tpot_p50_ms"]
    assert many["ttft_p99_ms"] < few["ttft_p99_ms"], "requests no longer wait for a place"


def test_the_best_limits_keep_the_slo_with_least_energy() -> None:
    found = ask("demo", "batching", pool="pool-chat", rate_rps=16)
    kept = [row for row in found["rows"] if row["keeps_slo"]]
    assert found["best"] == min(kept, key=lambda row: row["joule_per_1000_tokens"])
    assert all(row["ttft_p99_ms"] <= 500 and row["tpot_p99_ms"] <= 50 for row in kept)


def test_a_step_must_hold_its_batch() -> None:
    found = ask("demo", "batching", pool="pool-chat", batches=[64, 1024], chunks=[512])
    assert [row["max_batch"] for row in found["rows"]] == [64]
    assert "cannot hold the batch" in found["left_out"][0]
    assert "none of these limits can be" in refused(
        "demo", "batching", pool="pool-chat", batches=[1024], chunks=[16]
    )


def test_the_legs_of_a_request_add_up_to_its_time() -> None:
    found = ask("demo", "request_way", pool="pool-chat", start="cold", offload="dram")
    counted = [leg["ms"] for leg in found["legs"] if leg["waited_for"] and not leg["part_of"]]
    assert math.fsum(counted) == pytest.approx(found["total_ms"], rel=1e-3)
    assert found["ttft_ms"] < found["total_ms"] - 1e3 * found["start_s"]
    assert any("offload" in leg["stage"] and not leg["waited_for"] for leg in found["legs"])
    warm = ask("demo", "request_way", pool="pool-chat")
    assert warm["start_s"] == 0.0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "This site has pool-chat, pool-vip, pool-batch"),
        ({"pool": "nowhere"}, "Its pools: pool-chat"),
        ({"pool": "pool-chat", "model": "llama-3.1-8b"}, "both given"),
        ({"model": "llama-3.1-8b"}, "both model and gpu"),
        ({"model": "lama-70b", "gpu": "H100"}, "near are llama"),
        ({"model": "llama-3.1-405b", "gpu": "H100"}, "It fits with tp 8, pp 2"),
        ({"pool": "pool-chat", "tp": 1}, "It fits with"),
        ({"pool": "pool-chat", "prompt_tokens": 20_000}, "at most 8192"),
        ({"pool": "pool-chat", "rate_rps": -3}, "rate_rps: Input should be greater than 0"),
        ({"pool": "pool-chat", "rate_rps": float("nan")}, "rate_rps"),
        ({"pool": "pool-chat", "sped": 1}, "sped: Extra inputs"),
    ],
)
def test_what_the_caller_can_mend_is_said(args: dict[str, object], words: str) -> None:
    assert words in refused("demo", "kv_cache", **args)
