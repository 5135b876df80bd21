"""A fitted candidate as an operator reads it: curves and sentences, every number from the readings or the run."""

from __future__ import annotations

import numpy as np

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.fit import Fit, Signals
from plant.diagnosis.observed import FloatArray, Observed
from plant.diagnosis.posterior import Weighed
from plant.diagnosis.results import Curve
from plant.diagnosis.words import named, number, reading, unit

CURVES, SENTENCES = 6, 4
POINTS = 90
LED_IN_S = 900.0
"""Shown before the state's moment."""
TELLING = 1.0
Told = tuple[tuple[Curve, ...], tuple[str, ...], tuple[str, ...]]


def told(one: Weighed, observed: Observed, estimate: Estimate, signals: Signals) -> Told:
    """Curves, sentences for it and sentences against it, most telling first."""
    fit = one.fit
    if fit is None:
        return (), (), ()
    order = _telling(fit, signals)
    curves = tuple(_curve(k, fit, observed, estimate, signals) for k in order[:CURVES])
    spoken = order[: 3 * SENTENCES]
    supports = [_for(k, fit, observed, estimate, signals) for k in spoken if fit.each[k] > TELLING]
    against = [_against(k, fit, observed, estimate, signals) for k in spoken if fit.each[k] < -TELLING]
    return curves, tuple(supports[:SENTENCES]), tuple(against[:SENTENCES])


def _telling(fit: Fit, signals: Signals) -> list[int]:
    """Signals by weight of evidence, at most two of a kind of reading."""
    seen: dict[int, int] = {}
    found = []
    for k in np.argsort(-np.abs(np.where(fit.matter, fit.each, 0.0))):
        group = int(signals.groups[k])
        if not fit.matter[k] or seen.get(group, 0) >= 2:
            continue
        seen[group] = seen.get(group, 0) + 1
        found.append(int(k))
    return found


def _curve(k: int, fit: Fit, observed: Observed, estimate: Estimate, signals: Signals) -> Curve:
    key = signals.keys[k]
    first = len(observed.times_s) - estimate.rows
    begin = max(0, first - round(LED_IN_S / max(observed.step_s, 1.0)))
    healthy = estimate.healthy[key].copy()
    healthy[begin:first] = healthy[first] if first < len(healthy) else np.nan
    simulated = healthy.copy()
    simulated[first:] += fit.simulated[:, k]
    rows = np.unique(np.linspace(begin, len(healthy) - 1, POINTS).astype(int))
    return Curve(
        asset=key[0], metric=key[1],
        times_s=tuple(round(float(t) - fit.shape.onset_s, 1) for t in observed.times_s[rows]),
        observed=tuple(None if np.isnan(v) else round(float(v), 3) for v in observed.series[key][rows]),
        healthy=tuple(round(float(v), 3) for v in healthy[rows]),
        simulated=tuple(round(float(v), 3) for v in simulated[rows]),
        evidence=round(float(fit.each[k]), 2),
    )  # fmt: skip


def _ends(values: FloatArray) -> float:
    kept = values[np.isfinite(values)]
    return float(np.median(kept[-3:])) if len(kept) else float("nan")


def _for(k: int, fit: Fit, observed: Observed, estimate: Estimate, signals: Signals) -> str:
    asset, metric = signals.keys[k]
    course = estimate.healthy[asset, metric]
    was, came = _ends(course[np.isfinite(course)][:3]), _ends(observed.series[asset, metric])
    would = _ends(course + _padded(fit.simulated[:, k], len(course)))
    return (
        f"{asset} {named(metric)} went from {number(was)} to {reading(metric, came)}; "
        f"the model with this cause gives {reading(metric, would)}"
    )


def _against(k: int, fit: Fit, observed: Observed, estimate: Estimate, signals: Signals) -> str:
    asset, metric = signals.keys[k]
    course = estimate.healthy[asset, metric]
    came = _ends(observed.series[asset, metric])
    would = _ends(course + _padded(fit.simulated[:, k], len(course)))
    moved = f"{abs(_ends(fit.simulated[:, k])):.3g} {_of_change(metric)}".strip()
    if abs(would - came) < 0.5 * estimate.noise[asset, metric]:
        return f"{asset} {named(metric)} did not follow the course that this cause gives"
    return (
        f"{asset} {named(metric)} reads {reading(metric, came)}; with this cause it would stand at "
        f"{reading(metric, would)}, {moved} from usual"
    )


def _of_change(metric: str) -> str:
    return "K" if unit(metric) == "C" else unit(metric)


def _padded(rows: FloatArray, length: int) -> FloatArray:
    return np.concatenate([np.full(length - len(rows), np.nan), rows])
