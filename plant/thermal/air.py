"""Rooms cooled by air: handlers, recirculation, and air as a heat carrier."""

from __future__ import annotations

import math

from plant.compiled import njit

AIR_KJ_PER_M3_K = 1.2
"""1.19 kg/m3 and 1.006 kJ/kgK at 24 C."""
DESIGN_RISE_K = 12.0
"""Of the air across a rack, and between the supply and the return of a handler."""
ROOM_KJ_PER_K = 150.0
"""Air of the room and the light metal that follows it, for each rack (30 m3 of air and about 250 kg of sheet)."""
ROOM_UA_KW_PER_K = 0.05
"""Loss through walls and roof, for each rack."""


def air_flow_m3_s(heat_kw: float, rise_k: float = DESIGN_RISE_K) -> float:
    """Air that carries the heat: Q = rho cp V dT.

    >>> round(air_flow_m3_s(36.0), 2)
    2.5
    """
    return heat_kw / (AIR_KJ_PER_M3_K * rise_k)


@njit(cache=True)
def inlet_c(supply_c: float, rise_k: float, recirculation_pu: float) -> float:
    """Rack inlet where a share of the air is its own exhaust: T = Ts + r/(1-r) dT.

    >>> inlet_c(24.0, 12.0, 0.0), round(inlet_c(24.0, 12.0, 0.25), 1)
    (24.0, 28.0)
    """
    share = min(max(recirculation_pu, 0.0), 0.9)
    return supply_c + share / (1.0 - share) * rise_k


@njit(cache=True)
def coil_rise_k(warmer_k: float) -> float:
    """Rise over the racks that is added to the cold aisle to find the air a coil meets: heat = g (aisle + rise - water).

    At the design water temperature the design rise of 12 K. With water raised on purpose it must not be taken for
    granted: at less than rated heat the rise, or the air, is less, and a coil of one transfer unit then gives
    Q = Q0 (aisle - water) / (aisle0 - water0) whatever its fan speed (e^NTU - 1 times the air is constant within 7 %
    from 0.4 of rated air up). That is a rise of 0; the first kelvin leads over, so that nothing jumps.

    >>> coil_rise_k(0.0), coil_rise_k(0.25), coil_rise_k(3.0), coil_rise_k(-2.0)
    (12.0, 9.0, 0.0, 12.0)
    """
    return DESIGN_RISE_K * min(1.0, max(0.0, 1.0 - warmer_k))


@njit(cache=True)
def crah_kw_per_k(
    capacity_kw: float, water_c: float, supply_c: float, rise_k: float = DESIGN_RISE_K
) -> float:
    """Conductance of a handler: its capacity over the design distance of the air it takes in from its water.

    >>> crah_kw_per_k(90.0, 18.0, 24.0), crah_kw_per_k(90.0, 18.0, 24.0, 0.0)
    (5.0, 15.0)
    """
    return capacity_kw / max(2.0 + 2.0 * rise_k / DESIGN_RISE_K, supply_c + rise_k - water_c)


def supply_heat_index(inlet: float, supply: float, outlet: float) -> float:
    """SHI of Sharma, Bash and Patel (2002): the part of the air's heating that happens before the rack.

    >>> round(supply_heat_index(26.0, 24.0, 38.0), 3)
    0.143
    """
    return (inlet - supply) / (outlet - supply)


def dew_point_c(temp_c: float, humidity_pct: float) -> float:
    """Magnus formula over water (a = 17.62, b = 243.12 C), good to 0.4 K from 0 to 60 C.

    >>> round(dew_point_c(24.0, 50.0), 1)
    12.9
    """
    gamma = math.log(humidity_pct / 100) + 17.62 * temp_c / (243.12 + temp_c)
    return 243.12 * gamma / (17.62 - gamma)
