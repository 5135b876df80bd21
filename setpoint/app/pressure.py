"""How busy the alert path is: what background work holds back by."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

MEMORY_S = 2.0


class Pressure:
    """Share of the last seconds in which the alert path had something to do."""

    def __init__(self) -> None:
        self._share, self._at = 0.0, time.monotonic()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count the time spent inside as busy."""
        began = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self._share = self._faded(now) + (1.0 - math.exp(-(now - began) / MEMORY_S))
            self._at = now

    def share(self) -> float:
        """0 is idle, 1 is busy without a pause."""
        return min(1.0, self._faded(time.monotonic()))

    def _faded(self, now: float) -> float:
        return self._share * math.exp(-(now - self._at) / MEMORY_S)
