"""The closed loop against Little's law and cases that can be worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.closed_loop import closed_loop, run_closed_loop
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from setpoint.errors import ConfigError


def deployment(**more: object) -> Deployment:
    fields = {"model": model("llama-3.1-8b"), "gpu": gpu("H100"), "chunk_tokens": 8192, **more}
    return Deployment.model_validate(fields)


def test_one_client_sees_its_own_prompt_and_its_own_steps() -> None:
    d = deployment()
    c = step_coefficients(d)
    seen = closed_loop(d, 1000, 101, 1, rounds=3)
    prompt = step_time_s(c, 1000.0, 1000.0**2 / 2, 0.0, 0.0, 1.0)
    tokens = [step_time_s(c, 0.0, 0.0, 1.0, 1000.0 + i, 1.0) for i in range(1, 101)]
    out = np.zeros((1000, 4))
    run_closed_loop(c, 0, 8192.0, 256, 1e9, 1000.0, 1000.0, 101.0, 101.0, 0.0, 1, 3, 0.0, 1.0, out)
    assert out[0, 1] - out[0, 0] == pytest.approx(prompt)
    assert seen.tpot_ms == pytest.approx(1e3 * np.mean(tokens), rel=1e-9)
    assert seen.batch == pytest.approx(100 / 101, rel=1e-6)


def test_littles_law_holds() -> None:
    """Clients in flight = throughput x time in flight; the ends of the run cost a part of the last round."""
    seen = closed_loop(deployment(), 1024, 128, 32, rounds=40)
    first_s = seen.e2e_ms / 1e3 - 0.048
    assert seen.output_tok_s / 128 * first_s == pytest.approx(32, rel=0.06)


def test_the_emptying_at_the_end_does_not_quicken_the_median_gap() -> None:
    """Uneven answers: the median of a run of four rounds is that of one ten times as long."""
    short = closed_loop(deployment(), 600, 1200, 64, spread=0.9, rounds=4)
    long = closed_loop(deployment(), 600, 1200, 64, spread=0.9, rounds=40)
    assert short.itl_median_ms == pytest.approx(long.itl_median_ms, rel=0.01)


def test_one_round_still_has_a_median_gap() -> None:
    seen = closed_loop(deployment(), 512, 100, 16, rounds=1)
    assert seen.itl_median_ms == pytest.approx(seen.tpot_ms, rel=0.1)


def test_more_clients_wait_longer_and_get_more_done() -> None:
    runs = [closed_loop(deployment(), 1024, 256, n) for n in (4, 16, 64, 128)]
    for name, sign in (("ttft_ms", 1), ("tpot_ms", 1), ("output_tok_s", 1), ("u_compute", 1)):
        values = [sign * getattr(r, name) for r in runs]
        assert values == sorted(values), name


def test_a_full_cache_makes_clients_wait_rather_than_run() -> None:
    small = closed_loop(deployment(memory_share=0.35), 4096, 512, 64)
    large = closed_loop(deployment(), 4096, 512, 64)
    assert small.batch < 0.7 * large.batch
    assert small.ttft_ms > 3 * large.ttft_ms
    assert small.tpot_ms < large.tpot_ms


def test_prompts_first_raises_the_wait_of_the_wave_and_spares_the_tokens() -> None:
    """The same work in another order: SGLang's decode steps hold no prompts, so its clients start later together."""
    mixed = closed_loop(deployment(engine="vllm", chunk_tokens=2048), 2048, 512, 64, profile="vllm")
    first = closed_loop(deployment(engine="sglang"), 2048, 512, 64, profile="vllm")
    assert first.ttft_ms > mixed.ttft_ms
    assert first.tpot_ms < mixed.tpot_ms


def test_cached_prompts_cost_their_share() -> None:
    none, most = (closed_loop(deployment(), 4096, 128, 32, cached_pu=p) for p in (0.0, 0.8))
    assert most.prefill_share < 0.5 * none.prefill_share
    assert most.output_tok_s > 1.7 * none.output_tok_s


def test_the_same_case_gives_the_same_numbers() -> None:
    assert closed_loop(deployment(), 900, 100, 7, spread=0.3) == closed_loop(
        deployment(), 900, 100, 7, spread=0.3
    )


def test_a_request_larger_than_the_cache_is_refused() -> None:
    with pytest.raises(ConfigError, match="more cache"):
        closed_loop(deployment(memory_share=0.35), 200_000, 512, 4)


def test_a_model_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError):
        closed_loop(deployment(model=model("llama-3.1-405b")), 1024, 128, 4)
