"""The real site under a composed night: where it differs from what its file says, and what its sensors make of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from plant.faults.effects import Hand
from plant.faults.place import FaultPlan
from plant.faults.sensors import Series
from plant.sim import Plant
from plant.site import Site


class Ground:
    """As the file says, read by sensors that are right but for their noise. A subclass may differ in any of this;
    names and kinds of assets stay."""

    late_pu: float = 0.02
    """Share of lines that arrive late."""
    late_s: tuple[float, float] = (4.0, 90.0)
    """How late."""

    def site(self, written: Site) -> Site:
        """What really stands on what."""
        return written

    def plant(self, site: Site, start: datetime) -> Plant:
        """The plant of the real site, in a steady state at `start`."""
        return Plant.start(site, start)

    def drift(self, hand: Hand, at_s: float) -> None:
        """What moves on the real site beside faults and demand; called before each sample, in the order of time."""

    def felt(self, series: Series, times_s: Any) -> None:
        """Turn true quantities, shape (samples,) each, into what the sensing elements feel, in place."""

    def noise_pu(self, asset: str, metric: str) -> float:
        """Noise of one sensor over the usual of its kind."""
        return 1.0

    def read(self, series: Series, times_s: Any, plans: Sequence[FaultPlan]) -> None:
        """Turn readings into what arrives of them, in place; NaN where nothing does."""
