"""Where and as what a model runs, as plans with their figures: prefill and decode apart, decode from HBM or SRAM, and a
smaller model while power is short.

The judges are those of sizing (`plant.inference.disaggregation`); here their verdicts become alternatives a plan can
show beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plant.control.energy.pool_plan import PoolModel
from plant.hardware.gpus import Gpu
from plant.inference.deployment import Deployment
from plant.inference.disaggregation import (
    GpuDecode,
    decode_batch,
    find_pools,
    gpu_or_lpu,
    together_or_apart,
)
from plant.inference.engine import Replay, replay
from plant.inference.slo import Seen, Slo, judge
from plant.inference.trace import Trace
from setpoint.errors import ConfigError, UsageError

SMALLER: tuple[tuple[str, float, float], ...] = (("medium", 1.9, 5.0), ("small", 4.0, 15.0))
"""Name in the action catalog, requests a node serves over the large model's (as the plant's pools have it), and what
quality it costs: points of MMLU between the 70B, 32B and 8B classes of one family as published (86, 83 and 69 for
Llama-3.1 70B, Qwen2.5 32B, Llama-3.1 8B), rounded up; m. A site should put its own evaluation here."""


@dataclass(frozen=True)
class Alternative:
    """One way of doing it, with what it takes."""

    name: str
    instances: int
    gpus: int
    joule_per_token: float
    ttft_p99_s: float
    tpot_p99_s: float
    keeps: bool
    """The objective."""


@dataclass(frozen=True)
class Placement:
    """Alternatives and which is best, with the reason in numbers."""

    question: str
    alternatives: tuple[Alternative, ...]
    choice: str
    why: str

    def __str__(self) -> str:
        return f"{self.question}: {self.choice}. {self.why[:1].upper()}{self.why[1:]}."


def together_or_split(d: Deployment, trace: Trace, slo: Slo, max_instances: int) -> Placement:
    """Prefill and decode in one pool or in two, each with the fewest instances that keep `slo` on `trace`, by replay.

    Raises ConfigError where not even `max_instances` together keep it and no split does.
    """
    together = _fewest(d, trace, slo, max_instances)
    apart = find_pools(d, trace, slo, max_instances)
    if together is None and apart is None:
        raise ConfigError(
            f"{max_instances} instances keep {slo} neither together nor apart",
            remedy="Allow more, or loosen it",
        )
    rows = []
    if together is not None:
        rows.append(_row("together", d, together[0], together[1], together[2]))
    if apart is not None:
        rows.append(
            _row(
                f"{apart.prefill} prefill + {apart.decode} decode",
                d,
                apart.instances,
                apart.replay,
                apart.seen,
            )
        )
    if together is None:
        return Placement(_SPLIT, tuple(rows), "apart", f"no {max_instances} instances together keep {slo}")
    verdict = together_or_apart(d, slo, (together[0], _joule(together[1])), apart)
    return Placement(_SPLIT, tuple(rows), verdict.choice, verdict.why)


_SPLIT = "Prefill and decode together or apart"


def hbm_or_sram(d: Deployment, trace: Trace, slo: Slo, max_instances: int, lpu: Gpu) -> Placement:
    """Decode from the accelerators' HBM or from the SRAM of `lpu` chips, at the batch that the trace makes.

    Raises ConfigError where `lpu` is none, or no number of instances up to `max_instances` can be replayed.
    """
    found = _fewest(d, trace, slo, max_instances)
    count, served = (max_instances, replay(d, trace, max_instances)) if found is None else found[:2]
    seen = judge(served, slo, d)
    context = float(trace.prompt_tokens.mean() + trace.output_tokens.mean() / 2)
    batch = max(1, round(served.mean_batch))
    own = GpuDecode(d.gpus * count, batch, seen.tpot_s, _joule(served))
    verdict = gpu_or_lpu(d, own, context, slo.tpot_s, lpu)
    row = _row(d.gpu.name, d, count, served, seen)
    return Placement("Decode from HBM or from SRAM", (row,), verdict.choice, verdict.why)


def largest_batch(d: Deployment, context_tokens: float, tpot_s: float) -> int:
    """The batch limit under which decode keeps its time per token: what `set_batch_limit` would be given; 0 for none."""
    return decode_batch(d, context_tokens, tpot_s)


@dataclass(frozen=True)
class Switch:
    """Serving with a smaller model while power is short."""

    model: str
    """As the action catalog names it; "large" where no switch is needed or none helps."""
    nodes: int
    power_kw: float
    saves_kw: float
    quality_points: float
    """Of MMLU, lost."""
    fits: bool
    """The pool then draws no more than it may."""


def smaller_model(model: PoolModel, rate_rps: float, high_rps: float, cap_kw: float) -> Switch:
    """The largest model with which the pool stays within `cap_kw` and carries `high_rps`, nodes and clock at their best.

    Where none fits, the one that draws least. Raises UsageError for a cap that is not a number.
    """
    if not np.isfinite(cap_kw):
        raise UsageError(f"a power cap of {cap_kw} kW", remedy="Give kW")
    tried: list[Switch] = []
    large_kw = 0.0
    for name, faster, lost in (("large", 1.0, 0.0), *SMALLER):
        nodes, clock = model.best(rate_rps / faster, high_rps / faster)
        kw = model.power_kw(rate_rps / faster, nodes, clock)
        large_kw = large_kw or kw
        able = model.carries(high_rps / faster, nodes, clock)
        tried.append(Switch(name, nodes, kw, large_kw - kw, lost, able and kw <= cap_kw))
    return next((s for s in tried if s.fits), min(tried, key=lambda s: s.power_kw))


def _fewest(d: Deployment, trace: Trace, slo: Slo, most: int) -> tuple[int, Replay, Seen] | None:
    """The fewest instances that keep it, by halving: more instances never keep it less."""
    low, high, best = 1, most, None
    while low <= high:
        middle = (low + high) // 2
        served = replay(d, trace, middle)
        seen = judge(served, slo, d)
        if seen.kept:
            best, high = (middle, served, seen), middle - 1
        else:
            low = middle + 1
    return best


def _row(name: str, d: Deployment, instances: int, served: Replay, seen: Seen) -> Alternative:
    return Alternative(
        name, instances, instances * d.gpus, _joule(served), seen.ttft_p99_s, seen.tpot_p99_s, seen.kept
    )


def _joule(served: Replay) -> float:
    return served.energy_j / max(served.decode_tokens + served.completed, 1)
