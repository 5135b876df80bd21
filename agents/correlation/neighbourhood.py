"""What stands near an asset: from the site file, else from what its name says."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from setpoint.contracts.site import AssetKind, Change, MaintenanceWindow, Site

_CRAY = re.compile(r"(?P<cabinet>c\d+-\d+)(?P<cage>c\d+)(?P<slot>s\d+)n\d+")
_RACKED = re.compile(r"(?P<rack>(?:rack|r|cab|cabinet)[-_]?\d+)[-_.]?(?:node|n|u|s|slot|host|h)[-_]?\d+.*")
_MEASURING: frozenset[AssetKind] = frozenset({"sensor", "leak_sensor"})
_REPORTERS: frozenset[AssetKind] = frozenset({"service"})
"""Assets that report on machines: a scheduler's "node gpu-08 does not respond" is about the node."""
_MACHINES: frozenset[AssetKind] = frozenset({"gpu_node", "host"})
_NAME = re.compile(r"[a-z][a-z0-9_-]*\d[a-z0-9_.-]*[a-z0-9]|[a-z][a-z0-9_-]*\d")
_RANGES = re.compile(r"(?P<stem>[A-Za-z][A-Za-z0-9_-]*)\[(?P<first>\d{1,5})-(?P<last>\d{1,5})\]")
"""Host lists as schedulers write them: gpu-[17-24]."""
_FABRIC: frozenset[AssetKind] = frozenset({"switch", "link"})
_MACHINES_COMPARED = 64
_LIMIT = 200_000
"""Assets whose surroundings are kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """One asset's surroundings. Names are lower case."""

    name: str
    """The event's asset, in the site file's spelling where it is known."""
    subject: str
    """What trouble there is about: the node of a GPU, what a sensor measures. "" for an unknown asset."""
    kind: AssetKind
    tier: str
    """"" where the site does not know the asset."""
    downstream: int
    upstream: tuple[tuple[str, AssetKind], ...]
    """What the subject stands on, nearest first."""
    changes: tuple[Change, ...] = ()
    """Changes that touched the asset."""
    windows: tuple[MaintenanceWindow, ...] = ()
    """Maintenance windows for the asset."""
    named: tuple[tuple[str, AssetKind], ...] = ()
    """What else the message is about, though the asset does not stand on it: the switch at a link's other end, and
    what all machines stand on that one line names."""


class Neighbourhood:
    """Looks assets up in the site once and remembers them, in bounded memory."""

    def __init__(self, site: Site | None) -> None:
        self._site = site
        self._places: OrderedDict[str, Place] = OrderedDict()
        assets = site.assets if site else ()
        self._machines = {one.name.lower(): one.name for one in assets if one.kind in _MACHINES}
        """Names of nodes and hosts in lower case, and as the site file writes them."""
        self._fabric = {one.name.lower(): one for one in assets if one.kind in _FABRIC}

    def of(self, asset: str) -> Place:
        """The surroundings of an asset; of an unknown one what its name gives away."""
        place = self._places.get(asset)
        if place is None:
            place = self._places[asset] = self._look_up(asset)
            if len(self._places) > _LIMIT:
                self._places.popitem(last=False)
        return place

    def meant(self, asset: str, message: str) -> Place:
        """What the message is about: of a shared service that names exactly one machine, that machine; of a switch that
        names exactly one link, that link."""
        place = self.of(asset)
        if place.kind == "switch":
            return self._at_switch(place, message)
        if place.kind not in _REPORTERS or not self._machines:
            return place
        words = _NAME.findall(spelt_out(message.lower()))
        named = list(dict.fromkeys(self._machines[word] for word in words if word in self._machines))
        if len(named) == 1:
            return self.of(named[0])
        return replace(place, named=self._common(named)) if named else place

    def _at_switch(self, place: Place, message: str) -> Place:
        words = dict.fromkeys(_NAME.findall(message.lower()))
        others = [self._fabric[word] for word in words if word in self._fabric and word != place.name.lower()]
        links = [one for one in others if one.kind == "link"]
        if len(links) == 1 and len(others) == 1:
            return self.of(links[0].name)
        return (
            replace(place, named=tuple((one.name.lower(), one.kind) for one in others)) if others else place
        )

    def _common(self, machines: list[str]) -> tuple[tuple[str, AssetKind], ...]:
        """What all of them stand on, nearest first."""
        below = [set(self.of(name).upstream) for name in machines[1:_MACHINES_COMPARED]]
        return tuple(one for one in self.of(machines[0]).upstream if all(one in others for others in below))

    def _look_up(self, asset: str) -> Place:
        known = self._site.find(asset) if self._site else None
        if known is None or self._site is None:
            return _from_name(asset)
        subject = known
        if known.kind in _MEASURING and known.on:
            subject = self._site.find(known.on[0]) or known
        upstream = tuple((name.lower(), self._kind(name)) for name in self._site.upstream(subject.name))
        below = len(self._site.downstream(known.name))
        return Place(
            known.name,
            subject.name.lower(),
            known.kind,
            known.tier,
            below,
            upstream,
            tuple(change for change in self._site.changes if fnmatchcase(known.name, change.assets)),
            tuple(window for window in self._site.maintenance if fnmatchcase(known.name, window.assets)),
        )

    def _kind(self, name: str) -> AssetKind:
        asset = self._site.find(name) if self._site else None
        return asset.kind if asset else "unknown"


def spelt_out(text: str) -> str:
    """Host lists with each name written out, up to as many as are compared.

    >>> spelt_out("lost: gpu-[08-10]")
    'lost: gpu-08 gpu-09 gpu-10'
    """

    def names(match: re.Match[str]) -> str:
        first, last = int(match["first"]), int(match["last"])
        numbers = range(first, min(last, first + _MACHINES_COMPARED) + 1)
        return " ".join(f"{match['stem']}{number:0{len(match['first'])}d}" for number in numbers)

    return _RANGES.sub(names, text) if "[" in text else text


def _from_name(asset: str) -> Place:
    """An asset the site does not describe. Its rack counts as what it stands on where the name shows it."""
    name = asset.lower()
    if name in ("", "unknown"):
        return Place(asset, "", "unknown", "", 0, ())
    return Place(
        asset, name.split("/")[0], "unknown", "", 0, tuple((rack, "rack") for rack in racks_in_name(name))
    )


def racks_in_name(name: str) -> tuple[str, ...]:
    """The enclosures a host's name gives away, nearest first.

    >>> racks_in_name("c21-5c0s7n2"), racks_in_name("rack07-node12"), racks_in_name("db-primary")
    (('c21-5c0s7', 'c21-5c0', 'c21-5'), ('rack07',), ())
    """
    if match := _CRAY.match(name):
        cabinet, cage, slot = match["cabinet"], match["cage"], match["slot"]
        return cabinet + cage + slot, cabinet + cage, cabinet
    if match := _RACKED.fullmatch(name):
        return (match["rack"],)
    return ()
