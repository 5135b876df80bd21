"""Fits the forecasts of all kinds of part to simulated lives and writes fitted.yaml.

    python -m plant.control.maintenance.fit [--units 400] [--seed 11] [--write]

Training sees what an operator's record shows: ages, stress, readings, and how each record ended. When a unit would have
failed is used by plant.control.maintenance.judge alone.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.lives import USUAL, Lifetime, Setting, fleet
from plant.control.maintenance.parts import PARTS, PartKind
from plant.control.maintenance.survival import (
    FITTED,
    KindModel,
    Stratum,
    heard,
    plain_covariates,
    sign_covariates,
)
from plant.control.maintenance.trend import SIGN_Z, SlopePrior, Trend, feeds_on_itself, trend, window_days

FloatArray = NDArray[np.float64]
EVERY_DAYS, EVERY_DAYS_QUICK = 30.0, 10.0
"""Between two moments at which a unit is looked at; more often where wear, once it shows, is a matter of weeks."""
FIRST_LOOK_DAYS = 30.0
MOST_ROWS = 4000
SCALE_DAYS = 100.0
"""Times are handed to the optimiser in hundreds of days, so that all its numbers are of one size."""
PENALTY = 1e-3
ALARM_DAYS = 90.0
ALARM_PRECISION = 0.9
ALARM_LEVELS: FloatArray = np.arange(0.98, 0.14, -0.02)
ALARM_DAMAGE: FloatArray = np.arange(1.2, 0.04, -0.02)
LEAST_ALARMS = 10
LEAST_FAILURES = 20
"""Fewer say nothing of a population of their own."""
LONG_RECORD_DAYS = 2190.0
"""Of kinds that wear over years: six years, else hardly one of them is seen to end."""
UNITS, SEED = 400, 11
LONG_WINDOW_DAYS = 180.0
RARE = ("optics", "disk", "gpu_memory")
"""Kinds that seldom fail; three times the units."""


@dataclass(frozen=True)
class Look:
    """One unit at one moment, and what became of it."""

    unit: int
    age_days: float
    stress: float
    trend: Trend | None
    left_days: float
    """Until it failed or its record ended."""
    failed: bool
    truly_left_days: float

    @property
    def sign(self) -> bool:
        return self.trend is not None and self.trend.sign


def looks(kind: PartKind, lives: Sequence[Lifetime], prior: SlopePrior) -> list[Look]:
    """All units at all moments of their records."""
    every_days = EVERY_DAYS_QUICK if feeds_on_itself(kind) else EVERY_DAYS
    return [
        look for number, life in enumerate(lives) for look in _looks(kind, number, life, prior, every_days)
    ]


def _looks(kind: PartKind, number: int, life: Lifetime, prior: SlopePrior, every_days: float) -> list[Look]:
    found = []
    for age in np.arange(life.from_days + FIRST_LOOK_DAYS, life.ended_days, every_days):
        upto = int(np.searchsorted(life.days, age, side="right"))
        record = {metric: (life.days[:upto], values[:upto]) for metric, values in life.readings.items()}
        found.append(
            Look(number, float(age), life.stress, heard(kind, record, prior), life.ended_days - age, life.failed,
                 life.fails_days - age)
        )  # fmt: skip
    return found


def fit_kind(kind: PartKind, lives: Sequence[Lifetime], seed: int = SEED) -> KindModel:
    """The model of one kind from the lives of its units."""
    prior = slope_prior(kind, lives)
    seen = looks(kind, lives, prior)
    sign = _stratum([(sign_covariates(look.trend), look) for look in seen if look.trend and look.sign],
                    ("one", "log_rul", "log_sd"), ("one", "log_rul", "log_sd"), seed)  # fmt: skip
    unread = _population(seen, seed)
    without = [look for look in seen if not look.sign]
    enough = sum(look.failed for look in without) >= LEAST_FAILURES
    plain = _population(without, seed) if enough else unread
    model = KindModel(
        kind=kind.name,
        slope=prior.mean,
        slope_sigma=prior.sigma,
        sign=sign,
        plain=plain,
        unread=unread,
        alarm=1.0,
        threshold=None,
    )
    alarm = alarm_level(soon(model, seen), seen, ALARM_LEVELS)
    threshold = alarm_level(levels(seen), seen, ALARM_DAMAGE)
    return model.model_copy(
        update={"alarm": min(alarm, 1.0), "threshold": threshold if math.isfinite(threshold) else None}
    )


def levels(seen: Sequence[Look]) -> FloatArray:
    """Damage as the smoothed readings show it, at each look."""
    return np.array([look.trend.level if look.trend else 0.0 for look in seen])


def soon(model: KindModel, seen: Sequence[Look], days: float = ALARM_DAYS) -> FloatArray:
    """Chance to fail within so many days, at each look."""
    at = np.array([days])
    return np.array(
        [
            float(stratum.chance(at, covariates)[0])
            for stratum, covariates in (chosen(model, look) for look in seen)
        ]
    )


def chosen(model: KindModel, look: Look) -> tuple[Stratum, dict[str, float]]:
    """The regression that speaks for a look, and what it is asked."""
    if look.trend is not None and look.trend.sign:
        return model.sign, sign_covariates(look.trend)
    return model.plain if look.trend is not None else model.unread, plain_covariates(
        look.age_days, look.stress
    )


def slope_prior(kind: PartKind, lives: Sequence[Lifetime]) -> SlopePrior:
    """Slopes of units that were seen to end by wear, each over its last window, with all but no prior."""
    open_mind = SlopePrior(0.0, 1.0)
    slopes = []
    for life in lives:
        for metric, values in life.readings.items():
            found = trend(kind, kind.by_metric[metric], life.days, values, open_mind)
            if life.end == "wear" and found is not None and found.z >= SIGN_Z and found.level > 0.0:
                slopes.append(found.slope_per_day / (found.level if feeds_on_itself(kind) else 1.0))
    if len(slopes) < 5:
        return SlopePrior(0.01, 0.02)
    middle = float(np.median(slopes))
    sigma = float(np.median(np.abs(np.array(slopes) - middle))) * 1.4826
    return SlopePrior(middle, max(sigma, 0.25 * abs(middle), 1e-5))


def _population(seen: Sequence[Look], seed: int) -> Stratum:
    rows = [(plain_covariates(look.age_days, look.stress), look) for look in seen]
    return _stratum(rows, ("one", "log_age", "stress"), ("one", "log_age"), seed)


def _stratum(
    rows: Sequence[tuple[dict[str, float], Look]], scale: tuple[str, ...], shape: tuple[str, ...], seed: int
) -> Stratum:
    chosen = list(rows)
    if len(chosen) > MOST_ROWS:
        picked = np.random.default_rng(seed).choice(len(chosen), MOST_ROWS, replace=False)
        chosen = [chosen[place] for place in sorted(picked)]
    bare = _weibull(chosen, scale, shape)
    said, came = _calibration(bare, chosen)
    failures = sum(look.failed for _, look in rows)
    return bare.model_copy(update={"said": said, "came": came, "rows": len(rows), "failures": failures})


def _weibull(
    rows: Sequence[tuple[dict[str, float], Look]], scale: tuple[str, ...], shape: tuple[str, ...]
) -> Stratum:
    """The regression; with fewer covariates where the records cannot tell them apart, at last a constant rate."""
    from lifelines import WeibullAFTFitter
    from lifelines.exceptions import ConvergenceError
    from pandas import DataFrame

    table = DataFrame([
        {**covariates, "left": max(look.left_days, 0.5) / SCALE_DAYS, "failed": look.failed}
        for covariates, look in rows
    ])  # fmt: skip
    for wide, narrow in ((scale, shape), (scale, ("one",)), (("one",), ("one",))):
        fitter = WeibullAFTFitter(fit_intercept=False, penalizer=PENALTY)
        with contextlib.suppress(ConvergenceError, ValueError, KeyError):
            fitter.fit(
                table,
                "left",
                "failed",
                formula=" + ".join((*wide, "0")),
                ancillary=" + ".join((*narrow, "0")),
            )
            known = {name: float(fitter.params_["lambda_", name]) for name in wide}
            known["one"] += math.log(SCALE_DAYS)
            form = {name: float(fitter.params_["rho_", name]) for name in narrow}
            return _bare(known, form)
    failures = sum(look.failed for _, look in rows)
    days = sum(look.left_days for _, look in rows)
    return _bare({"one": math.log(max(days, 1.0) / (failures + 0.5))}, {"one": 0.0})


def _bare(scale: dict[str, float], shape: dict[str, float]) -> Stratum:
    return Stratum(scale=scale, shape=shape, said=(0.0, 1.0), came=(0.0, 1.0), rows=0, failures=0)


def _calibration(
    stratum: Stratum, rows: Sequence[tuple[dict[str, float], Look]], knots: int = 14
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Kaplan-Meier estimate of the distribution of F(T), at some knots; beyond the last failure it closes straight."""
    chances = np.array([float(stratum.raw(np.array([look.left_days]), c)[0]) for c, look in rows])
    failed = np.array([look.failed for _, look in rows])
    if failed.sum() < knots:
        return (0.0, 1.0), (0.0, 1.0)
    times, came = kaplan_meier(chances, failed)
    at = np.unique(np.quantile(chances[failed], np.linspace(0.02, 0.98, knots)))
    share = np.interp(at, times, came)
    said = np.concatenate([[0.0], at, [1.0]]) if at[-1] < 1.0 else np.concatenate([[0.0], at])
    ends = np.concatenate([[0.0], share, [1.0]]) if at[-1] < 1.0 else np.concatenate([[0.0], share])
    ends = np.maximum.accumulate(np.clip(ends, 0.0, 1.0))
    return tuple(np.round(said, 6).tolist()), tuple(np.round(ends, 6).tolist())


def kaplan_meier(times: FloatArray, failed: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Distinct failure times and the share failed by each (E. L. Kaplan, P. Meier, JASA 53, 1958).

    >>> kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True]))[1].tolist()
    [0.25, 0.625, 1.0]
    """
    order = np.argsort(times, kind="stable")
    times, failed = times[order], failed[order]
    at, first = np.unique(times, return_index=True)
    deaths = np.add.reduceat(failed.astype(float), first)
    at_risk = len(times) - first
    left: FloatArray = np.cumprod(1.0 - deaths / at_risk).astype(float)
    return at[deaths > 0], 1.0 - left[deaths > 0]


def alarm_level(scores: FloatArray, seen: Sequence[Look], tried: FloatArray) -> float:
    """Least of the tried scores from which first alarms are right with ALARM_PRECISION; infinite where none is.

    A unit alarms once, at the first look that reaches the score. Looks whose record ended too early to tell are left
    out, so that censoring does not count as a false alarm.
    """
    best = math.inf
    for level in tried:
        right, told = _first_alarms(scores, seen, float(level))
        if told >= LEAST_ALARMS and right / told >= ALARM_PRECISION:
            best = round(float(level), 2)
    return best


def _first_alarms(scores: FloatArray, seen: Sequence[Look], level: float) -> tuple[int, int]:
    right = told = 0
    done: set[int] = set()
    for place in np.flatnonzero(scores >= level):
        look = seen[int(place)]
        if look.unit in done:
            continue
        done.add(look.unit)
        fails = look.failed and look.left_days <= ALARM_DAYS
        if fails or look.left_days > ALARM_DAYS:
            told += 1
            right += fails
    return right, told


def training(
    kind: PartKind, units: int = UNITS, seed: int = SEED, setting: Setting = USUAL
) -> list[Lifetime]:
    """The lives a kind is learned from."""
    if window_days(kind) > LONG_WINDOW_DAYS:
        setting = replace(setting, record_days=LONG_RECORD_DAYS)
    return fleet(kind, units * (3 if kind.name in RARE else 1), seed, setting)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="write fitted.yaml")
    asked = parser.parse_args(arguments)
    models = []
    for kind in PARTS.values():
        model = fit_kind(kind, training(kind, asked.units, asked.seed), asked.seed)
        models.append(model)
        print(
            f"{kind.title:28} with a sign {model.sign.rows:5d} looks, {model.sign.failures:4d} failed; "
            f"without {model.plain.rows:5d}, {model.plain.failures:4d} failed; alarm from {model.alarm:.2f}",
            flush=True,
        )
    if asked.write:
        FITTED.write_text(_written(models, asked.units, asked.seed), encoding="utf-8")
    return 0


def _written(models: Sequence[KindModel], units: int, seed: int) -> str:
    import yaml

    head = (
        "# When parts fail: Weibull regressions and their calibration, by kind (plant/control/maintenance/survival.py).\n"
        f"# Made by: python -m plant.control.maintenance.fit --units {units} --seed {seed} --write\n"
        "# From simulated lives; a site with records of its own fits its own.\n"
    )
    return head + yaml.safe_dump(
        {"kinds": [_rounded(model.model_dump(mode="json")) for model in models]}, sort_keys=False
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else value
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    sys.exit(main())
