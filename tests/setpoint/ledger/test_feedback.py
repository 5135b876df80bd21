"""Judgements are kept once per person and version, and exported for training without simulated ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from setpoint.contracts import Decision
from setpoint.errors import UsageError
from setpoint.ledger import Ledger, feedback
from tests.setpoint.ledger.builders import action, at, event, one_incident, review

DIGEST = action().digest("INC-1")


def _item(who: str = "ada", version: int = 1, **changes: Any) -> Any:
    values: dict[str, Any] = {"proposed": "P0", "decided": "P2", "why": "spare", "simulated": False}
    return feedback.make(
        time=at(0), subject="INC-1", version=version, field="priority", who=who, **values | changes
    )


@pytest.fixture
def judged(ledger: Ledger) -> Ledger:
    """A corrected priority, an approved, an edited and a rejected action, an answer, and a simulated approval."""
    ledger.accept([event(1, value=92.0, unit="C")])
    ledger.commit_triage(one_incident(event(1, value=92.0, unit="C")))
    ledger.correct("INC-1", "priority", "P2", "ada", "spare node")
    said = {
        "REV-yes": Decision(type="approve", who="ada"),
        "REV-edit": Decision(type="edit", who="ada", edited=action(450)),
        "REV-no": Decision(type="reject", who="ada", reason="wrong GPU"),
        "REV-ask": Decision(type="respond", who="ada", answer="it was swapped"),
        "REV-sim": Decision(type="approve", who="policy", simulated=True),
    }
    for name, decision in said.items():
        ledger.open_review(review(name))
        ledger.decide(name, DIGEST, decision, now=at(1))
    return ledger


def _export(ledger: Ledger, kind: str, **options: bool) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger.export_feedback(kind, **options)]


def test_the_same_person_about_the_same_version_is_one(ledger: Ledger) -> None:
    assert ledger.add_feedback(_item())
    assert not ledger.add_feedback(_item(who="  ADA"))
    assert ledger.add_feedback(_item(who="bob"))
    assert ledger.add_feedback(_item(version=2))
    assert len(ledger.list_feedback(subject="INC-1")) == 3


def test_simulated_judgements_are_kept_and_left_out(ledger: Ledger) -> None:
    ledger.add_feedback(_item(simulated=True))

    assert ledger.list_feedback() == []
    assert list(ledger.export_feedback()) == []
    assert len(ledger.list_feedback(simulated=True)) == 1
    assert (ledger.stats().feedback, ledger.stats().feedback_simulated) == (1, 1)


def test_raw_export_is_the_whole_record(judged: Ledger) -> None:
    assert _export(judged, "raw") == [item.model_dump(mode="json") for item in judged.list_feedback()]
    assert len(_export(judged, "raw", simulated=True)) == 6


def test_preference_export_pairs_what_was_wanted_with_what_was_proposed(judged: Ledger) -> None:
    pairs = _export(judged, "preference")

    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("P2", "P0"),
        (action(450).model_dump(), action().model_dump()),
    ]
    assert pairs[0]["prompt"]["incident"]["title"] == "gpu-01: GPU fell off the bus"
    assert pairs[0]["prompt"]["events"][0]["value"] == 92.0
    assert pairs[1]["prompt"]["evidence"] == ["E1"]
    assert pairs[0]["meta"]["why"] == "spare node"


def test_supervised_export_is_what_was_right(judged: Ledger) -> None:
    completions = [example["completion"] for example in _export(judged, "supervised")]

    assert completions == ["P2", action().model_dump(), action(450).model_dump()]


def test_labelled_export_says_yes_or_no(judged: Ledger) -> None:
    assert [example["label"] for example in _export(judged, "labelled")] == [False, True, False, False]


def test_an_unknown_export_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no export 'dpo'"):
        ledger.export_feedback("dpo")
