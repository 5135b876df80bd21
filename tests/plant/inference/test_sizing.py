"""Sizing: the issue's example judged by replay, monotonicity, and what is said where nothing fits."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.cost import engine_cost
from plant.inference.deployment import Deployment
from plant.inference.engine import replay
from plant.inference.memory import plan_memory
from plant.inference.queueing import capacity_rps, expect, work
from plant.inference.sizing import SizingResult, parse_slo, size
from plant.inference.slo import judge, make_slo
from plant.inference.trace import Lengths, make_trace, synthetic
from setpoint.errors import ConfigError

DOWN = math.exp(-0.125)
CHAT = Lengths(1024 * DOWN, 0.5, 256 * DOWN, 0.5, 4590)
DEPLOYMENT = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H200"), tp=8)


@pytest.fixture(scope="module")
def example() -> SizingResult:
    """setpoint plant size --model llama-3.1-70b --gpu H200 --slo ttft=500ms,tpot=50ms --rate 20"""
    slo = parse_slo("ttft=500ms,tpot=50ms")
    return size("llama-3.1-70b", "H200", 20.0, slo.ttft_s, slo.tpot_s)


def _again(found: SizingResult, seed: int, instances: int) -> bool:
    """Whether the choice keeps the SLO on requests that the search never saw."""
    b = found.best
    d = Deployment(
        model=model(found.model), gpu=gpu(b.gpu), tp=b.tp, pp=b.pp, dp=b.dp, ep=b.ep, max_batch=b.max_batch,
        chunk_tokens=b.chunk_tokens,
    )  # fmt: skip
    trace = synthetic(2400, found.rate_rps, seed, lengths=CHAT)
    clock = gpu(b.gpu).clock_max_mhz
    result = replay(
        d,
        trace,
        instances,
        clock_prefill_pu=b.clock_prefill_mhz / clock,
        clock_decode_pu=b.clock_decode_mhz / clock,
    )
    return judge(result, make_slo(0.5, 0.05, 97.0), d).kept


def test_the_example_keeps_its_slo_in_replay(example: SizingResult) -> None:
    best = example.best
    assert best.ttft.p99_ms <= 500
    assert best.tpot.p99_ms <= 50
    assert best.ttft.p50_ms < best.ttft.p99_ms
    assert best.attainment >= 0.98
    assert best.gpus == best.instances * best.tp * best.pp * best.dp
    assert example.replayed_requests == 2400


def test_the_example_holds_on_other_requests_and_fails_with_one_instance_fewer(example: SizingResult) -> None:
    assert _again(example, seed=99, instances=example.best.instances)
    assert not _again(example, seed=99, instances=example.best.instances - 1)


def test_power_and_energy_agree(example: SizingResult) -> None:
    best = example.best
    assert best.gpu_kw < best.power_kw
    assert 75 * best.gpus < 1e3 * best.gpu_kw < 700 * best.gpus
    joule = 1e6 * best.gpu_kw / best.tokens_per_s
    assert joule == pytest.approx(best.joule_per_1000_tokens, rel=0.15)
    assert best.tokens_per_s == pytest.approx(20 * example.output_tokens, rel=0.05)


def test_clocks_are_lowered_and_save_energy(example: SizingResult) -> None:
    assert example.best.clock_decode_mhz < 1980
    assert 0.0 < example.clock_saving < 0.4


def test_verdicts_come_with_numbers(example: SizingResult) -> None:
    assert example.pools in ("together", "apart")
    assert "J a token" in example.pools_why
    assert example.decode_on == "gpu"
    assert "chips" in example.decode_why
    assert example.limited_by
    assert example.runner_up is not None
    assert example.runner_up.gpus >= example.best.gpus
    assert example.rejected[0].startswith("tp 1: does not fit")


def test_it_takes_seconds() -> None:
    start = time.process_time()
    size("llama-3.1-70b", "H200", 20.0, 0.5, 0.05)
    assert time.process_time() - start < 5.0


def test_a_tighter_slo_never_needs_fewer_accelerators() -> None:
    by_tpot = [size("llama-3.1-70b", "H200", 6.0, 0.6, tpot).best.gpus for tpot in (0.1, 0.04, 0.025)]
    by_ttft = [size("llama-3.1-8b", "H100", 20.0, ttft, 0.05).best.gpus for ttft in (2.0, 0.25)]
    assert by_tpot == sorted(by_tpot)
    assert by_ttft == sorted(by_ttft)


def test_a_higher_rate_never_needs_fewer_accelerators() -> None:
    counts = [size("llama-3.1-8b", "H100", rate, 0.5, 0.04).best.gpus for rate in (1.0, 8.0, 32.0)]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_tpot_below_the_hardware_names_the_best_and_what_would_do() -> None:
    with pytest.raises(ConfigError) as caught:
        size("llama-3.1-70b", "H200", 20.0, 0.5, 0.006)
    text = str(caught.value)
    assert "TPOT 6.0 ms cannot be met by H200-SXM at any tp up to 8: best is" in text
    assert "Allow" in text
    assert "Groq-LPU-v1" in text


def test_a_ttft_below_the_hardware_names_another_gpu_or_time() -> None:
    with pytest.raises(ConfigError) as caught:
        size("llama-3.1-70b", "A100", 1.0, 0.25, 0.1)
    assert "TTFT 250 ms cannot be met by A100-SXM-80" in str(caught.value)
    assert "use " in str(caught.value)


def test_too_few_gpus_names_how_many_would_do() -> None:
    with pytest.raises(ConfigError) as caught:
        size("llama-3.1-8b", "H100", 40.0, 0.5, 0.03, max_gpus=1)
    needed = int(str(caught.value).split("Allow ")[1].split()[0])
    assert size("llama-3.1-8b", "H100", 40.0, 0.5, 0.03, max_gpus=needed).best.gpus == needed


def test_a_model_that_does_not_fit_names_what_does() -> None:
    with pytest.raises(ConfigError) as caught:
        size("llama-3.1-405b", "H100", 1.0, 2.0, 0.1, max_gpus=8)
    assert "fits no split of 8 H100-SXM" in str(caught.value)
    assert "tp 8, pp 2" in str(caught.value)


def test_a_narrower_dtype_is_taken_where_it_is_allowed() -> None:
    wide, free = (size("llama-3.1-70b", "H100", 4.0, 1.0, 0.05, weights=w) for w in ("bf16", ("bf16", "fp8")))
    assert free.best.gpus < wide.best.gpus
    assert free.best.weights == "fp8"


def test_experts_are_sized_too() -> None:
    best = size("deepseek-v3", "H200", 4.0, 2.0, 0.06).best
    assert best.tp * best.dp >= 8
    assert best.tpot.p99_ms <= 60


def test_a_users_trace_brings_its_lengths_and_peaks() -> None:
    rng = np.random.default_rng(3)
    calm = np.sort(rng.uniform(0, 600, 1200))
    peak = np.sort(np.concatenate([rng.uniform(0, 600, 600), rng.uniform(300, 360, 600)]))
    tokens = np.full(1200, 800), np.full(1200, 200)
    flat, burst = (
        size("llama-3.1-8b", "L40S", 10.0, 1.0, 0.05, trace=make_trace(t, *tokens)) for t in (calm, peak)
    )
    assert flat.prompt_tokens == 800
    assert burst.best.gpus > flat.best.gpus


@pytest.mark.parametrize("rate", [-1.0, 0.0, math.nan, math.inf])
def test_bad_rates_are_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="rate"):
        size("llama-3.1-8b", "H100", rate, 0.5, 0.05)


@pytest.mark.parametrize(("ttft", "tpot"), [(0.0, 0.05), (0.5, 0.0), (-1.0, 0.05), (0.5, math.nan)])
def test_slos_of_nothing_are_refused(ttft: float, tpot: float) -> None:
    with pytest.raises(ConfigError, match=r"ttft|tpot"):
        size("llama-3.1-8b", "H100", 1.0, ttft, tpot)


@pytest.mark.parametrize(
    ("name", "on"), [("llama-9", "H100"), ("llama-3.1-8b", "H9000"), ("llama-3.1-8b", "LPU")]
)
def test_unknown_names_and_lpus_are_refused(name: str, on: str) -> None:
    with pytest.raises(ConfigError):
        size(name, on, 1.0, 0.5, 0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ttft=500MHz,tpot=50ms", "is a frequency; a time is wanted"),
        ("ttft=500,tpot=50ms", "has no unit"),
        ("ttft=500ms", "tpot is missing"),
        ("latency=5s,tpot=50ms", "not ttft=TIME"),
        ("ttft=0ms,tpot=50ms", "ttft is 0 s"),
        ("ttft=,tpot=50ms", "not a number"),
    ],
)
def test_a_wrong_slo_text_says_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_slo(text)
    assert message in str(caught.value)


def test_slo_text_in_any_unit_of_time() -> None:
    slo = parse_slo(" TTFT=0.5s , tpot=50000us ")
    assert (slo.ttft_s, slo.tpot_s) == pytest.approx((0.5, 0.05))


@pytest.mark.parametrize("rate", [2.0, 5.0, 8.0])
def test_closed_forms_are_near_the_replay(rate: float) -> None:
    trace = synthetic(3000, rate, 1, lengths=CHAT)
    seen = replay(DEPLOYMENT, trace, 1).percentiles()
    found = expect(DEPLOYMENT, work(trace.prompt_tokens, trace.output_tokens), rate)
    assert found is not None
    assert found.tpot_s == pytest.approx(seen["tpot_s"]["mean"], rel=0.15)
    assert found.tpot_p99_s == pytest.approx(seen["tpot_s"]["p99"], rel=0.35)
    before_s = engine_cost(DEPLOYMENT.engine).first_s
    assert found.ttft_s - before_s == pytest.approx(seen["ttft_s"]["mean"], rel=0.35)


def test_capacity_is_where_the_replay_falls_behind() -> None:
    trace = synthetic(3000, 1.0, 1, lengths=CHAT)
    load = work(trace.prompt_tokens, trace.output_tokens)
    most = capacity_rps(DEPLOYMENT, load, float(plan_memory(DEPLOYMENT).pool_tokens))
    under, over = (replay(DEPLOYMENT, trace.scaled(share * most), 1) for share in (0.85, 1.25))
    assert under.span_s < 1.05 * trace.span_s / (0.85 * most)
    assert over.requests_per_s < 1.05 * most
    assert expect(DEPLOYMENT, load, 1.2 * most) is None
