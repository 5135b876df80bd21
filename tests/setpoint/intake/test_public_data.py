"""The public data sets, read as they stand."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from setpoint.contracts import Event
from tests.setpoint.intake.conftest import Reader

_REPOSITORY = Path(__file__).parents[3]
EVENTS = Path(os.environ.get("SETPOINT_SHARED_DATA", _REPOSITORY.parent / "shared" / "data")) / "events"
pytestmark = pytest.mark.skipif(
    not EVENTS.is_dir(), reason="public data sets not found; set SETPOINT_SHARED_DATA to their folder"
)


@pytest.mark.parametrize("name", ["titan_gpu.csv", "mercury_cluster.csv"])
def test_labelled_sets_read_whole_and_unlabelled(name: str, take: Reader) -> None:
    path = EVENTS / name
    with path.open(newline="") as rows:
        expected = list(csv.DictReader(rows))
    events = take(path.read_bytes())
    assert [event.id for event in events] == [row["id"] for row in expected]
    for event, row in zip(events, expected, strict=True):
        assert isinstance(event, Event)
        assert (event.asset, event.source, event.message) == (
            row["host"],
            row["source"],
            row["message"].strip(),
        )
        assert "time-missing" not in event.flags
        assert not {"gold", "accept", "rationale", "native_label"} & set(event.labels)
        assert event.severity == "unknown"


def test_serial_numbers_are_labels(take: Reader) -> None:
    events = take((EVENTS / "titan_gpu.csv").read_bytes())
    assert all(isinstance(event, Event) and event.labels["gpu_serial"].isdigit() for event in events)


@pytest.mark.parametrize(
    "name", ["redfish_messages.csv", "prometheus_rules.csv", "nvidia_xid.csv", "loghub/OpenSSH_2k.csv"]
)
def test_other_tables_read_whole(name: str, take: Reader) -> None:
    path = EVENTS / name
    with path.open(newline="") as rows:
        count = sum(1 for _ in csv.DictReader(rows))
    events = take(path.read_bytes())
    assert len(events) == count
    assert all(isinstance(event, Event) and (event.message or event.kind) for event in events)
