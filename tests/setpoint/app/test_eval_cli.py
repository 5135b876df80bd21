"""`setpoint eval` as a person types it: tables that can be read, formats that machines read, exit codes."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.evals.suite_double import Double, enter, numbered
from tests.setpoint.app.terminal import Terminal

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal(monkeypatch, capsys, tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return terminal


@pytest.fixture
def birds(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    enter(monkeypatch, "birds", Double(12, wrong=numbered(2, 4)), "severity", "rules", "plant", "model")
    return monkeypatch


def test_a_run_prints_figures_costs_and_where_it_fails(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    enter(birds, "birds", Double(12, wrong=numbered(2, 4), skipped=("fish: no data",)), "severity", "rules")
    ran = cli("eval", "run", "birds", "--model", "none", "--against", "severity", "--name", "a")
    assert ran.code == 0
    assert re.search(
        r"^  right +12 +0\.833 +0\.552 to 0\.953 +0\.833 +0\.552 to 0\.953", ran.out, re.MULTILINE
    )
    assert "cost a case" in ran.out
    assert "skipped: fish: no data" in ran.out
    assert "2 of 12 cases of none with a problem" in ran.out
    assert "  c02: says egret, is heron" in ran.out
    assert "setpoint eval show a --suite birds --case c02" in ran.out
    assert ran.err.splitlines() == [
        "[1 of 2] birds by none: 12 cases",
        "[2 of 2] birds by severity: 12 cases",
    ]


def test_many_long_names_stay_within_100_columns(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    files = [f"a-model-with-quite-a-long-name-{size}b-instruct.gguf" for size in (1, 3, 7)]
    for name in files:
        cli.write(name, b"GGUF")
    enter(birds, "birds", Double(6), "severity", "rules", "plant")
    models = [word for name in files for word in ("--model", f"light={name},heavy=none")]
    ran = cli("eval", "run", "birds", "--against", "severity,rules", *models[:2], "--name", "a")
    assert max(map(len, ran.out.splitlines())) <= 100
    assert f"A = light={files[0]},heavy=none" in ran.out


def test_a_difference_has_a_sign_and_not_only_a_colour(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    from evals.figures import share
    from evals.running.record import Asked, Made, Ran, Record
    from setpoint.app.eval_text import screen, show_run

    columns = [
        Ran("birds", name, (share("s", "right", hits, 100),))
        for name, hits in (("a", 50), ("b", 80), ("c", 20))
    ]
    show_run(screen(), Record("r", Made(), Asked(("birds",)), {}, tuple(columns)))
    cli._capsys.readouterr()
    show_run(screen(), Record("r", Made(), Asked(("birds",)), {}, tuple(columns)))
    (line,) = [line for line in cli._capsys.readouterr().out.splitlines() if "right" in line]
    assert re.search(r"0\.500 .* 0\.800 [▲+] .* 0\.200 [▼-]", line)
    assert "\x1b" not in line


def test_json_is_the_record(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    ran = cli("eval", "run", "birds", "--model", "none", "--limit", "5", "-o", "json", "--name", "a")
    assert ran.data == json.loads(Path("var/evals/a/record.json").read_text("utf-8"))
    assert ran.data["ran"][0]["cases"]["c02"] == {"problems": ["says egret, is heron"]} | {
        "seconds": ran.data["ran"][0]["cases"]["c02"]["seconds"]
    }


def test_junit_has_a_test_case_for_each_case(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    enter(birds, "birds", Double(6, wrong=numbered(2, 3), raises={"c04": ValueError("boom\x00")}))
    ran = cli("eval", "run", "birds", "--model", "none", "-o", "junit")
    assert ran.code == 1
    (suite,) = ET.fromstring(ran.out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["c02"]
    assert [case.get("name") for case in suite if case.find("error") is not None] == ["c04"]


def test_github_marks_what_failed_on_one_line_each(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    enter(birds, "birds", Double(6, wrong=numbered(2, 3), raises={"c04": ValueError("a\n::error::b")}))
    ran = cli("eval", "run", "birds", "--model", "none", "-o", "github")
    commands = [line for line in ran.out.splitlines() if line.startswith("::")]
    assert [line.split(" ")[0] for line in commands] == ["::error", "::warning"]
    assert "birds by none%3A c02::says egret, is heron" in commands[1]
    assert "| birds: right | 5 | 0.800" in ran.out


def test_a_run_is_shown_again_and_compared(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    cli("eval", "run", "birds", "--model", "none", "--name", "a")
    enter(birds, "birds", Double(12, wrong=numbered(3, 12)), "rules")
    cli("eval", "run", "birds", "--model", "none", "--name", "b")
    assert cli("eval", "show").out.count("nothing wrong") == 1
    assert "c03: says egret, is heron" in cli("eval", "show", "a", "--failed").out
    assert "c00: fine" in cli("eval", "show", "a", "--all").out
    assert {one["case"] for one in cli("eval", "show", "a", "--failed", "--json").data} == {"c02", "c03"}
    compared = cli("eval", "compare", "a", "b")
    assert re.search(
        r"birds: right +0\.833 +0\.250 +-0\.583 +-0\.\d+ to -0\.\d+ +12\* +\S worse", compared.out
    )
    assert "fixed cases: 1" in compared.out
    assert len(cli("eval", "compare", "a", "b", "--json").data["broken"]) == 8
    assert cli("eval", "show", "a", "--suite", "fish").code == 2
    assert "no eval run 'q'" in cli("eval", "compare", "a", "q").err


def test_a_case_is_shown_with_all_that_was_said(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    cli("eval", "run", "birds", "--model", "none", "--name", "a")
    out = cli("eval", "show", "a", "--case", "c02").out
    assert [
        word
        for word in ("input:", "no model was asked", "said:", "judged:", "problem: says egret")
        if word not in out
    ] == []
    assert cli("eval", "show", "a", "--case", "c02", "--json").data[0]["said"] == {"text": "egret"}
    assert cli("eval", "show", "a", "--case", "c99").code == 2


def test_the_gate_is_written_held_and_shut(cli: Terminal, birds: pytest.MonkeyPatch) -> None:
    assert cli("eval", "gate", "--baseline", "b.json").code == 2
    cli("eval", "run", "birds", "--model", "none", "--limit", "8", "--name", "a", "--data", "none")
    assert cli("eval", "gate", "a", "--write", "--baseline", "b.json").code == 0
    passed = cli("eval", "gate", "--baseline", "b.json")
    assert (passed.code, "gate passed; 3 figures held" in passed.out) == (0, True), passed.err
    enter(birds, "birds", Double(12, wrong=numbered(0, 12)), "rules")
    shut = cli("eval", "gate", "--baseline", "b.json")
    assert (shut.code, "right: 0.750 -> 0.000 (-0.750" in shut.out) == (1, True)
    assert "c00: says egret, is heron" in shut.out
    marked = cli("eval", "gate", "latest", "--baseline", "b.json", "-o", "github")
    assert (marked.code, marked.out.startswith("::error title=gate%3A birds by none::")) == (1, True)
    junit = ET.fromstring(cli("eval", "gate", "latest", "--baseline", "b.json", "-o", "junit").out)
    assert [case.get("classname") for case in junit.iter("testcase")].count("gate") == 3


def test_what_only_reads_records_loads_neither_inspect_nor_langchain(
    cli: Terminal, birds: pytest.MonkeyPatch
) -> None:
    """They take seconds; a table of a record should be there at once."""
    cli("eval", "run", "birds", "--model", "none", "--name", "a")
    for words in (
        ["list"],
        ["show", "a"],
        ["show", "a", "--failed"],
        ["compare", "a", "a"],
        ["run", "--help"],
    ):
        code = (
            "import sys; from setpoint.app.cli import app\n"
            f"app(['eval', *{words}], standalone_mode=False)\n"
            "assert not {'inspect_ai', 'langchain_core'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_is_asked_wrongly_is_refused(cli: Terminal) -> None:
    for words, said in (
        (("run", "triage", "-o", "poem"), "no output format 'poem'"),
        (("run", "poetry"), "no eval suite 'poetry'"),
        (("run", "triage", "--model", "light=/no/such.gguf"), "there is no file /no/such.gguf"),
        (("show",), "no eval run yet"),
        (("gate", "--write"), "--write needs the run"),
        (("view", "--port", "1"), "no eval logs here"),
    ):
        ran = cli("eval", *words)
        assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_dead_server_is_exit_3(cli: Terminal) -> None:
    ran = cli("eval", "run", "alert", "--limit", "1", "--model", "light=http://127.0.0.1:9/v1#m,heavy=none")
    assert (ran.code, "no model server answers" in ran.err) == (3, True)
