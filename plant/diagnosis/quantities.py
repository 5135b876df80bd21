"""What a rehearsal watches: quantities over parts of the site, how each is told by telemetry, and the limits on them.

A quantity is made the same way from the plant model and from readings, so that what was predicted can be held against
what came: the hottest GPU of a loop is the greatest `gpu_temp_c` of its nodes in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from plant.diagnosis.observed import FloatArray, Key
from plant.diagnosis.words import named
from plant.dynamics.kernel import TRIP_C
from plant.sim import Plant
from plant.site import Site

How = Literal["max", "min", "sum"]
Side = Literal["above", "below"]
Read = Callable[[str, str], float | None]
"""Reading of (asset, metric); None where there is none."""
_FOLD: dict[How, Callable[..., FloatArray]] = {"max": np.max, "min": np.min, "sum": np.sum}


@dataclass(frozen=True)
class Metric:
    """One kind of quantity: how it is said, and how little of it is no news."""

    words: str
    """Of an asset: "{asset}" stands for its name."""
    notable: float
    """A change of less is not worth a plot."""


METRICS: dict[str, Metric] = {
    "hottest_gpu_c": Metric("hottest GPU on {asset}", 1.0),
    "gpu_temp_c": Metric("hottest GPU of {asset}", 1.0),
    "warmest_inlet_c": Metric("warmest rack inlet in {asset}", 0.5),
    "supply_temp_c": Metric("coolant supply of {asset}", 0.5),
    "return_temp_c": Metric("coolant return of {asset}", 0.5),
    "flow_lpm": Metric("coolant flow of {asset}", 3.0),
    "reservoir_pct": Metric("coolant level of {asset}", 2.0),
    "load_kw": Metric("load of {asset}", 2.0),
    "grid_kw": Metric("draw of {asset} from the grid", 3.0),
    "power_kw": Metric("power of {asset}", 0.3),
    "clock_mhz": Metric("GPU clock of {asset}", 100.0),
    "soc_pct": Metric("charge of {asset}", 0.5),
    "ttft_ms": Metric("time to first token of {asset}", 20.0),
    "queue": Metric("requests waiting at {asset}", 5.0),
    "kv_use_pct": Metric("KV cache in use at {asset}", 2.0),
    "leaks": Metric("leaks on {asset}", 1.0),
    "busiest_node_kw": Metric("busiest node of {asset}", 0.3),
}


@dataclass(frozen=True)
class Quantity:
    """One number of the site over time, folded from one metric of one or more assets."""

    asset: str
    """What it is said of: a loop, a hall, a node, the site."""
    metric: str
    parts: tuple[Key, ...]
    how: How = "max"

    @property
    def words(self) -> str:
        return quantity_words(self.asset, self.metric)

    def fold(self, values: FloatArray) -> FloatArray:
        """Along the last axis, whose entries are the parts."""
        return _FOLD[self.how](values, axis=-1)

    def read(self, read: Read) -> float | None:
        """From readings; None where a tenth of the parts or more has none."""
        found = [value for part in self.parts if (value := read(*part)) is not None]
        if len(found) < max(1.0, 0.9 * len(self.parts)):
            return None
        return float(self.fold(np.array(found)))


@dataclass(frozen=True)
class Limit:
    """A limit of the site file that can be read off the plant."""

    metric: str
    side: Side
    words: str
    """What breaking it is, with the limit as {limit}."""
    slack: float = 0.0
    """Beyond the limit by this much and it counts: what is regulated to a limit touches it."""


LIMITS: dict[str, Limit] = {
    "gpu_temp_max_c": Limit("hottest_gpu_c", "above", "GPUs over {limit} C"),
    "supply_temp_max_c": Limit("supply_temp_c", "above", "coolant supply over {limit} C"),
    "flow_min_lpm": Limit("flow_lpm", "below", "coolant flow under {limit} L/min"),
    "rack_inlet_max_c": Limit("warmest_inlet_c", "above", "rack inlets over {limit} C"),
    "site_power_max_kw": Limit("grid_kw", "above", "the site drawing over {limit} kW"),
    "feed_power_max_kw": Limit("load_kw", "above", "a feed carrying over {limit} kW"),
    "node_power_max_kw": Limit("busiest_node_kw", "above", "a node drawing over {limit} kW", 0.3),
    "soc_min_pct": Limit("soc_pct", "below", "the storage emptied to {limit} %", -0.2),
    "soc_max_pct": Limit("soc_pct", "above", "the storage charged over {limit} %", 0.2),
    "ttft_slo_ms": Limit("ttft_ms", "above", "time to first token over {limit} ms"),
    "kv_use_max_pct": Limit("kv_use_pct", "above", "KV cache over {limit} %"),
    "coolant_leak": Limit("leaks", "above", "coolant running out"),
}
"""By their names in the site file. `soc_min_pct` counts when it is reached: the storage then stops by itself."""
ALWAYS: Mapping[str, float] = {"coolant_leak": 0.5}
"""Limits that hold whether the site file names them or not."""
TRIPS = "gpu_trip_c"
"""Beside the site's limits: a GPU that reaches TRIP_C shuts itself down."""
TRIP_WORDS = f"GPUs shutting themselves down at {TRIP_C:g} C"


def quantity_words(asset: str, metric: str) -> str:
    """What is told of an asset, without its unit.

    >>> quantity_words("cdu-1", "flow_lpm"), quantity_words("ups-1", "runtime_s")
    ('coolant flow of cdu-1', 'ups-1 runtime')
    """
    known = METRICS.get(metric)
    return known.words.format(asset=asset) if known else f"{asset} {named(metric)}"


def limit_words(name: str, limit: float) -> str:
    """What breaking it is.

    >>> limit_words("gpu_temp_max_c", 87.0), limit_words("gpu_trip_c", 95.0)
    ('GPUs over 87 C', 'GPUs shutting themselves down at 95 C')
    """
    return TRIP_WORDS if name == TRIPS else LIMITS[name].words.format(limit=f"{limit:g}")


def metric_of(limit_name: str) -> str:
    """The quantity that a limit is on."""
    return "hottest_gpu_c" if limit_name == TRIPS else LIMITS[limit_name].metric


def limit_of(site: Site, name: str, asset: str) -> float:
    """The limit as it holds for one asset: a pool's own SLO stands before the site's."""
    if name == "ttft_slo_ms":
        return next((pool.ttft_slo_ms for pool in site.pools if pool.name == asset), site.limits[name])
    return site.limits.get(name, ALWAYS.get(name, 0.0))


def limits_on(site: Site) -> tuple[str, ...]:
    """Names of the limits that hold on the site and can be read off the plant."""
    return tuple(name for name in LIMITS if name in site.limits or name in ALWAYS)


def watched(plant: Plant, asset: str = "") -> tuple[Quantity, ...]:
    """All that is worth watching on the site, and the own quantities of the asset that is acted on."""
    found = [*_heat(plant), *_loops(plant), *_power(plant), *_service(plant), *_own(plant, asset)]
    return tuple(dict.fromkeys(found))


def _heat(plant: Plant) -> Iterable[Quantity]:
    """GPUs by loop, or by hall where air cools them; inlets by hall."""
    groups: dict[str, list[str]] = {}
    for node in plant.each("gpu_node"):
        groups.setdefault(plant.loop_of(node) or _hall(plant, plant.rack_of(node)), []).append(node)
    for group, nodes in groups.items():
        yield Quantity(group, "hottest_gpu_c", tuple((node, "gpu_temp_c") for node in nodes))
    halls: dict[str, list[str]] = {}
    for rack in plant.each("rack"):
        halls.setdefault(_hall(plant, rack), []).append(rack)
    for hall, racks in halls.items():
        yield Quantity(hall, "warmest_inlet_c", tuple((rack, "inlet_temp_c") for rack in racks))


def _hall(plant: Plant, name: str) -> str:
    above = plant.site.above(name, "hall") if name else ()
    return above[0].name if above else plant.site.name


def _loops(plant: Plant) -> Iterable[Quantity]:
    for cdu in plant.each("cdu"):
        for metric in ("flow_lpm", "supply_temp_c", "return_temp_c", "reservoir_pct"):
            yield Quantity(cdu, metric, ((cdu, metric),))
        racks = [rack.name for rack in plant.site.below(cdu, "rack")]
        yield Quantity(cdu, "leaks", tuple((name, "leak") for name in (cdu, *racks)), "sum")


def _power(plant: Plant) -> Iterable[Quantity]:
    feeds = plant.each("feed")
    for feed in feeds:
        yield Quantity(feed, "load_kw", ((feed, "load_kw"),))
    drawn = tuple((feed, "load_kw") for feed in feeds) or (("site", "grid_kw"),)
    yield Quantity(plant.site.name, "grid_kw", drawn, "sum")
    for ess in plant.each("ess"):
        yield Quantity(ess, "soc_pct", ((ess, "soc_pct"),))
    nodes = tuple((node, "power_kw") for node in plant.each("gpu_node"))
    if nodes:
        yield Quantity(plant.site.name, "busiest_node_kw", nodes)


def _service(plant: Plant) -> Iterable[Quantity]:
    for pool in plant.store.names["pool"]:
        for metric in ("ttft_ms", "kv_use_pct", "queue"):
            yield Quantity(pool, metric, ((pool, metric),))


_OWN: Mapping[str, tuple[str, ...]] = {
    "gpu_node": ("gpu_temp_c", "power_kw", "clock_mhz"), "rack": ("power_kw",), "pdu": ("load_kw",),
    "ess": ("power_kw",), "ups": ("load_kw",), "chiller": ("power_kw",), "crah": ("power_kw",),
}  # fmt: skip


def _own(plant: Plant, asset: str) -> Iterable[Quantity]:
    kind = plant.store.rows.get(asset, ("", 0))[0]
    for metric in _OWN.get(kind, ()):
        yield Quantity(asset, metric, ((asset, metric),))
