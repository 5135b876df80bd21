"""A scheduler over the nodes of a site: its pools as services, its jobs in the queue, its racks, power and cooling as
topology and budgets."""

from __future__ import annotations

from collections.abc import Iterator

from plant.capacity import Capacity
from plant.jobs.places import Place
from plant.jobs.scheduler import Scheduler
from plant.jobs.work import Work, job_work
from plant.site import Site
from plant.specs import NodeSpec, PoolSpec

SITE = "site"
"""The budget that all nodes share."""
_CONTRACT = "site_power_max_kw"
POOL_LOAD_PU = 0.8
"""What a serving node is planned with: of H100 decode and mixed load 486 to 691 W of 700 W were measured by batch
size (ML.ENERGY, Llama-3.1-8B)."""


def scheduler_of(site: Site, *, restart_s: float = 300.0) -> Scheduler:
    """Every GPU node of the site; pools hold their nodes from the start, jobs come at their `start_s`."""
    capacity = Capacity(site)
    places = [_place(site, capacity, asset.name) for asset in site.of_kind("gpu_node")]
    scheduler = Scheduler(places, _budgets(site, capacity), restart_s=restart_s)
    for pool in site.pools:
        for work in replicas(site, pool):
            scheduler.submit(work)
    for job in site.jobs:
        scheduler.submit(job_work(job), at_s=job.start_s)
    return scheduler


def replicas(site: Site, pool: PoolSpec) -> Iterator[Work]:
    """The nodes of a pool as services: one for each set of nodes that instances share."""
    sets = dict.fromkeys(instance.nodes for instance in site.instances(pool))
    for number, nodes in enumerate(sets):
        yield Work(
            name=f"{pool.name}/{number}",
            nodes=len(nodes),
            priority=pool.priority,
            load_pu=POOL_LOAD_PU,
            service=True,
            home=nodes,
        )


def _place(site: Site, capacity: Capacity, node: str) -> Place:
    spec = site.spec(node, NodeSpec)
    racks, leaves = site.parents(node, "rack"), site.parents(node, "switch")
    idle_kw = spec.base_idle_kw + spec.gpus * site.gpu(spec.gpu).idle_w / 1000.0
    full_kw = capacity.nodes_kw[node]
    return Place(
        name=node,
        rack=racks[0].name if racks else "",
        leaf=leaves[0].name if leaves else "",
        idle_kw=min(idle_kw, full_kw),
        full_kw=full_kw,
        budgets=(
            *(rack.name for rack in racks),
            *_cdus(site, node),
            *((SITE,) if site.limits.get(_CONTRACT) else ()),
        ),
    )


def _cdus(site: Site, node: str) -> list[str]:
    return [cdu.name for rack in site.parents(node, "rack") for cdu in site.parents(rack.name, "cdu")]


def _budgets(site: Site, capacity: Capacity) -> dict[str, float]:
    """Node power that racks, CDUs and the contract allow.

    A CDU carries `liquid_share` of it; of the contracted power the nodes' part is as at full load.
    """
    budgets = {rack.name: capacity.rated_kw[rack.name] for rack in site.of_kind("rack")}
    for cdu in site.of_kind("cdu"):
        shares = [site.spec(node.name, NodeSpec).liquid_share for node in site.below(cdu.name, "gpu_node")]
        if shares and max(shares) > 0:
            budgets[cdu.name] = capacity.rated_kw[cdu.name] / max(shares)
    contracted_kw = site.limits.get(_CONTRACT)
    if contracted_kw and capacity.whole.grid_kw:
        budgets[SITE] = contracted_kw * sum(capacity.nodes_kw.values()) / capacity.whole.grid_kw
    return budgets
