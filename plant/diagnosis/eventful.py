"""What the events of an incident say for a cause on one asset, by the site's topology."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from plant.diagnosis.observed import Observed, Sign
from plant.site import Site

WEIGHT = {"P0": 4.0, "P1": 3.0, "P2": 2.0, "P3": 0.3}
SELF, CARRIES_ALL, NEIGHBOUR, PEER, CARRIES_SOME, ELSEWHERE = 1.0, 0.9, 0.75, 0.6, 0.5, 0.15
"""Share of a cause's event evidence that an asset gets, by where the events that speak for it were seen from there."""
COVERED, FIRST = 0.8, 0.4
"""Log evidence for carrying all that reported, and for having reported first."""
AT_ONCE_S = 5.0


class Events:
    """The signs of one incident."""

    def __init__(self, site: Site, observed: Observed, scores: Mapping[str, float]) -> None:
        """`scores`: log evidence of the whole event pattern by cause."""
        self._site, self.scores = site, scores
        firing = [sign for sign in observed.signs if sign.firing and site.find(sign.asset)]
        self.signs: list[Sign] = [sign for sign in firing if sign.priority < "P3"] or firing
        self._below: dict[str, frozenset[str]] = {}
        self._covers: dict[str, float] = {}

    @cached_property
    def weight(self) -> dict[str, float]:
        """Of each asset that reported: its most urgent event."""
        found: dict[str, float] = {}
        for sign in self.signs:
            found[sign.asset] = max(found.get(sign.asset, 0.0), WEIGHT.get(sign.priority, 1.0))
        return found

    @cached_property
    def hinted(self) -> dict[str, list[str]]:
        """Assets whose events point at a cause, in order of time."""
        found: dict[str, dict[str, None]] = {}
        for sign in sorted(self.signs, key=lambda sign: sign.at_s):
            for cause in sign.hints:
                found.setdefault(cause, {})[sign.asset] = None
        return {cause: list(assets) for cause, assets in found.items()}

    @cached_property
    def near(self) -> frozenset[str]:
        """Assets that reported, and all above and below them."""
        names = set(self.weight)
        for asset in self.weight:
            names.update(self._site.upstream(asset))
            names |= self.below(asset)
        return frozenset(names)

    @cached_property
    def _first(self) -> frozenset[str]:
        begin_s = min((sign.at_s for sign in self.signs), default=0.0)
        return frozenset(sign.asset for sign in self.signs if sign.at_s <= begin_s + AT_ONCE_S)

    def below(self, asset: str) -> frozenset[str]:
        if asset not in self._below:
            self._below[asset] = frozenset(self._site.downstream(asset))
        return self._below[asset]

    def covers(self, asset: str) -> float:
        """Share of what reported, by weight, that is the asset or stands on it."""
        if asset not in self._covers:
            total = sum(self.weight.values())
            held = sum(w for name, w in self.weight.items() if name == asset or name in self.below(asset))
            self._covers[asset] = held / total if total else 0.0
        return self._covers[asset]

    def evidence(self, cause: str, asset: str) -> float:
        """Log evidence for the cause on this asset. What speaks for a cause is shared out by where it was seen."""
        score = self.scores.get(cause, 0.0)
        if score > 0.0:
            score *= self._share(asset, self.hinted.get(cause) or list(self.weight))
        return score + COVERED * self.covers(asset) + FIRST * (asset in self._first)

    def _share(self, asset: str, seen: list[str]) -> float:
        if asset in seen:
            return SELF
        below = self.below(asset)
        if seen and all(name in below for name in seen):
            return CARRIES_ALL
        found = self._site.find(asset)
        stands = {*(found.on if found else ()), *self._site.standing_on(asset)}
        if stands.intersection(seen):
            return NEIGHBOUR
        if found and set(found.redundant_with).intersection(seen):
            return PEER
        return CARRIES_SOME if below.intersection(seen) else ELSEWHERE
