"""People are not asked twice: what waits, what was done and what they said no to is not put to them again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from setpoint.app.asked import DONE_STANDS, REJECTED_STANDS, read_asked, same
from setpoint.contracts import Action, ActionProposal, Decision, Outcome, Review
from setpoint.contracts.action import Withheld
from setpoint.contracts.triage import Priority
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at, diagnosis, event, one_incident, review

CAP = Action(name="cap_gpu_power", asset="gpu-01", args={"cap_w": 350.0})
NOW = at(60)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def incident(ledger: Ledger, name: str, priority: Priority = "P1") -> None:
    one = event(f"e-{name}")
    ledger.accept([one])
    ledger.commit_triage(one_incident(one, name=name, priority=priority))


def ask(ledger: Ledger, name: str, incident_id: str, action: Action = CAP) -> Review:
    proposal = ActionProposal(
        id=name.replace("REV", "ACT"), incident_id=incident_id, action=action, risk="low", effect="", why="", rollback=""
    )  # fmt: skip
    made = review(
        name, incident_id=incident_id, proposal=proposal, digest=action.digest(incident_id), created=at(0), expires=None
    )  # fmt: skip
    ledger.open_review(made, now=at(0))
    return made


def decide(ledger: Ledger, one: Review, kind: str, reason: str = "") -> None:
    decision = Decision.model_validate({"type": kind, "who": "ann", "reason": reason})
    ledger.decide(one.id, one.digest, decision, now=at(10))


def again(ledger: Ledger, incident_id: str, action: Action = CAP, after: timedelta = timedelta()) -> object:
    return read_asked(ledger, incident_id, NOW + after).before(action)


def test_nobody_was_asked(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    assert again(ledger, "INC-1") is None


def test_what_waits_for_the_same_incident_is_kept_as_it_is(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    made = ask(ledger, "REV-1", "INC-1")
    close = CAP.model_copy(update={"args": {"cap_w": 345.0}})
    assert again(ledger, "INC-1", close) == made.proposal


def test_what_waits_for_another_incident_is_not_asked_here_too(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    incident(ledger, "INC-2")
    ask(ledger, "REV-1", "INC-1")
    found = again(ledger, "INC-2")
    assert isinstance(found, Withheld)
    assert (found.review, "REV-1 of INC-1" in found.why) == ("REV-1", True)


def test_a_no_holds_for_a_shift_and_says_why(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    decide(ledger, ask(ledger, "REV-1", "INC-1"), "reject", "the tenant would notice")
    found = again(ledger, "INC-1")
    assert isinstance(found, Withheld)
    assert "the tenant would notice" in found.why
    assert again(ledger, "INC-1", after=REJECTED_STANDS) is None


def test_a_no_elsewhere_is_none_here(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    incident(ledger, "INC-2")
    decide(ledger, ask(ledger, "REV-1", "INC-1"), "reject")
    assert again(ledger, "INC-2") is None


@pytest.mark.parametrize(("graver", "asked"), [("P2", False), ("P1", True)])
def test_a_no_to_the_incident_it_stands_under_counts_unless_that_is_less_grave(
    ledger: Ledger, graver: Priority, asked: bool
) -> None:
    incident(ledger, "INC-1", "P2")
    incident(ledger, "INC-2", graver)
    ledger.record_diagnosis(diagnosis("INC-1"))
    ledger.group_explained("INC-1", ["INC-2"], cause="gpu_off_bus", why="on its way")
    decide(ledger, ask(ledger, "REV-1", "INC-1"), "reject")
    assert (again(ledger, "INC-2") is None) == asked


def test_what_was_approved_is_not_asked_again_until_it_may_have_to_be_done_again(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    incident(ledger, "INC-2")
    decide(ledger, ask(ledger, "REV-1", "INC-1"), "approve")
    assert isinstance(again(ledger, "INC-1"), Withheld)
    assert isinstance(again(ledger, "INC-2"), Withheld)
    assert again(ledger, "INC-1", after=DONE_STANDS) is None


def test_what_an_interlock_refused_may_be_asked_again(ledger: Ledger) -> None:
    incident(ledger, "INC-1")
    decide(ledger, ask(ledger, "REV-1", "INC-1"), "approve")
    ledger.begin_action("key", CAP, incident_id="INC-1", review_id="REV-1", now=at(20))
    ledger.finish_action("key", Outcome(action_id="ACT-1", state="refused", message="no"), now=at(21))
    assert again(ledger, "INC-1") is None


def test_another_asset_another_name_or_a_text_apart_is_another_question() -> None:
    assert not same(CAP, CAP.model_copy(update={"asset": "gpu-02"}))
    assert not same(CAP, CAP.model_copy(update={"name": "lock_clocks"}))
    page = Action(name="page", asset="r-01", args={"team": "facilities"})
    assert same(page, page.model_copy(update={"asset": "R-01"}))
    assert not same(page, page.model_copy(update={"args": {"team": "network"}}))
