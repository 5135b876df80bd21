"""The path of a degradation: from readings to how far the part is, how fast it goes, and when it meets its limit.

Damage (0 usual, 1 at the limit) is fitted by a straight line in time. Where wear feeds on itself its logarithm is,
unless the readings speak clearly for the straight line. The slope has a prior from lives that ended (Bayesian linear regression with a known noise), so that a handful of
readings does not decide alone. Days throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.parts import PartKind, Signal

FloatArray = NDArray[np.float64]
SHORTEST_WINDOW_DAYS, LONGEST_WINDOW_DAYS = 90.0, 730.0
LEAST_POINTS = 4
SIGN_Z = 4.0
"""A level or a slope so many standard errors from that of a sound unit is a sign."""
STEEPEST_PER_DAY = 0.05
"""Prior standard deviation of a straight slope where wear usually feeds on itself."""
CLEARLY = 9.0
"""A straight line has to fit by so much better (chi-square) before it is believed of such wear."""
LONGEST_RUL_DAYS = 6000.0
SHORTEST_RUL_DAYS = 0.5


@dataclass(frozen=True)
class SlopePrior:
    """Slope of units that show a sign, a day (of damage, or of its logarithm), and how it varies."""

    mean: float
    sigma: float


@dataclass(frozen=True)
class Trend:
    """What one signal says of one part at the end of its record."""

    metric: str
    level: float
    """Damage now."""
    slope_per_day: float
    """Of damage now."""
    rul_days: float
    """Time until the line meets the limit."""
    rul_log_sd: float
    """Standard error of its logarithm."""
    z: float
    """How clearly it shows wear at all; a sign from SIGN_Z on."""
    points: int
    reading: float
    """The latest level in the signal's own unit."""
    slope_sd: float = 0.0
    """Standard error of the slope: of damage, or of its logarithm, a day."""
    level_sd: float = 0.0
    """Standard error of the level, likewise."""
    growing: bool = False
    """The logarithm was fitted."""

    @property
    def sign(self) -> bool:
        return self.z >= SIGN_Z

    def ahead(
        self, days: FloatArray, noise: float, level: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Damage so many days on: expected, low and high of a single reading that holds with chance `level`."""
        from scipy.special import ndtri

        wide = float(ndtri(0.5 + level / 2.0))
        spread = np.sqrt(self.level_sd**2 + (self.slope_sd * days) ** 2)
        if not self.growing:
            middle = self.level + self.slope_per_day * days
            half = wide * np.sqrt(spread**2 + noise**2)
            return middle, middle - half, middle + half
        base = max(self.level, 1e-6)
        middle = base * np.exp(np.minimum(self.slope_per_day / base * days, 2.0))
        low, high = middle * np.exp(-wide * spread), middle * np.exp(np.minimum(wide * spread, 3.0))
        return middle, low - wide * noise, high + wide * noise


def feeds_on_itself(kind: PartKind) -> bool:
    """Whether wear grows in proportion to what is there."""
    return kind.life.wear in ("bearing", "laser", "counts")


def window_days(kind: PartKind) -> float:
    """How far back readings are looked at: three months, and longer for what wears over years."""
    if kind.life.wear == "cells":
        return LONGEST_WINDOW_DAYS
    return min(max(kind.life.growth_days / 4.0, SHORTEST_WINDOW_DAYS), LONGEST_WINDOW_DAYS)


def trend(
    kind: PartKind, signal: Signal, days: FloatArray, values: FloatArray, prior: SlopePrior
) -> Trend | None:
    """Trend at the last of `days` (rising) from readings within the window before it; None with too few.

    Wild single readings are cut to four noises from the median of their five neighbours (Hampel's rule).
    """
    recent = (days > days[-1] - window_days(kind)) & np.isfinite(values) if len(days) else np.zeros(0, bool)
    if int(recent.sum()) < LEAST_POINTS:
        return None
    t = days[recent] - days[-1]
    raw = (values[recent] - signal.usual) / (signal.limit - signal.usual)
    signal = replace(signal, noise=max(signal.noise, _scatter(raw)))
    damage = _tamed(raw, signal.noise)
    line = _line(t, damage, signal.noise)
    z = max(_level_z(signal, damage), _slope_z(line))
    if z < SIGN_Z:
        return Trend(
            signal.metric, line[0], line[1], LONGEST_RUL_DAYS, 2.0, z, len(t),
            signal.usual + line[0] * (signal.limit - signal.usual), line[2], signal.noise,
        )  # fmt: skip
    floor = _floor(signal)
    path = (
        _bent_or_straight(t, damage, signal, floor, prior)
        if feeds_on_itself(kind)
        else _straight(t, damage, signal, prior)
    )
    return Trend(
        signal.metric, path.level, path.slope_per_day,
        min(max(path.rul_days, SHORTEST_RUL_DAYS), LONGEST_RUL_DAYS), path.rul_log_sd, z, len(t),
        signal.usual + path.level * (signal.limit - signal.usual), path.slope_sd, path.level_sd,
        path.growing,
    )  # fmt: skip


def strongest(trends: list[Trend]) -> Trend | None:
    """The signal that tells most: of those with a sign the one that ends soonest, else the clearest."""
    with_sign = [found for found in trends if found.sign]
    if with_sign:
        return min(with_sign, key=lambda found: found.rul_days)
    return max(trends, key=lambda found: found.z, default=None)


def _scatter(damage: FloatArray) -> float:
    """Noise as the readings themselves show it, from one to the next, so that no trend counts as noise."""
    if len(damage) < 2 * LEAST_POINTS:
        return 0.0
    steps = np.diff(damage)
    return float(np.median(np.abs(steps - np.median(steps)))) * 1.4826 / math.sqrt(2.0)


def _tamed(damage: FloatArray, noise: float) -> FloatArray:
    if len(damage) < 5:
        return damage
    padded = np.concatenate([damage[1:3][::-1], damage, damage[-3:-1][::-1]])
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    return np.asarray(np.clip(damage, middle - 4.0 * noise, middle + 4.0 * noise))


def _line(t: FloatArray, y: FloatArray, noise: float) -> tuple[float, float, float]:
    """Least squares: value at t = 0, slope, standard error of the slope."""
    middle = t.mean()
    spread = float(((t - middle) ** 2).sum())
    if spread <= 0.0:
        return float(y.mean()), 0.0, math.inf
    slope = float(((t - middle) * (y - y.mean())).sum() / spread)
    rest = y - y.mean() - slope * (t - middle)
    sd = max(noise, float(np.sqrt((rest**2).sum() / max(len(t) - 2, 1))))
    return float(y.mean() - slope * middle), slope, sd / math.sqrt(spread)


def _level_z(signal: Signal, damage: FloatArray) -> float:
    recent = damage[-5:]
    sd = math.sqrt(signal.spread**2 + signal.noise**2 / len(recent))
    return float(recent.mean()) / sd


def _slope_z(line: tuple[float, float, float]) -> float:
    return line[1] / line[2] if math.isfinite(line[2]) else 0.0


def _floor(signal: Signal) -> float:
    """Damage below this is not told from a sound unit."""
    return 2.0 * math.hypot(signal.spread, signal.noise)


def _posterior(
    t: FloatArray, y: FloatArray, sd: FloatArray, prior: SlopePrior
) -> tuple[float, float, FloatArray]:
    """Bayesian line with known noise: value at t = 0 (flat prior), slope, and their covariance."""
    weight = 1.0 / (sd * sd)
    n, s1, s2 = float(weight.sum()) + 1e-12, float((weight * t).sum()), float((weight * t * t).sum())
    s2 += 1.0 / prior.sigma**2
    y0, y1 = float((weight * y).sum()), float((weight * t * y).sum()) + prior.mean / prior.sigma**2
    whole = n * s2 - s1 * s1
    covariance = np.array([[s2, -s1], [-s1, n]]) / whole
    return (s2 * y0 - s1 * y1) / whole, (n * y1 - s1 * y0) / whole, covariance


def _meets(
    gap: float, slope: float, covariance: FloatArray, spread: float, prior: SlopePrior
) -> tuple[float, float]:
    """Time until a line `gap` below its goal meets it, and the standard error of that time's logarithm (delta rule).

    What is left is uncertain by the line and by the sensor's own offset `spread`; since the part has not failed, it is
    taken as what a normal variable is on average where it is above 0. Wear that stands still for a while is taken to go
    on at a quarter of the usual pace.
    """
    sd = math.sqrt(covariance[0, 0] + spread * spread)
    left = max(_positive_part(gap, sd), 0.1 * sd)
    steep = max(slope, 0.25 * prior.mean, 1e-6, 0.2 * math.sqrt(covariance[1, 1]))
    variance = (sd / left) ** 2 + covariance[1, 1] / steep**2 + 2.0 * covariance[0, 1] / (left * steep)
    return left / steep, math.sqrt(min(max(variance, 1e-4), 9.0))


def _positive_part(mean: float, sd: float) -> float:
    """Expectation of a normal variable cut at 0.

    >>> round(_positive_part(0.0, 1.0), 3), round(_positive_part(5.0, 1.0), 3)
    (0.399, 5.0)
    """
    z = mean / sd
    return mean * 0.5 * math.erfc(-z / math.sqrt(2.0)) + sd * math.exp(-0.5 * z * z) / math.sqrt(
        2.0 * math.pi
    )


@dataclass(frozen=True)
class _Path:
    level: float
    slope_per_day: float
    rul_days: float
    rul_log_sd: float
    slope_sd: float
    level_sd: float
    misfit: float
    """Sum of squared residuals in units of the noise, over the readings since wear shows."""
    growing: bool = False


def _bent_or_straight(
    t: FloatArray, damage: FloatArray, signal: Signal, floor: float, prior: SlopePrior
) -> _Path:
    """Growth in proportion to itself, unless a straight line through the same readings fits clearly better."""
    low = np.flatnonzero(damage <= floor)
    first = min(int(low[-1]) + 1 if len(low) else 0, len(t) - 2)
    bent = _growing(t[first:], damage[first:], signal, floor, prior)
    if len(t) - first < 2 * LEAST_POINTS:
        return bent
    straight = _straight(t[first:], damage[first:], signal, SlopePrior(0.0, STEEPEST_PER_DAY))
    return straight if straight.misfit + CLEARLY < bent.misfit else bent


def _straight(t: FloatArray, damage: FloatArray, signal: Signal, prior: SlopePrior) -> _Path:
    noise = signal.noise
    level, slope, covariance = _posterior(t, damage, np.full(len(t), noise), prior)
    rul, log_sd = _meets(1.0 - level, slope, covariance, signal.spread, prior)
    misfit = float((((damage - level - slope * t) / noise) ** 2).sum())
    return _Path(level, slope, rul, log_sd, *_errors(covariance), misfit)


def _growing(t: FloatArray, damage: FloatArray, signal: Signal, floor: float, prior: SlopePrior) -> _Path:
    """A line through the logarithm, each reading weighed by its noise."""
    noise = signal.noise
    kept = np.maximum(damage, 0.5 * floor)
    value, slope, covariance = _posterior(t, np.log(kept), noise / kept + 0.05, prior)
    level = math.exp(min(value, 1.0))
    rul, log_sd = _meets(-value, slope, covariance, signal.spread / max(level, 0.05), prior)
    misfit = float((((damage - np.exp(np.minimum(value + slope * t, 3.0))) / noise) ** 2).sum())
    return _Path(level, slope * level, rul, log_sd, *_errors(covariance), misfit, growing=True)


def _errors(covariance: FloatArray) -> tuple[float, float]:
    return math.sqrt(covariance[1, 1]), math.sqrt(covariance[0, 0])
