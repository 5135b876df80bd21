"""The highest value of the next day, as a distribution.

Bursts make peaks, and a path of expected values has none: its highest point is no forecast of the peak. What holds best,
measured on two weeks of public request rates and on simulated days (`bench`), is plain: half yesterday's peak, half the
mean of the peaks of up to a week. What is known ahead (jobs) is taken out of the past days and tomorrow's put in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plant.control.forecast.baselines import FloatArray
from plant.control.forecast.intervals import small_sample, weighted_quantile

DAYS = 7
ORIGINS_A_DAY = 12
"""Past moments a day at which the rule is tried on what came."""
MOST_WIDER = 1.5
"""Two or three days say little of peaks; past this factor on their logarithm an interval would say nothing at all."""
SPREAD_PU = 0.3
"""Half of the 90 % range, of the peak, where the past is too short to tell."""


@dataclass(frozen=True)
class Peak:
    """Highest value of the steps ahead."""

    expected: float
    """As likely exceeded as not, by what is known."""
    low: float
    high: float
    level: float
    ratios: FloatArray
    """What peaks were over what was expected of them, ascending; widened for their small number."""

    def quantile(self, share: float) -> float:
        """What the peak stays at or below with chance `share`."""
        return self.expected * weighted_quantile(self.ratios, np.ones(len(self.ratios)), share)

    def chance_above(self, value: float) -> float:
        """Chance that the peak exceeds `value`."""
        above = float((self.expected * self.ratios > value).sum())
        return (above + 0.5) / (len(self.ratios) + 1.0)


def peak_ahead(rest: FloatArray, past: FloatArray, ahead: FloatArray, day: int, level: float) -> Peak:
    """The peak of the next len(`ahead`) steps, at most a day.

    `rest` (n,): the series without what is known ahead, gapless; `past` (n,) and `ahead` (steps,): what is known, in the
    same unit, zero where nothing is; `day`: steps of a day, at most n.
    """
    steps, end = len(ahead), len(rest)
    expected = _expected(rest, ahead, end, day)
    stride = max(1, day // ORIGINS_A_DAY)
    origins = np.arange(end - steps, day - 1, -stride)[::-1]
    scores = np.array([
        _log_ratio(float((rest + past)[at : at + steps].max()), _expected(rest, past[at : at + steps], int(at), day))
        for at in origins
    ])  # fmt: skip
    if len(scores) < ORIGINS_A_DAY // 2:
        spread = np.log1p(SPREAD_PU) * np.linspace(-1.2, 1.2, 25)
        return _peak(expected, spread, level)
    ages_days = (end - origins) / day
    wider = min(MOST_WIDER, small_sample(np.ones(len(scores)), steps / day, ages_days, level))
    # Mirrored, so that a short history whose days went one way does not say that the next will.
    return _peak(expected, np.sort(wider * np.concatenate([scores, -scores])), level)


def _peak(expected: float, scores: FloatArray, level: float) -> Peak:
    ratios, tail = np.exp(scores), (1.0 - level) / 2.0
    even = np.ones(len(ratios))
    low = min(1.0, 1.0 / weighted_quantile(np.sort(1.0 / ratios), even, 1.0 - tail))
    high = max(1.0, weighted_quantile(ratios, even, 1.0 - tail))
    return Peak(expected, expected * low, expected * high, level, ratios)


def _expected(rest: FloatArray, ahead: FloatArray, end: int, day: int) -> float:
    """Half the peak that yesterday would have had with what is known of the day ahead, half the mean of a week's."""
    begins = [end - back * day for back in range(1, DAYS + 1) if end - back * day >= 0]
    peaks = [float((rest[begin : begin + len(ahead)] + ahead).max()) for begin in begins]
    return 0.5 * (peaks[0] + float(np.mean(peaks)))


def _log_ratio(came: float, expected: float) -> float:
    return float(np.log(came / expected)) if came > 0 and expected > 0 else 0.0
