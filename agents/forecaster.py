"""The forecaster: looks ahead by a loop's models and lets no forecast pass that contradicts itself or what is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from setpoint.contracts.loops import Forecast, Trouble, Watch
from tools.loops.ports import Loop

BESIDE_BANDS = 3.0
"""The first step may lie so many half-widths of its band from the last reading."""
BESIDE_PU = 2.0 / 3.0
"""And so far, of the greater of the two: a threefold jump within one step is believed of nothing."""


@dataclass(frozen=True)
class Looked:
    """What lies ahead, as far as it can be said."""

    forecasts: tuple[Forecast, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def forecast(loop: Loop, watch: Watch) -> Looked:
    """The loop's forecasts that stand up to checks; a trouble for each that does not, and for a model that fails.

    Without a single forecast left the trouble blocks. Never raises for the model's sake.
    """
    try:
        made = tuple(loop.predict(watch))
    except Exception as error:  # whatever is wrong in a model, the site keeps its setpoints
        blind = any(trouble.blocks for trouble in watch.troubles)  # it is no news then
        return Looked(troubles=() if blind else (_failed(loop, error),))
    found = [(one, _wrong(one, watch)) for one in made]
    kept = tuple(one for one, wrong in found if not wrong)
    return Looked(kept, tuple(_dropped(loop, one, wrong, blocks=not kept) for one, wrong in found if wrong))


# ---- checks ------------------------------------------------------------------------------------------------------


def _wrong(one: Forecast, watch: Watch) -> str:
    """What is wrong with a forecast, in words; "" where nothing is."""
    lengths = {len(one.expected), len(one.low), len(one.high)}
    if lengths == {0} or len(lengths) > 1:
        return f"has {len(one.expected)} expected values, {len(one.low)} low and {len(one.high)} high ones"
    for number, (low, expected, high) in enumerate(zip(one.low, one.expected, one.high, strict=True), 1):
        if not all(map(math.isfinite, (low, expected, high))):
            return f"has no number at step {number}"
        if not low - _slack(low) <= expected <= high + _slack(high):
            return f"expects {expected:g} at step {number}, outside its own interval {low:g} to {high:g}"
    return _beside_reading(one, watch.readings.get(one.name))


def _slack(bound: float) -> float:
    """Rounding that is no contradiction."""
    return 1e-9 * max(1.0, abs(bound))


def _beside_reading(one: Forecast, read: float | None) -> str:
    """Whether the first step is believable right after what was read."""
    if read is None:
        return ""
    first = one.expected[0]
    half = max(first - one.low[0], one.high[0] - first)
    far = abs(first - read)
    if far <= BESIDE_BANDS * half or far <= BESIDE_PU * max(abs(first), abs(read)):
        return ""
    return f"begins at {first:g} {one.unit} while {read:g} {one.unit} is read now"


def _dropped(loop: Loop, one: Forecast, wrong: str, *, blocks: bool) -> Trouble:
    asset, _, metric = one.name.rpartition(".")
    return Trouble(
        kind="uncertain", asset=asset, metric=metric, what=f"The forecast of {one.title} {wrong}.",
        instead=f"The {loop.name} loop {'holds its setpoints' if blocks else 'plans without it'}.",
        remedy="Check the readings it rests on; report it if they are right.", blocks=blocks,
    )  # fmt: skip


def _failed(loop: Loop, error: Exception) -> Trouble:
    said = " ".join(str(error).split())
    return Trouble(
        kind="uncertain",
        what=f"The {loop.name} loop could not look ahead: {type(error).__name__}{f', {said}' if said else ''}.",
        instead="It holds the setpoints that were set last.",
        remedy="Check its readings and their history; report it if they are right.",
    )  # fmt: skip
