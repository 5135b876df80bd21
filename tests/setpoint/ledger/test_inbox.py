"""Events are durable before they are acknowledged, and each is there once."""

from __future__ import annotations

import pytest

from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at, bad_item, event, one_incident


def test_events_come_out_as_they_went_in_and_in_order(ledger: Ledger) -> None:
    events = [
        event(3, value=92.4, unit="C", threshold=90.0, metric="coolant_temp"),
        event(1, message='zero \x00, quote ", umlaut ü, snowman \u2603', flags=("encoding-repaired",)),
        event(2, status="resolved", labels={}),
    ]
    ledger.accept(events, origin="stdin")

    assert ledger.pending() == events


def test_counts_new_duplicates_and_quarantined(ledger: Ledger) -> None:
    first = ledger.accept([event(1), event(2), event(1)], [bad_item(1)])
    second = ledger.accept([event(2), event(3)], [bad_item(1), bad_item(2)])

    assert (first.new, first.duplicates, first.quarantined) == (2, 1, 1)
    assert (second.new, second.duplicates, second.quarantined) == (1, 1, 1)
    assert [item.id for item in ledger.pending()] == ["ev-1", "ev-2", "ev-3"]


def test_a_duplicate_does_not_change_what_came_first(ledger: Ledger) -> None:
    ledger.accept([event(1, message="as it was")])
    ledger.accept([event(1, message="forged later")])

    assert ledger.pending()[0].message == "as it was"


def test_an_id_that_means_something_else_elsewhere_loses_no_event(ledger: Ledger) -> None:
    mine, theirs = event(1, message="pump stopped"), event(1, message="fan stopped")
    first, again = ledger.accept([mine, theirs]), ledger.accept([theirs, mine])

    assert (first.new, again.new) == (2, 0)
    assert [item.message for item in ledger.pending()] == ["pump stopped", "fan stopped"]


def test_a_triaged_event_does_not_wait_again(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2)])
    ledger.commit_triage(one_incident(event(1)))
    ledger.accept([event(1)])

    assert [item.id for item in ledger.pending()] == ["ev-2"]
    assert ledger.pending_count() == 1


def test_more_ids_than_one_statement_takes(ledger: Ledger) -> None:
    events = [event(n) for n in range(2500)]

    assert ledger.accept(events).new == 2500
    assert ledger.accept(events).duplicates == 2500
    assert ledger.get_events([item.id for item in events]) == events
    assert list(ledger.iter_events()) == events


def test_iteration_since_a_time(ledger: Ledger) -> None:
    ledger.accept([event(1), event(2, time=at(60)), event(3, time=at(30))])

    assert [item.id for item in ledger.iter_events(since=at(30))] == ["ev-2", "ev-3"]


def test_a_time_without_zone_never_gets_in(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        ledger.accept([event(1), event(2, time=at(0).replace(tzinfo=None))])

    assert ledger.pending() == []
