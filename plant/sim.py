"""A small simulated site: what stands in the site file, with first-order physics and the catalog's actions.

State is one dict of floats and words an asset, so it can be written down (`to_dict`) and taken up again after a
restart. It is deterministic: the same start, faults, actions and steps give the same readings.
Power, flow and temperature follow plant/physics.py. On/off states are 1.0 and 0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self

from plant import physics
from plant.site import Asset, Site

Value = float | str
State = dict[str, Value]

STEP_S = 5.0
GPUS = 8
AIR_K_PER_W = 0.075
"""Junction to inlet air of one air-cooled GPU: 700 W at 24 C gives about 76 C."""
LIQUID_HEAT_SHARE = 0.8
"""Share of a liquid-cooled node's heat that its cold plates carry; the rest goes to room air."""
TRIP_C = 95.0
"""A node shuts down to protect itself."""
TAU_FLOW_S, TAU_PLATE_S, TAU_LOOP_S, TAU_AIR_S = 3.0, 10.0, 60.0, 240.0
LOOP_KJ_PER_K = 1670.0
"""About 400 L of water in one CDU loop: what heats up when the chillers are gone."""
CHILLER_KW, CHILLER_COP, CRAH_KW = 350.0, 4.5, 90.0
HOUSE_KW = 14.0
"""Fabric, storage, lighting and control hosts."""
UPS_KWH = 25.0
MODEL_SPEED = {"large": 1.0, "medium": 1.9, "small": 4.0}
"""Requests a second relative to the large model on the same nodes."""
REQUESTS_PER_NODE_S = 4.0
TTFT_BASE_MS = 180.0


@dataclass(frozen=True)
class Reading:
    """What the sensors of one asset say, and when they were last read."""

    asset: str
    time: datetime
    values: Mapping[str, float]


@dataclass
class Plant:
    """The site in motion. `now` is plant time."""

    site: Site
    now: datetime
    state: dict[str, State] = field(default_factory=dict)
    journal: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """What was applied, by idempotency key: {"before": ..., "after": ...}."""

    @classmethod
    def start(cls, site: Site, now: datetime) -> Self:
        """The site in a quiet steady state."""
        plant = cls(site=site, now=now)
        plant.state = {asset.name: _initial(asset, site) for asset in site.assets}
        plant.advance(1800.0)
        plant.now = now
        return plant

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` with the same site gives the same plant."""
        return {"now": self.now.isoformat(), "state": self.state, "journal": self.journal}

    @classmethod
    def from_dict(cls, site: Site, saved: Mapping[str, Any]) -> Self:
        known = {asset.name: _initial(asset, site) for asset in site.assets}
        state = {name: known[name] | dict(saved["state"].get(name, {})) for name in known}
        return cls(site, datetime.fromisoformat(saved["now"]), state, dict(saved["journal"]))

    def advance(self, seconds: float) -> None:
        """Let time pass in steps of at most `STEP_S`."""
        left = seconds
        while left > 1e-9:
            step = min(STEP_S, left)
            self.now += timedelta(seconds=step)
            self._step(step)
            left -= step

    def skip_to(self, now: datetime) -> None:
        """Set the clock without letting anything happen, after a long sleep."""
        self.now = now

    def telemetry(self, asset: str) -> Reading:
        """Readings of one asset, units in the names. A lost sensor keeps its last values and their time.

        Raises KeyError for an asset that is not on this site.
        """
        name = self._name(asset)
        state = self.state[name]
        if "frozen_at" in state:
            return Reading(name, datetime.fromisoformat(str(state["frozen_at"])), self._frozen(state))
        values = {key: round(value, 3) for key, value in state.items() if isinstance(value, float)}
        if "model" in state:
            values["model_rank"] = float(list(MODEL_SPEED).index(str(state["model"])))
        return Reading(name, self.now, values)

    def inject(self, fault: str, asset: str, **values: float) -> None:
        """Start a fault by name (see `FAULTS`). Raises KeyError for an unknown fault or asset."""
        FAULTS[fault](self, self._name(asset), values)

    def apply(
        self, name: str, asset: str, args: Mapping[str, float | int | str | bool], key: str = ""
    ) -> dict[str, dict[str, float]]:
        """Do one catalog action; returns the asset's readings before and after.

        The same non-empty `key` is applied once: later calls return what was noted then.
        """
        if key and key in self.journal:
            return self.journal[key]
        target = self._name(asset)
        before = dict(self.telemetry(target).values)
        EFFECTS[name](self, self.state[target], target, args)
        done = {"before": before, "after": dict(self.telemetry(target).values)}
        if key:
            self.journal[key] = done
        return done

    # ---- structure ----------------------------------------------------------------------------------

    def nodes_of(self, asset: str) -> list[str]:
        """GPU nodes that stand on this asset, itself included where it is one."""
        own = self.site.find(asset)
        names = (*((own.name,) if own else ()), *self.site.downstream(asset))
        return [name for name in names if self._kind(name) == "gpu_node"]

    def pumps_of(self, cdu: str) -> list[str]:
        return self._parents(cdu, "pump")

    def pool_nodes(self, service: str) -> list[str]:
        return self._parents(service, "gpu_node")

    def rack_of(self, node: str) -> str:
        """The rack it stands in, "" where the site file names none."""
        return next(iter(self._parents(node, "rack")), "")

    def loop_of(self, node: str) -> str:
        """The CDU whose coolant reaches the node; "" for an air-cooled one."""
        return next(iter(self._parents(self.rack_of(node), "cdu")), "")

    def each(self, kind: str) -> list[str]:
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str, list[str]]:
        kinds: dict[str, list[str]] = {}
        for asset in self.site.assets:
            kinds.setdefault(asset.kind, []).append(asset.name)
        return kinds

    @cached_property
    def _by_parent_kind(self) -> dict[tuple[str, str], list[str]]:
        parents: dict[tuple[str, str], list[str]] = {}
        for asset in self.site.assets:
            for parent in asset.on:
                parents.setdefault((asset.name, self._kind(parent)), []).append(parent)
        return parents

    @cached_property
    def _below_nodes(self) -> dict[str, list[str]]:
        return {a.name: self.nodes_of(a.name) for a in self.site.assets if a.kind in ("cdu", "rack")}

    @cached_property
    def _pools(self) -> dict[str, list[str]]:
        return {name: nodes for name in self.each("service") if (nodes := self.pool_nodes(name))}

    @cached_property
    def _pooled(self) -> frozenset[str]:
        return frozenset(node for nodes in self._pools.values() for node in nodes)

    def _parents(self, name: str, kind: str) -> list[str]:
        return self._by_parent_kind.get((name, kind), [])

    def number(self, asset: str, metric: str) -> float:
        value = self.state[asset][metric]
        return value if isinstance(value, float) else 0.0

    def _name(self, asset: str) -> str:
        found = self.site.find(asset)
        if found is None:
            raise KeyError(asset)
        return found.name

    def _kind(self, name: str) -> str:
        found = self.site.by_name.get(name.lower())
        return found.kind if found else "unknown"

    @staticmethod
    def _frozen(state: State) -> dict[str, float]:
        prefix = "frozen:"
        return {
            k.removeprefix(prefix): v
            for k, v in state.items()
            if k.startswith(prefix) and isinstance(v, float)
        }

    # ---- one step -----------------------------------------------------------------------------------

    def _step(self, seconds: float) -> None:
        for service, nodes in self._pools.items():
            self._serve(service, nodes, seconds)
        for node in self.each("gpu_node"):
            self._run_node(node, seconds)
        for cdu in self.each("cdu"):
            self._run_loop(cdu, seconds)
        for hall in self.each("hall"):
            self._run_air(hall, seconds)
        self._run_power(seconds)

    def _serve(self, name: str, nodes: list[str], seconds: float) -> None:
        """Queue by fluid flow: arrivals less what healthy nodes serve. KV use follows load, up to its watermark."""
        pool = self.state[name]
        ready = [node for node in nodes if self._healthy(node)]
        speed = MODEL_SPEED[str(pool["model"])]
        rate = sum(
            REQUESTS_PER_NODE_S * speed * self.number(n, "clock_mhz") / physics.CLOCK_MAX_MHZ for n in ready
        )
        share = self.number(name, "batch_limit") / physics.BATCH_MAX
        rate *= min(1.0, 0.25 + 0.75 * share)
        arrivals = self.number(name, "arrival_rps")
        queue = max(0.0, self.number(name, "queue") + (arrivals - rate) * seconds)
        use = min(2.0, arrivals / rate if rate else 2.0)
        kv_want = min(60.0 * use + min(queue, 400.0) * 0.1, self.number(name, "kv_watermark_pct"))
        wait_ms = 1000 * queue / rate if rate else 60_000.0
        pool |= {
            "queue": queue, "load_pu": min(1.0, use), "healthy_nodes": float(len(ready)),
            "kv_use_pct": physics.relax(self.number(name, "kv_use_pct"), kv_want, seconds, 20.0),
            "ttft_ms": min(60_000.0, TTFT_BASE_MS / speed + wait_ms),
        }  # fmt: skip
        for node in nodes:
            self.state[node]["load_pu"] = min(1.0, use) if node in ready else 0.0

    def _healthy(self, node: str) -> bool:
        state = self.state[node]
        return bool(state["up"] == 1.0 and state["gpus_ok"] == float(GPUS) and state["drained"] == 0.0)

    def _run_node(self, name: str, seconds: float) -> None:
        """Power from load, clock and cap; die temperature from power, coolant and flow, held at its limit."""
        node = self.state[name]
        if name not in self._pooled:
            node["load_pu"] = 0.92 if node["job_running"] == 1.0 and self._healthy(name) else 0.0
        coolant_c, k_per_w = self._cooling_of(name)
        limit_c = self.site.limits.get("gpu_temp_max_c", 87.0)
        thermal_cap_w = max(60.0, (limit_c - coolant_c) / k_per_w)
        load, batch = round(self.number(name, "load_pu"), 3), self.number(name, "batch_limit")
        cap_w = min(self.number(name, "power_cap_w"), thermal_cap_w)
        clock = physics.clock_under_cap_mhz(load, round(cap_w, 1), self.number(name, "clock_lock_mhz"), batch)
        gpu_w = physics.gpu_power_w(load, clock, batch) if node["up"] == 1.0 else 0.0
        power = (
            physics.node_power_kw(gpu_w, load, int(self.number(name, "gpus_ok")))
            if node["up"] == 1.0
            else 0.0
        )
        target_c = coolant_c + gpu_w * k_per_w
        throttled = thermal_cap_w < self.number(name, "power_cap_w") and clock < self.number(
            name, "clock_lock_mhz"
        )
        if self.number(name, "gpu_temp_c") >= TRIP_C:
            node["up"] = 0.0
        node |= {
            "clock_mhz": clock, "gpu_power_w": gpu_w, "power_kw": power, "throttled": float(throttled),
            "gpu_temp_c": physics.relax(self.number(name, "gpu_temp_c"), target_c, seconds, TAU_PLATE_S),
        }  # fmt: skip

    def _cooling_of(self, node: str) -> tuple[float, float]:
        """What cools the GPUs: temperature in C and resistance in K/W."""
        loop, rack = self.loop_of(node), self.rack_of(node)
        if not loop:
            return self.number(rack, "inlet_temp_c"), AIR_K_PER_W
        open_pu = self.number(rack, "valve_open") * self.number(loop, "valve_open")
        share = self.number(loop, "flow_lpm") * open_pu / max(self.number(loop, "flow_design_lpm"), 1.0)
        supply_c, return_c = self.number(loop, "supply_temp_c"), self.number(loop, "return_temp_c")
        # With little flow the plates see the water they have already heated.
        mixed_c = return_c + (supply_c - return_c) * min(1.0, 2 * share)
        return mixed_c, physics.cold_plate_k_per_w(share)

    def _run_loop(self, name: str, seconds: float) -> None:
        """Flow follows the running pumps, supply its setpoint while the chillers can carry the heat, return
        the heat balance; the loop's water stores what the chillers do not take."""
        cdu = self.state[name]
        running = [
            p for p in self.pumps_of(name) if self.number(p, "running") and not self.number(p, "failed")
        ]
        can_lpm = min(1.0, len(running)) * self.number(name, "flow_max_lpm") * self.number(name, "valve_open")
        target_lpm = min(self.number(name, "flow_setpoint_lpm"), can_lpm) * self.number(name, "passage_pu")
        flow = physics.relax(self.number(name, "flow_lpm"), target_lpm, seconds, TAU_FLOW_S)
        heat = LIQUID_HEAT_SHARE * sum(self.number(node, "power_kw") for node in self._below_nodes[name])
        supply, setpoint = self.number(name, "supply_temp_c"), self.number(name, "supply_setpoint_c")
        surplus = heat - self._chiller_kw() / max(1, len(self.each("cdu")))
        if surplus <= 0:
            supply = physics.relax(supply, setpoint, seconds, TAU_LOOP_S)
        else:
            supply += surplus * seconds / LOOP_KJ_PER_K
        hottest = max((self.number(node, "gpu_temp_c") for node in self._below_nodes[name]), default=supply)
        back = min(supply + physics.coolant_delta_t_k(heat, flow), max(hottest, supply))
        cdu |= {
            "flow_lpm": flow, "supply_temp_c": supply, "heat_kw": heat,
            "return_temp_c": physics.relax(self.number(name, "return_temp_c"), back, seconds, TAU_LOOP_S),
            "pumps_running": float(len(running)),
        }  # fmt: skip
        self._run_pumps(name, running, flow)

    def _run_pumps(self, cdu: str, running: list[str], flow_lpm: float) -> None:
        speed = flow_lpm / max(self.number(cdu, "flow_max_lpm"), 1.0) / max(1, len(running))
        for pump in self.pumps_of(cdu):
            own = speed if pump in running else 0.0
            self.state[pump] |= {"speed_pct": 100 * own, "power_kw": physics.pump_power_kw(own)}

    def _chiller_kw(self) -> float:
        return CHILLER_KW * sum(self.number(c, "running") for c in self.each("chiller")) / 2

    def _run_air(self, hall: str, seconds: float) -> None:
        """Rack inlets hold 24 C while the hall's CRAH units can carry the air heat; then they warm up."""
        units = [a.name for a in self.site.assets if a.kind == "crah" and hall in a.on]
        racks = [a.name for a in self.site.assets if a.kind == "rack" and hall in a.on]
        can_kw = CRAH_KW * sum(self.number(unit, "running") for unit in units)
        heat_kw = sum(self._air_heat_kw(rack) for rack in racks)
        target = 24.0 if heat_kw <= can_kw else min(60.0, 24.0 + 0.5 * (heat_kw - can_kw))
        for rack in racks:
            inlet = physics.relax(self.number(rack, "inlet_temp_c"), target, seconds, TAU_AIR_S)
            power = sum(self.number(node, "power_kw") for node in self._below_nodes[rack])
            self.state[rack] |= {"inlet_temp_c": inlet, "power_kw": power}

    def _air_heat_kw(self, rack: str) -> float:
        nodes = self._below_nodes[rack]
        share = 1.0 - LIQUID_HEAT_SHARE if nodes and self.loop_of(nodes[0]) else 1.0
        return share * sum(self.number(node, "power_kw") for node in nodes)

    def _run_power(self, seconds: float) -> None:
        """Load splits over the live feeds; a UPS without its feed runs its half from the battery until empty."""
        it_kw = sum(self.number(node, "power_kw") for node in self.each("gpu_node"))
        pumps_kw = sum(self.number(pump, "power_kw") for pump in self.each("pump"))
        load_kw = it_kw * 1.04 + it_kw / CHILLER_COP + pumps_kw + HOUSE_KW - self._run_storage(seconds)
        load_kw -= sum(
            shed for state in self.state.values() if isinstance(shed := state.get("shed_kw"), float)
        )
        feeds = self.each("feed")
        live = [name for name in feeds if self.number(name, "available")]
        for name in feeds:
            self.state[name]["load_kw"] = load_kw / len(live) if name in live else 0.0
        for ups in self.each("ups"):
            self._run_ups(ups, it_kw / 2, seconds)

    def _run_ups(self, name: str, load_kw: float, seconds: float) -> None:
        state, found = self.state[name], self.site.by_name[name.lower()]
        lost = any(self._kind(f) == "feed" and not self.number(f, "available") for f in found.on)
        charge = self.number(name, "battery_pct")
        carries = lost and charge > 0
        step = -100 * load_kw * seconds / 3600 / UPS_KWH if carries else 100 * seconds / (4 * 3600)
        charge = charge if lost and not carries else min(100.0, max(0.0, charge + step))
        carried_kw = 0.0 if lost and not carries else load_kw
        state |= {"on_battery": float(carries), "battery_pct": charge, "load_kw": carried_kw}

    def _run_storage(self, seconds: float) -> float:
        """Moves each storage and returns their sum, kW (positive: discharges into the site)."""
        total_kw = 0.0
        for name in self.each("ess"):
            state = self.state[name]
            power = state["power_setpoint_kw"] = self._storage_power_kw(name)
            soc = physics.soc_after(
                self.number(name, "soc_pct"), power, seconds, self.number(name, "capacity_kwh")
            )
            left_s = max(0.0, self.number(name, "left_s") - seconds)
            state |= {"power_kw": power, "soc_pct": min(max(soc, 0.0), 100.0), "left_s": left_s}
            total_kw += power
        return total_kw

    def _storage_power_kw(self, name: str) -> float:
        """Its setpoint while its time lasts, it is well, and its charge is inside the window."""
        power, soc = self.number(name, "power_setpoint_kw"), self.number(name, "soc_pct")
        empty = power > 0 and soc <= self.number(name, "soc_min_pct")
        full = power < 0 and soc >= self.number(name, "soc_max_pct")
        over = self.number(name, "left_s") <= 0 or not self.number(name, "available")
        return 0.0 if empty or full or over else power


# ---- how an asset starts ------------------------------------------------------------------------------

_INITIAL: dict[str, State] = {
    "gpu_node": {
        "up": 1.0, "gpus_ok": 8.0, "load_pu": 0.0, "power_kw": 2.8, "gpu_power_w": 75.0, "gpu_temp_c": 35.0,
        "clock_mhz": 1980.0, "clock_lock_mhz": 1980.0, "power_cap_w": 700.0, "throttled": 0.0, "cordoned": 0.0,
        "drained": 0.0, "batch_limit": 256.0, "job_running": 1.0, "resets": 0.0,
    },
    "cdu": {
        "flow_lpm": 150.0, "flow_setpoint_lpm": 150.0, "flow_design_lpm": 150.0, "flow_max_lpm": 320.0,
        "supply_temp_c": 32.0, "supply_setpoint_c": 32.0, "return_temp_c": 40.0, "heat_kw": 0.0,
        "valve_open": 1.0, "leak": 0.0, "passage_pu": 1.0, "pumps_running": 1.0,
    },
    "pump": {"running": 0.0, "failed": 0.0, "speed_pct": 0.0, "power_kw": 0.0},
    "rack": {"inlet_temp_c": 24.0, "power_kw": 0.0, "valve_open": 1.0},
    "leak_sensor": {"wet": 0.0},
    "chiller": {"running": 1.0}, "crah": {"running": 1.0},
    "feed": {"available": 1.0, "load_kw": 0.0},
    "ups": {"on_battery": 0.0, "battery_pct": 100.0, "load_kw": 0.0},
    "pdu": {"breaker_closed": 1.0}, "ats": {"on_source": 1.0},
    "ess": {"available": 1.0, "power_kw": 0.0, "power_setpoint_kw": 0.0, "soc_pct": 60.0, "left_s": 0.0},
    "hall": {"temp_c": 24.0, "humidity_pct": 45.0},
    "service": {"shed_kw": 0.0, "up": 1.0},
}  # fmt: skip
_POOL: State = {
    "arrival_rps": 0.0, "queue": 0.0, "ttft_ms": TTFT_BASE_MS, "kv_use_pct": 40.0, "kv_watermark_pct": 90.0,
    "batch_limit": 256.0, "load_pu": 0.6, "healthy_nodes": 0.0, "model": "large",
}  # fmt: skip


def _initial(asset: Asset, site: Site) -> State:
    state = dict(_INITIAL.get(asset.kind, {}))
    if asset.kind == "pump":
        state["running"] = float(not any(_stands_by(asset, other) for other in site.assets))
    if asset.kind == "ess":
        limits = {"soc_min_pct": 10.0, "soc_max_pct": 90.0, "ess_capacity_kwh": 200.0} | site.limits
        state |= {"soc_min_pct": limits["soc_min_pct"], "soc_max_pct": limits["soc_max_pct"]}
        state["capacity_kwh"] = limits["ess_capacity_kwh"]
    if asset.kind == "cdu" and "flow_max_lpm" in site.limits:
        state["flow_max_lpm"] = site.limits["flow_max_lpm"]
    if asset.kind == "service":
        nodes = sum((found := site.find(n)) is not None and found.kind == "gpu_node" for n in asset.on)
        if nodes:
            state |= _POOL | {"arrival_rps": 0.65 * nodes * REQUESTS_PER_NODE_S}
    return state


def _stands_by(pump: Asset, other: Asset) -> bool:
    """Of a redundant pair, the one later in the alphabet stands by."""
    return other.kind == "pump" and other.name in pump.redundant_with and other.name < pump.name


# ---- faults ---------------------------------------------------------------------------------------------


def _set(metric: str, value: float) -> Callable[[Plant, str, Mapping[str, float]], None]:
    def set_it(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
        plant.state[asset][metric] = float(values.get(metric, value))

    return set_it


def _pump_failure(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    plant.state[asset] |= {"failed": 1.0, "running": 0.0}


def _leak(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    """`asset` is the CDU or rack that leaks; the sensors that stand on it get wet."""
    plant.state[asset]["leak"] = 1.0
    for sensor in plant.site.assets:
        if sensor.kind == "leak_sensor" and asset in sensor.on:
            plant.state[sensor.name]["wet"] = 1.0


def _gpu_off_bus(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    """One GPU less on the bus. `hard`=1: a reset does not bring it back."""
    node = plant.state[asset]
    node["gpus_ok"] = max(0.0, plant.number(asset, "gpus_ok") - 1)
    node["hard_fault"] = float(values.get("hard", 0.0))


def _prefill_surge(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    plant.state[asset]["arrival_rps"] = plant.number(asset, "arrival_rps") * values.get("factor", 2.0)


def _sensor_lost(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    """Readings stay at their last values and times from now on."""
    state = plant.state[asset]
    frozen = {f"frozen:{key}": value for key, value in state.items() if isinstance(value, float)}
    plant.state[asset] = state | frozen | {"frozen_at": plant.now.isoformat()}


FAULTS: dict[str, Callable[[Plant, str, Mapping[str, float]], None]] = {
    "coolant_pump_failure": _pump_failure,
    "coolant_leak": _leak,
    "coolant_flow_restricted": _set("passage_pu", 0.5),
    "chiller_failure": _set("running", 0.0),
    "crah_failure": _set("running", 0.0),
    "power_feed_lost": _set("available", 0.0),
    "ess_fault": _set("available", 0.0),
    "gpu_off_bus": _gpu_off_bus,
    "host_crash": _set("up", 0.0),
    "prefill_surge": _prefill_surge,
    "sensor_lost": _sensor_lost,
}
"""Faults by cause id of the root-cause catalog."""


# ---- effects of the catalog's actions -------------------------------------------------------------------

Args = Mapping[str, float | int | str | bool]
Effect = Callable[[Plant, State, str, Args], None]


def _writes(**metrics: str | float) -> Effect:
    """Sets metrics: a word names the argument to take the value from, a number is the value itself."""

    def write(plant: Plant, state: State, name: str, args: Args) -> None:
        for metric, source in metrics.items():
            value = args[source] if isinstance(source, str) else source
            state[metric] = value if isinstance(value, str) else float(value)

    return write


def _reset_gpu(plant: Plant, state: State, name: str, args: Args) -> None:
    state["resets"] = plant.number(name, "resets") + 1
    if state.get("hard_fault", 0.0) == 0.0:
        state["gpus_ok"] = float(GPUS)


def _storage(sign: float) -> Effect:
    def run(plant: Plant, state: State, name: str, args: Args) -> None:
        state["power_setpoint_kw"] = sign * float(args["power_kw"])
        state["left_s"] = 60 * float(args["duration_min"])

    return run


def _close_valve(plant: Plant, state: State, name: str, args: Args) -> None:
    state |= {"valve_open": 0.0, "leak": 0.0}


def _batch_limit(plant: Plant, state: State, name: str, args: Args) -> None:
    """A pool's limit holds for its nodes too: it is what sets their power."""
    for target in (name, *plant.pool_nodes(name)):
        plant.state[target]["batch_limit"] = float(args["batch_limit"])


def _count(metric: str) -> Effect:
    def count(plant: Plant, state: State, name: str, args: Args) -> None:
        old = state.get(metric, 0.0)
        state[metric] = (old if isinstance(old, float) else 0.0) + 1

    return count


EFFECTS: dict[str, Effect] = {
    "cap_gpu_power": _writes(power_cap_w="cap_w"),
    "lock_gpu_clock": _writes(clock_lock_mhz="clock_mhz"),
    "set_batch_limit": _batch_limit,
    "set_kv_watermark": _writes(kv_watermark_pct="watermark_pct"),
    "drain_node": _writes(drained=1.0, cordoned=1.0, job_running=0.0),
    "cordon_node": _writes(cordoned=1.0),
    "reset_gpu": _reset_gpu,
    "pause_job": _writes(job_running=0.0),
    "migrate_job": _writes(job_running=0.0, cordoned=1.0),
    "switch_to_smaller_model": _writes(model="model"),
    "set_coolant_flow": _writes(flow_setpoint_lpm="flow_lpm"),
    "set_supply_temp": _writes(supply_setpoint_c="temp_c"),
    "start_standby_pump": _writes(running=1.0),
    "close_leak_valve": _close_valve,
    "charge_ess": _storage(-1.0),
    "discharge_ess": _storage(1.0),
    "shed_load": _writes(shed_kw="power_kw"),
    "open_ticket": _count("tickets"),
    "page": _count("pages"),
}
