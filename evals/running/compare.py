"""Two runs held against each other, figure by figure: what changed by more than chance explains.

Two runs over the same cases are compared case by case: an easy case is easy for both, and only what differs counts. Where
a figure has no values of its cases, or the cases are others, its two intervals decide, which needs a larger change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evals.figures import Better, Figure
from evals.running.record import Ran, Record

Verdict = Literal["better", "worse", "same", "differs", "not comparable"]
"""`differs`: by more than chance, of a figure that only informs."""
ROUNDS = 4000
TOLERANCE = 1e-3
"""Of the value, at least 1: a smaller change is rounding, on other processors for one, whatever its interval."""
FEW = 5
ROUNDED = 1e-4
"""A change that is the rounding of a baseline's values."""
_EXACT_CASES = 500
_CHUNK = 2_000_000
"""Numbers drawn at once, so that many cases do not need much memory."""


@dataclass(frozen=True)
class Difference:
    """One figure in two runs, or of two contenders."""

    suite: str
    contender: str
    set: str
    name: str
    before: float | None
    """None where the figure is new."""
    after: float | None
    """None where it is gone."""
    low: float = 0.0
    high: float = 0.0
    """95 % interval of after minus before."""
    n: int = 0
    """Cases in common, or the fewer ones of the two."""
    paired: bool = False
    verdict: Verdict = "same"
    better: Better = "higher"
    hard: bool = False

    @property
    def change(self) -> float:
        return (self.after or 0.0) - (self.before or 0.0)

    @property
    def key(self) -> str:
        return f"{self.set}: {self.name}"


@dataclass(frozen=True)
class Compared:
    """Two runs."""

    before: str
    after: str
    warnings: tuple[str, ...]
    differences: tuple[Difference, ...]
    broken: tuple[str, ...]
    """Cases that were fine and are not: `suite by contender: case: what is wrong`."""
    fixed: tuple[str, ...]


# ---- one figure ----------------------------------------------------------------------------------------------------


def change_of(before: Figure, after: Figure, *, same_cases: bool = True) -> tuple[float, float, int, bool]:
    """The 95 % interval of after minus before, over how many cases, and whether it is paired. Of fewer cases than FEW
    resamples say too little of what else could have come: there the wider interval counts."""
    common = sorted(before.cases.keys() & after.cases.keys()) if same_cases else []
    apart = _from_intervals(before, after)
    if not common:
        few = min(before.n, after.n)
        return (*(_around_zero(apart) if few < FEW else apart), few, False)
    low, high = paired_interval(np.array([after.cases[case] - before.cases[case] for case in common]))
    if len(common) < FEW:
        low, high = min(low, apart[0]), max(high, apart[1])
    return low, high, len(common), True


def _from_intervals(before: Figure, after: Figure) -> tuple[float, float]:
    """Of a difference of two independent figures, from the interval of each (Newcombe, 1998)."""
    change = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return change - down, change + up


def _around_zero(interval: tuple[float, float]) -> tuple[float, float]:
    """A bootstrap of two cases that agree has no width at all; nothing follows from it."""
    return min(interval[0], 0.0), max(interval[1], 0.0)


def paired_interval(changes: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over resamples of the cases. Exact where each case changes by 0 or 1.

    >>> paired_interval(np.array([-1.0] * 4 + [0.0] * 16))
    (-0.4, -0.05)
    """
    n = len(changes)
    steps = np.round(changes).astype(int)
    if n <= _EXACT_CASES and np.array_equal(steps, changes) and np.abs(steps).max(initial=0) <= 1:
        return _exact(steps)
    rng, means = np.random.default_rng(0), list[NDArray[np.float64]]()
    at_once = max(1, _CHUNK // n)
    for first in range(0, ROUNDS, at_once):
        means.append(changes[rng.integers(0, n, (min(at_once, ROUNDS - first), n))].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)


def _exact(steps: NDArray[np.int_]) -> tuple[float, float]:
    """All resamples at once: the sum of n draws from the changes -1, 0 and 1 that were seen."""
    n = len(steps)
    one = np.array([(steps == step).mean() for step in (-1, 0, 1)])
    spread = np.ones(1)
    for _ in range(n):
        spread = np.convolve(spread, one)
    reached = np.cumsum(spread)
    low, high = (int(np.searchsorted(reached, share - 1e-12)) - n for share in (0.025, 0.975))
    return low / n, high / n


def judge(
    before: Figure, after: Figure, *, same_cases: bool = True
) -> tuple[Verdict, float, float, int, bool]:
    """Better, worse or the same, with the interval of the change."""
    low, high, n, paired = change_of(before, after, same_cases=same_cases)
    change = _mean_change(before, after) if paired else after.value - before.value
    slack = ROUNDED if before.hard else TOLERANCE * max(1.0, abs(before.value))
    within = low <= 0.0 <= high and not before.hard
    verdict: Verdict = "same"
    if abs(change) > slack and not within:
        good = (change > 0) == (before.better == "higher")
        verdict = "differs" if not before.better else "better" if good else "worse"
    return verdict, low, high, n, paired


def _mean_change(before: Figure, after: Figure) -> float:
    common = before.cases.keys() & after.cases.keys()
    return sum(after.cases[case] - before.cases[case] for case in common) / len(common)


def difference(
    suite: str, contender: str, before: Figure, after: Figure, *, same_cases: bool = True
) -> Difference:
    """One figure that both have."""
    verdict, low, high, n, paired = judge(before, after, same_cases=same_cases)
    return Difference(
        suite, contender, before.set, before.name, before.value, after.value, low, high, n, paired, verdict,
        before.better, before.hard,
    )  # fmt: skip


# ---- two runs ------------------------------------------------------------------------------------------------------


def compare(before: Record, after: Record) -> Compared:
    """Everything that both hold; what only one holds is not comparable."""
    same = same_cases(before, after)
    pairs = list(pairs_of(before, after))
    differences = [one for old, new in pairs for one in _differences(old, new, same)]
    return Compared(
        before.name, after.name, tuple(_warnings(before, after, len(pairs))), tuple(differences),
        tuple(line for old, new in pairs if same for line in changed(old, new)),
        tuple(line for old, new in pairs if same for line in changed(new, old, told=old)),
    )  # fmt: skip


def same_cases(before: Record, after: Record) -> bool:
    """Whether a case of a name is the same case in both. Another limit only makes other numbers of cases."""
    return (before.asked.seed, before.asked.split) == (after.asked.seed, after.asked.split)


def pairs_of(before: Record, after: Record) -> Iterator[tuple[Ran, Ran]]:
    """Of each suite the contenders of one name; and one that is left on each side, as two models are."""
    for suite in before.suites:
        old, new = ({one.contender: one for one in record.of(suite)} for record in (before, after))
        common = [name for name in old if name in new]
        yield from ((old[name], new[name]) for name in common)
        left = [[one for name, one in side.items() if name not in common] for side in (old, new)]
        if len(left[0]) == len(left[1]) == 1:
            yield left[0][0], left[1][0]


def title_of(old: Ran, new: Ran) -> str:
    """Whose figures these are."""
    return old.contender if old.contender == new.contender else f"{old.contender} -> {new.contender}"


def _differences(old: Ran, new: Ran, same: bool) -> Iterator[Difference]:
    name, later = title_of(old, new), {figure.key: figure for figure in new.figures}
    for figure in old.figures:
        if figure.key in later:
            yield difference(old.suite, name, figure, later.pop(figure.key), same_cases=same)
        else:
            yield _alone(old.suite, name, figure, figure.value, None)
    for figure in later.values():
        yield _alone(old.suite, name, figure, None, figure.value)


def _alone(suite: str, name: str, figure: Figure, before: float | None, after: float | None) -> Difference:
    return Difference(
        suite, name, figure.set, figure.name, before, after, n=figure.n, verdict="not comparable",
        better=figure.better, hard=figure.hard,
    )  # fmt: skip


def changed(old: Ran, new: Ran, *, told: Ran | None = None) -> Iterator[str]:
    """Cases that are fine in `old` and not in `new`. `told`: whose problems are said, `new`'s where it is None."""
    for case, outcome in new.cases.items():
        before = old.cases.get(case)
        if before is not None and before.fine and not outcome.fine:
            said = (told or new).cases[case]
            yield f"{old.suite} by {title_of(old, new)}: {case}: {said.error or '; '.join(said.problems)}"


def _warnings(before: Record, after: Record, pairs: int) -> Iterator[str]:
    for name in ("split", "seed", "limit", "epochs", "data"):
        old, new = getattr(before.asked, name), getattr(after.asked, name)
        if old != new:
            effect = "the cases are others" if name in ("split", "seed") else "not all cases are the same"
            yield f"{name} differs: {_or_all(old)} and {_or_all(new)}; {effect}"
    for first, second in ((before, after), (after, before)):
        if missing := [suite for suite in first.suites if suite not in second.suites]:
            yield f"only {first.name} ran {', '.join(missing)}"
        if first.errors or first.interrupted:
            yield f"{first.name} is not whole: {len(first.errors)} errors{', interrupted' if first.interrupted else ''}"
    if not pairs:
        yield "no contender of a suite stands in both"


def _or_all(value: object) -> str:
    return "all" if value is None else str(value)
