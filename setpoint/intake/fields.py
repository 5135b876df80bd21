"""Plain records: an object of JSON Lines or a row of CSV, read by the names of its fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from setpoint.contracts.event import Format, Status
from setpoint.errors import InputError, UsageError
from setpoint.intake.draft import Draft
from setpoint.intake.measure import number
from setpoint.intake.severity import severity_of
from setpoint.intake.synonyms import (
    ASIDES,
    bounds_among,
    certain_severity,
    is_point_state,
    more_fields,
    severity_of_state,
    squashed,
)
from setpoint.intake.text import shown

ALIASES: dict[str, tuple[str, ...]] = {
    "time": (
        "time", "ts", "timestamp", "@timestamp", "datetime", "date_time", "event_time", "eventtime", "eventtimestamp",
        "occurred_at", "occurred", "created_at", "created", "startsat", "starts_at", "start_time",
        "generatedtimestamp", "__realtime_timestamp", "date",
    ),
    "host": (
        "asset", "host", "hostname", "host.name", "host.hostname", "node", "nodename", "node_name", "_hostname",
        "device", "device_name", "server", "machine", "instance", "equipment", "asset_id", "node_id", "resource",
    ),
    "source": (
        "source", "program", "app", "appname", "app_name", "application", "syslog_identifier", "service.name",
        "logger", "log.logger", "component", "exporter", "agent", "monitor", "process", "subsystem", "service",
        "facility", "registry",
    ),
    "severity": (
        "severity", "level", "log.level", "loglevel", "log_level", "severity_text", "levelname", "sev", "lvl",
        "alert_level", "criticality", "priority", "pri",
    ),
    "message": (
        "message", "msg", "text", "log", "description", "summary", "content", "body", "short_message",
        "full_message", "detail", "details", "title", "reason", "event",
    ),
    "kind": (
        "kind", "alertname", "alert_name", "alarm", "alarm_name", "check", "checkname", "check_name", "message_id",
        "messageid", "msgid", "event_type", "eventtype", "event_name", "error_code", "errorcode", "type", "code",
    ),
    "metric": ("metric", "metric_name", "metricname", "measurement", "sensor", "sensor_name", "point", "signal"),
    "value": ("value", "reading", "val", "current_value", "metric_value", "measured"),
    "unit": ("unit", "units", "uom", "reading_units", "readingunits"),
    "threshold": ("threshold", "limit", "threshold_value", "limit_value", "trigger_value"),
    "status": ("status", "state", "alert_status", "alarm_state"),
    "id": ("id", "uuid", "guid", "_id", "event_id", "event_uuid", "alert_id"),
}  # fmt: skip
"""Field of an event, and the names it is known by, best first, without regard to case."""

ALL_NAMES = frozenset(name for names in ALIASES.values() for name in names)

NEVER_READ = frozenset(("gold", "accept", "rationale", "native_label"))
"""Columns of labelled trial data: the expected answer must not reach what is being tried."""

_NEVER_NESTED = frozenset(
    ("time", "ts", "timestamp", "@timestamp", "message", "msg", "value", "threshold", "severity", "id")
)
_RESOLVED = frozenset(
    [
        "resolved",
        "ok",
        "okay",
        "cleared",
        "clear",
        "closed",
        "normal",
        "inactive",
        "recovered",
        "healthy",
        "restored",
    ]
)
_FIRING = frozenset(
    [
        "firing",
        "active",
        "open",
        "alarm",
        "alarmed",
        "triggered",
        "problem",
        "raised",
        "alert",
        "alerting",
        "pending",
    ]
)
_MONTH = re.compile(r"[A-Z][a-z]{2}")


class Plan(NamedTuple):
    """Which key of a record fills which field, and which keys become labels."""

    fields: dict[str, str]
    labels: tuple[str, ...]
    date: tuple[str, ...]
    """Keys that hold the date where it stands apart from the clock (`Date` beside `Time`, `Month` and `Day`)."""
    bounds: tuple[tuple[str, bool], ...] = ()
    """Keys that may hold a limit, and whether it is an upper one."""
    asides: tuple[str, ...] = ()
    """Keys of remarks."""
    guessed: frozenset[str] = frozenset()
    """Fields found under a name that may mean something else: left out where the value is none for the field."""

    def speaks(self) -> bool:
        """Does such a record say anything an event could be made of?"""
        return any(name in self.fields for name in ("message", "kind", "metric"))


def checked_overrides(overrides: Mapping[str, str] | None) -> dict[str, str]:
    """`overrides` as given (field to key; an empty key switches the field off). Raises UsageError on unknown fields."""
    unknown = sorted(set(overrides or {}) - set(ALIASES) - {"asset"})
    if unknown:
        raise UsageError(
            f"unknown field {unknown[0]!r} in the field map",
            remedy=f"Fields are {', '.join(sorted(ALIASES))}",
        )
    return {"host" if field == "asset" else field: key for field, key in (overrides or {}).items()}


def make_plan(keys: Iterable[str], overrides: Mapping[str, str], *, any_spelling: bool = False) -> Plan:
    """How records with these keys are read. `any_spelling`: names of other makers count too (see `synonyms`); not for
    a line that may be the header of a table, or many a sentence would be one."""
    keys = tuple(keys)
    by_lower: dict[str, str] = {}
    for key in keys:
        by_lower.setdefault(key.lower().strip(), key)
    fields: dict[str, str] = {}
    for field, names in ALIASES.items():
        wanted = (overrides[field].lower().strip(),) if field in overrides else names
        if name := next(
            (name for name in wanted if name and name in by_lower and name not in NEVER_READ), None
        ):
            fields[field] = by_lower[name]
    date = _date_keys(by_lower, fields)
    if any_spelling:
        open_keys = [key for key in by_lower.values() if key.lower() not in NEVER_READ and key not in date]
        guessed = more_fields(open_keys, {**fields, **overrides}, ALIASES)
        fields |= guessed
    used = {*fields.values(), *date}
    labels = tuple(
        key for lower, key in by_lower.items()
        if key not in used and lower not in NEVER_READ and lower and not lower.startswith("_")
    )  # fmt: skip
    if not any_spelling:
        return Plan(fields, labels, date)
    asides = tuple(key for key in labels if squashed(key) in ASIDES)
    return Plan(fields, labels, date, bounds_among(labels), asides, frozenset(guessed))


def _date_keys(by_lower: Mapping[str, str], fields: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of a date that stands apart; none where the time field holds it all."""
    if fields.get("time", "").lower() != "time":
        return ()
    if "month" in by_lower:
        day = "day" if "day" in by_lower else "date"
        return (by_lower["month"], by_lower[day]) if day in by_lower else ()
    if "date" in by_lower:
        return (by_lower["date"], by_lower["day"]) if "day" in by_lower else (by_lower["date"],)
    return ()


def read_record(record: Mapping[str, object], plan: Plan, format: Format) -> Draft:
    """The draft of one flat record. Raises InputError naming the field that is wrong."""
    if plan.guessed:
        plan = _fitting(plan, record)
    fields = plan.fields
    draft = Draft(
        format,
        time=_time(record, plan),
        asset=_name(record, fields, "host"),
        source=_name(record, fields, "source"),
        kind=_name(record, fields, "kind"),
        message=_message(record, fields),
        own_id=_name(record, fields, "id"),
    )
    _add_labels(draft, record, plan.labels)
    if key := fields.get("severity"):
        _add_severity(draft, record.get(key), key)
    if key := fields.get("status"):
        _add_status(draft, record.get(key), key)
    _add_reading(draft, record, fields)
    if plan.bounds and draft.value is not None and draft.threshold is None:
        draft.threshold = _limit_passed(draft.value, record, plan.bounds)
    if not draft.message and draft.metric:
        draft.message = _words_of_reading(draft, record, plan)
    if not (draft.message or draft.kind or draft.metric):
        raise InputError("nothing is said: message, kind and metric are all empty", remedy="Fill one of them")
    return draft


def _fitting(plan: Plan, record: Mapping[str, object]) -> Plan:
    """`plan` without the guessed fields whose value is none for the field: those are labels."""
    unfit = [field for field in plan.guessed if not _fits(field, record.get(plan.fields[field]))]
    if not unfit:
        return plan
    fields = {field: key for field, key in plan.fields.items() if field not in unfit}
    return plan._replace(fields=fields, labels=(*plan.labels, *(plan.fields[field] for field in unfit)))


def _fits(field: str, given: object) -> bool:
    if given is None:
        return True
    if field in ("value", "threshold"):
        return _is_reading(given) or (field == "value" and is_point_state(given))
    if field in ("time", "host", "source") and not isinstance(given, bool):
        return isinstance(given, str | int | float)
    return isinstance(given, str)


def _is_reading(given: object) -> bool:
    try:
        return number(given, "")[0] is not None
    except InputError:
        return False


def _time(record: Mapping[str, object], plan: Plan) -> object:
    given = record.get(plan.fields.get("time", ""))
    parts = [str(record.get(key) or "") for key in plan.date]
    if not isinstance(given, str) or not parts or (len(given) > 15 and given[:4].isdigit()):
        return given
    if len(parts) == 1 and not _MONTH.fullmatch(parts[0]):
        return f"{parts[0]} {given}"
    return f"{parts[0]} {parts[1] if len(parts) > 1 else ''} {given}"


def _name(record: Mapping[str, object], fields: Mapping[str, str], field: str) -> str:
    """A name: text, or a number written as text."""
    key = fields.get(field)
    given = record.get(key) if key else None
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(f"{key} is {shown(given)}, not a name", remedy=f"Send {key} as text")
    return str(given)


def _message(record: Mapping[str, object], fields: Mapping[str, str]) -> str:
    key = fields.get("message")
    given = record.get(key) if key else None
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    if isinstance(given, list) and given and all(isinstance(b, int) and 0 <= b < 256 for b in given):
        return bytes(given).decode("utf-8", "replace")  # how journald writes a message that is not plain text
    raise InputError(f"{key} is {shown(given)}, not text", remedy=f"Send {key} as text")


def add_severity(draft: Draft, given: object, key: str) -> None:
    """The severity word, or what was given as a label and a flag. Raises InputError where it is no word."""
    if isinstance(given, dict | list | bool):
        raise InputError(f"{key} is {shown(given)}, not a word", remedy=f"Send {key} as text")
    draft.severity, known = severity_of(given, key)
    if not known:
        draft.flags.append("unknown-severity")
        draft.labels["severity_given"] = str(given)


def _add_severity(draft: Draft, given: object, key: str) -> None:
    """As `add_severity`, but a field that may hold anything else is a label where it holds no severity."""
    if certain_severity(key) or (isinstance(given, str) and severity_of(given, key)[1]):
        add_severity(draft, given, key)
    elif given is not None and not isinstance(given, dict | list):
        draft.labels[key] = str(given)


def _add_status(draft: Draft, given: object, key: str) -> None:
    status = status_of(given)
    if status is None:
        if isinstance(given, str | int | float) and given != "":
            draft.labels[key] = str(given)
            if draft.severity == "unknown":
                draft.severity = severity_of_state(given)
    else:
        draft.status = status


def status_of(given: object) -> Status | None:
    word = str(given).strip().lower()
    return "resolved" if word in _RESOLVED else "firing" if word in _FIRING else None


def _add_reading(draft: Draft, record: Mapping[str, object], fields: Mapping[str, str]) -> None:
    draft.metric = _name(record, fields, "metric") or None
    behind = limit_behind = None
    if (key := fields.get("value")) and is_point_state(record.get(key)):
        draft.labels[key] = str(record[key])
    elif key:
        draft.value, behind = number(record.get(key), key)
    if key := fields.get("threshold"):
        draft.threshold, limit_behind = number(record.get(key), key)
    draft.unit = _name(record, fields, "unit") or behind or limit_behind
    if draft.unit and draft.value is None and draft.threshold is None:
        draft.labels["unit"] = draft.unit
        draft.unit = None


def _limit_passed(
    value: float, record: Mapping[str, object], bounds: Iterable[tuple[str, bool]]
) -> float | None:
    """The limit that the reading lies beyond; a `max` that it keeps may as well be the largest of the day."""
    for key, is_upper in bounds:
        given = record.get(key)
        if isinstance(given, bool) or not isinstance(given, int | float):
            continue
        if value > given if is_upper else value < given:
            return float(given)
    return None


def _words_of_reading(draft: Draft, record: Mapping[str, object], plan: Plan) -> str:
    """What a record says that has a state or a remark but no sentence; "" where it has neither."""
    fields = plan.fields
    states = [draft.labels[key] for key in (fields.get("status", ""),) if key in draft.labels]
    asides = [draft.labels[key] for key in plan.asides if key in draft.labels]
    is_word = fields.get("value", "") in draft.labels
    if not (states or asides or is_word):
        return ""
    reading = "" if draft.value is None else f" = {draft.value:g}{' ' + draft.unit if draft.unit else ''}"
    if is_word:
        reading = f" = {draft.labels[fields['value']]}"
    limit = "" if draft.threshold is None else f" (limit {draft.threshold:g})"
    return "; ".join((", ".join((f"{draft.metric}{reading}{limit}", *states)), *asides))


def _add_labels(draft: Draft, record: Mapping[str, object], keys: Iterable[str]) -> None:
    for key in keys:
        given = record.get(key)
        if given is not None and given != "" and not isinstance(given, dict | list):
            draft.labels[key] = str(given).lower() if isinstance(given, bool) else str(given)


def flat(record: Mapping[str, object], levels: int = 4) -> dict[str, object]:
    """Nested objects as dotted keys (`host.name`), as deep as field maps reach; `a.b` given outright wins.

    An object where only a plain value makes sense (a time, a reading) stays one, so that it is refused.

    >>> flat({"host": {"name": "gpu-1"}, "msg": "x"})
    {'host.name': 'gpu-1', 'msg': 'x'}
    """
    out: dict[str, object] = {}
    for key, value in record.items():
        if isinstance(value, dict) and levels > 1 and value and key.lower() not in _NEVER_NESTED:
            for inner, leaf in flat(value, levels - 1).items():
                out.setdefault(f"{key}.{inner}", leaf)
        else:
            out[key] = value
    return out
