"""The corpus teaches only what the verifier accepts, and keeps its splits apart."""

from __future__ import annotations

from random import Random

import pytest

from prompts import TASKS, AlertInput, StepInput, Task, render
from setpoint.contracts import Fact, FactSheet
from setpoint.learning.corpus import (
    condition,
    copy_example,
    data_hash,
    impact,
    split_of,
    task_example,
    title,
    todo,
)
from setpoint.learning.rules import problems


@pytest.mark.parametrize("task", TASKS)
def test_every_taught_answer_keeps_the_rules(task: Task) -> None:
    rng = Random(f"rules-{task}")
    for _ in range(300):
        example = task_example(rng, "train", task)
        assert example.inputs is not None
        assert problems(example.inputs, example.answer) == [], example


@pytest.mark.parametrize("task", TASKS)
def test_prompts_are_the_products_own(task: Task) -> None:
    example = task_example(Random(3), "train", task)
    assert example.inputs is not None
    assert example.user == render(task, example.inputs).user


@pytest.mark.parametrize("maker", [condition, title, impact, todo])
@pytest.mark.parametrize("split", ["dev", "test"])
def test_held_out_phrases_are_never_trained_on(maker, split) -> None:  # type: ignore[no-untyped-def]
    rng = Random(5)
    held_out = {maker(rng, split) for _ in range(100)}
    trained = {maker(rng, "train") for _ in range(500)}
    assert held_out.isdisjoint(trained)
    assert {split_of(text) for text in held_out} == {split}


def test_copying_examples_hold_their_answer_in_the_prompt() -> None:
    rng = Random(7)
    for _ in range(100):
        example = copy_example(rng)
        said = example.answer.rstrip(".").split("; say: ")[1:]
        assert said
        assert all(part in example.user for part in said)


def test_the_same_seed_gives_the_same_data() -> None:
    assert data_hash() == data_hash()
    assert task_example(Random(1), "train", "alert") == task_example(Random(1), "train", "alert")


ASSET = Fact(slot="asset", kind="asset", text="node-7", evidence_id="E1", required=True)
SHEET = FactSheet(condition="pump failed", facts=(ASSET,))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("Pump failed.", "required slot asset missing"),
        ("Pump failed on {asset} and {asset}.", "slot asset more than once"),
        ("Pump failed on {asset} at {time}.", "unknown slot time"),
        ("Pump failed on {asset} 3 times.", "digit"),
        ("Pump failed on {asset} for two days.", "word 'two'"),
        ("Fan failed on {asset}.", "phrase lost: pump failed"),
        ("Pump failed on {asset}", "does not end"),
        ("Pump failed on {asset}{.", "brace"),
    ],
)
def test_the_rules_name_what_is_wrong(answer: str, problem: str) -> None:
    assert problem in problems(AlertInput("P1", SHEET), answer)


def test_the_rules_want_the_cause_of_a_step() -> None:
    inputs = StepInput("Valve stuck", "supports", SHEET)
    assert problems(inputs, "Pump failed on {asset}, which fits this cause: valve stuck.") == []
    assert problems(inputs, "Pump failed on {asset}.") == ["phrase lost: valve stuck"]
