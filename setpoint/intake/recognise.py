"""Which format one JSON value is, by what it holds, and the single items in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from setpoint.errors import InputError
from setpoint.intake import alertmanager, cloudevents, health, redfish
from setpoint.intake.draft import Draft
from setpoint.intake.fields import Plan, flat, make_plan, read_record
from setpoint.intake.text import shown

_WRAPPERS = ("events", "records", "items", "entries", "logs")
_KNOWN_PLANS = 256


class Item(NamedTuple):
    """One thing to be read: `read()` gives its draft or raises InputError."""

    place: str
    """Where in its document it stands ("alert 3"); "" where it is the document."""
    raw: object
    read: Callable[[], Draft]


class Recogniser:
    """Reads JSON values by content. Remembers how records with the same keys are read, which is most of the work."""

    def __init__(self, overrides: Mapping[str, str]) -> None:
        self._overrides = overrides
        self._plans: dict[tuple[str, ...], Plan] = {}

    def items(self, value: object, place: str = "", depth: int = 0) -> Iterator[Item]:
        """The items in one JSON value: envelopes opened, batches taken apart."""
        if isinstance(value, list) and depth < 4:
            for number, one in enumerate(value, start=1):
                yield from self.items(one, f"{place} item {number}".strip(), depth + 1)
        elif not isinstance(value, dict):
            yield Item(place, value, lambda: _not_an_object(value))
        elif not value:
            yield Item(place, value, _empty)
        else:
            yield from self._object(value, place, depth)

    def _object(self, item: dict[str, object], place: str, depth: int) -> Iterator[Item]:
        if cloudevents.is_cloudevent(item):
            yield from self._cloudevent(item, place)
        elif alertmanager.is_webhook(item):
            yield from _webhook(item, place)
        elif alertmanager.is_alert(item):
            yield Item(place, item, lambda: alertmanager.read_alert(item))
        elif redfish.is_event(item):
            yield from _redfish(item, place)
        elif redfish.is_record(item):
            yield Item(place, item, lambda: redfish.read_record(item))
        elif health.is_health_event(item):
            yield Item(place, item, lambda: health.read_health_event(item))
        elif (wrapper := _wrapper(item)) and depth < 4:
            yield from self.items(item[wrapper], place, depth + 1)
        else:
            yield Item(place, item, lambda: self._plain(item))

    def _cloudevent(self, item: dict[str, object], place: str) -> Iterator[Item]:
        """An envelope around a webhook or Redfish body counts as that body; any other is one event."""
        try:
            data = cloudevents.data_of(item)
        except InputError as error:
            yield Item(place, item, _raiser(error))
            return
        if isinstance(data, dict) and alertmanager.is_webhook(data):
            yield from _webhook(data, place)
        elif isinstance(data, dict) and redfish.is_event(data):
            yield from _redfish(data, place)
        else:
            yield Item(place, item, lambda: cloudevents.read_cloudevent(item, data, self._overrides))

    def _plain(self, item: dict[str, object]) -> Draft:
        record = flat(item) if any(type(value) is dict for value in item.values()) else item
        keys = tuple(record)
        plan = self._plans.get(keys)
        if plan is None:
            plan = make_plan(keys, self._overrides, any_spelling=True)
            if len(self._plans) >= _KNOWN_PLANS:
                self._plans.clear()
            self._plans[keys] = plan
        if not plan.speaks():
            raise InputError(
                f"no field that says what happened; it has {_listed(keys)}",
                remedy="Name the field that holds the message in the field map",
            )
        return read_record(record, plan, "jsonl")


def _webhook(item: dict[str, object], place: str) -> Iterator[Item]:
    receiver = item.get("receiver")
    name = receiver if isinstance(receiver, str) else ""
    alerts = item["alerts"]
    assert isinstance(alerts, list)  # is_webhook
    for number, alert in enumerate(alerts, start=1):
        where = f"{place} alert {number}".strip()
        yield Item(where, alert, partial(_read_alert, alert, name))
    left_out = item.get("truncatedAlerts")
    if isinstance(left_out, int) and left_out > 0:
        error = InputError(
            f"Alertmanager left {left_out} alerts out of this notification",
            remedy="Set max_alerts of the webhook receiver to 0",
        )
        yield Item(f"{place} truncatedAlerts".strip(), {"truncatedAlerts": left_out}, _raiser(error))


def _redfish(item: dict[str, object], place: str) -> Iterator[Item]:
    context = item.get("Context")
    name = context if isinstance(context, str) else ""
    records = item["Events"]
    assert isinstance(records, list)  # is_event
    for number, record in enumerate(records, start=1):
        where = f"{place} record {number}".strip()
        yield Item(where, record, partial(_read_redfish, record, name))


def _wrapper(item: Mapping[str, object]) -> str | None:
    """The key of a list of objects that the object does nothing but carry."""
    for key in _WRAPPERS:
        inside = item.get(key)
        if isinstance(inside, list) and inside and isinstance(inside[0], dict) and "message" not in item:
            return key
    return None


def _read_alert(alert: object, receiver: str) -> Draft:
    return alertmanager.read_alert(_object_only(alert, "an alert"), receiver)


def _read_redfish(record: object, context: str) -> Draft:
    return redfish.read_record(_object_only(record, "a record"), context)


def _object_only(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InputError(f"{what} is {shown(value)}, not an object", remedy="Mend the sender")
    return value


def _not_an_object(value: object) -> Draft:
    raise InputError(f"{shown(value)} is no event", remedy="Send a JSON object for each event")


def _empty() -> Draft:
    raise InputError("an empty object", remedy="Send at least a message, a kind or a metric")


def _raiser(error: InputError) -> Callable[[], Draft]:
    def read() -> Draft:
        raise error

    return read


def _listed(keys: tuple[str, ...]) -> str:
    names = ", ".join(shown(key, 30) for key in keys[:8])
    return names + (" and more" if len(keys) > 8 else "")
