"""Pools on their nodes: nothing is lost when nodes are, loads add up, and caches handed over are decoded."""

from __future__ import annotations

import numpy as np
import pytest

from plant import load_site
from plant.inference.engine import replay
from plant.inference.trace import Trace, synthetic
from plant.serving import PoolEngines, split
from plant.site import Site


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site("demo")


def run(pool: PoolEngines, seconds: int, out: dict[int, list[int]] | None = None) -> list[float]:
    """Windows of a second at full clock. `out`: at a second, the nodes that are out from then on."""
    ones, energy = np.ones(len(pool.nodes)), []
    for second in range(seconds):
        if out and second in out:
            gone = np.zeros(len(pool.nodes), bool)
            gone[out[second]] = True
            pool.set_out(gone, float(second))
        energy.append(pool.advance(second + 1.0, ones, ones).energy_j)
    return energy


def test_windows_add_up_to_the_replay_of_the_whole(demo: Site) -> None:
    """Round robin and least loaded deal one replica alike, so one instance must agree to the last figure."""
    spec = demo.pools[0].model_copy(update={"nodes": ("gpu-01",)})
    trace = synthetic(300, 8.0, 3)
    pool = PoolEngines(demo, spec, trace)
    seconds = int(trace.arrival_s[-1]) + 60
    energy = run(pool, seconds)
    whole = replay(pool.deployment, trace)
    _, first_s, finish_s, _ = pool.times()
    assert np.allclose(first_s - trace.arrival_s, whole.ttft_s, rtol=1e-9)
    assert np.allclose(finish_s, whole.finish_s, rtol=1e-9)
    idle_j = (seconds - whole.span_s) * pool.gpu_count * pool.deployment.gpu.idle_w
    assert sum(energy) == pytest.approx(whole.energy_j + idle_j, rel=1e-6)
    assert min(energy) >= 0.99 * pool.gpu_count * pool.deployment.gpu.idle_w


def test_requests_of_a_lost_node_are_served_by_the_others(demo: Site) -> None:
    trace = synthetic(600, 20.0, 5)
    pool = PoolEngines(demo, demo.pools[0], trace)
    run(pool, 120, out={5: [0, 1], 20: [0]})
    served = pool.served(120.0)
    assert (served.completed, served.unfinished, served.rejected) == (600, 0, 0)
    sound = PoolEngines(demo, demo.pools[0], trace)
    run(sound, 120)
    assert served.e2e_p99_s > sound.served(120.0).e2e_p99_s
    assert pool.out.tolist() == [True] + [False] * 7


def test_a_pool_without_any_node_serves_nothing_and_catches_up_when_they_are_back(demo: Site) -> None:
    trace = synthetic(200, 20.0, 5)
    pool = PoolEngines(demo, demo.pools[0], trace)
    every = list(range(len(pool.nodes)))
    run(pool, 60, out={0: every, 30: []})
    _, first_s, finish_s, _ = pool.times()
    assert np.nanmin(first_s) > 30.0
    assert np.isfinite(finish_s).all()


def test_prompts_and_answers_apart_give_the_same_answers(demo: Site) -> None:
    spec = demo.pools[0].model_copy(update={"prefill_instances": 3})
    trace = synthetic(400, 20.0, 7)
    pool = PoolEngines(demo, spec, trace)
    run(pool, 90)
    arrival_s, first_s, finish_s, output = pool.times()
    assert np.isfinite(finish_s).all()
    assert (first_s > arrival_s).all()
    assert (finish_s[output > 1] > first_s[output > 1]).all()
    assert pool.served(90.0).output_tokens == int(trace.output_tokens.sum())
    assert pool.fleets[0].counter("DECODE_TOKENS").sum() == 0


def test_worn_links_and_longer_prompts_cost_time(demo: Site) -> None:
    def ttft(link: float = 1.0, prompt: float = 1.0, rate: float = 1.0) -> tuple[float, int]:
        pool = PoolEngines(demo, demo.pools[0], synthetic(200, 10.0, 9))
        pool.slow_exchange(np.full(len(pool.nodes), 1 / link))
        pool.prompt, pool.rate = prompt, rate
        run(pool, 60)
        served = pool.served(60.0)
        return served.ttft_p50_ms, served.arrived

    sound, _ = ttft()
    assert ttft(link=0.25)[0] > 1.1 * sound
    assert ttft(prompt=2.0)[0] > 1.3 * sound
    assert ttft(rate=2.5)[1] == pytest.approx(500, abs=2)


def test_the_requests_are_dealt_by_share_evenly_in_time(demo: Site) -> None:
    trace = synthetic(10_000, 100.0, 1)
    parts = split(trace, demo.pools)
    shares = np.array([pool.share for pool in demo.pools])
    assert sum(len(part) for part in parts) == len(trace)
    for part, share in zip(parts, shares / shares.sum(), strict=True):
        early = int((part.arrival_s < trace.arrival_s[5000]).sum())
        assert len(part) == pytest.approx(10_000 * share, abs=3)
        assert early == pytest.approx(len(part) / 2, abs=3)


def test_an_empty_part_is_served(demo: Site) -> None:
    empty = synthetic(10, 1.0, 1).take(slice(0, 0))
    assert isinstance(empty, Trace)
    pool = PoolEngines(demo, demo.pools[0], empty)
    run(pool, 3)
    assert pool.served(3.0).completed == 0
