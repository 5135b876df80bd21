"""Formulas against numbers that were not made with them."""

from __future__ import annotations

import doctest

import pytest

from plant import physics


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(physics).failed == 0


def test_flow_per_kilowatt_is_near_the_ocp_guideline() -> None:
    lpm_per_kw = physics.coolant_flow_lpm(120.0, 10.0, "water") / 120.0
    assert lpm_per_kw == pytest.approx(1.5, rel=0.05)


def test_flow_and_rise_are_inverse() -> None:
    assert physics.coolant_delta_t_k(80.0, physics.coolant_flow_lpm(80.0, 7.0)) == pytest.approx(7.0)


def test_dew_point_of_the_ashrae_example_room() -> None:
    """24 C at 50% has its dew point near 12.9 C on the psychrometric chart."""
    assert physics.dew_point_c(24.0, 50.0) == pytest.approx(12.9, abs=0.2)


def test_a_round_trip_through_the_storage_loses_a_tenth() -> None:
    charged = physics.soc_after(50.0, -20.0, 3600.0, 200.0)
    hours_back = (charged - 50.0) / 100 * 200.0 * 0.949 / 20.0
    assert hours_back == pytest.approx(0.90, abs=0.005)
