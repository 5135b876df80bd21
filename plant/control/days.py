"""What a site's days bring from outside: requests to its pools, and weather. Deterministic by seed.

Everything is drawn by the day it belongs to, so that any moment can be asked for without what came before it, and a run
that was cut off goes on with the same days. Jobs are in `plant.control.days_jobs`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plant.faults.wire import stable_hash
from plant.inference.trace import read_rates
from plant.site import Site
from plant.specs import Weather

FloatArray = NDArray[np.float64]
MINUTES = 1440
"""Of a day; all series here have one value a minute and run from midnight UTC."""
MEAN_PU = 0.29
"""Mean arrivals over what a sound pool serves at full clock: the highest quarter of an hour of a fortnight, three times the
mean as in ServeGen's m-large rates, then stands at about 0.9 of it."""
MOST_PU = 0.92
"""Arrivals bend off below it: a gateway admits no more, so that a sound pool carries its peak."""
SLOW_MIN = 240
"""Wander that all pools of a site share in part: its users' days."""
KNEE_PU = 0.75
"""Where they begin to bend."""


def rng_of(*parts: object) -> np.random.Generator:
    """A generator of its own for each purpose and day."""
    return np.random.default_rng(stable_hash("|".join(map(str, parts))))


@dataclass(frozen=True)
class Wander:
    """One time scale on which the logarithm of the rate moves."""

    every_min: int
    """Between two independent values; divides a day."""
    sigma: float
    """Standard deviation of the logarithm."""


@dataclass(frozen=True)
class Shape:
    """How a pool's requests go through the days. Fitted to the first seven days of ServeGen's m-large rates, by hand, to
    the figures that `plant.control.days_bench` prints; that service swings by the day's hour no more than 11 % and wanders
    and bursts by three times as much."""

    hour: float = 0.14
    """Amplitude of the logarithm over the hours of the day; highest at 14:30 of the site's time."""
    weekend: float = -0.12
    """Logarithm on Saturdays and Sundays over other days."""
    wanders: tuple[Wander, ...] = (
        Wander(1440, 0.17), Wander(240, 0.13), Wander(60, 0.08), Wander(10, 0.095),
    )  # fmt: skip
    noise: float = 0.05
    """Of each minute alone."""
    bursts_a_day: float = 1.4
    burst_log: tuple[float, float] = (0.3, 1.0)
    """Logarithm of a burst's height: least and most."""
    burst_min: tuple[float, float] = (15.0, 50.0)
    """Minutes in which it falls to a third; it rises within five."""
    shared: float = 0.6
    """Share of the variance of slow wander that all pools of a site have in common."""


class Requests:
    """Arrivals at each pool of a site, requests a second."""

    def __init__(self, site: Site, seed: int, rates: Path | None = None, shape: Shape | None = None) -> None:
        """`rates`: a file of rates (t_s, rps) in place of drawn ones; it is scaled to each pool's mean, each pool starts
        elsewhere in it, and it is played again where it ends. Raises InputError for a file that cannot be read."""
        self._site, self._seed, self._shape = site, seed, shape or Shape()
        self._file = None if rates is None else _Played.of(rates)
        self._day = lru_cache(maxsize=64)(self._drawn)

    def share_pu(self, pool: str, moment: datetime) -> float:
        """Arrivals over what the sound pool serves."""
        minute = moment.astimezone(UTC)
        return float(self.day_pu(pool, minute.date())[minute.hour * 60 + minute.minute])

    def day_pu(self, pool: str, day: date) -> FloatArray:
        """The same for every minute of a UTC day, shape (1440,)."""
        return self._day(pool, day.toordinal())

    def _drawn(self, pool: str, day: int) -> FloatArray:
        if self._file is not None:
            offset_min = stable_hash(f"{self._seed}|{pool}|offset") % self._file.minutes
            return bent(MEAN_PU * self._file.day(day, offset_min))
        shape = self._shape
        log = self._profile(day)
        for wander in shape.wanders:
            common = shape.shared if wander.every_min >= SLOW_MIN else 0.0
            log += wander.sigma * math.sqrt(1.0 - common) * self._wandered(pool, day, wander)
            if common:
                log += wander.sigma * math.sqrt(common) * self._wandered("", day, wander)
        log += self._bursts(pool, day) + self._bursts(pool, day - 1, MINUTES)
        log += shape.noise * rng_of(self._seed, pool, day, "noise").standard_normal(MINUTES)
        return bent(MEAN_PU / self._mean_factor * np.exp(log))

    @property
    def _mean_factor(self) -> float:
        """Mean of the exponential of what wanders and bursts, so that MEAN_PU is the mean."""
        s = self._shape
        variance = sum(w.sigma**2 for w in s.wanders) + s.noise**2 + s.hour**2 / 2
        low, high = s.burst_log
        height = (math.exp(high) - math.exp(low)) / (high - low) - 1.0
        minutes = s.bursts_a_day * sum(s.burst_min) / 2
        return math.exp(variance / 2 + s.weekend * 2 / 7) * (1.0 + 0.8 * height * minutes / MINUTES)

    def _profile(self, day: int) -> FloatArray:
        """By the hour of the site's day and its weekday."""
        midnight = datetime.fromordinal(day).replace(tzinfo=UTC)
        local = midnight.astimezone(self._site.zone)
        hours = local.hour + local.minute / 60 + np.arange(MINUTES) / 60
        weekday = (local.weekday() + (hours // 24).astype(int)) % 7
        swing = self._shape.hour * np.cos(2 * np.pi * (hours - 14.5) / 24)
        return np.asarray(swing + self._shape.weekend * (weekday >= 5), np.float64)

    def _wandered(self, pool: str, day: int, wander: Wander) -> FloatArray:
        """A smooth walk through independent values of unit variance, one each `every_min`, that keeps unit variance
        between them: neighbours are weighted by cosine and sine."""
        values = np.append(self._knots(pool, day, wander), self._knots(pool, day + 1, wander)[:1])
        place, part = np.divmod(np.arange(MINUTES) / wander.every_min, 1.0)
        left, angle = place.astype(int), 0.5 * np.pi * part
        return np.asarray(np.cos(angle) * values[left] + np.sin(angle) * values[left + 1], np.float64)

    def _knots(self, pool: str, day: int, wander: Wander) -> FloatArray:
        drawn = rng_of(self._seed, pool, day, wander.every_min)
        return drawn.standard_normal(MINUTES // wander.every_min)

    def _bursts(self, pool: str, day: int, shift_min: int = 0) -> FloatArray:
        """Bursts that begin on that day, told for the day `shift_min` later."""
        rng, shape = rng_of(self._seed, pool, day, "bursts"), self._shape
        log, minutes = np.zeros(MINUTES), np.arange(MINUTES) + shift_min
        for _ in range(rng.poisson(shape.bursts_a_day)):
            at, height = rng.uniform(0, MINUTES), rng.uniform(*shape.burst_log)
            tail_min = rng.uniform(*shape.burst_min)
            since = minutes - at
            rise = np.clip(since / 5.0, 0.0, 1.0)
            log += np.where(since >= 0, height * rise * np.exp(-np.maximum(since - 5.0, 0.0) / tail_min), 0.0)
        return log


def bent(share_pu: FloatArray) -> FloatArray:
    """Unchanged up to KNEE_PU, beyond it towards MOST_PU and never above."""
    room = MOST_PU - KNEE_PU
    over = np.maximum(share_pu - KNEE_PU, 0.0)
    return np.asarray(np.minimum(share_pu, KNEE_PU) + room * (1.0 - np.exp(-over / room)), np.float64)


@dataclass(frozen=True)
class _Played:
    """A file of rates by the minute, over its mean."""

    values: FloatArray

    @classmethod
    def of(cls, path: Path) -> _Played:
        t_s, rps = read_rates(path)
        end_s = t_s[-1] + (t_s[-1] - t_s[-2] if len(t_s) > 1 else 600.0)
        minutes = np.arange(t_s[0], end_s, 60.0)
        values = rps[np.maximum(np.searchsorted(t_s, minutes, side="right") - 1, 0)]
        return cls(values / values.mean() if values.mean() > 0 else values)

    @property
    def minutes(self) -> int:
        return len(self.values)

    def day(self, day: int, offset_min: int) -> FloatArray:
        return self.values[(np.arange(MINUTES) + day * MINUTES + offset_min) % len(self.values)]


# ---- weather -----------------------------------------------------------------------------------------------------

SEASON_K, WARMEST_DAY = 9.0, 201
"""Mean of July less mean of the year, and the warmest day of the year (20 July): inland places between 40 and 55 degrees
north (Frankfurt 1991-2020: 20.3 C against 11.0 C [remembered]). Site files give no latitude; the southern half of the
world is not modelled."""
DAILY_K = 3.0
"""Standard deviation of a day's mean about its season's."""
MEMORY = (0.75, 0.55, 0.36)
"""Weights of a day and the two before it in its mean: weather lasts for days. Their squares sum to 1."""


@dataclass(frozen=True)
class Air:
    """Air outside on one day of the site's time."""

    dry_mean_c: float
    wet_mean_c: float
    swing_k: float
    """Between night and day."""


class Days:
    """The weather of a site by day: its file's yearly mean, season, and what each day adds."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site, self._seed = site, seed
        self._day = lru_cache(maxsize=64)(self._drawn)

    def air(self, moment: datetime) -> Air:
        """Between the days' values, so that no midnight jumps."""
        local = moment.astimezone(self._site.zone)
        noon = local.toordinal() + (local.hour + local.minute / 60) / 24 - 0.5
        day = math.floor(noon)
        part, one, two = noon - day, self._day(day), self._day(day + 1)
        return Air(*(a + part * (b - a) for a, b in zip(_figures(one), _figures(two), strict=True)))

    def _drawn(self, day: int) -> Air:
        weather, drift = self._site.weather, self._drift(day)
        season = SEASON_K * math.cos(
            2 * math.pi * (date.fromordinal(day).timetuple().tm_yday - WARMEST_DAY) / 365.25
        )
        clear = float(np.clip(1.0 + 0.35 * rng_of(self._seed, day, "clear").standard_normal(), 0.3, 1.7))
        dry_c = weather.dry_bulb_c + season + DAILY_K * drift
        return Air(dry_c, dry_c - _depression_k(weather, dry_c), weather.swing_k * clear)

    def _drift(self, day: int) -> float:
        drawn = [rng_of(self._seed, day - back, "weather").standard_normal() for back in range(len(MEMORY))]
        return float(np.dot(MEMORY, drawn))


def _figures(air: Air) -> Sequence[float]:
    return air.dry_mean_c, air.wet_mean_c, air.swing_k


def _depression_k(weather: Weather, dry_c: float) -> float:
    """Dry bulb less wet bulb: the file's on a day of its mean, 6 % more for each kelvin above: at equal relative humidity
    it grows with the air's capacity for water."""
    usual_k = weather.dry_bulb_c - weather.wet_bulb_c
    return usual_k * math.exp(0.06 * (dry_c - weather.dry_bulb_c))


def at_hour(day: date, hour: float, site: Site) -> datetime:
    """That hour of that day of the site's time, in UTC; hours past 24 are of the next day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=site.zone)
    return (midnight + timedelta(hours=hour)).astimezone(UTC)
