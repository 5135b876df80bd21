"""A changed rule set waits for a yes; the accepted one counts meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from setpoint.contracts import Decision
from setpoint.errors import NotDecidable
from setpoint.ledger import Ledger, RuleVersion
from tests.setpoint.ledger.builders import at, review


def _propose(ledger: Ledger, content: str, seconds: float = 0, **changes: Any) -> RuleVersion:
    return ledger.propose_rules("site", content, who="ada", now=at(seconds), **changes)


def _asked(ledger: Ledger, content: str) -> tuple[RuleVersion, str]:
    name = f"REV-{content}"
    asked = review(
        name, kind="rule_change", incident_id="", proposal=None, digest="d", subject="New rules count?"
    )
    return _propose(ledger, content, review=asked), name


def test_shipped_rules_count_at_once(ledger: Ledger) -> None:
    version = _propose(ledger, "v1", shipped=True)

    assert version.state == "accepted"
    assert ledger.accepted_rules("site") == version
    assert ledger.rule_state("site", version.digest) == "accepted"
    assert ledger.rule_state("other", version.digest) == "unknown"


def test_a_change_waits_while_the_old_version_counts(ledger: Ledger) -> None:
    old = _propose(ledger, "v1", shipped=True)
    new, name = _asked(ledger, "v2")

    assert new.state == "pending"
    assert ledger.accepted_rules("site") == old
    assert [item.id for item in ledger.list_reviews(states=("pending",), kinds=("rule_change",))] == [name]
    assert ledger.list_rules(state="pending") == [new]


def test_the_decision_of_the_review_decides_the_rules(ledger: Ledger) -> None:
    yes, yes_review = _asked(ledger, "yes")
    no, no_review = _asked(ledger, "no")
    unclear, ask_review = _asked(ledger, "ask")
    ledger.decide(yes_review, "d", Decision(type="approve", who="bob", reason="tested"), now=at(1))
    ledger.decide(no_review, "d", Decision(type="reject", who="bob"), now=at(1))
    ledger.decide(ask_review, "d", Decision(type="respond", who="bob", answer="why?"), now=at(1))

    assert ledger.rule_state("site", yes.digest) == "accepted"
    assert ledger.rule_state("site", no.digest) == "rejected"
    assert ledger.rule_state("site", unclear.digest) == "pending"
    counting = ledger.accepted_rules("site")
    assert counting is not None
    assert (counting.content, counting.who, counting.why) == ("yes", "bob", "tested")


def test_known_content_is_not_asked_again(ledger: Ledger) -> None:
    version, name = _asked(ledger, "v2")
    ledger.decide(name, "d", Decision(type="reject", who="bob"), now=at(1))

    again, _ = _asked(ledger, "v2")
    assert (again.digest, again.state) == (version.digest, "rejected")
    assert len(ledger.list_reviews()) == 1


def test_an_expired_review_leaves_the_change_uncounted(ledger: Ledger) -> None:
    version, _ = _asked(ledger, "v2")
    ledger.expire_reviews(now=at(3600))

    assert ledger.rule_state("site", version.digest) == "rejected"


def test_deciding_directly_and_only_once(ledger: Ledger) -> None:
    version = _propose(ledger, "v2")
    accepted = ledger.decide_rules("site", version.digest, True, "ada", "reviewed", now=at(1))

    assert accepted.state == "accepted"
    with pytest.raises(NotDecidable, match="this content of site is accepted, not pending"):
        ledger.decide_rules("site", version.digest, False, "bob", "no")
