"""Pools apart, the hand-over of the cache, and decode from SRAM."""

from __future__ import annotations

import math

import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.disaggregation import (
    GpuDecode,
    decode_batch,
    find_pools,
    gpu_or_lpu,
    handover_s,
    kv_bytes,
    lpu_decode,
    prefill_share,
    split_pools,
    together_or_apart,
    transfer_rate,
)
from plant.inference.engine import replay
from plant.inference.slo import judge, make_slo
from plant.inference.trace import Lengths, synthetic
from setpoint.errors import ConfigError, UsageError

LLAMA2, LPU = model("llama-2-70b"), gpu("Groq-LPU-v1")
D = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H200"), tp=8, max_len=32_768, chunk_tokens=8192)
LONG = synthetic(600, 3.0, 5, lengths=Lengths(7000, 0.3, 200, 0.3, 16_000))


def test_cache_of_a_prompt_is_327_680_bytes_a_token() -> None:
    assert kv_bytes(D, 1000) == 327_680_000


def test_handover_of_the_last_layer_alone_where_the_link_keeps_up() -> None:
    rate, over = transfer_rate(D, D)
    assert (rate, over) == (8 * 50e9, "network")
    assert handover_s(D, D, 4096) == pytest.approx(kv_bytes(D, 4096) / rate / 80)


def test_handover_over_a_slow_link_is_what_prefill_does_not_cover() -> None:
    slow = D.gpu.model_copy(update={"network_bytes_per_s": 0.05e9})
    d = D.model_copy(update={"gpu": slow})
    send_s = kv_bytes(d, 4096) / (8 * 0.05e9)
    compute_s = float(step_time_s(step_coefficients(d), 4096.0, 4096.0**2 / 2, 0.0, 0.0, 1.0))
    assert handover_s(d, d, 4096) == pytest.approx(send_s - compute_s * 79 / 80)


def test_two_instances_in_one_domain_use_nvlink() -> None:
    four = D.model_copy(update={"tp": 4})
    rate, over = transfer_rate(four, four)
    assert over == "NVLink"
    assert rate > 8 * transfer_rate(D, D)[0] / 2


def test_decode_batch_is_the_largest_that_keeps_the_time() -> None:
    batch = decode_batch(D, 1000.0, 0.02)
    c = step_coefficients(D)
    assert 1 < batch < D.max_batch
    assert float(step_time_s(c, 0.0, 0.0, float(batch), batch * 1e3, 1.0)) <= 0.02
    assert float(step_time_s(c, 0.0, 0.0, batch + 1.0, (batch + 1) * 1e3, 1.0)) > 0.02
    assert decode_batch(D, 1000.0, 1e-4) == 0


def test_long_prompts_ask_for_more_prefill() -> None:
    slo = make_slo(2.0, 0.03)
    chat = synthetic(600, 3.0, 5, lengths=Lengths(300, 0.3, 400, 0.3, 2000))
    assert prefill_share(D, LONG, slo) > prefill_share(D, chat, slo) + 0.2


def test_apart_wins_where_answers_are_quick_and_prompts_long() -> None:
    """Together every prompt of 7,000 tokens holds decode up; apart the time per token keeps to a fifth less."""
    slo = make_slo(4.0, 0.018)
    pools = find_pools(D, LONG, slo, 5)
    assert pools is not None
    together = replay(D, LONG, pools.instances, "least_loaded")
    assert pools.seen.kept
    assert not judge(together, slo, D).kept
    assert pools.seen.tpot_p99_s < 0.8 * judge(together, slo, D).tpot_p99_s
    verdict = together_or_apart(D, slo, (pools.instances + 1, 1.0), pools)
    assert verdict.choice == "apart"
    assert f"{pools.prefill} prefill + {pools.decode} decode" in verdict.why


def test_together_wins_where_one_instance_does() -> None:
    chat = synthetic(300, 0.5, 5, lengths=Lengths(300, 0.3, 100, 0.3, 2000))
    slo = make_slo(2.0, 0.05)
    alone = replay(D, chat, 1)
    joule = alone.energy_j / (alone.decode_tokens + alone.completed)
    assert together_or_apart(D, slo, (1, joule), find_pools(D, chat, slo, 2)).choice == "together"
    assert together_or_apart(D, slo, (1, joule), None).choice == "together"
    assert find_pools(D, chat, slo, 1) is None


def test_every_request_is_answered_apart() -> None:
    pools = split_pools(D, LONG, make_slo(4.0, 0.05), 2, 1)
    assert pools.replay.completed == len(LONG)
    assert pools.seen.unserved == 0


def test_weights_of_llama_2_70b_take_so_many_chips() -> None:
    plan = lpu_decode(LLAMA2, LPU, 700, 1)
    assert plan.chips_for_weights == math.ceil(68.98e9 / (0.98 * 230e6))
    assert plan.chips >= plan.chips_for_weights


def test_time_per_token_of_an_lpu_is_near_the_published_one() -> None:
    """5.32 ms on llmperf; the constant for a layer is fitted to it, so this holds the formula, not the model."""
    assert lpu_decode(LLAMA2, LPU, 625, 80).tpot_s == pytest.approx(5.32e-3, rel=0.05)


def test_cache_asks_for_more_chips_and_batch_beyond_the_layers_for_time() -> None:
    few, many, crowd = (lpu_decode(LLAMA2, LPU, 2000, n) for n in (1, 80, 160))
    assert few.chips < many.chips < crowd.chips
    assert many.chips - few.chips == pytest.approx(79 * 2000 * 327_680 / (0.98 * 230e6), abs=2)
    assert crowd.tpot_s > 1.9 * many.tpot_s
    assert crowd.tokens_per_s < 1.1 * many.tokens_per_s


def test_an_lpu_draws_nearly_the_same_idle_or_full() -> None:
    """Flat power: a chip idles at 185 of 300 W, so one sequence costs far more energy a token than eighty."""
    few, many = lpu_decode(LLAMA2, LPU, 700, 1), lpu_decode(LLAMA2, LPU, 700, 80)
    assert few.power_kw > 0.4 * many.power_kw
    assert few.joule_per_token > 20 * many.joule_per_token


def test_gpu_decodes_unless_it_cannot_keep_the_time() -> None:
    own = GpuDecode(gpus=8, batch=32, tpot_s=0.012, joule_per_token=1.5)
    loose, tight = (gpu_or_lpu(D, own, 1000, slo, LPU) for slo in (0.05, 0.006))
    assert loose.choice == "gpu"
    assert tight.choice == "lpu"
    assert "chips" in loose.why
    assert "kW" in loose.why


def test_a_gpu_is_no_lpu_and_nothing_decodes_nothing() -> None:
    with pytest.raises(ConfigError, match="no LPU"):
        lpu_decode(LLAMA2, gpu("H100"), 700, 1)
    with pytest.raises(UsageError):
        lpu_decode(LLAMA2, LPU, 700, 0)
