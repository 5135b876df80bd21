"""Which causes are worth a run of the plant: from event signatures, bent readings and topology to about a dozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.mechanisms import Mechanism
from plant.diagnosis.observed import Observed
from plant.site import Site

MOST = 14


@dataclass(frozen=True)
class Candidate:
    """A cause on an asset, to be tried."""

    cause: str
    asset: str
    mechanism: Mechanism | None
    """None: it is known from the events only."""
    from_events: float
    """Log evidence of the event pattern for this cause on this asset."""


def candidates(
    site: Site, observed: Observed, estimate: Estimate, scores: Mapping[str, float], most: int = MOST
) -> Sequence[Candidate]:
    """Most promising first, at most `most`. `scores` is the symbolic log evidence by cause id (troubleshooter's)."""
    raise NotImplementedError
