"""Intervals from what forecasts missed by: conformal prediction on errors in the order of time, recent ones first.

Each past error weighs by its age (Barber, Candes, Ramdas, Tibshirani, "Conformal prediction beyond exchangeability",
Ann. Stat. 51, 2023), low and high end apart, for each horizon its own.
"""

from __future__ import annotations

import math

import numpy as np

from plant.control.forecast.baselines import FloatArray

HALF_LIFE_DAYS = 7.0
LEAST_ERRORS = 20
"""With fewer a horizon has no interval of its own."""
INDEPENDENT_DAYS = 0.125
"""Errors nearer in time than this count as one, however short the horizon: calm and busy hours come in stretches."""
LEAST_INDEPENDENT = 3.0
RESTLESS_HALF_LIFE_S = 6 * 3_600.0


def restlessness(series: FloatArray, step_s: float) -> FloatArray:
    """How much a series moves of late at each step, above 0: errors are larger in restless hours and are scaled by it.

    The root of the running mean of absolute changes, with a floor at a tenth of their mean over all. The root and the
    half-life were chosen on the first seven days of the public rates, PJM's first half year and three simulated pools.
    """
    from scipy.signal import lfilter

    changes = np.abs(np.diff(series, prepend=series[0]))
    mean = float(changes.mean()) + 1e-12
    keep = 0.5 ** (step_s / RESTLESS_HALF_LIFE_S)
    lately: FloatArray = lfilter([1 - keep], [1, -keep], changes, zi=[keep * mean])[0]
    return np.sqrt(0.1 * mean + lately)


def weighted_quantile(scores: FloatArray, weights: FloatArray, share: float) -> float:
    """Least score that `share` of the weight lies at or below, one more score of infinite size counted in.

    Beyond the largest score the largest stands: with few scores the interval is too narrow to promise `share`.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5)
    2.0
    """
    order = np.argsort(scores)
    reached = np.cumsum(weights[order]) / (weights.sum() + weights.max())
    at = min(int(np.searchsorted(reached, share)), len(scores) - 1)
    return float(scores[order[at]])


def offsets(
    errors: FloatArray, age_days: FloatArray, ahead_days: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Low and high end beside the forecast for each column of `errors` (origins, horizons; came - forecast, NaN: not known).

    `age_days` (origins,) and `ahead_days` (horizons,). The low end is at most 0, the high end at least 0, and neither
    comes nearer with the horizon. Columns with too few errors give NaN.
    """
    tail = (1.0 - level) / 2.0
    low, high = np.full(errors.shape[1], np.nan), np.full(errors.shape[1], np.nan)
    for column, ahead in enumerate(ahead_days):
        known = np.isfinite(errors[:, column])
        if known.sum() >= LEAST_ERRORS:
            scores, weights = errors[known, column], 0.5 ** (age_days[known] / HALF_LIFE_DAYS)
            wider = small_sample(weights, float(ahead), age_days[known], level)
            high[column] = wider * max(0.0, weighted_quantile(scores, weights, 1.0 - tail))
            low[column] = wider * min(0.0, -weighted_quantile(-scores, weights, 1.0 - tail))
    return np.fmin.accumulate(low), np.fmax.accumulate(high)


def small_sample(weights: FloatArray, ahead_days: float, age_days: FloatArray, level: float) -> float:
    """How much wider an interval from few independent errors must be (Student's t over the normal quantile).

    Errors of forecasts that overlap in time are not independent: within one horizon, and within INDEPENDENT_DAYS, they
    count as one.
    """
    from scipy.stats import norm, t

    share = float(weights.sum() ** 2 / (weights**2).sum()) / len(weights)
    span_days = float(age_days.max() - age_days.min()) * share
    independent = max(LEAST_INDEPENDENT, span_days / max(ahead_days, INDEPENDENT_DAYS))
    quantile = 0.5 + level / 2.0
    student = float(t.ppf(quantile, independent - 1.0) / norm.ppf(quantile))
    return student * math.sqrt(1.0 + 1.0 / independent)
