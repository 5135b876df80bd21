"""Words of an analysis: verified, tried twice, and replaced by plain facts where they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from agents.evidence import gather, most_urgent
from agents.explainer import TEMPLATE, Budget, explain, subject_of
from agents.troubleshooter import certainty, rank_causes
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from setpoint.contracts import Evidence, Fact, FactSheet, Hypothesis
from setpoint.errors import ModelFailed, ModelMissing
from setpoint.testing import scripted_role
from tests.agents.cases import pump_case

SHEET = FactSheet(
    condition="coolant flow lost",
    facts=(
        Fact(slot="asset", kind="asset", text="cdu-1", evidence_id="E1", required=True),
        Fact(slot="value", kind="quantity", text="41 lpm", evidence_id="E1", required=True),
    ),
)
PIECE = Evidence(
    id="E1", kind="event", text='cdu-1: "Coolant flow below minimum" (41 lpm)', source="bms", sheet=SHEET
)
PUMP = Hypothesis(cause="coolant_pump_failure", title="coolant pump failed", score=0.9, supports=("E1",))
SUBJECT = FactSheet(
    condition="coolant flow lost",
    facts=(Fact(slot="asset", kind="asset", text="cdu-1", evidence_id="E1", required=True),),
)
STEP = "Coolant flow lost on {asset}, reading {value}, which points to coolant pump failed."
SUMMARY = "Coolant flow lost on {asset}. The cause is coolant pump failed. Next step: start the standby pump."


def budget(**changes: Any) -> Budget:
    return Budget(**({"tokens": 1000, "calls": 8, "seconds": 60.0} | changes))


def words(*answers: str | Exception, **changes: Any) -> tuple[list[Any], Any, list[str]]:
    writer = scripted_role(*answers) if answers else None
    return explain(writer, PUMP, "clear", {"E1": PIECE}, SUBJECT, "Start the standby pump", budget(**changes))


def test_verified_words_are_filled_and_signed() -> None:
    steps, summary, fallbacks = words(STEP, SUMMARY)
    assert fallbacks == []
    assert steps[0].text == "Coolant flow lost on cdu-1, reading 41 lpm, which points to coolant pump failed."
    assert summary.text.startswith("Coolant flow lost on cdu-1.")
    assert {steps[0].written_by, summary.written_by} == {"scripted"}


def test_wrong_words_get_a_second_try() -> None:
    steps, _, fallbacks = words("Flow on gpu-07 is 12 lpm.", STEP, SUMMARY)
    assert steps[0].written_by == "scripted"
    assert fallbacks == []


def test_wrong_twice_falls_back_to_plain_facts_and_says_why() -> None:
    steps, _, fallbacks = words("Flow on gpu-07 is 12 lpm.", "Flow fell to 12 lpm.", SUMMARY)
    assert steps[0].written_by == TEMPLATE
    assert steps[0].text == f"{PIECE.text}. This points to: coolant pump failed."
    assert fallbacks[0].startswith("step 1: ")


@pytest.mark.parametrize("broken", [ModelFailed("too late"), ModelMissing("no file")])
def test_a_model_that_fails_is_not_asked_twice(broken: Exception) -> None:
    steps, summary, fallbacks = words(broken, broken)
    assert (steps[0].written_by, summary.written_by) == (TEMPLATE, TEMPLATE)
    assert len(fallbacks) == 2


def test_a_spent_budget_leaves_plain_facts() -> None:
    steps, _, fallbacks = words(STEP, calls=0)
    assert steps[0].written_by == TEMPLATE
    assert fallbacks[0] == "step 1: the budget of this incident is spent"


def test_without_a_model_nothing_falls_back() -> None:
    _, summary, fallbacks = words()
    assert fallbacks == []
    assert (
        summary.text
        == "Coolant flow lost on cdu-1. The cause is: coolant pump failed. First: start the standby pump."
    )


@pytest.mark.parametrize(
    ("cause", "title", "end"),
    [
        (UNKNOWN, "cause unknown", "The evidence does not name a cause."),
        (NO_FAULT, "no fault found", "Nothing points at a fault."),
        ("coolant_flow_restricted", "coolant flow lost", "Coolant flow lost on cdu-1."),
    ],
)
def test_plain_conclusions_claim_no_more_than_is_known(cause: str, title: str, end: str) -> None:
    """The last one: a cause that is what was seen is not said twice."""
    top = Hypothesis(cause=cause, title=title, score=0.5)
    _, summary, _ = explain(None, top, "open", {"E1": PIECE}, SUBJECT, "", budget())
    assert summary.text.endswith(end)


def test_evidence_against_the_cause_is_said_last() -> None:
    against = PIECE.model_copy(update={"id": "E2"})
    top = PUMP.model_copy(update={"contradicts": ("E2",)})
    steps, _, _ = explain(None, top, "likely", {"E1": PIECE, "E2": against}, SUBJECT, "", budget())
    assert steps[-1].evidence == ("E2",)
    assert steps[-1].text.endswith("This speaks against it.")


def test_the_conclusion_is_about_the_worst_that_was_seen_and_its_own_time() -> None:
    made = pump_case()
    evidence, evidence_of = gather(made)
    found = rank_causes(made, load_causes(), evidence_of, evidence)
    subject = subject_of(evidence, found[0], most_urgent(made, evidence_of))
    assert subject.condition == "coolant flow lost"
    assert {fact.slot: fact.text for fact in subject.facts} == {"asset": "cdu-1", "time": "00:40:12 CET"}
    assert certainty(found) == "clear"
