"""Comparing retrieval by words, by meaning and by both, on the product's own index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from evals.meaning import MEANING, WORDS, Answers, Fusion, answers, main, report, within
from evals.registry import SPLITS
from evals.suites.retrieval.texts import Text, read_texts
from knowledge.index import Index

LEAK = Text("q1", "question", "coolant leak at a rack", ("leak-rack",))
LUNCH = Text("q2", "question", "what is for lunch in the canteen", ())
EVEN = Fusion(1.0, 60)


def test_fresh_texts_are_about_sections_there_are_and_stand_in_no_other_half() -> None:
    fresh = read_texts("fresh")
    assert {text.kind for text in fresh} == {"question", "event text"}
    assert sum(bool(text.sections) for text in fresh) == 60
    assert not {text.text for text in fresh} & {text.text for split in SPLITS for text in read_texts(split)}


def test_a_fusion_leans_on_the_side_that_weighs_more() -> None:
    words, meaning = ["leak#steps", "pump#steps"], ["valve#steps", "pump#steps"]
    assert Fusion(0.1, 2).sections(words, meaning)[0] == "leak"
    assert Fusion(9.0, 2).sections(words, meaning)[0] == "valve"
    assert EVEN.sections(words, meaning)[0] == "pump"


def test_each_side_is_asked_and_words_tell_what_nothing_answers(tmp_path: Path) -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[float("leak" in text.lower()), 0.1] for text in texts]

    index = Index.open(tmp_path, embed=embed)
    leak, lunch = (answers(index, text, [EVEN]) for text in (LEAK, LUNCH))
    index.close()
    assert set(leak.places) == {WORDS, MEANING, EVEN.name}
    assert within(leak, WORDS, 3)
    assert not leak.silent
    assert lunch.silent


def test_the_report_counts_places_gains_and_silence() -> None:
    better = Answers(LEAK, {WORDS: 9, EVEN.name: 2}, silent=False)
    missed = Answers(LEAK, {WORDS: 1, EVEN.name: 0}, silent=True)
    lunch = Answers(LUNCH, {WORDS: 0, EVEN.name: 0}, silent=True)
    words, even, nothing, answered = report([better, missed, lunch])
    assert words.startswith("words")
    assert "R@1 0.500" in words
    assert "R@3 0.500" in even
    assert "+1 -1" in even
    assert nothing == "silent: 1 of 1 that nothing answers"
    assert answered == "silent: 1 of 2 that a runbook answers"


def test_without_a_model_words_are_measured_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a tenth of the texts: a search takes 30 ms, and there are three for each."""
    some = read_texts("fresh")[::10]
    monkeypatch.setattr("evals.meaning.read_texts", {"fresh": some}.__getitem__)
    main(["--set", "fresh"])
    told = capsys.readouterr().out
    assert told.count("silent: ") == 3
    assert "fresh, event texts\nwords" in told
    assert MEANING not in told
