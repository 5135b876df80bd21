"""Time of one engine step: a smooth roofline of compute and memory, attention, communication and overheads.

A step computes `prefill_tokens` new prompt tokens and one token for each of `batch` running sequences. The step is
the sum of what happens one after another in every layer:

    linear    the weights' matrix products, a smooth maximum (p = 4) of arithmetic and reading the weights once
    attention the prompt's query-key pairs (arithmetic) and the running sequences' cache (memory)
    exchange  tensor and expert parallel messages, `plant.inference.comm`
    overhead  kernel gaps of each layer, scheduling of each request, the step itself

A step with prompts runs outside captured graphs, so it takes no less than the host needs to launch its layers.

The constants are those of `calibration.yaml`, fitted by `python -m plant.validation.fit`. Only the arithmetic follows
the clock: memory, links and the host do not, which is why decoding hardly slows when the clock is lowered.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from plant.closed import Closed
from plant.compiled import njit
from plant.hardware.gpus import DTYPE_BYTES, Dtype, Gpu
from plant.hardware.models import Model
from plant.inference.comm import exchange_count, exchange_s_per_token
from plant.inference.deployment import Deployment
from setpoint.errors import ConfigError

FloatArray = NDArray[np.float64]
LAUNCH_TOKENS = 32.0
"""Prompt tokens at which half of the launch floor is felt; it only keeps the step time continuous."""
COEFFICIENTS = (
    "flops_per_token", "flops_per_pair", "flops_per_sequence", "linear_rate", "attention_rate",
    "weight_bytes_shared", "weight_bytes_expert", "expert_keep", "kv_bytes_per_token", "kv_bytes_local",
    "window_tokens", "weight_rate", "kv_rate", "exchange_s_per_token", "fixed_s", "request_s",
    "peak_flops", "peak_bandwidth", "moe_inflation", "launch_s", "launch_decode_s",
)  # fmt: skip
"""What each place of the coefficient vector is; all rates are of the whole instance."""


class EngineCost(Closed):
    """What the serving software adds, seconds."""

    layer_s: float
    """Kernel launches and gaps of one dense layer."""
    moe_layer_s: float
    """What routing and expert kernels add to it."""
    request_s: float
    """Scheduling, sampling and detokenising, for each running request and step; each data parallel way has its own."""
    step_s: float
    """For each step."""
    launch_layer_s: float
    """Host time to launch one layer of a step that holds prompts: no captured graph fits it."""
    captured: bool = True
    """Whether decode steps are replayed from captured graphs; else the host launches them too."""
    compute: float = 1.0
    """Factor on `mfu`: how near this engine's kernels come to the best."""
    first_s: float
    """HTTP, tokenisation and the first answer, for each request."""
    stream_s: float = 0.0
    """What each running stream adds to that: the front end serves all of them from one loop."""


class ArchCost(Closed):
    """How near to its data sheet one generation of accelerators comes."""

    compute: float
    """Factor on the shares of peak in `mfu`."""
    memory: float
    """Share of the memory rate that weights are read at."""
    cache: float
    """Share of the memory rate that decode attention reads the cache at."""
    fused_experts: float = 1.0
    """Factor on `moe_layer_s` with 4-bit experts: where the generation multiplies 4-bit numbers itself, routing, both
    products and the sum are a few fused kernels instead of a dozen (FlashInfer's, which vLLM uses on Blackwell)."""
    host: float = 1.0
    """Factor on launch times: the processors that came with this generation."""


class Calibration(Closed):
    """The fitted constants of the cost model."""

    mfu: dict[Dtype, float]
    """Share of peak in wide matrix products."""
    attention_mfu: float
    """Share of the bf16 peak in prompt attention."""
    width_half: float
    """Columns of a layer's weights on one accelerator at which products reach half their share of peak."""
    moe_compute: float
    """Factor on that share in grouped expert products."""
    expert_skew: float
    """Exponent on tokens in the count of distinct experts; below 1 since near tokens choose alike."""
    arch: dict[str, ArchCost]
    engine: dict[str, EngineCost]
    exchange_s: float
    """Start-up of one message between accelerators inside a captured graph."""
    exchange_hop_s: float
    """For each doubling of the accelerators it spans."""


@cache
def calibration() -> Calibration:
    """The committed constants. Raises ConfigError where the file does not fit its schema."""
    text = files("plant.inference").joinpath("calibration.yaml").read_text(encoding="utf-8")
    return Calibration.model_validate(yaml.safe_load(text))


def engine_cost(name: str, constants: Calibration | None = None) -> EngineCost:
    """Overheads of that serving software. Raises ConfigError that lists the known ones."""
    known = (constants or calibration()).engine
    if name not in known:
        raise ConfigError(f"no cost of engine {name!r}", remedy=f"Use one of {', '.join(known)}")
    return known[name]


def arch_cost(gpu: Gpu, constants: Calibration | None = None) -> ArchCost:
    """Efficiencies of that accelerator's generation; an unknown one gets those named `other`."""
    known = (constants or calibration()).arch
    return known.get(gpu.arch) or known["other"]


def body_params(m: Model) -> tuple[float, float, float]:
    """Active weights outside experts and vocabulary, active expert weights, output head: each a count.

    The input embedding is looked up, not multiplied, and the output head works for one token of each sequence only.
    """
    experts = m.expert_params * m.experts_per_token / m.experts if m.experts else 0.0
    dense = m.params_active - experts - m.head_params - m.embedding_params
    return max(dense, 0.1 * m.params_active), experts, m.head_params


def step_coefficients(
    d: Deployment, constants: Calibration | None = None, profile: str | None = None
) -> FloatArray:
    """The cost vector of one instance, in the order of COEFFICIENTS.

    `profile` names other software than `d.engine` in the calibration (for instance `eager`: vLLM of 2023, without
    CUDA graphs). Raises ConfigError where an LPU's memory cannot hold the weights.

    Weights are split over tp * pp; with attention data parallel (dp) the weights outside experts are copied to each
    way. Pipeline stages work on different micro-batches at once: arithmetic and cache gain from all stages, while
    each micro-batch must read all weights. A cache of fewer heads than tp, and a latent one, is read by all.
    """
    k = constants or calibration()
    m, gpu, ways = d.model, d.gpu, d.tp * d.pp * d.dp
    soft, eff = engine_cost(_software(d, profile), k), arch_cost(gpu, k)
    dense, experts, head = body_params(m)
    linear = (
        ways
        * gpu.peak(d.weights)
        * k.mfu[d.weights]
        * eff.compute
        * soft.compute
        * _fill(d, k, dense + experts)
    )
    cache_ways = d.dp * d.pp * (1 if m.latent_kv_dim else min(d.tp, m.kv_heads))
    cache_rate = cache_ways * gpu.memory_bytes_per_s * eff.cache
    local, window = _local(m)
    kv = m.kv_bytes_per_token(d.kv)
    launch_s = m.layers * soft.launch_layer_s * eff.host
    width, shared_width = DTYPE_BYTES[d.weights], DTYPE_BYTES[_dense_dtype(d)]
    inflation = (dense + experts / k.moe_compute) / (dense + experts)
    return np.array([
        2 * (dense + experts) * inflation + 0.5 * m.pair_flops * local * window, m.pair_flops * (1 - local), 2 * head,
        linear, ways * gpu.peak("bf16") * k.attention_mfu * eff.compute,
        (dense + head) * shared_width * d.dp, m.expert_params * width,
        (1 - m.experts_per_token / m.experts) ** k.expert_skew if m.experts else 0.0,
        kv * (1 - local), kv * local, window,
        d.tp * d.dp * gpu.memory_bytes_per_s * eff.memory, cache_rate,
        exchange_s_per_token(d), _fixed_s(d, soft, k), soft.request_s / d.dp + 2 * m.state_bytes() / cache_rate,
        ways * gpu.peak(d.weights), ways * gpu.memory_bytes_per_s, inflation, launch_s, 0.0 if soft.captured else launch_s,
    ])  # fmt: skip


def _software(d: Deployment, profile: str | None) -> str:
    """Name of the overheads: an LPU has no serving engine, its program is fixed at compile time."""
    return "lpu" if d.gpu.kind == "lpu" else profile or d.engine


def _fill(d: Deployment, k: Calibration, active: float) -> float:
    """Share of the wide-product rate that this model's products reach: w / (w + half), w columns a layer and GPU."""
    columns = active / d.model.layers / d.model.hidden / d.tp
    return columns / (columns + k.width_half)


def _local(m: Model) -> tuple[float, float]:
    """Share of cache layers that see a window only, and the window; sparse attention counts as a window of all."""
    if m.attended_tokens:
        return 1.0, float(m.attended_tokens)
    return (m.window_layers / m.cache_layers, float(m.window)) if m.window else (0.0, 1.0)


def _dense_dtype(d: Deployment) -> Dtype:
    """How weights outside the experts are kept: as published where the experts are as published."""
    return d.model.dense_weights if d.model.dense_weights and d.weights == d.model.weights else d.weights


def _fixed_s(d: Deployment, soft: EngineCost, k: Calibration) -> float:
    """Seconds of a step that depend on nothing: layers, message start-ups, the step itself."""
    m = d.model
    if d.gpu.kind == "lpu" and (need := m.params * DTYPE_BYTES[d.weights]) > d.gpus * d.gpu.memory_bytes:
        raise ConfigError(
            f"{m.name} in {d.weights} needs {need / 1e9:.0f} GB, {d.gpus} x {d.gpu.name} hold {d.gpus * d.gpu.memory_bytes / 1e9:.0f} GB",
            remedy=f"Use {int(need / d.gpu.memory_bytes) + 1} or more accelerators, or narrower weights",
        )
    moe_layers = (m.expert_layers or m.layers) if m.experts else 0
    count, doublings = exchange_count(d)
    messages = 0.0 if d.gpu.kind == "lpu" else count * (k.exchange_s + doublings * k.exchange_hop_s)
    moe_layer_s = soft.moe_layer_s * (arch_cost(d.gpu, k).fused_experts if d.weights == "fp4" else 1.0)
    return m.layers * soft.layer_s + moe_layers * moe_layer_s + soft.step_s + messages


@njit(cache=True)
def step_time_s(
    c: Any, prefill_tokens: float, prefill_pairs: float, batch: float, context_tokens: float, clock_pu: float
) -> float:
    """Seconds of one step.

    `prefill_pairs`: query-key pairs of the chunk, the sum of n * (cached + n / 2). `context_tokens`: length of all
    running sequences together. `clock_pu`: share of the maximal clock.
    """
    tokens = prefill_tokens + batch
    if tokens <= 0.0:
        return 0.0
    linear_s = (c[0] * tokens + c[2] * batch) / (c[3] * clock_pu)
    experts = 1.0 - c[7] ** tokens if c[6] > 0.0 else 0.0
    read_s = (c[5] + c[6] * experts) / c[11]
    linear_2, read_2 = linear_s * linear_s, read_s * read_s
    roof_s = np.sqrt(np.sqrt(linear_2 * linear_2 + read_2 * read_2))
    local = min(context_tokens, batch * c[10])
    cache_s = (c[8] * context_tokens + c[9] * local) / c[12]
    pairs = c[1] * prefill_pairs
    total_s = roof_s + pairs / (c[4] * clock_pu) + cache_s + c[13] * tokens + c[14] + c[15] * batch
    floor_2 = c[20] + (c[19] - c[20]) * prefill_tokens / (prefill_tokens + LAUNCH_TOKENS)
    floor_2, total_2 = floor_2 * floor_2, total_s * total_s
    total_s = np.sqrt(np.sqrt(floor_2 * floor_2 + total_2 * total_2))
    return float(total_s)


@njit(cache=True)
def step_use(
    c: Any, prefill_tokens: float, prefill_pairs: float, batch: float, context_tokens: float, time_s: float
) -> tuple[float, float]:
    """Achieved share of peak compute and of peak memory bandwidth over a step that took `time_s`."""
    tokens = prefill_tokens + batch
    experts = 1.0 - c[7] ** tokens if c[6] > 0.0 else 0.0
    local = min(context_tokens, batch * c[10])
    flops = c[0] / c[18] * tokens + c[2] * batch + c[1] * (prefill_pairs + context_tokens)
    read = c[5] + c[6] * experts + c[8] * context_tokens + c[9] * local + (c[8] + c[9]) * tokens
    return flops / (c[16] * time_s), read / (c[17] * time_s)
