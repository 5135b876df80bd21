"""What may go when it is old enough. Bounded: a run drops a limited number of rows and can be repeated."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, select

from setpoint.ledger import audit
from setpoint.ledger import schema as db
from setpoint.ledger.clock import seconds
from setpoint.ledger.database import Database
from setpoint.ledger.records import Pruned
from setpoint.ledger.threads import prune_threads
from setpoint.ledger.translate import translated
from setpoint.ledger.writing import chunks, known
from setpoint.settings import StoreSettings

_ALIVE = ("open", "acknowledged")
_ENDED_JOBS = ("done", "dead", "merged")
_LOCK_WAIT_S = 5.0


def prune(
    database: Database, settings: StoreSettings, checkpoints: Path | None, limit: int, now: datetime
) -> Pruned:
    """Rows first, then checkpoint threads. The audit chain is never cut; it notes what was dropped."""
    cutoff = seconds(now - timedelta(days=settings.event_days))
    with database.write() as tx:
        dropped = Pruned(
            events=_events(tx, cutoff, limit),
            deliveries=_drop(tx, db.outbox, _settled_deliveries(cutoff), limit),
            jobs=_drop(tx, db.jobs, _settled_jobs(cutoff), limit),
            quarantined=_drop(tx, db.quarantine, (db.quarantine.c.changed < cutoff,), limit),
            cycles=_cycles(tx, cutoff, limit),
            conversations=prune_threads(tx, seconds(now - timedelta(days=settings.chat_days)), limit),
        )
        if any(dropped.model_dump().values()):
            audit.append(tx, "retention", "pruned", "ledger", dropped.model_dump(), now)
    threads = 0
    if checkpoints is not None and checkpoints.exists():
        old = seconds(now - timedelta(days=settings.checkpoint_days))
        threads = _checkpoints(database, checkpoints, old, limit)
    return dropped.model_copy(update={"checkpoints": threads})


def _events(tx: Connection, cutoff: float, limit: int) -> int:
    """Triaged events past retention that belong to no living incident, with their ranks and links."""
    alive = exists().where(
        db.incident_events.c.event_id == db.inbox.c.id,
        db.incident_events.c.incident_id == db.incidents.c.id,
        db.incidents.c.state.in_(_ALIVE),
    )
    query = select(db.inbox.c.id).where(db.inbox.c.received < cutoff, db.inbox.c.state == "triaged", ~alive)
    ids = list(tx.execute(query.order_by(db.inbox.c.number).limit(limit)).scalars())
    for part in chunks(ids):
        tx.execute(delete(db.incident_events).where(db.incident_events.c.event_id.in_(part)))
        tx.execute(delete(db.triage).where(db.triage.c.event_id.in_(part)))
        tx.execute(delete(db.inbox).where(db.inbox.c.id.in_(part)))
    return len(ids)


def _settled_deliveries(cutoff: float) -> Sequence[ColumnElement[bool]]:
    return (db.outbox.c.queued < cutoff, db.outbox.c.state.in_(("sent", "dead", "superseded")))


def _settled_jobs(cutoff: float) -> Sequence[ColumnElement[bool]]:
    return (db.jobs.c.updated < cutoff, db.jobs.c.state.in_(_ENDED_JOBS))


def _cycles(tx: Connection, cutoff: float, limit: int) -> int:
    """Ended turns of the control loops past retention, and what they foresaw."""
    cycles, foreseen = db.loop_cycles.c, db.foreseen.c
    query = select(cycles.id).where(cycles.at < cutoff, cycles.state != "waiting")
    ids = list(tx.execute(query.order_by(cycles.at).limit(limit)).scalars())
    for part in chunks(ids):
        tx.execute(delete(db.foreseen).where(foreseen.cycle_id.in_(part)))
        tx.execute(delete(db.loop_cycles).where(cycles.id.in_(part)))
    return len(ids)


def _drop(tx: Connection, table: Table, where: Sequence[ColumnElement[bool]], limit: int) -> int:
    oldest = select(table.c.number).where(*where).order_by(table.c.number).limit(limit)
    return tx.execute(delete(table).where(table.c.number.in_(oldest))).rowcount


# ---- checkpoints ------------------------------------------------------------------------------------------


def _checkpoints(database: Database, path: Path, cutoff: float, limit: int) -> int:
    """LangGraph's SqliteSaver cannot prune; its two tables are keyed by thread, so whole threads are deleted."""
    with translated(str(path), _LOCK_WAIT_S), closing(sqlite3.connect(path, timeout=_LOCK_WAIT_S)) as file:
        present = _threads(file)
        with database.read() as tx:
            finished = _finished(tx, present, cutoff)[:limit]
        for part in chunks(finished):
            marks = ",".join("?" * len(part))
            with file:  # one short transaction per part: the graphs go on writing in between
                file.execute(f"DELETE FROM writes WHERE thread_id IN ({marks})", list(part))
                file.execute(f"DELETE FROM checkpoints WHERE thread_id IN ({marks})", list(part))
    return len(finished)


def _threads(file: sqlite3.Connection) -> list[str]:
    tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"checkpoints", "writes"} <= tables:
        return []
    return [row[0] for row in file.execute("SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id")]


def _finished(tx: Connection, threads: Sequence[str], cutoff: float) -> list[str]:
    """Threads some job named, all of whose jobs ended before `cutoff`, and whose review is not pending."""
    thread, review = db.jobs.c.thread, db.reviews.c
    named = known(tx, thread, threads)
    busy = known(tx, thread, threads, db.jobs.c.state.not_in(_ENDED_JOBS))
    recent = known(tx, thread, threads, db.jobs.c.updated >= cutoff)
    asked = {name: name.rpartition(":")[2] for name in named}
    pending: set[Any] = known(tx, review.id, list(asked.values()), review.state == "pending")
    return [name for name in threads if name in named - busy - recent and asked[name] not in pending]
