"""Counts and latencies, for reports and metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select, true

from setpoint.ledger import schema as db
from setpoint.ledger.clock import seconds
from setpoint.ledger.records import LatencyFigures, Stats


def collect(tx: Connection, since: datetime | None) -> Stats:
    return Stats(
        events=_total(tx, db.inbox),
        events_waiting=_waiting(tx),
        events_by_priority=_by(tx, db.triage.c.priority),
        incidents_by_priority=_by(tx, db.incidents.c.priority),
        incidents_by_state=_by(tx, db.incidents.c.state),
        deliveries_by_state=_by(tx, db.outbox.c.state),
        jobs_by_state=_jobs(tx),
        reviews_by_state=_by(tx, db.reviews.c.state),
        actions_by_state=_by(tx, db.actions.c.state),
        quarantine_by_state=_by(tx, db.quarantine.c.state),
        diagnoses=_total(tx, db.diagnoses),
        feedback=_total(tx, db.feedback),
        feedback_simulated=_simulated(tx),
        audit_rows=_total(tx, db.audit),
        first_notice=latency(tx, since),
    )


def latency(tx: Connection, since: datetime | None, stage: str = "first") -> LatencyFigures:
    """Of the notices of one stage that a sink accepted: seconds from receipt to acceptance."""
    spent = (db.outbox.c.sent - db.outbox.c.received).label("spent")
    query = select(spent).where(
        db.outbox.c.state == "sent", db.outbox.c.stage == stage, db.outbox.c.received.is_not(None)
    )
    if since is not None:
        query = query.where(db.outbox.c.queued >= seconds(since))
    values = list(tx.execute(query.order_by(spent)).scalars())
    if not values:
        return LatencyFigures()
    return LatencyFigures(
        count=len(values), p50_s=_quantile(values, 0.5), p99_s=_quantile(values, 0.99), worst_s=values[-1]
    )


def _quantile(ordered: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed.

    >>> _quantile([1.0, 2.0, 3.0, 4.0], 0.5), _quantile([1.0, 2.0], 0.99)
    (2.0, 2.0)
    """
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(0, rank - 1)]


def _total(tx: Connection, table: Table) -> int:
    return tx.execute(select(func.count()).select_from(table)).scalar_one()


def _waiting(tx: Connection) -> int:
    return tx.execute(select(func.count()).where(db.inbox.c.state == "new")).scalar_one()


def _simulated(tx: Connection) -> int:
    return tx.execute(select(func.count()).where(db.feedback.c.simulated == true())).scalar_one()


def _by(tx: Connection, column: Column[Any]) -> dict[Any, int]:
    query = select(column, func.count()).group_by(column).order_by(column)
    return {row[0]: row[1] for row in tx.execute(query)}


def _jobs(tx: Connection) -> dict[str, int]:
    kind, state = db.jobs.c.kind, db.jobs.c.state
    query = select(kind, state, func.count()).group_by(kind, state).order_by(kind, state)
    return {f"{row[0]}:{row[1]}": row[2] for row in tx.execute(query)}
