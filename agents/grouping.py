"""Which other incidents one cause explains, so that they stand under it: forty alarms become one trouble.

The caution is one-sided: an incident that stands alone costs a look, one that is wrongly put under another may be
missed. So everything serious in it must lie on the cause's path, and nothing better may be known about it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agents.evidence import Case, priority_in
from agents.troubleshooter import LIKELY
from knowledge.causes import NO_FAULT, UNKNOWN, Cause
from setpoint.contracts import Diagnosis, Event
from setpoint.contracts.diagnosis import CausalPath, Verdict
from setpoint.contracts.site import Asset
from tools.causal import names_an_effect, path_over

LIVE = ("open", "acknowledged")
_OPEN = frozenset({NO_FAULT, UNKNOWN})


@dataclass(frozen=True)
class Grouping:
    """What one diagnosis explains."""

    root: str
    """Id of the incident that stands for the cause."""
    cause: str
    path: CausalPath
    incidents: tuple[str, ...]
    """Ids of the others, in the order opened."""


def regroup(
    cases: Sequence[Case],
    diagnoses: Mapping[str, Diagnosis],
    causes: Mapping[str, Cause],
    apart: Collection[str] = (),
) -> list[Grouping]:
    """All open incidents sorted under those whose cause explains them; an incident stands under one at most.

    Those in `apart` go under none. Incidents that hold an event on the struck asset come first, then those that began earlier.
    """
    live = [case for case in cases if case.incident.state in LIVE]
    roots = [case for case in live if verdict_of(diagnoses.get(case.incident.id), case) is not None]
    taken: set[str] = set()
    found: list[Grouping] = []
    for case in sorted(roots, key=lambda one: _precedence(one, diagnoses[one.incident.id])):
        if case.incident.id in taken:
            continue
        fixed = {*taken, *apart, *(one.root for one in found)}
        free = [other for other in live if other.incident.id not in fixed]
        made = grouping(case, diagnoses, free, causes)
        if made is not None and made.incidents:
            taken |= {*made.incidents}
            found.append(made)
    return found


def _precedence(case: Case, diagnosis: Diagnosis) -> tuple[bool, bool, float, str]:
    verdict = verdict_of(diagnosis, case)
    struck = case.site.find(verdict.asset) if verdict else None
    return (
        not _holds(case, struck),
        diagnosis.top.tested is None,
        case.incident.opened.timestamp(),
        case.incident.id,
    )


def _holds(case: Case, asset: Asset | None) -> bool:
    """It has an event on that asset: it does not go under one that has none there."""
    return asset is not None and any(case.site.find(event.asset) == asset for event in _serious(case))


def grouping(
    root: Case, diagnoses: Mapping[str, Diagnosis], others: Sequence[Case], causes: Mapping[str, Cause]
) -> Grouping | None:
    """What the cause of one incident explains of the others; None where no likely cause is known of it."""
    verdict = verdict_of(diagnoses.get(root.incident.id), root)
    if verdict is None:
        return None
    struck = root.site.find(verdict.asset)
    holds = _holds(root, struck)
    apart = [
        other
        for other in others
        if other.incident.id != root.incident.id and (holds or not _holds(other, struck))
    ]
    events = [event for case in (root, *apart) for event in case.events]
    triages = {key: triage for case in (root, *apart) for key, triage in case.triages.items()}
    path = path_over(root.site, verdict, events, triages)
    return Grouping(root.incident.id, verdict.cause, path, tuple(explained(path, apart, diagnoses, causes)))


def verdict_of(diagnosis: Diagnosis | None, case: Case) -> Verdict | None:
    """The first cause with its place: as tried on the plant model, else where the events that name it began.

    None where the first cause is not likely, or none is named.
    """
    if diagnosis is None or diagnosis.top.score < LIKELY or diagnosis.top.cause in _OPEN:
        return None
    top = diagnosis.top
    if top.tested is not None and top.tested.asset:
        return top.tested
    naming = [event for event in _serious(case) if top.cause in _hints(event, case)]
    source = min(naming or _serious(case), key=lambda event: event.time, default=None)
    if source is None:
        return None
    onset = diagnosis.path.onset if diagnosis.path and diagnosis.path.onset else source.time
    share = top.score
    return Verdict(cause=top.cause, asset=source.asset, share=share, low=share, high=share, onset=onset)


def explained(
    path: CausalPath, others: Sequence[Case], diagnoses: Mapping[str, Diagnosis], causes: Mapping[str, Cause]
) -> list[str]:
    """Ids of the open incidents that the path explains whole, in the order opened.

    One of which no rule knows any event stays alone: that it lies on the path says too little.
    """
    known = {*path.explained}
    area = causes[path.cause].area if path.cause in causes else ""
    return [
        case.incident.id
        for case in sorted(others, key=lambda one: (one.incident.opened, one.incident.id))
        if (serious := _serious(case))
        and all(event.id in known for event in serious)
        and any(_hints(event, case) for event in serious)
        and not _better_explained(case, diagnoses.get(case.incident.id), path)
        and not (case.incident.priority == "P0" and area not in set(_areas(case, causes)))
    ]


def _better_explained(case: Case, diagnosis: Diagnosis | None, path: CausalPath) -> bool:
    """Another answer is likely by its own analysis.

    Where that was a trial on the plant model, "none of these" and "no fault" are answers too, unless the rules name
    the path's very cause for all of it. A cause that only names
    what is seen (a hot GPU) is none, unless the trial ran it.
    """
    if diagnosis is None or diagnosis.top.score < LIKELY or diagnosis.top.cause == path.cause:
        return False
    top = diagnosis.top
    if top.cause in _OPEN:
        named = all(path.cause in _hints(event, case) for event in _serious(case))
        return top.tested is not None and not named
    if top.tested is not None and top.tested.tried:
        return True
    return not any(names_an_effect(case.site, path, top.cause, event) for event in _serious(case))


def _areas(case: Case, causes: Mapping[str, Cause]) -> Iterator[str]:
    """Of the causes that the rules name for its most urgent events."""
    serious = _serious(case)
    worst = min((priority_in(case, event) for event in serious), default="P3")
    for event in serious:
        if priority_in(case, event) == worst:
            yield from (causes[hint].area for hint in _hints(event, case) if hint in causes)


def _serious(case: Case) -> list[Event]:
    """Firing events above P3."""
    return [event for event in case.events if event.status == "firing" and priority_in(case, event) < "P3"]


def _hints(event: Event, case: Case) -> tuple[str, ...]:
    triage = case.triages.get(event.id)
    return triage.cause_hints if triage else ()
