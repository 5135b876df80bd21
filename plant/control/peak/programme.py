"""The receding-horizon programme: storage over several possible load paths, by HiGHS.

    minimise   sum_s w_s [ sum_k h_k (price_k (d0 - d) ... ) ] + demand * peak_s + wear
    unknowns of path s and step k: charge c, discharge d (AC kW), stored energy e (kWh), the peak of the path

What is decided now is common to all paths: the power the battery is given for the price's sake (`base`). Above it the
real-time layer (`follow.py`) may only discharge more or charge less, to hold the peak; that recourse, and all that
comes later, may differ by path. The demand charge is paid only above the month's peak so far.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage

FloatArray = NDArray[np.float64]
Status = Literal["optimal", "time limit", "infeasible"]
LEAN = 1e-4
"""Price for each kWh of base power, so that of equal plans the one that leaves the work to the real-time layer wins."""


@dataclass(frozen=True)
class Problem:
    """All that the programme needs, for K steps and S load paths."""

    load_kw: FloatArray
    """(S, K): what the site would draw without storage, means over the steps."""
    weights: FloatArray
    """(S,): chance of each path; their sum is 1."""
    hours: FloatArray
    """(K,): length of each step."""
    prices: FloatArray
    """(K,): of a kWh in each step."""
    demand_per_kw: float
    """What one kW more of the billing period's peak costs."""
    peak_so_far_kw: float
    """The billing period's highest draw up to now."""
    storage: Storage
    stored_kwh: float
    """Now."""
    end_value_per_kwh: float = 0.0
    """What a kWh stored at the end is worth."""
    least_import_kw: float = 0.0
    """Draw that always comes from the grid."""
    charge_cap_kw: float = np.inf
    """In the first step charging must not bring the draw above it."""
    most_import_kw: float = np.inf
    """Contracted power; exceeded only where no plan can hold it."""
    keep_kwh: FloatArray = field(default_factory=lambda: np.zeros(0))
    """(K,): stored energy to be kept at the end of each step, against peaks that cannot be foreseen; none: no more than
    the reserve. What is missing of it costs `short_price` an hour."""
    short_price: float = 0.0
    ready_price: float = 0.0
    """What a kWh in store is worth for each hour that it lies ready; breaks ties towards charging early."""
    later_peaks_kw: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Peaks that the rest of the billing period may force anyhow, one a sample; below them a peak now costs nothing."""


@dataclass(frozen=True)
class Plan:
    """What the programme wants."""

    status: Status
    base_kw: float
    """For the first step; positive discharges."""
    peaks_kw: FloatArray
    """(S,): highest draw of each path under its best plan."""
    power_kw: FloatArray
    """(S, K)."""
    stored_kwh: FloatArray
    """(S, K): at the end of each step."""
    cost: float
    """Expected, of energy, demand and wear over the horizon."""
    seconds: float
    variables: int
    gap: float | None = None


OVER_CONTRACT_FACTOR = 20.0
"""Drawing a kW above the contracted power costs so many times the demand charge, or the dearest hour where none is."""


def solve(problem: Problem, *, time_limit_s: float = 2.0, integer_steps: int = 0) -> Plan:
    """The cheapest plan; a resting battery with the status said where HiGHS finds none in time.

    `integer_steps`: in so many first steps the converter's fixed loss is charged by an on/off unknown (a MILP).
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    build = _Build(problem, integer_steps)
    began = time.perf_counter()
    found: Any = milp(
        build.cost,
        integrality=build.integrality,
        bounds=Bounds(build.lower, build.upper),
        constraints=LinearConstraint(build.matrix, build.row_low, build.row_high),
        options={"time_limit": time_limit_s, "mip_rel_gap": 1e-3},
    )
    seconds = time.perf_counter() - began
    if found.x is None:
        return _resting(problem, "time limit" if found.status == 1 else "infeasible", seconds, build.count)
    gap = getattr(found, "mip_gap", None)
    return build.plan(np.asarray(found.x), found, seconds, gap if integer_steps else None)


def _resting(problem: Problem, status: Status, seconds: float, variables: int) -> Plan:
    load = problem.load_kw
    still = np.full(load.shape, problem.stored_kwh)
    cost = float(problem.weights @ (load * problem.prices * problem.hours).sum(axis=1))
    return Plan(status, 0.0, load.max(axis=1), np.zeros(load.shape), still, cost, seconds, variables)


class _Build:
    """The matrix of one problem. Order of unknowns: base discharge, base charge; then for each path
    [more (above the peak so far only), less, c_1.., d_1.., e_0.., peak parts, over contract, short_0..]."""

    def __init__(self, problem: Problem, integer_steps: int) -> None:
        from scipy import sparse

        self.problem, self.on_steps = problem, integer_steps
        paths, steps = problem.load_kw.shape
        self.steps = steps
        self.floors, self.rates = _peak_steps(problem)
        parts = self.rates.size
        self.each = 2 + 2 * (steps - 1) + steps + parts + 1 + steps
        self.shared = 2 + integer_steps
        self.count = self.shared + paths * self.each
        one = self._one_path()
        first, rest = one[:, : self.shared], one[:, self.shared :]
        self.matrix = sparse.hstack([
            sparse.vstack([first] * paths), sparse.block_diag([rest] * paths)
        ], format="csr")  # fmt: skip
        self._bounds_and_cost()
        self._sides()

    def _one_path(self) -> Any:
        """Rows: K energy balances, K draws under the peak, K draws above the least import, the first charge, and the
        converter's on/off rows."""
        from scipy import sparse

        s, hours, n = self.problem.storage, self.problem.hours, self.steps
        keep = s.keep_pu_per_h**hours
        at_more, at_less = self.shared, self.shared + 1
        at_c, at_d = self.shared + 2, self.shared + 2 + (n - 1)
        at_e = at_d + (n - 1)
        at_peak = at_e + n
        rows: list[int] = []
        cols: list[int] = []
        vals: list[float] = []

        def put(row: Any, col: Any, val: Any) -> None:
            row, col, val = np.broadcast_arrays(*np.atleast_1d(row, col, val))
            rows.extend(row.tolist())
            cols.extend(col.tolist())
            vals.extend(val.tolist())

        later, all_steps = np.arange(1, n), np.arange(n)
        # Stored energy: e_k - keep e_(k-1) - eta_c c h + d h / eta_d = 0.
        put(all_steps, at_e + all_steps, 1.0)
        put(later, at_e + later - 1, -keep[1:])
        put(0, 0, hours[0] / s.eta_discharge)
        put(0, at_more, hours[0] / s.eta_discharge)
        put(0, 1, -hours[0] * s.eta_charge)
        put(0, at_less, hours[0] * s.eta_charge)
        put(later, at_c + later - 1, -hours[1:] * s.eta_charge)
        put(later, at_d + later - 1, hours[1:] / s.eta_discharge)
        # Draw of the grid: net power enters the rows of peak (less than) and of least import (more than) alike.
        for base in (n, 2 * n):
            put(base, 0, -1.0)
            put(base, at_more, -1.0)
            put(base, 1, 1.0)
            put(base, at_less, -1.0)
            put(base + later, at_c + later - 1, 1.0)
            put(base + later, at_d + later - 1, -1.0)
        for part in range(self.rates.size + 1):
            put(n + all_steps, at_peak + part, -1.0)
        # The real-time layer cuts no more charge than there is.
        put(3 * n, 1, 1.0)
        put(3 * n, at_less, -1.0)
        # What is stored and what is short of it reach what is to be kept.
        put(3 * n + 1 + all_steps, at_e + all_steps, 1.0)
        put(3 * n + 1 + all_steps, at_peak + self.rates.size + 1 + all_steps, 1.0)
        # Base power and what the real-time layer adds stay within the rating together.
        put(4 * n + 1, 0, 1.0)
        put(4 * n + 1, at_more, 1.0)
        size = 4 * n + 2
        for k in range(self.on_steps):
            power = (((0, 1.0), (at_more, 1.0), (1, 1.0), (at_less, -1.0)) if k == 0
                     else ((at_c + k - 1, 1.0), (at_d + k - 1, 1.0)))  # fmt: skip
            for col, val in power:
                put(size, col, val)
            put(size, 2 + k, -s.power_kw)
            size += 1
        return sparse.csr_array((vals, (rows, cols)), shape=(size, self.shared + self.each))

    def _bounds_and_cost(self) -> None:
        p, s, n = self.problem, self.problem.storage, self.steps
        paths = p.weights.size
        room = np.maximum(p.load_kw - p.least_import_kw, 0.0)
        out_kw = np.minimum(s.power_kw, room)
        excess = np.clip(p.load_kw[:, 0] - self.floors[0], 0.0, s.power_kw)
        widths = np.append(np.diff(self.floors), np.inf)
        contract_rate = OVER_CONTRACT_FACTOR * max(p.demand_per_kw, float(p.prices.max()))
        lower, upper, cost, whole = [np.zeros(self.shared)], [], [], [np.zeros(2), np.ones(self.on_steps)]
        to_charge = max(min(s.power_kw, p.charge_cap_kw - float(p.load_kw[:, 0].mean())), 0.0)
        upper.append(np.concatenate([[s.power_kw, to_charge], np.ones(self.on_steps)]))
        energy = p.prices * p.hours
        wear = s.wear.per_kwh * p.hours
        fixed = s.fixed_loss_kw * p.hours[: self.on_steps] * p.prices[: self.on_steps]
        cost.append(np.concatenate([
            [wear[0] - energy[0] + LEAN * p.hours[0], energy[0] + LEAN * p.hours[0]], fixed
        ]))  # fmt: skip
        stored_cost = (s.wear.per_kwh_h - p.ready_price) * p.hours
        stored_cost = stored_cost - p.end_value_per_kwh * (np.arange(n) == n - 1)
        low = np.full(n, min(s.low_kwh, p.stored_kwh * float((s.keep_pu_per_h**p.hours).prod())))
        high = np.full(n, max(s.high_kwh, p.stored_kwh))
        for path in range(paths):
            lower.append(np.concatenate([np.zeros(2 * n), low, np.zeros(self.rates.size + 1 + n)]))
            upper.append(np.concatenate([
                [excess[path], s.power_kw], np.full(n - 1, s.power_kw), out_kw[path, 1:], high, widths, np.full(1 + n, np.inf),
            ]))  # fmt: skip
            cost.append(p.weights[path] * np.concatenate([
                [wear[0] - energy[0], -energy[0]], energy[1:], wear[1:] - energy[1:], stored_cost,
                self.rates, [contract_rate], p.short_price * p.hours,
            ]))  # fmt: skip
            whole.append(np.zeros(self.each))
        self.lower, self.upper = np.concatenate(lower), np.concatenate(upper)
        self.cost, self.integrality = np.concatenate(cost), np.concatenate(whole)
        if np.isfinite(p.most_import_kw):
            self._hold_contract(widths)

    def _hold_contract(self, widths: FloatArray) -> None:
        """The peak's parts end at the contracted power; what is above is the dear last unknown."""
        room = max(self.problem.most_import_kw, float(self.floors[0])) - self.floors[0]
        ends = np.clip(room - np.concatenate([[0.0], np.cumsum(widths[:-1])]), 0.0, widths)
        for path in range(self.problem.weights.size):
            at = self.shared + path * self.each + 2 + 2 * (self.steps - 1) + self.steps
            self.upper[at : at + self.rates.size] = ends

    def _sides(self) -> None:
        p, n = self.problem, self.steps
        keep = p.storage.keep_pu_per_h ** float(p.hours[0])
        keep_kwh = p.keep_kwh if p.keep_kwh.size else np.full(n, -np.inf)
        low, high = [], []
        for load in p.load_kw:
            balance = np.zeros(n)
            balance[0] = keep * p.stored_kwh
            low.append(np.concatenate([
                balance, np.full(n, -np.inf), np.minimum(p.least_import_kw - load, 0.0), [0.0], keep_kwh, [-np.inf],
                np.full(self.on_steps, -np.inf),
            ]))  # fmt: skip
            high.append(np.concatenate([
                balance, self.floors[0] - load, np.full(n, np.inf), np.full(1 + n, np.inf), [p.storage.power_kw],
                np.zeros(self.on_steps),
            ]))  # fmt: skip
        self.row_low, self.row_high = np.concatenate(low), np.concatenate(high)

    def plan(self, x: FloatArray, found: Any, seconds: float, gap: float | None) -> Plan:
        p, n = self.problem, self.steps
        own = x[self.shared :].reshape(p.weights.size, self.each)
        power = np.empty(p.load_kw.shape)
        power[:, 0] = x[0] - x[1] + own[:, 0] + own[:, 1]
        power[:, 1:] = own[:, 2 + n - 1 : 2 + 2 * (n - 1)] - own[:, 2 : 2 + n - 1]
        stored = own[:, 2 * n : 3 * n]
        peaks = np.maximum((p.load_kw - power).max(axis=1), self.floors[0])
        cost = float(found.fun + p.weights @ (p.load_kw * p.prices * p.hours).sum(axis=1))
        status: Status = "optimal" if found.status == 0 else "time limit"
        return Plan(status, float(x[0] - x[1]), peaks, power, stored, cost, seconds, self.count, gap)


def _peak_steps(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Levels of the peak from which on one kW more costs what: the demand charge times the chance that no later peak
    passes that level anyhow."""
    later = np.sort(problem.later_peaks_kw)
    levels = np.unique(np.concatenate([[problem.peak_so_far_kw], later[later > problem.peak_so_far_kw]]))
    if not later.size:
        return levels, np.array([problem.demand_per_kw])
    chance = np.array([(later <= level).mean() for level in levels])
    return levels, problem.demand_per_kw * chance
