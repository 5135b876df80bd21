"""How often the troubleshooter names the true cause: `python -m evals.rca_night --seeds 20 [--json] [--show]`.

Generated nights are played through intake, correlation and ranking; every incident above P3 that belongs to a story
is analysed in mode facts, without a model. A story told in several incidents counts by the one that holds most of it;
the others are counted apart. Figures are by story, with Wilson intervals.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

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
    mains = {_main(played, [case for case in told if played.story(case) == story]) for story in map(played.story, told)}
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


def report(judged: Sequence[Judged]) -> dict[str, object]:
    """By story and in all: top-1 and top-3 of the main incidents, and top-1 of the others."""
    mains = [one for one in judged if one.main]
    others = [one for one in judged if not one.main]
    rows = {
        story.name: _row([one for one in mains if one.story == story.name])
        for story in STORIES
        if any(one.story == story.name for one in mains)
    }
    wrong = Counter((one.story, one.truth, one.ranked[0].cause, one.incident) for one in judged if not one.right)
    return {
        "stories": rows,
        "all": _row(mains),
        "other incidents": _row(others),
        "wrong": [
            {"story": story, "truth": truth, "said": said, "incident": incident, "times": times}
            for (story, truth, said, incident), times in wrong.most_common()
        ],
    }


def _main(played: Played, cases: Sequence[Case]) -> str:
    story = played.story(cases[0])
    return max(cases, key=lambda case: sum(played.truth[event.id].story == story for event in case.events)).incident.id


def _row(judged: Sequence[Judged]) -> dict[str, float | int | list[float]]:
    right = sum(one.right for one in judged)
    low, high = wilson(right, len(judged))
    return {
        "incidents": len(judged),
        "top1": right / len(judged) if judged else 0.0,
        "interval": [low, high],
        "top3": sum(1 <= one.place <= 3 for one in judged) / len(judged) if judged else 0.0,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score root causes on generated nights")
    parser.add_argument("--seeds", type=int, default=20, help="how many nights, seeds 1 to N")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    options = parser.parse_args(argv)
    judged = [one for seed in range(1, options.seeds + 1) for one in judge(seed)]
    found = report(judged)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    rows: dict[str, dict[str, object]] = {**found["stories"], "all": found["all"], "others": found["other incidents"]}  # type: ignore[dict-item]
    print(f"{'story':<18} {'incidents':>9} {'top-1':>6} {'95 % interval':>15} {'top-3':>6}")
    for name, row in rows.items():
        low, high = row["interval"]  # type: ignore[misc]
        print(f"{name:<18} {row['incidents']:>9} {row['top1']:>6.2f} {f'{low:.2f} to {high:.2f}':>15} {row['top3']:>6.2f}")
    for wrong in found["wrong"]:  # type: ignore[attr-defined]
        print(f"wrong {wrong['times']:>3} x  {wrong['story']}: said {wrong['said']}, is {wrong['truth']} ({wrong['incident']})")


if __name__ == "__main__":
    main()
