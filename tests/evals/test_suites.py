"""A suite runs on Inspect, keeps what became of each case, refuses what leaks, and fails where a case fails."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log

from evals.registry import SUITES, Ask
from evals.running.runner import run_suite
from setpoint.errors import UsageError
from tests.evals.suite_double import Double, numbered

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


def test_a_case_that_raises_is_reported_and_the_others_count(tmp_path: Path) -> None:
    ran = run_suite("double", Double(raises={"c01": ValueError("boom")}), Ask(), logs=tmp_path)
    assert ran.errors == ("c01: ValueError('boom')",)
    assert (ran.cases["c01"].error, ran.cases["c01"].fine) == ("ValueError('boom')", False)
    assert (ran.figures[0].n, ran.figures[0].value) == (7, 1.0)


def test_a_clean_run_leaves_a_log_that_inspect_reads(tmp_path: Path) -> None:
    ran = run_suite("double", Double(), Ask(limit=2), logs=tmp_path, epochs=3)
    assert ran.errors == ()
    assert (ran.figures[0].n, ran.cost.answers, set(ran.cases)) == (2, 6, {"c00", "c01"})
    log = read_eval_log(str(tmp_path / ran.log))
    assert (log.status, len(log.samples or [])) == ("success", 6)


def test_what_is_wrong_with_a_case_is_kept_with_it(tmp_path: Path) -> None:
    ran = run_suite("double", Double(cases=4, wrong=numbered(2, 3)), Ask(), logs=tmp_path)
    assert [case for case, outcome in ran.cases.items() if not outcome.fine] == ["c02"]
    assert ran.cases["c02"].problems == ("says egret, is heron",)
    assert {figure.key: figure.value for figure in ran.figures}["all cases: nothing wrong"] == 0.75


def test_a_case_that_holds_its_answer_is_refused(tmp_path: Path) -> None:
    """As a word: `herons` in the other inputs is none."""
    ran = run_suite("double", Double(cases=3, leaks=numbered(1, 2)), Ask(), logs=tmp_path)
    assert ran.errors == ("c01: refused: the answer 'heron' stands in its input",)
    assert ran.figures[0].n == 2
    all_leak = run_suite("double", Double(cases=2, leaks=numbered(0, 2)), Ask(), logs=tmp_path)
    assert (all_leak.figures, len(all_leak.errors)) == ((), 2)


def test_a_suite_without_cases_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no case to run"):
        run_suite("double", Double(cases=0), Ask(), logs=tmp_path)


def test_every_case_is_told_as_it_ends(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run_suite(
        "double",
        Double(cases=2, raises={"c00": ValueError()}),
        Ask(),
        logs=tmp_path,
        tell=lambda *two: told.append(two),
    )
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_the_real_triage_suite_without_public_data(tmp_path: Path) -> None:
    ran = run_suite(
        "triage", SUITES["triage"].load(), Ask(limit=12, data=tmp_path / "nowhere"), logs=tmp_path
    )
    assert ran.errors == ()
    assert any("no labelled data at" in reason for reason in ran.skipped)
    assert any(figure.n for figure in ran.figures)
