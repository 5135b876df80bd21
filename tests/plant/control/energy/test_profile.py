"""The profile against the engine, and what must hold of any of its tables."""

from __future__ import annotations

import numpy as np
import pytest

from plant.control.energy.fleet import Pool
from plant.control.energy.judge import check
from plant.control.energy.profile import TTFT_USED_PU, load_of, profile
from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.deployment import Deployment
from plant.inference.trace import Trace
from setpoint.errors import UsageError


def test_power_is_that_of_the_engine_within_a_few_percent_and_latency_within_its_margin(
    pools: dict[str, Pool], served: Trace
) -> None:
    for name in ("all", "short", "long"):
        found = check(pools[name], served)
        assert all(abs(c.power - 1.0) < 0.05 for c in found), found
        assert min(c.ttft for c in found) > TTFT_USED_PU - 0.1, found
        assert min(c.tpot for c in found) > 0.65, found


def test_more_load_is_never_faster_and_a_lower_clock_never_slower_to_draw_power(
    pools: dict[str, Pool],
) -> None:
    table = pools["all"].tables[-1]
    full = table.ttft_used[1:, -1, -1]
    assert (np.diff(full[np.isfinite(full)]) > -1e-9).all()
    for r in (8, 16, 24):
        assert table.power_w[r, -1, -1] > table.power_w[r, 3, 3]
        assert table.ttft_used[r, -1, -1] < table.ttft_used[r, 3, 3]


def test_the_thriftiest_clocks_keep_the_deadlines_and_save(pools: dict[str, Pool]) -> None:
    table = pools["long"].tables[-1]
    rate = 0.5 * table.capacity_rps
    clocks = table.clocks_for(rate)
    at = int(np.searchsorted(table.rates_rps, rate))
    assert table.used[at, clocks[0], clocks[1]] <= 1.0
    assert table.power_at(rate, clocks) < 0.8 * table.power_at(rate, table.full)
    assert table.clocks_pu[clocks[1]] <= table.clocks_pu[clocks[0]], (
        "decode needs its clock less than prefill"
    )


def test_beyond_what_it_can_carry_all_is_late(pools: dict[str, Pool]) -> None:
    table = pools["all"].tables[0]
    assert table.late_at(1.5 * table.most_rps, table.full) == 1.0
    assert table.late_at(0.05 * table.most_rps, table.full) < 0.01
    assert table.power_at(0.0, table.full) == pytest.approx(8 * 75.0)


def test_a_table_is_made_once(pools: dict[str, Pool]) -> None:
    pool = pools["short"]
    assert profile(pool.deployment, pool.load, 4) is profile(pool.deployment, pool.load, 9)


def test_what_never_fits_is_said() -> None:
    d = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H100"), tp=1)
    lengths = np.full(10, 100)
    with pytest.raises(Exception, match=r"GB|fit|holds"):
        profile(d, load_of(lengths, lengths, np.zeros(10, np.int64), (1.0,), 0.1))
    with pytest.raises(UsageError):
        load_of(lengths[:0], lengths[:0], lengths[:0], (1.0,), 0.1)
