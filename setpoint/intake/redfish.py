"""Redfish Event payloads (DMTF DSP0266, Event schema)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from setpoint.errors import InputError
from setpoint.intake.draft import Draft
from setpoint.intake.fields import add_severity
from setpoint.intake.limits import DEFAULT_LIMITS
from setpoint.intake.measure import number
from setpoint.intake.text import shown

_MESSAGE_ID = re.compile(r"(?P<registry>[A-Za-z][\w-]*)\.\d+\.\d+(?:\.\d+)?\.(?P<key>[\w-]+)")
_RECOVERED = re.compile(r"(?<!Log)(?:Normal|OK|Restored|Cleared|Inserted|Recovered|Resolved)$")
_GRADE = re.compile(
    r"(?:NoLongerCritical|Critical|Warning|Normal|OK|Restored|Cleared|Exceeded|Failed|Lost|Degraded|Removed|Inserted"
    r"|Recovered|Resolved|(?:Above|Below)(?:Upper|Lower)[A-Za-z]+Threshold)$"
)
"""The part of a message's name that tells how bad it is: without it, a condition and its end have one name."""
_SERVICES = re.compile(
    r"/redfish/v1/(?:[\w]+/)*?(?P<collection>Systems|Chassis|Managers|CDUs|ImmersionUnits|HeatExchangers|RackPDUs|FloorPDUs"
    r"|Switchgear|TransferSwitches|UPSs|PowerShelves|ElectricalBuses|Fabrics|Storage|CoolingLoops)/(?P<name>[^/#?]+)"
)
_NAMELESS = re.compile(
    r"(?:\d{1,2}|self|system\.embedded\.\d+|chassis|system|bmc|idrac\.embedded\.\d+|base ?board|enclosure)",
    re.I,
)
_READING = re.compile(
    r"reading of (?P<value>[+-]?\d+(?:\.\d+)?) ?(?P<unit>degrees \(C\)|L/min|kPa|%|percent|Hz|[VAW])?\W"
)
_UNITS = {"degrees (C)": "C", "percent": "%"}
_ARGUMENT_CHARS = 300
"""A message may name one argument thousands of times."""
_ARGUMENT = re.compile(r"%(\d)")


def is_event(item: Mapping[str, object]) -> bool:
    events = item.get("Events")
    return isinstance(events, list) and ("@odata.type" in item or any(map(_has_id, events[:3])))


def is_record(item: Mapping[str, object]) -> bool:
    return _has_id(item) and any(
        key in item for key in ("MessageSeverity", "OriginOfCondition", "EventType", "MessageArgs")
    )


def _has_id(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("MessageId"), str)


def read_record(item: Mapping[str, object], context: str = "") -> Draft:
    """One record of `Events`. `context` is what the subscriber had itself told. Raises InputError."""
    message_id = _text(item, "MessageId")
    parts = _MESSAGE_ID.fullmatch(message_id)
    origin = _origin(item)
    draft = Draft("redfish", time=item.get("EventTimestamp"), resent=True)
    draft.kind = parts["key"] if parts else message_id.rpartition(".")[2]
    draft.source = parts["registry"] if parts else "redfish"
    draft.asset = _asset(origin, _text(item, "Context") or context)
    args = _arguments(item)
    draft.message = _message(item, draft.kind, args)
    draft.labels = {
        key: text for key, text in (
            ("message_id", message_id), ("origin", origin), ("context", _text(item, "Context") or context),
            ("event_id", _text(item, "EventId")), ("event_type", _text(item, "EventType")), ("args", "; ".join(args)),
        ) if text
    }  # fmt: skip
    add_severity(draft, item.get("MessageSeverity") or item.get("Severity"), "severity")
    if _RECOVERED.search(draft.kind) and draft.severity == "info":
        draft.status = "resolved"
    if reading := _READING.search(draft.message):
        draft.value, _ = number(reading["value"], "reading")
        draft.unit = _UNITS.get(reading["unit"] or "", reading["unit"])
        draft.metric = args[0] if args else None
    draft.dedup_key = f"redfish:{draft.source}.{_GRADE.sub('', draft.kind)}@{origin or draft.asset}"
    return draft


def _text(item: Mapping[str, object], field: str) -> str:
    given = item.get(field)
    if given is None:
        return ""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise InputError(
            f"{field} is {shown(given)}, not text", remedy="Send what the Redfish Event schema says"
        )
    return str(given)


def _origin(item: Mapping[str, object]) -> str:
    given = item.get("OriginOfCondition")
    if isinstance(given, dict):
        given = given.get("@odata.id", "")
    if given is not None and not isinstance(given, str):
        raise InputError(f"OriginOfCondition is {shown(given)}", remedy="It must be a link to a resource")
    return given or ""


def _asset(origin: str, context: str) -> str:
    """The resource the condition sits on; where its name says nothing ("1", "Self"), what the subscriber is called."""
    found = _SERVICES.search(origin)
    if found and not _NAMELESS.fullmatch(found["name"]):
        return found["name"]
    return context or (f"{found['collection']}/{found['name']}" if found else origin)


def _arguments(item: Mapping[str, object]) -> list[str]:
    given = item.get("MessageArgs")
    if given is None:
        return []
    if not isinstance(given, list):
        raise InputError(f"MessageArgs is {shown(given)}, not a list", remedy="Send a list of texts")
    return [str(arg)[:_ARGUMENT_CHARS] for arg in given[:16]]


def _message(item: Mapping[str, object], kind: str, args: list[str]) -> str:
    """The message with its arguments filled in; without one, the message's name and its arguments."""
    text = _text(item, "Message")
    if not text:
        return f"{kind}: {', '.join(args)}" if args else kind
    text = text[: 2 * DEFAULT_LIMITS.message_chars]
    return _ARGUMENT.sub(lambda m: args[int(m[1]) - 1] if 0 < int(m[1]) <= len(args) else m[0], text)
