"""The corpus teaches only what the verifier accepts, and keeps its splits apart."""

from __future__ import annotations

from random import Random

import pytest

from agents.verification.answers import verify_answer
from prompts import TASKS, AlertInput, PlanInput, StepInput, SummaryInput, Task, phrases, render
from setpoint.contracts import Fact, FactSheet
from setpoint.learning import known
from setpoint.learning.corpus import copy_example, data_hash, task_example
from setpoint.learning.phrases import condition, impact, split_of, title, todo
from setpoint.learning.product import product_example
from setpoint.learning.rules import lost
from setpoint.learning.sentences import HOUSE, alert_answer, draw_style, step_answer, summary_answer


@pytest.mark.parametrize("task", TASKS)
def test_every_taught_answer_passes_the_products_verifier_and_loses_nothing(task: Task) -> None:
    rng = Random(f"verifier-{task}")
    for _ in range(400):
        example = task_example(rng, "train", task)
        assert example.inputs is not None
        found = verify_answer(example.answer, example.inputs, closed=True)
        # A drawn impact may say "at once" beside a low priority, which the product's own rules never do.
        assert [p for p in found.problems if not p.startswith("makes a P")] == [], example.answer
        assert lost(example.inputs, example.answer) == [], example


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


def test_copying_examples_ask_for_their_answer() -> None:
    rng = Random(7)
    for _ in range(100):
        example = copy_example(rng)
        asked = example.user.splitlines()[0].split()[1:]
        assert example.answer == ", ".join(f"{{{slot}}}" for slot in asked) + "."


def test_the_same_seed_gives_the_same_data() -> None:
    assert data_hash() == data_hash()
    assert task_example(Random(1), "train", "alert") == task_example(Random(1), "train", "alert")


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
    for texts in (known.conditions(), known.impacts(), known.remedies(), known.sentences()):
        assert texts
        assert not any(character.isdigit() or character in "{}" for text in texts for character in text)


ASSET = Fact(slot="asset", kind="asset", text="node-7", evidence_id="E1", required=True)
SHEET = FactSheet(condition="pump failed", facts=(ASSET,))


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("{what} on {asset}. First: {first}.", []),
        ("Pump failed on {asset}: start the other pump.", []),
        ("{what}. First: {first}.", ["node-7"]),
        ("Fan failed on {asset}. First: {first}.", ["pump failed"]),
        ("{what} on {asset}.", ["start the other pump"]),
        ("{what} on {asset} at {time}.", ["slot time"]),
    ],
)
def test_what_is_lost_is_looked_for_in_the_finished_text(answer: str, missing: list[str]) -> None:
    assert lost(AlertInput("P1", SHEET, todo="Start the other pump."), answer) == missing


def test_a_lost_line_of_a_plan_is_named() -> None:
    inputs = PlanInput("advice", SHEET, ("Now drain {asset}.", "It costs little."))
    assert lost(inputs, "{line}. {line2}.") == []
    assert lost(inputs, "{line}.") == ["It costs little"]


def test_the_house_style_is_the_same_each_time_and_the_most_common() -> None:
    inputs = AlertInput("P0", SHEET, impact="the loop loses flow", todo="start the other pump")
    said = {alert_answer(Random(seed), inputs, HOUSE) for seed in range(5)}
    assert said == {"{what} on {asset}. Act now: {why}. First: {first}."}
    rng = Random(3)
    assert 0.4 < sum(draw_style(rng) == HOUSE for _ in range(1000)) / 1000 < 0.7


def test_the_taught_styles_differ_in_order_joints_and_labels() -> None:
    rng = Random(4)
    inputs = AlertInput("P1", SHEET, impact="the loop loses flow", todo="start the other pump")
    said = {alert_answer(rng, inputs, draw_style(rng)) for _ in range(600)}
    assert len(said) > 150
    for begin in ("{what}", "On {asset}", "{asset}:", "First: {first}", "Please {first}", "Impact: {why}"):
        assert any(text.startswith(begin) for text in said), begin


def test_a_cause_that_was_seen_is_not_said_twice() -> None:
    inputs = SummaryInput("pump_failure", "Pump failed", "clear", SHEET, "start the other pump")
    assert "cause" not in phrases(inputs)
    assert summary_answer(Random(1), inputs, HOUSE) == "{what} on {asset}. First: {first}."


def test_what_is_missing_is_said_to_be_missing() -> None:
    inputs = StepInput("Valve stuck", "absent", SHEET)
    assert step_answer(Random(1), inputs, HOUSE) == (
        "Expected but missing: {what} on {asset}, which weakens this cause: {cause}."
    )
