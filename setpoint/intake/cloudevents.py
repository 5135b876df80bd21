"""CloudEvents 1.0 in JSON: the envelope. What is inside may be a health event, a Redfish record, an alert, or plain."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from setpoint.errors import InputError
from setpoint.intake.draft import Draft
from setpoint.intake.fields import add_severity, flat, make_plan, read_record
from setpoint.intake.health import is_health_event, read_health_event
from setpoint.intake.jsontext import parse
from setpoint.intake.limits import DEFAULT_LIMITS
from setpoint.intake.text import decode, shown

_CONTEXT = frozenset(("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema",
                      "data", "data_base64", "severity"))  # fmt: skip


def is_cloudevent(item: Mapping[str, object]) -> bool:
    return "specversion" in item


def data_of(item: Mapping[str, object]) -> object:
    """The payload, decoded where it came as base64 or as a JSON text. Raises InputError."""
    if "data_base64" in item:
        try:
            text, _ = decode(base64.b64decode(str(item["data_base64"]), validate=True))
        except (binascii.Error, ValueError) as error:
            raise InputError("data_base64 is not base64", remedy="Mend the sender") from error
        return _parsed(text)
    data = item.get("data")
    return _parsed(data) if isinstance(data, str) and data.lstrip()[:1] in ("{", "[") else data


def _parsed(text: str) -> object:
    values = parse(text, DEFAULT_LIMITS) if text.lstrip()[:1] in ("{", "[") else [text]
    return values[0] if len(values) == 1 else values


def read_cloudevent(item: Mapping[str, object], data: object, overrides: Mapping[str, str]) -> Draft:
    """One event from its envelope and `data`. Raises InputError where a required attribute is missing or wrong."""
    version, own_id, source, kind = (
        _required(item, field) for field in ("specversion", "id", "source", "type")
    )
    if version != "1.0":
        raise InputError(f"CloudEvents version {shown(version)}", remedy="Send version 1.0")
    draft = _inner(data, overrides)
    draft.format = "cloudevents"
    draft.own_id, draft.id_scope = own_id, source
    draft.time = item.get("time") if item.get("time") is not None else draft.time
    draft.asset = draft.asset or _optional(item, "subject")
    draft.source = draft.source or source
    draft.kind = draft.kind or kind
    draft.message = draft.message or draft.kind
    if draft.severity == "unknown" and "severity" in item:
        add_severity(draft, item["severity"], "severity")
    draft.labels |= {"ce_type": kind, "ce_source": source}
    if subject := _optional(item, "subject"):
        draft.labels["subject"] = subject
    for key, value in item.items():
        if key not in _CONTEXT and isinstance(value, str | int | float):
            draft.labels.setdefault(key, str(value))
    return draft


def _inner(data: object, overrides: Mapping[str, str]) -> Draft:
    if isinstance(data, dict):
        health = data.get("healthEvent", data)
        if isinstance(health, dict) and is_health_event(health):
            return _with_metadata(read_health_event(health), data.get("metadata"))
        record = flat(data)
        plan = make_plan(record, overrides, any_spelling=True)
        if plan.speaks():
            return read_record(record, plan, "cloudevents")
        draft = Draft(
            "cloudevents", labels={key: str(value) for key, value in record.items() if value is not None}
        )
        if host := plan.fields.get("host"):
            draft.asset = str(record[host])
        return draft
    if data is not None and not isinstance(data, str):
        raise InputError(
            f"data is {shown(data)}, neither an object nor text", remedy="Send data as a JSON object"
        )
    return Draft("cloudevents", message=data or "")


def _with_metadata(draft: Draft, metadata: object) -> Draft:
    if isinstance(metadata, dict):
        for key in ("cluster", "environment"):
            if isinstance(metadata.get(key), str):
                draft.labels[key] = metadata[key]
    return draft


def _required(item: Mapping[str, object], field: str) -> str:
    text = _optional(item, field)
    if not text:
        raise InputError(f"a CloudEvent without {field}", remedy=f"CloudEvents 1.0 requires {field}")
    return text


def _optional(item: Mapping[str, object], field: str) -> str:
    given = item.get(field)
    if given is None:
        return ""
    if not isinstance(given, str):
        raise InputError(f"{field} is {shown(given)}, not text", remedy=f"Send {field} as text")
    return given
