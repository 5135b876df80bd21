"""One batch is committed whole, once, and never over a person's correction."""

from __future__ import annotations

import pytest

from setpoint.contracts.dispatch import JobRequest
from setpoint.errors import BackendError, InputError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import (
    at,
    dispatch,
    event,
    incident,
    notice,
    one_incident,
    ranked,
    review,
    triage,
)


def test_everything_of_a_batch_is_there(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2)])
    batch = one_incident(
        event(1), event(2), reviews=(review("REV-doubt", kind="doubtful_input", proposal=None),)
    )
    committed = ledger.commit_triage(batch, now=at(1))

    assert not committed.replayed
    assert committed.incidents == batch.incidents == (ledger.get_incident("INC-1"),)
    assert ledger.pending() == []
    assert ledger.get_triage("ev-1") == triage("ev-1")
    assert [item.event_id for item in ledger.triage_of("INC-1")] == ["ev-1", "ev-2"]
    assert [item.id for item in ledger.events_of("INC-1")] == ["ev-1", "ev-2"]
    assert list(ledger.iter_triaged()) == list(batch.ranked)
    assert [(d.notice.version, d.notice.stage, d.received) for d in ledger.due(now=at(1))] == [
        (1, "first", at(0.2))
    ]
    assert [(job.kind, job.key, job.urgency) for job in ledger.list_jobs()] == [("slow", "INC-1", 0)]
    assert [entry.id for entry in ledger.list_reviews(states=("pending",))] == ["REV-doubt"]
    assert ledger.list_audit(subject=batch.batch_id)[0].data["priorities"] == {"P0": 2}  # type: ignore[index,call-overload]


def test_the_same_batch_again_changes_nothing(ledger: Ledger) -> None:
    ledger.accept([event(1)])
    batch = one_incident(event(1))
    ledger.commit_triage(batch)
    before = (ledger.stats(), ledger.verify_chain().head, ledger.list_jobs())
    again = ledger.commit_triage(batch)

    assert again.replayed
    assert again.incidents == batch.incidents
    assert (ledger.stats(), ledger.verify_chain().head, ledger.list_jobs()) == before


def test_a_failing_part_leaves_nothing_of_the_batch(ledger: Ledger) -> None:
    ledger.accept([event(1)])
    broken = one_incident(event(1), reviews=(review(created=at(0).replace(tzinfo=None)),))
    with pytest.raises(ValueError, match="has no time zone"):
        ledger.commit_triage(broken)

    assert [item.id for item in ledger.pending()] == ["ev-1"]
    assert ledger.list_incidents() == []
    assert ledger.list_deliveries() == []
    assert ledger.verify_chain().rows == 0


def test_an_event_that_was_never_accepted_is_refused(ledger: Ledger) -> None:
    ledger.accept([event(1)])
    with pytest.raises(InputError, match="1 events of the batch were never accepted, for example 'ev-2'"):
        ledger.commit_triage(one_incident(event(1), event(2)))

    assert ledger.pending_count() == 1


def test_events_of_a_batch_that_are_triaged_already_are_skipped(ledger: Ledger) -> None:
    """After a crash the next batch may be cut differently."""
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1), priority="P1"))
    wider = dispatch(
        [ranked(event(1), "INC-other", "P3"), ranked(event(2), "INC-1", "P1")],
        [incident(priority="P1", event_count=2)],
    )
    ledger.commit_triage(wider)

    assert ledger.get_triage("ev-1") == triage("ev-1", "P1")
    assert ledger.incident_of("ev-1") == "INC-1"
    assert ledger.pending() == []


def test_an_event_without_incident_is_recorded_only(ledger: Ledger) -> None:
    ledger.accept([event(1)])
    ledger.commit_triage(dispatch([ranked(event(1), "", "P3")]))

    assert ledger.incident_of("ev-1") == ""
    assert [item.incident_id for item in ledger.iter_triaged()] == [""]
    assert ledger.list_incidents() == []


def test_later_batches_update_the_incident_and_number_its_notices(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1), priority="P2"))
    worse = incident(priority="P0", event_count=2, updated=at(9), revision=1, assets=("gpu-01", "gpu-02"))
    update = notice(stage="update")
    ledger.commit_triage(dispatch([ranked(event(2))], [worse], notices=(update, update)))

    assert ledger.get_incident("INC-1") == worse
    assert [d.notice.version for d in ledger.list_deliveries()] == [1, 2, 3]


def test_jobs_of_a_storm_become_one_with_all_its_events(ledger: Ledger) -> None:
    for n in range(5):
        ledger.accept([event(n)])
        job = JobRequest(
            kind="slow", key="INC-1", payload={"revision": n, "event_ids": [f"ev-{n}"]}, urgency=2
        )
        ledger.commit_triage(dispatch([ranked(event(n))], [incident(event_count=n + 1)], jobs=(job,)))

    (job_row,) = ledger.list_jobs()
    assert job_row.payload == {"revision": 4, "event_ids": [f"ev-{n}" for n in range(5)]}


def test_triage_does_not_undo_what_a_person_said(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1)))
    ledger.correct("INC-1", "priority", "P2", "ada", "a spare node")
    ledger.correct("INC-1", "wording", "gpu-01: spare lost a GPU", "ada", "clearer")
    ledger.acknowledge("INC-1", "ada")
    again = dispatch([ranked(event(2))], [incident(event_count=2, updated=at(5))])
    (standing,) = ledger.commit_triage(again).incidents

    assert (standing.priority, standing.title, standing.state) == (
        "P2",
        "gpu-01: spare lost a GPU",
        "acknowledged",
    )
    assert (standing.event_count, standing.updated) == (2, at(5))
    assert standing.revision == 2


@pytest.mark.parametrize(
    ("stored", "incoming", "expected"),
    [
        ("acknowledged", "open", "acknowledged"),
        ("acknowledged", "resolved", "resolved"),
        ("resolved", "open", "open"),
        ("closed", "resolved", "closed"),
        ("closed", "open", "open"),
    ],
)
def test_state_after_new_events(ledger: Ledger, stored: str, incoming: str, expected: str) -> None:
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1)))
    ledger.set_state("INC-1", stored, "ada")  # type: ignore[arg-type]
    ledger.commit_triage(dispatch([ranked(event(2))], [incident(state=incoming, event_count=2)]))

    assert ledger.get_incident("INC-1").state == expected


def test_an_incident_id_given_twice_is_refused(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2, "gpu-77")])
    ledger.commit_triage(one_incident(event(1)))
    stranger = incident(group_key="asset:gpu-77", assets=("gpu-77",))
    with pytest.raises(BackendError, match="its id was given twice"):
        ledger.commit_triage(dispatch([ranked(event(2, "gpu-77"))], [stranger], new_incidents=("INC-1",)))

    assert ledger.pending_count() == 1


def test_notices_go_to_the_sinks_of_the_ledger_or_of_the_call(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1)))
    ledger.commit_triage(one_incident(event(2), name="INC-2"), sinks=("a", "b", "a"))

    assert [(d.notice.incident_id, d.sink) for d in ledger.list_deliveries()] == [
        ("INC-1", "console"),
        ("INC-2", "a"),
        ("INC-2", "b"),
    ]
