"""Serving instances that can be run, paused, changed and fed: one (`Instance`), many (`Fleet`), or a whole trace
(`replay`). The compiled steps are in `kernel.py`.

Power is that of the accelerators alone; the node's CPUs and fans are the site's. Energy of an idle instance counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plant.inference import kernel as k
from plant.inference.cost import COEFFICIENTS as COST_NAMES
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.memory import MemoryPlan, plan_memory
from plant.inference.trace import Trace, make_trace
from plant.power.gpu import power_coefficients
from plant.power.use import use_coefficients
from setpoint.errors import ConfigError, UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Routing = Literal["round_robin", "least_loaded"]
_SUMS = ("BUSY_S", "U_COMPUTE_S", "U_MEMORY_S", "ENERGY_J", "ALLOCATED_S", "USED_S", "TTFT_SUM_S", "TPOT_SUM_S",
         "QUEUE_S", "RUNNING_S")  # fmt: skip
_COUNTS = ("PREFILL_TOKENS", "DECODE_TOKENS", "FIRST_TOKENS", "COMPLETED", "REJECTIONS", "PREEMPTIONS", "SWAPS",
           "RECOMPUTES", "PREFIX_HITS", "STEPS", "EVENTS", "EVICTIONS")  # fmt: skip


@dataclass(frozen=True)
class Window:
    """What each instance did in a span of time: arrays with one place an instance.

    A step that overlaps the end is parted by time (energy, busy time, use); its tokens count where it began.
    """

    start_s: float
    end_s: float
    busy_s: FloatArray
    prefill_tokens: IntArray
    decode_tokens: IntArray
    u_compute_s: FloatArray
    """Time integral of the achieved share of peak compute; divide by the length of the window for the mean."""
    u_memory_s: FloatArray
    energy_j: FloatArray
    """Of all accelerators of the instance."""
    peak_power_w: FloatArray
    queue: IntArray
    """Waiting at the end, swapped-out ones included."""
    running: IntArray
    kv_blocks: IntArray
    """Held by sequences at the end."""
    kv_share: FloatArray
    completed: IntArray
    rejected: IntArray
    preemptions: IntArray
    swaps: IntArray
    recomputes: IntArray
    first_tokens: IntArray
    """Requests that got their first token, and the sum of their waits."""
    ttft_sum_s: FloatArray
    tpot_sum_s: FloatArray
    """Sum over the completed ones of their mean time per token."""


class Fleet:
    """Instances that share a stream of requests. All state is in arrays; nothing is done between calls.

    `deployments`: one for each instance. `groups`: how many prefix groups may come. Raises ConfigError where a model
    does not fit.
    """

    def __init__(self, deployments: Sequence[Deployment], *, groups: int = 0, static: bool = False) -> None:
        if not deployments:
            raise ConfigError("no instance", remedy="Give at least one deployment")
        self.deployments = tuple(deployments)
        plans = {id(d): plan_memory(d) for d in self.deployments}
        self.memory = tuple(plans[id(d)] for d in self.deployments)
        self.now_s = 0.0
        self.count = 0
        self._rows = _make_rows(self.deployments, self.memory, max(groups, 1), static)
        self._exchange = self._rows.cost[:, COST_NAMES.index("exchange_s_per_token")].copy()
        self._requests = np.zeros(0, k.REQUEST)
        self._counts, self._sums = self._rows.n.copy(), self._rows.x.copy()

    def submit(
        self,
        trace: Trace,
        *,
        routing: Routing = "round_robin",
        reserve: IntArray | None = None,
        handed_s: FloatArray | None = None,
    ) -> None:
        """Adds requests, which may not arrive before those already submitted.

        `least_loaded` runs the fleet up to each arrival: what it does counts in the window that ends next, so submit
        no further than that. `reserve`: slots each takes at admission in place of paging.
        `handed_s`: when each had its first token elsewhere; its cache is placed, not computed.
        """
        if self.count and trace.arrival_s[0] < self._requests["arrival_s"][self.count - 1]:
            late, last = trace.arrival_s[0], self._requests["arrival_s"][self.count - 1]
            raise UsageError(
                f"a request arrives at {late:g} s, after one of {last:g} s was submitted",
                remedy="Submit in order",
            )
        first, last_one = self.count, self.count + len(trace)
        self._grow(last_one, int(trace.prefix_group.max(initial=-1)) + 1)
        _copy_in(self._requests, trace, first, reserve, handed_s)
        self.count = last_one
        deal = k.deal_to_least if routing == "least_loaded" else k.deal
        deal(self._requests, self._rows, first, last_one)

    def advance(
        self,
        until_s: float,
        clock_prefill_pu: float | FloatArray | None = None,
        clock_decode_pu: float | FloatArray | None = None,
    ) -> Window:
        """Runs all to `until_s` at these shares of the maximal clock (kept from the last call where None)."""
        n, x = self._rows.n, self._rows.x
        for place, clock in ((k.CLOCK_PREFILL, clock_prefill_pu), (k.CLOCK_DECODE, clock_decode_pu)):
            if clock is not None:
                if not np.all((np.asarray(clock) > 0) & (np.asarray(clock) <= 1.5)):
                    raise UsageError(f"clock {clock} is no share of the maximal clock", remedy="Use 0.1 to 1")
                x[:, place] = clock
        start_s = self.now_s
        k.advance(self._requests, self._rows, float(until_s))
        self.now_s = float(x[:, k.NOW_S].max()) if np.isinf(until_s) else float(until_s)
        window = self._window(start_s, n - self._counts, x - self._sums)
        x[:, k.PEAK_W] = 0.0
        self._counts, self._sums = n.copy(), x.copy()
        return window

    def finish(self) -> Window:
        """Runs until all submitted work is done; instances that end early idle until the last."""
        first = self.advance(np.inf)
        second = self.advance(self.now_s)
        return _join(first, second)

    def _window(self, start_s: float, counts: Any, sums: Any) -> Window:
        n, x = self._rows.n, self._rows.x
        held = n[:, k.PRIVATE] + n[:, k.SHARED_HELD]
        return Window(
            start_s=start_s, end_s=self.now_s, busy_s=sums[:, k.BUSY_S],
            prefill_tokens=counts[:, k.PREFILL_TOKENS], decode_tokens=counts[:, k.DECODE_TOKENS],
            u_compute_s=sums[:, k.U_COMPUTE_S], u_memory_s=sums[:, k.U_MEMORY_S], energy_j=sums[:, k.ENERGY_J],
            peak_power_w=x[:, k.PEAK_W].copy(), queue=n[:, k.QUEUE].copy(), running=n[:, k.RUNNING].copy(),
            kv_blocks=held, kv_share=held / n[:, k.BLOCKS], completed=counts[:, k.COMPLETED],
            rejected=counts[:, k.REJECTIONS], preemptions=counts[:, k.PREEMPTIONS], swaps=counts[:, k.SWAPS],
            recomputes=counts[:, k.RECOMPUTES], first_tokens=counts[:, k.FIRST_TOKENS],
            ttft_sum_s=sums[:, k.TTFT_SUM_S], tpot_sum_s=sums[:, k.TPOT_SUM_S],
        )  # fmt: skip

    def set_limits(
        self,
        *,
        max_batch: int | None = None,
        chunk_tokens: int | None = None,
        watermark_blocks: int | None = None,
        instances: Sequence[int] | None = None,
    ) -> None:
        """Changes the limits of some or all instances from the next step on; what runs is not put out.

        The batch can be lowered and raised again up to the deployment's. Raises UsageError for what cannot be.
        """
        which = list(range(len(self.deployments))) if instances is None else list(instances)
        n = self._rows.n
        for r in which:
            d, blocks = self.deployments[r], int(n[r, k.BLOCKS])
            limits = ((k.MAX_BATCH, max_batch, 1, min(d.max_batch, d.chunk_tokens), "max_batch"),
                      (k.CHUNK, chunk_tokens, int(max_batch or n[r, k.MAX_BATCH]), 1 << 20, "chunk_tokens"),
                      (k.WATERMARK, watermark_blocks, 0, blocks // 2, "watermark_blocks"))  # fmt: skip
            for _, value, least, most, name in limits:
                if value is not None and not least <= value <= most:
                    raise UsageError(f"{name} {value} is out of bounds", remedy=f"Use {least} to {most}")
            for place, value, *_ in limits:
                if value is not None:
                    n[r, place] = value

    def take_out(self, instances: Sequence[int]) -> IntArray:
        """Stops these instances, as when a node is lost: what they hold is gone. Returns the places of the requests
        they had not finished, withdrawn, for whoever sends them again."""
        q, rows = self._requests, self._rows
        mine = np.isin(q["instance"][: self.count], list(instances))
        open_ones = ~np.isin(q["status"][: self.count], (k.DONE, k.REJECTED, k.WITHDRAWN))
        places = np.flatnonzero(mine & open_ones)
        q["status"][places] = k.WITHDRAWN
        for r in instances:
            kept = {name: rows.n[r, k.INTS.index(name)] for name in (*_COUNTS, "PEAK_BLOCKS", "STEP")}
            limits = {
                name: rows.n[r, k.INTS.index(name)] for name in ("MAX_BATCH", "CHUNK", "WATERMARK", "STATIC")
            }
            rows.n[r] = 0
            _fill_row(rows.n[r], rows.x[r].copy(), self.deployments[r], self.memory[r], False)
            for name, value in {**kept, **limits}.items():
                rows.n[r, k.INTS.index(name)] = value
            rows.n[r, k.ASSIGNED] = kept["COMPLETED"] + kept["REJECTIONS"]
            rows.n[r, k.OUT] = 1
            rows.phase[r] = 0
            rows.prefix[r] = _no_prefixes(1, rows.prefix.shape[1])[0]
            rows.x[r, k.SPILL_S] = 0.0
        return places

    def put_back(self, instances: Sequence[int]) -> None:
        """Lets stopped instances serve again, with an empty cache."""
        self._rows.n[list(instances), k.OUT] = 0

    def slow_exchange(self, factors: FloatArray) -> None:
        """Time of exchange between the accelerators of each instance, over the usual: worn or congested links."""
        place = COST_NAMES.index("exchange_s_per_token")
        self._rows.cost[:, place] = self._exchange * factors

    def drain(self, instances: Sequence[int] | None = None) -> Trace | None:
        """Takes back what has not begun on these instances (None: nothing); what runs or is swapped out goes on."""
        which = list(range(len(self.deployments))) if instances is None else list(instances)
        q, n, x = self._requests, self._rows.n, self._rows.x
        status = q["status"][: self.count]
        back = np.isin(q["instance"][: self.count], which) & (
            (status == k.FUTURE) | ((status == k.WAITING) & (q["generated"][: self.count] == 0))
        )
        places = np.flatnonzero(back)
        withdrawn = self._trace(places) if len(places) else None
        q["status"][places] = k.WITHDRAWN
        q["finish_s"][places] = np.nan
        for r in which:
            _rebuild_queue(q, n[r], float(x[r, k.NOW_S]), np.flatnonzero(q["instance"][: self.count] == r))
        return withdrawn

    def _trace(self, places: IntArray) -> Trace:
        q = self._requests
        return make_trace(
            q["arrival_s"][places], q["prompt"][places], q["output"][places], priority=q["priority"][places],
            prefix_tokens=q["prefix"][places], prefix_group=q["group"][places], name="withdrawn",
        )  # fmt: skip

    def requests(self, name: str) -> NDArray[Any]:
        """One field of `kernel.REQUEST` over what was submitted; a view, not to be written to."""
        return self._requests[name][: self.count]

    def counter(self, name: str) -> IntArray:
        """One integer of `kernel.INTS` of each instance, since the start."""
        found: IntArray = self._rows.n[:, k.INTS.index(name)].copy()
        return found

    def total(self, name: str) -> FloatArray:
        """One real of `kernel.REALS` of each instance, since the start."""
        found: FloatArray = self._rows.x[:, k.REALS.index(name)].copy()
        return found

    def _grow(self, count: int, groups: int) -> None:
        have = len(self._requests)
        if count > have:
            larger = np.zeros(max(count, 2 * have), k.REQUEST)
            larger[: self.count] = self._requests[: self.count]
            self._requests = larger
        rows, known = self._rows.prefix.shape
        if groups > known:
            wider = _no_prefixes(rows, max(groups, 2 * known))
            wider[:, :known] = self._rows.prefix
            self._rows = self._rows._replace(prefix=wider)


class Instance:
    """One serving instance: a fleet of one, with plain numbers in place of arrays (see `Window`)."""

    def __init__(self, deployment: Deployment, trace: Trace | None = None, *, groups: int = 0) -> None:
        self.fleet = Fleet([deployment], groups=groups)
        if trace is not None:
            self.submit(trace)

    def submit(self, trace: Trace) -> None:
        """Adds requests, in order of arrival."""
        self.fleet.submit(trace)

    def advance(
        self, until_s: float, clock_prefill_pu: float = 1.0, clock_decode_pu: float | None = None
    ) -> Window:
        """Runs to `until_s`; the clock of decode is that of prefill where not given."""
        decode_pu = clock_prefill_pu if clock_decode_pu is None else clock_decode_pu
        return self.fleet.advance(until_s, clock_prefill_pu, decode_pu)

    def set_limits(
        self,
        *,
        max_batch: int | None = None,
        chunk_tokens: int | None = None,
        watermark_blocks: int | None = None,
    ) -> None:
        """See `Fleet.set_limits`."""
        self.fleet.set_limits(
            max_batch=max_batch, chunk_tokens=chunk_tokens, watermark_blocks=watermark_blocks
        )

    def drain(self) -> Trace | None:
        """See `Fleet.drain`."""
        return self.fleet.drain()


@dataclass(frozen=True)
class Series:
    """Means over spans of equal length, summed over instances."""

    end_s: FloatArray
    power_w: FloatArray
    u_compute: FloatArray
    """Mean over instances, as u_memory and kv_share."""
    u_memory: FloatArray
    prefill_tps: FloatArray
    decode_tps: FloatArray
    queue: FloatArray
    running: FloatArray
    kv_share: FloatArray


@dataclass(frozen=True)
class Replay:
    """A trace served: one place a request, in the order of arrival, NaN where it was rejected; and the counts."""

    ttft_s: FloatArray
    tpot_s: FloatArray
    """Mean time per token after the first; NaN for an answer of one token."""
    e2e_s: FloatArray
    finish_s: FloatArray
    preempted: IntArray
    """How often each was put out."""
    instance: IntArray
    completed: int
    rejected: int
    """Longer than max_len, or than the pool."""
    preemptions: int
    swaps: int
    recomputes: int
    prefix_hit_tokens: int
    evictions: int
    prefill_tokens: int
    decode_tokens: int
    steps: int
    events: int
    """Calls of the scheduler; the steps between were jumped over."""
    peak_blocks: int
    """Of the fullest instance."""
    blocks: int
    """Of one instance's pool."""
    kv_waste: float
    """Share of allocated slots that hold no token, mean over time."""
    energy_j: float
    """Of all accelerators, to the last completion."""
    peak_power_w: float
    """Sum over instances of their peaks."""
    busy_share: float
    mean_batch: float
    """Sequences in the batch of an instance, mean over its busy time."""
    mean_queue: float
    """Requests waiting on an instance, mean over its busy time."""
    span_s: float
    """From 0 to the last completion."""
    series: Series | None = field(default=None, repr=False)

    @property
    def tokens_per_s(self) -> float:
        """Answer tokens a second."""
        return (self.decode_tokens + self.completed) / self.span_s if self.span_s else 0.0

    @property
    def requests_per_s(self) -> float:
        return self.completed / self.span_s if self.span_s else 0.0

    def percentiles(self, shares: Sequence[float] = (50, 90, 99)) -> dict[str, dict[str, float]]:
        """Mean and percentiles of TTFT, TPOT and end-to-end time in seconds; NaN where nothing completed."""
        out = {}
        for name, values in (("ttft_s", self.ttft_s), ("tpot_s", self.tpot_s), ("e2e_s", self.e2e_s)):
            good = values[np.isfinite(values)]
            found = np.percentile(good, list(shares)) if len(good) else np.full(len(list(shares)), np.nan)
            out[name] = {"mean": float(good.mean()) if len(good) else float("nan")}
            out[name] |= {f"p{share:g}": float(v) for share, v in zip(shares, found, strict=True)}
        return out


def replay(
    deployment: Deployment,
    trace: Trace,
    replicas: int = 1,
    routing: Routing = "round_robin",
    *,
    clock_prefill_pu: float = 1.0,
    clock_decode_pu: float = 1.0,
    resolution_s: float | None = None,
    prefill_instances: int = 0,
    decode_instances: int = 0,
    decode_deployment: Deployment | None = None,
    reserve: IntArray | None = None,
    static: bool = False,
) -> Replay:
    """Serves a whole trace to its end.

    With `prefill_instances` and `decode_instances` (both, in place of `replicas`) prompts are computed apart: the
    cache follows layer by layer over the network (`decode_deployment`: other hardware for decode). `resolution_s`:
    also a time series. `reserve`, `static`: see `plant.inference.alternatives`.
    """
    if prefill_instances or decode_instances:
        if reserve is not None or static or resolution_s is not None:
            raise UsageError("a split replay has no reserve, static or series", remedy="Leave them out")
        return _replay_apart(
            deployment, decode_deployment or deployment, trace, (prefill_instances, decode_instances), routing,
            (clock_prefill_pu, clock_decode_pu),
        )  # fmt: skip
    if replicas < 1:
        raise UsageError(f"{replicas} replicas", remedy="Use 1 or more")
    fleet = Fleet([deployment] * replicas, static=static)
    fleet.advance(0.0, clock_prefill_pu, clock_decode_pu)
    series = None
    if resolution_s is None:
        fleet.submit(trace, routing=routing, reserve=reserve)
        fleet.finish()
    else:
        series = _series(_windows(fleet, trace, routing, reserve, resolution_s), resolution_s)
    first_s, finish_s = fleet.requests("first_s"), fleet.requests("finish_s")
    return _summary((fleet,), trace, first_s, finish_s, fleet.requests("preempted").astype(np.int64), series)


def transfer_s(
    prefill: Deployment, decode: Deployment, tokens: FloatArray, prefill_s: FloatArray
) -> FloatArray:
    """Seconds the cache of each prompt comes after its first token, sent layer by layer while later layers compute.

    All accelerators of the slower side send at once. At least the last layer's share comes after:
    max(size / (L rate), size / rate - compute (L - 1) / L). Source: Splitwise (arXiv 2311.18677), section on
    optimised KV-cache transfer.
    """
    rate = min(p.gpus * p.gpu.network_bytes_per_s for p in (prefill, decode))
    layers = prefill.model.layers
    send_s = tokens * prefill.model.kv_bytes_per_token(prefill.kv) / rate
    return np.maximum(send_s / layers, send_s - prefill_s * (layers - 1) / layers)


def _replay_apart(
    first: Deployment, then: Deployment, trace: Trace, counts: tuple[int, int], routing: Routing,
    clocks: tuple[float, float],
) -> Replay:  # fmt: skip
    if min(counts) < 1:
        raise UsageError(
            f"{counts[0]} prefill and {counts[1]} decode instances", remedy="Give at least one of each"
        )
    prefill, decode = Fleet([first] * counts[0]), Fleet([then] * counts[1])
    for fleet in (prefill, decode):
        fleet.advance(0.0, *clocks)
    ones = np.ones(len(trace), np.int64)
    prompts = Trace(trace.arrival_s, trace.prompt_tokens, ones, trace.priority, trace.prefix_tokens,
                    trace.prefix_group, trace.name)  # fmt: skip
    prefill.submit(prompts, routing=routing)
    prefill.finish()
    first_s = prefill.requests("first_s").copy()
    alone_s = _prompt_alone_s(first, trace.prompt_tokens, clocks[0])
    there_s = first_s + transfer_s(first, then, trace.prompt_tokens.astype(np.float64), alone_s)
    more = np.flatnonzero(np.isfinite(there_s) & (trace.output_tokens > 1))
    order = more[np.argsort(there_s[more], kind="stable")]
    finish_s, preempted = first_s.copy(), prefill.requests("preempted").astype(np.int64)
    if len(order):
        handed = trace.take(order)
        arrived = Trace(there_s[order], handed.prompt_tokens, handed.output_tokens, handed.priority,
                        np.zeros(len(order), np.int64), np.full(len(order), -1), trace.name)  # fmt: skip
        decode.submit(arrived, routing=routing, handed_s=first_s[order])
        decode.finish()
        finish_s[order] = decode.requests("finish_s")
        preempted[order] += decode.requests("preempted")
    end_s = max(prefill.now_s, decode.now_s)
    for fleet in (prefill, decode):
        fleet.advance(end_s)
    return _summary((prefill, decode), trace, first_s, finish_s, preempted)


def _prompt_alone_s(d: Deployment, tokens: IntArray, clock_pu: float) -> FloatArray:
    """Seconds each prompt takes by itself, for the overlap of its transfer."""
    c = step_coefficients(d)
    lengths, inverse = np.unique(tokens, return_inverse=True)
    once = [float(step_time_s(c, float(t), t * t / 2.0, 0.0, 0.0, clock_pu)) for t in lengths]
    return np.array(once)[inverse]


def _windows(
    fleet: Fleet, trace: Trace, routing: Routing, reserve: IntArray | None, resolution_s: float
) -> list[Window]:
    """Serves the trace in spans of `resolution_s`, each given its arrivals when it begins."""
    if not resolution_s > 0:
        raise UsageError(f"a resolution of {resolution_s} s", remedy="Use 1 for a point a second")
    windows, first = [], 0
    while first < len(trace) or _open(fleet):
        until_s = fleet.now_s + resolution_s
        last = int(np.searchsorted(trace.arrival_s, until_s))
        if last > first:
            part = slice(first, last)
            fleet.submit(
                trace.take(part), routing=routing, reserve=None if reserve is None else reserve[part]
            )
            first = last
        windows.append(fleet.advance(until_s))
    return windows


def _open(fleet: Fleet) -> int:
    """Requests that are neither completed nor rejected."""
    return fleet.count - int(fleet.counter("COMPLETED").sum() + fleet.counter("REJECTIONS").sum())


def _summary(
    fleets: tuple[Fleet, ...], trace: Trace, first_s: FloatArray, finish_s: FloatArray, preempted: IntArray,
    series: Series | None = None,
) -> Replay:  # fmt: skip
    def counted(name: str) -> int:
        return int(sum(f.counter(name).sum() for f in fleets))

    def summed(name: str) -> float:
        return float(sum(f.total(name).sum() for f in fleets))

    after = np.maximum(trace.output_tokens - 1, 1)
    tpot_s = np.where(trace.output_tokens > 1, (finish_s - first_s) / after, np.nan)
    end_s = float(np.nanmax(finish_s)) if np.isfinite(finish_s).any() else 0.0
    rows = sum(len(f.deployments) for f in fleets)
    allocated, busy_s = summed("ALLOCATED_S"), max(summed("BUSY_S"), 1e-12)
    return Replay(
        ttft_s=first_s - trace.arrival_s, tpot_s=tpot_s, e2e_s=finish_s - trace.arrival_s, finish_s=finish_s,
        preempted=preempted, instance=fleets[0].requests("instance").astype(np.int64),
        completed=int(np.isfinite(finish_s).sum()), rejected=counted("REJECTIONS"),
        preemptions=counted("PREEMPTIONS"), swaps=counted("SWAPS"), recomputes=counted("RECOMPUTES"),
        prefix_hit_tokens=counted("PREFIX_HITS"), evictions=counted("EVICTIONS"),
        prefill_tokens=counted("PREFILL_TOKENS"), decode_tokens=counted("DECODE_TOKENS"), steps=counted("STEPS"),
        events=counted("EVENTS"), peak_blocks=int(max(f.counter("PEAK_BLOCKS").max() for f in fleets)),
        blocks=fleets[-1].memory[0].blocks, kv_waste=1.0 - summed("USED_S") / allocated if allocated else 0.0,
        energy_j=summed("ENERGY_J"), peak_power_w=summed("TOP_W"),
        busy_share=summed("BUSY_S") / (rows * max(f.now_s for f in fleets)) if end_s else 0.0,
        mean_batch=summed("RUNNING_S") / busy_s, mean_queue=summed("QUEUE_S") / busy_s, span_s=end_s,
        series=series,
    )  # fmt: skip


def _series(windows: list[Window], resolution_s: float) -> Series:
    def over(name: str, how: Any = np.sum, scale: float = 1.0) -> FloatArray:
        return np.array([float(how(getattr(w, name))) * scale for w in windows])

    per_s = 1.0 / resolution_s
    return Series(
        end_s=np.array([w.end_s for w in windows]), power_w=over("energy_j", scale=per_s),
        u_compute=over("u_compute_s", np.mean, per_s), u_memory=over("u_memory_s", np.mean, per_s),
        prefill_tps=over("prefill_tokens", scale=per_s), decode_tps=over("decode_tokens", scale=per_s),
        queue=over("queue"), running=over("running"), kv_share=over("kv_share", np.mean),
    )  # fmt: skip


def _join(first: Window, second: Window) -> Window:
    """Two windows that follow one another, as one."""
    state = ("queue", "running", "kv_blocks", "kv_share", "end_s")
    joined = {}
    for name in first.__dataclass_fields__:
        a, b = getattr(first, name), getattr(second, name)
        if name == "start_s":
            joined[name] = a
        elif name in state:
            joined[name] = b
        else:
            joined[name] = np.maximum(a, b) if name == "peak_power_w" else a + b
    return Window(**joined)


def _make_rows(
    deployments: Sequence[Deployment], plans: Sequence[MemoryPlan], groups: int, static: bool
) -> k.Rows:
    count = len(deployments)
    batch = max(min(d.max_batch, d.chunk_tokens) for d in deployments)
    n = np.zeros((count, len(k.INTS)), np.int64)
    x = np.zeros((count, len(k.REALS)), np.float64)
    for r, (d, plan) in enumerate(zip(deployments, plans, strict=True)):
        _fill_row(n[r], x[r], d, plan, static)
    costs, uses, powers = _by_deployment(deployments)
    return k.Rows(
        n=n, x=x, cost=costs, use=uses, power=powers, run=np.zeros((count, batch), np.int32),
        pre=np.zeros((count, batch), np.int32),
        phase=np.zeros((count, max(d.block_tokens for d in deployments)), np.int64),
        prefix=_no_prefixes(count, groups),
    )  # fmt: skip


def _by_deployment(deployments: Sequence[Deployment]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cost, use and power vectors, one row an instance; each deployment is asked once."""
    distinct = {id(d): d for d in deployments}
    vectors = {
        key: (step_coefficients(d), use_coefficients(d), power_coefficients(d.gpu))
        for key, d in distinct.items()
    }
    cost, use, power = (np.array([vectors[id(d)][place] for d in deployments]) for place in range(3))
    return cost, use, power


def _fill_row(n: Any, x: Any, d: Deployment, plan: MemoryPlan, static: bool) -> None:
    empty = (k.INBOX_HEAD, k.INBOX_TAIL, k.WAIT_ROOT, k.LRU_HEAD, k.LRU_TAIL)
    n[list(empty)] = -1
    n[k.NEXT_END] = k.NEVER
    n[k.BLOCKS] = n[k.FREE] = plan.blocks
    n[k.CPU_FREE] = plan.cpu_blocks
    n[k.WATERMARK] = plan.watermark_blocks
    n[k.BLOCK], n[k.CHUNK], n[k.MAX_LEN] = d.block_tokens, d.chunk_tokens, d.max_len
    n[k.MAX_BATCH] = min(d.max_batch, d.chunk_tokens)
    n[k.SHARING], n[k.STATIC], n[k.GPUS] = int(d.prefix_sharing), int(static), d.gpus
    x[k.CLOCK_PREFILL] = x[k.CLOCK_DECODE] = 1.0
    x[k.COPY_S], x[k.LOAD_S] = plan.copy_s, plan.load_s


def _no_prefixes(count: int, groups: int) -> Any:
    prefixes = np.zeros((count, groups), k.PREFIX)
    prefixes["newer"] = prefixes["older"] = -1
    return prefixes


def _copy_in(q: Any, trace: Trace, first: int, reserve: IntArray | None, handed_s: FloatArray | None) -> None:
    new = q[first : first + len(trace)]
    given = {
        "arrival_s": trace.arrival_s, "prompt": trace.prompt_tokens, "output": trace.output_tokens,
        "priority": trace.priority, "prefix": trace.prefix_tokens, "group": trace.prefix_group,
        "reserve": 0 if reserve is None else reserve, "status": k.FUTURE if handed_s is None else k.HANDED,
        "generated": 0 if handed_s is None else 1, "first_s": np.nan if handed_s is None else handed_s,
        "finish_s": np.nan, "base": 0, "done": 0, "depth": 0, "end_step": 0, "preempted": 0,
        "link": -1, "left": -1, "right": -1,
    }  # fmt: skip
    for name, values in given.items():
        new[name] = values


def _rebuild_queue(q: Any, n: Any, now_s: float, mine: IntArray) -> None:
    """The inbox and the waiting heap of one instance after some were withdrawn."""
    n[[k.INBOX_HEAD, k.INBOX_TAIL, k.WAIT_ROOT]] = -1
    n[k.ASSIGNED] = int((q["status"][mine] != k.WITHDRAWN).sum())
    here = np.isin(q["status"][mine], (k.WAITING, k.SWAPPED, k.HANDED))
    came = q["arrival_s"][mine] <= now_s
    waiting, coming = mine[here & came], mine[here & ~came]
    n[k.QUEUE] = len(waiting)
    # In rising order of service each is the left child of the one before: a heap.
    order = waiting[np.lexsort((waiting, q["priority"][waiting]))]
    for chain, link, head in ((order, "left", k.WAIT_ROOT), (coming, "link", k.INBOX_HEAD)):
        if len(chain):
            q[link][chain[:-1]] = chain[1:]
            q[link][chain[-1]] = -1
            n[head] = chain[0]
    q["right"][order] = -1
    if len(coming):
        n[k.INBOX_TAIL] = coming[-1]
