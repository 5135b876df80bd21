"""What any forecast must beat: the last value, and the value at the same time of an earlier day or week."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from setpoint.errors import InputError

FloatArray = NDArray[np.float64]


def persistence(values: FloatArray, horizon: int) -> FloatArray:
    """The last finite reading, `horizon` times. Raises InputError where there is none.

    >>> persistence(np.array([3.0, 5.0, np.nan]), 2).tolist()
    [5.0, 5.0]
    """
    read = np.flatnonzero(np.isfinite(values))
    if not len(read):
        raise InputError("no finite reading to forecast from", remedy="Check the sensor or give more history")
    return np.full(horizon, float(values[read[-1]]))


def seasonal_naive(values: FloatArray, horizon: int, period: int) -> FloatArray:
    """What was read at the same place of the latest whole period, of length `horizon`; beyond one period it repeats.

    Where nothing was read there the last finite reading stands. Raises InputError where there is none.

    >>> seasonal_naive(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 4, 3).tolist()
    [3.0, 4.0, 5.0, 3.0]
    """
    last = persistence(values, horizon)
    at = len(values) - period + np.arange(horizon) % period
    found = np.where(at >= 0, values[np.maximum(at, 0)], np.nan)
    return np.where(np.isfinite(found), found, last)
