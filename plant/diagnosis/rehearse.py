"""An action rehearsed: the site's next minutes with it, without it and with what else could be done.

All choices run on the same members of one ensemble, which start from the estimated state with the fault that goes on.
The interlock refuses an action that brings trouble: with it, a limit is broken with a higher chance than the action may
carry, and it does not lower that chance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plant.diagnosis import outlook
from plant.diagnosis.ensemble import MEMBERS, NOTHING, Ensemble, Step, Value
from plant.diagnosis.estimate import Estimate
from plant.diagnosis.observed import FloatArray, Key
from plant.diagnosis.outlook import SERVICE, Reach, Runs, Watch
from plant.diagnosis.quantities import LIMITS, METRICS, TRIPS, Quantity, limit_words, metric_of, watched
from plant.diagnosis.results import Band, LimitRisk, Option, Rehearsal
from plant.diagnosis.saying import difference, percent, verdict_on
from plant.site import Site
from setpoint.errors import UsageError

LEAST_HORIZON_S = 600.0
"""Racks and rooms answer with time constants of one to two minutes: ten minutes show where they settle."""
HORIZONS_S: Mapping[str, float] = {
    "set_coolant_flow": 900.0, "start_standby_pump": 900.0, "close_leak_valve": 900.0, "set_supply_temp": 1200.0,
    "scale_pool": 900.0, "lock_pool_clock": 900.0, "resume_job": 900.0, "set_water_temp": 1800.0,
}  # fmt: skip
"""Longer ones: what moves a coolant loop is seen in room and facility water after a quarter of an hour."""
AFTER_S = 300.0
"""Storage is followed for as long as it runs, and so much longer."""
INERT = frozenset({"open_ticket", "page", "cordon_node"})
"""Actions that move nothing the plant model has."""
FINE_S, FINE_UNTIL_S, MOST_ROWS = 5.0, 1800.0, 180
MOST_BANDS, MOST_POINTS, MOST_OF_A_METRIC = 6, 46, 2
MOST_NOISE = 0.05
"""Readings of what lies near zero scatter by a large share of it; further up they do not."""
NEWS = 0.05
"""A chance below it, with and without, is no reason for a plot."""
EVEN = 2.0
"""Options whose scores differ by less are as good as each other; of those, doing nothing comes first."""
EQUIPMENT_POINTS, SERVICE_POINTS, LEAK_POINTS, WORK_POINTS, ENERGY_POINTS = 1000.0, 200.0, 3000.0, 10.0, 0.01
"""Score of an option for a certain break of a limit, of a service level, for water that runs out, a per cent of work
lost, a kWh."""


def horizon_of(action: str, args: Mapping[str, Value], settle_s: float = 0.0) -> float:
    """How far ahead an action is looked at, seconds.

    >>> horizon_of("cap_gpu_power", {}), horizon_of("discharge_ess", {"power_kw": 50.0, "duration_min": 30.0})
    (600.0, 2100.0)
    """
    if "duration_min" in args:
        return max(LEAST_HORIZON_S, 60.0 * float(args["duration_min"]) + AFTER_S)
    return max(LEAST_HORIZON_S, HORIZONS_S.get(action, 0.0), settle_s)


@dataclass(frozen=True)
class Bound:
    """What the interlock allows an action."""

    risk: float = 0.1
    """Highest chance of breaking a limit, of what it does not itself make less likely."""
    yields: frozenset[str] = frozenset()
    """Limits that the action gives up by design: they are shown, and do not refuse it."""


def rehearse(
    site: Site, estimate: Estimate, action: str, asset: str, args: Mapping[str, Value], *, horizon_s: float | None = None,
    members: int = MEMBERS, seed: int = 0, alternatives: Sequence[Step] = (), bound: Bound | None = None, label: str = "",
    cause: str = "",
) -> Rehearsal:  # fmt: skip
    """The next minutes with and without the action. `cause` names the fault that is at work in the estimate.

    Members whose run diverges are left out and lower the confidence. Raises UsageError for an action the plant model
    does not know or that moves nothing in it, KeyError for an unknown asset, and UsageError where every member
    diverges.
    """
    begun = time.perf_counter()
    if action in INERT:
        raise UsageError(f"{action} moves nothing in the plant model", remedy="There is nothing to rehearse")
    span_s = horizon_s or horizon_of(action, args)
    chosen = Step(action, asset, dict(args), label or f"{action} {asset}")
    played = _play(site, estimate, (NOTHING, chosen, *alternatives), span_s, members, seed)
    without, acted = played.runs[0], played.runs[1]
    already = outlook.outside_now(site, without)
    reached = [outlook.reaches(site, runs, already) for runs in played.runs]
    risks = outlook.risks(reached[0], reached[1])
    chances = [outlook.risks(reached[0], reach) for reach in reached]
    near = _near(site, asset, cause)
    telling = _undecided(chances, near)
    rated = [
        _option(step, runs, without, found, telling)
        for step, runs, found in zip(played.steps, played.runs, chances, strict=True)
    ]
    options = _best_first(rated)
    costs = tuple(outlook.costs(without, acted))
    return Rehearsal(
        action=action, asset=asset, args=dict(args), as_of=estimate.plant.now, horizon_s=span_s, members=played.members,
        confidence=round(estimate.note.confidence * played.alive, 3), cause=cause,
        bands=tuple(_bands(without, acted, risks, _noise(played.watch, estimate))), risks=tuple(_telling(risks, near)),
        costs=costs, options=options, said=" ".join(
            filter(None, (difference(without, acted, reached[0], reached[1], risks, costs, near),
                          verdict_on(rated[1], rated[0], options)))
        ),
        refused=_refusal(risks, reached[0], reached[1], bound or Bound(), rated[1], options),
        seconds=round(time.perf_counter() - begun, 3),
    )  # fmt: skip


@dataclass(frozen=True)
class _Played:
    watch: Watch
    steps: tuple[Step, ...]
    runs: tuple[Runs, ...]
    alive: float
    """Share of the members that stayed finite in every choice."""

    @property
    def members(self) -> int:
        return len(self.runs[0].values)


def _play(
    site: Site, estimate: Estimate, steps: tuple[Step, ...], span_s: float, members: int, seed: int
) -> _Played:
    step_s, every_s = _steps(span_s)
    watch = Watch(estimate.plant, watched(estimate.plant, steps[1].asset))
    ensemble = Ensemble(estimate, members, seed, span_s)
    shift = watch.added(ensemble.bias)
    values = [ensemble.run(step, span_s, watch.probes, every_s, step_s) for step in steps]
    alive = np.all([np.isfinite(one).all(axis=(1, 2)) for one in values], axis=0)
    if not alive.any():
        raise UsageError("the plant model diverges from this state", remedy="Judge the action without it")
    times_s: FloatArray = np.arange(values[0].shape[1], dtype=np.float64) * every_s
    runs = tuple(Runs(watch, _as_read(watch, one[alive], shift), times_s) for one in values)
    return _Played(watch, steps, runs, float(alive.mean()))


def _as_read(watch: Watch, values: FloatArray, shift: FloatArray) -> FloatArray:
    """[members, times, keys] as the sensors would show them: `shift` lies between the model and what was read.

    Of a clock it is a share, since what holds a clock down scales it; and nothing but a temperature reads below zero.
    """
    seen = values + shift
    for place, (_, metric) in enumerate(watch.keys):
        column = values[:, :, place]
        if metric == "clock_mhz" and (first := float(np.median(column[:, 0]))) > 0.0:
            seen[:, :, place] = column * (1.0 + shift[place] / first)
        if not metric.endswith("_c"):
            seen[:, :, place] = np.maximum(seen[:, :, place], 0.0)
    return seen


def _steps(span_s: float) -> tuple[float, float]:
    """Step of the plant and of the notes, seconds: fine where minutes count, coarser over hours."""
    if span_s <= FINE_UNTIL_S:
        return FINE_S, 2 * FINE_S
    every_s = FINE_S * math.ceil(span_s / MOST_ROWS / FINE_S)
    return min(every_s, 15.0), every_s


def _near(site: Site, asset: str, cause: str) -> frozenset[str]:
    """The assets an action on one of them is about: what it stands on, what stands on it, and where the cause sits."""
    struck = cause.partition("@")[2] or asset
    return frozenset(
        name for own in (asset, struck) for name in (own, *site.upstream(own), *site.downstream(own))
    )


def _undecided(chances: Sequence[Sequence[LimitRisk]], near: frozenset[str]) -> frozenset[str]:
    """Names of the limits whose chance depends on what is done; where none does, of those around the action."""
    seen: dict[str, list[float]] = {}
    for found in chances:
        for risk in found:
            seen.setdefault(risk.name, []).append(risk.acted)
    apart = frozenset(name for name, shares in seen.items() if max(shares) - min(shares) >= NEWS)
    return apart or frozenset(risk.name for found in chances for risk in found if risk.asset in near)


def _best_first(rated: Sequence[Option]) -> tuple[Option, ...]:
    """By score; what hardly differs from doing nothing comes right after it."""
    nothing = rated[0].score

    def place(option: Option) -> tuple[float, bool, float]:
        even = abs(option.score - nothing) < EVEN
        return (nothing if even else option.score), even and bool(option.action), option.score

    return tuple(sorted(rated, key=place))


def _option(
    step: Step, runs: Runs, without: Runs, found: Sequence[LimitRisk], telling: frozenset[str]
) -> Option:
    """`telling`: the limits that tell the options apart; of the others nothing is to be chosen."""
    worst = max((risk for risk in found if risk.name in telling), key=lambda risk: risk.acted, default=None)
    work, energy = outlook.gpu_work_pct(runs, without), outlook.energy_kwh(runs, without)
    work_pct = 100.0 if work is None else float(np.median(work))
    energy_kwh = 0.0 if energy is None else float(np.median(energy))
    points = sum(_points(risk.name) * risk.acted for risk in found)
    return Option(
        label=step.label, action=step.action, asset=step.asset, worst_risk=worst.acted if worst else 0.0,
        worst_limit=worst.name if worst and worst.acted > 0.0 else "", gpu_work_pct=round(work_pct, 2),
        energy_kwh=round(energy_kwh, 2),
        score=round(points + WORK_POINTS * max(0.0, 100.0 - work_pct) + ENERGY_POINTS * energy_kwh, 2),
    )  # fmt: skip


def _points(limit_name: str) -> float:
    if limit_name == "coolant_leak":
        return LEAK_POINTS
    return SERVICE_POINTS if limit_name in SERVICE else EQUIPMENT_POINTS


# ---- interlock ---------------------------------------------------------------------------------------------------


def _refusal(
    risks: Sequence[LimitRisk], without: Sequence[Reach], acted: Sequence[Reach], bound: Bound, own: Option,
    options: Sequence[Option],
) -> str:  # fmt: skip
    """Why not; "" where it may run.

    An action that lowers a chance which is high already is never refused for that limit, nor one that leaves it as it
    is: in an emergency most limits are broken whatever is done. A service level yields to equipment: an action that
    lowers the chance of breaking an equipment limit may cost latency.
    """
    saves = any(r.name not in SERVICE and r.acted < r.without for r in risks)
    for risk in sorted(risks, key=lambda risk: (risk.name in SERVICE, -risk.acted)):
        if risk.name in bound.yields or (risk.name in SERVICE and saves):
            continue
        worse = risk.acted > risk.without or outlook.deeper(without, acted, risk.name)
        if risk.acted > bound.risk and worse and risk.acted >= risk.without:
            return (
                f"chance of {limit_words(risk.name, risk.limit)} ({risk.asset}) is {percent(risk.acted)} with "
                f"it and {percent(risk.without)} without it, at most {percent(bound.risk)} allowed; {_better(own, options)}"
            )
    return ""


def _better(own: Option, options: Sequence[Option]) -> str:
    best = options[0]
    if best.label == own.label:
        return "no choice that was tried is better"
    words = "doing nothing is better" if not best.action else f"better: {best.label}"
    return f"{words} ({percent(best.worst_risk)} at worst)"


# ---- what is shown -----------------------------------------------------------------------------------------------


def _telling(risks: Sequence[LimitRisk], near: frozenset[str]) -> list[LimitRisk]:
    """Largest change first, then the highest chance; equipment before service levels. What the action leaves as it is,
    and lies elsewhere, is not its matter."""
    own = [risk for risk in risks if risk.asset in near or abs(risk.acted - risk.without) >= NEWS]
    return sorted(own, key=lambda r: (-abs(r.acted - r.without), -max(r.acted, r.without), r.name in SERVICE))


def _noise(watch: Watch, estimate: Estimate) -> dict[Quantity, tuple[float, float]]:
    """How readings of each quantity scatter: standard deviation where they stood, and as a share of the value."""
    found = {}
    for quantity in watch.quantities:
        parts = np.array([estimate.noise.get(part, 0.0) for part in quantity.parts])
        levels = np.array([_level(estimate, part) for part in quantity.parts])
        whole = float(np.sqrt(np.sum(parts**2)) if quantity.how == "sum" else parts.max())
        level = float(np.nansum(levels) if quantity.how == "sum" else np.nanmax(levels, initial=0.0))
        found[quantity] = (whole, min(whole / level, MOST_NOISE) if level > 0.0 else 0.0)
    return found


def _level(estimate: Estimate, part: Key) -> float:
    """Where the reading stands, of a wait without a queue: in a jam it says nothing of what it scattered by before."""
    asset, metric = part
    if asset not in estimate.plant.state:
        return np.nan
    return abs(estimate.plant.number(asset, "ttft_base_ms" if metric == "ttft_ms" else metric))


def _bands(
    without: Runs, acted: Runs, risks: Sequence[LimitRisk], noise: Mapping[Quantity, tuple[float, float]]
) -> list[Band]:
    """The quantities that change most, those with a limit in danger first."""
    limits = {
        (metric_of(r.name), r.asset): r for r in risks if max(r.without, r.acted) >= NEWS or r.name != TRIPS
    }
    moved = [(_weight(without, acted, quantity, limits), quantity) for quantity in without.watch.quantities]
    kept: list[Quantity] = []
    for weight, quantity in sorted(moved, key=lambda pair: -pair[0]):
        of_metric = sum(q.metric == quantity.metric for q in kept)
        if len(kept) < MOST_BANDS and of_metric < MOST_OF_A_METRIC and (weight >= 1.0 or not kept):
            kept.append(quantity)
    return [_band(q, without, acted, limits.get((q.metric, q.asset)), noise[q]) for q in kept]


def _weight(without: Runs, acted: Runs, quantity: Quantity, limits: Mapping[Key, LimitRisk]) -> float:
    """Greatest difference of the medians, in notable changes; a limit in danger weighs most."""
    gap = float(np.abs(np.median(acted.of(quantity) - without.of(quantity), axis=0)).max())
    moved = min(gap / METRICS[quantity.metric].notable, 100.0)
    risk = limits.get((quantity.metric, quantity.asset))
    danger = max(risk.without, risk.acted) if risk else 0.0
    if risk is None or danger < NEWS or (moved < 1.0 and abs(risk.acted - risk.without) < NEWS):
        return moved
    return moved + danger * (100.0 if risk.name in SERVICE else 300.0)


def _band(
    quantity: Quantity, without: Runs, acted: Runs, risk: LimitRisk | None, noise: tuple[float, float]
) -> Band:
    every = max(1, -(-(len(without.times_s) - 1) // (MOST_POINTS - 1)))
    rows = np.unique([*range(0, len(without.times_s), every), len(without.times_s) - 1])
    return Band(
        asset=quantity.asset, metric=quantity.metric, times_s=tuple(float(t) for t in without.times_s[rows]),
        without=_levels(without.of(quantity)[:, rows], noise, quantity.metric),
        acted=_levels(acted.of(quantity)[:, rows], noise, quantity.metric),
        limit=risk.limit if risk and risk.name != TRIPS else None,
        limit_is=LIMITS[risk.name].side if risk and risk.name != TRIPS else "",
    )  # fmt: skip


def _levels(
    series: FloatArray, noise: tuple[float, float], metric: str
) -> tuple[tuple[float, float, float], ...]:
    """5, 50 and 95 % at each time, widened by what readings scatter."""
    low, high = outlook.spread(series)
    middle = np.median(series, axis=0)
    reading = outlook.Z90 * np.maximum(noise[0], noise[1] * np.abs(middle))
    low, high = middle - np.hypot(middle - low, reading), middle + np.hypot(high - middle, reading)
    low = low if metric.endswith("_c") else np.maximum(low, 0.0)
    return tuple((_short(a), _short(b), _short(c)) for a, b, c in zip(low, middle, high, strict=True))


def _short(value: float) -> float:
    return float(f"{value:.5g}")
