"""Corrections of the same thing again and again become a rule that a person has to accept, and then it works."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from knowledge.rulebook import RuleBook
from setpoint.app.learned_rules import propose_repeated, repeated_phrases, repeated_priorities
from setpoint.app.rules import accepted_rulebook
from setpoint.contracts import Decision
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tests.setpoint.learning.corrected import better, event, open_ledger, say, site

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
IDS = ("INC-0000", "INC-0001", "INC-0002")
REWORDED = "{asset}: pump stopped on trip since {time}, {metric} {value} against {limit}. {why}."


def lower(ledger: Ledger, *incidents: str, to: str = "P2", who: str = "ada") -> None:
    for incident in incidents:
        ledger.correct(incident, "priority", to, who, "the other pump carries it")


def settings_of(folder: Path) -> Settings:
    return Settings.model_validate({"store": {"dir": folder}})


def ranked(book: RuleBook, **changes: object) -> Any:
    return SymbolicEngine(book, site(), TextRanker.load()).rank(event(90, **changes))


def test_two_corrections_are_no_rule_three_are(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 3) as ledger:
        lower(ledger, *IDS[:2])
        assert list(repeated_priorities(ledger)) == []
        lower(ledger, IDS[2], who="bob")
        (found,) = repeated_priorities(ledger)
    assert found.incidents == list(IDS)
    assert found.people == ["ada", "bob"]
    assert "P0 corrected to P2 3 times" in found.what


def test_people_who_disagree_make_no_rule(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 4) as ledger:
        lower(ledger, *IDS)
        lower(ledger, "INC-0003", to="P1", who="bob")
        assert list(repeated_priorities(ledger)) == []


def test_a_rule_counts_only_after_a_person_accepted_it_and_then_it_ranks_so(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 3) as ledger:
        lower(ledger, *IDS)
        (told,) = propose_repeated(ledger, "mira", NOW)
        assert isinstance(told, dict)
        assert told["state"] == "pending"
        before = ranked(accepted_rulebook(settings_of(tmp_path), ledger, NOW), value=41.5)
        assert before.priority == "P0"
        review = ledger.get_review(str(told["review"]))
        assert review.kind == "rule_change"
        ledger.decide(review.id, review.digest, Decision(type="approve", who="mira"), now=NOW)
        book = accepted_rulebook(settings_of(tmp_path), ledger, NOW)
        after = ranked(book, value=41.5)
        assert after.priority == "P2"
        assert after.decided_by[0].startswith("learned.")
        assert after.condition == "coolant pump failed"
        assert propose_repeated(ledger, "mira", NOW)[0]["state"] == "accepted", "asked once"  # type: ignore[index,call-overload]
        assert len(ledger.list_reviews(kinds=("rule_change",))) == 1


def test_what_people_refused_is_not_asked_again_before_there_is_more(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 4) as ledger:
        lower(ledger, *IDS)
        (told,) = propose_repeated(ledger, "mira", NOW)
        assert isinstance(told, dict)
        review = ledger.get_review(str(told["review"]))
        assert "P0 corrected to P2 3 times" in review.subject
        ledger.decide(
            review.id, review.digest, Decision(type="reject", who="mira", reason="it is P0"), now=NOW
        )
        assert propose_repeated(ledger, "mira", NOW) == []
        lower(ledger, "INC-0003", who="bob")
        (again,) = propose_repeated(ledger, "mira", NOW)
        assert isinstance(again, dict)
        assert again["state"] == "pending"


def test_readings_that_were_corrected_bound_the_rule(tmp_path: Path) -> None:
    """Flow of 40 to 42 lpm was called less grave: less flow than that, which is worse, keeps its rank."""
    with open_ledger(tmp_path, 3) as ledger:
        lower(ledger, *IDS)
        (found,) = repeated_priorities(ledger)
    (when,) = found.rule["when"]
    assert when["metric"] == "^coolant_flow_lpm$"
    assert when["above"] == pytest.approx(40.0, abs=1e-3)
    path = tmp_path / "learned.yaml"
    path.write_text(yaml.safe_dump({"area": "learned", "rules": [found.rule]}), "utf-8")
    book = RuleBook.load([path])
    assert ranked(book, value=40.0).priority == "P2"
    assert ranked(book, value=12.0).priority == "P0"


def test_another_message_keeps_its_rank(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 3) as ledger:
        lower(ledger, *IDS)
        (found,) = repeated_priorities(ledger)
    path = tmp_path / "learned.yaml"
    path.write_text(yaml.safe_dump({"area": "learned", "rules": [found.rule]}), "utf-8")
    book = RuleBook.load([path])
    told = "coolant pump tripped, flow 41 lpm. Smoke alarm in hall 2, fire confirmed"
    assert ranked(book, value=41.0, message=told).priority == "P0"


def test_a_condition_replaced_by_the_same_words_is_put_to_review(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 3) as ledger:
        for place, incident in enumerate(IDS):
            assert list(repeated_phrases(ledger)) == [], f"after {place}"
            say(ledger, incident, "alert", better(ledger, incident, REWORDED), ("ada", "bob")[place % 2])
        (found,) = repeated_phrases(ledger)
        assert found.rule["condition"] == "pump stopped on trip"
        assert found.rule["id"] == "cooling.pump-failed"
        (told,) = propose_repeated(ledger, "mira", NOW)
        assert isinstance(told, dict)
        review = ledger.get_review(str(told["review"]))
        ledger.decide(review.id, review.digest, Decision(type="approve", who="mira"), now=NOW)
        after = ranked(accepted_rulebook(settings_of(tmp_path), ledger, NOW))
    assert after.condition == "pump stopped on trip"
    before = ranked(RuleBook.load())
    assert (before.condition, before.priority) == ("coolant pump failed", after.priority), (
        "only the words change"
    )
