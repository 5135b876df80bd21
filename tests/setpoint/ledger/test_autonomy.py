"""What the ledger keeps about autonomy, and how older ledgers come to know it."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

import setpoint.ledger
from setpoint.contracts import Decision, Outcome
from setpoint.contracts.autonomy import AUTONOMY_WHO, LevelChange, Limits
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.ledger.autonomy import broken_limit
from tests.setpoint.autonomy.record import compared, rehearsal
from tests.setpoint.ledger.builders import NOW, at, review

_MIGRATIONS = Path(setpoint.ledger.__file__).parent / "migrations"


def _done(ledger: Ledger, name: str = "REV-1", state: str = "done", dry_run: bool = False) -> str:
    asked = review(name)
    assert asked.proposal is not None
    ledger.open_review(asked, now=at(0))
    ledger.decide(name, asked.digest, Decision(type="approve", who="ada"), now=at(10))
    key = f"key-{name}"
    ledger.begin_action(
        key, asked.proposal.action, incident_id="INC-1", review_id=name, dry_run=dry_run, now=at(20)
    )
    said = {"action_id": name, "state": state, "message": "said", "dry_run": dry_run}
    ledger.finish_action(key, Outcome.model_validate(said), now=at(30))
    return key


def test_a_change_of_level_stands_in_the_chain_as_it_was_said(ledger: Ledger) -> None:
    said = LevelChange(
        action="cap_gpu_power", what="signed", level="closed loop", who="Ada", why="fine", time=NOW,
        limits=Limits(per_hour=2, per_day=5),
    )  # fmt: skip
    ledger.change_level(said)
    assert ledger.level_changes("cap_gpu_power") == [said]
    assert ledger.level_changes("page") == []
    (row,) = ledger.list_audit(subject="autonomy cap_gpu_power")
    assert (row.who, row.what, row.time) == ("Ada", "autonomy-signed", NOW)
    assert ledger.verify_chain().ok


def test_a_decided_action_carries_all_that_came_of_it(ledger: Ledger) -> None:
    key = _done(ledger)
    ledger.note_rehearsal(key, rehearsal(NOW), incident_id="INC-1", due=at(630), now=at(20))
    ledger.finish_rehearsal(key, compared(90.0, came_true=False), now=at(640))
    ledger.mark_harm(key, "mira", "too hot", now=at(700))
    (found,) = ledger.decided_actions("cap_gpu_power")
    assert (found.review_id, found.who, found.type, found.changed, found.alone) == (
        "REV-1", "ada", "approve", False, False,
    )  # fmt: skip
    assert (found.key, found.asset, found.state, found.finished) == (key, "gpu-01", "done", at(30))
    assert (found.rehearsed, found.came_true, found.compared) == (True, False, at(630))
    assert found.broke == "gpu_temp_c of gpu-01 was 90, limit 87"
    assert found.harm is not None
    assert (found.harm.who, found.harm.why, found.harm.time) == ("mira", "too hot", at(700))
    assert ledger.decided_actions("page") == []


def test_an_edit_and_a_yes_after_an_edit_are_changed(ledger: Ledger) -> None:
    asked = review("REV-1")
    assert asked.proposal is not None
    ledger.open_review(asked, approvals_needed=2, now=at(0))
    other = asked.proposal.action.model_copy(update={"args": {"power_w": 450}})
    ledger.decide("REV-1", asked.digest, Decision(type="edit", who="ada", edited=other), now=at(5))
    ledger.decide("REV-1", other.digest("INC-1"), Decision(type="approve", who="bob"), now=at(6))
    (found,) = ledger.decided_actions("cap_gpu_power")
    assert (found.type, found.changed) == ("approve", True)


def test_harm_is_named_by_key_or_review_once_and_only_of_what_moved(ledger: Ledger) -> None:
    _done(ledger, "REV-1")
    first = ledger.mark_harm("REV-1", "mira", "too hot", now=at(100))
    assert ledger.mark_harm("key-REV-1", "jon", "me too", now=at(200)) == first.model_copy(
        update={"action": "cap_gpu_power"}
    )
    assert [row.who for row in ledger.list_audit(subject="INC-1") if row.what == "action-harmful"] == ["mira"]
    with pytest.raises(UsageError, match="no action 'REV-9'"):
        ledger.mark_harm("REV-9", "mira", "x")
    _done(ledger, "REV-2", "dry_run", dry_run=True)
    with pytest.raises(UsageError, match="moved nothing"):
        ledger.mark_harm("REV-2", "mira", "x")


def test_what_ran_alone_is_counted_by_kind_by_time_and_before_a_review(ledger: Ledger) -> None:
    for number in range(3):
        asked = review(f"REV-{number}")
        ledger.open_review(asked, now=at(number))
        who = AUTONOMY_WHO if number else "ada"
        ledger.decide(asked.id, asked.digest, Decision(type="approve", who=who), now=at(60 * number))
    assert ledger.ran_alone(at(0)) == 2
    assert ledger.ran_alone(at(0), "cap_gpu_power") == 2
    assert ledger.ran_alone(at(0), "page") == 0
    assert ledger.ran_alone(at(100)) == 1
    assert ledger.ran_alone(at(0), before_review="REV-1") == 0
    assert ledger.ran_alone(at(0), before_review="REV-2") == 1


def test_our_own_yes_is_no_judgement_to_learn_from(ledger: Ledger) -> None:
    asked = review("REV-1")
    ledger.open_review(asked, now=at(0))
    ledger.decide("REV-1", asked.digest, Decision(type="approve", who=AUTONOMY_WHO), now=at(1))
    assert list(ledger.export_feedback("raw")) == []
    assert [item.who for item in ledger.list_feedback()] == [AUTONOMY_WHO], "it is still on record"


@pytest.mark.parametrize(("observed", "broke"), [(86.9, False), (87.1, True)])
def test_a_limit_is_broken_by_what_was_observed(observed: float, broke: bool) -> None:
    found = broken_limit(rehearsal(NOW).model_dump_json(), compared(observed).model_dump_json())
    assert bool(found) is broke


def test_a_limit_that_was_broken_before_is_not_the_actions_doing() -> None:
    (band,) = rehearsal(NOW).bands
    hot = band.model_copy(update={"without": ((88.0, 89.0, 90.0), (91.0, 92.0, 93.0))})
    made = rehearsal(NOW, bands=(hot,))
    assert broken_limit(made.model_dump_json(), compared(90.0).model_dump_json()) == ""


def test_reviews_of_an_older_ledger_learn_what_they_are_about(path: Path) -> None:
    path.parent.mkdir()
    asked = review("REV-1")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as first:
        config.attributes["connection"] = first
        command.upgrade(config, "0001")
        values = {"id": asked.id, "kind": asked.kind, "incident_id": "INC-1", "digest": asked.digest, "version": 1,
                  "state": "pending", "needed": 1, "created": 0.0, "body": asked.model_dump_json()}  # fmt: skip
        names = ", ".join(values)
        first.execute(text(f"INSERT INTO reviews ({names}) VALUES (:{names.replace(', ', ', :')})"), values)
    engine.dispose()
    with Ledger.open(path) as ledger:
        ledger.decide("REV-1", asked.digest, Decision(type="reject", who="ada"), now=at(1))
        assert [one.review_id for one in ledger.decided_actions("cap_gpu_power")] == ["REV-1"]
