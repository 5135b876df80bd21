"""A person's correction of an incident: applied to it, and kept as feedback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, Row, insert, select, update

from setpoint.contracts import PRIORITIES, Feedback, FeedbackField
from setpoint.contracts.wording import Wording, task_of
from setpoint.errors import UsageError
from setpoint.ledger import audit, diagnoses, feedback, texts
from setpoint.ledger.clock import seconds
from setpoint.ledger.incidents import count_links, events_of, row_of
from setpoint.ledger.schema import incident_events, incidents
from setpoint.ledger.writing import chunks, known


@dataclass(frozen=True)
class Correction:
    """What somebody says is wrong with an incident, and what is right."""

    incident_id: str
    field: FeedbackField
    value: JsonValue
    who: str
    why: str
    versions: dict[str, str]
    evidence: tuple[str, ...] = ()
    simulated: bool = False
    origin: Wording | None = None
    """What the corrected text was written from, where the ledger does not know it: a template's."""


def correct(tx: Connection, correction: Correction, now: datetime) -> Feedback:
    """Apply and record. Raises UsageError for a field or value that cannot be."""
    _check_person(correction)
    row = row_of(tx, correction.incident_id)
    proposed = _present(tx, row, correction)
    said = _said_already(tx, correction)
    if said is not None:
        return said
    decided = _apply(tx, row, correction)
    item = feedback.make(
        time=now,
        subject=correction.incident_id,
        version=row.revision,
        field=correction.field,
        proposed=proposed,
        decided=decided,
        who=correction.who.strip(),
        why=correction.why,
        evidence=correction.evidence,
        versions=correction.versions,
        simulated=correction.simulated,
    )
    feedback.add(tx, item)
    _raise_revision(tx, row)
    what = {
        "field": correction.field,
        **_told(proposed, decided),
        "why": correction.why,
        "feedback": item.id,
    }
    audit.append(tx, item.who, "incident-corrected", correction.incident_id, what, now)
    return item


def _told(proposed: JsonValue, decided: JsonValue) -> dict[str, JsonValue]:
    """What was changed, for the audit chain. Of a text only the text: what it was written from stands in the feedback."""
    if isinstance(proposed, dict) and isinstance(decided, dict) and "part" in decided:
        return {"part": decided["part"], "from": proposed["text"], "to": decided["text"]}
    return {"from": proposed, "to": decided}


def _check_person(correction: Correction) -> None:
    if not correction.who.strip():
        raise UsageError("a correction needs to say who made it", remedy="give --who or set USER")


def _said_already(tx: Connection, correction: Correction) -> Feedback | None:
    """The latest word on this field, where it is the same person saying the same thing (a double click)."""
    earlier = feedback.list_all(tx, correction.incident_id, (correction.field,), True, 100_000)
    if not earlier or earlier[-1].who != correction.who.strip():
        return None
    decided = earlier[-1].decided
    same = decided == correction.value or (
        isinstance(decided, dict) and decided.get("into") == correction.value
    )
    return earlier[-1] if same else None


def _present(tx: Connection, row: Row[Any], correction: Correction) -> JsonValue:
    """What stands now."""
    field = correction.field
    if field == "priority":
        return str(row.priority)
    if field == "wording":
        return _text(tx, row, correction) if isinstance(correction.value, dict) else str(row.title)
    if field == "cause":
        if row.cause:
            return str(row.cause)
        diagnosis = diagnoses.latest(tx, row.id)
        return diagnosis.top.cause if diagnosis else "unknown"
    if field == "guide_step" and isinstance(correction.value, dict):
        return _step(tx, row, correction.value.get("step"))
    return str(row.id) if field == "grouping" else None


def _text(tx: Connection, row: Row[Any], correction: Correction) -> JsonValue:
    """The text that stands, with all that a lesson needs of it."""
    part, _ = _part_and_text(correction.value)
    now = texts.find(tx, row.id, part)
    origin = now.origin or correction.origin or Wording(task=task_of(part))
    return {
        "part": part,
        "text": now.text,
        "words": origin.words,
        "task": origin.task,
        "inputs": origin.inputs,
        "written_by": now.written_by,
    }


def _part_and_text(value: JsonValue) -> tuple[str, str]:
    part, text = (value.get("part"), value.get("text")) if isinstance(value, dict) else (None, None)
    if not isinstance(part, str) or not isinstance(text, str):
        raise UsageError("the corrected text cannot be read", remedy='give {"part": ..., "text": ...}')
    return part, text


def _step(tx: Connection, row: Row[Any], place: JsonValue) -> JsonValue:
    """The guide's step of that number, counted from 1."""
    diagnosis = diagnoses.latest(tx, row.id)
    steps = diagnosis.guide.steps if diagnosis else ()
    if not isinstance(place, int) or not 1 <= place <= len(steps):
        return None
    return {"step": place, "text": steps[place - 1].text}


def _apply(tx: Connection, row: Row[Any], correction: Correction) -> JsonValue:
    """Change the incident; returns what to record as decided."""
    field, value = correction.field, correction.value
    if field == "grouping":
        return _regroup(tx, row, value)
    if field == "guide_step":
        return value
    if field == "wording" and isinstance(value, dict):
        part, text = _part_and_text(value)
        texts.put(tx, row.id, part, text, correction.who.strip())
        return {"part": part, "text": text}
    column = {"priority": "priority", "wording": "title", "cause": "cause"}.get(field)
    if column is None:
        raise UsageError(
            f"{field!r} is not a field of an incident",
            remedy="correct priority, cause, grouping, wording or guide_step; decide actions in `setpoint review`",
        )
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"the corrected {field} must be a text")
    if field == "priority" and value not in PRIORITIES:
        raise UsageError(f"{value!r} is no priority", remedy="one of " + ", ".join(PRIORITIES))
    fixed = sorted({*json.loads(row.fixed), column})
    values = {column: value, "fixed": json.dumps(fixed)}
    tx.execute(update(incidents).where(incidents.c.id == row.id).values(**values))
    return value


def _raise_revision(tx: Connection, row: Row[Any]) -> None:
    where = incidents.c.id == row.id
    tx.execute(update(incidents).where(where).values(revision=incidents.c.revision + 1))


# ---- grouping ---------------------------------------------------------------------------------------------


def _regroup(tx: Connection, row: Row[Any], value: JsonValue) -> JsonValue:
    """Move events to another incident; a whole incident that moves is closed and points to where it went."""
    own = list(
        tx.execute(
            select(incident_events.c.event_id).where(incident_events.c.incident_id == row.id)
        ).scalars()
    )
    events, into = _wanted(row.id, value, own)
    target = into or _open_split(tx, row, events)
    target_row = row_of(tx, target)
    if target_row.merged_into:
        raise UsageError(f"{target} was merged into {target_row.merged_into}", remedy="name that one")
    for part in chunks(events):
        where = incident_events.c.event_id.in_(part)
        tx.execute(update(incident_events).where(where).values(incident_id=target))
    if len(events) == len(own):
        where = incidents.c.id == row.id
        tx.execute(update(incidents).where(where).values(state="closed", merged_into=target, event_count=0))
    else:
        _recount(tx, row.id)
    _recount(tx, target)
    if into:
        _raise_revision(tx, target_row)
    moved: list[JsonValue] = list(events)
    return {"events": moved, "into": target}


def _wanted(own_id: str, value: JsonValue, own: Sequence[str]) -> tuple[list[str], str]:
    """(event ids, target id; "" for a new incident) out of what the person gave."""
    shape = f'give an incident id, or {{"events": [...], "into": "INC-..."}}, about events of {own_id}'
    named = value.get("events") if isinstance(value, dict) else None
    if isinstance(value, str) and value:
        events, into = list(own), value
    elif isinstance(value, dict) and isinstance(named, list):
        events, into = [str(event) for event in named], str(value.get("into") or "")
    else:
        raise UsageError("the corrected grouping cannot be read", remedy=shape)
    strangers = set(events) - set(own)
    if strangers:
        raise UsageError(f"event {min(strangers)!r} is not in {own_id}", remedy=shape)
    if not events or into == own_id or (not into and len(events) == len(own)):
        raise UsageError("this grouping changes nothing", remedy=shape)
    return events, into


def _open_split(tx: Connection, row: Row[Any], events: Sequence[str]) -> str:
    """A new incident for events split off. Its id extends the old one: triage counts plain numbers itself."""
    root = row.id.split("-part")[0]
    names = [f"{root}-part{n}" for n in range(2, 1000)]
    taken = known(tx, incidents.c.id, names)
    name = next(candidate for candidate in names if candidate not in taken)
    values = dict(row._mapping) | {
        "id": name,
        "group_key": f"{row.group_key}#{name}",
        "grouped_by": "split off by a person",
        "fixed": json.dumps(["grouped_by"]),
        "cause": "",
        "revision": 0,
        "event_count": len(events),
    }
    tx.execute(insert(incidents).values(**values))
    return name


def _recount(tx: Connection, incident_id: str) -> None:
    """Bring count, assets and times of an incident in line with the events it has now."""
    events = events_of(tx, incident_id, 100_000)
    values: dict[str, Any] = {"event_count": count_links(tx, incident_id)}
    if events:
        values |= {
            "assets": json.dumps(list(dict.fromkeys(event.asset for event in events)), ensure_ascii=False),
            "opened": seconds(min(event.time for event in events)),
            "updated": seconds(max(event.time for event in events)),
        }
    tx.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))
