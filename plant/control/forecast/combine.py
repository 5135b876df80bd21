"""Weighing experts: the non-negative weights, at most one together, that leave the least absolute error.

What is left to one goes to the last value, so that a forecast is always a mean of sensible forecasts. Absolute, not
squared error, because bursts are heavy-tailed and the middle of what may come is wanted (iteratively reweighted
least squares: P. J. Green, J. R. Stat. Soc. B 46, 1984, 149-192).
"""

from __future__ import annotations

import numpy as np

from plant.control.forecast.baselines import FloatArray

ROUNDS = 4
FLOOR = 0.2
"""Errors below this share of the median error count as equal: smaller ones would rule the fit."""
SHRINKAGE = 1e-3
"""Pull of each weight towards zero, as a share of the experts' own variation; it settles ties between like ones."""
SUM_ROW = 1e3
"""Weight of the row that holds the sum at one, against the largest other row."""


def convex_weights(experts: FloatArray, last: FloatArray, came: FloatArray) -> FloatArray:
    """Weights (k,) of `experts` (n, k), the rest on `last` (n,), for what `came` (n,). Rows that are not finite are left out.

    With fewer than two rows for each expert all weight stays on the last value.
    """
    good = np.isfinite(came) & np.isfinite(last) & np.isfinite(experts).all(axis=1)
    away, wanted = (experts - last[:, None])[good], (came - last)[good]
    if len(wanted) < 2 * experts.shape[1]:
        return np.zeros(experts.shape[1])
    row_weights = np.ones(len(wanted))
    weights = np.zeros(experts.shape[1])
    for _ in range(ROUNDS):
        weights = _least_squares(away, wanted, row_weights)
        errors = np.abs(wanted - away @ weights)
        row_weights = 1.0 / np.maximum(errors, FLOOR * float(np.median(errors)) + 1e-12)
    return weights


def _least_squares(away: FloatArray, wanted: FloatArray, row_weights: FloatArray) -> FloatArray:
    """Non-negative, sum at most one, by normal equations: their size is that of the experts, not of the history."""
    from scipy.optimize import nnls

    weighted = away * row_weights[:, None]
    square = away.T @ weighted
    size = away.shape[1]
    pull = SHRINKAGE * float(np.trace(square)) / size + 1e-12
    lower = np.linalg.cholesky(square + pull * np.eye(size))
    rows, right = lower.T, np.linalg.solve(lower, weighted.T @ wanted)
    weights: FloatArray = nnls(rows, right)[0]
    if weights.sum() <= 1.0:
        return weights
    heavy = SUM_ROW * float(np.abs(rows).max())
    weights = nnls(np.vstack([rows, np.full((1, size), heavy)]), np.append(right, heavy))[0]
    return weights / max(1.0, float(weights.sum()))
