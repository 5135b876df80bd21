"""How fast the engine replays a trace, in requests per CPU second, beside simulators of its kind.

The clock is the CPU time of the process over the replay alone: after the trace is read, after compilation (a tiny
trace is replayed first). All features are on: power and energy, paged cache, swapping and recomputation, prefix
sharing, priorities.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from plant.hardware.gpus import gpu as gpu_named
from plant.hardware.models import model as model_named
from plant.inference.deployment import Deployment
from plant.inference.engine import Replay, Routing, replay
from plant.inference.memory import smallest_share
from plant.inference.trace import Trace
from setpoint.errors import UsageError

PEERS: tuple[tuple[str, float], ...] = (
    ("splitwise-sim (Python)", 233.0),
    ("Vidur (Python)", 210.0),
    ("BLIS (Go), first 500 requests", 216.0),
    ("Dynamo replay (Rust), 2 workers", 4118.0),
    ("Dynamo replay (Rust), 1 worker", 8115.0),
)
"""Requests per CPU second on the Azure 2023 chat trace, each run on two cores like these; Vidur on drawn lengths."""
LENGTH_STEP = 1024


@dataclass(frozen=True)
class BenchResult:
    """One timed replay."""

    trace: str
    requests: int
    model: str
    gpu: str
    tp: int
    replicas: int
    hbm_util: float
    max_len: int
    requests_per_cpu_s: float
    requests_per_wall_s: float
    cpu_s: float
    wall_s: float
    compile_s: float
    """Wall time of the first tiny replay: compilation, or loading what was compiled before."""
    completed: int
    rejected: int
    preemptions: int
    swaps: int
    recomputes: int
    prefix_hit_tokens: int
    steps: int
    events: int
    kv_waste: float
    peak_kv_share: float
    energy_kwh: float
    ttft_p50_s: float
    ttft_p99_s: float
    tpot_p50_s: float
    tpot_p99_s: float
    peak_rss_mb: float
    """Of the whole process so far, in 1e6 bytes."""


def bench(
    trace: Trace,
    model: str = "llama-2-70b",
    gpu: str = "H100",
    tp: int = 8,
    replicas: int = 2,
    hbm_util: float = 0.9,
    *,
    max_batch: int = 256,
    chunk_tokens: int = 2048,
    routing: Routing = "round_robin",
    runs: int = 1,
) -> BenchResult:
    """Times `runs` replays and reports the median one. max_len is the longest of the trace, rounded up, so that none
    is refused for its length.

    Raises ConfigError for an unknown name or a model that does not fit, UsageError for what cannot be run.
    """
    if not 0 < hbm_util <= 1 or runs < 1:
        raise UsageError(f"hbm_util {hbm_util}, runs {runs}", remedy="Use hbm_util 0.05 to 1, runs 1 or more")
    deployment = deployment_for(trace, model, gpu, tp, hbm_util, max_batch, chunk_tokens)
    started = time.perf_counter()
    replay(deployment, trace.take(slice(0, 3)), replicas, routing)
    compile_s = time.perf_counter() - started
    timed = sorted((_timed(deployment, trace, replicas, routing) for _ in range(runs)), key=lambda t: t[0])
    cpu_s, wall_s, done = timed[len(timed) // 2]
    return _result(deployment, trace, replicas, (cpu_s, wall_s, compile_s), done)


def starved_util(trace: Trace, model: str = "llama-2-70b", gpu: str = "H100", tp: int = 8) -> float:
    """The `hbm_util` that leaves just enough for the longest request of the trace: the hardest run that completes all.

    Under load it preempts, swaps and recomputes.
    """
    return smallest_share(deployment_for(trace, model, gpu, tp, 0.9, 256, 2048), trace.longest)


def deployment_for(
    trace: Trace,
    model: str,
    gpu: str,
    tp: int,
    hbm_util: float,
    max_batch: int = 256,
    chunk_tokens: int = 2048,
) -> Deployment:
    """One replica; max_len is the longest of the trace, rounded up, so that none is refused for its length."""
    return Deployment(
        model=model_named(model), gpu=gpu_named(gpu), tp=tp, memory_share=hbm_util, max_batch=max_batch,
        chunk_tokens=chunk_tokens, max_len=-(-trace.longest // LENGTH_STEP) * LENGTH_STEP,
    )  # fmt: skip


def _timed(d: Deployment, trace: Trace, replicas: int, routing: Routing) -> tuple[float, float, Replay]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = replay(d, trace, replicas, routing)
    return time.process_time() - cpu, time.perf_counter() - wall, done


def _result(
    d: Deployment, trace: Trace, replicas: int, times: tuple[float, float, float], done: Replay
) -> BenchResult:
    cpu_s, wall_s, compile_s = times
    shares = done.percentiles((50, 99))
    return BenchResult(
        trace=trace.name, requests=len(trace), model=d.model.name, gpu=d.gpu.name, tp=d.tp, replicas=replicas,
        hbm_util=d.memory_share, max_len=d.max_len, requests_per_cpu_s=len(trace) / max(cpu_s, 1e-9),
        requests_per_wall_s=len(trace) / max(wall_s, 1e-9), cpu_s=cpu_s, wall_s=wall_s, compile_s=compile_s,
        completed=done.completed, rejected=done.rejected, preemptions=done.preemptions, swaps=done.swaps,
        recomputes=done.recomputes, prefix_hit_tokens=done.prefix_hit_tokens, steps=done.steps, events=done.events,
        kv_waste=done.kv_waste, peak_kv_share=done.peak_blocks / done.blocks, energy_kwh=done.energy_j / 3.6e6,
        ttft_p50_s=shares["ttft_s"]["p50"], ttft_p99_s=shares["ttft_s"]["p99"],
        tpot_p50_s=shares["tpot_s"]["p50"], tpot_p99_s=shares["tpot_s"]["p99"], peak_rss_mb=peak_rss_mb(),
    )  # fmt: skip


def peak_rss_mb() -> float:
    """Most memory this process has held, in 1e6 bytes.

    From VmHWM on Linux: getrusage there also counts what the parent held before it started this process. Elsewhere
    from getrusage (in bytes on macOS).
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def as_json(result: BenchResult) -> str:
    """One line of JSON."""
    return json.dumps(asdict(result))
