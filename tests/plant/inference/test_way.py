"""The way of a request: legs add up, agree with the cost model and the paths, and follow what is switched on."""

from __future__ import annotations

import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.hardware.paths import path, transfer_s
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.way import Leg, Way, host_rates, load_bytes, load_times_s, walk, way
from plant.specs import NodeSpec
from setpoint.errors import ConfigError, UsageError

LLAMA = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H100"), tp=8)
QWEN = Deployment(model=model("qwen3-30b-a3b"), gpu=gpu("H200"), tp=1)
NODE = NodeSpec()


def of(legs: tuple[Leg, ...], stage: str) -> list[Leg]:
    return [leg for leg in legs if leg.stage == stage]


@pytest.mark.parametrize(
    "deployment", [LLAMA, QWEN, Deployment(model=model("deepseek-v3"), gpu=gpu("H200"), tp=8, weights="fp8")]
)
@pytest.mark.parametrize("start", ["warm", "cold", "dram", "scale_out"])
def test_shares_add_up_and_parts_to_their_whole(deployment: Deployment, start: str) -> None:
    legs = walk(deployment, NODE, 3000, 50, batch=4, start=start)  # type: ignore[arg-type]
    assert sum(leg.share for leg in legs if leg.counted) == pytest.approx(1.0)
    assert all(leg.seconds >= 0 for leg in legs)
    for stage in ("prefill", "decode"):
        whole = sum(leg.seconds for leg in of(legs, stage) if leg.counted)
        assert sum(leg.seconds for leg in of(legs, stage) if leg.within) == pytest.approx(whole)


def test_prefill_and_decode_are_those_of_the_cost_model() -> None:
    c = step_coefficients(LLAMA)
    legs = Way(walk(LLAMA, NODE, 3000, 4, batch=2, context_tokens=500))
    first = step_time_s(c, 2048.0, 2048.0 * 1024, 0.0, 0.0, 1.0)
    second = step_time_s(c, 952.0, 952.0 * (2048 + 476), 0.0, 0.0, 1.0)
    assert legs.stage_s("prefill") == pytest.approx(first + second)
    steps = [step_time_s(c, 0.0, 0.0, 2.0, 500.0 + 3000.0 + 2 * step, 1.0) for step in (1, 2, 3)]
    assert legs.stage_s("decode") == pytest.approx(sum(steps))
    assert legs.ttft_s == pytest.approx(legs.stage_s("arrive") + first + second)


def test_attention_grows_with_the_prompt_and_feed_forward_rules_short_ones() -> None:
    def share(prompt: int) -> float:
        parts = {leg.what: leg.seconds for leg in of(walk(QWEN, NODE, prompt, 1), "prefill") if leg.within}
        return parts["attention"] / parts["feed-forward"]

    assert share(512) < share(8_000) < share(64_000)
    assert share(512) < 0.6


def test_a_lower_clock_slows_prefill_and_hardly_decode() -> None:
    full, half = (Way(walk(LLAMA, NODE, 2000, 20, clock_pu=clock)) for clock in (1.0, 0.5))
    assert half.stage_s("prefill") > 1.4 * full.stage_s("prefill")
    assert half.stage_s("decode") < 1.15 * full.stage_s("decode")


def test_exchange_is_there_only_with_several_accelerators() -> None:
    assert not [leg for leg in walk(QWEN, NODE) if leg.what == "exchange"]
    exchange = [leg for leg in walk(LLAMA, NODE) if leg.what == "exchange"]
    assert {leg.path for leg in exchange} == {"gpu_nvlink"}
    wide = Deployment(model=model("llama-3.1-405b"), gpu=gpu("H100"), tp=16)
    assert {leg.path for leg in walk(wide, NODE) if leg.what == "exchange"} == {"peer_rdma"}


def test_weights_come_over_the_best_path_the_node_has() -> None:
    def started(node: NodeSpec, start: str) -> list[str]:
        return [leg.path for leg in of(walk(LLAMA, node, start=start), "start")]  # type: ignore[arg-type]

    plain = NodeSpec(gpudirect_rdma=False, gpudirect_storage=False)
    assert started(NODE, "warm") == []
    assert started(NODE, "cold") == ["ssd_gds"]
    assert started(plain, "cold") == ["ssd_dram_read", "dram_hbm"]
    assert started(NODE, "scale_out") == ["peer_rdma"]
    assert started(plain, "scale_out") == ["peer_bounce"]
    assert started(NODE, "dram") == ["dram_hbm"]


def test_stages_of_a_load_add_up_to_the_path() -> None:
    legs = of(walk(LLAMA, NODE, start="cold", loader="ssd_bounce", boot_s=12.0), "start")
    assert sum(leg.seconds for leg in legs[:2]) == pytest.approx(load_times_s(LLAMA)["ssd_bounce"])
    assert (legs[2].what, legs[2].seconds) == ("engine besides its weights", 12.0)


def test_load_times_of_llama_70b() -> None:
    """141.1 GB over 8 drives of 14 GB/s, 8 links of PCIe 5.0 and 8 NDR ports; bounds by hand."""
    assert load_bytes(LLAMA) == pytest.approx(141.1e9, rel=1e-3)
    times = load_times_s(LLAMA)
    assert times["ssd_uring"] == pytest.approx(141.1 / (8 * 14 * 0.93), rel=0.01)
    assert times["dram_hbm"] == pytest.approx(141.1 / (8 * 64 * 0.87), rel=0.01)
    assert times["peer_rdma"] == pytest.approx(141.1 / (8 * 50 * 0.97), rel=0.01)
    assert times["peer_rdma"] < times["ssd_uring"] < times["ssd_bounce"]
    assert "cxl_hbm" not in times
    assert "cxl_hbm" in load_times_s(LLAMA, NodeSpec(cxl_bytes=1e12))
    assert "ssd_gds" not in load_times_s(LLAMA, NodeSpec(gpudirect_storage=False))


def test_nodes_of_one_instance_load_at_the_same_time() -> None:
    wide = LLAMA.model_copy(update={"tp": 16})
    assert load_times_s(wide)["ssd_uring"] == pytest.approx(load_times_s(LLAMA)["ssd_uring"] / 2, rel=0.01)


def test_attention_data_parallel_copies_what_is_not_in_experts() -> None:
    one = Deployment(model=model("qwen3-235b-a22b"), gpu=gpu("H200"), tp=1, dp=1, weights="fp8")
    eight = one.model_copy(update={"dp": 8, "ep": 8})
    m = one.model
    assert load_bytes(eight) - load_bytes(one) == pytest.approx(7 * (m.params - m.expert_params))


def test_mixed_storage_is_loaded_as_published() -> None:
    oss = model("gpt-oss-120b")
    assert load_bytes(Deployment(model=oss, gpu=gpu("H100"), weights="fp4")) == pytest.approx(
        oss.weight_bytes()
    )
    assert load_bytes(Deployment(model=oss, gpu=gpu("H100"), weights="bf16")) == pytest.approx(2 * oss.params)


def test_a_cache_fetched_from_dram_spares_prefill() -> None:
    cold = Way(walk(LLAMA, NODE, 8000, 2))
    kept = Way(walk(LLAMA, NODE, 8000, 2, cached_tokens=7000, cache_in="dram"))
    leg = next(leg for leg in kept.legs if "cache of 7,000" in leg.what)
    assert leg.bytes == LLAMA.model.kv_bytes(7000)
    assert leg.seconds == pytest.approx(
        transfer_s(path("dram_hbm", LLAMA.gpu, host_rates(NODE), 8), leg.bytes)
    )
    assert kept.ttft_s < 0.5 * cold.ttft_s


@pytest.mark.parametrize(
    ("tier", "node", "names"),
    [
        ("none", NODE, []),
        ("dram", NODE, ["dram_hbm"]),
        ("ssd", NODE, ["hbm_ssd_gds"]),
        ("ssd", NodeSpec(gpudirect_storage=False), ["dram_hbm", "dram_ssd"]),
        ("cxl", NodeSpec(cxl_bytes=1e12), ["cxl_hbm"]),
    ],
)
def test_offload_goes_beside_the_request(tier: str, node: NodeSpec, names: list[str]) -> None:
    legs = walk(LLAMA, node, 2000, 100, offload=tier)  # type: ignore[arg-type]
    assert [leg.path for leg in of(legs, "offload")] == names
    assert all(leg.bytes == LLAMA.model.kv_bytes(2100) and not leg.counted for leg in of(legs, "offload"))
    assert Way(legs).total_s == pytest.approx(Way(walk(LLAMA, node, 2000, 100)).total_s)


def test_a_node_without_cxl_refuses_that_tier() -> None:
    with pytest.raises(ConfigError, match="no cxl"):
        walk(LLAMA, NODE, offload="cxl")


def test_hand_over_waits_for_the_last_layer_only() -> None:
    waited, beside = of(walk(LLAMA, NODE, 4000, 2, hand_over=True), "hand over")
    assert waited.bytes + beside.bytes == pytest.approx(LLAMA.model.kv_bytes(4000))
    assert beside.seconds == pytest.approx(79 * waited.seconds)
    assert (waited.waited_for, beside.waited_for) == (True, False)


def test_the_table_has_a_row_a_leg() -> None:
    told = way(LLAMA, NODE, 100, 10)
    rows = told.rows()
    assert len(rows) == len(told.legs) + 1
    assert {len(row) for row in rows} == {6}
    assert any(row[1].startswith("  of it attention") for row in rows)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prompt_tokens": 0}, "impossible"),
        ({"output_tokens": 0}, "impossible"),
        ({"batch": 0}, "impossible"),
        ({"cached_tokens": 512, "cache_in": "dram"}, "last token is always computed"),
        ({"cached_tokens": 5}, "lie nowhere"),
        ({"clock_pu": 0.0}, "impossible"),
        ({"clock_pu": float("nan")}, "impossible"),
    ],
)
def test_impossible_requests_are_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        walk(LLAMA, NODE, **changed)  # type: ignore[arg-type]


def test_a_path_that_does_not_end_in_memory_of_the_accelerator_is_refused() -> None:
    with pytest.raises(ConfigError, match="ssd_gds"):
        walk(LLAMA, NODE, start="cold", loader="ssd_dram")
