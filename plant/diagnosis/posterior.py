"""From what events, signals and signs say of each candidate to shares that mean something, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from plant.diagnosis.candidates import Candidate
from plant.diagnosis.fit import Fit
from plant.diagnosis.observed import FloatArray
from plant.diagnosis.signs import Signs

NO_FAULT, UNKNOWN = "no_fault", "unknown"
SIGNAL_WEIGHT, EVENT_WEIGHT, SIGN_WEIGHT, FIT_WEIGHT = 0.14, 1.3, 0.5, 2.0
"""How much of the log evidence of signals, events, signs and the quality of the fit counts. The four overlap, and the
site is not the model: fitted by maximum likelihood on the development nights of evals.diagnosis (seeds 1 to 80)."""
UNSEEN_WEIGHT, UNKNOWN_OFFSET = 0.38, 1.0
CALM_WEIGHT, NO_FAULT_OFFSET = 0.49, 1.25
"""Of their signs, and where the two start; fitted together with the weights."""
FLOOR = -4.0
"""Beyond this, readings speak ever more softly against a cause that events name: it may show in a way the model lacks."""
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

    @property
    def signals(self) -> float:
        return float(self.groups.sum())

    @property
    def rest(self) -> float:
        """What does not come from the modelled signals, weighed."""
        if self.cause == NO_FAULT:
            return NO_FAULT_OFFSET + CALM_WEIGHT * self.signs.score
        if self.cause == UNKNOWN:
            return UNKNOWN_OFFSET + UNSEEN_WEIGHT * self.signs.score
        return self.prior + (FIT_WEIGHT * self.fit.occam if self.fit else 0.0)

    def readings(self, signals: float) -> float:
        """Signals (weighed already) with signs; ever softer against a named cause."""
        if self.cause in (NO_FAULT, UNKNOWN):
            return signals
        said = signals + SIGN_WEIGHT * self.signs.score
        return said if said >= FLOOR else FLOOR - float(np.log1p(FLOOR - said))

    def logit(self, weight: float = SIGNAL_WEIGHT) -> float:
        return self.rest + EVENT_WEIGHT * self.events + self.readings(weight * self.signals)


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
    trust = SIGNAL_WEIGHT * (0.35 + 0.65 * confidence)
    point = _softmax(np.array([one.logit(trust) for one in weighed]))
    rng = np.random.default_rng(seed)
    groups = np.stack([one.groups for one in weighed])
    events = np.array([one.events for one in weighed])
    drawn = np.zeros((DRAWS, len(weighed)))
    for n in range(DRAWS):
        parts = rng.dirichlet(np.ones(groups.shape[1])) * groups.shape[1] if groups.shape[1] else np.zeros(0)
        weight = trust * np.exp(WEIGHT_SPREAD * rng.standard_normal())
        said = EVENT_WEIGHT * events + EVENT_SPREAD * rng.standard_normal(len(weighed))
        read = [
            one.readings(weight * float(g)) + one.rest for one, g in zip(weighed, groups @ parts, strict=True)
        ]
        drawn[n] = _softmax(said + np.array(read))
    low, high = np.quantile(drawn, (0.05, 0.95), axis=0)
    return [
        Share(float(p), float(min(a, p)), float(max(b, p))) for p, a, b in zip(point, low, high, strict=True)
    ]


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())
