"""Does earned autonomy go to those who deserve it, and only to them?

    python -m evals.autonomy --operators 1000 [--kinds 5] [--decisions 4000] [--json]

Simulated operators of different strictness decide about kinds of action of different danger. The record is looked at
after every decision, and whoever signs does so at the first moment that the bound allows: the worst habit there is.
What is promoted runs alone until its first harm, falls, and begins anew, as often as the decisions last. The rules are
the product's own (setpoint.autonomy.rules and .bound); only people and harm are made up.

A kind deserves to run alone where at least 95 % of what it proposes would be accepted as it is and does no harm. It is
unsafe where its true harm rate alone is above the 5 % that the bound leaves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evals.figures import Figure, share, table
from setpoint.autonomy.bound import exceeds
from setpoint.autonomy.rules import GOOD_ALONE, TRUE_ALONE, alpha_of

HARM = (0.0005, 0.20)
"""Range of the true harm rates, spread evenly over their logarithm."""
REJECTS = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.10)
"""How often operators reject what would have done no harm."""
EDITS = (0.0, 0.001, 0.005, 0.01, 0.02)
SEES = (0.0, 0.5, 0.9)
"""How often operators reject what would have done harm."""
TRUE = (0.97, 0.89, 0.60)
"""How often rehearsals come true: a careful plant model, one whose 90 % intervals are just right (5 of 6 quantities
inside), and one that does not fit the site."""
MOST_TRIES = 8
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Policy:
    """One kind of action in the hands of one operator."""

    harm: float
    """True rate of harm, were everything executed."""
    rejects: float
    edits: float
    sees: float
    true: float = 0.97
    """How often a rehearsal comes true."""
    unnoticed: float = 0.0
    """Share of the harm done that nobody ever finds."""

    @property
    def bad(self) -> float:
        """True rate of what is no plain yes without harm."""
        return self.harm + (1 - self.harm) * (self.rejects + self.edits)


@dataclass(frozen=True)
class Course:
    """What became of one policy."""

    policy: Policy
    risen: tuple[int, ...]
    """Decisions from the begin of each try to its signature."""


def populate(operators: int, kinds: int, rng: np.random.Generator) -> list[Policy]:
    """`kinds` policies for each operator: strictness is the operator's, danger the kind's."""
    found: list[Policy] = []
    for _ in range(operators):
        rejects, edits, sees, true = (float(rng.choice(values)) for values in (REJECTS, EDITS, SEES, TRUE))
        for harm in np.exp(rng.uniform(np.log(HARM[0]), np.log(HARM[1]), kinds)):
            found.append(Policy(float(harm), rejects, edits, sees, true))
    return found


def play(policy: Policy, decisions: int, rng: np.random.Generator) -> Course:
    """Decide, look, sign at the first moment, run alone until harm, fall, begin anew."""
    good, bad, true = decided(policy, decisions, rng)
    risen: list[int] = []
    begin = 0
    while len(risen) < MOST_TRIES:
        at = first(good[begin:], bad[begin:], true[begin:], len(risen))
        if at is None:
            break
        risen.append(at)
        # Alone nobody filters: harm comes at its true rate, and ends it as soon as it is noticed.
        rate = policy.harm * (1 - policy.unnoticed)
        begin += at + int(rng.geometric(rate))
        if begin >= decisions:
            break
    return Course(policy, tuple(risen))


def decided(policy: Policy, decisions: int, rng: np.random.Generator) -> tuple[Bools, Bools, Bools]:
    """Of each proposal whether it is a good one on the record, a bad one, and whether its rehearsal comes true. A plain
    yes whose rehearsal does not is neither."""
    draw = rng.random((4, decisions))
    harmful = draw[0] < policy.harm
    done = draw[1] >= policy.sees
    hidden = harmful & done & (draw[2] < policy.unnoticed)
    agreed = draw[1] >= policy.rejects + policy.edits
    fine, true = (~harmful & agreed) | hidden, draw[3] < policy.true
    return fine & true, ~fine, true


def first(good: Bools, bad: Bools, true: Bools, tries: int) -> int | None:
    """After how many decisions both bounds hold for the first time; None: never. What is rejected is rehearsed as
    well and never compared; counting it as compared changes little, since rejections are few."""
    holds = _holds(good, bad, tries, GOOD_ALONE) & _holds(true, ~true, tries, TRUE_ALONE)
    return int(holds.argmax()) + 1 if holds.any() else None


def _holds(good: Bools, bad: Bools, tries: int, required: float) -> Bools:
    """At each moment whether the bound is above what is required."""
    yes, no = np.cumsum(good), np.cumsum(bad)
    need = boundary(tries, len(good), required)
    fits = no < len(need)
    found: Bools = np.zeros(len(good), dtype=np.bool_)
    found[fits] = yes[fits] >= need[no[fits]]
    return found


@lru_cache(maxsize=64)
def _needs(tries: int, decisions: int, required: float) -> tuple[int, ...]:
    found: list[int] = []
    good = 1
    while good <= decisions:
        while not exceeds(good, len(found), required, alpha_of(tries)):
            good += 1
        found.append(good)
    return tuple(found)


def boundary(tries: int, decisions: int, required: float) -> NDArray[np.int64]:
    """Good ones that are needed, by the number of bad ones, as far as `decisions` reach."""
    longest = 1 << max(decisions - 1, 1).bit_length()
    return np.array(_needs(tries, longest, required))


# ---- figures ------------------------------------------------------------------------------------------------


def measure(operators: int, kinds: int, decisions: int, seed: int) -> list[Figure]:
    rng = np.random.default_rng(seed)
    policies = populate(operators, kinds, rng)
    courses = [play(policy, decisions, rng) for policy in policies]
    blind = [play(replace(policy, unnoticed=0.2), decisions, rng) for policy in policies]
    edge = [play(Policy(1 - GOOD_ALONE, 0.0, 0.0, 0.0), decisions, rng) for _ in range(2 * operators)]
    return [
        *wrong("mixed", courses),
        promoted("edge", "harm rate exactly at the bound, ever promoted", edge, "aim 0.010 or less"),
        *wrong("harm unnoticed 1 in 5", blind),
        *right("mixed", courses),
        *_needed(courses),
    ]


def unsafe(policy: Policy) -> bool:
    return policy.harm > 1 - GOOD_ALONE


def safe(policy: Policy) -> bool:
    """Half of what the bound allows, harm a fifth of it, and a plant model that fits: there is room to prove it."""
    return policy.harm <= 0.01 and policy.bad <= (1 - GOOD_ALONE) / 2 and policy.true > TRUE_ALONE


def wrong(name: str, courses: Sequence[Course]) -> list[Figure]:
    """Of what should not have been promoted, how much was."""
    risen = [course for course in courses if course.risen]
    bad = sum(unsafe(course.policy) for course in risen)
    dangerous = [course for course in courses if unsafe(course.policy)]
    return [
        share(name, "of all promoted, harm rate above the bound", bad, len(risen), "aim 0.010 or less"),
        promoted(name, "unsafe (harm above 5 %), ever promoted", dangerous, "aim 0.010 or less"),
    ]


def right(name: str, courses: Sequence[Course]) -> list[Figure]:
    """Of what deserves it, how much was promoted; and of what is refused for other reasons."""
    harmless = [course for course in courses if course.policy.harm <= 0.01]
    fitting = [course for course in courses if course.policy.true > TRUE_ALONE]
    close = [c for c in fitting if not safe(c.policy) and c.policy.bad <= 1 - GOOD_ALONE]
    astray = [course for course in courses if course.policy.true < TRUE_ALONE]
    refused = [course for course in harmless if course.policy.bad > 1 - GOOD_ALONE]
    return [
        promoted(name, "safe (harm to 1 %, bad to 2.5 %), promoted", [c for c in courses if safe(c.policy)],
                  "aim 0.800 or more"),
        share(name, "the same within 500 decisions", sum(bool(c.risen) and c.risen[0] <= 500 for c in courses
              if safe(c.policy)), sum(safe(c.policy) for c in courses)),
        promoted(name, "rehearsals true in 60 %, promoted", astray, "0.750 is required"),
        promoted(name, "deserving, but near the bound, promoted", close, "bad 2.5 to 5 %, or harm 1 to 5 %"),
        promoted(name, "harm to 1 %, operator disagrees in over 5 %, promoted", refused, "disagreement counts"),
    ]  # fmt: skip


def promoted(name: str, what: str, courses: Sequence[Course], note: str) -> Figure:
    """The share that was ever promoted."""
    return share(name, what, sum(bool(course.risen) for course in courses), len(courses), note)


def _needed(courses: Sequence[Course]) -> list[Figure]:
    """Decisions to the first signature and to the second, of the safe."""
    found = []
    for place, words in enumerate(("first try", "after one fall")):
        took = [c.risen[place] for c in courses if safe(c.policy) and len(c.risen) > place]
        if not took:
            continue
        for quantile in (0.1, 0.5, 0.9):
            low, high = _quantile_interval(took, quantile)
            value = float(np.quantile(took, quantile, method="inverted_cdf"))
            found.append(
                Figure(
                    "safe", f"decisions to rise, {words}, p{quantile * 100:.0f}", value, low, high, len(took)
                )
            )
    return found


def _quantile_interval(values: Sequence[int], quantile: float) -> tuple[float, float]:
    """95 % interval of a quantile from the ranks of a binomial, without assumptions on the values."""
    ordered, n = sorted(values), len(values)
    half = 1.96 * (n * quantile * (1 - quantile)) ** 0.5
    low, high = int(n * quantile - half), int(n * quantile + half) + 1
    return float(ordered[max(0, low)]), float(ordered[min(n - 1, high)])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.autonomy", description=__doc__)
    parser.add_argument("--operators", type=int, default=1000)
    parser.add_argument("--kinds", type=int, default=5, help="kinds of action of each operator")
    parser.add_argument("--decisions", type=int, default=4000, help="proposals of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    figures = measure(options.operators, options.kinds, options.decisions, options.seed)
    if options.json:
        print(json.dumps([figure.as_json() for figure in figures], indent=1))
    else:
        print(table(figures))
        print(f"{options.operators} operators, {options.kinds} kinds each, {options.decisions} proposals a kind, "
              f"seed {options.seed}, {time.monotonic() - began:.0f} s")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
