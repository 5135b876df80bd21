"""How often the true cause is among the few that are tried: `python -m evals.candidates --nights 60 [--site demo]`.

Nights with one fault each are composed and played; the incident that holds most of the fault's lines is looked at
`--after` minutes after its first event of note, from the night's readings and the symbolic scores. A night whose fault
opened no incident above P3 is counted apart: nothing would ask for its cause. With `--blind` the events say only when
and where: neither scores nor hints reach the choice, as with a fault whose lines no signature knows.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from agents.evidence import Case, gather
from agents.troubleshooter import weigh_causes
from evals.intervals import wilson
from evals.playing import Played, play
from knowledge.causes import load_causes
from plant import load_site
from plant.diagnosis.candidates import candidates
from plant.diagnosis.estimate import estimate
from plant.diagnosis.observed import Observed
from plant.diagnosis.onset import first_bent_s, first_sign_s
from plant.diagnosis.trial import LEAD_S, LEAST_QUIET_S
from plant.faults.catalog import load_catalog
from plant.faults.night import Night, compose
from plant.faults.place import fitting
from plant.site import Site
from tools.diagnosis import first_of_note, observe
from tools.windows import Gridded

HOURS = 4.0


@dataclass(frozen=True)
class Looked:
    """One night's incident."""

    fault: str
    cause: str
    asset: str
    found: tuple[tuple[str, str], ...]
    """(cause, asset), most promising first."""
    seconds: float

    @property
    def hit(self) -> bool:
        return (self.cause, self.asset) in self.found

    @property
    def cause_hit(self) -> bool:
        return any(cause == self.cause for cause, _ in self.found)


def look(site: Site, seed: int, fault: str, after_min: float, blind: bool = False) -> Looked | None:
    """One night with this fault; None where no incident above P3 came of it, or the fault found no place."""
    night = compose(site, seed, hours=HOURS, faults=[fault])
    if not night.plans:
        return None
    played = play(lines=night.events, site=site)
    case = _main_case(played, night.plans[0].story)
    return None if case is None else _tried(site, night, case, after_min, blind)


def _main_case(played: Played, story: str) -> Case | None:
    held = {
        case.incident.id: (sum(played.truth[event.id].story == story for event in case.events), case)
        for case in played.cases if case.incident.priority != "P3"
    }  # fmt: skip
    count, case = max(held.values(), key=lambda pair: pair[0], default=(0, None))
    return case if count else None


def _tried(site: Site, night: Night, case: Case, after_min: float, blind: bool) -> Looked | None:
    plan = night.plans[0]
    first = first_of_note(case.events, case.triages)
    if first is None:
        return None
    as_of = min(first + timedelta(minutes=after_min), night.start + timedelta(hours=night.hours))
    events = tuple(event for event in case.events if event.time <= as_of)
    seen = Case(case.incident, events, case.triages, site)
    evidence, of_event = gather(seen)
    scores = {found.cause.id: found.score for found in weigh_causes(seen, load_causes(), of_event, evidence)}
    history = Gridded(night.start, night.telemetry.times_s, night.telemetry.series)
    observed = observe(site, history, events, case.triages, as_of)
    if observed is None:
        return None
    if blind:
        observed = replace(observed, signs=tuple(replace(sign, hints=()) for sign in observed.signs))
        scores = {}
    state = estimate(site, observed, _state_at_s(site, observed))
    began = time.process_time()
    found = candidates(site, observed, state, scores)
    return Looked(
        plan.fault.id,
        plan.fault.cause,
        plan.asset,
        tuple((c.cause, c.asset) for c in found),
        time.process_time() - began,
    )


def _state_at_s(site: Site, observed: Observed) -> float:
    """As try_causes takes it."""
    first_s = first_sign_s(observed)
    begin_s = min(first_s, first_bent_s(site, observed, first_s)) - LEAD_S
    return max(min(LEAST_QUIET_S, float(observed.times_s[-1]) / 2), begin_s)


def run(
    site: Site, nights: int, after_min: float, first_seed: int = 1, blind: bool = False
) -> tuple[list[Looked], int]:
    """So many nights, fault after fault in a shuffled order; and how many had nothing to look at."""
    faults = [fault.id for fault in load_catalog().values() if fitting(fault, site)]
    random.Random(f"{site.name}-{first_seed}").shuffle(faults)
    looked = [look(site, first_seed + n, faults[n % len(faults)], after_min, blind) for n in range(nights)]
    return [one for one in looked if one is not None], sum(one is None for one in looked)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score which causes are chosen to be tried")
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--site", default="demo", help="a site file or an included site")
    parser.add_argument("--after", type=float, default=15.0, help="minutes after the first event of note")
    parser.add_argument("--seed", type=int, default=1, help="of the first night")
    parser.add_argument("--blind", action="store_true", help="without scores and hints of the events")
    options = parser.parse_args(argv)
    looked, nothing = run(load_site(options.site), options.nights, options.after, options.seed, options.blind)
    hits = sum(one.hit for one in looked)
    low, high = wilson(hits, len(looked))
    seconds = sorted(one.seconds for one in looked)
    print(f"{len(looked)} incidents ({nothing} nights without one): cause and asset among the candidates {hits} "
          f"({hits / max(1, len(looked)):.2f}, {low:.2f} to {high:.2f}), cause alone {sum(o.cause_hit for o in looked)}")  # fmt: skip
    if seconds:
        print(f"CPU time a call: median {seconds[len(seconds) // 2]:.3f} s, greatest {seconds[-1]:.3f} s; "
              f"candidates on average {sum(len(one.found) for one in looked) / len(looked):.1f}")  # fmt: skip
    for one in looked:
        if not one.hit:
            print(
                f"missed {one.fault} ({one.cause} at {one.asset}): {', '.join(f'{c}@{a}' for c, a in one.found)}"
            )


if __name__ == "__main__":
    main()
