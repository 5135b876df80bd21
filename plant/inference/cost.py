"""Time of one engine step: a smooth roofline of compute and memory with communication and overheads.

A step computes `prefill_tokens` new prompt tokens and one token for each of `batch` running sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from plant.hardware.gpus import DTYPE_BYTES
from plant.inference.deployment import Deployment

FloatArray = NDArray[np.float64]
COEFFICIENTS = (
    "flops_per_token", "flops_per_pair", "peak_flops", "mfu", "weight_bytes_shared", "weight_bytes_expert",
    "expert_keep", "kv_bytes_per_token", "bandwidth", "bandwidth_share", "smooth", "comm_bytes_per_token",
    "comm_bandwidth", "comm_fixed_s", "layer_s", "request_s", "step_s",
)  # fmt: skip
"""What each place of the coefficient vector is; all rates are of the whole instance."""


def step_coefficients(d: Deployment) -> FloatArray:
    """The cost vector of one instance, in the order of COEFFICIENTS."""
    m, ways, width = d.model, d.tp * d.pp * d.dp, DTYPE_BYTES[d.weights]
    shared = (m.params - m.expert_params) * width
    ring = 2 * (d.tp - 1) / d.tp
    return np.array([
        2 * m.params_active, 4 * m.layers * m.heads * m.head_dim, ways * d.gpu.peak(d.weights), 0.45,
        shared, m.expert_params * width, 1 - m.experts_per_token / max(m.experts, 1),
        m.kv_bytes_per_token(d.kv), ways * d.gpu.memory_bytes_per_s, 0.8, 4.0,
        2 * m.layers * ring * m.hidden * 2.0, d.gpu.scale_up_bytes_per_s, 4 * m.layers * (d.tp - 1) * 1e-6,
        32e-6 * m.layers, 4e-6, 126e-6,
    ])  # fmt: skip


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
    flops = c[0] * tokens + c[1] * (prefill_pairs + context_tokens)
    compute_s = flops / (c[2] * c[3] * clock_pu)
    experts = 1.0 - c[6] ** max(tokens, 1.0) if c[5] > 0.0 else 0.0
    read = c[4] + c[5] * experts + c[7] * (context_tokens + 2.0 * prefill_tokens)
    memory_s = read / (c[8] * c[9])
    roof_s = (compute_s ** c[10] + memory_s ** c[10]) ** (1.0 / c[10])
    return float(roof_s + c[11] * tokens / c[12] + c[13] + c[14] + c[15] * batch + c[16])


@njit(cache=True)
def step_use(
    c: Any, prefill_tokens: float, prefill_pairs: float, batch: float, context_tokens: float, time_s: float
) -> tuple[float, float]:
    """Achieved share of peak compute and of peak memory bandwidth over a step that took `time_s`."""
    tokens = prefill_tokens + batch
    experts = 1.0 - c[6] ** max(tokens, 1.0) if c[5] > 0.0 else 0.0
    flops = c[0] * tokens + c[1] * (prefill_pairs + context_tokens)
    read = c[4] + c[5] * experts + c[7] * (context_tokens + 2.0 * prefill_tokens)
    return flops / (c[2] * time_s), read / (c[8] * time_s)
