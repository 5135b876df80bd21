"""What was predicted is kept once and ended once, whoever is killed when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plant.diagnosis.results import Compared, Rehearsal
from setpoint.contracts import Action, Outcome
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at

CAP = Action(name="cap_gpu_power", asset="gpu-20", args={"cap_w": 400.0})
TRUE = Compared(action=CAP.name, asset=CAP.asset, quantities=3, inside=3, came_true=True)


def foreseen(said: str = "less heat") -> Rehearsal:
    return Rehearsal(action=CAP.name, asset=CAP.asset, args=CAP.args, as_of=at(0), horizon_s=600.0, members=16,
                     confidence=0.9, said=said)  # fmt: skip


def acted(ledger: Ledger, key: str, state: str = "done", dry_run: bool = False) -> None:
    assert ledger.begin_action(key, CAP, incident_id="INC-1", review_id="REV-1", dry_run=dry_run, now=at(1))
    if state != "executing":
        outcome = Outcome.model_validate(
            {"action_id": key, "state": state, "message": "", "dry_run": dry_run}
        )
        ledger.finish_action(key, outcome, now=at(2))


def test_it_is_due_when_its_horizon_ends(ledger: Ledger) -> None:
    acted(ledger, "k1")
    assert ledger.note_rehearsal("k1", foreseen(), incident_id="INC-1", now=at(1))
    assert ledger.due_rehearsals(at(600)) == []
    (row,) = ledger.due_rehearsals(at(601))
    assert (row.key, row.state, row.acted, row.incident_id) == ("k1", "waiting", True, "INC-1")
    assert row.rehearsal == foreseen()
    assert row.due == at(1) + timedelta(seconds=600)


def test_noting_twice_keeps_the_first(ledger: Ledger) -> None:
    """A run that died after its note and was taken up again rehearses anew; the site moved after the first at the
    earliest."""
    assert ledger.note_rehearsal("k1", foreseen("first"), now=at(1))
    assert not ledger.note_rehearsal("k1", foreseen("second"), now=at(5))
    found = ledger.get_rehearsal("k1")
    assert found is not None
    assert found.rehearsal.said == "first"


def test_ending_twice_keeps_the_first_and_audits_once(ledger: Ledger) -> None:
    acted(ledger, "k1")
    ledger.note_rehearsal("k1", foreseen(), incident_id="INC-1", now=at(1))
    assert ledger.finish_rehearsal("k1", TRUE, at(700))
    assert not ledger.finish_rehearsal("k1", None, at(701))
    found = ledger.get_rehearsal("k1")
    assert found is not None
    assert (found.state, found.compared) == ("compared", TRUE)
    assert ledger.due_rehearsals(at(9999)) == []
    noted = [row for row in ledger.list_audit(subject="INC-1") if row.what == "rehearsal-compared"]
    assert len(noted) == 1
    assert ledger.verify_chain().ok


@pytest.mark.parametrize(
    "nothing", [None, Compared(action="a", asset="b", quantities=0, inside=0, came_true=False)]
)
def test_what_could_not_be_read_is_unseen_and_neither_true_nor_false(
    ledger: Ledger, nothing: Compared | None
) -> None:
    ledger.note_rehearsal("k1", foreseen(), now=at(1))
    assert ledger.finish_rehearsal("k1", nothing, at(700))
    found = ledger.get_rehearsal("k1")
    assert found is not None
    assert found.state == "unseen"


@pytest.mark.parametrize(
    ("state", "dry_run", "live"),
    [("done", False, True), ("executing", False, True), ("failed", False, False), ("dry_run", True, False)],
)
def test_only_what_ran_can_be_held_against_the_site(
    ledger: Ledger, state: str, dry_run: bool, live: bool
) -> None:
    acted(ledger, "k1", state, dry_run)
    ledger.note_rehearsal("k1", foreseen(), now=at(1))
    (row,) = ledger.due_rehearsals(at(700))
    assert row.acted is live


def test_a_note_without_its_action_is_no_act(ledger: Ledger) -> None:
    ledger.note_rehearsal("k1", foreseen(), now=at(1))
    (row,) = ledger.due_rehearsals(at(700))
    assert row.acted is False


def test_lists_by_action_and_by_incident(ledger: Ledger) -> None:
    ledger.note_rehearsal("k1", foreseen(), incident_id="INC-1", now=at(1))
    ledger.note_rehearsal("k2", foreseen(), incident_id="INC-2", now=at(2))
    assert [row.key for row in ledger.list_rehearsals(action=CAP.name)] == ["k1", "k2"]
    assert [row.key for row in ledger.list_rehearsals(incident_id="INC-2")] == ["k2"]
    assert ledger.list_rehearsals(action="drain_node") == []


def test_an_unknown_key_is_named(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no rehearsal was noted under 'k9'"):
        ledger.finish_rehearsal("k9", None)
