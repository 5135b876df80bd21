"""Human judgements, and their export for training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, false, select

from setpoint.contracts import Feedback, FeedbackField
from setpoint.contracts.autonomy import AUTONOMY_WHO, plain_name
from setpoint.errors import UsageError
from setpoint.ledger.clock import seconds
from setpoint.ledger.schema import feedback, inbox, incident_events, incidents, reviews
from setpoint.ledger.writing import insert_rows, known, to_json

_EVENTS_IN_PROMPT = 10
EXPORTS = ("raw", "preference", "supervised", "labelled")


def make(
    *,
    time: datetime,
    subject: str,
    version: int,
    field: FeedbackField,
    proposed: JsonValue,
    decided: JsonValue,
    who: str,
    why: str,
    evidence: tuple[str, ...] = (),
    versions: dict[str, str] | None = None,
    simulated: bool = False,
) -> Feedback:
    """A feedback whose id follows from subject, version, field and person."""
    key = to_json([subject, version, field, person_key(who)])
    return Feedback(
        id=hashlib.sha256(key.encode()).hexdigest()[:24],
        time=time,
        subject=subject,
        version=version,
        field=field,
        proposed=proposed,
        decided=decided,
        difference=difference(_said(proposed, decided), decided),
        who=who,
        why=why,
        evidence=evidence,
        versions=versions or {},
        simulated=simulated,
    )


def _said(proposed: JsonValue, decided: JsonValue) -> JsonValue:
    """Of a corrected text what can be compared: which text, and how it read."""
    if isinstance(proposed, dict) and isinstance(decided, dict) and "part" in decided:
        return {key: proposed.get(key) for key in decided}
    return proposed


def person_key(who: str) -> str:
    """Two spellings of one name are one person.

    >>> person_key(" Ada  Lovelace ") == person_key("ada lovelace")
    True
    """
    return plain_name(who)


def difference(proposed: JsonValue, decided: JsonValue, path: str = "") -> JsonValue:
    """What changed: {path: [before, after]}; None where nothing did.

    >>> difference({"args": {"power_w": 500}}, {"args": {"power_w": 450}})
    {'args.power_w': [500, 450]}
    """
    return _changes(proposed, decided, path) or None


def _changes(before: JsonValue, after: JsonValue, path: str) -> dict[str, JsonValue]:
    if before == after:
        return {}
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {path or "value": [before, after]}
    found: dict[str, JsonValue] = {}
    for key in sorted({*before, *after}):
        found |= _changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    return found


def add(tx: Connection, item: Feedback) -> bool:
    """Keep it; False where this person has judged this version of this field before."""
    if known(tx, feedback.c.id, [item.id]):
        return False
    row = item.model_dump(include={"id", "subject", "version", "field", "who", "simulated"})
    insert_rows(tx, feedback, [row | {"time": seconds(item.time), "body": item.model_dump_json()}])
    return True


def list_all(
    tx: Connection, subject: str, fields: Sequence[str], simulated: bool, limit: int
) -> list[Feedback]:
    query = select(feedback.c.body).order_by(feedback.c.number).limit(limit)
    if subject:
        query = query.where(feedback.c.subject == subject)
    if fields:
        query = query.where(feedback.c.field.in_(fields))
    if not simulated:
        query = query.where(feedback.c.simulated == false())
    return [Feedback.model_validate_json(body) for body in tx.execute(query).scalars()]


# ---- export -----------------------------------------------------------------------------------------------


def export(tx: Connection, kind: str, simulated: bool) -> list[str]:
    """One JSON text per line; see Ledger.export_feedback."""
    if kind not in EXPORTS:
        raise UsageError(f"no export {kind!r}", remedy="one of " + ", ".join(EXPORTS))
    return list(_lines(tx, kind, simulated))


def _lines(tx: Connection, kind: str, simulated: bool) -> Iterator[str]:
    for item in list_all(tx, "", (), simulated, 10_000_000):
        if item.who == AUTONOMY_WHO:  # no judgement: what was signed for ran
            continue
        if kind == "raw":
            yield item.model_dump_json()
            continue
        example = _example(item, kind)
        if example is not None:
            meta = {"feedback": item.id, "field": item.field, "why": item.why, "versions": item.versions}
            yield to_json({"prompt": _prompt(tx, item), **example, "meta": meta})


def taught(item: Feedback) -> tuple[str, ...]:
    """The forms of training data that this one judgement becomes a line of; none where it is no person's, or a question
    that was answered."""
    if item.simulated or item.who == AUTONOMY_WHO:
        return ()
    return tuple(kind for kind in EXPORTS if kind != "raw" and _example(item, kind) is not None)


def _example(item: Feedback, kind: str) -> dict[str, Any] | None:
    """What one judgement teaches in this form, None where nothing."""
    verdict, proposed, wanted = _reading(item)
    if verdict == "respond":
        return None
    if kind == "labelled":
        return {"completion": proposed, "label": verdict == "approve"}
    if verdict == "reject":
        return None
    if kind == "supervised":
        return {"completion": wanted}
    return None if wanted == proposed else {"chosen": wanted, "rejected": proposed}


def _reading(item: Feedback) -> tuple[str, JsonValue, JsonValue]:
    """(verdict, what was proposed, what is right) of a decision or a correction."""
    decided = item.decided
    if isinstance(decided, dict) and isinstance(decided.get("type"), str):
        return str(decided["type"]), item.proposed, decided.get("action", item.proposed)
    if isinstance(decided, dict) and "part" in decided and isinstance(item.proposed, dict):
        verdict = "edit" if decided["text"] else "reject"
        return verdict, item.proposed["text"], decided["text"]
    return ("approve" if decided == item.proposed else "edit"), item.proposed, decided


def _prompt(tx: Connection, item: Feedback) -> dict[str, Any]:
    """The situation the judgement was made in, as data."""
    incident_id = _incident_of(tx, item.subject)
    row = tx.execute(select(incidents).where(incidents.c.id == incident_id)).first()
    prompt: dict[str, Any] = {"field": item.field, "subject": item.subject, "evidence": list(item.evidence)}
    if row is not None:
        prompt["incident"] = {"id": row.id, "title": row.title, "priority": row.priority,
                              "assets": json.loads(row.assets)}  # fmt: skip
        prompt["events"] = _events(tx, row.id)
    return prompt


def _incident_of(tx: Connection, subject: str) -> str:
    query = select(reviews.c.incident_id).where(reviews.c.id == subject)
    return tx.execute(query).scalar() or subject


def _events(tx: Connection, incident_id: str) -> list[dict[str, Any]]:
    query = (
        select(inbox.c.body)
        .join(incident_events, incident_events.c.event_id == inbox.c.id)
        .where(incident_events.c.incident_id == incident_id)
        .order_by(inbox.c.time)
        .limit(_EVENTS_IN_PROMPT)
    )
    kept = ("asset", "kind", "message", "severity", "metric", "value", "unit", "threshold")
    bodies = [json.loads(body) for body in tx.execute(query).scalars()]
    return [{key: body[key] for key in kept if key in body} for body in bodies]
