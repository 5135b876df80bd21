"""How often hardware cuts off a job, what it costs, and how often to write a checkpoint."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

GPU_HOURS_PER_INTERRUPTION = 16384 * 54 * 24 / 419
"""50,677 GPU-hours: Llama 3 405B, 16,384 H100, 54 days, 419 unexpected interruptions (arXiv 2407.21783, table 5)."""


def job_mtbf_s(gpus: int) -> float:
    """Mean time between interruptions of a job on so many GPUs, s; interruptions are independent and even in time.

    >>> round(job_mtbf_s(16384) / 3600, 2), round(job_mtbf_s(8) / 86400)
    (3.09, 264)
    """
    return GPU_HOURS_PER_INTERRUPTION * 3600.0 / gpus


def best_checkpoint_s(write_s: float, mtbf_s: float) -> float:
    """Time between checkpoints that loses least: sqrt(2 * write * MTBF) (J. W. Young, CACM 17(9), 1974).

    >>> round(best_checkpoint_s(60.0, job_mtbf_s(16384)))
    1156
    """
    return math.sqrt(2.0 * write_s * mtbf_s)


def lost_share(checkpoint_s: float, write_s: float, restart_s: float, mtbf_s: float) -> float:
    """Expected share of time that writing, work done again and restarting take, where they are rare (same source):
    write / interval + (interval / 2 + restart) / MTBF.

    >>> round(lost_share(1156.0, 60.0, 300.0, job_mtbf_s(16384)), 3)
    0.131
    """
    return write_s / checkpoint_s + (checkpoint_s / 2.0 + restart_s) / mtbf_s


def node_losses(
    nodes: Sequence[str], gpus_per_node: int, until_s: float, seed: int
) -> Iterator[tuple[float, str]]:
    """Times and nodes of losses until `until_s`, exponential in time and even over the nodes; the same for a seed."""
    chance = random.Random(seed)
    mean_s = job_mtbf_s(gpus_per_node * len(nodes))
    time_s = chance.expovariate(1.0 / mean_s)
    while time_s < until_s:
        yield time_s, chance.choice(nodes)
        time_s += chance.expovariate(1.0 / mean_s)
