"""Maintenance packed into windows of low load: which work, when.

    maximise    sum of gains of the work done - what the load loses meanwhile - a fixed cost for each visit of a crew
    such that   each work is done once or not at all, within its parts' lead time and its own dates
                a crew's hours in a window suffice
                of parts that carry on for each other at most one is worked on in a day

Solved as an integer programme by HiGHS; where that finds nothing in its time, by a greedy rule. Days from now.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
VISIT_COST = 250.0
"""A crew's way, permit and toolbox talk, once for each day on which it works; assumed."""
TIME_LIMIT_S = 5.0
GAP = 0.005
LEAST_WINDOWS, MOST_WINDOWS = 8, 40
"""Of each job, in the integer programme."""


@dataclass(frozen=True)
class Window:
    """A span in which work may be done."""

    start_days: float
    hours: float
    load_pu: float
    """Forecast load of the site in it, share of its rating."""

    @property
    def day(self) -> int:
        return int(self.start_days)


@dataclass(frozen=True)
class Job:
    """One work that could be done."""

    name: str
    crew: str
    hours: float
    gains: FloatArray
    """By window: what doing it then saves; -inf where it may not be done then."""
    load_cost: float = 0.0
    """Of each hour of the work at full load: what stands still, and the risk while a partner carries all."""
    not_with: tuple[str, ...] = ()
    """Names of groups; two jobs of one group are never on one day."""


@dataclass(frozen=True)
class Crew:
    """Who works, and how much in one window."""

    name: str
    hands: int = 2

    def hours(self, window: Window) -> float:
        return self.hands * window.hours


@dataclass(frozen=True)
class Schedule:
    """Window by job, and what it is worth."""

    windows: dict[str, int]
    gain: float
    method: str
    status: str
    seconds: float
    variables: int = 0
    gap: float | None = None
    notes: tuple[str, ...] = field(default=())


def plan(
    jobs: Sequence[Job],
    windows: Sequence[Window],
    crews: Sequence[Crew],
    *,
    visit_cost: float = VISIT_COST,
    time_limit_s: float = TIME_LIMIT_S,
) -> Schedule:
    """The best schedule found in the time. Never raises for a programme that has no solution: nothing is then planned."""
    began = time.perf_counter()
    worth = _worth(jobs, windows)
    fallback = greedy(jobs, windows, crews, visit_cost=visit_cost)
    pairs = [(j, w) for j in range(len(jobs)) for w in _worthwhile(worth[j], visit_cost)]
    if not pairs:
        return Schedule({}, 0.0, "none needed", "optimal", time.perf_counter() - began)
    found = _solve(_Programme(jobs, windows, crews, worth, pairs, visit_cost), time_limit_s)
    seconds = time.perf_counter() - began
    if found.x is None:
        status = "time limit" if found.status == 1 else "infeasible"
        note = f"the integer programme ended with {status} after {seconds:.1f} s; planned greedily"
        return Schedule(
            fallback.windows, fallback.gain, fallback.method, status, seconds, len(pairs), None, (note,)
        )
    chosen = {jobs[j].name: w for (j, w), x in zip(pairs, found.x, strict=False) if x > 0.5}
    gain = value(chosen, jobs, windows, visit_cost)
    status = "optimal" if found.status == 0 else "time limit"
    if fallback.gain > gain + 1e-6:
        return Schedule(fallback.windows, fallback.gain, fallback.method, status, seconds, len(found.x))
    gap = None if found.mip_gap is None else float(found.mip_gap)
    return Schedule(chosen, gain, "MILP by HiGHS", status, seconds, len(found.x), gap)


def _worthwhile(worth: FloatArray, visit_cost: float) -> list[int]:
    """Windows a job may end up in. One that is worth less than its best by more than a visit pays only where crews or
    partners leave no better one, so a few more than the best are kept."""
    best = np.argsort(-worth, kind="stable")
    near = [int(w) for w in best[:MOST_WINDOWS] if worth[w] > 0.0]
    return [
        w for place, w in enumerate(near) if place < LEAST_WINDOWS or worth[w] >= worth[best[0]] - visit_cost
    ]


def greedy(
    jobs: Sequence[Job], windows: Sequence[Window], crews: Sequence[Crew], *, visit_cost: float = VISIT_COST
) -> Schedule:
    """Jobs in the order of their best gain, each into the window where it adds most."""
    began = time.perf_counter()
    worth = _worth(jobs, windows)
    room = {crew.name: [crew.hours(window) for window in windows] for crew in crews}
    chosen: dict[str, int] = {}
    visits: set[tuple[str, int]] = set()
    busy: set[tuple[str, int]] = set()
    total = 0.0
    order = sorted(range(len(jobs)), key=lambda j: -float(worth[j].max(initial=-np.inf)))
    for j in order:
        job = jobs[j]
        best, best_gain = -1, 0.0
        for w, window in enumerate(windows):
            if room.get(job.crew, [0.0] * len(windows))[w] < job.hours:
                continue
            if any((group, window.day) in busy for group in job.not_with):
                continue
            gain = float(worth[j, w]) - (0.0 if (job.crew, window.day) in visits else visit_cost)
            if gain > best_gain:
                best, best_gain = w, gain
        if best >= 0:
            chosen[job.name] = best
            total += best_gain
            room[job.crew][best] -= job.hours
            visits.add((job.crew, windows[best].day))
            busy |= {(group, windows[best].day) for group in job.not_with}
    return Schedule(chosen, total, "greedy", "feasible", time.perf_counter() - began)


def value(
    chosen: dict[str, int], jobs: Sequence[Job], windows: Sequence[Window], visit_cost: float = VISIT_COST
) -> float:
    """What a schedule is worth."""
    worth, by_name = _worth(jobs, windows), {job.name: j for j, job in enumerate(jobs)}
    visits = {(jobs[by_name[name]].crew, windows[w].day) for name, w in chosen.items()}
    return float(sum(worth[by_name[name], w] for name, w in chosen.items())) - visit_cost * len(visits)


def _worth(jobs: Sequence[Job], windows: Sequence[Window]) -> FloatArray:
    """Gain of each job in each window less what the load loses; -inf where it does not fit."""
    load = np.array([window.load_pu for window in windows])
    table = np.full((len(jobs), len(windows)), -np.inf)
    for j, job in enumerate(jobs):
        fits = np.array([window.hours >= job.hours for window in windows], bool)
        table[j] = np.where(fits, job.gains - job.load_cost * job.hours * load, -np.inf)
    return table


class _Programme:
    """The integer programme as HiGHS takes it: places of (job, window) first, then one visit for each crew and day."""

    def __init__(
        self,
        jobs: Sequence[Job],
        windows: Sequence[Window],
        crews: Sequence[Crew],
        worth: FloatArray,
        pairs: Sequence[tuple[int, int]],
        visit_cost: float,
    ) -> None:
        self.rows: list[dict[int, float]] = []
        self.most: list[float] = []
        visits: dict[tuple[str, int], int] = {}
        once: dict[int, dict[int, float]] = {}
        hours: dict[tuple[str, int], dict[int, float]] = {}
        apart: dict[tuple[str, int], dict[int, float]] = {}
        for place, (j, w) in enumerate(pairs):
            job, day = jobs[j], windows[w].day
            visit = visits.setdefault((job.crew, day), len(pairs) + len(visits))
            once.setdefault(j, {})[place] = 1.0
            hours.setdefault((job.crew, w), {})[place] = job.hours
            for group in job.not_with:
                apart.setdefault((group, day), {})[place] = 1.0
            self._add({place: 1.0, visit: -1.0}, 0.0)
        by_name = {crew.name: crew for crew in crews}
        for row in (*once.values(), *apart.values()):
            self._add(row, 1.0)
        for (crew, w), row in hours.items():
            self._add(row, by_name[crew].hours(windows[w]) if crew in by_name else 0.0)
        self.variables = len(pairs) + len(visits)
        self.cost = np.concatenate([[-worth[pair] for pair in pairs], np.full(len(visits), visit_cost)])

    def _add(self, row: dict[int, float], most: float) -> None:
        self.rows.append(row)
        self.most.append(most)


def _solve(programme: _Programme, time_limit_s: float) -> Any:
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    where = [(r, c, v) for r, row in enumerate(programme.rows) for c, v in row.items()]
    rows, columns, values = zip(*where, strict=True)
    matrix = csr_array((values, (rows, columns)), shape=(len(programme.rows), programme.variables))
    return milp(
        programme.cost,
        constraints=LinearConstraint(matrix, -np.inf, np.array(programme.most)),
        integrality=np.ones(programme.variables),
        bounds=Bounds(0, 1),
        options={"time_limit": time_limit_s, "mip_rel_gap": GAP},
    )
