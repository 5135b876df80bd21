"""How well the events of exam cases are grouped, and whether an alarm that mattered went under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals.playing import Played

Grouping = Callable[[Played], Mapping[str, str]]
"""Event id to the group it is shown under."""
NO_STORY = ("noise", "damaged", "ambient", "herring")
"""Lines of none of a night's faults and harmless stories."""


@dataclass(frozen=True)
class Grouped:
    """Counts over one night or several; `+` adds them."""

    events: int = 0
    """Events of faults and harmless stories in groups above P3."""
    groups: int = 0
    with_most: int = 0
    """Events of the story that most of their group's events belong to."""
    alarms: int = 0
    """P0 and P1 events of real faults."""
    under_another: int = 0
    """Those shown in a group that is mostly another story's."""
    hidden: int = 0
    """Those of faults that have no group of their own: nobody sees them for what they are."""

    def __add__(self, other: Grouped) -> Grouped:
        return Grouped(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def by_incident(played: Played) -> Mapping[str, str]:
    """As the correlator has it."""
    return {event.id: case.incident.id for case in played.cases for event in case.events}


def grouped(played: Played, grouping: Grouping = by_incident) -> Grouped:
    """Counts of one night."""
    members: dict[str, list[str]] = {}
    for event, group in grouping(played).items():
        members.setdefault(group, []).append(event)
    shown = [ids for ids in members.values() if min(played.triages[one].priority for one in ids) < "P3"]
    mains = [_main(played, ids) for ids in shown]
    owned = set(mains)
    counts = Grouped()
    for ids, main in zip(shown, mains, strict=True):
        told = [one for one in ids if played.truth[one].story not in NO_STORY]
        alarms = [one for one in told if _is_alarm(played, one)]
        apart = [one for one in alarms if played.truth[one].story != main]
        counts += Grouped(
            events=len(told), groups=bool(told), with_most=sum(played.truth[one].story == main for one in told),
            alarms=len(alarms), under_another=len(apart),
            hidden=sum(played.truth[one].story not in owned for one in apart),
        )  # fmt: skip
    return counts


def _main(played: Played, ids: Sequence[str]) -> str:
    stories = Counter(played.truth[one].story for one in ids if played.truth[one].story not in NO_STORY)
    return stories.most_common(1)[0][0] if stories else ""


def _is_alarm(played: Played, event: str) -> bool:
    line = played.truth[event]
    return line.priority in ("P0", "P1") and line.cause != "no_fault"
