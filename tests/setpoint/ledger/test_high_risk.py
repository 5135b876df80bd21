"""A yes to something of high risk carries the asset's name in the person's own typing, whichever way it comes."""

from __future__ import annotations

from typing import Any

import pytest

from setpoint.contracts import Decision
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import action, at, review

DIGEST = action().digest("INC-1")
ASSET = action().asset


@pytest.fixture
def grave(ledger: Ledger) -> Ledger:
    asked = review()
    assert asked.proposal is not None
    high = asked.proposal.model_copy(update={"risk": "high"})
    ledger.open_review(asked.model_copy(update={"proposal": high}), approvals_needed=2, now=at(0))
    return ledger


def say(ledger: Ledger, who: str = "ada", **more: Any) -> Any:
    return ledger.decide("REV-1", DIGEST, Decision.model_validate({"type": "approve", "who": who} | more), now=at(1))  # fmt: skip


@pytest.mark.parametrize("typed", ["", "  ", "gpu", f"{ASSET}x"])
@pytest.mark.parametrize("more", [{}, {"type": "edit", "edited": action(450)}])
def test_a_yes_without_the_name_is_refused_and_nothing_is_written(grave: Ledger, typed: str, more: dict[str, Any]) -> None:  # fmt: skip
    rows = len(grave.list_audit())
    with pytest.raises(UsageError, match="the asset") as refused:
        say(grave, asset=typed, **more)
    assert ASSET in refused.value.remedy
    assert grave.approvals("REV-1") == ((), 2)
    assert len(grave.list_audit()) == rows


def test_the_second_person_types_it_too(grave: Ledger) -> None:
    say(grave, asset=f" {ASSET.upper()} ")
    with pytest.raises(UsageError, match="name is missing"):
        say(grave, "bob")
    assert say(grave, "bob", asset=ASSET).final


def test_a_no_and_an_answer_need_no_name(grave: Ledger) -> None:
    assert say(grave, type="reject", reason="no").final


def test_a_runs_policy_types_nothing(grave: Ledger) -> None:
    assert say(grave, "night", simulated=True).approvals == ("night",)
