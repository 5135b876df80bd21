"""Which causes are worth a run of the plant: from event signatures, bent readings and topology to about a dozen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from plant.diagnosis.bent import Readings
from plant.diagnosis.estimate import Estimate
from plant.diagnosis.eventful import Events
from plant.diagnosis.footprint import likeness
from plant.diagnosis.mechanisms import Mechanism, load_mechanisms
from plant.diagnosis.observed import Observed
from plant.faults.place import fits
from plant.site import Site

MOST = 14
ASSETS_OF_A_CAUSE, OF_AN_AREA, WAYS = 3, 6, 2
"""At most so many assets of one cause, causes on assets of one area, and ways in which one cause strikes an asset."""
SECOND_WAYS = 4
"""So many of the best are tried in a second way, where there is one."""
RUNS = 40
"""Short runs of the plant for one choice."""
REACH, REPORTED = 3.0, 0.8
"""In the order of the runs: what carrying all bent readings counts, and the share of it for having reported."""
ALIKE = 5
"""Short runs that turn the same knobs, on so many assets at most."""
RATE_WEIGHT = 0.1
HOPELESS, AT_LEAST = 1.0, 6
"""Below this score only the best few are kept: nothing but their place speaks for them."""
LOOKED_AT = 90
"""Assets that are looked at; of a large incident those that carry or report most."""


@dataclass(frozen=True)
class Candidate:
    """A cause on an asset, to be tried."""

    cause: str
    asset: str
    mechanism: Mechanism | None
    """None: it is known from the events only."""
    from_events: float
    """Log evidence of the event pattern for this cause on this asset."""
    metric: str = ""
    """Of a faulty sensor: the reading that is wrong."""


@dataclass(frozen=True)
class _Ranked:
    candidate: Candidate
    score: float

    @property
    def place(self) -> tuple[str, str]:
        return self.candidate.cause, self.candidate.asset


def candidates(
    site: Site, observed: Observed, estimate: Estimate, scores: Mapping[str, float], most: int = MOST
) -> Sequence[Candidate]:
    """Most promising first, at most `most`. `scores` is the symbolic log evidence by cause id (troubleshooter's)."""
    events = Events(site, observed, scores)
    readings = Readings(site, observed, estimate, events.near)
    possible = sorted(_possible(site, events, readings), key=lambda one: -one.score)
    ranked = sorted(_run(possible, events, readings), key=lambda one: -one.score)
    return [one.candidate for one in _chosen(ranked, events, most)]


def _possible(site: Site, events: Events, readings: Readings) -> Iterator[_Ranked]:
    """Every mechanism on every asset that could have to do with it, by what events and unmodelled readings say."""
    for asset in _looked_at(site, events, readings):
        found = site.find(asset)
        for mechanism in _striking(found.kind) if found else ():
            if found is None or not fits(mechanism, found, site):
                continue
            said = events.evidence(mechanism.cause, asset)
            expected, metric = readings.expected(mechanism, asset)
            score = said + expected + RATE_WEIGHT * math.log(mechanism.rate)
            yield _Ranked(Candidate(mechanism.cause, asset, mechanism, said, metric), score)


def _looked_at(site: Site, events: Events, readings: Readings) -> list[str]:
    """Assets that reported or whose readings are bent; what carries them, stands on them or backs them up."""
    own = {**readings.bent_assets, **events.weight}
    weight = dict(own)
    for asset, amount in own.items():
        found = site.find(asset)
        for name in site.upstream(asset):
            weight[name] = weight.get(name, 0.0) + amount / 4
        for name in (*site.standing_on(asset), *(found.redundant_with if found else ())):
            weight[name] = weight.get(name, 0.0) + amount / 8
    return sorted(weight, key=lambda name: -weight[name])[:LOOKED_AT]


@cache
def _striking(kind: str) -> tuple[Mechanism, ...]:
    return tuple(mechanism for mechanism in load_mechanisms().values() if kind in mechanism.strikes)


def _run(possible: Sequence[_Ranked], events: Events, readings: Readings) -> Iterator[_Ranked]:
    """The most promising ones with what a short run of the plant says; the others as they stand."""
    prints, alike = readings.footprints, Counter[object]()
    for one in sorted(possible, key=lambda one: -_urgency(one, events, readings)):
        mechanism, asset = one.candidate.mechanism, one.candidate.asset
        if mechanism is None or not mechanism.moves:
            yield one
            continue
        kind = likeness(mechanism)
        if not prints.known(mechanism, asset):
            if prints.runs > RUNS or alike[kind] >= ALIKE:
                yield one
                continue
            alike[kind] += 1
        yield _Ranked(one.candidate, one.score + readings.match(mechanism, asset))


def _urgency(one: _Ranked, events: Events, readings: Readings) -> float:
    asset = one.candidate.asset
    reach = max(readings.reach(asset), REPORTED if asset in events.weight else 0.0)
    return one.score + REACH * reach + readings.bent_assets.get(asset, 0.0) / 4


def _chosen(ranked: Sequence[_Ranked], events: Events, most: int) -> list[_Ranked]:
    """Best first within the limits; what the events name comes in whatever its area holds already."""
    best = _best_ways(ranked)
    taken: list[_Ranked] = []
    for one in (*_named(best, events), *best[:SECOND_WAYS], *_other_ways(ranked, best), *best):
        if len(taken) < most and one not in taken and _admitted(one, taken):
            taken.append(one)
    return sorted(taken, key=lambda one: -one.score)


def _best_ways(ranked: Sequence[_Ranked]) -> list[_Ranked]:
    """Of each cause on each asset the most promising way."""
    found: dict[tuple[str, str], _Ranked] = {}
    for one in ranked:
        found.setdefault(one.place, one)
    return list(found.values())


def _other_ways(ranked: Sequence[_Ranked], best: Sequence[_Ranked]) -> list[_Ranked]:
    """A second way of the most promising causes: the short run may have favoured the wrong one."""
    first = {one.place: one for one in best[:SECOND_WAYS]}
    return [one for one in ranked if one.place in first and one is not first[one.place]]


def _named(ranked: Sequence[_Ranked], events: Events) -> list[_Ranked]:
    """The best asset of the causes that the events name most clearly, and of those that the first event hints at."""
    causes = [
        cause for cause, score in sorted(events.scores.items(), key=lambda item: -item[1]) if score > 0.0
    ]
    best: dict[str, _Ranked] = {}
    for one in ranked:
        best.setdefault(one.candidate.cause, one)
    return [best[cause] for cause in causes if cause in best][:4]


def _admitted(one: _Ranked, taken: Sequence[_Ranked]) -> bool:
    places = {other.place for other in taken}
    if one.place in places:
        return sum(other.place == one.place for other in taken) < WAYS
    if one.score < HOPELESS and len(taken) >= AT_LEAST:
        return False
    area = one.candidate.mechanism.area if one.candidate.mechanism else ""
    of_area = {p.place for p in taken if p.candidate.mechanism and p.candidate.mechanism.area == area}
    of_cause = sum(cause == one.candidate.cause for cause, _ in places)
    return of_cause < ASSETS_OF_A_CAUSE and len(of_area) < OF_AN_AREA
