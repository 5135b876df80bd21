"""What a run gives away: plain values for JSON, means that keep holes, and a peak that is a mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plant.run import Happened, Run, Totals
from plant.simulation import _highest_mean

TOTALS = Totals(10.0, 1.0, 1.2, 1.2, 1.2, 5.0, 0.4, 0.1, 50.0, "EUR", 0, float("nan"), float("nan"))


def made(values: NDArray[np.float64]) -> Run:
    time_s = np.arange(1.0, len(values) + 1.0)
    return Run("lab", datetime(2026, 3, 14, tzinfo=UTC), 1.0, time_s, {("rack_kw", "r-1"): values, ("pue", "lab"): values},
               (), TOTALS, (Happened(3.0, "pump trips", "p-1"),), ("a note",))  # fmt: skip


def test_json_has_no_nan_and_every_part() -> None:
    values = np.array([1.0, np.nan, 3.0, np.inf])
    plain = made(values).to_dict()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text)["series"][0] == {
        "metric": "rack_kw", "asset": "r-1", "values": [1.0, None, 3.0, None]
    }  # fmt: skip
    assert plain["totals"]["wh_per_1k_tokens"] is None
    assert plain["happened"] == [{"at_s": 3.0, "what": "pump trips", "asset": "p-1"}]


@given(st.integers(1, 500), st.integers(1, 60))
def test_means_over_spans_keep_the_sum_and_the_number_of_points(count: int, most: int) -> None:
    values = np.linspace(5.0, 9.0, count)
    plain = made(values).to_dict(most)
    found = plain["series"][0]["values"]
    assert len(found) == len(plain["time_s"]) <= most
    every = int(plain["step_s"])
    weights = [min(every, count - start) for start in range(0, count, every)]
    assert np.dot(found, weights) == pytest.approx(values.sum(), rel=1e-4)


def test_a_span_of_holes_stays_a_hole_and_others_leave_theirs_out() -> None:
    values = np.array([np.nan, np.nan, 2.0, np.nan, 4.0, 6.0])
    assert made(values).to_dict(3)["series"][0]["values"] == [None, 2.0, 5.0]


def test_series_are_found_by_metric_and_by_asset() -> None:
    run = made(np.ones(3))
    assert list(run.metric("rack_kw")) == ["r-1"]
    assert run.metric("nothing") == {}
    assert run.assets() == ["r-1", "lab"]


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60), st.integers(1, 20))
def test_the_peak_is_the_highest_mean_in_a_row(values: list[float], length: int) -> None:
    rows = np.array(values)
    slow = max(rows[i : i + length].mean() for i in range(max(1, len(rows) - length + 1)))
    assert _highest_mean(rows, length) == pytest.approx(slow, abs=1e-6)
