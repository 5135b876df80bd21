"""Labelled event sets: read from the public data folder, which is not part of the repository."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from setpoint.contracts import PRIORITIES, Event, Priority, Severity
from setpoint.errors import UsageError

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
LOGHUB = ("Linux", "OpenSSH", "OpenStack", "Hadoop", "Spark", "Zookeeper")
_PROMETHEUS_GOLD: dict[str, Priority] = {"critical": "P1", "warning": "P2", "info": "P3"}
_PROMETHEUS_ACCEPT: dict[str, frozenset[Priority]] = {
    "critical": frozenset({"P0", "P1"}), "warning": frozenset({"P2"}), "info": frozenset({"P3", "P2"})
}  # fmt: skip
_REDFISH_GOLD: dict[str, Priority] = {"Critical": "P1", "Warning": "P2", "OK": "P3"}
_REDFISH_ACCEPT: dict[str, frozenset[Priority]] = {
    "Critical": frozenset({"P0", "P1"}), "Warning": frozenset({"P2"}), "OK": frozenset({"P3"})
}  # fmt: skip
_REDFISH_SEVERITY: dict[str, Severity] = {"Critical": "critical", "Warning": "warning", "OK": "info"}
_XID_GOLD: dict[str, Priority] = {"RESTART_APP": "P2", "IGNORE": "P3", "RESET_GPU": "P1", "RESTART_BM": "P1"}


class Labelled(NamedTuple):
    """One event with the priority expected of it."""

    event: Event
    gold: Priority
    accept: frozenset[Priority]
    """Priorities that a reasonable person might give as well."""
    message: str
    """Its wording: figures are split by this, since rows repeat."""


def data_dir(given: Path | None = None) -> Path:
    """The folder with `events/`: as given, else `SETPOINT_SHARED_DATA`, else `../shared/data` beside the repository.

    Raises UsageError where there is none.
    """
    named = os.environ.get("SETPOINT_SHARED_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = given or (Path(named) if named else beside)
    if not (path / "events").is_dir():
        raise UsageError(
            f"no labelled data at {path}", remedy="Name its folder with --data or SETPOINT_SHARED_DATA"
        )
    return path


def mercury(data: Path) -> list[Labelled]:
    """2,000 raw lines of a 900-node cluster, 18 wordings."""
    return list(_with_gold(data / "events" / "mercury_cluster.csv"))


def titan(data: Path) -> list[Labelled]:
    """6,367 GPU failures of one large machine, 2 wordings."""
    return list(_with_gold(data / "events" / "titan_gpu.csv"))


def redfish(data: Path, *, severity: bool = False) -> list[Labelled]:
    """Messages of the standard registries, gold from their severity: OK P3, Warning P2, Critical P1 or P0.

    Refused API requests (registry Base) are left out: their "Critical" is a client's mistake, not a device's state.
    `severity`: whether the event carries it, as a live Redfish event does. Without it the text has to do.
    """
    rows = (row for row in _rows(data / "events" / "redfish_messages.csv") if row["registry"] != "Base")
    return [_redfish(row, severity) for row in rows]


def _redfish(row: dict[str, str], severity: bool) -> Labelled:
    level = _REDFISH_SEVERITY[row["severity"]] if severity else "unknown"
    event = _event(
        row["message"],
        kind=row["message_id"],
        source="redfish",
        severity=level,
        fmt="redfish" if severity else "csv",
    )
    return Labelled(event, _REDFISH_GOLD[row["severity"]], _REDFISH_ACCEPT[row["severity"]], row["message"])


def prometheus(data: Path) -> list[Labelled]:
    """Alerting rules by name and description, without their severity; critical P1 (or P0), warning P2, info P3."""
    return [
        Labelled(
            _event(
                _PLACEHOLDER.sub("x", row["description"]),
                kind=row["alertname"].replace(" ", ""),
                source=row["service"],
            ),
            _PROMETHEUS_GOLD[row["severity"]],
            _PROMETHEUS_ACCEPT[row["severity"]],
            f"{row['alertname']}: {row['description']}",
        )
        for row in _rows(data / "events" / "prometheus_rules.csv")
    ]


def xid_texts(data: Path) -> list[Labelled]:
    """XID descriptions without their number, gold from the immediate action."""
    return [
        Labelled(_event(f"GPU {row['description']}"), gold, frozenset({gold}), row["description"])
        for row in _rows(data / "events" / "nvidia_xid.csv")
        if (gold := _XID_GOLD.get(row["immediate_action"]))
    ]


def loghub(data: Path, name: str) -> list[Labelled]:
    """2,000 raw lines of one system, taken as routine (native errors among them are retried or user mistakes)."""
    return [
        Labelled(_event(row["Content"]), "P3", frozenset({"P3", "P2"}), row["EventTemplate"])
        for row in _rows(data / "events" / "loghub" / f"{name}_2k.csv")
    ]


def _with_gold(path: Path) -> Iterator[Labelled]:
    for row in _rows(path):
        accept = frozenset(priority_of(name) for name in row["accept"].split("|"))
        event = _event(row["message"], asset=row["host"], source=row["source"], ident=row["id"])
        yield Labelled(event, priority_of(row["gold"]), accept, row["message"])


def priority_of(name: str) -> Priority:
    """The label of this name. Raises UsageError where it is none."""
    for priority in PRIORITIES:
        if priority == name:
            return priority
    raise UsageError(f"unknown priority {name!r}", remedy="Labels are P0 to P3")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _event(
    message: str, *, kind: str = "", asset: str = "unknown", source: str = "", ident: str = "x",
    severity: Severity = "unknown", fmt: str = "csv",
) -> Event:  # fmt: skip
    return Event(
        id=ident, time=EPOCH, received=EPOCH, asset=asset, source=source, kind=kind, message=message[:4000],
        severity=severity, format="redfish" if fmt == "redfish" else "csv",
    )  # fmt: skip
