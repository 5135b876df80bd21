"""Training of the text ranker."""

from __future__ import annotations

import pytest

from agents.filter import Lexicon, TextRanker
from setpoint.learning.ranker import Example, expand, own_examples, train


def test_template_gives_every_wording() -> None:
    assert list(expand("{a|b} and {c|d}")) == ["a and c", "a and d", "b and c", "b and d"]


def test_own_lines_hold_every_priority_in_both_forms() -> None:
    examples = own_examples()
    assert {(e.source, e.gold) for e in examples} == {
        (source, gold) for source in ("own-line", "own-alert") for gold in ("P0", "P1", "P2", "P3")
    }


def test_wordings_of_one_template_share_one_weight() -> None:
    weights: dict[tuple[str, str, int], float] = {}
    for e in own_examples():
        key = (e.source, e.gold, e.group)
        weights[key] = weights.get(key, 0.0) + e.weight
    assert all(total == pytest.approx(1.0) for total in weights.values())


def test_training_is_deterministic_and_learns() -> None:
    examples = own_examples()
    first, second = train(examples), train(examples)
    assert first == second
    ranker = TextRanker(first, Lexicon.load())
    chances = ranker.probabilities("kernel panic: stopping execution", alert=False)
    assert max(chances, key=lambda name: chances[name]) == "P1"


def test_weights_are_plain_numbers() -> None:
    weights = train([Example("own-line", "node lost", False, "P1"), Example("own-line", "node ready", False, "P3"),
                     Example("own-line", "disk slow", False, "P2"), Example("own-line", "feed lost", False, "P0")])  # fmt: skip
    assert all(isinstance(value, float) for row in weights.weights.values() for value in row)
