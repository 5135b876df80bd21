"""What autonomy is judged by: levels people gave, decisions people made, and what came of each action.

Levels and signatures stand in the audit chain alone. There is no second place that could say otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select

from plant.diagnosis.results import Band, Compared
from setpoint.contracts.action import ASK
from setpoint.contracts.autonomy import AUTONOMY_WHO, DecidedAction, Harm, LevelChange
from setpoint.errors import UsageError
from setpoint.ledger import audit
from setpoint.ledger import schema as db
from setpoint.ledger.clock import moment, moment_or_none, seconds
from setpoint.ledger.feedback import person_key
from setpoint.ledger.writing import chunks

ALONE = person_key(AUTONOMY_WHO)
_MOVED = ("executing", "done", "failed")


def subject_of(action: str) -> str:
    """What the audit rows of a kind are about."""
    return f"autonomy {action}"


# ---- levels -----------------------------------------------------------------------------------------------


def change(tx: Connection, item: LevelChange) -> LevelChange:
    said = item.model_dump(mode="json", exclude={"sound"})
    audit.append(tx, item.who, f"autonomy-{item.what}", subject_of(item.action), said, item.time)
    return item


def changes(tx: Connection, action: str) -> list[LevelChange]:
    """Oldest first. A row whose hash does not fit what it says is not sound."""
    query = select(db.audit).where(db.audit.c.subject == subject_of(action)).order_by(db.audit.c.number)
    return [_change(row) for row in tx.execute(query)]


def _change(row: Row[Any]) -> LevelChange:
    own = audit.digest_of(row.number, row.time, row.who, row.what, row.subject, row.data, row.previous)
    return LevelChange.model_validate(json.loads(row.data) | {"sound": own == row.digest})


# ---- harm -------------------------------------------------------------------------------------------------


def mark_harm(tx: Connection, named: str, who: str, why: str, now: datetime) -> Harm:
    row = _moved(tx, named)
    found = tx.execute(select(db.harms).where(db.harms.c.key == row.key)).first()
    if found is not None:
        return _harm(found)
    harm = Harm(key=row.key, action=row.name, who=who, why=why, time=now)
    tx.execute(insert(db.harms).values(**harm.model_dump() | {"time": seconds(now)}))
    audit.append(tx, who, "action-harmful", row.incident_id, {"key": row.key, "why": why}, now)
    return harm


def _moved(tx: Connection, named: str) -> Row[Any]:
    """The executed action of that key, or of the review of that id."""
    where = or_(db.actions.c.key == named, db.actions.c.review_id == named)
    row = tx.execute(select(db.actions).where(where).order_by(db.actions.c.number.desc())).first()
    if row is None:
        raise UsageError(
            f"no action {named!r}", remedy="Give the action's key, or the id of its review, as REV-3a06b7e807"
        )
    if row.dry_run or row.state not in _MOVED:
        raise UsageError(f"{named} moved nothing, so it did no harm", remedy="Correct the incident instead")
    return row


def _harm(row: Row[Any]) -> Harm:
    return Harm(key=row.key, action=row.action, who=row.who, why=row.why, time=moment(row.time))


# ---- decisions and what came of them ------------------------------------------------------------------------


def decided(tx: Connection, action: str) -> list[DecidedAction]:
    """Every final yes or no to a proposal of this kind, in the order decided; simulated decisions and answers are
    left out. What a person proposed says nothing for Setpoint's own judgement: it counts only where it did harm."""
    rows = tx.execute(_decisions(action)).all()
    escalations = _escalations(tx, sorted({row.incident_id for row in rows if row.finished is not None}))
    found = [_decided(row, escalations.get(row.incident_id, [])) for row in rows]
    return [one for one in found if one.harm or one.broke or not one.incident_id.startswith(ASK)]


def _decisions(action: str) -> Any:
    final, said, acted, run, harm = db.decisions, db.feedback, db.actions, db.rehearsals, db.harms
    same = and_(said.c.subject == final.c.review_id, said.c.version == final.c.version,
                said.c.who == final.c.who, said.c.simulated.is_(False))  # fmt: skip
    return (
        select(
            db.reviews.c.id, db.reviews.c.incident_id, final.c.time, final.c.who, final.c.who_key, final.c.type,
            final.c.version, acted.c.key, acted.c.asset, acted.c.state, acted.c.dry_run, acted.c.outcome,
            acted.c.finished, run.c.state.label("run_state"), run.c.came_true, run.c.due, run.c.body,
            run.c.compared, harm.c.who.label("harm_who"), harm.c.why.label("harm_why"),
            harm.c.time.label("harm_time"),
        )
        .join(final, final.c.final_of == db.reviews.c.id)
        .join(said, same)
        .join(acted, acted.c.review_id == db.reviews.c.id, isouter=True)
        .join(run, run.c.key == acted.c.key, isouter=True)
        .join(harm, harm.c.key == acted.c.key, isouter=True)
        .where(db.reviews.c.action == action, final.c.type.in_(("approve", "edit", "reject")))
        .order_by(final.c.number, acted.c.number)
    )  # fmt: skip


def _decided(row: Row[Any], escalations: Sequence[tuple[float, str]]) -> DecidedAction:
    after = next(
        ((at, who) for at, who in escalations if row.finished is not None and at >= row.finished), None
    )
    harmful = row.harm_time is not None
    return DecidedAction(
        review_id=row.id,
        incident_id=row.incident_id,
        decided=moment(row.time),
        who=row.who,
        type=row.type,
        changed=row.type == "edit" or row.version > 1,
        alone=row.who_key == ALONE,
        key=row.key or "",
        asset=row.asset or "",
        state=row.state,
        dry_run=bool(row.dry_run),
        message=json.loads(row.outcome).get("message", "") if row.outcome else "",
        finished=moment_or_none(row.finished),
        rehearsed=row.run_state in ("waiting", "compared"),
        came_true=row.came_true,
        compared=moment_or_none(row.due) if row.run_state == "compared" else None,
        broke=broken_limit(row.body, row.compared) if row.compared else "",
        harm=Harm(key=row.key, action="", who=row.harm_who, why=row.harm_why, time=moment(row.harm_time))
        if harmful
        else None,
        escalated=moment(after[0]) if after else None,
        escalated_by=after[1] if after else "",
    )  # fmt: skip


def _escalations(tx: Connection, incident_ids: Sequence[str]) -> dict[str, list[tuple[float, str]]]:
    """Those that people made. One that comes of nobody answering says nothing about an action."""
    found: dict[str, list[tuple[float, str]]] = {}
    rows = db.audit
    for part in chunks(incident_ids):
        query = select(rows.c.subject, rows.c.time, rows.c.who).where(
            rows.c.subject.in_(part), rows.c.what == "incident-escalated", rows.c.who != "setpoint"
        )
        for row in tx.execute(query.order_by(rows.c.number)):
            found.setdefault(row.subject, []).append((row.time, row.who))
    return found


@lru_cache(maxsize=2048)
def broken_limit(rehearsal: str, compared: str) -> str:
    """The first limit that the site was beyond after the action and not before it, in words; "" for none.

    Both are the ledger's JSON. A limit that was broken when the rehearsal began is not the action's doing.
    """
    observed = {row[0]: row[4] for row in Compared.model_validate_json(compared).rows}
    for found in json.loads(rehearsal)["bands"]:
        band = Band.model_validate(found)
        value = observed.get(f"{band.asset}.{band.metric}")
        if not band.limit_is or value is None:
            continue
        if _beyond(band, value) and not _beyond(band, band.without[0][1]):
            return f"{band.metric} of {band.asset} was {value:g}, limit {band.limit:g}"
    return ""


def _beyond(band: Band, value: float) -> bool:
    if band.limit is None:
        return False
    return value > band.limit if band.limit_is == "above" else value < band.limit


# ---- what ran alone ---------------------------------------------------------------------------------------


def alone_since(tx: Connection, action: str, since: datetime, before_review: str) -> int:
    """How many yeses autonomy gave; of any kind where `action` is "". Of those before it where a review is named."""
    final = db.decisions
    query = select(func.count()).where(
        final.c.who_key == ALONE, final.c.final_of.is_not(None), final.c.time >= seconds(since)
    )
    if action:
        query = query.join(db.reviews, db.reviews.c.id == final.c.review_id).where(
            db.reviews.c.action == action
        )
    if before_review:
        own = select(final.c.number).where(final.c.final_of == before_review).scalar_subquery()
        query = query.where(final.c.number < own)
    return tx.execute(query).scalar_one()
