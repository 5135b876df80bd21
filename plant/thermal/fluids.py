"""Coolants: what one litre carries, by temperature. Valid from 0 to 100 C at the pressures of a coolant loop."""

from __future__ import annotations

from typing import Literal

from plant.compiled import njit

Fluid = Literal["water", "pg25"]
CODES: dict[str, float] = {"water": 0.0, "pg25": 1.0}
"""How a fluid is written in a column of numbers."""


@njit(cache=True)
def water_kg_per_l(temp_c: float) -> float:
    """Density of water at 1 atm: Kell (J. Chem. Eng. Data 20, 1975), good to 1e-5 from 0 to 100 C.

    >>> round(water_kg_per_l(20.0), 4), round(water_kg_per_l(40.0), 4)
    (0.9982, 0.9922)
    """
    t = temp_c
    top = 999.83952 + t * (
        16.945176 + t * (-7.9870401e-3 + t * (-46.170461e-6 + t * (105.56302e-9 - 280.54253e-12 * t)))
    )
    return top / (1.0 + 16.879850e-3 * t) / 1000.0


@njit(cache=True)
def water_kj_per_kg_k(temp_c: float) -> float:
    """Heat capacity of water, Popiel and Wojtkowiak (Heat Transfer Eng. 19, 1998), within 0.1% to 100 C.

    >>> round(water_kj_per_kg_k(20.0), 2), round(water_kj_per_kg_k(60.0), 3)
    (4.18, 4.185)
    """
    root = max(temp_c, 0.0) ** 0.5
    t = max(temp_c, 0.0)
    return float(
        4.2174356
        - 5.6181625e-3 * t
        + 1.2992528e-3 * t * root
        - 1.1535353e-4 * t * t
        + 4.14964e-6 * t * t * root
    )


@njit(cache=True)
def pg25_kg_per_l(temp_c: float) -> float:
    """Density of water with 25% propylene glycol.

    Linear between the points remembered of the ASHRAE tables (1.021 at 20 C, 1.002 at 60 C); wants checking.

    >>> round(pg25_kg_per_l(35.0), 4)
    1.0139
    """
    return 1.0305 - 4.75e-4 * temp_c


@njit(cache=True)
def pg25_kj_per_kg_k(temp_c: float) -> float:
    """Heat capacity of water with 25% propylene glycol: 3.92 at 35 C, rising 0.0024 a kelvin.

    The level makes the rise of 15.1 K for one kW in one L/min that suppliers print for PG25 (OCP, ProphetStor);
    the slope is remembered of the ASHRAE tables and wants checking.

    >>> round(60 / (pg25_kg_per_l(35.0) * pg25_kj_per_kg_k(35.0)), 1)
    15.1
    """
    return 3.919 + 0.0024 * (temp_c - 35.0)


@njit(cache=True)
def kj_per_l_k(code: float, temp_c: float) -> float:
    """Heat one litre takes up for a kelvin; `code` as in CODES.

    >>> round(kj_per_l_k(0.0, 30.0), 2), round(kj_per_l_k(1.0, 35.0), 2)
    (4.16, 3.97)
    """
    if code < 0.5:
        return water_kg_per_l(temp_c) * water_kj_per_kg_k(temp_c)
    return pg25_kg_per_l(temp_c) * pg25_kj_per_kg_k(temp_c)


@njit(cache=True)
def kw_per_k(flow_lpm: float, litre_kj_per_k: float) -> float:
    """Heat rate that a flow carries for each kelvin of rise.

    >>> round(kw_per_k(60.0, 3.97), 2)
    3.97
    """
    return flow_lpm / 60.0 * litre_kj_per_k


def rise_k_per_kw_lpm(fluid: Fluid, temp_c: float) -> float:
    """Rise in kelvin of one L/min that takes up one kW.

    >>> round(rise_k_per_kw_lpm("water", 30.0), 1), round(rise_k_per_kw_lpm("pg25", 35.0), 1)
    (14.4, 15.1)
    """
    return 60.0 / float(kj_per_l_k(CODES[fluid], temp_c))
