"""A policy in the place of people: for headless runs and simulated shifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphs.review import check_edit
from setpoint.app.policy import Policy, PolicyRule
from setpoint.contracts import Action, Decision, Review
from setpoint.contracts.site import Site
from setpoint.errors import NotDecidable
from setpoint.ledger import Ledger


def decide_pending(
    ledger: Ledger, site: Site, policy: Policy, versions: Mapping[str, str], tell: Callable[[str, Any], None]
) -> int:
    """Decide what waits and the policy has an opinion on. `tell` hears of what is decided for good. Returns how much it
    decided."""
    count = 0
    for review in ledger.list_reviews(states=("pending",)):
        rule = policy.verdict(review)
        if rule.decide != "ask":
            count += _decide(ledger, _first(policy.name, review, rule, site), review.id, versions, tell)
    return count


def _decide(
    ledger: Ledger,
    first: Decision,
    review_id: str,
    versions: Mapping[str, str],
    tell: Callable[[str, Any], None],
) -> bool:
    """High risk needs two people: the policy stands in for both. False where somebody else was quicker."""
    again = first if first.edited is None else first.model_copy(update={"type": "approve", "edited": None})
    for decision in (first, again.model_copy(update={"who": f"{first.who}, second person"})):
        try:
            digest = ledger.get_review(review_id).digest
            decided = ledger.decide(review_id, digest, decision, versions=versions)
        except NotDecidable:
            return False
        if decided.final:
            tell("decided", decided)
            break
    return True


def _first(who: str, review: Review, rule: PolicyRule, site: Site) -> Decision:
    """What the rule says of this review; an edit of what the action does not have is a plain yes."""
    action = review.proposal.action if review.proposal else None
    kind: str = rule.decide
    edited: Action | None = None
    if kind == "edit":
        if action is not None and set(rule.args) <= set(action.args):
            edited = check_edit(review, action.model_copy(update={"args": action.args | rule.args}), site)
        else:
            kind = "approve"
    return Decision.model_validate(
        {"type": kind, "who": who, "reason": rule.reason, "edited": edited, "simulated": True}
    )
