"""From the plug of a node to the grid: base load of nodes, PDU, UPS, rectifiers, transformer, PUE and phase balance.

All flows are positive towards the load. Every stage is a function of what leaves it and gives what is lost in it, so
that what enters is the sum. Each is a compiled scalar function, for the dynamics kernel; `chain_losses` composes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.compiled import njit
from plant.specs import FeedSpec, PduSpec, UpsSpec
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
CHAIN = (
    "pdu_capacity_kw", "pdu_loss_pu", "ups_capacity_kw", "ups_fixed_pu", "ups_proportional_pu", "ups_square_pu",
    "feed_capacity_kw", "feed_no_load_pu", "feed_load_pu",
)  # fmt: skip
"""What each place of the chain vector is. Losses `_pu` of the UPS and feed are shares of its capacity at full load."""
UPS_SQUARE_PU = 0.01
"""Resistive loss of a double-conversion UPS at full load, share of capacity (m: typical; total then near 95%)."""
FEED_NO_LOAD_SHARE = 0.2
"""Part of a dry-type transformer's full-load loss that its core takes at no load (m: 0.15 to 0.25)."""


@njit(cache=True)
def node_base_kw(load_pu: float, idle_kw: float, max_kw: float) -> float:
    """What a node draws beside its accelerators (CPUs, fans, NICs, drives): linear in its load.

    The defaults of a node spec give a DGX H100: 2.2 kW and 8 * 75 W are 2.8 kW at rest (splitwise-sim), 4.6 kW and
    8 * 700 W are its 10.2 kW rating (NVIDIA DGX H100 user guide).

    >>> round(node_base_kw(0.0, 2.2, 4.6) + 8 * 0.075, 3), round(node_base_kw(1.0, 2.2, 4.6) + 8 * 0.7, 3)
    (2.8, 10.2)
    """
    return float(idle_kw + (max_kw - idle_kw) * min(max(load_pu, 0.0), 1.0))


@njit(cache=True)
def rectifier_input_w(output_w: float) -> float:
    """AC drawn by one rectifier: (P + 17) / 0.96 (ExaDigiT RAPS, Frontier's power model).

    >>> round(rectifier_input_w(7983.0), 1)
    8333.3
    """
    return (output_w + 17.0) / 0.96


@njit(cache=True)
def sivoc_input_w(output_w: float) -> float:
    """380 V DC drawn by one node's DC-DC stage: (P + 13) / 0.98 (ExaDigiT RAPS, Frontier's power model).

    >>> round(sivoc_input_w(2437.0), 1)
    2500.0
    """
    return (output_w + 13.0) / 0.98


@njit(cache=True)
def pdu_loss_kw(load_kw: float, capacity_kw: float, loss_pu: float) -> float:
    """Copper loss of a PDU: `loss_pu` of its load at full load, with the square of the load below.

    >>> round(pdu_loss_kw(60.0, 60.0, 0.015), 3), round(pdu_loss_kw(30.0, 60.0, 0.015), 3)
    (0.9, 0.225)
    """
    return float(loss_pu * load_kw * abs(load_kw) / capacity_kw)


@njit(cache=True)
def ups_loss_kw(
    load_kw: float, capacity_kw: float, fixed_pu: float, proportional_pu: float, square_pu: float
) -> float:
    """Loss of a UPS: no-load, proportional (semiconductors) and square (resistance) parts.

    The three-term form of Rasmussen, APC white paper 113; coefficients are shares of capacity at full load.

    >>> round(ups_loss_kw(0.0, 300.0, 0.01, 0.03, 0.01), 3), round(ups_loss_kw(300.0, 300.0, 0.01, 0.03, 0.01), 3)
    (3.0, 15.0)
    """
    share = load_kw / capacity_kw
    return float(capacity_kw * (fixed_pu + proportional_pu * share + square_pu * share * share))


@njit(cache=True)
def transformer_loss_kw(load_kw: float, capacity_kw: float, no_load_pu: float, load_pu: float) -> float:
    """Core loss, always there while energised, and winding loss with the square of the load (IEC 60076-1).

    >>> round(transformer_loss_kw(430.0, 430.0, 0.002, 0.008), 3)
    4.3
    """
    share = load_kw / capacity_kw
    return float(capacity_kw * (no_load_pu + load_pu * share * share))


@njit(cache=True)
def chain_input_kw(load_kw: float, c: Any) -> float:
    """What the grid gives for `load_kw` behind PDU, UPS and transformer; `c` in the order of CHAIN."""
    at_pdu = load_kw + pdu_loss_kw(load_kw, c[0], c[1])
    at_ups = at_pdu + ups_loss_kw(at_pdu, c[2], c[3], c[4], c[5])
    return float(at_ups + transformer_loss_kw(at_ups, c[6], c[7], c[8]))


def chain_coefficients(
    pdu: PduSpec, ups: UpsSpec, feed: FeedSpec, *, pdus: int = 1, upses: int = 1
) -> FloatArray:
    """The chain vector of `pdus` equal PDUs behind `upses` equal UPSs that share the load evenly.

    >>> c = chain_coefficients(PduSpec(), UpsSpec(), FeedSpec(), pdus=5)
    >>> round(chain_input_kw(200.0, c), 2)
    214.12
    """
    return np.array([
        pdu.capacity_kw * pdus, pdu.loss_pu,
        ups.capacity_kw * upses, ups.fixed_loss_pu, ups.proportional_loss_pu, UPS_SQUARE_PU,
        feed.capacity_kw, FEED_NO_LOAD_SHARE * feed.loss_pu, (1 - FEED_NO_LOAD_SHARE) * feed.loss_pu,
    ])  # fmt: skip


@dataclass(frozen=True)
class ChainFlow:
    """Power through the chain, kW. `grid_kw` is the load and all losses."""

    load_kw: float
    pdu_loss_kw: float
    ups_loss_kw: float
    transformer_loss_kw: float
    grid_kw: float

    @property
    def loss_kw(self) -> float:
        """Lost between grid and load."""
        return self.pdu_loss_kw + self.ups_loss_kw + self.transformer_loss_kw

    @property
    def efficiency_pu(self) -> float:
        """Share of the grid's power that reaches the load."""
        return self.load_kw / self.grid_kw


def chain_losses(load_kw: float, c: FloatArray) -> ChainFlow:
    """Power and loss of each stage for `load_kw` at the sockets; `c` from `chain_coefficients`.

    Raises UsageError for a negative or not finite load, or one above what PDUs, UPSs or feed can carry.

    >>> flow = chain_losses(200.0, chain_coefficients(PduSpec(), UpsSpec(), FeedSpec(), pdus=5))
    >>> round(flow.ups_loss_kw, 2), round(flow.efficiency_pu, 4)
    (10.42, 0.9341)
    """
    if not (math.isfinite(load_kw) and load_kw >= 0.0):
        raise UsageError(f"a load of {load_kw} kW is not a power", remedy="Give kW of 0 or more")
    pdu = pdu_loss_kw(load_kw, c[0], c[1])
    ups = ups_loss_kw(load_kw + pdu, *c[2:6])
    at_feed = load_kw + pdu + ups
    for stage, through, capacity in (
        ("the PDUs", load_kw, c[0]),
        ("the UPS", load_kw + pdu, c[2]),
        ("the feed", at_feed, c[6]),
    ):
        if through > capacity:
            raise UsageError(
                f"{through:.0f} kW is more than {stage} can carry ({capacity:.0f} kW)",
                remedy="Lower the load or raise the capacity",
            )
    transformer = transformer_loss_kw(at_feed, *c[6:9])
    return ChainFlow(load_kw, pdu, ups, transformer, at_feed + transformer)


@njit(cache=True)
def pue(it_kw: float, facility_kw: float) -> float:
    """Power usage effectiveness: all the site draws over what IT draws (ISO/IEC 30134-2). At least 1.

    `facility_kw` is the whole site's draw, IT included. Without IT load it has no meaning: infinity.

    >>> pue(1000.0, 1400.0)
    1.4
    """
    return float(facility_kw / it_kw) if it_kw > 0.0 else math.inf


@njit(cache=True)
def neutral_current_a(a_a: float, b_a: float, c_a: float) -> float:
    """Neutral current of three phases 120 degrees apart at equal power factor, without harmonics:
    sqrt(a^2 + b^2 + c^2 - ab - bc - ca). Zero when balanced.

    >>> neutral_current_a(30.0, 30.0, 30.0), neutral_current_a(30.0, 0.0, 0.0)
    (0.0, 30.0)
    """
    square = a_a * a_a + b_a * b_a + c_a * c_a - a_a * b_a - b_a * c_a - c_a * a_a
    return float(math.sqrt(max(square, 0.0)))


@njit(cache=True)
def phase_imbalance_pu(a_a: float, b_a: float, c_a: float) -> float:
    """Largest deviation from the mean over the mean (NEMA MG 1 form, applied to currents). 0 when dead.

    >>> round(phase_imbalance_pu(33.0, 30.0, 27.0), 3)
    0.1
    """
    mean = (a_a + b_a + c_a) / 3.0
    worst = max(abs(a_a - mean), abs(b_a - mean), abs(c_a - mean))
    return float(worst / mean) if mean > 0.0 else 0.0


@njit(cache=True)
def phase_current_a(load_kw: float, volts_ln: float, power_factor: float) -> float:
    """Current of one phase that carries `load_kw` at `volts_ln` line to neutral.

    >>> round(phase_current_a(6.9, 230.0, 1.0), 6)
    30.0
    """
    return 1000.0 * load_kw / (volts_ln * power_factor)


@njit(cache=True)
def unbalanced_loss_factor(a_a: float, b_a: float, c_a: float) -> float:
    """Copper loss of three phases and an equal neutral over that of the same total current when balanced.

    Loss is the sum of squares with the neutral's; balanced it is 3 (mean)^2.

    >>> unbalanced_loss_factor(30.0, 30.0, 30.0), unbalanced_loss_factor(90.0, 0.0, 0.0)
    (1.0, 6.0)
    """
    mean = (a_a + b_a + c_a) / 3.0
    if mean <= 0.0:
        return 1.0
    a, b, c = a_a / mean, b_a / mean, c_a / mean
    neutral = neutral_current_a(a, b, c)
    return float((a * a + b * b + c * c + neutral * neutral) / 3.0)


@njit(cache=True)
def breaker_trip_s(load_pu: float) -> float:
    """Seconds until a thermal-magnetic breaker opens at a steady multiple of its rating. Infinity up to 1.13.

    The thermal part is an I^2 t law through 60 s at twice the rating; from ten times on, the magnetic part opens in
    0.02 s (m: middle of the IEC 60898 type C band; conventional non-tripping current 1.13).

    >>> breaker_trip_s(1.0), round(breaker_trip_s(2.0), 1), breaker_trip_s(12.0)
    (inf, 60.0, 0.02)
    """
    if load_pu <= 1.13:
        return math.inf
    if load_pu >= 10.0:
        return 0.02
    reference = 60.0 * (2.0 * 2.0 - 1.13 * 1.13)
    return float(reference / (load_pu * load_pu - 1.13 * 1.13))
