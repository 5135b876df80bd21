"""What an instance makes its accelerators do in a step: issued arithmetic and memory traffic, as shares of peak.

Power follows what the hardware executes, not what the model needs. Tensor cores work on tiles: few rows are padded to
a tile, so small batches, thinly filled experts and decode attention cost arithmetic that yields nothing. These are the
uses that the constants of `plant.power.gpu` are fitted to; `plant.inference.cost.step_use` counts useful work.
The call is that of `step_use`, so that one stands for the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.compiled import njit
from plant.hardware.gpus import DTYPE_BYTES, Dtype
from plant.inference.deployment import Deployment

FloatArray = NDArray[np.float64]
COEFFICIENTS = (
    "dense_flops", "expert_flops", "flops_per_pair", "experts", "experts_per_token", "tile_rows", "tile_rows_few",
    "dense_tile_rows", "dense_bytes", "expert_bytes", "kv_bytes_full", "kv_bytes_local", "window_tokens",
    "state_bytes", "kv_rows", "linear_flops_per_s", "attention_flops_per_s", "bytes_per_s", "attended_tokens",
)  # fmt: skip
"""What each place of the use vector is; rates are peaks of the whole instance."""
TILE_ROWS, TILE_ROWS_FEW, TILE_ROWS_FP8, DENSE_TILE_ROWS = 64.0, 16.0, 128.0, 16.0
"""Rows of a tile. Grouped expert products: 64, or 16 up to as many tokens as experts (vLLM's default Triton tiles);
128 where the experts are in FP8 with block scales (DeepGEMM's row alignment). Dense: 16 (smallest MMA tile)."""
BIG_TILE_ARCH = ("blackwell", "blackwell-ultra")
"""Their tensor cores take 128 rows, 256 by pairs (tcgen05.mma, PTX ISA 9.7.16): full tiles are twice as large,
but for 4-bit experts, whose kernels fill them otherwise (found in the fit: 9% error with 64 rows, 10% with 128)."""
KV_ROWS = {"hopper": 64.0, "ampere": 16.0}
"""Query rows a decode attention tile computes for each key: 64 with Hopper's warp-group MMA, else 16."""


def use_coefficients(d: Deployment) -> FloatArray:
    """The use vector of one instance, in the order of COEFFICIENTS."""
    m, ways = d.model, d.tp * d.pp * d.dp
    width = DTYPE_BYTES[d.weights]
    active_experts = m.expert_params * m.experts_per_token / m.experts if m.experts else 0.0
    dense = max(m.params_active - active_experts - m.embedding_params, 0.3 * m.params_active)
    linear: Dtype = "bf16" if d.weights == "fp4" else d.weights
    kv = m.kv_width * DTYPE_BYTES[d.kv]
    full = TILE_ROWS_FP8 if d.weights == "fp8" else TILE_ROWS
    if d.gpu.arch in BIG_TILE_ARCH and d.weights != "fp4":
        full *= 2.0
    return np.array([
        2.0 * dense, 2.0 * active_experts, m.pair_flops, m.experts, m.experts_per_token,
        full, full if d.weights == "fp8" else TILE_ROWS_FEW, DENSE_TILE_ROWS,
        (m.params - m.expert_params - m.embedding_params) * width * d.dp, m.expert_params * width,
        (m.cache_layers - m.window_layers) * kv, m.window_layers * kv, m.window, m.state_bytes(),
        KV_ROWS.get(d.gpu.arch, 16.0), ways * d.gpu.peak(linear), ways * d.gpu.peak("bf16"),
        ways * d.gpu.memory_bytes_per_s, m.attended_tokens,
    ], dtype=float)  # fmt: skip


@njit(cache=True)
def issued_use(
    w: Any, prefill_tokens: float, prefill_pairs: float, batch: float, context_tokens: float, time_s: float
) -> tuple[float, float]:
    """Issued share of peak compute and of peak memory bandwidth over a step that took `time_s`; (0, 0) for none.

    Arguments as in `step_time_s`. Neither share passes 1.
    """
    tokens = prefill_tokens + batch
    if tokens <= 0.0 or time_s <= 0.0:
        return 0.0, 0.0
    linear = w[0] * max(tokens, w[7])
    share = 0.0
    if w[3] > 0.0:
        share = 1.0 - (1.0 - w[4] / w[3]) ** max(tokens, 1.0)
        rows = tokens * w[4] / (w[3] * share)
        tile = w[6] if tokens <= w[3] else w[5]
        linear += w[1] * tokens * max(rows, tile) / rows
    length = context_tokens / batch if batch > 0.0 else 0.0
    seen = min(length, w[18]) if w[18] > 0.0 else length
    local = min(length, w[12]) if w[12] > 0.0 else length
    cache = batch * (w[10] * seen + w[11] * local)
    attention = w[2] * prefill_pairs + cache * w[14]
    moved = w[8] + w[9] * share + cache + (w[10] + w[11]) * prefill_tokens + batch * w[13]
    u_compute = (linear / w[15] + attention / w[16]) / time_s
    return min(u_compute, 1.0), min(moved / (w[17] * time_s), 1.0)
