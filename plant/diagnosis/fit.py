"""One candidate on the plant: injected with many onsets, growths and severities, and weighed by what then is read.

Signals are compared as changes from the healthy course, in a few bins of time. Their error is the reading's noise and
a share of the change itself, because the model's constants are not the site's; the likelihood has heavy tails
(Student's t), because not everything that happens on a site is in the model.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.candidates import Candidate
from plant.diagnosis.estimate import STEP_S, Estimate
from plant.diagnosis.mechanisms import Mechanism, inject
from plant.diagnosis.observed import FloatArray, Key, Observed

BINS = 12
LEFT_AT = 5.0
FREEDOM = 4.0
"""Of Student's t: a reading far from everything costs little more than one that is merely off."""
MODEL_ERROR = 0.25
"""Of a simulated change: what constants that differ by 10 to 20 % make of it."""
EFFECTIVE = 3.0
"""Independent readings that one signal is worth; its samples follow each other closely."""
GROUP_MOST, GROUP_LEAST = 14.0, -9.0
"""One kind of reading cannot decide alone, however many assets show it."""
GENERIC, GENERIC_COST = 0.7, 1.3
"""An unknown cause explains every change, but less well than one that predicted it."""
REST_COST = 1.5
"""What a candidate pays for each signal that something else has to explain."""
SENSOR = 0.75
"""A sensor fault predicts that one reading alone is wrong, though not how."""
FIRST_SEVERITIES, THEN = (0.25, 0.8), (0.5, 0.12)
ALIKE_TEMPER = 0.45
"""How sharply severities are told apart where it is asked how many of them fit."""
MOST_ONSETS = 3
UNFELT = (0.05, 0.3)
"""Share of its growth that a slow fault has made before a reading shows it."""
SLOW_COST, STEP_COST = 1.6, 0.6
"""Log cost of a growth time and of an onset that were fitted."""


@dataclass(frozen=True)
class Signals:
    """Observed changes of the modelled signals from their healthy course."""

    keys: tuple[Key, ...]
    columns: NDArray[np.int64]
    """Of the estimate's model."""
    groups: NDArray[np.int64]
    """Kind of reading of each signal, as a number."""
    names: tuple[str, ...]
    """Metric of each group."""
    change: FloatArray
    """[bins, signals]."""
    sigma: FloatArray
    """[signals]: noise of a bin's mean."""
    edges: NDArray[np.int64]
    """First row of each bin, and the end."""
    left: NDArray[np.int64]
    """[signals]: first row at which each has clearly left its course; the number of rows where it has not."""

    @property
    def active(self) -> NDArray[np.bool_]:
        """Signals that left their healthy course."""
        return np.asarray(np.nanmax(np.abs(self.change) / self.sigma, axis=0, initial=0.0) > 4.0)

    def binned(self, rows: FloatArray) -> FloatArray:
        """[rows, signals] to [bins, signals]."""
        return np.stack([rows[a:b].mean(axis=0) for a, b in itertools.pairwise(self.edges)])


def signals_of(estimate: Estimate, observed: Observed, untrusted: frozenset[Key] = frozenset()) -> Signals:
    """The observed changes since the estimate's moment. Readings of untrusted sensors are left out."""
    first = len(observed.times_s) - estimate.rows
    picked = [k for k, key in enumerate(estimate.keys) if key not in untrusted]
    keys = tuple(estimate.keys[k] for k in picked)
    edges = np.unique(np.linspace(0, estimate.rows, min(BINS, max(1, estimate.rows)) + 1).astype(np.int64))
    gap = np.stack([observed.series[key][first:] - estimate.healthy[key][first:] for key in keys], axis=1) \
        if keys else np.zeros((estimate.rows, 0))  # fmt: skip
    with np.errstate(invalid="ignore"):
        change = (
            np.stack([_mean(gap[a:b]) for a, b in itertools.pairwise(edges)]) if len(edges) > 1 else gap[:0]
        )
    kinds = [(estimate.plant.store.rows.get(asset, ("", 0))[0], metric) for asset, metric in keys]
    order = {kind: n for n, kind in enumerate(dict.fromkeys(kinds))}
    return Signals(
        keys, np.array(picked, dtype=np.int64), np.array([order[kind] for kind in kinds], dtype=np.int64),
        tuple(metric for _, metric in order), change, np.array([estimate.noise[key] for key in keys]), edges,
        _left(gap, np.array([estimate.noise[key] for key in keys])),
    )  # fmt: skip


def _left(gap: FloatArray, noise: FloatArray) -> NDArray[np.int64]:
    """First of two rows in a row that lie more than LEFT_AT noises from the course, by signal."""
    if len(gap) < 2:
        return np.full(gap.shape[1], len(gap), dtype=np.int64)
    with np.errstate(invalid="ignore"):
        out = np.abs(gap) > LEFT_AT * noise
    both = out[:-1] & out[1:]
    return np.where(both.any(axis=0), both.argmax(axis=0), len(gap)).astype(np.int64)


def _mean(rows: FloatArray) -> FloatArray:
    """Mean of the readings there are; NaN where there is none."""
    there = np.isfinite(rows)
    count = there.sum(axis=0)
    total = np.where(there, rows, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def log_t(residual: FloatArray) -> FloatArray:
    """Log density of Student's t up to a constant; 0 at 0."""
    return np.asarray(-(FREEDOM + 1) / 2 * np.log1p(residual**2 / FREEDOM))


def evidence(signals: Signals, simulated: FloatArray) -> FloatArray:
    """Log-likelihood ratio of each signal: these changes against none. `simulated`: [bins, signals]."""
    sigma = np.sqrt(signals.sigma**2 + (MODEL_ERROR * simulated) ** 2)
    gain = log_t((signals.change - simulated) / sigma) - log_t(signals.change / signals.sigma)
    # A wider error is a flatter density: what predicts vaguely gains less.
    gain -= np.log(sigma / signals.sigma)
    there = np.isfinite(gain)
    bins = np.maximum(there.sum(axis=0), 1)
    return np.asarray(np.where(there, gain, 0.0).sum(axis=0) * EFFECTIVE / bins)


def by_group(signals: Signals, each: FloatArray, matter: NDArray[np.bool_]) -> FloatArray:
    """Evidence by kind of reading: forty nodes that say one thing are worth little more than a few."""
    count = np.bincount(signals.groups, weights=matter.astype(float), minlength=len(signals.names))
    total = np.bincount(signals.groups, weights=np.where(matter, each, 0.0), minlength=len(signals.names))
    return np.clip(total / np.maximum(count, 1.0) ** 0.7, GROUP_LEAST, GROUP_MOST)


def unnamed(signals: Signals) -> FloatArray:
    """[signals]: what a cause nobody named would gain: it explains what has left its course, at a price."""
    best = evidence(signals, np.nan_to_num(signals.change))
    return np.where(signals.active, np.maximum(0.0, GENERIC * best - GENERIC_COST), 0.0)


def with_rest(each: FloatArray, rest: FloatArray) -> FloatArray:
    """By signal the better of what a candidate explains and of "something else did that", which costs. It is no excuse
    for a change that was foretold and never came."""
    return np.where(rest > 0.0, np.maximum(each, rest - REST_COST), each)


def sensor_evidence(signals: Signals, asset: str, metric: str) -> FloatArray:
    """What a fault of one sensor would gain by group: it explains the one reading that is wrong, whatever its course,
    and nothing else; where other readings of the asset moved too, nothing at all."""
    mine = np.array([name == asset for name, _ in signals.keys], dtype=bool) & signals.active
    own = mine & np.array([found == metric for _, found in signals.keys], dtype=bool)
    if own.sum() != 1 or mine.sum() != 1:
        return np.zeros(len(signals.names))
    best = evidence(signals, np.nan_to_num(signals.change))
    return np.maximum(0.0, SENSOR * by_group(signals, best, own) - GENERIC_COST)


@dataclass(frozen=True)
class Shape:
    """When a candidate begins, how long it grows and how bad it becomes."""

    onset_s: float
    """Of the window."""
    ramp_s: float
    severity: float


@dataclass(frozen=True)
class Fit:
    """A candidate at its best."""

    candidate: Candidate
    shape: Shape
    simulated: FloatArray
    """[rows, signals]: change of each signal from its healthy course."""
    each: FloatArray
    """[signals]: log-likelihood ratio."""
    groups: FloatArray
    """[groups]."""
    matter: NDArray[np.bool_]
    occam: float = 0.0
    """Log share of the severities tried that fit as well as the best: a cause that could have been anything, or that
    only fits where it does nothing, has foretold little."""

    @property
    def total(self) -> float:
        return float(self.groups.sum())


class Bench:
    """Runs candidates from one estimated state."""

    def __init__(self, estimate: Estimate, observed: Observed, signals: Signals) -> None:
        self.estimate, self.observed, self.signals = estimate, observed, signals
        self._step_s = max(observed.step_s, 1.0)
        self._model = estimate.model[:, signals.columns]
        self._offsets = estimate.offsets[signals.columns]
        self.runs = 0

    def run(self, shapes: Sequence[tuple[Mechanism, str, Shape]]) -> FloatArray:
        """[rows, signals]: changes from the healthy course with these faults at work.

        Raises ArithmeticError where the run diverges.
        """
        plant = self.estimate.plant.copy()
        self.runs += 1
        at_row, found = 0, []
        for mechanism, asset, shape in sorted(shapes, key=lambda one: one[2].onset_s):
            row = int(np.clip((shape.onset_s - self.estimate.at_s) // self._step_s, 0, self.estimate.rows))
            found.append(plant.sample((row - at_row) * self._step_s, self._offsets, self._step_s, STEP_S))
            at_row = max(row, at_row)
            inject(plant, mechanism, asset, shape.severity, shape.ramp_s)
        found.append(
            plant.sample((self.estimate.rows - at_row) * self._step_s, self._offsets, self._step_s, STEP_S)
        )
        rows = np.concatenate(found)
        if not np.all(np.isfinite(rows)):
            raise ArithmeticError("the run gave no numbers")
        return rows - self._model

    def fit(self, candidate: Candidate, onsets_s: Sequence[float]) -> Fit | None:
        """The candidate at its best; None where it moves nothing that is read."""
        mechanism = candidate.mechanism
        if mechanism is None or not mechanism.moves or not self.signals.keys:
            return None
        tried = self._all_tried(candidate, mechanism, onsets_s)
        best = _best(tried)
        greatest = max((one for _, one in tried), key=lambda one: one.shape.severity)
        if not np.any(np.abs(self.signals.binned(greatest.simulated)) > self.signals.sigma):
            return None
        alike = [
            one.total for _, one in tried
            if (one.shape.onset_s, one.shape.ramp_s) == (best.shape.onset_s, best.shape.ramp_s)
        ]  # fmt: skip
        return replace(best, occam=_log_mean(ALIKE_TEMPER * np.array(alike)) - ALIKE_TEMPER * max(alike))

    def _all_tried(
        self, candidate: Candidate, mechanism: Mechanism, onsets_s: Sequence[float]
    ) -> list[tuple[float, Fit]]:
        """Onsets and growths with two severities each; then more severities for the best of them."""
        fixed = all(move.mild == move.severe for move in mechanism.moves)
        tried = [
            self._tried(candidate, mechanism, Shape(onset_s, ramp_s, severity))
            for onset_s, ramp_s in _shapes(mechanism, self._onsets(candidate, onsets_s))
            for severity in ((1.0,) if fixed else FIRST_SEVERITIES)
        ]
        for severity in () if fixed else THEN:
            tried.append(self._tried(candidate, mechanism, replace(_best(tried).shape, severity=severity)))
        near = _best(tried).shape
        for severity in () if fixed else (near.severity * 0.8, near.severity * 1.2):
            if severity <= 1.0:
                tried.append(self._tried(candidate, mechanism, replace(near, severity=severity)))
        return tried

    def _onsets(self, candidate: Candidate, common_s: Sequence[float]) -> list[float]:
        """When it may have begun: when a reading of the struck asset first left its course, and what holds for all."""
        own = [int(row) for (asset, _), row in zip(self.signals.keys, self.signals.left, strict=True)
               if asset == candidate.asset and row < self.estimate.rows]  # fmt: skip
        first = [self.estimate.at_s + (min(own) + 0.5) * self._step_s] if own else []
        return _apart([*first, *common_s], 1.5 * self._step_s)[:MOST_ONSETS]

    def _tried(self, candidate: Candidate, mechanism: Mechanism, shape: Shape) -> tuple[float, Fit]:
        rows = self.run([(mechanism, candidate.asset, shape)])
        made = self.weighed(candidate, shape, rows)
        return made.total - (SLOW_COST if shape.ramp_s else STEP_COST), made

    def weighed(self, candidate: Candidate, shape: Shape, rows: FloatArray) -> Fit:
        """The evidence in one run."""
        simulated = self.signals.binned(rows)
        each = evidence(self.signals, simulated)
        moved = np.abs(simulated).max(axis=0) > 2.0 * self.signals.sigma
        matter = self.signals.active | moved
        return Fit(candidate, shape, rows, each, by_group(self.signals, each, matter), matter)


def _best(tried: Sequence[tuple[float, Fit]]) -> Fit:
    return max(tried, key=lambda one: one[0])[1]


def _log_mean(values: FloatArray) -> float:
    """Logarithm of the mean of the exponentials."""
    top = float(values.max())
    return top + float(np.log(np.mean(np.exp(values - top))))


def _apart(times_s: Sequence[float], least_s: float) -> list[float]:
    """Without those that nearly repeat one before them."""
    kept: list[float] = []
    for at_s in times_s:
        if all(abs(at_s - other) >= least_s for other in kept):
            kept.append(at_s)
    return kept


def _shapes(mechanism: Mechanism, onsets_s: Sequence[float]) -> list[tuple[float, float]]:
    """(onset, growth) to try: at once at each onset; slowly so that it is first felt at the likeliest of them."""
    found: list[tuple[float, float]] = []
    if mechanism.begins in ("at once", "either"):
        found += [(onset_s, 0.0) for onset_s in onsets_s]
    if mechanism.begins in ("slowly", "either"):
        found += [
            (onsets_s[0] - unfelt * ramp_s, ramp_s) for ramp_s in mechanism.ramps_s for unfelt in UNFELT
        ]
    return found
