"""Who is told, who works on it, and what becomes of the incident."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.dispatcher import Policy, Stage, batch_id, plan
from setpoint.contracts import (
    Context,
    Correlated,
    Dispatch,
    Event,
    Incident,
    Judgement,
    Notice,
    Priority,
    Ranked,
    Triage,
)

NOW = datetime(2026, 3, 15, 1, 0, tzinfo=UTC)


def words(stage: Stage, incident: Incident, events: Sequence[Ranked]) -> Notice:
    return Notice(
        incident_id=incident.id, dedup_key=incident.id, version=0, stage=stage, priority=incident.priority,
        title=incident.title, text=f"{len(events)} events", written_by="template",
    )  # fmt: skip


def row(number: int, priority: Priority, **fields: Any) -> tuple[Correlated, Triage]:
    """One ranked event of incident INC-A unless `incident` says otherwise."""
    event = Event(
        id=f"e{number}", time=NOW + timedelta(seconds=number), received=NOW, source="t", kind="",
        asset=fields.pop("asset", "gpu-05"), message=fields.pop("message", "XID 79"),
        status=fields.pop("status", "firing"), flags=fields.pop("flags", ()), dedup_key=f"k{number}",
    )  # fmt: skip
    low = Judgement(level="low", reason="")
    triage = Triage(
        event_id=event.id, priority=priority, urgency=low, impact=low, complexity=low, confidence=0.9,
        decided_by=("test",), condition=fields.pop("condition", "GPU fell off the bus"),
        doubtful=fields.pop("doubtful", False),
    )  # fmt: skip
    incident = fields.pop("incident", "INC-A")
    context = Context(
        **{name: fields.pop(name) for name in ("silenced", "maintenance", "flapping") if name in fields}
    )
    plain = {"group_key": f"key {incident}", "grouped_by": "one condition on gpu-05", "incident_id": incident}
    return Correlated(event=event, context=context, **(plain | fields)), triage


def dispatch(
    *rows: tuple[Correlated, Triage], known: Sequence[Incident] = (), policy: Policy | None = None
) -> Dispatch:
    return plan(rows, {incident.id: incident for incident in known}, NOW, words, policy)


def after(*rows: tuple[Correlated, Triage], **changes: Any) -> Incident:
    return dispatch(*rows).incidents[0].model_copy(update=changes)


def stages(result: Dispatch) -> list[str]:
    return [notice.stage for notice in result.notices]


def jobs(result: Dispatch) -> list[tuple[str, int]]:
    return [(job.kind, job.urgency) for job in result.jobs]


@pytest.mark.parametrize(
    ("priority", "path", "told", "work"),
    [
        ("P0", "fast", ["first"], [("fast", 0)]),
        ("P1", "slow", ["first"], [("slow", 1)]),
        ("P2", "slow", [], [("slow", 2)]),
        ("P3", "record", [], []),
    ],
)
def test_each_priority_has_its_path(
    priority: Priority, path: str, told: list[str], work: list[tuple[str, int]]
) -> None:
    result = dispatch(row(1, priority))
    assert (result.incidents[0].path, stages(result), jobs(result)) == (path, told, work)
    assert result.new_incidents == ("INC-A",)


def test_an_incident_is_as_important_as_its_most_important_event() -> None:
    result = dispatch(row(1, "P3"), row(2, "P1", asset="gpu-06", condition="NVLink down"), row(3, "P2"))
    incident = result.incidents[0]
    assert (incident.priority, incident.title, incident.event_count) == (
        "P1",
        "NVLink down on gpu-06 and 1 more",
        3,
    )
    assert (incident.opened, incident.updated) == (NOW + timedelta(seconds=1), NOW + timedelta(seconds=3))
    assert len(result.notices) == len(result.jobs) == 1


def test_one_source_is_an_alert_event_many_are_a_batch() -> None:
    one = dispatch(row(1, "P0"), row(2, "P0")).jobs[0].payload
    many = dispatch(row(1, "P1"), row(2, "P1", asset="gpu-06")).jobs[0].payload
    assert (one["scope"], many["scope"]) == ("one", "multi")
    assert many["event_ids"] == ["e1", "e2"]


def test_repeats_only_count() -> None:
    result = dispatch(row(2, "P0", repeat=True), known=[after(row(1, "P0"))])
    assert (stages(result), jobs(result), result.new_incidents) == ([], [], ())
    assert (result.incidents[0].event_count, result.incidents[0].revision) == (2, 0)


def test_news_of_a_known_incident_is_an_update() -> None:
    result = dispatch(row(2, "P1", asset="gpu-06"), known=[after(row(1, "P1"))])
    assert (stages(result), jobs(result)) == (["update"], [("slow", 1)])
    assert result.incidents[0].revision == 1
    assert result.incidents[0].title == "GPU fell off the bus on gpu-05 and 1 more"


def test_one_that_gets_worse_pages_anew_on_the_fast_path() -> None:
    result = dispatch(
        row(2, "P0", condition="Smoke in hall 2", asset="fire-panel-2"), known=[after(row(1, "P1"))]
    )
    assert (stages(result), jobs(result)) == (["first"], [("fast", 0)])
    assert result.incidents[0].title == "Smoke in hall 2 on fire-panel-2 and 1 more"


def test_the_end_is_told_once_and_only_of_what_was_told() -> None:
    end = row(2, "P3", status="resolved", clears=True)
    told = dispatch(end, known=[after(row(1, "P1"))])
    assert (stages(told), told.incidents[0].state, jobs(told)) == (["resolved"], "resolved", [])
    assert stages(dispatch(end, known=[after(row(1, "P2"))])) == []
    assert stages(dispatch(end, known=[after(row(1, "P1"), state="resolved")])) == []


def test_begin_and_end_in_one_batch() -> None:
    result = dispatch(row(1, "P1"), row(2, "P3", status="resolved", clears=True))
    assert (stages(result), result.incidents[0].state) == (["first", "resolved"], "resolved")
    assert jobs(result) == []


def test_whoever_reads_a_file_has_what_ended_analysed_once() -> None:
    end, over = row(2, "P3", status="resolved", clears=True), Policy(ended_too=True)
    assert len(jobs(dispatch(row(1, "P1"), end, policy=over))) == 1
    assert jobs(dispatch(row(1, "P3"), end, policy=over)) == []
    seen = after(row(1, "P1"))
    assert (
        jobs(dispatch(row(3, "P1"), row(4, "P3", status="resolved", clears=True), known=[seen], policy=over))
        == []
    )


@pytest.mark.parametrize("state", ["resolved", "closed"])
def test_what_was_over_and_is_back_pages_anew(state: str) -> None:
    result = dispatch(row(2, "P1"), known=[after(row(1, "P1"), state=state)])
    assert (stages(result), result.incidents[0].state) == (["first"], "open")


def test_acknowledged_stays_acknowledged_and_closed_stays_closed_under_repeats() -> None:
    assert (
        dispatch(row(2, "P1"), known=[after(row(1, "P1"), state="acknowledged")]).incidents[0].state
        == "acknowledged"
    )
    assert (
        dispatch(row(2, "P1", repeat=True), known=[after(row(1, "P1"), state="closed")]).incidents[0].state
        == "closed"
    )


def test_silence_and_maintenance() -> None:
    assert stages(dispatch(row(1, "P0", silenced="SIL-1"))) == []
    assert stages(dispatch(row(1, "P1", maintenance="DIMM swap"))) == []
    assert stages(dispatch(row(1, "P0", maintenance="DIMM swap"))) == ["first"]
    assert dispatch(row(1, "P1", silenced="SIL-1")).incidents[0].event_count == 1


def test_doubtful_input_is_asked_about_once_a_wording_and_alerted_on_meanwhile() -> None:
    result = dispatch(
        row(1, "P1", doubtful=True), row(2, "P1", doubtful=True, asset="gpu-09", incident="INC-B")
    )
    assert len(result.reviews) == 1
    assert result.reviews[0].kind == "doubtful_input"
    assert stages(result) == ["first", "first"]
    assert dispatch(row(1, "P1", doubtful=True), policy=Policy(doubts=False)).reviews == ()


def test_a_contradiction_is_asked_about_each_time() -> None:
    flags = ("contradiction",)
    result = dispatch(row(1, "P1", doubtful=True, flags=flags), row(2, "P1", doubtful=True, flags=flags))
    assert len(result.reviews) == 2
    assert "contradiction" in result.reviews[0].subject


def test_without_a_condition_the_message_is_the_title() -> None:
    incident = dispatch(row(1, "P1", condition="", message="x" * 300, asset="unknown")).incidents[0]
    assert incident.title == '"' + "x" * 87 + '..."'


def test_a_batch_done_again_is_the_same_value() -> None:
    rows = (row(1, "P0"), row(2, "P1", incident="INC-B", doubtful=True))
    assert dispatch(*rows) == dispatch(*rows)
    assert batch_id(["a", "b"]) != batch_id(["b", "a"])
