"""Calibration figures against numbers worked out by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.reliability import bins_of, brier, brier_of_first, calibration_error, picture


def test_brier_counts_a_truth_that_was_never_listed() -> None:
    assert brier([{"a": 1.0}], ["a"]) == 0.0
    assert brier([{"a": 1.0}], ["b"]) == 2.0
    assert brier([{"a": 0.5, "b": 0.25, "c": 0.25}], ["a"]) == pytest.approx(0.375)
    assert brier([], []) == 0.0


def test_brier_of_the_first_cause() -> None:
    assert brier_of_first([0.9, 0.6], [True, False]) == pytest.approx((0.01 + 0.36) / 2)


def test_bins_keep_what_was_stated_and_what_came() -> None:
    low, high = bins_of([0.11, 0.19, 0.95, 1.0], [False, True, True, True])
    assert (low.stated, low.observed, low.n) == (pytest.approx(0.15), 0.5, 2)
    assert (high.stated, high.observed, high.n) == (pytest.approx(0.975), 1.0, 2)
    assert calibration_error((low, high)) == pytest.approx((2 * 0.35 + 2 * 0.025) / 4)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_no_answer_is_lost_between_bins(answers: list[tuple[float, bool]]) -> None:
    bins = bins_of([share for share, _ in answers], [hit for _, hit in answers])
    assert sum(one.n for one in bins) == len(answers)
    assert sum(one.observed * one.n for one in bins) == pytest.approx(sum(hit for _, hit in answers))
    assert all(one.low - 1e-9 <= one.observed <= one.high + 1e-9 for one in bins)


def test_the_picture_is_whole_svg_and_says_its_numbers() -> None:
    drawn = picture({"a <b>": bins_of([0.2, 0.9], [False, True])}, "two & more")
    root = ET.fromstring(drawn)
    words = "".join(root.itertext())
    assert "two & more" in words
    assert "a <b>: 2 answers" in words
    assert drawn.count("<circle") == 3  # two dots and the legend's
