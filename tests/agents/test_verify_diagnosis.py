"""A whole diagnosis: catalogs, evidence, passages."""

from __future__ import annotations

from typing import Any

import pytest

from agents.verification import verify_diagnosis
from setpoint.contracts import (
    Action,
    ActionProposal,
    Citation,
    Diagnosis,
    Evidence,
    Fact,
    FactSheet,
    GuideStep,
    Hypothesis,
    Passage,
    ReasoningStep,
    RecoveryGuide,
)

SHEET = FactSheet(
    condition="coolant pump failed",
    facts=(Fact(slot="asset", kind="asset", text="cdu-1-pump-a", evidence_id="E1"),),
)
EVIDENCE = Evidence(
    id="E1", kind="event", text="cdu-1-pump-a stopped at 02:14:07.", source="ev1", sheet=SHEET
)
PASSAGE = Passage(
    id="pump-failure#steps", section="pump-failure", title="Coolant pump failed", heading="steps",
    text="1. Safety: Keep hands off couplings.\n2. Start the standby pump, unless leak alarms forbid it.",
)  # fmt: skip


def guide_step(kind: str, number: int, text: str, action: str | None = None) -> GuideStep:
    citation = Citation(passage_id=f"pump-failure#steps/{number}", quote=text)
    return GuideStep.model_validate({"kind": kind, "text": text, "citation": citation, "action": action})


SAFETY = guide_step("safety", 1, "Safety: Keep hands off couplings.")
START = guide_step("step", 2, "Start the standby pump, unless leak alarms forbid it.", "start_standby_pump")
PROPOSAL = ActionProposal(
    id="P1", incident_id="INC-1", action=Action(name="start_standby_pump", asset="cdu-1-pump-a", args={}),
    risk="medium", effect="", why="", rollback="", evidence=("E1",),
)  # fmt: skip
TOP = Hypothesis(cause="coolant_pump_failure", title="coolant pump failure", score=0.8, supports=("E1",))
REST = Hypothesis(cause="unknown", title="unknown", score=0.2)
SOUND = Diagnosis(
    incident_id="INC-1", revision=0, mode="facts", evidence=(EVIDENCE,), passages=(PASSAGE,),
    hypotheses=(TOP, REST),
    steps=(ReasoningStep(text="cdu-1-pump-a stopped at 02:14:07, which fits.", evidence=("E1",), written_by="m"),),
    summary="The pump cdu-1-pump-a stopped at 02:14.", guide=RecoveryGuide(steps=(SAFETY, START)),
    proposals=(PROPOSAL,), written_by="m",
)  # fmt: skip


def problems(**changes: Any) -> str:
    found = verify_diagnosis(
        SOUND.model_copy(update=changes),
        causes=("coolant_pump_failure", "coolant_leak", "unknown", "no_fault"),
        actions=("start_standby_pump", "page"),
    )
    assert found.ok is (not found.problems)
    return " | ".join(found.problems)


def test_a_sound_diagnosis_passes() -> None:
    assert problems() == ""


def other(model: Any, **changes: Any) -> Any:
    return model.model_copy(update=changes)


WRONG_STEP = SOUND.steps[0]
CASES: list[tuple[dict[str, Any], str]] = [
    ({"hypotheses": ()}, "names no cause"),
    ({"hypotheses": (other(TOP, cause="pump_gremlins"), REST)}, "not in the catalog"),
    ({"hypotheses": (other(TOP, score=0.5), REST)}, "sum to 0.70"),
    ({"hypotheses": (REST, TOP)}, "most likely cause is not first"),
    ({"hypotheses": (TOP, other(TOP, score=0.2))}, "names one cause twice"),
    ({"hypotheses": (other(TOP, supports=("E9",)), REST)}, "'E9' that does not exist"),
    ({"hypotheses": (other(TOP, contradicts=("E1",)), REST)}, "supported and contradicted by E1"),
    ({"steps": (other(WRONG_STEP, evidence=("E9",)),)}, "step 1 names evidence E9"),
    ({"steps": (other(WRONG_STEP, evidence=()),)}, "names no evidence"),
    ({"steps": (other(WRONG_STEP, text="cdu-1-pump-b stopped at 02:14:07."),)}, "'cdu-1-pump-b' is not in"),
    ({"steps": (other(WRONG_STEP, text="The flow fell to 12 lpm."),)}, "'12 lpm' is not in"),
    ({"summary": "The pump stopped at 02:19."}, "summary: time '02:19'"),
    ({"guide": RecoveryGuide(steps=(START, SAFETY))}, "safety step after other steps"),
    ({"guide": RecoveryGuide(steps=(other(START, action="reboot_site"),))}, "'reboot_site' that is not"),
    ({"guide": RecoveryGuide(steps=(other(START, text="Start both pumps."),))}, "not the runbook's own"),
    ({"guide": RecoveryGuide(steps=(guide_step("step", 1, START.text),))}, "the quote is not in"),
    ({"passages": ()}, "which was not retrieved"),
    (
        {"proposals": (other(PROPOSAL, action=other(PROPOSAL.action, name="epo")),)},
        "'epo' is not in the catalog",
    ),
    ({"proposals": (other(PROPOSAL, action=other(PROPOSAL.action, asset="cdu-2")),)}, "would act on 'cdu-2'"),
    ({"proposals": (other(PROPOSAL, incident_id="INC-2"),)}, "belongs to incident 'INC-2'"),
    ({"proposals": (other(PROPOSAL, evidence=("E7",)),)}, "names evidence E7"),
]


@pytest.mark.parametrize(("changes", "caught"), CASES)
def test_each_unfounded_part_is_caught(changes: dict[str, Any], caught: str) -> None:
    assert caught in problems(**changes)


def test_a_proposal_may_act_on_a_named_site_asset() -> None:
    proposal = other(PROPOSAL, action=other(PROPOSAL.action, asset="cdu-1-pump-b"))
    found = verify_diagnosis(
        other(SOUND, proposals=(proposal,)),
        causes=("coolant_pump_failure", "unknown"),
        actions=("start_standby_pump",),
        assets=("cdu-1-pump-b",),
    )
    assert found.ok
