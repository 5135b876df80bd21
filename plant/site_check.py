"""Checks of a whole site that go beyond the type of one field: names that lead nowhere, pools that cannot run, and
ratings that full load exceeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from plant.capacity import HEAT_KINDS, POWER_KINDS, Capacity
from plant.inference.memory import plan_memory
from plant.marks import Place
from plant.ranges import written
from plant.specs import CduSpec, NodeSpec, PoolSpec, RackSpec
from setpoint.errors import ConfigError

if TYPE_CHECKING:
    from plant.site import Asset, Site

Found = tuple[Place, str, str]
"""Place in the file (assets by their position after expansion), what is wrong, remedy."""


MOST_NAMED = 30
"""Names that a remedy lists at most: all kinds of assets, but not all nodes of a site."""


def near(name: str, known: Iterable[str]) -> str:
    """A remedy that names what was perhaps meant.

    >>> near("gpu-1", ["gpu-01", "door-1"])
    'Did you mean gpu-01?'
    """
    names = list(known)
    found = get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if found:
        return f"Did you mean {' or '.join(found)}?"
    return (
        f"Use one of {', '.join(names[:MOST_NAMED])}{' ...' if len(names) > MOST_NAMED else ''}"
        if names
        else ""
    )


# ---- faults ------------------------------------------------------------------------------------------------------


def faults(site: Site) -> list[Found]:
    """What makes the site unusable. What builds on sound names is checked only once the names are sound."""
    found = [*_doubled(site), *_dangling(site), *_limits(site), *_hardware(site), *_jobs(site)]
    found += [*_held(site)]
    found += [] if found else [*_circles(site)]
    return found or [fault for at, pool in enumerate(site.pools) for fault in _pool(site, at, pool)]


def _doubled(site: Site) -> Iterator[Found]:
    for section, names in (
        ("assets", [asset.name for asset in site.assets]),
        ("pools", [pool.name for pool in site.pools]),
        ("jobs", [job.name for job in site.jobs]),
        ("hardware", [own.name for own in site.hardware]),
        ("models", [own.name for own in site.models]),
    ):
        seen: set[str] = set()
        for position, name in enumerate(names):
            if name.lower() in seen:
                yield (section, position, "name"), f"{name!r} is listed twice", "Keep one, or rename it"
            seen.add(name.lower())


def _dangling(site: Site) -> Iterator[Found]:
    held = {pool.name.lower(): pool.nodes for pool in site.pools}
    for position, asset in enumerate(site.assets):
        if held.get(asset.name.lower()) == asset.on:
            continue  # made for its pool, whose nodes are checked
        for field in ("on", "redundant_with"):
            for target in getattr(asset, field):
                if target.lower() not in site.by_name:
                    what = f"{target!r} is no asset of the site"
                    yield ("assets", position, field), what, near(target, site.by_name)


def _limits(site: Site) -> Iterator[Found]:
    pairs = [(name, name.replace("_min_", "_max_")) for name in site.limits if "_min_" in name]
    for low, high in pairs:
        if high in site.limits and site.limits[low] >= site.limits[high]:
            what = f"{site.limits[low]:g} is not below {high} {site.limits[high]:g}"
            yield ("limits", low), what, "Swap or mend the two"
    for name, value in site.limits.items():
        if value < 0 and not name.endswith("_c"):
            yield ("limits", name), f"{value:g} is negative", "Write a value of at least 0"


def _hardware(site: Site) -> Iterator[Found]:
    for position, asset in enumerate(site.assets):
        if asset.kind == "gpu_node":
            name = site.spec(asset.name, NodeSpec).gpu
            try:
                site.gpu(name)
            except ConfigError as error:
                yield ("assets", position, "spec", "gpu"), error.what, error.remedy
        elif asset.kind == "ess" and asset.spec is None:
            try:
                site.spec(asset.name)
            except ValueError as error:
                yield ("assets", position), f"its limits do not fit: {error}", "Mend `limits:`"


def _jobs(site: Site) -> Iterator[Found]:
    most = len(site.of_kind("gpu_node"))
    for position, job in enumerate(site.jobs):
        if job.nodes > most:
            what = f"{job.name} wants {job.nodes} nodes; the site has {most}"
            yield ("jobs", position, "nodes"), what, f"Write at most {most}"


def _circles(site: Site) -> Iterator[Found]:
    """Walk up from every asset; what comes back to itself stands on itself."""
    done: set[str] = set()
    for position, asset in enumerate(site.assets):
        circle = _circle(site, asset, (), done)
        if circle:
            yield ("assets", position, "on"), f"stands on itself: {' -> '.join(circle)}", "Drop one of these"
            return


def _circle(site: Site, asset: Asset, way: tuple[str, ...], done: set[str]) -> tuple[str, ...]:
    if asset.name in way:
        return (*way[way.index(asset.name) :], asset.name)
    if asset.name in done:
        return ()
    for parent in asset.on:
        found = _circle(site, site.by_name[parent.lower()], (*way, asset.name), done)
        if found:
            return found
    done.add(asset.name)
    return ()


def _held(site: Site) -> Iterator[Found]:
    """Nodes of pools: there, GPU nodes, and in one pool only."""
    holder: dict[str, str] = {}
    nodes = [asset.name for asset in site.of_kind("gpu_node")]
    for at, pool in enumerate(site.pools):
        for name in pool.nodes:
            asset = site.by_name.get(name.lower())
            if asset is None:
                yield ("pools", at, "nodes"), f"{name!r} is no asset of the site", near(name, nodes)
            elif asset.kind != "gpu_node":
                what = f"{name!r} is a {asset.kind}, not a gpu_node"
                yield ("pools", at, "nodes"), what, f"The nodes are {written(nodes)}"
            elif name.lower() in holder:
                other = holder[name.lower()]
                what = f"{name!r} is {'named twice' if other == pool.name else f'also in {other}'}"
                yield ("pools", at, "nodes"), what, "A node serves one pool; leave it in one"
            holder.setdefault(name.lower(), pool.name)


def _pool(site: Site, at: int, pool: PoolSpec) -> Iterator[Found]:
    """One pool whose nodes are sound: hardware alike, model known, ways that fit, memory enough."""
    kinds = {site.spec(node, NodeSpec).gpu for node in pool.nodes}
    if len(kinds) > 1:
        yield ("pools", at, "nodes"), f"holds {' and '.join(sorted(kinds))}", "Make a pool of each kind"
        return
    try:
        model = site.model(pool.model)
    except ConfigError as error:
        yield ("pools", at, "model"), error.what, error.remedy
        return
    unfit = list(_ways(site, at, pool))
    if model.heads % pool.tp:
        what = f"tp {pool.tp} does not divide the {model.heads} heads of {model.name}"
        unfit.append((("pools", at, "tp"), what, f"Use {_divisors(model.heads, pool.tp)}"))
    if pool.pp > model.layers:
        what = f"pp {pool.pp} is more than the {model.layers} layers of {model.name}"
        unfit.append((("pools", at, "pp"), what, f"Use at most {model.layers}"))
    yield from unfit or [*_experts(site, at, pool), *_memory(site, at, pool)]


def _ways(site: Site, at: int, pool: PoolSpec) -> Iterator[Found]:
    each, per_node = pool.tp * pool.pp * pool.dp, [site.spec(node, NodeSpec).gpus for node in pool.nodes]
    have = sum(per_node)
    if each > have:
        what = f"one instance takes tp {pool.tp} x pp {pool.pp} x dp {pool.dp} = {each} GPUs; its nodes have {have}"
        remedy = f"Give it {-(-each // min(per_node))} nodes, or fewer ways"
        yield ("pools", at, "tp"), what, remedy
    elif any(each % gpus if each > gpus else gpus % each for gpus in per_node):
        what = f"instances of {each} GPUs do not fill nodes of {per_node[0]} evenly"
        yield ("pools", at, "tp"), what, f"Use a divisor or a multiple of {per_node[0]}"
    if pool.prefill_instances and pool.prefill_instances >= have // each:
        what = f"{pool.prefill_instances} prefill of {have // each} instances leaves none to decode"
        yield ("pools", at, "prefill_instances"), what, f"Use at most {max(0, have // each - 1)}"


def _experts(site: Site, at: int, pool: PoolSpec) -> Iterator[Found]:
    model = site.model(pool.model)
    if pool.ep > 1 and not model.experts:
        yield ("pools", at, "ep"), f"{model.name} has no experts to spread over ep {pool.ep}", "Write ep: 1"
    elif (pool.tp * pool.dp) % pool.ep:
        what = f"ep {pool.ep} does not divide tp {pool.tp} x dp {pool.dp} = {pool.tp * pool.dp}"
        yield ("pools", at, "ep"), what, f"Use {_divisors(pool.tp * pool.dp, pool.ep)}"


def _memory(site: Site, at: int, pool: PoolSpec) -> Iterator[Found]:
    try:
        plan_memory(site.deployment(pool))
    except ConfigError as error:
        yield ("pools", at, "model"), error.what, error.remedy


def _divisors(number: int, wanted: int) -> str:
    """The divisors next to what was wanted.

    >>> _divisors(64, 6)
    '4 or 8'
    """
    fit = [n for n in range(1, number + 1) if number % n == 0]
    below, above = [n for n in fit if n < wanted], [n for n in fit if n > wanted]
    return " or ".join(str(n) for n in [*below[-1:], *above[:1]])


# ---- warnings ----------------------------------------------------------------------------------------------------


def warnings(site: Site) -> list[str]:
    """What works but deserves a look, neighbours told together."""
    capacity = Capacity(site)
    return [*_over(capacity), *_flow(site), *_gaps(site, capacity), *_pool_notes(site)]


def _over(capacity: Capacity) -> Iterator[str]:
    """Racks over their design, and power and cooling gear over its rating, at full load."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for asset, kw, rated in capacity.uses(capacity.whole, *POWER_KINDS, *HEAT_KINDS):
        if kw > rated * (1 + 1e-9):
            alike.setdefault((asset.kind, f"{kw:.1f}", f"{rated:.1f}"), []).append(asset.name)
    for (kind, kw_text, rated_text), names in alike.items():
        word = {"rack": "draws", "cdu": "must carry", "crah": "must carry", "chiller": "must carry"}.get(
            kind, "carries"
        )
        rating = "its design of" if kind == "rack" else "its rating of"
        yield f"{written(names)}: {word} {kw_text} kW at full load, above {rating} {rated_text} kW"


def _flow(site: Site) -> Iterator[str]:
    """CDUs without pumps, and racks that ask for more flow than their CDU has."""
    dry = [cdu.name for cdu in site.of_kind("cdu") if not site.parents(cdu.name, "pump")]
    if dry:
        yield f"{written(dry)}: has no pump; losing a pump cannot be modelled there. List pumps and put the CDU on them"
    for cdu in site.of_kind("cdu"):
        racks = [rack for rack in site.of_kind("rack") if cdu in site.parents(rack.name, "cdu")]
        wanted = sum(site.spec(rack.name, RackSpec).flow_design_lpm or 0.0 for rack in racks)
        most = site.spec(cdu.name, CduSpec).flow_max_lpm
        if wanted > most:
            yield f"{cdu.name}: its racks want {wanted:.0f} LPM; it gives at most {most:.0f}"


def _gaps(site: Site, capacity: Capacity) -> Iterator[str]:
    """Racks with nothing that feeds or cools them; only where the site has such gear at all."""
    for kinds, what in ((("pdu", "ups", "feed", "ats"), "power"), (("cdu", "crah"), "cooling")):
        if not site.of_kind(*kinds):
            continue
        holding = [rack for rack in site.of_kind("rack") if site.below(rack.name, "gpu_node")]
        bare = [rack.name for rack in holding if not site.above(rack.name, *kinds)]
        if bare:
            yield f"{written(bare)}: stands on no {what} ({', '.join(kinds)})"
    contracted_kw = site.limits.get("site_power_max_kw")
    if contracted_kw is not None and capacity.whole.grid_kw > contracted_kw:
        drawn_kw = capacity.whole.grid_kw
        yield f"the site draws {drawn_kw:.0f} kW at full load, above its limit site_power_max_kw of {contracted_kw:g}"
    if capacity.whole.uncooled_kw > 0:
        yield f"{capacity.whole.uncooled_kw:.1f} kW of heat has nowhere to go at full load"


def _pool_notes(site: Site) -> Iterator[str]:
    """Accelerators that no instance uses, tensor parallelism that leaves the fast links, jobs without room."""
    for pool in site.pools:
        each = pool.tp * pool.pp * pool.dp
        have = sum(site.spec(node, NodeSpec).gpus for node in pool.nodes)
        if have % each:
            yield f"{pool.name}: {have % each} of {have} GPUs are left over by instances of {each}"
        gpu = site.node_gpu(pool.nodes[0])
        if pool.tp > gpu.scale_up_domain:
            yield (
                f"{pool.name}: tp {pool.tp} is wider than the {gpu.scale_up_domain} {gpu.name} that share fast links; "
                "all-reduce crosses the network"
            )
    shares = sum(pool.share for pool in site.pools)
    if shares > 1 + 1e-9 and any(pool.share < 1 for pool in site.pools):
        yield f"the pools' shares of the trace add up to {shares:g}, not 1"
    free = len(site.of_kind("gpu_node")) - len(Counter(node for pool in site.pools for node in pool.nodes))
    for job in site.jobs:
        if job.nodes > free:
            yield f"{job.name}: wants {job.nodes} nodes; only {free} are outside pools, so it waits or preempts"
