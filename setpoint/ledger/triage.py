"""Committing what triage decided about one batch: all of it, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, select

from setpoint.contracts import Context, Triage
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.errors import InputError
from setpoint.ledger import audit, inbox, incidents, jobs, outbox, reviews
from setpoint.ledger import schema as db
from setpoint.ledger.clock import seconds
from setpoint.ledger.records import Committed
from setpoint.ledger.writing import insert_rows, known

if TYPE_CHECKING:
    from setpoint.ledger.database import Database

_PAGE = 1000


def commit(
    tx: Connection, dispatch: Dispatch, sinks: tuple[str, ...], now: datetime, updates_apart_s: float = 0.0
) -> Committed:
    """Raises InputError for an event that was never accepted: triage must not rank what could be lost."""
    ids = [ranked.event.id for ranked in dispatch.ranked]
    waiting = inbox.waiting(tx, ids)
    if len(waiting) < len(set(ids)):
        _check_accepted(tx, set(ids) - waiting)
        if not waiting:
            return Committed(
                incidents=tuple(incidents.find(tx, [i.id for i in dispatch.incidents])), replayed=True
            )
    fresh = [ranked for ranked in dispatch.ranked if ranked.event.id in waiting]
    insert_rows(tx, db.triage, [_row(ranked, seconds(now)) for ranked in fresh])
    stored = incidents.upsert(tx, dispatch, fresh, now)
    outbox.queue(tx, outbox.spaced(tx, _outgoing(dispatch), updates_apart_s), sinks, now)
    for review in dispatch.reviews:
        reviews.open_review(tx, review, 1, now)
    jobs.enqueue_all(tx, [jobs.order_of(order) for order in dispatch.jobs], now)
    inbox.mark_triaged(tx, [ranked.event.id for ranked in fresh])
    audit.append(tx, "triage", "triage", dispatch.batch_id, _summary(dispatch, fresh), now)
    return Committed(incidents=tuple(stored))


def _check_accepted(tx: Connection, ids: set[str]) -> None:
    strangers = ids - known(tx, db.inbox.c.id, sorted(ids))
    if strangers:
        raise InputError(
            f"{len(strangers)} events of the batch were never accepted, for example {min(strangers)!r}",
            where="ledger",
            remedy="accept() events before they are triaged",
        )


def _row(ranked: Ranked, committed: float) -> dict[str, Any]:
    rank = ranked.triage
    return {
        "event_id": ranked.event.id,
        "priority": rank.priority,
        "urgency": rank.urgency.level,
        "impact": rank.impact.level,
        "complexity": rank.complexity.level,
        "confidence": rank.confidence,
        "condition": rank.condition,
        "undecided": rank.undecided,
        "doubtful": rank.doubtful,
        "repeat": ranked.repeat,
        "group_key": ranked.group_key,
        "grouped_by": ranked.grouped_by,
        "context": ranked.context.model_dump_json(exclude_defaults=True),
        "body": rank.model_dump_json(exclude_defaults=True),
        "committed": committed,
    }


def _outgoing(dispatch: Dispatch) -> list[outbox.Outgoing]:
    """Each notice with the earliest receipt among the events of its incident in this batch."""
    received: dict[str, datetime] = {}
    for ranked in dispatch.ranked:
        if not ranked.repeat:
            at = ranked.event.received
            received[ranked.incident_id] = min(at, received.get(ranked.incident_id, at))
    return [outbox.Outgoing(notice, received.get(notice.incident_id)) for notice in dispatch.notices]


def _summary(dispatch: Dispatch, fresh: Sequence[Ranked]) -> dict[str, Any]:
    """What the audit keeps of a batch: counts, and a hash that binds every rank."""
    ranks = hashlib.sha256()
    counts: dict[str, int] = {}
    for ranked in fresh:
        priority = ranked.triage.priority
        counts[priority] = counts.get(priority, 0) + 1
        ranks.update(f"{ranked.event.id}\0{priority}\0{ranked.incident_id}\n".encode())
    return {
        "events": len(fresh),
        "priorities": counts,
        "ranks_sha256": ranks.hexdigest(),
        "new_incidents": list(dispatch.new_incidents),
        "notices": len(dispatch.notices),
    }


def get(tx: Connection, event_id: str) -> Triage | None:
    body = tx.execute(select(db.triage.c.body).where(db.triage.c.event_id == event_id)).scalar()
    return None if body is None else Triage.model_validate_json(body)


def of_incident(tx: Connection, incident_id: str) -> list[Triage]:
    query = (
        select(db.triage.c.body)
        .join(db.incident_events, db.incident_events.c.event_id == db.triage.c.event_id)
        .join(db.inbox, db.inbox.c.id == db.triage.c.event_id)
        .where(db.incident_events.c.incident_id == incident_id)
        .order_by(db.inbox.c.number)
    )
    return [Triage.model_validate_json(body) for body in tx.execute(query).scalars()]


def iter_triaged(
    database: Database, since: datetime | None, committed_after: datetime | None = None
) -> Iterator[Ranked]:
    """Page by page, so that no read transaction stays open while the caller works."""
    last = 0
    while True:
        with database.read() as tx:
            rows = tx.execute(_page(last, since, committed_after)).all()
        if not rows:
            return
        yield from (_ranked(row) for row in rows)
        last = rows[-1].number


def _page(last: int, since: datetime | None, committed_after: datetime | None) -> Select[Any]:
    query = (
        select(
            db.inbox.c.number,
            db.inbox.c.body.label("event"),
            db.triage.c.body.label("triage"),
            db.triage.c.context,
            db.triage.c.group_key,
            db.triage.c.grouped_by,
            db.triage.c.repeat,
            db.incident_events.c.incident_id,
        )
        .join(db.triage, db.triage.c.event_id == db.inbox.c.id)
        .outerjoin(db.incident_events, db.incident_events.c.event_id == db.inbox.c.id)
        .where(db.inbox.c.number > last)
        .order_by(db.inbox.c.number)
        .limit(_PAGE)
    )
    if committed_after is not None:
        query = query.where(db.triage.c.committed > seconds(committed_after))
    return query if since is None else query.where(db.inbox.c.time >= seconds(since))


def _ranked(row: Row[Any]) -> Ranked:
    return Ranked(
        event=inbox.event_of(row.event),
        context=Context.model_validate_json(row.context),
        triage=Triage.model_validate_json(row.triage),
        incident_id=row.incident_id or "",
        group_key=row.group_key,
        grouped_by=row.grouped_by,
        repeat=row.repeat,
    )
