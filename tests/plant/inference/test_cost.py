"""The step time against closed forms: each limit has one term that must stand alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.cost import (
    COEFFICIENTS,
    arch_cost,
    body_params,
    calibration,
    engine_cost,
    step_coefficients,
    step_time_s,
    step_use,
)
from plant.inference.deployment import Deployment
from setpoint.errors import ConfigError

PLACE = {name: i for i, name in enumerate(COEFFICIENTS)}


def deployment(name: str = "llama-3.1-70b", on: str = "H100", **more: object) -> Deployment:
    return Deployment.model_validate({"model": model(name), "gpu": gpu(on), "tp": 8, **more})


def bare(d: Deployment, **changes: float) -> np.ndarray:
    """The cost vector without overheads and messages, with changes."""
    c = step_coefficients(d)
    for name in ("exchange_s_per_token", "fixed_s", "request_s", "launch_s", "launch_decode_s"):
        c[PLACE[name]] = 0.0
    for name, value in changes.items():
        c[PLACE[name]] = value
    return c


def test_memory_bound_decode_is_bytes_over_rate() -> None:
    d = deployment()
    c = bare(d, linear_rate=1e30)
    share = arch_cost(d.gpu)
    weights = 2 * (d.model.params - d.model.embedding_params) / (8 * 3.35e12 * share.memory)
    cache = 16 * 2000 * 327_680 / (8 * 3.35e12 * share.cache)
    norms = weights * 0.001  # parameter counts hold norms that the body counts too
    assert step_time_s(c, 0.0, 0.0, 16.0, 16 * 2000.0, 1.0) == pytest.approx(weights + cache, abs=norms)


def test_compute_bound_prefill_halves_with_twice_the_clock() -> None:
    c = bare(deployment(), weight_rate=1e30)
    half, full = (step_time_s(c, 8192.0, 8192.0**2 / 2, 0.0, 0.0, f) for f in (0.5, 1.0))
    assert half == pytest.approx(2 * full)


def test_prefill_flops_are_two_per_weight_and_four_per_pair_layer_and_width() -> None:
    d = deployment()
    c = bare(d, weight_rate=1e30, linear_rate=1.0, attention_rate=1e30)
    assert step_time_s(c, 100.0, 0.0, 0.0, 0.0, 1.0) == pytest.approx(2 * body_params(d.model)[0] * 100)
    c = bare(d, weight_rate=1e30, linear_rate=1e30, attention_rate=1.0)
    assert step_time_s(c, 100.0, 5000.0, 0.0, 0.0, 1.0) == pytest.approx(4 * 80 * 8192 * 5000)


def test_experts_read_are_those_that_at_least_one_token_chose() -> None:
    """E (1 - (1 - k/E)^tokens), with the exponent of correlated choice."""
    d = deployment("qwen3-30b-a3b", tp=1)
    c = bare(d, linear_rate=1e30, kv_rate=1e30, weight_bytes_shared=0.0)
    keep = (1 - 8 / 128) ** calibration().expert_skew
    for tokens in (1.0, 16.0, 256.0):
        expected = d.model.expert_params * 2 * (1 - keep**tokens) / c[PLACE["weight_rate"]]
        assert step_time_s(c, 0.0, 0.0, tokens, 0.0, 1.0) == pytest.approx(expected)


def test_window_layers_read_no_more_than_the_window() -> None:
    d = deployment("gemma-3-27b", tp=1)
    c = bare(d, linear_rate=1e30, weight_rate=1e30)
    local = d.model.window_layers / d.model.cache_layers
    near, far = (step_time_s(c, 0.0, 0.0, 1.0, n, 1.0) for n in (1024.0, 102_400.0))
    assert far / near == pytest.approx(local + (1 - local) * 100, rel=1e-9)


@pytest.mark.parametrize("gpu_name", ["A100", "H100", "H200"])
def test_decode_hardly_slows_at_a_low_clock(gpu_name: str) -> None:
    """Public figures: 1 to 6% at clocks far below the maximum (arXiv 2501.08219, 2605.11999); 0.7 is 1005 of 1410."""
    c = step_coefficients(deployment(on=gpu_name))
    slow, fast = (step_time_s(c, 0.0, 0.0, 16.0, 16 * 1500.0, f) for f in (0.7, 1.0))
    assert 1.0 <= slow / fast < 1.06


def test_prefill_slows_with_the_clock() -> None:
    c = step_coefficients(deployment())
    slow, fast = (step_time_s(c, 8192.0, 8192.0**2 / 2, 0.0, 0.0, f) for f in (0.7, 1.0))
    assert 1.25 < slow / fast < 1 / 0.7


def test_tensor_parallel_helps_less_than_its_ways() -> None:
    times = [
        step_time_s(step_coefficients(deployment("qwen3-32b", tp=n)), 0.0, 0.0, 8.0, 8e3, 1.0)
        for n in (1, 2, 4, 8)
    ]
    gains = [a / b for a, b in itertools.pairwise(times)]
    assert all(1.0 < g < 2.0 for g in gains)
    assert gains == sorted(gains, reverse=True)


def test_a_prompt_step_takes_no_less_than_its_launch() -> None:
    d = deployment("llama-3.1-8b", tp=8, engine="trtllm")
    floor = 32 * engine_cost("trtllm").launch_layer_s
    assert step_time_s(step_coefficients(d), 512.0, 512**2 / 2, 0.0, 0.0, 1.0) > 0.9 * floor


def test_software_without_captured_graphs_decodes_no_faster_than_it_launches() -> None:
    """Splitwise's Llama-2-70B: 8 H100 are no faster a token than 4."""
    four, eight = (
        step_time_s(
            step_coefficients(deployment("llama-2-70b", tp=n), profile="eager"), 0.0, 0.0, 1.0, 600.0, 1.0
        )
        for n in (4, 8)
    )
    assert four / eight < 1.1
    assert eight == pytest.approx(80 * engine_cost("eager").launch_layer_s, rel=0.1)


@given(
    prompt=st.floats(0, 16_384), batch=st.floats(0, 1024), context=st.floats(0, 1e6), more=st.floats(1, 1000),
    clock=st.floats(0.1, 1.0),
)  # fmt: skip
def test_more_work_never_takes_less_time(
    prompt: float, batch: float, context: float, more: float, clock: float
) -> None:
    c = step_coefficients(deployment("minimax-m2", weights="fp8"))
    base = step_time_s(c, prompt, prompt**2 / 2, batch, context, clock)
    assert step_time_s(c, prompt + more, (prompt + more) ** 2 / 2, batch, context, clock) >= base
    assert step_time_s(c, prompt, prompt**2 / 2, batch + more, context + more, clock) >= base
    assert step_time_s(c, prompt, prompt**2 / 2, batch, context, clock * 0.9) >= base


@given(prompt=st.floats(1, 16_384), batch=st.floats(0, 512), context=st.floats(0, 1e6))
def test_no_step_beats_the_data_sheet(prompt: float, batch: float, context: float) -> None:
    c = step_coefficients(deployment())
    seconds = step_time_s(c, prompt, prompt**2 / 2, batch, context, 1.0)
    u_compute, u_memory = step_use(c, prompt, prompt**2 / 2, batch, context, seconds)
    assert 0 < u_compute < 1
    assert 0 < u_memory < 1


@pytest.mark.parametrize(
    ("weights", "gpu_name", "fused"), [("fp4", "B200", True), ("fp8", "B200", False), ("fp4", "H100", False)]
)
def test_only_4_bit_experts_on_blackwell_are_fused(weights: str, gpu_name: str, fused: bool) -> None:
    """The overhead of a step differs by exactly the saved share of the expert overhead of its layers."""
    k = calibration()
    plain = {n: a.model_copy(update={"fused_experts": 1.0}) for n, a in k.arch.items()}
    d = Deployment.model_validate(
        {"model": model("minimax-m2"), "gpu": gpu(gpu_name), "tp": 4, "weights": weights}
    )
    place = COEFFICIENTS.index("fixed_s")
    now, then = (step_coefficients(d, c)[place] for c in (k, k.model_copy(update={"arch": plain})))
    saved = d.model.layers * k.engine["vllm"].moe_layer_s * (1 - k.arch["blackwell"].fused_experts)
    assert then - now == pytest.approx(saved if fused else 0.0)


def test_an_idle_step_takes_no_time() -> None:
    assert step_time_s(step_coefficients(deployment()), 0.0, 0.0, 0.0, 0.0, 1.0) == 0.0


def test_lpu_decodes_llama_2_70b_at_the_measured_pace() -> None:
    """Groq, 576 chips: 5.32 ms a token, measured by llmperf; the clock does not matter to the weights' reading."""
    d = deployment("llama-2-70b", "LPU", tp=576, weights="int8", kv="int8")
    c = step_coefficients(d)
    assert step_time_s(c, 0.0, 0.0, 1.0, 700.0, 1.0) == pytest.approx(5.32e-3, rel=0.05)


def test_weights_that_do_not_fit_an_lpu_are_refused_with_what_would() -> None:
    with pytest.raises(ConfigError, match=r"needs 138 GB.*Use 600 or more"):
        step_coefficients(deployment("llama-2-70b", "LPU", tp=576))


def test_unknown_software_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'tgi'.*vllm"):
        step_coefficients(deployment(), profile="tgi")
