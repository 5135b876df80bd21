"""What was predicted for an action, held against what came: the plant model's own feedback."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from plant.diagnosis.observed import Key
from plant.diagnosis.quantities import METRICS, Quantity, Read, quantity_words, watched
from plant.diagnosis.results import Band, Compared, Rehearsal
from plant.diagnosis.words import number, reading
from plant.dynamics.store import build
from plant.sim import Plant
from plant.site import Site

TRUE_SHARE = 0.75
"""Of quantities that must lie inside their 90 % interval. With six of them one or none is expected outside."""


def quantities_of(site: Site, rehearsal: Rehearsal) -> tuple[Quantity, ...]:
    """The quantities that were predicted, so that they can be read. Those that the site no longer has are left out."""
    wanted = {(band.asset, band.metric) for band in rehearsal.bands}
    return tuple(q for q in _watched(_Named(site), rehearsal.asset) if (q.asset, q.metric) in wanted)


class _Named:
    """A site as a key of the cache: by identity."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other.site is self.site

    def __hash__(self) -> int:
        return id(self.site)


@lru_cache(maxsize=32)
def _watched(named: _Named, asset: str) -> tuple[Quantity, ...]:
    site = named.site
    return watched(Plant(site, datetime(2000, 1, 1, tzinfo=UTC), build(site)), asset)


def observe(site: Site, rehearsal: Rehearsal, read: Read) -> dict[Key, float]:
    """The predicted quantities as readings show them; what cannot be read is left out."""
    found = {(q.asset, q.metric): q.read(read) for q in quantities_of(site, rehearsal)}
    return {key: value for key, value in found.items() if value is not None}


def compare(rehearsal: Rehearsal, observed: Mapping[Key, float]) -> Compared:
    """Observed values at the end of the horizon against the intervals predicted with the action.

    It came true where at least three quarters of the quantities that were read lie inside. Nothing read: nothing came
    true.
    """
    pairs = [(band, observed[band.asset, band.metric]) for band in rehearsal.bands
             if (band.asset, band.metric) in observed]  # fmt: skip
    rows = tuple((f"{band.asset}.{band.metric}", *band.acted[-1], value) for band, value in pairs)
    off = [(_outside(band, value), band, value) for band, value in pairs]
    inside = sum(gap == 0.0 for gap, _, _ in off)
    worst = max(off, key=lambda row: row[0], default=None)
    return Compared(
        action=rehearsal.action, asset=rehearsal.asset, quantities=len(pairs), inside=inside,
        came_true=bool(pairs) and inside >= math.ceil(TRUE_SHARE * len(pairs)),
        worst=_in_words(worst[1], worst[2]) if worst and worst[0] > 0.0 else "", rows=rows,
    )  # fmt: skip


def _outside(band: Band, value: float) -> float:
    """How far outside, in notable changes of the quantity; 0 inside. The last digit of a reading decides nothing."""
    low, _, high = band.acted[-1]
    slack = 0.05 * METRICS[band.metric].notable
    return max(low - slack - value, value - high - slack, 0.0) / METRICS[band.metric].notable


def _in_words(band: Band, value: float) -> str:
    low, _, high = band.acted[-1]
    return (
        f"{quantity_words(band.asset, band.metric)}: {reading(band.metric, value)}, "
        f"predicted {number(low)} to {number(high)}"
    )
