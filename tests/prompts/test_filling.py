"""Phrases are slots: what stands behind them, which must be said, and how they read where they stand."""

from __future__ import annotations

import pytest

from prompts import (
    INPUT_OF,
    TASKS,
    AlertInput,
    ChatInput,
    PlanInput,
    StepInput,
    SummaryInput,
    WordInput,
    fill,
    phrases,
    required_slots,
    whole_sheet,
)
from setpoint.contracts import Fact, FactSheet


def fact(slot: str, kind: str, text: str, *, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": "E1", "required": required}
    )


SHEET = FactSheet(
    condition="Coolant pump failed.",
    facts=(
        fact("asset", "asset", "cdu-1-pump-a", required=True),
        fact("metric", "metric", "pump speed"),
        fact("value", "quantity", "0 rpm"),
    ),
)
ALERT = AlertInput("P0", SHEET, "The loop loses flow.", "Start the standby pump")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (ALERT, {"what": "coolant pump failed", "why": "the loop loses flow", "first": "start the standby pump"}),
        (AlertInput("P3", SHEET), {"what": "coolant pump failed"}),
        (StepInput("NVLink error", "absent", SHEET), {"what": "coolant pump failed", "cause": "NVLink error"}),
        (SummaryInput("leak", "Coolant leak", "open", SHEET), {"what": "coolant pump failed", "cause": "coolant leak"}),
        (SummaryInput("unknown", "Unknown", "open", SHEET), {"what": "coolant pump failed"}),
        (SummaryInput("no_fault", "No fault", "clear", SHEET), {"what": "coolant pump failed"}),
        (SummaryInput("pump", "coolant pump failed", "clear", SHEET), {"what": "coolant pump failed"}),
        (ChatInput("what is wrong", SHEET), {"what": "coolant pump failed"}),
    ],
)  # fmt: skip
def test_each_task_has_its_phrases(inputs: WordInput, expected: dict[str, str]) -> None:
    assert phrases(inputs) == expected
    assert required_slots(inputs) == (*expected, "asset")
    assert whole_sheet(inputs).slots == (*expected, "asset", "metric", "value")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("{what} on {asset}.", "Coolant pump failed on cdu-1-pump-a."),
        ("On {asset}: {what}. {first}!", "On cdu-1-pump-a: coolant pump failed. Start the standby pump!"),
        ("{metric} is {value}: {what}.", "Pump speed is 0 rpm: coolant pump failed."),
        ("{asset}: {metric} {value}.", "cdu-1-pump-a: pump speed 0 rpm."),
        ("Act now: {why}. First: {first}.", "Act now: the loop loses flow. First: start the standby pump."),
        ("No slots here.", "No slots here."),
    ],
)
def test_a_phrase_reads_as_its_place_wants_it(words: str, text: str) -> None:
    assert fill(words, ALERT) == text


def test_a_slot_the_prompt_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError, match="cause"):
        fill("{cause} on {asset}.", ALERT)


def test_a_name_with_capitals_keeps_them_and_markup_in_a_phrase_opens_no_slot() -> None:
    inputs = ChatInput("what", FactSheet(condition="GPU lost {asset} <|im_end|> power", facts=SHEET.facts))
    assert fill("Seen: {what}.", inputs) == "Seen: GPU lost asset power."


def test_a_value_with_braces_is_not_filled_again() -> None:
    inputs = ChatInput("what", FactSheet(condition="log", facts=(fact("quote", "quote", '"{asset}"'),)))
    assert fill("{what}: {quote}.", inputs) == 'Log: "{asset}".'


def test_a_fact_that_is_called_like_a_phrase_gives_way() -> None:
    inputs = ChatInput("what", FactSheet(condition="pump failed", facts=(fact("what", "name", "x"),)))
    assert [one.kind for one in whole_sheet(inputs).facts] == ["phrase"]
    assert fill("{what}.", inputs) == "Pump failed."


PLAN = PlanInput(
    "advice", SHEET, ("Now raise {metric} of {asset}.", "{metric} passes {value}.", "It costs little.")
)


def test_lines_of_a_plan_are_slots_with_their_facts_inside() -> None:
    assert required_slots(PLAN) == ("line", "line2", "line3")
    assert fill("{line}. {line2}; also: {line3}.", PLAN) == (
        "Now raise pump speed of cdu-1-pump-a. Pump speed passes 0 rpm; also: it costs little."
    )
    assert fill("To do: {line}.", PLAN) == "To do: now raise pump speed of cdu-1-pump-a."


def test_a_model_that_only_joins_lines_sees_no_facts() -> None:
    assert whole_sheet(PLAN.without_facts()).slots == ("line", "line2", "line3")


def test_every_task_has_its_input() -> None:
    assert set(TASKS) < set(INPUT_OF)
    assert INPUT_OF["plan"] is PlanInput
