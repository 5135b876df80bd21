"""Policies of renewal held against each other on the same simulated lives.

Each life is lived from new to its renewal under each policy; cost over time in service is what the policy costs in the
long run (renewal reward). Policies see readings and ages, never the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.lives import USUAL, Lifetime, Setting, fleet
from plant.control.maintenance.parts import DAYS_A_YEAR, PartKind
from plant.control.maintenance.schedule import VISIT_COST
from plant.control.maintenance.survival import GRID_DAYS, KindModel, heard, outlook
from plant.control.maintenance.value import Price, Worth, cost_rate_per_day, new_part

FloatArray = NDArray[np.float64]
LOOK_STEPS = 2
"""Readings between two looks: six days."""
CUSTOM_ALARM = 0.6
"""Damage at which the usual alarm stands."""
BOOTSTRAPS = 200
Ends = Callable[[Lifetime], float]
"""Age at which a policy would renew a unit; infinite: it never does before it fails."""


@dataclass(frozen=True)
class Outcome:
    """What one policy comes to."""

    policy: str
    cost_a_year: float
    """Of one unit."""
    low: float
    high: float
    """90 % interval of what it saves a year against running to failure, lives drawn again."""
    failures_a_century: float
    """Unforeseen ones, of a unit in a hundred years."""
    renewals_a_century: float
    life_used: float
    """Mean age at renewal over mean life."""


def held_against(
    kind: PartKind, model: KindModel, units: int, seed: int, setting: Setting = USUAL
) -> list[Outcome]:
    """Run to failure first, then the calendar, the alarm and the forecast."""
    lives = fleet(kind, units, seed, _from_new(setting))
    price = Price.of(kind)
    planned = Price(price.planned + VISIT_COST, price.failure)
    rate, best_age = cost_rate_per_day(new_part(kind, model).failed_by, planned)
    policies: list[tuple[str, Ends]] = [
        ("run to failure", lambda life: float("inf")),
        (f"every {kind.fixed_days:.0f} days", lambda life: kind.fixed_days),
        (_calendar_words(best_age), lambda life: best_age),
        (f"alarm at {CUSTOM_ALARM:.0%} of the way", lambda life: alarm_age(kind, life)),
        ("forecast", lambda life: forecast_age(kind, model, life, planned, rate)),
    ]
    runs = [(name, _lived(lives, policy, planned)) for name, policy in policies]
    return [_outcome(name, run, runs[0][1], lives, seed) for name, run in runs]


def alarm_age(kind: PartKind, life: Lifetime) -> float:
    """Age at which work follows an alarm: three readings in a row past the usual alarm, and the part's lead time."""
    first = float("inf")
    for metric, values in life.readings.items():
        over = np.array([kind.by_metric[metric].damage(value) >= CUSTOM_ALARM for value in values.tolist()])
        thrice = over[2:] & over[1:-1] & over[:-2]
        if thrice.any():
            first = min(first, float(life.days[int(np.argmax(thrice)) + 2]))
    return first + kind.work.lead_days


def forecast_age(
    kind: PartKind, model: KindModel, life: Lifetime, price: Price, rate_per_day: float
) -> float:
    """Age at which the forecast has it renewed: its best time, ordered when that is no further than the lead time."""
    lead = kind.work.lead_days
    places = np.arange(_first_hint(kind, life), len(life.days), LOOK_STEPS)
    between = LOOK_STEPS * float(life.days[1] - life.days[0]) if len(life.days) > 1 else 0.0
    for place in places:
        record = {
            metric: (life.days[: place + 1], values[: place + 1]) for metric, values in life.readings.items()
        }
        found = heard(kind, record, model.prior)
        if found is None or not found.sign:
            continue
        worth = Worth.of(outlook(kind, model, found), price, rate_per_day)
        later = GRID_DAYS[lead <= GRID_DAYS]
        best = float(later[int(np.argmin(worth.cost(later)))])
        if best <= lead + between:
            return float(life.days[place]) + lead
    return float("inf")


def _first_hint(kind: PartKind, life: Lifetime) -> int:
    """Place of the first reading worth a look: where five together begin to stand out. It spares time alone."""
    first = len(life.days)
    for metric, values in life.readings.items():
        signal = kind.by_metric[metric]
        damage = (np.nan_to_num(values, nan=signal.usual) - signal.usual) / (signal.limit - signal.usual)
        mean = np.convolve(damage, np.full(5, 0.2), mode="valid")
        over = mean > 2.0 * np.hypot(signal.spread, signal.noise / np.sqrt(5.0))
        if over.any():
            first = min(first, int(np.argmax(over)))
    return first


def _from_new(setting: Setting) -> Setting:
    """Every unit followed from new to its end."""
    return replace(setting, oldest_days=0.0, by_calendar=0.0, record_days=1e9)


def _lived(lives: Sequence[Lifetime], policy: Ends, price: Price) -> FloatArray:
    """Rows of age at renewal, cost, and 1 where it failed first."""
    ends = np.array([policy(life) for life in lives])
    fails = np.array([life.fails_days for life in lives])
    failed = fails <= ends
    return np.column_stack([np.minimum(fails, ends), np.where(failed, price.failure, price.planned), failed])


def _outcome(name: str, run: FloatArray, base: FloatArray, lives: Sequence[Lifetime], seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    n = len(run)
    drawn = [rng.integers(0, n, n) for _ in range(BOOTSTRAPS)]
    saved = [_a_year(base[take]) - _a_year(run[take]) for take in drawn]
    years = run[:, 0].sum() / DAYS_A_YEAR
    low, high = np.quantile(saved, [0.05, 0.95])
    return Outcome(
        name, _a_year(run), float(low), float(high), float(100.0 * run[:, 2].sum() / years), float(100.0 * n / years),
        float(run[:, 0].mean() / base[:, 0].mean()),
    )  # fmt: skip


def _a_year(run: FloatArray) -> float:
    return float(run[:, 1].sum() / run[:, 0].sum() * DAYS_A_YEAR)


def _calendar_words(age_days: float) -> str:
    return (
        f"every {age_days:.0f} days, best by training"
        if np.isfinite(age_days)
        else "calendar: never pays by training"
    )
