"""Each notice version once per sink, in order, until it is sent or given up."""

from __future__ import annotations

from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at, event, notice, one_incident


def _due(ledger: Ledger, seconds: float = 10) -> list[tuple[int, str, str]]:
    return [(d.notice.version, d.notice.stage, d.sink) for d in ledger.due(now=at(seconds))]


def test_a_version_is_queued_once_per_sink(ledger: Ledger) -> None:
    assert ledger.queue_notice(notice(version=1), sinks=("a", "b"), now=at(0)) == 2
    assert ledger.queue_notice(notice(version=1), sinks=("a", "b", "c"), now=at(0)) == 1
    assert _due(ledger) == [(1, "first", "a"), (1, "first", "b"), (1, "first", "c")]


def test_sent_with_the_latency_from_receipt_to_acceptance(ledger: Ledger) -> None:
    ledger.queue_notice(notice(version=1), received=at(0), now=at(0.01))
    (delivery,) = ledger.due(now=at(1))
    assert ledger.mark_sent(delivery.key, now=at(0.04)) == 1
    assert ledger.mark_sent([delivery.key], now=at(9)) == 0

    (sent,) = ledger.list_deliveries(states=("sent",))
    assert (sent.received, sent.queued, sent.sent, sent.attempts) == (at(0), at(0.01), at(0.04), 1)
    assert _due(ledger) == []


def test_a_failed_one_comes_back_at_its_time(ledger: Ledger) -> None:
    ledger.queue_notice(notice(version=1), now=at(0))
    (delivery,) = ledger.due(now=at(1))
    ledger.mark_failed(delivery.key, "connection refused", at(30), now=at(1))

    assert _due(ledger, 29) == []
    (again,) = ledger.due(now=at(30))
    assert (again.state, again.attempts, again.error) == ("failed", 1, "connection refused")


def test_given_up_is_dead_and_does_not_block_the_next_version(ledger: Ledger) -> None:
    ledger.queue_notice(notice(version=1), now=at(0))
    ledger.queue_notice(notice(version=2, stage="update"), now=at(0))
    assert _due(ledger) == [(1, "first", "console")]
    ledger.mark_failed(ledger.due(now=at(1))[0].key, "no such host", None)

    assert _due(ledger) == [(2, "update", "console")]


def test_a_newer_version_waits_for_an_older_one_to_the_same_sink_only(ledger: Ledger) -> None:
    ledger.queue_notice(notice(version=1), sinks=("a", "b"), now=at(0))
    ledger.mark_failed(next(d.key for d in ledger.due(now=at(1)) if d.sink == "a"), "timeout", at(60))
    ledger.mark_sent(next(d.key for d in ledger.due(now=at(1)) if d.sink == "b"))
    ledger.queue_notice(notice(version=2, stage="plain"), sinks=("a", "b"), now=at(1))

    assert _due(ledger) == [(2, "plain", "b")]
    assert _due(ledger, 60) == [(1, "first", "a"), (2, "plain", "b")]


def test_a_newer_version_replaces_unsent_words_but_never_the_first_or_an_escalation(ledger: Ledger) -> None:
    for version, stage in enumerate(("first", "plain", "escalation", "update", "update"), start=1):
        ledger.queue_notice(notice(version=version, stage=stage), now=at(0))

    states = {d.notice.version: d.state for d in ledger.list_deliveries()}
    assert states == {1: "queued", 2: "superseded", 3: "queued", 4: "superseded", 5: "queued"}


def test_a_replaced_one_that_was_under_way_counts_as_sent(ledger: Ledger) -> None:
    ledger.queue_notice(notice(version=1, stage="plain"), now=at(0))
    (under_way,) = ledger.due(now=at(1))
    ledger.queue_notice(notice(version=2, stage="update"), now=at(1))
    ledger.mark_sent(under_way.key, now=at(2))

    assert [d.state for d in ledger.list_deliveries()] == ["sent", "queued"]


def test_the_most_urgent_goes_first(ledger: Ledger) -> None:
    for name, priority in (("INC-1", "P1"), ("INC-2", "P0"), ("INC-3", "P1")):
        ledger.queue_notice(notice(name, version=1, priority=priority), now=at(0))

    assert [d.notice.incident_id for d in ledger.due(now=at(1))] == ["INC-2", "INC-1", "INC-3"]
    assert len(ledger.due(limit=2, now=at(1))) == 2


def test_not_before_its_time(ledger: Ledger) -> None:
    ledger.queue_notice(notice(version=1), not_before=at(60), now=at(0))

    assert _due(ledger, 59) == []
    assert _due(ledger, 60) == [(1, "first", "console")]


def test_version_zero_takes_the_next_number(ledger: Ledger) -> None:
    ledger.queue_notice(notice(), now=at(0))
    ledger.queue_notice(notice(stage="update"), now=at(0))
    newest = ledger.last_notice("INC-1")

    assert newest is not None
    assert (newest.version, newest.stage) == (2, "update")
    assert ledger.last_notice("INC-2") is None


def test_counts_notices_for_flood_control(ledger: Ledger) -> None:
    for n in range(3):
        ledger.queue_notice(notice(f"INC-{n}", version=1), sinks=("a", "b"), now=at(n))

    assert ledger.notices_since(at(1)) == 2


def test_latency_figures(ledger: Ledger) -> None:
    for n in range(100):
        ledger.accept([event(n, received=at(0))])
        ledger.commit_triage(one_incident(event(n, received=at(0)), name=f"INC-{n}"), now=at(0))
    for n, delivery in enumerate(ledger.due(limit=100, now=at(1))):
        ledger.mark_sent(delivery.key, now=at((n + 1) / 100))
    figures = ledger.stats().first_notice

    assert figures.count == 100
    assert [round(value or 0, 3) for value in (figures.p50_s, figures.p99_s, figures.worst_s)] == [
        0.5,
        0.99,
        1.0,
    ]
    assert ledger.stats(since=at(1)).first_notice.count == 0
