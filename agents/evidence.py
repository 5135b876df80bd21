"""The evidence of one incident: what was seen, as readable sentences with ids, made by code from its events.

Each piece carries the same facts as a sheet, so that a model can word it without touching a number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from agents.alert_facts import clock, limit, metric_name, quantity, quoted, reading
from setpoint.contracts import Event, Evidence, Fact, FactSheet, Incident, Triage
from setpoint.contracts.site import Site

UNNAMED = "a message without a known meaning"
NEW_PATTERN = "a message never seen here before"
"""Conditions of what no rule names."""
CLEARED = "condition cleared"
"""What the rules call the end of something."""
MAX_GROUPS = 10
MAX_NAMED_ASSETS = 4
MAX_READ_ASSETS, MAX_READINGS = 6, 4
_SETTING = re.compile(r"_(cap|lock|max|min|design|setpoint|limit|watermark)_|^shed_")
_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+(\.\d+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """All that one analysis may look at."""

    incident: Incident
    events: tuple[Event, ...]
    """In order of time."""
    triages: Mapping[str, Triage]
    """By event id."""
    site: Site
    telemetry: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Present readings by asset, unit in the metric's name."""
    related: tuple[Incident, ...] = ()
    """Other incidents on the same or neighbouring assets, newest first."""
    context: tuple[Event, ...] = ()
    """Events outside the incident that announce planned work on its assets."""
    corrected_cause: str = ""
    """The cause a person named; it stands above what anything else says."""


@dataclass(frozen=True)
class EventGroup:
    """Events that say the same thing of one or more assets."""

    events: tuple[Event, ...]
    condition: str

    @property
    def first(self) -> Event:
        return self.events[0]

    @property
    def assets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event.asset for event in self.events))

    @property
    def worst(self) -> Event:
        """The reading furthest beyond its threshold; the first event where none has one."""
        read = [e for e in self.events if e.value is not None and e.threshold is not None]
        return max(read, key=lambda e: abs((e.value or 0.0) - (e.threshold or 0.0)), default=self.first)


def group_events(case: Case) -> list[EventGroup]:
    """Events of like meaning together, in the order they began; the least important are left out first."""
    groups: dict[tuple[str, str, str], list[Event]] = {}
    for event in telling_events(case):
        groups.setdefault(_likeness(event, case.site), []).append(event)
    made = [EventGroup(tuple(events), _condition(events, case.triages)) for events in groups.values()]
    important = sorted(made, key=lambda group: (_best_priority(group, case.triages), group.first.time))
    return sorted(important[:MAX_GROUPS], key=lambda group: group.first.time)


def telling_events(case: Case) -> tuple[Event, ...]:
    """Without the routine (P3) that merely fell into the incident. Kept is what says on an asset that matters here
    that something ended, and what no rule calls routine. Where all is routine, all of it is kept."""
    matter = {e.asset for e in case.events if priority_in(case, e) < "P3"}
    return tuple(e for e in case.events if _tells(case, e, matter)) or case.events


def _tells(case: Case, event: Event, matter: Collection[str]) -> bool:
    if priority_in(case, event) < "P3":
        return True
    named = case.triages[event.id].condition if event.id in case.triages else ""
    return event.asset in matter and (event.status == "resolved" or named in ("", CLEARED))


def priority_in(case: Case, event: Event) -> str:
    """The event's own priority; P3 where it was never ranked."""
    triage = case.triages.get(event.id)
    return triage.priority if triage else "P3"


def gather(case: Case) -> tuple[list[Evidence], dict[str, str]]:
    """Evidence in the order of time, then context; and the evidence id of each event."""
    numbers = count(1)
    evidence, of_event = [], dict[str, str]()
    for group in group_events(case):
        piece = _from_events(f"E{next(numbers)}", group, case.site)
        evidence.append(piece)
        of_event |= {event.id: piece.id for event in group.events}
    for make in (_topology, _readings, _change, _history):
        if (context := make(case)) is not None:
            text, source, sheet, kind = context
            identifier = f"E{next(numbers)}"
            sheet = _renumbered(sheet, identifier)
            evidence.append(Evidence(id=identifier, kind=kind, text=text, source=source, sheet=sheet))
    return evidence, of_event


def most_urgent(case: Case, evidence_of: Mapping[str, str]) -> list[str]:
    """Ids of the evidence that holds an event of the incident's own, highest priority."""
    best = min((priority_in(case, event) for event in case.events), default="P3")
    ids = [evidence_of[e.id] for e in case.events if priority_in(case, e) == best and e.id in evidence_of]
    return list(dict.fromkeys(ids))


def name_list(names: Sequence[str]) -> str:
    """`gpu-01, gpu-02, gpu-03 and 9 more`."""
    if len(names) <= MAX_NAMED_ASSETS:
        return ", ".join(names)
    return f"{', '.join(names[: MAX_NAMED_ASSETS - 1])} and {len(names) - MAX_NAMED_ASSETS + 1} more"


_Made = tuple[str, str, FactSheet, str]


def _from_events(identifier: str, group: EventGroup, site: Site) -> Evidence:
    event, worst = group.first, group.worst
    facts = [_fact("asset", "asset", name_list(group.assets), identifier, required=True)]
    facts.append(_fact("time", "time", clock(event.time, site), identifier))
    measured = reading(worst)
    if measured:
        facts.append(_fact("value", "quantity", measured, identifier, required=True))
        if worst.threshold is not None:
            facts.append(_fact("limit", "limit", limit(worst), identifier))
            measured += f", limit {limit(worst)}"
    if len(group.events) > 1:
        facts.append(_fact("count", "count", str(len(group.events)), identifier))
    details = "; ".join(filter(None, (measured, _when(group.events, site))))
    text = f"{name_list(group.assets)}: {_quoted(event.message)} ({details})"
    sheet = FactSheet(condition=group.condition or UNNAMED, facts=tuple(facts))
    source = f"{event.source} event {event.id}"
    return Evidence(id=identifier, kind="event", text=text, source=source, sheet=sheet)


def _when(events: Sequence[Event], site: Site) -> str:
    """`23:15:00 CET`, or `23:15:00 to 00:16:00 CET, 4 events`."""
    first, last = clock(events[0].time, site), clock(events[-1].time, site)
    if len(events) == 1:
        return first
    span_of = first if first == last else f"{first.split()[0]} to {last}"
    return f"{span_of}, {len(events)} events"


def _topology(case: Case) -> _Made | None:
    root = _common_asset(case)
    if not root:
        return None
    below = [asset for name in case.site.downstream(root) if (asset := case.site.find(name))]
    racks = sum(asset.kind == "rack" for asset in below)
    nodes = sum(asset.kind == "gpu_node" for asset in below)
    services = [asset.name for asset in below if asset.kind == "service"]
    parts = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((racks, "rack"), (nodes, "GPU node")) if n]
    if services:
        parts.append(f"the service{'s' if len(services) > 1 else ''} {name_list(services)}")
    if not parts:
        return None
    text = f"{root} carries {' and '.join(parts) if len(parts) < 3 else ', '.join(parts[:-1]) + ' and ' + parts[-1]}."
    facts = [_fact("asset", "asset", root, "E1", required=True)]
    if nodes:
        facts.append(_fact("count", "count", f"{nodes} GPU node{'s' if nodes > 1 else ''}", "E1"))
    sheet = FactSheet(condition="other equipment depends on it", facts=tuple(facts))
    return text, "site topology", sheet, "topology"


def _readings(case: Case) -> _Made | None:
    """Measured values with a unit, those that the events speak of first; settings and flags are left out."""
    spoken = {event.metric for event in case.events if event.metric}
    rows = [
        (asset, metric, value)
        for asset in case.incident.assets[:MAX_READ_ASSETS]
        for metric, value in _measured(case.telemetry.get(asset, {}), spoken)
    ][:MAX_READINGS]
    if not rows:
        return None
    text = (
        "Readings now: "
        + "; ".join(f"{asset} {reading_in_words(metric, value)}" for asset, metric, value in rows)
        + "."
    )
    facts = (
        _fact("asset", "asset", rows[0][0], "E1", required=True),
        _fact("value", "quantity", reading_in_words(*rows[0][1:]), "E1"),
    )
    return text, "site telemetry", FactSheet(condition="present readings were taken", facts=facts), "metric"


def _measured(values: Mapping[str, float], spoken: Collection[str]) -> list[tuple[str, float]]:
    """Two readings of one asset at most."""
    known = [name for name in values if is_measured(name)]
    return [(name, values[name]) for name in sorted(known, key=lambda name: (name not in spoken, name))[:2]]


def is_measured(metric: str) -> bool:
    """Whether it is a quantity with a unit, and no setting."""
    return metric.rpartition("_")[2] in _UNITS and not _SETTING.search(metric)


def _change(case: Case) -> _Made | None:
    for event in case.events:
        change = case.site.recent_change(event.asset, event.time)
        if change is not None:
            since = event.time - change.time
            text = f"{_quoted(change.what)}, {span(since)} before the first event on {event.asset}."
            facts = (
                _fact("asset", "asset", event.asset, "E1", required=True),
                _fact("time", "duration", span(since), "E1"),
                _fact("change", "quote", change.what, "E1"),
            )
            return (
                text,
                "site change record",
                FactSheet(condition="this asset was changed shortly before", facts=facts),
                "change",
            )
    return None


def _history(case: Case) -> _Made | None:
    if not case.related:
        return None
    near = case.related[0]
    apart = span(abs(case.incident.opened - near.opened))
    text = f"{near.id} ({near.title}) began {apart} {'before' if near.opened <= case.incident.opened else 'after'} this one."
    facts = (
        _fact("incident", "code", near.id, "E1", required=True),
        _fact("time", "duration", apart, "E1"),
    )
    return (
        text,
        "ledger",
        FactSheet(condition="another incident touches the same equipment", facts=facts),
        "history",
    )


def span(length: timedelta) -> str:
    """`40 s`, `12 min`, `3 h 5 min`, `2 days`."""
    seconds = int(length.total_seconds())
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} days"


def _common_asset(case: Case) -> str:
    """What the incident is about: the asset of its first event that others stand on, else its first known asset."""
    known = [event.asset for event in telling_events(case) if case.site.find(event.asset)]
    carrying = [name for name in known if len(case.site.downstream(name)) > 1]
    return next(iter(carrying), next(iter(known), ""))


def _likeness(event: Event, site: Site) -> tuple[str, str, str]:
    asset = site.find(event.asset)
    words = _VARIABLE.sub("#", event.message.replace(event.asset, "@"))
    return (
        asset.kind if asset else "unknown",
        event.kind or words,
        event.status if not event.kind else words[:40],
    )


def _condition(events: Iterable[Event], triages: Mapping[str, Triage]) -> str:
    """The rules' own phrase; for what no rule knows, whether its pattern is new here."""
    known = [triage for event in events if (triage := triages.get(event.id))]
    named = next((triage.condition for triage in known if triage.condition), "")
    new = any(rule.startswith("change.new-pattern") for triage in known for rule in triage.decided_by)
    return named or (NEW_PATTERN if new else "")


def _best_priority(group: EventGroup, triages: Mapping[str, Triage]) -> str:
    return min((t.priority for e in group.events if (t := triages.get(e.id))), default="P3")


def _quoted(message: str) -> str:
    short = message if len(message) <= 160 else message[:157].rstrip() + "..."
    return quoted(short)


def reading_in_words(metric: str, value: float) -> str:
    """`supply temperature 31.2 C`."""
    unit = _UNITS.get(metric.rpartition("_")[2], "")
    return f"{metric_name(metric)} {quantity(float(f'{value:.4g}'), unit)}"


_UNITS = {"c": "C", "kw": "kW", "w": "W", "lpm": "lpm", "pct": "%", "ms": "ms", "mhz": "MHz", "rpm": "rpm", "kpa": "kPa",
          "kwh": "kWh", "v": "V"}  # fmt: skip


def _fact(slot: str, kind: str, text: str, evidence_id: str, *, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": evidence_id, "required": required}
    )


def _renumbered(sheet: FactSheet, identifier: str) -> FactSheet:
    facts = tuple(fact.model_copy(update={"evidence_id": identifier}) for fact in sheet.facts)
    return FactSheet(condition=sheet.condition, facts=facts)
