"""The three managers over a fleet: how many instances each pool runs, which requests share a pool, at which clocks.

One cell of time is a step of the rate series (10 minutes). The cluster manager decides every few steps from a forecast
and its upper end; an instance it starts draws idle power until it serves, from the next step on. The instance manager
follows the load within seconds, so it knows a step's own rate and keeps a margin for bursts above it. The managers
are pure functions; `run` keeps the books: energy, late requests, GPU-hours, starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plant.control.energy.profile import EVEN, Load, Profile, profile
from plant.inference.deployment import Deployment
from plant.inference.way import load_times_s
from plant.specs import NodeSpec
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BURST_PU = 0.15
"""Above the mean of a step, for what comes and goes within it."""
BOOT_S, ENGINE_S = 300.0, 60.0
"""Self test and operating system of a server; process, context and graph capture of an engine. Both m (remembered
of DGX-class hosts and vLLM), and both charged."""
STANDBY_KW = 0.05
"""Of a node that is off: its management controller and supplies, m."""
DRAIN_S = 60.0
"""A stopped instance finishes its answers at the power it had."""
THRIFT_TRIED = 3
"""Instances above the fewest that are tried: more of them at a lower clock may draw less."""
MOST_INSTANCES = 4096
OffState = Literal["off", "idle"]


@dataclass(frozen=True)
class Pool:
    """Instances that serve some of the requests."""

    name: str
    share: float
    """Of all requests."""
    deployment: Deployment
    load: Load
    node: NodeSpec
    members: IntArray
    """Requests of the sample that come here, by their place in it."""

    @cached_property
    def tables(self) -> tuple[Profile, ...]:
        """Profile by how many instances share the pool's arrivals: those of EVEN."""
        return tuple(profile(self.deployment, self.load, count) for count in EVEN)

    def table(self, instances: int) -> Profile:
        """The profile of one of so many instances."""
        return self.tables[sum(instances >= count for count in EVEN[1:])]

    def capacity_rps(self, instances: int) -> float:
        """What so many do together within the objective, at full clock."""
        return instances * self.table(instances).capacity_rps

    def fewest(self, rate_rps: float) -> int:
        """The fewest instances that keep the objective at that rate, at least one.

        Raises UsageError where the deployment keeps it at no rate.
        """
        if not self.tables[-1].capacity_rps > 0:
            raise UsageError(
                f"pool {self.name} keeps its deadlines at no load on {self.deployment.gpus} x {self.deployment.gpu.name}",
                remedy="Loosen the deadlines, or serve its short requests apart from the long ones",
            )
        count = max(1, int(rate_rps / self.tables[-1].capacity_rps))
        while self.capacity_rps(count) < rate_rps and count < MOST_INSTANCES:
            count += 1
        return count

    @property
    def host_share(self) -> float:
        """Part of a node that one instance occupies."""
        return self.deployment.gpus / self.node.gpus

    @property
    def idle_kw(self) -> float:
        """An instance that serves nothing, with its part of the host."""
        return (
            self.host_share * self.node.base_idle_kw + self.deployment.gpus * self.deployment.gpu.idle_w / 1e3
        )

    def power_kw(self, rate_rps: float, instances: int, clocks: tuple[int, int]) -> float:
        """Of `instances` that share that rate: accelerators, and hosts whose power rises with their share of load."""
        table, each = self.table(instances), rate_rps / instances
        swing_kw = self.host_share * (self.node.base_max_kw - self.node.base_idle_kw)
        host_kw = self.host_share * self.node.base_idle_kw + swing_kw * min(1.0, each / table.most_rps)
        return instances * (table.power_at(each, clocks) / 1e3 + host_kw)

    def clocks(self, rate_rps: float, instances: int) -> tuple[int, int]:
        """The instance manager: the thriftiest clocks that keep the deadlines with a margin for bursts."""
        return self.table(instances).clocks_for((1.0 + BURST_PU) * rate_rps / instances)

    def thrifty(self, rate_rps: float, fewest: int, clocked: bool) -> int:
        """The count, not below `fewest`, that draws least at that rate."""

        def drawn_kw(count: int) -> float:
            clocks = self.clocks(rate_rps, count) if clocked else self.table(count).full
            return self.power_kw(rate_rps, count, clocks)

        return min(range(fewest, fewest + THRIFT_TRIED + 1), key=drawn_kw)

    def start_s(self, off: OffState) -> float:
        """From the decision to the first request: boot where it was off, engine, weights over the fastest path."""
        loads = load_times_s(self.deployment, self.node)
        return (BOOT_S if off == "off" else 0.0) + ENGINE_S + min(loads.values(), default=BOOT_S)


@dataclass(frozen=True)
class Ahead:
    """What a scaler foresees: for each step of the series, as known at its beginning, the rates of the steps to come."""

    expected: FloatArray
    """(steps, horizon); place 0 is the step that begins."""
    high: FloatArray
    """Upper end."""
    name: str


@dataclass(frozen=True)
class Policy:
    """Who decides what."""

    name: str
    ahead: Ahead | None
    """None: the fleet is fixed, for the highest rate of all."""
    every_steps: int = 3
    clocked: bool = False
    emergency: bool = False
    """Instances are started at any step, also when its load leaves no room for bursts; else at each turn only."""


@dataclass(frozen=True)
class Books:
    """What a policy came to, one value a step."""

    policy: str
    power_kw: FloatArray
    """Mean of the step, everything charged but what is off."""
    off_nodes: FloatArray
    """Nodes of the fleet that run nothing."""
    on: FloatArray
    """Instances that serve or start, all pools."""
    gpu_hours: FloatArray
    requests: FloatArray
    late: FloatArray
    """Requests later than their deadline."""
    starts: int
    serving: FloatArray
    """(steps, pools): instances that serve."""
    clocks: FloatArray
    """(steps, pools, 2): places of prefill and decode clock."""

    @property
    def late_pu(self) -> float:
        """Share of all requests."""
        return float(self.late.sum() / self.requests.sum())

    def energy_kwh(self, step_s: float, off_kw: float) -> FloatArray:
        """Of each step, with what nodes draw that run nothing."""
        return (self.power_kw + off_kw * self.off_nodes) * step_s / 3600.0


def run(
    pools: Sequence[Pool], policy: Policy, rates_rps: FloatArray, step_s: float, nodes: int, off: OffState
) -> Books:
    """The books of a policy over a series of rates, each the mean of a step. `nodes`: of the whole fleet.

    An instance that starts draws rest power for the whole step in which it starts, and serves from the next one on.
    Raises UsageError where a start takes longer than a step.
    """
    slowest_s = max(pool.start_s(off) for pool in pools)
    if slowest_s > step_s:
        raise UsageError(
            f"an instance takes {slowest_s:.0f} s to start, a step is {step_s:.0f} s",
            remedy="Give rates in longer steps, or keep hosts on",
        )
    per_pool = [_run_pool(pool, policy, pool.share * rates_rps, pool.share, step_s, off) for pool in pools]
    serving = np.stack([p.serving for p in per_pool], axis=1)
    started = np.stack([p.started for p in per_pool], axis=1)
    share = np.array([pool.host_share for pool in pools])
    on_nodes = (serving + started) @ share
    gpus = np.array([pool.deployment.gpus for pool in pools])
    return Books(
        policy=policy.name, power_kw=np.sum([p.power_kw for p in per_pool], axis=0),
        off_nodes=np.maximum(nodes - on_nodes, 0.0), on=(serving + started).sum(axis=1),
        gpu_hours=(serving + started) @ gpus * step_s / 3600.0, requests=rates_rps * step_s,
        late=np.sum([p.late for p in per_pool], axis=0), starts=int(started.sum()), serving=serving,
        clocks=np.stack([p.clocks for p in per_pool], axis=1),
    )  # fmt: skip


@dataclass
class _PoolBooks:
    power_kw: FloatArray
    late: FloatArray
    serving: FloatArray
    started: FloatArray
    clocks: FloatArray

    @classmethod
    def empty(cls, steps: int) -> _PoolBooks:
        return cls(np.zeros(steps), np.zeros(steps), np.zeros(steps), np.zeros(steps), np.zeros((steps, 2)))


def _run_pool(
    pool: Pool, policy: Policy, rates: FloatArray, share: float, step_s: float, off: OffState
) -> _PoolBooks:
    steps = len(rates)
    books = _PoolBooks.empty(steps)
    count, backlog = pool.fewest(float(rates.max())), 0.0
    coming = 0
    for t in range(steps):
        count, coming, stopped = count + coming, 0, 0
        if policy.ahead is not None:
            wanted, keep = _wanted(pool, policy, policy.ahead, t, share)
            coming = max(0, wanted - count)
            stopped = max(0, count - max(wanted, keep)) if t % policy.every_steps == 0 else 0
            count -= stopped
        clocks = pool.clocks(rates[t], count) if policy.clocked and not backlog else pool.table(count).full
        late, backlog = _late(pool, rates[t], count, clocks, backlog, step_s)
        if policy.emergency and (1.0 + BURST_PU) * rates[t] > pool.capacity_rps(count + coming):
            coming = pool.fewest((1.0 + BURST_PU) * rates[t]) - count
        served_kw = pool.power_kw(rates[t], count, clocks)
        drained_kw = stopped * served_kw / count * DRAIN_S / step_s
        books.power_kw[t] = served_kw + coming * pool.idle_kw + drained_kw
        books.late[t], books.serving[t], books.started[t], books.clocks[t] = late, count, coming, clocks
    return books


def _wanted(pool: Pool, policy: Policy, ahead: Ahead, t: int, share: float) -> tuple[int, int]:
    """(instances to have from the next step on, instances not to stop now): the cluster manager.

    Instances are stopped every few steps, for as long; they are started at any step that asks for more, which a
    reactive scaler does only when its turn comes.
    """
    turn = t % policy.every_steps == 0
    if not turn and not policy.emergency:
        return 0, MOST_INSTANCES
    last = min(policy.every_steps + 1 if turn else 2, ahead.high.shape[1])
    high = share * ahead.high[t, :last]
    expected = float(share * ahead.expected[t, :last].mean())
    fewest = pool.fewest(float(high[1:].max(initial=0.0)))
    return pool.thrifty(expected, fewest, policy.clocked) if turn else fewest, pool.fewest(float(high[0]))


def _late(
    pool: Pool, rate: float, count: int, clocks: tuple[int, int], backlog: float, step_s: float
) -> tuple[float, float]:
    """(late requests of the step, requests left waiting at its end).

    Where more comes than can be done a queue grows, and all that arrive behind it are late until it is gone.
    """
    table = pool.table(count)
    most = count * table.most_rps
    if rate >= most:
        return rate * step_s, backlog + (rate - most) * step_s
    waiting_s = min(backlog / (most - rate), step_s)
    left = max(0.0, backlog - (most - rate) * step_s)
    steady = table.late_at(rate / count, clocks)
    return rate * (waiting_s + (step_s - waiting_s) * steady), left
