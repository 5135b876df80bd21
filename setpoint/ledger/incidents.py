"""Incidents: what triage makes of them, and what people change about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, func, insert, select, update

from setpoint.contracts import PRIORITIES, Event, Incident, IncidentState, Notice, Priority
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.contracts.sinks import sink_label
from setpoint.errors import BackendError, UsageError
from setpoint.ledger import audit, outbox
from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.inbox import event_of
from setpoint.ledger.records import Escalation
from setpoint.ledger.schema import inbox, incident_events, incidents
from setpoint.ledger.writing import chunks, insert_rows

_PLAIN = ("id", "group_key", "title", "priority", "state", "event_count", "path", "grouped_by", "revision")
"""Fields kept as they are in a column of the same name."""


def row_of(tx: Connection, incident_id: str) -> Row[Any]:
    """The stored row; UsageError where there is none."""
    row = tx.execute(select(incidents).where(incidents.c.id == incident_id)).first()
    if row is None:
        raise UsageError(f"no incident {incident_id!r}", remedy="`setpoint incidents list` shows them")
    return row


def incident_from(row: Row[Any]) -> Incident:
    columns = {name: getattr(row, name) for name in _PLAIN}
    columns |= {
        "opened": moment(row.opened),
        "updated": moment(row.updated),
        "assets": tuple(json.loads(row.assets)),
    }
    return Incident.model_validate_json(row.body).model_copy(update=columns)


def get(tx: Connection, incident_id: str) -> Incident:
    return incident_from(row_of(tx, incident_id))


def find(tx: Connection, ids: Sequence[str]) -> list[Incident]:
    """Those of `ids` that exist."""
    return [incident_from(row) for row in _rows(tx, ids).values()]


def list_all(
    tx: Connection,
    states: Sequence[IncidentState],
    priorities: Sequence[Priority],
    since: datetime | None,
    asset: str,
    limit: int,
) -> list[Incident]:
    query = select(incidents).order_by(incidents.c.priority, incidents.c.updated.desc()).limit(limit)
    if states:
        query = query.where(incidents.c.state.in_(states))
    if priorities:
        query = query.where(incidents.c.priority.in_(priorities))
    if since is not None:
        query = query.where(incidents.c.updated >= seconds(since))
    if asset:
        query = query.where(
            incidents.c.assets.contains(json.dumps(asset, ensure_ascii=False), autoescape=True)
        )
    return [incident_from(row) for row in tx.execute(query)]


def events_of(tx: Connection, incident_id: str, limit: int) -> list[Event]:
    query = (
        select(inbox.c.body)
        .join(incident_events, incident_events.c.event_id == inbox.c.id)
        .where(incident_events.c.incident_id == incident_id)
        .order_by(inbox.c.time, inbox.c.number)
        .limit(limit)
    )
    return [event_of(body) for body in tx.execute(query).scalars()]


def incident_of(tx: Connection, event_id: str) -> str:
    query = select(incident_events.c.incident_id).where(incident_events.c.event_id == event_id)
    return tx.execute(query).scalar() or ""


def corrected_cause(tx: Connection, incident_id: str) -> str:
    return str(row_of(tx, incident_id).cause)


# ---- what triage writes -----------------------------------------------------------------------------------


def upsert(tx: Connection, dispatch: Dispatch, fresh: Sequence[Ranked], now: datetime) -> list[Incident]:
    """Write the batch's incidents and event links. Returns the incidents as they stand."""
    stored = _rows(tx, [incident.id for incident in dispatch.incidents])
    _check_ids(dispatch, stored)
    targets = {name: row.merged_into for name, row in stored.items() if row.merged_into}
    _insert(tx, [incident for incident in dispatch.incidents if incident.id not in stored])
    kept = [one for one in dispatch.incidents if one.id in stored and one.id not in targets]
    _update(tx, [(stored[one.id], one) for one in kept], now)
    _link(tx, fresh, targets)
    for incident in dispatch.incidents:
        if incident.id in targets:
            _absorb(tx, targets[incident.id], incident)
    return find(tx, [targets.get(incident.id, incident.id) for incident in dispatch.incidents])


def _rows(tx: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for part in chunks(list(dict.fromkeys(ids))):
        found.update({row.id: row for row in tx.execute(select(incidents).where(incidents.c.id.in_(part)))})
    return found


def _check_ids(dispatch: Dispatch, stored: dict[str, Row[Any]]) -> None:
    """A new incident under an id that stands for another one would swallow it."""
    for incident in dispatch.incidents:
        row = stored.get(incident.id)
        if incident.id in dispatch.new_incidents and row is not None and row.group_key != incident.group_key:
            raise BackendError(
                f"incident {incident.id} exists already for {row.group_key!r}: its id was given twice",
                where="ledger",
                remedy="run one triage worker per ledger, and restart it so that it reads the ledger again",
            )


def _insert(tx: Connection, new: Sequence[Incident]) -> None:
    rows = [
        _columns(incident)
        | {"cause": "", "fixed": "[]", "merged_into": "", "notified": None, "escalation_level": 0}
        for incident in new
    ]
    if rows:
        tx.execute(insert(incidents), rows)


def _columns(incident: Incident) -> dict[str, Any]:
    return {name: getattr(incident, name) for name in _PLAIN} | {
        "opened": seconds(incident.opened),
        "updated": seconds(incident.updated),
        "assets": json.dumps(incident.assets, ensure_ascii=False),
        "body": incident.model_dump_json(),
    }


def _update(tx: Connection, pairs: Sequence[tuple[Row[Any], Incident]], now: datetime) -> None:
    """Triage's view over the stored one, except for what a person fixed. One statement for all: building one for
    each incident would cost more than running it."""
    changes = []
    for row, incident in pairs:
        values = _columns(incident)
        for field in json.loads(row.fixed):
            values[field] = getattr(row, field)
        values["state"] = _state_after(row.state, incident.state)
        values["revision"] = max(row.revision, incident.revision)
        if row.state == "closed" and values["state"] == "open":
            audit.append(tx, "triage", "incident-reopened", row.id, {"events": incident.event_count}, now)
        changes.append({f"new_{name}": value for name, value in values.items()})
    if changes:
        tx.execute(_rewrite(tuple(changes[0])), changes)


@cache
def _rewrite(names: tuple[str, ...]) -> Update:
    columns = [name.removeprefix("new_") for name in names]
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns if name != "id"}
    return update(incidents).where(incidents.c.id == bindparam("new_id")).values(new)


def _state_after(stored: IncidentState, new: IncidentState) -> IncidentState:
    """Triage says open or resolved; it never takes an acknowledgement back, and never closes.

    A condition that fires again opens a resolved or closed incident again.
    """
    if new == "open" and stored == "acknowledged":
        return "acknowledged"
    if new == "resolved" and stored == "closed":
        return "closed"
    return new


def _link(tx: Connection, fresh: Sequence[Ranked], targets: dict[str, str]) -> None:
    insert_rows(
        tx,
        incident_events,
        [
            {"event_id": ranked.event.id, "incident_id": targets.get(ranked.incident_id, ranked.incident_id)}
            for ranked in fresh
            if ranked.incident_id
        ],
    )


def _absorb(tx: Connection, target_id: str, incident: Incident) -> None:
    """New events of an incident that a person merged away count for the one it went into."""
    row = row_of(tx, target_id)
    values = {
        "assets": json.dumps(
            list(dict.fromkeys([*json.loads(row.assets), *incident.assets])), ensure_ascii=False
        ),
        "updated": max(row.updated, seconds(incident.updated)),
        "event_count": count_links(tx, target_id),
        "priority": min(row.priority, incident.priority),
        "state": _state_after(row.state, "open" if incident.state == "open" else row.state),
        "revision": row.revision + 1,
    }
    for field in json.loads(row.fixed):
        values.pop(field, None)
    tx.execute(update(incidents).where(incidents.c.id == target_id).values(**values))


def count_links(tx: Connection, incident_id: str) -> int:
    query = (
        select(func.count()).select_from(incident_events).where(incident_events.c.incident_id == incident_id)
    )
    return tx.execute(query).scalar_one()


# ---- what people change -----------------------------------------------------------------------------------


def set_state(
    tx: Connection, incident_id: str, state: IncidentState, who: str, why: str, now: datetime
) -> Incident:
    row = row_of(tx, incident_id)
    if row.state != state:
        tx.execute(update(incidents).where(incidents.c.id == incident_id).values(state=state))
        audit.append(tx, who, f"incident-{state}", incident_id, {"from": row.state, "why": why}, now)
    return get(tx, incident_id)


def acknowledge(tx: Connection, incident_id: str, who: str, why: str, now: datetime) -> Incident:
    row = row_of(tx, incident_id)
    if row.state in ("resolved", "closed"):
        raise UsageError(f"{incident_id} is {row.state}: there is nothing to acknowledge")
    return set_state(tx, incident_id, "acknowledged", who, why, now)


# ---- escalation -------------------------------------------------------------------------------------------


def due_escalations(tx: Connection, after_s: float, max_level: int, now: datetime) -> list[Escalation]:
    query = select(incidents).where(
        incidents.c.state == "open",
        incidents.c.priority == PRIORITIES[0],
        incidents.c.notified <= seconds(now) - after_s,
        incidents.c.escalation_level < max_level,
    )
    return [
        Escalation(
            incident=incident_from(row), level=row.escalation_level, waiting_s=seconds(now) - row.notified
        )
        for row in tx.execute(query.order_by(incidents.c.notified))
    ]


def escalate(
    tx: Connection, incident_id: str, notice: Notice | None, sink: str, who: str, why: str, now: datetime
) -> int:
    row = row_of(tx, incident_id)
    level = int(row.escalation_level) + 1
    values = {"escalation_level": level, "notified": seconds(now)}
    tx.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))
    if notice is not None:
        outbox.queue(tx, [outbox.Outgoing(notice)], (sink,), now)
    audit.append(
        tx,
        who,
        "incident-escalated",
        incident_id,
        {"level": level, "sink": sink_label(sink), "why": why},
        now,
    )
    return level
