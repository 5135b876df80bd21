"""The formulas by which texts are compared, on texts whose figures can be counted by hand."""

from __future__ import annotations

import pytest

from evals.readability import (
    MEASURES,
    Pair,
    facts_first,
    facts_said,
    said_again,
    table,
    words_a_sentence,
)

PLAIN = "Coolant pump failed. cdu-1 reads 0 rpm, limit 1200 rpm. It began at 02:14:07."
OWN = "Coolant pump failed on cdu-1 at 02:14:07: reading 0 rpm, limit 1200 rpm."
PAIR = Pair("alert", PLAIN, OWN)


def test_each_measure_is_what_it_says() -> None:
    assert words_a_sentence(PLAIN, PAIR) == pytest.approx(14 / 3)
    assert words_a_sentence(OWN, PAIR) == 13
    # Four facts: the asset, two numbers, a time.
    assert (facts_first(PLAIN, PAIR), facts_first(OWN, PAIR)) == (0.0, 1.0)
    assert (facts_said(PLAIN, PAIR), facts_said(OWN.replace(" at 02:14:07", ""), PAIR)) == (1.0, 0.75)
    assert said_again("Flow is low, flow stays low.", PAIR) == pytest.approx(1 / 3)


def test_an_empty_text_is_no_error() -> None:
    empty = Pair("alert", "", "")
    assert [measure("", empty) for measure, _ in MEASURES.values()]


def test_the_table_shows_template_model_and_the_difference_with_its_interval() -> None:
    lines = table([PAIR, PAIR])
    assert len(lines) == 2 + len(MEASURES)
    assert lines[4] == "| facts in the first sentence | more | 0.00 | 1.00 | +1.00 (+1.00 to +1.00) |"
