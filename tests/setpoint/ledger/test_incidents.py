"""Incidents: lists, states, corrections and escalation."""

from __future__ import annotations

import pytest

from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import (
    at,
    diagnosis,
    dispatch,
    event,
    incident,
    notice,
    one_incident,
    ranked,
)


@pytest.fixture
def incident_1(ledger: Ledger) -> str:
    """One open P0 of three events on two assets."""
    events = [event(1), event(2, "gpu-02", time=at(20)), event(3, time=at(10))]
    ledger.accept(events)
    ledger.commit_triage(one_incident(*events), now=at(1))
    return "INC-1"


def test_lists_by_state_priority_time_and_asset(ledger: Ledger) -> None:
    kinds = [("INC-1", "P2", "gpu-1", 0), ("INC-2", "P0", "gpu-10", 10), ("INC-3", "P2", "gpu_1", 20)]
    for n, (name, priority, asset, when) in enumerate(kinds):
        ledger.accept([event(n, asset)])
        whole = incident(name, priority, assets=(asset,), updated=at(when))  # type: ignore[arg-type]
        ledger.commit_triage(dispatch([ranked(event(n, asset), name)], [whole]))
    ledger.set_state("INC-3", "closed", "ada")

    def names(**filters: object) -> list[str]:
        return [found.id for found in ledger.list_incidents(**filters)]  # type: ignore[arg-type]

    assert names() == ["INC-2", "INC-3", "INC-1"]
    assert names(states=("open",)) == ["INC-2", "INC-1"]
    assert names(priorities=("P2", "P3")) == ["INC-3", "INC-1"]
    assert names(since=at(10)) == ["INC-2", "INC-3"]
    assert names(asset="gpu-1") == ["INC-1"]
    assert names(asset="gpu_1") == ["INC-3"]
    assert names(limit=1) == ["INC-2"]


def test_an_unknown_incident_is_a_usage_error(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no incident 'INC-9'"):
        ledger.get_incident("INC-9")


def test_additional_fields_of_the_contract_are_kept(ledger: Ledger) -> None:
    ledger.accept([event(1)])
    ledger.commit_triage(dispatch([ranked(event(1))], [incident(related=("INC-7",))]))

    assert ledger.get_incident("INC-1").related == ("INC-7",)


def test_states_are_changed_once_and_audited(ledger: Ledger, incident_1: str) -> None:
    ledger.acknowledge(incident_1, "ada", "on it")
    ledger.acknowledge(incident_1, "ada", "on it")
    closed = ledger.set_state(incident_1, "closed", "bob", "replaced")

    assert closed.state == "closed"
    assert [row.what for row in ledger.list_audit(subject=incident_1)] == [
        "incident-acknowledged",
        "incident-closed",
    ]
    with pytest.raises(UsageError, match="is closed: there is nothing to acknowledge"):
        ledger.acknowledge(incident_1, "ada")


# ---- corrections ------------------------------------------------------------------------------------------


def test_priority_is_corrected_with_feedback_and_a_new_revision(ledger: Ledger, incident_1: str) -> None:
    item = ledger.correct(
        incident_1, "priority", "P2", "ada", "spare node", versions={"rules": "abc"}, now=at(5)
    )
    changed = ledger.get_incident(incident_1)

    assert (changed.priority, changed.revision) == ("P2", 1)
    assert (item.proposed, item.decided, item.difference) == ("P0", "P2", {"value": ["P0", "P2"]})
    assert (item.who, item.why, item.version, item.versions) == ("ada", "spare node", 0, {"rules": "abc"})
    assert ledger.list_feedback(subject=incident_1) == [item]


def test_a_cause_is_corrected_against_the_diagnosis(ledger: Ledger, incident_1: str) -> None:
    ledger.record_diagnosis(diagnosis())
    item = ledger.correct(incident_1, "cause", "psu_failure", "ada", "PSU smelled")
    second = ledger.correct(incident_1, "cause", "pdu_breaker_trip", "bob", "the breaker was off")

    assert (item.proposed, item.decided) == ("gpu_off_bus", "psu_failure")
    assert (second.proposed, second.decided) == ("psu_failure", "pdu_breaker_trip")
    assert ledger.corrected_cause(incident_1) == "pdu_breaker_trip"


def test_saying_the_same_twice_is_one_correction(ledger: Ledger, incident_1: str) -> None:
    first = ledger.correct(incident_1, "priority", "P2", "ada", "spare")
    second = ledger.correct(incident_1, "priority", "P2", " ada ", "spare")

    assert first == second
    assert ledger.get_incident(incident_1).revision == 1
    assert ledger.correct(incident_1, "priority", "P1", "ada", "no, it matters") != first


def test_a_guide_step_is_feedback_only(ledger: Ledger, incident_1: str) -> None:
    item = ledger.correct(
        incident_1, "guide_step", {"step": 2, "text": "Drain the node first."}, "ada", "order"
    )

    assert ledger.list_feedback(fields=("guide_step",)) == [item]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("priority", "P7", "'P7' is no priority"),
        ("priority", 1, "must be a text"),
        ("wording", "  ", "must be a text"),
        ("action", "x", "is not a field of an incident"),
        ("grouping", 7, "cannot be read"),
        ("grouping", {"events": ["ev-9"], "into": ""}, "event 'ev-9' is not in INC-1"),
        ("grouping", {"events": ["ev-1", "ev-2", "ev-3"]}, "changes nothing"),
        ("grouping", "INC-1", "changes nothing"),
        ("grouping", "INC-404", "no incident 'INC-404'"),
    ],
)
def test_impossible_corrections_change_nothing(
    ledger: Ledger, incident_1: str, field: str, value: object, problem: str
) -> None:
    before = ledger.get_incident(incident_1)
    with pytest.raises(UsageError, match=problem):
        ledger.correct(incident_1, field, value, "ada", "why")  # type: ignore[arg-type]

    assert ledger.get_incident(incident_1) == before
    assert ledger.list_feedback() == []


def test_a_correction_needs_a_name(ledger: Ledger, incident_1: str) -> None:
    with pytest.raises(UsageError, match="who made it"):
        ledger.correct(incident_1, "priority", "P2", " ", "why")


def test_events_are_split_off_into_a_new_incident(ledger: Ledger, incident_1: str) -> None:
    item = ledger.correct(incident_1, "grouping", {"events": ["ev-2"], "into": ""}, "ada", "another rack")
    name = item.decided["into"]  # type: ignore[index,call-overload]
    rest, split = ledger.get_incident(incident_1), ledger.get_incident(str(name))

    assert (rest.event_count, rest.assets) == (2, ("gpu-01",))
    assert (split.event_count, split.assets, split.opened, split.priority) == (1, ("gpu-02",), at(20), "P0")
    assert ledger.incident_of("ev-2") == split.id


def test_events_of_a_merged_incident_flow_to_where_it_went(ledger: Ledger, incident_1: str) -> None:
    ledger.accept([event(4, "gpu-03"), event(5, "gpu-03", time=at(30))])
    ledger.commit_triage(one_incident(event(4, "gpu-03"), name="INC-2", priority="P1"))
    ledger.correct("INC-2", "grouping", incident_1, "ada", "one and the same")
    assert ledger.get_incident("INC-2").state == "closed"
    assert ledger.get_incident(incident_1).event_count == 4

    later = incident("INC-2", "P1", assets=("gpu-03",), event_count=2, updated=at(30))
    committed = ledger.commit_triage(dispatch([ranked(event(5, "gpu-03"), "INC-2", "P1")], [later]))

    (target,) = committed.incidents
    assert (target.id, target.event_count, target.updated) == (incident_1, 5, at(30))
    assert set(target.assets) == {"gpu-01", "gpu-02", "gpu-03"}
    assert ledger.get_incident("INC-2").state == "closed"
    with pytest.raises(UsageError, match="INC-2 was merged into INC-1"):
        ledger.correct(incident_1, "grouping", {"events": ["ev-1"], "into": "INC-2"}, "ada", "back")


# ---- escalation -------------------------------------------------------------------------------------------


def test_an_unacknowledged_p0_escalates_after_its_time(ledger: Ledger, incident_1: str) -> None:
    assert ledger.due_escalations(300, now=at(300)) == []
    (due,) = ledger.due_escalations(300, now=at(301))

    assert (due.incident.id, due.level, due.waiting_s) == (incident_1, 0, 300)


def test_acknowledged_and_lesser_incidents_do_not_escalate(ledger: Ledger, incident_1: str) -> None:
    ledger.accept([event(9)])
    ledger.commit_triage(one_incident(event(9), name="INC-2", priority="P1"), now=at(1))
    ledger.acknowledge(incident_1, "ada")

    assert ledger.due_escalations(300, now=at(9999)) == []


def test_an_escalation_goes_to_its_sink_and_starts_the_clock_again(ledger: Ledger, incident_1: str) -> None:
    level = ledger.escalate(incident_1, notice(stage="escalation"), "pager", now=at(301))

    assert level == 1
    assert [(d.sink, d.notice.stage) for d in ledger.list_deliveries()][-1] == ("pager", "escalation")
    assert ledger.due_escalations(300, max_level=2, now=at(600)) == []
    assert [e.level for e in ledger.due_escalations(300, max_level=2, now=at(601))] == [1]
    assert ledger.due_escalations(300, max_level=1, now=at(9999)) == []


def test_an_incident_raised_to_p0_waits_from_its_p0_notice(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1), priority="P1"), now=at(0))
    worse = dispatch([ranked(event(2))], [incident(event_count=2)], notices=(notice(stage="update"),))
    ledger.commit_triage(worse, now=at(500))

    assert ledger.due_escalations(300, now=at(799)) == []
    assert len(ledger.due_escalations(300, now=at(800))) == 1


# ---- timeline ---------------------------------------------------------------------------------------------


def test_the_timeline_tells_the_story_in_order(ledger: Ledger, incident_1: str) -> None:
    (delivery,) = ledger.due(now=at(40))
    ledger.mark_sent(delivery.key, now=at(40))
    ledger.record_diagnosis(diagnosis(), now=at(50))
    ledger.acknowledge(incident_1, "ada", "on it", now=at(60))
    ledger.correct(incident_1, "priority", "P1", "ada", "one GPU only", now=at(70))
    story = ledger.timeline(incident_1)

    assert [item.kind for item in story] == [
        "event",
        "event",
        "event",
        "notice",
        "diagnosis",
        "human",
        "human",
    ]
    assert [item.time for item in story] == sorted(item.time for item in story)
    assert [item.text for item in story[3:]] == [
        "Alert sent to console: gpu-01: GPU fell off the bus",
        "Most likely cause: GPU fell off the bus (80%)",
        "Acknowledged (on it)",
        "Corrected priority: P0 -> P1 (one GPU only)",
    ]
    assert ledger.timeline(incident_1, limit=2) == story[-2:]


def test_the_timeline_says_what_was_moved_where(ledger: Ledger, incident_1: str) -> None:
    ledger.correct(incident_1, "grouping", {"events": ["ev-2"]}, "ada", "another rack")

    assert (
        ledger.timeline(incident_1)[-1].text
        == "Corrected grouping: 1 event moved to INC-1-part2 (another rack)"
    )
