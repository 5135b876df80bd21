"""Times in the ledger are UTC seconds since the epoch: exact to the microsecond, sortable in every database."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now, aware."""
    return datetime.now(UTC)


def seconds(moment: datetime) -> float:
    """UTC seconds of an aware time. A time without zone would be read in the machine's zone: ValueError.

    >>> seconds(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    1767323045.0
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.timestamp()


def seconds_or_none(moment: datetime | None) -> float | None:
    return None if moment is None else seconds(moment)


def moment(value: float) -> datetime:
    """The aware time of UTC seconds."""
    return datetime.fromtimestamp(value, UTC)


def moment_or_none(value: float | None) -> datetime | None:
    return None if value is None else moment(value)
