"""Where a kind stands follows from its record alone: how it rises, and how each thing brings it down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from setpoint.autonomy.bound import needed
from setpoint.autonomy.granting import revoke, set_level, sign, standing_of
from setpoint.autonomy.rules import alpha_of
from setpoint.autonomy.standing import Standing
from setpoint.contracts.autonomy import AUTONOMY_WHO, ActionKind, LevelChange, Limits
from setpoint.errors import ActionRefused, UsageError
from setpoint.ledger import schema as db
from setpoint.settings import AutonomySettings
from tests.setpoint.autonomy.record import CAP, Record, compared
from tools.actions import CATALOG, kind_of

SETTINGS = AutonomySettings()
ENOUGH = needed(0, 0.95, alpha_of(0))
LIMITS = Limits(per_hour=2, per_day=10)


def at(record: Record, kind: ActionKind = CAP, settings: AutonomySettings = SETTINGS) -> Standing:
    return standing_of(kind, record.ledger, settings, record.now)


def signed(record: Record, limits: Limits = LIMITS) -> LevelChange:
    made = sign(CAP, "Ada Lovelace", "no harm in weeks", limits, record.ledger, SETTINGS, record.now)
    record.forward(minutes=1)
    return made


@pytest.fixture
def earned(full: Record) -> Record:
    """A record that just carries closed loop, and a signature."""
    signed(full)
    return full


# ---- what counts ---------------------------------------------------------------------------------------------


def test_every_kind_begins_at_assist_and_says_what_is_missing(record: Record) -> None:
    for name in CATALOG:
        found = at(record, kind_of(name))
        assert (found.level, found.decisions.good, found.decisions.lower) == ("assist", 0, 0.0)
        assert found.next_level == "advise"
        assert "26 more plain yeses without harm" in found.to_rise[0]


def test_each_decision_counts_for_what_it_was(record: Record) -> None:
    record.good(3)
    record.rejected()
    record.edited()
    record.failed()
    review = record.ask()
    record.say(review, "approve")
    record.act(review, "dry_run", dry_run=True)
    found = at(record)
    assert found.tally == {"good": 3, "rejected": 1, "edited": 1, "harm": 1, "apart": 1}
    assert (found.decisions.good, found.decisions.bad) == (3, 3)


def test_simulated_decisions_answers_and_our_own_yes_count_for_nothing(record: Record) -> None:
    for who, simulated, type in (("--decide approve", True, "approve"), ("ada", False, "respond"),
                                 (AUTONOMY_WHO, False, "approve")):  # fmt: skip
        review = record.ask()
        record.say(review, type, who, simulated=simulated)
        if type == "approve":
            record.act(review)
        record.forward(minutes=90)
    found = at(record)
    assert found.tally == {"alone": 1}
    assert (found.decisions.good, found.decisions.bad) == (0, 0)


def test_a_yes_counts_once_harm_has_been_looked_for_and_the_rehearsal_compared(record: Record) -> None:
    review = record.ask()
    record.say(review, "approve")
    key = record.act(review)
    record.foresee(key, None)
    record.forward(minutes=50)
    assert at(record).tally == {"waits": 1}
    record.ledger.finish_rehearsal(key, compared(), now=record.now)
    assert at(record).tally == {"waits": 1}, "an hour is not over"
    record.forward(minutes=11)
    assert at(record).tally == {"good": 1}


def test_a_rehearsal_that_did_not_come_true_is_counted_apart_from_the_decisions(record: Record) -> None:
    review = record.ask()
    record.say(review, "approve")
    record.foresee(record.act(review), compared(60.0, came_true=False))
    record.forward(hours=2)
    found = at(record)
    assert found.tally == {"untrue": 1}
    assert (found.rehearsals.good, found.rehearsals.bad) == (0, 1)
    assert (found.decisions.good, found.decisions.bad) == (0, 0)


def test_a_limit_broken_after_the_act_is_harm(record: Record) -> None:
    review = record.ask()
    record.say(review, "approve")
    record.foresee(record.act(review), compared(91.0, came_true=False))
    record.forward(hours=2)
    assert at(record).tally == {"harm": 1}


def test_an_escalation_by_a_person_soon_after_is_harm_and_one_by_the_clock_is_not(record: Record) -> None:
    from tests.setpoint.ledger.builders import event, one_incident

    for name in ("INC-7", "INC-8", "INC-9"):
        record.ledger.accept([event(name)])
        record.ledger.commit_triage(one_incident(event(name), name=name))
    for name, who, after in (("INC-7", "setpoint", 5), ("INC-8", "mira", 5), ("INC-9", "mira", 100)):
        review = record.ask(incident=name)
        record.say(review, "approve")
        record.act(review)
        at_ = record.forward(minutes=after)
        record.ledger.escalate(name, who=who, now=at_)
        record.forward(minutes=90)
    assert at(record).tally == {"good": 2, "harm": 1}


# ---- rising --------------------------------------------------------------------------------------------------


def test_a_recommendation_is_set_by_a_person_once_the_record_carries_it(record: Record) -> None:
    record.good(25)
    with pytest.raises(ActionRefused, match="1 more plain yeses without harm"):
        set_level(CAP, "advise", "ada", "fine so far", record.ledger, SETTINGS, record.now)
    record.good()
    assert at(record).to_rise == ("a person's word: setpoint autonomy set cap_gpu_power advise --why REASON",)
    set_level(CAP, "advise", "ada", "fine so far", record.ledger, SETTINGS, record.now)
    found = at(record)
    assert (found.level, found.next_level) == ("advise", "closed loop")
    assert found.why == "set by ada on 2026-03-02: fine so far"


def test_a_signature_needs_the_whole_record_and_keeps_what_it_was_given_on(full: Record) -> None:
    record, enough = full, full.now
    record.now = enough - timedelta(minutes=45)  # harm is still looked for after the last one
    with pytest.raises(ActionRefused, match="cannot go to closed loop: 1 more plain yes"):
        signed(record)
    record.now = enough
    made = signed(record)
    found = at(record)
    assert found.level == "closed loop"
    assert found.signature == made
    assert made.decisions is not None
    assert made.decisions.lower >= 0.95
    assert (made.limits, made.tries, found.to_rise) == (LIMITS, 0, ("nothing: it has the highest level",))
    rows = record.ledger.list_audit(subject="autonomy cap_gpu_power")
    assert [(row.who, row.what) for row in rows] == [("Ada Lovelace", "autonomy-signed")]
    assert record.ledger.verify_chain().ok


def test_decisions_without_rehearsals_do_not_carry_a_signature(full: Record) -> None:
    with full.ledger._db.write() as tx:
        tx.execute(db.rehearsals.delete())
    assert at(full).decisions.holds
    with pytest.raises(ActionRefused, match="21 more rehearsals that come true"):
        signed(full)


def test_a_hundred_yeses_in_one_hour_are_not_a_week(full: Record) -> None:
    day = AutonomySettings(least_days=14)
    with pytest.raises(ActionRefused, match="good decisions on 6 more days"):
        sign(CAP, "ada", "fine", LIMITS, full.ledger, day, full.now)


def test_more_than_the_settings_allow_cannot_be_signed_for(full: Record) -> None:
    with pytest.raises(UsageError, match="5 an hour, at most 4"):
        signed(full, Limits(per_hour=5, per_day=10))


@pytest.mark.parametrize("who", ["", "  ", AUTONOMY_WHO, "setpoint", "--decide approve"])
def test_only_a_person_signs(record: Record, who: str) -> None:
    record.good(1)
    with pytest.raises(UsageError, match="no person's name"):
        sign(CAP, who, "why not", LIMITS, record.ledger, SETTINGS, record.now)


def test_every_word_needs_a_reason(record: Record) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        set_level(CAP, "observe", "ada", " ", record.ledger, SETTINGS, record.now)


def test_closed_loop_is_signed_for_and_not_set(record: Record) -> None:
    with pytest.raises(UsageError, match="it is signed for"):
        set_level(CAP, "closed-loop", "ada", "go", record.ledger, SETTINGS, record.now)
    with pytest.raises(UsageError, match="One of: observe, assist, advise, closed loop"):
        set_level(CAP, "autopilot", "ada", "go", record.ledger, SETTINGS, record.now)


@pytest.mark.parametrize("name", CATALOG)
def test_nothing_but_low_risk_that_can_be_taken_back_may_ever_be_signed_for(
    record: Record, name: str
) -> None:
    kind = kind_of(name)
    with pytest.raises(ActionRefused) as refused:
        sign(kind, "ada", "go", LIMITS, record.ledger, SETTINGS, record.now)
    if kind.risk != "low":
        assert f"it is of {kind.risk} risk" in str(refused.value)
    assert (not kind.may_run_alone) or (kind.risk == "low" and kind.reversible)
    assert kind.may_run_alone or kind.risk != "low" or kind.why_not_alone


def test_down_goes_always_and_back_up_where_it_came_from(record: Record) -> None:
    set_level(CAP, "observe", "ada", "noise", record.ledger, SETTINGS, record.now)
    assert at(record).level == "observe"
    record.forward(minutes=1)
    set_level(CAP, "assist", "ada", "better now", record.ledger, SETTINGS, record.now)
    assert at(record).level == "assist"


def test_a_setting_holds_every_kind_down(earned: Record) -> None:
    held = AutonomySettings(highest="advise")
    found = at(earned, settings=held)
    assert (found.level, found.signature, found.next_level) == ("advise", None, None)
    assert found.why.startswith("autonomy.highest is advise; it would be closed loop")


# ---- falling -------------------------------------------------------------------------------------------------


def test_a_person_takes_it_back_at_once_and_the_record_stays(earned: Record) -> None:
    revoke(CAP, "mira", "new firmware", earned.ledger, SETTINGS, earned.now)
    found = at(earned)
    assert (found.level, found.signature, found.tries) == ("assist", None, 0)
    assert found.decisions.good == ENOUGH
    earned.forward(minutes=1)
    signed(earned)
    assert at(earned).level == "closed loop"


def test_one_failed_action_brings_it_down_and_evidence_counts_anew(earned: Record) -> None:
    assert at(earned).level == "closed loop"
    earned.failed()
    found = at(earned)
    assert (found.level, found.signature, found.tries) == ("assist", None, 1)
    assert "it failed on gpu-01: the BMC did not answer" in found.why
    assert (found.decisions.good, found.decisions.bad, found.days) == (0, 0, 0)
    assert found.decisions.alpha == alpha_of(1)
    with pytest.raises(ActionRefused, match="148 more plain yes"):
        signed(earned)


def test_harm_that_a_person_names_later_brings_it_down_then(earned: Record) -> None:
    key = f"KEY-REV-{earned.count}"
    earned.ledger.mark_harm(key, "mira", "the job missed its deadline", now=earned.now)
    found = at(earned)
    assert (found.level, found.tries, found.decisions.good) == ("assist", 1, 0)
    assert "mira says it did harm on gpu-01: the job missed its deadline" in found.why
    with pytest.raises(ActionRefused):
        signed(earned)


def test_harm_named_before_any_signature_takes_the_yes_back(record: Record) -> None:
    record.good(3)
    record.ledger.mark_harm("REV-2", "mira", "it was the wrong node", now=record.now)
    found = at(record)
    assert (found.decisions.good, found.decisions.bad, found.tally) == (2, 1, {"good": 2, "harm": 1})


def test_harm_by_an_action_that_ran_alone_brings_it_down(earned: Record) -> None:
    review = earned.ask()
    earned.say(review, "approve", AUTONOMY_WHO)
    earned.act(review, "failed", message="no answer")
    assert at(earned).level == "assist"


def test_one_rejection_brings_it_down(earned: Record) -> None:
    earned.rejected("mira")
    found = at(earned)
    assert found.level == "assist"
    assert f"mira rejected REV-{earned.count}" in found.why


def test_an_edit_that_the_record_does_not_bear_brings_it_down(earned: Record) -> None:
    earned.edited()
    found = at(earned)
    assert found.level == "assist"
    assert "its record no longer carries the level" in found.why


def test_an_edit_that_the_record_bears_does_not(full: Record) -> None:
    record = full
    record.good(needed(1, 0.95, alpha_of(0)) - ENOUGH)
    signed(record)
    record.edited()
    assert at(record).level == "closed loop"


def test_a_plant_model_that_drifts_brings_it_down(earned: Record) -> None:
    """The actions ran alone, so that their rehearsals are no decisions: only the model is at fault."""
    for turn in range(6):
        review = earned.ask()
        earned.say(review, "approve", AUTONOMY_WHO)
        earned.foresee(earned.act(review), compared(60.0, came_true=False))
        earned.forward(minutes=20)
        assert at(earned).level == ("closed loop" if turn < 5 else "assist")
    assert "6 of the last 10 rehearsals did not come true" in at(earned).why


def test_a_recommendation_falls_too_and_keeps_its_evidence(record: Record) -> None:
    record.good(30)
    set_level(CAP, "advise", "ada", "fine", record.ledger, SETTINGS, record.now)
    record.forward(minutes=1)
    record.rejected()
    found = at(record)
    assert (found.level, found.tries) == ("assist", 0)
    assert (found.decisions.good, found.decisions.bad) == (30, 1)


def test_a_fall_is_seen_by_whoever_looks_with_nothing_running(earned: Record) -> None:
    """The same record read at each moment of the past gives what stood then."""
    before = earned.now
    earned.failed()
    assert at(earned).level == "assist"
    changes = earned.ledger.level_changes(CAP.name)
    assert [change.what for change in changes] == ["signed"], "nobody wrote the fall"
    assert at(earned).falls[0].time >= before


# ---- the chain -----------------------------------------------------------------------------------------------


def test_a_signature_that_was_tampered_with_counts_for_nothing(earned: Record) -> None:
    with earned.ledger._db.write() as tx:
        row = tx.execute(db.audit.select().where(db.audit.c.what == "autonomy-signed")).one()
        data = row.data.replace('"per_day":10', '"per_day":20')
        assert data != row.data
        tx.execute(update(db.audit).where(db.audit.c.number == row.number).values(data=data))
    found = at(earned)
    assert (found.level, found.signature) == ("assist", None)
    assert "was changed afterwards" in found.why


def test_a_signature_written_past_the_rules_counts_for_nothing(record: Record) -> None:
    record.good(3)
    forged = LevelChange(
        action=CAP.name, what="signed", level="closed loop", who="eve", why="trust me", time=record.now, limits=LIMITS
    )  # fmt: skip
    record.ledger.change_level(forged)
    assert at(record).level == "assist"
    assert "the record did not carry it then" in at(record).why


def test_a_kind_whose_risk_the_catalog_raises_falls(earned: Record) -> None:
    risen = CAP.model_copy(update={"risk": "medium"})
    assert at(earned, risen).level == "assist"


def test_the_order_of_reading_is_the_order_in_which_things_became_known(earned: Record) -> None:
    """A yes given before a fall and known to be good after it belongs to the new try."""
    record = earned
    late = record.ask()
    record.say(late, "approve")
    record.act(late)
    failing = record.ask()
    record.say(failing, "approve")
    record.act(failing, "failed")
    record.now += timedelta(hours=2)
    found = at(record)
    assert (found.level, found.decisions.good, found.tries) == ("assist", 1, 1)
