"""Diagnosis by rehearsal: every candidate cause of one incident is put into the plant model and judged by what it does.

window -> state before the trouble -> candidates -> a fit of each -> double faults -> shares, curves and sentences
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.candidates import Candidate, candidates
from plant.diagnosis.estimate import Estimate, doubted, estimate
from plant.diagnosis.fit import (
    Bench,
    Fit,
    Signals,
    by_group,
    sensor_evidence,
    signals_of,
    unnamed,
    with_rest,
)
from plant.diagnosis.observed import FloatArray, Observed
from plant.diagnosis.onset import first_bent_s, first_sign_s, near_events, onsets
from plant.diagnosis.posterior import NO_FAULT, UNKNOWN, Share, Weighed, shares
from plant.diagnosis.results import SensorProblem, Trial, Verdict
from plant.diagnosis.signs import SignReader, Signs
from plant.diagnosis.telling import told
from plant.site import Site
from setpoint.errors import SetpointError

LEAD_S = 300.0
"""The state is taken so long before the first trouble."""
LEAST_QUIET_S = 600.0
SHOWN = 5
"""Candidates whose curves are kept."""
PAIRS, PAIR_COST = 4, 1.5
"""Second faults that are tried beside the first, and the log cost of one."""
PRIOR_WEIGHT = 0.05
"""Of the logarithm of a mechanism's rate: what the events say knows frequencies already."""
IDLE_COST, REFUTED_COST = 3.0, 6.0
"""Log cost of a cause that moves nothing, and of one that a reading rules out."""
STILL = 4.0
"""A signal so many noises off its course at the window's end has not come back."""
NEVER_MOVED, CAME_BACK, BENT_COST, MOST_BENT = 5.5, 4.5, -0.6, 5
"""For no fault: no reading of what reported ever moved, or all came back; else for each kind that is still off."""


@dataclass(frozen=True)
class Tried:
    """One incident's trial with what later steps need of it: paths and rehearsals."""

    trial: Trial
    estimate: Estimate
    signals: Signals


def try_causes(
    site: Site, observed: Observed, scores: Mapping[str, float], doubts: Sequence[SensorProblem] = ()
) -> Tried:
    """Test what may have caused the events of `observed.signs`.

    `scores` is the log evidence of the event pattern by cause id, "unknown" and "no_fault" among them. `doubts` are
    problems of the input found elsewhere, such as a wrong clock. A candidate that cannot be run, or diverges, is named
    in `trial.problems`; the others go on.
    """
    began = time.perf_counter()
    first_s = first_sign_s(observed)
    at_s = max(
        min(LEAST_QUIET_S, float(observed.times_s[-1]) / 2),
        min(first_s, first_bent_s(site, observed, first_s)) - LEAD_S,
    )
    state = doubted(estimate(site, observed, at_s), doubts)
    untrusted = frozenset((p.asset, p.metric) for p in state.note.problems if p.kind == "stuck")
    signals = signals_of(state, observed, untrusted)
    bench, reader = Bench(state, observed, signals), SignReader(site, observed, state)
    chosen = candidates(site, observed, state, scores)
    problems: list[str] = []
    starts = onsets(site, observed, state, signals, first_s)
    weighed = [_weigh(one, bench, reader, starts, problems) for one in chosen]
    matter = _focus(weighed, signals, site, observed)
    rest = unnamed(signals)
    weighed = [_on_all(one, signals, matter, rest) for one in weighed]
    weighed += _doubles(weighed, bench, matter, rest, problems)
    weighed += _neither(scores, by_group(signals, rest, matter), signals, reader, observed)
    return _result(site, observed, state, signals, weighed, bench.runs, problems, began)


def _weigh(
    candidate: Candidate, bench: Bench, reader: SignReader, onsets_s: Sequence[float], problems: list[str]
) -> Weighed:
    none = np.zeros(len(bench.signals.names))
    mechanism = candidate.mechanism
    prior = PRIOR_WEIGHT * float(np.log(mechanism.rate)) if mechanism else 0.0
    fit: Fit | None = None
    try:
        fit = bench.fit(candidate, onsets_s)
    except (SetpointError, ArithmeticError, KeyError) as error:
        problems.append(f"{candidate.cause} at {candidate.asset} could not be run: {error}")
    signs = reader.read(candidate)
    if refuted := reader.refuted(candidate):
        prior -= REFUTED_COST
        signs = replace(signs, against=(*refuted[:2], *signs.against))
    if mechanism and mechanism.of_one_reading:
        none = sensor_evidence(bench.signals, candidate.asset, candidate.metric)
    return Weighed(candidate.cause, candidate.asset, candidate, candidate.from_events,
                   none if fit is None else fit.groups, signs, fit, prior)  # fmt: skip


def _focus(weighed: Sequence[Weighed], signals: Signals, site: Site, observed: Observed) -> NDArray[np.bool_]:
    """Signals that count, the same for every candidate: those that left their course near the events, and those that
    a candidate moves."""
    near = near_events(site, observed)
    matter = signals.active & np.array([asset in near for asset, _ in signals.keys], dtype=bool)
    for one in weighed:
        if one.fit is not None:
            matter = matter | _moves(one.fit, signals)
    return np.asarray(matter)


def _on_all(one: Weighed, signals: Signals, matter: NDArray[np.bool_], rest: FloatArray) -> Weighed:
    """Judged on the signals that count for all; what it leaves may be something else. A cause that fits only where it
    moves nothing explains no alarm."""
    each = with_rest(one.fit.each if one.fit else np.zeros(len(rest)), rest)
    groups = by_group(signals, each, matter)
    if one.fit is None:  # what a sensor's fault explains was weighed before
        groups = np.maximum(groups, one.groups)
    mechanism = one.candidate.mechanism if one.candidate else None
    still = one.fit is None or not _moves(one.fit, signals).any()
    idle = still and mechanism is not None and bool(mechanism.moves) and one.signs.score <= 0.0
    cost = IDLE_COST if idle else 0.0
    return replace(one, groups=groups, prior=one.prior - cost)


def _doubles(
    weighed: Sequence[Weighed], bench: Bench, matter: NDArray[np.bool_], rest: FloatArray, problems: list[str]
) -> list[Weighed]:
    """Two faults at once: the most probable one with those that best explain what it leaves."""
    fitted = sorted((w for w in weighed if w.fit is not None), key=lambda w: -w.logit())
    found: list[Weighed] = []
    for one, fit, other, beside in _pairs(fitted, bench.signals, matter):
        try:
            rows = bench.run([
                (each.candidate.mechanism, each.candidate.asset, each.shape)
                for each in (fit, beside) if each.candidate.mechanism is not None
            ])  # fmt: skip
        except (SetpointError, ArithmeticError, KeyError) as error:
            problems.append(f"{one.cause} with {other.cause} could not be run: {error}")
            continue
        joint = bench.weighed(fit.candidate, fit.shape, rows)
        groups = by_group(bench.signals, with_rest(joint.each, rest), matter)
        signs = replace(one.signs, score=one.signs.score + max(0.0, other.signs.score))
        found.append(
            replace(
                one,
                groups=groups,
                signs=signs,
                fit=joint,
                prior=one.prior - PAIR_COST,
                also=f"{other.cause}@{other.asset}",
            )
        )
    return found


def _pairs(
    fitted: Sequence[Weighed], signals: Signals, matter: NDArray[np.bool_]
) -> list[tuple[Weighed, Fit, Weighed, Fit]]:
    """The first with each that explains readings which the first does not touch, best first; each with its fit."""
    runs = [(one, one.fit) for one in fitted if one.fit is not None]
    if not runs:
        return []
    first, own = runs[0]
    left = matter & signals.active & ~_moves(own, signals)
    gains = [
        (float(by_group(signals, fit.each, left & _moves(fit, signals)).sum()), n)
        for n, (one, fit) in enumerate(runs) if one.asset != first.asset
    ]  # fmt: skip
    return [(first, own, *runs[n]) for gain, n in sorted(gains, reverse=True)[:PAIRS] if gain > PAIR_COST]


def _moves(fit: Fit, signals: Signals) -> NDArray[np.bool_]:
    """Signals that the run moves clearly."""
    return np.asarray(np.abs(signals.binned(fit.simulated)).max(axis=0) > 2.0 * signals.sigma)


def _calm(signals: Signals, reader: SignReader, observed: Observed) -> float:
    """What the readings of the assets that reported say for no fault: most where none of them ever moved, less where
    all have come back, and against it for each kind that is still off."""
    own = {sign.asset for sign in observed.signs if sign.priority < "P3"}
    mine = [k for k, (asset, _) in enumerate(signals.keys) if asset in own]
    off = {int(signals.groups[k]) for k in mine if abs(signals.change[-1, k]) > STILL * signals.sigma[k]}
    still = len(off) + len({metric for asset in own for metric in reader.still_bent(asset)})
    if still:
        return BENT_COST * min(still, MOST_BENT)
    moved = any(signals.active[k] for k in mine) or any(reader.bent(asset) for asset in own)
    return CAME_BACK if moved else NEVER_MOVED


def _neither(
    scores: Mapping[str, float], rest: FloatArray, signals: Signals, reader: SignReader, observed: Observed
) -> list[Weighed]:
    """No fault, and a cause that nobody has named."""
    assets = frozenset(sign.asset for sign in observed.signs if sign.priority < "P3")
    calm = Signs(_calm(signals, reader, observed))
    return [
        Weighed(NO_FAULT, "", None, scores.get(NO_FAULT, 0.0), rest, calm),
        Weighed(UNKNOWN, "", None, scores.get(UNKNOWN, 0.0), rest, Signs(reader.unknown(assets))),
    ]


def _result(
    site: Site, observed: Observed, state: Estimate, signals: Signals, weighed: Sequence[Weighed], runs: int,
    problems: Sequence[str], began: float,
) -> Tried:  # fmt: skip
    order = sorted(
        zip(weighed, shares(weighed, state.note.confidence), strict=True), key=lambda pair: -pair[1].share
    )
    verdicts = tuple(
        _verdict(one, share, observed, state, signals, shown=place < SHOWN)
        for place, (one, share) in enumerate(order)
    )
    trial = Trial(
        state=state.note, verdicts=verdicts, candidates=len(weighed), runs=runs,
        seconds=round(time.perf_counter() - began, 3), problems=tuple(problems),
    )  # fmt: skip
    return Tried(trial, state, signals)


def _verdict(
    one: Weighed, share: Share, observed: Observed, state: Estimate, signals: Signals, *, shown: bool
) -> Verdict:
    shape = one.fit.shape if one.fit else None
    mechanism = one.candidate.mechanism if one.candidate else None
    curves, supports, against = told(one, observed, state, signals) if shown else ((), (), ())
    return Verdict(
        cause=one.cause, asset=one.asset, mechanism=mechanism.id if mechanism else "", also=one.also,
        share=share.share, low=share.low, high=share.high,
        onset=observed.start + timedelta(seconds=shape.onset_s) if shape else None,
        severity=round(shape.severity, 3) if shape else None, ramp_s=shape.ramp_s if shape else None,
        from_events=round(one.events, 3), from_signals=round(one.signals + one.signs.score, 3),
        curves=curves, supports=(*supports, *one.signs.supports), against=(*against, *one.signs.against),
        tried=one.fit is not None,
    )  # fmt: skip
