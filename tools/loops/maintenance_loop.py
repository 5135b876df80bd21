"""The maintenance loop: which parts will fail, how sure that is, and in which hours of low load the work is best done.

It turns once a day. A part with a sign in its own readings gets a date of its own; a part without one gets what its
kind does, and no work is planned for it before its time. The loop only ever proposes tickets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from plant.control.maintenance import schedule
from setpoint.contracts.loops import (
    Forecast,
    Foreseen,
    LoopName,
    LoopPlan,
    Move,
    Observed,
    Risk,
    Saving,
    SolverNote,
    Task,
    Trouble,
    Watch,
)
from tools.loops.maintenance_case import Case, case_of
from tools.loops.maintenance_load import low_windows, most_draw_kw, site_load
from tools.loops.maintenance_records import Records
from tools.loops.maintenance_site import DAY_S, Part, parts_of
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing

HORIZON_DAYS = 14.0
TASKS_DAYS = 90.0
LEVEL = 0.9
MOST_TICKETS = 3
LISTED = 5
"""Parts that a plan lists at least, so that an operator sees what was looked at."""
LATE_PU = 0.3
"""A chance of failing before the spare is here from which it is told."""
MOST_SIGNALS = 5
ASK_AGAIN_DAYS = 7.0
FORGOTTEN_DAYS = 60.0
"""So long after its spare should have come, an order is no longer counted on."""
HOUR_S = 3600.0


class MaintenanceLoop:
    """`tools.loops.ports.Loop` of maintenance."""

    name: LoopName = "maintenance"
    cycle_s = DAY_S

    def __init__(self, ports: LoopPorts) -> None:
        self.ports = ports
        self.horizon_s = ports.horizon_s or HORIZON_DAYS * DAY_S
        self._tasks_days = max(TASKS_DAYS if ports.horizon_s is None else ports.horizon_s / DAY_S, 7.0)
        self._records = Records(ports)
        self._asked: dict[str, str] = {}
        """Moment a ticket was last proposed, by part."""
        self._ordered: dict[str, str] = {}
        """Moment one was first proposed: spares count as ordered then."""
        self._held, self._told = 0, 0
        """Of the readings foreseen so far: within their interval, and all."""
        self._cases: tuple[datetime, list[Case]] | None = None

    def monitor(self, now: datetime) -> Watch:
        sensing = Sensing(self.ports, now)
        self._cases = None
        self._records.read(parts_of(self.ports.site, now), sensing)
        meters = Sensing(self.ports, now)
        load = site_load(meters)
        told = [trouble for trouble in meters.troubles if load.trouble or trouble.kind != "missing"]
        for trouble in (*told, *((load.trouble,) if load.trouble else ())):
            sensing.add(trouble.model_copy(update={"blocks": False}))  # a ticket needs no meter
        return sensing.watch(self.name)

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        """The site's draw by the hour, and the signals of the parts that show wear, by the day."""
        load = site_load(Sensing(self.ports, watch.at)).forecast(watch.at, most_draw_kw(self.ports.site))
        cases = [case for case in self._cases_at(watch.at) if case.outlook.sign]
        cases.sort(key=lambda case: -case.outlook.within(TASKS_DAYS))
        signals = tuple(self._signal(case, watch.at) for case in cases[:MOST_SIGNALS])
        return (*((load,) if load else ()), *signals)

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        cases = self._cases_at(watch.at)
        due = [case for case in cases if case.due]
        self._forget_done(cases)
        load = next((one for one in forecasts if one.step_s == HOUR_S), None)
        windows = low_windows(self.ports.site, watch.at, load, self._tasks_days)
        jobs = [self._job(case, windows.spans, watch.at) for case in due]
        found = schedule.plan(jobs, windows.spans, _crews(due))
        tasks = tuple(
            self._task(case, found, windows.spans, watch.at)
            for case in (*_by_risk(due, self._tasks_days), *_watched(cases, due, self._tasks_days))
        )
        troubles = self._late(due, watch.at)
        return LoopPlan(
            loop=self.name, site=self.ports.site.name, made=watch.at, horizon_s=self._tasks_days * DAY_S,
            headline=_headline(tasks, self._tasks_days), forecasts=tuple(forecasts),
            moves=self._tickets(due, tasks, watch.at), savings=self._savings(due, found, windows.spans),
            risks=_risks(cases, due, found, windows.spans, self._tasks_days), tasks=tasks, troubles=troubles,
            facts=self._facts(cases, tasks), notes=(*windows.notes, *found.notes, *_notes(cases)),
            solver=SolverNote(method=found.method, status=found.status, seconds=found.seconds,
                              variables=found.variables, gap=found.gap),
        )  # fmt: skip

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        """Tomorrow's reading of each signal that shows wear."""
        due = plan.made + timedelta(seconds=self.cycle_s)
        return tuple(
            Foreseen(loop=self.name, at=plan.made, due=due, name=one.name, expected=one.expected[0], low=one.low[0],
                     high=one.high[0], unit=one.unit)
            for one in plan.forecasts if one.step_s == DAY_S
        )  # fmt: skip

    def learn(self, observed: Sequence[Observed]) -> None:
        for seen in observed:
            if seen.inside is not None and seen.foreseen.loop == self.name:
                self._told += 1
                self._held += seen.inside

    def state(self) -> dict[str, object]:
        return {
            "records": self._records.state(),
            "asked": dict(self._asked),
            "ordered": dict(self._ordered),
            "held": self._held,
            "told": self._told,
        }

    def restore(self, state: Mapping[str, object]) -> None:
        records = state.get("records")
        if isinstance(records, Mapping):
            self._records.restore(records)
        self._asked, self._ordered = (_moments(state.get(name)) for name in ("asked", "ordered"))
        for name in ("held", "told"):
            kept = state.get(name)
            if isinstance(kept, int):
                setattr(self, f"_{name}", kept)

    # ---- forecasts ----------------------------------------------------------------------------------------------

    def _cases_at(self, now: datetime) -> list[Case]:
        if self._cases is None or self._cases[0] != now:
            parts = parts_of(self.ports.site, now)
            if not self._records.holds(now):
                self._records.read(parts, Sensing(self.ports, now))
            self._cases = now, [case_of(part, self._records.of(part, now)) for part in parts]
        return self._cases[1]

    def _signal(self, case: Case, now: datetime) -> Forecast:
        """The reading of the signal that tells most, by the day, along the fitted path."""
        found = case.outlook.trend
        assert found is not None
        part, signal = case.part, case.part.kind.by_metric[found.metric]
        ahead = np.arange(1.0, 15.0)
        middle, low, high = found.ahead(ahead, signal.noise, LEVEL)
        ends = [[signal.reading(float(d)) for d in path] for path in (middle, low, high)]
        least, most = (ends[1], ends[2]) if signal.limit > signal.usual else (ends[2], ends[1])
        return Forecast(
            name=f"{part.asset}.{found.metric}", title=f"{part.kind.title} of {part.asset}: {found.metric}",
            unit=signal.unit, start=now, step_s=DAY_S, expected=tuple(ends[0]), low=tuple(least), high=tuple(most),
            level=LEVEL, method=f"path through {found.points} readings, slope with a prior from ended lives",
            skill=f"{self._held} of {self._told} earlier ones were inside" if self._told else "",
        )  # fmt: skip

    # ---- work ---------------------------------------------------------------------------------------------------

    def _job(self, case: Case, windows: Sequence[schedule.Window], now: datetime) -> schedule.Job:
        part, work = case.part, case.part.kind.work
        starts = np.array([window.start_days for window in windows])
        gains = case.worth.gain(starts, self._tasks_days)
        allowed = starts >= self._lead_days(part, now)
        for window in self.ports.site.maintenance:
            if part.bared_by(window.assets):
                begin, end = ((moment - now).total_seconds() / DAY_S for moment in (window.start, window.end))
                allowed &= (starts + work.hours / 24.0 <= begin) | (starts >= end)
        return schedule.Job(
            part.key,
            work.crew,
            work.hours,
            np.where(allowed, gains, -np.inf),
            case.load_cost,
            part.not_with,
        )

    def _task(
        self, case: Case, found: schedule.Schedule, windows: Sequence[schedule.Window], now: datetime
    ) -> Task:
        part, outlook = case.part, case.outlook
        place = found.windows.get(part.key)
        begin = None if place is None else now + timedelta(days=windows[place].start_days)
        low, high = outlook.interval_days(LEVEL)
        return Task(
            asset=part.asset, part=part.kind.title, work=part.kind.work.imperative,
            expected_failure=_date(now, outlook.quantile_days(0.5)), low=_date(now, low), high=_date(now, high),
            fails_within=min(max(outlook.within(self._tasks_days), 0.0), 1.0), window_start=begin,
            window_end=begin + timedelta(hours=windows[place].hours) if begin and place is not None else None,
            crew=part.kind.work.crew, hours=part.kind.work.hours,
            because=f"{case.because}; {case.chances(self._tasks_days)}",
        )  # fmt: skip

    def _tickets(self, due: Sequence[Case], tasks: Sequence[Task], now: datetime) -> tuple[Move, ...]:
        """Tickets for parts that have to be ordered by tomorrow, the greatest risks first."""
        said = {(task.asset, task.part): task for task in tasks}
        moves: list[Move] = []
        for case in _by_risk(due, self._tasks_days):
            part, task = case.part, said[case.part.asset, case.part.kind.title]
            if (
                len(moves) == MOST_TICKETS
                or not self._may_ask(part.key, now)
                or not self._order_now(case, task, now)
            ):
                continue
            self._asked[part.key] = now.isoformat()
            self._ordered.setdefault(part.key, now.isoformat())
            moves.append(self._ticket(case, task, now))
        return tuple(moves)

    def _order_now(self, case: Case, task: Task, now: datetime) -> bool:
        """For its window the spare has to be ordered by tomorrow; without one, it may fail before a spare is here."""
        if task.window_start is None:
            return self._comes_late(case, now)
        order_by = task.window_start - timedelta(days=self._lead_days(case.part, now))
        return order_by <= now + timedelta(seconds=self.cycle_s)

    def _ticket(self, case: Case, task: Task, now: datetime) -> Move:
        work, begin = case.part.kind.work, task.window_start
        days = self._tasks_days if begin is None else (begin - now).total_seconds() / DAY_S
        what = (
            f"it is likely to fail before a part can be here ({work.lead_days:g} days): {work.imperative} by express order"
            if begin is None
            else f"{work.imperative} on {begin:%d %b %H:%M} UTC, parts take {work.lead_days:g} days"
        )
        return Move(
            at=now, action="open_ticket", asset=case.part.asset, args={"queue": work.queue}, why=f"{task.because}; {what}",
            saves=_gain_words(case, days, self._tasks_days, self.ports.site.tariff.currency) if begin else "",
        )  # fmt: skip

    def _comes_late(self, case: Case, now: datetime) -> bool:
        """Whether its readings say that it may well fail before its spare is here."""
        return case.outlook.sign and case.outlook.within(self._lead_days(case.part, now)) >= LATE_PU

    def _lead_days(self, part: Part, now: datetime) -> float:
        """Until its spare is here: since the first ticket for it, if there was one in the last weeks."""
        ordered = _moment(self._ordered.get(part.key))
        gone = (now - ordered).total_seconds() / DAY_S if ordered else 0.0
        lead = part.kind.work.lead_days
        return max(lead - gone, 0.0) if gone < lead + FORGOTTEN_DAYS else lead

    def _may_ask(self, key: str, now: datetime) -> bool:
        """Not again within a week; the same moment gives the same answer."""
        asked = _moment(self._asked.get(key))
        return asked is None or asked == now or (now - asked).total_seconds() >= ASK_AGAIN_DAYS * DAY_S

    def _forget_done(self, cases: Sequence[Case]) -> None:
        """A part whose readings are sound again was renewed: its next spare is not on order."""
        for case in cases:
            if case.outlook.trend is not None and not case.outlook.sign:
                self._asked.pop(case.part.key, None)
                self._ordered.pop(case.part.key, None)

    def _late(self, due: Sequence[Case], now: datetime) -> tuple[Trouble, ...]:
        """Parts that may well fail before their spare is there."""
        return tuple(
            Trouble(
                kind="uncertain", asset=case.part.asset, what=f"The {case.part.kind.title} of {case.part.asset} fails "
                f"before its part can be here, in {self._lead_days(case.part, now):.3g} days, with a chance of "
                f"{case.outlook.within(self._lead_days(case.part, now)):.0%}.",
                instead="A ticket is asked for at once; work after that is planned as far as it is still worth it.",
                remedy="Order the part by express, or have a spare in store.", blocks=False,
            )
            for case in due
            if self._comes_late(case, now)
        )  # fmt: skip

    def _savings(
        self, due: Sequence[Case], found: schedule.Schedule, windows: Sequence[schedule.Window]
    ) -> tuple[Saving, ...]:
        """Of the work that is planned, against letting the same parts run until they fail within the horizon."""
        planned = [
            (case, windows[found.windows[case.part.key]]) for case in due if case.part.key in found.windows
        ]
        if not planned:
            return ()
        days = self._tasks_days
        visits = {(case.part.kind.work.crew, window.day) for case, window in planned}
        fails = sum(case.outlook.within(window.start_days) for case, window in planned)
        runs = sum(case.outlook.within(days) for case, _ in planned)
        cost = len(visits) * schedule.VISIT_COST + sum(
            case.price.failure * (chance := case.outlook.within(window.start_days))
            + case.price.planned * (1.0 - chance)
            + case.load_cost * case.part.kind.work.hours * window.load_pu
            for case, window in planned
        )
        let_run = sum(case.price.failure * case.outlook.within(days) for case, _ in planned)
        name = f"the same parts run to failure within {days:.0f} days"
        return (
            Saving(what="unforeseen failures", unit="", planned=fails, baseline=runs, baseline_name=name),
            Saving(what="maintenance cost", unit=self.ports.site.tariff.currency, planned=cost, baseline=let_run,
                   baseline_name=name),
        )  # fmt: skip

    def _facts(self, cases: Sequence[Case], tasks: Sequence[Task]) -> dict[str, str]:
        signs = sum(case.outlook.sign for case in cases)
        facts = {
            "parts": f"{len(cases)} parts",
            "parts with a sign": f"{signs} parts",
            "parts read": f"{sum(case.outlook.trend is not None for case in cases)} parts",
            "work planned": f"{sum(task.window_start is not None for task in tasks)} pieces of work",
            "horizon": f"{self._tasks_days:.0f} days",
        }
        if self._told:
            facts["readings foreseen"] = f"{self._held} of {self._told} within their interval"
        return facts


def make(ports: LoopPorts) -> MaintenanceLoop:
    """The loop for `tools.loops.ports.make_loop`."""
    return MaintenanceLoop(ports)


# ---- words and figures -------------------------------------------------------------------------------------------


def _crews(due: Sequence[Case]) -> list[schedule.Crew]:
    return [schedule.Crew(name) for name in sorted({case.part.kind.work.crew for case in due})]


def _by_risk(due: Sequence[Case], days: float) -> list[Case]:
    return sorted(due, key=lambda case: -case.outlook.within(days) * case.price.failure)


def _watched(cases: Sequence[Case], due: Sequence[Case], days: float) -> list[Case]:
    """Parts for which nothing is due, so that those listed are `LISTED` in all: of each kind the one most at risk, since
    parts without a sign differ little within their kind."""
    kinds = {case.part.kind.name for case in due}
    rest = sorted((case for case in cases if not case.due), key=lambda case: -case.outlook.within(days))
    first = {case.part.kind.name: case for case in reversed(rest) if case.part.kind.name not in kinds}
    listed = sorted(first.values(), key=lambda case: -case.outlook.within(days))
    return listed[: max(LISTED - len(due), 0)]


def _gain_words(case: Case, days: float, horizon_days: float, currency: str) -> str:
    gain = float(case.worth.gain(np.array([days]), horizon_days)[0])
    return f"{gain:,.0f} {currency} expected, against leaving it" if gain > 0 else ""


def _headline(tasks: Sequence[Task], days: float) -> str:
    planned = [task for task in tasks if task.window_start]
    if not planned:
        return f"No work is due within {days:.0f} days: no part shows a sign that calls for it."
    first = min(planned, key=lambda task: task.window_start or datetime.max.replace(tzinfo=UTC))
    many = "1 piece of work" if len(planned) == 1 else f"{len(planned)} pieces of work"
    return f"{many} planned within {days:.0f} days, first to {first.work} on {first.asset}."


def _risks(
    cases: Sequence[Case],
    due: Sequence[Case],
    found: schedule.Schedule,
    windows: Sequence[schedule.Window],
    days: float,
) -> tuple[Risk, ...]:
    planned = [case for case in due if case.part.key in found.windows]
    risks = []
    if planned:
        before = [case.outlook.within(windows[found.windows[case.part.key]].start_days) for case in planned]
        without = [case.outlook.within(days) for case in planned]
        risks.append(
            Risk(
                what="A part in the plan fails before its window", chance=_any(before), without=_any(without)
            )
        )
    rest = [case.outlook.within(14.0) for case in cases if not case.due]
    if rest:
        risks.append(
            Risk(what=f"One of {len(rest)} parts without a sign fails within 14 days, as its kind does", chance=_any(rest))
        )  # fmt: skip
    return tuple(risks)


def _any(chances: Sequence[float]) -> float:
    return min(max(1.0 - math.prod(1.0 - chance for chance in chances), 0.0), 1.0)


def _notes(cases: Sequence[Case]) -> tuple[str, ...]:
    unread = [case for case in cases if case.outlook.trend is None]
    blind = [case for case in unread if case.part.age_days is None]
    notes = [
        "The forecasts are learned from simulated lives (plant/control/maintenance/parts.py states the figures); "
        "costs and the worth of GPU hours are assumptions there."
    ]  # fmt: skip
    if blind:
        titles = sorted({case.part.kind.title for case in blind})
        notes.append(
            f"{len(blind)} parts are neither read nor of known age ({', '.join(titles)}): their kind's rate is all that "
            "can be said, and no work is planned for them. A line in the site file's changes tells their age."
        )
    return tuple(notes)


def _date(now: datetime, days: float) -> datetime | None:
    """None beyond ten years."""
    return now + timedelta(days=days) if days < 3650.0 else None


def _moments(kept: object) -> dict[str, str]:
    """What of a saved state are moments by part."""
    if not isinstance(kept, Mapping):
        return {}
    return {str(key): str(when) for key, when in kept.items() if _moment(when) is not None}


def _moment(written: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(written)) if written else None
    except ValueError:
        return None
