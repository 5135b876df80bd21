"""From the die to what cools it: two heat stores in a row, the die and its cold plate (or heat sink).

    C1 dTd/dt = P - (Td - Tp) / R1          die
    C2 dTp/dt = (Td - Tp) / R1 - (Tp - Tc) / R2      plate, into a coolant at Tc

R1 is interface and spreading, R2 the film to the coolant, which falls with flow as q^-0.8 (turbulent film,
Dittus-Boelter). Together they are the R0 + k q^-0.8 that makers print for a cold plate.
"""

from __future__ import annotations

import math

from plant.compiled import njit

PLATE_R0_K_PER_W, PLATE_FILM_K_PER_W = 0.02, 0.01
"""Liquid: 0.03 K/W at design flow, the most that OCP lets a plate of this class have."""
SINK_R0_K_PER_W, SINK_FILM_K_PER_W = 0.03, 0.045
"""Air: 0.075 K/W junction to inlet air, so that 700 W at 24 C give 76 C."""
DIE_TAU_S, PLATE_TAU_S, SINK_TAU_S = 0.5, 10.0, 40.0
"""Die 0.1 to 1 s, cold plate 5 to 20 s, a heat sink of about a kilogram several times that."""
STAGNANT_PU = 0.005
"""Share of design flow below which natural convection is left: 70 times the film resistance."""


@njit(cache=True)
def film_factor(flow_pu: float) -> float:
    """Film resistance at a share of design flow, as a multiple of that at design flow.

    >>> film_factor(1.0), round(film_factor(0.25), 2)
    (1.0, 3.03)
    """
    return float(max(flow_pu, STAGNANT_PU) ** -0.8)


@njit(cache=True)
def k_per_w(flow_pu: float, r0: float, film: float) -> float:
    """Die to coolant: R0 + k q^-0.8.

    >>> round(k_per_w(1.0, 0.02, 0.01), 3), round(k_per_w(0.25, 0.02, 0.01), 3)
    (0.03, 0.05)
    """
    return float(r0 + film * film_factor(flow_pu))


@njit(cache=True)
def propagator(
    r1: float, c1: float, r2: float, c2: float, seconds: float
) -> tuple[float, float, float, float]:
    """exp(A t) of the two stores: how far a deviation from the steady state is left after `seconds`.

    Returned by rows: die from die, die from plate, plate from die, plate from plate. Exact for constant power and
    coolant temperature, so any step is stable. Closed form of a 2 by 2 matrix with real eigenvalues m +- s:
    exp(A t) = e^(mt) (cosh(st) I + sinh(st)/s (A - m I)).

    >>> [round(v, 4) for v in propagator(0.02, 25.0, 0.01, 1000.0, 1e6)]
    [0.0, 0.0, 0.0, 0.0]
    """
    a, b = -1.0 / (r1 * c1), 1.0 / (r1 * c1)
    c, d = 1.0 / (r1 * c2), -1.0 / (r1 * c2) - 1.0 / (r2 * c2)
    m, half = 0.5 * (a + d), 0.5 * (a - d)
    s = math.sqrt(half * half + b * c)
    slow, fast = math.exp((m + s) * seconds), math.exp((m - s) * seconds)
    mean, slope = 0.5 * (slow + fast), 0.5 * (slow - fast) / s
    return mean + slope * half, slope * b, slope * c, mean - slope * half


@njit(cache=True)
def slowest_tau_s(r1: float, c1: float, r2: float, c2: float) -> float:
    """Time constant that is seen from outside: of the slower of the two modes.

    >>> round(slowest_tau_s(0.02, 25.0, 0.01, 1000.0), 2)
    10.26
    """
    a, d = -1.0 / (r1 * c1), -1.0 / (r1 * c2) - 1.0 / (r2 * c2)
    half = 0.5 * (a - d)
    return -1.0 / (0.5 * (a + d) + math.sqrt(half * half + 1.0 / (r1 * c1) / (r1 * c2)))
