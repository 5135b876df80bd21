"""Rules as data: loading, order, and the quality of what ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knowledge.causes import load_causes
from knowledge.literals import needed
from knowledge.rulebook import RuleBook, Subject
from knowledge.text import mask, searchable, words_of
from setpoint.errors import ConfigError


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return RuleBook.load()


def written(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


SITE_RULE = """
area: site
version: 4
rules:
  - id: site.old-rack
    when: {text: 'rack 12 hums'}
    is: at-risk
    what: rack 12
    condition: old rack hums
"""


def test_a_sites_rule_is_added_with_the_files_version(tmp_path: Path) -> None:
    decision = RuleBook.load([written(tmp_path, SITE_RULE)]).decide(Subject(kind="", text="rack 12 hums"))
    assert decision is not None
    assert decision.decided_by == ("site.old-rack@4",)
    assert decision.priority == "P2"
    assert "rack 12" in decision.urgency.reason


def test_a_sites_rule_replaces_the_shipped_one_of_its_id(tmp_path: Path, book: RuleBook) -> None:
    shipped = book.by_id["power.on-battery"]
    own = SITE_RULE.replace("site.old-rack", shipped.id).replace("rack 12 hums", "ups zeta")
    replaced = RuleBook.load([written(tmp_path, own)])
    assert len(replaced.rules) == len(book.rules)
    assert replaced.by_id[shipped.id].version == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("is: at-risk", "unknown verdict"),
        ("text: 'rack 12 hums'", "not a regular expression"),
        ("what: rack 12", "Extra inputs"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(tmp_path: Path, wrong: str, said: str) -> None:
    broken = {
        "is: at-risk": "is: dreadful",
        "text: 'rack 12 hums'": "text: '('",
        "what: rack 12": "wat: rack 12",
    }
    path = written(tmp_path, SITE_RULE.replace(wrong, broken[wrong]))
    with pytest.raises(ConfigError, match=said) as caught:
        RuleBook.load([path])
    assert "site.old-rack" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        RuleBook.load([tmp_path / "none.yaml"])


def test_kind_beats_text(book: RuleBook) -> None:
    decision = book.decide(Subject(kind="xid-106", text="xid 9 | gpu has fallen off the bus"))
    assert decision is not None
    assert decision.decided_by[0].startswith("xid.106@")


def test_the_registry_prefix_of_a_redfish_id_is_ignored(book: RuleBook) -> None:
    decision = book.decide(Subject(kind="environmental.1.0.leakdetectedcritical", text="leak detector x"))
    assert decision is not None
    assert decision.priority == "P0"


def test_every_cause_is_in_the_catalog(book: RuleBook) -> None:
    known = set(load_causes())
    assert {(rule.id, cause) for rule in book.rules for cause in rule.causes} == {
        (rule.id, cause) for rule in book.rules for cause in rule.causes if cause in known
    }


def test_conditions_are_short_phrases_without_facts(book: RuleBook) -> None:
    for rule in book.rules:
        assert 2 <= len(rule.condition) <= 60, rule.id
        assert not re.search(r"[{}]|\b\d", rule.condition), rule.id
        assert not rule.condition.endswith("."), rule.id


def test_reasons_are_filled_in(book: RuleBook) -> None:
    for rule in book.rules:
        decision = book.decision(rule.id)
        for judgement in (decision.urgency, decision.impact, decision.complexity):
            assert judgement.reason, rule.id
            assert "{" not in judgement.reason, rule.id


def test_no_rule_matches_the_empty_text(book: RuleBook) -> None:
    assert book.decide(Subject(kind="", text="")) is None


def test_mask_keeps_what_changes_the_meaning() -> None:
    assert mask("0 errors in 14 checks, status: 503") == "0 errors in 9 checks, status: 503"
    assert mask("job 5f2b-11 on 10.0.0.7") != mask("job on host")
    assert searchable("IBLinkDown", "Port  4") == "ib link down | port  4".replace("  ", " ")
    assert words_of("gpu_temp.high") == "gpu temp high"


def test_needed_words_never_hide_a_match(book: RuleBook) -> None:
    samples = (Path(__file__).parents[2] / "setpoint" / "learning" / "ranker_lines.yaml").read_text(
        encoding="utf-8"
    )
    texts = [searchable("", mask(line)) for line in samples.replace("{", "").replace("}", "").splitlines()]
    for rule in book.rules:
        for when in rule.when:
            pattern = re.compile(re.sub(r"\n\s*", "", when.text), re.IGNORECASE)
            words = needed(pattern)
            hidden = [
                t for t in texts if words and pattern.search(t) and not any(word in t for word in words)
            ]
            assert not hidden, (rule.id, words)


def test_most_rules_have_needed_words(book: RuleBook) -> None:
    patterns = [re.compile(when.text) for rule in book.rules for when in rule.when if when.text]
    assert sum(bool(needed(pattern)) for pattern in patterns) > 0.8 * len(patterns)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a?b*", set()),
        ("(?:ab|c)d", set()),
        (r"\bups\b.{0,9}(?:off|lost)", {"ups"}),
        ("(?!x)fire", {"fire"}),
        ("(?:ok)?", set()),
    ],
)
def test_needed_words_of_a_pattern(pattern: str, expected: set[str]) -> None:
    assert needed(re.compile(pattern)) == expected
