"""From draft to event: cleaned, dated, measured, named."""

from __future__ import annotations

import re
from datetime import datetime
from math import isfinite
from zoneinfo import ZoneInfo

from setpoint.contracts.event import Event, Flag
from setpoint.errors import InputError
from setpoint.intake import kernel
from setpoint.intake.clock import instant
from setpoint.intake.draft import Draft
from setpoint.intake.identity import Identities, digest
from setpoint.intake.limits import Limits
from setpoint.intake.text import clean, clean_name, cut, shown
from setpoint.intake.units import convert, unit_in_name, unit_of

_VARIABLE = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
_NAMED_PART = re.compile(
    r"\b(gpu_serial|serial|serial_number|sn|uuid|gpu_uuid|slot|port|link|disk|dimm|gpu)=([\w:./-]{1,64})"
)
RETRY_S = 300
"""Untimed items with the same content are one within this span: a sender tries again after seconds."""
_PORT = re.compile(r"([A-Za-z0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*):\d{2,5}")


class Duplicate(Exception):
    """An item that says again what this input said already; counted, not an error."""


def finish(draft: Draft, zone: ZoneInfo, received: datetime, limits: Limits, seen: Identities) -> Event:
    """The event of `draft`. Raises InputError where it cannot be one, Duplicate where it is one already."""
    flags = draft.flags
    message, shortened = cut(clean(draft.message), limits.message_chars)
    if shortened:
        flags.append("truncated")
    asset, source, kind = (
        clean_name(text, limits.name_chars) for text in (draft.asset, draft.source, draft.kind)
    )
    if port := _PORT.fullmatch(asset):
        asset = port[1]
    labels = _clean_labels(draft.labels, limits)
    kind = _condition(kind, message, labels, draft)
    metric = clean_name(draft.metric, limits.name_chars) if draft.metric else None
    value, unit, threshold = _measured(draft, metric, labels, flags, limits)
    message = message or _said(kind, metric, value, unit, threshold)
    time, time_flags = instant(draft.time, zone, received)
    flags.extend(time_flags)
    if time_flags == ("time-missing",) and draft.time not in (None, ""):
        labels["time_as_given"] = clean_name(str(draft.time)[:200], 64)
    _add_named_parts(message, labels)
    content = digest(
        (_when(draft, time_flags, received), asset, source, kind, message, draft.severity, draft.status, metric, value, unit,
         threshold, sorted(labels.items()), draft.own_id, draft.dedup_key)
    )  # fmt: skip
    name = _identity(draft, content, limits, seen)
    return Event(
        id=name,
        time=time,
        received=received,
        asset=asset or "unknown",
        source=source or draft.format,
        kind=kind,
        message=message,
        severity=draft.severity,
        status=draft.status,
        metric=metric,
        value=value,
        unit=unit,
        threshold=threshold,
        labels=labels,
        format=draft.format,
        dedup_key=_short(clean_name(draft.dedup_key, 4000))
        or dedup_key(asset or "unknown", source, kind, metric, message, labels),
        flags=tuple(dict.fromkeys(flags)),
    )


def _clean_labels(given: dict[str, str], limits: Limits) -> dict[str, str]:
    labels: dict[str, str] = {}
    for key, text in given.items():
        if text and len(labels) < limits.labels:
            value = clean_name(text, limits.label_chars)
            if value:
                labels[clean_name(key, limits.name_chars)] = value
    return labels


def _condition(kind: str, message: str, labels: dict[str, str], draft: Draft) -> str:
    """The kind a kernel line names where the source gave none (a syslog message id says less and yields)."""
    if kind and draft.format != "syslog":
        return kind
    found = kernel.classify(message)
    if found is None:
        number = labels.get("xid", "")
        return f"xid-{number}" if not kind and number.isdigit() and len(number) < 7 else kind
    for key, text in found.labels.items():
        labels.setdefault(key, text)
    return found.kind


def _measured(
    draft: Draft, metric: str | None, labels: dict[str, str], flags: list[Flag], limits: Limits
) -> tuple[float | None, str | None, float | None]:
    """Value, unit, threshold in Setpoint's units; an unknown unit is kept and flagged, a converted one remembered."""
    if draft.value is None and draft.threshold is None:
        return None, None, None
    given = clean_name(draft.unit, 40) if draft.unit else unit_in_name(metric or "")
    if not given:
        return draft.value, None, draft.threshold
    unit = unit_of(given)
    if unit is None:
        flags.append("unknown-unit")
        return draft.value, given, draft.threshold
    value, threshold = (None if x is None else convert(x, unit) for x in (draft.value, draft.threshold))
    if not all(x is None or isfinite(x) for x in (value, threshold)):
        raise InputError(f"the reading is beyond any {unit.name}", remedy="Check the sensor and its unit")
    if value != draft.value or threshold != draft.threshold:
        labels["reading_as_given"] = f"{draft.value:g} {given}" if draft.value is not None else given
    return value, unit.name, threshold


def _said(
    kind: str, metric: str | None, value: float | None, unit: str | None, threshold: float | None
) -> str:
    """Words for an item that has none of its own."""
    if metric is None:
        return kind
    reading = "" if value is None else f" = {value:g}{' ' + unit if unit else ''}"
    return f"{metric}{reading}{'' if threshold is None else f' (limit {threshold:g})'}"


def _add_named_parts(message: str, labels: dict[str, str]) -> None:
    """`gpu_serial=0323...` and the like in a message: which part it is about."""
    if "=" in message:
        for name, value in _NAMED_PART.findall(message):
            labels.setdefault(name, value)


_PARTS = ("pci", "gpu", "gpu_serial", "serial", "gpu_uuid", "uuid", "dimm", "mc", "cpu", "bank", "link", "nvswitch",
          "slot", "port", "disk")  # fmt: skip


def dedup_key(
    asset: str, source: str, kind: str, metric: str | None, message: str, labels: dict[str, str]
) -> str:
    """One key for repeats of one condition: asset, what happened, and which part of the asset.

    Where no kind or metric names what happened, the message does, its numbers left aside.
    """
    what = kind or metric or f"{source}:{_VARIABLE.sub('#', message[:400])}"
    parts = "".join(f"|{name}={labels[name]}" for name in _PARTS if name in labels)
    return _short(f"{asset}|{what}{parts}")


def _short(key: str) -> str:
    """Within what alerting services take as a key (PagerDuty: 255 characters)."""
    return key if len(key) <= 200 else f"{key[:160]}~{digest(key).hex()}"


def _when(draft: Draft, time_flags: tuple[Flag, ...], received: datetime) -> str:
    """The time as given. Without one the same words are the same event only while they may be a retry: the smoke
    alarm of next month is another one."""
    tells_itself_apart = draft.own_id or "uptime_s" in draft.labels
    if time_flags == ("time-missing",) and not tells_itself_apart:
        return f"received {int(received.timestamp()) // RETRY_S}"
    return str(draft.time or "")


def _identity(draft: Draft, content: bytes, limits: Limits, seen: Identities) -> str:
    """The event's id. Raises Duplicate, or InputError where the source's own id is used for something else."""
    if draft.own_id and seen.ids_are_none:
        draft.flags.append("duplicate-id")
    if not draft.own_id or seen.ids_are_none:
        name, before = seen.numbered(content)
        if before and draft.resent:
            raise Duplicate
        return f"e-{name}"
    verdict = seen.claim(draft.id_scope, draft.own_id, content)
    if verdict == "duplicate":
        raise Duplicate
    if verdict == "conflict":
        raise InputError(
            f"id {shown(draft.own_id)} was used in this input for another event",
            remedy="Give each event an id of its own, or switch the id field off in the field map",
        )
    name = clean_name(draft.own_id, limits.name_chars + 1)
    if not name or len(name) > limits.name_chars:
        return f"e-{digest((draft.id_scope, draft.own_id)).hex()}"
    if draft.id_scope and seen.claim("", name, digest(draft.id_scope)) == "conflict":
        return f"{name}@{digest(draft.id_scope).hex()[:8]}"
    return name
