"""What was predicted for each executed action, and what came of it. One row an action, written once and ended once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from plant.diagnosis.results import Compared, Rehearsal
from setpoint.errors import UsageError
from setpoint.ledger import audit
from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.records import RehearsalRecord
from setpoint.ledger.schema import actions, rehearsals
from setpoint.ledger.writing import insert_new

LIVE = ("executing", "done")
"""States of an action that may have moved the site as it was rehearsed."""


def note(
    tx: Connection, key: str, rehearsal: Rehearsal, incident_id: str, due: datetime, now: datetime
) -> bool:
    row = {
        "key": key, "action": rehearsal.action, "asset": rehearsal.asset, "incident_id": incident_id,
        "noted": seconds(now), "due": seconds(due), "state": "waiting", "came_true": None,
        "body": rehearsal.model_dump_json(), "compared": "",
    }  # fmt: skip
    return tx.execute(insert_new(rehearsals, tx.dialect.name), row).rowcount == 1


def due(tx: Connection, now: datetime, limit: int) -> list[RehearsalRecord]:
    query = select(rehearsals).where(rehearsals.c.state == "waiting", rehearsals.c.due <= seconds(now))
    return [_record(tx, row) for row in tx.execute(query.order_by(rehearsals.c.due).limit(limit))]


def finish(tx: Connection, key: str, compared: Compared | None, now: datetime) -> bool:
    row = tx.execute(select(rehearsals).where(rehearsals.c.key == key)).first()
    if row is None:
        raise UsageError(f"no rehearsal was noted under {key!r}")
    seen = compared is not None and compared.quantities > 0
    values = {
        "state": "compared" if seen else "unseen", "came_true": compared.came_true if compared and seen else None,
        "compared": compared.model_dump_json() if compared else "",
    }  # fmt: skip
    waiting = (rehearsals.c.key == key, rehearsals.c.state == "waiting")
    if tx.execute(update(rehearsals).where(*waiting).values(**values)).rowcount != 1:
        return False
    what = {"key": key, "action": row.action, "asset": row.asset, "state": values["state"]}
    found = compared.model_dump(mode="json") if compared else {}
    audit.append(tx, "plant", "rehearsal-compared", row.incident_id, what | {"compared": found}, now)
    return True


def get(tx: Connection, key: str) -> RehearsalRecord | None:
    row = tx.execute(select(rehearsals).where(rehearsals.c.key == key)).first()
    return None if row is None else _record(tx, row)


def list_all(tx: Connection, action: str, incident_id: str, limit: int) -> list[RehearsalRecord]:
    query = select(rehearsals).order_by(rehearsals.c.noted, rehearsals.c.key).limit(limit)
    if action:
        query = query.where(rehearsals.c.action == action)
    if incident_id:
        query = query.where(rehearsals.c.incident_id == incident_id)
    return [_record(tx, row) for row in tx.execute(query)]


def _record(tx: Connection, row: Row[Any]) -> RehearsalRecord:
    acted = tx.execute(select(actions.c.state, actions.c.dry_run).where(actions.c.key == row.key)).first()
    return RehearsalRecord(
        key=row.key, incident_id=row.incident_id, rehearsal=Rehearsal.model_validate_json(row.body),
        noted=moment(row.noted), due=moment(row.due), state=row.state,
        compared=Compared.model_validate_json(row.compared) if row.compared else None,
        acted=acted is not None and acted.state in LIVE and not acted.dry_run,
    )  # fmt: skip
