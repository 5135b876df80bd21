"""Lines in no known format: what machines write becomes an event, what people write for people stays outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from setpoint.contracts import Event, Quarantined
from tests.setpoint.intake.conftest import RECEIVED, Reader

REPOSITORY = Path(__file__).parents[3]


def only(items: list[Event | Quarantined]) -> Event:
    (item,) = items
    assert isinstance(item, Event), item
    return item


@pytest.mark.parametrize(
    ("line", "asset", "source", "severity", "message"),
    [
        ("gpu07 kernel: NVRM: loading the driver", "gpu07", "kernel", "unknown", "NVRM: loading the driver"),
        ("login9 sshd[412]: Accepted key for ops", "login9", "sshd", "unknown", "Accepted key for ops"),
        ("scheduled[77]: error: no reply from two nodes", "unknown", "scheduled", "error",
         "error: no reply from two nodes"),
        ("stor-2 daemon.crit smartd[8] Device has pending sectors", "stor-2", "smartd", "critical",
         "Device has pending sectors"),
        ("AX9 pdu-r9-A: outlet 3 switched by ops", "pdu-r9-A", "AX9", "unknown", "outlet 3 switched by ops"),
        ("WARNING ups-b7 battery string below its limit", "ups-b7", "text", "warning", None),
        ("UPS-B7 information: card answers again", "UPS-B7", "text", "info", None),
        ("store.mon-2 [ERR] three pools are full", "store.mon-2", "text", "error", None),
        ("severity=critical volume of the registry nearly full", "unknown", "text", "critical", None),
        ("2m  Warning  BackOff  node/gpu-w-9  restarted often", "gpu-w-9", "text", "warning", None),
        ("link_errors gpu=4 host=dgx-q4 value 12", "dgx-q4", "text", "unknown", None),
        ("Smoke detected in the battery room", "unknown", "text", "unknown", None),
        ("return air 41.2 degC in row nine", "unknown", "text", "unknown", None),
        ("gpu-09 down", "gpu-09", "text", "unknown", None),
        ("[WARN] replica two is behind", "unknown", "text", "warning", None),
        ("\x1b[31mERROR\x1b[0m worker has died at last", "unknown", "text", "error", "ERROR worker has died at last"),
        ("switch-4 Stp: %LINK-3-UPDOWN: Interface went down", "switch-4", "Stp", "error", None),
    ],
)  # fmt: skip
def test_lines_of_machines(
    take: Reader, line: str, asset: str, source: str, severity: str, message: str | None
) -> None:
    event = only(take(f"{line}\n"))
    assert (event.asset, event.source, event.severity) == (asset, source, severity)
    assert event.message == message if message else event.message in line
    assert event.format == ("syslog" if line.startswith("<") else "text")
    assert (event.time, event.flags) == (RECEIVED, ("time-missing",))


@pytest.mark.parametrize(
    "stamp",
    [
        "[2026-11-20 14:05:09+00:00]", "2026/11/20 15:05:09", "20/11/2026 15:05:09", "11/20/2026 3:05:09 PM",
        "20.11.2026 15:05:09", "20-Nov-2026 15:05:09", "[20 Nov 2026 15:05:09]", "1795183509",
        "1795183509000", "[1795183509]", "11-20 15:05:09", "E1120 15:05:09.000001", "2a | 11/20/2026 | 15:05:09 |",
    ],
)  # fmt: skip
def test_times_at_the_front(take: Reader, stamp: str) -> None:
    event = only(take(f"{stamp} fan of tray four slower than asked\n"))
    assert event.message == "fan of tray four slower than asked"
    assert abs(event.time - datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC)) < timedelta(seconds=1)
    assert set(event.flags) <= {"time-without-zone"}


def test_a_level_may_stand_before_the_time(take: Reader) -> None:
    event = only(take("ERROR 11-20 15:05:09 core.py: the engine died\n"))
    assert (event.severity, event.message) == ("error", "ERROR core.py: the engine died")
    assert event.time == datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC)


def test_a_kernel_line_without_date_names_its_condition(take: Reader) -> None:
    trace = ["gpu07 kernel: BUG: soft lockup - CPU#3 stuck for 90s!", "gpu07 kernel: Call Trace:",
             "gpu07 kernel:  schedule+0x1b/0x90", "gpu07 sshd[4]: Connection closed"]  # fmt: skip
    items = take("\n".join(["gpu07 kernel: NVRM: Xid (PCI:0000:3b:00): 79, fallen off the bus", *trace]))
    kinds = [(item.kind, item.labels.get("lines")) for item in items if isinstance(item, Event)]
    assert set(kinds) == {("xid-79", None), ("soft-lockup", "3"), ("", None)}


@pytest.mark.parametrize(
    "line",
    [
        "just three words", "=== *** --- +++", "gpu-01 fan \x01\x02 failed now", "<alarm><host>gpu-01</host> lost</alarm>",
        ', "host": "gpu-01", "state": "failed"}', '"host": "gpu-01", "alarms": {', "# gpu-01 has failed twice today",
        "    the pump of cdu-1 failed", "- the pump of cdu-1 failed", "down",
    ],
)  # fmt: skip
def test_what_stays_in_quarantine(take: Reader, line: str) -> None:
    (item,) = take(f"{line}\n")
    assert isinstance(item, Quarantined)
    assert item.reason == "a line in no known format"


def test_a_plain_alarm_between_known_formats_is_read(take: Reader) -> None:
    good = '{"host": "gpu-01", "message": "fine"}\n' * 20
    banner = "banner of some kind\n" * 5
    items = take(f"{good}{banner}Water under the floor of hall two\n")
    assert isinstance(items[-1], Event)
    assert items[-1].message == "Water under the floor of hall two"


def test_prose_is_no_event_stream(take: Reader) -> None:
    """Words of alarm abound in it; and an event stream that follows nothing but prose proves itself by hosts and dates."""
    for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "knowledge" / "corpus").rglob("*.md"))[:20]):
        items = take(path.read_bytes())
        assert not [item.message for item in items if isinstance(item, Event)], path.name
    prose = "Some words to begin with\n" * 9
    items = take(f"{prose}The pump failed once\ngpu07 kernel: link is down\n")
    assert [item.message for item in items if isinstance(item, Event)] == ["link is down"]


def test_long_lines_cost_little_and_nothing_is_lost(take: Reader) -> None:
    """Each takes a look at its front only; a search that starts again at every character would take hours here."""
    fronts = ("} " + " " * 200_000, "a-" * 100_000, "1" * 200_000, '"a":' * 50_000, "gpu-01 failed " * 15_000)
    for front in fronts:
        assert len(take(f"{front} x\n")) == 1
