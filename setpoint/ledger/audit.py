"""The audit chain: each row's hash covers the row and the hash before it, so a change shows.

The head (number and hash of the last row) is kept apart, so that cutting rows off the end shows too.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.records import AuditRow, ChainReport
from setpoint.ledger.schema import audit, audit_head
from setpoint.ledger.writing import insert_rows, to_json

GENESIS = "0" * 64


def digest_of(number: int, time: float, who: str, what: str, subject: str, data: str, previous: str) -> str:
    """SHA-256 over the row's canonical JSON, the hash before it included."""
    return hashlib.sha256(to_json([number, time, who, what, subject, data, previous]).encode()).hexdigest()


def append(tx: Connection, who: str, what: str, subject: str, data: Any, now: datetime) -> AuditRow:
    """Add one row; `data` is anything JSON can hold. `tx` must be a writing transaction: they come one after another, so the head is ours."""
    head = tx.execute(select(audit_head.c.number, audit_head.c.digest)).first()
    if head is None:
        insert_rows(tx, audit_head, [{"id": 1, "number": 0, "digest": GENESIS}])
    last, previous = (0, GENESIS) if head is None else (head.number, head.digest)
    number, time, text = last + 1, seconds(now), to_json(data)
    digest = digest_of(number, time, who, what, subject, text, previous)
    row = {"number": number, "time": time, "who": who, "what": what, "subject": subject, "data": text}
    tx.execute(insert(audit).values(**row, previous=previous, digest=digest))
    tx.execute(update(audit_head).values(number=number, digest=digest))
    return AuditRow(number=number, time=now, who=who, what=what, subject=subject, data=data, digest=digest)


def last_number(tx: Connection) -> int:
    return tx.execute(select(audit_head.c.number)).scalar() or 0


def list_all(tx: Connection, subject: str, after: int, limit: int) -> list[AuditRow]:
    query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
    if subject:
        query = query.where(audit.c.subject == subject)
    return [
        AuditRow(
            number=row.number,
            time=moment(row.time),
            who=row.who,
            what=row.what,
            subject=row.subject,
            data=json.loads(row.data),
            digest=row.digest,
        )
        for row in tx.execute(query)
    ]


def verify(tx: Connection) -> ChainReport:
    """Walk the chain from its first row and compare it with the head."""
    expected, previous = 1, GENESIS
    for row in tx.execute(select(audit).order_by(audit.c.number)):
        problem = _problem(row.number, expected, row.previous, previous)
        if not problem:
            own = digest_of(row.number, row.time, row.who, row.what, row.subject, row.data, row.previous)
            problem = "" if own == row.digest else "its content was changed"
        if problem:
            return ChainReport(
                ok=False, rows=expected - 1, head=previous, broken_at=expected, problem=problem
            )
        expected, previous = expected + 1, row.digest
    head = tx.execute(select(audit_head.c.number, audit_head.c.digest)).first()
    if (head.number, head.digest) != (expected - 1, previous) if head else expected > 1:
        problem = "rows after it were removed, or the head was changed"
        return ChainReport(ok=False, rows=expected - 1, head=previous, broken_at=expected, problem=problem)
    return ChainReport(ok=True, rows=expected - 1, head=previous)


def _problem(number: int, expected: int, claims: str, previous: str) -> str:
    if number != expected:
        return "it is missing"
    return "" if claims == previous else "it does not follow from the row before it"
