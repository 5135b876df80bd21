"""The difference that an action makes, in one or two sentences for an operator. Every number is from the runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plant.diagnosis.outlook import SERVICE, Reach, Runs, spread
from plant.diagnosis.quantities import LIMITS, METRICS, TRIPS, Quantity, limit_words, metric_of
from plant.diagnosis.results import Cost, LimitRisk, Option
from plant.diagnosis.words import number, span, unit

TOLD = 0.05
"""A chance that moves by less is not worth a sentence."""
LEAST_SHARE = 0.02
"""Nor a level that moves by a smaller share of itself."""
MUCH_WORK = 1.0
"""GPU work in per cent that is worth saying."""


def difference(
    without: Runs, acted: Runs, before: Sequence[Reach], after: Sequence[Reach], risks: Sequence[LimitRisk],
    costs: Sequence[Cost], near: frozenset[str],
) -> str:  # fmt: skip
    """What happens without it, what with it, and what it costs where that is worth a word.

    A limit that is broken either way is told only of the assets that the action is about (`near`).
    """
    told = _changed(risks)
    if told:
        shown = next((risk for risk in told if unit(metric_of(risk.name))), told[0])
        parts = [_of_limit(shown, before, after), *(_of_chance(risk) for risk in told)]
        parts += [_of_gpus(costs), _of_work(costs)]
    else:
        parts = [_of_change(without, acted), _of_limits(risks, near), _of_work(costs)]
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
    known = one or other
    if known is None:
        return ""
    if one is None or other is None:
        gone = "without it" if other is None else "with it"
        return f"The limit on {known.quantity.words} holds only {gone}."
    after_s = np.nanmedian(one.first_s) if one.broken.any() else np.nan
    verb = "stays at" if after_s == 0.0 else "falls to" if LIMITS[name].side == "below" else "reaches"
    passing = f", past the limit after {span(float(after_s))}" if np.isfinite(after_s) and after_s > 0 else ""
    return f"Without it the {one.quantity.words} {verb} {_range(one)}{passing}; with it {_range(other)}."


def _has(found: Sequence[Reach], name: str, asset: str) -> bool:
    return _reach_of(found, name, asset) is not None


def _reach_of(found: Sequence[Reach], name: str, asset: str) -> Reach | None:
    return next((r for r in found if r.limit_name == name and r.quantity.asset == asset), None)


def _range(reach: Reach) -> str:
    """The middle of the runs, and in brackets how far they lie apart."""
    (low, high), symbol = spread(reach.peaks), unit(reach.quantity.metric)
    middle, apart = number(float(np.median(reach.peaks))), between(float(low), float(high), "")
    return f"{middle} {symbol}".strip() + (f" ({apart})" if apart != middle else "")


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
    return f"After {minutes} without it, {moved.words}: {old}; with it {new}."


def _ends(runs: Runs, quantity: Quantity) -> str:
    low, high = spread(runs.of(quantity)[:, -1])
    return between(float(low), float(high), unit(quantity.metric))


def _gap(without: Runs, acted: Runs, quantity: Quantity) -> float:
    level = float(np.median(without.of(quantity)[:, -1]))
    gap = abs(float(np.median(acted.of(quantity)[:, -1])) - level)
    return gap / max(METRICS[quantity.metric].notable, LEAST_SHARE * abs(level))


def _of_limits(risks: Sequence[LimitRisk], near: frozenset[str]) -> str:
    broken = [risk for risk in risks if max(risk.without, risk.acted) >= TOLD]
    if not broken:
        return "No limit of the site is broken either way."
    own = sorted((risk for risk in broken if risk.asset in near), key=lambda risk: -risk.acted)
    if not own:
        return "It makes no limit more or less likely to be broken."
    named = "; ".join(f"{limit_words(r.name, r.limit)} {percent(r.acted)}" for r in own[:2])
    return f"It does not help against what is coming, the chances stay: {named}."


def verdict_on(own: Option, nothing: Option, options: Sequence[Option]) -> str:
    """How an action compares with the other ways that were tried; "" where it is not clear."""
    best = options[0]
    if best.label == own.label:
        return f"Best of {len(options)} ways that were tried." if len(options) > 2 else ""
    if not best.action:
        return "Doing nothing is as good." if _even(own, nothing) else "Doing nothing is better."
    return f"Better: {best.label}{_advantage(own, best)}."


def _even(own: Option, nothing: Option) -> bool:
    return own.worst_risk - nothing.worst_risk < TOLD and nothing.gpu_work_pct - own.gpu_work_pct < MUCH_WORK


def _advantage(own: Option, best: Option) -> str:
    """In what the better one is better."""
    if best.gpu_work_pct - own.gpu_work_pct >= MUCH_WORK:
        return f" ({number(best.gpu_work_pct)} % of GPU work against {number(own.gpu_work_pct)} %)"
    if own.worst_risk - best.worst_risk >= TOLD:
        return f" ({percent(best.worst_risk)} chance of breaking a limit against {percent(own.worst_risk)})"
    return ""
