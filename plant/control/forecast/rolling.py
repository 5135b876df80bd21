"""A forecast tried on days it has not seen: made again and again as time passes, learned anew once a day, and held
against the last value, the same time yesterday and the same time last week.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from plant.control.forecast.baselines import FloatArray, persistence, seasonal_naive
from plant.control.forecast.experts import DAY_S, IntArray
from plant.control.forecast.intervals import weighted_quantile
from plant.control.forecast.model import Bands, Forecaster
from plant.control.forecast.peak import Peak

BASELINES = ("last value", "same time yesterday", "same time last week")
RESAMPLES = 2000
LEVEL = 0.9

Known = Callable[[int], tuple[FloatArray, FloatArray]]
"""Covariates as they were known at a step: those of the past (step, k), and those ahead (horizon, k)."""


@dataclass(frozen=True)
class Tried:
    """Forecasts for a few horizons at many origins, beside what came."""

    ahead: IntArray
    """Horizons in steps, (m,)."""
    step_s: float
    came: FloatArray
    """(origins, m); NaN beyond the series."""
    ours: FloatArray
    low: FloatArray
    high: FloatArray
    baselines: dict[str, FloatArray]
    naive_width: FloatArray
    """Width of the interval of the last value, from all its earlier changes (split conformal), (origins, m)."""
    naive_inside: FloatArray
    """1 where that interval held, 0 where not."""
    fit_s: list[float] = field(default_factory=list)
    predict_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class PeakTried:
    """Peaks of the next day forecast at many moments, beside what came."""

    came: FloatArray
    found: tuple[Peak, ...]
    yesterday: FloatArray
    last_week: FloatArray
    """NaN with less than eight days of history."""


def roll(
    values: FloatArray, start: datetime, step_s: float, ahead: IntArray, first: int, *,
    every: int = 1, most_history: int | None = None, known: Known | None = None,
) -> Tried:  # fmt: skip
    """Forecast from each `every`th step from `first` on. Only what lies before an origin is used for it.

    `most_history`: steps that the forecaster is given; None: all.
    """
    rolling = _Rolling(values, start, step_s, ahead, most_history, known)
    rows = [
        rolling.row(origin)
        for origin in range(first, len(values) - 1, every)
        if np.isfinite(values[origin - 1])
    ]
    came, bands, plain, naive = zip(*rows, strict=True)
    at = ahead - 1
    return Tried(
        ahead,
        step_s,
        np.array(came),
        np.array([one.expected[at] for one in bands]),
        np.array([one.low[at] for one in bands]),
        np.array([one.high[at] for one in bands]),
        {name: np.array([row[k] for row in plain]) for k, name in enumerate(BASELINES)},
        np.array([width for width, _ in naive]),
        np.array([inside for _, inside in naive]),
        rolling.fit_s,
        rolling.predict_s,
    )


def joined(tried: Sequence[Tried]) -> Tried:
    """Trials of several series under one, origins one after another."""

    def all_of(part: Callable[[Tried], FloatArray]) -> FloatArray:
        return np.concatenate([part(one) for one in tried])

    return Tried(
        tried[0].ahead,
        tried[0].step_s,
        all_of(lambda one: one.came),
        all_of(lambda one: one.ours),
        all_of(lambda one: one.low),
        all_of(lambda one: one.high),
        {name: np.concatenate([one.baselines[name] for one in tried]) for name in BASELINES},
        all_of(lambda one: one.naive_width),
        all_of(lambda one: one.naive_inside),
        [spent for one in tried for spent in one.fit_s],
        [spent for one in tried for spent in one.predict_s],
    )


_Row = tuple[FloatArray, Bands, list[FloatArray], tuple[FloatArray, FloatArray]]


class _Rolling:
    """Goes through the origins with one forecaster, learning anew once a day."""

    def __init__(
        self, values: FloatArray, start: datetime, step_s: float, ahead: IntArray, most_history: int | None, known: Known | None
    ) -> None:  # fmt: skip
        self.values, self.start, self.step_s, self.ahead = values, start, step_s, ahead
        self.most_history, self.known = most_history, known
        self.day = round(DAY_S / step_s)
        self.fit_s: list[float] = []
        self.predict_s: list[float] = []
        self._model = Forecaster(step_s, int(max(ahead)), level=LEVEL)
        self._learned_at = -self.day

    def row(self, origin: int) -> _Row:
        """What came, our bands, the baselines and the naive interval at one origin."""
        due = origin - 1 + self.ahead
        came = np.where(due < len(self.values), self.values[np.minimum(due, len(self.values) - 1)], np.nan)
        return came, self._bands(origin), self._plain(origin), _naive(self.values[:origin], self.ahead, came)

    def _bands(self, origin: int) -> Bands:
        since = 0 if self.most_history is None else max(0, origin - self.most_history)
        past, begins = self.values[since:origin], self.start + timedelta(seconds=since * self.step_s)
        before, coming = self.known(origin) if self.known is not None else (None, None)
        before = before[since:] if before is not None else None
        begun = time.process_time()
        if origin - self._learned_at >= self.day:
            self._learned_at = origin
            self._model.fit(past, begins, before)
            self.fit_s.append(time.process_time() - begun)
            begun = time.process_time()
        bands = self._model.predict(past, begins, coming, before)
        self.predict_s.append(time.process_time() - begun)
        return bands

    def _plain(self, origin: int) -> list[FloatArray]:
        past, horizon = self.values[:origin], int(max(self.ahead))
        forecasts = [
            persistence(past, horizon),
            *(seasonal_naive(past, horizon, days * self.day) for days in (1, 7)),
        ]
        return [forecast[self.ahead - 1] for forecast in forecasts]


def _naive(past: FloatArray, ahead: IntArray, came: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Width of the last value's conformal interval at each horizon, and whether it held (NaN where nothing came)."""
    last = persistence(past, 1)[0]
    widths, inside = np.full(len(ahead), np.nan), np.full(len(ahead), np.nan)
    for column, steps in enumerate(ahead):
        changes = np.abs(past[steps:] - past[:-steps])
        changes = changes[np.isfinite(changes)]
        half = weighted_quantile(changes, np.ones(len(changes)), LEVEL)
        widths[column] = min(2 * half, half + last) if last >= 0 else 2 * half
        inside[column] = np.nan if np.isnan(came[column]) else float(abs(came[column] - last) <= half)
    return widths, inside


def roll_peaks(
    values: FloatArray, start: datetime, step_s: float, first: int, every: int, known: Known | None = None
) -> PeakTried:
    """Forecast the peak of the next day from each `every`th step from `first` on."""
    day = round(DAY_S / step_s)
    model, rows, learned_at = Forecaster(step_s, day, level=LEVEL), [], -day
    for origin in range(first, len(values) - day + 1, every):
        past = values[:origin]
        before, coming = known(origin) if known is not None else (None, None)
        if before is not None and origin - learned_at >= day:  # without covariates a peak needs no fit
            learned_at = origin
            model.fit(past, start, before)
        came, yesterday = float(np.nanmax(values[origin : origin + day])), float(np.nanmax(past[-day:]))
        week = float(np.nanmax(past[-7 * day : -6 * day])) if origin >= 7 * day else float("nan")
        rows.append((came, model.peak(past, start, coming, before), yesterday, week))
    peaks, found, yesterdays, weeks = zip(*rows, strict=True)
    return PeakTried(np.array(peaks), tuple(found), np.array(yesterdays), np.array(weeks))


def error_pu(forecast: FloatArray, came: FloatArray) -> FloatArray:
    """Absolute error over what came."""
    return np.abs(forecast - came) / np.abs(came)


def difference(ours: FloatArray, other: FloatArray, block: int, seed: int) -> tuple[float, float, float]:
    """Mean of `ours` less `other` over the same moments, and its 90 % interval by resampling blocks of `block` of them.

    Moving blocks keep what neighbouring errors share (Kuensch, Ann. Stat. 17, 1989, 1217-1241).
    """
    apart = (ours - other)[np.isfinite(ours - other)]
    block = max(1, min(block, len(apart) // 2))
    rng = np.random.default_rng(seed)
    begins = rng.integers(0, len(apart) - block + 1, size=(RESAMPLES, -(-len(apart) // block)))
    sums = np.concatenate([[0.0], np.cumsum(apart)])
    means = (sums[begins + block] - sums[begins]).sum(axis=1) / (begins.shape[1] * block)
    low, high = np.quantile(means, (0.05, 0.95))
    return float(apart.mean()), float(low), float(high)
