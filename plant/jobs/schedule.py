"""A job on nodes for a time: what the schedule says of what ran, runs and is planned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ScheduledJob:
    """One job, as it was or as it is planned: what a forecast may know ahead."""

    name: str
    nodes: tuple[str, ...]
    start: datetime
    end: datetime
    load_pu: float
    """Share of full load of its nodes."""
    flexible: bool
    """May be paused or moved."""
    paused: bool = False
