"""The whole site as numbers: one table a kind of asset over one flat array, and who stands on whom as index lists.

Where a site file leaves something out that heat or power must pass (a hall, a handler, a chiller, a pump), a sound one
of the right size takes its place, without a name.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.dynamics.columns import COLUMNS, dtype, table
from plant.hardware.gpus import Gpu
from plant.power.gpu import COEFFICIENTS, power_coefficients
from plant.site import Asset, Site
from plant.thermal import plate
from plant.thermal.air import ROOM_KJ_PER_K, ROOM_UA_KW_PER_K
from plant.thermal.fluids import CODES, kj_per_l_k, kw_per_k
from plant.thermal.loop import ntu_for

FloatArray = NDArray[np.float64]
Tables = namedtuple("Tables", list(COLUMNS))  # type: ignore[misc]
"""A structured array a kind, in the order of COLUMNS. mypy wants the names spelt out; COLUMNS has them."""
_LISTS: tuple[str, ...] = (
    "rack_pdu",
    "pool_node",
    "node_switch",
    "cdu_rack",
    "cdu_pump",
    "hall_rack",
    "hall_crah",
    "water_chiller",
)
_EDGES = (*_LISTS, *(f"{name}_at" for name in _LISTS), "link_share", "uplinks", "power")
_EdgeLists: Any = namedtuple
Edges = _EdgeLists("Edges", _EDGES)
"""Rows below each row: `x_y` holds rows of y, those of row i of x from `x_y_at[i]` to before `x_y_at[i + 1]`."""

WATER_L_PER_KW = 10.0
"""Facility water for each kW of chillers."""
RACK_VOLUME_PU = 0.4
"""Share of a loop's coolant that stands in its racks."""
SPARE_PU = 1.3
"""Size of what a site file leaves out, over the heat it must take."""
EXCHANGER_RATIO = 0.8
TDP_REFERENCE_W = 700.0
"""Plates and sinks of hotter GPUs are better in proportion."""
HOUSE_KW = {"switch": 0.8, "storage": 2.0, "host": 0.5}
"""Mean draw of one, kW: a 64-port NDR switch, a storage server with drives, a control host."""
LIGHTS_KW_PER_RACK = 0.15
ARRIVALS_PU, NODE_RPS = 0.65, 4.0


@dataclass
class Store:
    """Tables, index lists, and where each asset is found."""

    values: FloatArray
    tables: Any
    edges: Any
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Asset to table and row."""
    names: dict[str, list[str]] = field(default_factory=dict)
    """Names by table, in the order of rows; "" where the site file has no such asset."""
    gpus: tuple[Gpu, ...] = ()
    """Accelerators, by their row of coefficients."""

    @classmethod
    def blank(cls, sizes: dict[str, int], edges: Any) -> Store:
        """Tables of these sizes as they start, over one flat array."""
        values = np.zeros(sum(n * len(COLUMNS[kind]) for kind, n in sizes.items()))
        views, begin = {}, 0
        for kind in COLUMNS:
            end = begin + sizes[kind] * len(COLUMNS[kind])
            views[kind] = values[begin:end].view(dtype(kind))
            views[kind][:] = table(kind, sizes[kind])
            begin = end
        return cls(values, Tables(**views), edges)

    def offset(self, kind: str, row: int, column: str) -> int:
        """Where that quantity stands in `values`."""
        begin = 0
        for other in COLUMNS:
            if other == kind:
                break
            begin += len(getattr(self.tables, other)) * len(COLUMNS[other])
        names = dtype(kind).names or ()
        return begin + row * len(names) + names.index(column)

    def copy(self) -> Store:
        """The same site with its own numbers."""
        sizes = {kind: len(getattr(self.tables, kind)) for kind in COLUMNS}
        twin = Store.blank(sizes, self.edges)
        twin.values[:] = self.values
        twin.rows, twin.names, twin.gpus = self.rows, self.names, self.gpus
        return twin


def lists(**below: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Index lists in the form of Edges."""
    found = {}
    for name, rows in below.items():
        found[name] = np.array([one for row in rows for one in row], dtype=np.int64)
        found[f"{name}_at"] = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return found


def build(site: Site) -> Store:
    """The store of a site, in its starting state: not yet warm."""
    return _Builder(site).store()


class _Builder:
    """Puts rows beside assets, then fills them from the specs."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.by_kind: dict[str, list[Asset]] = {}
        for asset in site.assets:
            self.by_kind.setdefault(asset.kind, []).append(asset)
        self.pools = {a.name: nodes for a in self._of("service") if (nodes := self._pool_nodes(a))}
        self.names = {kind: [a.name for a in self._of(kind)] for kind in COLUMNS}
        self.names["pool"] = list(self.pools)
        self.names["service"] = [a.name for a in self._of("service") if a.name not in self.pools]
        self.names |= {"gpu": [], "site": [""], "water": []}
        self._add_what_is_missing()
        self.row = {
            kind: {name: i for i, name in enumerate(names) if name} for kind, names in self.names.items()
        }

    def _of(self, kind: str) -> list[Asset]:
        return self.by_kind.get(kind, [])

    def _on(self, name: str, kind: str) -> list[str]:
        """Assets of a kind it stands on itself."""
        asset = self.site.find(name) if name else None
        found = (self.site.find(parent) for parent in (asset.on if asset else ()))
        return [parent.name for parent in found if parent and parent.kind == kind]

    def _pool_nodes(self, service: Asset) -> list[str]:
        """Its GPU nodes: those it stands on and those its pool names."""
        named = [n for pool in self.site.pools if pool.name == service.name for n in pool.nodes]
        found = (self.site.find(n) for n in (*service.on, *named))
        return list(dict.fromkeys(a.name for a in found if a and a.kind == "gpu_node"))

    def _add_what_is_missing(self) -> None:
        """Unnamed rows: a rack for nodes without one, a hall for racks without one, handlers, pumps, chillers."""
        nodes, racks = self.names["gpu_node"], self.names["rack"]
        if any(not self._on(n, "rack") for n in nodes):
            racks.append("")
        halls = self.names["hall"]
        if any(not self._on(r, "hall") for r in racks) or not halls:
            halls.append("")
        self.crah_hall = [self._hall_row(name) for name in self.names["crah"]]
        for i in range(len(halls)):
            if i not in self.crah_hall:
                self.names["crah"].append("")
                self.crah_hall.append(i)
        self.cdu_pumps = [
            [self.names["pump"].index(p) for p in self._on(c, "pump")] for c in self.names["cdu"]
        ]
        for pumps in self.cdu_pumps:
            if not pumps:
                pumps.append(len(self.names["pump"]))
                self.names["pump"].append("")
        self._join_waters()

    def _hall_row(self, name: str) -> int:
        on = self._on(name, "hall") if name else []
        halls = self.names["hall"]
        return halls.index(on[0]) if on else len(halls) - 1

    def _join_waters(self) -> None:
        """Chillers that share a consumer share their water; consumers without a chiller get one of their own."""
        group = {name: i for i, name in enumerate(self.names["chiller"])}
        users = [*self.names["cdu"], *self.names["crah"]]
        for user in users:
            mine = self._on(user, "chiller")
            for other in mine[1:]:
                old, new = group[other], group[mine[0]]
                group = {name: new if g == old else g for name, g in group.items()}
        order = {g: i for i, g in enumerate(dict.fromkeys(group.values()))}
        self.chiller_water = [order[group[name]] for name in self.names["chiller"]]
        found = [order[group[on[0]]] if (on := self._on(u, "chiller")) else -1 for u in users]
        waters = len(order)
        if not waters or -1 in found:
            self.names["chiller"].append("")
            self.chiller_water.append(waters)
            waters += 1
        self.user_water: list[int] = [w if w >= 0 else waters - 1 for w in found]
        self.names["water"] = [""] * waters

    # ---- sizes and index lists -----------------------------------------------------------------------

    def store(self) -> Store:
        """Rows, then index lists, then ratings: each needs the one before."""
        self.specs = {n: self.site.spec(n) for n in self.names["gpu_node"]}
        sizes = {kind: len(names) for kind, names in self.names.items()}
        sizes["gpu"] = sum(spec.gpus for spec in self.specs.values())
        self.gpus = tuple(
            {gpu.name: gpu for spec in self.specs.values() if (gpu := self.site.gpu(spec.gpu))}.values()
        )
        made = Store.blank(sizes, self._edges())
        self.t = made.tables
        made.names, made.gpus = self.names, self.gpus
        for kind, names in self.names.items():
            made.rows |= {name: (kind, i) for i, name in enumerate(names) if name}
        for fill in (
            self._nodes,
            self._racks,
            self._cdus,
            self._rooms,
            self._waters,
            self._power,
            self._rest,
        ):
            fill()
        return made

    def _rack_row(self, node: str) -> int:
        on = self._on(node, "rack")
        return self.row["rack"][on[0]] if on else len(self.names["rack"]) - 1

    def _rows(self, name: str, kind: str) -> list[int]:
        return [self.row[kind][parent] for parent in self._on(name, kind)]

    def _edges(self) -> Any:
        racks, cdus, halls = self.names["rack"], self.names["cdu"], self.names["hall"]
        self.rack_cdu = [next(iter(self._rows(r, "cdu")), -1) for r in racks]
        self.rack_hall = [self._hall_row(r) for r in racks]
        node_row = self.row["gpu_node"]
        found = lists(
            rack_pdu=[self._rows(r, "pdu") for r in racks],
            pool_node=[[node_row[n] for n in nodes] for nodes in self.pools.values()],
            node_switch=[self._rows(n, "switch") for n in self.names["gpu_node"]],
            cdu_rack=[[i for i, c in enumerate(self.rack_cdu) if c == k] for k in range(len(cdus))],
            cdu_pump=self.cdu_pumps,
            hall_rack=[[i for i, a in enumerate(self.rack_hall) if a == k] for k in range(len(halls))],
            hall_crah=[[i for i, a in enumerate(self.crah_hall) if a == k] for k in range(len(halls))],
            water_chiller=[
                [i for i, w in enumerate(self.chiller_water) if w == k]
                for k in range(len(self.names["water"]))
            ],
        )
        power = np.array([power_coefficients(g) for g in self.gpus] or [np.zeros(len(COEFFICIENTS))])
        return Edges(**found, **self._uplinks(), power=power)

    def _uplinks(self) -> dict[str, Any]:
        """How much of its first switch's bandwidth each link carries."""
        first = [next(iter(self._rows(k, "switch")), -1) for k in self.names["link"]]
        counts = np.array([first.count(i) for i in range(len(self.names["switch"]))], dtype=np.int64)
        share = np.array([1.0 / counts[i] if i >= 0 else 0.0 for i in first], dtype=np.float64)
        return {"link_share": share, "uplinks": counts}

    # ---- ratings -------------------------------------------------------------------------------------

    def _nodes(self) -> None:
        first = 0
        pooled = {node for nodes in self.pools.values() for node in nodes}
        for i, (name, spec) in enumerate(self.specs.items()):
            gpu, n = self.site.gpu(spec.gpu), self.t.gpu_node[i]
            rack = self._rack_row(name)
            liquid = self.rack_cdu[rack] >= 0
            r0, film, tau_s = (
                (plate.PLATE_R0_K_PER_W, plate.PLATE_FILM_K_PER_W, plate.PLATE_TAU_S) if liquid
                else (plate.SINK_R0_K_PER_W, plate.SINK_FILM_K_PER_W, plate.SINK_TAU_S)
            )  # fmt: skip
            better = min(1.0, TDP_REFERENCE_W / gpu.tdp_w)
            _set(n, hw=self.gpus.index(gpu), gpu_first=first, gpu_rows=spec.gpus, gpus=spec.gpus, rack=rack,
                 liquid=liquid, liquid_share=spec.liquid_share, base_idle_kw=spec.base_idle_kw,
                 base_max_kw=spec.base_max_kw, clock_max_mhz=gpu.clock_max_mhz, clock_mhz=gpu.clock_max_mhz,
                 tdp_w=gpu.tdp_w, r0=r0 * better, film=film * better, c_die=plate.DIE_TAU_S / (r0 * better),
                 c_plate=tau_s / (film * better), pooled=name in pooled, gpus_ok=spec.gpus,
                 power_cap_w=spec.power_cap_w or gpu.tdp_w, clock_lock_mhz=spec.clock_mhz or gpu.clock_max_mhz)  # fmt: skip
            rows = self.t.gpu[first : first + spec.gpus]
            rows["hw"], rows["power_w"] = self.gpus.index(gpu), gpu.idle_w
            first += spec.gpus

    def _rated_kw(self, rack: int, liquid: bool) -> float:
        """Heat of a rack's nodes at full load, into coolant or into air."""
        kw = 0.0
        for n in self.t.gpu_node[self.t.gpu_node["rack"] == rack]:
            whole = n["gpus"] * n["tdp_w"] / 1000 + n["base_max_kw"]
            wet = whole * n["liquid_share"] * n["liquid"]
            kw += wet if liquid else whole - wet
        return float(kw)

    def _racks(self) -> None:
        for i in range(len(self.names["rack"])):
            _set(self.t.rack[i], cdu=self.rack_cdu[i], hall=self.rack_hall[i])

    def _cdus(self) -> None:
        for i, name in enumerate(self.names["cdu"]):
            spec, c = self.site.spec(name), self.t.cdu[i]
            litre = float(kj_per_l_k(CODES[spec.fluid], spec.supply_temp_c + 3.0))
            full = float(kw_per_k(spec.flow_max_lpm, litre))
            rise = spec.capacity_kw / full
            wanted = min(0.98, rise / (rise + spec.approach_k))
            racks = [r for r, on in enumerate(self.rack_cdu) if on == i]
            _set(c, water=self.user_water[i], litre_kj_per_k=litre, volume_l=spec.volume_l,
                 kj_per_k=litre * spec.volume_l * (1 - RACK_VOLUME_PU if racks else 1.0),
                 ntu_design=float(ntu_for(wanted, EXCHANGER_RATIO)), ratio_design=EXCHANGER_RATIO,
                 flow_lpm=spec.flow_design_lpm, flow_setpoint_lpm=spec.flow_design_lpm,
                 flow_design_lpm=spec.flow_design_lpm, flow_max_lpm=spec.flow_max_lpm,
                 supply_temp_c=spec.supply_temp_c, supply_setpoint_c=spec.supply_temp_c,
                 return_temp_c=spec.supply_temp_c, pressure_kpa=spec.pressure_kpa,
                 pressure_design_kpa=spec.pressure_kpa)  # fmt: skip
            asked = [self._rack_flow(r) or spec.flow_design_lpm / len(racks) for r in racks]
            for r, flow in zip(racks, asked, strict=True):
                store = litre * spec.volume_l * RACK_VOLUME_PU / len(racks)
                _set(self.t.rack[r], share=flow / sum(asked), design_lpm=flow, kj_per_k=store,
                     outlet_temp_c=spec.supply_temp_c)  # fmt: skip
            for k, p in enumerate(self.cdu_pumps[i]):
                name_p = self.names["pump"][p]
                rated = self.site.spec(name_p).rated_kw if name_p else 4.0
                _set(self.t.pump[p], cdu=i, rated_kw=rated, running=not self._stands_by(name_p) if name_p else k == 0,
                     ats=self._ats(name_p))  # fmt: skip

    def _rack_flow(self, rack: int) -> float:
        name = self.names["rack"][rack]
        return float(self.site.spec(name).flow_design_lpm or 0.0) if name else 0.0

    def _stands_by(self, pump: str) -> bool:
        """Of a redundant pair, the one later in the alphabet stands by."""
        asset = self.site.find(pump)
        return any(other < pump for other in (asset.redundant_with if asset else ()) if self.site.find(other))

    def _ats(self, name: str) -> int:
        return next(iter(self._rows(name, "ats")), -1) if name else -1

    def _rooms(self) -> None:
        gear_kw = sum(HOUSE_KW[kind] * len(self.names.get(kind) or self._of(kind)) for kind in HOUSE_KW)
        racks_in = [self.rack_hall.count(i) for i in range(len(self.names["hall"]))]
        for i, racks in enumerate(racks_in):
            share = racks / sum(racks_in) if sum(racks_in) else 1.0 / len(racks_in)
            _set(self.t.hall[i], racks=racks, kj_per_k=ROOM_KJ_PER_K * max(racks, 1),
                 ua_kw_per_k=ROOM_UA_KW_PER_K * max(racks, 1), house_kw=gear_kw * share)  # fmt: skip
        _set(self.t.site[0], house_kw=gear_kw, lights_kw=LIGHTS_KW_PER_RACK * sum(racks_in))
        cdus = len(self.names["cdu"])
        for k, name in enumerate(self.names["crah"]):
            u, hall = self.t.crah[k], self.crah_hall[k]
            _set(u, hall=hall, water=self.user_water[cdus + k], ats=self._ats(name))
            if name:
                spec = self.site.spec(name)
                _set(
                    u,
                    capacity_kw=spec.capacity_kw,
                    fan_rated_kw=spec.fan_rated_kw,
                    supply_temp_c=spec.supply_temp_c,
                )
            else:
                inside = [r for r, h in enumerate(self.rack_hall) if h == hall]
                kw = SPARE_PU * (
                    sum(self._rated_kw(r, False) for r in inside) + self.t.hall[hall]["house_kw"]
                )
                _set(u, capacity_kw=max(kw, 5.0), fan_rated_kw=max(kw, 5.0) / 18.0)

    def _unserved_kw(self) -> float:
        """Heat of loops and halls that name no chiller, at full load."""
        kw = float(self.t.site[0]["house_kw"])
        for r, (cdu, hall) in enumerate(zip(self.rack_cdu, self.rack_hall, strict=True)):
            units = [k for k, h in enumerate(self.crah_hall) if h == hall]
            if any(not self._on(self.names["crah"][k], "chiller") for k in units):
                kw += self._rated_kw(r, False)
            if cdu >= 0 and not self._on(self.names["cdu"][cdu], "chiller"):
                kw += self._rated_kw(r, True)
        return kw

    def _waters(self) -> None:
        for i, name in enumerate(self.names["chiller"]):
            k = self.t.chiller[i]
            _set(k, water=self.chiller_water[i], ats=self._ats(name))
            if not name:
                kw = SPARE_PU * max(self._unserved_kw(), 5.0)
                _set(k, capacity_kw=kw, fan_rated_kw=kw / 35.0)
                continue
            spec = self.site.spec(name)
            _set(k, dry=spec.kind == "dry_cooler", capacity_kw=spec.capacity_kw, cop_design=spec.cop_design,
                 cop_per_k=spec.cop_per_k, approach_k=spec.approach_k, fan_rated_kw=spec.fan_rated_kw,
                 economiser=spec.economiser)  # fmt: skip
        for i in range(len(self.names["water"])):
            mine = [k for k, w in enumerate(self.chiller_water) if w == i]
            setpoints = [
                self.site.spec(name).supply_temp_c if (name := self.names["chiller"][k]) else 18.0
                for k in mine
            ]
            kw = sum(float(self.t.chiller[k]["capacity_kw"]) for k in mine)
            for k, setpoint_c in zip(mine, setpoints, strict=True):
                _set(self.t.chiller[k], water_setpoint_c=setpoint_c, water_temp_c=min(setpoints))
            _set(self.t.water[i], kj_per_k=4.18 * WATER_L_PER_KW * max(kw, 5.0), setpoint_c=min(setpoints),
                 design_c=min(setpoints), temp_c=min(setpoints))  # fmt: skip

    def _feed_rows(self, name: str) -> tuple[int, int]:
        rows = [*self._rows(name, "feed"), -1, -1]
        return rows[0], rows[1]

    def _power(self) -> None:
        for i, name in enumerate(self.names["ats"]):
            first, second = self._feed_rows(name)
            _set(self.t.ats[i], feed=first, feed_2=second)
        for i, name in enumerate(self.names["feed"]):
            spec = self.site.spec(name)
            _set(self.t.feed[i], capacity_kw=spec.capacity_kw, loss_pu=spec.loss_pu)
        for i, name in enumerate(self.names["ups"]):
            spec, (first, second) = self.site.spec(name), self._feed_rows(name)
            _set(self.t.ups[i], feed=first, feed_2=second, capacity_kw=spec.capacity_kw, battery_kwh=spec.battery_kwh,
                 fixed_pu=spec.fixed_loss_pu, proportional_pu=spec.proportional_loss_pu)  # fmt: skip
        for i, name in enumerate(self.names["pdu"]):
            spec = self.site.spec(name)
            _set(self.t.pdu[i], ups=next(iter(self._rows(name, "ups")), -1), feed=self._feed_rows(name)[0],
                 capacity_kw=spec.capacity_kw, loss_pu=spec.loss_pu)  # fmt: skip
        for i, name in enumerate(self.names["ess"]):
            spec = self.site.spec(name)
            _set(self.t.ess[i], feed=self._feed_rows(name)[0], power_max_kw=spec.power_kw,
                 capacity_kwh=spec.capacity_kwh, efficiency=spec.efficiency_one_way, soc_pct=spec.soc_start_pct,
                 soc_min_pct=spec.soc_min_pct, soc_max_pct=spec.soc_max_pct)  # fmt: skip

    def _rest(self) -> None:
        for i, nodes in enumerate(self.pools.values()):
            clock_mhz = max(self.t.gpu_node["clock_lock_mhz"][[self.row["gpu_node"][n] for n in nodes]])
            _set(self.t.pool[i], arrival_rps=ARRIVALS_PU * len(nodes) * NODE_RPS, node_rps=NODE_RPS,
                 serving_nodes=len(nodes), clock_lock_mhz=clock_mhz)  # fmt: skip
        for i, name in enumerate(self.names["link"]):
            ends = [*self._rows(name, "switch"), -1, -1]
            _set(self.t.link[i], a=ends[0], b=ends[1])
        weather = self.site.weather
        _set(self.t.site[0], dry_mean_c=weather.dry_bulb_c, wet_mean_c=weather.wet_bulb_c, swing_k=weather.swing_k,
             dry_bulb_c=weather.dry_bulb_c, wet_bulb_c=weather.wet_bulb_c,
             gpu_limit_c=self.site.limits.get("gpu_temp_max_c", 87.0))  # fmt: skip


def _set(row: Any, **values: float) -> None:
    for name, value in values.items():
        row[name] = float(value)
