"""What changed by more than chance explains: the intervals of differences, and two records held against each other."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.figures import Better, Figure, rate, resampled, share
from evals.running.compare import change_of, compare, judge, paired_interval
from evals.running.record import Asked, Made, Outcome, Ran, Record


def right(values: Sequence[float], *, better: Better = "higher", hard: bool = False) -> Figure:
    rows = [{"case": f"c{number:03d}", "good": value} for number, value in enumerate(values)]
    return rate("s", "right", rows, lambda row: row["good"], better=better, hard=hard)


NEAR = 1e-9
TAIL = 0.025
LUCK = 0.02
"""Of 800 draws: 3.6 standard deviations of a share of TAIL."""


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60))
def test_the_exact_interval_is_that_of_many_resamples(changes: list[float]) -> None:
    low, high = paired_interval(np.array(changes))
    rng = random.Random(1)
    means = [sum(rng.choices(changes, k=len(changes))) / len(changes) for _ in range(800)]
    # Means lie on a lattice, so a quantile is told by what lies on either side of it, not by its distance.
    assert _share(mean < low - NEAR for mean in means) <= TAIL + LUCK
    assert _share(mean <= low + NEAR for mean in means) >= TAIL - LUCK
    assert _share(mean > high + NEAR for mean in means) <= TAIL + LUCK
    assert _share(mean >= high - NEAR for mean in means) >= TAIL - LUCK


def _share(found: Iterable[bool]) -> float:
    told = list(found)
    return sum(told) / len(told)


def test_an_interval_of_values_is_near_the_normal_one() -> None:
    rng = np.random.default_rng(2)
    changes = rng.normal(0.3, 1.0, 400)
    low, high = paired_interval(changes)
    half = 1.96 * changes.std() / 20
    assert (low, high) == pytest.approx((changes.mean() - half, changes.mean() + half), abs=0.02)


def test_three_broken_of_twenty_may_be_chance_and_four_are_not() -> None:
    whole = right([1.0] * 20)
    assert judge(whole, right([0.0] * 3 + [1.0] * 17))[0] == "same"
    assert judge(whole, right([0.0] * 4 + [1.0] * 16))[0] == "worse"
    assert judge(right([0.0] * 4 + [1.0] * 16), whole)[0] == "better"


def test_pairs_see_what_two_intervals_do_not() -> None:
    """Six of 100 break and none is mended: hidden between two shares, plain case by case."""
    before, after = [1.0] * 60 + [0.0] * 40, [1.0] * 54 + [0.0] * 46
    assert judge(share("s", "right", 60, 100), share("s", "right", 54, 100))[0] == "same"
    assert judge(right(before), right(after))[0] == "worse"
    assert judge(right(before), right(after), same_cases=False)[0] == "same"


def test_what_breaks_here_and_is_mended_there_is_the_same() -> None:
    assert judge(right([1.0] * 10 + [0.0] * 10), right([0.0] * 10 + [1.0] * 10))[0] == "same"


def test_lower_may_be_better_and_some_figures_only_inform() -> None:
    many, few = [1.0] * 30, [0.0] * 30
    assert judge(right(many, better="lower"), right(few, better="lower"))[0] == "better"
    assert judge(right(few, better="lower"), right(many, better="lower"))[0] == "worse"
    assert judge(right(few, better=""), right(many, better=""))[0] == "differs"


def test_of_a_hard_figure_one_case_is_enough() -> None:
    whole, one = [0.0] * 1000, [1.0] + [0.0] * 999
    assert judge(right(whole, better="lower"), right(one, better="lower"))[0] == "same"
    assert judge(right(whole, better="lower", hard=True), right(one, better="lower", hard=True))[0] == "worse"


def test_few_cases_prove_little() -> None:
    assert judge(right([1.0]), right([0.0]))[0] == "same"
    assert judge(right([1.0] * 4), right([0.0] * 4))[0] == "worse"
    two = [{"v": 1.0}, {"v": 1.0}]
    certain = resampled("s", "f1", two, lambda some: some[0]["v"])
    assert certain.low == certain.high
    assert judge(certain, replace(certain, value=0.5, low=0.5, high=0.5))[0] == "same"


def test_rounding_is_no_change() -> None:
    values = [0.5 + number / 100 for number in range(20)]
    assert judge(right(values), right([value - 4e-4 for value in values]))[0] == "same"
    assert judge(right(values), right([value - 4e-2 for value in values]))[0] == "worse"


def test_only_common_cases_are_compared() -> None:
    low, high, n, paired = change_of(right([1.0] * 30), right([0.0] * 10))
    assert (low, high, n, paired) == (-1.0, -1.0, 10, True)


# ---- records ---------------------------------------------------------------------------------------------------------


def ran(good: Sequence[float], contender: str = "bundled", suite: str = "birds") -> Ran:
    cases = {f"c{place:03d}": Outcome(() if value else ("says egret",)) for place, value in enumerate(good)}
    return Ran(suite, contender, (right(good),), cases=cases)


def record(*columns: Ran, name: str = "r", asked: Asked | None = None) -> Record:
    return Record(name, Made(), asked or Asked(("birds",)), {}, columns)


def test_two_runs_tell_what_broke_and_what_was_mended() -> None:
    found = compare(record(ran([1, 1, 0, 0, 1, 1])), record(ran([1, 0, 1, 0, 1, 1]), name="q"))
    assert found.broken == ("birds by bundled: c001: says egret",)
    assert found.fixed == ("birds by bundled: c002: says egret",)
    assert [one.verdict for one in found.differences] == ["same"]
    assert found.warnings == ()


def test_two_models_are_compared_although_their_names_differ() -> None:
    found = compare(
        record(ran([1] * 9, "a"), ran([1] * 9, "rules")), record(ran([0] * 9, "b"), ran([1] * 9, "rules"))
    )
    assert [(one.contender, one.verdict) for one in found.differences] == [
        ("rules", "same"),
        ("a -> b", "worse"),
    ]


def test_what_cannot_be_compared_is_said() -> None:
    other = record(ran([0] * 9), ran([1], suite="fish"), name="q", asked=Asked(("birds",), seed=2, limit=5))
    found = compare(record(ran([1] * 9)), other)
    assert found.warnings == (
        "seed differs: 1 and 2; the cases are others",
        "limit differs: all and 5; not all cases are the same",
        "only q ran fish",
    )
    assert (found.broken, found.differences[0].paired) == ((), False)
    gone = compare(record(ran([1])), record(replace(ran([1]), figures=())))
    assert [one.verdict for one in gone.differences] == ["not comparable"]
