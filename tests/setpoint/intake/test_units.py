"""Units of sites."""

from __future__ import annotations

import pytest

from setpoint.contracts import Event
from setpoint.intake.units import convert, unit_in_name, unit_of
from tests.setpoint.intake.conftest import Reader


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("C", "C"), ("°C", "C"), ("celsius", "C"), ("degrees celsius", "C"), ("kw", "kW"), ("KW", "kW"), ("W", "W"),
        ("watts", "W"), ("lpm", "lpm"), ("L/min", "lpm"), ("l/min", "lpm"), ("kPa", "kPa"), ("KPA", "kPa"),
        ("bar", "bar"), ("%", "%"), ("RPM", "rpm"), ("V", "V"), ("A", "A"), ("s", "s"), ("ms", "ms"), ("GB", "GB"),
        ("MHz", "MHz"), ("MW", "MW"), ("mW", "mW"), ("tok/s", "tok/s"),
    ],
)  # fmt: skip
def test_known_units_have_one_spelling(given: str, name: str) -> None:
    unit = unit_of(given)
    assert unit is not None
    assert (unit.name, convert(3.5, unit)) == (name, 3.5)


@pytest.mark.parametrize("given", ["mw", "Mw", "furlong", "", "C?"])
def test_others_are_not_guessed(given: str) -> None:
    assert unit_of(given) is None


@pytest.mark.parametrize(
    ("given", "reading", "name", "expected"),
    [("F", 212.0, "C", 100.0), ("K", 273.15, "C", 0.0), ("gpm", 10.0, "lpm", 37.85411784), ("psi", 1.0, "kPa", 6.894757),
     ("m3/h", 6.0, "lpm", 100.0)],
)  # fmt: skip
def test_foreign_units_are_converted(given: str, reading: float, name: str, expected: float) -> None:
    unit = unit_of(given)
    assert unit is not None
    assert (unit.name, convert(reading, unit)) == (name, expected)


def test_a_conversion_keeps_the_reading_as_given(take: Reader) -> None:
    (event,) = take('{"metric": "flow", "value": 10, "unit": "gpm", "threshold": 12}')
    assert isinstance(event, Event)
    assert (event.unit, event.labels["reading_as_given"]) == ("lpm", "10 gpm")
    assert event.threshold == pytest.approx(45.42494)


def test_a_unit_may_stand_in_the_value_or_the_name(take: Reader) -> None:
    items = take('{"metric": "t", "value": "92.4 °C"}\n{"metric": "coolant_flow_lpm", "value": 11}\n')
    assert [(item.value, item.unit) for item in items if isinstance(item, Event)] == [
        (92.4, "C"),
        (11.0, "lpm"),
    ]
    assert unit_in_name("dcgm_temp_celsius") == "C"
    assert unit_in_name("phase_a") is None
