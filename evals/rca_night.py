"""How often the troubleshooter names the true cause: `python -m evals.rca_night --seeds 20 [--json]`.

Generated nights are played through intake, correlation and ranking; every incident above P3 that belongs to a story
is analysed in mode facts, without a model. A story told in several incidents counts by the one that holds most of it;
the others are counted apart. Figures are by story, with Wilson intervals.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from agents.evidence import Case, gather
from agents.troubleshooter import rank_causes
from evals.intervals import wilson
from evals.playing import Played, play
from knowledge.causes import load_causes
from plant.nights import STORIES
from setpoint.contracts import Hypothesis


@dataclass(frozen=True)
class Judged:
    """One analysed incident against the truth."""

    seed: int
    story: str
    truth: str
    incident: str
    main: bool
    """The incident that holds most of its story's events."""
    ranked: tuple[Hypothesis, ...]

    @property
    def right(self) -> bool:
        return self.ranked[0].cause == self.truth

    @property
    def place(self) -> int:
        """Place of the true cause, from 1; 0 where it is not among those shown."""
        return next((n for n, h in enumerate(self.ranked, 1) if h.cause == self.truth), 0)


def judge(seed: int) -> list[Judged]:
    """Every incident above P3 of one night that belongs to a story."""
    played = play(seed)
    told = [case for case in played.cases if case.incident.priority != "P3" and played.story(case) != "noise"]
    mains = {
        _main(played, [case for case in told if played.story(case) == story])
        for story in map(played.story, told)
    }
    return [
        Judged(
            seed=seed,
            story=played.story(case),
            truth=played.cause(case),
            incident=f"{case.incident.priority} {case.incident.title}",
            main=case.incident.id in mains,
            ranked=tuple(analyse(case)),
        )
        for case in told
    ]


def analyse(case: Case) -> list[Hypothesis]:
    """Evidence and causes, as mode facts has them."""
    evidence, of_event = gather(case)
    return rank_causes(case, load_causes(), of_event, evidence)


@dataclass(frozen=True)
class Row:
    """Figures of some incidents."""

    incidents: int
    top1: float
    low: float
    high: float
    """Wilson's 95 % interval of `top1`."""
    top3: float


@dataclass(frozen=True)
class Miss:
    """One kind of wrong answer."""

    story: str
    truth: str
    said: str
    incident: str
    times: int


@dataclass(frozen=True)
class Report:
    """Main incidents by story and together, the others, and what was wrong."""

    stories: dict[str, Row]
    whole: Row
    others: Row
    misses: tuple[Miss, ...]


def report(judged: Sequence[Judged]) -> Report:
    """By story and in all."""
    mains = [one for one in judged if one.main]
    told = {one.story for one in mains}
    wrong = Counter(
        (one.story, one.truth, one.ranked[0].cause, one.incident) for one in judged if not one.right
    )
    return Report(
        stories={
            s.name: _row([one for one in mains if one.story == s.name]) for s in STORIES if s.name in told
        },
        whole=_row(mains),
        others=_row([one for one in judged if not one.main]),
        misses=tuple(Miss(*key, times) for key, times in wrong.most_common()),
    )


def _main(played: Played, cases: Sequence[Case]) -> str:
    story = played.story(cases[0])
    return max(
        cases, key=lambda case: sum(played.truth[event.id].story == story for event in case.events)
    ).incident.id


def _row(judged: Sequence[Judged]) -> Row:
    right, total = sum(one.right for one in judged), len(judged)
    near = sum(1 <= one.place <= 3 for one in judged)
    low, high = wilson(right, total)
    return Row(total, right / max(total, 1), low, high, near / max(total, 1))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score root causes on generated nights")
    parser.add_argument("--seeds", type=int, default=20, help="how many nights, seeds 1 to N")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    options = parser.parse_args(argv)
    judged = [one for seed in range(1, options.seeds + 1) for one in judge(seed)]
    found = report(judged)
    if options.json:
        print(json.dumps(asdict(found), indent=2))
        return
    print(table(found))


def table(found: Report) -> str:
    """The report as a person reads it."""
    lines = [f"{'story':<18} {'incidents':>9} {'top-1':>6} {'95 % interval':>15} {'top-3':>6}"]
    for name, row in {**found.stories, "all": found.whole, "other incidents": found.others}.items():
        between = f"{row.low:.2f} to {row.high:.2f}"
        lines.append(f"{name:<18} {row.incidents:>9} {row.top1:>6.2f} {between:>15} {row.top3:>6.2f}")
    for miss in found.misses:
        what = f"{miss.story}: said {miss.said}, is {miss.truth} ({miss.incident})"
        lines.append(f"wrong {miss.times:>3} x  {what}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
