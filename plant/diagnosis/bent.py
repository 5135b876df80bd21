"""What readings say for a mechanism on one asset before it is tried: which are bent, and whether it would bend them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.footprint import MOST_Z, Footprints
from plant.diagnosis.mechanisms import EVERY, Expected, Mechanism
from plant.diagnosis.observed import FloatArray, Key, Observed
from plant.diagnosis.shift import peaks, silent, stuck
from plant.faults.place import targets
from plant.site import Site

CLEAR, CALM = 4.0, 2.0
"""Shifts in noise: bent for sure, and surely not."""
MATCH = 5.0
"""Log evidence of a footprint that is just what is seen."""
SEEN, OFTEN_SEEN, NOT_SEEN, CONTRARY = 2.5, 1.2, -1.5, -1.5
ALONE = 3.0
"""One reading that is wrong while all about it are calm."""
FOREIGN, MOST_FOREIGN = -0.6, -1.8
"""For each bent reading of the asset that the mechanism leaves alone, unless the plant model computes it."""
SENSORS = ("sensor", "leak_sensor")
"""What reports of itself here may drift long before that is clear from its reading."""
WHOLE = 0.6
"""From this share of its readings on an asset counts as a whole."""
CROWD = 0.7
"""So many equal readings on many assets count as one, to this power."""


class Readings:
    """Bent readings of one incident and what mechanisms would do to them."""

    def __init__(self, site: Site, observed: Observed, estimate: Estimate, near: frozenset[str]) -> None:
        """`near`: the assets of the incident; bent readings elsewhere belong to something else. Empty: anywhere."""
        self._site, self._estimate = site, estimate
        self.shift = peaks(observed, estimate)
        self.footprints = Footprints(estimate)
        self._modelled = frozenset(estimate.keys)
        self._near = near
        self._reach: dict[str, float] = {}
        self.silent, self.stuck = silent(observed, estimate), stuck(observed, estimate)
        self._metrics: dict[str, list[str]] = {}
        for asset, metric in observed.series:
            self._metrics.setdefault(asset, []).append(metric)

    @cached_property
    def bent(self) -> dict[Key, float]:
        """Clear shifts on assets of the incident."""
        return {key: z for key, z in self.shift.items() if abs(z) > CLEAR and self._is_near(key[0])}

    @cached_property
    def bent_assets(self) -> dict[str, float]:
        """With the size of their greatest shift, 2 at most; silent and stuck ones among them."""
        found = dict.fromkeys((a for a, _ in self.silent | self.stuck if self._is_near(a)), 1.0)
        for (asset, _), z in self.bent.items():
            found[asset] = max(found.get(asset, 0.0), min(2.0, abs(z) / MOST_Z))
        return found

    def reach(self, asset: str) -> float:
        """Share of the assets with bent readings that are this one or stand on it."""
        if asset not in self._reach:
            below = {asset, *self._site.downstream(asset)}
            held = sum(amount for name, amount in self.bent_assets.items() if name in below)
            self._reach[asset] = held / max(sum(self.bent_assets.values()), 1e-9)
        return self._reach[asset]

    def _is_near(self, asset: str) -> bool:
        return not self._near or asset in self._near

    # ---- readings that the plant does not compute -----------------------------------------------------

    def expected(self, mechanism: Mechanism, asset: str) -> tuple[float, str]:
        """Log evidence of the expected readings, and of a sensor's fault the metric that is wrong."""
        if mechanism.of_one_reading:
            return self._one_reading(mechanism.expects[0], asset)
        score, explained = 0.0, set[str]()
        for expected in mechanism.expects:
            found = [self._seen(expected, name) for name in targets(self._site, asset, expected)]
            score += max(found, default=0.0, key=abs)
            explained.add(expected.metric)
        foreign = 0 if EVERY in explained else len(self._unmodelled(asset) - explained)
        return score + max(MOST_FOREIGN, FOREIGN * foreign), ""

    def _unmodelled(self, asset: str) -> set[str]:
        return {
            m
            for m in self._metrics.get(asset, ())
            if (asset, m) in self.bent and (asset, m) not in self._modelled
        }

    def _seen(self, expected: Expected, asset: str) -> float:
        gain = SEEN if expected.sure else OFTEN_SEEN
        missed = NOT_SEEN if expected.sure else 0.0
        if expected.change in ("absent", "frozen"):
            there = self.silent if expected.change == "absent" else self.stuck
            metrics = self._metrics.get(asset, []) if expected.metric == EVERY else [expected.metric]
            hit = sum((asset, metric) in there for metric in metrics)
            return gain if metrics and hit > WHOLE * len(metrics) else missed
        z = self.shift.get((asset, expected.metric), np.nan)
        z = abs(z) if expected.change == "either" else -z if expected.change == "down" else z
        if not np.isfinite(z):
            return 0.0
        if z < -CLEAR:
            return CONTRARY
        return gain if z > CLEAR else missed if z < CALM else 0.0

    def _one_reading(self, expected: Expected, asset: str) -> tuple[float, str]:
        """A sensor's fault: the worst reading of the asset, and how alone it stands."""
        metrics = self._metrics.get(asset, [])
        if expected.change in ("absent", "frozen"):
            there = self.silent if expected.change == "absent" else self.stuck
            hit = [metric for metric in metrics if (asset, metric) in there]
            if len(hit) > max(1, WHOLE * len(metrics)):
                return 0.0, hit[0]  # no sensor, but all that is told of the asset
            return (SEEN, hit[0]) if hit else (2 * NOT_SEEN, metrics[0] if metrics else "")
        worst = max(metrics, key=lambda metric: abs(self.shift.get((asset, metric), 0.0)), default="")
        size = min(MOST_Z, abs(self.shift.get((asset, worst), 0.0)))
        if size < CLEAR:
            found = self._site.find(asset)
            return (0.0 if found and found.kind in SENSORS else 2 * NOT_SEEN), worst
        others = sum(min(MOST_Z, abs(z)) ** 2 for key, z in self.bent.items() if key != (asset, worst))
        return ALONE * size / float(np.sqrt(size**2 + others)), worst

    # ---- readings that it does ------------------------------------------------------------------------

    def match(self, mechanism: Mechanism, asset: str) -> float:
        """Log evidence of the likeness of what is seen and what the mechanism does: the cosine of the two patterns,
        readings of one kind on many assets taken together."""
        does = self.footprints.of(mechanism, asset)
        sees = np.where(self._of_near | (np.abs(does) > 1.0), self._seen_vector, 0.0)
        active = (np.abs(does) > 1.0) | (sees != 0.0)
        if not active.any():
            return 0.0
        weight = np.maximum(self._by_group(active * 1.0), 1.0) ** -CROWD
        both, seen, done = (
            float((weight * self._by_group(part)).sum()) for part in (does * sees, sees * sees, does * does)
        )
        if seen == 0.0 or done < 1.0:
            return 0.0 if seen == 0.0 and done < 1.0 else -0.25 * MATCH
        return MATCH * both / float(np.sqrt(seen * done))

    def _by_group(self, values: FloatArray) -> FloatArray:
        return np.asarray(
            np.bincount(self._groups, weights=values, minlength=int(self._groups.max(initial=0)) + 1),
            dtype=np.float64,
        )

    @cached_property
    def _seen_vector(self) -> FloatArray:
        """[keys of the estimate]: shifts beyond calm, at most MOST_Z either way."""
        z = np.array([self.shift.get(key, 0.0) for key in self._estimate.keys])
        return np.asarray(np.where(np.abs(z) > 0.5 * (CALM + CLEAR), np.clip(z, -MOST_Z, MOST_Z), 0.0))

    @cached_property
    def _of_near(self) -> NDArray[np.bool_]:
        return np.array([self._is_near(asset) for asset, _ in self._estimate.keys], dtype=bool)

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """Kind of reading of each signal, as a number."""
        kinds = [(self._estimate.plant.store.rows.get(a, ("", 0))[0], m) for a, m in self._estimate.keys]
        order = {kind: n for n, kind in enumerate(dict.fromkeys(kinds))}
        return np.array([order[kind] for kind in kinds], dtype=np.int64)
