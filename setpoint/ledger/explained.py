"""Incidents that another incident's cause explains: grouped under it, reversibly, and nothing of them hidden.

A grouped incident keeps its state, events, escalation and page. Its further notices become updates of the incident
whose cause explains it, except where it is a P0. What a person took out stays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from setpoint.contracts import PRIORITIES, Notice
from setpoint.errors import UsageError
from setpoint.ledger import audit
from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.records import Explained
from setpoint.ledger.schema import explained, incidents
from setpoint.ledger.writing import chunks

LIVE = ("open", "acknowledged")
_REDIRECTED = ("first", "plain", "update", "resolved")
"""Stages that become an update of the explaining incident. Escalations and storms go out as they are."""


def group(
    tx: Connection, root_id: str, ids: Sequence[str], cause: str, who: str, why: str, now: datetime
) -> list[str]:
    """Put incidents under the one whose cause explains them. Returns those that were not there before.

    Left out: the root itself, unknown ones, those a person took out. What stood under one of them comes along, so
    that there is one level only. Raises UsageError for an unknown root.
    """
    known = _rows(tx, ids)
    top = root_of(tx, root_id) or _checked(tx, root_id)
    done = []
    for name in _existing(tx, ids):
        row = known.get(name)
        if name == top or (row is not None and (row.apart or row.root_id == top)):
            continue
        tx.execute(delete(explained).where(explained.c.incident_id == name))
        values = {"incident_id": name, "root_id": top, "cause": cause, "who": who, "why": why, "apart": False}
        tx.execute(insert(explained).values(**values, since=seconds(now)))
        tx.execute(update(explained).where(explained.c.root_id == name).values(root_id=top))
        audit.append(tx, who, "incident-grouped", name, {"under": top, "cause": cause, "why": why}, now)
        done.append(name)
    return done


def ungroup(
    tx: Connection, incident_id: str, who: str, why: str, now: datetime, *, by_person: bool
) -> Explained:
    """Take it out again. Taken out by a person it is never grouped again by Setpoint. Raises UsageError where it
    stands under none."""
    row = _rows(tx, [incident_id]).get(incident_id)
    if row is None or row.apart:
        raise UsageError(
            f"{incident_id} is not grouped under another incident",
            remedy="`setpoint incidents causes` shows which are",
        )
    where = explained.c.incident_id == incident_id
    if by_person:
        values = {"apart": True, "who": who, "why": why, "since": seconds(now)}
        tx.execute(update(explained).where(where).values(**values))
    else:
        tx.execute(delete(explained).where(where))
    audit.append(tx, who, "incident-ungrouped", incident_id, {"from": row.root_id, "why": why}, now)
    return _explained(row)


def list_all(tx: Connection) -> list[Explained]:
    """Every incident that stands under another one, oldest first."""
    query = select(explained).where(explained.c.apart.is_(False)).order_by(explained.c.since)
    return [_explained(row) for row in tx.execute(query)]


def kept_apart(tx: Connection) -> set[str]:
    """Incidents that a person took out."""
    return set(tx.execute(select(explained.c.incident_id).where(explained.c.apart.is_(True))).scalars())


def root_of(tx: Connection, incident_id: str) -> str:
    """The incident that explains it, "" for none."""
    row = _rows(tx, [incident_id]).get(incident_id)
    return "" if row is None or row.apart else str(row.root_id)


def redirected(tx: Connection, notices: Sequence[Notice]) -> list[Notice]:
    """Notices of grouped incidents as updates of the incident that explains them, while that one is live."""
    rows = _rows(tx, list({notice.incident_id for notice in notices}))
    roots = {name: row.root_id for name, row in rows.items() if not row.apart}
    if not roots:
        return list(notices)
    query = select(incidents.c.id, incidents.c.priority).where(
        incidents.c.id.in_(sorted({*roots.values()})), incidents.c.state.in_(LIVE)
    )
    live = {row.id: row.priority for row in tx.execute(query)}
    return [
        _under(notice, root, live[root])
        if (root := roots.get(notice.incident_id, "")) in live
        and notice.stage in _REDIRECTED
        and notice.priority != PRIORITIES[0]
        else notice
        for notice in notices
    ]


def _under(notice: Notice, root: str, priority: str) -> Notice:
    return Notice.model_validate(
        notice.model_dump()
        | {
            "incident_id": root,
            "dedup_key": root,
            "version": 0,
            "stage": "update",
            "priority": min(priority, notice.priority),
            "title": f"Also explained by this: {notice.title}",
            "text": f"{notice.incident_id}: {notice.text}",
        }
    )


def _checked(tx: Connection, incident_id: str) -> str:
    if not _existing(tx, [incident_id]):
        raise UsageError(f"no incident {incident_id!r}", remedy="`setpoint incidents list` shows them")
    return incident_id


def _existing(tx: Connection, ids: Sequence[str]) -> list[str]:
    """Those that exist and were not merged away, in the order given."""
    found: set[str] = set()
    for part in chunks(list(ids)):
        query = select(incidents.c.id).where(incidents.c.id.in_(part), incidents.c.merged_into == "")
        found.update(tx.execute(query).scalars())
    return [name for name in dict.fromkeys(ids) if name in found]


def _rows(tx: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for part in chunks(list(ids)):
        for row in tx.execute(select(explained).where(explained.c.incident_id.in_(part))):
            found[row.incident_id] = row
    return found


def _explained(row: Row[Any]) -> Explained:
    return Explained(
        incident_id=row.incident_id, root_id=row.root_id, cause=row.cause, since=moment(row.since),
        who=row.who, why=row.why,
    )  # fmt: skip
