"""The peak loop: it shaves the month's highest draw and moves energy to cheap hours, by storage first, then by jobs that
may wait, and only where the contracted power is in danger by slower or smaller serving.

Each quarter of an hour it forecasts the site's own draw, chooses the draw that storage can hold, keeps the energy that
bursts may ask for, and plans the rest by price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage
from plant.control.peak.follow import Meter, Order, follow_paths, setpoint_kw
from plant.control.peak.levers import Cut, Pause, best_pauses, merit_order, paused
from plant.control.peak.need import least_targets_kw
from plant.control.peak.paths import roughness_kw
from plant.control.peak.planner import Decision, Situation, Tuning, decide, forced_kw, lasting, paths_of
from plant.control.peak.terms import checked, month_end, month_start, prices_ahead
from plant.jobs.schedule import ScheduledJob
from plant.specs import Tariff
from setpoint.contracts.loops import (
    Forecast,
    Foreseen,
    LoopName,
    LoopPlan,
    Move,
    Observed,
    Trouble,
    Watch,
)
from tools.loops.peak_site import (
    Unit,
    cuts_of,
    flexible_jobs,
    held_by,
    job_kw,
    jobs_kw,
    paused_jobs,
    shares,
    still_holds,
    together,
    units_of,
)
from tools.loops.peak_words import GRID, Outlook, plan_of
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing, named

FloatArray = NDArray[np.float64]
STEP_S = 900.0
DAY_STEPS = 96
HORIZON_S, LEAST_S, MOST_S = 30 * 3600.0, 3600.0, 48 * 3600.0
HISTORY_DAYS = 21.0
LEVEL = 0.9
OWN = "site.own_kw"
"""What the site draws without storage."""
CUT_CHANCE = 0.1
"""Serving gives way where the contracted power is passed with at least this chance, storage and jobs counted in."""
NEAR_STEPS = 4
"""Within so many steps: serving is cut for what is near, not for tomorrow."""
FEW_PATHS = 40
"""That pauses of jobs are tried on."""
UPPER = 0.8
"""Quantile of the next step's load that a fixed power is set for: a battery without a follower of its own must not
lag behind the load."""
NEARLY_ALL = 0.98
SLACK_PU = 0.01
"""A draw that storage holds is read within so much of it at best."""
WIDEN, NARROW, WIDEST = 1.06, 0.995, 3.0
"""Factors of the bands after a miss and after a hit: they hold still where nine of ten readings are inside."""


@dataclass(frozen=True)
class Past:
    """The site's own draw up to a moment, at STEP_S."""

    start: datetime
    own_kw: FloatArray
    grid_kw: FloatArray


class PeakLoop:
    """`tools.loops.ports.Loop` of peaks."""

    name: LoopName = "peak"
    cycle_s = STEP_S

    def __init__(self, ports: LoopPorts) -> None:
        self.ports = ports
        self.horizon_s = min(max(ports.horizon_s or HORIZON_S, LEAST_S), MOST_S)
        self.tuning = Tuning(fine_hours=MOST_S / 3600.0)
        self._spread, self._held, self._told = 1.0, 0, 0
        self._fitted: tuple[object, object] | None = None

    @property
    def _steps(self) -> int:
        return round(self.horizon_s / STEP_S)

    # ---- monitor ------------------------------------------------------------------------------------------------

    def monitor(self, now: datetime) -> Watch:
        site, sensing = self.ports.site, Sensing(self.ports, now)
        for feed in named(site, "feed"):
            sensing.number(feed, "load_kw")
        for pdu in named(site, "pdu"):
            if self.ports.read(pdu) is not None:
                sensing.number(pdu, "load_kw", blocks=False)
        for pool in site.pools:
            if self.ports.read(pool.name) is not None:
                sensing.number(pool.name, "batch_limit", blocks=False)
        units_of(site, sensing)
        for trouble in checked(site.tariff)[1]:
            sensing.add(trouble)
        if not named(site, "ess"):
            sensing.add(Trouble(
                kind="missing", what=f"Site {site.name} has no storage", instead="shaves by jobs that may wait",
                remedy="Name the battery in the site file, if there is one", blocks=False,
            ))  # fmt: skip
        return sensing.watch(self.name)

    # ---- predict ------------------------------------------------------------------------------------------------

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        past = self._past(watch.at)
        if not np.isfinite(past.own_kw).any():
            return ()
        bands, method, skill = self._ahead(past, watch.at)
        return (
            Forecast(
                name=OWN, title="Draw of the site without storage", unit="kW", start=watch.at, step_s=STEP_S,
                expected=_tuple(bands[0]), low=_tuple(bands[1]), high=_tuple(bands[2]), level=LEVEL,
                method=method, skill=skill,
            ),
        )  # fmt: skip

    def _past(self, now: datetime) -> Past:
        sensing = Sensing(self.ports, now)
        site = sensing.site_kw(HISTORY_DAYS * 24.0, STEP_S)
        told = np.flatnonzero(np.isfinite(site.own))
        first = int(told[0]) if told.size else 0
        start = now - timedelta(seconds=(site.grid.size - first) * STEP_S)
        return Past(start, site.own[first:], site.grid[first:])

    def _ahead(self, past: Past, now: datetime) -> tuple[tuple[FloatArray, ...], str, str]:
        """Bands from now on; the model learns anew once a day."""
        from plant.control.forecast.model import Forecaster

        ahead, before = self._scheduled(past, now)
        key = (now.date(), past.start.date(), ahead is None)
        if self._fitted is None or self._fitted[0] != key:
            model = Forecaster(STEP_S, self._steps, level=LEVEL).fit(past.own_kw, past.start, before)
            self._fitted = (key, model)
        fitted = self._fitted[1]
        assert isinstance(fitted, Forecaster)
        bands = fitted.predict(past.own_kw, past.start, ahead, before)
        low = bands.expected - self._spread * (bands.expected - bands.low)
        high = bands.expected + self._spread * (bands.high - bands.expected)
        days = past.own_kw.size / DAY_STEPS
        method = f"{fitted.method}, {days:.1f} days of readings" + ("" if ahead is None else ", job schedule")
        skill = f"held {self._held} of {self._told} readings" if self._told else ""
        return (bands.expected, np.maximum(low, 0.0), high), method, skill

    def _scheduled(self, past: Past, now: datetime) -> tuple[FloatArray | None, FloatArray | None]:
        """Power of scheduled jobs ahead and in the past, where a scheduler is read: each (n, 1)."""
        ahead = jobs_kw(self.ports, now, self._steps, STEP_S)
        before = jobs_kw(self.ports, past.start, past.own_kw.size, STEP_S)
        if not before.any():
            return None, None
        return ahead[:, None], before[:, None]

    # ---- optimise -----------------------------------------------------------------------------------------------

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        site = self.ports.site
        found = next((one for one in forecasts if one.name == OWN), None)
        if found is None:
            return self._held_plan(watch, forecasts, _no_forecast(site.name))
        tariff, _ = checked(site.tariff)
        units = units_of(site, Sensing(self.ports, watch.at))
        storage, stored_kwh = together(units)
        past = self._past(watch.at)
        now = self._situation(watch.at, found, past, tariff, storage, stored_kwh)
        without = paths_of(now, self.tuning)
        pauses, loads = self._pauses(watch.at, now, storage, without)
        now = _shifted(now, pauses)
        decision = decide(now, storage, self.tuning)
        if decision.plan.status != "optimal":
            return self._held_plan(watch, forecasts, _unsolved(decision, self.tuning))
        outlook = self._outlook(watch.at, now, decision, units, storage, loads, without, pauses, tariff)
        first = month_start(watch.at, site.zone)
        outlook = replace(outlook, unknown_days=(past.start - first).total_seconds() / 86400.0)
        return plan_of(self.ports, watch, tuple(forecasts), outlook, self.horizon_s)

    def _situation(
        self, at: datetime, found: Forecast, past: Past, tariff: Tariff, storage: Storage, stored_kwh: float
    ) -> Situation:
        zone, limits = self.ports.site.zone, self.ports.site.limits
        since = round((at - month_start(at, zone)).total_seconds() / STEP_S)
        month_own, month_grid = past.own_kw[-since:] if since else past.own_kw[:0], past.grid_kw[-since:]
        now_kw = float(found.expected[0])
        return Situation(
            expected_kw=np.array(found.expected), low_kw=np.array(found.low), high_kw=np.array(found.high),
            level=found.level,
            prices=prices_ahead(tariff, at, len(found.expected), STEP_S, zone), step_s=STEP_S,
            stored_kwh=stored_kwh, grid_peak_kw=_most(month_grid if since else month_own, 0.0),
            load_peak_kw=_most(month_own, now_kw), demand_per_kw=tariff.demand_per_kw_month,
            rough_kw=roughness_kw(past.own_kw, STEP_S, np.random.default_rng(0)),
            past_kw=past.own_kw, most_import_kw=limits.get("site_power_max_kw", np.inf), period_steps=round((month_end(at, zone) - at).total_seconds() / STEP_S),
            later_peaks_kw=self._later_peaks(at, past, storage),
        )  # fmt: skip

    def _later_peaks(self, at: datetime, past: Past, storage: Storage) -> FloatArray | None:
        """Peaks that the rest of the month may force anyhow, by past days drawn anew; None where few are known."""
        whole = past.own_kw.size // DAY_STEPS
        left = (month_end(at, self.ports.site.zone) - at).days
        days = past.own_kw[past.own_kw.size - whole * DAY_STEPS :].reshape(-1, DAY_STEPS)
        days = days[np.isfinite(days).all(axis=1)]
        if len(days) < 4 or left < 1:
            return None
        held = least_targets_kw(days, STEP_S, storage.high_kwh, storage)
        drawn: FloatArray = np.random.default_rng(1).choice(held, size=(64, left)).max(axis=1)
        return drawn

    def _pauses(
        self, at: datetime, now: Situation, storage: Storage, loads: FloatArray
    ) -> tuple[list[Pause], FloatArray]:
        """Jobs that wait where storage alone would let the month's peak rise, and the loads with them."""
        jobs = flexible_jobs(self.ports, at, self._steps, STEP_S)
        floor = max(now.grid_peak_kw, forced_kw(now, self.tuning))
        few = loads[:: max(1, len(loads) // FEW_PATHS)]
        pauses, _ = best_pauses(
            few, STEP_S, now.stored_kwh, storage, jobs, floor_kw=floor, quantile=0.5,
            demand_per_kw=now.demand_per_kw, price=float(now.prices.mean()),
        )  # fmt: skip
        for pause in pauses:
            loads = paused(loads, pause)
        return pauses, loads

    def _outlook(
        self, at: datetime, now: Situation, decision: Decision, units: Sequence[Unit], storage: Storage,
        loads: FloatArray, without: FloatArray, pauses: Sequence[Pause], tariff: Tariff,
    ) -> Outlook:  # fmt: skip
        order, hours = decision.order, decision.hours
        planned = decision.plan.power_kw[0]
        grid, stored = follow_paths(loads, hours, planned, order, storage, now.stored_kwh)
        kept, hours_kept = lasting(decision, storage) if units else (order, 0.0)
        due = {one.name: held_by(one, storage, kept) for one in units if one.follows}
        due_kw = shares(units, _fixed_power(now, order, storage, loads), STEP_S / 3600.0)
        return Outlook(
            at=at, now=now, decision=decision, storage=storage, units=tuple(units), tariff=tariff,
            without_kw=without, grid_kw=grid, stored_kwh=stored,
            due_kw={name: kw for name, kw in due_kw.items() if name not in due},
            due_orders={
                one.name: due[one.name] for one in units
                if one.follows and not still_holds(one, due[one.name], self.cycle_s)
            },
            order_h=hours_kept,
            pauses=tuple(pauses), cuts=self._cuts(now, grid), resumes=self._resumes(at, now, order, loads),
        )  # fmt: skip

    def _cuts(self, now: Situation, grid_kw: FloatArray) -> tuple[Cut, ...]:
        """Serving gives way only for the contracted power, and only for the next hour."""
        near = grid_kw[:, :NEAR_STEPS].max(axis=1)
        if not np.isfinite(now.most_import_kw) or (near > now.most_import_kw).mean() < CUT_CHANCE:
            return ()
        over_kw = float(np.quantile(near, 1.0 - CUT_CHANCE)) - now.most_import_kw
        return tuple(merit_order(cuts_of(self.ports), over_kw))

    def _resumes(
        self, at: datetime, now: Situation, order: Order, loads: FloatArray
    ) -> tuple[ScheduledJob, ...]:
        """Jobs that wait and whose power fits under the target again for an hour, with nine chances of ten."""
        room_kw = order.target_kw - float(np.quantile(loads[:, :NEAR_STEPS].max(axis=1), 1.0 - CUT_CHANCE))
        fits = []
        for job in paused_jobs(self.ports, at):
            kw = job_kw(self.ports.site, job)
            if kw <= room_kw:
                fits.append(job)
                room_kw -= kw
        return tuple(fits)

    def _held_plan(self, watch: Watch, forecasts: Sequence[Forecast], trouble: Trouble) -> LoopPlan:
        """Nothing is moved: setpoints of storage run out by themselves, and the local controller has it."""
        return LoopPlan(
            loop=self.name, site=self.ports.site.name, made=watch.at, horizon_s=self.horizon_s,
            headline=f"Storage rests: {trouble.what[0].lower()}{trouble.what[1:]}.",
            forecasts=tuple(forecasts), troubles=(*watch.troubles, trouble), local=True,
        )  # fmt: skip

    # ---- what comes of it ---------------------------------------------------------------------------------------

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        """The draw of the grid at the next cycle."""
        due = plan.made + timedelta(seconds=self.cycle_s)
        own = next((one for one in plan.forecasts if one.name == OWN), None)
        curve = next((one for one in plan.curves if one.name == GRID), None)
        if own is None or curve is None or plan.local:
            return ()
        expected, low, high = (self._drawn(plan, kw[0]) for kw in (own.expected, own.low, own.high))
        low, high = min(low, (1.0 - SLACK_PU) * expected), max(high, (1.0 + SLACK_PU) * expected)
        return (Foreseen(loop=self.name, at=plan.made, due=due, name=GRID, expected=expected, low=low, high=high,
                         unit="kW"),)  # fmt: skip

    def _drawn(self, plan: LoopPlan, own_kw: float) -> float:
        """Draw of the grid at such a draw without storage, by what the plan moves now and what batteries hold."""
        due = [move for move in plan.moves if move.at <= plan.made]
        own_kw -= sum(_signed_kw(move) for move in due)
        ordered = {move.asset: _order_of(move) for move in due if move.action == "hold_draw"}
        units = [one for one in units_of(self.ports.site, Sensing(self.ports, plan.made)) if one.follows]
        held = [(one, order) for one in units if (order := ordered.get(one.name, one.runs)) is not None]
        rating_kw = sum(one.storage.power_kw for one, _ in held)
        given = 0.0
        for one, order in held:
            part = one.storage.power_kw / rating_kw
            mine = replace(order, target_kw=order.target_kw * part, charge_cap_kw=order.charge_cap_kw * part)
            given += setpoint_kw(mine, own_kw * part, Meter(), one.storage, one.stored_kwh)
        return max(own_kw - given, 0.0)

    def learn(self, observed: Sequence[Observed]) -> None:
        """Bands grow wider after each miss and narrower after each hit."""
        for seen in observed:
            if seen.inside is None or seen.foreseen.loop != self.name:
                continue
            self._told += 1
            self._held += seen.inside
            self._spread = min(max(self._spread * (NARROW if seen.inside else WIDEN), 1.0), WIDEST)

    def state(self) -> dict[str, object]:
        return {"spread": self._spread, "held": self._held, "told": self._told}

    def restore(self, state: Mapping[str, object]) -> None:
        spread, held, told = (state.get(name) for name in ("spread", "held", "told"))
        if isinstance(spread, int | float) and 1.0 <= spread <= WIDEST:
            self._spread = float(spread)
        if isinstance(held, int) and isinstance(told, int) and 0 <= held <= told:
            self._held, self._told = held, told


def make(ports: LoopPorts) -> PeakLoop:
    """See `tools.loops.ports.make_loop`."""
    return PeakLoop(ports)


def _tuple(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _most(series: FloatArray, none: float) -> float:
    told = series[np.isfinite(series)]
    return float(told.max()) if told.size else none


def _shifted(now: Situation, pauses: Sequence[Pause]) -> Situation:
    """The situation with jobs waiting: bands move with the expected load."""
    bands = np.stack([now.expected_kw, now.low_kw, now.high_kw])
    for pause in pauses:
        bands = paused(bands, pause)
    return replace(now, expected_kw=bands[0], low_kw=bands[1], high_kw=bands[2])


def _fixed_power(now: Situation, order: Order, storage: Storage, loads: FloatArray) -> float:
    """Power for the whole next step. Discharging follows a load that four of five paths stay below; charging must not
    make a peak, so it counts with one that nearly all stay below."""
    likely, high = (float(np.quantile(loads[:, 0], share)) for share in (UPPER, NEARLY_ALL))
    power = setpoint_kw(order, likely, Meter(), storage, now.stored_kwh)
    if power < 0.0:
        power = min(setpoint_kw(order, high, Meter(), storage, now.stored_kwh), 0.0)
    hours = now.step_s / 3600.0
    most_out = max(now.stored_kwh - storage.low_kwh, 0.0) * storage.eta_discharge / hours
    most_in = max(storage.high_kwh - now.stored_kwh, 0.0) / storage.eta_charge / hours
    return min(max(power, -most_in), most_out)


def _signed_kw(move: Move) -> float:
    sign = {"discharge_ess": 1.0, "charge_ess": -1.0}.get(move.action, 0.0)
    return sign * float(move.args.get("power_kw", 0.0))


def _order_of(move: Move) -> Order:
    """Without energy kept, which shows within a quarter of an hour only where the battery is nearly empty."""
    args = {name: float(arg) for name, arg in move.args.items()}
    return Order(args["base_kw"], args["target_kw"], args["charge_cap_kw"])


def _no_forecast(site: str) -> Trouble:
    return Trouble(
        kind="missing", metric="load_kw", what=f"No forecast of the draw of {site} stands",
        instead="storage rests, the local controller has it", remedy="Check the readings of the feeds and their history",
    )  # fmt: skip


def _unsolved(decision: Decision, tuning: Tuning) -> Trouble:
    plan = decision.plan
    late = plan.status == "time limit"
    what = (
        f"The programme found no plan within {tuning.time_limit_s:g} s" if late
        else f"The programme of {plan.variables} unknowns has no solution"
    )  # fmt: skip
    return Trouble(
        kind="solver_timeout" if late else "infeasible", what=what,
        instead="storage rests, the local controller has it", remedy="Plan again at the next quarter of an hour",
    )  # fmt: skip
