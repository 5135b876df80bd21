"""Telemetry quality: what a series can carry, and what it says when it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from setpoint.errors import InputError
from tools.telemetry import Kept, quality, read_history

START = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)


def kept(step_s: float, count: int, skip: range = range(0), stuck: range = range(0)) -> Kept:
    return Kept.of(
        ("cdu-1", "flow_lpm", START + timedelta(seconds=n * step_s), 150.0 if n in stuck else 150.0 + n % 7)
        for n in range(count)
        if n not in skip
    )


def rated(history: Kept, seconds: float):  # type: ignore[no-untyped-def]
    series = history.series("CDU-1", "flow_lpm")
    assert series is not None
    return quality(series, START, START + timedelta(seconds=seconds))


def test_a_whole_series_is_covered_and_fit_for_its_step() -> None:
    found = rated(kept(10.0, 361), 3600.0)
    assert (found.readings, found.step_s, found.coverage_pu, found.gaps) == (361, 10.0, 1.0, ())
    assert found.fit_for("thermal_control")[0]
    assert found.fit_for("power_spikes") == (
        False,
        "one reading in 10 s; power_spikes needs one in 0.5 s or less",
    )


def test_a_hole_is_a_gap_with_its_begin_and_length() -> None:
    found = rated(kept(10.0, 361, skip=range(100, 160)), 3600.0)
    assert found.gaps == ((START + timedelta(seconds=990), 610.0),)
    assert found.coverage_pu == pytest.approx(1 - 600 / 3600)
    assert not found.fit_for("peak_shaving")[0]


def test_a_sensor_that_stands_still_is_not_trusted() -> None:
    found = rated(kept(10.0, 361, stuck=range(100, 200)), 3600.0)
    assert found.stuck_s >= 990.0
    assert "stood still" in found.fit_for("peak_shaving")[1]


def test_a_quantity_that_only_switches_may_stand_still() -> None:
    history = Kept.of(("p", "running", START + timedelta(seconds=n), float(n > 500)) for n in range(1000))
    series = history.series("p", "running")
    assert series is not None
    assert quality(series, START, START + timedelta(seconds=1000)).stuck_s == 0.0


def test_nothing_recorded_says_so() -> None:
    series = kept(10.0, 3).series("cdu-1", "flow_lpm")
    assert series is not None
    late = START + timedelta(hours=1)
    found = quality(series.since(late), late, late + timedelta(hours=1))
    assert (found.readings, found.coverage_pu) == (0, 0.0)
    assert found.fit_for("capacity") == (False, "0 readings; capacity needs one in 3600 s or less")


def test_a_file_is_read_and_its_errors_name_the_line(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text("time,asset,metric,value\n2026-03-14T21:00:00Z,cdu-1,flow_lpm,150\n")
    assert read_history(good).metrics("cdu-1") == ["flow_lpm"]
    for body, words in (
        ("time,asset,value\n", "no column metric"),
        ("time,asset,metric,value\n2026-03-14T21:00:00Z,c,m,x\n", "line 2"),
        ("time,asset,metric,value\n2026-03-14T21:00:00,c,m,1\n", "no zone"),
    ):
        bad = tmp_path / "bad.csv"
        bad.write_text(body)
        with pytest.raises(InputError, match=words):
            read_history(bad)
