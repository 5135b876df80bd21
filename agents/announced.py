"""Planned work that somebody announced: what an alarm says then may be just what was meant to happen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

from setpoint.contracts import Event

BEFORE, AFTER = timedelta(minutes=45), timedelta(minutes=2)
"""An announcement belongs to what begins so long after it; a job's own log may come a little late."""
MOST = 12
_PLANNED = re.compile(
    r"\b((function|self|battery|load|discharge|transfer|acceptance|fire|alarm|insulation)[- ]?test|test (in progress|mode|run)"
    r"|drill|exercise|commissioning|work permit|permit \d+|permit[- ]to[- ]work|planned|by schedule|as scheduled"
    r"|scheduled (maintenance|work|reboot|restart|test|scan|switchover)|(under|for|in) maintenance|maintenance (mode|window)"
    r"|locked out for|rolling (update|upgrade|restart)|(kernel|firmware|driver|software|bios) (update|upgrade)"
    r"|(approved|authori[sz]ed) (change|scan|visit|work|credential scan)|chg-?\d+|change (request|ticket) \S+"
    r"|requested by \w+|visit \d+)\b",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"\b(unplanned|unscheduled|aborted|overdue|expired|test failed|failed (the )?test)\b", re.IGNORECASE
)


def announces(text: str) -> bool:
    """Whether a line tells of planned work.

    >>> announces("Monthly battery test of ups-2 starts by schedule"), announces("node gpu-07 reason set to: CHG-8812")
    (True, True)
    >>> announces("Battery self-test failed"), announces("Unplanned restart of gpu-07"), announces("Fan speed low")
    (False, False, False)
    """
    return bool(_PLANNED.search(text)) and not _FAILED.search(text)


def announcements(events: Iterable[Event], around: Iterable[Event]) -> tuple[Event, ...]:
    """Of the events around an incident those that tell of planned work on an asset of it, before it began."""
    firing = [event for event in events if event.status == "firing"]
    if not firing:
        return ()
    begin = min(event.time for event in firing)
    assets = {event.asset.lower() for event in firing}
    found = [
        event
        for event in around
        if begin - BEFORE <= event.time <= begin + AFTER
        and announces(event.message)
        and (event.asset.lower() in assets or _named(event.message, assets))
    ]
    return tuple(found[-MOST:])


def _named(text: str, assets: Iterable[str]) -> bool:
    """Whether the text names one of the assets as a word of its own."""
    lower = text.lower()
    return any(re.search(rf"(?<![\w-]){re.escape(asset)}(?![\w-])", lower) for asset in assets)


def of_case(events: Sequence[Event], context: Sequence[Event]) -> tuple[Event, ...]:
    """What was announced of an incident, in it or around it."""
    return announcements(events, [*events, *context])
