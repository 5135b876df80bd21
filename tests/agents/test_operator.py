"""The ops agent: understands by words, only reads, refuses to act, answers from what it found."""

from __future__ import annotations

from typing import Any

import pytest

from agents.explainer import Budget
from agents.operator import Answer, Finding, answer, look, understand
from setpoint.testing import scripted_role
from tests.agents.cases import demo_site

INCIDENT = {
    "id": "INC-40AX28VY", "priority": "P0", "title": "Coolant flow lost on cdu-1", "state": "open", "event_count": 25,
    "opened": "2026-03-14T23:20:00Z", "assets": ["cdu-1", "gpu-01"], "cause": "coolant pump failed (95%)", "condition": "coolant flow lost",
    "evidence": [("E1", "flow 41 lpm")], "guide": [("Start the standby pump.", "pump-failure#steps/2")],
}  # fmt: skip


def tools(**results: Any) -> tuple[dict[str, Any], list[str]]:
    """Reading tools with given results, and what was called."""
    called: list[str] = []

    def make(name: str, result: Any) -> Any:
        def call(**_: Any) -> Any:
            called.append(name)
            return result

        return call

    given = {
        "incident": INCIDENT, "incidents": [INCIDENT], "site_state": {"readings": {"flow_lpm": 41.0}}, "reviews": [],
        "recent_events": {"events": []}, "changes": {"changes": []}, "search": [],
    }  # fmt: skip
    return {name: make(name, result) for name, result in (given | results).items()}, called


def ask(question: str, *words: str, **results: Any) -> Answer:
    intent = understand(question, demo_site())
    made, _ = tools(**results)
    return answer(intent, look(intent, made), scripted_role(*words) if words else None, Budget(1000, 4, 60.0))


@pytest.mark.parametrize(
    ("question", "intent", "about"),
    [
        ("why is cdu-1 hot?", "asset", "cdu-1"),
        ("what about INC-40ax28vy", "incident", "INC-40AX28VY"),
        ("what is going on", "overview", ""),
        ("which actions are pending?", "reviews", ""),
        ("how do I bleed a loop", "knowledge", "how do I bleed a loop"),
        ("drain gpu-07", "refused", ""),
        ("Please approve REV-1", "refused", ""),
    ],
)
def test_a_question_is_understood_by_its_words(question: str, intent: str, about: str) -> None:
    found = understand(question, demo_site())
    assert (found.name, found.about) == (intent, about)


def test_it_never_acts_and_calls_no_tool_for_it() -> None:
    intent = understand("reset gpu-07", demo_site())
    made, called = tools()
    assert look(intent, made) == []
    assert called == []
    assert "not act" in ask("reset gpu-07").lead.text


def test_an_incident_is_told_with_cause_evidence_and_citation() -> None:
    said = ask("what about INC-40AX28VY")
    whole = "\n".join((said.lead.text, *said.lines))
    assert "INC-40AX28VY" in said.lead.text
    for told in (
        "coolant pump failed (95%)",
        "E1: flow 41 lpm",
        "Start the standby pump. [pump-failure#steps/2]",
    ):
        assert told in whole
    assert said.citations == ("pump-failure#steps/2",)


def test_verified_words_of_a_model_lead_and_wrong_ones_do_not() -> None:
    good = ask("what about INC-40AX28VY", "Coolant flow lost on {asset}, reported as {incident}.")
    assert (good.lead.written_by, good.lead.text) == (
        "scripted",
        "Coolant flow lost on cdu-1, gpu-01, reported as INC-40AX28VY.",
    )
    bad = ask("what about INC-40AX28VY", "There are 9 incidents.", "There are 9 incidents.")
    assert bad.lead.written_by == "template"
    assert bad.lead.problem


def test_an_asset_is_told_with_its_readings() -> None:
    assert any("readings now" in line and "41" in line for line in ask("is cdu-1 fine?").lines)


@pytest.mark.parametrize(
    ("question", "results", "said"),
    [
        ("anything open?", {"incidents": []}, "No incident is open"),
        ("what waits for approval", {"reviews": []}, "Nothing waits for a decision"),
        ("what about INC-0", {"incident": "no incident INC-0"}, "is known"),
        ("how do I bleed a loop", {"search": []}, "say nothing about this"),
    ],
)
def test_nothing_found_is_said_plainly(question: str, results: dict[str, Any], said: str) -> None:
    assert said in ask(question, **results).lead.text


def test_a_tool_that_failed_is_a_finding() -> None:
    intent = understand("is cdu-1 fine?", demo_site())
    made, _ = tools(site_state="the site cannot be read")
    findings = look(intent, made)
    assert Finding("site_state", {"asset": "cdu-1"}, "the site cannot be read") in findings
    assert answer(intent, findings, None, Budget(0, 0, 0)).lines
