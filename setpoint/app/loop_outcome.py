"""What a run of control loops came to, gathered from its ledger and its sites."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from setpoint.app.loop_asking import key_of
from setpoint.app.loop_wear import judged
from setpoint.app.loops_run import Asked, LoopRun, RaisedTrouble, Skill, Track
from setpoint.contracts.loops import Cycle, Forecast, LoopName
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from tools.loops.days_site import DaysSite
from tools.telemetry import History

MOST_ROWS = 1_000_000
GRID_ROWS = 1400
"""Rows of a plotted track: fourteen days by the quarter of an hour, by which demand is billed."""
LEADS_S = (300.0, 900.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""How far ahead forecasts are held against what came."""
MINUTE_S = 60.0
LEAST_COUNT = 3
FloatArray = NDArray[np.float64]
TRACKS: tuple[tuple[str, str, str], ...] = (
    ("site.grid_kw", "Power from the grid", "kW"),
    ("site.it_kw", "IT power", "kW"),
    ("site.cooling_kw", "Cooling power", "kW"),
    ("site.ess_kw", "Power from storage", "kW"),
    ("site.gpu_temp_max_c", "Hottest GPU", "C"),
)
KIND_TRACKS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "ess": (("soc_pct", "Charge of {}", "%"),),
    "cdu": (("flow_lpm", "Coolant flow of {}", "L/min"), ("supply_temp_c", "Supply temperature of {}", "C")),
    "service": (("arrival_rps", "Requests to {}", "1/s"), ("ttft_ms", "Time to first token of {}", "ms")),
}
MOST_OF_A_KIND = 4


def loop_run(
    ledger: Ledger, days: DaysSite, without: DaysSite | None, names: tuple[LoopName, ...], *, start: datetime, seed: int,
    decide: str, site_s: float, wall_s: float, command: str, versions: dict[str, str],
) -> LoopRun:  # fmt: skip
    """Everything of a run that has ended. `site_s`: wall seconds that the simulated site took."""
    cycles = tuple(
        one for one in ledger.list_cycles(limit=MOST_ROWS) if one.loop in names and one.at >= start
    )
    spent: defaultdict[str, float] = defaultdict(float, {"site": round(site_s, 2)})
    for cycle in cycles:
        for node, seconds in cycle.spent_s.items():
            spent[node] += seconds
    return LoopRun(
        names=names, site=days.site.name, seed=seed, start=start, end=days.now, decide=decide, cycles=cycles,
        meters=_meters(days), without=_meters(without) if without else {},
        series=tracks(days.site, days.history, without.history if without else None, start, days.now),
        skill=skill(cycles, days.history), asked=asked(ledger, cycles), troubles=troubles(cycles),
        spent_s={node: round(seconds, 2) for node, seconds in spent.items()}, wall_s=round(wall_s, 1),
        command=command, versions=versions, zone=days.site.timezone, currency=days.site.tariff.currency,
        limits=dict(days.site.limits), wear=judged(worn, cycles, start, days.now) if (worn := days.worn()) else None,
    )  # fmt: skip


def _meters(days: DaysSite) -> dict[str, float]:
    """The site's meters, and what its storage holds at the end: a bill that charged it is not worse for that."""
    stored_kwh = 0.0
    for asset in days.site.of_kind("ess"):
        reading = days.read(asset.name)
        if reading is not None:
            stored_kwh += reading.values.get("soc_pct", 0.0) / 100 * reading.values.get("capacity_kwh", 0.0)
    return days.meters() | {"stored_kwh": stored_kwh}


# ---- what was asked ---------------------------------------------------------------------------------------------------


def asked(ledger: Ledger, cycles: Sequence[Cycle]) -> tuple[Asked, ...]:
    """Every question of these cycles, in order, with how it ended."""
    acts = {one.review_id: one for one in ledger.list_actions(limit=MOST_ROWS)}
    return tuple(
        Asked(
            cycle=cycle.id, at=cycle.at, review=review, outcome=acts.get(review.id),
            why_ended="" if review.id in acts else _why_ended(ledger, review.id),
        )
        for cycle in cycles
        if cycle.proposals
        for review in ledger.list_reviews(incident_id=cycle.id)
    )  # fmt: skip


def _why_ended(ledger: Ledger, review_id: str) -> str:
    """Why a question was taken back, or an approval refused; "" where neither."""
    rows = ledger.list_audit(subject=review_id)
    said = [row for row in rows if row.what in ("review-withdrawn", "review-expired", "approval-refused")]
    data = said[-1].data if said else None
    return str(data.get("why", "")) if isinstance(data, dict) else ""


def troubles(cycles: Sequence[Cycle]) -> tuple[RaisedTrouble, ...]:
    """Each blocking trouble from the cycle that first had it to the one that no longer did."""
    open_now: dict[tuple[LoopName, str], RaisedTrouble] = {}
    over: list[RaisedTrouble] = []
    for cycle in cycles:
        now = {key_of(one): one for one in cycle.plan.troubles if one.blocks}
        for key in [key for key in open_now if key[0] == cycle.loop and key[1] not in now]:
            gone = open_now.pop(key)
            over.append(RaisedTrouble(gone.loop, gone.trouble, gone.since, cycle.at, gone.cycles))
        for name, trouble in now.items():
            known = open_now.get((cycle.loop, name))
            since, count = (known.since, known.cycles + 1) if known else (cycle.at, 1)
            open_now[cycle.loop, name] = RaisedTrouble(cycle.loop, trouble, since, None, count)
    return tuple(sorted([*over, *open_now.values()], key=lambda one: one.since))


# ---- series -----------------------------------------------------------------------------------------------------------


def tracks(
    site: Site, history: History, without: History | None, start: datetime, end: datetime
) -> dict[str, Track]:
    """What is worth a plot, as means on a grid of at most so many rows."""
    minutes = max(1.0, (end - start).total_seconds() / MINUTE_S)
    step_s = MINUTE_S * max(1, math.ceil(minutes / GRID_ROWS))
    edges = np.arange(start.timestamp(), end.timestamp() + 1e-6, step_s)
    found = {}
    for name, title, unit in _wanted(site):
        own = minute_means(history, name)
        if own is None:
            continue
        other = minute_means(without, name) if without else None
        found[name] = Track(
            name=name, title=title, unit=unit, times_s=tuple((edges[:-1] - edges[0]).tolist()),
            with_loop=_rounded(own.means(edges)), without=_rounded(other.means(edges)) if other else (),
        )  # fmt: skip
    return found


def _wanted(site: Site) -> Iterator[tuple[str, str, str]]:
    yield from TRACKS
    for kind, wanted in KIND_TRACKS.items():
        for asset in itertools.islice((one for one in site.assets if one.kind == kind), MOST_OF_A_KIND):
            for metric, title, unit in wanted:
                yield f"{asset.name}.{metric}", title.format(asset.name), unit


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 3).tolist())


class MinuteMeans:
    """A series whose mean over any span costs two look-ups."""

    def __init__(self, times_s: FloatArray, values: FloatArray) -> None:
        kept = np.isfinite(values)
        self._times = times_s[kept]
        self._sums = np.concatenate([[0.0], np.cumsum(values[kept])])

    def means(self, edges: FloatArray) -> FloatArray:
        """Between each two edges (lower one open), in seconds since 1970; NaN where nothing was read."""
        at = np.searchsorted(self._times, edges + 1e-6)
        count = np.diff(at)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(count > 0, (self._sums[at[1:]] - self._sums[at[:-1]]) / count, np.nan)

    def mean(self, from_s: float, to_s: float) -> float:
        return float(self.means(np.array([from_s, to_s]))[0])


def minute_means(history: History, name: str) -> MinuteMeans | None:
    """The readings of "asset.metric"; None where there are none. What the site draws itself is what it draws from the
    grid and from storage."""
    asset, _, metric = name.rpartition(".")
    series = history.series(asset, metric)
    if series is None and name == "site.own_kw":
        grid, storage = history.series("site", "grid_kw"), history.series("site", "ess_kw")
        if grid is None or storage is None or len(grid.times) != len(storage.times):
            return None
        return MinuteMeans(_stamps(grid.times), np.array(grid.values) + np.array(storage.values))
    if series is None or not series.times:
        return None
    return MinuteMeans(_stamps(series.times), np.array(series.values))


def _stamps(times: Sequence[datetime]) -> FloatArray:
    return np.array([time.timestamp() for time in times])


# ---- what forecasts were worth ------------------------------------------------------------------------------------------


def skill(cycles: Sequence[Cycle], history: History) -> tuple[Skill, ...]:
    """Error and coverage of each forecast quantity, at some distances ahead, beside "it stays as it is"."""
    read: dict[str, MinuteMeans | None] = {}
    rows: defaultdict[tuple[LoopName, str, float], list[tuple[float, ...]]] = defaultdict(list)
    told: dict[tuple[LoopName, str], Forecast] = {}
    for cycle in cycles:
        for one in cycle.plan.forecasts:
            if one.name not in read:
                read[one.name] = minute_means(history, one.name)
            series = read[one.name]
            if series is not None:
                told[cycle.loop, one.name] = one
                for ahead_s, row in _held(one, series):
                    rows[cycle.loop, one.name, ahead_s].append(row)
    return tuple(
        _skill(loop, told[loop, name], ahead_s, np.array(found))
        for (loop, name, ahead_s), found in sorted(rows.items())
        if len(found) >= LEAST_COUNT
    )


def _held(one: Forecast, series: MinuteMeans) -> Iterator[tuple[float, tuple[float, ...]]]:
    """(how far ahead, (expected, low, high, read, read last before it)) of the steps that are looked at."""
    start_s = one.start.timestamp()
    last = series.mean(start_s - one.step_s, start_s)
    for ahead_s in LEADS_S:
        step = round(ahead_s / one.step_s) - 1
        if not 0 <= step < len(one.expected) or abs((step + 1) * one.step_s - ahead_s) > 1.0:
            continue
        came = series.mean(start_s + step * one.step_s, start_s + (step + 1) * one.step_s)
        if math.isfinite(came) and math.isfinite(last):
            yield ahead_s, (one.expected[step], one.low[step], one.high[step], came, last)


def _skill(loop: LoopName, one: Forecast, ahead_s: float, found: FloatArray) -> Skill:
    expected, low, high, came, last = found.T
    error, size = float(np.mean(np.abs(expected - came))), float(np.mean(np.abs(came)))
    return Skill(
        loop=loop, name=one.name, title=one.title, unit=one.unit, ahead_s=ahead_s, count=len(found), error=error,
        error_pu=error / size if size > 0 else math.nan, persistence=float(np.mean(np.abs(last - came))),
        inside=float(np.mean((low <= came) & (came <= high))), level=one.level,
    )  # fmt: skip
