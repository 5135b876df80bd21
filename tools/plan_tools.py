"""Tools for planning: how many accelerators, split how, and what a change would do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from langchain_core.tools import BaseTool
from pydantic import Field

from plant.hardware.gpus import Dtype
from plant.units import Milliseconds
from tools.plant_ports import Name, Output, PlantPorts, Prompt, known, model_of, number
from tools.typed import Answer, Args, ToolError, typed_tool

if TYPE_CHECKING:
    from plant.inference.parallel import Option
    from plant.inference.sizing import Choice
    from plant.inference.training import Comparison
    from plant.run import PoolServed, Run

MOST_OPTIONS = 40


# ---- sizing ------------------------------------------------------------------------------------------------------


class SizingArgs(Args):
    """A model, a load and an SLO."""

    model: Annotated[Name, Field(min_length=1, description="e.g. llama-3.1-70b")]
    gpu: Annotated[Name, Field(min_length=1, description="e.g. H200")]
    rate_rps: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False, description="Requests a second")]
    ttft_slo_ms: Annotated[Milliseconds, Field(gt=0, le=600_000, allow_inf_nan=False)] = 500.0
    tpot_slo_ms: Annotated[Milliseconds, Field(gt=0, le=60_000, allow_inf_nan=False)] = 50.0
    prompt_tokens: Prompt = 1024
    output_tokens: Output = 256
    weights: Annotated[Dtype | None, Field(description="null: as published")] = None
    max_gpus: Annotated[int, Field(ge=1, le=512)] = 256


class SizedFleet(Answer):
    """One way to serve the load."""

    instances: int
    gpus: int
    tp: int
    pp: int
    dp: int
    ep: int
    weights: str
    max_batch: int
    chunk_tokens: int
    prefill_mhz: float
    decode_mhz: float
    ttft_p99_ms: float
    tpot_p99_ms: float
    tokens_per_s: float
    utilisation_pu: float
    kv_peak_pu: float
    gpu_kw: float
    power_kw: float
    """With the rest of the nodes."""
    joule_per_1000_tokens: float


class SizingAnswer(Answer):
    """The fewest accelerators that keep the SLO, how to run them, and what stands in the way of fewer."""

    model: str
    gpu: str
    rate_rps: float
    slo: str
    best: SizedFleet
    runner_up: SizedFleet | None
    limited_by: str
    prefill_and_decode: str
    """together or apart."""
    prefill_and_decode_why: str
    decode_on: str
    """gpu or lpu."""
    decode_on_why: str
    clock_saving_pu: float
    """Energy that the lowered clocks save."""
    note: str


def _sizing(ports: PlantPorts, args: SizingArgs) -> SizingAnswer:
    from plant.inference.sizing import size

    found = size(
        model_of(ports.site, args.model), ports.site.gpu(args.gpu), args.rate_rps, args.ttft_slo_ms / 1e3,
        args.tpot_slo_ms / 1e3, prompt_tokens=args.prompt_tokens, output_tokens=args.output_tokens,
        weights=args.weights, max_gpus=args.max_gpus,
    )  # fmt: skip
    return SizingAnswer(
        model=found.model, gpu=found.best.gpu, rate_rps=args.rate_rps, slo=found.slo, best=_fleet(found.best),
        runner_up=_fleet(found.runner_up) if found.runner_up else None, limited_by=found.limited_by,
        prefill_and_decode=found.pools, prefill_and_decode_why=found.pools_why, decode_on=found.decode_on,
        decode_on_why=found.decode_why, clock_saving_pu=known(found.clock_saving, 3),
        note="; ".join((f"judged by {found.replayed_requests:,} made-up requests", *found.notes)),
    )  # fmt: skip


def _fleet(one: Choice) -> SizedFleet:
    return SizedFleet(
        instances=one.instances, gpus=one.gpus, tp=one.tp, pp=one.pp, dp=one.dp, ep=one.ep, weights=one.weights,
        max_batch=one.max_batch, chunk_tokens=one.chunk_tokens, prefill_mhz=one.clock_prefill_mhz,
        decode_mhz=one.clock_decode_mhz, ttft_p99_ms=known(one.ttft.p99_ms), tpot_p99_ms=known(one.tpot.p99_ms),
        tokens_per_s=known(one.tokens_per_s), utilisation_pu=known(one.utilisation, 3), kv_peak_pu=known(one.kv_peak, 3),
        gpu_kw=known(one.gpu_kw), power_kw=known(one.power_kw), joule_per_1000_tokens=known(one.joule_per_1000_tokens),
    )  # fmt: skip


# ---- parallelism -------------------------------------------------------------------------------------------------


class ParallelismArgs(Args):
    """A model on so many accelerators, to serve or to train."""

    model: Annotated[Name, Field(min_length=1, description="e.g. deepseek-v3")]
    gpu: Annotated[Name, Field(min_length=1, description="e.g. H100")]
    gpus: Annotated[int, Field(ge=1, le=16_384, description="To serve: of one instance, at most 128")] = 8
    purpose: Literal["serve", "train"] = "serve"
    weights: Annotated[Dtype | None, Field(description="null: as published; to train bf16")] = None
    max_len: Annotated[int, Field(ge=1, le=1_048_576, description="Longest sequence to serve")] = 8192
    batch_tokens: Annotated[
        float | None,
        Field(gt=0, le=1e9, allow_inf_nan=False, description="Of one training step; null: 4 million or more"),
    ] = None


class Split(Answer):
    """One way to split an instance that serves."""

    name: str
    gpus: int
    possible: bool
    why_not: str
    notes: str
    weights_gb: float
    """Of one accelerator."""
    pool_tokens: int
    decode_ms: float | None
    """A step of 32 sequences of 1,024 tokens; null where it is impossible."""
    communication_pu: float | None
    """Share of that step in messages."""


class TrainingWay(Answer):
    """One way to train."""

    name: str
    possible: bool
    why_not: str
    memory_gb: float
    """Of one accelerator."""
    step_s: float | None
    tokens_per_s: float
    mfu: float
    communication_gb: float
    """One accelerator sends in a step."""
    communication_pu: float
    """Share of the step in messages that are not hidden."""
    scaling_pu: float
    """Tokens a second and accelerator over those inside one NVLink domain."""


class ParallelismAnswer(Answer):
    """Ways to split, the best first, and why the others cannot be."""

    model: str
    gpu: str
    purpose: str
    best: str
    """The fastest possible one; empty where there is none."""
    why: str
    serve: list[Split]
    train: list[TrainingWay]
    left_out: int
    """Options beyond the first 40."""


def _parallelism(ports: PlantPorts, args: ParallelismArgs) -> ParallelismAnswer:
    return _to_train(ports, args) if args.purpose == "train" else _to_serve(ports, args)


def _to_serve(ports: PlantPorts, args: ParallelismArgs) -> ParallelismAnswer:
    """Every split of one instance; of the possible ones that with the shortest decode step on the fewest accelerators."""
    from plant.inference.parallel import options

    if args.gpus > 128:
        raise ToolError(f"{args.gpus} accelerators for one instance; give at most 128, or ask for sizing")
    model, gpu = model_of(ports.site, args.model), ports.site.gpu(args.gpu)
    found = options(model, gpu, max_gpus=args.gpus, weights=args.weights, max_len=args.max_len)
    splits = [_split(one) for one in found]
    good = [one for one in splits if one.possible]
    fewest = min((one.gpus for one in good), default=0)
    best = min(good, key=lambda one: one.decode_ms or math.inf, default=None)
    if best is None:
        why = f"no split over {args.gpus} holds it: {splits[-1].why_not}"
    else:
        why = f"shortest decode step ({best.decode_ms} ms); the fewest accelerators that hold it are {fewest}"
    return ParallelismAnswer(
        model=model.name, gpu=gpu.name, purpose="serve", best=best.name if best else "", why=why,
        serve=splits[:MOST_OPTIONS], train=[], left_out=max(0, len(splits) - MOST_OPTIONS),
    )  # fmt: skip


def _split(one: Option) -> Split:
    from plant.inference.parallel import explain

    parts = explain(one.deployment)["decode"] if one.deployment else None
    return Split(
        name=one.name, gpus=one.gpus, possible=one.possible, why_not="; ".join(one.reasons), notes="; ".join(one.notes),
        weights_gb=known(one.weights_gb), pool_tokens=one.pool_tokens,
        decode_ms=known(1e3 * parts.total_s) if parts else None,
        communication_pu=known(parts.shares()["communication"], 3) if parts else None,
    )  # fmt: skip


LEAST_BATCH_TOKENS = 4e6
"""Of a training step where none is given: what Llama 3 began with (arXiv 2407.21783)."""
SEQUENCE_TOKENS = 4096


def _to_train(ports: PlantPorts, args: ParallelismArgs) -> ParallelismAnswer:
    """Data against expert parallelism; of what fits, the way with most tokens a second."""
    from plant.inference.training import compare_parallelism

    model, gpu = model_of(ports.site, args.model), ports.site.gpu(args.gpu)
    tokens = args.batch_tokens or max(LEAST_BATCH_TOKENS, args.gpus * SEQUENCE_TOKENS)
    rows = compare_parallelism(model, gpu, args.gpus, tokens, precision=args.weights or "bf16")
    ways = [_way(one) for one in rows]
    good = [one for one in ways if one.possible]
    best = max(good, key=lambda one: one.tokens_per_s, default=None)
    if best is None:
        why = f"nothing fits: {ways[-1].why_not or ways[0].why_not}; split it over pipeline and tensor ways as well"
    else:
        why = (
            f"{best.tokens_per_s:,.0f} tokens a second, {100 * best.communication_pu:.3g}% of the step in messages, "
            f"{best.memory_gb:g} GB on each"
        )
    return ParallelismAnswer(
        model=model.name, gpu=gpu.name, purpose="train", best=best.name if best else "", why=why, serve=[],
        train=ways[:MOST_OPTIONS], left_out=max(0, len(ways) - MOST_OPTIONS),
    )  # fmt: skip


def _way(one: Comparison) -> TrainingWay:
    return TrainingWay(
        name=one.way, possible=one.fits, why_not=one.note, memory_gb=known(one.memory_gb), step_s=number(one.step_s),
        tokens_per_s=known(one.tokens_per_s), mfu=known(one.mfu, 3), communication_gb=known(one.communication_gb),
        communication_pu=known(one.communication_share, 3), scaling_pu=known(one.scaling, 3),
    )  # fmt: skip


# ---- what_if -----------------------------------------------------------------------------------------------------


class WhatIfArgs(Args):
    """Changes as people write them, and how long to look."""

    changes: Annotated[
        str,
        Field(
            min_length=1, max_length=400, description='e.g. "batch=64 clock=1200MHz cdu-1.supply_temp=30C"'
        ),
    ]
    minutes: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 3.0
    rate: Annotated[
        float,
        Field(
            gt=0,
            le=2,
            allow_inf_nan=False,
            description="Factor on the usual load: 60 % of what the tightest pool carries",
        ),
    ] = 1.0


class Compared(Answer):
    """One quantity without and with the changes; null where it has no value, such as latency of nothing served."""

    what: str
    unit: str
    without: float | None
    with_it: float | None
    change_pct: float | None


class WhatIfAnswer(Answer):
    """Two runs of the site under the same requests."""

    changes: list[str]
    seconds: float
    requests: int
    rows: list[Compared]
    note: str


REQUESTS_A_RUN = 80_000
"""Above that the runs are shortened: about two seconds of CPU each where a thousand accelerators serve."""
LEAST_SECONDS = 60.0
MOST_WINDOWS = 150
"""Of a run; windows of up to four seconds are far below the loops' time constants."""


def _what_if(ports: PlantPorts, args: WhatIfArgs) -> WhatIfAnswer:
    """`simulate` with and without. Each run starts a plant of its own: the live one is not touched."""
    from plant.arrivals import load_of
    from plant.change import read_changes
    from plant.simulation import plan_run, simulate

    site = ports.site
    wanted = read_changes(args.changes, site)
    if not site.pools:
        raise ToolError(
            f"site {site.name} serves no model, so nothing can be compared; ask about cooling or asset_lost"
        )
    trace = load_of(site, None, rate=args.rate, hours=args.minutes / 60)
    seconds = min(60.0 * args.minutes, max(LEAST_SECONDS, REQUESTS_A_RUN / max(trace.rate_rps, 1e-3)))
    step_s = float(max(1, math.ceil(seconds / MOST_WINDOWS)))
    plan = plan_run(site, trace, hours=seconds / 3600, step_s=step_s, start=ports.clock())
    without, with_it = simulate(plan), simulate(replace(plan, changes=wanted))
    notes = ["from the site's quiet state, under made-up requests"]
    if seconds < 60.0 * args.minutes:
        notes.append(f"cut to {seconds:.0f} s: {trace.rate_rps:,.0f} requests a second are many")
    return WhatIfAnswer(
        changes=list(with_it.changes), seconds=known(seconds), requests=len(plan.trace),
        rows=list(_compared(without, with_it)), note="; ".join((*notes, *with_it.notes)),
    )  # fmt: skip


_TOTALS = (
    ("grid_kwh", "grid energy", "kWh"), ("it_kwh", "IT energy", "kWh"), ("peak_kw", "peak draw", "kW"), ("pue", "PUE", ""),
    ("wh_per_1k_tokens", "energy per 1,000 tokens", "Wh"), ("carbon_g_per_1k_tokens", "carbon per 1,000 tokens", "g"),
)  # fmt: skip
_SERVED = (
    ("ttft_p50_ms", "TTFT P50", "ms"), ("ttft_p99_ms", "TTFT P99", "ms"), ("tpot_p50_ms", "TPOT P50", "ms"),
    ("tpot_p99_ms", "TPOT P99", "ms"), ("attained_pu", "both SLOs met", "share"), ("completed", "requests completed", ""),
    ("energy_kwh", "energy of its GPUs", "kWh"),
)  # fmt: skip
_HIGHEST = (("gpu_temp_c", "hottest GPU", "C"), ("return_temp_c", "warmest coolant return", "C"))


def _compared(without: Run, with_it: Run) -> Iterator[Compared]:
    for name, words, unit in _TOTALS:
        yield _pair(words, unit, getattr(without.totals, name), getattr(with_it.totals, name))
    before: dict[str, PoolServed] = {pool.name: pool for pool in without.pools}
    for pool in with_it.pools:
        for name, words, unit in _SERVED:
            yield _pair(
                f"{pool.name}: {words}",
                unit,
                float(getattr(before[pool.name], name)),
                float(getattr(pool, name)),
            )
    for metric, words, unit in _HIGHEST:
        old, new = _highest(without, metric), _highest(with_it, metric)
        if old is not None and new is not None:
            yield _pair(words, unit, old, new)


def _highest(run: Run, metric: str) -> float | None:
    import numpy as np

    found = [float(np.nanmax(values)) for values in run.metric(metric).values() if np.isfinite(values).any()]
    return max(found, default=None)


def _pair(what: str, unit: str, old: float, new: float) -> Compared:
    moved = 100 * (new - old) / old if old and math.isfinite(old) and math.isfinite(new) else math.nan
    return Compared(
        what=what, unit=unit, without=number(old), with_it=number(new), change_pct=number(moved, 3)
    )


def plan_tools(ports: PlantPorts) -> list[BaseTool]:
    """Sizing, splits and what-ifs, bound to these ports."""
    return [
        typed_tool(
            "sizing", "How many accelerators, split and clocked how, serve a model at a rate within an SLO.",
            SizingArgs, lambda args: _sizing(ports, args),
        ),
        typed_tool(
            "parallelism",
            "Ways to split a model over accelerators to serve or to train it, and why some cannot be.",
            ParallelismArgs, lambda args: _parallelism(ports, args),
        ),
        typed_tool(
            "what_if", "Simulates the site with and without changes such as batch, clock, supply temperature.",
            WhatIfArgs, lambda args: _what_if(ports, args),
        ),
    ]  # fmt: skip
