"""The texts of an incident that people read, found and replaced where they stand.

What stood before is kept with the correction (feedback) and in the audit chain; here stands what is shown now.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select, update

from setpoint.contracts import Diagnosis, Notice
from setpoint.contracts.wording import CORRECTED_BY, Wording, is_part, split_alert
from setpoint.errors import UsageError
from setpoint.ledger.schema import diagnoses, outbox

ALERTS = ("first", "plain")
"""Stages of a notice whose text says what is wrong."""


@dataclass(frozen=True)
class Text:
    """One text as it stands."""

    part: str
    text: str
    written_by: str
    origin: Wording | None = None
    """What it was written from, where that was kept."""


def find(tx: Connection, incident_id: str, part: str) -> Text:
    """Raises UsageError where the incident has no such text."""
    if part == "alert":
        return _of_alert(_alert(tx, incident_id))
    diagnosis = _analysis(tx, incident_id, part)[1]
    return _of_analysis(diagnosis)[0 if part == "summary" else _place(diagnosis, part) + 1]


def list_all(tx: Connection, incident_id: str) -> list[Text]:
    """All there are, in the order in which they are read."""
    found = []
    with suppress(UsageError):
        found.append(_of_alert(_alert(tx, incident_id)))
    with suppress(UsageError):
        found += _of_analysis(_analysis(tx, incident_id, "summary")[1])
    return found


def _of_alert(notice: Notice) -> Text:
    return Text("alert", split_alert(notice.text)[0], notice.written_by, notice.origin)


def _of_analysis(diagnosis: Diagnosis) -> list[Text]:
    """Its summary, then its steps."""
    by = diagnosis.summary_by or diagnosis.written_by
    steps = [
        Text(f"step-{number}", step.text, step.written_by, step.origin)
        for number, step in enumerate(diagnosis.steps, 1)
    ]
    return [Text("summary", diagnosis.summary, by, diagnosis.summary_origin), *steps]


def put(tx: Connection, incident_id: str, part: str, text: str, who: str) -> None:
    """Show what a person said in the place of what stands. With "" it stays and is marked as found bad."""
    now = find(tx, incident_id, part)
    by = f"{CORRECTED_BY}{who}" if text else f"{now.written_by}, found bad by {who}"
    after = replace(now, text=text or now.text, written_by=by)
    if part == "alert":
        _put_alert(tx, incident_id, after)
    else:
        _put_analysis(tx, incident_id, after)


def _put_alert(tx: Connection, incident_id: str, after: Text) -> None:
    """In every sink's row of that version: what has not gone out yet goes out in the better words."""
    notice = _alert(tx, incident_id)
    better = notice.model_copy(
        update={"text": after.text + split_alert(notice.text)[1], "written_by": after.written_by}
    )
    where = (outbox.c.incident_id == incident_id, outbox.c.dedup_key == notice.dedup_key)
    rows = outbox.c.version == notice.version
    tx.execute(update(outbox).where(*where, rows).values(body=better.model_dump_json()))


def _put_analysis(tx: Connection, incident_id: str, after: Text) -> None:
    number, diagnosis = _analysis(tx, incident_id, after.part)
    if after.part == "summary":
        changed: dict[str, Any] = {"summary": after.text, "summary_by": after.written_by}
    else:
        at = _place(diagnosis, after.part)
        step = diagnosis.steps[at].model_copy(update={"text": after.text, "written_by": after.written_by})
        changed = {"steps": (*diagnosis.steps[:at], step, *diagnosis.steps[at + 1 :])}
    body = diagnosis.model_copy(update=changed).model_dump_json()
    tx.execute(update(diagnoses).where(diagnoses.c.number == number).values(body=body))


def _alert(tx: Connection, incident_id: str) -> Notice:
    query = select(outbox.c.body).where(outbox.c.incident_id == incident_id, outbox.c.stage.in_(ALERTS))
    body = tx.execute(query.order_by(outbox.c.version.desc(), outbox.c.number).limit(1)).scalar()
    if body is None:
        raise UsageError(
            f"nobody was alerted of {incident_id}: it has no alert text",
            remedy="Correct its summary or a step instead",
        )
    return Notice.model_validate_json(body)


def _analysis(tx: Connection, incident_id: str, part: str) -> tuple[int, Diagnosis]:
    if not is_part(part):
        raise UsageError(f"no text is called {part!r}", remedy="One of: alert, summary, step-1, step-2 ...")
    query = select(diagnoses.c.number, diagnoses.c.body).where(diagnoses.c.incident_id == incident_id)
    row = tx.execute(query.order_by(diagnoses.c.number.desc()).limit(1)).first()
    if row is None:
        raise UsageError(f"{incident_id} has no analysis yet", remedy="Correct its alert instead")
    diagnosis = Diagnosis.model_validate_json(row.body)
    if part != "summary":
        _place(diagnosis, part)
    return int(row.number), diagnosis


def _place(diagnosis: Diagnosis, part: str) -> int:
    """Of a step, counted from 0."""
    place = int(part.removeprefix("step-")) - 1
    if place >= len(diagnosis.steps):
        raise UsageError(
            f"the analysis of {diagnosis.incident_id} has no {part.replace('-', ' ')}",
            remedy=f"It has {len(diagnosis.steps)}: `setpoint incidents show {diagnosis.incident_id}`",
        )
    return place
