"""What a run of control loops came to, as rows for its report: meters, days, what was asked and what was not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from agents.plan_words import figure, listed, quantity, share
from setpoint.app.formatting import counted
from setpoint.app.loop_meters import METERS, MONEY, SHARE
from setpoint.app.loop_text import fate
from setpoint.app.loops_run import Asked, LoopRun, RaisedTrouble, Track
from setpoint.contracts.loops import Cycle, Observed
from tools.actions import describe

QUARTER_S, DAY_S = 900.0, 86400.0
GRID, HOTTEST = "site.grid_kw", "site.gpu_temp_max_c"
_NO_REFUSAL = ("done", "still waiting", "withdrawn for a newer plan")
WHOLE_H = 22.5
"""A day of so many hours is whole, also where the clock is put forward."""
STORED_PU = 0.001
"""A smaller share of the energy in storage is not worth a word."""
SAME_PU = 0.0005
"""A smaller share of difference is none."""
Measure = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
"""Of the times (s) and values of one day."""
_NO_ZERO = ("C", SHARE)
"""Of these a share of change says nothing: the difference is told."""


@dataclass(frozen=True)
class Figure:
    """One meter, with the loops and without."""

    name: str
    words: str
    unit: str
    with_loop: float
    without: float | None
    sense: int

    @property
    def change_pu(self) -> float | None:
        """Share of change against without; None where it cannot be told."""
        if self.without is None or not self.without or not math.isfinite(self.without):
            return None
        return (self.with_loop - self.without) / abs(self.without)

    @property
    def verdict(self) -> str:
        """ "better", "worse", or "" where it is the same or neither."""
        if self.without is None or not self.sense:
            return ""
        gone = self.with_loop - self.without
        if abs(gone) <= SAME_PU * max(abs(self.without), abs(self.with_loop)):
            return ""
        return "better" if gone * self.sense > 0 else "worse"

    @property
    def change(self) -> str:
        """`-3.2 %`; in the unit where without is zero."""
        if self.without is None:
            return ""
        if self.with_loop == self.without:
            return "same"
        if (gone := self.change_pu) is not None and self.unit not in _NO_ZERO:
            return f"{100 * gone:+.1f} %" if abs(gone) >= SAME_PU else "same"
        scale, unit = (100.0, "points") if self.unit == SHARE else (1.0, self.unit)
        apart = scale * (self.with_loop - self.without)
        return f"{'+' if apart > 0 else ''}{figure(apart)} {unit}".strip()


def figures(run: LoopRun) -> list[Figure]:
    """Those that were counted, in the order of the table; meters that it does not know are left out."""
    found = []
    for one in METERS:
        if one.name in run.meters and not (
            one.part and run.meters[one.name] == 0.0 == run.without.get(one.name)
        ):
            unit = run.currency if one.unit == MONEY else one.unit
            read, other = run.meters[one.name], run.without.get(one.name)
            found.append(Figure(one.name, one.words, unit, read, other, one.sense))
    return found


def headline(run: LoopRun) -> list[str]:
    """The run in sentences: what became less, what became worse, what was asked."""
    known = {one.name: one for one in figures(run)}
    said = []
    if run.without:
        better = [
            _better(known[n])
            for n in ("grid_kwh", "bill", "billed_kw", "cooling_kwh", "carbon_kg")
            if _is(known, n, "better")
        ]
        said.append(
            f"Against the same days without: {listed(better)}." if better
            else "Against the same days without, neither energy nor bill nor peak became less."
        )  # fmt: skip
        worse = [
            f"{one.words} {_amount(one)} instead of {_amount(one, without=True)}"
            for one in known.values()
            if one.verdict == "worse"
        ]
        said.append(f"Worse than without: {'; '.join(worse)}." if worse else "No meter became worse.")
        said += _stored(run)
    tally = outcomes(run.asked)
    done = f": {listed([f'{many} {what}' for what, many in tally.items()])}" if tally else ""
    withheld = sum(len(cycle.withheld) for cycle in run.cycles)
    said.append(
        f"{counted(len(run.cycles), 'cycle')} put {counted(len(run.asked), 'proposal')} to review{done}; "
        f"{withheld} more {'was' if withheld == 1 else 'were'} wanted and withheld."
    )
    return said


def _stored(run: LoopRun) -> list[str]:
    """What lies in storage at the end beyond what would, or was taken from it, makes a short run look worse or better."""
    more = run.meters.get("stored_kwh", 0.0) - run.without.get("stored_kwh", 0.0)
    if abs(more) <= STORED_PU * run.meters.get("grid_kwh", 0.0):
        return []
    if more > 0:
        return [f"Storage holds {quantity(more, 'kWh')} more at the end: paid for and not yet used."]
    return [f"Storage holds {quantity(-more, 'kWh')} less at the end: that energy was bought before the run."]


def _is(known: dict[str, Figure], name: str, verdict: str) -> bool:
    return name in known and known[name].verdict == verdict


def _better(one: Figure) -> str:
    return f"{one.words} {_amount(one)} ({one.change})"


def _amount(one: Figure, *, without: bool = False) -> str:
    value = one.without if without else one.with_loop
    return quantity(value if value is not None else math.nan, one.unit)


# ---- what was asked ----------------------------------------------------------------------------------------------


def fate_why(one: Asked) -> str:
    """The reason behind it, where there is one."""
    decision = one.review.decision
    parts = [
        one.outcome.message if one.outcome else "",
        one.why_ended,
        (decision.reason or decision.answer) if decision else "",
    ]
    return "; ".join(dict.fromkeys(part for part in parts if part))


def outcomes(asked: Iterable[Asked]) -> dict[str, int]:
    """How many came to what, the most first."""
    return dict(Counter(fate(one) for one in asked).most_common())


def in_a_word(what: str) -> str:
    """A fate as the head of a column.

    >>> in_a_word("withdrawn for a newer plan"), in_a_word("still waiting"), in_a_word("approved, not carried out")
    ('withdrawn', 'waiting', 'not done')
    """
    known = {
        "still waiting": "waiting",
        "approved, not carried out": "not done",
        "approved and refused afterwards": "refused",
    }
    return known.get(what, what.split()[0])


def fates_of(asked: Iterable[Asked]) -> dict[str, int]:
    """How many came to what, in a word each, the most first."""
    return dict(Counter(in_a_word(fate(one)) for one in asked).most_common())


def rehearsal_words(one: Asked) -> str:
    """What its rehearsal said; why there is none."""
    proposal = one.review.proposal
    if proposal is None:
        return ""
    if proposal.rehearsal is None:
        return "not rehearsed"
    refused = proposal.rehearsal.refused
    return f"{proposal.rehearsal.said}{f' Refused: {refused}' if refused else ''}".strip()


def asked_words(one: Asked) -> str:
    """What was asked, in the catalog's words."""
    proposal = one.review.proposal
    return describe(proposal.action) if proposal else one.review.subject


@dataclass(frozen=True)
class Reason:
    """Why something was not put to review or not done, told once for all the times it happened."""

    loop: str
    why: str
    """Of the last time; the numbers of the others differ."""
    subject: str
    count: int
    first: datetime
    last: datetime


def reasons(run: LoopRun) -> list[Reason]:
    """Every refusal: withheld before review, refused or failed afterwards. The most frequent first."""
    found: dict[tuple[str, str], list[tuple[datetime, str, str]]] = {}
    for cycle in run.cycles:
        for held in cycle.withheld:
            found.setdefault((cycle.loop, _alike(held.why)), []).append((cycle.at, held.why, held.subject))
    loop_of = {cycle.id: cycle.loop for cycle in run.cycles}
    for one in run.asked:
        if fate(one) not in _NO_REFUSAL:
            why = f"{fate(one)}: {fate_why(one) or 'no reason given'}"
            loop = loop_of.get(one.cycle, "")
            found.setdefault((loop, _alike(why)), []).append((one.at, why, asked_words(one)))
    made = [
        Reason(loop, times[-1][1], times[-1][2], len(times), times[0][0], times[-1][0])
        for (loop, _), rows in found.items()
        if (times := sorted(rows))
    ]
    return sorted(made, key=lambda one: (-one.count, one.first))


def _alike(why: str) -> str:
    """The reason without its numbers and names of assets.

    >>> _alike("cdu-3 flow from 120 to 210 is a step of 90") == _alike("cdu-12 flow from 80.5 to 170 is a step of 89.5")
    True
    """
    return re.sub(r"[\w./-]*\d[\w.,/-]*", "#", why)


# ---- day by day --------------------------------------------------------------------------------------------------


@dataclass
class Day:
    """One local day of the run."""

    day: date
    asked: list[Asked] = field(default_factory=list)
    withheld: int = 0
    cycles: int = 0
    troubles: list[RaisedTrouble] = field(default_factory=list)
    energy_kwh: tuple[float, float | None] = (math.nan, None)
    """With and without."""
    peak_kw: tuple[float, float | None] = (math.nan, None)
    hottest_c: tuple[float, float | None] = (math.nan, None)
    hours: float = 0.0
    """So much of it lies within the run."""

    @property
    def saved_kwh(self) -> float:
        """NaN where the days were not run without."""
        with_loop, without = self.energy_kwh
        return math.nan if without is None else without - with_loop


def days_of(run: LoopRun) -> list[Day]:
    """A row a local day, the first first."""
    zone = ZoneInfo(run.zone)
    rows: dict[date, Day] = {}

    def row(moment: datetime) -> Day:
        day = moment.astimezone(zone).date()
        return rows.setdefault(day, Day(day))

    for cycle in run.cycles:
        row(cycle.at).cycles += 1
        row(cycle.at).withheld += len(cycle.withheld)
    for one in run.asked:
        row(one.at).asked.append(one)
    for trouble in run.troubles:
        row(trouble.since).troubles.append(trouble)
    moment = run.start
    while moment < run.end:
        row(moment)
        moment += timedelta(hours=6)
    for day in rows.values():
        begin = _midnight(day.day, zone)
        covered = min(run.end, begin + timedelta(days=1)) - max(run.start, begin)
        day.hours = covered.total_seconds() / 3600.0
        _measure(day, run, zone)
    return [rows[day] for day in sorted(rows)]


def worst_day(days: Sequence[Day]) -> Day | None:
    """The whole day on which the loops saved least energy; None where that is not known of two days."""
    known = [one for one in days if math.isfinite(one.saved_kwh) and one.hours >= WHOLE_H]
    return min(known, key=lambda one: one.saved_kwh) if len(known) > 1 else None


def _measure(day: Day, run: LoopRun, zone: ZoneInfo) -> None:
    grid, hottest = run.series.get(GRID), run.series.get(HOTTEST)
    if grid:
        day.energy_kwh = _both(grid, day.day, run.start, zone, _energy_kwh)
        day.peak_kw = _both(grid, day.day, run.start, zone, _peak_kw)
    if hottest:
        day.hottest_c = _both(hottest, day.day, run.start, zone, lambda _t, v: float(np.nanmax(v)))


def _both(
    track: Track, day: date, start: datetime, zone: ZoneInfo, of: Measure
) -> tuple[float, float | None]:
    first = (_midnight(day, zone) - start).total_seconds()
    times = np.asarray(track.times_s)
    inside = (times >= first) & (times < first + DAY_S)
    pair: list[float | None] = []
    for values in (track.with_loop, track.without):
        chosen = np.asarray(values)[inside] if len(values) == len(times) else np.array([])
        pair.append(of(times[inside], chosen) if np.isfinite(chosen).any() else None)
    return (math.nan if pair[0] is None else pair[0]), pair[1]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _energy_kwh(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Each value holds until the next, the last as long as the one before; holes count as the mean."""
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return float(np.nanmean(values)) * step_s * len(values) / 3600.0


def _peak_kw(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Highest mean of a quarter of an hour."""
    quarter = np.floor(times_s / QUARTER_S).astype(int)
    quarter -= quarter[0]
    known = np.isfinite(values)
    sums = np.bincount(quarter[known], values[known])
    many = np.bincount(quarter[known])
    return float(np.max(sums[many > 0] / many[many > 0]))


# ---- forecasts against what came ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Came:
    """What was foreseen of one quantity and what was read, by time."""

    loop: str
    name: str
    unit: str
    rows: tuple[Observed, ...]

    @property
    def inside(self) -> int:
        return sum(one.inside is True for one in self.rows)

    @property
    def read(self) -> int:
        return sum(one.read is not None for one in self.rows)


def came(cycles: Iterable[Cycle]) -> list[Came]:
    """By loop and quantity; those most often held against a reading first."""
    found: dict[tuple[str, str], dict[datetime, Observed]] = {}
    for cycle in cycles:
        for one in cycle.observed:
            said = found.setdefault((one.foreseen.loop, one.foreseen.name), {})
            said[one.foreseen.due] = one
    made = [
        Came(loop, name, next(iter(rows.values())).foreseen.unit, tuple(rows[due] for due in sorted(rows)))
        for (loop, name), rows in found.items()
    ]
    return sorted(made, key=lambda one: (-one.read, one.loop, one.name))


def coverage_words(one: Came) -> str:
    """`243 of 262 inside (93 %)`."""
    return (
        f"{one.inside} of {one.read} inside ({share(one.inside / one.read)})"
        if one.read
        else "nothing was read"
    )


def pair_words(pair: tuple[float, float | None]) -> tuple[str, str]:
    """With and without, as figures; "" where not known."""
    with_loop, without = pair
    return figure(with_loop) if math.isfinite(with_loop) else "", "" if without is None else figure(without)
