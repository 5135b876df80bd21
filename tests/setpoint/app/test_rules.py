"""Human check 1: a rule file of the site counts only with the content somebody said yes to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.symbolic_engine import SymbolicEngine
from setpoint.app.rules import accepted_rulebook
from setpoint.contracts import Context, Decision, Event, Priority
from setpoint.errors import ConfigError
from setpoint.ledger import Ledger
from setpoint.settings import Settings

NOW = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
RULE = """
area: site
version: 1
rules:
  - id: site.quibble
    when: {text: 'quibble valve stuck'}
    is: people
    what: the hall
    condition: quibble valve stuck
    order: 60
    confidence: 0.95
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "site-rules.yaml"
    file.write_text(RULE)
    return file


def settings(folder: Path, file: Path, switch: str = "ask") -> Settings:
    return Settings.model_validate(
        {"store": {"dir": folder}, "triage": {"rules": [file]}, "review": {"rule_change": switch}}
    )


def rank(book: object) -> Priority:
    event = Event(
        id="1", time=NOW, received=NOW, asset="x", source="s", kind="", message="quibble valve stuck"
    )
    return SymbolicEngine(book, None, None).rank(event, Context()).priority  # type: ignore[arg-type]


def decide(ledger: Ledger, type: str) -> None:
    (review,) = ledger.list_reviews(states=("pending",), kinds=("rule_change",))
    decision = Decision.model_validate({"type": type, "who": "mira", "reason": "read it"})
    ledger.decide(review.id, review.digest, decision, now=NOW + timedelta(minutes=1))


def test_a_new_rule_file_waits_for_a_yes(empty: Ledger, tmp_path: Path, rules: Path) -> None:
    chosen = settings(tmp_path, rules)
    before = accepted_rulebook(chosen, empty, NOW)
    assert rank(before) != "P0"
    (review,) = empty.list_reviews(states=("pending",), kinds=("rule_change",))
    assert "site-rules.yaml" in review.subject
    decide(empty, "approve")
    assert rank(accepted_rulebook(chosen, empty, NOW)) == "P0"


def test_a_changed_file_counts_as_it_was_until_the_change_is_approved(
    empty: Ledger, tmp_path: Path, rules: Path
) -> None:
    chosen = settings(tmp_path, rules)
    accepted_rulebook(chosen, empty, NOW)
    decide(empty, "approve")
    rules.write_text(RULE.replace("is: people", "is: routine"))
    assert rank(accepted_rulebook(chosen, empty, NOW)) == "P0"
    decide(empty, "approve")
    assert rank(accepted_rulebook(chosen, empty, NOW)) == "P3"


def test_a_rejected_change_never_counts(empty: Ledger, tmp_path: Path, rules: Path) -> None:
    chosen = settings(tmp_path, rules)
    accepted_rulebook(chosen, empty, NOW)
    decide(empty, "reject")
    assert rank(accepted_rulebook(chosen, empty, NOW)) != "P0"
    assert empty.list_reviews(states=("pending",), kinds=("rule_change",)) == []


def test_asked_once_however_often_it_starts(empty: Ledger, tmp_path: Path, rules: Path) -> None:
    for _ in range(3):
        accepted_rulebook(settings(tmp_path, rules), empty, NOW)
    assert len(empty.list_reviews(kinds=("rule_change",))) == 1


def test_the_policy_switch_lets_rules_count_at_once(empty: Ledger, tmp_path: Path, rules: Path) -> None:
    assert rank(accepted_rulebook(settings(tmp_path, rules, "auto"), empty, NOW)) == "P0"
    assert empty.list_reviews(kinds=("rule_change",)) == []


def test_what_is_no_rule_file_is_refused_before_anybody_is_asked(
    empty: Ledger, tmp_path: Path, rules: Path
) -> None:
    rules.write_text("rules: [what")
    with pytest.raises(ConfigError, match=r"site-rules\.yaml"):
        accepted_rulebook(settings(tmp_path, rules), empty, NOW)
    rules.unlink()
    with pytest.raises(ConfigError, match=r"Correct triage\.rules"):
        accepted_rulebook(settings(tmp_path, rules), empty, NOW)
    assert empty.list_reviews(kinds=("rule_change",)) == []
