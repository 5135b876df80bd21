"""What power costs: time-of-use price, demand charge, carbon, cost per token; and when storage should act.

Load and grid power are kW drawn, means over equal steps; a bill is in the tariff's currency. Storage power is
positive when it discharges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plant.power.ess import Ess, ess_step
from plant.specs import Tariff
from setpoint.errors import InputError, UsageError

FloatArray = NDArray[np.float64]
HOURS_A_MONTH = 365.25 * 24.0 / 12.0


def price_series(tariff: Tariff, steps: int, step_s: float, start_hour: float = 0.0) -> FloatArray:
    """Price of a kWh in each step, by the hour of the site's day at which the step begins.

    >>> from plant.specs import TariffBand
    >>> band = TariffBand(from_hour=9, to_hour=10, price_per_kwh=0.3)
    >>> price_series(Tariff(price_per_kwh=0.1, bands=(band,)), 4, 1800.0, start_hour=8.5).tolist()
    [0.1, 0.3, 0.3, 0.1]
    """
    hours = (start_hour + np.arange(steps) * step_s / 3600.0) % 24.0
    prices = np.full(steps, tariff.price_per_kwh)
    for band in tariff.bands:
        prices[(hours >= band.from_hour) & (hours < band.to_hour)] = band.price_per_kwh
    return prices


@dataclass(frozen=True)
class Bill:
    """Cost of a period, in the tariff's currency."""

    energy_kwh: float
    peak_kw: float
    """Highest mean over one step."""
    energy_cost: float
    demand_cost: float
    """The month's charge, in the period's share of a month."""
    export_revenue: float = 0.0

    @property
    def total(self) -> float:
        """To pay."""
        return self.energy_cost + self.demand_cost - self.export_revenue


def bill(grid_kw: ArrayLike, step_s: float, tariff: Tariff, start_hour: float = 0.0) -> Bill:
    """Bill of a series of grid power; negative values are exported.

    The demand charge is for the period's highest step, in proportion to the period's share of a month; whoever wants
    a calendar month's bill gives a month. Raises InputError for a series that is empty or not finite.

    >>> flat = Tariff(price_per_kwh=0.1, demand_per_kw_month=0.0)
    >>> bill([100.0] * 24, 3600.0, flat).total
    240.0
    """
    grid = _checked(grid_kw, step_s)
    hours = step_s / 3600.0
    bought, sold = np.maximum(grid, 0.0), np.maximum(-grid, 0.0)
    prices = price_series(tariff, grid.size, step_s, start_hour)
    peak = float(bought.max())
    return Bill(
        energy_kwh=float(bought.sum() * hours),
        peak_kw=peak,
        energy_cost=float(prices @ bought * hours),
        demand_cost=tariff.demand_per_kw_month * peak * months(grid.size, step_s),
        export_revenue=float(tariff.export_price_per_kwh * sold.sum() * hours),
    )


def months(steps: int, step_s: float) -> float:
    """Length of a series in mean months of 730.5 hours.

    >>> months(4383, 600.0)
    1.0
    """
    return steps * step_s / 3600.0 / HOURS_A_MONTH


def carbon_kg(grid_kw: ArrayLike, step_s: float, g_per_kwh: float | ArrayLike) -> float:
    """Carbon of what is bought, from one intensity or one for each step. Exports earn no credit.

    Raises InputError where the series do not match.

    >>> carbon_kg([100.0, 300.0], 1800.0, [400.0, 200.0])
    50.0
    """
    bought = np.maximum(_checked(grid_kw, step_s), 0.0)
    intensity = np.asarray(g_per_kwh, dtype=float)
    if intensity.ndim == 0:
        intensity = np.full(bought.shape, float(intensity))
    if intensity.shape != bought.shape or not np.isfinite(intensity).all() or intensity.min() < 0.0:
        raise InputError(
            f"{intensity.size} carbon intensities for {bought.size} steps",
            remedy="Give one g/kWh of 0 or more, or one for each step",
        )
    return float(bought @ intensity * step_s / 3.6e6)


def per_1000_tokens(amount: float, tokens: float) -> float:
    """An amount of energy, carbon or money spread over tokens, for each thousand. Raises UsageError without tokens.

    >>> per_1000_tokens(12.0, 48_000)
    0.25
    """
    if not tokens > 0.0:
        raise UsageError("no token was made, so nothing can be said for each thousand")
    return 1000.0 * amount / tokens


@dataclass(frozen=True)
class Schedule:
    """A plan for the battery over the load it was made for. All arrays have one value a step."""

    power_kw: FloatArray
    """Positive discharges."""
    soc_pct: FloatArray
    """At the end of each step."""
    grid_kw: FloatArray
    bill: Bill
    """With the plan."""
    without: Bill
    """The same load without storage."""

    @property
    def saving_pu(self) -> float:
        """Share of the bill saved; never below 0."""
        return 1.0 - self.bill.total / self.without.total if self.without.total > 0.0 else 0.0


def dispatch(
    load_kw: ArrayLike,
    tariff: Tariff,
    ess: Ess,
    step_s: float,
    *,
    soc_start_pct: float | None = None,
    start_hour: float = 0.0,
    wear_per_kwh: float = 0.0,
) -> Schedule:
    """The cheapest plan for a load known in advance, by a linear programme, run through the battery model.

    Minimises price * grid + demand charge * peak + wear * discharged, within power and SoC limits, never exporting,
    and with no less charge at the end than at the start. The programme takes the efficiency of rated power; its plan
    is then stepped through `ess_step`, whose losses follow the load, and what comes of it is what is billed. Should
    that cost more than doing nothing, doing nothing is the plan. Raises InputError for a load that is empty, negative
    or not finite, and UsageError for a start outside the window.
    """
    load = _checked(load_kw, step_s)
    if load.min() < 0.0:
        raise InputError("a load below 0 kW cannot be planned for", remedy="Give kW of 0 or more")
    p = ess.vector
    start = ess.spec.soc_start_pct if soc_start_pct is None else soc_start_pct
    if not p[6] <= start <= p[7]:
        raise UsageError(
            f"a start at {start:g}% is outside the window {p[6]:g} to {p[7]:g}%",
            remedy="Start within it",
        )
    without = bill(load, step_s, tariff, start_hour)
    wanted = _solve(load, tariff, p, step_s, start, start_hour, wear_per_kwh)
    power, soc = follow(wanted, load, p, step_s, start)
    grid = load - power
    cost = bill(grid, step_s, tariff, start_hour)
    if cost.total + wear_per_kwh * float(np.maximum(power, 0.0).sum()) * step_s / 3600.0 > without.total:
        power, soc = follow(np.zeros_like(load), load, p, step_s, start)
        grid, cost = load.copy(), without
    return Schedule(power, soc, grid, cost, without)


def follow(
    setpoint_kw: FloatArray, load_kw: FloatArray, p: FloatArray, step_s: float, soc_start_pct: float
) -> tuple[FloatArray, FloatArray]:
    """What the battery does of a list of setpoints: (power kW, SoC %). Never discharges more than the load."""
    power, soc = np.empty_like(load_kw), np.empty_like(load_kw)
    now = soc_start_pct
    for index, (setpoint, load) in enumerate(zip(setpoint_kw, load_kw, strict=True)):
        now, power[index], _ = ess_step(now, min(float(setpoint), float(load)), step_s, p)
        soc[index] = now
    return power, soc


def _solve(
    load: FloatArray,
    tariff: Tariff,
    p: FloatArray,
    step_s: float,
    start_pct: float,
    start_hour: float,
    wear: float,
) -> FloatArray:
    """Setpoints from the linear programme. Unknowns: charge, discharge (AC kW, each step), stored kWh, the peak."""
    from scipy import sparse
    from scipy.optimize import linprog

    n, hours = load.size, step_s / 3600.0
    eta = float(p[2] * (1.0 - p[3] - p[4] - p[5]))
    keep = float(np.exp(-p[8] * step_s))
    prices = price_series(tariff, n, step_s, start_hour) * hours
    objective = np.concatenate([
        prices, wear * hours - prices, np.zeros(n), [tariff.demand_per_kw_month * months(n, step_s)],
    ])  # fmt: skip
    one, shifted = sparse.identity(n), sparse.diags_array(np.full(n - 1, -keep), offsets=-1, shape=(n, n))
    balance = sparse.hstack([-eta * hours * one, hours / eta * one, one + shifted, np.zeros((n, 1))])
    first = np.zeros(n)
    first[0] = keep * p[0] * start_pct / 100.0
    below_peak = sparse.hstack([one, -one, sparse.csr_array((n, n)), -np.ones((n, 1))])
    low, high = p[0] * p[6] / 100.0, p[0] * p[7] / 100.0
    bounds = [(0.0, p[1])] * n + [(0.0, min(p[1], kw)) for kw in load]
    bounds += [(low, high)] * (n - 1) + [(min(p[0] * start_pct / 100.0, high), high), (0.0, None)]
    found: Any = linprog(
        objective, A_ub=below_peak, b_ub=-load, A_eq=balance, b_eq=first, bounds=bounds, method="highs"
    )
    if not found.success:
        return np.zeros(n)
    return np.asarray(found.x[n : 2 * n] - found.x[:n])


def naive_schedule(
    load_kw: ArrayLike, tariff: Tariff, ess: Ess, step_s: float, *, start_hour: float = 0.0
) -> Schedule:
    """The rule of thumb: charge at full power in the cheapest hours, discharge in the dearest, blind to the peak.

    For comparison; unlike `dispatch` it may raise the bill, since charging adds to the demand peak.
    """
    load = _checked(load_kw, step_s)
    prices = price_series(tariff, load.size, step_s, start_hour)
    p = ess.vector
    wanted = np.where(prices >= prices.max(), p[1], np.where(prices <= prices.min(), -p[1], 0.0))
    power, soc = follow(wanted, load, p, step_s, ess.spec.soc_start_pct)
    grid = load - power
    return Schedule(
        power, soc, grid, bill(grid, step_s, tariff, start_hour), bill(load, step_s, tariff, start_hour)
    )


def _checked(series: ArrayLike, step_s: float) -> FloatArray:
    values = np.asarray(series, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise InputError("a power series needs one or more finite values", remedy="Check for gaps and NaN")
    if not step_s > 0.0:
        raise InputError(f"a step of {step_s} s is not a time", remedy="Give seconds above 0")
    return values
