"""What an operator does, on a real ledger of a played night: JSON in, JSON out, errors that help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from setpoint.app.desk import DESK, READS
from setpoint.app.opening import make_desk
from setpoint.contracts.site import load_site
from setpoint.errors import NotDecidable, SetpointError, UsageError
from setpoint.settings import Settings
from tests.setpoint.app.sample import Sample, build, incident_id

PUMP = incident_id("pump_under_surge")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sample, Settings]]:
    """One played night, which these tests go on with; each takes an incident of its own."""
    folder = tmp_path_factory.mktemp("desk")
    made = build(folder)
    yield (
        made,
        Settings.model_validate(
            {"store": {"dir": folder}, "models": {"light": {"kind": "none"}, "heavy": {"kind": "none"}}}
        ),
    )
    made.ledger.close()


@pytest.fixture
def call(night: tuple[Sample, Settings]) -> Any:
    made, settings = night
    desk = make_desk(settings, made.site, made.ledger)

    def run(name: str, **arguments: Any) -> Any:
        result = DESK[name](desk, **arguments)
        json.dumps(result)  # over HTTP it must be JSON
        return result

    return run


def test_incidents_come_most_urgent_first_and_can_be_narrowed(call: Any) -> None:
    rows = call("incidents_list")
    assert [row["priority"] for row in rows] == sorted(row["priority"] for row in rows)
    assert {row["priority"] for row in call("incidents_list", priorities=["P1"])} == {"P1"}
    assert [row["id"] for row in call("incidents_list", asset="cdu-1-pump-a")] == [PUMP]


def test_one_incident_shows_everything_about_it(call: Any) -> None:
    shown = call("incidents_show", id=PUMP)
    assert shown["incident"]["id"] == PUMP
    assert shown["diagnosis"]["hypotheses"][0]["cause"] == "coolant_pump_failure"
    assert shown["reviews"]
    assert shown["actions"]
    assert shown["timeline"]
    assert all(event["triage"] for event in shown["events"])


def test_an_incident_that_is_not_there(call: Any) -> None:
    with pytest.raises(SetpointError, match="INC-NONE"):
        call("incidents_show", id="INC-NONE")


def test_acknowledge_close_and_the_pending_questions_go_with_it(call: Any) -> None:
    id = incident_id("vip_kv_pressure")
    assert call("incidents_ack", id=id, who="mira", why="on it")["state"] == "acknowledged"
    assert call("incidents_close", id=id, who="mira", why="cache grown")["state"] == "closed"
    states = {row["state"] for row in call("review_list", all=True) if row["incident_id"] == id}
    assert "pending" not in states


def test_escalation_names_the_next_sink(call: Any) -> None:
    found = call("incidents_escalate", id=incident_id("smoke"), who="mira", why="nobody answers")
    assert found == {"incident": incident_id("smoke"), "level": 1, "sink": "console"}


@pytest.mark.parametrize(
    ("field", "value", "why", "said"),
    [
        ("colour", "red", "x", "cannot correct 'colour'"),
        ("priority", "P9", "x", "no priority 'P9'"),
        ("cause", "gremlins", "x", "no root cause 'gremlins'"),
        ("priority", "P1", "  ", "needs a reason"),
    ],
)
def test_a_correction_must_make_sense(call: Any, field: str, value: str, why: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call("incidents_correct", id=PUMP, field=field, value=value, who="mira", why=why)


def test_a_correction_becomes_feedback_with_versions(call: Any) -> None:
    id = incident_id("batch_stall")
    made = call(
        "incidents_correct",
        id=id,
        field="cause",
        value="shared_storage_down",
        who="mira",
        why="the OST was gone",
    )
    assert (made["subject"], made["decided"], made["who"]) == (id, "shared_storage_down", "mira")
    assert call("incidents_show", id=id)["corrected_cause"] == "shared_storage_down"
    listed = call("feedback_list", subject=id)
    assert "the OST was gone" in {row["why"] for row in listed}
    lines = [json.loads(line) for line in call("feedback_export", kind="raw")]
    assert any(line["subject"] == id and line["versions"] for line in lines)


def test_an_export_of_an_unknown_kind(call: Any) -> None:
    with pytest.raises(UsageError, match="raw, preference, supervised"):
        call("feedback_export", kind="poem")


@pytest.fixture
def waiting(night: tuple[Sample, Settings]) -> dict[str, Any]:
    """An action that waits and does not expire: the night's own questions are weeks old."""
    ledger = night[0].ledger
    old = next(
        review for review in ledger.list_reviews(states=("pending",), kinds=("action",)) if review.proposal
    )
    number = len(ledger.list_reviews())
    fresh = old.model_copy(
        update={"id": f"REV-fresh-{number}", "created": datetime.now(UTC), "expires": None}
    )
    assert ledger.open_review(fresh)
    return fresh.model_dump(mode="json")


def test_editing_an_argument_that_is_not_there(call: Any, waiting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no argument 'speed'"):
        call("review_decide", id=waiting["id"], type="edit", who="mira", args={"speed": 3})


def test_a_decision_of_no_known_kind(call: Any, waiting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not a decision"):
        call("review_decide", id=waiting["id"], type="shrug", who="mira")


def test_a_stale_digest_decides_nothing(call: Any, waiting: dict[str, Any]) -> None:
    with pytest.raises(NotDecidable) as refused:
        call("review_decide", id=waiting["id"], type="approve", who="mira", digest="0" * 64)
    assert "expired" not in str(refused.value)
    assert call("review_show", id=waiting["id"])["state"] == "pending"


def test_a_rejection_is_final_and_not_decided_twice(call: Any, waiting: dict[str, Any]) -> None:
    row = waiting
    decided = call(
        "review_decide", id=row["id"], type="reject", who="mira", reason="not now", digest=row["digest"]
    )
    assert decided["final"] is True
    with pytest.raises(NotDecidable):
        call("review_decide", id=row["id"], type="approve", who="jon")


def test_only_actions_can_be_edited(call: Any) -> None:
    doubt = next(row for row in call("review_list", all=True) if row["kind"] == "doubtful_input")
    with pytest.raises(NotDecidable, match="only an action can be edited"):
        call("review_decide", id=doubt["id"], type="edit", who="mira", args={"a": 1})


def test_silences_are_added_listed_and_removed(call: Any) -> None:
    made = call("silence_add", who="mira", why="CHG-112", minutes=5, asset="gpu-0[1-4]")
    assert made["id"] in {row["id"] for row in call("silence_list")}
    assert call("silence_remove", id=made["id"], who="mira") == {"removed": made["id"]}
    with pytest.raises(UsageError, match="no silence"):
        call("silence_remove", id="SIL-none", who="mira")


def test_quarantined_items_are_shown_and_replayed_once_mended(call: Any) -> None:
    held = call("quarantine_list")[0]
    shown = call("quarantine_show", id=held["id"])
    assert shown["raw"]
    assert shown["reason"]
    with pytest.raises(UsageError, match="still cannot be read"):
        call("quarantine_replay", id=held["id"])
    mended = '{"time": "2026-03-14T22:01:00Z", "host": "cdu-2", "message": "flow"}'
    assert call("quarantine_replay", id=held["id"], text=mended)["events"] == 1


def test_the_chain_of_records_holds(call: Any) -> None:
    assert call("audit_verify")["ok"] is True
    assert call("audit_list", limit=3)


def test_reading_functions_are_named_so_and_the_list_is_closed() -> None:
    assert {"incidents_list", "incidents_show", "knowledge_search", "audit_verify", "stats"} <= READS
    assert not READS & {
        "incidents_close",
        "review_decide",
        "silence_add",
        "quarantine_replay",
        "knowledge_add",
        "incidents_ack",
    }
    assert all(function.__name__ == name for name, function in DESK.items())


def test_a_question_is_answered_without_a_model(call: Any) -> None:
    said = call("chat_ask", question="is cdu-1-pump-a fine?")
    assert "cdu-1-pump-a" in said["answer"]
    assert said["fallback"] == ""


def test_the_site_file_of_the_sample_is_the_demo_site(night: tuple[Sample, Settings]) -> None:
    assert night[0].site == load_site(Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml")


def test_no_simulated_decision_counts_at_a_real_site(
    night: tuple[Sample, Settings], waiting: dict[str, Any]
) -> None:
    made, settings = night
    real = replace(make_desk(settings, made.site, made.ledger), site=SimpleNamespace(simulated=False))
    with pytest.raises(UsageError, match="for a simulated site"):
        DESK["review_decide"](real, id=waiting["id"], type="approve", who="mira", simulated=True)
    assert made.ledger.get_review(waiting["id"]).state == "pending"
