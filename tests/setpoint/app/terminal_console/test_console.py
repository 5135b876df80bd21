"""The console in the terminal as a whole: layouts, the stop switch, incidents, what is hostile, a server that comes and goes."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from setpoint.app.client import call_remote, find_running
from setpoint.app.desk_server import desk_server
from setpoint.app.terminal.app import LOOK_TOLD_S, ConsoleApp
from setpoint.app.terminal.forms import Page, Sheet
from setpoint.app.terminal.link import Link
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import Decision
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tests.setpoint.app.sample import incident_id
from tests.setpoint.app.terminal import DEMO, NO_MODEL
from tests.setpoint.app.terminal_console.conftest import LOW, PAYLOAD, Screen, console
from tools.stop import StopSwitch

PUMP = incident_id("pump_under_surge")


# ---- layouts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["80x24", "200x60"])
async def test_layouts(settings: Settings, snapshot: SnapshotAssertion, size: tuple[int, int]) -> None:
    shown = []
    async with console(settings, size=size) as screen:
        await screen.until(lambda: screen.app.plots.has_class("-unread"))
        await screen.pilot.pause(0.3)
        shown.append(screen.still())
        for _ in range(3 if size[0] < 100 else 0):
            await screen.press("ctrl+n")
            shown.append(screen.still())
        assert all(len(line) <= size[0] for line in screen.lines)
    assert "\n\n".join(shown) == snapshot


async def test_every_key_of_a_narrow_terminal_is_in_its_last_line(settings: Settings) -> None:
    async with console(settings, size=(80, 24)) as screen:
        for key in ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9"):
            assert key in screen.lines[-1]
        await screen.press("f1")
        await screen.sees("stop every action at once", "approve, after reading it in full")
        await screen.press("f2")
        assert len(screen.app.screen_stack) == 2  # nothing opens over an open sheet
        await screen.press("escape")
        assert len(screen.app.screen_stack) == 1


async def test_letters_are_keys_in_a_list_and_text_in_a_field(settings: Settings) -> None:
    async with console(settings) as screen:
        await screen.write("are r-01")
        assert screen.app.talk.question.value == "are r-01"
        screen.app.reviews.focus()
        screen.choose("reviews", LOW)
        await screen.press("e")
        await screen.sees("Approve with these values: Cap the GPUs of gpu-01")
        await screen.press("escape")
        assert screen.app.talk.question.value == "are r-01"


async def test_the_list_stays_where_it_is_read(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", "REV-hostile")
        ledger.decide(LOW, ledger.get_review(LOW).digest, Decision(type="approve", who="mira"))
        await screen.until(lambda: screen.app.picture.review(LOW) is None)
        assert screen.app.reviews.chosen == "REV-hostile"


async def test_without_colour_everything_is_said_in_words(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(settings) as screen:
        await screen.press("f9", "enter")
        await screen.sees("STOPPED by ana")
        colours = {
            colour
            for strip in screen.app.screen._compositor.render_strips()
            for segment in strip.apply_filter(screen.app._filters[-1], screen.app.background_colors[0])
            if segment.style
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour
        }
        grey = [colour for colour in colours if len(set(colour.get_truecolor())) == 1]
        assert screen.app.no_color
        assert len(grey) == len(colours)


# ---- the stop switch ------------------------------------------------------------------------------------------------


async def test_one_key_and_enter_stop_everything(settings: Settings) -> None:
    switch = StopSwitch(settings.store.dir / "STOP")
    async with console(settings) as screen:
        await screen.press("f9")
        await screen.sees("STOP every action?")
        assert switch.reason() == ""
        await screen.press("enter")
        await screen.until(lambda: switch.reason() == "by ana: no reason given")
        await screen.sees("STOPPED by ana: no reason given. No action is executed. F9 lets them go on.")
        await screen.press("f9")
        await screen.sees("Let actions run again?")
        await screen.press("enter")
        await screen.sees("type go on to let actions run again")
        assert switch.reason()
        await screen.write("go on")
        await screen.press("enter")
        await screen.until(lambda: not switch.reason())
        await screen.until(lambda: "STOPPED by" not in screen.text)


async def test_it_stops_from_within_a_sheet_and_what_was_typed_there_stays(settings: Settings) -> None:
    switch = StopSwitch(settings.store.dir / "STOP")
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f4")
        await screen.sees("Reject?")
        await screen.write("not now")
        await screen.press("ctrl+s")
        await screen.sees("STOP every action?")
        await screen.write("smoke in hall 2")
        await screen.press("enter")
        await screen.until(lambda: switch.reason() == "by ana: smoke in hall 2")
        await screen.sees("Reject?")
        assert screen.field("reason").value == "not now"


async def test_a_stop_of_somebody_else_is_seen(settings: Settings) -> None:
    async with console(settings) as screen:
        StopSwitch(settings.store.dir / "STOP").engage("mira", f"technician at r-05 {PAYLOAD}")
        await screen.sees("STOPPED by mira: technician at r-05 [bold red]owned[/]")


# ---- incidents --------------------------------------------------------------------------------------------------------


async def test_an_incident_is_opened_acknowledged_and_silenced(settings: Settings, ledger: Ledger) -> None:
    leak = incident_id("leak")
    async with console(settings) as screen:
        screen.app.incidents.focus()
        screen.choose("incidents", leak)
        await screen.press("enter")
        await screen.sees(leak, "coolant leak at rack r-05", "ranked by", "recovery guide")
        await screen.press("escape", "f6")
        await screen.sees(f"Acknowledge {leak}?")
        await screen.write("on my way")
        await screen.press("enter")
        await screen.until(lambda: ledger.get_incident(leak).state == "acknowledged")
        await screen.sees(f"{leak} is acknowledged")
        await screen.press("f7")
        await screen.sees(f"Silence what {leak} is about?")
        screen.field("minutes").value = "soon"
        screen.field("why").value = "the valve is closed"
        await screen.press("tab", "tab", "tab", "enter")
        await screen.sees("minutes have to be a number")
        assert screen.field("why").value == "the valve is closed"
        screen.field("minutes").value = "30"
        await screen.press("tab", "enter")
        await screen.until(lambda: any(one.why == "the valve is closed" for one in ledger.list_silences()))
    silence = next(one for one in ledger.list_silences() if one.why == "the valve is closed")
    assert (silence.who, silence.asset) == ("ana", "leak-r-05")
    assert timedelta(minutes=29) < silence.until - datetime.now(UTC) < timedelta(minutes=31)


# ---- hostile text -------------------------------------------------------------------------------------------------------


async def test_markup_in_text_from_outside_stays_text(settings: Settings) -> None:
    said = r"[bold red]owned[/] [@click=app.quit]go[/] \x1b[2J\u202egnp.exe"
    async with console(settings, size=(200, 60)) as screen:
        await screen.sees(said)
        screen.choose("reviews", "REV-hostile")
        await screen.press("f8")
        await screen.press("escape")
        await screen.press("f2")
        await screen.sees(f"Approve? Lock {said}?")
        await screen.press("escape")
        screen.choose("incidents", PUMP)
        screen.app.incidents.focus()
        await screen.press("o")
        await screen.until(lambda: isinstance(screen.app.screen, Sheet))
        page = screen.app.screen.query_one(Page)
        await screen.until(lambda: "<script>alert(1)</script>" in str(page.content))
        await screen.press("pagedown", "pagedown", "escape")
        screen.app.talk.question.focus()
        await screen.write("why is [b]r-05[/b] hot?")
        await screen.press("enter")
        await screen.sees("you  why is [b]r-05[/b] hot?")
        assert "\x1b" not in screen.text
        assert "\u202e" not in screen.text


# ---- a server that comes and goes ---------------------------------------------------------------------------------------


@pytest.fixture
def runtime(settings: Settings) -> Runtime:
    """What a server serves, over the same store."""
    return build_runtime(settings)


async def test_a_lost_server_is_said_and_found_again(
    settings: Settings, ledger: Ledger, runtime: Runtime
) -> None:
    with desk_server(runtime, wanted=True):
        link = Link(settings)
        app = ConsoleApp(link, "ana")
        assert link.standing == "server"
        context = app.run_test(size=(140, 50))
        pilot = await context.__aenter__()
        screen = Screen(app, pilot)
        await screen.until(lambda: app.picture.review(LOW) is not None)
    await screen.sees("SERVER LOST since", "Stopping works all the same")
    await screen.write("what waits?")
    await screen.press("enter")
    await screen.sees("not answered:")
    assert app.talk.question.value == "what waits?"
    with desk_server(runtime, wanted=True):  # another port, another token
        await screen.until(lambda: link.standing == "server")
        await screen.until(lambda: "SERVER LOST" not in screen.text)
        await screen.until(lambda: screen.app.reviews.chosen != "")
        screen.choose("reviews", LOW)
        await screen.press("f2")
        await screen.sees("Approve? Cap the GPUs of gpu-01")
        await screen.press("y")
        await screen.until(lambda: ledger.get_review(LOW).state == "decided")
        assert app.talk.question.value == "what waits?"
    await context.__aexit__(None, None, None)
    link.close()
    runtime.ledger.close()


async def test_a_server_that_starts_takes_over(settings: Settings, runtime: Runtime) -> None:
    async with console(settings) as screen:
        await screen.sees("no server: decisions wait for `setpoint serve`")
        with desk_server(runtime, wanted=True):
            await screen.until(lambda: screen.app.link.standing == "server")
            await screen.sees("live")
            await screen.sees("kW, at most 430", "ms, at most")  # only a server reads the simulated plant
    runtime.ledger.close()


async def test_a_server_tells_of_changes_at_once(settings: Settings, tmp_path: Path) -> None:
    """`setpoint serve` itself: what another person decides is seen without waiting for the next look."""
    store, port = settings.store.dir, _free_port()
    command = [
        sys.executable, "-m", "setpoint.app", "serve", "--store", str(store), "--site", str(DEMO), "--port", str(port),
        *NO_MODEL,
    ]  # fmt: skip
    server = subprocess.Popen(
        command, env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while (found := find_running(store)) is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        async with console(settings) as screen:
            await screen.until(lambda: screen.app.news.live)
            await screen.until(lambda: screen.app.picture.review(LOW) is not None)
            call_remote(found, "review_decide", {"id": LOW, "type": "reject", "who": "mira", "reason": "no"})
            asked = time.monotonic()
            await screen.until(lambda: screen.app.picture.review(LOW) is None)
            assert time.monotonic() - asked < LOOK_TOLD_S - 1
            server.terminate()
            await screen.sees("SERVER LOST since")
            assert not screen.app.news.live
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- the command ----------------------------------------------------------------------------------------------------------


def test_chat_at_a_terminal_opens_the_console(settings: Settings, tmp_path: Path) -> None:
    """A real terminal: one key and Enter stop everything, another leaves."""
    store = settings.store.dir
    begun, other = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "setpoint.app",
        "chat",
        "--store",
        str(store),
        "--site",
        str(DEMO),
        "--as",
        "ana",
    ]
    words = {"TERM": "xterm-256color", "XDG_CONFIG_HOME": str(tmp_path), "COLUMNS": "100", "LINES": "30"}
    started = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=os.environ | words)
    os.close(other)
    try:
        _read_until(begun, b"Incidents")
        os.write(begun, b"\x1b[20~")  # F9
        _read_until(begun, b"STOP every")
        os.write(begun, b"\r")
        deadline = time.monotonic() + 20
        while not (store / "STOP").exists():
            assert time.monotonic() < deadline
            _drain(begun)
        os.write(begun, b"\x11")  # Ctrl+Q
        while started.poll() is None:
            assert time.monotonic() < deadline + 20
            _drain(begun)
        assert started.returncode == 0
    finally:
        started.kill()
        os.close(begun)
    assert (store / "STOP").read_text() == "by ana: no reason given\n"


def _drain(terminal: int) -> bytes:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    try:
        return os.read(terminal, 65536) if ready else b""
    except OSError:  # the other end is closed
        return b""


def _read_until(terminal: int, words: bytes) -> None:
    seen, deadline = b"", time.monotonic() + 40
    while words not in seen:
        assert time.monotonic() < deadline, seen[-2000:]
        seen += _drain(terminal)
