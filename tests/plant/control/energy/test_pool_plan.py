"""Nodes and clock of one pool, and where a model is placed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plant.control.energy.placement import hbm_or_sram, largest_batch, smaller_model, together_or_split
from plant.control.energy.pool_plan import PoolModel, chance_above, due, plan_pool
from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.deployment import Deployment
from plant.inference.slo import Slo
from plant.inference.trace import synthetic
from plant.sim import Plant
from plant.site import load_site, site_file_of
from plant.specs import NodeSpec
from setpoint.errors import ConfigError, UsageError

POOL = PoolModel("pool", 8, 4.0, gpu("H100"), NodeSpec(), 0.8)
LIMITS = {"least_kw": 0.5, "least_clock_pu": 0.1}


def test_its_power_is_the_plants() -> None:
    from datetime import UTC, datetime

    site = load_site(site_file_of("demo"))
    plant = Plant.start(site, datetime(2026, 3, 14, 12, tzinfo=UTC))
    for clock_mhz in (1980.0, 1200.0):
        plant.apply("lock_pool_clock", "pool-chat", {"clock_mhz": clock_mhz})
        plant.advance(120)
        drawn = sum(plant.number(node, "power_kw") for node in plant.pool_nodes("pool-chat"))
        rate = plant.number("pool-chat", "arrival_rps")
        assert POOL.power_kw(rate, 8, clock_mhz / 1980.0) == pytest.approx(drawn, rel=0.04)


def test_the_best_carries_the_high_rate_and_draws_least() -> None:
    nodes, clock = POOL.best(8.0, 10.0)
    assert POOL.carries(10.0, nodes, clock)
    assert POOL.power_kw(8.0, nodes, clock) < POOL.power_kw(8.0, 8, 1.0)
    for other in range(2, 9):
        for pu in POOL.clocks_pu:
            if POOL.carries(10.0, other, pu):
                assert POOL.power_kw(8.0, other, pu) >= POOL.power_kw(8.0, nodes, clock) - 1e-9


def test_more_than_all_nodes_carry_gets_all_at_full_clock() -> None:
    assert POOL.best(40.0, 50.0) == (8, 1.0)
    path = plan_pool(POOL, np.full(4, 40.0), np.full(4, 50.0), 600.0)
    assert path.short.all()


def test_instances_of_several_nodes_come_and_go_whole() -> None:
    pair = replace(POOL, unit=2)
    for high in (1.0, 6.0, 11.0, 17.0):
        assert pair.best(0.8 * high, high)[0] % 2 == 0


def test_a_node_wanted_again_soon_is_kept() -> None:
    expected = np.full(48, 6.0)
    expected[10:14] = 20.0
    path = plan_pool(POOL, expected, 1.1 * expected, 600.0)
    assert (path.nodes[4:14] >= POOL.best(20.0, 22.0)[0]).all()
    assert path.nodes[20] < path.nodes[10]


@pytest.mark.parametrize("now", [(8, 1.0), (8, 0.5), (3, 1.0), (4, 0.7), (2, 0.4)])
@pytest.mark.parametrize("high", [3.0, 9.0, 15.0, 22.0])
def test_every_change_that_is_due_is_safe_by_itself_where_it_takes_capacity(
    now: tuple[int, float], high: float
) -> None:
    expected = 0.8 * high
    path = plan_pool(POOL, np.full(12, expected), np.full(12, high), 600.0)
    could = POOL.carries(high, *now)
    for step in due(POOL, path, now, expected, high, **LIMITS):
        after = (int(step.value), now[1]) if step.what == "nodes" else (now[0], step.value)
        if not step.raises and could:
            assert POOL.carries(high, *after), (step, now)
        if step.raises:
            assert POOL.capacity_rps(*after) > POOL.capacity_rps(*now)


@pytest.mark.parametrize("now", [(8, 1.0), (6, 0.7), (8, 0.5)])
@pytest.mark.parametrize("high", [3.0, 9.0, 15.0])
def test_what_is_due_together_carries_the_high_rate(now: tuple[int, float], high: float) -> None:
    path = plan_pool(POOL, np.full(12, 0.8 * high), np.full(12, high), 600.0)
    nodes, clock = now
    for step in due(POOL, path, now, 0.8 * high, high, **LIMITS):
        nodes, clock = (int(step.value), clock) if step.what == "nodes" else (nodes, step.value)
    assert POOL.carries(high, nodes, clock)


def test_too_little_capacity_now_is_always_raised() -> None:
    path = plan_pool(POOL, np.full(12, 18.0), np.full(12, 22.0), 600.0)
    steps = due(POOL, path, (2, 0.4), 18.0, 22.0, least_kw=1e9, least_clock_pu=1.0)
    assert {s.what for s in steps if s.raises} == {"nodes", "clock"}


def test_trifles_are_left() -> None:
    path = plan_pool(POOL, np.full(12, 6.0), np.full(12, 8.0), 600.0)
    now = (int(path.nodes[0]), float(path.clocks_pu[0]))
    assert due(POOL, path, now, 6.0, 8.0, **LIMITS) == []


def test_a_smaller_model_is_taken_only_for_power_and_the_largest_that_fits() -> None:
    roomy = smaller_model(POOL, 18.0, 22.0, 1000.0)
    assert (roomy.model, roomy.quality_points) == ("large", 0.0)
    tight = smaller_model(POOL, 18.0, 22.0, roomy.power_kw - 2.0)
    assert tight.model == "medium"
    assert tight.fits
    assert tight.quality_points > 0
    assert not smaller_model(POOL, 18.0, 22.0, 5.0).fits
    with pytest.raises(UsageError):
        smaller_model(POOL, 1.0, 1.0, float("nan"))


def test_chance_above() -> None:
    assert chance_above(100.0, 100.0, 0.9, 120.0) == 0.0
    assert chance_above(100.0, 110.0, 0.9, 100.0) == pytest.approx(0.5)


def test_placements_say_their_figures() -> None:
    d = Deployment(model=model("llama-3.1-8b"), gpu=gpu("H100"), tp=1, max_len=20000)
    trace = synthetic(1500, 12.0, 3)
    slo = Slo(ttft_s=0.6, tpot_s=0.03)
    found = together_or_split(d, trace, slo, 8)
    assert found.choice in ("together", "apart")
    assert all(row.keeps for row in found.alternatives)
    assert "J a token" in str(found) or "instances" in str(found)
    sram = hbm_or_sram(d, trace, slo, 8, gpu("Groq-LPU-v1"))
    assert sram.choice in ("gpu", "lpu")
    assert "chips" in sram.why
    with pytest.raises(ConfigError):
        together_or_split(d, trace, Slo(ttft_s=0.001, tpot_s=0.001), 2)
    assert largest_batch(d, 1000.0, 0.02) > largest_batch(d, 1000.0, 0.01)
