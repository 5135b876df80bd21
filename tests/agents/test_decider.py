"""Who orders the causes: code, a model among code's candidates, a model alone. Bad answers leave code's order."""

from __future__ import annotations

from typing import Any

import pytest

from agents.decider import as_corrected, decide
from knowledge.causes import load_causes
from setpoint.contracts import Evidence, FactSheet, Hypothesis, Mode
from setpoint.errors import ModelFailed, ModelMissing

CAUSES = load_causes()
EVIDENCE = [
    Evidence(id=f"E{n}", kind="event", text=f"thing {n}", source="bms", sheet=FactSheet(condition="thing"))
    for n in (1, 2)
]
RANKED = [
    Hypothesis(
        cause="coolant_pump_failure",
        title="coolant pump failed",
        score=0.7,
        supports=("E1",),
        missing=("a leak",),
    ),
    Hypothesis(cause="coolant_leak", title="coolant leak", score=0.3),
]


class Scripted:
    """A model that fills the schema as told."""

    name = "scripted"

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, list[tuple[str, str, dict[str, Any]]]()

    def structured(self, system: str, user: str, schema: dict[str, Any]) -> tuple[dict[str, Any], int]:
        self.asked.append((system, user, schema))
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"causes": self.answer}, 42


def said(
    cause: str, supports: tuple[str, ...] = ("E1",), contradicts: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {"cause": cause, "supports": list(supports), "contradicts": list(contradicts)}


def test_facts_mode_never_asks_the_model() -> None:
    model = Scripted([said("coolant_leak")])
    verdict = decide("facts", model, RANKED, EVIDENCE, CAUSES)
    assert (verdict.decided_by, verdict.hypotheses, model.asked) == ("code", tuple(RANKED), [])


def test_assisted_offers_codes_candidates_alone() -> None:
    model = Scripted([said("coolant_leak"), said("coolant_pump_failure", ("E2",))])
    verdict = decide("assisted", model, RANKED, EVIDENCE, CAUSES)
    assert verdict.decided_by == "scripted"
    assert [one.cause for one in verdict.hypotheses] == ["coolant_leak", "coolant_pump_failure"]
    assert sum(one.score for one in verdict.hypotheses) == pytest.approx(1.0)
    schema = model.asked[0][2]["properties"]["causes"]["items"]["properties"]
    assert schema["cause"]["enum"] == ["coolant_pump_failure", "coolant_leak"]
    assert schema["supports"]["items"]["enum"] == ["E1", "E2"]
    assert verdict.hypotheses[1].missing == ("a leak",)


def test_free_may_name_any_cause_of_the_catalog() -> None:
    verdict = decide("free", Scripted([said("chiller_failure")]), RANKED, EVIDENCE, CAUSES)
    assert verdict.hypotheses[0].title == CAUSES["chiller_failure"].title
    assert verdict.tokens == 42


@pytest.mark.parametrize("mode", ["assisted", "free"])
@pytest.mark.parametrize(
    "answer",
    [
        [],
        [said("gremlins")],
        [{"supports": ["E1"]}],
        ModelFailed("the answer does not fit its schema"),
        ModelMissing("no file"),
    ],
)
def test_a_bad_answer_leaves_codes_order_and_says_so(mode: Mode, answer: Any) -> None:
    verdict = decide(mode, Scripted(answer), RANKED, EVIDENCE, CAUSES)
    assert (verdict.decided_by, verdict.hypotheses) == ("code", tuple(RANKED))
    assert verdict.problem.startswith("causes: ")


def test_assisted_drops_what_code_did_not_offer_and_evidence_that_is_not_there() -> None:
    answer = [said("chiller_failure"), said("coolant_leak", ("E2", "E99"), ("E7",)), said("coolant_leak")]
    found = decide("assisted", Scripted(answer), RANKED, EVIDENCE, CAUSES).hypotheses
    assert [one.cause for one in found] == ["coolant_leak"]
    assert "E99" not in found[0].supports
    assert found[0].contradicts == ()


def test_the_prompt_holds_the_evidence_as_data() -> None:
    model = Scripted([said("coolant_leak")])
    decide("free", model, RANKED, EVIDENCE, CAUSES)
    assert "E2: thing 2" in model.asked[0][1]


def test_a_person_stands_above_everybody() -> None:
    verdict = as_corrected(RANKED, "coolant_leak", CAUSES)
    assert verdict is not None
    assert (verdict.decided_by, verdict.hypotheses[0].cause, verdict.hypotheses[0].score) == (
        "a person",
        "coolant_leak",
        1.0,
    )
    named = as_corrected(RANKED, "chiller_failure", CAUSES)
    assert named is not None
    assert named.hypotheses[0].title == CAUSES["chiller_failure"].title
    assert as_corrected(RANKED, "", CAUSES) is None
