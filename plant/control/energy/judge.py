"""Request-level judgement of what the books say by closed form: hours of the study replayed on the engine.

Of each pool a few instances are replayed with their part of the requests (a part of random arrivals is random), at the
number of instances that the policy had up in each step. The instance manager runs as it would: every few seconds it
sets clocks from the requests of the last half minute and the queue it sees, and knows nothing of what comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plant.control.energy.fleet import BURST_PU, Books, Pool
from plant.control.energy.lengths import NAMES, prompt_class
from plant.control.energy.profile import profile
from plant.inference.cost import engine_cost
from plant.inference.engine import Fleet
from plant.inference.trace import Trace, arrivals, make_trace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CONTROL_S, SEEN_S = 5.0, 30.0
"""How often the instance manager acts, and over which time it counts requests."""
QUEUED = 2.0
"""Requests that wait on an instance, mean over the pool, at which it goes to full clock until they are gone."""
SAMPLE = 4
"""Instances of a pool that are replayed."""
WARM_STEPS = 1
"""Steps before the hour that are replayed and not judged."""


@dataclass(frozen=True)
class Judged:
    """One policy in one hour."""

    policy: str
    hour: str
    requests: int
    late_pu: float
    ttft_p99_s: tuple[float, ...]
    """By class of prompt, S, M, L."""
    tpot_p99_s: float
    gpu_kw: float
    """Of one instance in the mean, as replayed, over all pools by their instances."""
    foretold_kw: float
    """The same by the closed form."""


def hours_of(rates: FloatArray, step_s: float) -> dict[str, int]:
    """First steps of the busiest, the median and the most steeply rising hour."""
    per_hour = round(3600.0 / step_s)
    count = len(rates) // per_hour
    means = rates[: count * per_hour].reshape(count, per_hour).mean(axis=1)
    order = np.argsort(means)
    rise = np.array(
        [rates[h * per_hour : (h + 1) * per_hour].max() / rates[h * per_hour] for h in range(1, count)]
    )
    return {
        "busiest": int(order[-1]) * per_hour,
        "median": int(order[count // 2]) * per_hour,
        "steepest rise": (int(np.argmax(rise)) + 1) * per_hour,
    }


def judge_hour(
    pools: Sequence[Pool], books: Books, clocked: bool, trace: Trace, kinds: IntArray, rates: FloatArray,
    step_s: float, hour: str, first: int, ttft_s: Sequence[float], seed: int = 11,
) -> Judged:  # fmt: skip
    """Replays the hour that begins with step `first`, every pool of it."""
    per_hour = round(3600.0 / step_s)
    begin = max(0, first - WARM_STEPS)
    span = slice(begin, first + per_hour)
    warm_s = (first - begin) * step_s
    late, total, watts, foretold, weight = 0.0, 0.0, 0.0, 0.0, 0.0
    firsts: dict[int, list[FloatArray]] = {}
    gaps: list[FloatArray] = []
    for place, pool in enumerate(pools):
        up = books.serving[span, place]
        mine = pool.members
        shown = _serve(pool, up, pool.share * rates[span], step_s, trace, mine, clocked, seed + place)
        judged = shown.arrival_s >= warm_s
        kind = kinds[mine][shown.which][judged]
        ttft = np.where(np.isfinite(shown.ttft_s), shown.ttft_s, np.inf)[judged]
        ttft = ttft + engine_cost(pool.deployment.engine).first_s
        tpot = np.nan_to_num(shown.tpot_s[judged])
        missed = (ttft > np.array(ttft_s)[kind]) | (tpot > pool.load.tpot_s)
        stands_for = (up / shown.instances)[(shown.arrival_s[judged] // step_s).astype(np.int64)]
        late, total = late + float(stands_for @ missed), total + float(stands_for.sum())
        gaps.append(tpot)
        for one in np.unique(kind):
            firsts.setdefault(int(one), []).append(ttft[kind == one])
        watts += float(up.mean()) * shown.watts
        foretold += float(up.mean()) * _foretold_w(pool, books, place, span, rates)
        weight += float(up.mean())
    p99 = tuple(
        float(np.percentile(np.concatenate(firsts[k]), 99)) if k in firsts else float("nan")
        for k in range(len(NAMES))
    )
    return Judged(
        books.policy, hour, round(total), late / max(total, 1.0), p99,
        float(np.percentile(np.concatenate(gaps), 99)), watts / weight / 1e3, foretold / weight / 1e3,
    )  # fmt: skip


@dataclass(frozen=True)
class _Shown:
    arrival_s: FloatArray
    which: IntArray
    ttft_s: FloatArray
    tpot_s: FloatArray
    instances: int
    watts: float
    """Of the accelerators of one instance, mean over the hour and what came before."""


def _serve(
    pool: Pool,
    up: FloatArray,
    rates: FloatArray,
    step_s: float,
    trace: Trace,
    mine: IntArray,
    clocked: bool,
    seed: int,
) -> _Shown:
    count = int(min(up.min(), SAMPLE))
    edges = np.asarray(np.arange(len(rates)) * step_s, np.float64)
    arrival_s = arrivals(edges, edges + step_s, rates * count / up, seed)
    which = np.random.default_rng([seed, 1]).integers(0, len(mine), len(arrival_s))
    own = make_trace(
        arrival_s, trace.prompt_tokens[mine][which], trace.output_tokens[mine][which], name=pool.name
    )
    fleet = Fleet([pool.deployment] * count)
    fleet.submit(own)
    end_s, energy_j = len(rates) * step_s, 0.0
    table, now_s, queued = pool.table(int(up.min())), 0.0, 0.0
    while now_s < end_s:
        seen = _seen_rps(arrival_s, now_s, rates[0] * count / up[0]) / count
        full = not clocked or queued > QUEUED
        clocks = table.full if full else table.clocks_for((1.0 + BURST_PU) * seen)
        now_s = min(now_s + CONTROL_S, end_s)
        window = fleet.advance(now_s, *(float(table.clocks_pu[c]) for c in clocks))
        queued, energy_j = float(window.queue.mean()), energy_j + float(window.energy_j.sum())
    fleet.finish()
    first_s, finish_s = fleet.requests("first_s"), fleet.requests("finish_s")
    with np.errstate(divide="ignore", invalid="ignore"):
        tpot = (finish_s - first_s) / (own.output_tokens - 1)
    tpot[own.output_tokens == 1] = 0.0
    return _Shown(arrival_s, which, first_s - arrival_s, tpot, count, energy_j / end_s / count)


def _seen_rps(arrival_s: FloatArray, now_s: float, before_rps: float) -> float:
    """Arrivals of the last SEEN_S; at the very beginning what the pool had before."""
    if now_s < SEEN_S:
        return before_rps
    low, high = np.searchsorted(arrival_s, (now_s - SEEN_S, now_s))
    return float(high - low) / SEEN_S


def _foretold_w(pool: Pool, books: Books, place: int, span: slice, rates: FloatArray) -> float:
    """Of one instance's accelerators, mean of the span, by the table."""
    watts = []
    for t in range(span.start, span.stop):
        count = int(books.serving[t, place])
        prefill, decode = books.clocks[t, place]
        watts.append(pool.table(count).power_at(pool.share * rates[t] / count, (int(prefill), int(decode))))
    return float(np.mean(watts))


# ---- the profile itself ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """The closed form against the engine at one point; closed over replayed."""

    load_pu: float
    clocks_pu: tuple[float, float]
    ttft: float
    tpot: float
    power: float


POINTS = (
    (0.2, 1.0, 1.0),
    (0.5, 1.0, 1.0),
    (0.7, 1.0, 1.0),
    (0.4, 0.6, 0.4),
    (0.2, 0.4, 0.4),
    (0.6, 0.7, 0.5),
)


def check(pool: Pool, trace: Trace, seed: int = 3, span_s: float = 300.0) -> list[Check]:
    """The profile of SAMPLE instances under one balancer against their replay, at POINTS (load, prefill, decode clock)."""
    table = profile(pool.deployment, pool.load, SAMPLE)
    found = []
    for load, prefill, decode in POINTS:
        r = max(1, round(load * (len(table.rates_rps) - 1)))
        p, q = (int(np.argmin(np.abs(table.clocks_pu - c))) for c in (prefill, decode))
        rate = np.array([SAMPLE * table.rates_rps[r]])
        arrival_s = arrivals(np.zeros(1), np.full(1, span_s), rate, seed)
        which = pool.members[np.random.default_rng(seed).integers(0, len(pool.members), len(arrival_s))]
        part = make_trace(arrival_s, trace.prompt_tokens[which], trace.output_tokens[which])
        used, tpot_s, watts = _replayed(
            pool, part, span_s, (float(table.clocks_pu[p]), float(table.clocks_pu[q]))
        )
        found.append(Check(
            load, (prefill, decode), float(table.ttft_used[r, p, q]) / used, float(table.tpot_p99_s[r, p, q]) / tpot_s,
            float(table.power_w[r, p, q]) / watts,
        ))  # fmt: skip
    return found


def _replayed(
    pool: Pool, part: Trace, span_s: float, clocks_pu: tuple[float, float]
) -> tuple[float, float, float]:
    """(P99 TTFT over the deadline of the worst stream, P99 TPOT s, W of one instance) after a warm-up of a fifth."""
    fleet, warm_s = Fleet([pool.deployment] * SAMPLE), 0.2 * span_s
    fleet.submit(part)
    fleet.advance(warm_s, *clocks_pu)
    window = fleet.advance(span_s)
    fleet.finish()
    first_s, finish_s = fleet.requests("first_s"), fleet.requests("finish_s")
    judged = part.arrival_s >= warm_s
    ttft = (first_s - part.arrival_s)[judged] + engine_cost(pool.deployment.engine).first_s
    kinds = prompt_class(part.prompt_tokens[judged])
    used = max(float(np.nanpercentile(ttft[kinds == int(s.name)], 99)) / s.ttft_s for s in pool.load.streams)
    many = judged & (part.output_tokens > 1)
    tpot = (finish_s - first_s)[many] / (part.output_tokens[many] - 1)
    return used, float(np.nanpercentile(tpot, 99)), float(window.energy_j.sum()) / SAMPLE / (span_s - warm_s)
