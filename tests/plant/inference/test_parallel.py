"""Splits, their messages in closed form, and where the time of a step goes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.comm import LINK_SHARE, all_reduce_s
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.memory import plan_memory
from plant.inference.parallel import (
    P2P_START_S,
    all_to_all_s,
    check,
    distinct_nodes,
    explain,
    hierarchical_all_reduce_s,
    options,
    p2p_s,
)
from setpoint.errors import UsageError

LLAMA, DEEPSEEK, H100, H200 = model("llama-3.1-70b"), model("deepseek-v3"), gpu("H100"), gpu("H200")


def test_heads_that_do_not_divide_are_named() -> None:
    found = check(LLAMA, H200, tp=3)
    assert not found.possible
    assert found.reasons == ("64 heads do not divide by tp 3", "8 KV heads and tp 3 do not divide")


def test_kv_heads_are_copied_beyond_their_count() -> None:
    found = check(LLAMA, H200, tp=16)
    assert found.possible
    assert "each of 8 KV heads is kept 2 times" in found.notes


def test_leaving_the_nvlink_domain_is_said_with_its_factor() -> None:
    (note,) = [n for n in check(LLAMA, H200, tp=16).notes if "domain" in n]
    assert note == "tp 16 leaves the NVLink domain of 8: its messages run about 9 times slower"
    assert not check(LLAMA, gpu("GB200"), tp=8).notes


def test_uneven_pipeline_tells_its_longest_stage() -> None:
    (note,) = [n for n in check(DEEPSEEK, H200, tp=4, pp=4).notes if "divide by pp" in n]
    assert "longest stage has 16" in note
    assert check(LLAMA, H200, pp=81).reasons[0] == "80 layers are fewer than pp 81 stages"


def test_experts_need_a_divisor_and_a_model_that_has_them() -> None:
    assert "160" not in check(DEEPSEEK, H200, tp=1, dp=12, ep=12).reasons[0]
    assert check(DEEPSEEK, H200, dp=12, ep=12).reasons == ("256 experts do not divide by ep 12",)
    assert "has no experts" in check(LLAMA, H200, tp=2, ep=2).reasons[0]
    assert "use 2 instances" in check(LLAMA, H200, dp=2).reasons[0]
    assert "neither 1 nor" in check(DEEPSEEK, H200, tp=8, ep=4).reasons[0]


def test_weights_that_do_not_fit_are_a_reason_with_numbers() -> None:
    found = check(LLAMA, H100, tp=1)
    assert "141.11 GB of weights" in found.reasons[0]


def test_ways_below_one_are_refused() -> None:
    with pytest.raises(UsageError, match="tp 0"):
        check(LLAMA, H100, tp=0)


@pytest.mark.parametrize("name", ["llama-3.1-70b", "deepseek-v3", "mixtral-8x7b"])
def test_every_option_is_possible_or_says_why_not(name: str) -> None:
    found = options(model(name), H200, max_gpus=16)
    assert found
    for option in found:
        assert option.possible == (not option.reasons)
        assert option.gpus <= 16
        if option.deployment:
            assert option.deployment.gpus == option.gpus
            assert plan_memory(option.deployment).pool_tokens == option.pool_tokens


def test_more_ways_leave_more_room_for_cache() -> None:
    rooms = [check(LLAMA, H200, tp=tp).pool_tokens for tp in (2, 4, 8)]
    assert rooms == sorted(rooms)
    assert rooms[0] > 0


def test_hierarchical_all_reduce_is_the_sum_of_its_two_levels() -> None:
    size, nodes = 4e9, 16
    inside = all_reduce_s(H100, 8, size)
    between = 2 * (nodes - 1) / nodes * (size / 8) / (LINK_SHARE * 50e9)
    got = hierarchical_all_reduce_s(H100, 128, size)
    assert got == pytest.approx(inside + between + 2 * P2P_START_S * math.log2(16))


def test_all_reduce_with_one_member_a_node_runs_on_the_network_alone() -> None:
    got = hierarchical_all_reduce_s(H100, 64, 1e9, per_node=1)
    assert got == pytest.approx(2 * 63 / 64 * 1e9 / (LINK_SHARE * 50e9), rel=5e-3)


@given(st.integers(1, 64), st.integers(1, 64))
def test_a_token_visits_no_more_nodes_than_it_has_experts(choices: int, nodes: int) -> None:
    visited = distinct_nodes(choices, nodes)
    assert 1.0 - 1e-9 <= visited <= min(choices, nodes) + 1e-9


def test_distinct_nodes_by_counting_all_choices() -> None:
    ways = [len({a, b, c}) for a in range(4) for b in range(4) for c in range(4)]
    assert distinct_nodes(3, 4) == pytest.approx(sum(ways) / len(ways))


def test_all_to_all_inside_a_node_moves_every_row_but_its_own_share() -> None:
    got = all_to_all_s(H100, 8, 4096, 8, 14336.0)
    assert got == pytest.approx(4096 * 8 * 14336 * 7 / 8 / (LINK_SHARE * 450e9) + P2P_START_S * 4)
    assert all_to_all_s(H100, 1, 4096, 8, 14336.0) == 0.0


def test_all_to_all_between_nodes_waits_for_the_network_and_a_node_limit_helps() -> None:
    free, limited = (all_to_all_s(H100, 64, 4096, 8, 14336.0, limit) for limit in (0, 4))
    assert limited < free
    assert limited == pytest.approx(4096 * 4 * 7 / 8 * 14336 / (LINK_SHARE * 50e9) + 7 * P2P_START_S)


def test_p2p_crosses_the_network_beyond_the_domain() -> None:
    assert p2p_s(H100, 16, 1e9) > 8 * p2p_s(H100, 8, 1e9)


@pytest.mark.parametrize(("name", "tp"), [("llama-3.1-70b", 8), ("llama-3.1-8b", 1), ("deepseek-v3", 8)])
def test_the_parts_of_a_step_add_up_to_the_step(name: str, tp: int) -> None:
    d = Deployment(model=model(name), gpu=H200, tp=tp)
    c, parts = step_coefficients(d), explain(d, 2048, 64, 1500)
    assert parts["prefill"].total_s == pytest.approx(
        float(step_time_s(c, 2048.0, 2048.0**2 / 2, 0.0, 0.0, 1.0))
    )
    assert parts["decode"].total_s == pytest.approx(float(step_time_s(c, 0.0, 0.0, 64.0, 96e3, 1.0)))
    for split in parts.values():
        assert sum(split.shares().values()) == pytest.approx(1.0)
        assert min(split.shares().values()) >= 0.0


def test_long_context_makes_decode_a_matter_of_attention() -> None:
    d = Deployment(model=LLAMA, gpu=H200, tp=4)
    short, long = (explain(d, 1024, 64, context)["decode"].shares() for context in (256, 16_000))
    assert long["attention"] > 2 * short["attention"]
    assert short["ffn"] > 2 * short["attention"]


def test_communication_comes_with_tensor_parallelism() -> None:
    shares = [
        explain(Deployment(model=LLAMA, gpu=H200, tp=tp))["prefill"].shares()["communication"]
        for tp in (1, 2, 8)
    ]
    assert shares[0] == 0.0
    assert shares[1] < shares[2]
