"""How other makers name the fields of a JSON record, and say a state where a number or a sentence was expected.

Tried only for what the usual names of `fields.ALIASES` leave open: without regard to case, `_`, `-`, `.` and spaces
(`alarmClass` is `alarm_class`, `device.name` is `device_name`), and one level down (`{"alarm": {"severity": ...}}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from setpoint.contracts.event import Severity
from setpoint.intake.severity import severity_of

MORE_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("at", "since", "when", "raised_at", "reported_at", "alarm_time", "event_ts", "last_timestamp", "last_seen",
             "first_seen", "logged_at"),
    "host": ("asset_name", "device_id", "host_id", "server_name", "equip", "equip_ref", "involved_object.name", "entity",
             "target"),
    "source": ("src", "origin", "system"),
    "severity": ("alarm_class", "alarm_severity", "alarm_priority", "alarm_level", "event_severity", "urgency", "class",
                 "category", "type"),
    "message": ("alarm_text", "alarm_message", "event_text", "message_text", "error_message", "err_msg", "problem",
                "condition", "cause", "error", "err", "output"),
    "metric": ("point_name", "tag", "tag_name", "object_name", "channel"),
    "value": ("present_value", "actual", "measurement_value"),
    "unit": ("engineering_units", "eng_unit", "measure_unit"),
    "threshold": ("alarm_limit", "set_limit"),
    "status": ("alarm_status", "event_state", "condition_state"),
}  # fmt: skip
_NESTED = frozenset(("time", "host", "severity", "message", "metric", "value", "unit", "threshold", "status"))
"""Fields that may stand one level down. Ids and kinds may not: `user.id` is not the event's."""
ASIDES = frozenset(("note", "notes", "comment", "comments", "remark", "remarks"))
"""What somebody adds: said behind the reading where the record has no words of its own."""

_SIDES = ("high", "hi", "upper", "max", "maximum"), ("low", "lo", "lower", "min", "minimum")
_BOUND = ("", "limit", "threshold", "alarm", "critical", "warning")
_LIMIT_STATES: dict[str, Severity] = {
    **dict.fromkeys(("highhigh", "hihi", "hh", "lowlow", "lolo", "ll"), "critical"),
    **dict.fromkeys(("high", "hi", "h", "highlimit", "low", "lo", "l", "lowlimit"), "warning"),
}  # fmt: skip
"""Limit alarms of building and process control: the second limit trips, the first one warns."""
_STATE_WORDS = """
on off open opened closed running stopped run stop start started idle active inactive enabled disabled normal alarm
fault faulted failed tripped trip ok ready standby auto manual hand online offline locked unlocked wet dry
"""
_POINT_STATES = frozenset(_STATE_WORDS.split())
_BETWEEN = re.compile(r"[\s_.-]+")


def squashed(name: str) -> str:
    """One spelling of a name.

    >>> squashed("Alarm Class"), squashed("alarmClass"), squashed("device.name")
    ('alarmclass', 'alarmclass', 'devicename')
    """
    return _BETWEEN.sub("", name.lower())


_BOUND_NAMES = {
    squashed(name): side == 0
    for side, words in enumerate(_SIDES)
    for word in words
    for what in _BOUND
    for name in (word + what, what + word)
}
"""Names of an upper (True) or lower limit."""


def bounds_among(keys: Iterable[str]) -> tuple[tuple[str, bool], ...]:
    """Keys that name a limit, and whether it is an upper one."""
    return tuple((key, _BOUND_NAMES[name]) for key in keys if (name := squashed(key)) in _BOUND_NAMES)


def more_fields(
    keys: Iterable[str], found: Mapping[str, str], usual: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """Keys for the fields that `found` leaves open. `usual` are the usual names, here in any spelling."""
    free = [key for key in keys if key not in found.values()]
    whole: dict[str, str] = {}
    inner: dict[str, str] = {}
    for key in free:
        whole.setdefault(squashed(key), key)
        if key.count(".") == 1:
            inner.setdefault(squashed(key.partition(".")[2]), key)
    more: dict[str, str] = {}
    for field, names in MORE_NAMES.items():
        if field in found:
            continue
        wanted = [squashed(name) for name in (*usual[field], *names)]
        places = (whole, inner) if field in _NESTED else (whole,)
        key = next((place[name] for place in places for name in wanted if name in place), "")
        if key and key not in more.values():
            more[field] = key
    return more


def certain_severity(key: str) -> bool:
    """Does a field of this name hold a severity and nothing else? A `class` or `type` may hold anything."""
    return squashed(key) not in ("alarmclass", "urgency", "class", "category", "type")


def severity_of_state(given: object) -> Severity:
    """The severity that a state word implies: `CRITICAL` of a check, `HighHigh` of a limit."""
    word = squashed(str(given))
    return _LIMIT_STATES.get(word) or severity_of(word)[0]


def is_point_state(given: object) -> bool:
    """Is it the state of a switch or machine, where a number might stand?"""
    return isinstance(given, str) and given.strip().lower() in _POINT_STATES
