"""A first glance: which events to rank first when more come in than can be ranked at once. It ranks nothing."""

from __future__ import annotations

import re

from setpoint.contracts.event import Event

_HINT = re.compile(
    r"\b(?:smoke|fire|leak|flood|water|intrusion|breach|tamper|unauthori[sz]ed|evacuat|lost|loss|down|off|fail(?:ed|ure)"
    r"|fatal|panic|emergency|critical|trip(?:ped)?|outage|on battery|unreachable|uncorrect|shutdown|stopped|alarm)",
    re.IGNORECASE,
)


def looks_urgent(event: Event) -> bool:
    """Whether its severity or its words leave a P0 possible. Wrong either way costs order, never an event."""
    if event.status == "resolved":
        return False
    return event.severity in ("critical", "error") or bool(_HINT.search(event.message) or _HINT.search(event.kind))
