"""A person's text back into words with slots."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from prompts import AlertInput, StepInput, SummaryInput, WordInput, fill
from setpoint.contracts import Fact, FactSheet
from setpoint.learning.slotting import unfill


def fact(slot: str, kind: str, text: str, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": "E1", "required": required}
    )


SHEET = FactSheet(
    condition="coolant pump failed",
    facts=(
        fact("asset", "asset", "cdu-1-pump-a", True),
        fact("place", "place", "rack r-02, hall-1"),
        fact("metric", "metric", "coolant flow"),
        fact("value", "quantity", "92.4 lpm", True),
        fact("limit", "limit", "120 lpm", True),
        fact("time", "time", "02:14:07 CET"),
        fact("count", "count", "14 events on 6 assets"),
    ),
)
ALERT = AlertInput("P0", SHEET, impact="many nodes depend on it", todo="start the standby pump")
STEP = StepInput("coolant pump failed", "supports", SHEET)
SUMMARY = SummaryInput("coolant_pump_failure", "coolant pump failure", "clear", SHEET, todo="start it")


def test_an_edit_becomes_words_with_slots() -> None:
    text = "CDU-1-PUMP-A: coolant pump failed, coolant flow 92.4lpm against 120 lpm since 02:14. First: start the standby pump."
    found = unfill(text, ALERT)
    assert found.words == "{asset}: {what}, {metric} {value} against {limit} since {time}. First: {first}."
    assert found.foreign == ()


def test_a_phrase_that_begins_a_sentence_is_found_in_its_capital() -> None:
    found = unfill("Coolant pump failed on cdu-1-pump-a. Many nodes depend on it.", ALERT)
    assert found.words == "{what} on {asset}. {why}."


def test_the_longest_stands_before_the_shorter_that_is_in_it() -> None:
    sheet = FactSheet(
        condition="pump failed",
        facts=(fact("asset", "asset", "cdu-1"), fact("asset2", "asset", "cdu-1-pump-a")),
    )
    found = unfill("cdu-1-pump-a on cdu-1: pump failed.", AlertInput("P1", sheet))
    assert found.words == "{asset2} on {asset}: {what}."


def test_two_slots_that_read_the_same_are_both_used() -> None:
    words = unfill("Coolant pump failed, which points to coolant pump failed.", STEP).words
    assert words == "{what}, which points to {cause}."


def test_what_no_slot_stands_for_is_named() -> None:
    found = unfill("coolant pump failed on cdu-2-pump-a at 95 lpm for two minutes.", ALERT)
    assert found.foreign == ("name 'cdu-2-pump-a'", "number '95 lpm'", "number word 'two'", "unit 'minutes'")


def test_a_slot_that_a_person_typed_is_no_slot() -> None:
    assert "{asset}" not in unfill("coolant pump failed on {asset}.", ALERT).words


def test_a_dated_time_stands_for_the_time() -> None:
    assert unfill("Since 21 Nov 02:14:07 CET: coolant pump failed.", ALERT).words == "Since {time}: {what}."


def test_a_number_inside_another_is_not_taken() -> None:
    sheet = FactSheet(condition="fan slow", facts=(fact("value", "quantity", "5 rpm"),))
    found = unfill("fan slow at 45 rpm.", AlertInput("P2", sheet))
    assert found.words == "{what} at 45 rpm."
    assert found.foreign == ("number '45 rpm'",)


def test_a_name_inside_a_longer_name_and_a_number_inside_a_longer_number_are_foreign() -> None:
    sheet = FactSheet(
        condition="fan slow",
        facts=(
            fact("asset", "asset", "cdu-1"),
            fact("count", "count", "5"),
            fact("value", "quantity", "0.97"),
        ),
    )
    found = unfill("fan slow on cdu-1-pump-b: 5.2 of it, 5 lpm, 10.97, cdu-1.", AlertInput("P2", sheet))
    assert found.words == "{what} on cdu-1-pump-b: 5.2 of it, 5 lpm, 10.97, {asset}."
    assert found.foreign == ("name 'cdu-1-pump-b'", "number '5.2'", "number '5 lpm'", "number '10.97'")


def test_a_place_and_a_count_may_be_shortened() -> None:
    assert unfill("rack r-02: coolant pump failed, 14 events.", ALERT).words == "{place}: {what}, {count}."
    assert (
        unfill("hall-1, coolant pump failed in rack r-02, hall-1.", ALERT).words
        == "{place}, {what} in {place}."
    )


WORDS = st.sampled_from(["on", "since", "it stands", "against", "now", "please check", "because", "while"])
JOINTS = st.sampled_from([" ", ", ", ": ", "; ", ". ", " (", " - "])
_ASSETS = st.from_regex(r"[a-z]{2,5}-[0-9]{1,3}(-[a-z]{3,6})?", fullmatch=True)
_PHRASES = st.lists(
    st.sampled_from(["pump", "coolant", "flow", "lost", "link", "GPU", "fell off", "the bus"]),
    min_size=2,
    max_size=6,
)


@st.composite
def inputs_and_words(draw: st.DrawFn) -> tuple[WordInput, str]:
    """Any prompt, and any words over its slots."""
    value = draw(st.decimals(0, 999, places=1))
    facts = (
        fact("asset", "asset", draw(_ASSETS)),
        fact("asset2", "asset", draw(_ASSETS)),
        fact("value", "quantity", f"{value} C"),
        fact("limit", "limit", f"{draw(st.decimals(0, 999, places=1))} C"),
        fact("time", "time", f"{draw(st.integers(0, 23)):02d}:{draw(st.integers(0, 59)):02d}:07 CET"),
        fact("metric", "metric", "return temperature"),
    )
    sheet = FactSheet(condition=" ".join(draw(_PHRASES)), facts=facts)
    other = " ".join(draw(_PHRASES))
    choices: list[WordInput] = [
        AlertInput("P1", sheet, impact=other, todo="start the other one"),
        StepInput(other, "supports", sheet),
        SummaryInput("some_cause", other, "likely", sheet),
    ]
    made = draw(st.sampled_from(choices))
    slots = ["what", "asset", "asset2", "value", "limit", "time", "metric"]
    slots += ["why", "first"] if isinstance(made, AlertInput) else []
    parts = draw(
        st.lists(st.one_of(WORDS, st.sampled_from([f"{{{slot}}}" for slot in slots])), min_size=1, max_size=9)
    )
    words = parts[0]
    for part in parts[1:]:
        words += draw(JOINTS) + part
    return made, words + "."


@settings(max_examples=300, deadline=None)
@given(inputs_and_words())
def test_filling_again_gives_the_same_text(case: tuple[WordInput, str]) -> None:
    inputs, words = case
    text = fill(words, inputs)
    assert fill(unfill(text, inputs).words, inputs) == text
