"""Alertmanager: webhook version 4, and bare alerts as Prometheus posts them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from setpoint.errors import InputError
from setpoint.intake.draft import Draft
from setpoint.intake.fields import add_severity, status_of
from setpoint.intake.measure import number
from setpoint.intake.text import shown

_ASSET = ("asset", "node", "nodename", "node_name", "hostname", "host", "device_name", "instance", "exported_instance",
          "switch", "cdu", "pdu", "ups", "rack", "service", "cluster", "namespace", "job")  # fmt: skip
"""Labels that name what an alert is about, most telling first: an `instance` may be only the exporter's address."""
_PORT = re.compile(r"^(\[[0-9A-Fa-f:]+\]|[^:/\[\]]+):\d{1,5}$")
_SAID_VALUE = re.compile(r"\bVALUE ?= ?(\S+)")
_TEMPLATE_TAIL = re.compile(r"\b(?:VALUE|LABELS) ?= ?.*", re.DOTALL)
_NEVER = "0001-01-01"


def is_webhook(item: Mapping[str, object]) -> bool:
    return isinstance(item.get("alerts"), list)


def is_alert(item: Mapping[str, object]) -> bool:
    labels = item.get("labels")
    return (
        isinstance(labels, dict) and "alertname" in labels and ("startsAt" in item or "annotations" in item)
    )


def read_alert(item: Mapping[str, object], receiver: str = "") -> Draft:
    """One alert. Raises InputError where a field has the wrong type."""
    labels = _texts(item, "labels")
    notes = _texts(item, "annotations")
    status = status_of(item.get("status", "firing"))
    ended = _moment(item, "endsAt")
    if status is None:
        raise InputError(
            f"alert status is {shown(item.get('status'))}", remedy="It must be firing or resolved"
        )
    draft = Draft("alertmanager", status=status, resent=True)
    draft.time = (ended or None) if status == "resolved" else _moment(item, "startsAt")
    draft.kind = labels.get("alertname", "")
    draft.asset = asset_of(labels)
    draft.source = labels.get("job") or receiver or "alertmanager"
    draft.message = _message(notes, draft.kind)
    draft.labels = {key: text for key, text in labels.items() if key not in ("alertname", "severity")}
    if runbook := notes.get("runbook_url") or notes.get("runbook"):
        draft.labels["runbook_url"] = runbook
    add_severity(draft, labels.get("severity") or labels.get("priority"), "severity")
    _add_reading(draft, item, labels, notes)
    fingerprint = item.get("fingerprint")
    draft.dedup_key = f"alertmanager:{fingerprint}" if isinstance(fingerprint, str) and fingerprint else ""
    return draft


def asset_of(labels: Mapping[str, str]) -> str:
    """What the labels say it is about; a port number is no part of an asset's name.

    >>> asset_of({"instance": "gpu-03:9400", "job": "dcgm"})
    'gpu-03'
    """
    lower = {key.lower(): text for key, text in labels.items()}
    name = next((lower[key] for key in _ASSET if lower.get(key)), "")
    match = _PORT.match(name)
    return match[1] if match else name


def _texts(item: Mapping[str, object], field: str) -> dict[str, str]:
    given = item.get(field)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InputError(f"{field} is {shown(given)}, not an object", remedy="Send what Alertmanager sends")
    return {key: text if isinstance(text, str) else str(text) for key, text in given.items()}


def _moment(item: Mapping[str, object], field: str) -> str | None:
    """A time as text; Go's zero time means "not yet"."""
    given = item.get(field)
    if given is None:
        return None
    if not isinstance(given, str):
        raise InputError(f"{field} is {shown(given)}, not a time", remedy="Use ISO 8601")
    return None if given.startswith(_NEVER) else given


def _message(notes: Mapping[str, str], kind: str) -> str:
    summary = notes.get("summary") or notes.get("title") or ""
    detail = notes.get("description") or notes.get("message") or ""
    detail = _TEMPLATE_TAIL.sub("", detail).strip()
    if not detail or detail in summary:
        return summary or kind
    return detail if not summary or summary in detail else f"{summary.rstrip('. ')}. {detail}"


def _add_reading(
    draft: Draft, item: Mapping[str, object], labels: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    """Value and limit where an annotation is exactly that; prose is left to the reader."""
    given = notes.get("value") or notes.get("current_value") or _only_value(item)
    if given is None and (said := _SAID_VALUE.search(notes.get("description", ""))):
        given = said[1]
    draft.value, behind = _soft_number(given)
    draft.threshold, limit_behind = _soft_number(notes.get("threshold") or notes.get("limit"))
    draft.metric = notes.get("metric") or labels.get("__name__") or labels.get("metric")
    if draft.value is not None or draft.threshold is not None:
        draft.unit = notes.get("unit") or behind or limit_behind


def _only_value(item: Mapping[str, object]) -> object:
    """Grafana's `values` object, where it holds just one."""
    values = item.get("values")
    return next(iter(values.values())) if isinstance(values, dict) and len(values) == 1 else None


def _soft_number(given: object) -> tuple[float | None, str | None]:
    """A template may print anything into an annotation; what is no number is no reading."""
    try:
        return number(given, "value")
    except InputError:
        return None, None
