"""The simulation of operators: it can tell a deserving kind from a dangerous one, and fails where the rules fail."""

from __future__ import annotations

import json

import numpy as np
import pytest

import evals.autonomy as study
from evals.autonomy import Policy, boundary, main, measure, play, populate, safe, unsafe
from setpoint.autonomy.bound import needed
from setpoint.autonomy.rules import GOOD_ALONE, alpha_of


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_flawless_kind_rises_when_the_product_says_so() -> None:
    course = play(Policy(harm=1e-9, rejects=0.0, edits=0.0, sees=0.0, true=1.0), 400, rng())
    assert course.risen == (needed(0, GOOD_ALONE, alpha_of(0)),)


def test_a_dangerous_kind_never_rises_however_well_its_operator_catches_harm() -> None:
    for sees in (0.0, 0.9):
        assert play(Policy(harm=0.15, rejects=0.0, edits=0.0, sees=sees), 3000, rng()).risen == ()


def test_after_a_fall_it_takes_longer() -> None:
    courses = [
        play(Policy(harm=0.004, rejects=0.0, edits=0.0, sees=0.0, true=0.97), 4000, rng()) for _ in range(5)
    ]
    assert any(len(course.risen) > 1 for course in courses)
    assert all(len(course.risen) <= study.MOST_TRIES for course in courses)


def test_the_boundary_is_the_products() -> None:
    found = boundary(1, 500, GOOD_ALONE)
    assert [int(value) for value in found[:4]] == [needed(bad, GOOD_ALONE, alpha_of(1)) for bad in range(4)]


def test_who_is_safe_and_who_is_not() -> None:
    assert safe(Policy(0.01, 0.01, 0.0, 0.0))
    assert not safe(Policy(0.01, 0.05, 0.0, 0.0))
    assert unsafe(Policy(0.06, 0.0, 0.0, 0.0))
    made = populate(50, 4, rng())
    assert len(made) == 200
    assert any(unsafe(policy) for policy in made)
    assert any(safe(policy) for policy in made)


def test_the_aims_hold_on_a_small_population() -> None:
    found = {(figure.set, figure.name): figure for figure in measure(60, 4, 2000, seed=2)}
    assert found["mixed", "unsafe (harm above 5 %), ever promoted"].low <= 0.01
    assert found["mixed", "safe (harm to 1 %, bad to 2.5 %), promoted"].value >= 0.8


def test_a_looser_rule_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error share a hundred times larger the simulation must say that the aim is missed."""
    study._needs.cache_clear()
    monkeypatch.setattr(study, "alpha_of", lambda tries: 0.5)
    draw = rng()
    edge = [play(Policy(1 - GOOD_ALONE, 0.0, 0.0, 0.0), 2000, draw) for _ in range(100)]
    study._needs.cache_clear()
    assert sum(bool(course.risen) for course in edge) > 5


def test_it_runs_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--operators", "20", "--decisions", "600", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"set", "name", "value", "low", "high", "n"} <= set(rows[0])
    assert main(["--operators", "20", "--decisions", "600"]) == 0
    assert "decisions to rise" in capsys.readouterr().out
