"""Facts of an alert in an operator's spelling: values with units, times in the site's zone, places, counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from setpoint.contracts import Event, Fact, FactSheet, Incident, Triage
from setpoint.contracts.site import Asset, Site

_PREFIX = re.compile(
    r"^(dcgm_fi_dev_|dcgm_fi_prof_|dcgm_fi_|node_|ipmi_|redfish_|snmp_|vllm:|nv_)", re.IGNORECASE
)
_UNIT_OF_SUFFIX = {
    "c": "C", "celsius": "C", "k": "K", "kw": "kW", "w": "W", "watts": "W", "mw": "MW", "kwh": "kWh", "lpm": "lpm",
    "rpm": "rpm", "pct": "%", "percent": "%", "v": "V", "volts": "V", "a": "A", "amps": "A", "ms": "ms", "s": "s",
    "seconds": "s", "bytes": "B", "hz": "Hz", "mhz": "MHz", "bar": "bar", "kpa": "kPa", "ppm": "ppm", "gbps": "Gbps",
    "ratio": "", "perc": "", "total": "",
}  # fmt: skip
_UNIT_WORDS = {
    "min": ("min", "minutes"),
    "h": ("h", "hours"),
    "%/m": ("m",),
    "m/s": ("m", "s"),
    "Pa": ("pa",),
}
"""Words of a metric's name that are its unit only where the event has that unit."""
_UNIT = {
    "celsius": "C", "degc": "C", "\u00b0c": "C", "cel": "C", "percent": "%", "pct": "%", "watt": "W", "watts": "W",
    "kilowatts": "kW", "volts": "V", "amps": "A", "seconds": "s", "bytes": "B", "l/min": "lpm", "ratio": "", "1": "",
    "count": "", "none": "",
}  # fmt: skip
_LONG = {"temp": "temperature", "util": "utilisation", "mem": "memory", "pwr": "power", "avail": "available"}
_CAPITALS = "gpu cpu ups pdu cdu psu kv ttft tpot slo nvme ib nic hbm ecc pcie crah ess soc dimm"
_QUOTE_CHARS = 160


@dataclass(frozen=True)
class Case:
    """One incident at the moment somebody is told: the event that matters most, and what surrounds it."""

    incident: Incident
    lead: Event
    triage: Triage
    site: Site

    @property
    def asset(self) -> Asset | None:
        return self.site.find(self.lead.asset)

    @property
    def condition(self) -> str:
        """What happened, without facts; the rule's phrase where a rule spoke."""
        return self.triage.condition or ("limit crossed" if crossed(self.lead) else "trouble reported")


def case_of(incident: Incident, events: Sequence[Event], triages: Sequence[Triage], site: Site) -> Case:
    """The most important firing event leads, the earliest of equals. Raises ValueError without events."""
    judged = {triage.event_id: triage for triage in triages}
    known = [event for event in events if event.id in judged]
    if not known:
        raise ValueError(f"{incident.id}: a notice needs at least one ranked event")
    lead = min(known, key=lambda one: (one.status == "resolved", judged[one.id].priority, one.time, one.id))
    return Case(incident, lead, judged[lead.id], site)


def alert_sheet(case: Case) -> FactSheet:
    """Everything a model may say about the case. What and where are required, and a value with its limit."""
    return FactSheet(condition=case.condition, facts=tuple(_facts(case)))


def _facts(case: Case) -> Iterator[Fact]:
    event, incident = case.lead, case.incident

    def fact(slot: str, kind: str, text: str, *, required: bool = False) -> Fact:
        return Fact.model_validate(
            {"slot": slot, "kind": kind, "text": text, "evidence_id": event.id, "required": required}
        )

    if event.asset != "unknown":
        yield fact("asset", "asset", event.asset, required=True)
    if place := place_of(case.asset, case.site):
        yield fact("place", "place", place)
    if event.value is not None:
        if event.metric:
            yield fact("metric", "metric", metric_name(event.metric, unit_of(event)))
        yield fact("value", "quantity", reading(event), required=True)
        if event.threshold is not None:
            yield fact("limit", "limit", limit(event), required=True)
    yield fact("time", "time", clock(case.lead.time, case.site))
    if code := code_of(event):
        yield fact("code", "code", code)
    if incident.event_count > 1:
        yield fact("count", "count", counted(incident))
    if tenants := tenants_of(event.asset, case.site):
        yield fact("tenant", "tenant", tenants)
    if not case.triage.condition and (message := said_by_source(event)):
        # Where no rule has a name for it, the source's own words are what happened.
        yield fact("quote", "quote", f'"{message.rstrip(".")}"', required=True)


def metric_name(metric: str, unit: str = "") -> str:
    """A metric as one says it, without the unit in its name.

    >>> [metric_name(name) for name in ("DCGM_FI_DEV_GPU_TEMP", "coolant_flow_lpm", "vllm:kv_cache_usage_ratio")]
    ['GPU temperature', 'coolant flow', 'KV cache usage']
    >>> metric_name("runtime_min", "min"), metric_name("obscuration_pct_m", "%/m"), metric_name("flow_min", "lpm")
    ('runtime', 'obscuration', 'flow min')
    """
    words = re.split(r"[\s_:.-]+", _PREFIX.sub("", metric).strip("_:. "))
    words = [word.lower() for word in words if word]
    while len(words) > 1 and words[-1] in (*_UNIT_OF_SUFFIX, *_UNIT_WORDS.get(unit, ())):
        words.pop()
    return " ".join(word.upper() if word in _CAPITALS.split() else _LONG.get(word, word) for word in words)


def unit_of(event: Event) -> str:
    """The event's unit in the usual symbol; from the metric's name where the event has none."""
    if event.unit:
        return _UNIT.get(event.unit.strip().lower(), event.unit.strip())
    return _UNIT_OF_SUFFIX.get(re.split(r"[_:.]", (event.metric or "").lower())[-1], "")


def quantity(value: float, unit: str) -> str:
    """
    >>> quantity(92.4, "C"), quantity(1200.0, "rpm"), quantity(85899345920.0, "B"), quantity(0.97, "")
    ('92.4 C', '1200 rpm', '80 GiB', '0.97')
    """
    if unit == "B":
        for symbol in ("B", "KiB", "MiB", "GiB", "TiB"):
            unit = symbol
            if abs(value) < 1024 or symbol == "TiB":
                break
            value /= 1024
    text = f"{value:.6g}"
    if "e" in text:
        text = f"{value:.0f}" if abs(value) >= 1 else f"{value:.12f}".rstrip("0").rstrip(".")
    return f"{text} {unit}".strip()


def reading(event: Event) -> str:
    return quantity(event.value, unit_of(event)) if event.value is not None else ""


def limit(event: Event) -> str:
    return quantity(event.threshold, unit_of(event)) if event.threshold is not None else ""


def crossed(event: Event) -> str:
    """ "above", "below" or "at" its limit; "" where there is no limit."""
    if event.value is None or event.threshold is None:
        return ""
    return "at" if event.value == event.threshold else "above" if event.value > event.threshold else "below"


def measured(event: Event) -> str:
    """ "GPU temperature 92.4 C, above its limit of 85 C"; "" without a value."""
    if event.value is None:
        return ""
    said = f"{metric_name(event.metric, unit_of(event)) if event.metric else 'reading'} {reading(event)}"
    side = crossed(event)
    return f"{said}, {side} its limit of {limit(event)}" if side else said


def code_of(event: Event) -> str:
    """Vendor code as an engineer writes it.

    >>> from datetime import datetime, UTC
    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> code_of(Event(id="1", time=at, received=at, asset="a", source="s", kind="xid-79", message=""))
    'XID 79'
    """
    found = re.fullmatch(r"(xid|sxid)-(\d+)", event.kind, re.IGNORECASE)
    return f"{'SXid' if found[1].lower() == 'sxid' else 'XID'} {found[2]}" if found else ""


def clock(moment: datetime, site: Site) -> str:
    """Time of day in the site's zone, with the zone's name: "02:14:07 CET"."""
    return moment.astimezone(site.zone).strftime("%H:%M:%S %Z")


def dated(moment: datetime, site: Site) -> str:
    """ "21 Nov 02:14:07 CET"."""
    return f"{moment.astimezone(site.zone):%d %b} {clock(moment, site)}".lstrip("0")


def lasted(seconds: float) -> str:
    """
    >>> [lasted(s) for s in (35, 48 * 60, 7500, 200000)]
    ['35 s', '48 min', '2 h 5 min', '2 days 7 h']
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, rest = divmod(hours, 24)
    return f"{days} day{'s' if days > 1 else ''}" + (f" {rest} h" if rest else "")


def counted(incident: Incident) -> str:
    """ "14 events on 6 assets"."""
    assets = len(incident.assets)
    return f"{incident.event_count} events" + (f" on {assets} assets" if assets > 1 else "")


def place_of(asset: Asset | None, site: Site) -> str:
    """Rack, row and hall it stands in, nearest first: "rack r-02, hall-1"."""
    if asset is None:
        return ""
    above = [found for name in site.upstream(asset.name) if (found := site.find(name))]
    named = []
    for kind in ("rack", "row", "hall"):
        if found := next((one for one in above if one.kind == kind), None):
            named.append(found.name if kind in found.name.lower() else f"{kind} {found.name}")
    return ", ".join(named)


def tenants_of(asset: str, site: Site) -> str:
    """VIP tenants that use the asset or something that stands on it, comma separated."""
    touched = [found for name in (asset, *site.downstream(asset)) if (found := site.find(name))]
    return ", ".join(dict.fromkeys(one.tenant for one in touched if one.tier == "vip" and one.tenant))


def quoted(text: str) -> str:
    """Somebody else's words on one line, in quotation marks that they cannot close themselves.

    >>> print(quoted('fan "3"\\nfailed'))
    "fan '3' failed"
    """
    return '"' + " ".join(text.split()).replace('"', "'") + '"'


def said_by_source(event: Event) -> str:
    """The event's own message on one line, cut, without control characters or double quotes."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in event.message).split())
    clean = clean.replace('"', "'")
    return clean if len(clean) <= _QUOTE_CHARS else clean[: _QUOTE_CHARS - 3].rstrip() + "..."
