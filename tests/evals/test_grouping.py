"""The oracle and its measures, by hand-made cases and on the real record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents.correlator import Correlator
from evals.grouping import Failure, agreement, main, oracle, read_failures, to_event

SHARED = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
TITAN = SHARED / "events" / "titan_gpu.csv"


def failure(number: int, time_s: float, serial: str, cabinet: str = "c1-1") -> Failure:
    return Failure(str(number), time_s, f"{cabinet}c0s{number}n0", cabinet, 0, serial, "DBE")


def test_the_oracle_knows_serials_and_bursts() -> None:
    truth = oracle(
        [
            failure(1, 0, "A"),
            failure(2, 100, "B"),
            failure(3, 500, "C"),
            failure(4, 550, "D", "c9-9"),
            failure(5, 90_000, "A"),
            failure(6, 900_000, "A"),
        ]
    )
    assert truth["1"] == truth["2"] == truth["3"]
    assert truth["5"] == truth["6"] == "serial A"
    assert len(set(truth.values())) == 3


def test_one_gpu_failing_often_is_no_burst() -> None:
    assert set(oracle([failure(n, n * 60, "A") for n in range(5)]).values()) == {"serial A"}


def test_measures() -> None:
    assert agreement("aabb", "xxyy").v_measure == pytest.approx(1.0)
    assert agreement("aabb", "xxxx").homogeneity == pytest.approx(0.0)
    alone = agreement("aabb", "wxyz")
    assert (alone.purity, alone.inverse_purity, alone.homogeneity) == (1.0, 0.5, pytest.approx(1.0))
    assert alone.completeness == pytest.approx(0.5)


def test_a_file_of_another_shape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    assert main([str(path)]) == 2
    assert "x.csv:2" in capsys.readouterr().err


@pytest.mark.skipif(
    not TITAN.is_file(), reason="the public record (shared/data/events/titan_gpu.csv) is not here"
)
def test_real_failures_are_grouped_as_the_oracle_says() -> None:
    failures = read_failures(TITAN)
    results = Correlator().observe([to_event(one) for one in failures])
    truth = oracle(failures)
    got = agreement([truth[one.id] for one in failures], [result.incident_id for result in results])
    assert got.purity > 0.98
    assert got.inverse_purity > 0.98
    assert sum(not result.repeat for result in results) < len(failures) - 500
