"""Messages between the accelerators of one instance: all-reduce of tensor parallelism, all-to-all of experts, hops.

Large messages: a ring moves 2 (n - 1) / n of the bytes over each link. The share of the link's rate that is reached
grows with the ring, n / (n + 1): fitted on `vidur_allreduce_h100_dgx.csv` (sizes are bytes, times milliseconds:
2, 4, 8 H100 of a DGX, NCCL) to LINK_SHARE. Small messages: a start-up time and one for each doubling of the ring.
"""

from __future__ import annotations

import math

from plant.hardware.gpus import Gpu
from plant.inference.deployment import Deployment

LINK_SHARE = 0.94
"""Factor on n / (n + 1): fitted, slope between 16 and 64 MB, see tests/plant/inference/test_comm.py."""
ACTIVATION_BYTES = 2.0
"""Bytes of one activation value on the wire: bf16."""


def all_reduce_rate(gpu: Gpu, n: int) -> float:
    """Link rate reached by a ring of n, bytes/s and direction; the slowest link on its way counts.

    >>> from plant.hardware.gpus import gpu
    >>> round(all_reduce_rate(gpu("H100-SXM"), 8) / 1e9)
    376
    """
    link = gpu.scale_up_bytes_per_s if n <= gpu.scale_up_domain else gpu.network_bytes_per_s
    return LINK_SHARE * link * n / (n + 1)


def all_reduce_s(gpu: Gpu, n: int, size_bytes: float, start_s: float = 15e-6, hop_s: float = 5e-6) -> float:
    """Seconds of one all-reduce of `size_bytes` over n accelerators: start + log2(n) hop + 2 (n-1)/n size / rate.

    The default start-up times are NCCL's in the table above. Zero for one accelerator.

    >>> from plant.hardware.gpus import gpu
    >>> round(all_reduce_s(gpu("H100-SXM"), 8, 64e6) * 1e3, 2)
    0.33
    """
    if n <= 1:
        return 0.0
    return start_s + hop_s * math.log2(n) + 2 * (n - 1) / n * size_bytes / all_reduce_rate(gpu, n)


def exchange_s_per_token(d: Deployment) -> float:
    """Seconds of transfer one token costs in a step, all layers.

    Tensor parallel: two all-reduces a layer. Expert parallel beyond it: tokens go to their experts and back, an
    all-to-all of k hidden-wide rows, (n - 1) / n of which leave, shared out over n links. Pipeline: one row a stage.
    """
    m, link = d.model, d.gpu.scale_up_bytes_per_s
    row = m.hidden * ACTIVATION_BYTES
    total = 0.0
    if d.tp > 1:
        total += 2 * m.layers * 2 * (d.tp - 1) / d.tp * row / all_reduce_rate(d.gpu, d.tp) / d.dp
    if d.dp > 1 and m.experts:
        n = d.tp * d.dp
        share = (n - 1) / n / n
        total += 2 * m.layers * m.experts_per_token * row * share / (LINK_SHARE * _rate(d.gpu, n))
    return total + (d.pp - 1) * row / (LINK_SHARE * link)


def exchange_count(d: Deployment) -> tuple[int, float]:
    """Messages one after another in a step, and the doublings of the ring they cross: for start-up times."""
    n = d.tp * (d.dp if d.model.experts else 1)
    if n <= 1:
        return d.pp - 1, 0.0
    return 2 * d.model.layers + d.pp - 1, math.log2(n)


def _rate(gpu: Gpu, n: int) -> float:
    return gpu.scale_up_bytes_per_s if n <= gpu.scale_up_domain else gpu.network_bytes_per_s
