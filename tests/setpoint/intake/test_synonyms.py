"""JSON of other makers: their names for the fields, and states where numbers or sentences were expected."""

from __future__ import annotations

import json

import pytest

from setpoint.contracts import Event, Quarantined
from tests.setpoint.intake.conftest import Reader


def one(take: Reader, **record: object) -> Event:
    (item,) = take(json.dumps(record))
    assert isinstance(item, Event), item
    return item


@pytest.mark.parametrize(
    "record",
    [
        {"hostName": "cdu-9", "Severity": "major", "alarmText": "pump stopped", "reported-at": "2026-11-20T10:00:00Z"},
        {"device": {"name": "cdu-9"}, "alarm": {"severity": "major", "text": "pump stopped"},
         "when": "2026-11-20T10:00:00Z"},
        {"equip": "cdu-9", "alarm_class": "Major", "error": "pump stopped", "since": "2026-11-20T10:00:00Z"},
    ],
)  # fmt: skip
def test_any_spelling_and_one_level_down(take: Reader, record: dict[str, object]) -> None:
    event = one(take, **record)
    assert (event.asset, event.severity, event.message) == ("cdu-9", "error", "pump stopped")
    assert event.time.isoformat() == "2026-11-20T10:00:00+00:00"


def test_usual_names_win_and_ids_of_others_are_none(take: Reader) -> None:
    event = one(take, message="said", error="other", host="a", target="b", severity="info", type="Critical",
                user={"id": "u-7"})  # fmt: skip
    assert (event.message, event.asset, event.severity) == ("said", "a", "info")
    assert event.labels["error"] == "other"
    assert event.id.startswith("e-")


def test_a_name_that_means_something_else_is_a_label(take: Reader) -> None:
    """What was read before must not be refused for a field that only might have been meant."""
    event = one(
        take, metric="flow_lpm", value=3, error=False, since={"days": 1}, target=["x"], category="HVAC"
    )
    assert (event.message, event.severity, event.flags) == ("flow_lpm = 3 lpm", "unknown", ("time-missing",))
    assert (event.labels["category"], event.labels["error"]) == ("HVAC", "false")


def test_the_state_of_a_limit_is_said_and_gives_a_severity(take: Reader) -> None:
    event = one(take, point="header_temp", value=19.5, unit="degC", state="HighHigh")
    assert (event.severity, event.message) == ("critical", "header_temp = 19.5 degC, HighHigh")
    assert one(take, point="p", value=1, state="Low").severity == "warning"
    assert one(take, point="p", value=1, state="Normal").status == "resolved"
    assert one(take, host="h", state="CRITICAL", output="disk full").severity == "critical"
    assert one(take, point="p", value=1, state="HighHigh", severity="info").severity == "info"


def test_a_switch_has_a_state_and_no_reading(take: Reader) -> None:
    event = one(take, point="pump_2", value="Off", note="standby took over")
    assert (event.value, event.message) == (None, "pump_2 = Off; standby took over")
    (refused,) = take(json.dumps({"point": "pump_2", "value": "abc"}))
    assert isinstance(refused, Quarantined)


@pytest.mark.parametrize(
    ("given", "threshold"),
    [
        ({"max": 40}, 40.0), ({"high_limit": 40, "low_limit": 10}, 40.0), ({"min": 50}, 50.0), ({"maxAlarm": 40}, 40.0),
        ({"max": 60}, None), ({"min": 1, "max": 60}, None), ({"max": "n/a"}, None), ({"max": True}, None),
    ],
)  # fmt: skip
def test_a_limit_is_one_where_the_reading_lies_beyond_it(
    take: Reader, given: dict[str, object], threshold: float | None
) -> None:
    assert one(take, sensor="probe", reading=44, **given).threshold == threshold


def test_a_sentence_of_such_words_is_no_header_of_a_table(take: Reader) -> None:
    items = take("since, problem, urgency\na,b,c\n")
    assert all(isinstance(item, Quarantined) for item in items)
