"""The same file gives the same, however busy the machine is, and what ended before its analysis is analysed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.correlator import Correlator
from setpoint.app.headless import Request, read_files, run_headless
from setpoint.contracts import Event
from setpoint.contracts.site import load_site
from setpoint.intake import sense
from setpoint.settings import TriageSettings, load_settings

DEMO = Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml"
BEGAN = datetime(2026, 3, 14, 23, 0, tzinfo=UTC)
BATCH = 7
"""Small, so that a short file is cut often."""
SAID: tuple[tuple[float, str, str, str], ...] = (
    *((4.0 * n, f"gpu-{n:02d}", "info", "(root) CMD (run-parts /etc/cron.hourly)") for n in range(1, 9)),
    (9, "cdu-1", "warning", "Coolant flow low, 38 L/min"),
    *((11 + 3.0 * n, "ib-leaf-3", "error", "Port ib-leaf-3/17 link state changed to Down") for n in range(6)),
    *(
        (12 + 3.0 * n, "ib-leaf-3", "info", "Port ib-leaf-3/17 link state changed to Active")
        for n in range(6)
    ),
    (33, "cdu-1", "critical", "Coolant pump 1 tripped, flow below minimum"),
)
LEAK = ("leak-r-05", "critical", "Leak rope wet at rack r-05, zone 2")


def line(after_s: float, host: str, severity: str, message: str, status: str = "firing") -> str:
    time = (BEGAN + timedelta(seconds=after_s)).isoformat()
    return json.dumps(
        {"time": time, "host": host, "severity": severity, "message": message, "status": status}
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo site as a real one: no plant stands behind it whose state goes with the clock."""
    file = tmp_path_factory.mktemp("site") / "site.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(DEMO.read_text()) | {"simulated": False}))
    return file


def ran(file: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    flags = {
        "site.file": site, "triage.batch": BATCH, "models.light.kind": "none", "models.heavy.kind": "none",
    }  # fmt: skip
    request = Request(
        [str(file)], decide="reject", output="json", report=None, fail_on="", fields=(), keep=False
    )
    capsys.readouterr()
    run_headless(load_settings(flags, files=()), request)
    return list(json.loads(capsys.readouterr().out)["incidents"])


def gist(incidents: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (one["id"], one["priority"], one["state"], one["title"], one["event_count"], causes(one))
        for one in incidents
    ]


def causes(incident: dict[str, Any]) -> list[str]:
    diagnosis = incident["diagnosis"]
    return [one["cause"] for one in diagnosis["hypotheses"]] if diagnosis else []


def mixed(folder: Path) -> Path:
    file = folder / "events.jsonl"
    file.write_text("\n".join(line(*said) for said in sorted(SAID, key=lambda said: said[0])))
    return file


def placed_in_order(file: Path, site: Path) -> set[str]:
    """Incidents of the file, read from its first line to its last: an event that overtakes another founds others."""
    items = read_files([str(file)], zone=load_site(site).zone)
    known, settings = load_site(site), TriageSettings()
    events = [sense(item, known, settings) for item in items if isinstance(item, Event)]
    return {placed.incident_id for placed in Correlator(known, settings).observe(events)}


@contextmanager
def busy() -> Iterator[None]:
    """A thread that wants the interpreter all the time."""
    over = threading.Event()

    def count() -> None:
        while not over.is_set():
            sum(range(10_000))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_same_file_gives_the_same_incidents_priorities_and_causes(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = mixed(tmp_path)
    told = [gist(ran(file, site, capsys)) for _ in range(3)]
    with busy():
        told += [gist(ran(file, site, capsys)) for _ in range(2)]
    assert told[1:] == told[:1] * 4
    assert {one[0] for one in told[0]} == placed_in_order(file, site)
    assert "P0" in {one[1] for one in told[0]}


def test_an_incident_that_ended_before_its_analysis_is_analysed(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(line(0, *LEAK) + "\n" + line(60, "leak-r-05", "info", "Leak rope dry", status="resolved"))
    (leak,) = ran(file, site, capsys)
    assert (leak["priority"], leak["state"]) == ("P0", "resolved")
    assert "coolant_leak" in causes(leak)
