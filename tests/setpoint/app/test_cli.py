"""The command line as a person or a CI job meets it: help, mistakes, every output format, exit codes."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import typer

from evals.registry import SUITES
from setpoint.app.cli import app, main
from setpoint.contracts import PRIORITIES

DEMO = Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml"
NO_MODEL = ("--set", "models.light.kind=none", "--set", "models.heavy.kind=none")
LEAK = '{"time": "2026-03-14T23:00:00Z", "host": "leak-r-05", "source": "bms", "severity": "critical", "message": "Leak rope wet at rack r-05, zone 2"}'
ROUTINE = '{"time": "2026-03-14T23:01:00Z", "host": "gpu-01", "source": "cron", "severity": "info", "message": "(root) CMD (run-parts /etc/cron.hourly)"}'
BROKEN = '{"time": "2026-03-14T23:02:00Z", "host": '


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """`setpoint ARGS` in an empty folder, without settings of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str, stdin: bytes = b"") -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["setpoint", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def night(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join((LEAK, ROUTINE, BROKEN, "")))
    return file


# ---- help and mistakes ---------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        for key, child in getattr(command, "commands", {}).items():
            yield from below(f"{name} {key}".strip(), child)

    yield from below("", typer.main.get_command(app))


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_answers_help(cli: Cli, name: str) -> None:
    ran = cli(*name.split(), "--help")
    assert ran.code == 0
    assert "Usage:" in ran.out


def test_every_command_says_what_it_does() -> None:
    silent = [name for name, command in commands() if not (command.help or "").strip()]
    assert silent == []


def test_every_option_of_the_main_commands_is_explained() -> None:
    """Beside those that speak for themselves."""
    plain = {
        "--help",
        "--limit",
        "--subject",
        "--after",
        "--minutes",
        "--simulated",
        "--install-completion",
        "--show-completion",
    }
    silent = [
        f"{name} {parameter.opts[0]}"
        for name, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help and not plain & set(parameter.opts)
    ]
    assert silent == []


def test_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("setpoint ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("conjure",), "conjure"),
        (("run",), "Missing argument"),
        (("run", "nowhere.jsonl"), "no file 'nowhere.jsonl'"),
        (("triage", "nowhere.jsonl"), "no file 'nowhere.jsonl'"),
        (("run", "events.jsonl", "--output", "poem"), "no output format 'poem'"),
        (("triage", "events.jsonl", "--output", "poem"), "no output format 'poem'"),
        (("run", "events.jsonl", "--fail-on", "P7"), "no priority 'P7'"),
        (("run", "events.jsonl", "--decide", "nowhere.toml"), "no policy 'nowhere.toml'"),
        (("run", "events.jsonl", "--site", "nowhere.yaml"), "nowhere.yaml"),
        (("run", "events.jsonl", "--field", "time"), "--field takes our_name=your_name"),
        (("run", "events.jsonl", "--set", "alerts.flood"), "--set takes key=value"),
        (("run", "events.jsonl", "--set", "alerts.colour=red"), "alerts.colour"),
        (("incidents", "correct", "INC-1", "colour", "red", "--why", "x"), "cannot correct 'colour'"),
        (("eval", "run", "poetry"), "no eval suite 'poetry'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    cli: Cli, night: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert said in ran.err
    assert all(line.startswith("setpoint: ") for line in ran.err.splitlines())
    assert len([line for line in ran.err.splitlines() if "there is no ledger" not in line]) == 1


def test_approving_is_refused_on_a_real_site(cli: Cli, night: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text(DEMO.read_text().replace("simulated: true", "simulated: false"))
    ran = cli("run", "events.jsonl", "--site", str(real), "--decide", "approve", *NO_MODEL)
    assert ran.code == 2
    assert "only on a simulated site" in ran.err


@pytest.mark.parametrize("command", ["run", "triage"])
def test_an_empty_file_is_no_event(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    ran = cli(command, "empty.jsonl", *(NO_MODEL if command == "run" else ()))
    assert ran.code == 2
    assert "no event" in ran.err


# ---- run -----------------------------------------------------------------------------------------------------------


def run(cli: Cli, output: str, *more: str) -> Ran:
    return cli(
        "run", "events.jsonl", "--site", str(DEMO), "--decide", "reject", "-o", output, *NO_MODEL, *more
    )


def test_text_tells_the_story_live(cli: Cli, night: Path) -> None:
    ran = run(cli, "text")
    assert ran.code == 0
    for told in (
        "P0",
        "ALERT",
        "leak-r-05",
        "CAUSE",
        "coolant leak",
        "recovery guide",
        "[leak-rack#steps/1]",
        "DECIDED",
        "quarantine",
    ):
        assert told in ran.out, told


def test_json_is_one_document(cli: Cli, night: Path) -> None:
    ran = run(cli, "json")
    found = json.loads(ran.out)
    leak = next(one for one in found["incidents"] if one["priority"] == "P0")
    assert "leak-r-05" in leak["assets"]
    assert found["quarantined"]
    assert found["reviews"]


def test_jsonl_is_a_document_a_line(cli: Cli, night: Path) -> None:
    rows = [json.loads(line) for line in run(cli, "jsonl").out.splitlines()]
    assert rows[-1]["type"] == "summary"
    assert {row["type"] for row in rows[:-1]} == {"incident"}


def test_junit_fails_on_what_matters(cli: Cli, night: Path) -> None:
    root = ElementTree.fromstring(run(cli, "junit").out)
    assert root.findall(".//failure")
    assert root.findall(".//testcase")


def test_github_annotates(cli: Cli, night: Path) -> None:
    assert "::error" in run(cli, "github").out


def test_the_report_is_one_file_without_the_network(cli: Cli, night: Path, tmp_path: Path) -> None:
    ran = run(cli, "json", "--report", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "report:" in ran.err
    assert "coolant leak" in page
    assert 'src="http' not in page
    assert "<link" not in page


@pytest.mark.parametrize(("gate", "code"), [("P0", 1), ("P3", 1)])
def test_a_gate_fails_where_it_should(cli: Cli, night: Path, gate: str, code: int) -> None:
    assert run(cli, "json", "--fail-on", gate).code == code


def test_a_gate_passes_where_nothing_is_that_bad(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(ROUTINE)
    assert run(cli, "json", "--fail-on", "P1").code == 0


def test_actions_that_wait_are_exit_4(cli: Cli, night: Path) -> None:
    ran = cli("run", "events.jsonl", "--site", str(DEMO), "-o", "json", *NO_MODEL)
    assert ran.code == 4
    assert "wait for a decision" in ran.err


def test_standard_input_is_a_file_too(cli: Cli) -> None:
    ran = cli(
        "run", "-", "--site", str(DEMO), "--decide", "reject", "-o", "json", *NO_MODEL, stdin=LEAK.encode()
    )
    assert ran.code == 0
    assert json.loads(ran.out)["incidents"][0]["priority"] == "P0"


def test_a_kept_store_is_read_by_the_other_commands(cli: Cli, night: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    assert (
        cli(
            "run", "events.jsonl", "--site", str(DEMO), "-o", "json", "--keep", "--store", store, *NO_MODEL
        ).code
        == 4
    )
    rows = json.loads(cli("incidents", "list", "--store", store, "--json").out)
    assert rows[0]["priority"] == "P0"
    waiting = json.loads(cli("review", "list", "--store", store, "--json").out)
    assert waiting
    shown = cli("incidents", "show", rows[0]["id"], "--store", store)
    assert "coolant leak" in shown.out
    assert "[leak-rack#" in shown.out
    assert cli("audit", "verify", "--store", store).code == 0
    assert cli("incidents", "show", "INC-NONE", "--store", store).code == 2
    rejected = cli("review", "reject", waiting[0]["id"], "--why", "no", "--as", "mira", "--store", store)
    assert "rejected by mira" in rejected.out
    assert cli("review", "approve", waiting[0]["id"], "--as", "jon", "--store", store).code == 4


# ---- triage --------------------------------------------------------------------------------------------------------


def test_triage_gives_one_line_an_event_with_every_field(cli: Cli, night: Path) -> None:
    ran = cli("triage", "events.jsonl", "--site", str(DEMO))
    rows: list[dict[str, Any]] = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [row["priority"] for row in rows] == ["P0", "P3"]
    for row in rows:
        assert {"id", "priority", "urgency", "impact", "complexity", "reason", "confidence"} <= row.keys()
        assert row["priority"] in PRIORITIES
        assert {row["urgency"], row["impact"], row["complexity"]} <= {"high", "low"}
        assert 0.0 <= row["confidence"] <= 1.0
        assert row["reason"]
    assert "2 events ranked, 1 items unreadable" in ran.err


def test_triage_keeps_the_sources_own_id(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "id,time,host,message\nrow-17,2026-03-14T23:00:00Z,gpu-01,GPU has fallen off the bus\n"
    )
    assert json.loads(cli("triage", "events.csv").out)["id"] == "row-17"


def test_triage_reads_fields_by_another_name(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "wann,rechner,text\n2026-03-14T23:00:00Z,leak-r-05,Leak rope wet at rack r-05\n"
    )
    ran = cli(
        "triage",
        "own.csv",
        "--site",
        str(DEMO),
        "--field",
        "time=wann",
        "--field",
        "host=rechner",
        "--field",
        "message=text",
    )
    assert json.loads(ran.out)["priority"] == "P0"


def test_triage_reads_standard_input_as_text(cli: Cli) -> None:
    ran = cli("triage", "-", "-o", "text", stdin=LEAK.encode())
    assert ran.out.startswith("P0  leak-r-05")


# ---- the rest ------------------------------------------------------------------------------------------------------


def test_settings_are_shown_with_their_origin(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETPOINT_ALERTS__FLOOD_PER_10MIN", "7")
    rows = {row["key"]: row for row in json.loads(cli("config", "show", "--origin", "--json").out)}
    assert rows["alerts.flood_per_10min"] == {
        "key": "alerts.flood_per_10min",
        "value": 7,
        "origin": "environment SETPOINT_ALERTS__FLOOD_PER_10MIN",
    }
    assert rows["act.dry_run"]["origin"] == "default"


def test_a_night_is_printed_with_or_without_its_truth(cli: Cli) -> None:
    plain, truth = cli("night").out.splitlines(), cli("night", "--truth").out.splitlines()
    assert len(plain) == len(truth) > 200
    assert {"text", "story", "priority", "cause"} == json.loads(truth[0]).keys()


def test_the_suites_are_listed(cli: Cli) -> None:
    assert {row["suite"] for row in json.loads(cli("eval", "list", "--json").out)} == set(SUITES)
