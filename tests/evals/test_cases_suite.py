"""The suite `cases` plays folders through the real product: right ones pass, wrong expectations and wrong folders fail."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.folders.folder import CASEBOOK, read_folder
from evals.folders.player import the_player
from evals.registry import SUITES, Ask
from evals.running.contenders import baseline
from evals.running.runner import run_suite
from evals.suites import cases
from setpoint.errors import SetpointError

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
RULES = baseline("rules")
QUIET, BREAKER = "quiet-morning", "branch-breaker-opens"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders: a quiet morning, a trouble that is played as if it were nothing, and one that is no case."""
    root = tmp_path / "book"
    for name in (QUIET, BREAKER):
        shutil.copytree(CASEBOOK / name, root / name)
    text = (root / BREAKER / "case.yaml").read_text()
    (root / BREAKER / "case.yaml").write_text(text[: text.index("expect:")] + "expect: {no_incident: true}\n")
    (root / "half").mkdir()
    monkeypatch.setattr(cases, "CASEBOOK", root)
    return root


def test_good_and_wrong_folders_through_the_real_product(book: Path, tmp_path: Path) -> None:
    ran = run_suite("cases", SUITES["cases"].load(), Ask(contender=RULES), logs=tmp_path / "logs")
    assert [error.split(":")[0] for error in ran.errors] == ["half"]
    assert "there is no such file" in ran.errors[0]
    assert ran.cases[QUIET].problems == ()
    said = " ".join(ran.cases[BREAKER].problems)
    assert "nothing is wrong, but it says P" in said
    assert "pdu-06b" in said
    found = {figure.name: figure for figure in ran.figures}
    assert (found["nobody told of what is none"].value, found["nobody told of what is none"].n) == (0.5, 2)
    assert (found["acted without a yes"].value, found["acted without a yes"].hard) == (0.0, True)


def test_only_folders_of_the_split_are_played(book: Path) -> None:
    text = (book / QUIET / "case.yaml").read_text()
    (book / QUIET / "case.yaml").write_text(text + "split: held-out\n")
    held = cases.prepare(Ask(split="held-out")).task.dataset
    assert {sample.id for sample in held} == {QUIET, "half"}


def test_a_reader_sees_all_that_the_product_sees_and_no_answer(book: Path) -> None:
    shutil.copytree(CASEBOOK / "a-site-of-its-own", book / "own")
    sample = next(one for one in cases.prepare(Ask()).task.dataset if one.id == "own")
    assert "usv-keller: capacity test reached 54 percent" in str(sample.input)
    assert "--- site.yaml" in str(sample.input)
    assert "ups_battery_degraded" not in str(sample.input)
    assert sample.target == ["ups_battery_degraded"]


def test_a_site_folder_beside_the_projects_counts_too(book: Path, tmp_path: Path) -> None:
    shutil.copytree(book / QUIET, tmp_path / "mine" / QUIET)
    ids = [one.id for one in cases.prepare(Ask(cases=(tmp_path / "mine",))).task.dataset]
    assert sorted(map(str, ids)) == [BREAKER, "half", QUIET, f"{QUIET}~2"]


def test_an_act_without_a_yes_fails_the_gate() -> None:
    row = {"case": "x", "tags": [], "moved": 1, "right": False, "sure_and_wrong": None}
    row |= {key: None for key, *_ in cases._FIGURES if key != "right"}
    assert "nobody had approved" in cases.gate(cases.figures([row], "dev"))
    assert cases.gate(cases.figures([row | {"moved": 0}], "dev")) == ""


def test_events_that_cannot_be_read_are_said_and_a_dead_player_comes_back(book: Path) -> None:
    (book / QUIET / "events.log").write_text("")
    with pytest.raises(SetpointError, match="no event could be read: the input is empty"):
        the_player().play(read_folder(book / QUIET), RULES)
    process = the_player()._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    folder = read_folder(CASEBOOK / QUIET)
    assert the_player().play(folder, RULES)["pages"] == 0
