"""What PagedAttention is compared with: contiguous reservation, and static batching, under the same memory and costs.

Kwon et al. (arXiv 2309.06180) compare with Orca in three forms: a sequence reserves the longest length allowed
("maximum"), its prompt and an answer rounded up to a power of two, from a buddy allocator ("power of two"), or exactly
what it will use, which nobody can know beforehand ("oracle"). All batch continuously; static batching, the older way,
starts a batch when the one before has ended.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.deployment import Deployment
from plant.inference.engine import Replay, replay
from plant.inference.memory import plan_memory
from plant.inference.trace import Lengths, Trace, synthetic
from setpoint.errors import UsageError

IntArray = NDArray[np.int64]
Scheme = Literal["paged", "maximum", "power_of_two", "oracle", "static"]
SCHEMES: tuple[Scheme, ...] = ("paged", "maximum", "power_of_two", "oracle", "static")


class Buddy:
    """Contiguous ranges of a pool, sizes rounded up to powers of two (Knowlton 1965); a freed range joins its buddy.

    A pool that is no power of two is a row of the largest blocks that fit. Sizes and places in slots.

    >>> pool = Buddy(64)
    >>> a, b = pool.take(10), pool.take(16)
    >>> (a, b, pool.free_slots)
    (0, 16, 32)
    >>> pool.give(a); pool.give(b); pool.take(64)
    0
    """

    def __init__(self, slots: int) -> None:
        if slots < 1:
            raise UsageError(f"a pool of {slots} slots", remedy="Use 1 or more")
        self.free: dict[int, set[int]] = {order: set() for order in range(slots.bit_length())}
        self._held: dict[int, int] = {}
        self._roots: dict[int, int] = {}
        place = 0
        for order in range(slots.bit_length() - 1, -1, -1):
            if slots >> order & 1:
                self.free[order].add(place)
                self._roots[place] = order
                place += 1 << order

    @property
    def free_slots(self) -> int:
        return sum(len(places) << order for order, places in self.free.items())

    def take(self, size: int) -> int | None:
        """Where a range of that size begins; None where no free range is large enough."""
        order = max(size - 1, 0).bit_length()
        have = next((o for o in range(order, len(self.free)) if self.free[o]), None)
        if have is None:
            return None
        place = min(self.free[have])
        self.free[have].remove(place)
        while have > order:
            have -= 1
            self.free[have].add(place + (1 << have))
        self._held[place] = order
        return place

    def give(self, place: int) -> None:
        """Frees a range that `take` returned."""
        order = self._held.pop(place)
        while (top := self._root_order(place)) > order:
            other = self._buddy(place, order)
            if other not in self.free[order] or top <= order:
                break
            self.free[order].remove(other)
            place = min(place, other)
            order += 1
        self.free[order].add(place)

    def _root_order(self, place: int) -> int:
        return self._roots[max(root for root in self._roots if root <= place)]

    def _buddy(self, place: int, order: int) -> int:
        root = max(r for r in self._roots if r <= place)
        return root + ((place - root) ^ (1 << order))


def reserved_slots(scheme: Scheme, deployment: Deployment, trace: Trace) -> IntArray | None:
    """Slots each request takes at admission; None where it is paged.

    Power of two: prompt and answer, with the whole rounded up as a buddy allocator gives it. What the scattering of
    free ranges would cost on top is left out, in its favour; so is all padding of static batches.
    """
    total = trace.prompt_tokens + trace.output_tokens
    if scheme == "paged":
        return None
    if scheme == "maximum":
        return np.asarray(np.maximum(total, deployment.max_len))
    if scheme == "power_of_two":
        return np.asarray(np.left_shift(1, np.ceil(np.log2(total)).astype(np.int64)))
    return total


@dataclass(frozen=True)
class Alternative:
    """One scheme under saturation: all requests are there at once."""

    scheme: Scheme
    requests_per_s: float
    tokens_per_s: float
    kv_waste: float
    """Share of allocated slots that hold no token."""
    mean_batch: float
    completed: int
    rejected: int


@dataclass(frozen=True)
class Comparison:
    """All schemes on the same requests, memory and step costs."""

    pool_tokens: int
    rows: tuple[Alternative, ...]

    def __getitem__(self, scheme: Scheme) -> Alternative:
        return next(row for row in self.rows if row.scheme == scheme)

    def gain(self, over: Scheme = "maximum", of: Scheme = "paged") -> float:
        """Ratio of the answer tokens a second at saturation."""
        return self[of].tokens_per_s / self[over].tokens_per_s


def compare(deployment: Deployment, trace: Trace, schemes: Sequence[Scheme] = SCHEMES) -> Comparison:
    """Serves the requests of a trace, all present from the start, under each scheme.

    Requests that some scheme could not serve (longer than max_len, or its reservation than the pool) are left out
    for all. Raises UsageError where none is left.
    """
    d = deployment.model_copy(update={"prefix_sharing": False})
    plan = plan_memory(d)
    room = (plan.blocks - plan.watermark_blocks) * d.block_tokens
    good = trace.prompt_tokens + trace.output_tokens <= d.max_len
    for scheme in schemes:
        slots = reserved_slots(scheme, d, trace)
        good &= (trace.prompt_tokens + trace.output_tokens if slots is None else slots) <= room
    if not good.any():
        raise UsageError("no request fits under every scheme", remedy="Raise memory_share or lower max_len")
    kept = trace.take(good)
    at_once = Trace(np.zeros(len(kept)), kept.prompt_tokens, kept.output_tokens, kept.priority,
                    np.zeros(len(kept), np.int64), np.full(len(kept), -1), kept.name)  # fmt: skip
    rows = tuple(_row(scheme, d, at_once) for scheme in schemes)
    return Comparison(plan.blocks * d.block_tokens, rows)


def _row(scheme: Scheme, d: Deployment, trace: Trace) -> Alternative:
    slots = reserved_slots(scheme, d, trace)
    done: Replay = replay(d, trace, reserve=slots, static=scheme == "static")
    return Alternative(
        scheme,
        done.requests_per_s,
        done.tokens_per_s,
        done.kv_waste,
        done.mean_batch,
        done.completed,
        done.rejected,
    )


SHAREGPT = Lengths(161.0 / math.sqrt(math.e), 1.0, 338.0 / math.sqrt(math.e), 1.0, longest=1000)
"""Log-normal around the means of ShareGPT, 161 tokens in and 338 out (vLLM, SOSP 2023, figure 11)."""


def paper() -> Comparison:
    """The first setting of the vLLM paper (table 1): OPT-13B on one A100 of 40 GB, 2,048 tokens at most, ShareGPT."""
    d = Deployment(model=model("opt-13b"), gpu=gpu("A100-40"), max_len=2048, max_batch=1024)
    trace = synthetic(3000, 100.0, 1, lengths=SHAREGPT)
    return compare(d, trace.take(trace.prompt_tokens + trace.output_tokens <= 2048))


def main() -> None:
    """`python -m plant.inference.alternatives`: throughput and waste of each scheme at equal memory."""
    found = paper()
    sys.stdout.write(f"OPT-13B on one A100-40, ShareGPT lengths, {found.pool_tokens:,} tokens of cache\n")
    for row in found.rows:
        gain = found["paged"].tokens_per_s / row.tokens_per_s
        sys.stdout.write(
            f"{row.scheme:<14}{row.tokens_per_s:8,.0f} tokens/s  batch {row.mean_batch:6.1f}  waste {row.kv_waste:6.1%}"
            f"  paged gives {gain:.2f} times\n"
        )


if __name__ == "__main__":
    main()
