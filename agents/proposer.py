"""What a person, or an agent for a person, wants done: one typed action, put to the shift's queue and nothing more.

It passes the catalog and the interlocks, is rehearsed, and then waits for a yes like every other proposal. It belongs to
no incident: an id of its own ("ASK-...") stands in that place, as a cycle's does for a control loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import JsonValue

from setpoint.contracts import Action, ActionProposal, Review
from setpoint.contracts.action import ASK
from setpoint.contracts.autonomy import is_person, plain_name
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, UsageError
from setpoint.settings import ReviewSettings
from tools.actions import describe, spec_of, validate
from tools.guards import PREPARED, hindrance
from tools.readings import Read

LONGEST_WHY = 500
MOST_WAITING = 5
"""Proposals of one person that wait at a time: an agent that loops must not bury what the shift has to decide."""


class AskLedger(Protocol):
    """What putting a proposal needs of the ledger."""

    def open_review(
        self, review: Review, *, approvals_needed: int = 1, now: datetime | None = None
    ) -> bool: ...

    def list_reviews(
        self, *, states: Sequence[str] = (), kinds: Sequence[str] = (), limit: int = 1000
    ) -> list[Review]: ...

    def enqueue(
        self, kind: str, key: str, payload: Mapping[str, JsonValue] | None = None, *, urgency: int = 2,
        now: datetime | None = None,
    ) -> int: ...  # fmt: skip

    def audit(
        self, who: str, what: str, subject: str, data: JsonValue = None, now: datetime | None = None
    ) -> object: ...


@dataclass(frozen=True)
class ProposerPorts:
    """All that a proposal reaches outside itself."""

    ledger: AskLedger
    site: Site
    read: Read
    settings: ReviewSettings
    clock: Callable[[], datetime]
    rehearse: Callable[[ActionProposal], ActionProposal]
    """The proposal with its rehearsal; as it is where nothing can be rehearsed."""
    alike: Callable[[Action, Action], bool]
    """Whether nobody would tell two actions apart."""


@dataclass(frozen=True)
class Put:
    """The review that asks for it, and whether it is a new one."""

    review: Review
    fresh: bool


def is_ask(name: str) -> bool:
    """Whether the id that stands in the place of an incident's is that of a person's own proposal."""
    return name.startswith(ASK)


def propose_for_review(wanted: Action, why: str, who: str, via: str, ports: ProposerPorts) -> Put:
    """Put the action to review, on behalf of a person. What waits already is not asked twice.

    Raises InputError and ActionRefused as the catalog does and where an interlock is against it now, UsageError where
    no person or no reason stands behind it.
    """
    reason = _reason(why, who, ports)
    action = validate(wanted, ports.site)
    waiting = [one for one in _waiting(ports.ledger) if one.proposal]
    for one in waiting:
        if one.proposal and ports.alike(one.proposal.action, action):
            return Put(one, fresh=False)
    own = [one.id for one in waiting if one.proposal and _same_person(one.proposal.proposed_by, who)]
    if len(own) >= MOST_WAITING:
        raise ActionRefused(
            f"{len(own)} proposals of {who} wait for a decision already, at most {MOST_WAITING} may",
            where=action.name, remedy=f"Have one decided first: {own[0]}",
        )  # fmt: skip
    now = ports.clock()
    proposal = ports.rehearse(_proposal(action, reason, who, via, now, ports))
    return Put(_open(proposal, now, ports), fresh=True)


def _reason(why: str, who: str, ports: ProposerPorts) -> str:
    if not is_person(who):
        raise UsageError(f"{who.strip() or 'nobody'} is no person's name", remedy="Give your own: --as")
    if ports.settings.actions == "off":
        raise UsageError("review.actions is off: nothing is proposed", remedy="Set it to ask")
    said = " ".join("".join(char if char.isprintable() else " " for char in why).split())
    if not said:
        raise UsageError("a proposal needs a reason", remedy="Say why: whoever decides reads it first")
    if len(said) > LONGEST_WHY:
        raise UsageError(
            f"the reason has {len(said)} characters, at most {LONGEST_WHY} are taken", remedy="Shorten it"
        )
    return said


def _waiting(ledger: AskLedger) -> list[Review]:
    return ledger.list_reviews(states=("pending",), kinds=("action",), limit=10_000)


def _same_person(one: str, other: str) -> bool:
    return plain_name(one) == plain_name(other)


def _proposal(
    action: Action, reason: str, who: str, via: str, now: datetime, ports: ProposerPorts
) -> ActionProposal:
    spec, subject = spec_of(action.name), subject_of(action, who, now)
    return ActionProposal(
        id=f"ACT-{action.digest(subject)[:10]}",
        incident_id=subject,
        action=action,
        risk=spec.risk,
        effect=f"{describe(action)}. {spec.effect}",
        why=reason + _hindered(action, now, ports),
        rollback=spec.rollback,
        proposed_by=who.strip(),
        proposed_via=via,
    )


def subject_of(action: Action, who: str, now: datetime) -> str:
    """The id that stands in the place of an incident's.

    >>> from datetime import UTC
    >>> subject_of(Action(name="open_ticket", asset="cdu-1", args={}), "Ada", datetime(2026, 3, 14, 12, tzinfo=UTC))
    'ASK-20260314T120000Z-2ad2'
    """
    salt = hashlib.sha256(f"{now.isoformat()} {plain_name(who)} {action.digest('')}".encode()).hexdigest()
    return f"{ASK}{now:%Y%m%dT%H%M%SZ}-{salt[:4]}"


def _hindered(action: Action, now: datetime, ports: ProposerPorts) -> str:
    """What people must prepare first, in words; "" where nothing is in the way. Raises ActionRefused where an interlock
    is against it for good."""
    against = hindrance(action, ports.site, ports.read, now)
    if against is None:
        return ""
    if against.guard not in PREPARED:
        raise ActionRefused(
            f"an interlock refuses it now: {against.what}", where=action.name, remedy=against.remedy
        )
    return f". As things stand an interlock refuses it now: {against.what}. {against.remedy}"


def _open(proposal: ActionProposal, now: datetime, ports: ProposerPorts) -> Review:
    review = review_of(proposal, ports.settings, now)
    ports.ledger.open_review(review, approvals_needed=people_for(review, ports.settings), now=now)
    said: JsonValue = {"via": proposal.proposed_via, "digest": review.digest}
    ports.ledger.audit(proposal.proposed_by, "action-proposed", review.id, said, now=now)
    ports.ledger.enqueue("review", review.id, opening_of(review), urgency=1, now=now)
    return review


# ---- the question itself, whoever asks it --------------------------------------------------------------------------


def review_of(
    proposal: ActionProposal, settings: ReviewSettings, now: datetime, recommended: str = ""
) -> Review:
    """The question whether to do it."""
    return Review(
        id=proposal.id.replace("ACT-", "REV-"),
        kind="action",
        incident_id=proposal.incident_id,
        subject=f"{describe(proposal.action)}?",
        proposal=proposal,
        digest=proposal.action.digest(proposal.incident_id),
        created=now,
        expires=now + timedelta(seconds=settings.expire_s),
        recommended=recommended,
    )


def people_for(review: Review, settings: ReviewSettings) -> int:
    """How many must agree."""
    return settings.people_for(spec_of(review.proposal.action.name).risk) if review.proposal else 1


def opening_of(review: Review) -> dict[str, JsonValue]:
    """What the job needs that brings a review's thread to its question."""
    return {
        "review_id": review.id, "incident_id": review.incident_id, "thread_id": f"review:{review.id}",
    }  # fmt: skip
