"""Tools about serving: the cache of a pool, its batching, and the way of one request."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from langchain_core.tools import BaseTool
from pydantic import Field

from tools.plant_ports import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    SPREAD,
    ModelArgs,
    Output,
    PlantPorts,
    Prompt,
    Rate,
    Served,
    known,
    number,
    percentiles,
    served,
)
from tools.typed import Answer, ToolError, typed_tool

if TYPE_CHECKING:
    from plant.inference.deployment import Deployment
    from plant.inference.engine import Replay
    from plant.inference.queueing import Work
    from plant.inference.trace import Trace

REPLAY_REQUESTS = 2000
"""Requests of one replay: enough for a 99th percentile, a few milliseconds of CPU."""
USUAL_LOAD = 0.6
"""Share of what an instance can carry, where no rate is given."""


class LoadArgs(ModelArgs):
    """An instance under a load."""

    rate_rps: Annotated[
        Rate | None, Field(description="Requests a second of the whole pool; null: 60 % of what it can carry")
    ] = None
    prompt_tokens: Prompt = PROMPT_TOKENS
    output_tokens: Output = OUTPUT_TOKENS


# ---- kv_cache ----------------------------------------------------------------------------------------------------


class KvCacheArgs(LoadArgs):
    """The cache of an instance under a load, and what becomes of a preempted prompt."""

    preempted_tokens: Annotated[
        int, Field(ge=1, le=131_072, description="Length of a sequence that is put out: swap or recompute it")
    ] = 2048


class KvCacheAnswer(Answer):
    """The pool of cache blocks of one instance. Shares are of the pool."""

    what: str
    instances: int
    gpus_each: int
    pool_gb: float
    weights_gb: float
    activations_gb: float
    """Of one instance, all its accelerators, as `weights_gb` and `pool_gb`."""
    block_tokens: int
    blocks: int
    pool_tokens: int
    token_kb: float
    """Cache of one token on the instance."""
    longest_context_tokens: int
    """The longest sequence that the engine admits and the pool holds."""
    longest_sequences: float
    """So many of the longest admitted length fit at once."""
    table_blocks: int
    """Blocks in the table of one sequence of mean length."""
    waste_pu: float
    """Slots of allocated blocks that hold no token, at mean lengths."""
    rate_rps: float
    running: float | None
    """Sequences that decode at once on one instance; null where it cannot keep up."""
    occupancy_pu: float | None
    """Share of the pool they hold."""
    use_now_pct: float | None
    """What telemetry of the pool says now."""
    preempted_tokens: int
    swap_ms: float | None
    """Out to CPU memory and back in; null where it does not fit there."""
    recompute_ms: float
    """What computing it again adds to the step it rides on."""
    cheaper: Literal["swap", "recompute"]
    note: str = ""


def _kv_cache(ports: PlantPorts, args: KvCacheArgs) -> KvCacheAnswer:
    """Memory plan as the engine's profile run finds it; occupancy by Little's law; the engine's own preemption rule."""
    from plant.inference.memory import plan_memory
    from plant.inference.queueing import expect

    asked = served(ports.site, args)
    d, plan = asked.deployment, plan_memory(asked.deployment)
    load, rate = work_of(d, args), rate_of(asked, args)
    state = expect(d, load, rate / asked.instances)
    length, block = load.context_tokens, d.block_tokens
    held = math.ceil(length / block)
    waste = 0.5 * (block - 1) / (length + 0.5 * (block - 1))
    running = min(state.batch, float(d.max_batch)) if state else None
    slots = running * length / (1 - waste) if running is not None else None
    room = (plan.blocks - plan.watermark_blocks) // d.dp * block
    swap_s, compute_s = _preemption_s(d, args.preempted_tokens, running or 1.0, length)
    return KvCacheAnswer(
        what=asked.name, instances=asked.instances, gpus_each=d.gpus,
        pool_gb=known(plan.pool_bytes * d.gpus / 1e9), weights_gb=known(plan.weights_bytes * d.gpus / 1e9),
        activations_gb=known(plan.activation_bytes * d.gpus / 1e9), block_tokens=block, blocks=plan.blocks,
        pool_tokens=plan.blocks * block, token_kb=known(plan.token_bytes * d.tp * d.pp / 1e3),
        longest_context_tokens=min(d.max_len, room), longest_sequences=known(plan.max_concurrency), table_blocks=held,
        waste_pu=known(waste, 3), rate_rps=known(rate), running=number(running) if running is not None else None,
        occupancy_pu=number(min(1.0, slots / (plan.blocks * block))) if slots is not None else None,
        use_now_pct=_use_now(ports, asked), preempted_tokens=args.preempted_tokens,
        swap_ms=number(1e3 * swap_s), recompute_ms=known(1e3 * compute_s),
        cheaper="swap" if swap_s < compute_s else "recompute",
        note="" if state else f"{rate:.4g} requests a second are more than it can carry: the queue grows",
    )  # fmt: skip


def _preemption_s(d: Deployment, tokens: int, batch: float, context: float) -> tuple[float, float]:
    """Seconds to swap a sequence out and in (infinite where CPU memory is too small), and to compute it again beside
    the others: the rule of plant.inference.kernel.preempt."""
    from plant.inference.cost import step_coefficients, step_time_s
    from plant.inference.memory import plan_memory

    plan, c, n = plan_memory(d), step_coefficients(d), float(tokens)
    blocks = math.ceil(tokens / d.block_tokens)
    others = batch * context
    alone = float(step_time_s(c, 0.0, 0.0, batch, others, 1.0))
    with_it = float(step_time_s(c, n, n * n / 2.0, batch, others, 1.0))
    return (2.0 * blocks * plan.copy_s if blocks <= plan.cpu_blocks else math.inf), with_it - alone


def _use_now(ports: PlantPorts, asked: Served) -> float | None:
    reading = ports.read(asked.pool.name) if asked.pool else None
    return reading.values.get("kv_use_pct") if reading else None


# ---- batching ----------------------------------------------------------------------------------------------------


class BatchingArgs(LoadArgs):
    """Limits to compare under one load."""

    batches: Annotated[
        list[Annotated[int, Field(ge=1, le=4096)]],
        Field(
            default_factory=lambda: [16, 64, 256],
            min_length=1,
            max_length=6,
            description="Batch limits (sequences in one step)",
        ),
    ]
    chunks: Annotated[
        list[Annotated[int, Field(ge=16, le=65_536)]],
        Field(
            default_factory=lambda: [512, 2048, 8192],
            min_length=1,
            max_length=4,
            description="Token budgets of one step",
        ),
    ]


class BatchingRow(Answer):
    """One batch limit and token budget under the load."""

    max_batch: int
    chunk_tokens: int
    tokens_per_s: float
    """Answer tokens of the pool."""
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    tpot_p50_ms: float | None
    tpot_p99_ms: float | None
    mean_batch: float
    kv_peak_pu: float
    preemptions: int
    joule_per_1000_tokens: float
    keeps_slo: bool


class BatchingAnswer(Answer):
    """What limits do under one load, by replays on the engine."""

    what: str
    instances: int
    rate_rps: float
    ttft_slo_ms: float
    tpot_slo_ms: float
    present: tuple[int, int]
    """Batch limit and token budget that it has now."""
    rows: list[BatchingRow]
    best: BatchingRow | None
    """Of those that keep the SLO at P99, the one with the least energy for a token; null where none does."""
    left_out: list[str]
    note: str


def _batching(ports: PlantPorts, args: BatchingArgs) -> BatchingAnswer:
    """Replays one instance's share of the load at every pair of limits."""
    from plant.inference.memory import fits

    asked = served(ports.site, args)
    rate, slo = rate_of(asked, args), asked.slo_ms
    trace = requests_of(asked.deployment, args, rate / asked.instances)
    rows, left_out = [], []
    for chunk in sorted(set(args.chunks)):
        for batch in sorted(set(args.batches)):
            d = asked.deployment.model_copy(update={"max_batch": batch, "chunk_tokens": chunk})
            if batch > chunk:
                left_out.append(f"batch {batch} with chunk {chunk}: a step cannot hold the batch")
            elif not fits(d):
                left_out.append(f"batch {batch} with chunk {chunk}: no room for a sequence of {d.max_len}")
            else:
                rows.append(_row(d, trace, asked, slo))
    if not rows:
        raise ToolError(f"none of these limits can be: {'; '.join(left_out)}")
    good = [row for row in rows if row.keeps_slo]
    return BatchingAnswer(
        what=asked.name, instances=asked.instances, rate_rps=known(rate), ttft_slo_ms=slo[0], tpot_slo_ms=slo[1],
        present=(asked.deployment.max_batch, asked.deployment.chunk_tokens), rows=rows,
        best=min(good, key=lambda row: row.joule_per_1000_tokens) if good else None, left_out=left_out,
        note=f"{len(trace)} made-up requests on one of {asked.instances} instances, "
             f"{args.prompt_tokens} tokens in and {args.output_tokens} out on average",
    )  # fmt: skip


def _row(d: Deployment, trace: Trace, asked: Served, slo: tuple[float, float]) -> BatchingRow:
    from plant.inference.engine import replay

    done = replay(d, trace)
    ttft, tpot = latency_ms(done, d.engine)
    tokens = max(done.decode_tokens + done.completed, 1)
    return BatchingRow(
        max_batch=d.max_batch, chunk_tokens=d.chunk_tokens, tokens_per_s=known(done.tokens_per_s * asked.instances),
        ttft_p50_ms=number(ttft[0]), ttft_p99_ms=number(ttft[1]), tpot_p50_ms=number(tpot[0]),
        tpot_p99_ms=number(tpot[1]), mean_batch=known(done.mean_batch), kv_peak_pu=known(done.peak_blocks / done.blocks),
        preemptions=done.preemptions, joule_per_1000_tokens=known(1e3 * done.energy_j / tokens),
        keeps_slo=ttft[1] <= slo[0] and tpot[1] <= slo[1] and not done.rejected,
    )  # fmt: skip


def latency_ms(done: Replay, engine: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """P50 and P99 of TTFT (with what HTTP and tokenising add) and of TPOT, without the first tenth of the requests."""
    from plant.inference.cost import engine_cost
    from plant.inference.slo import WARM_SHARE

    start = int(WARM_SHARE * len(done.ttft_s))
    ttft = percentiles(1e3 * (done.ttft_s[start:] + engine_cost(engine).first_s), 50, 99)
    tpot = percentiles(1e3 * done.tpot_s[start:], 50, 99)
    return (ttft[0], ttft[1]), (tpot[0], tpot[1])


# ---- request_way -------------------------------------------------------------------------------------------------


class RequestWayArgs(ModelArgs):
    """One request alone on its way, or in a batch."""

    prompt_tokens: Annotated[int, Field(ge=1, le=131_072)] = PROMPT_TOKENS
    output_tokens: Annotated[int, Field(ge=1, le=4096)] = OUTPUT_TOKENS
    batch: Annotated[int, Field(ge=1, le=4096, description="Sequences that decode together")] = 1
    start: Annotated[
        Literal["warm", "cold", "dram", "scale_out"],
        Field(description="Where the weights are: in HBM, on SSD, in DRAM, in another instance"),
    ] = "warm"
    offload: Annotated[
        Literal["none", "dram", "cxl", "ssd"], Field(description="Where the cache goes afterwards")
    ] = "none"
    apart: Annotated[bool, Field(description="Prefill and decode on different nodes")] = False


class WayLeg(Answer):
    """One stretch of the way."""

    stage: str
    what: str
    ms: float
    mb: float
    path: str
    share_pu: float
    part_of: str
    """Stage it is a part of: its time is counted there."""
    waited_for: bool


class RequestWayAnswer(Answer):
    """Every leg of one request that meets no queue."""

    what: str
    legs: list[WayLeg]
    total_ms: float
    ttft_ms: float
    """From its arrival to the first token, weights in place."""
    start_s: float
    """Weights into HBM before it."""
    slowest: str
    note: str = ""


def _request_way(ports: PlantPorts, args: RequestWayArgs) -> RequestWayAnswer:
    """plant.inference.way over the pool's node, or a usual one."""
    from plant.inference.way import Way, walk
    from plant.specs import NodeSpec

    asked = served(ports.site, args)
    node = ports.site.spec(asked.pool.nodes[0], NodeSpec) if asked.pool else NodeSpec()
    legs = walk(
        asked.deployment, node, args.prompt_tokens, args.output_tokens, batch=args.batch, start=args.start,
        offload=args.offload, hand_over=args.apart,
    )  # fmt: skip
    way = Way(legs)
    slowest = max((leg for leg in legs if leg.counted), key=lambda leg: leg.seconds)
    return RequestWayAnswer(
        what=asked.name,
        legs=[
            WayLeg(stage=leg.stage, what=leg.what, ms=known(1e3 * leg.seconds), mb=known(leg.bytes / 1e6), path=leg.path,
                   share_pu=known(leg.share, 3), part_of=leg.within, waited_for=leg.waited_for)
            for leg in legs
        ],
        total_ms=known(1e3 * way.total_s), ttft_ms=known(1e3 * way.ttft_s), start_s=known(way.stage_s("start")),
        slowest=slowest.what,
        note="" if asked.pool else "on a usual node; name a pool for the site's own",
    )  # fmt: skip


# ---- shared ------------------------------------------------------------------------------------------------------


def requests_of(d: Deployment, args: LoadArgs, rate_rps: float, count: int = REPLAY_REQUESTS) -> Trace:
    """Made-up requests of those mean lengths that the engine admits. Raises ToolError where it would not."""
    from plant.inference.trace import Lengths, synthetic

    longest = d.max_len // 2
    if max(args.prompt_tokens, args.output_tokens) > longest:
        raise ToolError(
            f"prompts of {args.prompt_tokens} and answers of {args.output_tokens} tokens on average: the engine admits "
            f"{d.max_len} together; give at most {longest} of each"
        )
    down = math.exp(-(SPREAD**2) / 2)
    drawn = Lengths(args.prompt_tokens * down, SPREAD, args.output_tokens * down, SPREAD, longest)
    return synthetic(count, rate_rps, 1, lengths=drawn)


def work_of(d: Deployment, args: LoadArgs) -> Work:
    """The same requests for the closed forms."""
    from plant.inference.queueing import work

    made = requests_of(d, args, 1.0)
    return work(made.prompt_tokens, made.output_tokens)


def rate_of(asked: Served, args: LoadArgs) -> float:
    """Requests a second of the pool: as given, else a usual share of what it carries."""
    from plant.inference.memory import plan_memory
    from plant.inference.queueing import capacity_rps

    if args.rate_rps is not None:
        return args.rate_rps
    d = asked.deployment
    most = capacity_rps(d, work_of(d, args), float(plan_memory(d).pool_tokens))
    return max(USUAL_LOAD * most * asked.instances, 1e-3)


def inference_tools(ports: PlantPorts) -> list[BaseTool]:
    """Cache, batching and the way of a request, bound to these ports."""
    return [
        typed_tool(
            "kv_cache",
            "KV cache of a pool or model: blocks, tokens, waste, occupancy at a load, swap or recompute.",
            KvCacheArgs, lambda args: _kv_cache(ports, args),
        ),
        typed_tool(
            "batching",
            "Throughput and latency under a load at several batch limits and token budgets.",
            BatchingArgs, lambda args: _batching(ports, args),
        ),
        typed_tool(
            "request_way",
            "Where the time of one request goes: tokenising, prefill, links, decode, offload, weights.",
            RequestWayArgs, lambda args: _request_way(ports, args),
        ),
    ]  # fmt: skip
