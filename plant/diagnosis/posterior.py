"""From what events, signals and signs say of each candidate to shares that mean something, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from plant.diagnosis.candidates import Candidate
from plant.diagnosis.fit import TEMPER, Fit
from plant.diagnosis.observed import FloatArray
from plant.diagnosis.signs import Signs

NO_FAULT, UNKNOWN = "no_fault", "unknown"
EVENT_WEIGHT = 0.9
DRAWS = 200
WEIGHT_SPREAD = 0.3
"""Standard deviation of the logarithm of the weights, for the interval."""
EVENT_SPREAD = 0.7
"""Standard deviation of the event evidence."""


@dataclass(frozen=True)
class Weighed:
    """One candidate with all that speaks for and against it."""

    cause: str
    asset: str
    candidate: Candidate | None
    events: float
    groups: FloatArray
    """Log evidence of the signals by kind of reading, against no fault."""
    signs: Signs = field(default_factory=Signs)
    fit: Fit | None = None
    prior: float = 0.0
    also: str = ""
    second: Fit | None = None

    @property
    def signals(self) -> float:
        return float(self.groups.sum())

    def logit(self, weight: float = TEMPER) -> float:
        return self.prior + EVENT_WEIGHT * self.events + weight * self.signals + self.signs.score


@dataclass(frozen=True)
class Share:
    share: float
    low: float
    high: float


def shares(weighed: Sequence[Weighed], confidence: float, seed: int = 0) -> list[Share]:
    """Posterior of each with a 90 % interval.

    The interval comes from redrawing the kinds of reading (a Bayesian bootstrap), the weights and the event evidence.
    `confidence` in the state (0 to 1) scales what signals may say.
    """
    trust = TEMPER * (0.35 + 0.65 * confidence)
    point = _softmax(np.array([one.logit(trust) for one in weighed]))
    rng = np.random.default_rng(seed)
    groups = np.stack([one.groups for one in weighed])
    rest = np.array([one.prior + one.signs.score for one in weighed])
    events = np.array([one.events for one in weighed])
    drawn = np.zeros((DRAWS, len(weighed)))
    for n in range(DRAWS):
        parts = rng.dirichlet(np.ones(groups.shape[1])) * groups.shape[1] if groups.shape[1] else np.zeros(0)
        weight = trust * np.exp(WEIGHT_SPREAD * rng.standard_normal())
        said = EVENT_WEIGHT * events + EVENT_SPREAD * rng.standard_normal(len(weighed))
        drawn[n] = _softmax(rest + said + weight * (groups @ parts))
    low, high = np.quantile(drawn, (0.05, 0.95), axis=0)
    return [
        Share(float(p), float(min(a, p)), float(max(b, p))) for p, a, b in zip(point, low, high, strict=True)
    ]


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())
