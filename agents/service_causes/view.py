"""One conclusion before it is put into words: which cause stands first, what hangs under it, what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping

from agents.service_causes import chain, wording
from agents.service_causes.changes import Movement
from agents.service_causes.findings import Role
from agents.service_causes.signs import Placed
from agents.service_causes.weigh import Piece, Seen, Weighed


class View:
    """`best` is the answer; `top` what was weighed for it, None for "no fault" and "unknown"."""

    def __init__(
        self, seen: Seen, weighed: Mapping[str, Weighed], shares: Mapping[str, float], best: str
    ) -> None:
        self.seen, self.weighed, self.shares, self.best = seen, weighed, shares, best
        self.top = weighed.get(best)
        self.second = chain.second_cause(self.top, weighed, seen) if self.top else None
        self.how = wording.certainty(shares[best], best)
        self.effects = self._effects()

    def _effects(self) -> set[str]:
        """Modes that hang under the first cause."""
        found: set[str] = set()
        grown = {self.best}
        while grown - found:
            found |= grown
            grown = {m for m, one in self.weighed.items() if one.effect_of in found}
        return found - {self.best}

    def shown_as(self, moved: Movement) -> Role:
        """What a movement is under the first cause."""
        if self.top is None:
            return "symptom"
        modes = [
            self.top.mode,
            *(self.weighed[m].mode for m in self.effects),
            *((self.second.mode,) if self.second else ()),
        ]
        if any(event.split(".")[0] == moved.quantity.id for event in self.top.mode.moves):
            return "cause"
        if any(
            moved.quantity.id in mode.shows or f"{moved.quantity.id}.{moved.quantity.bad}" in mode.moves
            for mode in modes
        ):
            return "symptom"
        return "symptom" if moved.quantity.role in ("other", "load", "output", "limit") else "unrelated"


def from_alert(piece: Piece) -> bool:
    """Whether only the alert says it."""
    return isinstance(piece.source, Placed) and piece.source.said.alert
