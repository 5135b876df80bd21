"""Items that could not be read, kept whole until somebody mends or drops them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from setpoint.contracts import Quarantined
from setpoint.errors import UsageError
from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.records import HeldItem, QuarantineState
from setpoint.ledger.schema import quarantine
from setpoint.ledger.writing import insert_rows, known


def hold(tx: Connection, items: Sequence[Quarantined]) -> int:
    """Keep those not kept yet. Returns how many were new."""
    by_id = {item.id: item for item in items}
    seen = known(tx, quarantine.c.id, list(by_id))
    rows = [_row(item) for item in by_id.values() if item.id not in seen]
    insert_rows(tx, quarantine, rows)
    return len(rows)


def _row(item: Quarantined) -> dict[str, Any]:
    received = seconds(item.received)
    return item.model_dump() | {"received": received, "state": "held", "changed": received}


def list_all(tx: Connection, state: QuarantineState, limit: int) -> list[HeldItem]:
    query = select(quarantine).where(quarantine.c.state == state).order_by(quarantine.c.number).limit(limit)
    return [_held(row) for row in tx.execute(query)]


def get(tx: Connection, item_id: str) -> HeldItem:
    row = tx.execute(select(quarantine).where(quarantine.c.id == item_id)).first()
    if row is None:
        raise UsageError(
            f"nothing in quarantine has the id {item_id!r}", remedy="`setpoint quarantine list` shows them"
        )
    return _held(row)


def change(tx: Connection, item_id: str, state: QuarantineState, now: datetime) -> bool:
    """Held to replayed or removed; a removed item gives its bytes up."""
    values: dict[str, Any] = {"state": state, "changed": seconds(now)}
    if state == "removed":
        values["raw"] = b""
    where = (quarantine.c.id == item_id, quarantine.c.state == "held")
    return tx.execute(update(quarantine).where(*where).values(**values)).rowcount == 1


def _held(row: Row[Any]) -> HeldItem:
    item = Quarantined(
        id=row.id,
        received=moment(row.received),
        origin=row.origin,
        reason=row.reason,
        remedy=row.remedy,
        raw=row.raw,
    )
    return HeldItem(item=item, state=row.state, changed=moment(row.changed))
