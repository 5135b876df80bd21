"""Composed nights through Setpoint: `python -m evals.fault_nights --seeds 10 [--site demo] [--json]`.

The plant's fault catalog writes nights that no rule was tuned on: what the ranking makes of each line, and how often
the cause is named, by fault. Truth is the catalog's own reading of the priorities; nobody else has labelled it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from evals.intervals import wilson
from evals.playing import Played, play
from evals.rca_night import analyse
from evals.triage_data import Labelled
from evals.triage_score import Score, score
from plant import load_site
from plant.faults.night import Night, compose
from setpoint.contracts import Priority
from setpoint.contracts.site import Site


@dataclass(frozen=True)
class Fault:
    """One fault of one night, as Setpoint saw it."""

    fault: str
    truth: str
    said: str
    """Cause of the incident that holds most of its lines; "" where nothing above P3 was opened."""
    top3: bool
    incidents: int
    """Incidents above P3 that its lines are spread over."""


@dataclass(frozen=True)
class Report:
    """All nights together."""

    nights: int
    events: int
    ranking: Score
    faults: int
    noticed: int
    """Faults with an incident above P3."""
    right: int
    in_top3: int
    low: float
    high: float
    """95 % Wilson interval of the share whose cause is named first, over all faults that logged something."""
    wrong: tuple[tuple[str, str, str, int], ...]
    """Fault, true cause, what was said, how often."""


def run(site: Site, seeds: Sequence[int], faults: int = 12, hours: float = 8.0) -> Report:
    """Play the nights of these seeds."""
    seen: list[Fault] = []
    gold: list[Labelled] = []
    got: list[Priority] = []
    for seed in seeds:
        night = compose(site, seed, hours=hours, faults=faults)
        played = play(lines=night.events, site=site)
        seen += [one for plan in night.plans if (one := _fault(played, night, plan.story)) is not None]
        for event in played.events:
            expected = cast(Priority, played.truth[event.id].priority)
            gold.append(Labelled(event, expected, frozenset({expected}), event.message))
            got.append(played.triages[event.id].priority)
    return _report(len(seeds), seen, score(gold, got))


def _fault(played: Played, night: Night, story: str) -> Fault | None:
    """None where the fault logged nothing. One that is all P3 by its truth need not be noticed above P3."""
    mine = [event.id for event in played.events if played.truth[event.id].story == story]
    if not mine:
        return None
    truth = played.truth[mine[0]].cause
    quiet = all(played.truth[key].priority == "P3" for key in mine)
    told = {case.incident.id: case for case in played.cases if quiet or case.incident.priority != "P3"}
    held = {key: sum(event.id in mine for event in case.events) for key, case in told.items()}
    held = {key: count for key, count in held.items() if count}
    name = story.split("@")[0]
    if not held:
        return Fault(name, truth, "", False, 0)
    ranked = analyse(told[max(held, key=lambda key: held[key])])
    return Fault(name, truth, ranked[0].cause, truth in [h.cause for h in ranked[:3]], len(held))


def _report(nights: int, seen: Sequence[Fault], ranking: Score) -> Report:
    right = sum(one.said == one.truth for one in seen)
    low, high = wilson(right, len(seen))
    misses: dict[tuple[str, str, str], int] = {}
    for one in seen:
        if one.said != one.truth:
            key = (one.fault, one.truth, one.said or "nothing above P3")
            misses[key] = misses.get(key, 0) + 1
    wrong = tuple((*key, times) for key, times in sorted(misses.items(), key=lambda item: -item[1]))
    return Report(
        nights=nights, events=ranking.texts, ranking=ranking, faults=len(seen), noticed=sum(bool(one.said) for one in seen),
        right=right, in_top3=sum(one.top3 for one in seen), low=low, high=high, wrong=wrong,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score ranking and root causes on composed nights")
    parser.add_argument("--seeds", type=int, default=10, help="how many nights, seeds 1 to N")
    parser.add_argument("--site", default="demo", help="a site file or an included site")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    options = parser.parse_args(argv)
    found = run(load_site(options.site), range(1, options.seeds + 1))
    if options.json:
        print(json.dumps(asdict(found), indent=2))
        return
    r = found.ranking
    print(
        f"{found.nights} nights, {found.events} events: macro-F1 {r.macro_f1:.2f}, P0+P1 precision {r.page_precision:.2f}, recall {r.page_recall:.2f}"
    )
    print(f"{found.faults} faults: {found.noticed} noticed above P3; cause first {found.right} ({found.right / found.faults:.2f}, "
          f"{found.low:.2f} to {found.high:.2f}), among three {found.in_top3}")  # fmt: skip
    for fault, truth, said, times in found.wrong:
        print(f"wrong {times:>3} x  {fault}: said {said}, is {truth}")


if __name__ == "__main__":
    main()
