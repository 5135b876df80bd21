"""Tools about heat: flow, delta-T and headroom of cooling gear, and what the plant does when something is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.tools import BaseTool
from pydantic import Field

from plant.specs import CduSpec, ChillerSpec, CrahSpec, NodeSpec, RackSpec
from plant.units import Kw
from setpoint.contracts.site import Asset, AssetKind
from tools.plant_ports import Name, PlantPorts, asset_of, known, listed, number
from tools.typed import Answer, Args, ToolError, typed_tool

if TYPE_CHECKING:
    from plant.dynamics.state import State
    from plant.sim import Plant

COOLING: tuple[AssetKind, ...] = ("cdu", "rack", "crah", "chiller")
DESIGN_RISE_K = 10.0
"""Of the coolant, where the site sets no `coolant_delta_t_design_c`: OCP's 1.5 L/min a kW."""
GPU_LIMIT_C = 87.0
INLET_LIMIT_C = 27.0
"""Where the site says nothing: throttling of an H100, and ASHRAE TC 9.9's recommended inlet."""


# ---- cooling -----------------------------------------------------------------------------------------------------


class CoolingArgs(Args):
    """Which gear, and a load to ask about."""

    asset: Annotated[
        Name, Field(description="CDU, rack, CRAH or chiller, e.g. cdu-1; empty: all CDUs and CRAHs")
    ] = ""
    load_kw: Annotated[
        Kw | None,
        Field(gt=0, le=1e5, allow_inf_nan=False, description="Heat it should carry; null: what it carries"),
    ] = None


class Cooler(Answer):
    """One piece of cooling gear as it is now. Null where the quantity does not belong to its kind."""

    asset: str
    kind: str
    running: bool
    heat_kw: float
    """Carried now; of a rack what it draws."""
    capacity_kw: float
    """What it may carry: its rating; of a chiller what it can do now."""
    flow_limited_kw: float | None = None
    """What a CDU's greatest flow carries at the design rise."""
    headroom_kw: float
    """Up to the lesser of the two."""
    flow_lpm: float | None = None
    flow_max_lpm: float | None = None
    supply_temp_c: float | None = None
    return_temp_c: float | None = None
    delta_t_k: float | None = None
    inlet_temp_c: float | None = None
    """Of the air a rack takes in."""
    cop: float | None = None
    power_kw: float | None = None


class CoolingAnswer(Answer):
    """Gear now, and what a load asks of it."""

    assets: list[Cooler]
    least_headroom: str
    load_kw: float
    """Asked about, or carried now by the one named."""
    design_delta_t_k: float | None = None
    flow_needed_lpm: float | None = None
    """For the load at the design rise."""
    delta_t_at_load_k: float | None = None
    """At the present flow."""
    air_needed_m3_s: float | None = None
    carries_load: bool
    note: str


def _cooling(ports: PlantPorts, args: CoolingArgs) -> CoolingAnswer:
    plant, source = ports.plant()
    if not args.asset:
        every = [_cooler(ports, plant, asset) for asset in ports.site.of_kind("cdu", "crah", "chiller")]
        if not every:
            raise ToolError("this site has no cooling gear; name a rack")
        if args.load_kw is not None:
            raise ToolError(f"which one should carry it? Name one of {listed(one.asset for one in every)}")
        least = min(every, key=lambda one: one.headroom_kw / one.capacity_kw)
        return CoolingAnswer(
            assets=every, least_headroom=least.asset, load_kw=known(sum(one.heat_kw for one in every if one.kind != "chiller")),
            carries_load=least.headroom_kw >= 0, note=source,
        )  # fmt: skip
    asset = asset_of(ports.site, args.asset, *COOLING)
    one = _cooler(ports, plant, asset)
    load = one.heat_kw if args.load_kw is None else args.load_kw
    return _NEEDS[asset.kind](ports, asset, one, load, source)


def _cooler(ports: PlantPorts, plant: Plant, asset: Asset) -> Cooler:
    """Measured where the site has telemetry of it, else as the plant has it."""
    reading = ports.read(asset.name)
    now: Mapping[str, float] = reading.values if reading else plant.telemetry(asset.name).values
    state = plant.state[asset.name]
    values = {key: now.get(key, _number(state, key)) for key in _TOLD}
    heat = values["power_kw"] if asset.kind == "rack" else values["heat_kw"]
    capacity = _capacity_kw(ports, asset, values)
    warm, cold = values["return_temp_c"], values["supply_temp_c"]
    if asset.kind == "rack":
        cdu = next(iter(ports.site.parents(asset.name, "cdu")), None)
        warm, cold = values["outlet_temp_c"], _number(plant.state[cdu.name], "supply_temp_c") if cdu else None
    if asset.kind == "crah":
        hall = next(iter(ports.site.above(asset.name, "hall")), None)
        cold, warm = values["supply_temp_c"], None
        values["inlet_temp_c"] = _number(plant.state[hall.name], "temp_c") if hall else None
    limited = _flow_limited_kw(ports, asset)
    return Cooler(
        asset=asset.name, kind=asset.kind, running=_running(asset, values), heat_kw=known(heat or 0.0),
        capacity_kw=known(capacity), flow_limited_kw=_said(limited),
        headroom_kw=known(min(capacity, limited or capacity) - (heat or 0.0)),
        flow_lpm=_said(values["flow_lpm"]), flow_max_lpm=_said(values["flow_max_lpm"]), supply_temp_c=_said(cold),
        return_temp_c=_said(warm) if cold is not None else None,
        delta_t_k=_said(warm - cold) if warm is not None and cold is not None else None,
        inlet_temp_c=_said(values["inlet_temp_c"]), cop=_said(values["cop"]),
        power_kw=_said(values["power_kw"] if values["power_kw"] is not None else values["pump_kw"]),
    )  # fmt: skip


_TOLD = ("flow_lpm", "flow_max_lpm", "supply_temp_c", "return_temp_c", "outlet_temp_c", "inlet_temp_c", "heat_kw",
         "power_kw", "pump_kw", "cop", "running", "pumps_running", "able_kw")  # fmt: skip


def _number(state: State, key: str) -> float | None:
    """None where the asset has no such quantity."""
    return float(state[key]) if key in state.told else None


def _said(value: float | None) -> float | None:
    return None if value is None else number(value)


def _running(asset: Asset, values: Mapping[str, float | None]) -> bool:
    if asset.kind == "cdu":
        return (values["pumps_running"] or 0.0) > 0.5
    return asset.kind == "rack" or (values["running"] or 0.0) > 0.5


def _capacity_kw(ports: PlantPorts, asset: Asset, values: Mapping[str, float | None]) -> float:
    if asset.kind == "rack":
        return ports.site.spec(asset.name, RackSpec).design_kw
    if asset.kind == "chiller":
        return values["able_kw"] or ports.site.spec(asset.name, ChillerSpec).capacity_kw
    kind: type[CduSpec] | type[CrahSpec] = CduSpec if asset.kind == "cdu" else CrahSpec
    return float(ports.site.spec(asset.name, kind).capacity_kw)


def _flow_limited_kw(ports: PlantPorts, asset: Asset) -> float | None:
    if asset.kind != "cdu":
        return None
    spec = ports.site.spec(asset.name, CduSpec)
    _, needed = _flow_for(ports, spec, spec.supply_temp_c, 1.0)
    return spec.flow_max_lpm / needed


def _needs_of_cdu(ports: PlantPorts, asset: Asset, one: Cooler, load: float, source: str) -> CoolingAnswer:
    """Flow for the load at the design rise, and the rise at the present flow: Q = rho cp V dT."""
    spec = ports.site.spec(asset.name, CduSpec)
    rise, needed = _flow_for(ports, spec, one.supply_temp_c, load)
    most = spec.flow_max_lpm
    notes = [source]
    if needed > most:
        notes.append(f"{needed:.4g} L/min are more than the {most:g} one pump gives; the rise would be "
                     f"{rise * needed / most:.3g} K at that")  # fmt: skip
    if load > one.capacity_kw:
        notes.append(f"{load:.4g} kW are more than its rating of {one.capacity_kw:g}")
    return CoolingAnswer(
        assets=[one], least_headroom=one.asset, load_kw=known(load), design_delta_t_k=rise, flow_needed_lpm=known(needed),
        delta_t_at_load_k=number(rise * needed / one.flow_lpm) if one.flow_lpm else None,
        carries_load=load <= one.capacity_kw and needed <= most and one.running, note="; ".join(notes),
    )  # fmt: skip


def _needs_of_rack(ports: PlantPorts, asset: Asset, one: Cooler, load: float, source: str) -> CoolingAnswer:
    """The plates' share of the load into the coolant, the rest into the room's air."""
    from plant.thermal.air import air_flow_m3_s

    cdu = next(iter(ports.site.parents(asset.name, "cdu")), None)
    nodes = ports.site.below(asset.name, "gpu_node")
    share = max((ports.site.spec(n.name, NodeSpec).liquid_share for n in nodes), default=0.0) if cdu else 0.0
    found: dict[str, float | None] = {}
    if cdu:
        rise, needed = _flow_for(ports, ports.site.spec(cdu.name, CduSpec), one.supply_temp_c, share * load)
        now = rise * needed / one.flow_lpm if one.flow_lpm else None
        found = {"design_delta_t_k": rise, "flow_needed_lpm": known(needed), "delta_t_at_load_k": _said(now)}
    return CoolingAnswer(
        assets=[one], least_headroom=one.asset, load_kw=known(load), air_needed_m3_s=known(air_flow_m3_s((1 - share) * load)),
        carries_load=load <= one.capacity_kw, note=f"{share:.0%} of its heat goes into coolant; {source}", **found,
    )  # fmt: skip


def _needs_of_air(ports: PlantPorts, asset: Asset, one: Cooler, load: float, source: str) -> CoolingAnswer:
    from plant.thermal.air import DESIGN_RISE_K as AIR_RISE_K
    from plant.thermal.air import air_flow_m3_s

    air = asset.kind == "crah"
    return CoolingAnswer(
        assets=[one], least_headroom=one.asset, load_kw=known(load), design_delta_t_k=AIR_RISE_K if air else None,
        air_needed_m3_s=known(air_flow_m3_s(load)) if air else None, carries_load=load <= one.capacity_kw and one.running,
        note=source,
    )  # fmt: skip


_NEEDS: dict[str, Callable[[PlantPorts, Asset, Cooler, float, str], CoolingAnswer]] = {
    "cdu": _needs_of_cdu, "rack": _needs_of_rack, "crah": _needs_of_air, "chiller": _needs_of_air,
}  # fmt: skip


def _flow_for(
    ports: PlantPorts, spec: CduSpec, supply_c: float | None, load_kw: float
) -> tuple[float, float]:
    """Design rise in K, and the flow in L/min that carries the load with it."""
    from plant.thermal.fluids import rise_k_per_kw_lpm

    rise = ports.site.limits.get("coolant_delta_t_design_c", DESIGN_RISE_K)
    mean_c = (spec.supply_temp_c if supply_c is None else supply_c) + rise / 2
    return rise, rise_k_per_kw_lpm(spec.fluid, mean_c) * load_kw / rise


# ---- asset_lost --------------------------------------------------------------------------------------------------

_LOSE: dict[AssetKind, tuple[str, float]] = {
    "pump": ("failed", 1.0), "chiller": ("running", 0.0), "crah": ("running", 0.0), "feed": ("available", 0.0),
    "ups": ("on_battery", 1.0), "pdu": ("breaker_closed", 0.0), "ess": ("available", 0.0), "gpu_node": ("up", 0.0),
    "ats": ("on_source", 0.0), "switch": ("up", 0.0),
}  # fmt: skip
"""Kind of asset: the knob of the plant that loses it, and its value. A CDU is lost with all its pumps."""


class AssetLostArgs(Args):
    """What fails, and for how long to look."""

    asset: Annotated[
        Name, Field(description="Pump, CDU, chiller, CRAH, feed, UPS, PDU, ATS, ESS, node or switch")
    ]
    also: Annotated[
        list[Name], Field(max_length=7, description="Assets that fail at the same time", default_factory=list)
    ]
    minutes: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 10.0


class Reading(Answer):
    """A quantity without and with the loss, at the end of the time."""

    asset: str
    metric: str
    without: float
    with_loss: float


class AssetLostAnswer(Answer):
    """The plant with and without that loss, from the same state, with nobody doing anything."""

    assets: list[str]
    minutes: float
    hottest_gpu: str
    hottest_gpu_c: float
    """At its highest within the time."""
    hottest_gpu_without_c: float
    gpu_limit_c: float
    minutes_to_limit: float | None
    """Until a GPU reaches it; null: not within the time."""
    warmest_inlet_c: float | None
    inlet_limit_c: float
    minutes_to_inlet_limit: float | None
    nodes_throttled: int
    """At the end."""
    nodes_down: int
    """Lost by it, shut down by heat or without power at the end."""
    readings: list[Reading]
    """What moved most around it."""
    at_full_load: str
    """What the site would carry without it, were all accelerators at full power."""
    stand_by: list[str]
    """Assets that the site names as redundant with it."""
    note: str


_WATCHED: tuple[tuple[AssetKind, tuple[str, ...]], ...] = (
    ("gpu_node", ("gpu_temp_c", "clock_min_mhz", "throttled", "up")),
    ("rack", ("inlet_temp_c",)),
    ("cdu", ("flow_lpm", "supply_temp_c", "return_temp_c")),
    ("hall", ("temp_c",)),
    ("ups", ("battery_pct",)),
    ("feed", ("load_kw",)),
    ("service", ("load_pu", "queue", "ttft_ms")),
)
MOST_READINGS = 12
EVERY_S = 10.0


def _asset_lost(ports: PlantPorts, args: AssetLostArgs) -> AssetLostAnswer:
    """Two copies of the plant run side by side, one without the asset. The live plant is not touched."""
    lost = [asset_of(ports.site, name, "cdu", *_LOSE) for name in dict.fromkeys((args.asset, *args.also))]
    plant, source = ports.plant()
    columns = _columns(plant)
    twin = plant.copy()
    for asset in lost:
        for target, knob, value in _moves(ports, asset):
            twin.inject_knob(target, knob, value)
    seconds = max(60.0 * args.minutes, EVERY_S)
    without, with_loss = plant.record(seconds, EVERY_S, columns), twin.record(seconds, EVERY_S, columns)
    temps = {name: series for name, series in with_loss.items() if name.endswith(".gpu_temp_c")}
    hottest = max(temps, key=lambda name: float(temps[name].max()))
    inlets = [series for name, series in with_loss.items() if name.endswith(".inlet_temp_c")]
    gpu_limit = ports.site.limits.get("gpu_temp_max_c", GPU_LIMIT_C)
    inlet_limit = ports.site.limits.get("rack_inlet_max_c", INLET_LIMIT_C)
    notes = [source, "nobody acts meanwhile"]
    return AssetLostAnswer(
        assets=[asset.name for asset in lost], minutes=args.minutes, hottest_gpu=hottest.rpartition(".")[0],
        hottest_gpu_c=known(float(temps[hottest].max())),
        hottest_gpu_without_c=known(max(float(without[name].max()) for name in temps)), gpu_limit_c=gpu_limit,
        minutes_to_limit=_minutes_to(list(temps.values()), gpu_limit),
        warmest_inlet_c=number(max(float(series.max()) for series in inlets)) if inlets else None,
        inlet_limit_c=inlet_limit, minutes_to_inlet_limit=_minutes_to(inlets, inlet_limit),
        nodes_throttled=sum(float(v[-1]) > 0.5 for name, v in with_loss.items() if name.endswith(".throttled")),
        nodes_down=sum(float(v[-1]) < 0.5 for name, v in with_loss.items() if name.endswith(".up")),
        readings=_moved(without, with_loss), at_full_load=_full_load(ports, lost), stand_by=_stand_by(lost),
        note="; ".join(notes),
    )  # fmt: skip


def _moves(ports: PlantPorts, asset: Asset) -> list[tuple[str, str, float]]:
    if asset.kind != "cdu":
        return [(asset.name, *_LOSE[asset.kind])]
    pumps = ports.site.parents(asset.name, "pump")
    return [(pump.name, "failed", 1.0) for pump in pumps] or [(asset.name, "valve_open", 0.0)]


def _columns(plant: Plant) -> list[str]:
    names = [
        f"{name}.{metric}"
        for kind, metrics in _WATCHED
        for name in plant.each(kind)
        for metric in metrics
        if metric in plant.state[name].told
    ]
    return [*names, "site.grid_kw", "site.it_kw", "site.cooling_kw"]


def _minutes_to(series: list[Any], limit: float) -> float | None:
    """Minutes until the first of them reaches the limit."""
    import numpy as np

    if not series:
        return None
    over = np.flatnonzero(np.max(np.vstack(series), axis=0) >= limit)
    return known((int(over[0]) + 1) * EVERY_S / 60, 3) if len(over) else None


def _moved(without: Mapping[str, Any], with_loss: Mapping[str, Any]) -> list[Reading]:
    """The quantities that differ most at the end, as shares of themselves; of each metric the three furthest."""
    rows: list[tuple[float, str, float, float]] = []
    for name, series in with_loss.items():
        old, new = float(without[name][-1]), float(series[-1])
        if name != "time_s" and abs(new - old) > max(1e-3, 0.005 * abs(old)):
            rows.append((abs(new - old) / max(abs(old), abs(new), 1e-9), name, old, new))
    kept: list[Reading] = []
    seen: dict[str, int] = {}
    for _, name, old, new in sorted(rows, key=lambda row: (-row[0], row[1])):
        asset, _, metric = name.rpartition(".")
        seen[metric] = seen.get(metric, 0) + 1
        if seen[metric] <= 3 and len(kept) < MOST_READINGS:
            kept.append(Reading(asset=asset, metric=metric, without=known(old), with_loss=known(new)))
    return kept


def _stand_by(lost: list[Asset]) -> list[str]:
    gone = {asset.name for asset in lost}
    return [
        name for name in dict.fromkeys(n for asset in lost for n in asset.redundant_with) if name not in gone
    ]


def _full_load(ports: PlantPorts, lost: list[Asset]) -> str:
    """In words what `plant.capacity` says of the site without them."""
    from plant.capacity import HEAT_KINDS, POWER_KINDS, Capacity

    capacity = Capacity(ports.site)
    if len(lost) == 1:
        one = capacity.lose(lost[0].name)
        unfed, uncooled, worst, worst_pu = one.unfed_kw, one.uncooled_kw, one.worst, one.worst_pu
    else:
        load = capacity.full_load(frozenset(asset.name for asset in lost))
        used = [(kw / rated, a.name) for a, kw, rated in capacity.uses(load, *POWER_KINDS[1:], *HEAT_KINDS)]
        worst_pu, worst = max(used, default=(0.0, ""))
        unfed, uncooled = load.unfed_kw, load.uncooled_kw
    parts = [
        f"{kw:.4g} kW {what}"
        for kw, what in ((unfed, "without power"), (uncooled, "without cooling"))
        if kw > 1e-9
    ]
    if worst_pu > 1:
        parts.append(f"{worst} at {worst_pu:.0%} of its rating")
    if parts:
        return ", ".join(parts)
    return "all is fed and cooled" + (f"; {worst} is then at {worst_pu:.0%} of its rating" if worst else "")


def cooling_tools(ports: PlantPorts) -> list[BaseTool]:
    """Cooling and losses, bound to these ports."""
    return [
        typed_tool(
            "cooling", "Flow, delta-T and headroom of a CDU, rack, CRAH or chiller, and the flow that a load needs.",
            CoolingArgs, lambda args: _cooling(ports, args),
        ),
        typed_tool(
            "asset_lost",
            "What happens to temperatures, power and service when an asset fails, minutes later, by simulation.",
            AssetLostArgs, lambda args: _asset_lost(ports, args),
        ),
    ]  # fmt: skip
