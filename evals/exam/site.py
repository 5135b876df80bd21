"""A site that is not what its file says: where the nights of the diagnosis exam take place.

`CaseSite(site, seed)` differs from `site` in constants (lognormal, 10 to 20 %, part common to a kind of asset, part its
own), in details of topology, and in what no plant model here knows (evals/exam/effects.py). Diagnosis is given `site`.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from evals.exam.effects import Bus, Drift, Gauges, Trouble, Witnesses
from plant.faults.effects import Hand
from plant.faults.ground import Ground
from plant.faults.place import FaultPlan
from plant.faults.sensors import Series
from plant.sim import Plant
from plant.site import Asset, Site
from setpoint.errors import ConfigError

SPREAD = (0.10, 0.20)
"""Range of the standard deviation of a constant's logarithm; one draw a case."""
FURTHEST = 1.6
"""No constant is further off than by this factor."""
SETTLE_S = 2 * 3600.0
TRIES = 40
CONSTANTS: dict[str, tuple[str, ...]] = {
    "gpu": ("thermal_pu",),
    "gpu_node": ("base_idle_kw", "base_max_kw", "r0", "film", "c_die", "c_plate"),
    "rack": ("share", "design_lpm", "kj_per_k"),
    "cdu": ("kj_per_k", "volume_l", "ntu_design", "flow_max_lpm"),
    "pump": ("rated_kw",),
    "water": ("kj_per_k", "pump_kw_per_kw"),
    "chiller": ("capacity_kw", "cop_design", "cop_per_k", "approach_k", "fan_rated_kw"),
    "crah": ("capacity_kw", "fan_rated_kw"),
    "hall": ("kj_per_k", "ua_kw_per_k", "house_kw"),
    "pdu": ("loss_pu",),
    "ups": ("fixed_pu", "proportional_pu", "battery_kwh"),
    "feed": ("loss_pu",),
    "ess": ("capacity_kwh",),
    "pool": ("node_rps", "ttft_base_ms", "compute_full", "memory_full"),
    "site": ("house_kw", "lights_kw"),
}
"""Columns of plant.dynamics.columns that stand still in a run, by table."""
_CACHED = ("seen_busy", "seen_compute", "seen_memory", "seen_cap", "seen_lock", "seen_film", "seen_step_s")
"""What the kernel found for other constants; -1 has it look again."""


class CaseSite(Ground):
    """The real site of one case. The same site and seed give the same one."""

    def __init__(
        self, written: Site, seed: int, troubled: bool = True, late_pu: float = 0.02, blinded: bool = False
    ) -> None:
        """`troubled`: some sensors lie, stand still or fall silent, unrelated to any fault. `late_pu`: share of lines
        that arrive up to five minutes late. `blinded`: sensors near each fault fail just then."""
        self.seed = seed
        self.late_pu = late_pu
        self.late_s = (4.0, 300.0 if late_pu > Ground.late_pu else 90.0)
        self._written = written
        self._gauges = Gauges(f"{seed}-gauges")
        self._ways: list[Bus | Witnesses] = [Bus(f"{seed}-bus")] if troubled else []
        self._ways += [Witnesses(f"{seed}-witnesses")] if blinded else []
        self._drift: Drift | None = None
        self._real, self.differs = differing(written, random.Random(f"{seed}-topology"))

    def site(self, written: Site) -> Site:
        return self._real

    def plant(self, site: Site, start: datetime) -> Plant:
        """Raises ConfigError where no draw of constants gives a site within its limits."""
        found = self._commissioned
        twin = Plant(site, start, found.store.copy())
        twin.skip_to(start - timedelta(seconds=SETTLE_S))
        twin.advance(SETTLE_S)
        twin.skip_to(start)
        self._drift = Drift(twin, f"{self.seed}-drift")
        return twin

    def drift(self, hand: Hand, at_s: float) -> None:
        if self._drift is not None:
            self._drift.move(hand, at_s)

    def felt(self, series: Series, times_s: Any) -> None:
        self._gauges.bend(series, times_s, self._written)

    def noise_pu(self, asset: str, metric: str) -> float:
        return self._gauges.noise_pu(asset, metric)

    def read(self, series: Series, times_s: Any, plans: Sequence[FaultPlan]) -> None:
        for way in self._ways:
            way.carry(series, times_s, self._written, plans)

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Sensors in trouble, once the night is composed."""
        return tuple(trouble for way in self._ways for trouble in way.troubles)

    @cached_property
    def _commissioned(self) -> Plant:
        """Nobody hands over a site that breaks its limits on a quiet day: such draws are thrown away."""
        noon = datetime.fromisoformat("2026-03-14T12:00:00+00:00")
        for turn in range(TRIES):
            plant = Plant.start(self._real, noon)
            vary(plant, np.random.default_rng([self.seed, turn]))
            plant.advance(SETTLE_S)
            if not overloaded(plant):
                return plant
        raise ConfigError(
            f"{self._real.name}: no draw of constants of case {self.seed} keeps the site's limits",
            remedy="Give the site more reserve, or take another seed",
        )


# ---- constants --------------------------------------------------------------------------------------------


def vary(plant: Plant, rng: np.random.Generator) -> None:
    """Scale every constant of CONSTANTS, and give valves, pumps and exchangers the wear of years."""
    spread = float(rng.uniform(*SPREAD))
    tables = plant.store.tables
    pools, rated_rps = tables.pool, tables.pool["node_rps"].copy()
    for kind, columns in CONSTANTS.items():
        rows = getattr(tables, kind)
        for column in columns:
            common = math.exp(spread / math.sqrt(2) * rng.standard_normal())
            own = np.exp(spread / math.sqrt(2) * rng.standard_normal(len(rows)))
            rows[column] *= np.clip(common * own, 1 / FURTHEST, FURTHEST)
    # A pool is sized for its traffic: what its nodes can serve and what arrives go together, but for 7 %.
    pools["arrival_rps"] *= pools["node_rps"] / rated_rps * np.exp(0.07 * rng.standard_normal(len(pools)))
    tables.gpu_node["liquid_share"] *= rng.uniform(0.95, 1.05, len(tables.gpu_node))
    tables.gpu_node["job_load_pu"] = np.minimum(1.0, tables.gpu_node["job_load_pu"] * rng.normal(1, 0.06))
    tables.pump["wear_pu"] = rng.uniform(0.0, 0.05, len(tables.pump))
    tables.rack["valve_open"] = rng.uniform(0.92, 1.0, len(tables.rack))
    for rows in (tables.cdu, tables.chiller):
        rows["fouling_pu"] = rng.uniform(0.0, 0.06, len(rows))
    for column in _CACHED:
        tables.gpu_node[column] = -1.0


def overloaded(plant: Plant) -> list[str]:
    """Assets at or near a limit that a sound site keeps clear of."""
    tables, limits = plant.store.tables, plant.site.limits
    checks: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("gpu_node", lambda t: t["gpu_temp_c"] > limits.get("gpu_temp_max_c", 87.0) - 8),
        ("rack", lambda t: t["inlet_temp_c"] > limits.get("rack_inlet_max_c", 27.0) - 1.5),
        ("cdu", lambda t: (t["flow_lpm"] < 0.95 * t["flow_setpoint_lpm"]) | (t["supply_temp_c"] > t["supply_setpoint_c"] + 1)),
        ("water", lambda t: t["heat_kw"] > 0.85 * t["capacity_kw"]),
        ("pool", lambda t: t["load_pu"] > 0.8),
        ("feed", lambda t: t["load_pct"] > 90),
        ("pdu", lambda t: t["load_pct"] > 90),
    )  # fmt: skip
    return [
        plant.store.names[kind][row] or kind
        for kind, beyond in checks
        for row in np.flatnonzero(beyond(getattr(tables, kind)))
    ]


# ---- topology ---------------------------------------------------------------------------------------------

Standing = dict[str, tuple[str, ...]]
"""What assets really stand on, by name."""
Detail = Callable[[Site, Standing, random.Random], str]


def differing(written: Site, rng: random.Random) -> tuple[Site, tuple[str, ...]]:
    """The site as it really is, in two to four details, and these in words."""
    standing: Standing = {}
    said = [detail(written, standing, rng) for detail in rng.sample(DETAILS, rng.randint(2, 4))]
    moved = tuple(
        asset.model_copy(update={"on": standing[asset.name]}) if asset.name in standing else asset
        for asset in written.assets
    )
    pools = tuple(
        pool.model_copy(update={"nodes": _nodes(written, pool.name, pool.nodes, standing)})
        for pool in written.pools
    )
    return with_fields(written, assets=moved, pools=pools), tuple(text for text in said if text)


def with_fields(site: Site, **fields: Any) -> Site:
    """The site with other fields. (A copy would take over what was worked out for the old ones.)"""
    return Site(**{**{name: getattr(site, name) for name in site.model_fields_set}, **fields})


def _nodes(written: Site, pool: str, nodes: tuple[str, ...], standing: Standing) -> tuple[str, ...]:
    """Nodes of a pool after its service moved; a pool whose service did not keeps them."""
    if pool not in standing:
        return nodes
    return tuple(name for name in standing[pool] if written.by_name[name.lower()].kind == "gpu_node")


def _swapped(kind: str, above: str, what: str) -> Detail:
    """Two assets of a kind stand on each other's `above`."""

    def swap(site: Site, standing: Standing, rng: random.Random) -> str:
        placed = [
            (asset, on[0].name)
            for asset in site.assets
            if asset.kind == kind and (on := _over(site, asset, above))
        ]
        rng.shuffle(placed)
        pair = next(((a, b) for a, b in itertools.pairwise(placed) if a[1] != b[1]), None)
        if pair is None:
            return ""
        (one, its), (other, theirs) = pair
        for asset, old, new in ((one, its, theirs), (other, theirs, its)):
            stands_on = standing.get(asset.name, asset.on)
            standing[asset.name] = tuple(new if name == old else name for name in stands_on)
        return what.format(one.name, other.name)

    return swap


def _over(site: Site, asset: Asset, kind: str) -> list[Asset]:
    found = (site.find(name) for name in asset.on)
    return [one for one in found if one is not None and one.kind == kind]


def _moved_node(site: Site, standing: Standing, rng: random.Random) -> str:
    """One node stands in another rack than the file says."""
    nodes, racks = site.of_kind("gpu_node"), [rack.name for rack in site.of_kind("rack")]
    node = rng.choice(nodes)
    own = next((asset.name for asset in _over(site, node, "rack")), "")
    if not own or len(racks) < 2:
        return ""
    new = rng.choice([name for name in racks if name != own])
    standing[node.name] = tuple(new if name == own else name for name in standing.get(node.name, node.on))
    return f"{node.name} really stands in {new}"


def _pool_less(site: Site, standing: Standing, rng: random.Random) -> str:
    """One node of a pool serves no more."""
    pools = [
        (asset, nodes)
        for asset in site.of_kind("service")
        if len(nodes := _over(site, asset, "gpu_node")) > 3
    ]
    if not pools:
        return ""
    pool, nodes = rng.choice(pools)
    gone = rng.choice(nodes).name
    standing[pool.name] = tuple(name for name in standing.get(pool.name, pool.on) if name != gone)
    return f"{gone} really serves {pool.name} no more"


def _pool_more(site: Site, standing: Standing, rng: random.Random) -> str:
    """One node beside the pools serves for one of them."""
    pools = [asset for asset in site.of_kind("service") if _over(site, asset, "gpu_node")]
    busy = {name for pool in pools for name in pool.on}
    free = [node.name for node in site.of_kind("gpu_node") if node.name not in busy]
    if not pools or not free:
        return ""
    pool, node = rng.choice(pools), rng.choice(free)
    standing[pool.name] = (*standing.get(pool.name, pool.on), node)
    return f"{node} really serves {pool.name} as well"


DETAILS: tuple[Detail, ...] = (
    _moved_node, _pool_less, _pool_more,
    _swapped("gpu_node", "rack", "{} and {} really stand in each other's rack"),
    _swapped("sensor", "rack", "the labels of {} and {} are swapped"),
    _swapped("pdu", "ups", "{} and {} are really fed from each other's UPS"),
)  # fmt: skip
