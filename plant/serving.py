"""The pools of a site as fleets of engines: who serves what on which nodes, and what that asks of each node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.engine import Fleet, FloatArray, IntArray, Window, transfer_s
from plant.inference.trace import Trace
from plant.run import PoolServed
from plant.site import Site
from plant.specs import NodeSpec, PoolSpec

_GOLDEN = (5**0.5 - 1) / 2
_FIELDS = ("arrival_s", "prompt_tokens", "output_tokens", "priority", "prefix_tokens", "prefix_group")


@dataclass(frozen=True)
class NodeLoad:
    """What the accelerators of one node do, as means over a window and over all of its accelerators."""

    busy: float
    """Share of time in kernels."""
    u_compute: float
    """Achieved share of peak compute while busy."""
    u_memory: float
    power_w: float
    """Of one accelerator."""


@dataclass(frozen=True)
class Moment:
    """A pool at the end of a window, and its means over it."""

    loads: tuple[NodeLoad, ...]
    """One a node, in the pool's order."""
    queue: int
    running: int
    kv_share: float
    """Of the fullest instance."""
    prefill_tokens: int
    decode_tokens: int
    energy_j: float
    """Of the accelerators."""
    peak_w: float
    """Of one accelerator, at the highest step in the window."""
    ttft_ms: float
    """Mean of those that got their first token in it; NaN where none did."""


class PoolEngines:
    """One pool: its instances, the nodes they stand on, and the part of the trace they serve.

    A disaggregated pool has two fleets: prompts are computed by the first, their caches follow over the network to
    the second, which decodes.
    """

    def __init__(self, site: Site, spec: PoolSpec, trace: Trace) -> None:
        self.spec, self.trace, self.nodes = spec, trace, spec.nodes
        instances = site.instances(spec)
        roles = [instance.role for instance in instances]
        self.split = "prefill" in roles
        self.deployment = site.deployment(spec, "prefill" if self.split else "both")
        self._decode = site.deployment(spec, "decode") if self.split else self.deployment
        gpus_of_node = np.array([site.spec(node, NodeSpec).gpus for node in spec.nodes])
        self.share = np.zeros((len(instances), len(spec.nodes)))
        """Share of each node's accelerators that each instance holds."""
        for row, instance in enumerate(instances):
            for node, count in instance.gpus:
                self.share[row, spec.nodes.index(node)] = count / gpus_of_node[spec.nodes.index(node)]
        first = roles.count("prefill") if self.split else len(instances)
        groups = int(trace.prefix_group.max(initial=-1)) + 1
        self.fleets = [Fleet([self.deployment] * first, groups=groups)]
        if self.split:
            self.fleets.append(Fleet([self._decode] * (len(instances) - first)))
        self.out = np.zeros(len(instances), bool)
        """Instances that serve nothing now."""
        self.rate = self.prompt = 1.0
        """Factors on what arrives from now on: its rate, and the length of its prompts."""
        self._next = 0
        self._log = {name: _Growing(getattr(trace, name).dtype) for name in _FIELDS}
        self._attempts = [_Growing(np.dtype(np.int64)) for _ in self.fleets]
        self._told = np.zeros(0, bool)
        """Attempts of the first fleet whose cache is on its way or there."""
        self._under_way: list[tuple[float, int]] = []

    @property
    def gpu_count(self) -> int:
        return len(self.share) * self.deployment.gpus

    @property
    def _sent(self) -> Trace:
        """All requests that arrived, the first attempt of each."""
        log = [self._log[name].values for name in _FIELDS]
        return Trace(log[0], log[1], log[2], log[3], log[4], log[5], self.trace.name)

    @property
    def _origin(self) -> list[IntArray]:
        """Of each attempt of each fleet, the place of its request in `_sent`."""
        return [attempts.values for attempts in self._attempts]

    def advance(self, until_s: float, prefill_pu: FloatArray, decode_pu: FloatArray) -> Moment:
        """Takes in what arrives before `until_s` and runs to there. Clocks are by node, as shares of the maximum."""
        end = int(np.searchsorted(self.trace.arrival_s, until_s, side="left"))
        new = self._shaped(slice(self._next, end))
        self._next = end
        if len(new):
            known = len(self._log["arrival_s"].values)
            for name in _FIELDS:
                self._log[name].add(getattr(new, name))
            self._send(new, np.arange(known, known + len(new)))
        clocks = self._slowest(prefill_pu), self._slowest(decode_pu)
        first, count = self.fleets[0], len(self.fleets[0].deployments)
        windows = [first.advance(until_s, clocks[0][:count], clocks[1][:count])]
        if self.split:
            self._hand_over(until_s, float(clocks[0][:count].mean()))
            windows.append(self.fleets[1].advance(until_s, clocks[0][count:], clocks[1][count:]))
        return self._moment(windows)

    def _shaped(self, part: slice) -> Trace:
        """The arrivals of a window under the factors in force."""
        new = self.trace.take(part)
        if self.rate != 1.0:
            spread = (np.arange(part.start, part.stop) * _GOLDEN) % 1.0
            new = new.take(np.repeat(np.arange(len(new)), np.floor(self.rate + spread).astype(np.int64)))
        if self.prompt != 1.0:
            most = np.maximum(self.deployment.max_len - new.output_tokens, 1)
            longer = np.clip((new.prompt_tokens * self.prompt).astype(np.int64), 1, most)
            new = replace(new, prompt_tokens=longer)
        return new

    def _send(self, new: Trace, places: IntArray) -> None:
        self.fleets[0].submit(_prompts(new) if self.split else new, routing="least_loaded")
        self._attempts[0].add(places)

    def set_out(self, nodes_out: NDArray[np.bool_], now_s: float) -> None:
        """Instances with a node that does not serve stop; their unfinished requests are sent again to the others."""
        out = (self.share > 0) @ nodes_out.astype(float) > 0
        if (out == self.out).all():
            return
        again: list[NDArray[np.int64]] = []
        begin = 0
        for fleet, origin in zip(self.fleets, self._origin, strict=True):
            mine = slice(begin, begin + len(fleet.deployments))
            begin = mine.stop
            lost = np.flatnonzero(out[mine] & ~self.out[mine])
            fleet.put_back(np.flatnonzero(~out[mine] & self.out[mine]).tolist())
            if len(lost):
                again.append(origin[fleet.take_out(lost.tolist())])
        self.out = out
        places = np.unique(np.concatenate(again)) if again else np.zeros(0, np.int64)
        if len(places):
            part = self._sent.take(places)
            self._send(replace(part, arrival_s=np.full(len(part), now_s)), places)

    def slow_exchange(self, by_node: FloatArray) -> None:
        """Time of exchange over the usual, by node; an instance waits for its slowest."""
        slowest = np.where(self.share > 0, by_node, 0.0).max(axis=1)
        begin = 0
        for fleet in self.fleets:
            fleet.slow_exchange(slowest[begin : begin + len(fleet.deployments)])
            begin += len(fleet.deployments)

    def _slowest(self, by_node: FloatArray) -> FloatArray:
        """Of the nodes each instance stands on: a step ends when the last accelerator has finished."""
        slowest: FloatArray = np.where(self.share > 0, by_node, np.inf).min(axis=1)
        return slowest

    def _hand_over(self, until_s: float, clock_pu: float) -> None:
        """Sends the caches of prompts that are done; those that have arrived by then decode."""
        first_s, origin = self.fleets[0].requests("first_s"), self._origin[0]
        self._told = np.concatenate([self._told, np.zeros(len(first_s) - len(self._told), bool)])
        done = np.flatnonzero(np.isfinite(first_s) & ~self._told)
        self._told[done] = True
        done = done[self._sent.output_tokens[origin[done]] > 1]
        if len(done):
            tokens = self._sent.prompt_tokens[origin[done]].astype(np.float64)
            c = step_coefficients(self.deployment)
            alone_s = np.array([step_time_s(c, t, t * t / 2, 0.0, 0.0, clock_pu) for t in tokens])
            there_s = first_s[done] + transfer_s(self.deployment, self._decode, tokens, alone_s)
            self._under_way += zip(there_s.tolist(), done.tolist(), strict=True)
        self._under_way.sort()
        ready = [one for one in self._under_way if one[0] < until_s]
        self._under_way = self._under_way[len(ready) :]
        if ready:
            at_s, which = np.array([one[0] for one in ready]), np.array([one[1] for one in ready])
            part = self._sent.take(origin[which])
            handed = Trace(at_s, part.prompt_tokens, part.output_tokens, part.priority, np.zeros(len(which), np.int64),
                           np.full(len(which), -1), self.trace.name)  # fmt: skip
            self.fleets[1].submit(handed, routing="least_loaded", handed_s=first_s[which])
            self._attempts[1].add(origin[which])

    def limit(
        self,
        max_batch: float | None = None,
        chunk_tokens: float | None = None,
        kv_watermark_pct: float | None = None,
    ) -> None:
        """Engine limits from the next step on, held within what the engines can do."""
        d = self.deployment
        batch = None if max_batch is None else min(max(int(max_batch), 1), d.max_batch)
        chunk = None if chunk_tokens is None else max(int(chunk_tokens), batch or 1)
        for fleet in self.fleets:
            blocks = fleet.memory[0].blocks
            kept = None
            if kv_watermark_pct is not None:
                kept = min(int((1 - kv_watermark_pct / 100) * blocks), blocks // 2)
            fleet.set_limits(max_batch=batch, chunk_tokens=chunk, watermark_blocks=kept)

    def _moment(self, windows: Sequence[Window]) -> Moment:
        span_s = max(windows[0].end_s - windows[0].start_s, 1e-9)

        def rows(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(window, name) for window in windows])

        parts = self.share.T
        busy = np.minimum(parts @ (rows("busy_s") / span_s), 1.0)
        whole = np.where(busy > 0, busy, 1.0) * span_s
        uses = parts @ rows("u_compute_s") / whole, parts @ rows("u_memory_s") / whole
        idle_w = self.deployment.gpu.idle_w * (1.0 - parts.sum(axis=1))
        power_w = parts @ (rows("energy_j") / span_s) / self.deployment.gpus + idle_w
        firsts = int(windows[0].first_tokens.sum())
        waited_s = float(windows[0].ttft_sum_s.sum())
        return Moment(
            ttft_ms=1000 * waited_s / firsts if firsts else float("nan"),
            loads=tuple(NodeLoad(*map(float, one)) for one in zip(busy, *uses, power_w, strict=True)),
            queue=int(rows("queue").sum()) + self._stranded(),
            running=int(rows("running").sum()),
            kv_share=float(rows("kv_share").max()),
            prefill_tokens=int(rows("prefill_tokens").sum()),
            decode_tokens=int(rows("decode_tokens").sum() + windows[0].first_tokens.sum()),
            energy_j=float(rows("energy_j").sum()),
            peak_w=float(rows("peak_power_w").max()) / self.deployment.gpus,
        )

    def _stranded(self) -> int:
        """Requests dealt to instances that are out: they wait like those in a queue."""
        begin, count = 0, 0
        for fleet in self.fleets:
            out = self.out[begin : begin + len(fleet.deployments)]
            begin += len(out)
            if out.any():
                left = fleet.counter("ASSIGNED") - fleet.counter("COMPLETED") - fleet.counter("REJECTIONS")
                count += int((left - fleet.counter("QUEUE"))[out].sum())
        return count

    def times(self) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """Arrival, first token, finish (NaN where not yet) and output tokens of all that arrived. Of a request sent
        again the first first token counts, and the finish of the attempt that finished."""
        first_s, finish_s = (np.full(len(self._sent), np.nan) for _ in range(2))
        np.fmin.at(first_s, self._origin[0], self.fleets[0].requests("first_s"))
        np.fmax.at(finish_s, self._origin[-1], self.fleets[-1].requests("finish_s"))
        output = self._sent.output_tokens
        if self.split:
            finish_s = np.where(output == 1, first_s, finish_s)
        return self._sent.arrival_s, first_s, finish_s, output

    def served(self, end_s: float) -> PoolServed:
        """What the pool did from the start to `end_s`."""
        spec, d = self.spec, self.deployment
        arrival_s, first_s, finish_s, output = self.times()
        done = np.isfinite(finish_s)
        ttft_ms = 1000 * (first_s - arrival_s)[done]
        tpot_ms = 1000 * ((finish_s - first_s) / np.maximum(output - 1, 1))[done]
        met = (ttft_ms <= spec.ttft_slo_ms) & ((tpot_ms <= spec.tpot_slo_ms) | (output[done] == 1))
        overdue = ~np.isfinite(first_s) & (end_s - arrival_s > spec.ttft_slo_ms / 1000)
        counted = int(done.sum()) + int(overdue.sum())
        allocated, used = self._total("ALLOCATED_S"), self._total("USED_S")
        tokens = int(self._count("DECODE_TOKENS") + self.fleets[0].counter("FIRST_TOKENS").sum())
        rejected = int(self._count("REJECTIONS"))
        many = tpot_ms[output[done] > 1]
        return PoolServed(
            name=spec.name, model=d.model.name, gpu=d.gpu.name, instances=len(self.share), arrived=len(arrival_s),
            completed=int(done.sum()), rejected=rejected, unfinished=len(arrival_s) - int(done.sum()) - rejected,
            ttft_p50_ms=percentile(ttft_ms, 50), ttft_p99_ms=percentile(ttft_ms, 99),
            tpot_p50_ms=percentile(many, 50), tpot_p99_ms=percentile(many, 99),
            e2e_p50_s=percentile((finish_s - arrival_s)[done], 50),
            e2e_p99_s=percentile((finish_s - arrival_s)[done], 99),
            ttft_slo_ms=spec.ttft_slo_ms, tpot_slo_ms=spec.tpot_slo_ms,
            attained_pu=float(met.sum()) / counted if counted else float("nan"),
            prompt_tokens=int(self._count("PREFILL_TOKENS")), output_tokens=tokens,
            output_tokens_per_s=tokens / end_s if end_s else 0.0, preemptions=int(self._count("PREEMPTIONS")),
            swaps=int(self._count("SWAPS")), recomputes=int(self._count("RECOMPUTES")),
            kv_peak_pu=max(float((f.counter("PEAK_BLOCKS") / f.counter("BLOCKS")).max()) for f in self.fleets),
            kv_waste_pu=1.0 - used / allocated if allocated else 0.0, energy_kwh=self._total("ENERGY_J") / 3.6e6,
        )  # fmt: skip

    def _count(self, name: str) -> float:
        return float(sum(fleet.counter(name).sum() for fleet in self.fleets))

    def _total(self, name: str) -> float:
        return float(sum(fleet.total(name).sum() for fleet in self.fleets))

    def latency_series(self, edges_s: FloatArray) -> dict[str, FloatArray]:
        """Percentiles of what finished (TPOT) or began (TTFT) in each span between the edges; NaN where nothing did."""
        arrival_s, first_s, finish_s, output = self.times()
        began, many = np.isfinite(first_s), np.isfinite(finish_s) & (output > 1)
        tpot_ms = 1000 * (finish_s - first_s)[many] / (output[many] - 1)
        made = {}
        for share in (50, 99):
            made[f"ttft_p{share}_ms"] = _binned(
                first_s[began], 1000 * (first_s - arrival_s)[began], edges_s, share
            )
            made[f"tpot_p{share}_ms"] = _binned(finish_s[many], tpot_ms, edges_s, share)
        return made


def percentile(values: FloatArray, share: float) -> float:
    """NaN of nothing."""
    return float(np.percentile(values, share)) if len(values) else float("nan")


def _binned(at_s: FloatArray, values: FloatArray, edges_s: FloatArray, share: float) -> FloatArray:
    place = np.searchsorted(edges_s, at_s, side="left") - 1
    order = np.argsort(place, kind="stable")
    place, values = place[order], values[order]
    made = np.full(len(edges_s) - 1, np.nan)
    for bin_ in np.unique(place):
        if 0 <= bin_ < len(made):
            first, last = np.searchsorted(place, [bin_, bin_ + 1])
            made[bin_] = np.percentile(values[first:last], share)
    return made


class _Growing:
    """An array that grows at its end at a cost that does not depend on its length."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._room, self._count = np.zeros(64, kind), 0

    @property
    def values(self) -> NDArray[Any]:
        """A view, good until the next `add`."""
        return self._room[: self._count]

    def add(self, more: NDArray[Any]) -> None:
        end = self._count + len(more)
        if end > len(self._room):
            room = np.zeros(max(end, 2 * len(self._room)), self._room.dtype)
            room[: self._count] = self.values
            self._room = room
        self._room[self._count : end] = more
        self._count = end


def _prompts(trace: Trace) -> Trace:
    """The same requests with an answer of one token: what a prefill instance does."""
    return Trace(trace.arrival_s, trace.prompt_tokens, np.ones(len(trace), np.int64), trace.priority,
                 trace.prefix_tokens, trace.prefix_group, trace.name)  # fmt: skip


def split(trace: Trace, pools: tuple[PoolSpec, ...]) -> list[Trace]:
    """The requests dealt to the pools by their shares, evenly in time: the golden-ratio sequence is spread over 0..1
    as evenly as any, and each pool has its stretch of it."""
    weights = np.array([pool.share for pool in pools])
    place = (np.arange(len(trace)) * _GOLDEN) % 1.0
    taker = np.searchsorted(np.cumsum(weights / weights.sum())[:-1], place, side="right")
    return [trace.take(np.flatnonzero(taker == number)) for number in range(len(pools))]
