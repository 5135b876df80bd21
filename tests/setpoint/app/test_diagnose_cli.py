"""`setpoint diagnose` as a person types it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.setpoint.app.terminal import Terminal

CASES = Path(__file__).parents[2] / "fixtures" / "service_cases"


def test_a_folder_gives_a_conclusion_with_places(terminal: Terminal) -> None:
    ran = terminal("diagnose", str(CASES / "a05-bad-release"))
    assert ran.code == 0
    assert "code_defect: a release with a fault" in ran.out
    assert "NullPointerException" in ran.out
    assert "[app.jsonl [1]]" in ran.out or "[app.jsonl" in ran.out


def test_json_holds_the_whole_finding(terminal: Terminal) -> None:
    found = terminal("diagnose", str(CASES / "a03-cache-full"), "--json").data
    assert found["mode"] == "memory_exhaustion"
    assert found["withheld"] == ["answer.yml"]
    assert {cited["file"] for cited in found["evidence"]} == {"range_query.json", "redis_info.txt"}


def test_files_and_a_closed_list_may_be_given(terminal: Terminal) -> None:
    case = CASES / "a10-name-lookup"
    files = [str(path) for path in sorted(case.iterdir()) if path.name != "answer.yml"]
    found = terminal("diagnose", *files, "--json", "--answers", "network, code, healthy").data
    assert found["answer"] == "network"


def test_a_folder_of_cases_gives_a_line_each(terminal: Terminal, tmp_path: Path) -> None:
    for name in ("a01-pod-memory", "a17-errors-only"):
        shutil.copytree(CASES / name, tmp_path / "all" / name)
    ran = terminal("diagnose", str(tmp_path / "all"))
    assert [line.split()[0] for line in ran.out.splitlines()] == ["a01-pod-memory", "a17-errors-only"]
    assert terminal("diagnose", str(tmp_path / "all"), "--report", "x.html").code == 2


def test_the_report_shows_plots_and_no_foreign_markup(terminal: Terminal, tmp_path: Path) -> None:
    case = tmp_path / "case"
    shutil.copytree(CASES / "a04-consumer-lag", case)
    with (case / "consumer.log").open("a") as log:
        log.write("2026-06-10T06:12:40Z ERROR upstream <script>alert(1)</script> timed out after 5000 ms\n")
    ran = terminal("diagnose", str(case), "--report", "out/page.html")
    assert ran.code == 0
    page = (terminal.folder / "out" / "page.html").read_text("utf-8")
    assert page.count('<svg class="chart"') >= 3
    assert "consumer_lag" in page
    assert "<script>" not in page
    assert 'href="http' not in page


def test_bad_input_is_one_clear_line(terminal: Terminal) -> None:
    missing = terminal("diagnose", "nowhere")
    assert (missing.code, missing.out) == (2, "")
    assert "nowhere: no such file or folder" in missing.err
    (terminal.folder / "empty").mkdir()
    assert "no evidence to read" in terminal("diagnose", "empty").err
    terminal.write("bad.json", "{")
    assert "unreadable JSON" in terminal("diagnose", "bad.json").err


def test_control_characters_of_evidence_stay_harmless(terminal: Terminal) -> None:
    terminal.write("alert.json", '{"title": "disk \\u001b[31mfull\\u202e", "state": "alerting"}')
    terminal.write("app.log", "2026-06-10T06:12:40Z ERROR no space left on device \x1b]0;x\x07\n")
    out = terminal("diagnose", "alert.json", "app.log").out
    assert "\x1b" not in out
    assert "\u202e" not in out
