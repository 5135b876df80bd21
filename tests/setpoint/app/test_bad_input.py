"""Whatever is wrong with input, settings or store: one clear message, no traceback, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from setpoint.app.modelcheck import missing_models
from setpoint.app.progress import MOST_TOLD
from setpoint.ledger import Ledger
from setpoint.settings import load_settings
from tests.setpoint.app.terminal import DEMO, NO_MODEL, Terminal

GOOD = (
    '{"time": "2026-03-14T23:00:00Z", "host": "gpu-03", "severity": "info", "message": "fan speed normal"}\n'
)
DEAD = '{"time": "2026-03-14T23:00:00Z", "host": "gpu-04", "severity": "error", "message": "NVRM: Xid (PCI:0000:41:00): 79, GPU has fallen off the bus."}\n'

BAD_ITEMS: dict[str, tuple[bytes, str]] = {
    "malformed": (b'{"host": "gpu-03", "message" "x"}\n', "malformed JSON"),
    "wrong type": (b'{"host": "gpu-03", "message": ["a"]}\n', "not text"),
    "no number": (b'{"host": "cdu-1", "metric": "flow", "value": "abc", "unit": "lpm", "message": "m"}\n', "not a number"),
    "NaN": (b'{"host": "cdu-1", "metric": "flow", "value": NaN, "unit": "lpm"}\n', "NaN is not a number"),
    "NaN at the end": (b'{"host": "cdu-1", "metric": "flow", "value": NaN, "unit": "lpm"}', "NaN is not a number"),
    "megabytes": (b'{"host": "gpu-03", "message": "' + b"x" * 2_000_000 + b'"}\n', "longer than 256 KiB"),
    "nested bomb": (b"[" * 40_000 + b"]" * 40_000 + b"\n", "nested deeper than 32"),
    "half written": (b'{"time": "2026-03-14T23:0', "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_one_bad_item_is_named_and_the_rest_goes_on(terminal: Terminal, name: str) -> None:
    raw, said = BAD_ITEMS[name]
    ran = terminal.play(terminal.write("input.jsonl", GOOD.encode() + raw), store="kept")
    assert "Traceback" not in ran.err
    assert "input.jsonl, line 2" in ran.err
    assert said in ran.err
    assert ran.data["summary"]["events"] == 1
    held = terminal("quarantine", "list", "--store", "kept", "--json").data
    assert [said in item["reason"] for item in held] == [True]
    assert "cut off" not in held[0]["reason"] or name == "half written"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", b"", "the input is empty"),
        ("blank.jsonl", b"\n \n", "the input is empty"),
        ("binary.jsonl", bytes(range(256)) * 20, "binary data"),
        ("broken.jsonl.gz", b"\x1f\x8b\x08garbage", "broken gzip"),
    ],
)
def test_input_without_any_event_is_exit_2(terminal: Terminal, name: str, content: bytes, said: str) -> None:
    ran = terminal.play(terminal.write(name, content))
    assert ran.code == 2
    assert said in ran.err
    assert "no event could be read" in ran.err
    assert ran.out == ""


def test_a_folder_and_a_missing_file_say_so(terminal: Terminal) -> None:
    assert "is a folder" in terminal.play(".").err
    missing = terminal.play("nowhere.jsonl")
    assert missing.code == 2
    assert "no file 'nowhere.jsonl'" in missing.err


def test_latin_1_and_utf_16_are_read(terminal: Terminal) -> None:
    line = GOOD.replace("fan speed normal", "L\u00fcfter normal")
    terminal.write("latin.jsonl", line.encode("latin-1"))
    terminal.write("wide.jsonl", line.encode("utf-16"))
    assert terminal.play("latin.jsonl").data["summary"]["events"] == 1
    assert terminal.play("wide.jsonl").data["summary"]["events"] == 1


def test_a_time_without_zone_and_one_in_the_future_are_read_and_flagged(terminal: Terminal) -> None:
    terminal.write("odd.jsonl", GOOD.replace("23:00:00Z", "23:00:00") + DEAD.replace("2026-", "2999-"))
    terminal.play("odd.jsonl", store="kept")
    with Ledger.open(Path("kept") / "ledger.db") as ledger:
        events = {ranked.event.asset: ranked.event for ranked in ledger.iter_triaged()}
    assert events["gpu-03"].time.isoformat() == "2026-03-14T22:00:00+00:00", "the site is in Berlin"
    assert events["gpu-03"].flags == ("time-without-zone",)
    asked = terminal("review", "list", "--kind", "doubtful_input", "--store", "kept").out
    assert "time in future" in asked
    assert "gpu-04" in asked


def test_an_id_used_twice_for_different_events_keeps_both(terminal: Terminal) -> None:
    first = GOOD.replace('"host"', '"id": "one", "host"')
    ran = terminal.play(
        terminal.write("twice.jsonl", first + first + first.replace("fan", "pump")), store="kept"
    )
    assert ran.data["summary"]["events"] == 1
    assert "id 'one' was used in this input for another event" in ran.err


def test_many_bad_items_are_counted_not_recited(terminal: Terminal) -> None:
    bad = "".join(f'{{"host": "gpu-03", "n": {n}, "message": ["x"]}}\n' for n in range(MOST_TOLD + 7))
    ran = terminal.play(terminal.write("many.jsonl", GOOD + bad))
    assert ran.err.count("Send message as text") == MOST_TOLD
    assert ran.err.count("7 more items were unreadable") == 1
    assert f"{MOST_TOLD + 7} unreadable items in quarantine" in ran.err


def test_what_was_mended_leaves_quarantine_once(terminal: Terminal) -> None:
    terminal.play(terminal.write("input.jsonl", GOOD.encode() + BAD_ITEMS["wrong type"][0]), store="kept")
    name = terminal("quarantine", "list", "--store", "kept", "--json").data[0]["id"]
    again = terminal("quarantine", "replay", name, "--store", "kept")
    assert (again.code, "--mended FILE" in again.err) == (2, True)
    gone = terminal("quarantine", "replay", name, "--mended", "nowhere.json", "--store", "kept")
    assert (gone.code, gone.err.count("\n")) == (2, 1)
    terminal.write("mended.json", DEAD)
    assert (
        "1 new event"
        in terminal("quarantine", "replay", name, "--mended", "mended.json", "--store", "kept").out
    )
    assert (
        "no longer in quarantine: replayed" in terminal("quarantine", "replay", name, "--store", "kept").err
    )
    assert "no longer in quarantine" in terminal("quarantine", "remove", name, "--store", "kept").err
    assert terminal("quarantine", "remove", "q-none", "--store", "kept").code == 2
    assert "nothing is in quarantine" in terminal("quarantine", "list", "--store", "kept").out


# ---- settings and site -------------------------------------------------------------------------------------------

SITES = {
    "name: [x\n": "not valid YAML",
    "name: x\ntimezone: Mars/Base\n": "unknown time zone 'Mars/Base'",
    "name: x\nassetz: []\n": "unknown field 'assetz'",
    "name: x\nassets: 5\n": "assets is a list of mappings",
    "name: x\nassets:\n  - gpu-01\n": "assets is a list of mappings",
    "- a\n": "a site file is a mapping",
    "name: x\nmaintenance:\n  - {start: 2026-02-01 00:00:00, end: 2026-01-01 00:00:00, assets: '*'}\n": "ends before it starts",
}  # fmt: skip


@pytest.mark.parametrize("content", SITES)
def test_a_wrong_site_file_is_one_line_with_its_name(terminal: Terminal, content: str) -> None:
    terminal.write("site.yaml", content)
    ran = terminal("triage", terminal.write("input.jsonl", GOOD), "--site", "site.yaml")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "site.yaml" in ran.err
    assert SITES[content] in ran.err


def test_a_wrong_key_names_the_file_and_the_key(terminal: Terminal) -> None:
    terminal.write("setpoint.toml", '[alerts]\nsinkz = ["console"]\n')
    ran = terminal("incidents", "list")
    assert (ran.code, ran.err) == (
        2, "setpoint: setpoint.toml: unknown setting 'alerts.sinkz'. `setpoint config show` lists every key\n",
    )  # fmt: skip


def test_a_missing_model_is_said_and_the_run_goes_on(terminal: Terminal) -> None:
    gguf = ("--set", "models.heavy.kind=gguf", "--set", "models.heavy.path=/nowhere/model.gguf")
    ran = terminal.play(terminal.write("input.jsonl", DEAD), more=gguf)
    assert "models.heavy: /nowhere/model.gguf: No such file or directory" in ran.err
    assert ran.data["summary"]["diagnoses"] == 1


def test_a_file_that_is_no_model_is_found_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("not a model")
    flags = {
        "models.light.kind": "gguf",
        "models.light.path": tmp_path / "model.gguf",
        "models.heavy.kind": "openai",
    }
    light, heavy = missing_models(load_settings(flags, env={}, files=()).settings)
    assert "model.gguf is no GGUF file" in light
    assert heavy.startswith("models.heavy: url and model not set")


# ---- the store ---------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(terminal: Terminal) -> Path:
    terminal.play(terminal.write("input.jsonl", DEAD), store="kept")
    return Path("kept")


def test_a_damaged_ledger_says_what_to_do(terminal: Terminal) -> None:
    (terminal.folder / "kept").mkdir()
    terminal.write("kept/ledger.db", os.urandom(5000))
    ran = terminal("incidents", "list", "--store", "kept")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "damaged or no Setpoint ledger" in ran.err


def test_a_store_that_is_a_file(terminal: Terminal) -> None:
    terminal.write("kept", b"x")
    assert "store.dir is a file" in terminal("incidents", "list", "--store", "kept").err


def test_a_ledger_that_nobody_has_written_is_said(terminal: Terminal) -> None:
    ran = terminal("incidents", "list", "--store", "elsewhere")
    assert "there is no ledger in elsewhere yet" in ran.err


def test_a_locked_ledger_is_waited_for_and_then_said(
    terminal: Terminal, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from setpoint.ledger.database import Database

    patient = Database.open.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        Database, "open", classmethod(lambda cls, target, **_: patient(cls, target, wait_s=0.2))
    )
    holder = sqlite3.connect(kept / "ledger.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    ran = terminal("incidents", "ack", "INC-1", "--store", str(kept))
    holder.close()
    assert ran.code == 3
    assert "another process has held the database" in ran.err
    assert "Traceback" not in ran.err


def test_a_full_disk_ends_the_run_with_its_reason(terminal: Terminal) -> None:
    """A file size limit is a disk that refuses."""
    terminal.write(
        "input.jsonl", "".join(GOOD.replace("normal", f"normal {n} {'x' * 400}") for n in range(900))
    )
    command = [
        sys.executable,
        "-m",
        "setpoint.app",
        "run",
        "input.jsonl",
        "--keep",
        "--store",
        "kept",
        "-o",
        "json",
    ]
    limited = f"ulimit -f 400; exec {' '.join([*command, *NO_MODEL])}"
    ran = subprocess.run(
        ["bash", "-c", limited], cwd=terminal.folder, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 3
    assert "Traceback" not in ran.stderr
    assert "Free some space" in ran.stderr


def test_an_interrupt_is_130_and_keeps_what_was_accepted(terminal: Terminal) -> None:
    """The input is a pipe that stays open, so the run is certainly in its middle when ctrl-c comes."""
    command = [sys.executable, "-m", "setpoint.app", "run", "-", "--keep", "--store", "kept", *NO_MODEL]
    running = subprocess.Popen(
        [*command, "--site", str(DEMO)], cwd=terminal.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        # A suite that runs in the background has ctrl-c ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write("".join(DEAD.replace("gpu-04", f"gpu-{n % 32 + 1:02}").replace("23:00", f"{n // 60:02}:{n % 60:02}") for n in range(1200)))  # fmt: skip
    running.stdin.flush()
    assert running.stdout.readline(), "it has begun to work"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err.count("setpoint: interrupted; what was accepted is kept") == 1
    assert "Traceback" not in err
    with Ledger.open(terminal.folder / "kept" / "ledger.db") as ledger:
        assert ledger.stats().events > 0
        assert ledger.verify_chain().ok


def test_a_port_in_use_is_said_before_anything_is_opened(terminal: Terminal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = terminal("serve", "--store", "kept", "--port", str(taken.getsockname()[1]))
    assert ran.code == 3
    assert "Choose another with --port" in ran.err
    assert not Path("kept", "ledger.db").exists()


def test_a_defect_of_setpoint_is_one_line_that_can_be_reported(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("setpoint.settings.load_settings", lambda _flags: json.loads("{}")["nothing"])
    ran = terminal("incidents", "list")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "unexpected fault, KeyError" in ran.err
    assert "SETPOINT_DEBUG=1" in ran.err
