"""Planned work as the messages announce it: which assets, until when, and what it accounts for."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from agents.announced import announces, ends_work, explains, window_of
from agents.correlation.memory import ANNOUNCED, OF_ONE_ASSET, State, put, touch
from agents.correlation.neighbourhood import Place, spelt_out
from setpoint.contracts import Event
from setpoint.contracts.site import AssetKind, Site

_NAME = re.compile(r"[A-Za-z][\w-]*\w")
_ONLY_OF_ITSELF: frozenset[AssetKind] = frozenset({"gpu_node", "host", "gpu", "bmc"})
"""What users' programs run on: it may announce work on itself, and on nothing that others depend on."""
_MANY = 4
"""An asset that so many others stand on is no asset to lose on purpose."""


class PlannedWork:
    """Keeps what was announced. What it knows stands in the correlator's state."""

    def __init__(self, state: State, site: Site | None) -> None:
        self._state = state
        self._site = site
        self._zone: tzinfo = ZoneInfo(site.timezone) if site else UTC
        self._known = {asset.name.lower() for asset in site.assets} if site else set()

    def hear(self, event: Event, place: Place) -> None:
        """Remember the work that a line announces, or that it is over."""
        if event.status != "firing" or not announces(event.message):
            return
        over, window = ends_work(event.message), window_of(event, self._zone)
        for asset in self._assets(event, place):
            if over:
                self._state.announced.pop(asset, None)
                continue
            kept = touch(self._state.announced, asset) or []
            put(self._state.announced, asset, [*kept, window][-OF_ONE_ASSET:], ANNOUNCED)

    def covering(self, event: Event, place: Place, time_s: float) -> str:
        """The announcement that accounts for the event, in its own words; "" for none. A line does not cover itself."""
        if not self._state.announced or event.status != "firing" or announces(event.message):
            return ""
        carries = place.tier == "shared" or place.downstream >= _MANY
        for asset in dict.fromkeys((place.name.lower(), place.subject)):
            for one in self._state.announced.get(asset, ()):
                if one.begin_s <= time_s <= one.end_s and explains(one, event.message, carries):
                    return one.words
        return ""

    def _assets(self, event: Event, place: Place) -> set[str]:
        """Those the line names, or its own. A machine that users work on speaks for itself alone."""
        own = event.asset.lower()
        if self._kind(event.asset) in _ONLY_OF_ITSELF:
            return {own}
        named = {word.lower() for word in _NAME.findall(spelt_out(event.message))} & self._known
        return named or {own, place.name.lower()} - {"", "unknown"}

    def _kind(self, name: str) -> AssetKind:
        found = self._site.find(name) if self._site else None
        return found.kind if found else "unknown"
