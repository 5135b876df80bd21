"""Messages against closed forms and against NCCL as Vidur measured it on a DGX H100."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.comm import all_reduce_s, exchange_count, exchange_s_per_token
from plant.inference.deployment import Deployment

TABLE = Path(__file__).parents[4] / "shared" / "data" / "plant" / "vidur_allreduce_h100_dgx.csv"


def test_one_accelerator_sends_nothing() -> None:
    d = Deployment(model=model("llama-3.1-8b"), gpu=gpu("H100"))
    assert all_reduce_s(d.gpu, 1, 1e9) == exchange_s_per_token(d) == 0.0
    assert exchange_count(d) == (0, 0.0)


def test_tensor_parallel_sends_two_rings_a_layer() -> None:
    d = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H100"), tp=8)
    one = all_reduce_s(d.gpu, 8, 2 * 8192, start_s=0.0, hop_s=0.0)
    assert exchange_s_per_token(d) == pytest.approx(2 * 80 * one)
    assert exchange_count(d) == (160, 3.0)


def test_a_ring_wider_than_the_link_domain_takes_the_network() -> None:
    inside, outside = (all_reduce_s(gpu("H100"), n, 1e9, 0.0, 0.0) for n in (8, 16))
    assert outside / inside > 8


@pytest.mark.skipif(not TABLE.exists(), reason="public data absent: ../shared/data/plant")
@pytest.mark.parametrize("ways", [2, 4, 8])
def test_large_messages_take_as_long_as_measured(ways: int) -> None:
    with TABLE.open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if int(r["num_workers"]) == ways and int(r["size"]) > 8e6]
    ratio = [
        all_reduce_s(gpu("H100"), ways, float(r["size"])) * 1e3 / float(r["time_stats.all_reduce.median"])
        for r in rows
    ]
    assert len(rows) > 50
    assert np.mean(np.abs(np.array(ratio) - 1)) < 0.12
