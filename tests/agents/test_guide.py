"""The guide quotes runbooks; actions come from the catalog; an open cause moves nothing."""

from __future__ import annotations

import pytest

from agents.guide import called_for, choose_section, first_thing, queries, words_of, write_guide
from agents.verification import verify_citation
from agents.verification.citation import passage_of
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from knowledge.runbooks import load_corpus
from setpoint.contracts import Hypothesis
from tests.agents.cases import pump_case

CAUSES, SECTIONS = load_causes(), load_corpus()


def top(cause: str) -> Hypothesis:
    return Hypothesis(cause=cause, title=CAUSES[cause].title, score=0.9)


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_step_of_every_guide_can_be_checked_to_the_letter(section: str) -> None:
    passages = list(SECTIONS[section].passages())
    for step in write_guide(SECTIONS[section]).steps:
        passage = passage_of(step.citation, passages)
        assert passage is not None, step
        assert verify_citation(step.citation, passage).ok, step
        assert step.text in " ".join(passage.text.split())


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_no_step_is_left_out(section: str) -> None:
    told = {step.text for step in write_guide(SECTIONS[section]).steps}
    assert {step.text for step in SECTIONS[section].steps} <= told


def test_safety_comes_first_and_escalation_last_one_condition_each() -> None:
    kinds = [step.kind for step in write_guide(SECTIONS["leak-rack"]).steps]
    assert kinds[:2] == ["safety", "safety"]
    assert kinds == sorted(kinds, key=["safety", "check", "step", "escalate"].index)
    assert kinds.count("escalate") == 3


@pytest.mark.parametrize(
    ("cause", "said", "section"),
    [
        ("coolant_pump_failure", "pump | Pump tripped on overload", "pump-failure"),
        ("intrusion_management", "bmc | IPMI login failed for user ADMIN", "management-port-intrusion"),
        (
            "intrusion_management",
            "gpu_node | sshd: Failed password for root from 10.0.0.9 ssh2, ssh brute force",
            "host-login-attack",
        ),
        (
            "gpu_uncorrectable_ecc",
            "gpu_node | xid-95 | uncontained memory error",
            "gpu-contained-uncontained-xid-94-95",
        ),
        ("power_feed_lost", "feed | Utility feed B lost; ups | UPS on battery", "feed-lost"),
        ("coolant_leak", "leak_sensor | Leak rope wet at rack r-05", "leak-rack"),
        ("coolant_leak", "leak_sensor | Water under floor, underfloor rope sensor", "leak-underfloor"),
    ],
)
def test_the_section_fits_what_was_said(cause: str, said: str, section: str) -> None:
    chosen = choose_section(top(cause), CAUSES, SECTIONS, (), said)
    assert chosen is not None
    assert chosen.id == section


def test_retrieval_cannot_push_the_causes_own_section_aside() -> None:
    passages = list(SECTIONS["coolant-quality"].passages())
    chosen = choose_section(top("coolant_leak"), CAUSES, SECTIONS, passages, "")
    assert chosen is SECTIONS["leak-rack"]


def test_without_a_section_the_guide_is_empty() -> None:
    assert write_guide(choose_section(top("coolant_leak"), CAUSES, {}, ())).steps == ()
    assert first_thing(None, "clear") == ""


def test_actions_are_remedies_that_the_guide_mentions() -> None:
    guide = write_guide(SECTIONS["pump-failure"])
    called = called_for(guide, CAUSES["coolant_pump_failure"])
    assert called[0] == "start_standby_pump"
    assert set(called) <= set(CAUSES["coolant_pump_failure"].remedies)


def test_an_open_cause_moves_nothing() -> None:
    assert called_for(write_guide(SECTIONS["pump-failure"]), CAUSES["coolant_pump_failure"], "open") == [
        "open_ticket"
    ]


def test_the_first_thing_is_the_first_step_or_while_open_a_check() -> None:
    section = SECTIONS["pump-failure"]
    assert first_thing(section, "clear") == "Start the standby pump, unless level or leak alarms forbid it"
    assert (
        first_thing(section, "open")
        == "Check the reservoir level and leak alarms before starting another pump"
    )


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_the_first_thing_holds_no_fact(section: str) -> None:
    for certainty in ("clear", "open"):
        said = first_thing(SECTIONS[section], certainty)
        assert not any(char.isdigit() or char in "{}`?" for char in said)


def test_queries_name_causes_and_what_was_seen_but_never_an_open_one() -> None:
    asked = queries(
        [top("coolant_leak"), top(UNKNOWN), top(NO_FAULT)], CAUSES, ["coolant leak", "", "coolant leak"]
    )
    assert asked == [f"coolant leak. {CAUSES['coolant_leak'].meaning}", "coolant leak"]
    assert queries([top(UNKNOWN)], CAUSES, []) == []


def test_words_of_a_case_hold_its_kinds_and_messages() -> None:
    said = words_of(pump_case())
    assert "pump" in said.split()
    assert "Coolant flow below minimum flow_lpm" in said
