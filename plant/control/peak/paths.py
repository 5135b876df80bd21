"""Load paths drawn from a forecast's bands, so that a plan holds for more than the expected load.

A load moves slowly, and roughly: it jitters and bursts. The slow part of a path keeps its side of the band for hours.
The rough part is cut in whole stretches from the history, so that bursts keep their height and length; where the history
is short, made-up days fill it up. Bands of a forecast alone tell neither: a burst that nobody foresees is in no band.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
SLOW_HOURS = 3.0
"""The slow part forgets its side of the band over so long (e-fold)."""
LEVEL_H = 3.0
"""Span of the median that tells level from roughness: bursts are shorter than half of it."""
ENOUGH_DAYS = 7
"""Of history; what is missing is made up."""
STRETCH_H = 6.0
BURSTS_A_DAY, BURST_PU, BURST_H = 1.0, 0.25, 0.5
"""Of a made-up day: mean height over the load (exponential) and time to fall to a third. Public request rates (ServeGen
m-large, first week) burst 1.4 times a day; much of a site's load is no request."""


def roughness_kw(load_kw: FloatArray, step_s: float, rng: np.random.Generator) -> FloatArray:
    """Load less its level, over the history and as many made-up days as make ENOUGH_DAYS with it. Gaps are closed
    straight. (n,) kW, about zero apart from bursts."""
    day = round(86400.0 / step_s)
    load = _closed(load_kw)
    wide = max(3, round(LEVEL_H * 3600.0 / step_s) | 1)
    rough = load - _median(load, wide) if load.size >= 2 * wide else np.zeros(0)
    missing = ENOUGH_DAYS * day - rough.size
    if missing <= 0:
        return rough
    return np.concatenate([rough, _made_up(missing, float(load.mean()) if load.size else 0.0, step_s, rng)])


def _closed(load_kw: FloatArray) -> FloatArray:
    told = np.flatnonzero(np.isfinite(load_kw))
    if not told.size:
        return np.zeros(0)
    return np.interp(np.arange(load_kw.size), told, load_kw[told])


def _median(load: FloatArray, wide: int) -> FloatArray:
    padded = np.pad(load, wide // 2, mode="edge")
    level: FloatArray = np.median(np.lib.stride_tricks.sliding_window_view(padded, wide), axis=1)
    return level


def _made_up(steps: int, mean_kw: float, step_s: float, rng: np.random.Generator) -> FloatArray:
    rough, at = np.zeros(steps), np.arange(steps)
    for _ in range(rng.poisson(BURSTS_A_DAY * steps * step_s / 86400.0)):
        since_h = (at - rng.uniform(0, steps)) * step_s / 3600.0
        height = rng.exponential(BURST_PU) * mean_kw
        rough += np.where(since_h >= 0.0, height * np.exp(-np.maximum(since_h, 0.0) / BURST_H), 0.0)
    return rough


@dataclass(frozen=True)
class Draws:
    """Chance, drawn once and used at every plan: a target then moves with the forecast, not with the draw."""

    slow: FloatArray
    """(S, K): stationary first-order processes of unit variance, in mirrored pairs, so that few paths tell enough."""
    begins: FloatArray
    """(S, stretches) in 0 to 1: where in the roughness each stretch begins."""
    each: int
    """Steps of a stretch."""


@lru_cache(maxsize=8)
def draws(paths: int, steps: int, step_s: float, seed: int = 0) -> Draws:
    """Draws for so many paths and steps."""
    rng = np.random.default_rng(seed)
    keep = float(np.exp(-step_s / 3600.0 / SLOW_HOURS))
    half = (paths + 1) // 2
    shocks = rng.standard_normal((half, steps)) * np.sqrt(1.0 - keep * keep)
    slow, now = np.empty((half, steps)), rng.standard_normal(half)
    for step in range(steps):
        now = keep * now + shocks[:, step]
        slow[:, step] = now
    each = max(1, round(STRETCH_H * 3600.0 / step_s))
    return Draws(np.concatenate([slow, -slow])[:paths], rng.random((paths, -(-steps // each))), each)


def sample_paths(
    expected: FloatArray, low: FloatArray, high: FloatArray, level: float, rough_kw: FloatArray, chance: Draws
) -> FloatArray:
    """(S, K) loads in kW, never below 0. `level`: chance that [low, high] holds a value.

    The slow part takes what the roughness leaves of the band's variance.
    """
    z = NormalDist().inv_cdf(0.5 + 0.5 * level)
    down, up = np.maximum(expected - low, 0.0) / z, np.maximum(high - expected, 0.0) / z
    spread = 0.5 * (down * down + up * up)
    share = np.sqrt(np.clip(1.0 - float(rough_kw.var()) / np.maximum(spread, 1e-9), 0.0, 1.0))
    slow = chance.slow[:, : expected.size]
    begins = (chance.begins * rough_kw.size).astype(int)
    index = (begins[:, :, None] + np.arange(chance.each)) % rough_kw.size
    rough = rough_kw[index].reshape(len(slow), -1)[:, : expected.size]
    drawn: FloatArray = np.maximum(expected + slow * np.where(slow > 0.0, up, down) * share + rough, 0.0)
    return drawn
