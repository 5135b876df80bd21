"""Work for the workers: queued durably, coalesced, leased, retried, and never two at a time of one key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    insert,
    or_,
    select,
    update,
)

from setpoint.contracts.dispatch import JobRequest
from setpoint.ledger.clock import moment, moment_or_none, seconds
from setpoint.ledger.records import Job
from setpoint.ledger.schema import jobs
from setpoint.ledger.writing import chunks, to_json

_QUICK_TRIES = 2
_LONGEST_REST_S = 60.0
_LONGEST_LIST = 500
"""Joined lists in a coalesced payload are cut here: a storm must not grow one row without end."""


@dataclass(frozen=True)
class Order:
    """What to queue."""

    kind: str
    key: str
    payload: dict[str, JsonValue]
    urgency: int = 2
    not_before: datetime | None = None
    max_attempts: int = 8
    quiet_s: float = 0.0
    longest_s: float = 0.0
    """As JobRequest has them."""

    def start(self, now: datetime) -> float:
        """When it may be taken, where no job of its key is queued yet; seconds since 1970."""
        return seconds(self.not_before or now) + self.quiet_s


def order_of(order: JobRequest) -> Order:
    return Order(
        order.kind, order.key, dict(order.payload), order.urgency, quiet_s=order.quiet_s, longest_s=order.longest_s
    )  # fmt: skip


def enqueue(tx: Connection, order: Order, now: datetime) -> int:
    """Insert, or fold into the queued job of this kind and key. Returns its id."""
    queued = _one(tx, order.kind, order.key, "queued")
    if queued is not None:
        tx.execute(_FOLD_IN, _folded(queued, order, now))
        return int(queued.number)
    return int(tx.execute(insert(jobs).values(**_row(order, now)).returning(jobs.c.number)).scalar_one())


def enqueue_all(tx: Connection, orders: Sequence[Order], now: datetime) -> None:
    """`enqueue` of many at once."""
    if len({(order.kind, order.key) for order in orders}) < len(orders):
        for order in orders:
            enqueue(tx, order, now)
        return
    queued: dict[tuple[str, str], Row[Any]] = {}
    for keys in chunks([order.key for order in orders]):
        found = tx.execute(select(jobs).where(jobs.c.key.in_(keys), jobs.c.state == "queued"))
        queued |= {(row.kind, row.key): row for row in found}
    old = [
        _folded(queued[order.kind, order.key], order, now)
        for order in orders
        if (order.kind, order.key) in queued
    ]
    new = [_row(order, now) for order in orders if (order.kind, order.key) not in queued]
    if old:
        tx.execute(_FOLD_IN, old)
    if new:
        tx.execute(insert(jobs), new)


_FOLD_IN = update(jobs).where(jobs.c.number == bindparam("job")).values(
    payload=bindparam("new_payload"), urgency=bindparam("new_urgency"), not_before=bindparam("new_start"),
    updated=bindparam("moment"),
)  # fmt: skip


def _folded(queued: Row[Any], order: Order, now: datetime) -> dict[str, Any]:
    return {
        "job": queued.number,
        "new_payload": to_json(_joined(json.loads(queued.payload), order.payload)),
        "new_urgency": min(queued.urgency, order.urgency),
        "new_start": _start_together(queued, order, now),
        "moment": seconds(now),
    }


def _start_together(queued: Row[Any], order: Order, now: datetime) -> float:
    """The earlier of both; but one that waits for quiet begins to wait again, up to its limit."""
    if order.quiet_s and queued.not_before > seconds(now):
        return min(order.start(now), float(queued.queued) + order.longest_s)
    return min(float(queued.not_before), order.start(now))


def _row(order: Order, now: datetime) -> dict[str, Any]:
    return {
        "kind": order.kind,
        "key": order.key,
        "thread": str(order.payload.get("thread_id") or f"{order.kind}:{order.key}"),
        "payload": to_json(order.payload),
        "state": "queued",
        "urgency": order.urgency,
        "attempts": 0,
        "max_attempts": order.max_attempts,
        "not_before": order.start(now),
        "worker": "",
        "error": "",
        "queued": seconds(now),
        "updated": seconds(now),
    }


def _joined(old: dict[str, JsonValue], new: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The newer payload; lists are joined, the older entries first."""
    result = old | new
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, list) and isinstance(before, list):
            result[key] = (before + [item for item in value if item not in before])[:_LONGEST_LIST]
    return result


def _one(tx: Connection, kind: str, key: str, state: str) -> Row[Any] | None:
    where = (jobs.c.kind == kind, jobs.c.key == key, jobs.c.state == state)
    return tx.execute(select(jobs).where(*where)).first()


# ---- taking work ------------------------------------------------------------------------------------------


def any_due(tx: Connection, kinds: Sequence[str], now: datetime) -> bool:
    return tx.execute(_due(kinds, seconds(now)).limit(1)).first() is not None


def claim(tx: Connection, kinds: Sequence[str], worker: str, lease_s: float, now: datetime) -> Job | None:
    _bury_expired(tx, kinds, seconds(now))
    row = tx.execute(_due(kinds, seconds(now)).limit(1)).first()
    if row is None:
        return None
    values = {
        "state": "running",
        "worker": worker,
        "attempts": row.attempts + 1,
        "lease_until": seconds(now + timedelta(seconds=lease_s)),
        "updated": seconds(now),
    }
    tx.execute(update(jobs).where(jobs.c.number == row.number).values(**values))
    return _job(tx.execute(select(jobs).where(jobs.c.number == row.number)).one())


def _due(kinds: Sequence[str], now: float) -> Select[Any]:
    running = jobs.alias("running")
    held = exists().where(
        running.c.kind == jobs.c.kind, running.c.key == jobs.c.key, running.c.state == "running"
    )
    fresh = and_(jobs.c.state == "queued", jobs.c.not_before <= now, ~held)
    query = select(jobs).where(jobs.c.kind.in_(kinds), or_(fresh, _expired(now)))
    return query.order_by(jobs.c.urgency, jobs.c.number)


def _expired(now: float) -> ColumnElement[bool]:
    return and_(jobs.c.state == "running", jobs.c.lease_until < now)


def _bury_expired(tx: Connection, kinds: Sequence[str], now: float) -> None:
    """A job that took its worker down with it each time is not tried for ever."""
    where = (jobs.c.kind.in_(kinds), _expired(now), jobs.c.attempts >= jobs.c.max_attempts)
    values = {"state": "dead", "error": "the worker died or hung at each attempt", "updated": now}
    tx.execute(update(jobs).where(*where).values(**values))


def hasten(tx: Connection, now: datetime) -> int:
    """What waits for its incident to be quiet may begin: nothing more will come. A job that failed waits on."""
    where = (jobs.c.state == "queued", jobs.c.attempts == 0, jobs.c.not_before > seconds(now))
    return tx.execute(update(jobs).where(*where).values(not_before=seconds(now))).rowcount


def release(tx: Connection, now: datetime) -> int:
    """Give back every job that a dead process holds. One that was cut off often rests before it is tried again, so
    that a job that kills its process does not do so at each start."""
    held = tx.execute(
        select(jobs.c.number, jobs.c.kind, jobs.c.key, jobs.c.attempts).where(jobs.c.state == "running")
    ).all()
    for row in held:
        newer = _one(tx, row.kind, row.key, "queued")
        rest_s = (
            min(_LONGEST_REST_S, 2.0 ** (row.attempts - _QUICK_TRIES)) if row.attempts > _QUICK_TRIES else 0.0
        )
        values = {
            "state": "merged" if newer is not None else "queued",
            "lease_until": None,
            "updated": seconds(now),
        }
        if newer is not None:
            _fold(tx, tx.execute(select(jobs).where(jobs.c.number == row.number)).one(), newer)
        values["not_before"] = seconds(now) + rest_s
        tx.execute(update(jobs).where(jobs.c.number == row.number).values(**values))
    return len(held)


# ---- handing it back --------------------------------------------------------------------------------------


def heartbeat(tx: Connection, job: Job, lease_s: float, now: datetime) -> bool:
    until = seconds(now + timedelta(seconds=lease_s))
    return tx.execute(update(jobs).where(_mine(job)).values(lease_until=until)).rowcount == 1


def finish(tx: Connection, job: Job, now: datetime) -> bool:
    values = {"state": "done", "lease_until": None, "error": "", "updated": seconds(now)}
    return tx.execute(update(jobs).where(_mine(job)).values(**values)).rowcount == 1


def fail(tx: Connection, job: Job, error: str, retry_at: datetime | None, now: datetime) -> str:
    row = tx.execute(select(jobs).where(_mine(job))).first()
    if row is None:
        return "lost"
    newer = _one(tx, job.kind, job.key, "queued")
    state = "queued"
    if retry_at is None or row.attempts >= row.max_attempts:
        state = "dead"
    elif newer is not None:
        state = "merged"
        _fold(tx, row, newer)
    values: dict[str, Any] = {"state": state, "error": error, "lease_until": None, "updated": seconds(now)}
    if state == "queued" and retry_at is not None:
        values["not_before"] = seconds(retry_at)
    tx.execute(update(jobs).where(jobs.c.number == job.id).values(**values))
    return state


def _fold(tx: Connection, failed: Row[Any], newer: Row[Any]) -> None:
    """Leave the failed job's work to the newer one."""
    values = {
        "payload": to_json(_joined(json.loads(failed.payload), json.loads(newer.payload))),
        "urgency": min(failed.urgency, newer.urgency),
    }
    tx.execute(update(jobs).where(jobs.c.number == newer.number).values(**values))


def _mine(job: Job) -> ColumnElement[bool]:
    """Still this very claim: the attempt counter tells it from a later claim by the same worker."""
    return and_(
        jobs.c.number == job.id,
        jobs.c.state == "running",
        jobs.c.worker == job.worker,
        jobs.c.attempts == job.attempts,
    )


def list_all(tx: Connection, kinds: Sequence[str], states: Sequence[str], limit: int) -> list[Job]:
    query = select(jobs).order_by(jobs.c.number).limit(limit)
    if kinds:
        query = query.where(jobs.c.kind.in_(kinds))
    if states:
        query = query.where(jobs.c.state.in_(states))
    return [_job(row) for row in tx.execute(query)]


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.number,
        kind=row.kind,
        key=row.key,
        payload=json.loads(row.payload),
        state=row.state,
        urgency=row.urgency,
        attempts=row.attempts,
        not_before=moment(row.not_before),
        worker=row.worker,
        lease_until=moment_or_none(row.lease_until),
        error=row.error,
    )
