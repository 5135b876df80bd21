"""Notices on their way to sinks: each version once per sink, in order, with retries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, or_, select, text, update

from setpoint.contracts import Notice
from setpoint.ledger import explained
from setpoint.ledger.clock import moment, moment_or_none, seconds, seconds_or_none
from setpoint.ledger.records import Delivery
from setpoint.ledger.schema import incidents, outbox
from setpoint.ledger.writing import chunks, insert_rows, known

UNSENT = ("queued", "failed")
_REPLACEABLE = ("plain", "update")
"""Stages a newer version makes pointless. A first notice, an escalation or a resolution is always sent."""


@dataclass(frozen=True)
class Outgoing:
    """One notice to queue. `received` starts its latency clock."""

    notice: Notice
    received: datetime | None = None
    not_before: datetime | None = None


def queue(tx: Connection, outgoing: Sequence[Outgoing], sinks: Sequence[str], now: datetime) -> int:
    """Queue each for each sink; returns how many rows were new."""
    numbered = _numbered(tx, _under_roots(tx, outgoing))
    rows = [_row(one, sink, seconds(now)) for one in numbered for sink in dict.fromkeys(sinks)]
    seen = known(tx, outbox.c.key, [row["key"] for row in rows])
    rows = [row for row in rows if row["key"] not in seen]
    insert_rows(tx, outbox, rows)
    _supersede(tx, rows)
    _start_escalation_clock(tx, rows, seconds(now))
    return len(rows)


def spaced(tx: Connection, outgoing: Sequence[Outgoing], apart_s: float) -> list[Outgoing]:
    """Put updates off until `apart_s` after what was last sent of their incident."""
    outgoing = _under_roots(tx, outgoing)
    names = [one.notice.dedup_key for one in outgoing if one.notice.stage == "update"]
    if not names or apart_s <= 0:
        return list(outgoing)
    last: dict[str, float] = {}
    for part in chunks(names):
        told = func.max(func.coalesce(outbox.c.sent, outbox.c.queued))
        where = (outbox.c.dedup_key.in_(part), or_(outbox.c.state == "sent", outbox.c.stage == "first"))
        last |= {
            row[0]: row[1]
            for row in tx.execute(select(outbox.c.dedup_key, told).where(*where).group_by(outbox.c.dedup_key))
        }
    return [
        Outgoing(one.notice, one.received, moment(last[one.notice.dedup_key] + apart_s))
        if one.notice.stage == "update" and one.notice.dedup_key in last
        else one
        for one in outgoing
    ]


def _under_roots(tx: Connection, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """Notices of an incident that another one's cause explains, as updates of that one."""
    notices = explained.redirected(tx, [one.notice for one in outgoing])
    return [replace(one, notice=notice) for one, notice in zip(outgoing, notices, strict=True)]


def key_of(notice: Notice, sink: str) -> str:
    return f"{notice.dedup_key}:{notice.version}:{sink}"


def _numbered(tx: Connection, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """Give each notice of version 0 the next number of its dedup key."""
    last: dict[str, int] = {}
    for part in chunks(list({one.notice.dedup_key for one in outgoing if one.notice.version == 0})):
        newest = select(outbox.c.dedup_key, func.max(outbox.c.version)).where(outbox.c.dedup_key.in_(part))
        last |= {row[0]: row[1] for row in tx.execute(newest.group_by(outbox.c.dedup_key))}
    numbered = []
    for one in outgoing:
        notice = one.notice
        if notice.version == 0:
            notice = notice.model_copy(update={"version": last.get(notice.dedup_key, 0) + 1})
        last[notice.dedup_key] = max(notice.version, last.get(notice.dedup_key, 0))
        numbered.append(Outgoing(notice, one.received, one.not_before))
    return numbered


def _row(one: Outgoing, sink: str, now: float) -> dict[str, Any]:
    notice = one.notice
    return {
        "key": key_of(notice, sink),
        "incident_id": notice.incident_id,
        "dedup_key": notice.dedup_key,
        "sink": sink,
        "version": notice.version,
        "stage": notice.stage,
        "priority": notice.priority,
        "body": notice.model_dump_json(),
        "state": "queued",
        "attempts": 0,
        "next_try": now if one.not_before is None else seconds(one.not_before),
        "queued": now,
        "received": seconds_or_none(one.received),
        "error": "",
    }


def _supersede(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    newer = [{"b_dedup": row["dedup_key"], "b_sink": row["sink"], "b_version": row["version"]} for row in rows
             if row["version"] > 1]  # fmt: skip
    if newer:
        statement = update(outbox).where(
            outbox.c.dedup_key == bindparam("b_dedup"),
            outbox.c.sink == bindparam("b_sink"),
            outbox.c.version < bindparam("b_version"),
            # Spelt out: a list in IN cannot be expanded for many parameter sets at once.
            or_(*(outbox.c.stage == stage for stage in _REPLACEABLE)),
            or_(*(outbox.c.state == state for state in UNSENT)),
        )
        tx.execute(statement.values(state="superseded"), newer)


def _start_escalation_clock(tx: Connection, rows: Sequence[dict[str, Any]], now: float) -> None:
    urgent = {row["incident_id"] for row in rows if row["priority"] == "P0" and row["stage"] != "resolved"}
    if urgent:
        unset = and_(incidents.c.id == bindparam("b_id"), incidents.c.notified.is_(None))
        tx.execute(
            update(incidents).where(unset).values(notified=now), [{"b_id": name} for name in sorted(urgent)]
        )


def due(tx: Connection, now: datetime, limit: int, without: Sequence[str] = ()) -> list[Delivery]:
    """What may be sent now. A version waits while an older one to the same sink is unsent."""
    older = outbox.alias("older")
    blocked = exists().where(
        older.c.dedup_key == outbox.c.dedup_key,
        older.c.sink == outbox.c.sink,
        older.c.version < outbox.c.version,
        older.c.state.in_(UNSENT),
    )
    # Written as the partial index has it: else SQLite would read every row ever sent.
    unsent = text("outbox.state IN ('queued', 'failed')")
    query = select(outbox).where(unsent, outbox.c.next_try <= seconds(now), ~blocked)
    if without:
        query = query.where(outbox.c.sink.not_in(without))
    return [
        _delivery(row) for row in tx.execute(query.order_by(outbox.c.priority, outbox.c.number).limit(limit))
    ]


def mark_sent(tx: Connection, keys: Sequence[str], now: datetime) -> int:
    """A superseded row may have been under way: it counts as sent too."""
    values = {"state": "sent", "sent": seconds(now), "attempts": outbox.c.attempts + 1, "error": ""}
    return sum(
        tx.execute(
            update(outbox).where(outbox.c.key.in_(part), outbox.c.state != "sent").values(**values)
        ).rowcount
        for part in chunks(keys)
    )


def mark_failed(tx: Connection, key: str, error: str, retry_at: datetime | None, now: datetime) -> None:
    values: dict[str, Any] = {"attempts": outbox.c.attempts + 1, "error": error}
    values |= {"state": "dead"} if retry_at is None else {"state": "failed", "next_try": seconds(retry_at)}
    tx.execute(update(outbox).where(outbox.c.key == key, outbox.c.state.in_(UNSENT)).values(**values))


def list_all(tx: Connection, incident_id: str, states: Sequence[str], limit: int) -> list[Delivery]:
    query = select(outbox).order_by(outbox.c.number).limit(limit)
    if incident_id:
        query = query.where(outbox.c.incident_id == incident_id)
    if states:
        query = query.where(outbox.c.state.in_(states))
    return [_delivery(row) for row in tx.execute(query)]


def last_notice(tx: Connection, incident_id: str) -> Notice | None:
    query = select(outbox.c.body).where(outbox.c.incident_id == incident_id)
    body = tx.execute(query.order_by(outbox.c.version.desc(), outbox.c.number.desc()).limit(1)).scalar()
    return None if body is None else Notice.model_validate_json(body)


def first_queued(tx: Connection, incident_id: str) -> datetime | None:
    """When somebody was to be told of the incident first; None where nobody was."""
    query = select(func.min(outbox.c.queued)).where(outbox.c.incident_id == incident_id)
    return moment_or_none(tx.execute(query).scalar())


def notices_since(tx: Connection, since: datetime, stage: str) -> int:
    query = select(func.count(func.distinct(outbox.c.dedup_key)))
    return tx.execute(query.where(outbox.c.queued >= seconds(since), outbox.c.stage == stage)).scalar_one()


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        key=row.key,
        sink=row.sink,
        notice=Notice.model_validate_json(row.body),
        state=row.state,
        attempts=row.attempts,
        next_try=moment(row.next_try),
        queued=moment(row.queued),
        received=moment_or_none(row.received),
        sent=moment_or_none(row.sent),
        error=row.error,
    )
