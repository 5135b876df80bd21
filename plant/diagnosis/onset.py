"""When trouble began: the first event of note, the first reading that left its band, and the onsets worth trying."""

from __future__ import annotations

import numpy as np

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.fit import Signals
from plant.diagnosis.observed import FloatArray, Observed
from plant.site import Site

LOOK_BACK_S = 5400.0
"""Trouble that began longer before the first event is not looked for."""
BENT, IN_A_ROW = 6.0, 3
LEAST_BEFORE = 8
"""Readings that a usual band is made of."""


def first_sign_s(observed: Observed) -> float:
    """When the first event of note came; the window's end where there is none."""
    serious = [sign.at_s for sign in observed.signs if sign.firing and sign.priority < "P3"]
    return min(serious or [sign.at_s for sign in observed.signs] or [float(observed.times_s[-1])])


def near_events(site: Site, observed: Observed) -> frozenset[str]:
    """Assets with an event of note, what they stand on, and what stands on them."""
    own = {sign.asset for sign in observed.signs if sign.priority < "P3"}
    around = {
        name for asset in own if (found := site.find(asset)) for name in (*found.on, *site.standing_on(asset))
    }
    return frozenset(own | around)


def first_bent_s(site: Site, observed: Observed, first_s: float) -> float:
    """When a reading near the events first left its usual band, at most LOOK_BACK_S before the first event."""
    near = near_events(site, observed)
    begin = observed.index(max(0.0, first_s - LOOK_BACK_S))
    upto = observed.index(first_s) + 1
    first = upto
    for (asset, _), values in observed.series.items():
        if asset in near and begin > 0:
            first = min(first, _left_at(values[:upto], begin))
    return float(observed.times_s[min(first, len(observed.times_s) - 1)])


def _left_at(values: FloatArray, begin: int) -> int:
    """First of IN_A_ROW rows from `begin` on that lie far from the rows before it; the length where there is none."""
    base = values[:begin][np.isfinite(values[:begin])]
    if len(base) < LEAST_BEFORE:
        return len(values)
    level = float(np.median(base))
    spread = max(
        1.4826 * float(np.median(np.abs(base - level))), float(np.std(base)), 0.01 * abs(level), 0.05
    )
    with np.errstate(invalid="ignore"):
        out = np.abs(values[begin:] - level) > BENT * spread
    for row in range(len(out) - IN_A_ROW + 1):
        if out[row : row + IN_A_ROW].all():
            return begin + row
    return len(values)


def onsets(site: Site, observed: Observed, state: Estimate, signals: Signals, first_s: float) -> list[float]:
    """Onsets to try for every candidate: when the modelled readings near the events first left their course, and a
    little before the first event."""
    near = near_events(site, observed)
    rows = [int(row) for (asset, _), row in zip(signals.keys, signals.left, strict=True)
            if asset in near and row < state.rows]  # fmt: skip
    step_s = max(observed.step_s, 1.0)
    first = [state.at_s + (min(rows) + 0.5) * step_s] if rows else []
    return [*first, max(state.at_s, first_s - 5.0), max(state.at_s, first_s - 90.0)]
