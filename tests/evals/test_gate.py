"""The gate shuts where a figure falls beyond its interval, and says which and by how much; else it stays open."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.running.gate import Verdict, baseline_of, hold
from evals.running.plan import Wanted, again, plan, run
from evals.running.record import Asked, Made, Record, read, write
from setpoint.errors import UsageError
from tests.evals.suite_double import Double, enter, numbered

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
CASES = 20


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


class Bench:
    """Runs doubles of the suite `birds`, and keeps the baseline of a good one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch, self._folder, self._runs = monkeypatch, folder, 0

    def record(self, double: Double, **asked: Any) -> Record:
        self._runs += 1
        enter(self._patch, "birds", double)
        wanted = Wanted(("birds",), out=self._folder, name=str(self._runs), **asked)
        return run(plan(wanted))

    def baseline(self, double: Double, **asked: Any) -> Record:
        """As it comes back from its file."""
        return read(write(baseline_of(self.record(double, **asked)), self._folder / "baseline.json"))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(monkeypatch, tmp_path)


def said(verdict: Verdict) -> list[str]:
    return [fall.what for fall in verdict.falls]


def test_the_same_again_passes_and_a_small_fall_is_told(bench: Bench) -> None:
    good = bench.baseline(Double(CASES))
    assert hold(good, bench.record(Double(CASES))).passed
    little = hold(good, bench.record(Double(CASES, wrong=numbered(0, 2))))
    assert little.passed
    assert little.broken == (
        "birds by bundled: c00: says egret, is heron",
        "birds by bundled: c01: says egret, is heron",
    )


def test_a_fall_names_figure_size_and_cases(bench: Bench) -> None:
    good = bench.baseline(Double(CASES, wrong=numbered(19, 20)))
    verdict = hold(good, bench.record(Double(CASES, wrong=numbered(0, 8) | numbered(19, 20))))
    assert not verdict.passed
    assert said(verdict)[0].startswith(
        "birds: right: 0.950 -> 0.550 (-0.400; 95 % interval of the change -0.600 to -0.200"
    )
    assert verdict.falls[0].broken == tuple(f"c0{place}: says egret, is heron" for place in range(8))
    assert {fall.difference.name for fall in verdict.falls if fall.difference} == {
        "right", "right, resampled", "nothing wrong"
    }  # fmt: skip


def test_a_hard_figure_must_not_fall_at_all(bench: Bench) -> None:
    good = bench.baseline(Double(CASES, hard=True))
    verdict = hold(good, bench.record(Double(CASES, wrong=numbered(3, 4), hard=True)))
    assert said(verdict) == [
        "birds: right: 1.000 -> 0.950 (-0.050; no fall at all is allowed, over 20 cases one by one)"
    ]


def test_what_is_better_shuts_nothing(bench: Bench) -> None:
    verdict = hold(bench.baseline(Double(CASES, wrong=numbered(0, 9))), bench.record(Double(CASES)))
    assert verdict.passed
    assert [rise.name for rise in verdict.rises] == ["right", "right, resampled", "nothing wrong"]


def test_a_case_that_raises_or_is_gone_shuts_it(bench: Bench) -> None:
    good = bench.baseline(Double(CASES))
    assert "a case could not be judged: c07: ValueError('boom')" in said(
        hold(good, bench.record(Double(CASES, raises={"c07": ValueError("boom")})))
    )
    fewer = bench.record(Double(CASES), limit=18)
    assert said(hold(good, fewer)) == ["cases of the baseline did not run: c18, c19"]


def test_a_figure_or_suite_that_is_gone_shuts_it(bench: Bench) -> None:
    good = bench.baseline(Double(CASES))
    now = bench.record(Double(CASES))
    (ran,) = now.ran
    without = replace(now, ran=(replace(ran, figures=ran.figures[1:]),))
    assert said(hold(good, without)) == ["birds: right: no longer measured; it was 1.000"]
    assert said(hold(good, replace(now, ran=()))) == ["it did not run, and stands in the baseline"]
    assert said(hold(good, replace(now, interrupted=True))) == ["the run was interrupted"]


def test_a_set_whose_data_is_absent_is_not_measured_here(bench: Bench) -> None:
    good = bench.baseline(Double(CASES))
    now = bench.record(Double(CASES))
    (ran,) = now.ran
    absent = replace(
        ran, figures=ran.figures[2:], cases={}, skipped=("fish, birds: no labelled data at DIR",)
    )
    verdict = hold(good, replace(now, ran=(absent,)))
    assert verdict.passed
    assert verdict.not_measured == ("birds: birds",)


def test_other_cases_say_nothing(bench: Bench) -> None:
    good = bench.baseline(Double(CASES))
    with pytest.raises(UsageError, match="the run has seed 2, the baseline 1"):
        hold(good, bench.record(Double(CASES), seed=2))


def test_severity_words_are_a_yardstick_and_may_fall(bench: Bench) -> None:
    good = bench.baseline(Double(CASES))
    yardstick = replace(good, contenders={"bundled": {"system": "severity"}})
    assert hold(yardstick, bench.record(Double(CASES, wrong=numbered(0, 20)))).passed


def test_a_baseline_is_small_sorted_and_only_made_of_a_whole_run(bench: Bench) -> None:
    kept = bench.baseline(Double(CASES))
    (ran,) = kept.ran
    assert (kept.seconds, ran.seconds, ran.log, ran.cost.answers) == (0.0, 0.0, "", 0)
    assert list(ran.cases) == sorted(ran.cases)
    with pytest.raises(UsageError, match="not whole: birds by bundled: c00"):
        baseline_of(bench.record(Double(CASES, raises={"c00": ValueError("boom")})))


def test_the_run_of_a_baseline_is_asked_again() -> None:
    asked = Asked(("alert", "triage"), ("none",), ("rules",), 20, 3, "held-out", 2, "none")
    wanted = again(Record("r", Made(), asked, {}, ()))
    assert (wanted.suites, wanted.models, wanted.against, wanted.limit) == (
        ("alert", "triage"),
        ("none",),
        ("rules",),
        20,
    )
    assert (wanted.seed, wanted.split, wanted.epochs, wanted.data) == (3, "held-out", 2, "none")
    with pytest.raises(UsageError, match="a folder of public data"):
        again(Record("r", Made(), replace(asked, data="given"), {}, ()))
