"""Raw readings made fit to compute with: an even grid that ends now, without what cannot be true, and said so.

Readings out of bounds, lone spikes, values that stand still, stamps from the future and clocks that ran backwards are
left out. Short gaps are bridged by a straight line, long ones stay NaN. Each finding is a Trouble.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from plant.control.results import Trouble
from plant.diagnosis.words import span

FloatArray = NDArray[np.float64]

BOUNDS: dict[str, tuple[float, float]] = {
    "_temp_c": (-40.0, 150.0), "_c": (-40.0, 150.0), "_k": (-50.0, 150.0), "_lpm": (0.0, 1e5), "_kpa": (0.0, 1e4),
    "_kw": (-1e6, 1e6), "_w": (0.0, 1e6), "_kwh": (-1e7, 1e7), "_mhz": (0.0, 1e4), "_rpm": (0.0, 1e5),
    "_v": (0.0, 1e6), "_a": (-1e5, 1e5), "_mv": (-1e6, 1e6), "_rps": (0.0, 1e7), "_ms": (0.0, 1e8), "_s": (0.0, 1e9),
    "_pu": (-1.0, 10.0), "_pct": (-1.0, 1e3), "_per_h": (0.0, 1e9), "_per_min": (0.0, 1e9), "_total": (0.0, 1e12),
    "_mm_s": (0.0, 1e3), "_us_cm": (0.0, 1e6),
}  # fmt: skip
"""By the unit at the end of a metric's name: what lies outside is no reading but a broken sensor, unit or wire. Wide on
purpose: a site in trouble must still be believed."""
EXACT: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        ("soc_pct", "battery_pct", "humidity_pct", "reservoir_pct", "used_pct", "nvme_used_pct", "valve_pct", "kv_use_pct"),
        (-0.5, 100.5),
    ),
    **dict.fromkeys(("up", "running", "available", "fed", "on_battery", "breaker_closed", "wet", "open"), (0.0, 1.0)),
    "queue": (0.0, 1e9), "pumps_running": (0.0, 64.0), "healthy_nodes": (0.0, 1e5), "batch_limit": (0.0, 1e5),
    "load_pu": (-0.05, 2.0),
}  # fmt: skip
"""By the whole name of a metric."""
ANYTHING = 1e15
"""Bound of a metric of no known unit: sums of it stay numbers."""
SPIKE_SPREADS = 4.0
"""A lone reading further than so many spreads (90 % range) of the series from both neighbours is no reading."""
SPIKE_LEAST_PU = 1.0
"""And further than this share of the median: small series in small numbers jump for good reasons."""
STUCK_READINGS = 20
STUCK_S = 600.0
WANDERS_PU = 0.6
"""Share of its readings at which a quantity changes that cannot stand still."""
AHEAD_S = 5.0
"""Stamps further in the future than this are a clock's fault."""
BRIDGED_STEPS = 3
"""Gaps up to so many steps, or usual distances of two readings, are bridged."""
LEAST_BRIDGED_S = 300.0
LEAD_S = 3_600.0
"""Readings so much older than the grid are looked at too: the one before it may bridge to its first step."""
LEAST_COVERED_PU = 0.5
"""With less of the span read, the series is told as missing."""


@dataclass(frozen=True)
class EvenSeries:
    """One metric on an even grid: `values[k]` is the mean of [start + k step, start + (k+1) step), NaN where unknown."""

    values: FloatArray
    start: datetime
    step_s: float
    troubles: tuple[Trouble, ...] = ()
    bridged: int = 0
    """Steps that were interpolated over a gap."""

    @property
    def covered_pu(self) -> float:
        return float(np.isfinite(self.values).mean()) if len(self.values) else 0.0


def bounds_of(metric: str) -> tuple[float, float]:
    """Physical bounds of a metric, by its name or the unit at its end; as good as none where neither is known.

    >>> bounds_of("supply_temp_c"), bounds_of("soc_pct"), bounds_of("mood")
    ((-40.0, 150.0), (-0.5, 100.5), (-1000000000000000.0, 1000000000000000.0))
    """
    if metric in EXACT:
        return EXACT[metric]
    fitting = [suffix for suffix in BOUNDS if metric.endswith(suffix)]
    return BOUNDS[max(fitting, key=len)] if fitting else (-ANYTHING, ANYTHING)


def even_series(
    asset: str,
    metric: str,
    times: Sequence[datetime],
    values: Sequence[float],
    *,
    end: datetime,
    steps: int,
    step_s: float,
    bounds: tuple[float, float] | None = None,
) -> EvenSeries:
    """Readings of one metric, in the order they came, as `steps` means of `step_s` seconds up to `end`.

    Times are aware datetimes. Never raises for what was read.
    """
    ages_s = np.array([(end - moment).total_seconds() for moment in times], dtype=np.float64)
    read = np.asarray(values, dtype=np.float64)
    told = _Told(asset, metric)
    ages_s, read = _in_order(ages_s, read, told)
    lead = math.ceil(LEAD_S / step_s)
    within = ages_s < (steps + lead) * step_s
    ages_s, read = ages_s[within], read[within]
    ages_s, read = _possible(ages_s, read, bounds or bounds_of(metric), told)
    ages_s, read = _moving(ages_s, read, told)
    grid, bridged = _grid(ages_s, read, steps, lead, step_s, told)
    return EvenSeries(grid, end - timedelta(seconds=steps * step_s), step_s, tuple(told.troubles), bridged)


@dataclass
class _Told:
    """Collects what is wrong with one metric."""

    asset: str
    metric: str
    troubles: list[Trouble] = field(default_factory=list)

    def add(self, kind: str, what: str, instead: str, remedy: str) -> None:
        self.troubles.append(
            Trouble.model_validate({
                "kind": kind, "asset": self.asset, "metric": self.metric, "what": f"{self.asset} {self.metric}: {what}",
                "instead": instead, "remedy": remedy, "blocks": False,
            })
        )  # fmt: skip


def _in_order(ages_s: FloatArray, read: FloatArray, told: _Told) -> tuple[FloatArray, FloatArray]:
    """Oldest first, one reading a stamp (the one that came last), none from the future, none without a value."""
    ahead = ages_s < -AHEAD_S
    if ahead.any():
        told.add(
            "clock_jump", f"{_readings(int(ahead.sum()))} stamped up to {span(-float(ages_s.min()))} ahead of now",
            "leaves them out", "Set the clock of the sensor or gateway",
        )  # fmt: skip
    keep = ~ahead & np.isfinite(read)
    ages_s, read = np.maximum(ages_s[keep], 0.0), read[keep]
    back = np.diff(ages_s) > 0
    if back.any():
        told.add(
            "clock_jump", f"its clock ran back {_times(int(back.sum()))}, by up to {span(float(np.diff(ages_s).max()))}",
            "orders the readings by their stamps", "Set the clock of the sensor or gateway",
        )  # fmt: skip
    order = np.argsort(-ages_s, kind="stable")
    ages_s, read = ages_s[order], read[order]
    last = np.append(np.diff(ages_s) != 0, True) if len(ages_s) else np.zeros(0, dtype=bool)
    return ages_s[last], read[last]


def _possible(
    ages_s: FloatArray, read: FloatArray, bounds: tuple[float, float], told: _Told
) -> tuple[FloatArray, FloatArray]:
    """Without what lies outside physical bounds, and without lone spikes."""
    least, most = bounds
    outside = (read < least) | (read > most)
    if outside.any():
        worst = float(read[outside][-1])
        told.add(
            "impossible",
            f"{_readings(int(outside.sum()))} outside {least:g} to {most:g}, the last {worst:g}",
            "leaves them out", "Check the sensor, its unit and its scaling",
        )  # fmt: skip
    ages_s, read = ages_s[~outside], read[~outside]
    spiked = _spikes(read)
    if spiked.any():
        told.add(
            "impossible", f"{_readings(int(spiked.sum()))} far from the ones before and after, the last {float(read[spiked][-1]):g}",
            "leaves them out", "Check the sensor and its wire",
        )  # fmt: skip
    return ages_s[~spiked], read[~spiked]


def _spikes(read: FloatArray) -> NDArray[np.bool_]:
    """Lone readings that leave and come back at once, further than anything the series does."""
    spiked = np.zeros(len(read), dtype=bool)
    if len(read) < 20:
        return spiked
    low, middle, high = np.quantile(read, (0.05, 0.5, 0.95))
    far = max(SPIKE_SPREADS * float(high - low), SPIKE_LEAST_PU * abs(float(middle)))
    if far <= 0:
        return spiked
    before, after = read[1:-1] - read[:-2], read[1:-1] - read[2:]
    spiked[1:-1] = (np.sign(before) == np.sign(after)) & (np.minimum(np.abs(before), np.abs(after)) > far)
    return spiked


def _moving(ages_s: FloatArray, read: FloatArray, told: _Told) -> tuple[FloatArray, FloatArray]:
    """Without readings that stand still where the quantity else changes nearly every time: the first of a run stays."""
    changed = np.append(True, np.diff(read) != 0) if len(read) else np.zeros(0, dtype=bool)
    begins = np.flatnonzero(changed)
    if len(begins) < 4:
        return ages_s, read
    lengths = np.diff(np.append(begins, len(read)))
    ends = begins + lengths - 1
    long = (lengths >= STUCK_READINGS) & (ages_s[begins] - ages_s[ends] >= STUCK_S)
    elsewhere = len(read) - int(lengths[long].sum())
    if not long.any() or (~long).sum() < WANDERS_PU * elsewhere or elsewhere < STUCK_READINGS:
        return ages_s, read
    stuck = np.zeros(len(read), dtype=bool)
    for begin, end in zip(begins[long], ends[long], strict=True):
        stuck[begin + 1 : end + 1] = True
    longest = float((ages_s[begins] - ages_s[ends])[long].max())
    told.add(
        "stale", f"stood at {float(read[begins[long]][-1]):g} for {span(longest)} while it else changes at nearly every reading",
        "leaves those readings out", "Check the sensor and the gateway that reads it",
    )  # fmt: skip
    return ages_s[~stuck], read[~stuck]


def _grid(
    ages_s: FloatArray, read: FloatArray, steps: int, lead: int, step_s: float, told: _Told
) -> tuple[FloatArray, int]:
    """Means by step, gaps up to the bridged length closed; how many steps were. `lead` steps more are looked at."""
    every = steps + lead
    grid = np.full(every, np.nan)
    if not (ages_s < steps * step_s).any():
        told.add(
            "missing", f"nothing was read in {span(steps * step_s)}", "goes on without it", "Check the sensor and its path"
        )  # fmt: skip
        return grid[lead:], 0
    # An age of exactly k steps belongs to the step that ends then, as the age 0 does to the last one.
    rows = every - 1 - np.minimum((ages_s // step_s).astype(np.int64), every - 1)
    sums, counts = np.bincount(rows, read, every), np.bincount(rows, minlength=every)
    grid[counts > 0] = sums[counts > 0] / counts[counts > 0]
    usual_s = float(np.median(-np.diff(ages_s))) if len(read) > 1 else step_s
    most = int(max(BRIDGED_STEPS, math.ceil(max(BRIDGED_STEPS * usual_s, LEAST_BRIDGED_S) / step_s)))
    filled = bridge(grid, most)[0][lead:]
    bridged = int((np.isfinite(filled) & np.isnan(grid[lead:])).sum())
    _tell_gaps(filled, bridged, usual_s, step_s, told)
    return filled, bridged


def bridge(grid: FloatArray, most: int) -> tuple[FloatArray, int]:
    """Gaps of at most `most` steps closed by a straight line, at the end by the last value; and how many steps that were.

    >>> bridge(np.array([1.0, np.nan, 3.0, np.nan, np.nan, np.nan]), 2)[0].tolist()
    [1.0, 2.0, 3.0, nan, nan, nan]
    """
    filled = grid.copy()
    read = np.flatnonzero(np.isfinite(grid))
    bridged = 0
    for before, after in pairwise(read.tolist()):
        if 1 < after - before <= most + 1:
            filled[before:after] = np.linspace(grid[before], grid[after], after - before, endpoint=False)
            bridged += int(after - before) - 1
    if len(read) and 0 < len(grid) - 1 - read[-1] <= most:
        filled[read[-1] + 1 :] = grid[read[-1]]
        bridged += len(grid) - 1 - int(read[-1])
    return filled, bridged


def _tell_gaps(filled: FloatArray, bridged: int, usual_s: float, step_s: float, told: _Told) -> None:
    length_s, open_steps = len(filled) * step_s, int(np.isnan(filled).sum())
    if bridged and usual_s <= step_s:
        told.add(
            "missing", f"{span(bridged * step_s)} of {span(length_s)} not read",
            "bridges short gaps by straight lines", "Check the sensor's path if it goes on",
        )  # fmt: skip
    if open_steps > (1.0 - LEAST_COVERED_PU) * len(filled):
        told.add(
            "missing", f"only {span(length_s - open_steps * step_s)} of the last {span(length_s)} were read",
            "leaves the rest unknown", "Give more history, or wait until there is more",
        )  # fmt: skip
    elif open_steps:
        told.add(
            "missing", f"{span(open_steps * step_s)} of {span(length_s)} not read, in gaps too long to bridge",
            "leaves them unknown", "Check the sensor's path",
        )  # fmt: skip


def _readings(count: int) -> str:
    return "1 reading" if count == 1 else f"{count} readings"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
