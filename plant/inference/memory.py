"""What fits: weights, activations and the pool of cache blocks of one instance, as an engine's profile run finds them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from plant.hardware.gpus import DTYPE_BYTES, Gpu, gpus
from plant.hardware.models import Model
from plant.inference.deployment import Deployment
from setpoint.errors import ConfigError

GIB = 2.0**30
CONTEXT_BYTES = 1.79 * GIB
"""CUDA context and workspaces of one accelerator. Source: vLLM pull request 10511, `non_torch_memory` of
Llama-3-8B on one H100."""
CONTEXT_TP_BYTES = 3.58 * GIB
"""The same with collectives (tp 2): NCCL and all-reduce buffers. Same source."""
SAMPLER_COPIES = 10.0
"""Fp32 copies of the logits that sampling holds at once (sort with 64-bit indices, softmax, sum). Fitted to one figure,
the activation peak of 1.26 GiB in the same source, which is the same at tp 1 and 2: 256 sequences x 128,256 words."""
COPY_LAUNCH_S = 2e-6
"""Time to start one copy between host and device [m]. Engines copy a block as one piece for each layer, key and value;
the vLLM paper (arXiv 2309.06180, section 7.3) finds swapping limited by these many small transfers."""
WATERMARK_SHARE = 0.01
"""Blocks kept free at admission (vLLM: watermark)."""
LPU_RESERVE_SHARE = 0.02
"""SRAM of an LPU kept for activations and code [m]."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of one accelerator, and the pool of the instance in blocks of `Deployment.block_tokens` tokens."""

    weights_bytes: float
    activation_bytes: float
    context_bytes: float
    pool_bytes: float
    """Of one accelerator."""
    block_bytes: float
    """Of one block on one accelerator."""
    blocks: int
    """Of the instance: with `dp` ranks, all of them together."""
    cpu_blocks: int
    watermark_blocks: int
    max_concurrency: float
    """Sequences of `max_len` that the pool holds at once."""
    copy_s: float
    """Seconds to copy one block to the CPU or back; all accelerators copy their parts at once."""
    load_s: float
    """Seconds to load one token's cache from a store behind the host link, in large pieces."""

    @property
    def pool_tokens(self) -> int:
        return self.blocks * self._block_tokens

    @property
    def _block_tokens(self) -> int:
        return round(self.block_bytes / self.token_bytes)

    token_bytes: float = 1.0
    """Cache of one token on one accelerator."""


def ffn_width(m: Model) -> float:
    """Intermediate width that one token passes, from the parameter count: (P_a - embeddings - attention) / (3 L h).

    >>> from plant.hardware.models import model
    >>> round(ffn_width(model("llama-3.1-8b")), -2)
    14300.0
    """
    attention = m.layers * m.hidden * m.head_dim * (2 * m.heads + 2 * m.kv_heads)
    left = m.params_active - 2 * m.vocab * m.hidden - attention
    return max(left / (3 * m.layers * m.hidden), float(m.hidden))


def activation_bytes(d: Deployment) -> float:
    """Peak of one accelerator over a profile run: `chunk_tokens` through a layer, then `max_batch` sequences sampled.

    A layer holds at 16 bits the residual and its norm, the attention projections, and three widths of the FFN (gate,
    up, product); the FFN and the heads are split over tp. Leaving this out over-sizes the pool (LLMServingSim issue
    59: by 31%).
    """
    m = d.model
    layer = 2 * m.hidden + max(
        (m.heads + 2 * m.kv_heads) * m.head_dim / d.tp + m.hidden, 3 * ffn_width(m) / d.tp
    )
    forward = 2.0 * d.chunk_tokens * layer
    sample = 4.0 * SAMPLER_COPIES * min(d.max_batch, d.chunk_tokens) * m.vocab
    return float(max(forward, sample))


def weights_bytes(d: Deployment) -> float:
    """Of one accelerator: dense weights over tp * pp (each dp rank keeps them whole), experts over all of them."""
    m, width = d.model, DTYPE_BYTES[d.weights]
    dense = m.params - m.expert_params
    return width * (dense / (d.tp * d.pp) + m.expert_params / d.gpus)


def token_bytes(d: Deployment) -> float:
    """Cache of one token on one accelerator: heads over tp, layers over pp.

    Heads that are fewer than tp are kept several times, and the latent cache (MLA) of each layer whole on each.
    """
    m = d.model
    whole = m.kv_bytes_per_token(d.kv) / d.pp
    if d.gpu.kind == "lpu":
        return whole / d.tp
    return whole if m.latent_kv_dim else whole * math.ceil(m.kv_heads / d.tp) / m.kv_heads


def plan_memory(d: Deployment) -> MemoryPlan:
    """The plan of one instance. Raises ConfigError where it does not fit, naming what would."""
    plan = _plan(d)
    if plan.weights_bytes + plan.activation_bytes + plan.context_bytes > _usable(d) or plan.blocks < 2:
        raise ConfigError(_lack(d, plan), where=_name(d), remedy=_what_fits(d))
    return plan


def fits(d: Deployment) -> bool:
    """Whether weights, activations and at least one sequence of `max_len` fit."""
    return _plan(d).blocks * d.block_tokens >= d.max_len


def smallest_share(d: Deployment, tokens: int | None = None) -> float:
    """The memory share with which a pool holds `tokens` (None: one sequence of `max_len`) above the watermark."""
    plan = _plan(d)
    blocks = math.ceil((tokens or d.max_len) / d.block_tokens)
    blocks = math.ceil((blocks + 1) / (1.0 - WATERMARK_SHARE) / d.dp)
    need = plan.weights_bytes + plan.activation_bytes + plan.context_bytes + blocks * plan.block_bytes
    return float(need / d.gpu.memory_bytes)


def _usable(d: Deployment) -> float:
    return d.gpu.memory_bytes * (1.0 - LPU_RESERVE_SHARE if d.gpu.kind == "lpu" else d.memory_share)


def _plan(d: Deployment) -> MemoryPlan:
    lpu = d.gpu.kind == "lpu"
    weights, activation = weights_bytes(d), 0.0 if lpu else activation_bytes(d)
    context = 0.0 if lpu else CONTEXT_TP_BYTES if d.gpus > 1 else CONTEXT_BYTES
    pool = max(0.0, _usable(d) - weights - activation - context)
    token = token_bytes(d)
    block = token * d.block_tokens
    blocks = int(pool // block) * d.dp
    copies = (1 if d.model.latent_kv_dim else 2) * d.model.layers / d.pp
    host = d.gpu.host_bytes_per_s
    return MemoryPlan(
        weights_bytes=weights,
        activation_bytes=activation,
        context_bytes=context,
        pool_bytes=pool,
        block_bytes=block,
        blocks=blocks,
        cpu_blocks=int(d.swap_bytes // (block * d.tp * d.pp)),
        watermark_blocks=int(WATERMARK_SHARE * blocks),
        max_concurrency=blocks * d.block_tokens / d.max_len,
        copy_s=copies * COPY_LAUNCH_S + block / host,
        load_s=token / host,
        token_bytes=token,
    )


def _name(d: Deployment) -> str:
    split = ", ".join(f"{k} {v}" for k, v in (("tp", d.tp), ("pp", d.pp), ("dp", d.dp)) if v > 1) or "tp 1"
    return f"{d.model.name} ({d.weights}) on {d.gpu.name}, {split}"


def _lack(d: Deployment, plan: MemoryPlan) -> str:
    parts = f"{plan.weights_bytes / 1e9:.2f} GB of weights"
    if d.gpu.kind == "gpu":
        parts += f", {plan.activation_bytes / 1e9:.1f} GB of activations, {plan.context_bytes / 1e9:.1f} GB of context"
    return f"does not fit: one accelerator needs {parts} and room for cache, and may use {_usable(d) / 1e9:.2f} GB"


def _what_fits(d: Deployment) -> str:
    """The nearest deployments that hold one sequence of `max_len`: more ways, a smaller dtype, another GPU."""
    offers = []
    ways = _smallest_ways(d)
    if ways:
        offers.append(ways)
    narrow = next(
        (w for w in ("fp8", "fp4") if DTYPE_BYTES[w] < DTYPE_BYTES[d.weights] and fits(_with(d, weights=w))),
        None,
    )
    if narrow:
        offers.append(f"weights {narrow}")
    other = _other_gpu(d)
    if other:
        offers.append(f"{other.name} ({other.memory_bytes / 1e9:.0f} GB)")
    share = smallest_share(d)
    if d.gpu.kind == "gpu" and d.memory_share < share <= 0.95:
        offers.append(f"memory_share {math.ceil(share * 1000) / 1000:g}")
    return f"it fits with {', or '.join(offers)}" if offers else "take a smaller model or a shorter max_len"


def _smallest_ways(d: Deployment) -> str:
    if d.gpu.kind == "lpu":
        need = math.ceil(d.model.params * DTYPE_BYTES[d.weights] / _usable(d))
        ways = next((n for n in range(need, 4 * need) if fits(_with(d, tp=1, pp=n, dp=1))), None)
        return f"{ways} accelerators" if ways else ""
    domain = max(d.gpu.scale_up_domain, d.tp)
    for pp in (d.pp, 2 * d.pp, 4 * d.pp):
        tp = d.tp
        while tp <= domain:
            if fits(_with(d, tp=tp, pp=pp)):
                return f"tp {tp}" if pp == d.pp else f"tp {tp}, pp {pp}"
            tp *= 2
    return ""


def _other_gpu(d: Deployment) -> Gpu | None:
    larger = [g for g in gpus() if g.kind == "gpu" and g.memory_bytes > d.gpu.memory_bytes]
    return next((g for g in sorted(larger, key=lambda g: g.memory_bytes) if fits(_with(d, gpu=g))), None)


def _with(d: Deployment, **changes: object) -> Deployment:
    return d.model_copy(update=changes)
