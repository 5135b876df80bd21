"""Power usage effectiveness (ISO/IEC 30134-2): energy of the site over that of its IT equipment."""

from __future__ import annotations

from plant.compiled import njit


@njit(cache=True)
def pue(it_kw: float, losses_kw: float, cooling_kw: float, other_kw: float) -> float:
    """(IT + power losses + cooling + other) / IT; 0 while no IT runs.

    >>> pue(100.0, 6.0, 20.0, 4.0)
    1.3
    """
    return (it_kw + losses_kw + cooling_kw + other_kw) / it_kw if it_kw > 0.0 else 0.0
