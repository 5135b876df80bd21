"""The story of one incident, from every table that knows a part of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from setpoint.contracts import Review
from setpoint.contracts.sinks import sink_label
from setpoint.ledger import actions, incidents, outbox
from setpoint.ledger.clock import moment
from setpoint.ledger.records import TimelineItem
from setpoint.ledger.schema import audit, diagnoses, reviews

_STAGE_WORDS = {
    "first": "Alert",
    "plain": "Alert in plain words",
    "update": "Update",
    "escalation": "Escalation",
    "resolved": "Resolved",
    "storm": "Summary of a storm",
}
_DECIDED = {
    "approve": "Approved",
    "edit": "Approved with changes",
    "reject": "Rejected",
    "respond": "Answered",
}


def of_incident(tx: Connection, incident_id: str, limit: int) -> list[TimelineItem]:
    """Oldest first. Of more than `limit` items the latest stay; UsageError for an unknown incident."""
    incidents.row_of(tx, incident_id)
    parts = (_events, _notices, _diagnoses, _reviews, _actions, _human)
    items = [item for part in parts for item in part(tx, incident_id)]
    return sorted(items, key=lambda item: item.time)[-limit:]


def _events(tx: Connection, incident_id: str) -> Iterator[TimelineItem]:
    for event in incidents.events_of(tx, incident_id, 10_000):
        text = f"{event.asset}: {event.message}"
        yield TimelineItem(time=event.time, kind="event", text=text, who=event.source, ref=event.id)


def _notices(tx: Connection, incident_id: str) -> Iterator[TimelineItem]:
    for delivery in outbox.list_all(tx, incident_id, (), 1000):
        notice = delivery.notice
        words = _STAGE_WORDS[notice.stage]
        text = f"{words} {_fate(delivery.state)} {sink_label(delivery.sink)}: {notice.title}"
        yield TimelineItem(
            time=delivery.sent or delivery.queued,
            kind="notice",
            text=text,
            who=notice.written_by,
            ref=delivery.key,
        )


def _fate(state: str) -> str:
    return {"sent": "sent to", "dead": "given up for", "superseded": "replaced by a newer one for"}.get(
        state, "waiting for"
    )


def _diagnoses(tx: Connection, incident_id: str) -> Iterator[TimelineItem]:
    query = select(diagnoses).where(diagnoses.c.incident_id == incident_id).order_by(diagnoses.c.number)
    for row in tx.execute(query):
        top = json.loads(row.body)["hypotheses"][0]
        text = f"Most likely cause: {top['title']} ({row.score:.0%})"
        yield TimelineItem(
            time=moment(row.recorded), kind="diagnosis", text=text, who=row.written_by, ref=str(row.number)
        )


def _reviews(tx: Connection, incident_id: str) -> Iterator[TimelineItem]:
    for row in tx.execute(select(reviews).where(reviews.c.incident_id == incident_id)):
        review = Review.model_validate_json(row.body)
        yield TimelineItem(time=review.created, kind="review", text=f"Asked: {review.subject}", ref=review.id)
        if row.closed is not None:
            decision = review.decision
            verdict = _DECIDED[decision.type] if decision else review.state.capitalize()
            text = f"{verdict}: {review.subject}"
            yield TimelineItem(
                time=moment(row.closed),
                kind="review",
                text=text,
                who=decision.who if decision else "",
                ref=review.id,
            )


def _actions(tx: Connection, incident_id: str) -> Iterator[TimelineItem]:
    for record in actions.list_all(tx, incident_id, (), 1000):
        name = f"{record.action.name} on {record.action.asset}"
        how = " (dry run)" if record.dry_run else ""
        yield TimelineItem(time=record.begun, kind="action", text=f"Started {name}{how}", ref=record.key)
        if record.finished is not None:
            text = f"{record.state.replace('_', ' ').capitalize()}: {name}. {record.message}"
            yield TimelineItem(time=record.finished, kind="action", text=text, ref=record.key)


def _human(tx: Connection, incident_id: str) -> Iterator[TimelineItem]:
    """Acknowledgements, corrections, escalations: what the audit says of the incident itself."""
    query = select(audit).where(audit.c.subject == incident_id, audit.c.what.like("incident-%"))
    for row in tx.execute(query.order_by(audit.c.number)):
        data = json.loads(row.data)
        verb = row.what.removeprefix("incident-").capitalize()
        named = (
            f"{data['field']} of the {data['part'].replace('-', ' ')}"
            if "part" in data
            else data.get("field")
        )
        detail = f" {named}: {_change(data)}" if named else ""
        detail += f" under {data['under']}" if "under" in data else ""
        why = f" ({data['why']})" if data.get("why") else ""
        yield TimelineItem(
            time=moment(row.time), kind="human", text=f"{verb}{detail}{why}", who=row.who, ref=str(row.number)
        )


def _change(data: dict[str, Any]) -> str:
    if data["field"] == "grouping":
        count = len(data["to"]["events"])
        return f"{count} {'event' if count == 1 else 'events'} moved to {data['to']['into']}"
    if "part" in data and not data["to"]:
        return f"found bad: {data['from']}"
    return str(data["to"]) if data["from"] is None else f"{data['from']} -> {data['to']}"
