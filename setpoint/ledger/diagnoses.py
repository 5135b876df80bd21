"""What the slow path concluded, with all that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from setpoint.contracts import Diagnosis, Notice, Review
from setpoint.contracts.dispatch import JobRequest
from setpoint.ledger import audit, jobs, outbox, reviews
from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.faults import LeaseLost
from setpoint.ledger.records import Job
from setpoint.ledger.schema import diagnoses


@dataclass(frozen=True)
class Consequences:
    """What is committed together with a diagnosis."""

    reviews: tuple[Review, ...] = ()
    notices: tuple[Notice, ...] = ()
    orders: tuple[JobRequest, ...] = ()
    finished_job: Job | None = None
    approvals_needed: dict[str, int] | None = None
    renewed: tuple[Review, ...] = ()
    """Questions that wait already, with what this diagnosis knows of them."""


def record(
    tx: Connection, diagnosis: Diagnosis, then: Consequences, sinks: tuple[str, ...], now: datetime
) -> None:
    """Raises LeaseLost before anything is written."""
    job = then.finished_job
    if job is not None and not jobs.finish(tx, job, now):
        raise LeaseLost(
            f"job {job.id} ({job.kind} {job.key}) belongs to another worker by now", where="ledger"
        )
    row = {
        "incident_id": diagnosis.incident_id,
        "revision": diagnosis.revision,
        "cause": diagnosis.top.cause,
        "score": diagnosis.top.score,
        "written_by": diagnosis.written_by,
        "recorded": seconds(now),
        "body": diagnosis.model_dump_json(),
    }
    tx.execute(insert(diagnoses).values(**row))
    for review in then.reviews:
        reviews.open_review(tx, review, (then.approvals_needed or {}).get(review.id, 1), now)
    for review in then.renewed:
        reviews.renew(tx, review, now)
    outbox.queue(tx, [outbox.Outgoing(notice) for notice in then.notices], sinks, now)
    for order in then.orders:
        jobs.enqueue(tx, jobs.order_of(order), now)
    summary = {"revision": diagnosis.revision, "cause": diagnosis.top.cause, "written_by": diagnosis.written_by,
               "proposals": [proposal.id for proposal in diagnosis.proposals]}  # fmt: skip
    audit.append(tx, "slow-path", "diagnosis", diagnosis.incident_id, summary, now)


def latest(tx: Connection, incident_id: str) -> Diagnosis | None:
    query = select(diagnoses.c.body).where(diagnoses.c.incident_id == incident_id)
    body = tx.execute(query.order_by(diagnoses.c.number.desc()).limit(1)).scalar()
    return None if body is None else Diagnosis.model_validate_json(body)


def list_all(tx: Connection, incident_id: str) -> list[Diagnosis]:
    query = select(diagnoses.c.body).order_by(diagnoses.c.number)
    if incident_id:
        query = query.where(diagnoses.c.incident_id == incident_id)
    return [Diagnosis.model_validate_json(body) for body in tx.execute(query).scalars()]


def dated(tx: Connection, incident_id: str) -> list[tuple[datetime, Diagnosis]]:
    query = select(diagnoses.c.recorded, diagnoses.c.body).where(diagnoses.c.incident_id == incident_id)
    rows = tx.execute(query.order_by(diagnoses.c.number))
    return [(moment(row.recorded), Diagnosis.model_validate_json(row.body)) for row in rows]
