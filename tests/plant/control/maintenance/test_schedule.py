"""Work in windows: what the programme may and may not do, checked against all possibilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from plant.control.maintenance import schedule
from plant.control.maintenance.bench import drawn_work
from plant.control.maintenance.schedule import Crew, Job, Window, greedy, plan, value

WINDOWS = [Window(0.0, 8.0, 0.5), Window(1.0, 8.0, 0.4), Window(2.0, 4.0, 0.9)]
CREW = [Crew("facilities", hands=1)]


def _job(name: str, gains: list[float], hours: float = 3.0, *groups: str) -> Job:
    return Job(name, "facilities", hours, np.array(gains), not_with=groups)


def test_partners_are_never_out_on_one_day() -> None:
    jobs = [_job("a", [900, 800, 0], 3.0, "pair"), _job("b", [900, 700, 0], 3.0, "pair")]
    found = plan(jobs, WINDOWS, CREW, visit_cost=10.0)
    assert found.windows == {"a": 1, "b": 0}
    assert greedy(jobs, WINDOWS, CREW, visit_cost=10.0).windows.keys() == {"a", "b"}


def test_work_is_packed_into_one_visit() -> None:
    jobs = [_job("a", [500, 480, 0]), _job("b", [450, 480, 0])]
    assert set(plan(jobs, WINDOWS, CREW, visit_cost=250.0).windows.values()) in ({0}, {1})
    assert plan(jobs, WINDOWS, CREW, visit_cost=0.0).windows == {"a": 0, "b": 1}


def test_a_crew_has_so_many_hours() -> None:
    jobs = [_job(name, [500, 0, 0], 5.0) for name in "ab"]
    assert len(plan(jobs, WINDOWS, CREW).windows) == 1


def test_what_pays_no_visit_or_fits_no_window_is_left() -> None:
    assert plan([_job("a", [200, 200, 200])], WINDOWS, CREW, visit_cost=250.0).windows == {}
    assert plan([_job("a", [-np.inf, -np.inf, 900], 5.0)], WINDOWS, CREW).windows == {}
    assert plan([], WINDOWS, CREW).windows == {}
    assert plan([_job("a", [])], [], CREW).windows == {}


def test_work_moves_to_low_load() -> None:
    job = Job("a", "facilities", 2.0, np.array([500.0, 500.0, 500.0]), load_cost=100.0)
    assert plan([job], WINDOWS, CREW, visit_cost=10.0).windows == {"a": 1}


@pytest.mark.parametrize("seed", range(6))
def test_the_programme_finds_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = [
        _job(f"j{n}", list(rng.uniform(-100, 900, 3)), float(rng.uniform(1, 5)), f"pair{n // 2}")
        for n in range(4)
    ]
    best = max(
        value(
            {job.name: w for job, w in zip(jobs, places, strict=True) if w is not None}, jobs, WINDOWS, 100.0
        )
        for places in itertools.product((0, 1, 2, None), repeat=4)
        if _allowed(jobs, places)
    )
    found = plan(jobs, WINDOWS, CREW, visit_cost=100.0)
    assert found.gain == pytest.approx(best, rel=0.006)


def _allowed(jobs: list[Job], places: tuple[int | None, ...]) -> bool:
    for w, window in enumerate(WINDOWS):
        inside = [job for job, place in zip(jobs, places, strict=True) if place == w]
        if sum(job.hours for job in inside) > window.hours or any(job.gains[w] == -np.inf for job in inside):
            return False
    days = [
        (job.not_with[0], WINDOWS[place].day)
        for job, place in zip(jobs, places, strict=True)
        if place is not None
    ]
    return len(days) == len(set(days))


def test_without_an_answer_in_time_the_rule_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late:
        x, status, mip_gap = None, 1, None

    monkeypatch.setattr(schedule, "_solve", lambda programme, time_limit_s: Late())
    jobs, windows, crews = drawn_work(8, 1)
    found = plan(jobs, windows, crews)
    assert found.status == "time limit"
    assert found.method == "greedy"
    assert found.windows == greedy(jobs, windows, crews).windows
    assert "planned greedily" in found.notes[0]


def test_the_programme_is_never_worse_than_the_rule() -> None:
    jobs, windows, crews = drawn_work(12, 3)
    assert plan(jobs, windows, crews).gain >= greedy(jobs, windows, crews).gain - 1e-6
