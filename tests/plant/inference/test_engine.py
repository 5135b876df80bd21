"""The engine: what jumps cost in accuracy, windows, limits at run time, routing, prefill and decode apart, speed."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference import kernel, kv
from plant.inference.bench import bench, starved_util
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.engine import Fleet, Instance, Routing, replay, transfer_s
from plant.inference.trace import make_trace, read_trace, synthetic
from setpoint.errors import ConfigError, UsageError

LLAMA_70B = Deployment(model=model("llama-2-70b"), gpu=gpu("H100"), tp=8, max_len=16384)


def requests(arrival_s: list[float], prompt: list[int], output: list[int]):
    return make_trace(np.array(arrival_s), np.array(prompt), np.array(output))


def test_the_examples_hold() -> None:
    for module in (kernel, kv):
        assert doctest.testmod(module).failed == 0


def test_the_names_of_the_state_are_its_places() -> None:
    for names in (kernel.INTS, kernel.REALS):
        assert [getattr(kernel, name) for name in names] == list(range(len(names)))


@pytest.mark.parametrize(
    ("batch", "start"), [(1, 1), (1, 100_000), (8, 30), (256, 5), (256, 4000), (1000, 1)]
)
def test_a_jump_takes_the_time_of_its_steps(batch: int, start: int) -> None:
    """4,000 steps at once against their plain sum, from nearly empty to long contexts."""
    d = LLAMA_70B.model_copy(update={"max_batch": 1024})
    rows = Fleet([d])._rows
    s = kernel.row(rows, 0)
    s.n[kernel.DECODING], s.n[kernel.BASE_SUM], s.n[kernel.STEP] = batch, batch * start, 0
    c = step_coefficients(d)
    for steps in (1, 2, 3, 7, 100, 4000):
        plain = sum(
            step_time_s(c, 0.0, 0.0, float(batch), batch * (start + 1.0 + k), 1.0) for k in range(steps)
        )
        assert kernel.steps_s(s, steps) == pytest.approx(plain, rel=1e-6)


def test_one_request_alone_takes_its_prefill_and_its_tokens() -> None:
    c = step_coefficients(LLAMA_70B)
    done = replay(LLAMA_70B, requests([3.0], [1000], [50]))
    prefill_s = step_time_s(c, 1000.0, 500_000.0, 0.0, 0.0, 1.0)
    decode_s = sum(step_time_s(c, 0.0, 0.0, 1.0, 1001.0 + k, 1.0) for k in range(49))
    assert done.ttft_s[0] == pytest.approx(prefill_s, rel=1e-9)
    assert done.e2e_s[0] == pytest.approx(prefill_s + decode_s, rel=1e-7)
    assert done.tpot_s[0] == pytest.approx(decode_s / 49, rel=1e-7)
    assert (done.prefill_tokens, done.decode_tokens, done.steps) == (1000, 49, 50)


def test_a_long_prompt_is_computed_in_chunks_beside_decoding() -> None:
    done = replay(LLAMA_70B, requests([0.0, 0.5], [100, 10_000], [400, 5]))
    chunks = int(np.ceil(10_000 / (LLAMA_70B.chunk_tokens - 1)))
    assert done.steps == 400  # the long one is computed and answered inside the steps of the first
    full = step_time_s(step_coefficients(LLAMA_70B), 2047.0, 2047.0**2 / 2, 1.0, 150.0, 1.0)
    assert done.ttft_s[1] > (chunks - 1) * full
    assert done.events < 30


def test_too_long_requests_are_rejected_and_the_rest_is_served() -> None:
    done = replay(LLAMA_70B, requests([0.0, 0.0, 0.0], [100, 16_380, 100], [5, 5, 5]))
    assert (done.completed, done.rejected) == (2, 1)
    assert np.isnan(done.finish_s[1])


def test_urgent_requests_overtake() -> None:
    d = LLAMA_70B.model_copy(update={"max_batch": 1})
    trace = make_trace(
        np.array([0.0, 0.1, 0.2]), np.full(3, 100), np.full(3, 50), priority=np.array([1, 1, 0])
    )
    finish_s = replay(d, trace).finish_s
    assert finish_s[0] < finish_s[2] < finish_s[1]


def test_a_slower_clock_stretches_prefill_more_than_decode() -> None:
    trace = synthetic(50, 2.0, 5)
    fast = replay(LLAMA_70B, trace).percentiles()
    slow = replay(LLAMA_70B, trace, clock_prefill_pu=0.6, clock_decode_pu=0.6).percentiles()
    assert slow["ttft_s"]["p50"] / fast["ttft_s"]["p50"] > 1.3
    assert slow["tpot_s"]["p50"] / fast["tpot_s"]["p50"] < 1.3


def test_windows_tell_what_happened_in_them() -> None:
    instance = Instance(LLAMA_70B, requests([1.0], [2000], [2000]))
    idle = instance.advance(1.0)
    assert (idle.busy_s[0], idle.running[0]) == (0.0, 0)
    assert idle.energy_j[0] == pytest.approx(8 * LLAMA_70B.gpu.idle_w, rel=0.7)
    busy = instance.advance(3.0, 1.0, 0.8)
    assert busy.busy_s[0] == pytest.approx(2.0, rel=1e-6)
    assert (busy.prefill_tokens[0], busy.first_tokens[0], busy.running[0]) == (2000, 1, 1)
    assert busy.kv_blocks[0] == pytest.approx((2000 + busy.decode_tokens[0]) / 16, abs=2)
    assert busy.energy_j[0] > 2 * idle.energy_j[0]
    assert 8 * LLAMA_70B.gpu.tdp_w >= busy.peak_power_w[0] > busy.energy_j[0] / 2.0


def test_limits_change_at_run_time() -> None:
    instance = Instance(LLAMA_70B, requests([0.0] * 40, [500] * 40, [500] * 40))
    instance.set_limits(max_batch=4)
    assert instance.advance(5.0).running[0] == 4
    instance.set_limits(max_batch=32)
    window = instance.advance(6.0)
    assert (window.running[0], window.queue[0]) == (32, 8)
    for wrong in ({"max_batch": 0}, {"max_batch": 257}, {"chunk_tokens": 3}, {"watermark_blocks": -1}):
        with pytest.raises(UsageError, match="out of bounds"):
            instance.set_limits(**wrong)


def test_draining_gives_back_what_has_not_begun() -> None:
    d = LLAMA_70B.model_copy(update={"max_batch": 4})
    instance = Instance(d, requests([0.0] * 10 + [50.0], [500] * 11, [100] * 11))
    instance.advance(0.5)
    back = instance.drain()
    assert back is not None
    assert len(back) == 7
    instance.fleet.finish()
    assert instance.fleet.counter("COMPLETED")[0] == 4
    other = Instance(d)
    other.submit(back)
    other.fleet.finish()
    assert other.fleet.counter("COMPLETED")[0] == 7


def test_requests_can_come_in_parts() -> None:
    trace = synthetic(120, 10.0, 9, groups=3, prefix_tokens=300)
    whole = replay(LLAMA_70B, trace, 2)
    fleet = Fleet([LLAMA_70B, LLAMA_70B])
    for first in range(0, 120, 30):
        part = trace.take(slice(first, first + 30))
        fleet.advance(float(part.arrival_s[0]))
        fleet.submit(part)
    fleet.finish()
    np.testing.assert_allclose(fleet.requests("finish_s"), whole.finish_s, rtol=1e-9)
    with pytest.raises(UsageError, match="Submit in order"):
        fleet.submit(trace.take(slice(0, 1)))


def test_the_least_loaded_instance_is_chosen() -> None:
    trace = requests([0.0, 1.0, 2.0, 3.0, 4.0], [100] * 5, [2000, 5, 5, 2000, 5])
    least = replay(LLAMA_70B, trace, 2, "least_loaded")
    assert list(least.instance) == [0, 1, 1, 1, 0]
    burst = synthetic(400, 30.0, 2, burstiness=8.0)
    turns = replay(LLAMA_70B, burst, 4).percentiles()["e2e_s"]["p99"]
    chosen = replay(LLAMA_70B, burst, 4, "least_loaded").percentiles()["e2e_s"]["p99"]
    assert chosen < turns


def test_different_instances_make_one_fleet() -> None:
    small = Deployment(model=model("llama-3.1-8b"), gpu=gpu("A100"), max_len=16384)
    trace = synthetic(40, 5.0, 3)
    fleet = Fleet([LLAMA_70B, small])
    fleet.submit(trace)
    fleet.finish()
    alone = replay(small, trace.take(np.arange(1, 40, 2)))
    np.testing.assert_allclose(fleet.requests("finish_s")[1::2], alone.finish_s, rtol=1e-12)


def test_apart_prefill_does_not_disturb_decode() -> None:
    trace = synthetic(300, 6.0, 4)
    joint = replay(LLAMA_70B, trace, 4)
    apart = replay(LLAMA_70B, trace, prefill_instances=2, decode_instances=2)
    assert (apart.completed, apart.decode_tokens) == (300, int((trace.output_tokens - 1).sum()))
    assert np.all(apart.finish_s >= apart.ttft_s + trace.arrival_s - 1e-9)
    long = trace.output_tokens > 20
    assert np.percentile(apart.tpot_s[long], 99) < np.percentile(joint.tpot_s[long], 99)


def test_a_transfer_hides_behind_the_prefill_but_for_the_last_layer() -> None:
    tokens = np.array([1000.0])
    size = 1000 * 327680 / (8 * LLAMA_70B.gpu.network_bytes_per_s)
    assert transfer_s(LLAMA_70B, LLAMA_70B, tokens, np.array([10.0]))[0] == pytest.approx(size / 80)
    assert transfer_s(LLAMA_70B, LLAMA_70B, tokens, np.array([0.0]))[0] == pytest.approx(size)


@pytest.mark.parametrize("routing", ["round_robin", "least_loaded"])
def test_a_series_adds_up_to_the_replay(routing: Routing) -> None:
    trace = synthetic(100, 5.0, 6)
    done = replay(LLAMA_70B, trace, 2, routing, resolution_s=1.0)
    assert done.series is not None
    np.testing.assert_allclose(done.finish_s, replay(LLAMA_70B, trace, 2, routing).finish_s, rtol=1e-9)
    assert done.series.decode_tps.sum() == pytest.approx(done.decode_tokens)
    assert done.series.power_w.sum() == pytest.approx(done.energy_j, rel=0.02)
    assert done.series.u_memory.max() <= 1.0
    assert done.series.power_w.max() <= done.peak_power_w


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"prefill_instances": 1}, {"resolution_s": 0.0}])
def test_what_cannot_be_replayed_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        replay(LLAMA_70B, requests([0.0], [5], [5]), **wrong)
    with pytest.raises(ConfigError):
        Fleet([])


def test_the_azure_trace_is_served_whole_and_fast(shared_data: Path) -> None:
    """The bar is 41,000 requests a CPU second; a third of it here, where other work may run beside."""
    result = bench(read_trace(shared_data / "plant" / "trace_azure2023_conv.csv"))
    assert (result.completed, result.rejected) == (19366, 0)
    assert result.kv_waste < 0.04
    assert result.requests_per_cpu_s > 14_000


def test_a_starved_run_preempts_swaps_and_recomputes(shared_data: Path) -> None:
    trace = read_trace(shared_data / "plant" / "trace_azure2023_conv.csv")
    result = bench(trace, replicas=1, hbm_util=starved_util(trace) + 1e-4)
    assert (result.completed, result.rejected) == (19366, 0)
    assert result.preemptions == result.swaps + result.recomputes
    assert min(result.swaps, result.recomputes) > 10


def test_a_replay_imports_little_and_stays_small() -> None:
    """In a process of its own. Numba itself loads scipy.linalg; the rest of it, plots and chains would cost more."""
    code = (
        "import json, sys; from plant.inference.bench import bench, peak_rss_mb;"
        "from plant.inference.trace import synthetic; bench(synthetic(2000, 5.0, 1));"
        "print(json.dumps([peak_rss_mb(), sorted(sys.modules)]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak_mb, modules = json.loads(out.stdout)
    assert peak_mb < 350
    assert not {"scipy.optimize", "scipy.stats", "matplotlib", "langchain_core", "pandas", "torch"} & set(
        modules
    )
