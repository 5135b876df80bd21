"""What a turn is about, in names of the site: also where its author says it in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.talk.world import World
from setpoint.contracts import Incident

_ID = re.compile(r"\bINC-[0-9A-Z]+\b")
_TURN = re.compile(r"\bturn (\d+)\b")
_RELATED = re.compile(
    r"\bthe (rack|pdu|cdu|ups|chiller|leaf|switch|node|pump)s? (?:of|behind|under|above|on) (\S+)"
)
_KINDS = {"leaf": "switch", "node": "gpu_node"}
_RANKS = (
    (r"\bsecond\b", 1),
    (r"\bthird\b", 2),
    (r"\b(most urgent|worst|top|first)\b", 0),
    (r"\b(last|least urgent)\b", -1),
)


@dataclass(frozen=True)
class Subject:
    """What is meant. Nothing named: the whole site, or words that could not be resolved (`known` is False then)."""

    assets: tuple[str, ...] = ()
    """All of them are meant."""
    any_of: tuple[str, ...] = ()
    """One of them is meant, such as one asset of an incident."""
    incident: str = ""
    known: bool = True


Past = Sequence[tuple[Subject, Sequence[Mapping[str, Any]]]]
"""Of each turn before: what was meant, and the incidents its answer listed."""


def subject(about: str, world: World, past: Past = ()) -> Subject:
    """Of an author's `about`."""
    if not about:
        return Subject()
    if match := _ID.search(about):
        return Subject(incident=match[0])
    if related := _RELATED.search(about):
        found = _around(related[1], related[2].strip(".,"), world)
        return Subject(any_of=found, known=bool(found))
    if re.search(r"\bincidents?\b", about):
        incident = _incident(about, world, past)
        if incident is None:
            return Subject(known=False)
        asset = re.search(r"\b(asset|rack|node|cdu|gear) of\b", about)
        return Subject(any_of=tuple(incident.assets)) if asset else Subject(incident=incident.id)
    assets = _assets(about, world)
    return Subject(assets=assets, known=bool(assets))


def _assets(about: str, world: World) -> tuple[str, ...]:
    words = (word.strip(".,") for word in about.split())
    return tuple(dict.fromkeys(asset.name for word in words if (asset := world.site.find(word))))


def _around(kind: str, name: str, world: World) -> tuple[str, ...]:
    """What of that kind it stands on, or what stands on it."""
    near = (*world.site.upstream(name), *world.site.downstream(name))
    wanted = _KINDS.get(kind, kind)
    return tuple(one for one in near if (asset := world.site.find(one)) and asset.kind == wanted)


def _incident(about: str, world: World, past: Past) -> Incident | None:
    if match := _TURN.search(about):
        number = int(match[1]) - 1
        meant, listed = past[number] if number < len(past) else (Subject(known=False), ())
        if meant.incident:
            return _of_id(meant.incident, world)
        found = [one for item in listed if (one := _of_id(str(item.get("id")), world))]
        return _ranked(about, found)
    named = _assets(about, world)
    found = [one for one in world.incidents if not named or set(named) & set(one.assets)]
    return _ranked(about, found)


def _of_id(id: str, world: World) -> Incident | None:
    return next((one for one in world.incidents if one.id == id), None)


def _ranked(about: str, found: Sequence[Incident]) -> Incident | None:
    """The one of that rank among them, in their order."""
    if re.search(r"\bold(est|er)\b", about):
        return min(found, key=lambda one: one.opened, default=None)
    if re.search(r"\b(newest|latest|newer|youngest)\b", about):
        return max(found, key=lambda one: one.opened, default=None)
    place = next((place for words, place in _RANKS if re.search(words, about)), 0)
    return found[place] if -len(found) <= place < len(found) else None
