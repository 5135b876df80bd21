"""Paging against reservation and static batching at equal memory; the buddy allocator."""

from __future__ import annotations

import doctest
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference import alternatives
from plant.inference.alternatives import SCHEMES, Buddy, compare, paper, reserved_slots
from plant.inference.deployment import Deployment
from plant.inference.trace import make_trace, read_trace
from setpoint.errors import UsageError

TIGHT = Deployment(model=model("llama-2-70b"), gpu=gpu("H100"), tp=8, max_len=16384, memory_share=0.35)


def test_the_examples_hold() -> None:
    assert doctest.testmod(alternatives).failed == 0


def test_paging_serves_two_to_four_times_reserve_maximum(shared_data: Path) -> None:
    """Memory for about ten sequences of the longest length, real lengths far below it: chosen, the gain depends on it.

    Over six deployments tried on 4,000 of these requests it was 1.0 to 3.5; with plenty of memory there is none.
    """
    trace = read_trace(shared_data / "plant" / "trace_azure2023_conv.csv").take(slice(0, 1500))
    found = compare(TIGHT, trace)
    assert {row.completed for row in found.rows} == {1500}
    assert found["paged"].kv_waste < 0.04
    assert 2.0 < found.gain("maximum") < 5.0
    assert 1.0 <= found.gain("oracle") < 1.3
    waste = [found[scheme].kv_waste for scheme in ("paged", "oracle", "power_of_two", "maximum")]
    assert waste == sorted(waste)
    assert found.gain("static") > 1.2


def test_with_plenty_of_memory_reservation_costs_little(shared_data: Path) -> None:
    trace = read_trace(shared_data / "plant" / "trace_azure2023_conv.csv").take(slice(0, 500))
    roomy = TIGHT.model_copy(update={"memory_share": 0.9, "max_batch": 32})
    assert compare(roomy, trace).gain("maximum") == pytest.approx(1.0, abs=0.02)


def test_each_scheme_reserves_what_it_says() -> None:
    trace = make_trace(np.zeros(2), np.array([100, 1000]), np.array([20, 24]))
    slots = {scheme: reserved_slots(scheme, TIGHT, trace) for scheme in SCHEMES}
    assert slots["paged"] is None
    assert list(slots["maximum"]) == [16384, 16384]
    assert list(slots["power_of_two"]) == [128, 1024]
    assert list(slots["oracle"]) == list(slots["static"]) == [120, 1024]


def test_nothing_that_fits_is_an_error() -> None:
    trace = make_trace(np.zeros(1), np.array([20_000]), np.array([5]))
    with pytest.raises(UsageError, match="no request fits"):
        compare(TIGHT, trace)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=60))
def test_buddies_never_overlap_and_always_join_again(slots: int, moves: list[tuple[bool, int]]) -> None:
    pool, held = Buddy(slots), {}
    for give, size in moves:
        if give and held:
            place = min(held)
            pool.give(place)
            del held[place]
        else:
            place = pool.take(size)
            if place is not None:
                held[place] = 1 << (size - 1).bit_length()
        ranges = sorted((p, p + n) for p, n in held.items())
        assert all(a[1] <= b[0] for a, b in pairwise(ranges))
        assert all(p >= 0 and end <= slots for p, end in ranges)
        assert pool.free_slots + sum(held.values()) == slots
    for place in held:
        pool.give(place)
    largest = 1 << (slots.bit_length() - 1)
    assert pool.take(largest) is not None
    assert pool.free_slots == slots - largest


def test_in_the_paper_s_own_setting_paging_gives_two_to_four_times_the_maximum() -> None:
    """Kwon et al. report 2 to 4 times for OPT-13B on one A100-40 with ShareGPT lengths."""
    found = paper()
    assert 2.0 <= found.gain("maximum") <= 4.0
    assert found["paged"].kv_waste < 0.04
