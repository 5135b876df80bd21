"""What the forecasts are worth on lives they were not learned from, whose true ends the simulation knows.

Concordance   share of pairs of units whose forecasts are in the order of their ends (0.5: none)
Coverage      share of true ends within the interval
Brier         mean squared error of the chance to fail within so many days; its skill is the share taken off another's
ICI           mean distance of the chances from what came of them, in ten groups of like chance
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.fit import ALARM_DAYS, Look, alarm_level, chosen, levels, looks, soon
from plant.control.maintenance.lives import USUAL, Setting, fleet
from plant.control.maintenance.parts import PartKind
from plant.control.maintenance.survival import GRID_DAYS, KindModel, plain_covariates

FloatArray = NDArray[np.float64]
BOOTSTRAPS = 300
NOTICE_DAYS = 7.0
"""A warning less than this ahead is none."""


@dataclass(frozen=True)
class Share:
    """A share with its 90 % interval over units drawn again."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Alarms:
    """First alarms of units against what came."""

    told: int
    precision: float
    recall: float
    """Of units that fail within their record, those warned NOTICE_DAYS or more before."""
    lead_days: tuple[float, float, float]
    """Lower quartile, median and upper quartile of the time before the failure, of right alarms."""


@dataclass(frozen=True)
class Verdict:
    """One kind of part on one held-out fleet."""

    kind: str
    units: int
    looks: int
    failures: int
    """Looks whose unit truly fails within ALARM_DAYS."""
    concordance: Share
    age_concordance: Share
    threshold_concordance: Share
    soon_auc: float
    """Chance that of two looks, one with a failure within ALARM_DAYS, the forecast puts it higher."""
    age_soon_auc: float
    threshold_soon_auc: float
    coverage_80: float
    coverage_90: float
    sign_coverage_90: float
    """Of looks with a sign."""
    brier: dict[int, float]
    """By days."""
    skill: dict[int, float]
    """Over the chance by age and stress alone."""
    ici: dict[int, float]
    alarms: Alarms
    threshold_alarms: Alarms | None
    age_alarms: Alarms | None
    """At the best age in hindsight; None: no age is right nine times in ten."""


DAYS = (7, 30, 90)


def held_out(kind: PartKind, model: KindModel, units: int, seed: int, setting: Setting = USUAL) -> Verdict:
    """The model on a fleet of another seed, its units let run to their ends."""
    open_ended = Setting(**{**setting.__dict__, "by_calendar": 0.0})
    seen = looks(kind, fleet(kind, units, seed, open_ended), model.prior)
    left = np.array([look.truly_left_days for look in seen])
    one_each = _one_each(seen, seed)
    medians = np.array([_median(model, seen[place]) for place in one_each])
    ages, damage = np.array([look.age_days for look in seen]), levels(seen)
    near = left <= ALARM_DAYS
    chance = {days: soon(model, seen, days) for days in DAYS}
    by_age = {days: _by_age(model, seen, days) for days in DAYS}
    oldest = alarm_level(ages, seen, np.arange(6000.0, 30.0, -30.0))
    rng = np.random.default_rng(seed)
    return Verdict(
        kind.name, units, len(seen), int(near.sum()),
        concordance(medians, left[one_each], rng), concordance(-ages[one_each], left[one_each], rng),
        concordance(-damage[one_each], left[one_each], rng),
        auc(chance[90], near), auc(ages, near), auc(damage, near),
        _coverage(model, seen, left, 0.8), _coverage(model, seen, left, 0.9),
        _coverage(model, *_with_a_sign(seen, left), 0.9),
        {days: brier(chance[days], left <= days) for days in DAYS},
        {days: _skill(chance[days], by_age[days], left <= days) for days in DAYS},
        {days: ici(chance[days], left <= days) for days in DAYS},
        alarms(chance[90], seen, model.alarm),
        None if model.threshold is None else alarms(damage, seen, model.threshold),
        None if math.isinf(oldest) else alarms(ages, seen, oldest),
    )  # fmt: skip


def concordance(said: FloatArray, came: FloatArray, rng: np.random.Generator) -> Share:
    """Of pairs with different ends, the share said in their order; ties count half (F. E. Harrell 1982, uncensored).

    >>> concordance(np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 9.0]), np.random.default_rng(0)).value
    1.0
    """
    order = np.sign(said[:, None] - said[None, :]) * np.sign(came[:, None] - came[None, :])
    counts = (came[:, None] != came[None, :]).astype(float)
    right = np.where(counts > 0, 0.5 * (order + 1.0), 0.0)

    def share(weight: FloatArray) -> float:
        return float(weight @ right @ weight / max(weight @ counts @ weight, 1e-12))

    n = len(said)
    drawn = [share(rng.multinomial(n, np.full(n, 1.0 / n)).astype(float)) for _ in range(BOOTSTRAPS)]
    return Share(share(np.ones(n)), *(float(q) for q in np.quantile(drawn, [0.05, 0.95])))


def auc(score: FloatArray, event: NDArray[np.bool_]) -> float:
    """Chance that an event scores above a non-event, ties half (Mann-Whitney); NaN where one of them is lacking.

    >>> auc(np.array([0.1, 0.2, 0.9]), np.array([False, False, True]))
    1.0
    """
    from scipy.stats import rankdata

    many, few = int((~event).sum()), int(event.sum())
    if not many or not few:
        return float("nan")
    return float((rankdata(score)[event].sum() - few * (few + 1) / 2.0) / (many * few))


def brier(chance: FloatArray, event: NDArray[np.bool_]) -> float:
    return float(np.mean((chance - event) ** 2))


def ici(chance: FloatArray, event: NDArray[np.bool_], groups: int = 10) -> float:
    """Integrated calibration index over groups of equal size: mean |chance said - share that came|.

    >>> round(ici(np.full(100, 0.2), np.arange(100) < 20, groups=1), 3)
    0.0
    """
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    return float(
        sum(len(part) * abs(chance[part].mean() - event[part].mean()) for part in parts) / len(chance)
    )


def alarms(score: FloatArray, seen: Sequence[Look], level: float) -> Alarms:
    """First alarms at that level; right where the unit truly fails within ALARM_DAYS."""
    first: dict[int, float] = {}
    for place in np.flatnonzero(score >= level):
        first.setdefault(seen[int(place)].unit, seen[int(place)].truly_left_days)
    leads = np.array(list(first.values()))
    right = leads <= ALARM_DAYS
    ends = {look.unit for look in seen if look.failed}
    warned = sum(1 for unit in ends if first.get(unit, 0.0) >= NOTICE_DAYS)
    quartiles = np.quantile(leads[right], [0.25, 0.5, 0.75]) if right.any() else [float("nan")] * 3
    return Alarms(
        len(leads), float(right.mean()) if len(leads) else float("nan"),
        warned / len(ends) if ends else float("nan"), (float(quartiles[0]), float(quartiles[1]), float(quartiles[2])),
    )  # fmt: skip


def _with_a_sign(seen: Sequence[Look], left: FloatArray) -> tuple[list[Look], FloatArray]:
    places = [place for place, look in enumerate(seen) if look.sign]
    return [seen[place] for place in places], left[places]


def _one_each(seen: Sequence[Look], seed: int) -> NDArray[np.int64]:
    """A look of each unit at random, so that long records do not count more."""
    rng = np.random.default_rng(seed)
    by_unit: dict[int, list[int]] = {}
    for place, look in enumerate(seen):
        by_unit.setdefault(look.unit, []).append(place)
    return np.array([places[int(rng.integers(len(places)))] for places in by_unit.values()])


def _median(model: KindModel, look: Look) -> float:
    stratum, covariates = chosen(model, look)
    chance = stratum.chance(GRID_DAYS, covariates)
    return float(np.interp(0.5, chance, GRID_DAYS)) if chance[-1] > 0.5 else float(GRID_DAYS[-1])


def _by_age(model: KindModel, seen: Sequence[Look], days: float) -> FloatArray:
    at = np.array([days])
    return np.array([
        float(model.unread.chance(at, plain_covariates(look.age_days, look.stress))[0]) for look in seen
    ])  # fmt: skip


def _skill(chance: FloatArray, other: FloatArray, event: NDArray[np.bool_]) -> float:
    base = brier(other, event)
    return 1.0 - brier(chance, event) / base if base > 0 else float("nan")


def _coverage(model: KindModel, seen: Sequence[Look], left: FloatArray, level: float) -> float:
    inside = 0
    for look, days in zip(seen, left, strict=True):
        stratum, covariates = chosen(model, look)
        inside += abs(float(stratum.chance(np.array([days]), covariates)[0]) - 0.5) <= level / 2.0
    return inside / max(len(seen), 1)
