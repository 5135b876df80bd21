"""The compiled engine against the step-by-step one over real block tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference import engine, memory
from plant.inference.deployment import Deployment
from plant.inference.engine import Fleet, Replay, replay
from plant.inference.memory import plan_memory
from plant.inference.reference import Reference
from plant.inference.trace import Lengths, Trace, synthetic

BASE = Deployment(model=model("llama-3.1-8b"), gpu=gpu("H100"), max_len=4096, chunk_tokens=256, max_batch=16)
SHORT = Lengths(prompt_median=120, prompt_sigma=0.9, output_median=30, output_sigma=0.9, longest=900)

MIXED = Lengths(prompt_median=400, prompt_sigma=1.0, output_median=150, output_sigma=0.9, longest=2000)


def tight(blocks: int, cpu_blocks: int = 0, **changes: object) -> Deployment:
    """A deployment whose pool has exactly so many blocks, found by setting its memory share."""
    d = BASE.model_copy(update=changes)
    plan = plan_memory(d)
    fixed = plan.weights_bytes + plan.activation_bytes + plan.context_bytes
    share = (fixed + (blocks + 0.5) * plan.block_bytes) / d.gpu.memory_bytes
    swap = (cpu_blocks + 0.5) * plan.block_bytes
    found = d.model_copy(update={"memory_share": share, "swap_bytes": swap})
    assert plan_memory(found).blocks == blocks
    assert plan_memory(found).cpu_blocks == cpu_blocks
    return found


def served(d: Deployment, trace: Trace) -> tuple[Replay, Reference]:
    slow = Reference(d, trace)
    slow.run()
    return replay(d, trace), slow


def assert_equal(fast: Replay, slow: Reference) -> None:
    c = slow.counts
    for name in ("completed", "rejected", "preemptions", "swaps", "recomputes", "prefix_hit_tokens",
                 "prefill_tokens", "decode_tokens", "steps", "peak_blocks"):  # fmt: skip
        assert getattr(fast, name) == getattr(c, name), name
    assert fast.evictions == slow.kv.evictions
    assert list(fast.preempted) == [s.preempted for s in slow.all]
    np.testing.assert_allclose(fast.finish_s, [s.finish_s for s in slow.all], rtol=1e-7)
    first = np.array([s.first_s - s.arrival_s for s in slow.all])
    np.testing.assert_allclose(fast.ttft_s, first, rtol=1e-6, atol=1e-9)
    assert fast.energy_j == pytest.approx(c.energy_j, rel=1e-6)


def test_a_calm_trace_is_served_the_same() -> None:
    fast, slow = served(BASE, synthetic(60, 8.0, 1, lengths=SHORT))
    assert_equal(fast, slow)
    assert fast.events < fast.steps / 3
    assert fast.kv_waste == pytest.approx(1 - slow.counts.filled_s / slow.counts.slots_s, abs=2e-3)


def test_starved_preempted_swapped_and_recomputed_the_same() -> None:
    """Long sequences are cheaper to copy, short ones to compute again."""
    d = tight(260, 300, max_batch=12)
    fast, slow = served(d, synthetic(120, 60.0, 2, lengths=MIXED, urgent_share=0.3))
    assert_equal(fast, slow)
    assert fast.preemptions > 10
    assert fast.swaps > 0
    assert fast.recomputes > 0


def test_shared_prefixes_are_held_and_evicted_the_same() -> None:
    d = tight(110, 0, max_batch=12)
    fast, slow = served(d, synthetic(90, 40.0, 3, lengths=SHORT, groups=6, prefix_tokens=200))
    assert_equal(fast, slow)
    assert fast.prefix_hit_tokens > 3000
    assert fast.evictions > 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000), blocks=st.integers(60, 200), cpu=st.integers(0, 100), batch=st.integers(1, 12),
    chunk=st.sampled_from([12, 64, 300]), rate=st.sampled_from([5.0, 50.0, 1000.0]), groups=st.integers(0, 4),
    urgent=st.sampled_from([0.0, 0.3]), block_tokens=st.sampled_from([8, 16]), launch_s=st.sampled_from([0.0, 2e-6]),
)  # fmt: skip
def test_any_workload_is_served_the_same(
    seed: int, blocks: int, cpu: int, batch: int, chunk: int, rate: float, groups: int, urgent: float,
    block_tokens: int, launch_s: float,
) -> None:  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "COPY_LAUNCH_S", launch_s)  # fast copies: more is swapped
        compare(seed, blocks, cpu, batch, chunk, rate, groups, urgent, block_tokens)


def compare(
    seed: int, blocks: int, cpu: int, batch: int, chunk: int, rate: float, groups: int, urgent: float,
    block_tokens: int,
) -> None:  # fmt: skip
    d = tight(blocks, cpu, max_batch=batch, chunk_tokens=chunk, block_tokens=block_tokens)
    trace = synthetic(25, rate, seed, lengths=SHORT, groups=groups, prefix_tokens=70, urgent_share=urgent)
    rng = np.random.default_rng(seed)
    prefix = np.where(rng.random(25) < 0.5, trace.prefix_tokens, rng.integers(0, 60, 25))
    trace = replace(trace, prefix_tokens=np.minimum(prefix, trace.prompt_tokens))
    assert_equal(*served(d, trace))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), width_s=st.sampled_from([0.013, 0.1, 1.7]))
def test_windows_change_nothing_but_add_up(seed: int, width_s: float) -> None:
    d = tight(120, 40, max_batch=10)
    trace = synthetic(25, 30.0, seed, lengths=SHORT)
    whole = replay(d, trace)
    fleet = Fleet([d])
    fleet.submit(trace)
    windows = []
    while fleet.now_s < whole.span_s:
        windows.append(fleet.advance(fleet.now_s + width_s))
    np.testing.assert_allclose(fleet.requests("finish_s"), whole.finish_s, rtol=1e-9)
    assert sum(int(w.decode_tokens[0]) for w in windows) == whole.decode_tokens
    assert all(0 <= w.busy_s[0] <= width_s * (1 + 1e-9) for w in windows)
    assert all(w.energy_j[0] <= w.peak_power_w[0] * width_s * (1 + 1e-9) for w in windows)

    energy = sum(float(w.energy_j[0]) for w in windows)
    tail_s = fleet.now_s - whole.span_s
    idle = engine.Fleet([d]).advance(1.0).energy_j[0]
    assert energy == pytest.approx(whole.energy_j + idle * tail_s, rel=1e-6)
