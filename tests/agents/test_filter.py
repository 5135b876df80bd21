"""The text ranker and its lexicon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.filter import RANKER_DIR, Lexicon, TextRanker
from setpoint.errors import ConfigError


@pytest.fixture(scope="module")
def ranker() -> TextRanker:
    return TextRanker.load()


def test_probabilities_sum_to_one(ranker: TextRanker) -> None:
    for text in ("", "node lost", "x" * 3000, "\u0000 \ufffd 99%"):
        assert sum(ranker.probabilities(text, alert=False).values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("uncorrectable memory error", "memory error corrected"),
        ("node 9 lost and not responding", "node 9 configured and ready"),
        ("storage cluster down", "storage scrub finished"),
        ("kernel panic", "kernel command line"),
    ],
)
def test_what_happened_orders_the_chance_of_a_page(ranker: TextRanker, worse: str, better: str) -> None:
    def page(text: str) -> float:
        chances = ranker.probabilities(text, alert=False)
        return chances["P0"] + chances["P1"]

    assert page(worse) > page(better)


def test_native_info_lowers_and_fatal_proves_little(ranker: TextRanker) -> None:
    def page(severity: str) -> float:
        chances = ranker.probabilities("interrupt enable summary", alert=False, severity=severity)
        return chances["P0"] + chances["P1"]

    assert page("info") < page("unknown")
    assert page("critical") < page("unknown") + 0.2


def test_lexicon_reads_what_and_to_what() -> None:
    found = Lexicon.load().features("storage controller lost", alert=True)
    assert {"h:lost", "s:storage", "lost>storage", "form:alert"} <= set(found)
    assert "h:lost" not in Lexicon.load().features("all is well", alert=True)


def test_weights_of_another_lexicon_are_refused(tmp_path: Path) -> None:
    raw = json.loads((RANKER_DIR / "weights.json").read_text(encoding="utf-8"))
    other = tmp_path / "weights.json"
    other.write_text(json.dumps(raw | {"lexicon": raw["lexicon"] + 1}), encoding="utf-8")
    with pytest.raises(ConfigError, match="Train it again"):
        TextRanker.load(other)


def test_missing_weights_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"setpoint\.learning\.ranker"):
        TextRanker.load(tmp_path / "none.json")
