"""How many instances, split how, at which batch, chunk and clock, serve a rate within an SLO.

The search is in three steps. Closed forms (`queueing`) give for each split the fewest instances that can carry the
rate at all; from there on instances are added until a replay on the engine keeps the SLO; then the clocks are lowered
while it still does. The same requests judge every candidate, so a tighter SLO never asks for fewer accelerators.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plant.closed import Closed
from plant.hardware.gpus import DTYPE_BYTES, Dtype, Gpu, gpu, gpus
from plant.hardware.models import Model, model
from plant.inference.cost import engine_cost, step_coefficients, step_time_s, step_use
from plant.inference.deployment import Deployment
from plant.inference.disaggregation import (
    GpuDecode,
    Verdict,
    find_pools,
    gpu_or_lpu,
    lpu_decode,
    together_or_apart,
)
from plant.inference.engine import Replay, replay
from plant.inference.memory import fits, plan_memory
from plant.inference.parallel import Option, options
from plant.inference.queueing import Expected, Work, capacity_rps, expect, work
from plant.inference.slo import Seen, Slo, judge, make_slo, parse_slo, show_ms
from plant.inference.trace import Lengths, Trace, synthetic
from setpoint.errors import ConfigError

__all__ = ["Sizing", "SizingResult", "parse_slo", "size"]

BATCHES, CHUNKS = (64, 256, 1024), (512, 2048, 8192)
CLOCKS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Shares of the maximal clock that are tried, beside 1."""
SPAN_S, FEWEST, MOST = 120.0, 2000, 400_000
"""Length of the made-up trace, and bounds on its requests."""
LOOK = 4000
"""Requests of one replay in the search: of a large fleet, some of its instances under round-robin."""
OPTIMISM = 1.25
"""Factor on the closed-form capacity: the replay is never asked about fewer instances than this allows."""
SPREAD = 0.5
"""Sigma of the log-normal lengths where only means are given. The Azure chat trace has about 1.05."""
APART_INSTANCES = 10
"""Together and apart are compared on a share of the fleet about so large."""
NODE_BASE_W = 575.0
"""CPUs, fans and network of a node at load, for each accelerator: 4.6 kW of a DGX H100 over 8 (`plant.specs`)."""


class Percentiles(Closed):
    """Median and 99th percentile, milliseconds."""

    p50_ms: float
    p99_ms: float


class Choice(Closed):
    """One way to serve the rate, as the replay found it."""

    gpu: str
    weights: str
    tp: int
    pp: int
    dp: int
    ep: int
    """Of each instance."""
    instances: int
    gpus: int
    max_batch: int
    """Sequences in one step (vLLM: max_num_seqs)."""
    chunk_tokens: int
    """Token budget of one step (vLLM: max_num_batched_tokens)."""
    clock_prefill_mhz: float
    clock_decode_mhz: float
    ttft: Percentiles
    tpot: Percentiles
    attainment: float
    """Share of requests that keep both parts of the SLO."""
    tokens_per_s: float
    """Answer tokens of the fleet."""
    mean_batch: float
    """Sequences that decode at once on one instance."""
    kv_peak: float
    """Fullest that the pool of the fullest instance became, share."""
    utilisation: float
    """Rate over what the instances carry at saturation."""
    gpu_kw: float
    power_kw: float
    """With the rest of the nodes."""
    joule_per_1000_tokens: float
    """Of the accelerators, for each 1,000 answer tokens."""


class ApartChoice(Closed):
    """Prefill and decode on instances of their own, split as those of the best choice; clocks at their maximum."""

    prefill_instances: int
    decode_instances: int
    gpus: int
    ttft: Percentiles
    tpot: Percentiles
    joule_per_1000_tokens: float
    handover_ms: float
    """The cache of the mean prompt arrives so long after its first token."""


class SizingResult(Closed):
    """The answer of `size`, with what was tried and what binds."""

    model: str
    slo: str
    rate_rps: float
    prompt_tokens: float
    output_tokens: float
    """Means of the trace that judged."""
    best: Choice
    expected_ttft: Percentiles | None
    """By the closed forms of `queueing`, at the maximal clock; None where they see no steady state."""
    expected_tpot: Percentiles | None
    runner_up: Choice | None
    """The best with another split or dtype; its clocks are not lowered."""
    limited_by: str
    """What stands in the way of fewer accelerators."""
    pools: str
    """together or apart."""
    pools_why: str
    apart: ApartChoice | None
    """The fewest instances apart, even where together is better; None where none was found. A large fleet's are
    scaled up from a share of it."""
    decode_on: str
    """gpu or lpu."""
    decode_why: str
    clock_saving: float
    """Energy saved by the lowered clocks, share."""
    notes: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    """Splits that are impossible, and why."""
    replays: int
    replayed_requests: int
    """In the verification of `best`, on the whole fleet."""


@dataclass
class Sizing:
    """One search: what is asked, and what was tried."""

    model: Model
    gpu: Gpu
    slo: Slo
    rate_rps: float
    trace: Trace
    max_gpus: int
    load: Work
    replays: int = 0
    tried: list[Found] = field(default_factory=list)
    misses: dict[tuple[str, int], Miss] = field(default_factory=dict)
    """By split and accelerators: the nearest that a variant came to the SLO without keeping it."""

    def miss(self, name: str, count: int, seen: Seen) -> None:
        """Notes a variant that broke the SLO."""
        by = max(seen.ttft_s / self.slo.ttft_s, seen.tpot_s / self.slo.tpot_s)
        known = self.misses.get((name, count))
        if known is None or by < known.by:
            self.misses[name, count] = Miss(by, seen.broken(self.slo))


@dataclass(frozen=True)
class Miss:
    """A variant that broke the SLO."""

    by: float
    """How far, as a multiple of the limit."""
    what: str


@dataclass(frozen=True)
class Found:
    """A deployment and the fewest instances of it that keep the SLO."""

    option: Option
    deployment: Deployment
    instances: int
    replay: Replay
    seen: Seen

    @property
    def gpus(self) -> int:
        return self.instances * self.deployment.gpus

    @property
    def joule_per_token(self) -> float:
        return self.replay.energy_j / max(self.replay.decode_tokens + self.replay.completed, 1)

    @property
    def order(self) -> tuple[float, ...]:
        """Fewer accelerators first, then less energy."""
        return (
            self.gpus,
            round(self.joule_per_token, 6),
            self.deployment.chunk_tokens,
            self.deployment.max_batch,
        )


def size(
    model_name: str | Model,
    gpu_name: str | Gpu,
    rate_rps: float,
    ttft_slo_s: float,
    tpot_slo_s: float,
    *,
    prompt_tokens: int = 1024,
    output_tokens: int = 256,
    trace: Trace | None = None,
    weights: Dtype | tuple[Dtype, ...] | None = None,
    max_gpus: int = 1024,
    percentile: float = 99.0,
    spread: float = SPREAD,
    seed: int = 1,
    lpu: str = "Groq-LPU-v1",
) -> SizingResult:
    """The fewest accelerators, and the way to run them, that serve `rate_rps` within the SLO.

    Lengths come from `trace`, whose arrivals are then scaled to the rate, or are log-normal around the means with
    `spread` as sigma. `weights`: dtypes allowed; as published where None. Raises ConfigError that says what would fit
    where nothing does.
    """
    m = model(model_name) if isinstance(model_name, str) else model_name
    g = gpu(gpu_name) if isinstance(gpu_name, str) else gpu_name
    slo = make_slo(ttft_slo_s, tpot_slo_s, percentile)
    judged = _trace(rate_rps, prompt_tokens, output_tokens, trace, spread, seed)
    if max_gpus < 1:
        raise ConfigError(f"max_gpus {max_gpus}", remedy="Use 1 or more")
    search = Sizing(m, g, slo, rate_rps, judged, max_gpus, work(judged.prompt_tokens, judged.output_tokens))
    widths = weights if isinstance(weights, tuple) else (weights or m.weights,)
    found = [option for width in widths for option in _options(search, width)]
    possible = [o for o in found if o.deployment is not None]
    if not possible:
        raise _nothing_fits(search, widths[0])
    if g.kind == "lpu":
        raise ConfigError(
            f"{g.name} serves decode only here", remedy="Size a GPU; the answer compares it with LPUs"
        )
    for option in _by_bound(search, possible):
        _search(search, option)
    if not search.tried:
        raise _infeasible(search, possible, gpu(lpu))
    ranked = sorted(search.tried, key=lambda f: f.order)
    return _result(search, ranked, found, gpu(lpu))


def _trace(rate_rps: float, prompt: int, output: int, trace: Trace | None, spread: float, seed: int) -> Trace:
    """The requests that judge. Raises ConfigError for a bad rate or length."""
    if not (math.isfinite(rate_rps) and rate_rps > 0):
        raise ConfigError(
            f"a rate of {rate_rps:g} requests a second", remedy="Give a finite rate above 0, such as 20"
        )
    if trace is not None:
        if not trace.rate_rps > 0:
            raise ConfigError(
                f"{trace.name} has no rate: all arrives at once", remedy="Use a trace of some length"
            )
        return trace.scaled(rate_rps / trace.rate_rps)
    if prompt < 1 or output < 1:
        raise ConfigError(f"prompts of {prompt} and answers of {output} tokens", remedy="Use 1 or more")
    if not 0 <= spread <= 2:
        raise ConfigError(f"a spread of {spread:g}", remedy="Use 0 (all alike) to 2")
    down = math.exp(-(spread**2) / 2)
    longest = math.ceil(max(prompt, output) * math.exp(3 * spread))
    lengths = Lengths(prompt * down, spread, output * down, spread, longest)
    count = int(min(max(FEWEST, rate_rps * SPAN_S), MOST))
    return synthetic(count, rate_rps, seed, lengths=lengths)


def _options(search: Sizing, width: Dtype) -> tuple[Option, ...]:
    """Splits of one instance. Pipelines and ways beyond the domain only where nothing smaller holds the model."""
    longest = -(-search.trace.longest // 256) * 256
    domain = min(search.gpu.scale_up_domain, search.max_gpus, 16)
    for most in (domain, min(4 * domain, search.max_gpus), min(16 * domain, search.max_gpus)):
        found = options(search.model, search.gpu, max_gpus=most, weights=width, max_len=longest)
        usable = [o for o in found if o.possible and o.tp * o.dp <= max(domain, search.gpu.scale_up_domain)]
        if usable:
            fewest = 1 if any(o.pp == 1 for o in usable) else min(o.pp for o in usable)
            return tuple(o for o in usable if o.pp == fewest) + tuple(o for o in found if not o.possible)
    return found


def _variants(d: Deployment) -> Iterator[Deployment]:
    """The deployment with every batch limit and token budget that its memory allows."""
    for chunk in CHUNKS:
        for batch in BATCHES:
            if batch <= chunk:
                one = d.model_copy(update={"chunk_tokens": chunk, "max_batch": batch})
                if fits(one):
                    yield one


def _bound(search: Sizing, d: Deployment) -> int:
    """Instances below which the rate cannot be carried whatever the SLO."""
    most = capacity_rps(d, search.load, float(plan_memory(d).pool_tokens))
    return max(1, math.floor(search.rate_rps / (OPTIMISM * most))) if most > 0 else 1 << 30


def _by_bound(search: Sizing, possible: list[Option]) -> list[tuple[Option, list[tuple[int, Deployment]]]]:
    """Splits with their variants and bounds, those first that may need the fewest accelerators."""
    rows = []
    for option in possible:
        assert option.deployment is not None
        variants = sorted(
            ((_bound(search, d), d) for d in _variants(option.deployment)), key=lambda row: row[0]
        )
        if variants:
            rows.append((option, variants))
    return sorted(rows, key=lambda row: row[1][0][0] * row[0].gpus)


def _search(search: Sizing, row: tuple[Option, list[tuple[int, Deployment]]]) -> None:
    """Adds instances to each variant until the replay keeps the SLO or another choice is cheaper already."""
    option, variants = row
    for bound, d in variants:
        if not _may_keep(search, d):
            continue
        for count in _counts(bound):
            if count * d.gpus > _ceiling(search):
                break
            seen, result = _look(search, d, count)
            if seen.kept:
                search.tried.append(Found(option, d, count, result, seen))
                break
            if seen.unserved:
                break
            search.miss(_label(option, d), count * d.gpus, seen)


def _ceiling(search: Sizing) -> int:
    """Accelerators beyond which a candidate is of no interest: those of the second best split found."""
    by_split: dict[tuple[str, str], int] = {}
    for f in search.tried:
        key = (f.option.name, f.deployment.weights)
        by_split[key] = min(f.gpus, by_split.get(key, f.gpus))
    fewest = sorted(by_split.values())
    return min(search.max_gpus, fewest[1] if len(fewest) > 1 else search.max_gpus)


def _counts(start: int) -> Iterator[int]:
    """start, start + 1, ... in steps of 3% once the fleet is large."""
    count = start
    while True:
        yield count
        count = max(count + 1, math.ceil(count * 1.03))


def _may_keep(search: Sizing, d: Deployment) -> bool:
    """Whether an idle instance keeps the SLO: one sequence alone, and the prompt at the percentile alone."""
    return _alone_tpot_s(search, d) <= search.slo.tpot_s and _alone_ttft_s(search, d) <= search.slo.ttft_s


def _alone_tpot_s(search: Sizing, d: Deployment) -> float:
    """Time per token of one sequence on an idle instance."""
    return float(step_time_s(step_coefficients(d), 0.0, 0.0, 1.0, search.load.context_tokens, 1.0))


def _alone_ttft_s(search: Sizing, d: Deployment) -> float:
    """TTFT on an idle instance of the prompt that the percentile must still keep."""
    n = float(np.percentile(search.trace.prompt_tokens, search.slo.percentile))
    steps = math.ceil(n / d.chunk_tokens)
    one = step_time_s(step_coefficients(d), n / steps, n / steps * n / 2.0, 0.0, 0.0, 1.0)
    return steps * float(one) + engine_cost(d.engine).first_s


def _look(search: Sizing, d: Deployment, count: int) -> tuple[Seen, Replay]:
    """A replay of the fleet, or of some instances of a large one with exactly the requests round-robin gives them."""
    part, share = _part(search.trace, count)
    result = replay(d, part, share)
    search.replays += 1
    return judge(result, search.slo, d), result


def _part(trace: Trace, count: int) -> tuple[Trace, int]:
    share = max(1, min(count, int(count * LOOK / len(trace))))
    if share == count:
        return trace, count
    return trace.take(np.arange(len(trace)) % count < share), share


def _result(search: Sizing, ranked: list[Found], found: list[Option], lpu: Gpu) -> SizingResult:
    best = ranked[0]
    best, verified, seen = _verify(search, best)
    clocks, slow, slow_seen = _lower_clocks(search, best, verified, seen)
    other = next((f for f in ranked[1:] if _differs(f, best)), None)
    pools, verdict = _apart(search, best, slow)
    decode = _decode_verdict(search, best, slow_seen, slow, lpu)
    expected = expect(best.deployment, search.load, search.rate_rps / best.instances)
    return SizingResult(
        model=search.model.name, slo=str(search.slo), rate_rps=search.rate_rps,
        prompt_tokens=search.load.prompt_tokens, output_tokens=search.load.output_tokens,
        best=_choice(search, best, slow, slow_seen, clocks),
        expected_ttft=_expected(expected, "ttft"), expected_tpot=_expected(expected, "tpot"),
        runner_up=_choice(search, other, other.replay, other.seen, (1.0, 1.0)) if other else None,
        limited_by=_limit(search, best, found), pools=verdict.choice, pools_why=verdict.why, apart=pools,
        decode_on=decode.choice, decode_why=decode.why,
        clock_saving=1.0 - slow.energy_j / verified.energy_j,
        notes=(*best.option.notes, *search.trace.notes),
        rejected=tuple(f"{o.name}: {'; '.join(o.reasons)}" for o in found if not o.possible),
        replays=search.replays, replayed_requests=len(search.trace),
    )  # fmt: skip


def _differs(a: Found, b: Found) -> bool:
    return (a.option.name, a.deployment.weights) != (b.option.name, b.deployment.weights)


def _verify(search: Sizing, best: Found) -> tuple[Found, Replay, Seen]:
    """The whole fleet under the whole trace; where the part looked at was lucky, instances are added."""
    for count in _counts(best.instances):
        if count * best.deployment.gpus > search.max_gpus:
            break
        result = replay(best.deployment, search.trace, count)
        search.replays += 1
        seen = judge(result, search.slo, best.deployment)
        if seen.kept:
            return Found(best.option, best.deployment, count, result, seen), result, seen
    raise ConfigError(
        f"{best.option.name} keeps {search.slo} on a part of the fleet, not on the whole",
        remedy=f"Allow more than {search.max_gpus} GPUs, or take a looser SLO",
    )


def _lower_clocks(
    search: Sizing, best: Found, verified: Replay, seen: Seen
) -> tuple[tuple[float, float], Replay, Seen]:
    """The clocks with the least energy that keep the SLO: first that of decode, then that of prefill."""
    clocks, least, kept = (1.0, 1.0), verified, seen
    lowest = best.deployment.gpu.clock_min_mhz / best.deployment.gpu.clock_max_mhz
    for phase in (1, 0):
        for clock in (c for c in CLOCKS if c >= lowest):
            tried = (clocks[0], clock) if phase else (clock, clocks[1])
            result = _clocked(search, best, tried)
            now = judge(result, search.slo, best.deployment)
            if not now.kept:
                break
            if result.energy_j < least.energy_j:
                clocks, least, kept = tried, result, now
    return clocks, least, kept


def _clocked(search: Sizing, best: Found, clocks: tuple[float, float]) -> Replay:
    search.replays += 1
    return replay(
        best.deployment, search.trace, best.instances, clock_prefill_pu=clocks[0], clock_decode_pu=clocks[1]
    )


def _choice(search: Sizing, found: Found, result: Replay, seen: Seen, clocks: tuple[float, float]) -> Choice:
    d, g = found.deployment, found.deployment.gpu
    share = len(result.ttft_s) / len(search.trace)
    watts = result.energy_j / result.span_s / share
    served_s = search.trace.span_s * share
    tokens = result.decode_tokens + result.completed
    most = capacity_rps(d, search.load, float(plan_memory(d).pool_tokens)) * found.instances
    return Choice(
        gpu=g.name, weights=d.weights, tp=d.tp, pp=d.pp, dp=d.dp, ep=d.ep, instances=found.instances,
        gpus=found.gpus, max_batch=d.max_batch, chunk_tokens=d.chunk_tokens,
        clock_prefill_mhz=round(clocks[0] * g.clock_max_mhz), clock_decode_mhz=round(clocks[1] * g.clock_max_mhz),
        ttft=_percentiles(seen.ttft_p50_s, seen.ttft_p99_s), tpot=_percentiles(seen.tpot_p50_s, seen.tpot_p99_s),
        attainment=seen.attainment, tokens_per_s=tokens / served_s,
        mean_batch=_mean_batch(result, served_s, found.instances),
        kv_peak=result.peak_blocks / result.blocks, utilisation=search.rate_rps / most,
        gpu_kw=watts / 1e3, power_kw=(watts + NODE_BASE_W * found.gpus) / 1e3,
        joule_per_1000_tokens=1e3 * result.energy_j / tokens,
    )  # fmt: skip


def _mean_batch(result: Replay, served_s: float, instances: int) -> float:
    """Sequences that decode at once on one instance: by Little's law, their rate times their time."""
    return float(np.nansum(result.e2e_s - result.ttft_s)) / served_s / instances


def _percentiles(p50_s: float, p99_s: float) -> Percentiles:
    return Percentiles(p50_ms=1e3 * p50_s, p99_ms=1e3 * p99_s)


def _expected(found: Expected | None, name: str) -> Percentiles | None:
    """The mean stands for the median."""
    if found is None:
        return None
    return _percentiles(getattr(found, f"{name}_s"), getattr(found, f"{name}_p99_s"))


def _label(option: Option, d: Deployment) -> str:
    return f"{option.name} in {d.weights}"


def _limit(search: Sizing, best: Found, found: list[Option]) -> str:
    """What keeps the fleet from being smaller: the rate, what a replay broke with less, or memory."""
    d, fewer = best.deployment, best.instances - 1
    most = capacity_rps(d, search.load, float(plan_memory(d).pool_tokens))
    if fewer and fewer * most < search.rate_rps:
        return (
            f"{_binding(search, d)}: {fewer * d.gpus} GPUs carry at most {fewer * most:.3g} requests a second"
        )
    miss = search.misses.get((_label(best.option, d), fewer * d.gpus))
    if miss:
        return f"SLO: with {fewer * d.gpus} GPUs {miss.what}"
    below = {key: miss for key, miss in search.misses.items() if key[1] < best.gpus}
    if below:
        (name, count), nearest = min(below.items(), key=lambda item: item[1].by)
        return f"SLO: with {count} GPUs ({name}) {nearest.what}"
    memory = [o for o in found if not o.possible and o.gpus < d.gpus and "fit" in " ".join(o.reasons)]
    if memory:
        return f"memory: {memory[-1].name} {memory[-1].reasons[0]}"
    return "one instance: the smallest that keeps the SLO even when idle"


def _binding(search: Sizing, d: Deployment) -> str:
    """Whether an instance at its full batch uses more of its peak arithmetic or of its peak bandwidth."""
    c, i, o = step_coefficients(d), search.load.prompt_tokens, search.load.output_tokens
    batch = float(min(d.max_batch, d.chunk_tokens / (1 + i / o)))
    new, context = batch * i / o, batch * search.load.context_tokens
    t = float(step_time_s(c, new, new * i / 2, batch, context, 1.0))
    compute, memory = step_use(c, new, new * i / 2, batch, context, t)
    return "memory bandwidth" if memory > compute else "compute"


def _apart(search: Sizing, best: Found, together: Replay) -> tuple[ApartChoice | None, Verdict]:
    """The same requests on pools apart, with up to one instance more; large fleets are compared on a share."""
    count, trace = best.instances, search.trace
    if count > APART_INSTANCES:
        part = np.arange(len(trace)) % count < APART_INSTANCES
        trace, count = trace.take(part), APART_INSTANCES
        together = replay(best.deployment, trace, count)
        search.replays += 1
    wide = best.deployment.model_copy(update={"max_batch": max(BATCHES), "chunk_tokens": max(CHUNKS)})
    d = wide if fits(wide) else best.deployment
    pools = find_pools(d, trace, search.slo, min(count + 1, search.max_gpus // d.gpus))
    tokens = max(together.decode_tokens + together.completed, 1)
    verdict = together_or_apart(d, search.slo, (count, together.energy_j / tokens), pools)
    if pools is None:
        return None, verdict
    scale = best.instances / count
    prefill, decode = math.ceil(pools.prefill * scale), math.ceil(pools.decode * scale)
    return ApartChoice(
        prefill_instances=prefill, decode_instances=decode, gpus=(prefill + decode) * d.gpus,
        ttft=_percentiles(pools.seen.ttft_p50_s, pools.seen.ttft_p99_s),
        tpot=_percentiles(pools.seen.tpot_p50_s, pools.seen.tpot_p99_s),
        joule_per_1000_tokens=1e3 * pools.joule_per_token, handover_ms=1e3 * pools.handover_s,
    ), verdict  # fmt: skip


def _decode_verdict(search: Sizing, best: Found, seen: Seen, result: Replay, lpu: Gpu) -> Verdict:
    tokens = max(result.decode_tokens + result.completed, 1)
    batch = max(1, round(_mean_batch(result, search.trace.span_s, best.instances)))
    own = GpuDecode(best.deployment.gpus, batch, seen.tpot_p50_s, result.energy_j / tokens)
    return gpu_or_lpu(best.deployment, own, search.load.context_tokens, search.slo.tpot_s, lpu)


def _nothing_fits(search: Sizing, width: Dtype) -> ConfigError:
    """No split holds the model: the message of the largest one, which names what would."""
    largest = Deployment(
        model=search.model, gpu=search.gpu, tp=1, weights=width, max_len=-(-search.trace.longest // 256) * 256,
    )  # fmt: skip
    try:
        plan_memory(largest)
    except ConfigError as error:
        gb = search.model.params * DTYPE_BYTES[width] / 1e9
        what = f"{search.model.name} in {width} ({gb:.0f} GB) fits no split of {search.max_gpus} {search.gpu.name}"
        least = 2 ** math.ceil(math.log2(gb / (largest.memory_share * search.gpu.memory_bytes / 1e9)))
        if "fits with" not in error.remedy:
            return ConfigError(
                what, remedy=f"The weights alone fill {least} of them, or take narrower weights"
            )
        return ConfigError(what, remedy=error.remedy)
    return ConfigError(
        f"no split of {search.max_gpus} {search.gpu.name} holds a sequence of {search.trace.longest:,} tokens",
        remedy="Take shorter requests, more GPUs or narrower weights",
    )


def _infeasible(search: Sizing, possible: list[Option], lpu: Gpu) -> ConfigError:
    """Says which part of the SLO no split keeps and what would; or that the GPUs allowed are too few."""
    deployments = [d for o in possible if o.deployment for d in _variants(o.deployment)]
    for what, alone, limit in (
        ("TPOT", _alone_tpot_s, search.slo.tpot_s),
        ("TTFT", _alone_ttft_s, search.slo.ttft_s),
    ):
        best = min(deployments, key=lambda d: alone(search, d))
        least = alone(search, best)
        if least > limit:
            return _too_tight(search, what, alone, limit, least, best, lpu)
    near = min(search.misses.items(), key=lambda item: item[1].by, default=None)
    tried = f": with {near[0][1]} GPUs ({near[0][0]}) {near[1].what}" if near else ""
    need = _enough_gpus(search, possible)
    return ConfigError(
        f"{search.rate_rps:g} requests a second within {search.slo} do not fit {search.max_gpus} "
        f"{search.gpu.name}{tried}",
        where=search.model.name,
        remedy=(f"Allow {need} GPUs, " if need else "Take ") + "a lower rate or a looser SLO",
    )


def _enough_gpus(search: Sizing, possible: list[Option]) -> int:
    """Accelerators that would do, found by the same search without the limit; 0 where ten times the bound does not."""
    rows = _by_bound(search, possible)
    most = 10 * max(search.max_gpus, min(row[1][0][0] * row[0].gpus for row in rows))
    wider = Sizing(search.model, search.gpu, search.slo, search.rate_rps, search.trace, most, search.load)
    for row in rows:
        _search(wider, row)
    return min((f.gpus for f in wider.tried), default=0)


def _too_tight(
    search: Sizing, what: str, alone: Any, limit_s: float, least_s: float, best: Deployment, lpu: Gpu
) -> ConfigError:
    """One part of the SLO is below what an idle instance needs: names looser numbers and other hardware."""
    offers = [f"allow {show_ms(_rounded_up(least_s))} or more"]
    for width in ("fp8", "fp4"):
        narrow = best.model_copy(update={"weights": width})
        if (
            DTYPE_BYTES[width] < DTYPE_BYTES[best.weights]
            and fits(narrow)
            and alone(search, narrow) <= limit_s
        ):
            offers.append(f"use weights {width} ({show_ms(alone(search, narrow))})")
            break
    other = _faster_gpu(search, alone, limit_s, best)
    if other:
        offers.append(other)
    if what == "TPOT" and search.model.params < 2e11:
        plan = lpu_decode(search.model, lpu, search.load.context_tokens, search.model.layers)
        if plan.tpot_p99_s <= limit_s:
            offers.append(f"decode on {plan.chips} {lpu.name} ({show_ms(plan.tpot_s)})")
    where = "an idle instance" if what == "TPOT" else f"the P{search.slo.percentile:g} prompt alone"
    ways = (
        f"tp {best.tp}"
        + (f", pp {best.pp}" if best.pp > 1 else "")
        + (f", dp {best.dp}" if best.dp > 1 else "")
    )
    most = max(o.tp for o in _options(search, best.weights) if o.possible)
    return ConfigError(
        f"{what} {show_ms(limit_s)} cannot be met by {search.gpu.name} at any tp up to {most}: best is "
        f"{show_ms(least_s)} at {ways}, {where}",
        where=f"{search.model.name} in {best.weights}",
        remedy=", or ".join(offers),
    )


def _faster_gpu(search: Sizing, alone: Any, limit_s: float, best: Deployment) -> str:
    """The slowest other GPU whose idle instance keeps the limit at up to 8 ways; empty where none does."""
    rows = []
    for other in gpus():
        if other.kind != "gpu" or other.name == search.gpu.name:
            continue
        d = best.model_copy(update={"gpu": other, "tp": min(best.tp, other.scale_up_domain)})
        if best.weights in other.flops and fits(d) and alone(search, d) <= limit_s:
            rows.append((other.memory_bytes_per_s, other.name, alone(search, d), d.tp))
    if not rows:
        return ""
    _, name, seconds, tp = min(rows)
    return f"use {name} ({show_ms(seconds)} at tp {tp})"


def _rounded_up(seconds: float) -> float:
    """The next value with two digits, with 5% room for load.

    >>> _rounded_up(0.00791), _rounded_up(0.4)
    (0.0084, 0.42)
    """
    wanted = 1.05 * seconds
    digit = 10.0 ** (math.floor(math.log10(wanted)) - 1)
    return round(math.ceil(wanted / digit - 1e-9) * digit, 9)
