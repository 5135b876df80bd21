"""The forecaster: simple forecasts weighed for each horizon by what they were worth on the series itself.

A convex combination for each of some horizons, learned on absolute errors in a logarithmic scale, with conformal
intervals scaled by how restless the series is. Chosen by measurement over gradient boosting (`boosting`, `bench`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plant.control.forecast.baselines import FloatArray, persistence, seasonal_naive
from plant.control.forecast.combine import convex_weights
from plant.control.forecast.experts import DAY_S, NAMES, Experts, IntArray, fill
from plant.control.forecast.intervals import offsets, restlessness
from plant.control.forecast.known import effect_of
from plant.control.forecast.peak import Peak, peak_ahead
from plant.control.forecast.scale import Scale, scale_of
from setpoint.errors import InputError, UsageError

__all__ = ["Bands", "Forecaster", "Peak", "persistence", "seasonal_naive"]

LEAST_DAYS = 1.25
"""With less history there is no earlier day to learn from: the last value stands, with wide bands."""
KNOTS = 18
"""Horizons that weights are learned at; between them they are interpolated over the logarithm of the horizon."""
MOST_ORIGINS = 1500
"""Per horizon; longer histories are sampled evenly."""
FOLDS = 6
HELD_S = 3_600.0
"""A gap is closed by the last value for so long, then by the day before."""
FEW_SPREAD_PU = 0.3
"""Half-width of the bands, of the value, where the history says nothing about its changes."""
TRACKED_DAYS = 2.0
"""Errors since the fit that are taken into the intervals."""


@dataclass(frozen=True)
class Bands:
    """Values ahead, first one step after the last of the history, with the interval that holds each with `level`."""

    expected: FloatArray
    low: FloatArray
    high: FloatArray
    level: float = 0.9


@dataclass(frozen=True)
class _Learned:
    """What a fit leaves behind."""

    scale: Scale
    effect: FloatArray
    """Change of the series by unit of each covariate, (k,)."""
    known: FloatArray
    """Covariates of the history, (n, k)."""
    end: datetime
    """Of the last reading learned from."""
    knots: IntArray
    weights: FloatArray
    """(knots, experts)."""
    errors: FloatArray
    """What forecasts missed by that did not know what came, (origins, knots), in the scale's units."""
    error_times_s: FloatArray
    """Of the origins, in seconds relative to `end`."""


class Forecaster:
    """Forecasts one quantity. `fit` about once a day, `predict` as often as one likes; `predict` changes nothing."""

    def __init__(self, step_s: float, horizon_steps: int, *, level: float = 0.9) -> None:
        if step_s <= 0 or horizon_steps < 1 or not 0.0 < level < 1.0:
            raise UsageError(
                f"step {step_s:g} s, {horizon_steps} steps ahead and level {level:g} cannot be forecast",
                remedy="Give a positive step, one step or more, and a level between 0 and 1",
            )
        self.step_s, self.horizon_steps, self.level = step_s, horizon_steps, level
        self._learned: _Learned | None = None
        self._plain: Forecaster | None = None
        """Without covariates, for steps that they are not known for."""

    @property
    def method(self) -> str:
        """How it forecasts at present, in a few words."""
        if self._learned is None:
            return "last value (less than 30 h of history), spread of past changes"
        return "weighted simple forecasts, conformal interval"

    def fit(self, values: FloatArray, start: datetime, known: FloatArray | None = None) -> Self:
        """Learn from `values` (n,), one per step from the aware `start` on, NaN for gaps.

        `known` (n, k): what is also known ahead, such as the load of scheduled jobs. With little history nothing is
        learned and the last value stands. Raises InputError where nothing was read or shapes do not agree.
        """
        values, table = _checked(values, start), _table(known, len(values), "known")
        self._learned = None
        self._plain = None
        if table.shape[1]:
            self._plain = Forecaster(self.step_s, self.horizon_steps, level=self.level).fit(values, start)
        if np.isfinite(values).sum() * self.step_s >= LEAST_DAYS * DAY_S:
            self._learned = self._learn(values, start, table)
        return self

    def predict(
        self,
        values: FloatArray,
        start: datetime,
        known_ahead: FloatArray | None = None,
        known: FloatArray | None = None,
    ) -> Bands:
        """Forecast from the end of `values` (n,): the readings up to now, as in `fit`; best a week of them or more.

        `known_ahead` (horizon, k) and `known` (n, k): covariates ahead and of the past, where `fit` had them. Without
        `known` those of the fit are used, since then unchanged; without `known_ahead` the last stand. Steps of
        `known_ahead` with a NaN, such as those beyond what a scheduler announces, are forecast without covariates.
        Raises InputError as `fit`, and where the covariates are not those of the fit.
        """
        values = _checked(values, start)
        if self._learned is None:
            return self._few(values)
        unknown = _unknown(known_ahead, self.horizon_steps)
        past, ahead = self._covariates(
            self._learned, len(values), self._last(values, start), known_ahead, known
        )
        bands = self._told(
            self._learned, values, start, past @ self._learned.effect, ahead @ self._learned.effect
        )
        if self._plain is None or not unknown.any():
            return bands
        plain = self._plain.predict(values, start)
        return Bands(
            np.where(unknown, plain.expected, bands.expected),
            np.where(unknown, plain.low, bands.low),
            np.where(unknown, plain.high, bands.high),
            self.level,
        )

    def peak(
        self,
        values: FloatArray,
        start: datetime,
        known_ahead: FloatArray | None = None,
        known: FloatArray | None = None,
    ) -> Peak:
        """The highest value of the horizon, at most of a day, as a distribution. Arguments and errors as `predict`.

        Raises InputError also with less than a day of readings.
        """
        values = _checked(values, start)
        if len(values) < self._day:
            raise InputError(
                f"a day's peak needs {self._day} steps of history, {len(values)} are given",
                remedy="Give a day or more",
            )
        steps = min(self._day, self.horizon_steps)
        if self._plain is not None and _unknown(known_ahead, self.horizon_steps)[:steps].any():
            return self._plain.peak(values, start)
        effect = self._learned.effect if self._learned is not None else np.zeros(0)
        now = self._last(values, start)
        past, ahead = self._covariates(self._learned, len(values), now, known_ahead, known)
        rest = fill(values - past @ effect, self._day, self._held)
        return peak_ahead(rest, past @ effect, (ahead @ effect)[:steps], self._day, self.level)

    def _told(
        self, learned: _Learned, values: FloatArray, start: datetime, known: FloatArray, coming: FloatArray
    ) -> Bands:
        """Bands of what is left of the series without `known` (n,), with `coming` (horizon,) added again."""
        series = learned.scale.to(values - known)
        view = Experts(fill(series, self._day, self._held), self.step_s)
        last, at = view.series[-1], len(series) - 1
        steps = np.arange(1, self.horizon_steps + 1)
        experts = view.at(np.full(len(steps), at), steps)
        expected = last + ((experts - last) * _between(learned.knots, learned.weights, steps)).sum(axis=1)
        low, high = self._spread(learned, view, series, self._last(values, start))
        least, middle, most = (
            learned.scale.back(end) + coming for end in (expected + low, expected, expected + high)
        )
        return Bands(middle, np.minimum(least, middle), np.maximum(most, middle), self.level)

    def _last(self, values: FloatArray, start: datetime) -> datetime:
        """When the last step of `values` begins."""
        return start + timedelta(seconds=(len(values) - 1) * self.step_s)

    @property
    def _day(self) -> int:
        return max(1, round(DAY_S / self.step_s))

    @property
    def _held(self) -> int:
        return max(1, round(HELD_S / self.step_s))

    def _learn(self, values: FloatArray, start: datetime, table: FloatArray) -> _Learned:
        effect = effect_of(values, table, self.step_s)
        scale = scale_of(values, additive=bool(effect.any()))
        series = scale.to(values - table @ effect)
        view = Experts(fill(series, self._day, self._held), self.step_s)
        knots = _knots(self.horizon_steps, len(series))
        folds = _folds(len(series), self._day)
        weights = np.zeros((len(knots), len(NAMES)))
        origins = _sampled(np.arange(folds[0], len(series) - 1))
        errors = np.full((len(origins), len(knots)), np.nan)
        for column, ahead in enumerate(knots):
            weights[column], errors[:, column] = _learn_knot(view, series, int(ahead), folds, origins)
        times_s = (origins - (len(series) - 1)).astype(np.float64) * self.step_s
        return _Learned(scale, effect, table, self._last(values, start), knots, weights, errors, times_s)

    def _covariates(
        self,
        learned: _Learned | None,
        length: int,
        now: datetime,
        known_ahead: FloatArray | None,
        known: FloatArray | None,
    ) -> tuple[FloatArray, FloatArray]:
        """Covariates of the past (length, k) and ahead (horizon, k); k is 0 where none were learned."""
        size = len(learned.effect) if learned is not None else 0
        if learned is None or not size:
            return np.zeros((length, 0)), np.zeros((self.horizon_steps, 0))
        since = round((now - learned.end).total_seconds() / self.step_s)
        past = (
            _table(known, length, "known") if known is not None else _remembered(learned.known, length, since)
        )
        ahead = np.tile(past[-1], (self.horizon_steps, 1)) if known_ahead is None else known_ahead
        ahead = _table(ahead, self.horizon_steps, "known_ahead")
        if past.shape[1] != size or ahead.shape[1] != size:
            raise InputError(
                f"learned with {size} covariates, given {past.shape[1]} of the past and {ahead.shape[1]} ahead",
                remedy="Give the same columns to fit and predict",
            )
        return past, ahead

    def _spread(
        self, learned: _Learned, view: Experts, series: FloatArray, now: datetime
    ) -> tuple[FloatArray, FloatArray]:
        """Low and high beside the forecast for every step, from errors up to `now`."""
        since_s = (now - learned.end).total_seconds()
        errors, times_s = learned.errors, learned.error_times_s - since_s
        fresh = self._fresh(learned, view, series, since_s)
        if fresh is not None:
            errors, times_s = np.vstack([errors, fresh[0]]), np.concatenate([times_s, fresh[1]])
        restless = restlessness(view.series, self.step_s)
        at = np.round(times_s / self.step_s).astype(np.int64) + len(series) - 1
        then = np.where(at >= 0, restless[np.maximum(at, 0)], restless.mean())
        ahead_days = learned.knots.astype(np.float64) * self.step_s / DAY_S
        low, high = offsets(errors / then[:, None], -times_s / DAY_S, ahead_days, self.level)
        low, high = (restless[-1] * self._widened(learned.knots, end) for end in (low, high))
        return low, high

    def _fresh(
        self, learned: _Learned, view: Experts, series: FloatArray, since_s: float
    ) -> tuple[FloatArray, FloatArray] | None:
        """Errors of the forecasts that would have been made since the fit, and their times relative to now."""
        steps = int(min(since_s, TRACKED_DAYS * DAY_S) // self.step_s)
        origins = _sampled(np.arange(max(0, len(series) - 1 - steps), len(series) - 1), 150)
        if not len(origins):
            return None
        count = len(learned.knots)
        errors = _missed(
            view,
            series,
            np.repeat(origins, count),
            np.tile(learned.knots, len(origins)),
            np.tile(learned.weights, (len(origins), 1)),
        )
        times_s = (origins - (len(series) - 1)).astype(np.float64) * self.step_s
        return errors.reshape(len(origins), count), times_s

    def _widened(self, knots: IntArray, offset: FloatArray) -> FloatArray:
        """Offsets at knots carried to every step; where the history was too short for a horizon they grow as its root."""
        steps = np.arange(1, self.horizon_steps + 1)
        told = np.isfinite(offset)
        if not told.any():
            return np.zeros(self.horizon_steps)
        between = np.interp(np.log(steps), np.log(knots[told]), offset[told])
        carried: FloatArray = between * np.sqrt(np.maximum(1.0, steps / knots[told][-1]))
        return carried

    def _few(self, values: FloatArray) -> Bands:
        """The last value, as wide as the changes seen, at least FEW_SPREAD_PU of it over the horizon's end."""
        expected = persistence(values, self.horizon_steps)
        steps = np.arange(1, self.horizon_steps + 1)
        seen = [
            (ahead, float(np.quantile(changes, self.level)))
            for ahead in _knots(self.horizon_steps, len(values))
            if len(changes := _changes(values, int(ahead))) >= 2 * ahead + 5
        ]
        hour = np.sqrt(np.minimum(1.0, steps * self.step_s / HELD_S))
        spread = FEW_SPREAD_PU * np.abs(expected) * hour
        if seen:
            knots, widths = np.array([a for a, _ in seen]), np.array([w for _, w in seen])
            walk = np.interp(np.log(steps), np.log(knots), widths) * np.sqrt(
                np.maximum(1.0, steps / knots[-1])
            )
            spread = np.maximum(spread, walk)
        low = expected - spread
        return Bands(
            expected, np.maximum(low, 0.0) if np.nanmin(values) >= 0 else low, expected + spread, self.level
        )


def _learn_knot(
    view: Experts, series: FloatArray, ahead: int, folds: list[int], errors_at: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Weights for one horizon from the whole history, and the errors at `errors_at` of weights that came before them."""
    every = np.arange(min(view.day, folds[0]), len(series) - ahead)
    origins = _sampled(every)
    experts, last = view.at(origins, np.full(len(origins), ahead)), view.series[origins]
    came = series[origins + ahead]
    errors = np.full(len(errors_at), np.nan)
    for begin, end in zip(folds, [*folds[1:], len(series)], strict=True):
        before = origins + ahead < begin
        weights = convex_weights(experts[before], last[before], came[before])
        inside = (errors_at >= begin) & (errors_at < end)
        asked = errors_at[inside]
        errors[inside] = _missed(view, series, asked, np.full(len(asked), ahead), weights)
    return convex_weights(experts, last, came), errors


def _missed(
    view: Experts, series: FloatArray, origins: IntArray, ahead: IntArray, weights: FloatArray
) -> FloatArray:
    """What came less what was forecast, by weights (rows, experts) or (experts,); NaN where nothing was read or has come."""
    last = view.series[origins]
    forecast = last + ((view.at(origins, ahead) - last[:, None]) * weights).sum(axis=1)
    due = origins + ahead
    came = np.where(due < len(series), series[np.minimum(due, len(series) - 1)], np.nan)
    return np.asarray(came - forecast)


def _between(knots: IntArray, weights: FloatArray, steps: IntArray) -> FloatArray:
    """Weights (knots, experts) carried to every step."""
    columns = [np.interp(np.log(steps), np.log(knots), column) for column in weights.T]
    return np.stack(columns, axis=1)


def _knots(horizon: int, length: int) -> IntArray:
    """Horizons to learn at: all of the first few, then ever wider apart, none beyond what the history can show."""
    most = max(1, min(horizon, length // 2))
    return np.unique(np.round(np.geomspace(1, most, min(KNOTS, most))).astype(np.int64))


def _folds(length: int, day: int) -> list[int]:
    """Where each stretch of the history begins whose errors are those of weights learned before it."""
    first = min(max(day + day // 4, length // 4), length - 2)
    count = max(1, min(FOLDS, (length - first) // max(1, day // 2)))
    return [int(begin) for begin in np.linspace(first, length, count, endpoint=False)]


def _sampled(origins: IntArray, most: int = MOST_ORIGINS) -> IntArray:
    """At most `most` of them, evenly, the latest always among them."""
    stride = max(1, -(-len(origins) // most))
    return origins[::-1][::stride][::-1]


def _changes(values: FloatArray, ahead: int) -> FloatArray:
    apart = np.abs(values[ahead:] - values[:-ahead])
    return apart[np.isfinite(apart)]


def _checked(values: FloatArray, start: datetime) -> FloatArray:
    values = np.asarray(values, dtype=np.float64)
    if start.tzinfo is None:
        raise InputError(f"{start.isoformat()} has no zone", remedy="Give the start as an aware datetime")
    if values.ndim != 1 or not np.isfinite(values).any():
        raise InputError(
            f"nothing was read in {values.size} steps", remedy="Check the sensor or give more history"
        )
    return np.where(np.isfinite(values), values, np.nan)


def _unknown(known_ahead: FloatArray | None, horizon: int) -> NDArray[np.bool_]:
    """Steps that some covariate is not known for."""
    if known_ahead is None:
        return np.zeros(horizon, dtype=bool)
    return np.asarray(np.isnan(_shaped(known_ahead, horizon, "known_ahead")).any(axis=1), dtype=np.bool_)


def _remembered(known: FloatArray, length: int, since: int) -> FloatArray:
    """Covariates of the `length` steps that end `since` steps after those of the fit: before and after, the nearest."""
    at = np.arange(length) + len(known) + since - length
    return known[np.clip(at, 0, len(known) - 1)]


def _table(known: FloatArray | None, length: int, name: str) -> FloatArray:
    """Covariates as (length, k); where one is not known it counts as 0."""
    return (
        np.nan_to_num(_shaped(known, length, name), nan=0.0) if known is not None else np.zeros((length, 0))
    )


def _shaped(known: FloatArray, length: int, name: str) -> FloatArray:
    table = np.asarray(known, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != length:
        raise InputError(
            f"{name} has shape {np.shape(known)}; {length} rows are needed",
            remedy="Give one row for each step",
        )
    return table
