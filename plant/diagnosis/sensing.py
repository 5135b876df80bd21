"""Sensors: which quantity of the model each reads, and which of them are not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from plant.diagnosis.observed import FloatArray, Key, Observed
from plant.diagnosis.results import SensorProblem
from plant.diagnosis.words import named, reading, span
from plant.dynamics.columns import dtype
from plant.sim import Plant
from plant.site import Site

SILENT_S = 300.0
ALL_OF_IT = 3
"""So many silent readings of one asset are one problem: the asset, or the way to it."""
STUCK_ROWS = 12
"""So many equal readings of a value that moved before are suspicious."""
WANDERS = 0.6
"""Share of its samples at which a reading that wanders changes."""
ALIVE = 0.5
"""Of like sensors: so many must still change for one that does not to be suspicious."""
APART_K = 3.0
"""Two sensors of the same air that part by more than this contradict each other."""
_ELSEWHERE = {("sensor", "temp_c"): ("rack", "inlet_temp_c")}
"""Sensors that stand apart from the asset whose quantity they read."""


def wired(plant: Plant, asset: str, metric: str) -> int | None:
    """Where the quantity that a sensor reads stands in the model's numbers; None for what it does not compute."""
    kind, row = plant.store.rows.get(asset, ("", -1))
    if kind and metric in (dtype(kind).names or ()):
        return plant.store.offset(kind, row, metric)
    found = plant.site.find(asset)
    upper, column = _ELSEWHERE.get((found.kind if found else "", metric), ("", ""))
    for above in plant.site.upstream(asset) if upper else ():
        kind, row = plant.store.rows.get(above, ("", -1))
        if kind == upper:
            return plant.store.offset(kind, row, column)
    return None


def sensor_problems(site: Site, observed: Observed) -> Iterator[SensorProblem]:
    """Readings that stopped, stand still or contradict each other, over the whole window."""
    yield from _unknown(site, observed)
    yield from _silent(observed)
    alive = _alive(observed)
    for key, values in observed.series.items():
        if alive.get(key[1], 0.0) > ALIVE:
            yield from _stuck(key, values, observed)
    yield from _apart(site, observed)


def _unknown(site: Site, observed: Observed) -> Iterator[SensorProblem]:
    names = sorted({asset for asset, _ in observed.series if site.find(asset) is None})
    if names:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield SensorProblem(
            kind="mismatch", asset=names[0], text=f"telemetry tells of {shown}, which the site file does not have"
        )  # fmt: skip


def _silent(observed: Observed) -> Iterator[SensorProblem]:
    """Readings that stopped while others went on; an asset whose readings all stopped is told once."""
    stopped: dict[str, list[tuple[str, int]]] = {}
    for (asset, metric), values in observed.series.items():
        read = np.flatnonzero(np.isfinite(values))
        if len(read) and (len(values) - 1 - int(read[-1])) * observed.step_s >= SILENT_S:
            stopped.setdefault(asset, []).append((metric, int(read[-1])))
    for asset, ends in stopped.items():
        if _known_down(observed, asset):
            continue
        if len(ends) >= ALL_OF_IT:
            since_s = (len(observed.times_s) - 1 - max(row for _, row in ends)) * observed.step_s
            yield SensorProblem(
                kind="silent", asset=asset,
                text=f"{len(ends)} readings of {asset} have stopped, the last {span(since_s)} ago",
            )  # fmt: skip
            continue
        for metric, row in ends:
            quiet_s = (len(observed.times_s) - 1 - row) * observed.step_s
            last = reading(metric, float(observed.series[asset, metric][row]))
            yield SensorProblem(
                kind="silent", asset=asset, metric=metric,
                text=f"{asset} {named(metric)} has no reading for {span(quiet_s)}; the last was {last}",
            )  # fmt: skip


def _alive(observed: Observed) -> dict[str, float]:
    """By metric the share of its wandering readings that still change: where all stand still, the site does."""
    changes: dict[str, list[bool]] = {}
    for (_, metric), values in observed.series.items():
        kept = values[np.isfinite(values)]
        if _wanders(kept[:-STUCK_ROWS]):
            changes.setdefault(metric, []).append(bool(np.any(np.diff(kept[-STUCK_ROWS:]) != 0.0)))
    every = [one for ones in changes.values() for one in ones]
    whole = sum(every) / max(1, len(every))
    return {metric: sum(ones) / len(ones) if len(ones) > 2 else whole for metric, ones in changes.items()}


def _wanders(values: FloatArray) -> bool:
    """It changes at most samples."""
    return len(values) >= STUCK_ROWS and bool(np.mean(np.diff(values) != 0.0) > WANDERS)


def _known_down(observed: Observed, asset: str) -> bool:
    """It is read as down; that the rest of it is silent is no news."""
    up = observed.series.get((asset, "up"))
    if up is None:
        return False
    read = up[np.isfinite(up)]
    return len(read) > 0 and float(read[-1]) == 0.0


def _stuck(key: Key, values: FloatArray, observed: Observed) -> Iterator[SensorProblem]:
    """A value that wandered with noise and then repeats itself to the last digit."""
    kept = values[np.isfinite(values)]
    if len(kept) < 2 * STUCK_ROWS:
        return
    run = len(kept) - 1 - int(np.max(np.flatnonzero(kept != kept[-1]), initial=-1))
    before = kept[: len(kept) - run]
    if run >= STUCK_ROWS and _wanders(before):
        yield SensorProblem(
            kind="stuck", asset=key[0], metric=key[1],
            text=f"{key[0]} {named(key[1])} has read {reading(key[1], float(kept[-1]))} without any change "
            f"for {span(run * observed.step_s)}",
        )  # fmt: skip


def _apart(site: Site, observed: Observed) -> Iterator[SensorProblem]:
    """Air sensors against the rack they stand at, as they part from how they stood to each other before."""
    for (asset, metric), values in observed.series.items():
        found = site.find(asset)
        if found is None or (found.kind, metric) not in _ELSEWHERE:
            continue
        upper, column = _ELSEWHERE[found.kind, metric]
        rack = next((name for name in site.upstream(asset) if (f := site.find(name)) and f.kind == upper), "")
        other = observed.series.get((rack, column))
        if other is None:
            continue
        gap = values - other
        kept = gap[np.isfinite(gap)]
        if len(kept) < 8:
            continue
        usual, last = float(np.median(kept[: len(kept) // 2])), float(np.median(kept[-3:]))
        if abs(last - usual) > APART_K:
            yield SensorProblem(
                kind="contradicts", asset=asset, metric=metric,
                text=f"{asset} reads {values[np.isfinite(values)][-1]:.4g} C where {rack} reads "
                f"{other[np.isfinite(other)][-1]:.4g} C; they stood {usual:+.1f} K apart before",
            )  # fmt: skip
