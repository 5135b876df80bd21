"""What the site knows that the input does not: is the asset known, is the time plausible, does the item agree with
itself."""

from __future__ import annotations

import re
from datetime import timedelta

from setpoint.contracts.event import Event, Flag
from setpoint.contracts.site import Site
from setpoint.settings import TriageSettings

VERY_OLD = timedelta(days=30)
_NAMING_LABELS = ("node", "nodename", "hostname", "host", "instance", "context", "subject", "gpu_node")
_AROUND_NAMES = "\"'`,;:.!?()[]{}<>"
_WORDS_READ = 600
"""Characters of a message in which an asset's name is looked for."""
_ABOVE = re.compile(
    r"\b(?:above|over|exceed(?:s|ed|ing)?|too high|higher than|greater than)\b|>", re.IGNORECASE
)
_BELOW = re.compile(r"\b(?:below|under|too low|lower than|less than|beneath)\b|<", re.IGNORECASE)
_NAME_HIGH = re.compile(
    r"(?:High|Above\w*|Over\w*|Exceeded|_high|_max|-high)$|(?:High|Over)(?:Temp|Voltage|Current|Load)"
)
_NAME_LOW = re.compile(r"(?:Low|Below\w*|_low|_min|-low)$|(?:Low|Under)(?:Flow|Pressure|Voltage|Level)")


def sense(event: Event, site: Site, settings: TriageSettings) -> Event:
    """`event` with the site's flags, and with the asset's name where only another label names a known one, or only its
    words do."""
    flags = [*event.flags, *_time_flags(event, settings)]
    asset = event.asset
    if site.assets and site.find(asset) is None:
        known = next((name for name in _other_names(event) if site.find(name)), None) or _named_in(
            event, site
        )
        asset = known or asset
        if known is None:
            flags.append("unknown-asset")
    if contradiction(event):
        flags.append("contradiction")
    unique = tuple(dict.fromkeys(flags))
    if unique == event.flags and asset == event.asset:
        return event
    return event.model_copy(update={"flags": unique, "asset": asset})


def _time_flags(event: Event, settings: TriageSettings) -> list[Flag]:
    ahead = event.time - event.received
    if ahead > timedelta(seconds=settings.future_skew_s):
        return ["time-in-future"]
    return ["time-very-old"] if -ahead > VERY_OLD else []


def _other_names(event: Event) -> list[str]:
    return [event.labels[name] for name in _NAMING_LABELS if name in event.labels]


def _named_in(event: Event, site: Site) -> str | None:
    """The first known asset in the words of an event that states none."""
    if event.asset != "unknown":
        return None
    words = (word.strip(_AROUND_NAMES) for word in event.message[:_WORDS_READ].split())
    return next((asset.name for word in words if word and (asset := site.find(word))), None)


def contradiction(event: Event) -> str:
    """What in the event speaks against itself, in words; "" where nothing does.

    A resolved Alertmanager or Redfish event keeps the severity of the condition that ended: no contradiction.
    """
    if event.status == "resolved" and event.severity == "critical" and event.format in ("jsonl", "csv"):
        return "resolved and critical at once"
    if event.status == "resolved" or event.value is None or event.threshold is None:
        return ""
    side = _limit_side(event)
    if side == "above" and event.value < event.threshold:
        return f"said to be above {event.threshold:g}, reads {event.value:g}"
    if side == "below" and event.value > event.threshold:
        return f"said to be below {event.threshold:g}, reads {event.value:g}"
    return ""


def _limit_side(event: Event) -> str:
    """Which side of the limit the event says it is on; "" where it does not say, or says both."""
    above = bool(_ABOVE.search(event.message) or _NAME_HIGH.search(event.kind))
    below = bool(_BELOW.search(event.message) or _NAME_LOW.search(event.kind))
    return "above" if above and not below else "below" if below and not above else ""
