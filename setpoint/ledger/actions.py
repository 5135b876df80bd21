"""Actions that were begun: each at most once, one at a time on an asset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, false, func, insert, select, update

from setpoint.contracts import Action, Outcome
from setpoint.errors import ActionRefused, UsageError
from setpoint.ledger import audit
from setpoint.ledger.clock import moment, moment_or_none, seconds
from setpoint.ledger.records import ActionRecord
from setpoint.ledger.schema import actions
from setpoint.ledger.writing import known, to_json


@dataclass(frozen=True)
class Start:
    """An approved action about to be executed."""

    key: str
    action: Action
    incident_id: str
    review_id: str
    approvers: tuple[str, ...]
    dry_run: bool
    token: str


def begin(tx: Connection, start: Start, now: datetime) -> bool:
    if known(tx, actions.c.key, [start.key]):
        return False
    _refuse_second(tx, start)
    row = {
        "key": start.key,
        "incident_id": start.incident_id,
        "asset": start.action.asset,
        "name": start.action.name,
        "args": to_json(start.action.args),
        "review_id": start.review_id,
        "approvers": to_json(start.approvers),
        "token": start.token,
        "dry_run": start.dry_run,
        "state": "executing",
        "begun": seconds(now),
        "outcome": "{}",
    }
    tx.execute(insert(actions).values(**row))
    what = {"key": start.key, "action": start.action.model_dump(mode="json"), "review": start.review_id,
            "approvers": list(start.approvers), "dry_run": start.dry_run}  # fmt: skip
    audit.append(tx, "executor", "action-begun", start.incident_id, what, now)
    return True


def _refuse_second(tx: Connection, start: Start) -> None:
    where = (actions.c.asset == start.action.asset, actions.c.state == "executing")
    row = tx.execute(select(actions).where(*where)).first()
    if row is not None:
        raise ActionRefused(
            f"{row.name} is still executing since {moment(row.begun):%H:%M:%S} UTC",
            where=start.action.asset,
            remedy="wait until it has ended; one action at a time on an asset",
        )


def finish(tx: Connection, key: str, outcome: Outcome, now: datetime) -> None:
    row = tx.execute(select(actions).where(actions.c.key == key)).first()
    if row is None:
        raise UsageError(f"no action was begun under {key!r}")
    if row.state != "executing":
        return
    values = {"state": outcome.state, "finished": seconds(now), "outcome": outcome.model_dump_json()}
    tx.execute(update(actions).where(actions.c.key == key).values(**values))
    audit.append(
        tx, "executor", "action-ended", row.incident_id, {"key": key} | outcome.model_dump(mode="json"), now
    )


def get(tx: Connection, key: str) -> ActionRecord | None:
    row = tx.execute(select(actions).where(actions.c.key == key)).first()
    return None if row is None else _record(row)


def list_all(tx: Connection, incident_id: str, states: Sequence[str], limit: int) -> list[ActionRecord]:
    query = select(actions).order_by(actions.c.number).limit(limit)
    if incident_id:
        query = query.where(actions.c.incident_id == incident_id)
    if states:
        query = query.where(actions.c.state.in_(states))
    return [_record(row) for row in tx.execute(query)]


def latest(tx: Connection, since: datetime, limit: int) -> list[ActionRecord]:
    """The last ones that were begun since then, in their order."""
    query = select(actions).where(actions.c.begun >= seconds(since)).order_by(actions.c.number.desc())
    return [_record(row) for row in tx.execute(query.limit(limit))][::-1]


def count_on(tx: Connection, asset: str, since: datetime) -> int:
    """Refused ones moved nothing; failed and unfinished ones may have."""
    query = select(func.count()).where(
        actions.c.asset == asset,
        actions.c.begun >= seconds(since),
        actions.c.dry_run == false(),
        actions.c.state.in_(("executing", "done", "failed")),
    )
    return tx.execute(query).scalar_one()


def _record(row: Row[Any]) -> ActionRecord:
    outcome = json.loads(row.outcome)
    return ActionRecord(
        key=row.key,
        incident_id=row.incident_id,
        action=Action(name=row.name, asset=row.asset, args=json.loads(row.args)),
        review_id=row.review_id,
        state=row.state,
        approvers=tuple(json.loads(row.approvers)),
        dry_run=row.dry_run,
        begun=moment(row.begun),
        finished=moment_or_none(row.finished),
        message=outcome.get("message", ""),
        before=outcome.get("before", {}),
        after=outcome.get("after", {}),
    )
