"""Times in evidence: whole values, and stamps at the head of log lines."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from setpoint.errors import InputError
from setpoint.intake.clock import instant

_UTC_ZONE = ZoneInfo("UTC")
_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_STAMP = re.compile(
    rf"^[\[(<\s]*(?:time=|ts=|@timestamp=)?\"?(?P<stamp>{_ISO}"
    r"|[A-Z][a-z]{2} +\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?"
    r"|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?"
    r"|1[4-9]\d{8}(?:\.\d+|\d{3})?(?=\s))\"?[\])>]*[:,]?\s*"
)
_KLOG = re.compile(r"^[IWEF](?P<month>\d\d)(?P<day>\d\d) (?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)?\s+\d+\s+")
_CLOCK = re.compile(r"^[\[(]?(?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)Z?[\])]?:?\s+")
_ONLY_CLOCK = re.compile(
    r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?Z?"
)
_DAY_FIRST = re.compile(r"(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d(?:\.\d+)?)")
_DATED = re.compile(
    rf"{_ISO}|\d\d/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:\d\d:\d\d(?: [+-]\d{{4}})?|\d{{1,2}} [A-Z][a-z]{{2}} \d{{4}} \d\d:\d\d:\d\d(?:\.\d+)?"
)
"""A full date and time anywhere in a line."""
HEAD_CHARS = 48
"""So far into a line a stamp may stand behind a process number or an address and still be the line's own time."""
_LOOKS_LIKE = re.compile(
    rf"{_ISO}|\d\d/[A-Z][a-z]{{2}}/\d{{4}}:\d\d.*|\d{{4}}-\d\d-\d\d|\d{{9,13}}(?:\.\d+)?|\d{{1,2}} [A-Z][a-z]{{2}} \d{{4}} \d.*|[A-Z][a-z]{{2}} +\d.*\d\d:\d\d.*"
)


@lru_cache(maxsize=16_384)
def _instant(given: str | int | float, reference: datetime) -> tuple[datetime | None, bool]:
    """The instant, and whether a zone is missing where one could stand: a syslog stamp has none by its format.

    Many series share their times, so each is read once.
    """
    try:
        moment, flags = instant(given, _UTC_ZONE, reference)
    except InputError:
        return None, False
    if "time-missing" in flags:
        return None, False
    return moment, "time-without-zone" in flags and str(given)[:1].isdigit()


class Clock:
    """Reads times of one case. `reference` dates what bears no year or no day; `unzoned` counts times without zone."""

    def __init__(self, reference: datetime | None = None) -> None:
        self.reference = reference or datetime.now(UTC)
        self.unzoned = 0

    def read(self, given: object) -> datetime | None:
        """An instant in UTC; None where `given` is none."""
        if isinstance(given, datetime):
            given = given.isoformat()
        elif isinstance(given, date):
            given = f"{given.isoformat()}T00:00:00"
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            return None
        if isinstance(given, str) and not _LOOKS_LIKE.fullmatch(given.strip()):
            return None
        if isinstance(given, str) and (match := _DAY_FIRST.fullmatch(given.strip())):
            day, month, year, clock = match.groups()
            given = f"{month} {day} {year} {clock}"
        moment, unzoned = _instant(given, self.reference)
        self.unzoned += unzoned
        return moment

    def head(self, line: str) -> tuple[datetime | None, str]:
        """The time at the head of a log line, and the rest; (None, line) where it bears none."""
        if match := _STAMP.match(line):
            moment = self.read(match["stamp"].replace(",", "."))
            if moment:
                return moment, line[match.end() :]
        if match := _KLOG.match(line):
            moment = self.read(f"{self.reference.year}-{match['month']}-{match['day']}T{match['clock']}Z")
            return moment, line[match.end() :]
        if match := _CLOCK.match(line):
            return self.of_day(match["clock"]), line[match.end() :]
        if (match := _DATED.search(line[: HEAD_CHARS + 28])) and match.start() <= HEAD_CHARS:
            return self.read(match[0].replace(",", ".")), line
        return None, line

    def of_day(self, given: object) -> datetime | None:
        """A clock time without a day, on the day that puts it nearest to the reference.

        >>> Clock(datetime(2026, 5, 4, 0, 10, tzinfo=UTC)).of_day("23:50").isoformat()
        '2026-05-03T23:50:00+00:00'
        """
        match = _ONLY_CLOCK.fullmatch(given.strip()) if isinstance(given, str) else None
        if match is None:
            return None
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
        same = self.reference.replace(hour=hour, minute=minute, second=second, microsecond=0)
        days = (same + timedelta(days=shift) for shift in (-1, 0, 1))
        return min(days, key=lambda one: abs(one - self.reference))

    def inside(self, line: str) -> datetime | None:
        """The first full date and time anywhere in a line: of headings, whose words may come first."""
        match = _DATED.search(line)
        return self.read(match[0].replace(",", ".")) if match else None

    def when(self, given: object) -> datetime | None:
        """A whole time, or a clock time of the reference's day: for places that hold times and nothing else."""
        return self.read(given) or self.of_day(given)
