"""Each thing that a folder asks for can be missed, and then it is said in words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from evals.folders.folder import Expected
from evals.folders.judging import blamed_assets, judge

ACTION = {"name": "start_standby_pump", "asset": "cdu-1-pump-b", "args": {}}
SAID: dict[str, Any] = {
    "incidents": [
        {
            "id": "INC-1", "priority": "P0", "title": "Coolant pump failed on cdu-1", "assets": ["cdu-1"], "event_count": 9,
            "diagnosis": {
                "hypotheses": [
                    {"cause": "coolant_pump_failure", "score": 0.9, "supports": ["E1"], "tested": None},
                    {"cause": "coolant_leak", "score": 0.07, "supports": [], "tested": None},
                    {"cause": "unknown", "score": 0.03, "supports": [], "tested": None},
                ],
                "evidence": [{"id": "E1", "sheet": {"facts": [{"kind": "asset", "text": "cdu-1"}]}}],
            },
        },
        {"id": "INC-2", "priority": "P3", "title": "Login", "assets": ["ctl-01"], "event_count": 1, "diagnosis": None},
    ],
    "reviews": [{"id": "REV-1", "incident_id": "INC-1", "state": "decided", "proposal": {"action": ACTION}}],
    "pages": 1, "moved": [], "quarantined": [], "explained": {},
}  # fmt: skip
RIGHT: dict[str, Any] = {
    "asset": "cdu-1", "priority": "P0", "cause": "coolant_pump_failure", "forbidden_causes": ["chiller_failure"],
    "required_actions": ["start_standby_pump"], "forbidden_actions": ["shed_load"], "most_pages": 1,
}  # fmt: skip


def judged(said: dict[str, Any] = SAID, *expected: dict[str, Any]) -> dict[str, Any]:
    return judge([Expected.model_validate(one) for one in expected or (RIGHT,)], said)


def changed(**changes: Any) -> dict[str, Any]:
    return deepcopy(SAID) | changes


def test_a_right_answer_has_no_problem() -> None:
    row = judged()
    assert (row["right"], row["problems"]) == (True, [])
    assert (row["priority"], row["cause"], row["asset"], row["required"], row["quiet"]) == (
        True,
        True,
        True,
        True,
        None,
    )


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"priority": "P1"}, "priority", "ranked P0, is P1"),
        ({"cause": "coolant_leak"}, "cause", "says coolant_pump_failure (90%), is coolant_leak (7%)"),
        ({"cause": "", "forbidden_causes": ["coolant_pump_failure"]}, "forbidden_cause", "must not be believed, has 90%"),
        ({"asset": "chiller-1", "incident_on": "cdu-1"}, "asset", "puts the cause on cdu-1, is on chiller-1"),
        ({"required_actions": [["page", "open_ticket"]]}, "required", "does not propose page or open_ticket"),
        ({"required_actions": [{"name": "start_standby_pump", "asset": "x"}]}, "required", "start_standby_pump on x"),
        ({"forbidden_actions": ["start_standby_pump"]}, "forbidden_action", "proposes start_standby_pump, which is wrong"),
        ({"most_pages": 0}, "pages", "people were called 1 times, at most 0"),
    ],
)  # fmt: skip
def test_what_is_missed_is_counted_and_said(change: dict[str, Any], key: str, said: str) -> None:
    row = judged(SAID, RIGHT | change)
    assert row[key] is False
    assert not row["right"]
    assert any(said in problem for problem in row["problems"])


def test_accepted_answers_are_right_too() -> None:
    row = judged(SAID, RIGHT | {"priority": "P1", "accepted_priorities": ["P0"],
                                "cause": "coolant_leak", "accepted_causes": ["coolant_pump_failure"]})  # fmt: skip
    assert row["right"]


def test_a_wrong_cause_said_with_certainty_is_counted_apart() -> None:
    assert judged(SAID, RIGHT | {"cause": "coolant_leak"})["sure_and_wrong"] is True
    unsure = deepcopy(SAID)
    unsure["incidents"][0]["diagnosis"]["hypotheses"][0]["score"] = 0.5
    assert judged(unsure, RIGHT | {"cause": "coolant_leak"})["sure_and_wrong"] is False


def test_a_forbidden_cause_may_be_a_small_possibility_only() -> None:
    wanted = RIGHT | {"forbidden_causes": ["coolant_leak"]}
    assert judged(SAID, wanted)["forbidden_cause"] is True
    torn = deepcopy(SAID)
    torn["incidents"][0]["diagnosis"]["hypotheses"][1]["score"] = 0.31
    assert judged(torn, wanted)["forbidden_cause"] is False


def test_no_incident_where_one_is_due_misses_all_that_was_asked_for() -> None:
    row = judged(changed(incidents=[]))
    assert row["problems"][0] == "no incident on cdu-1"
    assert (row["priority"], row["cause"], row["near"], row["asset"], row["required"]) == (False,) * 5


def test_of_several_incidents_the_most_urgent_one_there_is_judged() -> None:
    more = deepcopy(SAID)
    more["incidents"].insert(0, more["incidents"][0] | {"id": "INC-0", "priority": "P2", "event_count": 99})
    assert judged(more)["priority"] is True


def test_an_incident_under_a_cause_has_the_analysis_of_that_cause() -> None:
    under = deepcopy(SAID)
    root = under["incidents"][0] | {"id": "INC-9", "assets": ["chiller-1"]}
    under["incidents"][0]["diagnosis"] = None
    under["incidents"].append(root)
    assert judged(under)["cause"] is False
    assert judged(under | {"explained": {"INC-1": "INC-9"}})["cause"] is True


def test_what_is_rightly_only_recorded_needs_no_cause() -> None:
    quiet = changed(
        incidents=[SAID["incidents"][0] | {"priority": "P3", "diagnosis": None}], reviews=[], pages=0
    )
    wanted = {"asset": "cdu-1", "priority": "P3", "cause": "no_fault"}
    assert judged(quiet, wanted)["right"]
    assert judged(quiet, wanted | {"priority": "P1"})["problems"][-1].endswith("no cause is said")


def test_of_what_is_no_incident_nobody_may_be_told() -> None:
    row = judged(SAID, {"no_incident": True})
    assert row["quiet"] is False
    assert "nothing is wrong, but it says P0 Coolant pump failed on cdu-1" in row["problems"]
    assert "nothing is wrong, but it proposes start_standby_pump on cdu-1-pump-b" in row["problems"]
    calm = changed(incidents=SAID["incidents"][1:], reviews=[], pages=0)
    assert judged(calm, {"no_incident": True})["right"]


def test_an_act_that_nobody_approved_is_never_right() -> None:
    row = judged(changed(moved=["start_standby_pump"]))
    assert (row["moved"], row["right"]) == (1, False)
    assert "nobody had said yes" in row["problems"][-1]


def test_with_two_troubles_each_has_its_own_actions() -> None:
    second = {"asset": "ctl-01", "priority": "P3", "forbidden_actions": ["start_standby_pump"]}
    assert judged(SAID, RIGHT, second)["right"]
    assert judged(SAID, second)["forbidden_action"] is False


def test_the_blamed_asset_is_the_plant_models_before_that_of_the_evidence() -> None:
    diagnosis = deepcopy(SAID["incidents"][0]["diagnosis"])
    assert blamed_assets(diagnosis) == ["cdu-1"]
    diagnosis["evidence"][0]["sheet"]["facts"][0]["text"] = "gpu-17, gpu-18 and 5 more"
    assert blamed_assets(diagnosis) == ["gpu-17", "gpu-18"]
    diagnosis["hypotheses"][0]["tested"] = {"asset": "cdu-1-pump-a"}
    assert blamed_assets(diagnosis) == ["cdu-1-pump-a"]
    assert blamed_assets({"hypotheses": [{"supports": []}], "evidence": []}) == []
