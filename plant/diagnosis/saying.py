"""The difference that an action makes, in one or two sentences for an operator. Every number is from the runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plant.diagnosis.outlook import SERVICE, Reach, Runs, spread
from plant.diagnosis.quantities import LIMITS, METRICS, TRIPS, Quantity, limit_words, metric_of
from plant.diagnosis.results import Cost, LimitRisk
from plant.diagnosis.words import number, span, unit

TOLD = 0.05
"""A chance that moves by less is not worth a sentence."""


def difference(
    without: Runs, acted: Runs, before: Sequence[Reach], after: Sequence[Reach], risks: Sequence[LimitRisk],
    costs: Sequence[Cost],
) -> str:  # fmt: skip
    """What happens without it, what with it, and what it costs where that is worth a word."""
    told = _changed(risks)
    if told:
        shown = next((risk for risk in told if unit(metric_of(risk.name))), told[0])
        parts = [_of_limit(shown, before, after), *(_of_chance(risk) for risk in told)]
        parts += [_of_gpus(costs), _of_work(costs)]
    else:
        parts = [_of_change(without, acted), _of_limits(risks), _of_work(costs)]
    return " ".join(part for part in parts if part)


def _changed(risks: Sequence[LimitRisk]) -> list[LimitRisk]:
    """The chance that falls most and the one that rises most, where they move at all; equipment before service."""
    graver = sorted(risks, key=lambda risk: risk.name in SERVICE)
    lowered = max(graver, key=lambda risk: risk.without - risk.acted, default=None)
    raised = max(graver, key=lambda risk: risk.acted - risk.without, default=None)
    return [risk for risk in (lowered, raised) if risk is not None and abs(risk.acted - risk.without) >= TOLD]


def _of_limit(risk: LimitRisk, before: Sequence[Reach], after: Sequence[Reach]) -> str:
    """`Without it the hottest GPU on cdu-1 reaches 88 to 91 C, the limit after 3 min; with it 57 to 58 C.`"""
    name = (
        "gpu_temp_max_c" if risk.name == TRIPS and _has(before, "gpu_temp_max_c", risk.asset) else risk.name
    )
    one, other = _reach_of(before, name, risk.asset), _reach_of(after, name, risk.asset)
    if one is None and other is None:
        return ""
    if one is None or other is None:
        gone = "without it" if other is None else "with it"
        return f"The limit on {(one or other).quantity.words} holds only {gone}."  # type: ignore[union-attr]  # one is there
    verb = "falls to" if LIMITS[name].side == "below" else "reaches"
    after_s = np.nanmedian(one.first_s) if one.broken.any() else np.nan
    passing = f", past the limit after {span(float(after_s))}" if np.isfinite(after_s) and after_s > 0 else ""
    return f"Without it the {one.quantity.words} {verb} {_range(one)}{passing}; with it {_range(other)}."


def _has(found: Sequence[Reach], name: str, asset: str) -> bool:
    return _reach_of(found, name, asset) is not None


def _reach_of(found: Sequence[Reach], name: str, asset: str) -> Reach | None:
    return next((r for r in found if r.limit_name == name and r.quantity.asset == asset), None)


def _range(reach: Reach) -> str:
    low, high = spread(reach.peaks)
    return between(float(low), float(high), unit(reach.quantity.metric))


def between(low: float, high: float, symbol: str) -> str:
    """
    >>> between(87.9, 91.2, "C"), between(60.01, 60.02, "L/min")
    ('87.9 to 91.2 C', '60 L/min')
    """
    first, last = number(low), number(high)
    return f"{first if first == last else f'{first} to {last}'} {symbol}".strip()


def _of_chance(risk: LimitRisk) -> str:
    words = limit_words(risk.name, risk.limit)
    return f"Chance of {words}: {percent(risk.without)} without, {percent(risk.acted)} with."


def percent(share: float) -> str:
    """
    >>> percent(0.0625), percent(1.0)
    ('6 %', '100 %')
    """
    return f"{100 * share:.0f} %"


def _of_gpus(costs: Sequence[Cost]) -> str:
    lost = next((cost for cost in costs if cost.what == "gpus_lost"), None)
    if lost is None or abs(lost.acted - lost.without) < 0.5:
        return ""
    return f"GPUs lost: {number(lost.without)} without, {number(lost.acted)} with."


def _of_work(costs: Sequence[Cost]) -> str:
    work = next((cost for cost in costs if cost.what == "gpu_work_pct"), None)
    if work is None or abs(work.acted - work.without) < 1.0:
        return ""
    return f"GPU work done: {number(work.without)} % without, {number(work.acted)} % with."


def _of_change(without: Runs, acted: Runs) -> str:
    moved = max(without.watch.quantities, key=lambda q: _gap(without, acted, q), default=None)
    minutes = span(float(without.times_s[-1]))
    if moved is None or _gap(without, acted, moved) < 1.0:
        return f"It changes nothing within {minutes} that the plant model shows."
    old, new = _ends(without, moved), _ends(acted, moved)
    return f"In {minutes} the {moved.words} is at {old} without it and at {new} with it."


def _ends(runs: Runs, quantity: Quantity) -> str:
    low, high = spread(runs.of(quantity)[:, -1])
    return between(float(low), float(high), unit(quantity.metric))


def _gap(without: Runs, acted: Runs, quantity: Quantity) -> float:
    gap = np.median(acted.of(quantity)[:, -1]) - np.median(without.of(quantity)[:, -1])
    return float(abs(gap)) / METRICS[quantity.metric].notable


def _of_limits(risks: Sequence[LimitRisk]) -> str:
    broken = [risk for risk in risks if max(risk.without, risk.acted) >= TOLD]
    if not broken:
        return "No limit of the site is broken either way."
    named = "; ".join(f"{limit_words(r.name, r.limit)} {percent(r.acted)}" for r in broken[:2])
    return f"Chance of a limit being broken, the same either way: {named}."
