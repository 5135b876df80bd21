"""What runs of an ensemble say: peaks against limits, and what doing something costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.observed import FloatArray, Key
from plant.diagnosis.quantities import LIMITS, METRICS, TRIPS, Quantity, limit_of, limits_on, metric_of
from plant.diagnosis.results import Cost, LimitRisk
from plant.dynamics.kernel import TRIP_C
from plant.sim import Plant
from plant.site import Site

BoolArray = NDArray[np.bool_]
Z90 = 1.645
SERVICE = frozenset({"ttft_slo_ms", "kv_use_max_pct"})
"""Limits that users feel; the others protect equipment."""
_NODE = ("gpus_ok", "up", "drained", "load_pu", "stretch")
_POOL = ("arrival_rps", "queue", "ttft_ms", "shed_kw", "shed_of_kw")
CostName = Literal["energy_kwh", "served_share_pct", "ttft_ms", "gpu_work_pct", "gpus_lost"]


class Watch:
    """Which numbers of the plant are noted, and where each stands in a row of them."""

    def __init__(self, plant: Plant, quantities: Sequence[Quantity]) -> None:
        self.plant, self.quantities = plant, tuple(quantities)
        self.nodes, self.pools = plant.each("gpu_node"), [n for n in plant.store.names["pool"] if n]
        keys = [part for quantity in quantities for part in quantity.parts]
        keys += [(node, metric) for node in self.nodes for metric in _NODE]
        keys += [(pool, metric) for pool in self.pools for metric in _POOL]
        self.keys: tuple[Key, ...] = tuple(dict.fromkeys(keys))
        self._place = {key: place for place, key in enumerate(self.keys)}
        self.probes = plant.probes(f"{asset}.{metric}" for asset, metric in self.keys)

    def places(self, keys: Sequence[Key]) -> list[int]:
        return [self._place[key] for key in keys]

    def added(self, by_key: Mapping[Key, float]) -> FloatArray:
        """Values by key in the order of a row, 0 where there is none."""
        return np.array([by_key.get(key, 0.0) for key in self.keys])


@dataclass(frozen=True)
class Runs:
    """All members over the horizon with one thing done: [members, times, keys of the watch]."""

    watch: Watch
    values: FloatArray
    times_s: FloatArray

    def of(self, quantity: Quantity) -> FloatArray:
        """[members, times]."""
        return quantity.fold(self.values[:, :, self.watch.places(quantity.parts)])

    def metric(self, assets: Sequence[str], metric: str) -> FloatArray:
        """[members, times, assets]."""
        return self.values[:, :, self.watch.places([(asset, metric) for asset in assets])]

    def mean(self, series: FloatArray) -> FloatArray:
        """Over the horizon, of [members, times]."""
        return self.total(series) / float(self.times_s[-1])

    def total(self, series: FloatArray) -> FloatArray:
        """Over the horizon, of [members, times, ...]: the integral, in seconds."""
        return np.asarray(np.trapezoid(series, self.times_s, axis=1))


# ---- limits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reach:
    """How far one limited quantity went with one thing done, by member."""

    limit_name: str
    quantity: Quantity
    limit: float
    peaks: FloatArray
    """The highest value, or the lowest where the limit lies below."""
    broken: BoolArray
    first_s: FloatArray
    """When it was broken first, 0 where it is already; NaN where it was not."""

    @property
    def beyond(self) -> float:
        """Median distance past the limit; negative: within it."""
        above = self.limit_name == TRIPS or LIMITS[self.limit_name].side == "above"
        return float(np.median(self.peaks - self.limit if above else self.limit - self.peaks))


def reaches(site: Site, runs: Runs, already: Mapping[tuple[str, str], bool]) -> list[Reach]:
    """Every limit of the site that can be read, on every asset it holds for. What is `already` outside, by limit and
    asset, is judged over the last two thirds of the horizon: an action needs time to bring it back."""
    found = []
    for name in limits_on(site):
        for quantity in (q for q in runs.watch.quantities if q.metric == LIMITS[name].metric):
            if name != "flow_min_lpm" or _works(runs, quantity.asset):
                late = already.get((name, quantity.asset), False)
                found.append(_reach(runs, name, quantity, limit_of(site, name, quantity.asset), late))
    found += [_trips(runs, q) for q in runs.watch.quantities if q.metric == "hottest_gpu_c"]
    return found


def outside_now(site: Site, runs: Runs) -> dict[tuple[str, str], bool]:
    """Which limits are broken on which assets at the beginning already."""
    found = {}
    for name in limits_on(site):
        for quantity in (q for q in runs.watch.quantities if q.metric == LIMITS[name].metric):
            first = np.median(runs.of(quantity)[:, 0])
            found[name, quantity.asset] = bool(
                _past(name, np.array([first]), limit_of(site, name, quantity.asset))[0]
            )
    return found


def _works(runs: Runs, loop: str) -> bool:
    """Whether anything runs behind a loop: the least flow holds for those."""
    below = [node for node in runs.watch.nodes if runs.watch.plant.loop_of(node) == loop]
    if not below:
        return False
    runs_now = (runs.metric(below, "up")[:, 0] > 0.5) & (runs.metric(below, "drained")[:, 0] < 0.5)
    return bool(runs_now.any())


def _past(name: str, values: FloatArray, limit: float) -> BoolArray:
    rule = LIMITS[name]
    past: BoolArray = values > limit + rule.slack if rule.side == "above" else values < limit - rule.slack
    return past


def _reach(runs: Runs, name: str, quantity: Quantity, limit: float, late: bool) -> Reach:
    series = runs.of(quantity)
    begin = -(-series.shape[1] // 3) if late else 0
    seen, times = series[:, begin:], runs.times_s[begin:]
    past = _past(name, seen, limit)
    broken = np.asarray(past.any(axis=1))
    first = np.where(broken, 0.0 if late else times[past.argmax(axis=1)], np.nan)
    peaks = seen.max(axis=1) if LIMITS[name].side == "above" else seen.min(axis=1)
    return Reach(name, quantity, limit, peaks, broken, first)


def _trips(runs: Runs, quantity: Quantity) -> Reach:
    """GPUs that drop out of a group by heat, counted by their nodes: between two notes a die may cool again."""
    there = runs.metric([node for node, _ in quantity.parts], "gpus_ok")
    lost = (there[:, :1] - there).sum(axis=2)
    broken = np.asarray((lost > 0.5).any(axis=1))
    first = np.where(broken, runs.times_s[(lost > 0.5).argmax(axis=1)], np.nan)
    peaks = np.maximum(runs.of(quantity).max(axis=1), np.where(broken, TRIP_C, -np.inf))
    return Reach(TRIPS, quantity, TRIP_C, peaks, broken, first)


def risks(without: Sequence[Reach], acted: Sequence[Reach]) -> list[LimitRisk]:
    """One row a limit: the chance that any asset breaks it. The asset named comes nearest, or furthest beyond."""
    rows = []
    for name in dict.fromkeys(reach.limit_name for reach in (*without, *acted)):
        before = [reach for reach in without if reach.limit_name == name]
        after = [reach for reach in acted if reach.limit_name == name]
        nearest = max((*before, *after), key=lambda reach: (reach.broken.mean(), reach.beyond))
        chance = _chance(after)
        low, high = share_interval(chance, len(nearest.broken))
        rows.append(LimitRisk(name=name, asset=nearest.quantity.asset, limit=nearest.limit, without=_chance(before),
                              acted=chance, low=low, high=high))  # fmt: skip
    return rows


def _chance(found: Sequence[Reach]) -> float:
    if not found:
        return 0.0
    return round(float(np.any([reach.broken for reach in found], axis=0).mean()), 4)


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 90 % interval of a share found in `count` members.

    >>> share_interval(0.0, 16)
    (0.0, 0.1447)
    """
    z2 = Z90 * Z90
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z90 * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def deeper(without: Sequence[Reach], acted: Sequence[Reach], name: str) -> bool:
    """Whether a limit that is broken either way is broken by notably more."""
    before = max((r.beyond for r in without if r.limit_name == name), default=-math.inf)
    after = max((r.beyond for r in acted if r.limit_name == name), default=-math.inf)
    return after > max(before, 0.0) + METRICS[metric_of(name)].notable


# ---- costs -------------------------------------------------------------------------------------------------------


def costs(without: Runs, acted: Runs) -> list[Cost]:
    """What doing it changes, member against the same member."""
    rows = []
    for what, measure in _COSTS.items():
        before, after = measure(without, without), measure(acted, without)
        if before is None or after is None:
            continue
        low, high = spread(after - before)
        rows.append(Cost(what=what, without=_round(np.median(before)), acted=_round(np.median(after)), low=_round(low),
                         high=_round(high)))  # fmt: skip
    return rows


def spread(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """5 and 95 % of few members, by Weibull's plotting positions: with 16 these are the least and the greatest."""
    low, high = np.quantile(values, (0.05, 0.95), axis=0, method="weibull")
    return np.asarray(low), np.asarray(high)


def _round(value: float | np.floating | FloatArray) -> float:
    return float(f"{float(value):.5g}")


def energy_kwh(runs: Runs, _reference: Runs) -> FloatArray | None:
    grid = next((q for q in runs.watch.quantities if q.metric == "grid_kw"), None)
    return None if grid is None else runs.mean(runs.of(grid)) * float(runs.times_s[-1]) / 3600.0


def _served(runs: Runs) -> FloatArray | None:
    """Requests served over the horizon, [members, pools]: let in, less what the queue grew by."""
    if not runs.watch.pools:
        return None
    parts = {metric: runs.metric(runs.watch.pools, metric) for metric in _POOL}
    kept = 1.0 - np.clip(parts["shed_kw"] / np.maximum(parts["shed_of_kw"], 1e-9), 0.0, 1.0)
    come = runs.total(parts["arrival_rps"] * kept)
    grown = parts["queue"][:, -1] - parts["queue"][:, 0]
    return np.maximum(come - grown, 0.0)


def _asked(runs: Runs) -> FloatArray:
    return runs.total(runs.metric(runs.watch.pools, "arrival_rps"))


def _served_share_pct(runs: Runs, reference: Runs) -> FloatArray | None:
    served = _served(runs)
    asked = _asked(reference).sum(axis=1) if served is not None else np.zeros(1)
    if served is None or not np.all(asked > 0.0):
        return None
    return np.asarray(100.0 * np.minimum(served.sum(axis=1) / asked, 1.0))


def _ttft_ms(runs: Runs, reference: Runs) -> FloatArray | None:
    """Mean over requests that arrive."""
    if not runs.watch.pools:
        return None
    weight = reference.metric(reference.watch.pools, "arrival_rps")
    if not np.all(weight.sum(axis=2) > 0.0):
        return None
    return runs.mean((runs.metric(runs.watch.pools, "ttft_ms") * weight).sum(axis=2) / weight.sum(axis=2))


def gpu_work_pct(runs: Runs, reference: Runs) -> FloatArray | None:
    """Work done over work there was to do: jobs by the speed of their nodes, pools by requests served."""
    watch, nodes = runs.watch, runs.watch.plant.store.tables.gpu_node
    rows = [watch.plant.store.rows[node][1] for node in watch.nodes]
    gpus, pooled = nodes["gpus"][rows], nodes["pooled"][rows] > 0.5
    speed = runs.metric(watch.nodes, "load_pu") / np.maximum(runs.metric(watch.nodes, "stretch"), 1.0)
    jobs = gpus * ~pooled
    wanted = float((jobs * nodes["job_load_pu"][rows]).sum())
    done = runs.mean((speed * jobs).sum(axis=2))
    served = _served(runs)
    if served is not None:
        own = np.array(
            [sum(gpus[watch.nodes.index(n)] for n in watch.plant.pool_nodes(p)) for p in watch.pools]
        )
        asked = _asked(reference)
        share = np.divide(served, asked, out=np.zeros_like(served), where=asked > 0.0)
        use = np.where(asked > 0.0, POOL_USE, 0.0)
        done = done + (own * use * np.minimum(share, 1.0)).sum(axis=1)
        wanted = wanted + float((own * use.mean(axis=0)).sum())
    return None if wanted <= 0.0 else np.minimum(100.0 * done / wanted, 100.0)


POOL_USE = 0.65
"""How much of a pool's GPUs its requests take where they are all served, against jobs."""


def _gpus_lost(runs: Runs, reference: Runs) -> FloatArray | None:
    """Out of use at the end and in use at the beginning; negative: won back."""
    nodes = runs.watch.nodes
    if not nodes:
        return None
    before = (reference.metric(nodes, "gpus_ok") * reference.metric(nodes, "up"))[:, 0].sum(axis=1)
    lost: FloatArray = before - (runs.metric(nodes, "gpus_ok") * runs.metric(nodes, "up"))[:, -1].sum(axis=1)
    return lost


_COSTS: dict[CostName, Callable[[Runs, Runs], FloatArray | None]] = {
    "energy_kwh": energy_kwh, "served_share_pct": _served_share_pct, "ttft_ms": _ttft_ms,
    "gpu_work_pct": gpu_work_pct, "gpus_lost": _gpus_lost,
}  # fmt: skip
