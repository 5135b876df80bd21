"""Training steps: closed forms, published runs, memory, endurance, data against expert parallelism."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace
from typing import Any

import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.training import (
    TrainingRun,
    compare_parallelism,
    endurance,
    forward_flops,
    straggler_factor,
    train_step,
    training_memory,
)
from plant.inference.training_runs import Published, published_runs
from setpoint.errors import ConfigError, UsageError

H100 = gpu("H100")
SMALL = TrainingRun(model("llama-3.1-8b"), H100, 64, 64 * 8192, sequence_tokens=8192)
LARGE = TrainingRun(
    model("llama-3.1-405b"), H100, 8192, 2048 * 8192, tp=8, pp=16, sequence_tokens=8192, virtual_stages=8
)


def _unseen(source: str) -> list[Published]:
    return [r for r in published_runs() if r.source == source and not r.fitted]


def test_megatron_runs_not_fitted_are_within_a_tenth() -> None:
    errors = [abs(r.error()) for r in _unseen("megatron")]
    assert len(errors) == 5
    assert max(errors) < 0.10
    assert statistics.mean(errors) < 0.04


def test_llama3_at_twice_the_accelerators_loses_what_the_paper_says() -> None:
    (run,) = _unseen("llama3")
    assert abs(run.error()) < 0.03
    assert 0.38 <= train_step(run.run).mfu <= 0.43


def test_dense_runs_in_fp8_not_fitted_are_within_a_fifth() -> None:
    errors = [abs(r.error()) for r in _unseen("bridge") if not r.run.model.experts]
    assert len(errors) == 5
    assert max(errors) < 0.20
    assert statistics.mean(errors) < 0.10


def test_deepseek_gpu_hours_of_pretraining() -> None:
    (run,) = _unseen("deepseek")
    step = train_step(run.run)
    hours = 14.8e12 / step.tokens_per_s * 2048 / 3600
    assert 0.80 * 2.664e6 < hours < 1.20 * 2.664e6


def test_expert_runs_on_nvlink_racks_not_fitted_are_within_a_quarter() -> None:
    errors = [
        abs(r.error()) for r in _unseen("bridge") if r.run.model.experts and r.run.gpu.name.startswith("GB")
    ]
    assert len(errors) == 3
    assert max(errors) < 0.25


def test_six_operations_a_weight_and_token_and_eight_with_recomputation() -> None:
    m = model("llama-3.1-8b")
    dense = m.params - m.vocab * m.hidden
    assert 3 * forward_flops(m, 2) == pytest.approx(6 * dense, rel=1e-3)
    once, again = (train_step(replace(SMALL, recompute=r, sharding="none")) for r in ("none", "full"))
    assert again.compute_s == pytest.approx(4 / 3 * once.compute_s)
    assert again.model_flops == once.model_flops
    assert again.mfu < once.mfu


def test_attention_operations_equal_the_sum_over_all_earlier_tokens() -> None:
    m, s = model("llama-3.1-8b"), 512
    pairs = sum(range(1, s + 1)) / s
    assert forward_flops(m, s) - forward_flops(m, 0) == pytest.approx(m.pair_flops * pairs, rel=2e-3)


def test_the_bubble_is_p_minus_1_over_v_m() -> None:
    for pieces in (1, 2, 4):
        run = replace(LARGE, virtual_stages=pieces, overlap_gradients=True)
        step = train_step(run)
        work = step.compute_s + step.element_s + step.tensor_s + step.expert_s
        assert step.bubble_s / work == pytest.approx(15 / (pieces * run.micro_batches))


def test_gradients_move_two_bytes_a_weight_twice_over_the_ring() -> None:
    step = train_step(replace(SMALL, sharding="none"))
    assert step.gradient_bytes == pytest.approx(2 * 63 / 64 * 2 * SMALL.model.params)


def test_hidden_gradients_cost_nothing_and_shown_ones_do() -> None:
    shown = train_step(replace(SMALL, overlap_gradients=False)).gradient_s
    assert shown > train_step(SMALL).gradient_s
    size = 2 * SMALL.model.params
    by_hand = 2 * 7 / 8 * size / 376e9 + 2 * 7 / 8 * size / 8 / (0.94 * 50e9)
    assert shown == pytest.approx(by_hand, rel=0.02)


def test_the_parts_add_up_and_share_is_below_one() -> None:
    step = train_step(LARGE)
    assert step.tokens_per_s * step.total_s == pytest.approx(2048 * 8192)
    assert 0 < step.communication_share < 0.5


def test_sharding_divides_the_state_by_the_ways() -> None:
    copied, split, all_split = (
        training_memory(replace(SMALL, sharding=s)) for s in ("none", "optimizer", "full")
    )
    assert copied.optimizer == 12 * SMALL.model.params
    assert split.optimizer == pytest.approx(copied.optimizer / 64)
    assert split.weights == copied.weights
    assert all_split.weights == pytest.approx(copied.weights / 64)


def test_expert_parallelism_divides_experts_and_pays_in_all_to_alls() -> None:
    m = model("mixtral-8x7b")
    rows = {row.way: row for row in compare_parallelism(m, H100, 64, 4e6)}
    copied, spread = rows["data parallel"], rows["expert parallel, ep 8"]
    assert not copied.fits
    assert "GB" in copied.note
    assert spread.fits
    assert spread.memory_gb < 0.25 * rows["data parallel, optimiser split"].memory_gb
    assert spread.communication_share > copied.communication_share
    run = spread.run
    assert run is not None
    step = train_step(run)
    tokens = 4e6 / 64
    by_hand = 3 * 32 * run.micro_batches * 4096 * 2 * (2 + 2) * 4096 * 7 / 8
    assert run.micro_batches == round(tokens / 4096)
    assert step.expert_bytes == pytest.approx(by_hand)


def test_a_dense_model_has_no_expert_row_but_a_reason() -> None:
    last = compare_parallelism(model("llama-3.1-8b"), H100, 64, 4e6)[-1]
    assert last.run is None
    assert last.note == "llama-3.1-8b has no experts"


def test_splitting_all_costs_half_as_much_again_in_messages() -> None:
    rows = {row.way: row for row in compare_parallelism(model("llama-3.1-8b"), H100, 64, 64 * 4096)}
    ratio = rows["data parallel, all split"].communication_gb / rows["data parallel"].communication_gb
    assert ratio == pytest.approx(1.5)


def test_scaling_falls_where_the_batch_is_small() -> None:
    per_gpu = 8192.0
    few, many = (
        train_step(replace(SMALL, gpus=n, batch_tokens=n * per_gpu, overlap_gradients=False, sharding="none"))
        for n in (8, 1024)
    )
    assert many.tokens_per_s / 1024 < 0.95 * few.tokens_per_s / 8


def test_the_slowest_of_many_by_drawing_them() -> None:
    rng = random.Random(7)
    drawn = [max(rng.gauss(1.0, 0.02) for _ in range(256)) for _ in range(400)]
    assert straggler_factor(256, 0.02) == pytest.approx(statistics.mean(drawn), abs=1.5e-3)
    slow = train_step(replace(LARGE, spread_pu=0.01))
    assert slow.total_s / train_step(LARGE).total_s == pytest.approx(straggler_factor(8192, 0.01))


def test_goodput_of_the_llama_3_run_is_above_its_nine_tenths() -> None:
    """The paper reports over 90% effective training time and 419 interruptions in 54 days on 16,384 accelerators."""
    found = endurance(model("llama-3.1-405b"), 16_384, 2e12)
    assert 54 * 86_400 / found.between_interruptions_s == pytest.approx(419, rel=0.01)
    assert 0.90 < found.goodput < 0.95


def test_youngs_interval_is_the_best_of_all() -> None:
    found = endurance(model("llama-3.1-70b"), 2048, 20e9)

    def loss(interval_s: float) -> float:
        return found.write_s / interval_s + interval_s / 2 / found.between_interruptions_s

    around = [found.interval_s * 1.02**i for i in range(-50, 51)]
    assert min(around, key=loss) == pytest.approx(found.interval_s)
    assert found.interval_s == pytest.approx(math.sqrt(2 * found.write_s * found.between_interruptions_s))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tp": 3}, "do not divide by tp 3"),
        ({"gpus": 60, "tp": 8}, "Use 56 GPUs"),
        ({"ep": 8}, "has no experts"),
        ({"pp": 64, "virtual_stages": 2}, "32 layers are fewer"),
        ({"gpus": 4096}, "less than one micro-batch"),
    ],
)
def test_impossible_runs_say_what_would_do(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        train_step(replace(SMALL, **changes))
    assert message in str(caught.value)


@pytest.mark.parametrize("tokens", [0.0, -4e6, math.nan])
def test_bad_batches_are_refused(tokens: float) -> None:
    with pytest.raises(UsageError, match="batch"):
        train_step(replace(SMALL, batch_tokens=tokens))
