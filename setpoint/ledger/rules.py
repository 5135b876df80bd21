"""Which contents of a rule set may count. A changed one waits for a yes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from setpoint.contracts import Decision
from setpoint.errors import NotDecidable
from setpoint.ledger import audit
from setpoint.ledger.clock import moment, moment_or_none, seconds
from setpoint.ledger.records import RuleState, RuleVersion
from setpoint.ledger.schema import rule_versions


@dataclass(frozen=True)
class Proposal:
    """One content of one rule set, and who brought it."""

    name: str
    content: str
    who: str
    why: str
    shipped: bool
    review_id: str


def digest_of(content: str) -> str:
    """SHA-256 of the text: what a rule set is known by."""
    return hashlib.sha256(content.encode()).hexdigest()


def state(tx: Connection, name: str, digest: str) -> RuleState:
    row = _row(tx, name, digest)
    return "unknown" if row is None else row.state


def propose(tx: Connection, proposal: Proposal, now: datetime) -> tuple[RuleVersion, bool]:
    """The version, and whether it is new."""
    digest = digest_of(proposal.content)
    row = _row(tx, proposal.name, digest)
    if row is not None:
        return _version(row), False
    values = {
        "name": proposal.name,
        "digest": digest,
        "state": "accepted" if proposal.shipped else "pending",
        "content": proposal.content,
        "review_id": proposal.review_id,
        "proposed": seconds(now),
        "decided": seconds(now) if proposal.shipped else None,
        "who": proposal.who,
        "why": proposal.why,
    }
    tx.execute(insert(rule_versions).values(**values))
    what = "rules-shipped" if proposal.shipped else "rules-proposed"
    audit.append(tx, proposal.who, what, proposal.name, {"digest": digest, "why": proposal.why}, now)
    return _version(_one(tx, proposal.name, digest)), True


def decide(
    tx: Connection, name: str, digest: str, accept: bool, who: str, why: str, now: datetime
) -> RuleVersion:
    present = state(tx, name, digest)
    if present != "pending":
        raise NotDecidable(f"this content of {name} is {present}, not pending", where=f"rules {digest[:12]}")
    verdict = "accepted" if accept else "rejected"
    values = {"state": verdict, "decided": seconds(now), "who": who, "why": why}
    where = (rule_versions.c.name == name, rule_versions.c.digest == digest)
    tx.execute(update(rule_versions).where(*where).values(**values))
    audit.append(tx, who, f"rules-{verdict}", name, {"digest": digest, "why": why}, now)
    return _version(_one(tx, name, digest))


def settle(tx: Connection, review_id: str, decision: Decision, now: datetime) -> None:
    """The review of a rule change was decided. An answer is neither yes nor no: the rules stay pending."""
    if decision.type in ("approve", "reject"):
        for row in _of_review(tx, review_id):
            accept = decision.type == "approve"
            decide(tx, row.name, row.digest, accept, decision.who.strip(), decision.reason, now)


def release(tx: Connection, review_id: str, now: datetime) -> None:
    """The review ended undecided: the content does not count, and may be proposed again later."""
    for row in _of_review(tx, review_id):
        decide(tx, row.name, row.digest, False, "setpoint", "its review ended undecided", now)


def accepted(tx: Connection, name: str) -> RuleVersion | None:
    query = select(rule_versions).where(rule_versions.c.name == name, rule_versions.c.state == "accepted")
    row = tx.execute(
        query.order_by(rule_versions.c.decided.desc(), rule_versions.c.number.desc()).limit(1)
    ).first()
    return None if row is None else _version(row)


def list_all(tx: Connection, wanted: RuleState | None) -> list[RuleVersion]:
    query = select(rule_versions).order_by(rule_versions.c.number)
    if wanted is not None:
        query = query.where(rule_versions.c.state == wanted)
    return [_version(row) for row in tx.execute(query)]


def _of_review(tx: Connection, review_id: str) -> list[Row[Any]]:
    where = (rule_versions.c.review_id == review_id, rule_versions.c.state == "pending")
    return list(tx.execute(select(rule_versions).where(*where)).all())


def _row(tx: Connection, name: str, digest: str) -> Row[Any] | None:
    where = (rule_versions.c.name == name, rule_versions.c.digest == digest)
    return tx.execute(select(rule_versions).where(*where)).first()


def _one(tx: Connection, name: str, digest: str) -> Row[Any]:
    where = (rule_versions.c.name == name, rule_versions.c.digest == digest)
    return tx.execute(select(rule_versions).where(*where)).one()


def _version(row: Row[Any]) -> RuleVersion:
    return RuleVersion(
        name=row.name,
        digest=row.digest,
        state=row.state,
        content=row.content,
        proposed=moment(row.proposed),
        decided=moment_or_none(row.decided),
        who=row.who,
        why=row.why,
        review_id=row.review_id,
    )
