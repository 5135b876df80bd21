"""Tools that tell what there is: the site, a host's data paths, jobs, the catalog of faults, and where the site stands."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from langchain_core.tools import BaseTool
from pydantic import Field

from plant.specs import NodeSpec
from setpoint.contracts.site import Asset
from tools.plant_ports import Name, PlantPorts, asset_of, known, listed, model_of, number
from tools.typed import Answer, Args, ToolError, typed_tool

if TYPE_CHECKING:
    from plant.hardware.gpus import Gpu
    from plant.jobs.scheduler import Scheduler
    from plant.jobs.work import Task
    from plant.show import SiteSummary

MEAN_LOAD_PU = 0.6
"""Mean draw over full load, where the present draw is not known."""


# ---- site_summary ------------------------------------------------------------------------------------------------


class SiteSummaryArgs(Args):
    """Nothing to choose: there is one site."""


class PoolLine(Answer):
    """One serving pool."""

    name: str
    model: str
    gpu: str
    instances: int
    gpus_each: int
    nodes: str
    kv_tokens: int
    """Of one instance."""
    tokens_per_s: float
    """When saturated with chat requests, all instances."""
    ttft_slo_ms: float
    tpot_slo_ms: float


class GearLine(Answer):
    """Power or cooling gear of one kind at full load of the accelerators."""

    kind: str
    count: int
    capacity_kw: float
    load_kw: float
    worst: str
    worst_pu: float
    headroom_kw: float
    """Of the worst."""


class SiteSummaryAnswer(Answer):
    """The site in figures, and what it draws now."""

    name: str
    halls: int
    racks_liquid: int
    racks_air: int
    nodes: int
    gpus: dict[str, int]
    it_full_kw: float
    grid_full_kw: float
    pue_full_load: float
    contracted_kw: float | None
    it_now_kw: float
    grid_now_kw: float
    cooling_now_kw: float
    pue_now: float
    pools: list[PoolLine]
    gear: list[GearLine]
    not_redundant: list[str]
    """Kinds of which the worst single loss at full load is not carried, and what it leaves."""
    ess_kwh: float
    ess_kw: float
    ups_minutes_at_full_load: float
    jobs: int
    free_nodes: int
    warnings: list[str]
    note: str


def _site_summary(ports: PlantPorts, summary: SiteSummary) -> SiteSummaryAnswer:
    plant, source = ports.plant()
    now = plant.totals()
    return SiteSummaryAnswer(
        name=summary.name, halls=summary.halls, racks_liquid=summary.racks_liquid, racks_air=summary.racks_air,
        nodes=summary.nodes, gpus=summary.gpus, it_full_kw=known(summary.it_kw), grid_full_kw=known(summary.grid_kw),
        pue_full_load=known(summary.pue_full_load), contracted_kw=summary.contracted_kw, it_now_kw=known(now["it_kw"]),
        grid_now_kw=known(now["grid_kw"]), cooling_now_kw=known(now["cooling_kw"]), pue_now=known(now["pue"]),
        pools=[
            PoolLine(name=p.name, model=p.model, gpu=p.gpu, instances=p.instances, gpus_each=p.gpus_each, nodes=p.nodes,
                     kv_tokens=p.kv_tokens, tokens_per_s=known(p.tokens_per_s), ttft_slo_ms=p.ttft_slo_ms,
                     tpot_slo_ms=p.tpot_slo_ms)
            for p in summary.pools
        ],
        gear=[
            GearLine(kind=g.kind, count=g.count, capacity_kw=known(g.capacity_kw), load_kw=known(g.load_kw), worst=g.worst,
                     worst_pu=known(g.worst_pu, 3), headroom_kw=known(g.headroom_kw))
            for g in (*summary.power, *summary.cooling)
        ],
        not_redundant=[
            f"{r.kind}: without {r.lost} {r.unfed_kw:.4g} kW are unfed, {r.uncooled_kw:.4g} kW uncooled, "
            f"{r.worst or 'nothing'} is at {r.worst_pu:.0%}"
            for r in summary.redundancy if not r.carried
        ],
        ess_kwh=summary.storage.ess_kwh, ess_kw=summary.storage.ess_power_kw,
        ups_minutes_at_full_load=known(summary.storage.ups_minutes_at_full_load), jobs=summary.jobs,
        free_nodes=summary.free_nodes, warnings=list(summary.warnings), note=f"what is drawn now is {source}",
    )  # fmt: skip


# ---- host_paths --------------------------------------------------------------------------------------------------


class HostPathsArgs(Args):
    """This host, or a node of the site; and a model to load."""

    node: Annotated[
        Name, Field(description="GPU node of the site; empty: the host that Setpoint runs on")
    ] = ""
    model: Annotated[Name, Field(description="Model whose load time is wanted; empty: none")] = ""


class PathLine(Answer):
    """One way data may go."""

    path: str
    title: str
    usable: str
    """usable, not usable, cannot tell."""
    gb_per_s: float | None
    """Of all accelerators that take part, in long transfers."""
    latency_us: float | None
    set_by: str
    """What sets the rate."""
    why: str
    remedy: str
    load_s: float | None
    """To bring the model's weights over it into HBM."""


class HostPathsAnswer(Answer):
    """Data paths of a real host as it is, or of a node as it is described."""

    host: str
    accelerator: str | None
    accelerators: int | None
    usable: int
    paths: list[PathLine]
    note: str


def _host_paths(ports: PlantPorts, args: HostPathsArgs) -> HostPathsAnswer:
    return _of_node(ports, args) if args.node else _of_this_host(ports, args)


def _of_this_host(ports: PlantPorts, args: HostPathsArgs) -> HostPathsAnswer:
    from plant.hardware.gpus import DTYPE_BYTES
    from plant.hardware.host import host_report

    report = host_report()
    model = model_of(ports.site, args.model) if args.model else None
    size = model.params * DTYPE_BYTES[model.weights] if model else 0.0
    lines = []
    for found in report.paths:
        rate = found.expected_all_gb_per_s
        loads = bool(size and rate and found.verdict == "usable" and _into_hbm(found.path))
        lines.append(
            PathLine(
                path=found.path,
                title=found.title,
                usable=found.verdict,
                gb_per_s=number(rate) if rate else None,
                latency_us=number(found.expected_latency_us) if found.expected_latency_us else None,
                set_by=found.pace,
                why="; ".join(found.reasons),
                remedy="; ".join(found.remedies),
                load_s=known(size / 1e9 / rate) if loads and rate else None,
            )
        )
    said = [f"assumed: {one}" for one in report.assumed]
    if report.accelerator is None:
        said.append("no known accelerator here, so no rates; name a node of the site for those of the model")
    return HostPathsAnswer(
        host=report.host, accelerator=report.accelerator, accelerators=report.accelerators,
        usable=sum(line.usable == "usable" for line in lines), paths=lines, note="; ".join(said),
    )  # fmt: skip


def _into_hbm(name: str) -> bool:
    from plant.hardware.gpus import gpu
    from plant.hardware.paths import path

    return path(name, gpu("H100")).target_place == "hbm"


def _of_node(ports: PlantPorts, args: HostPathsArgs) -> HostPathsAnswer:
    """As its spec in the site file has it, all its accelerators at once."""
    from plant.hardware.paths import paths
    from plant.inference.way import host_rates

    asset = asset_of(ports.site, args.node, "gpu_node")
    spec, gpu = ports.site.spec(asset.name, NodeSpec), ports.site.node_gpu(asset.name)
    loads = _load_times(ports, args.model, gpu, spec)
    off = {"gpudirect_storage": ("ssd_gds", "hbm_ssd_gds"), "gpudirect_rdma": ("peer_rdma",)}
    closed = {name: flag for flag, names in off.items() if not getattr(spec, flag) for name in names}
    lines = []
    for name, found in paths(gpu, host_rates(spec), spec.gpus).items():
        usable = found.usable and name not in closed
        why = f"the site file says {closed[name]}: false" if name in closed else ""
        lines.append(
            PathLine(
                path=name,
                title=found.title,
                usable="usable" if usable else "not usable",
                gb_per_s=number(found.sustained_bytes_per_s() / 1e9) if found.usable else None,
                latency_us=number(1e6 * found.latency_s),
                set_by=found.pace() if found.usable else found.narrowest.name,
                why=why or ("" if found.usable else f"the node has no {found.narrowest.name}"),
                remedy=f"set {closed[name]} where the node can do it" if name in closed else "",
                load_s=number(loads[name]) if usable and name in loads else None,
            )
        )
    return HostPathsAnswer(
        host=asset.name, accelerator=gpu.name, accelerators=spec.gpus, usable=sum(one.usable == "usable" for one in lines),
        paths=lines, note="as the site file describes the node; rates of all its accelerators together",
    )  # fmt: skip


def _load_times(ports: PlantPorts, model: str, gpu: Gpu, spec: NodeSpec) -> dict[str, float]:
    from plant.inference.deployment import Deployment
    from plant.inference.way import load_times_s

    if not model:
        return {}
    wanted = model_of(ports.site, model)
    return load_times_s(Deployment(model=wanted, gpu=gpu, tp=spec.gpus, weights=wanted.weights), spec)


# ---- jobs --------------------------------------------------------------------------------------------------------


class JobsArgs(Args):
    """When to look, and what to try."""

    after_h: Annotated[
        float, Field(ge=0, le=720, allow_inf_nan=False, description="Hours after the site file's jobs begin")
    ] = 0.0
    pause: Annotated[Name, Field(description="Job to pause in the plan; empty: none")] = ""
    move: Annotated[Name, Field(description="Job to move in the plan; empty: none")] = ""
    away_from: Annotated[
        Name, Field(description="Node or rack that the moved job must leave; empty: where it is")
    ] = ""


class JobLine(Answer):
    """One piece of work."""

    name: str
    state: str
    service: bool
    nodes: str
    node_count: int
    priority: int
    flexible: bool
    """May be paused or moved."""
    above_idle_kw: float
    """What pausing it would free."""


class JobsAnswer(Answer):
    """The queue and placements of the site file's pools and jobs, as the model's scheduler has them."""

    after_h: float
    running: list[JobLine]
    waiting: list[JobLine]
    free_nodes: int
    utilisation_pu: float
    """Nodes held over all nodes, now."""
    tightest_budget: str
    tightest_headroom_kw: float | None
    freed_kw: float
    """Node power that the paused job drew above idle."""
    net_freed_kw: float
    """What is left of that once others have started in its place."""
    moved_to: str
    """Nodes of the moved job; empty where none was moved."""
    relieved: dict[str, float]
    """Budgets (rack, CDU, site) whose draw falls by pause or move, in kW."""
    why_waiting: list[str]
    note: str


def _jobs(ports: PlantPorts, args: JobsArgs) -> JobsAnswer:
    """A scheduler of its own is made for each question, so that trying changes nothing."""
    from plant.jobs.on_site import scheduler_of
    from plant.ranges import written

    scheduler = scheduler_of(ports.site)
    scheduler.advance(3600.0 * args.after_h)
    before, loads = _drawn(scheduler), _loads(scheduler)
    freed, moved, held_kw = 0.0, "", _nodes_kw(scheduler)
    if args.pause:
        freed = _above_idle_kw(scheduler, _task(scheduler, args.pause))
        scheduler.pause(args.pause)
    if args.move:
        _task(scheduler, args.move)
        away = (_placed(ports, args.away_from).name,) if args.away_from else ()
        moved = written(scheduler.relocate(args.move, away))
    after = _drawn(scheduler)
    headroom = scheduler.floor.headroom_kw(_loads(scheduler))
    tightest = min(headroom, key=lambda name: headroom[name], default="")
    tasks = list(scheduler.tasks.values())
    running = [task for task in tasks if task.state == "running"]
    held = sum(len(task.nodes) for task in running)
    return JobsAnswer(
        after_h=args.after_h, running=[_job(scheduler, task) for task in running],
        waiting=[_job(scheduler, task) for task in (*scheduler.queue(), *(t for t in tasks if t.state == "paused"))],
        free_nodes=len(scheduler.floor.places) - held, utilisation_pu=known(held / max(len(scheduler.floor.places), 1), 3),
        tightest_budget=tightest, tightest_headroom_kw=number(headroom[tightest]) if tightest else None,
        freed_kw=known(freed), net_freed_kw=known(held_kw - _nodes_kw(scheduler) if args.pause else 0.0), moved_to=moved,
        relieved={name: known(before[name] - after[name]) for name in before if before[name] - after.get(name, 0.0) > 1e-6},
        why_waiting=[f"{one.subject}: {one.reason}" for one in scheduler.decisions if one.what == "wait"][-6:],
        note=f"jobs of the site file, placed by the model's scheduler; {len(loads)} of {len(scheduler.floor.places)} nodes were held",
    )  # fmt: skip


def _placed(ports: PlantPorts, name: str) -> Asset:
    return asset_of(ports.site, name, "gpu_node", "rack")


def _task(scheduler: Scheduler, name: str) -> Task:
    found = scheduler.tasks.get(name)
    if found is None:
        jobs = [task.work.name for task in scheduler.tasks.values() if not task.work.service]
        raise ToolError(f"no job {name!r}; there are {listed(jobs) or 'none at that time'}")
    return found


def _loads(scheduler: Scheduler) -> dict[str, float]:
    """Planned load of every node that something holds, services as the scheduler plans them."""
    running = (task for task in scheduler.tasks.values() if task.state == "running")
    return {node: task.work.load_pu for task in running for node in task.nodes}


def _drawn(scheduler: Scheduler) -> dict[str, float]:
    return scheduler.floor.drawn_kw(_loads(scheduler))


def _nodes_kw(scheduler: Scheduler) -> float:
    loads = _loads(scheduler)
    return sum(place.drawn_kw(loads.get(place.name, 0.0)) for place in scheduler.floor.places.values())


def _above_idle_kw(scheduler: Scheduler, task: Task) -> float:
    places = scheduler.floor.places
    return sum(places[node].drawn_kw(task.work.load_pu) - places[node].idle_kw for node in task.nodes)


def _job(scheduler: Scheduler, task: Task) -> JobLine:
    from plant.ranges import written

    return JobLine(
        name=task.work.name, state=task.state, service=task.work.service, nodes=written(task.nodes) if task.nodes else "",
        node_count=task.work.nodes, priority=task.work.priority, flexible=task.work.preemptible,
        above_idle_kw=known(_above_idle_kw(scheduler, task)),
    )  # fmt: skip


# ---- faults ------------------------------------------------------------------------------------------------------


class FaultsArgs(Args):
    """One fault, or all that can strike an asset or a kind of asset."""

    id: Annotated[Name, Field(description="Id in the catalog, e.g. pump_trip; empty: list them")] = ""
    asset: Annotated[Name, Field(description="Asset or kind, e.g. cdu-1 or pump; empty: any")] = ""


class FaultLine(Answer):
    """One entry of the catalog."""

    id: str
    title: str
    area: str
    cause: str
    strikes: list[str]
    onset: str
    touches: list[str]


class FaultDetail(Answer):
    """What one fault does and what equipment says about it."""

    lasts_min: tuple[float, float] | None
    """Least and longest until it is mended; null: it stays."""
    effects: list[str]
    lines: list[str]
    """What is logged, with its form and seconds after the onset; quoted texts with {fields}."""
    detected_by: list[str]
    """Threshold rules that should see it."""
    can_strike: list[str]
    """Assets of this site, the first twelve."""
    note: str


class FaultsAnswer(Answer):
    """Entries of the fault catalog."""

    count: int
    faults: list[FaultLine]
    detail: FaultDetail | None


def _faults(ports: PlantPorts, args: FaultsArgs) -> FaultsAnswer:
    from plant.faults.catalog import load_catalog
    from plant.faults.place import fitting

    catalog = load_catalog()
    if args.id and args.id not in catalog:
        near = difflib.get_close_matches(args.id, catalog, 4, 0.4) or list(catalog)[:4]
        raise ToolError(f"no fault {args.id!r} in the catalog; use for example {', '.join(near)}")
    chosen = [catalog[args.id]] if args.id else list(catalog.values())
    if args.asset:
        found = ports.site.find(args.asset)
        kinds = sorted({kind for fault in catalog.values() for kind in fault.strikes})
        if found is None and args.asset not in kinds:
            raise ToolError(
                f"no asset and no kind {args.asset!r}; kinds that faults strike are {', '.join(kinds)}"
            )
        chosen = [
            fault for fault in chosen
            if (found.name in fitting(fault, ports.site) if found else args.asset in fault.strikes)
        ]  # fmt: skip
    lines = [
        FaultLine(id=f.id, title=f.title, area=f.area, cause=f.cause, strikes=list(f.strikes), onset=f.onset,
                  touches=list(f.touches))
        for f in chosen
    ]  # fmt: skip
    return FaultsAnswer(count=len(lines), faults=lines, detail=_detail(ports, args.id) if args.id else None)


def _detail(ports: PlantPorts, name: str) -> FaultDetail:
    from plant.faults.catalog import load_catalog
    from plant.faults.place import fitting

    fault = load_catalog()[name]
    return FaultDetail(
        lasts_min=(fault.lasts_s[0] / 60, fault.lasts_s[1] / 60) if fault.lasts_s else None,
        effects=[f"{e.knob} of {e.on} to {e.value}{' times' if e.relative else ''}" for e in fault.effects],
        lines=[f"{said.at:g} s, {said.form}: {said.say}" for said in fault.events[:12]],
        detected_by=list(fault.detect), can_strike=fitting(fault, ports.site)[:12], note=fault.note,
    )  # fmt: skip


# ---- trends ------------------------------------------------------------------------------------------------------


class TrendsArgs(Args):
    """The site's mean draw and PUE, where they are measured."""

    mean_kw: Annotated[
        float | None,
        Field(gt=0, le=1e7, allow_inf_nan=False, description="Facility draw over a year; null: as drawn now"),
    ] = None
    pue: Annotated[
        float | None, Field(ge=1, le=10, allow_inf_nan=False, description="null: as it is now")
    ] = None


class EraLine(Answer):
    """One era, and the site beside its mean data center."""

    era: str
    energy_twh: float
    data_pb_per_day: float
    data_centers: float
    pue: float
    center_gwh: float
    energy_ratio: float
    """The site's energy over that of the era's mean data center."""
    pue_saving_pu: float
    """Share of its energy that the era's PUE would save; below 0 where the site is better."""
    grew: dict[str, float]
    """Factor of each figure since the era before; computed."""


class TrendsAnswer(Answer):
    """Where the site stands among the eras of computing."""

    annual_gwh: float
    mean_mw: float
    pue: float
    nearest_by_energy: str
    nearest_by_pue: str
    eras: list[EraLine]
    remarks: list[str]
    note: str


def _trends(ports: PlantPorts, args: TrendsArgs, summary: SiteSummary) -> TrendsAnswer:
    from plant.trends import ERAS, growth, notes, place

    said = "energy and PUE as given"
    mean_kw, pue = args.mean_kw, args.pue
    if mean_kw is None or pue is None:
        plant, source = ports.plant()
        now = plant.totals()
        live = now["grid_kw"] + now["ess_kw"]
        mean_kw = mean_kw or (live if live > 0 else MEAN_LOAD_PU * summary.grid_kw)
        pue = pue or (now["pue"] if now["pue"] >= 1 else summary.pue_full_load)
        said = f"as if it drew all year what it draws now, {source}"
    standing = place(mean_kw=mean_kw, pue=pue)
    grown = {
        era.name: {g.figure: known(g.since_previous) for g in growth() if g.era == era.name} for era in ERAS
    }
    return TrendsAnswer(
        annual_gwh=known(standing.annual_gwh), mean_mw=known(standing.mean_mw), pue=known(standing.pue),
        nearest_by_energy=standing.nearest_by_energy, nearest_by_pue=standing.nearest_by_pue,
        eras=[
            EraLine(era=one.era.name, energy_twh=one.era.energy_twh, data_pb_per_day=one.era.data_pb_per_day,
                    data_centers=one.era.data_centers, pue=one.era.pue, center_gwh=known(one.era.mean_gwh),
                    energy_ratio=known(one.energy_ratio), pue_saving_pu=known(one.saving_pu, 3), grew=grown[one.era.name])
            for one in standing.against
        ],
        remarks=[*standing.remarks, *notes()], note=said,
    )  # fmt: skip


def overview_tools(ports: PlantPorts) -> list[BaseTool]:
    """Site, host paths, jobs, faults and trends, bound to these ports."""

    @lru_cache(maxsize=1)
    def summary() -> SiteSummary:
        from plant.show import describe

        return describe(ports.site)

    return [
        typed_tool(
            "site_summary", "The site in figures: nodes, power, cooling, pools, headroom, redundancy, draw now.",
            SiteSummaryArgs, lambda args: _site_summary(ports, summary()),
        ),
        typed_tool(
            "host_paths",
            "Data paths (GPUDirect, RDMA, CXL, io_uring, bounce buffers) of this host or a node, with rates.",
            HostPathsArgs, lambda args: _host_paths(ports, args),
        ),
        typed_tool(
            "jobs", "Training jobs and pools: queue, placements, and what pausing or moving one frees in kW.",
            JobsArgs, lambda args: _jobs(ports, args),
        ),
        typed_tool(
            "faults", "The catalog of faults: by id, or all that can strike an asset or kind of asset.",
            FaultsArgs, lambda args: _faults(ports, args),
        ),
        typed_tool(
            "trends", "Where the site stands among the eras of data centers in energy and PUE.",
            TrendsArgs, lambda args: _trends(ports, args, summary()),
        ),
    ]  # fmt: skip
