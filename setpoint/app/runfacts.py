"""How one run was made: what a report says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class RunFacts:
    """Facts of one run, gathered by the composition root. All of it is shown to readers: no secrets in it."""

    version: str
    """Setpoint's own."""
    started: datetime
    """Wall clock, with a zone."""
    finished: datetime
    inputs: tuple[str, ...] = ()
    """Files, addresses, or "night, seed 7"."""
    decide: str = "ask"
    """Who decided actions: "ask", "approve", "reject", or the name of a policy."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Role to name and mode, as "setpoint-small.gguf, mode facts"."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions or hashes of rules, prompts, catalogs, corpus."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of note by dotted key."""

    @property
    def wall_s(self) -> float:
        """How long it ran, in seconds."""
        return (self.finished - self.started).total_seconds()
