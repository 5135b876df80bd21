"""Times of many machines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from setpoint.contracts import Event
from setpoint.errors import InputError
from setpoint.intake.clock import instant
from tests.setpoint.intake.conftest import Reader

BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
NOON = "2026-06-01T10:00:00+00:00"


@pytest.mark.parametrize(
    "given",
    [
        "2026-06-01T10:00:00Z", "2026-06-01T12:00:00+02:00", "2026-06-01T12:00:00+0200", "2026-06-01 10:00:00 UTC",
        "2026-06-01 12:00:00 +0200", "2026-06-01T10:00:00.000000000Z", "Mon, 01 Jun 2026 10:00:00 GMT",
        "01/Jun/2026:12:00:00 +0200", 1780308000, 1780308000.0, "1780308000", "1780308000000", "1780308000000000",
        "1780308000000000000",
    ],
)  # fmt: skip
def test_zoned_times_are_turned_to_utc(given: object) -> None:
    assert instant(given, BERLIN, RECEIVED) == (datetime.fromisoformat(NOON), ())


@pytest.mark.parametrize(
    "given",
    [
        "2026-06-01T12:00:00", "2026-06-01 12:00:00,000", "2026/06/01 12:00:00", "01.06.2026 12:00", "20260601120000",
        "Jun  1 12:00:00", "Jun  1 2026 12:00:00", "Mon Jun  1 12:00:00 2026", "2026-06-01 12:00:00 CEST",
        "01/Jun/2026:12:00:00", "1/6/2026 12:00", "01-Jun-2026 12:00:00", "2026-06-01 12:00:00 PM", "06-01 12:00:00",
    ],
)  # fmt: skip
def test_times_without_zone_are_read_in_the_sites_and_flagged(given: str) -> None:
    assert instant(given, BERLIN, RECEIVED) == (datetime.fromisoformat(NOON), ("time-without-zone",))


@pytest.mark.parametrize(
    ("given", "received", "expected"),
    [
        ("Dec 31 23:59:59", "2027-01-01T00:00:30", "2026-12-31T23:59:59"),
        (
            "Jan  1 00:00:05",
            "2026-12-31T23:59:58",
            "2027-01-01T00:00:05",
        ),  # a clock a little fast at New Year
        ("Nov 23 00:00:00", "2026-11-21T06:00:00", "2025-11-23T00:00:00"),
        ("Feb 29 12:00:00", "2026-11-21T06:00:00", "2024-02-29T12:00:00"),
        ("Feb 29 12:00:00", "2028-02-29T13:00:00", "2028-02-29T12:00:00"),
    ],
)
def test_a_time_without_year_is_the_nearest_before_receipt(given: str, received: str, expected: str) -> None:
    utc = ZoneInfo("UTC")
    moment, _ = instant(given, utc, datetime.fromisoformat(received).replace(tzinfo=UTC))
    assert moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_day_and_month_in_either_order_are_the_date_nearer_to_receipt() -> None:
    utc = ZoneInfo("UTC")
    for given, expected in (
        ("11/19/2026 09:30:00", "2026-11-19T09:30:00"),
        ("19/11/2026 9:30 PM", "2026-11-19T21:30:00"),
        ("11/10/2026 12:00 AM", "2026-11-10T00:00:00"),
        ("10/11/2026 00:00", "2026-11-10T00:00:00"),
    ):
        assert instant(given, utc, RECEIVED)[0].isoformat() == f"{expected}+00:00"


def test_the_hour_that_does_not_exist() -> None:
    """29 March 2026, 02:30 in Berlin: the clock was not yet set, so it was 03:30 CEST."""
    moment, flags = instant("2026-03-29T02:30:00", BERLIN, RECEIVED)
    assert (moment, flags) == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), ("time-without-zone",))


@pytest.mark.parametrize(("received_hour", "expected_hour"), [(0, 0), (1, 1), (12, 0)])
def test_the_hour_that_comes_twice_is_taken_near_receipt(received_hour: int, expected_hour: int) -> None:
    received = datetime(2026, 10, 25, received_hour, 31, tzinfo=UTC)
    moment, _ = instant("2026-10-25T02:30:00", BERLIN, received)
    assert moment == datetime(2026, 10, 25, expected_hour, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [None, "", "soon", "2026-13-45", "99/99/9999", 12.5, "0001-01-01T00:00:00+23:00", "9" * 400, 1e300],
)
def test_no_readable_time_is_the_time_of_receipt_flagged(given: object) -> None:
    assert instant(given, BERLIN, RECEIVED) == (RECEIVED, ("time-missing",))


@pytest.mark.parametrize("given", [True, [1], {"s": 1}])
def test_what_is_no_time_at_all_is_an_error(given: object) -> None:
    with pytest.raises(InputError, match="neither text nor a number"):
        instant(given, BERLIN, RECEIVED)


def test_an_unreadable_time_is_kept_as_given(take: Reader) -> None:
    (event,) = take('{"message": "x", "time": "half past nine"}')
    assert isinstance(event, Event)
    assert event.labels == {"time_as_given": "half past nine"}


def test_a_clock_and_a_date_apart(take: Reader) -> None:
    items = take("Date,Time,Message\n2026-06-01,12:00:00,x\n") + take(
        "Month,Date,Time,Content,Pid\nJun,1,12:00:00,x,1\n"
    )
    assert [item.time for item in items if isinstance(item, Event)] == [datetime.fromisoformat(NOON)] * 2


def test_an_untimed_item_is_one_with_its_retry_but_not_with_the_one_of_next_month(take: Reader) -> None:
    alarm = b'{"host": "fire-panel-2", "message": "Smoke alarm"}\n'

    def name(received: datetime) -> str:
        (event,) = take(alarm, received=received)
        assert isinstance(event, Event)
        return event.id

    assert name(RECEIVED) == name(RECEIVED + timedelta(seconds=20))
    assert name(RECEIVED) != name(RECEIVED + timedelta(days=30))
    timed = alarm.replace(b'"host"', b'"time": "2026-06-01T10:00:00Z", "host"')
    (first,), (second,) = take(timed, received=RECEIVED), take(timed, received=RECEIVED + timedelta(days=30))
    assert first.id == second.id  # type: ignore[union-attr]
