"""Simple forecasts ("experts") that the forecaster weighs: the last value, running means from ten minutes to a week,
the same time of earlier days and of the week before, and daily shapes laid onto the present level.

All of them are computed for many origins at once, from readings up to the origin only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plant.control.forecast.baselines import FloatArray

IntArray = NDArray[np.int64]

DAY_S = 86_400.0
HALF_LIVES_S = (600.0, 1_800.0, 3_600.0, 10_800.0, 43_200.0)
"""Of the running means; the longer ones carry what a burst leaves behind."""
SMOOTHING_S = 1_800.0
"""Earlier days are read as the mean over so much on either side: their minutes are noise today."""
PROFILE_DAYS = 7
NAMES = (
    *(f"mean of half-life {half_life / 60:.0f} min" for half_life in HALF_LIVES_S),
    "mean of a day", "mean of a week", "same time yesterday", "same time of the days before",
    "last value and the days' shape", "mean of an hour and the days' shape", "mean of three hours and the days' shape",
    "same time last week", "mean of an hour and last week's shape",
)  # fmt: skip
"""In the order of the columns of `Experts.at`."""


def fill(values: FloatArray, day: int, most_held: int) -> FloatArray:
    """Gaps closed from the past alone: the last value for `most_held` steps, then the value a day before.

    What precedes the first reading takes its value.
    """
    filled = values.astype(np.float64, copy=True)
    read = np.flatnonzero(np.isfinite(filled))
    filled[: read[0]] = filled[read[0]]
    held = 0
    for at in np.flatnonzero(~np.isfinite(filled)):
        held = held + 1 if at and not np.isfinite(values[at - 1]) else 1
        filled[at] = filled[at - 1] if held <= most_held or at < day else filled[at - day]
    return filled


class Experts:
    """Forecasts of one gapless series by every expert."""

    def __init__(self, series: FloatArray, step_s: float) -> None:
        from scipy.signal import lfilter

        self.series = series
        self.day = max(1, round(DAY_S / step_s))
        self.week = 7 * self.day
        self.half = round(SMOOTHING_S / step_s) if step_s < SMOOTHING_S else 0
        self._sums = np.concatenate([[0.0], np.cumsum(series)])
        self._means = []
        for half_life_s in HALF_LIVES_S:
            keep = 0.5 ** (step_s / half_life_s)
            self._means.append(lfilter([1 - keep], [1, -keep], series, zi=[keep * series[0]])[0])

    def at(self, origins: IntArray, ahead: IntArray) -> FloatArray:
        """Forecasts made at `origins` for `ahead` steps later (arrays of whole numbers of one shape): (n, experts)."""
        t, h = origins, ahead
        last, hour, hours = self.series[t], self._means[2][t], self._means[3][t]
        yesterday = t + h - self.day * _ceil(h, self.day)
        last_week = t + h - self.week * _ceil(h, self.week)
        daily, daily_now = self._days_before(t, yesterday), self._days_before(t, t - self.day)
        weekly = np.where(last_week >= 0, self._around(last_week, t), daily)
        weekly_now = np.where(t >= self.week, self._around(t - self.week, t), daily_now)
        return np.stack([
            *(mean[t] for mean in self._means), self._trailing(t, self.day), self._trailing(t, self.week),
            np.where(yesterday >= 0, self._around(yesterday, t), last), daily,
            last + daily - daily_now, hour + daily - daily_now, hours + daily - daily_now,
            weekly, hour + weekly - weekly_now,
        ], axis=-1)  # fmt: skip

    def _around(self, centre: IntArray, known_to: IntArray) -> FloatArray:
        """Mean around a moment, of what is known at `known_to`."""
        low = np.maximum(0, centre - self.half)
        high = np.maximum(low + 1, np.minimum(known_to, centre + self.half) + 1)
        mean: FloatArray = (self._sums[high] - self._sums[low]) / (high - low)
        return mean

    def _trailing(self, origins: IntArray, length: int) -> FloatArray:
        low = np.maximum(0, origins - length + 1)
        mean: FloatArray = (self._sums[origins + 1] - self._sums[low]) / (origins + 1 - low)
        return mean

    def _days_before(self, origins: IntArray, latest: IntArray) -> FloatArray:
        """Mean over the same time of up to PROFILE_DAYS days, the youngest at `latest`; the last value without any."""
        total, count = np.zeros(len(origins)), np.zeros(len(origins))
        for back in range(PROFILE_DAYS):
            moment = latest - back * self.day
            known = moment >= 0
            total += np.where(known, self._around(np.maximum(moment, 0), origins), 0.0)
            count += known
        return np.where(count > 0, total / np.maximum(count, 1), self.series[origins])


def _ceil(number: IntArray, unit: int) -> IntArray:
    return -(-number // unit)
