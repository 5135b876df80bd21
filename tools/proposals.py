"""From "this action would help with that asset" to one complete action: which asset, and which arguments.

Arguments follow from readings where there are any (flow from the heat balance, storage power from the excess
over the contracted peak), else from the catalog's defaults. Every proposal passes the catalog's validation;
guards judge it apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from plant import physics
from setpoint.contracts import Action, ActionProposal
from setpoint.contracts.action import ArgValue
from setpoint.contracts.site import Asset, Site
from setpoint.errors import ActionRefused
from tools.actions import ActionSpec, describe, spec_of, validate
from tools.guards import pools_on
from tools.guards_of_loops import nodes_at_once, pool_nodes
from tools.readings import Read, value

FLOW_MARGIN = 1.15
SUPPLY_STEP_C = 2.0
WATER_STEP_C = 0.5
POOL_USE_PU = 0.75
Args = dict[str, ArgValue]


def no_readings(asset: str) -> None:
    """For sites without telemetry: defaults alone."""
    return None


def propose(name: str, asset: str, site: Site, read: Read = no_readings) -> Action:
    """The action for trouble at `asset`, on the asset it belongs to, with sensible arguments.

    A failed pump leads to its standby pump, a wet leak sensor to the rack or loop it watches, a pump or a rack
    to its CDU. Raises ActionRefused where nothing of the right kind is related, and InputError for an unknown
    name or asset.
    """
    spec = spec_of(name)
    target = target_for(spec, asset, site, read)
    chosen = ARGUMENTS[name](target, site, read) if name in ARGUMENTS else {}
    bounded = {arg: _within(spec, arg, value, site) for arg, value in chosen.items()}
    return validate(Action(name=name, asset=target, args=bounded), site)


def proposal(
    name: str,
    asset: str,
    site: Site,
    *,
    incident_id: str,
    why: str,
    evidence: tuple[str, ...] = (),
    read: Read = no_readings,
) -> ActionProposal:
    """The same as a complete proposal for review. Its id follows from incident and action, so that proposing
    it again makes no second one."""
    action, spec = propose(name, asset, site, read), spec_of(name)
    return ActionProposal(
        id=f"ACT-{action.digest(incident_id)[:10]}",
        incident_id=incident_id,
        action=action,
        risk=spec.risk,
        effect=f"{describe(action)}. {spec.effect}",
        why=why,
        rollback=spec.rollback,
        evidence=evidence,
    )


def target_for(spec: ActionSpec, asset: str, site: Site, read: Read = no_readings) -> str:
    """The asset the action belongs on. Nearest first: itself, what it stands on, what stands on it."""
    found = site.find(asset)
    if not spec.kinds:
        return found.name if found else asset
    if found is None:
        raise ActionRefused(
            f"{asset} is not in the site file", where=spec.name, remedy="Add it, or act by hand"
        )
    for candidate in _candidates(spec, found, site):
        if candidate.kind in spec.kinds and _suits(spec, candidate, site, read):
            return candidate.name
    raise ActionRefused(f"nothing related to {found.name} can take it", where=spec.name, remedy="Act by hand")


def _candidates(spec: ActionSpec, start: Asset, site: Site) -> Iterator[Asset]:
    if spec.name == "start_standby_pump":
        yield from _pumps(start, site)
        return
    if spec.name in ("charge_ess", "discharge_ess", "hold_draw"):
        yield from (a for a in site.assets if a.kind == "ess")
        return
    if spec.name == "shed_load":
        yield from (
            a for a in site.assets if a.kind == "service" and a.tier == "standard" and _has_nodes(a, site)
        )
        return
    yield start
    near = (*site.upstream(start.name), *site.downstream(start.name))
    yield from (other for name in near if (other := site.find(name)))


def _pumps(start: Asset, site: Site) -> Iterator[Asset]:
    """Standby pumps of the loop, a failed pump's own partners first."""
    loops = [start.name, *site.downstream(start.name), *site.upstream(start.name)]
    names = list(start.redundant_with)
    for name in loops:
        loop = site.find(name)
        names += loop.on if loop and loop.kind == "cdu" else ()
    yield from (pump for name in names if (pump := site.find(name)) and pump.name != start.name)


def _has_nodes(service: Asset, site: Site) -> bool:
    return any((found := site.find(name)) and found.kind == "gpu_node" for name in service.on)


def _suits(spec: ActionSpec, candidate: Asset, site: Site, read: Read) -> bool:
    if "not_in_pool" in spec.interlocks:
        return not pools_on(site, candidate.name)
    reading = read(candidate.name)
    if spec.name == "start_standby_pump":
        return value(reading, "running", 0.0) == 0.0 and value(reading, "failed", 0.0) == 0.0
    if spec.name in (
        "set_batch_limit",
        "set_kv_watermark",
        "switch_to_smaller_model",
        "scale_pool",
        "lock_pool_clock",
    ):
        return reading is None or "arrival_rps" in reading.values
    return True


def _within(spec: ActionSpec, name: str, wanted: ArgValue, site: Site) -> ArgValue:
    """Clamped to the catalog's and the site's bounds."""
    arg = spec.arg(name)
    if arg is None or arg.type == "choice" or isinstance(wanted, str):
        return wanted
    low, high = arg.bounds(site)
    clamped = min(max(float(wanted), low), high)
    return int(clamped) if arg.type == "integer" else round(clamped, 1)


# ---- arguments from readings ----------------------------------------------------------------------------


def _coolant_flow(cdu: str, site: Site, read: Read) -> Args:
    """What carries the loop's heat at its design rise, with margin, and more than now, within the ramp limit: it is
    proposed where something is too hot, or where too little comes through."""
    reading = read(cdu)
    now_lpm = value(reading, "flow_setpoint_lpm", 0.0)
    heat_kw = value(reading, "heat_kw", 0.0) or _liquid_heat_kw(cdu, site, read)
    rise_k = site.limits.get("coolant_delta_t_design_c", 10.0)
    wanted = FLOW_MARGIN * physics.coolant_flow_lpm(heat_kw, rise_k) if heat_kw else now_lpm * FLOW_MARGIN
    if not wanted:
        raise ActionRefused(
            f"no heat or flow reading of {cdu}", where="set_coolant_flow", remedy="Give flow_lpm"
        )
    wanted = max(wanted, now_lpm * FLOW_MARGIN)
    step = site.limits.get("flow_ramp_lpm", 80.0)
    return {"flow_lpm": min(max(wanted, now_lpm - step), now_lpm + step) if now_lpm else wanted}


def _liquid_heat_kw(cdu: str, site: Site, read: Read) -> float:
    nodes = [name for name in site.downstream(cdu) if (f := site.find(name)) and f.kind == "gpu_node"]
    return 0.8 * sum(value(read(node), "power_kw", 0.0) for node in nodes)


def _supply_temp(cdu: str, site: Site, read: Read) -> Args:
    """Up where the loop is near the dew point, else down a step to relieve hot GPUs."""
    reading = read(cdu)
    if reading is None:
        raise ActionRefused(f"no reading of {cdu}", where="set_supply_temp", remedy="Give temp_c")
    now_c = value(reading, "supply_setpoint_c", 30.0)
    margin = site.limits.get("dew_point_margin_c", 2.0)
    dew_c = max((_dew_c(hall, read) for hall in site.upstream(cdu)), default=-50.0)
    if now_c < dew_c + margin:
        return {"temp_c": min(dew_c + margin + 1.0, now_c + site.limits.get("supply_temp_ramp_c", 3.0))}
    return {"temp_c": max(now_c - SUPPLY_STEP_C, dew_c + margin)}


def _dew_c(hall: str, read: Read) -> float:
    air = read(hall)
    if air is None or "humidity_pct" not in air.values:
        return -50.0
    return physics.dew_point_c(air.values["temp_c"], air.values["humidity_pct"])


def _discharge(ess: str, site: Site, read: Read) -> Args:
    """The excess over the contracted peak, or half the storage's power where there is none; for as long as the
    charge above the reserve lasts, half an hour at most."""
    most_kw = site.limits.get("ess_power_max_kw", 100.0)
    excess_kw = _site_load_kw(site, read) - site.limits.get("site_power_max_kw", float("inf"))
    power_kw = min(most_kw, excess_kw * 1.1) if excess_kw > 0 else most_kw / 2
    reserve = site.limits.get("soc_reserve_pct", site.limits.get("soc_min_pct", 10.0))
    spare_pct = value(read(ess), "soc_pct", reserve + 20.0) - reserve
    kwh = max(0.0, spare_pct) / 100 * site.limits.get("ess_capacity_kwh", 200.0) * 0.9
    return {"power_kw": power_kw, "duration_min": min(30.0, 60 * kwh / power_kw)}


def _charge(ess: str, site: Site, read: Read) -> Args:
    """Half the storage's power, less where the contracted peak is near; until full, an hour at most."""
    headroom_kw = site.limits.get("site_power_max_kw", float("inf")) - _site_load_kw(site, read)
    power_kw = min(site.limits.get("ess_power_max_kw", 100.0) / 2, 0.9 * headroom_kw)
    room_pct = site.limits.get("soc_max_pct", 90.0) - value(read(ess), "soc_pct", 60.0)
    kwh = max(0.0, room_pct) / 100 * site.limits.get("ess_capacity_kwh", 200.0) * 0.95
    return {"power_kw": power_kw, "duration_min": min(60.0, 60 * kwh / max(power_kw, 1.0))}


def _hold(ess: str, site: Site, read: Read) -> Args:
    """What is drawn now, or the contracted peak where that is less; nothing else is asked of the storage."""
    target_kw = min(_site_load_kw(site, read), site.limits.get("site_power_max_kw", float("inf")))
    reserve = site.limits.get("soc_reserve_pct", site.limits.get("soc_min_pct", 10.0))
    return {"target_kw": max(target_kw, 1.0), "charge_cap_kw": 0.0, "keep_pct": reserve}


def _shed(asset: str, site: Site, read: Read) -> Args:
    """The excess over the contracted peak, or a tenth of the site's load."""
    load_kw = _site_load_kw(site, read)
    excess_kw = load_kw - site.limits.get("site_power_max_kw", float("inf"))
    return {"power_kw": max(excess_kw * 1.1, 0.1 * load_kw, 1.0) if excess_kw <= 0 else excess_kw * 1.1}


def _site_load_kw(site: Site, read: Read) -> float:
    return sum(value(read(asset.name), "load_kw", 0.0) for asset in site.assets if asset.kind == "feed")


def _smaller_model(pool: str, site: Site, read: Read) -> Args:
    choices = ("large", "medium", "small")
    rank = int(value(read(pool), "model_rank", 0.0))
    return {"model": choices[min(rank + 1, len(choices) - 1)]}


def _batch(pool: str, site: Site, read: Read) -> Args:
    return {"batch_limit": int(value(read(pool), "batch_limit", 256.0)) // 2}


def _pool_size(pool: str, site: Site, read: Read) -> Args:
    """So many nodes as what arrives now uses to three quarters, in whole instances."""
    reading, there = read(pool), len(pool_nodes(site, pool))
    if not there:
        raise ActionRefused(f"{pool} has no GPU nodes", where="scale_pool", remedy="Name a serving pool")
    used = value(reading, "healthy_nodes", float(there)) * value(reading, "load_pu", 1.0)
    each = nodes_at_once(site, pool)
    return {"nodes": min(there, max(each, each * math.ceil(used / POOL_USE_PU / each)))}


def _water_temp(chiller: str, site: Site, read: Read) -> Args:
    """Half a kelvin warmer than now: a small step that saves."""
    now_c = read(chiller)
    if now_c is None or "water_setpoint_c" not in now_c.values:
        raise ActionRefused(
            f"no water setpoint is read of {chiller}", where="set_water_temp", remedy="Give temp_c"
        )
    return {"temp_c": now_c.values["water_setpoint_c"] + WATER_STEP_C}


def _power_cap(node: str, site: Site, read: Read) -> Args:
    """70% of the power drawn now, in steps of 50 W."""
    drawn_w = value(read(node), "gpu_power_w", 0.0)
    return {"cap_w": max(200.0, 50.0 * round(0.7 * drawn_w / 50))} if drawn_w else {}


ARGUMENTS: dict[str, Callable[[str, Site, Read], Args]] = {
    "cap_gpu_power": _power_cap,
    "set_batch_limit": _batch,
    "switch_to_smaller_model": _smaller_model,
    "scale_pool": _pool_size,
    "set_water_temp": _water_temp,
    "set_coolant_flow": _coolant_flow,
    "set_supply_temp": _supply_temp,
    "charge_ess": _charge,
    "discharge_ess": _discharge,
    "hold_draw": _hold,
    "shed_load": _shed,
}
