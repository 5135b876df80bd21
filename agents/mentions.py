"""What a question names: assets of the site and incidents, also as people say or misspell them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from setpoint.contracts.site import Asset, AssetKind, Site

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*")
_INCIDENT = re.compile(r"\bINC-[0-9A-Z]+\b", re.IGNORECASE)
_TICKET = re.compile(r"\b(?:inc|incident|ticket|case)\b[\s#:-]*(?=[0-9a-z]*\d)([0-9a-z]{8})\b", re.IGNORECASE)
KIND_WORDS: dict[str, tuple[AssetKind, ...]] = {
    "rack": ("rack",), "node": ("gpu_node",), "gpu": ("gpu_node",), "gpu node": ("gpu_node",), "host": ("gpu_node", "host"),
    "server": ("gpu_node", "host"), "cdu": ("cdu",), "pdu": ("pdu",), "ups": ("ups",), "chiller": ("chiller",),
    "crah": ("crah",), "pump": ("pump",), "leaf": ("switch",), "spine": ("switch",), "switch": ("switch",),
    "storage": ("storage",), "battery": ("ess", "ups"), "ess": ("ess",), "feed": ("feed",), "ats": ("ats",), "hall": ("hall",),
}  # fmt: skip
"""What people call gear, and the kinds it may be of."""
_KIND_WORD = "|".join(sorted(KIND_WORDS, key=len, reverse=True))
_NUMBERED = re.compile(
    rf"(?<![\w-])({_KIND_WORD})s?\s*(?:no\.?|number|#|-)?\s*(\d{{1,3}})(?![\w.])", re.IGNORECASE
)
_LETTERED = re.compile(r"(?<![\w-])pump\s+([ab])\b", re.IGNORECASE)
_NEAR_ENOUGH = 0.84


def assets_in(question: str, site: Site) -> list[str]:
    """Assets of the site that are named, in the order of the question: by name, by a name misspelt, or as "rack 6"."""
    found = sorted([*_named(question, site), *_numbered(question, site)])
    names = list(dict.fromkeys(name for _, name in found))
    return _with_pumps(question, names, site)


def asset_in(question: str, site: Site) -> str:
    """The first of them; "" where none is."""
    return next(iter(assets_in(question, site)), "")


def incident_in(question: str) -> str:
    """`INC-40AX28VY`, also where it is written `ticket 40ax28vy`; "" where none is named."""
    if match := _INCIDENT.search(question):
        return match[0].upper()
    match = _TICKET.search(question)
    return f"INC-{match[1].upper()}" if match else ""


def kind_in(question: str, site: Site) -> list[str]:
    """Assets of the gear that is named without a number, such as "the spine"."""
    for word in re.findall(rf"(?<![\w-])({_KIND_WORD})(?:es|s)?(?![\w-])", question, re.IGNORECASE):
        known = [asset.name for asset in _of_word(word.lower(), site)]
        if known:
            return known
    return []


def related(name: str, word: str, site: Site) -> list[str]:
    """Assets that people call so beside the one named: what it stands on, what stands on it, the nearest first."""
    kinds = KIND_WORDS.get(word.lower(), ())
    near = (site.find(one) for one in (*site.upstream(name), *site.downstream(name)))
    return [asset.name for asset in near if asset and asset.kind in kinds and _called(asset, word)]


def siblings(name: str, site: Site) -> list[str]:
    """Others that do the same: what carries on in its place, else those of its kind."""
    asset = site.find(name)
    if asset is None:
        return []
    return [*asset.redundant_with] or [one.name for one in site.of_kind(asset.kind) if one.name != asset.name]


def _named(question: str, site: Site) -> Iterator[tuple[int, str]]:
    for found in _WORD.finditer(question):
        word = found[0].rstrip(".:/-")
        asset = site.find(word) or _misspelt(word, site)
        if asset is not None:
            yield found.start(), asset.name


def _misspelt(word: str, site: Site) -> Asset | None:
    """The asset whose name is near and has the same numbers."""
    numbers = re.findall(r"\d+", word)
    if not numbers or not re.search(r"[A-Za-z]{2}", word):
        return None
    alike = [
        asset.name
        for asset in site.assets
        if [int(n) for n in re.findall(r"\d+", asset.name)] == [int(n) for n in numbers]
    ]
    near = difflib.get_close_matches(word.lower(), [name.lower() for name in alike], 1, _NEAR_ENOUGH)
    return site.find(near[0]) if near else None


def _numbered(question: str, site: Site) -> Iterator[tuple[int, str]]:
    for found in _NUMBERED.finditer(question):
        if site.find(found[0]) is None and (name := _by_number(found[1].lower(), int(found[2]), site)):
            yield found.start(), name


def _by_number(word: str, number: int, site: Site) -> str:
    """The asset of that gear whose name ends with the number."""
    ending = ((asset, re.search(r"(\d+)$", asset.name)) for asset in _of_word(word, site))
    return next((asset.name for asset, end in ending if end and int(end[1]) == number), "")


def _of_word(word: str, site: Site) -> Sequence[Asset]:
    return [asset for asset in site.of_kind(*KIND_WORDS[word]) if _called(asset, word)]


def _called(asset: Asset, word: str) -> bool:
    """Leaf and spine are both switches: their names tell them apart."""
    return word.lower() not in ("leaf", "spine") or word.lower() in asset.name.lower()


def _with_pumps(question: str, names: list[str], site: Site) -> list[str]:
    """ "pump B of cdu-1" is the pump that the CDU stands on, not the CDU."""
    match = _LETTERED.search(question)
    if not match or not names or any((a := site.find(name)) and a.kind == "pump" for name in names):
        return names
    pumps = [
        pump for pump in related(names[0], "pump", site) if pump.lower().endswith(f"-{match[1].lower()}")
    ]
    return [*pumps[:1], *names[1:]] if pumps else names
