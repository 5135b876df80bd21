"""Whatever comes in comes out as events or quarantine, the same way each time."""

from __future__ import annotations

import gzip
import io
import json
import math
from datetime import UTC

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setpoint.contracts import Event, Quarantined
from setpoint.intake import Limits, Tally, read
from tests.setpoint.intake.conftest import RECEIVED, ZONE

SMALL = Limits(
    line=4096, document=16384, raw_kept=1024, unpacked=1 << 20, identities=64, unrecognised_lines=50
)

_words = st.sampled_from(
    ["<13>", "<34>1 ", "Nov 21 06:00:00 ", "gpu-01 ", "kernel: ", "NVRM: Xid (PCI:0000:3b:00): 79, ", "{", "}", "[", "]",
     '"', ",", "time,host,message", "\n", "\r\n", '{"message": "x"}', '{"alerts": [', '{"specversion":"1.0"', "NaN",
     "1e999", "\\u0000", "\\ud800", "\x00", "\x1b[31m", "\u202e", "120 <13>", "EDAC MC0: 1 UE ", "SXid (PCI:0000:c1:00.0): 1, ",
     "Call Trace:", " x+0x1/0x2", "[ 1.234567] ", '"time": "2026-11-21"', "2026-11-21T06:00:00Z ", ";", "\t", "-", "\\"]
)  # fmt: skip
_soup = st.lists(_words, max_size=40).map(lambda parts: "".join(parts).encode("utf-8", "replace"))
_names = st.sampled_from(
    ["time", "ts", "host", "node", "source", "severity", "level", "message", "msg", "metric", "value", "unit",
     "threshold", "status", "id", "labels", "annotations", "alerts", "startsAt", "endsAt", "fingerprint", "Events",
     "MessageId", "MessageArgs", "OriginOfCondition", "specversion", "type", "data", "data_base64", "nodeName",
     "checkName", "errorCode", "entitiesImpacted", "isFatal", "healthEvent", "events", "xid", "truncatedAlerts"]
)  # fmt: skip
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["1.0", "firing", "2026-11-21T06:00:00", "92 C", "Environmental.1.0.LeakDetectedCritical", "1e308", "psi"]),
)  # fmt: skip
_trees = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_names, inner, max_size=8)),
    max_leaves=30,
)
_json = st.lists(_trees, min_size=1, max_size=4).map(lambda trees: "\n".join(map(json.dumps, trees)).encode())
_anything = st.one_of(
    st.binary(max_size=600), _soup, _json, st.text(max_size=400).map(lambda t: t.encode("utf-8", "replace"))
)


def everything(data: bytes, limits: Limits = SMALL) -> tuple[list[Event | Quarantined], Tally]:
    tally = Tally()
    return list(read(data, origin="any", zone=ZONE, received=RECEIVED, limits=limits, tally=tally)), tally


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_anything)
def test_any_bytes_become_events_or_quarantine(data: bytes) -> None:
    items, tally = everything(data)
    assert items or tally.duplicates
    assert tally.events + tally.quarantined == len(items)
    for item in items:
        if isinstance(item, Quarantined):
            assert item.reason
            assert item.remedy
            assert len(item.raw) <= SMALL.raw_kept
        else:
            check_event(item)


def check_event(event: Event) -> None:
    assert event.time.tzinfo is UTC
    assert event.id
    assert event.asset
    assert event.source
    assert len(event.dedup_key) <= 200
    assert len(event.labels) <= SMALL.labels + 16
    for reading in (event.value, event.threshold):
        assert reading is None or math.isfinite(reading)
    text = event.model_dump_json()  # fails on text that is not valid Unicode
    assert not any(char in event.message for char in "\x00\x1b\u202e\u2066")
    assert Event.model_validate_json(text) == event


@settings(max_examples=100, deadline=None)
@given(_anything)
def test_reading_twice_gives_the_same(data: bytes) -> None:
    assert everything(data)[0] == everything(data)[0]


@settings(max_examples=100, deadline=None)
@given(_soup)
def test_ids_of_one_input_differ(data: bytes) -> None:
    items, _ = everything(data, Limits(line=4096, identities=100_000))
    assert len({item.id for item in items}) == len(items)


@settings(max_examples=60, deadline=None)
@given(st.one_of(_soup, _json), st.integers(min_value=1, max_value=50))
def test_pieces_of_a_stream_do_not_matter(data: bytes, step: int) -> None:
    """Short reads give what the whole gives; kernel traces and the look at the first bytes go by what has come."""
    if any(part in data for part in (b"kernel", b"Xid", b"] ", b"\0")):
        return
    stream = io.BufferedReader(Dribble(data, step))  # type: ignore[arg-type]
    assert list(read(stream, origin="any", zone=ZONE, received=RECEIVED, limits=SMALL)) == everything(data)[0]


class Dribble(io.RawIOBase):
    """A pipe that gives `step` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._rest, self._step = data, step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece, self._rest = self._rest[: self._step], self._rest[self._step :]
        buffer[: len(piece)] = piece
        return len(piece)


@settings(max_examples=60, deadline=None)
@given(_anything)
def test_packing_does_not_matter(data: bytes) -> None:
    if data.startswith(b"\x1f\x8b"):
        return
    assert everything(gzip.compress(data))[0] == everything(data)[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_honoured(encoding: str) -> None:
    items, _ = everything('{"host": "gpu-01", "message": "21 °C"}\n'.encode(encoding))
    assert [item.message for item in items if isinstance(item, Event)] == ["21 °C"]
