"""Which nodes a gang gets: close together, on healthy nodes, within power and cooling budgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One node as the scheduler sees it."""

    name: str
    rack: str = ""
    leaf: str = ""
    """The switch it hangs on; racks of one leaf are one hop apart."""
    idle_kw: float = 0.0
    full_kw: float = 0.0
    budgets: tuple[str, ...] = ()
    """Names of the power and cooling budgets it draws on: its rack, PDUs, CDU, feed."""

    def drawn_kw(self, load_pu: float) -> float:
        """Linear from idle to full power.

        >>> Place("n", idle_kw=2.8, full_kw=10.2).drawn_kw(0.5)
        6.5
        """
        return self.idle_kw + (self.full_kw - self.idle_kw) * load_pu


class Floor:
    """All nodes and the budgets they share."""

    def __init__(self, places: Iterable[Place], budgets_kw: Mapping[str, float] | None = None) -> None:
        self.places = {place.name: place for place in places}
        self.budgets_kw = dict(budgets_kw or {})

    def drawn_kw(self, loads: Mapping[str, float]) -> dict[str, float]:
        """What is drawn on each budget, with `loads` (node to load) running and the rest idle."""
        drawn: dict[str, float] = defaultdict(float)
        for place in self.places.values():
            for budget in place.budgets:
                drawn[budget] += place.drawn_kw(loads.get(place.name, 0.0))
        return dict(drawn)

    def headroom_kw(self, loads: Mapping[str, float]) -> dict[str, float]:
        """What is left of each budget."""
        drawn = self.drawn_kw(loads)
        return {name: limit - drawn.get(name, 0.0) for name, limit in self.budgets_kw.items()}

    def choose(
        self,
        wanted: int,
        free: Iterable[str],
        loads: Mapping[str, float],
        load_pu: float,
        home: Iterable[str] = (),
    ) -> tuple[str, ...] | None:
        """Nodes for a gang of `wanted`, or None.

        Its home first; else one rack, the one it fills best; else one leaf, likewise; else as few leaves as may be.
        Among equals the rack with the most headroom left. A node is passed over where a budget would be exceeded.
        """
        open_ = [self.places[name] for name in sorted(free)]
        if len(open_) < wanted:
            return None
        left_kw = self.headroom_kw(loads)
        at_home = [place for place in open_ if place.name in set(home)]
        for order in (at_home, *self._orders(open_, left_kw, wanted)):
            taken = _take(wanted, order, dict(left_kw), load_pu)
            if taken is not None:
                return taken
        return None

    def _orders(self, open_: list[Place], left_kw: Mapping[str, float], wanted: int) -> Iterator[list[Place]]:
        """Nodes in the order they should be tried: single racks, single leaves, everything."""

        def spare_kw(group: list[Place]) -> float:
            return min((left_kw[b] for place in group for b in place.budgets if b in left_kw), default=0.0)

        racks = _grouped(open_, lambda place: place.rack)
        if self._named(racks):
            yield from sorted(racks.values(), key=lambda g: (len(g), -spare_kw(g), g[0].name))
        leaves = _grouped(open_, lambda place: place.leaf)
        fullest = {name: sorted(group, key=lambda p: (-len(racks[p.rack]), p.rack, p.name))
                   for name, group in leaves.items()}  # fmt: skip
        if self._named(leaves):
            yield from sorted(fullest.values(), key=lambda g: (len(g), -spare_kw(g), g[0].name))
        widest = sorted(fullest.values(), key=lambda g: (-len(g), g[0].name))
        yield [place for group in widest for place in group]

    @staticmethod
    def _named(groups: Mapping[str, list[Place]]) -> bool:
        return any(groups)


def _grouped(places: Iterable[Place], key: Callable[[Place], str]) -> dict[str, list[Place]]:
    groups: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        groups[key(place)].append(place)
    return dict(groups)


def _take(
    wanted: int, order: list[Place], left_kw: dict[str, float], load_pu: float
) -> tuple[str, ...] | None:
    """The first `wanted` nodes of the order that the budgets allow; budgets nest, so taking greedily misses none."""
    if len(order) < wanted:
        return None
    taken: list[str] = []
    for place in order:
        more_kw = place.drawn_kw(load_pu) - place.idle_kw
        own = [budget for budget in place.budgets if budget in left_kw]
        if all(left_kw[budget] >= more_kw - 1e-9 for budget in own):
            taken.append(place.name)
            for budget in own:
                left_kw[budget] -= more_kw
        if len(taken) == wanted:
            return tuple(taken)
    return None
