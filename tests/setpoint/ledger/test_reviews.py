"""One final decision per question, by people who saw what they decided."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from setpoint.contracts import Decision, Review
from setpoint.errors import NotDecidable, UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import action, at, diagnosis, review

DIGEST = action().digest("INC-1")


def _say(kind: str = "approve", who: str = "ada", **changes: Any) -> Decision:
    return Decision(type=kind, who=who, **changes)  # type: ignore[arg-type]


def _nothing_written(ledger: Ledger, audit_rows: int) -> bool:
    stats = ledger.stats()
    return (stats.feedback, stats.jobs_by_state, stats.audit_rows) == (0, {}, audit_rows)


@pytest.fixture
def opened(ledger: Ledger) -> Ledger:
    ledger.open_review(review(), now=at(0))
    return ledger


def test_opening_twice_is_once(opened: Ledger) -> None:
    assert not opened.open_review(review(subject="forged"))
    assert opened.get_review("REV-1") == review()
    assert [
        item.id for item in opened.list_reviews(states=("pending",), kinds=("action",), incident_id="INC-1")
    ] == ["REV-1"]


def test_approval_writes_decision_feedback_audit_and_resume_job(opened: Ledger) -> None:
    decided = opened.decide("REV-1", DIGEST, _say(reason="sensible"), versions={"model": "m1"}, now=at(10))

    assert decided.final
    assert (decided.approvals, decided.needed) == (("ada",), 1)
    stored = opened.get_review("REV-1")
    assert (stored.state, stored.decision) == ("decided", _say(reason="sensible"))
    (job,) = opened.list_jobs()
    assert (job.id, job.kind, job.key, job.urgency) == (decided.resume_job, "resume", "REV-1", 0)
    assert job.payload["approvers"] == ["ada"]
    assert job.payload["digest"] == DIGEST
    (item,) = opened.list_feedback()
    assert item == decided.feedback
    assert (item.field, item.subject, item.who, item.why, item.versions) == (
        "action",
        "REV-1",
        "ada",
        "sensible",
        {"model": "m1"},
    )
    assert item.difference is None
    assert [row.what for row in opened.list_audit(subject="REV-1")] == ["review-opened", "review-decided"]


def test_a_double_click_decides_once(opened: Ledger) -> None:
    opened.decide("REV-1", DIGEST, _say(), now=at(10))
    with pytest.raises(NotDecidable, match=r"already decided \(approve\) by ada at 2026-03-01 02:00:10 UTC"):
        opened.decide("REV-1", DIGEST, _say("reject"), now=at(11))

    assert opened.get_review("REV-1").decision == _say()
    assert len(opened.list_jobs()) == 1
    assert len(opened.list_feedback()) == 1


def test_a_stale_digest_is_refused(opened: Ledger) -> None:
    with pytest.raises(NotDecidable, match="not the version you saw"):
        opened.decide("REV-1", action(999).digest("INC-1"), _say(), now=at(10))

    assert _nothing_written(opened, audit_rows=1)


def test_after_its_time_nothing_can_be_decided(opened: Ledger) -> None:
    with pytest.raises(NotDecidable, match="expired at 2026-03-01 03:00:00 UTC"):
        opened.decide("REV-1", DIGEST, _say(), now=at(3600))

    assert _nothing_written(opened, audit_rows=1)


def test_a_decision_needs_a_name_and_a_review(opened: Ledger) -> None:
    with pytest.raises(NotDecidable, match="needs a name"):
        opened.decide("REV-1", DIGEST, _say(who="  "), now=at(1))
    with pytest.raises(UsageError, match="no review 'REV-9'"):
        opened.decide("REV-9", DIGEST, _say(), now=at(1))


def test_an_edit_binds_the_decision_to_the_edited_action(opened: Ledger) -> None:
    better = action(450)
    decided = opened.decide("REV-1", DIGEST, _say("edit", edited=better), now=at(10))

    assert decided.final
    assert decided.review.digest == better.digest("INC-1") != DIGEST
    assert decided.review.proposal is not None
    assert decided.review.proposal.action == better
    assert decided.feedback.difference == {"args.power_w": [500, 450]}
    assert opened.list_jobs()[0].payload["digest"] == better.digest("INC-1")
    assert opened.list_audit(subject="REV-1")[-1].data["difference"] == {"args.power_w": [500, 450]}  # type: ignore[index,call-overload]


def test_an_edit_must_say_what_it_should_be(opened: Ledger) -> None:
    with pytest.raises(NotDecidable, match="must carry the action"):
        opened.decide("REV-1", DIGEST, _say("edit"), now=at(1))
    opened.open_review(review("REV-2", kind="doubtful_input", proposal=None, digest="d"))
    with pytest.raises(NotDecidable, match="only an action can be edited"):
        opened.decide("REV-2", "d", _say("edit", edited=action()), now=at(1))


def test_rejecting_and_answering_are_final(opened: Ledger) -> None:
    opened.open_review(review("REV-2", kind="doubtful_input", proposal=None, digest="d"))
    rejected = opened.decide("REV-1", DIGEST, _say("reject", reason="too hot anyway"), now=at(1))
    answered = opened.decide("REV-2", "d", _say("respond", answer="the sensor was swapped"), now=at(1))

    assert (rejected.final, rejected.approvals, rejected.feedback.difference) == (
        True,
        (),
        {"verdict": "reject"},
    )
    assert answered.final
    assert answered.feedback.field == "input"
    assert answered.feedback.decided == {"type": "respond", "answer": "the sensor was swapped"}


# ---- two people -------------------------------------------------------------------------------------------


@pytest.fixture
def risky(ledger: Ledger) -> Ledger:
    ledger.open_review(review(), approvals_needed=2, now=at(0))
    return ledger


def test_high_risk_needs_two_different_people(risky: Ledger) -> None:
    first = risky.decide("REV-1", DIGEST, _say(who="Ada"), now=at(1))
    assert (first.final, first.approvals, first.needed, first.resume_job) == (False, ("Ada",), 2, None)
    assert risky.get_review("REV-1").state == "pending"
    with pytest.raises(NotDecidable, match="agreed already; it needs 2 different people"):
        risky.decide("REV-1", DIGEST, _say(who=" ada "), now=at(2))
    second = risky.decide("REV-1", DIGEST, _say(who="bob"), now=at(3))

    assert (second.final, second.approvals) == (True, ("Ada", "bob"))
    assert risky.list_jobs()[0].payload["approvers"] == ["Ada", "bob"]
    assert len(risky.list_feedback()) == 2


def test_an_edit_makes_earlier_approvals_fall(risky: Ledger) -> None:
    risky.decide("REV-1", DIGEST, _say(who="ada"), now=at(1))
    edited = risky.decide("REV-1", DIGEST, _say("edit", who="bob", edited=action(450)), now=at(2))
    assert (edited.final, edited.approvals) == (False, ("bob",))
    with pytest.raises(NotDecidable, match="not the version you saw"):
        risky.decide("REV-1", DIGEST, _say(who="eve"), now=at(3))
    final = risky.decide("REV-1", action(450).digest("INC-1"), _say(who="ada"), now=at(4))

    assert (final.final, final.approvals) == (True, ("bob", "ada"))
    assert final.review.proposal is not None
    assert final.review.proposal.action == action(450)


def test_one_no_is_enough(risky: Ledger) -> None:
    risky.decide("REV-1", DIGEST, _say(who="ada"), now=at(1))
    decided = risky.decide("REV-1", DIGEST, _say("reject", who="ada", reason="wrong GPU"), now=at(2))

    assert decided.final
    assert risky.list_jobs()[0].payload["approvers"] == []


# ---- ends without a decision ------------------------------------------------------------------------------


def test_expiry_closes_and_resumes(opened: Ledger) -> None:
    opened.open_review(review("REV-2", expires=None))
    assert opened.expire_reviews(now=at(3599)) == []
    assert [item.id for item in opened.expire_reviews(now=at(3600))] == ["REV-1"]
    assert opened.expire_reviews(now=at(3601)) == []

    assert opened.get_review("REV-1").state == "expired"
    assert [(job.key, job.payload["state"]) for job in opened.list_jobs()] == [("REV-1", "expired")]
    with pytest.raises(NotDecidable, match="expired at 2026-03-01 03:00:00 UTC"):
        opened.decide("REV-1", DIGEST, _say(), now=at(3601))


def test_withdrawal(opened: Ledger) -> None:
    assert opened.withdraw_review("REV-1", "setpoint", "the incident is resolved", now=at(5))
    assert not opened.withdraw_review("REV-1", "setpoint", "again", now=at(6))
    with pytest.raises(NotDecidable, match="withdrawn at 2026-03-01 02:00:05 UTC"):
        opened.decide("REV-1", DIGEST, _say(), now=at(7))


# ---- two processes ----------------------------------------------------------------------------------------

_DECIDE = """
import sys
from setpoint.contracts import Decision, Review
from setpoint.errors import NotDecidable
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import action, at
path, who = sys.argv[1:]
with Ledger.open(path) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(20):
        try:
            ledger.decide(f"REV-{n}", action().digest("INC-1"), Decision(type="approve", who=who), now=at(1))
            print("won", n)
        except NotDecidable as error:
            assert "already decided" in str(error), error
            print("lost", n)
"""


def test_two_processes_deciding_the_same_reviews_never_both_win(ledger: Ledger, path: Path) -> None:
    for n in range(20):
        ledger.open_review(review(f"REV-{n}"))
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _DECIDE, str(path), who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("ada", "bob")
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [line for child in children for line in child.communicate()[0].splitlines()]

    assert [child.returncode for child in children] == [0, 0]
    assert sorted(line for line in said if line.startswith("won")) == sorted(f"won {n}" for n in range(20))
    assert sorted(line for line in said if line.startswith("lost")) == sorted(f"lost {n}" for n in range(20))
    assert len(ledger.list_jobs()) == len(ledger.list_feedback()) == 20
    assert ledger.verify_chain().ok


# ---- a newer analysis ------------------------------------------------------------------------------------------------


def newer(why: str = "it is hotter by now", **changes: Any) -> Review:
    asked = review(**changes)
    assert asked.proposal is not None
    return asked.model_copy(update={"proposal": asked.proposal.model_copy(update={"why": why})})


def test_a_waiting_question_shows_what_is_known_by_now(opened: Ledger) -> None:
    opened.record_diagnosis(diagnosis(), renewed=[newer()], now=at(5))
    stored = opened.get_review("REV-1")
    assert stored == newer()  # the same question: its id, digest and expiry
    assert opened.list_audit(subject="REV-1")[-1].what == "review-renewed"
    rows = len(opened.list_audit())
    opened.record_diagnosis(diagnosis(), renewed=[newer()], now=at(6))
    assert len(opened.list_audit()) == rows + 1  # the diagnosis alone: nothing was new
    assert opened.decide("REV-1", DIGEST, _say(), now=at(10)).final


def test_what_was_decided_or_asks_for_something_else_stays_as_it_was(opened: Ledger) -> None:
    other = newer(digest=action(600).digest("INC-1"))
    opened.record_diagnosis(diagnosis(), renewed=[other], now=at(5))
    assert opened.get_review("REV-1") == review()
    opened.decide("REV-1", DIGEST, _say(), now=at(10))
    opened.record_diagnosis(diagnosis(), renewed=[newer()], now=at(20))
    assert opened.get_review("REV-1").proposal == review().proposal
