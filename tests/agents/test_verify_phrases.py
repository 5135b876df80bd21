"""Phrases as slots: each said once, in its own role, and a cause no surer than it is."""

from __future__ import annotations

import pytest

from agents.verification import verify_answer
from prompts import AlertInput, ChatInput, PlanInput, StepInput, SummaryInput
from setpoint.contracts import Fact, FactSheet

ASSET = Fact(slot="asset", kind="asset", text="cdu-1", evidence_id="E1", required=True)
VALUE = Fact(slot="value", kind="quantity", text="41 lpm", evidence_id="E1")
SHEET = FactSheet(condition="coolant flow low", facts=(ASSET, VALUE))
ALERT = AlertInput("P1", SHEET, "the racks on this loop lose cooling", "start the standby pump")
LIMIT = Fact(slot="limit", kind="limit", text="60 lpm", evidence_id="E1")
STEP = StepInput(
    "coolant pump failure", "supports", FactSheet(condition="coolant flow low", facts=(ASSET, VALUE, LIMIT))
)


def said(words: str, inputs: AlertInput | StepInput | SummaryInput | ChatInput | PlanInput) -> str:
    return " | ".join(verify_answer(words, inputs, closed=True).problems)


@pytest.mark.parametrize(
    "words",
    [
        "{what} on {asset}. Why it matters: {why}. First: {first}.",
        "First: {first}. On {asset}: {what}, because of {why}.",
        "On {asset} - {what}; reading {value}. Please {first}. Impact: {why}.",
        "Coolant flow low on {asset}. Impact: the racks on this loop lose cooling. {first}.",
    ],
)
def test_phrases_may_stand_in_any_order(words: str) -> None:
    assert said(words, ALERT) == ""


@pytest.mark.parametrize(
    ("words", "caught"),
    [
        ("{what} on {asset}. First: {first}.", "misses the required slot 'why'"),
        ("On {asset}: {why}. First: {first}.", "misses the required slot 'what'"),
        ("{what} on {asset}. Impact: {why}. First: {first}. Next: {first}.", "uses slot 'first' 2 times"),
        ("{what} on {asset}. First: {why}. Impact: {first}.", "puts 'why' where 'first' belongs"),
        ("{what} on {asset}. To do now: {why}. {first}.", "puts 'why' where 'first' belongs"),
        ("{why} on {asset}. Why it matters: {what}. {first}.", "puts 'what' where 'why' belongs"),
        ("{what} on {asset} because {first}. Impact: {why}.", "gives a reason that was not given"),
        ("Possibly {what} on {asset}. Impact: {why}. First: {first}.", "makes a guess of what was observed"),
        ("{what} on {asset}. Impact: {why}. {first}. Gather more before acting.", "tells to wait"),
        ("{what} because coolant is short on {asset}. {why}. {first}.", "a word of its own"),
        ("{what} on {asset}, above its limit. Impact: {why}. {first}.", "a limit that was not given"),
        ("{asset} on {what}. Impact: {why}. First: {first}.", "puts 'what' after 'on'"),
        ("{what} on {asset}. Cause: {why}. First: {first}.", "puts 'why' where 'cause' belongs"),
    ],
)
def test_a_phrase_keeps_its_role(words: str, caught: str) -> None:
    assert caught in said(words, ALERT)


@pytest.mark.parametrize(
    ("words", "caught"),
    [
        ("{what} on {asset}, which fits this cause: {cause}.", ""),
        ("{what} on {asset}; this points to {cause}.", ""),
        ("{what} on {asset}, {value} against {limit}, which fits this cause: {cause}.", ""),
        ("{what} on {asset}, against {cause}.", "speaks against a cause that the evidence supports"),
        ("{cause} on {asset}, which fits this cause: {what}.", "puts 'what' where 'cause' belongs"),
        ("{what} on {asset}, {cause}.", "names the cause without saying that it is one"),
        ("{what} on {asset}.", "misses the required slot 'cause'"),
    ],
)
def test_a_step_names_its_cause_as_one(words: str, caught: str) -> None:
    assert (caught in said(words, STEP)) if caught else said(words, STEP) == ""


@pytest.mark.parametrize("relation", ["contradicts", "absent"])
def test_what_speaks_against_a_cause_must_say_so(relation: str) -> None:
    inputs = StepInput("coolant pump failure", relation, SHEET)  # type: ignore[arg-type]
    assert "does not say" in said("{what} on {asset}; the cause in question is {cause}.", inputs)
    assert said("{what} on {asset}, which speaks against this cause: {cause}.", inputs) == ""


@pytest.mark.parametrize(
    ("certainty", "words", "caught"),
    [
        ("clear", "The cause is clear: {cause}", ""),
        ("clear", "Likely cause: {cause}", ""),
        ("likely", "Most likely cause: {cause}", ""),
        ("likely", "The cause is clear: {cause}", "as if it were certain"),
        ("likely", "Cause: {cause}", "does not say that the cause is likely"),
        ("likely", "The cause is not yet confirmed, most likely {cause}", ""),
        ("open", "Possible cause, others remain open: {cause}", ""),
        ("open", "Most likely cause: {cause}", "only possible"),
        ("open", "Possible, probably the cause: {cause}", "as if it were likely"),
        ("open", "Confirmed cause: {cause}", "as if it were certain"),
    ],
)
def test_a_cause_is_said_no_surer_than_it_is(certainty: str, words: str, caught: str) -> None:
    inputs = SummaryInput("pump", "coolant pump failure", certainty, SHEET)  # type: ignore[arg-type]
    found = said(f"{{what}} on {{asset}}. {words}.", inputs)
    assert (caught in found) if caught else found == ""


PLAN = PlanInput("advice", FactSheet(condition="plan", facts=(ASSET, VALUE)),
                 ("Now raise the flow of {asset}.", "It saves {value}."))  # fmt: skip


@pytest.mark.parametrize(
    ("words", "caught"),
    [
        ("{line}. {line2}.", ""),
        ("To do: {line}; also: {line2}.", ""),
        ("{line}.", "misses the required slot"),
        ("{line}. {line2}. {line2}.", "uses slot 'line2' 2 times"),
        ("{line}. {line3}.", "unknown slot 'line3'"),
        ("{line}, which costs more. {line2}.", "a word of its own"),
        ("{line}; {line2}; this remains so.", "claims no change"),
    ],
)
def test_a_small_model_may_join_the_lines_of_a_plan(words: str, caught: str) -> None:
    assert (caught in said(words, PLAN)) if caught else said(words, PLAN) == ""
