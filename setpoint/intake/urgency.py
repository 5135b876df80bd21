"""A first glance: which events to rank first when more come in than can be ranked at once. It ranks nothing."""

from __future__ import annotations

import re
from typing import Literal

from setpoint.contracts.event import Event

Glance = Literal["critical", "trouble", "routine"]
_CRITICAL = re.compile(
    r"\b(?:smoke|fire(?!wall)|leak|flood|intrusion|intruder|breach|evacuat|emergency|on battery|outage"
    r"|(?:feed|power|utility|pump|supply|mains)\b.{0,40}\b(?:lost|fail|trip|stopped|down|off))",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"\b(?:lost|loss|down|off|fail(?:ed|ure)|fatal|panic|critical|tamper|unauthori[sz]ed|trip(?:ped)?|unreachable"
    r"|uncorrect|shutdown|stopped|alarm|water)",
    re.IGNORECASE,
)


def alarming(text: str) -> bool:
    """Does the text hold a word of trouble?"""
    return bool(_CRITICAL.search(text) or _TROUBLE.search(text))


def glance(event: Event) -> Glance:
    """How urgent it looks by its severity and words. Wrong either way costs order, never an event.

    >>> from datetime import UTC, datetime
    >>> now = datetime(2026, 1, 2, tzinfo=UTC)
    >>> said = {"id": "1", "time": now, "received": now, "asset": "r-05", "source": "bms", "kind": ""}
    >>> glance(Event(**said, message="Leak rope wet", severity="info"))
    'critical'
    >>> glance(Event(**said, message="rotating logs", severity="info"))
    'routine'
    """
    if event.status == "resolved":
        return "routine"
    words = f"{event.kind} {event.message}"
    if event.severity == "critical" or _CRITICAL.search(words):
        return "critical"
    return "trouble" if event.severity == "error" or _TROUBLE.search(words) else "routine"
