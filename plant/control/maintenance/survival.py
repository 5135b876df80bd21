"""When a part will fail: the path it is on joined with what befalls its kind.

Three Weibull regressions of the time that is left (accelerated failure time, fitted by lifelines in
plant.control.maintenance.fit and read here as numbers):

    with a sign      scale from the path's own forecast and its standard error, shape likewise
    without a sign   the population of those that show none: age and stress
    not read         the whole population: age and stress

The first is the path, the others are what befalls the kind.

Each is recalibrated by the Kaplan-Meier estimate of its own probability integral transform on the training lives, so
that "20 %" came true in 20 % of them, censored ones taken into account. Times in days from now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from plant.closed import Closed
from plant.control.maintenance.parts import DAYS_A_YEAR, PARTS, PartKind
from plant.control.maintenance.trend import SlopePrior, Trend, strongest, trend
from setpoint.errors import ConfigError

FloatArray = NDArray[np.float64]
FITTED = Path(__file__).with_name("fitted.yaml")
GRID_DAYS: FloatArray = np.concatenate([[0.0], np.geomspace(0.25, 30_000.0, 240)])
"""Times at which distributions are tabulated."""


class Stratum(Closed):
    """One Weibull regression: S(t) = exp(-(t / scale)^shape), both log-linear in the covariates, and its calibration."""

    scale: dict[str, float]
    """Coefficients by covariate; "one" is the intercept."""
    shape: dict[str, float]
    said: tuple[float, ...]
    """Chances as the regression says them, rising from 0 to 1."""
    came: tuple[float, ...]
    """What came of them on the training lives."""
    rows: int = Field(ge=0)
    failures: int = Field(ge=0)

    def chance(self, days: FloatArray, covariates: Mapping[str, float]) -> FloatArray:
        """Calibrated chance to fail within so many days."""
        raw = self.raw(days, covariates)
        return np.asarray(np.interp(raw, self.said, self.came))

    def raw(self, days: FloatArray, covariates: Mapping[str, float]) -> FloatArray:
        scale = math.exp(_sum(self.scale, covariates))
        shape = math.exp(_sum(self.shape, covariates))
        return np.asarray(-np.expm1(-((np.maximum(days, 0.0) / scale) ** shape)))


class KindModel(Closed):
    """What was learned of one kind of part."""

    kind: str
    slope: float
    slope_sigma: float
    sign: Stratum
    plain: Stratum
    """Read, and without a sign."""
    unread: Stratum
    """Nothing is read: all units of an age alike."""
    alarm: float
    """Chance to fail within 90 days from which an alarm was right nine times in ten on the training lives; 1: never."""
    threshold: float | None
    """Damage from which the same was true of a plain threshold on the smoothed reading; None: of none."""

    @property
    def prior(self) -> SlopePrior:
        return SlopePrior(self.slope, self.slope_sigma)


@dataclass(frozen=True)
class Outlook:
    """The time to failure of one part, as a distribution over GRID_DAYS."""

    kind: str
    failed_by: FloatArray
    """Chance to have failed by each of GRID_DAYS; may end below 1."""
    trend: Trend | None
    """The signal that was heard, with or without a sign; None: nothing was read."""

    @property
    def sign(self) -> bool:
        """Whether its own readings announce a failure; else the forecast is the population's."""
        return self.trend is not None and self.trend.sign

    def within(self, days: float) -> float:
        """Chance to fail within so many days."""
        return float(np.interp(days, GRID_DAYS, self.failed_by))

    def quantile_days(self, share: float) -> float:
        """Time by which it fails with that chance; infinite where the forecast does not reach it."""
        if share > self.failed_by[-1]:
            return math.inf
        return float(np.interp(share, self.failed_by, GRID_DAYS))

    def interval_days(self, level: float) -> tuple[float, float]:
        return self.quantile_days(0.5 - level / 2), self.quantile_days(0.5 + level / 2)


@cache
def fitted() -> Mapping[str, KindModel]:
    """The models that come with the product. Raises ConfigError where their file does not fit the parts."""
    import yaml

    try:
        rows = yaml.safe_load(FITTED.read_text(encoding="utf-8"))["kinds"]
        models = {row["kind"]: KindModel.model_validate(row) for row in rows}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the maintenance models cannot be read: {error}", where=str(FITTED),
            remedy="Make them anew: python -m plant.control.maintenance.fit",
        ) from error  # fmt: skip
    if missing := sorted(set(PARTS) - set(models)):
        raise ConfigError(
            f"no model of {', '.join(missing)}", where=str(FITTED),
            remedy="Make them anew: python -m plant.control.maintenance.fit",
        )  # fmt: skip
    return models


Record = Mapping[str, tuple[FloatArray, FloatArray]]
"""Readings of one part by metric: days (rising, of any origin) and values."""


def heard(kind: PartKind, record: Record, prior: SlopePrior) -> Trend | None:
    """The trend of the signal that tells most; None where no signal has enough readings."""
    trends = [
        found
        for metric, (days, values) in record.items()
        if metric in kind.by_metric
        and (found := trend(kind, kind.by_metric[metric], days, values, prior)) is not None
    ]
    return strongest(trends)


def outlook(
    kind: PartKind,
    model: KindModel,
    found: Trend | None,
    age_days: float | None = None,
    stress: float = 0.0,
    count: int = 1,
) -> Outlook:
    """Forecast of one part, or of the first of `count` alike.

    `age_days` None: unknown; the population's forecast is then averaged over ages up to its usual replacement.
    `stress`: logarithm of load, heat or dust over the usual; 0 where it is not measured.
    """
    if found is not None and found.sign:
        chance = model.sign.chance(GRID_DAYS, sign_covariates(found))
    else:
        chance = _of_the_population(kind, model.unread if found is None else model.plain, age_days, stress)
    if count > 1:
        chance = 1.0 - (1.0 - chance) ** count
    return Outlook(kind.name, np.maximum.accumulate(np.asarray(chance)), found)


def _of_the_population(kind: PartKind, stratum: Stratum, age_days: float | None, stress: float) -> FloatArray:
    ages = [age_days] if age_days is not None else list(np.linspace(0.05, 0.95, 10) * kind.fixed_days)
    each = [stratum.chance(GRID_DAYS, plain_covariates(age, stress)) for age in ages]
    return np.asarray(np.mean(each, axis=0))


def sign_covariates(found: Trend) -> dict[str, float]:
    return {"one": 1.0, "log_rul": math.log(found.rul_days), "log_sd": min(found.rul_log_sd, 2.0)}


def plain_covariates(age_days: float, stress: float) -> dict[str, float]:
    return {"one": 1.0, "log_age": math.log1p(max(age_days, 0.0) / DAYS_A_YEAR), "stress": stress}


def _sum(coefficients: Mapping[str, float], covariates: Mapping[str, float]) -> float:
    return sum(factor * covariates[name] for name, factor in coefficients.items())
