"""What one instance does at each load and clock: latency at its tail, share of late requests, power of its
accelerators. The table that the managers look things up in.

Latency is the closed form of `plant.inference.queueing` with prefill and decode clocked apart; power is what the
steps issue (`plant.power.use`) through the fitted power model. `plant.inference.engine` judges both (`check`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plant.control.energy.steady import Steady, alone_s, mean_power_w, steady
from plant.inference.cost import engine_cost, step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.memory import plan_memory
from plant.inference.queueing import Work, capacity_rps, work
from plant.power.gpu import power_coefficients
from plant.power.use import use_coefficients
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CLOCKS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the maximal clock that are tried, of prefill and of decode."""
RATES = 40
"""Loads of the table, evenly from none to all an instance can do."""
LATE_PU = 0.01
"""Share of requests that may be late: a P99 objective."""
EVEN = (1, 2, 4)
"""Instances over which a balancer's even dealing is counted on."""
TTFT_USED_PU, TPOT_USED_PU = 0.75, 0.7
"""How much of each deadline the closed form may use up: at high load it is low by as much (see `check`)."""


@dataclass(frozen=True)
class Stream:
    """Requests of one kind in a pool: their share, their lengths, and what they must keep."""

    name: str
    share: float
    """Of the pool's requests."""
    prompts: FloatArray
    """Equally likely prompt lengths, tokens."""
    ttft_s: float
    """Deadline of the first token, HTTP and tokenising included."""


@dataclass(frozen=True)
class Load:
    """What a pool is asked: all lengths together, and each stream with its deadline."""

    work: Work
    streams: tuple[Stream, ...]
    tpot_s: float
    """Deadline of the mean time per token after the first."""


def load_of(
    prompts: IntArray, outputs: IntArray, kinds: IntArray, ttft_s: Sequence[float], tpot_s: float
) -> Load:
    """The load of a sample of requests. `kinds`: which deadline of `ttft_s` each request has.

    Raises UsageError where there is no request.
    """
    whole = work(prompts, outputs)
    streams = []
    for kind in np.unique(kinds):
        mine = kinds == kind
        share = float(mine.mean())
        streams.append(
            Stream(str(kind), share, work(prompts[mine], outputs[mine]).prompts, ttft_s[int(kind)])
        )
    return Load(whole, tuple(streams), tpot_s)


@dataclass(frozen=True)
class Profile:
    """Tables over (load, prefill clock, decode clock). NaN where the instance cannot keep up."""

    deployment: Deployment
    load: Load
    rates_rps: FloatArray
    """Of one instance, from 0."""
    clocks_pu: FloatArray
    ttft_used: FloatArray
    """P99 of the time to first token over its deadline, of the stream that is worst off."""
    tpot_p99_s: FloatArray
    late_pu: FloatArray
    """Share of requests later than the part of their deadline that a plan may use."""
    power_w: FloatArray
    """Of all accelerators of the instance."""
    most_rps: float
    """What an instance does at full clock whatever the latency."""

    @cached_property
    def used(self) -> FloatArray:
        """The larger of what is used of both deadlines, over what a plan may use; the objective is kept up to 1."""
        return np.maximum(self.ttft_used / TTFT_USED_PU, self.tpot_p99_s / (TPOT_USED_PU * self.load.tpot_s))

    @cached_property
    def capacity_rps(self) -> float:
        """The highest load of one instance at full clock that keeps the objective; 0 where none does."""
        used = self.used[1:, -1, -1]
        good = used <= 1.0
        first_bad = len(good) if good.all() else int(np.argmin(good))
        if first_bad == 0 or first_bad == len(good) or not np.isfinite(used[first_bad]):
            return float(self.rates_rps[first_bad])
        return float(
            np.interp(1.0, used[first_bad - 1 : first_bad + 1], self.rates_rps[first_bad : first_bad + 2])
        )

    @cached_property
    def thriftiest(self) -> IntArray:
        """(loads, 2): places of the clocks of least power that keep the objective at each load; full where none do."""
        found = np.full((len(self.rates_rps), 2), len(self.clocks_pu) - 1)
        for r in range(len(found)):
            watts = np.where(self.used[r] <= 1.0, self.power_w[r], np.inf)
            if np.isfinite(watts).any():
                found[r] = np.unravel_index(int(np.argmin(watts)), watts.shape)
        return found

    def clocks_for(self, rate_rps: float) -> tuple[int, int]:
        """Places of the thriftiest clocks for a load of one instance, rounded up to the table's next."""
        at = min(math.ceil(rate_rps / self.rates_rps[1] - 1e-9), len(self.rates_rps) - 1)
        prefill, decode = self.thriftiest[at]
        return int(prefill), int(decode)

    def power_at(self, rate_rps: float, clocks: tuple[int, int]) -> float:
        """W of the accelerators at a load; beyond what the clocks can carry that of the highest load they do."""
        return self._between(self.power_w, rate_rps, clocks)

    def late_at(self, rate_rps: float, clocks: tuple[int, int]) -> float:
        """Share of late requests at a load in steady state; 1 beyond what the clocks can carry."""
        if rate_rps > self._carried(clocks):
            return 1.0
        return self._between(self.late_pu, rate_rps, clocks)

    def _carried(self, clocks: tuple[int, int]) -> float:
        column = self.power_w[:, clocks[0], clocks[1]]
        return float(self.rates_rps[np.isfinite(column)][-1])

    def _between(self, table: FloatArray, rate_rps: float, clocks: tuple[int, int]) -> float:
        column = table[:, clocks[0], clocks[1]]
        there = np.isfinite(column)
        return float(np.interp(rate_rps, self.rates_rps[there], column[there]))

    @property
    def full(self) -> tuple[int, int]:
        """Places of the full clock."""
        return len(self.clocks_pu) - 1, len(self.clocks_pu) - 1

    def mhz(self, place: int) -> float:
        """The clock of that place."""
        return round(float(self.clocks_pu[place]) * self.deployment.gpu.clock_max_mhz)


def profile(d: Deployment, load: Load, instances: int = 1) -> Profile:
    """The table of one of so many instances that serve this load together; made once and kept. Half a second.

    A balancer that deals requests out in turn to n instances gives each arrivals of squared variation 1 / n; what
    more than the last of EVEN would gain is left as a margin. Raises UsageError where not one request fits.
    """
    place = sum(instances >= count for count in EVEN[1:])
    return _profiles(_Key(d, load))[place]


class _Key:
    """Deployment and load as one hashable thing: by what is in them."""

    def __init__(self, d: Deployment, load: Load) -> None:
        self.d, self.load = d, load
        parts = [load.work.prompts.tobytes(), load.work.output_tokens, load.work.output_inverse, load.tpot_s]
        parts += [(s.name, s.share, s.ttft_s, s.prompts.tobytes()) for s in load.streams]
        self._parts = (d.model_dump_json(), tuple(parts))

    def __hash__(self) -> int:
        return hash(self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other._parts == self._parts


@lru_cache(maxsize=64)
def _profiles(key: _Key) -> tuple[Profile, ...]:
    """One for each of EVEN."""
    d, load = key.d, key.load
    most = capacity_rps(d, load.work, float(plan_memory(d).pool_tokens))
    if not most > 0:
        raise UsageError(
            f"{d.model.name} on {d.gpus} x {d.gpu.name} holds not one request of {load.work.context_tokens:.0f} tokens",
            remedy="Use more or larger accelerators, or shorter requests",
        )
    lowest = d.gpu.clock_min_mhz / d.gpu.clock_max_mhz
    clocks = np.array([c for c in CLOCKS if c >= lowest])
    rates = np.linspace(0.0, most, RATES)
    shape = (len(rates), len(clocks), len(clocks))
    tables = np.full((len(EVEN), 4, *shape), np.nan)
    tables[:, :, 0] = 0.0
    tables[:, 3, 0] = d.gpus * d.gpu.idle_w
    vectors = _vectors(d)
    for r, p, q in np.ndindex(shape):
        if r:
            made = _cell(d, load, vectors, float(rates[r]), float(clocks[p]), float(clocks[q]))
            if made is not None:
                tables[:, :, r, p, q] = made
    return tuple(Profile(d, load, rates, clocks, t[0], t[1], t[2], t[3], most) for t in tables)


class _Vectors(NamedTuple):
    """What `steady` asks of a deployment."""

    cost: FloatArray
    use: FloatArray
    power: FloatArray
    first_s: float


def _vectors(d: Deployment) -> _Vectors:
    return _Vectors(
        step_coefficients(d), use_coefficients(d), power_coefficients(d.gpu), engine_cost(d.engine).first_s
    )


def _cell(
    d: Deployment, load: Load, v: _Vectors, rate_rps: float, prefill_pu: float, decode_pu: float
) -> list[tuple[float, float, float, float]] | None:
    """(TTFT used, P99 TPOT, late share, W) for each of EVEN; None where the instance cannot keep up."""
    w = load.work
    found = steady(
        v.cost,
        w.prompts,
        d.chunk_tokens,
        d.max_batch,
        w.context_tokens,
        w.output_tokens,
        rate_rps,
        prefill_pu,
        decode_pu,
    )
    if found is None:
        return None
    watts = d.gpus * mean_power_w(
        v.cost, v.use, v.power, w.prompts, d.chunk_tokens, found.batch, found.together, w.context_tokens, rate_rps,
        prefill_pu, decode_pu,
    )  # fmt: skip
    tpot_s = _tpot_p99_s(v.cost, w, found, rate_rps, decode_pu)
    own_s = [
        v.first_s + found.step_s
        + alone_s(v.cost, s.prompts, d.chunk_tokens, found.batch, w.context_tokens, prefill_pu, found.step_s)
        for s in load.streams
    ]  # fmt: skip
    made = []
    for count in EVEN:
        wait_s = found.theta_s * _evenness(found, rate_rps, 1.0 / count)
        used, late = _lateness(load.streams, own_s, found.filled, wait_s)
        made.append((used, tpot_s, late, watts))
    return made


def _lateness(
    streams: Sequence[Stream], own_s: Sequence[FloatArray], filled: float, wait_s: float
) -> tuple[float, float]:
    """(P99 over the deadline of the worst stream, share late). P(W > t) = filled exp(-t / wait_s)."""
    tail_s = wait_s * max(0.0, math.log(filled / LATE_PU))
    used, late = 0.0, 0.0
    for stream, own in zip(streams, own_s, strict=True):
        p99_s = max(float(own[-1]) + filled * wait_s, tail_s + float(own.sum()) / len(own))
        used = max(used, p99_s / stream.ttft_s)
        left_s = TTFT_USED_PU * stream.ttft_s - own
        chance = np.where(left_s > 0, filled * np.exp(-np.maximum(left_s, 0.0) / wait_s), 1.0)
        late += stream.share * float(chance.sum()) / len(own)
    return used, late


def _evenness(found: Steady, rate_rps: float, arrival_cv2: float) -> float:
    """Wait under arrivals of that squared variation over the wait under random ones (Kingman, 1961):
    (c_a^2 + c_s^2) / (1 + c_s^2)."""
    mean_s = found.filled / rate_rps
    served_cv2 = max(found.square_s2 / mean_s**2 - 1.0, 0.0)
    return (arrival_cv2 + served_cv2) / (1.0 + served_cv2)


def _tpot_p99_s(c: FloatArray, w: Work, found: Steady, rate_rps: float, decode_pu: float) -> float:
    """2.33 standard deviations above the mean: of the batch, and of the prompts met while an answer is made."""
    wide = found.batch + math.sqrt(found.batch)
    wider_s = float(step_time_s(c, 0.0, 0.0, wide, wide * w.context_tokens, decode_pu))
    by_batch_s = found.cycle_s * (wider_s / found.step_s - 1.0)
    by_prompts_s = math.sqrt(rate_rps * found.cycle_s * found.square_s2 * w.output_inverse)
    return found.cycle_s + 2.33 * math.hypot(by_batch_s, by_prompts_s)
