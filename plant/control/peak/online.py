"""Shaving run over a load series step by step, knowing at each step only what came before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plant.control.forecast.model import Bands, Forecaster
from plant.control.peak.battery import Storage, Wear
from plant.control.peak.follow import Meter, Order, setpoint_kw, stands
from plant.control.peak.levers import FlexibleJob, Pause, best_pauses, paused
from plant.control.peak.need import least_targets_kw
from plant.control.peak.paths import roughness_kw
from plant.control.peak.planner import Decision, Situation, Tuning, decide, forced_kw, lasting, paths_of
from plant.power.ess import Ess, ess_step
from plant.power.tariff import Bill, bill, months, price_series
from plant.specs import Tariff

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A billing period to shave: what the site draws without storage, and the terms."""

    name: str
    load_kw: FloatArray
    """(n,), means over `step_s`, from `start` on."""
    step_s: float
    start: datetime
    tariff: Tariff
    ess: Ess
    before_kw: FloatArray = field(default_factory=lambda: np.zeros(0))
    """History before `start`, at `step_s`; may be empty."""
    meter_s: float = 900.0
    """Demand is metered as means over so long."""
    known: FloatArray | None = None
    """(history + n,) kW of scheduled jobs, known ahead; None: no schedule is read."""
    reserve_pct: float = 0.0
    flexible: tuple[tuple[int, int], ...] = ()
    """First and last step of each scheduled job that may wait, from `start` on."""
    job_kw: float = 0.0
    """What the site draws for one of them."""

    @property
    def start_hour(self) -> float:
        """Hour of the site's day at `start`."""
        return self.start.hour + self.start.minute / 60.0

    def metered(self, series_kw: FloatArray) -> FloatArray:
        """Means over whole metering intervals."""
        each = max(1, round(self.meter_s / self.step_s))
        whole = series_kw.size // each * each
        means: FloatArray = series_kw[:whole].reshape(-1, each).mean(axis=1)
        return means

    def bill_of(self, grid_kw: FloatArray) -> Bill:
        """Bill of a draw at the metering interval."""
        return bill(self.metered(grid_kw), self.meter_step_s, self.tariff, self.start_hour)

    @property
    def reserved(self) -> Ess:
        """The battery with the reserve as its lowest charge."""
        low = max(self.ess.spec.soc_min_pct, self.reserve_pct)
        return replace(self.ess, spec=self.ess.spec.model_copy(update={"soc_min_pct": low}))

    @property
    def meter_step_s(self) -> float:
        """Steps of the load that make one metering interval, in seconds."""
        return max(1, round(self.meter_s / self.step_s)) * self.step_s

    @property
    def demand_per_kw(self) -> float:
        """What a kW of the period's peak costs."""
        return self.tariff.demand_per_kw_month * months(self.load_kw.size, self.step_s)


@dataclass(frozen=True)
class Ran:
    """What came of a strategy over a case."""

    name: str
    grid_kw: FloatArray
    power_kw: FloatArray
    soc_pct: FloatArray
    bill: Bill
    wear_cost: float
    """Of the kWh discharged."""
    solves: int = 0
    solve_s: tuple[float, ...] = ()
    held: int = 0
    """Plans that found nothing."""
    wall_s: float = 0.0

    @property
    def total(self) -> float:
        """Bill and wear."""
        return self.bill.total + self.wear_cost


class Policy(Protocol):
    """What gives an order every so often."""

    def order(self, at: int, stored_kwh: float, grid_kw: FloatArray) -> Order:
        """For the steps from `at` on; `grid_kw` (at,) is what was drawn so far."""


def run(case: Case, policy: Policy, name: str, storage: Storage, every_s: float, wear: Wear) -> Ran:
    """A strategy over a case. Orders are renewed every `every_s`; between them the real-time layer follows the load,
    each step by the load of the step itself where the step is as long as the meter's, else by that of the step
    before. The battery is the plant's own model, with its losses."""
    began = time.perf_counter()
    p, step_s = case.reserved.vector, case.step_s
    n, every = case.load_kw.size, max(1, round(every_s / step_s))
    power, soc = np.zeros(n), np.zeros(n)
    grid = np.zeros(n)
    meter, now_pct = Meter(case.meter_step_s), case.ess.spec.soc_start_pct
    delayed = case.meter_step_s > step_s
    order = Order(0.0, np.inf, 0.0)
    for at in range(n):
        if at % every == 0:
            order = policy.order(at, storage.kwh(now_pct), grid[:at])
        seen = case.load_kw[at - 1] if delayed and at else case.load_kw[at]
        wanted = setpoint_kw(order, float(seen), meter, storage, storage.kwh(now_pct))
        now_pct, power[at], _ = ess_step(now_pct, min(wanted, float(case.load_kw[at])), step_s, p)
        soc[at], grid[at] = now_pct, case.load_kw[at] - power[at]
        meter.add(grid[at], step_s)
    return ran(case, name, power, soc, wear, wall_s=time.perf_counter() - began, policy=policy)


def ran(
    case: Case, name: str, power_kw: FloatArray, soc_pct: FloatArray, wear: Wear, *, wall_s: float = 0.0,
    policy: object = None,
) -> Ran:  # fmt: skip
    """Bill and wear of a battery's run; energy missing at the end, against the start, is bought at the mean price."""
    grid = case.load_kw - power_kw
    given_kwh = float(np.maximum(power_kw, 0.0).sum()) * case.step_s / 3600.0
    owed = case.ess.vector[0] * (case.ess.spec.soc_start_pct - (soc_pct[-1] if soc_pct.size else 0.0)) / 100.0
    prices = price_series(case.tariff, case.load_kw.size, case.step_s, case.start_hour)
    settle = owed * float(prices.mean()) / case.ess.spec.efficiency_one_way
    solves: list[float] = getattr(policy, "seconds", [])
    return Ran(
        name, grid, power_kw, soc_pct, case.bill_of(grid), wear.per_kwh * given_kwh + settle,
        solves=len(solves), solve_s=tuple(solves), held=getattr(policy, "held", 0), wall_s=wall_s,
    )  # fmt: skip


@dataclass
class Receding:
    """Ours: a forecast without the future, the programme over its paths, and an order every step."""

    case: Case
    storage: Storage
    step_s: float = 900.0
    horizon_s: float = 36 * 3600.0
    tuning: Tuning = field(default_factory=Tuning)
    forecast: Callable[[FloatArray, datetime], Bands] | None = None
    """Tests and ablations put another forecast here; None: the Forecaster, learning anew once a day."""
    flex: bool = False
    """Jobs may wait. The case's load is then changed in place: give a copy (`for_flex`)."""
    waited_h: float = 0.0
    """Of jobs so far."""
    seconds: list[float] = field(default_factory=list)
    held: int = 0
    last: Decision | None = None
    _model: Forecaster | None = None
    _learned_at: int = -1
    _waited: set[int] = field(default_factory=set)
    _rough: FloatArray = field(default_factory=lambda: np.zeros(1))
    _days_kw: FloatArray = field(default_factory=lambda: np.zeros(0))

    def order(self, at: int, stored_kwh: float, grid_kw: FloatArray) -> Order:
        """See Policy."""
        case = self.case
        load = _means(np.concatenate([case.before_kw, case.load_kw[:at]]), self._each)
        now = case.start + timedelta(seconds=at * case.step_s)
        situation = self._situation(at, load, self._ahead(load, now, at), stored_kwh, grid_kw)
        if self.flex:
            situation = self._wait(at, situation)
        decision = decide(situation, self.storage, self.tuning)
        self.last = decision
        self.seconds.append(decision.plan.seconds)
        self.held += decision.plan.status == "infeasible"
        return decision.order

    def _situation(
        self, at: int, load: FloatArray, bands: Bands, stored_kwh: float, grid_kw: FloatArray
    ) -> Situation:
        """What is known at step `at`: nothing of the case's load from there on."""
        case = self.case
        past, latest = case.metered(case.load_kw[:at]), load[-1] if load.size else bands.expected[0]
        hour = (case.start_hour + at * case.step_s / 3600.0) % 24.0
        return Situation(
            expected_kw=bands.expected, low_kw=bands.low, high_kw=bands.high, level=bands.level,
            prices=price_series(case.tariff, bands.expected.size, self.step_s, hour), step_s=self.step_s,
            stored_kwh=stored_kwh, grid_peak_kw=float(case.metered(grid_kw).max(initial=0.0)),
            load_peak_kw=float(past.max(initial=latest)), demand_per_kw=case.demand_per_kw, rough_kw=self._rough,
            past_kw=load[-WINDOW_DAYS * self._day :], period_steps=-(-(case.load_kw.size - at) // self._each),
            later_peaks_kw=self._later(load, at),
        )  # fmt: skip

    def _wait(self, at: int, now: Situation) -> Situation:
        """Pauses that pay and begin now are made; the job then runs longer by as much."""
        case, each = self.case, self._each
        jobs = [
            FlexibleJob(str(number), "", case.job_kw, max((first - at) // each, 0), (last - at) // each, LOST_H)
            for number, (first, last) in enumerate(case.flexible)
            if number not in self._waited and first < at + self._steps * each and last > at + each
        ]  # fmt: skip
        floor = max(now.grid_peak_kw, forced_kw(now, self.tuning))
        loads = paths_of(now, self.tuning)[:: max(1, self.tuning.paths // 40), : now.period_steps]
        pauses, _ = best_pauses(
            loads, self.step_s, now.stored_kwh, self.storage, jobs, floor_kw=floor, quantile=0.5,
            demand_per_kw=now.demand_per_kw, price=float(now.prices.mean()), most=2,
        )  # fmt: skip
        bands = np.stack([now.expected_kw, now.low_kw, now.high_kw])
        for pause in pauses:
            if pause.start_step < 4:
                self._pause(at, pause)
                bands = paused(bands, pause)
        return replace(now, expected_kw=bands[0], low_kw=bands[1], high_kw=bands[2])

    def _pause(self, at: int, pause: Pause) -> None:
        case, each = self.case, self._each
        number = int(pause.job.name)
        self._waited.add(number)
        first, length, last = at + pause.start_step * each, pause.steps * each, case.flexible[number][1]
        known = case.before_kw.size
        for begin, sign in ((first, -1.0), (last, 1.0)):
            case.load_kw[begin : begin + length] += sign * case.job_kw
            if case.known is not None:
                case.known[known + begin : known + begin + length] += sign * case.job_kw
        self.waited_h += length * case.step_s / 3600.0

    @property
    def _each(self) -> int:
        return max(1, round(self.step_s / self.case.step_s))

    @property
    def _steps(self) -> int:
        return round(self.horizon_s / self.step_s)

    def _ahead(self, load: FloatArray, now: datetime, at: int) -> Bands:
        """Rolling forecast; at the very first moment the load of that moment is all there is."""
        case = self.case
        if not load.size:
            load = self.case.load_kw[:1]
        start = now - timedelta(seconds=load.size * self.step_s)
        load, start = load[-WINDOW_DAYS * self._day :], max(start, now - timedelta(days=WINDOW_DAYS))
        day = int(at * case.step_s // 86400.0)
        if day != self._learned_at:
            self._learned_at = day
            self._learn(load)
            if self.forecast is None and (day < EARLY_DAYS or day % REFIT_DAYS == 0):
                self._model = Forecaster(self.step_s, self._steps).fit(
                    load, start, self._known(at, load.size)
                )
        if self.forecast is not None:
            return self.forecast(load, start)
        assert self._model is not None
        table = self._known(at, load.size, self._steps)
        if table is None:
            return self._model.predict(load, start)
        return self._model.predict(load, start, table[load.size :], table[: load.size])

    def _known(self, at: int, past: int, ahead: int = 0) -> FloatArray | None:
        """Covariates of so many steps before `at` and after; beyond the case its last stand."""
        if self.case.known is None:
            return None
        now, each = self.case.before_kw.size + at, self._each
        early = max(past * each - now, 0)
        table = np.pad(self.case.known, (early, ahead * each), mode="edge")
        table = table[now + early - past * each : now + early + ahead * each]
        return _means(table, each)[:, None]

    def _learn(self, load: FloatArray) -> None:
        """Once a day: how rough the load is, and what each past day could have been held at."""
        recent = load
        self._rough = roughness_kw(recent, self.step_s, np.random.default_rng(0))
        whole = recent.size // self._day * self._day
        days = recent[recent.size - whole :].reshape(-1, self._day)
        self._days_kw = least_targets_kw(days, self.step_s, self.storage.high_kwh, self.storage)

    def _later(self, load: FloatArray, at: int) -> FloatArray:
        """Peaks that the rest of the billing period may force, from past days drawn anew; none where few days are
        known."""
        left = int((self.case.load_kw.size - at) * self.case.step_s // 86400.0)
        if self._days_kw.size < LEAST_DAYS or left < 1:
            return np.zeros(0)
        drawn = np.random.default_rng(1).choice(self._days_kw, size=(64, left))
        peaks: FloatArray = drawn.max(axis=1)
        return peaks

    @property
    def _day(self) -> int:
        return round(86400.0 / self.step_s)


@dataclass
class Standing:
    """An order stands until the plan differs or its time is over, as a person is asked for it (`tools.loops.peak_loop`)."""

    policy: Receding
    every_s: float
    """From plan to plan."""
    asked: int = 0
    _running: Order | None = None
    _left_h: float = 0.0

    def order(self, at: int, stored_kwh: float, grid_kw: FloatArray) -> Order:
        """See Policy."""
        self.policy.order(at, stored_kwh, grid_kw)
        decision, storage = self.policy.last, self.policy.storage
        assert decision is not None
        wanted, hours = lasting(decision, storage)
        every_h = self.every_s / 3600.0
        self._left_h -= every_h
        if (
            self._running is None
            or self._left_h < every_h
            or not stands(self._running, wanted, storage, stored_kwh)
        ):
            self._running, self._left_h = wanted, min(max(hours, LEAST_H) + every_h, MOST_H)
            self.asked += 1
        return self._running


LEAST_H, MOST_H = 1.0, 12.0
"""That an order is given for."""
LOST_H = 1200.0 / 3600.0
"""Work done again after a pause: half of half an hour between checkpoints, and five minutes to start."""


def for_flex(case: Case) -> Case:
    """The case with a load of its own, for jobs to wait in."""
    return replace(case, load_kw=case.load_kw.copy(), known=None if case.known is None else case.known.copy())


WINDOW_DAYS, EARLY_DAYS, REFIT_DAYS = 14, 4, 4
"""History a forecast rests on; the forecaster learns anew each day at first and every fourth day then (the loop: daily)."""
LEAST_DAYS = 4
"""So many past days tell what the days to come may force."""


def _means(series: FloatArray, each: int) -> FloatArray:
    """Means over `each` values, aligned to the end."""
    whole = series.size // each * each
    means: FloatArray = series[series.size - whole :].reshape(-1, each).mean(axis=1)
    return means
