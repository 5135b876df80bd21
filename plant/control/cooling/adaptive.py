"""Small learners that go on all the time: least squares that forgets, and intervals that keep their promise."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
KEPT_SCORES = 6000
LEAST_SCORES = 40
"""With fewer, an interval is as wide as its prior says."""
KEPT_SAVED = 150
"""Of them, written down."""
SORT_EVERY = 10
"""The quantiles are taken anew after so many scorings."""
STEP = 0.01
"""By how much a miss or a hit moves the level (gamma of Gibbs and Candes)."""
SHARE_STEP, MOST_SHARE = 0.05, 10.0
"""The same of a column's share, as its logarithm, and how far a share may go."""


@dataclass
class LeastSquares:
    """Recursive least squares with exponential forgetting (Ljung, System Identification, ch. 11), several models at once.

    `weights` (models, k) start as the prior, and `doubt` (k,) is its variance by coordinate. The covariance is bounded, so
    that quiet times do not wind it up.
    """

    weights: FloatArray
    doubt: FloatArray
    keep: float = 0.9995
    """Weight of a sample after the next one."""
    noise: float = 1.0
    """Variance of what is observed."""
    covariance: FloatArray = field(init=False)
    """(models, k, k)."""

    def __post_init__(self) -> None:
        self.weights = np.atleast_2d(np.asarray(self.weights, dtype=float)).copy()
        start = np.diag(np.asarray(self.doubt, dtype=float))
        self.covariance = np.repeat(start[None], len(self.weights), 0)
        self._most = 10.0 * float(np.max(self.doubt)) * self.weights.shape[1]

    def learn(self, features: FloatArray, values: FloatArray) -> None:
        """One sample a model: (models, k) and (models,). What is not finite is left out."""
        good = np.isfinite(values) & np.isfinite(features).all(axis=1)
        if not good.any():
            return
        f = np.where(good[:, None], features, 0.0)
        spread = np.einsum("mij,mj->mi", self.covariance, f)
        gain = spread / (self.noise * self.keep + np.einsum("mi,mi->m", f, spread))[:, None]
        error = np.where(good, values, 0.0) - np.einsum("mi,mi->m", f, self.weights)
        self.weights = self.weights + gain * np.where(good, error, 0.0)[:, None]
        kept = np.where(good, self.keep, 1.0)[:, None, None]
        self.covariance = (self.covariance - gain[:, :, None] * spread[:, None, :]) / kept
        self._bound()

    def learn_together(self, features: FloatArray, values: FloatArray) -> None:
        """Several samples of one moment for the first model: (rows, k) and (rows,)."""
        good = np.isfinite(values) & np.isfinite(features).all(axis=1)
        if not good.any():
            return
        f, y = features[good], values[good]
        spread = f @ self.covariance[0]
        inner = spread @ f.T + self.noise * self.keep * np.eye(len(f))
        gain = np.linalg.solve(inner, spread)
        self.weights[0] += gain.T @ (y - f @ self.weights[0])
        self.covariance[0] = (self.covariance[0] - spread.T @ gain) / self.keep
        self._bound()

    def _bound(self) -> None:
        size = np.einsum("mii->m", self.covariance)
        if (size > self._most).any():
            self.covariance *= np.minimum(1.0, self._most / size)[:, None, None]

    def state(self) -> dict[str, object]:
        return {"weights": self.weights.tolist(), "covariance": self.covariance.tolist()}

    def restore(self, saved: Mapping[str, object]) -> None:
        """Takes over what fits; ignores what does not."""
        try:
            weights, covariance = (
                np.asarray(saved.get("weights"), float),
                np.asarray(saved.get("covariance"), float),
            )
        except (TypeError, ValueError):
            return
        if weights.shape == self.weights.shape and covariance.shape == self.covariance.shape:
            self.weights, self.covariance = weights, covariance


@dataclass
class Band:
    """An interval about a prediction from its own errors, conformal and adaptive (Gibbs and Candes, NeurIPS 2021): the
    level it aims at moves until it is met, whatever the errors do."""

    level: float = 0.9
    prior: float = 1.0
    """Half width until there are enough errors."""
    errors: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_SCORES))
    """Read less expected, the latest ones."""
    aim: float = field(init=False)
    """Miss rate asked of the quantile now."""
    inside: int = 0
    scored: int = 0
    _sorted: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)
    _sizes: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)
    _since: int = field(default=SORT_EVERY, repr=False)

    def __post_init__(self) -> None:
        self.aim = 1.0 - self.level

    def half(self) -> float:
        """Half width of the symmetric interval at the level."""
        if len(self.errors) < LEAST_SCORES:
            return self.prior
        self._sort()
        return _quantile(self._sizes, 1.0 - self.aim)

    def above(self, chance: float) -> float:
        """So far above the prediction, all but a share `chance` of the errors lie lower. Never less than 0."""
        if len(self.errors) < LEAST_SCORES:
            return 2.0 * self.prior
        self._sort()
        return max(0.0, _quantile(self._sorted, 1.0 - chance))

    def score(self, errors: Sequence[float] | FloatArray, half: float | FloatArray) -> None:
        """Errors that came due of one prediction time, and the half width or widths that were told with them."""
        came = np.asarray(errors, float)
        known = np.isfinite(came)
        found = came[known].tolist()
        if not found:
            return
        hits = int((np.abs(came) <= half)[known].sum())
        self.inside, self.scored = self.inside + hits, self.scored + len(found)
        self.aim = min(0.5, max(0.001, self.aim + STEP * ((1.0 - self.level) - (1.0 - hits / len(found)))))
        self.errors.extend(found)
        self._since += 1

    @property
    def coverage(self) -> float:
        """Share of all errors so far that lay inside."""
        return self.inside / self.scored if self.scored else float("nan")

    def _sort(self) -> None:
        if self._since >= SORT_EVERY or len(self._sorted) < LEAST_SCORES:
            self._sorted, self._since = np.sort(np.fromiter(self.errors, float)), 0
            self._sizes = np.sort(np.abs(self._sorted))

    def state(self) -> dict[str, object]:
        return {"aim": self.aim, "errors": [round(e, 4) for e in self.errors][-KEPT_SAVED:]}

    def restore(self, saved: Mapping[str, object]) -> None:
        aim, errors = saved.get("aim"), saved.get("errors")
        if isinstance(aim, float):
            self.aim = aim
        if isinstance(errors, list):
            self.errors.extend(float(e) for e in errors)
            self._since = SORT_EVERY


@dataclass
class Shares:
    """Widths of single columns as shares of a common one. Each grows with its own misses and shrinks with its hits, so
    that it holds the level by itself: a loop that serves requests is rougher than one that trains."""

    level: float
    values: FloatArray
    """(columns,)"""

    def learn(self, errors: FloatArray, half: FloatArray) -> None:
        """Errors of one moment and the half widths told, (columns,) each; what is not finite teaches nothing."""
        missed = np.abs(errors) > half
        step = SHARE_STEP * (missed - (1.0 - self.level))
        moved = self.values * np.exp(np.where(np.isfinite(errors), step, 0.0))
        self.values = np.clip(moved, 1.0 / MOST_SHARE, MOST_SHARE)

    def state(self) -> dict[str, object]:
        return {"shares": self.values.tolist()}

    def restore(self, saved: Mapping[str, object]) -> None:
        """Takes over what fits; ignores what does not."""
        kept = saved.get("shares")
        if isinstance(kept, list) and len(kept) == len(self.values):
            self.values = np.clip(np.asarray(kept, float), 1.0 / MOST_SHARE, MOST_SHARE)


def _quantile(ordered: FloatArray, share: float) -> float:
    """The least value that at least that share of the ordered ones do not exceed; of n values and one to come."""
    place = int(np.ceil(share * (len(ordered) + 1))) - 1
    return float(ordered[min(max(place, 0), len(ordered) - 1)])


@dataclass
class Errors:
    """Errors by rival and horizon, for reports: absolute, in the quantity's unit."""

    sums: dict[tuple[str, str, int], list[float]] = field(default_factory=dict)

    def add(self, quantity: str, rival: str, horizon: int, errors: FloatArray) -> None:
        found = errors[np.isfinite(errors)]
        at = self.sums.setdefault((quantity, rival, horizon), [0.0, 0.0])
        at[0] += float(np.abs(found).sum())
        at[1] += len(found)

    def mean(self, quantity: str, rival: str, horizon: int) -> float:
        total, count = self.sums.get((quantity, rival, horizon), (0.0, 0.0))
        return total / count if count else float("nan")
