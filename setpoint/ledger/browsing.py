"""Pages of incidents and of reviews as a person turns through them: filtered and cut by the database, whatever the number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from setpoint.contracts import Incident, IncidentState, Priority, Review
from setpoint.contracts.event import Frozen
from setpoint.ledger import explained
from setpoint.ledger.clock import moment
from setpoint.ledger.incidents import incident_from
from setpoint.ledger.opened import Store
from setpoint.ledger.schema import audit, diagnoses, incidents, reviews


class Listed(Frozen):
    """One incident as a list shows it."""

    incident: Incident
    cause: str = ""
    """Root-cause id of its last analysis, or the one that a person set; "" where it was not analysed."""
    share: float | None = None
    """Of belief in that cause; None where a person set it, or there is none."""
    holder: str = ""
    """Who acknowledged it last, while it is acknowledged."""
    explains: int = 0
    """Incidents that are grouped under it."""
    explained_by: str = ""


class Ended(Frozen):
    """A review that waits no more."""

    review: Review
    closed: datetime


@dataclass(frozen=True)
class Wanted:
    """Which incidents; what is empty matches all."""

    states: Sequence[IncidentState] = ()
    priorities: Sequence[Priority] = ()
    asset: str = ""
    """Part of an asset's name."""
    text: str = ""
    """Part of the id, the title or an asset's name, in either case."""


class Browsing(Store):
    """Reading for pages."""

    def browse_incidents(self, wanted: Wanted, limit: int, offset: int = 0) -> tuple[list[Listed], int]:
        """Most urgent first, then the latest; with how many there are in all. Those merged away are left out."""
        with self._db.read() as tx:
            total = tx.execute(_filtered(select(func.count()).select_from(incidents), wanted)).scalar_one()
            query = _filtered(select(incidents), wanted).order_by(
                incidents.c.priority, incidents.c.updated.desc(), incidents.c.id
            )
            return _listed(tx, tx.execute(query.limit(limit).offset(offset)).all()), total

    def browse_ended_reviews(self, limit: int, offset: int = 0) -> tuple[list[Ended], int]:
        """Decided, expired and withdrawn ones, the last first; with how many there are in all."""
        over = reviews.c.closed.is_not(None)
        with self._db.read() as tx:
            total = tx.execute(select(func.count()).select_from(reviews).where(over)).scalar_one()
            query = select(reviews).where(over).order_by(reviews.c.closed.desc(), reviews.c.number.desc())
            rows = tx.execute(query.limit(limit).offset(offset)).all()
            return [_ended(row.body, row.closed) for row in rows], total

    def review_ended(self, review_id: str) -> datetime | None:
        """When it was decided, withdrawn or expired; None while it waits, or where there is no such review."""
        with self._db.read() as tx:
            closed = tx.execute(select(reviews.c.closed).where(reviews.c.id == review_id)).scalar()
            return None if closed is None else moment(closed)

    def holder_of(self, incident_id: str) -> tuple[str, datetime] | None:
        """Who acknowledged it last, and when."""
        with self._db.read() as tx:
            return _holders(tx, [incident_id]).get(incident_id)

    def last_event(self) -> datetime | None:
        """Time of the last event of anything that is open or acknowledged; None where nothing is."""
        with self._db.read() as tx:
            query = select(func.max(incidents.c.updated)).where(incidents.c.state.in_(explained.LIVE))
            latest = tx.execute(query).scalar()
            return None if latest is None else moment(latest)


def _filtered(query: Select[Any], wanted: Wanted) -> Select[Any]:
    query = query.where(incidents.c.merged_into == "")
    if wanted.states:
        query = query.where(incidents.c.state.in_(wanted.states))
    if wanted.priorities:
        query = query.where(incidents.c.priority.in_(wanted.priorities))
    if wanted.asset:
        query = query.where(incidents.c.assets.icontains(wanted.asset, autoescape=True))
    if wanted.text:
        columns = (incidents.c.id, incidents.c.title, incidents.c.assets)
        query = query.where(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    return query


def _listed(tx: Connection, rows: Sequence[Any]) -> list[Listed]:
    """The rows with what other tables know of them, in one query each."""
    names = [row.id for row in rows]
    causes = _last_causes(tx, names)
    holders = _holders(tx, [row.id for row in rows if row.state == "acknowledged"])
    under = {one.incident_id: one.root_id for one in explained.list_all(tx)}
    explains = Counter(under.values())
    return [
        Listed(
            incident=incident_from(row),
            cause=row.cause or causes.get(row.id, ("", None))[0],
            share=None if row.cause else causes.get(row.id, ("", None))[1],
            holder=holders[row.id][0] if row.id in holders else "",
            explains=explains[row.id],
            explained_by=under.get(row.id, ""),
        )
        for row in rows
    ]


def _last_causes(tx: Connection, names: Sequence[str]) -> dict[str, tuple[str, float]]:
    last = (
        select(func.max(diagnoses.c.number))
        .where(diagnoses.c.incident_id.in_(names))
        .group_by(diagnoses.c.incident_id)
    )
    query = select(diagnoses.c.incident_id, diagnoses.c.cause, diagnoses.c.score)
    found = tx.execute(query.where(diagnoses.c.number.in_(last)))
    return {row.incident_id: (row.cause, row.score) for row in found}


def _holders(tx: Connection, names: Sequence[str]) -> dict[str, tuple[str, datetime]]:
    query = select(audit.c.subject, audit.c.who, audit.c.time).where(
        audit.c.subject.in_(names), audit.c.what == "incident-acknowledged"
    )
    return {row.subject: (row.who, moment(row.time)) for row in tx.execute(query.order_by(audit.c.number))}


def _ended(body: str, closed: float) -> Ended:
    return Ended(review=Review.model_validate_json(body), closed=moment(closed))
