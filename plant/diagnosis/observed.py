"""What was measured and said in the window of one incident, on one grid of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Key = tuple[str, str]
"""(asset, metric)."""


@dataclass(frozen=True)
class Sign:
    """One event, as far as diagnosis needs it."""

    id: str
    at_s: float
    """Seconds from the start of the window."""
    asset: str
    priority: str = "P2"
    hints: tuple[str, ...] = ()
    """Causes that the ranking rules point at."""
    condition: str = ""
    """What happened in a short noun phrase."""
    firing: bool = True
    metric: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Observed:
    """Readings by (asset, metric), NaN where nothing was read, and events."""

    start: datetime
    times_s: FloatArray
    """Seconds from `start`, evenly spaced."""
    series: Mapping[Key, FloatArray]
    signs: tuple[Sign, ...] = ()
    missing: tuple[Key, ...] = field(default=())
    """Metrics that are known of an asset and had no reading in the window."""

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=float(self.times_s[-1]))

    @property
    def step_s(self) -> float:
        return float(self.times_s[1] - self.times_s[0]) if len(self.times_s) > 1 else 0.0

    def index(self, at_s: float) -> int:
        """Row of the last sample at or before a time; 0 before the first."""
        return max(0, int(np.searchsorted(self.times_s, at_s + 1e-6)) - 1)

    def metrics(self, asset: str) -> list[str]:
        return [metric for name, metric in self.series if name == asset]
