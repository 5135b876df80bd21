"""Times in evidence: whole values, and stamps at the head of log lines."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
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
_CLOCK = re.compile(r"^[\[(]?(?P<clock>\d\d:\d\d:\d\d)(?:[.,]\d+)?Z?[\])]?\s+")
_LOOKS_LIKE = re.compile(rf"{_ISO}|\d{{4}}-\d\d-\d\d|\d{{9,13}}(?:\.\d+)?|[A-Z][a-z]{{2}} +\d.*\d\d:\d\d.*")


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
            return self.read(f"{self.reference:%Y-%m-%d}T{match['clock']}Z"), line[match.end() :]
        return None, line
