"""Intervals: a figure without one says less than it seems to."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
Z95 = 1.959964
"""Quantile of the standard normal distribution for 95 %."""


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927); (0, 1) where nothing was counted.

    >>> tuple(round(bound, 3) for bound in wilson(9, 10))
    (0.596, 0.982)
    """
    if not total:
        return 0.0, 1.0
    share, z2 = hits / total, Z95 * Z95
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    items: Sequence[T], figure: Callable[[Sequence[T]], float], *, rounds: int = 400, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of `figure` over resamples of `items`. The same seed gives the same interval."""
    if not items:
        return 0.0, 1.0
    rng = random.Random(seed)
    values = sorted(figure(rng.choices(items, k=len(items))) for _ in range(rounds))
    return values[int(0.025 * rounds)], values[min(rounds - 1, int(0.975 * rounds))]
