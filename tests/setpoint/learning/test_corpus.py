"""The corpus teaches only what the verifier accepts, and keeps its splits apart."""

from __future__ import annotations

from random import Random

import pytest

from agents.verification.answers import verify_answer
from prompts import TASKS, AlertInput, StepInput, Task, render
from setpoint.contracts import Fact, FactSheet
from setpoint.learning import known
from setpoint.learning.corpus import copy_example, data_hash, task_example
from setpoint.learning.phrases import condition, impact, split_of, title, todo
from setpoint.learning.product import product_example
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


@pytest.mark.parametrize("task", TASKS)
def test_every_taught_answer_passes_the_products_own_verifier(task: Task) -> None:
    rng = Random(f"verifier-{task}")
    for _ in range(100):
        example = task_example(rng, "train", task)
        assert example.inputs is not None
        found = verify_answer(example.answer, example.inputs)
        # A drawn impact may say "at once" beside a low priority, which the product's own rules never do.
        assert [p for p in found.problems if not p.startswith("makes a P")] == [], example.answer


def test_product_examples_use_the_products_phrases_and_no_answer() -> None:
    rng = Random(11)
    seen = [product_example(rng, "alert", unseen=False).inputs for _ in range(50)]
    assert {item.sheet.condition for item in seen if item} <= set(known.conditions())
    assert all(product_example(rng, task, unseen=False).answer == "" for task in TASKS)


def test_unseen_product_examples_stay_outside_the_training_split() -> None:
    rng = Random(13)
    for _ in range(50):
        inputs = product_example(rng, "alert", unseen=True).inputs
        assert isinstance(inputs, AlertInput)
        assert "train" not in {split_of(inputs.sheet.condition), split_of(inputs.impact)}


def test_known_phrases_hold_no_facts() -> None:
    for phrases in (known.conditions(), known.impacts(), known.remedies(), known.sentences()):
        assert phrases
        assert not any(character.isdigit() or character in "{}" for text in phrases for character in text)


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
