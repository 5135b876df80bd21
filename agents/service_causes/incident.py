"""A case out of an incident that Setpoint holds: its events as lines and numbers, and the history of its assets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from setpoint.contracts import Event, Incident
from tools.case_types import Alert, Line, Readings, ServiceCase
from tools.telemetry import History

WINDOW = timedelta(minutes=90)
"""History looked at before the incident's first event."""
EVENTS, HISTORY = "events", "history"
"""What evidence of either origin is cited as in place of a file."""
_RANK = {"critical": 0, "error": 1, "warning": 2, "unknown": 3, "info": 4}


def case_of_incident(
    incident: Incident, events: Sequence[Event], history: History | None = None, *, window: timedelta = WINDOW
) -> ServiceCase:
    """The case of one incident, for assets that no plant model covers.

    `events` are the incident's own; the worst of the earliest names the complaint. `history` adds what was read of
    the same assets from `window` before the first event on. An incident without events gives a case without alert.
    """
    ordered = sorted(events, key=lambda event: event.time)
    firing = [event for event in ordered if event.status == "firing"] or ordered
    worst = min(firing, key=lambda event: _RANK[event.severity], default=None)
    readings = _numbers(ordered)
    if history is not None and ordered:
        readings += _history(
            incident, history, ordered[0].time - window, ordered[-1].time + timedelta(minutes=5)
        )
    return ServiceCase(
        name=incident.id,
        alert=_alert(incident, worst, ordered) if worst else None,
        readings=tuple(readings),
        lines=tuple(_line(event) for event in ordered),
        files=(EVENTS, HISTORY) if history is not None else (EVENTS,),
    )


def _alert(incident: Incident, worst: Event, events: Sequence[Event]) -> Alert:
    over = all(event.status == "resolved" for event in _last_of_each(events))
    return Alert(
        file=EVENTS, title=incident.title, text="\n".join(dict.fromkeys((incident.title, worst.kind, worst.message))),
        state="resolved" if over else "firing", severity=worst.severity, at=worst.time, labels=dict(worst.labels),
    )  # fmt: skip


def _last_of_each(events: Sequence[Event]) -> list[Event]:
    return list({event.dedup_key or event.id: event for event in events}.values())


def _line(event: Event) -> Line:
    words = event.message if event.kind in event.message else f"{event.kind}: {event.message}".strip(": ")
    return Line(EVENTS, event.id, words, event.time, f"{event.severity}, {event.asset}")


def _numbers(events: Sequence[Event]) -> list[Readings]:
    """Values that events carry, where one metric of one asset has enough of them."""
    found: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if event.metric and event.value is not None:
            found.setdefault((event.asset, event.metric), []).append(event)
    return [
        Readings(
            EVENTS, members[0].id, metric, members[0].unit or "", asset,
            tuple(e.time for e in members), tuple(e.value for e in members if e.value is not None),
        )
        for (asset, metric), members in found.items() if len(members) > 1
    ]  # fmt: skip


def _history(incident: Incident, history: History, start: datetime, end: datetime) -> list[Readings]:
    found = []
    for asset in incident.assets:
        for metric in history.metrics(asset):
            series = history.series(asset, metric)
            if series is None:
                continue
            inside = [(t, v) for t, v in zip(series.times, series.values, strict=True) if start <= t <= end]
            if inside:
                times, values = zip(*inside, strict=True)
                found.append(Readings(HISTORY, f"{asset} {metric}", metric, "", asset, times, values))
    return found
