"""Events from their acceptance to their triage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select, update

from setpoint.contracts import Event, Quarantined
from setpoint.ledger.clock import seconds
from setpoint.ledger.quarantine import hold
from setpoint.ledger.records import Accepted
from setpoint.ledger.schema import inbox
from setpoint.ledger.writing import chunks, insert_rows, known, to_json

if TYPE_CHECKING:
    from setpoint.ledger.database import Database

_PAGE = 1000


def accept(
    tx: Connection, events: Sequence[Event], bad: Sequence[Quarantined], origin: str
) -> tuple[Accepted, list[Event]]:
    """Insert unseen events in the order given; hold the bad items. Returns the new events as they are stored, too."""
    new = _unseen(tx, events)
    insert_rows(tx, inbox, [_row(event, origin) for event in new])
    held = hold(tx, bad)
    return Accepted(new=len(new), duplicates=len(events) - len(new), quarantined=held), new


def _unseen(tx: Connection, events: Sequence[Event]) -> list[Event]:
    """Events that are not in the inbox. An id that another source gave to something else is no duplicate: the
    later event goes on under its id with a hash of what it says."""
    stored = {event.id: event for event in get_events(tx, list({event.id for event in events}))}
    new: dict[str, Event] = {}
    for event in events:
        taken = stored.get(event.id) or new.get(event.id)
        if taken is None:
            new[event.id] = event
        elif (words := _says(event)) != _says(taken):
            name = f"{event.id}~{hashlib.sha256(words.encode()).hexdigest()[:8]}"
            if not known(tx, inbox.c.id, [name]):
                new.setdefault(name, event.model_copy(update={"id": name}))
    return list(new.values())


def _says(event: Event) -> str:
    """What an event is about. Its time counts, unless it is the time of receipt."""
    time = "" if "time-missing" in event.flags else event.time.isoformat()
    return to_json([event.asset, event.source, event.kind, event.message, event.status, event.value, time])


def _row(event: Event, origin: str) -> dict[str, Any]:
    return {
        "id": event.id,
        "time": seconds(event.time),
        "received": seconds(event.received),
        "origin": origin,
        "state": "new",
        "body": event.model_dump_json(exclude_defaults=True),
    }


def pending(tx: Connection, limit: int) -> list[Event]:
    query = select(inbox.c.body).where(inbox.c.state == "new").order_by(inbox.c.number).limit(limit)
    return [event_of(body) for body in tx.execute(query).scalars()]


def pending_count(tx: Connection) -> int:
    return tx.execute(select(func.count()).where(inbox.c.state == "new")).scalar_one()


def get_events(tx: Connection, ids: Sequence[str]) -> list[Event]:
    rows: list[tuple[int, str]] = []
    for part in chunks(ids):
        query = select(inbox.c.number, inbox.c.body).where(inbox.c.id.in_(part))
        rows.extend((row.number, row.body) for row in tx.execute(query))
    return [event_of(body) for _, body in sorted(rows)]


def iter_events(database: Database, since: datetime | None) -> Iterator[Event]:
    """Page by page, so that no read transaction stays open while the caller works."""
    last = 0
    while True:
        query = select(inbox.c.number, inbox.c.body).where(inbox.c.number > last)
        if since is not None:
            query = query.where(inbox.c.time >= seconds(since))
        with database.read() as tx:
            rows = tx.execute(query.order_by(inbox.c.number).limit(_PAGE)).all()
        if not rows:
            return
        yield from (event_of(row.body) for row in rows)
        last = rows[-1].number


def waiting(tx: Connection, ids: Sequence[str]) -> set[str]:
    """Which of these events are accepted and not triaged."""
    return known(tx, inbox.c.id, ids, inbox.c.state == "new")


def mark_triaged(tx: Connection, ids: Sequence[str]) -> None:
    if ids:
        statement = update(inbox).where(inbox.c.id == bindparam("event_id")).values(state="triaged")
        tx.execute(statement, [{"event_id": event_id} for event_id in ids])


def event_of(body: str) -> Event:
    return Event.model_validate_json(body)
