"""Losses from node to grid against closed forms, and the phases of a PDU."""

from __future__ import annotations

import cmath
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.power import chain
from plant.power.chain import (
    breaker_trip_s,
    chain_coefficients,
    chain_input_kw,
    chain_losses,
    neutral_current_a,
)
from plant.specs import FeedSpec, PduSpec, UpsSpec
from setpoint.errors import UsageError

CHAIN = chain_coefficients(PduSpec(), UpsSpec(), FeedSpec(), pdus=5)
AMPERE = st.floats(0.0, 100.0)


def test_examples_in_the_docstrings_hold(examples) -> None:
    failed, attempted = examples.failures(chain)
    assert failed == 0
    assert attempted >= 15


@settings(deadline=None)
@given(load=st.floats(0.0, 280.0))
def test_what_the_grid_gives_is_the_load_and_all_losses(load) -> None:
    flow = chain_losses(load, CHAIN)
    assert flow.grid_kw == pytest.approx(flow.load_kw + flow.loss_kw, rel=1e-12)
    assert flow.grid_kw == pytest.approx(chain_input_kw(load, CHAIN), rel=1e-12)
    assert min(flow.pdu_loss_kw, flow.ups_loss_kw, flow.transformer_loss_kw) >= 0.0


def test_a_ups_is_best_well_below_its_rating_and_bad_when_nearly_empty() -> None:
    """Double conversion: near 95% at full load, worse than 80% at a twentieth (fixed loss)."""
    full, twentieth = (
        load / (load + chain.ups_loss_kw(load, 300.0, 0.01, 0.03, 0.01)) for load in (300.0, 15.0)
    )
    assert full == pytest.approx(0.952, abs=0.002)
    assert twentieth < 0.82


def test_rectifiers_of_frontier() -> None:
    """RAPS: (P + 17) / 0.96; at 10 kW 95.8%."""
    assert 10_000 / chain.rectifier_input_w(10_000.0) == pytest.approx(0.9584, abs=1e-4)


@settings(deadline=None)
@given(a=AMPERE, b=AMPERE, c=AMPERE)
def test_the_neutral_carries_the_sum_of_the_phasors(a, b, c) -> None:
    turn = cmath.exp(2j * math.pi / 3)
    assert neutral_current_a(a, b, c) == pytest.approx(abs(a + b * turn + c * turn**2), abs=1e-5)


@settings(deadline=None)
@given(a=AMPERE, b=AMPERE, c=AMPERE)
def test_imbalance_only_adds_loss(a, b, c) -> None:
    assert chain.unbalanced_loss_factor(a, b, c) >= 1.0 - 1e-9


def test_a_breaker_opens_sooner_the_higher_the_load() -> None:
    times = [breaker_trip_s(load) for load in (1.2, 1.5, 2.0, 5.0, 9.9, 10.0)]
    assert times == sorted(times, reverse=True)
    assert math.isinf(breaker_trip_s(1.1))


def test_pue_without_it_load_has_no_value() -> None:
    assert math.isinf(chain.pue(0.0, 10.0))


@pytest.mark.parametrize("load", [-1.0, math.nan, math.inf])
def test_a_load_that_is_no_power_is_refused(load) -> None:
    with pytest.raises(UsageError, match="is not a power"):
        chain_losses(load, CHAIN)


def test_an_overload_names_the_stage_and_its_capacity() -> None:
    with pytest.raises(UsageError, match=r"302 kW is more than the UPS can carry \(300 kW\)"):
        chain_losses(298.0, CHAIN)
