"""Simulated lives of parts, from wear that grows by the physics of each kind to the reading a sensor gives.

A fleet is seen as an operator sees one: units of all ages when the record begins, some of them replaced by the
calendar, most still running when it ends. The time each would have failed at is kept beside it, for judging alone.
All times in days of age.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.parts import DAYS_A_YEAR, PartKind, Signal

FloatArray = NDArray[np.float64]
End = Literal["wear", "sudden", "replaced", "running"]
STEP_DAYS = 3.0
"""Between two readings of a record (the mean of a day)."""
MONTH_DAYS = 30.0
FIRST_DAMAGE = 0.02
"""Damage with which a crack, a dark spot or a weak row is born."""
LONGEST_DAYS = 12_000.0
MISSED, SPIKED = 0.04, 0.004
"""Shares of readings that are lost and that are wild."""


@dataclass(frozen=True)
class Setting:
    """The world a fleet lives in."""

    stress_mean: float = 0.0
    """Of the natural logarithm of stress (load, temperature, dust) over the usual."""
    stress_sigma: float = 0.25
    pace: float = 1.0
    """Factor on how fast everything wears."""
    noise: float = 1.0
    """Factor on the sensors' noise."""
    sudden: float = 1.0
    """Factor on failures without a sign."""
    oldest_days: float = 2200.0
    """Ages are even between 0 and this when the record begins."""
    record_days: float = 1095.0
    by_calendar: float = 0.3
    """Share of units that are replaced at a fixed age."""


USUAL = Setting()
SHIFTED = Setting(stress_mean=0.2, stress_sigma=0.35, pace=1.25, noise=1.5, sudden=1.5, oldest_days=1500.0)
"""A harder site than the forecast was made for: hotter and dirtier, worse sensors, more failures out of the blue."""


@dataclass(frozen=True)
class Lifetime:
    """One unit from the beginning of its record."""

    kind: str
    stress: float
    """Natural logarithm of its stress over the usual; measured."""
    from_days: float
    """Age when the record begins."""
    ended_days: float
    """Age when it ends."""
    end: End
    days: FloatArray
    """Ages of the readings."""
    readings: Mapping[str, FloatArray]
    """By metric, NaN where one was lost."""
    fails_days: float
    """Age at which it fails if let run, known to the simulation alone."""

    @property
    def failed(self) -> bool:
        return self.end in ("wear", "sudden")


def fleet(kind: PartKind, units: int, seed: int, setting: Setting = USUAL) -> list[Lifetime]:
    """So many units that are alive when the record begins; the same for a seed."""
    rng = np.random.default_rng([seed, sum(kind.name.encode())])
    found: list[Lifetime] = []
    for _ in range(200 * units):
        if len(found) == units:
            break
        unit = _unit(kind, rng, setting)
        if unit is not None:
            found.append(unit)
    return found


def _unit(kind: PartKind, rng: np.random.Generator, setting: Setting) -> Lifetime | None:
    """One unit, or None where it fails before the record begins."""
    stress = setting.stress_mean + setting.stress_sigma * rng.standard_normal()
    ages, damage = wear_path(kind, stress, rng, setting.pace)
    worn = float(ages[np.argmax(damage >= 1.0)]) if (damage >= 1.0).any() else math.inf
    rate = kind.life.sudden_per_year * setting.sudden / DAYS_A_YEAR
    sudden = float(rng.exponential(1.0 / rate))
    fails = min(worn, sudden)
    begin = float(rng.uniform(0.0, _oldest(kind, setting)))
    planned = _calendar(kind, rng, setting)
    if min(fails, planned) <= begin + STEP_DAYS:
        return None
    last = min(fails, planned, begin + setting.record_days)
    end: End = (
        ("wear" if worn <= sudden else "sudden")
        if last == fails
        else "replaced"
        if last == planned
        else "running"
    )
    seen = (ages >= begin) & (ages < last)
    told = {
        signal.metric: _told(kind, signal.metric, damage, seen, rng, setting)
        for signal in _fitted_out(kind, rng)
    }
    return Lifetime(kind.name, stress, begin, last, end, ages[seen], told, fails)


def _fitted_out(kind: PartKind, rng: np.random.Generator) -> tuple[Signal, ...]:
    """Sites differ in what they read: sensors, or what a controller works out, or both."""
    ways = [tuple(s for s in kind.signals if s.exact == exact) for exact in (False, True)]
    ways = [way for way in (*ways, kind.signals) if way]
    return ways[int(rng.integers(len(ways)))]


def _oldest(kind: PartKind, setting: Setting) -> float:
    """Consumables that last a year are not found six years old."""
    return min(setting.oldest_days, 2.0 * kind.fixed_days)


def _calendar(kind: PartKind, rng: np.random.Generator, setting: Setting) -> float:
    if rng.random() >= setting.by_calendar:
        return math.inf
    return float(kind.fixed_days * rng.uniform(0.85, 1.3))


def wear_path(
    kind: PartKind, stress: float, rng: np.random.Generator, pace: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Ages and damage of one unit from new, until damage passes 1 or for a third of a century."""
    life, ages = kind.life, np.arange(0.0, LONGEST_DAYS, STEP_DAYS)
    faster = math.exp(life.stress_exponent * stress) * pace
    moves = _pace(len(ages), life.wander, rng) * faster
    if life.wear == "cells":
        damage = _cells(ages, moves, stress, rng, life.growth_sigma)
    elif life.wear == "clogging":
        lasts = life.growth_days * math.exp(life.growth_sigma * rng.standard_normal())
        damage = _clogging(ages, moves, lasts)
    else:
        onset = life.onset_days * rng.weibull(life.onset_shape) / faster
        lasts = life.growth_days * math.exp(life.growth_sigma * rng.standard_normal())
        damage = _growth(ages, moves, onset, lasts)
    stop = int(np.argmax(damage >= 1.0)) + 1 if (damage >= 1.0).any() else len(ages)
    return ages[:stop], damage[:stop]


def _pace(steps: int, wander: float, rng: np.random.Generator) -> FloatArray:
    """Pace of wear, mean 1: the exponential of an autoregression that forgets itself in a month."""
    from scipy.signal import lfilter

    keep = math.exp(-STEP_DAYS / MONTH_DAYS)
    shocks = rng.standard_normal(steps) * math.sqrt(1.0 - keep * keep)
    shocks[0] = rng.standard_normal()
    walk = lfilter([1.0], [1.0, -keep], shocks)
    return np.asarray(np.exp(wander * walk - 0.5 * wander * wander))


def _growth(ages: FloatArray, moves: FloatArray, onset: float, lasts: float) -> FloatArray:
    """Nothing until the flaw is born, then growth in proportion to itself (Paris' law with an exponent of 2 for the
    stress intensity, whose crack length grows exponentially; optical dark lines and weak memory rows likewise)."""
    rate = math.log(1.0 / FIRST_DAMAGE) / lasts
    grown = np.cumsum(np.where(ages >= onset, moves, 0.0)) * STEP_DAYS
    exponent = np.minimum(rate * grown + math.log(FIRST_DAMAGE), 1.0)
    return np.where(ages >= onset, np.exp(exponent), 0.0)


def _clogging(ages: FloatArray, moves: FloatArray, lasts: float) -> FloatArray:
    """Deposit grows with what flows through, more in the dusty half of the year; resistance grows faster than the
    deposit, since passages close (power 1.5, assumed)."""
    season = 1.0 + 0.25 * np.sin(2.0 * math.pi * ages / DAYS_A_YEAR)
    load = np.cumsum(moves * season) * STEP_DAYS / lasts
    return np.asarray(load**1.5)


def _cells(
    ages: FloatArray, moves: FloatArray, stress: float, rng: np.random.Generator, sigma: float
) -> FloatArray:
    """Capacity lost by age (root of time) and use (power 0.55 of full discharges), over the 20 % that end the life.

    `stress` warms the cells by 10 K for each unit of its logarithm and adds cycles. The laws are those of the
    plant's battery (plant.power.ess).
    """
    from plant.power.ess import calendar_rate_pu, cycle_rate_pu

    temp_c = 26.0 + 10.0 * stress
    own = math.exp(sigma * rng.standard_normal())
    cycles_a_day = 0.8 * math.exp(0.5 * stress + 0.3 * rng.standard_normal())
    clock = np.cumsum(moves) / np.mean(moves) * STEP_DAYS
    calendar = float(calendar_rate_pu(temp_c, 55.0)) * np.sqrt(clock * 86400.0)
    use = float(cycle_rate_pu(0.5, temp_c)) * (cycles_a_day * clock) ** 0.55
    return np.asarray(own * (calendar + use) / 0.20)


def _told(
    kind: PartKind,
    metric: str,
    damage: FloatArray,
    seen: NDArray[np.bool_],
    rng: np.random.Generator,
    setting: Setting,
) -> FloatArray:
    """What the sensor shows of the damage where the record sees it."""
    signal = kind.by_metric[metric]
    steps = int(seen.sum())
    offset = signal.spread * rng.standard_normal()
    noise = setting.noise * signal.noise * rng.standard_normal(steps)
    wild = rng.random(steps) < SPIKED
    shown = damage[seen] + offset + noise + np.where(wild, rng.uniform(0.2, 1.0, steps), 0.0)
    values = signal.usual + shown * (signal.limit - signal.usual)
    if kind.life.wear == "counts" and not signal.exact:
        values = np.maximum(np.round(values), 0.0)
    values = np.clip(values, signal.least, signal.most)
    values[rng.random(steps) < MISSED] = np.nan
    return np.asarray(values)
