"""The bench on a day of the public series, and what it says where they are not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plant.control.energy.bench import ORDER, OURS, main, measure, saving, say
from plant.control.energy.study import Setting, Study, data_folder, read_series, with_margin
from setpoint.errors import InputError


def there() -> bool:
    try:
        data_folder()
    except InputError:
        return False
    return True


needs_data = pytest.mark.skipif(not there(), reason="the public series are absent: ../shared/data/plant")


@needs_data
def test_a_day_shows_every_row_with_its_baselines_and_ours_saves() -> None:
    found = measure(1.0, None, tight=False, judge_hours=1)
    rows = {row["name"]: row for row in found["rows"]}
    assert tuple(rows) == ORDER
    assert rows["static"]["against"]["static"][0] == 0.0
    share, low, high = rows[OURS]["against"]["static"]
    assert 0.2 < low <= share <= high < 0.8
    assert rows["oracle"]["mwh"] < rows[OURS]["mwh"] < rows["static"]["mwh"]
    assert found["lengths"]["predicted"] > found["lengths"]["most frequent class"]
    assert {row["policy"] for row in found["judged"]} == {"static", "hourly", OURS}
    said = say(found)
    assert "TTFT 500/800/2000 ms" in said
    assert "requests, " in said


@needs_data
def test_a_forecast_of_the_study_does_not_know_what_comes() -> None:
    series = read_series(data_folder(), 1.5)
    changed = series.rates_rps.copy()
    changed[200:] *= 2.0
    one = Study(series, Setting()).forecast
    other = Study(
        type(series)(changed, series.step_s, series.trace, series.carbon_g_per_kwh), Setting()
    ).forecast
    assert np.array_equal(one.high[:201], other.high[:201])
    assert not np.array_equal(one.high[201:], other.high[201:])


def test_absent_series_are_said_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err


def test_the_interval_is_over_days() -> None:
    mine, base = np.tile([1.0, 1.0, 3.0, 3.0], 5), np.full(20, 4.0)
    share, low, high = saving(mine, base, 2)
    assert share == pytest.approx(0.5)
    assert 0.25 < low < share < high < 0.75


def test_a_margin_is_above_the_last_rate_alone() -> None:
    ahead = with_margin(np.array([10.0, 20.0, 30.0]), 2, 0.5)
    assert ahead.high.tolist() == [[15.0, 15.0], [15.0, 15.0], [30.0, 30.0]]
