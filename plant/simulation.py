"""A site under a request trace: engines and plant run side by side in windows of plant time.

In each window the engines serve at the clocks the plant allows; what they did there is the plant's load in that
window; what the plant then says of clocks (caps, heat) holds in the next. A throttled GPU so serves more slowly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.capacity import Capacity
from plant.change import Change
from plant.faults.effects import Hand, moves
from plant.faults.place import FaultPlan
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.engine import FloatArray
from plant.inference.memory import plan_memory
from plant.inference.trace import MAX_REQUESTS, Trace, read_trace, synthetic, trace_from_rate
from plant.jobs.on_site import scheduler_of
from plant.power.gpu import clock_under_cap_pu, gpu_power_w, power_coefficients, stretch_at_clock
from plant.power.policy import rule_kw
from plant.power.tariff import bill, carbon_kg, per_1000_tokens
from plant.power.use import issued_use, use_coefficients
from plant.run import Happened, PoolServed, Run, Totals
from plant.serving import Moment, NodeLoad, PoolEngines, split
from plant.show import ANSWER_TOKENS, PROMPT_TOKENS, saturated
from plant.sim import Plant
from plant.site import Site
from plant.specs import EssSpec, PoolSpec
from setpoint.errors import InputError, UsageError

DEFAULT_START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
DEFAULT_HOURS = 0.25
MOST_WINDOWS = 7200
MOST_HOURS = 366 * 24.0
LATE_S = 60.0
"""A trace that begins later than this is moved to the start of the run: its clock began elsewhere."""
QUARTER_S = 900.0
SYNTHETIC_USE = 0.4
"""Share of what the pools can serve that a synthetic load asks for."""
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
        raise _no_pools(site)
    seconds = hours * 3600.0 if hours is not None else float(trace.arrival_s[-1]) + 60.0
    _check_hours(seconds / 3600.0)
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


def _check_hours(hours: float) -> None:
    if not 0 < hours <= MOST_HOURS:
        raise UsageError(
            f"{hours:g} hours of plant time",
            remedy=f"Give a time above zero, at most {MOST_HOURS:,.0f} hours",
        )


def _cut(trace: Trace, seconds: float) -> Trace:
    return trace.take(slice(0, int(np.searchsorted(trace.arrival_s, seconds, side="left"))))


def load_of(
    site: Site,
    path: Path | None,
    *,
    rate: float = 1.0,
    seed: int = 7,
    hours: float | None = None,
    sort: bool = False,
) -> Trace:
    """The requests of a run: a trace file, a file of rates (columns t_s,rps), or none: then a synthetic load.

    A trace shorter than `hours` is repeated; one that begins late is moved to the start. `rate` is a factor on the
    arrivals, `sort` puts unsorted ones in order. Raises InputError, UsageError.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise UsageError(f"a rate factor of {rate:g}", remedy="Use 2 for twice the arrivals")
    if hours is not None:
        _check_hours(hours)
    if path is None:
        return _synthetic(site, rate, seed, DEFAULT_HOURS if hours is None else hours)
    if _is_rates(path):
        return trace_from_rate(path, seed, factor=rate, hours=hours)
    trace = _from_start(read_trace(path, sort=sort)).scaled(rate)
    if hours is not None and trace.span_s > 0 and hours * 3600.0 > trace.span_s * 1.01:
        trace = trace.repeat(int(np.ceil(hours * 3600.0 / trace.span_s)))
    return trace


def _synthetic(site: Site, rate: float, seed: int, hours: float) -> Trace:
    """A load that asks for SYNTHETIC_USE of what the site's pools can serve, times `rate`."""
    if not site.pools:
        raise _no_pools(site)
    wanted_rps = rate * SYNTHETIC_USE * _capacity_rps(site)
    count = wanted_rps * hours * 3600.0
    if count > MAX_REQUESTS:
        raise UsageError(
            f"{count:,.0f} synthetic requests",
            remedy=f"At most {MAX_REQUESTS:,}: take fewer hours or a lower --rate",
        )
    return synthetic(max(int(count), 2), wanted_rps, seed, urgent_share=0.1)


def _from_start(trace: Trace) -> Trace:
    """The trace with its first arrival at the start, where that is far off, such as in time since 1970."""
    first_s = float(trace.arrival_s[0])
    if first_s <= LATE_S:
        return trace
    said = f"the trace begins at {first_s:,.0f} s: the run begins there"
    return replace(trace, arrival_s=trace.arrival_s - first_s, notes=(*trace.notes, said))


def _at_rate(trace: Trace, factor: float) -> Trace:
    """The trace at a multiple of its rate, played again where it would end early; nothing at 0."""
    if factor == 0 or not len(trace):
        return trace.take(slice(0, 0))
    return trace.repeat(max(1, math.ceil(factor))).scaled(factor)


def _no_pools(site: Site) -> UsageError:
    return UsageError(
        f"site {site.name} serves no model", remedy="Describe a pool under `pools:` in its file"
    )


def _is_rates(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return {"t_s", "rps"} <= {name.strip() for name in file.readline().split(",")}
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="Give a CSV file that is there"
        ) from error


def _capacity_rps(site: Site) -> float:
    """Requests a second at which the first pool is saturated, were all requests of the usual chat lengths."""
    whole = sum(pool.share for pool in site.pools)
    return min(_pool_rps(site, pool) * whole / pool.share for pool in site.pools)


def _pool_rps(site: Site, pool: PoolSpec) -> float:
    deployment, count = site.deployment(pool), len(site.instances(pool))
    batch, step_s = saturated(deployment, plan_memory(deployment))
    if not pool.prefill_instances:
        return count * batch / step_s / ANSWER_TOKENS
    prompt_s = step_time_s(step_coefficients(deployment), PROMPT_TOKENS, PROMPT_TOKENS**2 / 2, 0.0, 0.0, 1.0)
    return min(
        pool.prefill_instances / prompt_s, (count - pool.prefill_instances) * batch / step_s / ANSWER_TOKENS
    )


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
        self.record = _Record(self.plant, plan.site, self.count)
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
_TOLD: dict[str, tuple[tuple[str, str], ...]] = {
    "rack": (("power_kw", "rack_kw"), ("inlet_temp_c", "inlet_temp_c")),
    "cdu": (("supply_temp_c", "supply_temp_c"), ("return_temp_c", "return_temp_c"), ("flow_lpm", "flow_lpm")),
    "ess": (("power_kw", "ess_kw"), ("soc_pct", "soc_pct")),
    "site": (("it_kw", "it_kw"), ("grid_kw", "grid_kw"), ("cooling_kw", "cooling_kw"), ("losses_kw", "losses_kw"),
             ("lights_kw", "lights_kw"), ("pue", "pue"), ("ess_kw", "ess_total_kw")),
}  # fmt: skip
"""Columns that a run keeps of every asset of a kind, and what the series is called."""


def facility_kw(site: Any) -> float:
    """IT, cooling, losses and lights, whatever feeds them: grid, storage or UPS batteries."""
    return float(sum(site[part] for part in ("it_kw", "cooling_kw", "losses_kw", "lights_kw")))


class _Record:
    """What is kept of each window: one row of a matrix."""

    def __init__(self, plant: Plant, site: Site, count: int) -> None:
        self._plant, self._site = plant, site
        self._keys: list[tuple[str, str]] = []
        self._columns: list[tuple[Any, str]] = []
        for kind, columns in _TOLD.items():
            names = [site.name] if kind == "site" else plant.store.names[kind]
            for column, metric in columns:
                self._columns.append((getattr(plant.store.tables, kind), column))
                self._keys += [(metric, name) for name in names]
        racks = plant.store.names["rack"]
        self._rack_of = plant.store.tables.gpu_node["rack"].astype(np.int64)
        self._keys += [("gpu_temp_c", name) for name in racks]
        self._racks = len(racks)
        self._own: dict[tuple[str, str], FloatArray] = {}
        self._matrix = np.zeros((count, len(self._keys)))
        self._count = count

    def keep(
        self,
        number: int,
        span_s: float,
        pools: list[PoolEngines],
        rows: list[list[int]],
        moments: list[Moment],
        serving: NDArray[np.int64],
    ) -> None:
        """The plant as it stands, and the pools over the window that ended."""
        nodes = self._plant.store.tables.gpu_node
        hottest = np.full(self._racks, -np.inf)
        np.maximum.at(hottest, self._rack_of, nodes["gpu_temp_c"])
        parts = [table[column] for table, column in self._columns]
        self._matrix[number] = np.concatenate([*parts, np.where(np.isfinite(hottest), hottest, np.nan)])
        for pool, mine, moment in zip(pools, rows, moments, strict=True):
            self._pool(number, pool.spec.name, {
                "queue": moment.queue, "running": moment.running, "kv_use_pct": 100 * moment.kv_share,
                "prefill_tokens_per_s": moment.prefill_tokens / span_s,
                "decode_tokens_per_s": moment.decode_tokens / span_s,
                "gpu_power_w": moment.energy_j / span_s / pool.gpu_count, "gpu_peak_w": moment.peak_w,
                "clock_mhz": float(nodes["clock_min_mhz"][mine].min()),
            })  # fmt: skip
        site = self._plant.store.tables.site[0]
        whole_kw = facility_kw(site)
        serving_kw = whole_kw * float(nodes["power_kw"][serving].sum() / max(nodes["power_kw"].sum(), 1e-9))
        self._pool(number, self._site.name, {
            "facility_kw": whole_kw, "serving_kw": serving_kw,
        })  # fmt: skip

    def _pool(self, number: int, asset: str, values: dict[str, float]) -> None:
        for metric, value in values.items():
            if (metric, asset) not in self._own:
                self._own[metric, asset] = np.full(self._count, np.nan)
            self._own[metric, asset][number] = value

    def series(self) -> dict[tuple[str, str], FloatArray]:
        """All that was kept, by metric and asset; what the site file did not name is left out."""
        kept = {key: self._matrix[:, place].copy() for place, key in enumerate(self._keys) if key[1]}
        return {**self._own, **kept}


def _highest_mean(values: FloatArray, length: int) -> float:
    """Highest mean of so many in a row; of all where there are fewer."""
    if len(values) <= length:
        return float(values.mean())
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return float(((sums[length:] - sums[:-length]) / length).max())
