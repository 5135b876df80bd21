"""The rule that gives a model its mode, on made-up measurements whose answer is known."""

from __future__ import annotations

import pytest

from evals.model_trial import Asked, Order
from evals.modes import LEAST_CASES, for_causes, for_chat


def orders(
    code_right: int, both: int, model_right: int, neither: int = 0, answered: bool = True
) -> list[Order]:
    """So many faults that only code, both, or only the model named first."""
    kinds = [("truth", "wrong")] * code_right + [("truth", "truth")] * both
    kinds += [("wrong", "truth")] * model_right + [("wrong", "wrong")] * neither
    return [
        Order(f"case-{number}", "truth", code, model, answered, 1.0, candidates=3, offered=True)
        for number, (code, model) in enumerate(kinds)
    ]


def asked(right: int, wrong: int, facts: bool = True) -> list[Asked]:
    return [Asked("why?", number < right, facts, 1.0) for number in range(right + wrong)]


def test_a_model_that_agrees_with_code_may_assist() -> None:
    choice = for_causes(orders(0, LEAST_CASES, 0))
    assert choice.mode == "assisted"
    assert choice.figures["difference"] == (0.0, 0.0, 0.0)


def test_a_model_that_orders_worse_stays_with_the_words() -> None:
    choice = for_causes(orders(20, 60, 0))
    assert choice.mode == "facts"
    assert "worse than code's" in choice.why


def test_a_difference_that_may_be_too_large_is_not_enough() -> None:
    choice = for_causes(orders(5, 60, 3))
    assert choice.mode == "facts"
    assert "may be worse" in choice.why


def test_a_few_cases_prove_nothing_however_good_they_are() -> None:
    choice = for_causes(orders(0, LEAST_CASES - 1, 0))
    assert (choice.mode, "too few" in choice.why) == ("facts", True)


def test_cases_with_one_candidate_do_not_count() -> None:
    from dataclasses import replace

    alone = [replace(one, candidates=1) for one in orders(0, 200, 0)]
    assert "too few" in for_causes(alone).why


def test_a_model_whose_answers_cannot_be_used_stays_with_the_words() -> None:
    choice = for_causes(orders(0, 100, 0, answered=False))
    assert (choice.mode, "could be used" in choice.why) == ("facts", True)


def test_only_a_model_that_is_better_with_every_cause_open_is_free() -> None:
    fair = orders(0, 100, 0)
    assert for_causes(fair, orders(0, 100, 0)).mode == "assisted"
    assert for_causes(fair, orders(0, 80, 20)).mode == "free"
    assert for_causes(orders(30, 70, 0), orders(0, 80, 20)).mode == "facts"


@pytest.mark.parametrize(
    ("rows", "mode"),
    [([], "facts"), (asked(10, 0), "facts"), (asked(60, 0), "free"), (asked(60, 30), "facts"), (asked(60, 0, facts=False), "assisted")],
)  # fmt: skip
def test_tools_are_planned_by_a_model_that_calls_them_right(rows: list[Asked], mode: str) -> None:
    assert for_chat(rows).mode == mode
