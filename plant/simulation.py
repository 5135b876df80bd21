"""A site under a request trace: engines and plant run side by side in windows of plant time.

In each window the engines serve at the clocks the plant allows; what they did there is the plant's load in that
window; what the plant then says of clocks (caps, heat) holds in the next. A throttled GPU so serves more slowly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.arrivals import check_hours, no_pools
from plant.capacity import Capacity
from plant.change import Change
from plant.faults.effects import Hand, moves
from plant.faults.place import FaultPlan
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.engine import FloatArray
from plant.inference.trace import Trace
from plant.jobs.on_site import scheduler_of
from plant.power.gpu import clock_under_cap_pu, gpu_power_w, power_coefficients, stretch_at_clock
from plant.power.policy import rule_kw
from plant.power.tariff import bill, carbon_kg, per_1000_tokens
from plant.power.use import issued_use, use_coefficients
from plant.record import Record, facility_kw
from plant.run import Happened, PoolServed, Run, Totals
from plant.serving import Moment, NodeLoad, PoolEngines, split
from plant.show import ANSWER_TOKENS, PROMPT_TOKENS
from plant.sim import Plant
from plant.site import Site
from plant.specs import EssSpec
from setpoint.errors import UsageError

DEFAULT_START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
MOST_WINDOWS = 7200
QUARTER_S = 900.0
LATENCY_POINTS = 240
"""Spans over which percentiles of latency are drawn."""
Progress = Callable[[float], None]
"""Told the share of the run that is done."""


@dataclass(frozen=True)
class Plan:
    """What to run: the site, its requests, for how long, and what happens meanwhile."""

    site: Site
    trace: Trace
    seconds: float
    step_s: float
    faults: tuple[FaultPlan, ...] = ()
    changes: tuple[Change, ...] = ()
    start: datetime = DEFAULT_START


def plan_run(
    site: Site,
    trace: Trace,
    *,
    hours: float | None = None,
    step_s: float | None = None,
    faults: Sequence[FaultPlan] = (),
    changes: Sequence[Change] = (),
    start: datetime = DEFAULT_START,
) -> Plan:
    """A run with what was not said filled in: the trace's length, and windows of a second (longer for long runs).

    Raises UsageError for a site without pools, a time that is not above zero or longer than a year, and a fault
    after the end.
    """
    if not site.pools:
        raise no_pools(site)
    seconds = hours * 3600.0 if hours is not None else float(trace.arrival_s[-1]) + 60.0
    check_hours(seconds / 3600.0)
    step = step_s if step_s is not None else float(max(1, int(np.ceil(seconds / MOST_WINDOWS))))
    if seconds / step > 200 * MOST_WINDOWS:
        least = seconds / (200 * MOST_WINDOWS)
        raise UsageError(f"{seconds / step:,.0f} windows", remedy=f"Choose a --step of {least:.2g} s or more")
    for fault in faults:
        if fault.at_s >= seconds:
            raise UsageError(
                f"{fault.fault.id} begins at {fault.at_s:g} s, the run ends at {seconds:g} s",
                remedy="Begin it earlier",
            )
    return Plan(site, _cut(trace, seconds), seconds, step, tuple(faults), tuple(changes), start)


def _cut(trace: Trace, seconds: float) -> Trace:
    return trace.take(slice(0, int(np.searchsorted(trace.arrival_s, seconds, side="left"))))


def _at_rate(trace: Trace, factor: float) -> Trace:
    """The trace at a multiple of its rate, played again where it would end early; nothing at 0."""
    if factor == 0 or not len(trace):
        return trace.take(slice(0, 0))
    return trace.repeat(max(1, math.ceil(factor))).scaled(factor)


def simulate(plan: Plan, progress: Progress | None = None) -> Run:
    """Run it. The same plan gives the same run."""
    return _Simulation(plan).run(progress)


class _Phases:
    """Clocks of prefill and decode that differ, of one pool: set apart by a change, or held apart by a power cap, which
    real firmware follows within milliseconds, so that prompts slow down and decode, which draws less, does not.

    The plant knows one clock: the one at which the window's mean use draws what the engines drew. Arrays are by node.
    """

    def __init__(self, pool: PoolEngines, locked_mhz: FloatArray) -> None:
        self.prefill_clock_mhz = self.decode_clock_mhz = math.inf
        """As a change set them."""
        self._deployment = pool.deployment
        self._set_mhz = self._allowed_mhz = self._highest_mhz = locked_mhz
        self._under_cap: dict[float, tuple[float, float]] = {}

    def clocks_pu(
        self, now_mhz: FloatArray, locked_mhz: FloatArray, cap_w: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Of prefill and decode, as shares of the maximum.

        A clock below the lock is held there by heat; from there it comes back by a twentieth a window. A lock that is
        not the one set here was set by a fault or an operator.
        """
        if not np.allclose(locked_mhz, self._set_mhz):
            self._highest_mhz = locked_mhz.copy()
        held = now_mhz < locked_mhz - 1.0
        self._allowed_mhz = np.where(held, now_mhz, np.minimum(self._allowed_mhz * 1.05, self._highest_mhz))
        top = self._deployment.gpu.clock_max_mhz
        limits = np.array([self._capped_pu(float(cap)) for cap in cap_w])
        prefill = np.minimum(self._allowed_mhz, self.prefill_clock_mhz) / top
        decode = np.minimum(self._allowed_mhz, self.decode_clock_mhz) / top
        return np.minimum(prefill, limits[:, 0]), np.minimum(decode, limits[:, 1])

    def _capped_pu(self, cap_w: float) -> tuple[float, float]:
        """Highest clocks at which a step full of prompt, and one of a full batch of usual chats, stay under the cap."""
        if cap_w not in self._under_cap:
            d = self._deployment
            cost, use, power = step_coefficients(d), use_coefficients(d), power_coefficients(d.gpu)
            chunk, length = float(d.chunk_tokens), PROMPT_TOKENS + ANSWER_TOKENS / 2
            steps = (chunk, chunk * chunk / 2, 0.0, 0.0), (0.0, 0.0, float(d.max_batch), d.max_batch * length)
            found = []
            for step in steps:
                compute, memory = issued_use(use, *step, step_time_s(cost, *step, 1.0))
                found.append(float(clock_under_cap_pu(power, 1.0, compute, memory, cap_w, 1.0)))
            self._under_cap[cap_w] = (found[0], found[1])
        return self._under_cap[cap_w]

    def even_mhz(
        self, loads: Sequence[NodeLoad], clocks_pu: tuple[FloatArray, FloatArray], power: Any
    ) -> FloatArray:
        """The one clock, by halving between the two: power rises with the clock."""
        found = []
        for load, prefill, decode in zip(loads, *clocks_pu, strict=True):
            low, high = sorted((float(prefill), float(decode)))
            for _ in range(12):
                middle = (low + high) / 2
                under = gpu_power_w(power, load.busy, load.u_compute, load.u_memory, middle) < load.power_w
                low, high = (middle, high) if under else (low, middle)
            found.append((low + high) / 2)
        self._set_mhz = np.array(found) * self._deployment.gpu.clock_max_mhz
        return self._set_mhz


def _busy_alike(power: Any, load: NodeLoad, clock_pu: float) -> float:
    """The busy share at which the plant draws what the engines drew. Power bends with use, so the power of the
    window's mean use is a little above the mean of its powers."""
    idle_w, even_w = float(power[0]), gpu_power_w(power, load.busy, load.u_compute, load.u_memory, clock_pu)
    if even_w <= idle_w:
        return load.busy
    return min(max(load.busy * (load.power_w - idle_w) / (even_w - idle_w), 0.0), 1.0)


class _Simulation:
    """One run in the making."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.site = plan, plan.site
        self.plant = Plant.start(plan.site, plan.start)
        parts = split(plan.trace, plan.site.pools)
        self.pools = [
            PoolEngines(plan.site, spec, part) for spec, part in zip(plan.site.pools, parts, strict=True)
        ]
        self.nodes = self.plant.store.tables.gpu_node
        self.rows = [[self.plant.store.rows[node][1] for node in pool.nodes] for pool in self.pools]
        self.phases: dict[str, _Phases] = {}
        """Pools whose clocks a change set apart for prefill and decode."""
        self.usual = {pool.spec.name: self._pool_row(pool).copy() for pool in self.pools}
        """The plant's pools at the start: faults and actions move them."""
        self.last = {(name, column): float(row[column]) for name, row in self.usual.items()
                     for column in ("batch_limit", "kv_watermark_pct")}  # fmt: skip
        self.storage_held = False
        """A change holds the storage at a power: the rule rests."""
        self.highest_kw, self.rated_kw = 0.0, Capacity(plan.site).whole.grid_kw
        self.scheduler = scheduler_of(plan.site)
        names = self.plant.store.names["gpu_node"]
        self.outside = np.array(
            [row for row, name in enumerate(names) if plan.site.jobs and not plan.site.pool_of(name)],
            np.int64,
        )
        """Nodes outside pools, where jobs are described: they do what the scheduler says, or nothing."""
        self.serving = np.unique(np.concatenate([np.zeros(0, np.int64), *map(np.array, self.rows)])).astype(
            np.int64
        )
        """Nodes of pools."""
        self.count = max(1, math.ceil(plan.seconds / plan.step_s - 1e-9))
        self.record = Record(self.plant, plan.site, self.count)
        self.hand = Hand(self.plant)
        self.moves = sorted(
            (move for fault in plan.faults for move in moves(fault, plan.site, plan.seconds)),
            key=lambda move: -move.at_s,
        )

    def run(self, progress: Progress | None) -> Run:
        plan = self.plan
        for change in plan.changes:
            self._apply(change)
        for number in range(self.count):
            start_s, end_s = number * plan.step_s, min((number + 1) * plan.step_s, plan.seconds)
            while self.moves and self.moves[-1].at_s <= start_s + 1e-9:
                self.hand.turn(self.moves.pop())
            self._window(number, start_s, end_s)
            if progress and number % 16 == 0:
                progress(number / self.count)
        return self._result()

    def _window(self, number: int, start_s: float, end_s: float) -> None:
        """Engines first, at the clocks of now; then the plant under their load."""
        moments: list[Moment] = []
        for pool, rows in zip(self.pools, self.rows, strict=True):
            self._condition(pool, rows, start_s)
            clocks_pu = self._clocks_pu(pool, rows)
            moment = pool.advance(end_s, *clocks_pu)
            moments.append(moment)
            self._tell(pool, rows, moment, clocks_pu)
        self.scheduler.advance(start_s)
        self._run_jobs()
        if number and not self.storage_held:
            self._run_storage(start_s)
        self.plant.advance(end_s - start_s)
        self.record.keep(number, end_s - start_s, self.pools, self.rows, moments, self.serving)

    def _condition(self, pool: PoolEngines, rows: list[int], now_s: float) -> None:
        """What the plant's state means for the engines: nodes that do not serve, worn links, changed arrivals."""
        nodes, p = self.nodes[rows], self._pool_row(pool)
        serves = (
            (nodes["up"] > 0.5)
            & (nodes["drained"] < 0.5)
            & (nodes["gpus_ok"] >= nodes["gpus"])
            & (p["up"] > 0.5)
        )
        pool.set_out(~serves, now_s)
        alone = pool.share.astype(bool).sum(axis=1).max() == 1
        links = nodes["link_pu"] if alone else np.minimum(nodes["link_pu"], nodes["network_pu"])
        pool.slow_exchange(1.0 / np.maximum(links, 0.02))
        before = self.usual[pool.spec.name]
        pool.rate = float(p["arrival_rps"] / before["arrival_rps"]) if before["arrival_rps"] else 1.0
        longer = (p[column] / before[column] for column in ("prompt_tokens", "context_tokens"))
        pool.prompt = float(max(longer, key=lambda ratio: abs(math.log(max(ratio, 1e-9)))))
        for column, name, scale in (("batch_limit", "max_batch", pool.spec.max_batch / before["batch_limit"]),
                                    ("kv_watermark_pct", "kv_watermark_pct", 1.0)):  # fmt: skip
            if p[column] != self.last[pool.spec.name, column]:
                self.last[pool.spec.name, column] = float(p[column])
                pool.limit(**{name: float(p[column]) * scale})

    def _pool_row(self, pool: PoolEngines) -> Any:
        return self.plant.store.tables.pool[self.plant.store.rows[pool.spec.name][1]]

    def _tell(
        self, pool: PoolEngines, rows: list[int], moment: Moment, clocks_pu: tuple[FloatArray, FloatArray]
    ) -> None:
        """The plant's nodes under this load, and its pool with what the engines measured."""
        loads, clock_pu = moment.loads, clocks_pu[1]
        powers = self.plant.store.edges.power[self.nodes["hw"][rows].astype(int)]
        if phases := self.phases.get(pool.spec.name):
            even_mhz = phases.even_mhz(loads, clocks_pu, powers[0])
            self.nodes["clock_lock_mhz"][rows] = even_mhz
            clock_pu = even_mhz / self.nodes["clock_max_mhz"][rows]
        uses = [
            self._at_full_clock(row, load.u_compute, load.u_memory, float(clock))
            for row, load, clock in zip(rows, loads, clock_pu, strict=True)
        ]
        busy = [
            _busy_alike(power, load, float(clock))
            for power, load, clock in zip(powers, loads, clock_pu, strict=True)
        ]
        self._drive(rows, busy, [use[0] for use in uses], [use[1] for use in uses])
        self.nodes["load_pu"][rows] = [load.busy for load in loads]
        p = self._pool_row(pool)
        p["driven"], p["queue"], p["kv_use_pct"] = 1.0, moment.queue, 100.0 * moment.kv_share
        p["load_pu"] = float(np.mean([load.busy for load in moment.loads]))
        if math.isfinite(moment.ttft_ms):
            p["ttft_ms"] = moment.ttft_ms

    def _at_full_clock(
        self, row: int, u_compute: float, u_memory: float, clock_pu: float
    ) -> tuple[float, float]:
        """Uses of the same work at the maximal clock: u = achieved * stretch(u), solved by repetition."""
        if clock_pu >= 1.0:
            return u_compute, u_memory
        power = self.plant.store.edges.power[int(self.nodes["hw"][row])]
        compute, memory = u_compute, u_memory
        for _ in range(8):
            stretch = float(stretch_at_clock(power, compute, memory, clock_pu))
            compute, memory = u_compute * stretch, u_memory * stretch
        return compute, memory

    def _drive(self, rows: Any, busy: Any, u_compute: Any, u_memory: Any) -> None:
        """What `Plant.set_load` does, for many nodes at once."""
        nodes = self.nodes
        nodes["driven"][rows] = 1.0
        nodes["busy"][rows] = nodes["load_pu"][rows] = busy
        nodes["u_compute"][rows], nodes["u_memory"][rows] = u_compute, u_memory

    def _clocks_pu(self, pool: PoolEngines, rows: list[int]) -> tuple[FloatArray, FloatArray]:
        """Clocks of the pool's nodes in prefill and decode, as shares of the maximum: the slowest GPU of each."""
        highest = self.nodes["clock_max_mhz"][rows]
        now = np.maximum((self.nodes["clock_min_mhz"] * self.nodes["clock_share_pu"])[rows], 1.0)
        caps_w, name = self.nodes["power_cap_w"][rows], pool.spec.name
        if name not in self.phases and caps_w.min() < pool.deployment.gpu.tdp_w - 1.0:
            self.phases[name] = _Phases(pool, self.nodes["clock_lock_mhz"][rows].copy())
        if phases := self.phases.get(name):
            return phases.clocks_pu(now, self.nodes["clock_lock_mhz"][rows], caps_w)
        return now / highest, now / highest

    def _run_jobs(self) -> None:
        if not len(self.outside):
            return
        loads, names = self.scheduler.node_load(), self.plant.store.names["gpu_node"]
        load = np.array([loads.get(names[row], 0.0) for row in self.outside])
        self._drive(self.outside, load, JOB_COMPUTE * load, JOB_MEMORY * load)

    def _run_storage(self, now_s: float) -> None:
        """Storage by its rule, each unit for its share of the draw (`plant.power.policy`)."""
        tables, limits = self.plant.store.tables, self.site.limits
        units = self.plant.store.names["ess"]
        if not any(units):
            return
        site = tables.site[0]
        draw_kw = facility_kw(site) / len(units)
        self.highest_kw = max(self.highest_kw, draw_kw * len(units))
        cap_kw = min(limits.get("site_power_max_kw", math.inf), max(self.highest_kw, HOLD_PU * self.rated_kw))
        local = self.plan.start.astimezone(self.site.zone)
        hour = (local.hour + local.minute / 60 + now_s / 3600) % 24
        for row, name in enumerate(units):
            spec = self.site.spec(name, EssSpec)
            unit = tables.ess[row]
            unit["power_setpoint_kw"] = rule_kw(
                spec, self.site.tariff, hour, float(unit["soc_pct"]), draw_kw, cap_kw / len(units),
                limits.get("soc_reserve_pct", 0.0),
            )  # fmt: skip
            unit["left_s"] = 2 * self.plan.step_s

    def _apply(self, change: Change) -> None:
        """A change holds from the first window on."""
        for asset in change.assets:
            key, value = change.knob.key, change.value
            pool = next((pool for pool in self.pools if pool.spec.name == asset), None)
            if key in _LIMITS and pool:
                pool.limit(**{_LIMITS[key]: value})
            elif key == "rate" and pool:
                pool.trace = _cut(_at_rate(pool.trace, value), self.plan.seconds)
            elif key in ("prefill_clock", "decode_clock"):
                self._part(asset, key, value)
            else:
                self._turn(asset, key, value)

    def _part(self, node: str, key: str, value_mhz: float) -> None:
        """Sets one phase's clock of the pool on that node."""
        for pool, rows in zip(self.pools, self.rows, strict=True):
            if node in pool.nodes:
                locked = self.nodes["clock_lock_mhz"][rows].copy()
                setattr(
                    self.phases.setdefault(pool.spec.name, _Phases(pool, locked)), f"{key}_mhz", value_mhz
                )

    def _turn(self, asset: str, key: str, value: float) -> None:
        kind, column = _COLUMN_OF[key]
        store = self.plant.store
        row = 0 if kind == "site" else store.rows[asset][1]
        getattr(store.tables, kind)[row][column] = value
        if key == "ess_power":
            self.storage_held = True
            store.tables.ess[row]["left_s"] = self.plan.seconds

    def _result(self) -> Run:
        plan, record = self.plan, self.record
        pools = tuple(pool.served(plan.seconds) for pool in self.pools)
        time_s = np.minimum(np.arange(1, self.count + 1) * plan.step_s, plan.seconds)
        series = record.series()
        for pool in self.pools:
            series |= self._latency(pool, time_s)
        series |= self._per_token(series, time_s)
        totals = self._totals(series, sum(pool.output_tokens for pool in pools))
        happened = [Happened(fault.at_s, fault.fault.title, fault.asset) for fault in plan.faults]
        happened += [
            Happened(one.time_s, f"job {one.subject}: {one.what}, {one.reason}")
            for one in self.scheduler.decisions
            if 0 < one.time_s <= plan.seconds
        ]
        return Run(
            site=self.site.name, start=plan.start, step_s=plan.step_s, time_s=time_s, series=series, pools=pools,
            totals=totals, happened=tuple(sorted(happened, key=lambda one: one.at_s)), notes=self._notes(pools),
            changes=tuple(str(change) for change in plan.changes),
        )  # fmt: skip

    def _latency(self, pool: PoolEngines, time_s: FloatArray) -> dict[tuple[str, str], FloatArray]:
        """Percentiles over spans of the run, each held over the windows of its span."""
        edges, place = self._spans(time_s)
        found = pool.latency_series(edges)
        return {(metric, pool.spec.name): values[place] for metric, values in found.items()}

    def _spans(self, time_s: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
        """Edges of the spans that slow figures are told over, and the span of each window."""
        spans = min(self.count, LATENCY_POINTS)
        edges = np.linspace(0.0, self.plan.seconds, spans + 1)
        return edges, np.clip(np.searchsorted(edges, time_s, side="left") - 1, 0, spans - 1)

    def _per_token(
        self, series: dict[tuple[str, str], FloatArray], time_s: FloatArray
    ) -> dict[tuple[str, str], FloatArray]:
        """Energy and carbon of the nodes that serve for 1,000 output tokens; NaN in a span without any."""
        edges, place = self._spans(time_s)
        span_s = np.diff(time_s, prepend=0.0)
        served = (
            np.sum([series["decode_tokens_per_s", pool.spec.name] for pool in self.pools], axis=0) * span_s
        )
        wh = series["serving_kw", self.site.name] * span_s / 3.6
        sums = [np.bincount(place, weights=values, minlength=len(edges) - 1) for values in (wh, served)]
        per_1k = np.divide(1000.0 * sums[0], sums[1], out=np.full(len(sums[0]), np.nan), where=sums[1] > 0)
        return {
            ("wh_per_1k_tokens", self.site.name): per_1k[place],
            ("carbon_g_per_1k_tokens", self.site.name): per_1k[place]
            / 1000.0
            * self.site.tariff.carbon_g_per_kwh,
        }

    def _totals(self, series: dict[tuple[str, str], FloatArray], tokens: int) -> Totals:
        plan, tariff, name = self.plan, self.site.tariff, self.site.name
        hours = plan.step_s / 3600.0
        grid, it, facility, serving = (
            series[metric, name] for metric in ("grid_kw", "it_kw", "facility_kw", "serving_kw")
        )
        local = plan.start.astimezone(self.site.zone)
        paid = bill(grid, plan.step_s, tariff, local.hour + local.minute / 60)
        carbon = carbon_kg(grid, plan.step_s, tariff.carbon_g_per_kwh)
        peak = _highest_mean(grid, max(1, round(QUARTER_S / plan.step_s)))
        it_kwh, facility_kwh, grid_kwh, serving_kwh = (
            float(v.sum()) * hours for v in (it, facility, grid, serving)
        )
        per_1k = per_1000_tokens(1000.0 * serving_kwh, tokens) if tokens else float("nan")
        return Totals(
            seconds=plan.seconds, it_kwh=it_kwh, facility_kwh=facility_kwh, grid_kwh=grid_kwh,
            pue=facility_kwh / it_kwh if it_kwh else float("nan"), peak_kw=peak, carbon_kg=carbon,
            energy_cost=paid.energy_cost, demand_cost_month=peak * tariff.demand_per_kw_month,
            currency=tariff.currency, output_tokens=tokens,
            wh_per_1k_tokens=per_1k, carbon_g_per_1k_tokens=per_1k / 1000.0 * tariff.carbon_g_per_kwh,
        )  # fmt: skip

    def _notes(self, pools: tuple[PoolServed, ...]) -> tuple[str, ...]:
        said = list(self.plan.trace.notes)
        said += [
            f"{p.name}: {p.rejected} requests are longer than its engine or its cache admits"
            for p in pools
            if p.rejected
        ]
        said += [
            f"{one} stands by for {fault.asset}: in a simulated run nobody starts it"
            for fault in self.plan.faults
            if self.site.by_name[fault.asset.lower()].kind == "pump"
            for one in self.site.by_name[fault.asset.lower()].redundant_with
        ]
        outside = len(self.site.of_kind("gpu_node")) - sum(len(pool.nodes) for pool in self.site.pools)
        if outside and not self.site.jobs:
            said.append(
                f"{outside} nodes outside pools run a standing job at 92 % load; describe `jobs:` to say otherwise"
            )
        if self.plan.step_s > 5.0:
            said.append(f"windows of {self.plan.step_s:g} s: heat closes the loop to clocks once a window")
        return tuple(said)


HOLD_PU = 0.6
"""Charging may raise the draw to this share of the full load even where the run has not yet drawn as much."""
JOB_COMPUTE, JOB_MEMORY = 0.40, 0.45
"""Use of peak while a training step runs: MFU 38 to 43 % (Llama 3 405B, arXiv 2407.21783, table 4)."""
_LIMITS = {"batch": "max_batch", "chunk": "chunk_tokens", "kv_watermark": "kv_watermark_pct"}
_COLUMN_OF = {
    "clock": ("gpu_node", "clock_lock_mhz"), "power_cap": ("gpu_node", "power_cap_w"),
    "supply_temp": ("cdu", "supply_setpoint_c"), "flow": ("cdu", "flow_setpoint_lpm"),
    "crah_temp": ("crah", "supply_temp_c"), "ess_power": ("ess", "power_setpoint_kw"),
    "dry_bulb": ("site", "dry_mean_c"), "wet_bulb": ("site", "wet_mean_c"),
}  # fmt: skip
"""Where each knob of `plant.change` stands in the plant."""


def _highest_mean(values: FloatArray, length: int) -> float:
    """Highest mean of so many in a row; of all where there are fewer."""
    if len(values) <= length:
        return float(values.mean())
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return float(((sums[length:] - sums[:-length]) / length).max())
