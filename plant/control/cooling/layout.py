"""What cools what on a site, as arrays: loops, halls and facility waters with their ratings and limits.

All figures are nominal, from the site file. What a real plant adds (fouling, worn pumps, a hot GPU) is learned online.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.dynamics.store import build
from plant.site import Site
from plant.specs import CduSpec
from plant.thermal.air import crah_kw_per_k

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LEAST_WATER_K = 2.0
"""Facility water below the warmest air that handlers may supply."""
RISE_TIMES = 2.0
"""The coolant may rise by so many times its design rise: the interlock `flow_carries_heat` refuses more."""


@dataclass(frozen=True)
class Limits:
    """What must hold at all times."""

    gpu_c: float
    inlet_c: float
    rise_k: float
    """Of the coolant across the racks."""
    flow_least_lpm: float
    supply_least_c: float
    supply_most_c: float
    dew_margin_k: float


@dataclass(frozen=True)
class Nodes:
    """GPU nodes, one entry each."""

    names: tuple[str, ...]
    loop: IntArray
    """Row of its loop; -1: air alone."""
    hall: IntArray
    pooled: NDArray[np.bool_]
    """A service runs on it, no job of the schedule."""
    idle_kw: FloatArray
    """At rest, host and GPUs."""
    span_kw: FloatArray
    """From rest to full load."""
    gpu_idle_w: FloatArray
    gpu_span_w: FloatArray
    liquid_share: FloatArray
    k_per_w: FloatArray
    """Die to coolant or air, of one GPU, without the film of a cold plate."""
    film_k_per_w: FloatArray
    """Of its cold plate at design flow; of its heat sink."""


@dataclass(frozen=True)
class Loops:
    """Coolant loops (CDUs), one entry each."""

    names: tuple[str, ...]
    water: IntArray
    design_lpm: FloatArray
    rack_lpm: FloatArray
    """Flow of the whole loop at which its plates have their design film."""
    most_lpm: FloatArray
    supply_c: FloatArray
    kj_per_l_k: FloatArray
    ntu: FloatArray
    ratio: FloatArray
    pump_kw: FloatArray
    """Rated power of the pumps that turn."""
    rated_kw: FloatArray
    """Heat of its nodes at full load, into the coolant."""
    k_per_w: FloatArray
    """Of one GPU's interface, the worst type on the loop."""
    film_k_per_w: FloatArray
    """Of its plate's film at design flow."""


@dataclass(frozen=True)
class Halls:
    """Rooms, one entry each. Where a hall has no racks, or no handlers of its own, its water is not steered by it: `water`
    is -1."""

    names: tuple[str, ...]
    crahs: tuple[tuple[str, ...], ...]
    racks: tuple[tuple[str, ...], ...]
    water: IntArray
    capacity_kw: FloatArray
    fan_kw: FloatArray
    supply_c: FloatArray
    kw_per_k: FloatArray
    """Conductance of all its handlers between the cold aisle and raised water."""
    house_kw: FloatArray
    """Heat that is always there: fabric, storage, losses are learned."""


@dataclass(frozen=True)
class Waters:
    """Facility waters with their chillers, one entry each."""

    chillers: tuple[tuple[str, ...], ...]
    design_c: FloatArray
    most_c: FloatArray
    """Warmest that its loops and handlers may be given: by the approach of each exchanger, and two kelvin below the rack
    intake's limit (the interlock `water_below_its_users`)."""
    capacity_kw: FloatArray
    cop_design: FloatArray
    cop_per_k: FloatArray
    fan_kw: FloatArray
    compressor_pu: FloatArray
    """Share of its coolers' capacity that has compressors; dry coolers carry the rest."""
    economiser: NDArray[np.bool_]
    pump_kw_per_kw: FloatArray
    kj_per_k: FloatArray
    """Heat the water stores."""


@dataclass(frozen=True)
class Layout:
    """A site's cooling."""

    site: str
    limits: Limits
    nodes: Nodes
    loops: Loops
    halls: Halls
    waters: Waters


def layout_of(site: Site) -> Layout:
    """The cooling of a site, from its file."""
    store = build(site)
    t, names = store.tables, store.names
    nodes = _nodes(site, t, names)
    return Layout(
        site.name, _limits(site), nodes, _loops(t, names, nodes), _halls(t, names), _waters(site, t, names)
    )


def _limits(site: Site) -> Limits:
    of = site.limits
    return Limits(
        gpu_c=of.get("gpu_temp_max_c", 87.0), inlet_c=of.get("rack_inlet_max_c", 27.0),
        rise_k=RISE_TIMES * of.get("coolant_delta_t_design_c", 10.0), flow_least_lpm=of.get("flow_min_lpm", 20.0),
        supply_least_c=of.get("supply_temp_min_c", 15.0), supply_most_c=of.get("supply_temp_max_c", 45.0),
        dew_margin_k=of.get("dew_point_margin_c", 2.0),
    )  # fmt: skip


def _nodes(site: Site, t: Any, names: dict[str, list[str]]) -> Nodes:
    n, racks = t.gpu_node, t.rack
    rack = n["rack"].astype(int)
    gpu_idle_w = np.array([site.node_gpu(name).idle_w for name in names["gpu_node"]])
    gpu_span_w = n["tdp_w"] - gpu_idle_w
    return Nodes(
        names=tuple(names["gpu_node"]), loop=racks["cdu"][rack].astype(int), hall=racks["hall"][rack].astype(int),
        pooled=np.array([site.pool_of(name) is not None for name in names["gpu_node"]]) | (n["pooled"] > 0.5),
        idle_kw=n["base_idle_kw"] + n["gpus"] * gpu_idle_w / 1000.0,
        span_kw=n["base_max_kw"] - n["base_idle_kw"] + n["gpus"] * gpu_span_w / 1000.0,
        gpu_idle_w=gpu_idle_w, gpu_span_w=gpu_span_w,
        liquid_share=np.where(n["liquid"] > 0.5, n["liquid_share"], 0.0),
        k_per_w=n["r0"].copy(), film_k_per_w=n["film"].copy(),
    )  # fmt: skip


def _loops(t: Any, names: dict[str, list[str]], nodes: Nodes) -> Loops:
    c, pump = t.cdu, t.pump
    racks = t.rack
    count = len(names["cdu"])
    full_kw = (nodes.idle_kw + nodes.span_kw) * nodes.liquid_share
    return Loops(
        names=tuple(names["cdu"]), water=c["water"].astype(int), design_lpm=c["flow_design_lpm"].copy(),
        rack_lpm=np.array([racks["design_lpm"][racks["cdu"] == i].sum() for i in range(count)]),
        most_lpm=c["flow_max_lpm"].copy(), supply_c=c["supply_setpoint_c"].copy(),
        kj_per_l_k=c["litre_kj_per_k"].copy(), ntu=c["ntu_design"].copy(), ratio=c["ratio_design"].copy(),
        pump_kw=np.array([pump["rated_kw"][(pump["cdu"] == i) & (pump["running"] > 0.5)].sum() for i in range(count)]),
        rated_kw=np.array([full_kw[nodes.loop == i].sum() for i in range(count)]),
        k_per_w=np.array([nodes.k_per_w[nodes.loop == i].max(initial=0.0) for i in range(count)]),
        film_k_per_w=np.array([nodes.film_k_per_w[nodes.loop == i].max(initial=0.0) for i in range(count)]),
    )  # fmt: skip


def _halls(t: Any, names: dict[str, list[str]]) -> Halls:
    u, hall, water = t.crah, t.hall, t.water
    count = len(names["hall"])
    mine = [np.flatnonzero(u["hall"] == i) for i in range(count)]
    crahs = tuple(tuple(names["crah"][k] for k in m if names["crah"][k]) for m in mine)
    racks = [
        tuple(r for k, r in enumerate(names["rack"]) if r and t.rack["hall"][k] == i) for i in range(count)
    ]
    of_water = np.array(
        [int(u["water"][m[0]]) if c and r else -1 for m, c, r in zip(mine, crahs, racks, strict=True)]
    )
    reach = [
        sum(crah_kw_per_k(u["capacity_kw"][k], water["design_c"][int(u["water"][k])], u["supply_temp_c"][k], 0.0) for k in m)
        for m in mine
    ]  # fmt: skip
    return Halls(
        names=tuple(names["hall"]), crahs=crahs,
        racks=tuple(racks),
        water=of_water, kw_per_k=np.array(reach, dtype=float),
        capacity_kw=np.array([u["capacity_kw"][m].sum() for m in mine]),
        fan_kw=np.array([u["fan_rated_kw"][m].sum() for m in mine]),
        supply_c=np.array([u["supply_temp_c"][m].min() if len(m) else 24.0 for m in mine]),
        house_kw=hall["house_kw"].copy(),
    )  # fmt: skip


def _waters(site: Site, t: Any, names: dict[str, list[str]]) -> Waters:
    k, w = t.chiller, t.water
    intake_c = site.limits.get("rack_inlet_max_c", 27.0) - LEAST_WATER_K
    asked = np.array(
        [
            site.spec(name, CduSpec).supply_temp_c - site.spec(name, CduSpec).approach_k
            for name in names["cdu"]
        ]
    )
    most = [min([intake_c, *asked[t.cdu["water"] == i]]) for i in range(len(w))]
    mine = [np.flatnonzero(k["water"] == i) for i in range(len(w))]
    return Waters(
        chillers=tuple(tuple(names["chiller"][i] for i in m if names["chiller"][i]) for m in mine),
        design_c=w["design_c"].copy(), most_c=np.maximum(np.array(most), w["design_c"]), capacity_kw=np.array([k["capacity_kw"][m].sum() for m in mine]),
        cop_design=np.array([k["cop_design"][m].mean() for m in mine]),
        cop_per_k=np.array([k["cop_per_k"][m].mean() for m in mine]),
        fan_kw=np.array([k["fan_rated_kw"][m].sum() for m in mine]),
        compressor_pu=np.array([k["capacity_kw"][m][k["dry"][m] < 0.5].sum() / max(k["capacity_kw"][m].sum(), 1e-9) for m in mine]),
        economiser=np.array([bool((k["economiser"][m] > 0.5).any()) for m in mine]),
        pump_kw_per_kw=w["pump_kw_per_kw"].copy(), kj_per_k=w["kj_per_k"].copy(),
    )  # fmt: skip
