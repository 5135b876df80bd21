"""Scoring of the ranking, and the floor it must not fall under on the public sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from evals import triage_data
from evals.triage_data import EPOCH, Labelled
from evals.triage_score import by_wording, false_pages, macro_f1, score, severity_words
from knowledge.rulebook import RuleBook
from setpoint.contracts import Event, Priority
from setpoint.errors import UsageError


def labelled(gold: Priority, accept: str, message: str = "m") -> Labelled:
    event = Event(id="1", time=EPOCH, received=EPOCH, asset="a", source="", kind="", message=message)
    return Labelled(event, gold, frozenset(accept.split("|")), message)  # type: ignore[arg-type]


def test_macro_f1_counts_only_classes_that_are_there() -> None:
    assert macro_f1(["P1", "P3"], ["P1", "P3"]) == 1.0
    assert macro_f1(["P3", "P3"], ["P3", "P0"]) == pytest.approx(2 / 3)


def test_tolerated_answers_count_apart_from_exact_ones() -> None:
    found = score([labelled("P1", "P1|P2"), labelled("P3", "P3")], ["P2", "P3"])
    assert (found.accepted, found.accepted_macro_f1) == (1.0, 1.0)
    assert found.macro_f1 < 1.0
    assert found.page_recall == 0.0


def test_always_routine_scores_badly() -> None:
    gold = [labelled("P3", "P3")] * 95 + [labelled("P1", "P1")] * 5
    assert score(gold, ["P3"] * 100).macro_f1 < 0.5


def test_rows_of_one_wording_count_once() -> None:
    assert (
        len(by_wording([labelled("P1", "P1", "a"), labelled("P1", "P1", "a"), labelled("P1", "P1", "b")]))
        == 2
    )


def test_baseline_reads_alarming_words() -> None:
    assert severity_words(labelled("P3", "P3", "link DOWN").event) == "P1"
    assert severity_words(labelled("P3", "P3", "all quiet").event) == "P3"
    quiet = labelled("P3", "P3", "all quiet").event
    assert severity_words(quiet.model_copy(update={"severity": "critical"})) == "P1"


def test_absent_data_is_said_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SETPOINT_SHARED_DATA"):
        triage_data.data_dir(tmp_path)


@pytest.fixture(scope="module")
def engine() -> SymbolicEngine:
    return SymbolicEngine(RuleBook.load(), None, TextRanker.load())


def public() -> Path:
    try:
        return triage_data.data_dir()
    except UsageError as error:
        pytest.skip(f"public data not here: {error}")


def test_mercury_floor(engine: SymbolicEngine) -> None:
    items = by_wording(triage_data.mercury(public()))
    found = score(items, [engine.rank(item.event).priority for item in items])
    assert found.macro_f1 > 0.8
    assert found.accepted > 0.9


def test_titan_and_redfish_floor(engine: SymbolicEngine) -> None:
    for items, floor in (
        (triage_data.titan(public()), 0.95),
        (triage_data.redfish(public(), severity=True), 0.9),
    ):
        assert score(items, [engine.rank(item.event).priority for item in items]).accepted_macro_f1 > floor


def test_few_false_pages_on_routine_logs(engine: SymbolicEngine) -> None:
    pages = false_pages(public(), lambda event: engine.rank(event).priority)
    assert sum(found["pages_per_10k"] for found in pages.values()) / len(pages) < 20
