"""What a covariate known ahead does to a series: the change of the one by a unit of the other.

Learned from changes, not levels: the level of a site's power has many causes, but what happens when a job begins is the
job's. Several lengths of change are pooled, since power takes minutes to follow.
"""

from __future__ import annotations

import numpy as np

from plant.control.forecast.baselines import FloatArray

CHANGE_S = (600.0, 1_800.0, 3_600.0)
SHRINKAGE = 1e-3
LEAST_CHANGES = 4
"""Fewer rows in which a covariate moved teach nothing of it."""


def effect_of(values: FloatArray, known: FloatArray, step_s: float) -> FloatArray:
    """Effect (k,) of each covariate of `known` (n, k) on `values` (n,), in the unit of values by that of the covariate."""
    size = known.shape[1]
    square, right = np.zeros((size, size)), np.zeros(size)
    moved = np.zeros(size, dtype=int)
    for change_s in CHANGE_S:
        lag = max(1, round(change_s / step_s))
        if lag >= len(values):
            break
        changes, came = known[lag:] - known[:-lag], values[lag:] - values[:-lag]
        good = np.isfinite(came) & np.isfinite(changes).all(axis=1)
        changes, came = changes[good], came[good]
        square += changes.T @ changes
        right += changes.T @ came
        moved += (changes != 0).sum(axis=0)
    taught = moved >= LEAST_CHANGES
    effect = np.zeros(size)
    if taught.any():
        inner = square[np.ix_(taught, taught)]
        pull = SHRINKAGE * np.diag(np.diag(inner))
        effect[taught] = np.linalg.solve(inner + pull + 1e-12 * np.eye(len(inner)), right[taught])
    return effect
