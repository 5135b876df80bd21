"""Nodes and clock of one pool over the coming hours: the least power that carries what is foreseen.

What a node can do and what it draws is the plant's pool model (`plant.dynamics`), scaled to what is read: the loop
knows rates and loads of a site, not single requests. How full a node may run comes from its time to first token.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from plant.dynamics.columns import COLUMNS
from plant.hardware.gpus import Gpu
from plant.power.gpu import gpu_power_w, power_coefficients, stretch_at_clock
from plant.specs import NodeSpec

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CLOCKS_PU = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the maximal clock that are tried."""
HOLD_S = 7200.0
"""A node that is wanted again within this time is not parked."""
LEAST_NODES = 2
"""Nodes that a pool of four or more keeps, so that the loss of one does not end its service."""
SMALL_POOL = 4
SAME_PU = 0.02
"""Clocks that lie nearer are one: they are set in steps."""


def _default(name: str) -> float:
    return float(next(c.start for c in COLUMNS["pool"] if c.name == name))


@dataclass(frozen=True)
class PoolModel:
    """What one node of a pool serves and draws, and how many there are."""

    name: str
    nodes: int
    """Of the pool that can serve, parked ones included."""
    node_rps: float
    """Requests a second of one node at full clock and full load."""
    gpu: Gpu
    node: NodeSpec
    load_most_pu: float
    """Load at which the time to first token is still kept."""
    power_scale: float = 1.0
    """What its nodes were read to draw above rest, over what the model says."""
    unit: int = 1
    """Nodes one instance stands on: they serve together or not at all."""

    @property
    def least_nodes(self) -> int:
        return self.whole(LEAST_NODES if self.nodes >= SMALL_POOL else 1)

    def whole(self, nodes: float) -> int:
        """So many nodes, rounded up to whole instances, at most all.

        >>> from plant.hardware.gpus import gpu
        >>> PoolModel("p", 8, 1.0, gpu("H100"), NodeSpec(), 0.8, unit=2).whole(2.1)
        4
        """
        return min(self.nodes, self.unit * int(np.ceil(nodes / self.unit - 1e-9)))

    @property
    def idle_kw(self) -> float:
        """A node at rest."""
        return self.node.base_idle_kw + self.node.gpus * self.gpu.idle_w / 1000.0

    @cached_property
    def clocks_pu(self) -> tuple[float, ...]:
        lowest = self.gpu.clock_min_mhz / self.gpu.clock_max_mhz
        return tuple(c for c in CLOCKS_PU if c >= lowest)

    def stretch(self, load_pu: float, clock_pu: float) -> float:
        """Time of the work over that at full clock."""
        _, compute, memory = self._uses(load_pu)
        return float(stretch_at_clock(self._power, compute, memory, clock_pu))

    def capacity_rps(self, nodes: int, clock_pu: float) -> float:
        """What so many nodes may carry at that clock within the time to first token."""
        return nodes * self.node_rps * self.load_most_pu / self.stretch(1.0, clock_pu)

    def power_kw(self, rate_rps: float, nodes: int, clock_pu: float) -> float:
        """Of the whole pool, its parked nodes included, at that rate."""
        load = min(1.0, rate_rps * self.stretch(1.0, clock_pu) / max(nodes * self.node_rps, 1e-9))
        busy, compute, memory = self._uses(load)
        slow = float(stretch_at_clock(self._power, compute, memory, clock_pu))
        gpu_w = float(gpu_power_w(self._power, busy, compute / slow, memory / slow, clock_pu))
        above_kw = self.node.gpus * (gpu_w - self.gpu.idle_w) / 1000.0
        above_kw += (self.node.base_max_kw - self.node.base_idle_kw) * load
        return nodes * self.power_scale * above_kw + self.nodes * self.idle_kw

    @cached_property
    def _power(self) -> FloatArray:
        return power_coefficients(self.gpu)

    @staticmethod
    def _uses(load_pu: float) -> tuple[float, float, float]:
        """(busy, use of compute, use of memory) as the plant's pools have them (`plant.dynamics.kernel`)."""
        busy = min(1.0, 0.25 + 0.75 * load_pu) if load_pu > 0.0 else 0.0
        share = load_pu / max(busy, 1e-9)
        return busy, _default("compute_full") * share, _default("memory_full") * (0.3 + 0.7 * share)

    def best(self, expected_rps: float, high_rps: float) -> tuple[int, float]:
        """Nodes and clock of least power at the expected rate that carry the high one; all at full clock where none do."""
        best, least_kw = (self.nodes, 1.0), np.inf
        for clock in self.clocks_pu:
            each = self.capacity_rps(1, clock)
            if self.nodes * each < high_rps:
                continue
            need = max(self.least_nodes, self.whole(high_rps / each))
            for nodes in range(need, self.nodes + 1, self.unit):
                kw = self.power_kw(expected_rps, nodes, clock)
                if kw < least_kw - 1e-9:
                    best, least_kw = (nodes, clock), kw
        return best

    def lowest_clock(self, expected_rps: float, high_rps: float, nodes: int) -> float:
        """The clock of least power for so many nodes; full where none carries the high rate."""
        able = [c for c in self.clocks_pu if self.capacity_rps(nodes, c) >= high_rps]
        return min(able, key=lambda c: self.power_kw(expected_rps, nodes, c), default=1.0)

    def carries(self, rate_rps: float, nodes: int, clock_pu: float) -> bool:
        """Whether so many nodes at that clock keep the time to first token."""
        return self.capacity_rps(nodes, clock_pu) >= rate_rps


@dataclass(frozen=True)
class PoolPath:
    """What a pool is to do over the horizon, one value a step."""

    nodes: IntArray
    clocks_pu: FloatArray
    power_kw: FloatArray
    full_kw: FloatArray
    """With all nodes at full clock."""
    short: NDArray[np.bool_]
    """The high rate is more than all nodes carry at full clock."""

    def energy_kwh(self, step_s: float) -> tuple[float, float]:
        """(planned, with all nodes at full clock)."""
        return float(self.power_kw.sum()) * step_s / 3600.0, float(self.full_kw.sum()) * step_s / 3600.0


def plan_pool(model: PoolModel, expected_rps: FloatArray, high_rps: FloatArray, step_s: float) -> PoolPath:
    """Nodes and clock for each step. A node is kept where it would be called back within HOLD_S."""
    hold = max(1, round(HOLD_S / step_s))
    steps = len(expected_rps)
    wanted = np.array([model.best(e, h)[0] for e, h in zip(expected_rps, high_rps, strict=True)])
    nodes = np.array([int(wanted[k : k + hold + 1].max()) for k in range(steps)], np.int64)
    clocks = np.array([
        model.lowest_clock(e, h, int(n)) for e, h, n in zip(expected_rps, high_rps, nodes, strict=True)
    ])  # fmt: skip
    power = [model.power_kw(e, int(n), c) for e, n, c in zip(expected_rps, nodes, clocks, strict=True)]
    full = [model.power_kw(e, model.nodes, 1.0) for e in expected_rps]
    short = high_rps > model.capacity_rps(model.nodes, 1.0)
    return PoolPath(nodes, clocks, np.array(power), np.array(full), short)


@dataclass(frozen=True)
class Step:
    """One change that is due: to so many nodes, or to a clock."""

    what: str
    """"nodes" or "clock"."""
    value: float
    raises: bool
    """It adds capacity."""
    saves_kw: float
    """At the expected rate of the next step, against leaving things as they are; negative where it costs."""


def due(
    model: PoolModel, path: PoolPath, now: tuple[int, float], expected_rps: float, high_rps: float,
    *, least_kw: float, least_clock_pu: float,
) -> list[Step]:  # fmt: skip
    """What to change now, from (nodes, clock) as they stand. Each change is safe by itself, in any order and with the
    other refused: nodes are parked only where the rest carry the high rate at the clock of now, the clock is lowered
    only as far as the nodes of now allow. Trifles are left."""
    nodes, clock = now
    wanted, slow = int(path.nodes[0]), float(path.clocks_pu[0])
    parked = max(wanted, model.whole(high_rps / model.capacity_rps(1, clock)))
    blocked = wanted < nodes <= parked
    to = min(parked, nodes) if wanted < nodes else wanted
    first = _nodes_step(model, now, to, expected_rps, high_rps, least_kw)
    left = int(first.value) if first and not first.raises else nodes
    slow = max(slow, model.lowest_clock(expected_rps, high_rps, left))
    saved = model.power_kw(expected_rps, nodes, clock) - model.power_kw(expected_rps, nodes, slow)
    must = not model.carries(high_rps, left, clock) or (blocked and slow >= clock + least_clock_pu)
    found = [first] if first else []
    if slow > clock + SAME_PU and must:
        found.append(Step("clock", slow, True, saved))
    elif slow <= clock - least_clock_pu and saved >= least_kw:
        found.append(Step("clock", slow, False, saved))
    return found


def _nodes_step(
    model: PoolModel, now: tuple[int, float], to: int, expected_rps: float, high_rps: float, least_kw: float
) -> Step | None:
    """The change to `to` nodes, if it is worth asking for or needed."""
    nodes, clock = now
    saved = model.power_kw(expected_rps, nodes, clock) - model.power_kw(expected_rps, to, clock)
    needed = to > nodes and not model.carries(high_rps, nodes, 1.0)
    if to == nodes or (saved < least_kw and not needed):
        return None
    return Step("nodes", to, to > nodes, saved)


def chance_above(expected: float, high: float, level: float, limit: float) -> float:
    """Chance that a rate passes a limit, by a normal whose upper end of a two-sided `level` is `high`.

    >>> round(chance_above(100.0, 116.45, 0.9, 116.45), 3)
    0.05
    """
    from scipy.stats import norm

    if high <= expected:
        return float(expected > limit)
    sigma = (high - expected) / float(norm.ppf(0.5 + level / 2.0))
    return float(norm.sf((limit - expected) / sigma))
