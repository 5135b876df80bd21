"""Times as machines write them, as instants in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from setpoint.contracts.event import Flag
from setpoint.errors import InputError
from setpoint.intake.text import shown

Reading = tuple[datetime, tuple[Flag, ...]]

_EPOCH = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE]\+?\d{1,2})?")
_COMPACT = re.compile(r"(?:19|20)\d{6}(?:\d{6})?")
_UTC_NAME = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_SPACED_OFFSET = re.compile(r"\s+([+-]\d\d:?\d\d)$")
_ZONE_NAME = re.compile(r"\s+[A-Z]{2,5}$")
_LEAP_SECOND = re.compile(r"(?<=:\d\d):60\b")
_SLASHED = re.compile(r"(\d{4})/(\d\d?)/(\d\d?)[ T-](\S+)")
_DOTTED = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})[ T]+(\d\d:\d\d\S*)")
_EITHER_FIRST = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})[ T]+(\S+)")
_NAMED_MONTH = re.compile(r"(\d\d?)[- /]([A-Z][a-z]{2})[- /](\d{4})[ T]+(\S+)")
_NO_YEAR = re.compile(r"(\d\d)-(\d\d) +(\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?)")
_HALF_DAY = re.compile(r"(\d\d?)(:\d\d(?::\d\d)?(?:\.\d+)?) ?([AaPp])[Mm]\b")
_MONTH_FIRST = re.compile(
    r"(?:[A-Z][a-z]{2},? +)?([A-Z][a-z]{2}) +(\d{1,2}) +(?:(\d{4}) +)?(\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?)(?: +(\d{4}))?"
)
_APACHE = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?: ?([+-]\d{4}))?")
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)}  # fmt: skip
_YEAR_SLACK = timedelta(days=1)
"""A time without year may lie this far ahead of receipt: a clock that is a little fast at New Year."""


def instant(given: object, zone: ZoneInfo, received: datetime) -> Reading:
    """When `given` says something happened, in UTC, with what had to be assumed.

    Nothing given: the time of receipt, flagged. No zone: read in `zone`, flagged. A text no rule can read counts as
    missing (the event still matters; the caller keeps the text). Raises InputError where it is no time at all.
    """
    if given is None or given == "":
        return received, ("time-missing",)
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise InputError(
            f"the time is {shown(given)}, neither text nor a number", remedy="Use ISO 8601 or Unix time"
        )
    try:
        moment = _read(given.strip() if isinstance(given, str) else given, received)
        if moment is None:
            return received, ("time-missing",)
        if moment.tzinfo is None:
            return _localised(moment, zone, received), ("time-without-zone",)
        return moment.astimezone(UTC), ()
    except (ValueError, OverflowError, OSError):
        return received, ("time-missing",)


def _read(given: str | int | float, received: datetime) -> datetime | None:
    if isinstance(given, str):
        if not _EPOCH.fullmatch(given):
            return _read_text(given, received)
        if _COMPACT.fullmatch(given):
            return datetime.strptime(given, "%Y%m%d%H%M%S" if len(given) == 14 else "%Y%m%d")
    return _from_epoch(float(given))


def _from_epoch(number: float) -> datetime | None:
    """Unix time in s, ms, us or ns by its size. Below 1973 it is rather an uptime or a counter: None."""
    for limit, scale in ((1e11, 1), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9)):
        if number < limit:
            return datetime.fromtimestamp(number / scale, UTC) if number >= 1e8 else None
    return None


def _read_text(text: str, received: datetime) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    given, text = text, _LEAP_SECOND.sub(":59", _SPACED_OFFSET.sub(r"\1", _UTC_NAME.sub("+00:00", text)))
    text = _HALF_DAY.sub(_full_day, text)
    for candidate in (text, _ZONE_NAME.sub("", text)):
        try:
            return datetime.fromisoformat(candidate)
        except ValueError:
            continue
    if match := _SLASHED.fullmatch(text):
        year, month, day, rest = match.groups()
        return datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{rest}")
    if match := _DOTTED.fullmatch(text):
        day, month, year, rest = match.groups()
        return datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{rest}")
    if match := _MONTH_FIRST.fullmatch(text):
        return _month_first(match, received)
    if match := _EITHER_FIRST.fullmatch(text):
        return _nearest_order(match, received)
    if match := _NAMED_MONTH.fullmatch(text):
        day, name, year, rest = match.groups()
        return datetime.fromisoformat(f"{year}-{_MONTHS.get(name, 0):02}-{day:0>2}T{rest:0>5}")
    if match := _NO_YEAR.fullmatch(text):
        return nearest_year(int(match[1]), int(match[2]), match[3], received)
    if match := _APACHE.fullmatch(text):
        day, name, year, clock, offset = match.groups()
        return datetime.fromisoformat(f"{year}-{_MONTHS.get(name, 0):02}-{day}T{clock}{offset or ''}")
    return parsedate_to_datetime(given) if "," in given else None


def _month_first(match: re.Match[str], received: datetime) -> datetime | None:
    """`Jun 14 15:16:01` (RFC 3164), the same with a year before or after the clock."""
    name, day, year, clock, late_year = match.groups()
    month = _MONTHS.get(name)
    if month is None:
        return None
    stated = year or late_year
    if stated:
        return datetime.fromisoformat(f"{stated}-{month:02}-{day:0>2}T{clock}")
    return nearest_year(month, int(day), clock, received)


def _full_day(match: re.Match[str]) -> str:
    """`9:05 PM` as `21:05`."""
    hour = int(match[1]) % 12 + (12 if match[3] in "Pp" else 0)
    return f"{hour:02}{match[2]}"


def _nearest_order(match: re.Match[str], received: datetime) -> datetime | None:
    """`11/19/2026` and `19/11/2026`: whichever there is, and where both are, the one nearer to receipt."""
    first, second, year, clock = match.groups()
    moments = []
    for month, day in ((first, second), (second, first)):
        try:
            moments.append(datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{clock:0>5}"))
        except ValueError:
            continue
    arrived = received.replace(tzinfo=None)
    return min(moments, key=lambda moment: abs(arrived - moment.replace(tzinfo=None)), default=None)


def nearest_year(month: int, day: int, clock: str, received: datetime) -> datetime | None:
    """The date without year in the year that puts it nearest before receipt; 29 February finds its leap year."""
    latest = received.replace(tzinfo=None) + _YEAR_SLACK
    for year in range(latest.year, latest.year - 9, -1):
        try:
            moment = datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{clock}")
        except ValueError:
            continue
        if moment <= latest:
            return moment
    return None


def _localised(local: datetime, zone: ZoneInfo, received: datetime) -> datetime:
    """`local` in `zone`. In the gap of a clock set forward the clock is taken as not yet set; in the hour that
    comes twice the later one is taken only where receipt is near it."""
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    twice = early < late
    return late if twice and abs(received - late) < abs(received - early) < timedelta(hours=3) else early
