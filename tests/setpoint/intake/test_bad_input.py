"""Each kind of bad input: a clear reason, a remedy, the rest goes on."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from setpoint.contracts import Event, Quarantined
from setpoint.errors import UsageError
from setpoint.intake import Limits, Tally
from setpoint.intake.limits import KIB, MIB
from tests.setpoint.intake.conftest import Reader

GOOD = '{"host": "gpu-01", "message": "fine"}'


def reasons(items: list[Event | Quarantined]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Quarantined)]


def messages(items: list[Event | Quarantined]) -> list[str]:
    return [item.message for item in items if isinstance(item, Event)]


@pytest.mark.parametrize(
    "empty",
    [b"", b"\n", b"  \r\n\n", b"\xef\xbb\xbf", b"\xff\xfe", gzip.compress(b"", mtime=0)],
    ids=["nothing", "a line end", "blank lines", "utf-8 mark", "utf-16 mark", "empty gzip"],
)
def test_empty_input_says_so(take: Reader, empty: bytes) -> None:
    assert reasons(take(empty)) == ["the input is empty"]


def test_a_megabyte_line_is_cut_and_the_rest_goes_on(take: Reader) -> None:
    long = json.dumps({"host": "gpu-01", "message": "A" * MIB})
    items = take(f"{GOOD}\n{long}\n<13>{'B' * MIB}\n{GOOD}\n")
    assert messages(items) == ["fine", "fine"]
    assert [reason.split(";")[0] for reason in reasons(items)] == ["longer than 256 KiB"] * 2
    assert all(len(item.raw) == 64 * KIB for item in items if isinstance(item, Quarantined))


def test_a_long_body_of_many_alerts_is_read(take: Reader) -> None:
    """The limit is on items: a webhook for a thousand alerts is one line and longer."""
    alerts = [
        {
            "labels": {"alertname": "A", "instance": f"gpu-{n}"},
            "annotations": {"summary": "x" * 300},
            "status": "firing",
        }
        for n in range(1000)
    ]
    alerts[7]["annotations"] = {"summary": "x" * 300_000}
    items = take(json.dumps({"version": "4", "alerts": alerts}))
    assert len(messages(items)) == 999
    assert [item.origin for item in items if isinstance(item, Quarantined)] == ["test, line 1, alert 8"]


@pytest.mark.parametrize(
    ("bomb", "reason"),
    [
        ("[" * 100_000, "malformed|nested deeper"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than 32"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper than 32"),
        ('{"message":"x","l":' + "[" * 31 + "]" * 31 + "}", ""),
        ("[" + "{}," * 300_000 + "{}]", "more than 250000 objects"),
        ('{"message": "x", "value": ' + "9" * 5000 + "}", "cannot be read|not a finite"),
        ('"' + '\\"' * 100_000, "no known format"),
        ('{"\\"' * 20_000, "malformed|nested"),
    ],
)
def test_bombs_are_refused_without_a_crash(take: Reader, bomb: str, reason: str) -> None:
    items = take(f"{bomb}\n{GOOD}\n")
    assert messages(items)[-1] == "fine"
    if reason:
        assert any(part in reasons(items)[0] for part in reason.split("|")), reasons(items)


def test_messages_that_grow_by_their_arguments_stay_bounded(take: Reader) -> None:
    record = {
        "MessageId": "A.1.0.B",
        "EventType": "Alert",
        "Message": "%1" * 100_000,
        "MessageArgs": ["y" * 50_000],
    }
    (event,) = take(json.dumps(record))
    assert isinstance(event, Event)
    assert len(event.message) == 4000


def test_thousands_of_messages_on_one_line(take: Reader) -> None:
    assert len(messages(take(b"5 <13>a" * 30_000))) == 30_000


def test_a_gzip_bomb_is_stopped(take: Reader) -> None:
    packed = gzip.compress(f"{GOOD}\n".encode() * 100_000)
    items = take(packed, limits=Limits(unpacked=MIB))
    assert reasons(items) == ["the gzip data unpacks to more than 1 MiB"]
    assert len(messages(items)) > 10_000


def test_broken_gzip_keeps_what_could_be_read(take: Reader) -> None:
    packed = gzip.compress("".join(f'{{"message": "m{n * 7919 % 1000}"}}\n' for n in range(5000)).encode())
    items = take(packed[: len(packed) // 2])
    assert reasons(items)[-1] == "the gzip data breaks off"
    assert len(messages(items)) > 100
    assert "broken gzip data" in reasons(take(b"\x1f\x8bnonsense"))[0]


def test_two_gzip_members_are_one_input(take: Reader) -> None:
    assert messages(take(gzip.compress(f"{GOOD}\n".encode()) * 2)) == ["fine", "fine"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + b"\0" * 50, "a ZIP archive"),
        (b"\x7fELF" + bytes(range(256)), "a program"),
        (bytes(range(32)) * 20, "binary data"),
        (GOOD.encode("utf-16-le"), "UTF-16 without a byte order mark"),
    ],
)
def test_binary_is_refused_by_name(take: Reader, data: bytes, what: str) -> None:
    assert reasons(take(data)) == [f"this is {what}, not text"]


def test_latin_1_is_repaired_and_flagged(take: Reader) -> None:
    (event,) = take('{"host": "crah-1", "message": "Zuluft 31 °C"}'.encode("latin-1"))
    assert isinstance(event, Event)
    assert (event.message, event.flags) == ("Zuluft 31 °C", ("encoding-repaired", "time-missing"))


def test_a_half_written_last_line_says_so(take: Reader) -> None:
    items = take(f'{GOOD}\n{{"host": "gpu-02", "mess')
    assert messages(items) == ["fine"]
    assert reasons(items)[0].startswith("the last line is cut off")


def test_a_half_written_line_in_the_middle_costs_itself_only(take: Reader) -> None:
    items = take(f'{GOOD}\n{{"host": "gpu-02", "labels": {{\n{GOOD}\n<13>1 - gpu-3 app - - - hi\n{GOOD}\n')
    assert messages(items) == ["fine", "fine", "hi", "fine"]
    assert len(reasons(items)) == 1


def test_a_body_cut_in_two_is_one_item(take: Reader) -> None:
    body = json.dumps(
        {"version": "4", "alerts": [{"labels": {"alertname": "A"}, "annotations": {}}]}, indent=1
    )
    (item,) = take(body[: len(body) // 2])
    assert isinstance(item, Quarantined)
    assert item.reason == "a JSON document that does not close"
    assert item.raw.decode() == body[: len(body) // 2]


def test_pretty_printed_documents_one_after_the_other(take: Reader) -> None:
    two = (
        json.dumps({"message": "one"}, indent=2)
        + "\n"
        + json.dumps([{"message": "two"}, {"message": "three"}], indent=2)
    )
    assert messages(take(two)) == ["one", "two", "three"]
    assert messages(take('{"message": "one"} {"message": "two"}')) == ["one", "two"]


def test_a_quote_that_never_closes_costs_its_own_row(take: Reader) -> None:
    rows = "\n".join(f"gpu-{n},row {n}" for n in range(300))
    items = take(f'host,message\ngpu-x,"open\n{rows}\n')
    assert messages(items) == [f"row {n}" for n in range(300)]
    assert reasons(items) == ["a quoted cell that does not close"]


def test_a_quote_within_a_cell_opens_nothing(take: Reader) -> None:
    assert messages(take('host,message\ncdu-1,a 5" pipe leaks\ncdu-1,next\n')) == ['a 5" pipe leaks', "next"]


def test_columns_of_labelled_data_are_never_read(take: Reader) -> None:
    head = "id,ts,host,source,message"
    row = "t-1,2026-11-21T05:00:00Z,gpu-01,s,Fan failed"
    bare = take(f"{head}\n{row}\n")
    labelled = take(f"{head},native_label,gold,accept,rationale\n{row},FATAL,P0,P0|P1,because\n")
    assert bare == labelled
    assert take('{"message": "x", "gold": "P0", "native_label": "y"}') == take('{"message": "x"}')


def test_a_header_that_says_nothing_is_one_item(take: Reader) -> None:
    items = take("timestamp,rack,slot\n" + "2026-11-21T05:00:00Z,1,2\n" * 50)
    assert len(items) == 1
    assert "without a column for message" in reasons(items)[0]
    assert (
        len(messages(take("timestamp,rack,slot\n2026-11-21T05:00:00Z,1,2\n", fields={"kind": "slot"}))) == 1
    )


def test_something_else_entirely_is_given_up(take: Reader) -> None:
    items = take("lorem ipsum dolor\n" * 50_000)
    assert len(items) == 1001
    assert reasons(items)[-1] == "none of the first 1000 lines is an event; the rest was not read"


def test_duplicates_and_conflicts_of_ids(take: Reader) -> None:
    tally = Tally()
    lines = [
        {"id": "a", "message": "x"},
        {"message": "x", "id": "a"},
        {"id": "a", "message": "y"},
        {"id": "b", "message": "x"},
    ]
    items = take("\n".join(map(json.dumps, lines)), tally=tally)
    assert [item.id for item in items if isinstance(item, Event)] == ["a", "b"]
    assert tally.duplicates == 1
    assert reasons(items) == ["id 'a' was used in this input for another event"]


def test_a_column_that_is_no_id_is_found_out(take: Reader) -> None:
    rows = "\n".join(f"{n % 3},thing {n}" for n in range(200))
    items = take(f"id,message\n{rows}\n")
    assert len(messages(items)) > 170
    assert sum("duplicate-id" in item.flags for item in items if isinstance(item, Event)) > 170
    assert len({item.id for item in items}) == 200
    assert len(messages(take(f"id,message\n{rows}\n", fields={"id": ""}))) == 200


def test_identical_lines_are_as_many_events_with_stable_ids(take: Reader) -> None:
    once = take(f"{GOOD}\n")
    thrice = take(f"{GOOD}\n{GOOD}\n{GOOD}\n")
    assert len({item.id for item in thrice}) == 3
    assert thrice[0].id == once[0].id
    moved = take(f'{{"message": "another"}}\n{GOOD}\n{GOOD}\n')
    assert [item.id for item in moved[1:]] == [item.id for item in thrice[:2]]


def test_memory_of_identities_is_bounded_and_loses_nothing(take: Reader) -> None:
    items = take(
        f"{GOOD}\n" * 50 + '{"message": "other"}\n' * 50 + f"{GOOD}\n" * 50, limits=Limits(identities=1)
    )
    assert len({item.id for item in items}) == len(items) == 150


def test_a_resent_alert_is_a_duplicate_and_a_changed_one_is_not(take: Reader) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "A"},
        "annotations": {"value": "1"},
        "fingerprint": "f",
    }
    changed = {**alert, "annotations": {"value": "2"}}
    tally = Tally()
    items = take(json.dumps({"version": "4", "alerts": [alert, alert, changed]}), tally=tally)
    assert (len(items), tally.duplicates) == (2, 1)
    assert len({item.dedup_key for item in items if isinstance(item, Event)}) == 1


def test_untrusted_text_is_cleaned_and_cut(take: Reader) -> None:
    hostile = "\x1b]0;title\x07\x1b[31mfan\x1b[0m\u202e \u200bfailed\U000e0041\x00 \ud800" + "x" * 9000
    (event,) = take(json.dumps({"host": "gpu\u202e-01\n", "message": hostile, "la\x1b[1mbel": "\u2066v"}))
    assert isinstance(event, Event)
    assert event.message.startswith("fan failed \ufffdxxx")
    assert len(event.message) == 4000
    assert "truncated" in event.flags
    assert event.asset == "gpu-01"
    assert event.labels == {"label": "v"}


def test_a_source_that_breaks_keeps_what_came(take: Reader) -> None:
    class Broken(io.RawIOBase):
        sent = False

        def read(self, size: int = -1) -> bytes:
            if self.sent:
                raise OSError("device gone")
            self.sent = True
            return f"{GOOD}\n".encode()

    items = take(Broken())
    assert messages(items) == ["fine"]
    assert reasons(items) == ["reading stopped: device gone"]


def test_what_is_quarantined_can_be_read_again(take: Reader) -> None:
    body = {"version": "4", "alerts": [{"labels": "x", "n": n} for n in range(3)]}
    first = take(json.dumps(body))
    again = [other for item in first if isinstance(item, Quarantined) for other in take(item.raw)]
    assert len(first) == len(again) == 3
    assert json.loads(first[1].raw) == body["alerts"][1]  # type: ignore[union-attr, index]


def test_alerts_that_alertmanager_left_out_are_reported(take: Reader) -> None:
    items = take(json.dumps({"version": "4", "truncatedAlerts": 12, "alerts": []}))
    assert reasons(items) == ["Alertmanager left 12 alerts out of this notification"]


def test_wrong_field_map_is_a_usage_error_at_once(take: Reader) -> None:
    with pytest.raises(UsageError, match="unknown field 'hots'"):
        take(GOOD, fields={"hots": "x"})
