"""Planned work that somebody announced: what an alarm says then may be just what was meant to happen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

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


_GONE_WRONG = re.compile(
    r"\bfail\w*|\bfault\w*|\btrip\w*|overload|\babort\w*|\boutput (off|lost)|load (lost|dropped)|\blow\b|\bempty\b"
    r"|deplet|exhaust|\bbypass\b|shut(ting)? ?down|leak|smoke|fire|runaway|\bstuck\b|did not|unable|not (return|supplied)",
    re.IGNORECASE,
)
"""What no test is meant to bring about."""
_TESTED = re.compile(
    r"battery|discharg|transfer|source|mains|utility|input|generator|inverter|line voltage|alarm test|test alarm",
    re.IGNORECASE,
)
"""What an announced test of the power plant brings about."""
_AWAY = re.compile(
    r"not (respond|answer|reachable|ready)|(does|do) not (respond|answer)|unreachable|unresponsive|\bdown\b|offline|lost contact"
    r"|power(ed)?[- ]?off|re-?boot|re-?start|heartbeat|no route|\bgone\b|removed|connection (lost|closed|refused)",
    re.IGNORECASE,
)
_FAULTY = re.compile(
    r"\bs?xid\b|nvrm|\becc\b|uncorrect|machine check|panic|fault|leak|smoke|fire|overheat|thermal|intrusion|unexpected",
    re.IGNORECASE,
)
"""What taking an asset down for work looks like, and what it does not."""
_TEST = re.compile(r"\btest|drill|exercise", re.IGNORECASE)
_OVER = re.compile(
    r"\b(finished|completed?|is over|has ended|ended|closed|cancell?ed|called off|postponed|withdrawn|passed)\b",
    re.IGNORECASE,
)
_FROM_TO = re.compile(
    r"\b(?P<h1>[01]?\d|2[0-3])[:.h](?P<m1>[0-5]\d)\s*(?:to|until|till|-|\u2013)\s*(?P<h2>[01]?\d|2[0-3])[:.h](?P<m2>[0-5]\d)"
    r"(?:\s*(?P<utc>UTC|GMT|Z)\b)?"
)
_EARLY, _LATE = timedelta(minutes=2), timedelta(minutes=5)
"""How far work may stray from the times announced."""
_AT_MOST = timedelta(hours=12)


class Announced(NamedTuple):
    """Planned work on assets, and when."""

    begin_s: float
    end_s: float
    words: str
    is_test: bool


def window_of(event: Event, zone: tzinfo = UTC) -> Announced:
    """When the work that a line announces takes place: at the times it states, today or, where those are past, tomorrow;
    else from now for as long as an announcement holds. Times are those of `zone` unless they say UTC."""
    words = " ".join(event.message.split())[:120]
    is_test = bool(_TEST.search(event.message))
    stated = _FROM_TO.search(event.message)
    if stated is None:
        return Announced(event.time.timestamp(), (event.time + BEFORE).timestamp(), words, is_test)
    local = event.time.astimezone(UTC if stated["utc"] else zone)
    begin = local.replace(hour=int(stated["h1"]), minute=int(stated["m1"]), second=0, microsecond=0)
    end = local.replace(hour=int(stated["h2"]), minute=int(stated["m2"]), second=0, microsecond=0)
    end += timedelta(days=end < begin)
    later = timedelta(days=end + _LATE < local)
    end = min(end + later, begin + later + _AT_MOST)
    return Announced((begin + later - _EARLY).timestamp(), (end + _LATE).timestamp(), words, is_test)


def ends_work(text: str) -> bool:
    """Whether a line that tells of planned work says that it is over.

    >>> ends_work("maintenance on gpu-02 finished"), ends_work("maintenance on gpu-02 begins")
    (True, False)
    """
    return bool(_OVER.search(text))


def explains(announced: Announced, message: str, carries_others: bool) -> bool:
    """Whether the work accounts for what a line says. A test explains what such a test brings about and nothing that goes
    wrong in it; other work explains that an asset is away, no fault found in it, and only of an asset that carries no
    others, for nobody plans to lose those."""
    if announced.is_test:
        return bool(_TESTED.search(message)) and not _GONE_WRONG.search(message)
    return not carries_others and bool(_AWAY.search(message)) and not _FAULTY.search(message)


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
        if _holds_at(event, begin)
        and announces(event.message)
        and (event.asset.lower() in assets or _named(event.message, assets))
    ]
    return tuple(found[-MOST:])


def _holds_at(event: Event, begin: datetime) -> bool:
    """Whether what begins then is within what the line announces."""
    if begin - BEFORE <= event.time <= begin + AFTER:
        return True
    if event.time > begin or begin - event.time > _AT_MOST or not _FROM_TO.search(event.message):
        return False
    window = window_of(event)
    return window.begin_s <= begin.timestamp() <= window.end_s


def _named(text: str, assets: Iterable[str]) -> bool:
    """Whether the text names one of the assets as a word of its own."""
    lower = text.lower()
    return any(re.search(rf"(?<![\w-]){re.escape(asset)}(?![\w-])", lower) for asset in assets)


def of_case(events: Sequence[Event], context: Sequence[Event]) -> tuple[Event, ...]:
    """What was announced of an incident, in it or around it."""
    return announcements(events, [*events, *context])
