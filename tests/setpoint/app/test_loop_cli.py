"""`setpoint loop`: days of a simulated site run through the real queue, interlocks and executor, killed and taken up again."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from setpoint.app import loop_play
from setpoint.app.cli_loop import loops_named, moment_of, speed_of
from setpoint.app.loop_progress import LoopProgress
from setpoint.app.report import write_report
from setpoint.app.runfacts import RunFacts
from setpoint.contracts.loops import LOOPS
from setpoint.contracts.site import load_site
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.graphs.turning import SteadyFlow
from tests.setpoint.app.terminal import DEMO, NO_MODEL, Ran, Terminal

RUN = ("loop", "run", "cooling", "--site", "demo", "--hours", "1", "--warm-days", "0", *NO_MODEL)
KEPT = ("--keep", "--store", "days")


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that needs no history: the real ones forecast from a week of it, which takes a test too long."""
    monkeypatch.setitem(sys.modules, "tools.loops.cooling_loop", SimpleNamespace(make=SteadyFlow))


def test_a_run_is_told_beside_the_same_days_without_it(terminal: Terminal) -> None:
    ran = terminal(*RUN, "--decide", "approve")
    assert ran.code == 0, ran.err
    assert "cooling on demo, seed 7: 1 h from" in ran.out
    assert "1 proposal: 1 done." in ran.out
    assert "grid energy, kWh" in ran.out
    assert "Flow of cdu-1" in ran.out
    assert "without the loop" in ran.err


def test_json_holds_every_cycle_and_question(terminal: Terminal) -> None:
    ran = terminal(*RUN, "--decide", "approve", "--json", "--no-baseline")
    assert ran.code == 0, ran.err
    found = ran.data
    assert [one["state"] for one in found["cycles"]] == ["recorded"] * 4
    (asked,) = found["asked"]
    assert asked["fate"] == "done"
    assert found["meters"]["grid_kwh"] > 0
    assert found["without"] == {}
    assert [(one["name"], one["ahead_s"]) for one in found["skill"]] == [("cdu-1.flow_lpm", 900.0), ("cdu-1.flow_lpm", 3600.0)][: len(found["skill"])]  # fmt: skip
    ends = datetime.fromisoformat(found["end"])
    assert ends <= datetime.now(UTC) - timedelta(minutes=50)


def asked_in_store(terminal: Terminal) -> Ran:
    return terminal(*RUN, "--no-baseline", *KEPT)


def test_what_waits_can_be_decided_with_the_usual_commands(terminal: Terminal) -> None:
    ran = asked_in_store(terminal)
    assert ran.code == 4
    assert "1 action waits for a decision" in ran.err
    assert "waits: REV-" in ran.err
    listed = terminal("review", "list", "--store", "days")
    assert listed.code == 0
    assert "cooling loop" in listed.out
    assert "LOOP-cooling-" in listed.out
    (row,) = terminal("review", "list", "--store", "days", "--json").data
    shown = terminal("review", "show", row["id"], "--store", "days")
    assert f"cooling, {row['incident_id']}: 1 flows are brought" in shown.out
    assert "Flow of cdu-1: at most" in shown.out  # what it rests on
    decided = terminal("review", "approve", row["id"], "--store", "days", "--why", "looks right")
    assert f"setpoint loop show {row['incident_id']}" in decided.out
    cycles = terminal("loop", "list", "--store", "days")
    assert cycles.out.count("LOOP-cooling-") == 4
    one = terminal("loop", "show", row["incident_id"], "--store", "days")
    assert "approved by ana" in one.out
    assert "pump energy: 1 kWh (20.0%) against fixed flow" in one.out
    wrong = terminal("incidents", "show", row["incident_id"], "--store", "days")
    assert (wrong.code, f"setpoint loop show {row['incident_id']}" in wrong.err) == (2, True)


def test_the_report_of_the_store_copes_with_cycles(terminal: Terminal, tmp_path: Path) -> None:
    asked_in_store(terminal)
    (row,) = terminal("review", "list", "--store", "days", "--json").data
    now = datetime.now(UTC)
    with Ledger.open(terminal.folder / "days" / "ledger.db") as ledger:
        write_report(ledger, load_site(DEMO), tmp_path / "r.html", title="All", run=RunFacts("1", now, now))
    assert row["id"] in (tmp_path / "r.html").read_text("utf-8")


def test_cut_off_it_goes_on_where_it_was(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*RUN, "--decide", "approve", "--json", "--no-baseline", "--start", "2026-11-02T00:00Z")
    whole = terminal(*words).data
    ended = LoopProgress.at

    def dies(self: LoopProgress, now: datetime) -> None:
        ended(self, now)
        if now >= datetime(2026, 11, 2, 0, 30, tzinfo=UTC):
            os._exit(9)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(LoopProgress, "at", dies)
        try:
            terminal(*words, *KEPT)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    other = terminal(*words, *KEPT, "--seed", "8")
    assert (other.code, "was cut off" in other.err) == (2, True)
    again = terminal(*words, *KEPT)
    assert again.code == 0, again.err
    assert "going on at 2026-11-02 00:3" in again.err
    assert [one["id"] for one in again.data["cycles"]] == [one["id"] for one in whole["cycles"]]
    assert len(again.data["asked"]) == len(whole["asked"]) == 1
    assert again.data["meters"] == pytest.approx(whole["meters"])
    later = terminal(*words, *KEPT)  # it has ended: the same store has no room for the same days
    assert (later.code, "holds cycles up to" in later.err) == (2, True)
    assert not (terminal.folder / "days" / "loop_run.json").exists()


def test_another_process_reaches_a_running_store(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs, the desk answers over HTTP as that of `setpoint serve` does."""
    from setpoint.app.client import call_remote, find_running

    seen: list[object] = []
    ended = LoopProgress.at

    def ask(self: LoopProgress, now: datetime) -> None:
        ended(self, now)
        running = find_running(terminal.folder / "days")
        if running is not None and not seen:
            seen.append(call_remote(running, "review_list", {}))

    monkeypatch.setattr(LoopProgress, "at", ask)
    assert asked_in_store(terminal).code == 4
    assert isinstance(seen[0], list)
    assert not (terminal.folder / "days" / "serve.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("loop", "run", "lighting"), "no control loop 'lighting'"),
        ((*RUN, "--speed", "fast"), "no speed 'fast'"),
        ((*RUN, "--start", "2026-11-02T00:00"), "has no zone"),
        ((*RUN, "--start", "2099-01-01T00:00Z"), "lies ahead"),
        ((*RUN, "--hours", "5000"), "5000 hours cannot be run"),
        (("loop", "show", "LOOP-none", "--store", "empty"), "no cycle 'LOOP-none'"),
        (("loop", "list", "--loop", "lighting", "--store", "empty"), "no control loop 'lighting'"),
    ],
)
def test_what_cannot_be_run_is_said(terminal: Terminal, words: tuple[str, ...], says: str) -> None:
    ran = terminal(*words)
    assert (ran.code, says in ran.err) == (2, True), ran.err


def test_words_of_the_command() -> None:
    assert loops_named("all") == LOOPS
    assert speed_of("max") == 0.0
    assert moment_of("") is None
    with pytest.raises(UsageError):
        moment_of("yesterday")


def test_loops_turn_at_their_own_pace() -> None:
    class Two:
        def loop(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(cycle_s=900.0 if name == "peak" else 300.0)

    start = datetime(2026, 3, 1, tzinfo=UTC)
    span = loop_play.Span(("peak", "cooling"), start, start + timedelta(minutes=30), 7)
    found = loop_play.turns(SimpleNamespace(loops=Two()), span, start + timedelta(minutes=5))  # type: ignore[arg-type]
    assert [((at - start).total_seconds() / 60, names) for at, names in found] == [
        (5, ("cooling",)), (10, ("cooling",)), (15, ("peak", "cooling")), (20, ("cooling",)), (25, ("cooling",)),
    ]  # fmt: skip
