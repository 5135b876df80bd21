"""The demo's night, and a short one played from its first line to its report; a recorded one diagnosed from files."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import signature
from pathlib import Path
from threading import Thread

import pytest

from plant import load_site
from plant.faults.night import Night, compose
from plant.faults.place import parse_fault
from setpoint.app import demo, demo_live, demo_night
from setpoint.app.cli import demo as demo_command
from setpoint.app.client import announce
from setpoint.app.histories import open_history
from setpoint.app.opening import utc_now
from setpoint.app.wiring import build_runtime
from setpoint.contracts.site import Site
from setpoint.errors import InputError, UsageError
from setpoint.ledger import Ledger
from setpoint.settings import Settings, load_settings
from tests.setpoint.app.terminal import DEMO, Terminal
from tools.night_site import NightSite
from tools.recorded import EventHistory
from tools.telemetry import Kept


@pytest.fixture(scope="module")
def short() -> Night:
    """A pump trips twenty minutes into an hour."""
    site = load_site("demo")
    return compose(site, 5, hours=1.0, faults=[parse_fault("pump_trip:cdu-1-pump-a@20m", site)], noise=10)


# ---- the night ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(1, 13))
def test_any_seed_strikes_ten_assets_in_order_of_time(seed: int) -> None:
    plans = demo_night.programme(load_site("demo"), seed)
    assert len({plan.asset for plan in plans}) == len(plans) == 10
    assert [plan.at_s for plan in plans] == sorted(plan.at_s for plan in plans)
    assert all(600 < plan.at_s < demo_night.HOURS * 3600 - 1800 for plan in plans)


def test_the_command_plays_the_chosen_night_by_default() -> None:
    assert signature(demo_command).parameters["seed"].default == demo_night.SEED


def test_a_live_night_begins_to_break_once_somebody_sits_there() -> None:
    now = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
    night = demo_night.live_night(now)
    assert night.start == now - timedelta(seconds=demo_night.BEFORE_S)
    onsets = [night.start + timedelta(seconds=plan.at_s) for plan in night.plans]
    assert now < onsets[0] < now + timedelta(minutes=1)
    assert len(night.plans) == len(demo_night.LIVE)
    assert not any(line.priority in ("P0", "P1") and line.time < now for line in night.events)


def test_same_seed_same_faults() -> None:
    site = load_site("demo")
    assert demo_night.programme(site, 4) == demo_night.programme(site, 4)
    assert demo_night.programme(site, 4) != demo_night.programme(site, 5)


# ---- played -------------------------------------------------------------------------------------------------------


def test_a_night_is_played_to_its_report(
    short: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = {"models.light.kind": "none", "models.heavy.kind": "none"}
    flags = {
        "site.file": DEMO,
        "store.dir": tmp_path / "store",
        "act.dry_run": False,
        "alerts.sinks": ["console"],
    }
    settings = load_settings(flags | none, env={}, files=()).settings
    report = tmp_path / "report.html"
    assert asyncio.run(demo.play_night(settings, short, report, speed=0.0)) == 0
    out = capsys.readouterr().out
    assert "in which 1 fault begins." in out
    assert " P0  ALERT" in out
    with Ledger.open(tmp_path / "store" / "ledger.db") as ledger:
        first = ledger.list_incidents(priorities=["P0"])[0]
        found = next(one for one in ledger.list_diagnoses() if one.incident_id == first.id)
        moved = [one for one in ledger.list_actions() if one.state == "done"]
        assert found.top.cause == "coolant_pump_failure"
        assert found.top.tested is not None  # on the readings of the night
        assert found.path is not None
        assert any(one.rehearsal for one in found.proposals)
        assert moved  # on the plant of the night itself
        assert all(one.before for one in moved if one.action.name == "start_standby_pump")
    assert re.search(r"A night of 1 fault\b", report.read_text("utf-8"))


def test_where_readings_come_from(short: Night, tmp_path: Path) -> None:
    def clock() -> datetime:
        return short.start + timedelta(hours=1)

    site: Site = short.site
    short.write(tmp_path / "night")
    table = tmp_path / "night" / "telemetry.csv"
    recorded = Settings.model_validate({"site": {"telemetry": table}})
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        kept = open_history(recorded, site, ledger, clock, None)
        assert isinstance(kept, Kept)
        series = kept.series("cdu-1", "flow_lpm")
        assert series is not None
        assert min(series.values) < 5 < 140 < max(series.values)
        live = NightSite(short, clock)
        assert open_history(Settings(), site, ledger, clock, live) is live.history
        assert isinstance(open_history(Settings(), site, ledger, clock, None), EventHistory)
        table.write_text("time,asset,metric,value\n2026-03-14T21:00:00Z,cdu-1,flow_lpm,wet\n")
        with pytest.raises(InputError, match="line 2"):
            open_history(recorded, site, ledger, clock, None)


# ---- recorded -----------------------------------------------------------------------------------------------------


def test_a_recorded_night_is_run_with_its_readings(short: Night, terminal: Terminal) -> None:
    short.write(terminal.folder)
    ran = terminal.play("events.log", more=("--telemetry", "telemetry.csv", "--decide", "reject"))
    assert ran.code == 0
    assert {"P0"} <= {one["priority"] for one in ran.data["incidents"]}, ran.data["incidents"][:2]


def test_a_recording_that_cannot_be_read_stops_the_run_before_it_starts(
    short: Night, terminal: Terminal
) -> None:
    short.write(terminal.folder)
    ran = terminal.play("events.log", more=("--telemetry", "nowhere.csv"))
    assert ran.code == 2
    assert "nowhere.csv" in ran.err
    assert datetime.now(UTC) > short.start


async def test_in_a_live_night_the_sources_write_as_time_passes(tmp_path: Path) -> None:
    """Somebody sat down a minute ago: the pump has tripped by now, and what a yes moves is the plant of the night."""
    nothing = {"models.light.kind": "none", "models.heavy.kind": "none", "alerts.sinks": ["console"]}
    flags = {"site.file": DEMO, "store.dir": tmp_path / "store", "act.dry_run": False}
    settings = load_settings(flags | nothing, env={}, files=()).settings
    site = NightSite(demo_night.live_night(utc_now() - timedelta(minutes=1)), utc_now)
    runtime = build_runtime(settings, simulated=site)
    await runtime.start()
    living = asyncio.create_task(demo_live.live_through(runtime, site))
    try:
        async with asyncio.timeout(60):
            while not (grave := await asyncio.to_thread(runtime.ledger.list_incidents, priorities=["P0"])):
                await asyncio.sleep(0.2)
        assert "cdu-1" in grave[0].assets
        flow = runtime.history.series("cdu-1", "flow_lpm")
        assert flow is not None
        assert utc_now() - flow.times[0] > timedelta(minutes=55)  # a past to look back on
        assert flow.values[-1] < 60 < flow.values[0]
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        await runtime.close()


def test_a_second_live_night_leaves_the_first_ones_ledger_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something answers for the folder: it is refused before anything is removed."""
    monkeypatch.chdir(tmp_path)
    demo_live.STORE.mkdir(parents=True)
    kept = demo_live.STORE / "ledger.db"
    kept.write_bytes(b"of the first")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as first:
        Thread(target=first.serve_forever, daemon=True).start()
        announce(demo_live.STORE, f"http://127.0.0.1:{first.server_port}", "token", None, False)
        with pytest.raises(UsageError, match="has this store already"):
            demo_live.serve_night(None, demo_night.SEED)
        first.shutdown()
    assert kept.read_bytes() == b"of the first"


class _Answers(BaseHTTPRequestHandler):
    """Alive, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
