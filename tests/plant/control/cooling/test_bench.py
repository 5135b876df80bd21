"""The bench's own arithmetic, and that it runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from plant.control.cooling.bench import _first_move, main, saved


def test_saving_is_the_mean_of_daily_shares_with_students_interval() -> None:
    mean, half = saved(np.array([90.0, 80.0, 85.0]), np.array([100.0, 100.0, 100.0]))
    assert mean == pytest.approx(0.15)
    assert half == pytest.approx(2.92 * 0.05 / math.sqrt(3))
    assert math.isnan(saved(np.array([90.0]), np.array([100.0]))[1])


def test_the_lead_is_counted_from_the_first_move_that_stays() -> None:
    still = np.full(90, 100.0)
    early, late, blip = still.copy(), still.copy(), still.copy()
    early[54:], late[62:], blip[50:52] = 120.0, 120.0, 120.0
    assert _first_move(early, 60, 0.05) == 6.0
    assert _first_move(late, 60, 0.05) == -2.0
    assert math.isnan(_first_move(blip, 60, 0.05))


def test_it_runs_and_tells_every_part_of_the_energy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--site", "demo", "--days", "1", "--only", "fixed flow", "--no-lead", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["policies"]["fixed flow"]
    parts = told["pump_kwh"] + told["fan_kwh"] + told["chiller_kwh"] + told["water_kwh"]
    assert parts == pytest.approx(told["total_kwh"])
    assert told["over_s"] == 0.0


def test_an_unknown_policy_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "magic"])
    assert "there are: fixed flow" in capsys.readouterr().err
