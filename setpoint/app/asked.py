"""What people were asked about an action before: it waits, it was done, or they said no. They are not asked twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from setpoint.contracts import Action, ActionProposal, Review
from setpoint.contracts.action import ArgValue, Withheld
from setpoint.ledger import Ledger
from setpoint.ledger.records import ActionRecord
from tools.actions import describe

DONE_STANDS, REJECTED_STANDS = timedelta(hours=1), timedelta(hours=8)
"""What was done an hour ago may have to be done again; a no holds for a shift."""
ALIKE = 0.1
"""Arguments that differ by a smaller share are the same question."""
_PASSED = ("approve", "edit")
_UNDONE = ("refused", "failed")


@dataclass(frozen=True)
class Asked:
    """The judgements on actions that touch one incident. Build it with `read_asked`, once an analysis."""

    incident_id: str
    group: frozenset[str]
    """The incident and those that stand under the same cause, but for those that are less grave: a no to a small trouble
    is none to a great one."""
    reviews: tuple[Review, ...]
    acts: dict[str, ActionRecord]
    """What became of an approved action, by its review."""

    def before(self, action: Action) -> ActionProposal | Withheld | None:
        """The proposal that waits for this incident already, or why the action is not proposed again; None where
        nobody was asked of late. Of several judgements the latest counts."""
        alike = [
            review for review in self.reviews if review.proposal and same(review.proposal.action, action)
        ]
        for review in reversed(alike):
            if review.state == "pending" and review.incident_id == self.incident_id:
                return review.proposal
            if why := self._why(review):
                return Withheld(subject=describe(action), why=why, review=review.id)
        return None

    def _why(self, review: Review) -> str:
        if review.state == "pending":
            return f"it waits for a decision already: {review.id} of {review.incident_id}"
        decision = review.decision
        if decision is None:
            return ""
        if decision.type in _PASSED:
            act = self.acts.get(review.id)
            ended = act.state in _UNDONE if act else False
            return "" if ended else f"it was approved already: {review.id} of {review.incident_id}"
        if decision.type == "reject" and review.incident_id in self.group:
            reason = f" ({decision.reason})" if decision.reason else ""
            return f"it was rejected already: {review.id} of {review.incident_id}{reason}"
        return ""


def read_asked(ledger: Ledger, incident_id: str, now: datetime) -> Asked:
    """Every judgement that may still stand."""
    under = {name: one.root_id for name, one in ledger.explained_by().items()}
    root = under.get(incident_id, incident_id)
    kin = {root, *(name for name, above in under.items() if above == root)}
    known = ledger.find_incidents([incident_id, *kin])
    own = known[incident_id].priority if incident_id in known else "P3"
    group = frozenset({incident_id, *(name for name, one in known.items() if one.priority <= own)})
    reviews = [
        review for review in ledger.list_reviews(kinds=("action",), limit=10_000) if _stands(review, now)
    ]
    ids = {review.id for review in reviews}
    acts = {one.review_id: one for one in ledger.list_actions(limit=10_000) if one.review_id in ids}
    return Asked(incident_id, group, tuple(reviews), acts)


def _stands(review: Review, now: datetime) -> bool:
    if review.state == "pending":
        return True
    rejected = review.decision is not None and review.decision.type == "reject"
    return now - review.created < (REJECTED_STANDS if rejected else DONE_STANDS)


def same(one: Action, other: Action) -> bool:
    """The same action on the same asset, with arguments that nobody would tell apart.

    >>> cap = Action(name="cap_gpu_power", asset="gpu-01", args={"cap_w": 250.0})
    >>> same(cap, cap.model_copy(update={"args": {"cap_w": 260.0}})), same(cap, cap.model_copy(update={"args": {"cap_w": 200.0}}))
    (True, False)
    """
    if (
        one.name != other.name
        or one.asset.lower() != other.asset.lower()
        or one.args.keys() != other.args.keys()
    ):
        return False
    return all(_near(one.args[name], other.args[name]) for name in one.args)


def _near(one: ArgValue, other: ArgValue) -> bool:
    if isinstance(one, (str, bool)) or isinstance(other, (str, bool)):
        return one == other
    return abs(one - other) <= ALIKE * max(abs(one), abs(other))
