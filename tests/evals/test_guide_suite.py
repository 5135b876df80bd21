"""The guide suite: real nights through the real slow path, and a judge that catches what a tampered guide does."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import evals.suites.guide as suite
from agents.guide import write_guide
from evals.registry import Ask
from evals.running.contenders import baseline
from evals.running.runner import run_suite
from evals.suites.guide.judging import CHECKS, action_problems, kept, problems_of, sections_of
from evals.suites.guide.runbooks import flat, place_of, read_runbook, runbooks
from knowledge.runbooks import load_corpus
from tools.actions import CATALOG

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
Guide = list[dict[str, Any]]


@pytest.fixture
def collected() -> Iterator[None]:
    yield
    gc.collect()


def guide(section: str = "pump-failure") -> Guide:
    """As the product writes it."""
    made: Guide = write_guide(load_corpus()[section]).model_dump(mode="json")["steps"]
    return made


def wrong(made: Guide) -> set[str]:
    return {check for check, _ in problems_of(made)}


def line(made: Guide, kind: str, number: int = 0) -> dict[str, Any]:
    return [step for step in made if step["kind"] == kind][number]


# ---- the judge --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", sorted(load_corpus()))
def test_the_products_guides_are_sound(section: str) -> None:
    made = guide(section)
    assert problems_of(made) == []
    assert sections_of(made) == [section]
    assert kept(made) == 1.0


def invented_step(made: Guide) -> None:
    made.insert(3, copy.deepcopy(line(made, "check")) | {"text": "Restart the controller of the CDU."})


def invented_step_with_a_quote_of_its_own(made: Guide) -> None:
    step = copy.deepcopy(line(made, "step"))
    step["text"] = step["citation"]["quote"] = "Restart the controller of the CDU."
    made.insert(3, step)


def swapped_citation(made: Guide) -> None:
    first, second = line(made, "step", 0), line(made, "step", 1)
    first["citation"], second["citation"] = second["citation"], first["citation"]


def citation_of_another_runbook(made: Guide) -> None:
    line(made, "step")["citation"]["passage_id"] = "fan-failure#steps/1"


def citation_of_nowhere(made: Guide) -> None:
    line(made, "check")["citation"]["passage_id"] = "pump-failure#checks/99"


def escalation_cited_as_a_step(made: Guide) -> None:
    line(made, "step")["citation"] |= {"passage_id": "pump-failure#escalate-when"}


def safety_last(made: Guide) -> None:
    made.append(made.pop(0))


def safety_told_as_a_step(made: Guide) -> None:
    line(made, "safety")["kind"] = "step"


def safety_left_out(made: Guide) -> None:
    made.remove(line(made, "safety"))


def steps_turned_round(made: Guide) -> None:
    places = [number for number, step in enumerate(made) if step["kind"] == "step"]
    made[places[0]], made[places[1]] = made[places[1]], made[places[0]]


def invented_command(made: Guide) -> None:
    line(made, "step")["text"] += " Run `ipmitool power reset`."


def invented_path(made: Guide) -> None:
    line(made, "check")["text"] += " Look at /var/log/pump.log too."


def invented_action(made: Guide) -> None:
    line(made, "step")["action"] = "shed_load"


def dropped_condition(made: Guide) -> None:
    """`unless level or leak alarms forbid it` is what makes the step safe."""
    step = line(made, "step")
    step["text"] = step["citation"]["quote"] = step["text"].split(", unless")[0]


@pytest.mark.parametrize(
    ("tamper", "check"),
    [
        (invented_step, "supported"),
        (invented_step_with_a_quote_of_its_own, "to the letter"),
        (swapped_citation, "supported"),
        (citation_of_another_runbook, "to the letter"),
        (citation_of_nowhere, "cited"),
        (escalation_cited_as_a_step, "cited"),
        (safety_last, "in order"),
        (safety_told_as_a_step, "in order"),
        (safety_left_out, "in order"),
        (steps_turned_round, "in order"),
        (invented_command, "nothing invented"),
        (invented_path, "nothing invented"),
        (invented_action, "nothing invented"),
        (dropped_condition, "supported"),
    ],
)
def test_a_tampered_guide_is_caught(tamper: Callable[[Guide], None], check: str) -> None:
    made = guide()
    assert wrong(made) == set()
    tamper(made)
    assert check in wrong(made)


def proposed(name: str, *, asset: str = "cdu-1", evidence: tuple[str, ...] = ("E1",)) -> dict[str, Any]:
    return {"action": {"name": name, "asset": asset}, "evidence": list(evidence)}


@pytest.mark.parametrize(
    ("cause", "share", "action", "said"),
    [
        ("coolant_pump_failure", 0.9, proposed("start_standby_pump"), ""),
        ("coolant_pump_failure", 0.9, proposed("reset_gpu"), "no remedy"),
        ("coolant_pump_failure", 0.9, proposed("open_valve_by_hand"), "is no action"),
        ("coolant_pump_failure", 0.9, proposed("start_standby_pump", asset="cdu-99"), "site does not have"),
        ("coolant_pump_failure", 0.9, proposed("start_standby_pump", evidence=("E7",)), "not there: E7"),
        ("coolant_pump_failure", 0.4, proposed("start_standby_pump"), "while the cause is"),
        ("unknown", 0.9, proposed("drain_node"), "while the cause is"),
        ("unknown", 0.9, proposed("open_ticket"), ""),
        ("no_fault", 0.9, proposed("open_ticket"), "while the cause is"),
    ],
)
def test_actions_fit_the_cause_and_stand_on_evidence(
    cause: str, share: float, action: dict[str, Any], said: str
) -> None:
    found = action_problems(cause, share, [action], ["E1", "E2"], ["cdu-1"])
    assert bool(found) == bool(said)
    assert all(check == "fit to act on" and said in text for check, text in found)


def test_runbooks_are_read_with_wrapped_lines_and_tags() -> None:
    book = read_runbook(
        "---\nid: x\n---\n\n## Steps\n1. Safety: Mind\n   the gap.\n2. Go. {action: page}\n\n## Escalate when\n- now\n"
    )
    assert [item.text for item in book.items["steps"].values()] == ["Safety: Mind the gap.", "Go."]
    assert book.items["steps"][2].action == "page"
    assert book.texts["escalate-when"] == "- now"


def test_both_readers_of_the_runbooks_agree() -> None:
    assert set(runbooks()) == set(load_corpus())
    for section in load_corpus().values():
        for step in section.steps:
            place = place_of(f"{section.id}#steps/{step.number}")
            assert place is not None
            assert place.item is not None
            assert (place.item.text, place.item.action) == (flat(step.text), step.action or "")


# ---- the suite --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("collected")
def test_the_suite_runs_on_a_night(tmp_path: Path) -> None:
    ran = run_suite("guide", suite, Ask(contender=baseline("rules"), limit=5), logs=tmp_path)
    assert ran.errors == ()
    found = {figure.name: figure for figure in ran.figures if figure.set == "dev, every guide"}
    assert [found[check].value for check in CHECKS] == [1.0] * len(CHECKS)
    assert all(found[check].hard for check in CHECKS)
    assert {figure.set for figure in ran.figures} >= {f"dev, {suite.GIVEN}", f"dev, {suite.OTHER}"}
    assert ran.failed_gate == ""


def test_a_guide_for_the_wrong_cause_is_said_to_be_wrong() -> None:
    case = {"kind": suite.OWN, "sort": "known", "truth": "coolant_leak", "tags": []}
    said = {
        "cause": "coolant_pump_failure", "share": 0.9, "guide": guide(), "proposals": [proposed("start_standby_pump")],
        "evidence": ["E1"], "assets": ["cdu-1"], "passages": ["pump-failure#steps"], "fallbacks": [],
    }  # fmt: skip
    row = suite.judge(case, said)
    assert (row["sound"], row["right_runbook"], row["moves"]) == (True, False, True)
    assert row["problems"] == ["follows pump-failure for coolant_pump_failure; it was coolant_leak"]
    assert not suite.judge(case, said | {"passages": []})["cited"]
    assert not suite.judge(case, said | {"guide": []})["sound"]


def test_the_gate_stops_a_guide_that_no_runbook_has() -> None:
    tampered = guide()
    invented_command(tampered)
    case = {"kind": suite.OWN, "sort": "known", "truth": "coolant_pump_failure", "tags": []}
    said = {
        "cause": "coolant_pump_failure", "share": 0.9, "guide": tampered, "proposals": [], "evidence": [],
        "assets": [], "passages": ["pump-failure#steps", "pump-failure#checks"], "fallbacks": [],
    }  # fmt: skip
    rows = [{"case": "1", **suite.judge(case, said)}]
    assert "nothing invented: only 0.000 of 1 guides" in suite.gate(suite.figures(rows, "dev"))


def test_the_deck_reaches_causes_that_no_fault_has() -> None:
    cases = [
        sample.metadata or {}
        for sample in suite.prepare(Ask(contender=baseline("rules"), limit=9)).task.dataset
    ]
    assert {case["kind"] for case in cases} == {suite.OWN, suite.GIVEN, suite.OTHER}
    named = [case["given"] for case in cases if case["kind"] == suite.OTHER]
    assert len(set(named)) == len(named)
    assert not CATALOG.keys() & set(named)
