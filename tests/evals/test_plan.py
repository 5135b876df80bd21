"""A run of several suites and contenders: who runs where, what a failure costs, and what the record keeps."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.running.compare import compare
from evals.running.contenders import contender
from evals.running.plan import Plan, Wanted, exit_code, plan, run
from evals.running.provenance import REPOSITORY
from evals.running.record import LATEST, RECORD, Made, find, read
from setpoint.errors import ConfigError, ModelMissing, UsageError
from tests.evals.suite_double import Double, enter, numbered

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


def planned(tmp_path: Path, *suites: str, **more: Any) -> Plan:
    return plan(Wanted(suites, out=tmp_path / "runs", name="r", **more))


def test_nothing_runs_twice_and_what_does_not_run_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enter(monkeypatch, "birds", Double(), "rules")
    enter(monkeypatch, "fish", Double(), "rules", "plant", "model")
    made = planned(tmp_path, "birds", "fish", against=("severity", "rules", "plant"))
    assert [job.key for job in made.jobs] == [
        "birds by bundled",
        "fish by bundled",
        "fish by rules",
        "fish by plant",
    ]
    assert made.not_run == (
        "birds: severity is no system of this suite",
        "birds: rules would be the same as bundled: no model is asked here",
        "birds: plant would be the same as bundled: no model is asked here",
        "fish: severity is no system of this suite",
    )


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"suites": ("poetry",)}, "no eval suite 'poetry'"),
        ({"split": "test"}, "no split 'test'"),
        ({"limit": 0}, "--limit is 0"),
        ({"models": ("none", "none")}, "two contenders are named 'none'"),
        ({"against": ("models",)}, "no baseline 'models'"),
        ({"data": "/nowhere/at/all"}, "no such folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(wanted: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        plan(Wanted(**{"suites": ("triage",), "out": tmp_path} | wanted))


def test_a_suite_that_breaks_is_its_own_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enter(monkeypatch, "broken", Double(unprepared=RuntimeError("no such bird")))
    enter(monkeypatch, "birds", Double())
    record = run(planned(tmp_path, "broken", "birds"))
    assert record.errors == ("broken by bundled: cannot run: RuntimeError: no such bird",)
    assert [one.suite for one in record.ran if one.figures] == ["birds"]
    assert exit_code(record) == 1


def test_an_interrupt_leaves_what_was_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enter(monkeypatch, "birds", Double())
    enter(monkeypatch, "slow", Double(unprepared=KeyboardInterrupt()))
    enter(monkeypatch, "fish", Double())
    record = run(planned(tmp_path, "birds", "slow", "fish"))
    assert (record.interrupted, exit_code(record), record.suites) == (True, 130, ("birds",))
    assert read(find("r", tmp_path / "runs")) == record


def test_a_model_that_is_gone_is_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enter(monkeypatch, "birds", Double(unprepared=ModelMissing("no file m.gguf")))
    record = run(planned(tmp_path, "birds"))
    assert (exit_code(record), record.model_missing) == (3, "no file m.gguf")


def test_an_own_gate_holds_for_us_and_not_for_what_we_compare_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enter(monkeypatch, "birds", Double(gate="too few"), "rules")
    assert exit_code(run(planned(tmp_path, "birds"))) == 1
    enter(monkeypatch, "fish", Double(), "severity", "rules")
    fine = run(plan(Wanted(("fish",), against=("severity",), out=tmp_path)))
    assert exit_code(fine) == 0


def test_a_record_says_how_it_was_made_and_names_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = f"cannot read {REPOSITORY}/evals/x and {tmp_path}/y"
    enter(monkeypatch, "birds", Double(raises={"c00": ValueError(where)}, skipped=(f"fish: {where}",)))
    command = [
        "eval",
        "run",
        "birds",
        f"--out={tmp_path}/runs",
        "--model",
        f"light={tmp_path}/m.gguf,heavy=none",
    ]
    run(planned(tmp_path, "birds", limit=3, seed=5, split="held-out", epochs=2, command=command))
    path = tmp_path / "runs" / "r" / RECORD
    written = path.read_text("utf-8")
    assert str(tmp_path) not in written
    assert str(REPOSITORY) not in written
    record = read(path)
    assert (record.asked.limit, record.asked.seed, record.asked.split, record.asked.epochs) == (
        3,
        5,
        "held-out",
        2,
    )
    assert record.made.command == "eval run birds --out=runs --model light=m.gguf,heavy=none"
    assert (len(record.made.code), len(record.made.date), record.made.cores > 0) == (16, 19, True)
    assert (path.parent / record.ran[0].log).is_file()
    assert json.loads(written)["format"] == 1


def test_a_name_is_used_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enter(monkeypatch, "birds", Double())
    run(planned(tmp_path, "birds", limit=1))
    with pytest.raises(UsageError, match="a run of this name"):
        planned(tmp_path, "birds")


def test_two_runs_of_one_second_have_names_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enter(monkeypatch, "birds", Double())
    monkeypatch.setattr("evals.running.plan.made", lambda command: Made(date="2026-11-21 20:47:46"))
    names = [run(plan(Wanted(("birds",), limit=1, out=tmp_path))).name for _ in range(3)]
    assert names == [f"2026-11-21-204746-birds{end}" for end in ("", "-2", "-3")]


def test_runs_are_found_by_file_folder_name_and_as_the_latest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(UsageError, match="no eval run yet"):
        find(LATEST, runs)
    enter(monkeypatch, "birds", Double(wrong=numbered(0, 1)))
    run(planned(tmp_path, "birds", limit=1))
    path = runs / "r" / RECORD
    assert {find(one, runs) for one in (str(path), str(path.parent), "r", LATEST)} == {path}
    with pytest.raises(UsageError, match="no eval run 'q'"):
        find("q", runs)
    path.write_text('{"name": "r"}')
    with pytest.raises(ConfigError, match="no record of an eval run"):
        read(path)


def test_contenders_have_short_names_without_folders_and_addresses(tmp_path: Path) -> None:
    model = tmp_path / "qwen.gguf"
    model.write_bytes(b"GGUF")
    assert contender(f"light={model}@free,heavy=none").name == "light=qwen.gguf@free,heavy=none"
    assert contender("heavy=http://me:pw@10.0.0.7:1/v1#qwen@assisted").name == "heavy=qwen@assisted"
    assert contender("none").about()["light"] == {"kind": "none", "name": "none", "mode": "facts"}


def test_suites_in_processes_of_their_own_give_the_same_figures(tmp_path: Path) -> None:
    """Real ones, since a double is only known in this process."""
    asked = Wanted(("rca-text", "autonomy"), ("none",), limit=2, data="none", out=tmp_path, name="here")
    here, elsewhere = run(plan(asked)), run(plan(replace(asked, name="there", parallel=2)))
    assert elsewhere.errors == ()
    assert [one.key for one in elsewhere.ran] == [one.key for one in here.ran]
    judged = [one for one in compare(here, elsewhere).differences if one.better]  # the others are seconds
    assert judged
    # A process of its own adds up in another order: the last bit may differ.
    assert [one.change for one in judged] == pytest.approx([0.0] * len(judged), abs=1e-12)
