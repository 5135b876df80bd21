"""A coolant loop: pumps against a pipe network, and the heat exchanger of its CDU."""

from __future__ import annotations

import math

from plant.compiled import njit

STATIC_HEAD_PU = 0.1
"""Share of a pump's shut-off head that does not fall with flow (check valves, height)."""
PUMP_SLOPE_PU = 0.25
"""Share of its shut-off head that one pump loses at the loop's greatest flow."""
AFFINITY_EXPONENT = 2.5
"""Shaft power against speed: the cube of the affinity law, less with static head (Rishel, HVAC Pump Handbook)."""


@njit(cache=True)
def most_flow_pu(head_pu: float, conductance_pu: float, pumps: float) -> float:
    """Flow at full speed as a share of what one sound pump gives through a clean loop.

    Pump head H(1 - a q^2/N^2) meets the system curve S + k q^2 / g^2. `head_pu`: what wear and low pressure leave of
    the shut-off head; `conductance_pu`: what filters and valves leave of the loop's conductance.

    >>> most_flow_pu(1.0, 1.0, 1.0), round(most_flow_pu(1.0, 0.5, 1.0), 3), round(most_flow_pu(1.0, 1.0, 2.0), 3)
    (1.0, 0.562, 1.124)
    """
    lift = head_pu - STATIC_HEAD_PU
    if lift <= 0.0 or conductance_pu <= 1e-6 or pumps < 0.5:
        return 0.0
    pipe = (1.0 - STATIC_HEAD_PU - PUMP_SLOPE_PU) / (conductance_pu * conductance_pu)
    return math.sqrt(lift / (pipe + PUMP_SLOPE_PU / (pumps * pumps)))


@njit(cache=True)
def speed_pu(flow_pu: float, head_pu: float, conductance_pu: float, pumps: float) -> float:
    """Speed of each running pump for that flow: head grows with the square of speed (affinity).

    >>> round(speed_pu(1.0, 1.0, 1.0, 1.0), 3), round(speed_pu(0.5, 1.0, 1.0, 1.0), 3)
    (1.0, 0.57)
    """
    if head_pu <= 0.0 or conductance_pu <= 1e-6 or pumps < 0.5:
        return 0.0
    pipe = (1.0 - STATIC_HEAD_PU - PUMP_SLOPE_PU) / (conductance_pu * conductance_pu)
    need = STATIC_HEAD_PU + (pipe + PUMP_SLOPE_PU / (pumps * pumps)) * flow_pu * flow_pu
    return min(1.0, math.sqrt(need / head_pu))


@njit(cache=True)
def pump_power_kw(speed_share: float, rated_kw: float) -> float:
    """Power follows speed to the 2.5.

    >>> round(pump_power_kw(0.5, 4.0), 2)
    0.71
    """
    return float(rated_kw * max(speed_share, 0.0) ** AFFINITY_EXPONENT)


@njit(cache=True)
def fan_power_kw(flow_pu: float, rated_kw: float) -> float:
    """A fan has no static head: the cube of its flow.

    >>> fan_power_kw(0.5, 8.0)
    1.0
    """
    return rated_kw * max(flow_pu, 0.0) ** 3


@njit(cache=True)
def effectiveness(ntu: float, ratio: float) -> float:
    """Counterflow exchanger: share of the greatest possible heat (Incropera, Fundamentals of Heat and Mass Transfer,
    ch. 11). `ratio`: smaller heat capacity rate over the greater.

    >>> round(effectiveness(3.0, 0.0), 4), round(effectiveness(3.0, 1.0), 4), round(effectiveness(3.0, 0.5), 4)
    (0.9502, 0.75, 0.8744)
    """
    if ratio > 0.999:
        return ntu / (1.0 + ntu)
    decay = math.exp(-ntu * (1.0 - ratio))
    return (1.0 - decay) / (1.0 - ratio * decay)


@njit(cache=True)
def ntu_for(effect: float, ratio: float) -> float:
    """The inverse of `effectiveness`: number of transfer units of a design point.

    >>> round(ntu_for(effectiveness(3.0, 0.5), 0.5), 6)
    3.0
    """
    if ratio > 0.999:
        return effect / (1.0 - effect)
    return math.log((1.0 - effect * ratio) / (1.0 - effect)) / (1.0 - ratio)


@njit(cache=True)
def film_share(flow_pu: float) -> float:
    """Conductance of an exchanger when the flow on one of its two equal films changes (q^0.8).

    >>> film_share(1.0), round(film_share(0.25), 2)
    (1.0, 0.5)
    """
    return float(2.0 / (1.0 + max(flow_pu, 1e-3) ** -0.8)) if flow_pu > 0.0 else 0.0
