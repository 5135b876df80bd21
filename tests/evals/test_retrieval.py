"""The retrieval suite: real indexes, places judged by code, and silence counted where nothing answers."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import evals.suites.retrieval as retrieval
from evals.registry import SPLITS, Ask
from evals.running.runner import run_suite
from evals.suites.retrieval.texts import read_texts
from evals.suites.retrieval.ways import FOREIGN, FUSED, LANGUAGES, MEANING, PRODUCT, ways_of, with_meaning

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
NO_DATA = Path("nowhere")


@pytest.fixture
def collected() -> Iterator[None]:
    yield
    gc.collect()


def letters(texts: Sequence[str]) -> list[list[float]]:
    """A stand-in embedding: how often each of 64 buckets of word beginnings occurs."""
    vectors = []
    for text in texts:
        vector = [0.001] * 64
        for word in text.lower().split():
            vector[zlib.crc32(word[:4].encode()) % 64] += 1.0
        vectors.append(vector)
    return vectors


@pytest.mark.usefixtures("collected")
def test_the_suite_runs_and_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SETPOINT_KNOWLEDGE__EMBEDDING", raising=False)
    ran = run_suite("retrieval", retrieval, Ask(limit=6, data=NO_DATA), logs=tmp_path)
    assert ran.errors == ()
    named = {(figure.set, figure.name) for figure in ran.figures}
    for name in LANGUAGES:
        assert (f"dev questions, {name}", "recall@5") in named
        assert (f"dev event texts, {name}", "mean reciprocal rank") in named
    assert ("dev questions, as shipped", "silent where none answers") in named
    assert len(ran.skipped) == 2
    assert ran.skipped[0].startswith(FOREIGN)
    assert "no embedding model" in ran.skipped[1]


def test_halves_are_different_texts_about_sections_there_are() -> None:
    dev, held_out = ({text.text for text in read_texts(split)} for split in SPLITS)
    assert dev
    assert held_out
    assert not dev & held_out


def test_the_product_finds_what_the_runbooks_name_and_nothing_for_lunch() -> None:
    ways, _ = ways_of(NO_DATA)
    found = retrieval.find(ways, {"text": "coolant pump tripped"})["found"]
    assert found[PRODUCT][0] == "pump-failure"
    assert retrieval.find(ways, {"text": "what is for lunch in the canteen"})["found"][PRODUCT] == []


def test_meaning_is_searched_alone_and_fused_where_there_is_an_embedding() -> None:
    ways = with_meaning(letters)
    by_meaning, fused = ways[MEANING]("coolant pump failed", 40), ways[FUSED]("coolant pump failed", 40)
    assert by_meaning
    assert "pump-failure" in [passage.section for passage in fused][:3]
    assert [passage.id for passage in by_meaning] != [passage.id for passage in fused]


def test_an_embedding_that_is_not_there_is_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETPOINT_KNOWLEDGE__EMBEDDING", "nowhere/bert.gguf")
    ways, skipped = ways_of(NO_DATA)
    assert MEANING not in ways
    assert "no embedding model there" in skipped[1]


def said(*sections: str) -> dict[str, object]:
    return {"found": {PRODUCT: list(sections), "other": []}}


@pytest.mark.parametrize(
    ("accepted", "sections", "first", "in_5", "problem"),
    [
        (["a"], ["a", "b"], True, True, ""),
        (["a", "c"], ["b", "c"], False, True, ""),
        (["a"], ["b", "c", "d", "e", "f", "a"], False, False, "a is not among the first five; b comes first"),
        (["a"], [], False, False, "a is not among the first five; nothing comes first"),
        ([], [], True, True, ""),
        ([], ["b"], False, False, "found b, where nothing answers"),
    ],
)
def test_a_place_is_judged(
    accepted: list[str], sections: list[str], first: bool, in_5: bool, problem: str
) -> None:
    row = retrieval.judge({"kind": "question", "sections": accepted}, said(*sections))
    assert (row["found_first"], row["found_in_5"]) == (first, in_5)
    assert row["problems"] == ([problem] if problem else [])


def test_figures_are_apart_by_retriever_and_for_what_nothing_answers() -> None:
    cases = [(["a"], ["b", "a"]), (["a"], ["a"]), ([], ["b"]), ([], [])]
    rows = [
        {"case": str(number), **retrieval.judge({"kind": "question", "sections": accepted}, said(*sections))}
        for number, (accepted, sections) in enumerate(cases)
    ]
    found = {figure.key: figure.value for figure in retrieval.figures(rows, "dev")}
    assert found["dev questions, as shipped: recall@1"] == 0.5
    assert found["dev questions, as shipped: recall@3"] == 1.0
    assert found["dev questions, as shipped: mean reciprocal rank"] == 0.75
    assert found["dev questions, as shipped: silent where none answers"] == 0.5
    assert found["dev questions, other: recall@5"] == 0.0
    assert found["dev questions, other: silent where a runbook answers"] == 1.0
