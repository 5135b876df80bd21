"""The shift's queue of questions. One final decision each, by people who saw what they decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, Row, insert, select, update

from setpoint.contracts import Action, Decision, Feedback, FeedbackField, Review, ReviewKind
from setpoint.contracts.autonomy import AUTONOMY_WHO, is_person
from setpoint.errors import NotDecidable, UsageError
from setpoint.ledger import audit, feedback, jobs, rules
from setpoint.ledger.clock import moment, seconds, seconds_or_none
from setpoint.ledger.records import Decided
from setpoint.ledger.schema import decisions, reviews
from setpoint.ledger.writing import insert_rows, known

_FIELD: dict[ReviewKind, FeedbackField] = {
    "action": "action",
    "doubtful_input": "input",
    "rule_change": "rule",
}
_RESUME_URGENCY = 0
"""Somebody waits for it."""


def open_review(tx: Connection, review: Review, needed: int, now: datetime) -> bool:
    if needed < 1:
        raise UsageError(f"review {review.id} cannot need {needed} approvals")
    if known(tx, reviews.c.id, [review.id]):
        return False
    row = {
        "id": review.id,
        "kind": review.kind,
        "incident_id": review.incident_id,
        "digest": review.digest,
        "version": 1,
        "state": "pending",
        "needed": needed,
        "created": seconds(review.created),
        "expires": seconds_or_none(review.expires),
        "action": review.proposal.action.name if review.proposal else None,
        "body": review.model_copy(update={"state": "pending", "decision": None}).model_dump_json(),
    }
    insert_rows(tx, reviews, [row])
    asked = {"kind": review.kind, "incident": review.incident_id, "digest": review.digest, "needed": needed}
    audit.append(tx, "setpoint", "review-opened", review.id, asked, now)
    return True


def renew(tx: Connection, review: Review, now: datetime) -> bool:
    """A waiting question about exactly this action is shown with what is known by now: its rehearsal and evidence. The
    question, its id and its digest stay. False where it no longer waits, was edited, or nothing is new."""
    row = _row(tx, review.id)
    stands = _review(row)
    if row.state != "pending" or row.digest != review.digest or stands.proposal == review.proposal:
        return False
    body = stands.model_copy(update={"proposal": review.proposal, "recommended": review.recommended})
    tx.execute(update(reviews).where(reviews.c.id == row.id).values(body=body.model_dump_json()))
    audit.append(tx, "setpoint", "review-renewed", row.id, {"why": "a newer analysis"}, now)
    return True


def get(tx: Connection, review_id: str) -> Review:
    return _review(_row(tx, review_id))


def list_all(
    tx: Connection, states: Sequence[str], kinds: Sequence[str], incident_id: str, limit: int
) -> list[Review]:
    query = select(reviews).order_by(reviews.c.number).limit(limit)
    if states:
        query = query.where(reviews.c.state.in_(states))
    if kinds:
        query = query.where(reviews.c.kind.in_(kinds))
    if incident_id:
        query = query.where(reviews.c.incident_id == incident_id)
    return [_review(row) for row in tx.execute(query)]


def approvals(tx: Connection, review_id: str) -> tuple[tuple[str, ...], int]:
    row = _row(tx, review_id)
    return _approvers(tx, review_id, row.version), row.needed


def _row(tx: Connection, review_id: str) -> Row[Any]:
    row = tx.execute(select(reviews).where(reviews.c.id == review_id)).first()
    if row is None:
        raise UsageError(f"no review {review_id!r}", remedy="`setpoint review list` shows what is pending")
    return row


def _review(row: Row[Any]) -> Review:
    return Review.model_validate_json(row.body)


def _approvers(tx: Connection, review_id: str, version: int) -> tuple[str, ...]:
    where = (
        decisions.c.review_id == review_id,
        decisions.c.version == version,
        decisions.c.type.in_(("approve", "edit")),
    )
    return tuple(tx.execute(select(decisions.c.who).where(*where).order_by(decisions.c.number)).scalars())


# ---- deciding ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """One decision about one pending review, checked."""

    row: Row[Any]
    review: Review
    decision: Decision
    version: int
    """Of the review after the decision: an edit makes a new one, to which earlier approvals do not belong."""
    digest: str
    """What is approved: the digest the person saw, or that of the edited action."""


def decide(
    tx: Connection, review_id: str, digest: str, decision: Decision, versions: dict[str, str], now: datetime
) -> Decided:
    case = _checked(tx, _row(tx, review_id), digest, decision, now)
    given = _feedback(case, versions, now)
    agrees = decision.type in ("approve", "edit")
    approvers = (*_approvers(tx, review_id, case.version), decision.who.strip()) if agrees else ()
    final = not agrees or len(approvers) >= case.row.needed
    _write_decision(tx, case, final, now)
    review = _write_review(tx, case, final, now)
    feedback.add(tx, given)
    job = _resume(tx, review, case.digest, approvers, now) if final else None
    if final and review.kind == "rule_change":
        rules.settle(tx, review_id, decision, now)
    said = {
        "decision": decision.type,
        "digest": case.digest,
        "saw": digest,
        "final": final,
        "approvers": list(approvers),
        "needed": case.row.needed,
        "reason": decision.reason,
        "difference": given.difference,
        "simulated": decision.simulated,
        "feedback": given.id,
    }
    audit.append(tx, decision.who.strip(), "review-decided", review_id, said, now)
    return Decided(
        review=review,
        feedback=given,
        final=final,
        approvals=approvers,
        needed=case.row.needed,
        resume_job=job,
    )


def _checked(tx: Connection, row: Row[Any], digest: str, decision: Decision, now: datetime) -> _Case:
    review = _review(row)
    if row.state != "pending":
        raise NotDecidable(_why_not_pending(row, review), where=f"review {row.id}")
    if row.expires is not None and seconds(now) >= row.expires:
        raise NotDecidable(f"expired at {_clock(row.expires)}", where=f"review {row.id}")
    if digest != row.digest:
        raise NotDecidable(
            "it is not the version you saw: it has been edited since",
            where=f"review {row.id}",
            remedy="look at it again, then decide",
        )
    _check_person(tx, row, decision)
    _check_not_own(review, decision)
    _check_asset(review, decision)
    if decision.type != "edit":
        return _Case(row, review, decision, row.version, digest)
    edited = _edited(review, decision)
    return _Case(row, review, decision, row.version + 1, edited.digest(review.incident_id))


def _why_not_pending(row: Row[Any], review: Review) -> str:
    if review.decision is not None:
        return f"already decided ({review.decision.type}) by {review.decision.who} at {_clock(row.closed)}"
    return f"{row.state} at {_clock(row.closed)}"


def _clock(value: float) -> str:
    return f"{moment(value):%Y-%m-%d %H:%M:%S} UTC"


def _check_person(tx: Connection, row: Row[Any], decision: Decision) -> None:
    person = feedback.person_key(decision.who)
    if not person:
        raise NotDecidable(
            "a decision needs a name", where=f"review {row.id}", remedy="give --who or set USER"
        )
    if not (decision.simulated or decision.who == AUTONOMY_WHO or is_person(decision.who)):
        raise NotDecidable(
            f"{decision.who.strip()} is no person's name",
            where=f"review {row.id}",
            remedy="give your own: --who",
        )
    agreed = {feedback.person_key(who) for who in _approvers(tx, row.id, row.version)}
    if decision.type == "approve" and person in agreed:
        raise NotDecidable(
            f"{decision.who} agreed already; it needs {row.needed} different people", where=f"review {row.id}"
        )


def _check_not_own(review: Review, decision: Decision) -> None:
    """Nobody says yes to what he asked for himself, through an agent neither; a no is anybody's."""
    asked = review.proposal.proposed_by if review.proposal else ""
    own = bool(asked) and feedback.person_key(asked) == feedback.person_key(decision.who)
    if own and decision.type in ("approve", "edit"):
        raise NotDecidable(
            f"{decision.who.strip()} asked for this; somebody else has to say yes to it",
            where=f"review {review.id}",
            remedy="reject it, or let another approver decide",
        )


def _check_asset(review: Review, decision: Decision) -> None:
    """A yes to something of high risk carries the asset's name in the person's own typing, whichever way it comes. Case and
    blanks around it do not count."""
    proposal = review.proposal
    if (
        proposal is None
        or proposal.risk != "high"
        or decision.simulated
        or decision.type not in ("approve", "edit")
    ):
        return
    given, asset = decision.asset.strip(), proposal.action.asset
    if given.casefold() != asset.casefold():
        raise UsageError(
            f"{given!r} is not the asset" if given else "the asset's name is missing",
            where=f"review {review.id}",
            remedy=f"This is of high risk: type {asset} to show that you mean it (--asset on the command line)",
        )


def _edited(review: Review, decision: Decision) -> Action:
    if review.proposal is None or decision.edited is None:
        raise NotDecidable(
            "an edit must carry the action as it should be"
            if review.proposal
            else "only an action can be edited",
            where=f"review {review.id}",
            remedy="approve, reject or respond instead",
        )
    return decision.edited


def _feedback(case: _Case, versions: dict[str, str], now: datetime) -> Feedback:
    decision, proposal = case.decision, case.review.proposal
    proposed: JsonValue = (
        proposal.action.model_dump(mode="json") if proposal else {"subject": case.review.subject}
    )
    decided: dict[str, JsonValue] = {"type": decision.type}
    if proposal and decision.type in ("approve", "edit"):
        decided["action"] = (decision.edited or proposal.action).model_dump(mode="json")
    if decision.answer:
        decided["answer"] = decision.answer
    item = feedback.make(
        time=now,
        subject=case.review.id,
        version=case.version,
        field=_FIELD[case.review.kind],
        proposed=proposed,
        decided=decided,
        who=decision.who.strip(),
        why=decision.reason,
        evidence=proposal.evidence if proposal else (),
        versions=versions,
        simulated=decision.simulated,
    )
    return item.model_copy(update={"difference": _difference(decision, proposed, decided)})


def _difference(decision: Decision, proposed: JsonValue, decided: dict[str, JsonValue]) -> JsonValue:
    if decision.type == "edit":
        return feedback.difference(proposed, decided["action"])
    return {"verdict": decision.type} if decision.type == "reject" else None


def _write_decision(tx: Connection, case: _Case, final: bool, now: datetime) -> None:
    row = {
        "review_id": case.review.id,
        "version": case.version,
        "who_key": feedback.person_key(case.decision.who),
        "who": case.decision.who.strip(),
        "type": case.decision.type,
        "digest": case.digest,
        "time": seconds(now),
        "final_of": case.review.id if final else None,
    }
    tx.execute(insert(decisions).values(**row))


def _write_review(tx: Connection, case: _Case, final: bool, now: datetime) -> Review:
    changes: dict[str, Any] = {"digest": case.digest}
    if case.decision.edited is not None and case.review.proposal is not None and case.decision.type == "edit":
        changes["proposal"] = case.review.proposal.model_copy(update={"action": case.decision.edited})
    if final:
        changes |= {"state": "decided", "decision": case.decision}
    review = case.review.model_copy(update=changes)
    values = {
        "digest": case.digest,
        "version": case.version,
        "state": review.state,
        "closed": seconds(now) if final else None,
        "body": review.model_dump_json(),
    }
    tx.execute(update(reviews).where(reviews.c.id == review.id).values(**values))
    return review


def _resume(tx: Connection, review: Review, digest: str, approvers: Sequence[str], now: datetime) -> int:
    payload: dict[str, JsonValue] = {
        "review_id": review.id,
        "incident_id": review.incident_id,
        "kind": review.kind,
        "state": review.state,
        "decision": review.decision.model_dump(mode="json") if review.decision else None,
        "digest": digest,
        "approvers": list(approvers),
    }
    return jobs.enqueue(tx, jobs.Order("resume", review.id, payload, _RESUME_URGENCY), now)


# ---- ending without a decision ----------------------------------------------------------------------------


def expire(tx: Connection, now: datetime) -> list[Review]:
    query = select(reviews).where(reviews.c.state == "pending", reviews.c.expires <= seconds(now))
    return [
        _close(tx, row, "expired", "setpoint", "nobody decided in time", now)
        for row in tx.execute(query).all()
    ]


def withdraw(tx: Connection, review_id: str, who: str, why: str, now: datetime) -> bool:
    row = _row(tx, review_id)
    if row.state != "pending":
        return False
    _close(tx, row, "withdrawn", who, why, now)
    return True


def _close(tx: Connection, row: Row[Any], state: str, who: str, why: str, now: datetime) -> Review:
    review = _review(row).model_copy(update={"state": state})
    values = {"state": state, "closed": seconds(now), "body": review.model_dump_json()}
    tx.execute(update(reviews).where(reviews.c.id == row.id).values(**values))
    audit.append(tx, who, f"review-{state}", row.id, {"why": why}, now)
    _resume(tx, review, row.digest, (), now)
    if review.kind == "rule_change":
        rules.release(tx, row.id, now)
    return review
