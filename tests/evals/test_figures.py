"""Intervals, figures and reading ease: against numbers known from elsewhere."""

from __future__ import annotations

import random

import pytest

from evals.figures import resampled, share, table
from evals.intervals import bootstrap, wilson
from evals.reading import reading_ease, syllables


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_agrees_with_published_values(hits: int, total: int, low: float, high: float) -> None:
    """The last: Newcombe 1998, table I, method 3."""
    assert wilson(hits, total) == pytest.approx((low, high), abs=1e-4)


def test_nothing_counted_is_nothing_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert bootstrap([], lambda some: 0.5) == (0.0, 1.0)


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    rng = random.Random(1)
    values = [rng.gauss(10.0, 2.0) for _ in range(400)]
    low, high = bootstrap(values, lambda some: sum(some) / len(some), rounds=1000)
    assert high - low == pytest.approx(2 * 1.96 * 2.0 / 20.0, rel=0.2)
    assert low < 10.0 < high


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert bootstrap(values, sum) == bootstrap(values, sum)


def test_a_table_names_value_interval_count_and_what_was_skipped() -> None:
    text = table(
        [share("night", "recall", 9, 10), resampled("night", "length", [1.0, 3.0], sum)], ["titan: not there"]
    )
    assert "night  recall  0.900  0.596 to 0.982  10" in " ".join(text.split("\n")[1:2]).replace("   ", "  ")
    assert text.endswith("skipped: titan: not there")


def test_plain_words_read_more_easily() -> None:
    plain = "The pump has stopped. Start the spare one now."
    hard = "Insufficient infrastructural redundancy necessitates immediate operational remediation."
    assert reading_ease(plain) > 80 > 30 > reading_ease(hard)
    assert reading_ease('"Insufficient infrastructural redundancy" 12') == 100.0


@pytest.mark.parametrize(
    ("word", "count"), [("flow", 1), ("coolant", 2), ("temperature", 4), ("the", 1), ("table", 2)]
)
def test_syllables(word: str, count: int) -> None:
    assert syllables(word) == count
