"""Quantities: what is written is converted within its kind, and a wrong unit is an error, never a number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from plant.specs import CduSpec, EssSpec, NodeSpec
from plant.units import _FACTORS, Kw, Lpm, Mhz, PerUnit, Seconds, kind_of, quantity

UNITS = [(unit, kind) for kind, units in _FACTORS.items() for unit in units if unit]


@pytest.mark.parametrize(
    ("written", "unit", "value"),
    [("1.2GHz", "mhz", 1200.0), ("500 ms", "s", 0.5), ("2.5MW", "kw", 2500.0), ("10 m3/h", "lpm", 166.666667),
     ("3 psi", "kpa", 20.684271), ("85%", "pu", 0.85), ("-4C", "c", -4.0), ("1e3 W", "kw", 1.0), (7, "kw", 7.0)],
)  # fmt: skip
def test_values_are_converted(written: object, unit: str, value: float) -> None:
    assert quantity(written, unit) == pytest.approx(value)


@given(st.floats(-1e6, 1e6), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_a_unit_of_another_kind_is_refused_and_one_of_the_same_goes_there_and_back(
    number: float, one: tuple[str, str], other: tuple[str, str]
) -> None:
    written = f"{number!r}{one[0]}"
    if one[1] != other[1]:
        with pytest.raises(ValueError, match="is wanted"):
            quantity(written, other[0])
        return
    there = quantity(written, other[0])
    assert quantity(f"{there!r}{other[0]}", one[0]) == pytest.approx(number, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "written", [True, None, "", "fast", "12 parsecs", "nan", "inf W", math.nan, math.inf, "1,5kW", [1]]
)
def test_what_is_no_quantity_is_an_error(written: object) -> None:
    with pytest.raises(ValueError, match=r"is not|unknown unit"):
        quantity(written, "kw")


def test_units_do_not_mean_two_things() -> None:
    seen: dict[str, str] = {}
    for unit, kind in UNITS:
        assert seen.setdefault(unit, kind) == kind
        assert kind_of(unit.upper()) == kind


@pytest.mark.parametrize(
    ("field", "wrong"), [(Kw, "30C"), (Lpm, "30kW"), (Mhz, "5s"), (Seconds, "5MHz"), (PerUnit, "5kW")]
)
def test_a_wrong_unit_in_a_field_is_a_validation_error(field: object, wrong: str) -> None:
    with pytest.raises(ValidationError, match="is wanted"):
        TypeAdapter(field).validate_python(wrong)


def test_specs_take_units_and_refuse_wrong_ones() -> None:
    assert CduSpec.model_validate({"flow_design_lpm": "12m3/h"}).flow_design_lpm == pytest.approx(200.0)
    assert EssSpec.model_validate({"capacity_kwh": "2MWh"}).capacity_kwh == pytest.approx(2000.0)
    with pytest.raises(ValidationError, match="'700 C' is a temperature; a power is wanted"):
        NodeSpec.model_validate({"power_cap_w": "700 C"})
    with pytest.raises(ValidationError, match="extra"):
        NodeSpec.model_validate({"power_cap_kw": 0.7})
