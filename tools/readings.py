"""The port through which everything reads the site, and small helpers over readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from plant.sim import Reading

Read = Callable[[str], Reading | None]
"""Latest reading of one asset; None where the site has no telemetry of it."""

__all__ = ["Read", "Reading", "age_s", "value"]


def value(reading: Reading | None, metric: str, default: float) -> float:
    """One metric, or `default` where it was not read."""
    return default if reading is None else reading.values.get(metric, default)


def age_s(reading: Reading, now: datetime) -> float:
    """Seconds since it was read; negative where it claims to be from the future."""
    return (now - reading.time).total_seconds()
