"""The forecaster: looks ahead by a loop's models and lets no forecast pass that contradicts itself or what is read.

It also keeps what forecasts turned out to be worth, and says when their intervals no longer hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from setpoint.contracts.loops import Forecast, Observed, Trouble, Watch
from tools.loops.ports import Loop

BESIDE_BANDS = 3.0
"""The first step may lie so many half-widths of its band from the last reading."""
BESIDE_PU = 2.0 / 3.0
"""And so far, of the greater of the two: a threefold jump within one step is believed of nothing."""
KEPT = 100
"""Outcomes of one forecast that coverage is told from."""
LEAST_KEPT = 20
DOUBTFUL = 1e-3
"""With intervals that hold, so few outcomes inside come about with this chance at most: they are wide of the mark."""


@dataclass(frozen=True)
class Looked:
    """What lies ahead, as far as it can be said."""

    forecasts: tuple[Forecast, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def forecast(loop: Loop, watch: Watch, skill: Skill | None = None) -> Looked:
    """The loop's forecasts that stand up to checks; a trouble for each that does not, and for a model that fails.

    Without a single forecast left the trouble blocks. With `skill`, each forecast tells what its like were worth, and
    one whose intervals no longer hold is told as uncertain. Never raises for the model's sake.
    """
    try:
        made = tuple(loop.predict(watch))
    except Exception as error:  # whatever is wrong in a model, the site keeps its setpoints
        known = any(
            trouble.blocks for trouble in watch.troubles
        )  # then it is no news that nothing can be foreseen
        return Looked(troubles=() if known else (_failed(loop, error),))
    found = [(one, _wrong(one, watch)) for one in made]
    kept = tuple(one for one, wrong in found if not wrong)
    troubles = [_dropped(loop, one, wrong, blocks=not kept) for one, wrong in found if wrong]
    if skill is not None:
        kept = tuple(skill.told(one) for one in kept)
        troubles.extend(skill.doubts(one.name for one in kept))
    return Looked(kept, tuple(troubles))


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


# ---- what forecasts were worth -----------------------------------------------------------------------------------


@dataclass
class Worth:
    """Outcomes of one forecast."""

    inside: list[bool] = field(default_factory=list)
    """Whether the interval held, the latest KEPT, oldest first."""
    missed: list[float] = field(default_factory=list)
    """Read less expected, likewise."""
    read: list[float] = field(default_factory=list)
    """Size of what was read, likewise."""

    def add(self, seen: Observed) -> None:
        if seen.read is None or not math.isfinite(seen.read):
            return
        self.inside = [*self.inside, bool(seen.inside)][-KEPT:]
        self.missed = [*self.missed, seen.read - seen.foreseen.expected][-KEPT:]
        self.read = [*self.read, abs(seen.read)][-KEPT:]

    @property
    def missed_pu(self) -> float:
        """Mean absolute error over mean size; NaN before anything was read."""
        size = sum(self.read)
        return sum(map(abs, self.missed)) / size if size > 0 else math.nan

    def said(self) -> str:
        """ "4.1 % off, the interval held 91 of 100"; "" before anything was read."""
        if not self.inside:
            return ""
        off = "" if math.isnan(self.missed_pu) else f"{self.missed_pu:.1%} off, ".replace("%", " %")
        return f"{off}the interval held {sum(self.inside)} of {len(self.inside)}"

    def doubtful(self, level: float) -> bool:
        """Whether intervals of `level` are refuted by what came."""
        count = len(self.inside)
        return count >= LEAST_KEPT and _at_most(sum(self.inside), count, level) < DOUBTFUL


class Skill:
    """What came of forecasts, by name; plain values, so that a new process goes on."""

    def __init__(self, level: float = 0.9) -> None:
        self.level = level
        self.by_name: dict[str, Worth] = {}

    def learn(self, observed: Sequence[Observed]) -> None:
        for seen in observed:
            self.by_name.setdefault(seen.foreseen.name, Worth()).add(seen)

    def told(self, one: Forecast) -> Forecast:
        """The forecast with what its like were worth, where that was measured."""
        said = self.by_name.get(one.name, Worth()).said()
        if not said:
            return one
        return one.model_copy(update={"skill": f"{one.skill}; lately {said}" if one.skill else said})

    def doubts(self, names: Iterable[str]) -> list[Trouble]:
        """A trouble for each of these forecasts whose intervals no longer hold."""
        return [
            Trouble(
                kind="uncertain", asset=name.rpartition(".")[0], metric=name.rpartition(".")[2],
                what=f"The interval of {name} held {sum(worth.inside)} of {len(worth.inside)} outcomes; "
                f"it should hold {self.level:.0%}.",
                instead="The loop plans with it until it has learned anew.",
                remedy="Look for what has changed on the site: load, equipment, a sensor.", blocks=False,
            )
            for name in names
            if (worth := self.by_name.get(name)) is not None and worth.doubtful(self.level)
        ]  # fmt: skip

    def state(self) -> dict[str, object]:
        """JSON values."""
        return {
            name: {"inside": worth.inside, "missed": worth.missed, "read": worth.read}
            for name, worth in self.by_name.items()
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on with what `state` gave; what is not of its shape is left out."""
        for name, kept in state.items():
            if isinstance(kept, Mapping) and isinstance(kept.get("inside"), Sequence):
                self.by_name[name] = Worth(
                    *(list(kept.get(part, ())) for part in ("inside", "missed", "read"))
                )


def _at_most(inside: int, count: int, level: float) -> float:
    """Chance of at most `inside` of `count` where each comes with chance `level` (binomial)."""
    return sum(math.comb(count, k) * level**k * (1.0 - level) ** (count - k) for k in range(inside + 1))
