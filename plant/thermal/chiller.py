"""What takes the heat out of the building: chillers, dry coolers, and the hours in which the weather does it."""

from __future__ import annotations

from numpy.typing import ArrayLike

from plant.compiled import njit

DESIGN_WET_BULB_C = 25.0
MIN_COP, MAX_COP = 1.5, 14.0
TOWER_APPROACH_K, EXCHANGER_APPROACH_K = 5.0, 1.5
"""Cooling tower above wet bulb, and the economiser's exchanger above the tower."""
WARM_GAIN_PER_K = 0.025
"""COP gained for each kelvin of warmer leaving water, over that at the design temperature: the lift shrinks. Rules of
thumb for chilled-water reset say 1 to 2 % for a degree F, 1.8 to 3.6 % for a kelvin (1.5 %/F in the screening sheet of
engineersuniverse.com after ASHRAE Guideline 36; the range is remembered); the lower middle is taken. It is of the same
size as `cop_per_k`, 2 % of COP0 for a kelvin on the other side of the same lift."""


@njit(cache=True)
def part_load_factor(load_pu: float) -> float:
    """COP at part load over that at full load: 1 at full, best near 0.65, falling below. Shape of a centrifugal
    chiller with a variable drive (DOE-2 curve family), rounded to one parabola.

    >>> part_load_factor(1.0), round(part_load_factor(0.65), 2), round(part_load_factor(0.1), 2)
    (1.0, 1.08, 0.8)
    """
    x = min(max(load_pu, 0.0), 1.0)
    return 0.70 + 1.10 * x - 0.80 * x * x


@njit(cache=True)
def cop(
    wet_bulb_c: float, load_pu: float, cop_design: float, cop_per_k: float, warmer_k: float = 0.0
) -> float:
    """COP = (COP0 + k (25 C - wet bulb)) * part load (dc-rl and EnergyPlus use the same linear form), and a share more
    for each of `warmer_k` that the water leaves above its design temperature.

    >>> round(cop(25.0, 1.0, 5.0, 0.1), 2), round(cop(15.0, 1.0, 5.0, 0.1), 2), round(cop(15.0, 1.0, 5.0, 0.1, 4.0), 2)
    (5.0, 6.0, 6.6)
    """
    full = (cop_design + cop_per_k * (DESIGN_WET_BULB_C - wet_bulb_c)) * (1.0 + WARM_GAIN_PER_K * warmer_k)
    return min(MAX_COP, max(MIN_COP, full * part_load_factor(load_pu)))


@njit(cache=True)
def free_share(supply_c: float, return_c: float, wet_bulb_c: float) -> float:
    """Share of the heat that an economiser takes without compressors: all where tower water reaches the supply,
    none where it does not get below the return.

    >>> free_share(20.0, 30.0, 10.0), free_share(20.0, 30.0, 25.0), round(free_share(20.0, 30.0, 18.5), 2)
    (1.0, 0.0, 0.5)
    """
    reach_c = wet_bulb_c + TOWER_APPROACH_K + EXCHANGER_APPROACH_K
    if return_c <= supply_c:
        return 1.0 if reach_c <= supply_c else 0.0
    return min(1.0, max(0.0, (return_c - reach_c) / (return_c - supply_c)))


@njit(cache=True)
def dry_cooler_kw(water_c: float, dry_bulb_c: float, capacity_kw: float, approach_k: float) -> float:
    """Heat a dry cooler gives off at full fans: in proportion to how far the water is above the air, at most a
    third above its rating.

    >>> dry_cooler_kw(26.0, 20.0, 300.0, 6.0), dry_cooler_kw(20.0, 20.0, 300.0, 6.0)
    (300.0, 0.0)
    """
    return capacity_kw * min(4.0 / 3.0, max(0.0, (water_c - dry_bulb_c) / approach_k))


def economiser_hours(wet_bulb_c: ArrayLike, supply_c: float, return_c: float) -> float:
    """Hours of an hourly series in which no compressor is needed, partial hours by their share.

    >>> economiser_hours([5.0, 10.0, 30.0], 20.0, 30.0)
    2.0
    """
    import numpy as np

    return float(sum(free_share(supply_c, return_c, float(t)) for t in np.asarray(wet_bulb_c, dtype=float)))
