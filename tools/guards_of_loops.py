"""Interlocks of the actions that control loops call for: pools, jobs, facility water, storage."""

from __future__ import annotations

import math
from collections.abc import Iterator

from plant.specs import CduSpec, NodeSpec
from setpoint.contracts.site import Site
from tools.situation import Guard, Refusal, Situation

LEAST_HEADROOM_PU = 0.9
"""The nodes left to a pool may be used to this share by what arrives now."""
WAITING = 1.0
"""More requests than this in the queue, and the pool is short already."""
LEAST_WATER_K = 2.0
"""Air handlers give their heat to water at least so much colder than the air they supply, which may be as warm as racks may
take it in: whether it stays below that with this heat, the rehearsal shows."""


def job_is_paused(s: Situation) -> Iterator[Refusal]:
    if s.metric("job", 0.0) < 0.0:
        yield Refusal("job_is_paused", f"{s.action.asset} holds no job", "Name a node of the paused job")
    elif s.metric("job_running", 1.0) > 0.5:
        yield Refusal("job_is_paused", f"the job on {s.action.asset} runs", "Name a node of a paused job")


def feed_carries_job(s: Situation) -> Iterator[Refusal]:
    """The site stays within its contracted power with all nodes of the job at full load."""
    number = s.metric("job", 0.0)
    nodes = [
        node.name for node in s.site.of_kind("gpu_node")
        if node.name == s.action.asset or (number > 0.0 and s.metric("job", 0.0, node.name) == number)
    ]  # fmt: skip
    more_kw = sum(max(0.0, _full_kw(s.site, node) - s.metric("power_kw", 0.0, node)) for node in nodes)
    load_kw = sum(s.metric("load_kw", 0.0, feed.name) for feed in s.site.of_kind("feed")) + more_kw
    most_kw = s.limit("site_power_max_kw", float("inf"))
    if load_kw > most_kw:
        yield Refusal(
            "feed_carries_job",
            f"with the {len(nodes)} nodes of the job the site would draw {load_kw:.0f} kW, at most {most_kw:g} kW allowed",
            "Resume it when load is lower",
        )


def _full_kw(site: Site, node: str) -> float:
    spec = site.spec(node, NodeSpec)
    return spec.base_max_kw + spec.gpus * site.gpu(spec.gpu).tdp_w / 1000.0


def pool_nodes(site: Site, pool: str) -> list[str]:
    """GPU nodes a service stands on and those its pool names."""
    found = site.find(pool)
    named = [
        node for spec in site.pools if spec.name == (found.name if found else pool) for node in spec.nodes
    ]
    return list(dict.fromkeys(
        asset.name for name in (*(found.on if found else ()), *named) if (asset := site.find(name)) and asset.kind == "gpu_node"
    ))  # fmt: skip


def nodes_at_once(site: Site, pool: str) -> int:
    """Nodes that one instance of the pool spans: it serves with whole ones."""
    spec = next((spec for spec in site.pools if spec.name == pool), None)
    return max((len(instance.nodes) for instance in site.instances(spec)), default=1) if spec else 1


def pool_has_nodes(s: Situation) -> Iterator[Refusal]:
    asked, there = int(s.arg("nodes")), len(pool_nodes(s.site, s.action.asset))
    each = nodes_at_once(s.site, s.action.asset)
    if asked > there:
        yield Refusal(
            "pool_has_nodes", f"{asked} nodes asked, {s.action.asset} has {there}", f"Choose at most {there}"
        )
    elif asked % each and asked != there:
        yield Refusal("pool_has_nodes", f"an instance of {s.action.asset} spans {each} nodes; {asked} is no multiple",
                      f"Choose {max(each, asked - asked % each)} or {min(there, asked - asked % each + each)}")  # fmt: skip


def pool_carries_load(s: Situation) -> Iterator[Refusal]:
    """What arrives now needs no more than nine tenths of the nodes that are left. What cannot be read refuses."""
    reading, asked = s.read(s.action.asset), s.arg("nodes")
    known = reading.values if reading else {}
    if "load_pu" not in known or "healthy_nodes" not in known:
        yield Refusal("pool_carries_load", f"no load and no serving nodes are read of {s.action.asset}",
                      "Restore its telemetry, or scale it by hand")  # fmt: skip
        return
    serving = known["healthy_nodes"]
    if asked >= serving:
        return
    if known.get("queue", 0.0) > WAITING:
        yield Refusal("pool_carries_load", f"{known['queue']:.0f} requests wait at {s.action.asset}",
                      "Take nodes away when none waits")  # fmt: skip
    needed = math.ceil(serving * known["load_pu"] / LEAST_HEADROOM_PU - 1e-9)
    if asked < needed:
        yield Refusal(
            "pool_carries_load",
            f"{serving:g} nodes serve at {100 * known['load_pu']:.0f}% load; {asked:g} would be above "
            f"{100 * LEAST_HEADROOM_PU:g}%",
            f"Choose at least {needed}",
        )


def not_slower_with_queue(s: Situation) -> Iterator[Refusal]:
    waiting = s.metric("queue")
    if waiting > WAITING and s.arg("clock_mhz") < s.metric("clock_lock_mhz", math.inf):
        yield Refusal("not_slower_with_queue", f"{waiting:.0f} requests wait at {s.action.asset}",
                      "Lower the clock when none waits")  # fmt: skip


def water_below_its_users(s: Situation) -> Iterator[Refusal]:
    """Facility water stays below what each loop on it supplies and what racks may take in, by the exchanger's approach."""
    asked = s.arg("temp_c")
    for user in s.site.below(s.action.asset, "cdu", "crah"):
        if user.kind == "cdu":
            supply_c, margin_k = (
                s.metric("supply_setpoint_c", math.nan, user.name),
                s.site.spec(user.name, CduSpec).approach_k,
            )
        else:
            read_c = s.metric("supply_temp_c", math.nan, user.name)
            warmest_c = max(read_c, s.limit("rack_inlet_max_c", read_c))
            supply_c, margin_k = warmest_c if math.isfinite(read_c) else math.nan, LEAST_WATER_K
        if not asked <= supply_c - margin_k:
            known = f"may supply {supply_c:g} C" if math.isfinite(supply_c) else "shows no supply temperature"
            yield Refusal(
                "water_below_its_users",
                f"{asked:g} C asked; {user.name} {known} and needs water {margin_k:g} K below it",
                f"Choose at most {supply_c - margin_k:g} C"
                if math.isfinite(supply_c)
                else "Restore its telemetry",
            )
            return


def storage_can_hold(s: Situation) -> Iterator[Refusal]:
    """Its converter runs and takes what is asked, and there is charge above the reserve or some is taken in."""
    name, base_kw = s.action.asset, s.arg("base_kw")
    most_kw = s.limit("ess_power_max_kw", math.inf)
    reserve = s.limit("soc_reserve_pct", s.limit("soc_min_pct", 10.0))
    charge_pct = s.metric("soc_pct", math.nan)
    if s.metric("available", 1.0) < 0.5:
        yield Refusal("storage_can_hold", f"{name} is out of service", "Reset its converter first")
    elif base_kw < -most_kw:
        yield Refusal("storage_can_hold", f"it would charge at {-base_kw:g} kW, at most {most_kw:g} kW allowed",
                      f"Choose a base power of {-most_kw:g} kW or more")  # fmt: skip
    elif not (charge_pct > reserve or base_kw < 0.0 or s.arg("keep_pct") > charge_pct):
        yield Refusal("storage_can_hold", f"the charge is {charge_pct:.0f}%, of which {reserve:g}% stays",
                      "Charge it first")  # fmt: skip


LOOP_GUARDS: tuple[Guard, ...] = (
    job_is_paused, feed_carries_job, pool_has_nodes, pool_carries_load, not_slower_with_queue, water_below_its_users,
    storage_can_hold,
)  # fmt: skip
