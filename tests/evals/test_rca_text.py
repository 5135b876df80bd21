"""Suite `rca-text`: sets and splits, nothing leaks, its figures count, and the baseline reads the alert alone."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.registry import Ask
from evals.running.contenders import baseline, contender
from evals.running.runner import leaked, run_suite
from evals.service_rca import cases_in, judge
from evals.suites import rca_text
from evals.suites.rca_text import figures, loudest, prepare
from evals.suites.rca_text.sets import BY_HAND, OTHER_WORDS, OWN, case_text, sets_of
from tools.case_files import read_case

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
NO_DATA = Path("no-public-data")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


def test_held_out_cases_are_no_dev_cases_and_nothing_tuned_on_is_held_out() -> None:
    dev, _ = sets_of("dev", NO_DATA, ())
    held, _ = sets_of("held-out", NO_DATA, ())
    paths = {case.path for cases in dev for case in cases}
    assert {case.set for cases in held for case in cases} == {"by hand, held-out"}
    assert not paths & {case.path for cases in held for case in cases}


def test_absent_public_data_are_named() -> None:
    _, skipped = sets_of("dev", NO_DATA, ())
    assert [reason for reason in skipped if "rds_postgres" in reason]


def test_a_folder_of_ones_own_is_a_set(tmp_path: Path) -> None:
    shutil.copytree(BY_HAND / "own" / "web", tmp_path / "mine" / "web")
    sets, _ = sets_of("held-out", NO_DATA, (tmp_path / "mine",))
    assert [(cases[0].set, len(cases)) for cases in sets][-1] == ("yours, mine", 2)


def test_no_answer_stands_in_an_input() -> None:
    prepared = prepare(Ask(contender=contender("none"), data=NO_DATA))
    samples = list(prepared.task.dataset)
    assert [leak for sample in samples if (leak := leaked(sample, prepared))] == []
    assert all("root_cause_category" not in str(sample.input) for sample in samples)


def test_the_first_cases_are_of_every_set_and_family() -> None:
    prepared = prepare(Ask(contender=contender("none"), data=NO_DATA, limit=12))
    seen = [(sample.metadata or {})["set"] for sample in prepared.task.dataset]
    assert {OWN, OTHER_WORDS, "by hand, dev"} <= set(seen)
    families = {str(sample.metadata["family"]) for sample in prepared.task.dataset if sample.metadata}
    assert len(families) >= 4


def test_a_list_in_other_words_never_names_our_own_words() -> None:
    sets, _ = sets_of("dev", NO_DATA, ())
    cases = next(cases for cases in sets if cases[0].set == OTHER_WORDS)
    for case in cases:
        assert case.truth().category in case.choices
        assert len(case.choices) == len(set(case.choices)) == 8
    assert len({tuple(case.choices).index(case.truth().category) for case in cases}) > 4


def test_the_input_shows_what_the_method_reads(tmp_path: Path) -> None:
    folder = BY_HAND / "own" / "fabric" / "001-frames-damaged"
    text = case_text(read_case([folder]))
    for said in (
        "ALERT",
        "QUESTION",
        "fec_uncorrectable_codewords_rate",
        "Ethernet1/9",
        "leaf-9 firmware upgrade",
    ):
        assert said in text
    assert "dirty_or_dying_transceiver" not in text


def test_the_baseline_reads_the_alert_alone(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "alert.json").write_text('{"title": "disk is full"}')
    (folder / "a.log").write_text("2026-05-04T10:00:00Z x509: certificate has expired\n")
    (folder / "question.md").write_text("- `certificate` - expired\n- `storage` - a disk is full\n")
    assert loudest(read_case([folder])).answer == "storage"


def test_the_suite_runs_and_counts_each_set(tmp_path: Path) -> None:
    ran = run_suite(
        "rca-text", rca_text, Ask(contender=contender("none"), data=NO_DATA, limit=8), logs=tmp_path
    )
    assert ran.errors == ()
    right = {one.set: one for one in ran.figures if one.name == "category right"}
    assert {"by hand, dev", OWN} <= set(right)
    assert any("family" in name for name in right)
    ask = Ask(contender=baseline("severity"), data=NO_DATA, limit=8)
    against = run_suite("rca-text", rca_text, ask, logs=tmp_path / "b")
    worse = {one.set: one for one in against.figures if one.name == "category right"}
    assert sum(one.value for one in worse.values()) < sum(one.value for one in right.values())


def test_answers_of_a_model_that_were_not_taken_are_counted() -> None:
    row = {
        "set": "by hand, dev", "family": "f", "difficulty": "1", "category": True, "mode": None, "healthy": False,
        "healthy_found": None, "fault_called_healthy": False, "sources": 1.0, "required": None, "ruling_out": None,
        "forbidden": None, "wrong_category": None, "brier": 0.1, "problems": [], "not_taken": "no evidence", "case": "a",
    }  # fmt: skip
    found = {one.key: one for one in figures([row, row | {"case": "b", "not_taken": "", "category": False}])}
    assert found["all: model's answer not taken"].value == 0.5
    assert found["by hand, dev: category right"].value == 0.5


def test_families_by_another_hand_stay_right() -> None:
    rows = judge(cases_in(BY_HAND / "dev"), closed=False)
    assert sum(row["category"] for row in rows) >= len(rows) - 1
    assert not any(row["fault_called_healthy"] for row in rows)
