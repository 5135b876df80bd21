"""Where a cause can show: which assets its trouble reaches, by what, how soon, and what is said there then.

The ways are data (`spread.yaml`); this module is their schema and walks a site's topology along them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from plant.closed import Closed
from plant.diagnosis.results import Medium
from plant.faults.place import scheduler
from plant.site import Asset, Site
from plant.units import Seconds

PATH = Path(__file__).parent / "spread.yaml"
Way = Literal["below", "above", "peer", "mates", "scheduler"]
ANY = "any"
SLOW_PER_S = 0.2 / 3600.0
"""What a second of a step's time costs: of two ways the quicker one is the likelier."""
QUIET = 1.0
"""What a step to an asset costs; one to an asset that has spoken costs less, so that a path goes through witnesses."""
SPOKEN = 0.6


class Step(Closed):
    """One way from an asset to the next."""

    source: tuple[str, ...] = Field(alias="from")
    target: tuple[str, ...] = Field(alias="to")
    way: Way
    when: tuple[Medium, ...]
    """What the trouble came by, to go on this way."""
    by: Medium
    within_s: Seconds
    effect: str
    named: bool = False
    """Only an event whose rule names one of the causes in `Spread.shows` belongs to this step."""
    ends: bool = False
    """Nothing goes on from there."""
    witness: bool = False
    """Only where an event or the model shows trouble at the source itself: it has reserves of its own."""


class Spread(Closed):
    """The whole table."""

    steps: tuple[Step, ...]
    leaves: dict[Medium, tuple[str, ...]]
    """What a cause leaves its asset by."""
    carries: dict[Medium, tuple[str, ...]]
    """What a kind of asset carries: the way out of causes that `leaves` does not list."""
    shows: dict[Medium, dict[str, tuple[str, ...]]]
    """By medium and kind: causes that a rule may name for an event that is in truth an effect."""
    symptoms: tuple[str, ...]
    """Causes whose name only says what is seen."""

    def leaving(self, cause: str, kind: str) -> Medium:
        """What the cause leaves an asset of that kind by."""
        known = (medium for medium, causes in self.leaves.items() if cause in causes)
        carried = (medium for medium, kinds in self.carries.items() if kind in kinds)
        return next(known, next(carried, "itself"))

    def effects(self, medium: Medium, kind: str) -> frozenset[str]:
        """Causes whose signs are effects where trouble came to an asset of that kind by that medium."""
        table = self.shows.get(medium, {})
        return frozenset((*table.get(kind, ()), *table.get(ANY, ())))


@cache
def load_spread() -> Spread:
    """The table as shipped."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Spread.model_validate(yaml.load(PATH.read_text("utf-8"), Loader=loader))


@dataclass(frozen=True)
class Reached:
    """One asset that the trouble reaches, by one medium."""

    asset: Asset
    medium: Medium
    """"itself" at the root."""
    before: Reached | None
    """Where it came from; None at the root."""
    step: Step | None
    within_s: float
    """From the onset until the first sign must be there."""

    @property
    def key(self) -> tuple[str, Medium]:
        return self.asset.name, self.medium


def reach(site: Site, cause: str, root: str, spoken: Collection[str] = ()) -> Mapping[str, Sequence[Reached]]:
    """By asset name (as in the site file) the ways it is reached, nearest first; the root itself among them.

    Of several ways the one over assets in `spoken` is taken. Empty where the site does not know the root.
    """
    struck = site.find(root)
    if struck is None:
        return {}
    table = load_spread()
    leaving = table.leaving(cause, struck.kind)
    first = Reached(struck, "itself", None, None, 0.0)
    heap: list[tuple[float, int, Reached]] = [(0.0, 0, first)]
    done: dict[tuple[str, Medium], Reached] = {}
    found: dict[str, list[Reached]] = {}
    number = 0
    while heap:
        cost, _, here = heapq.heappop(heap)
        if here.key in done:
            continue
        done[here.key] = here
        found.setdefault(here.asset.name, []).append(here)
        for step, target in _onward(site, here, leaving, spoken):
            if target.name == struck.name or (target.name, step.by) in done:
                continue
            number += 1
            onward = Reached(target, step.by, here, step, here.within_s + step.within_s)
            price = (SPOKEN if target.name in spoken else QUIET) + SLOW_PER_S * step.within_s
            heapq.heappush(heap, (cost + price, number, onward))
    return found


def _onward(
    site: Site, here: Reached, leaving: Medium, spoken: Collection[str]
) -> Iterator[tuple[Step, Asset]]:
    """Steps that can be taken from there, with the assets they lead to."""
    if here.step is not None and here.step.ends:
        return
    came_by = leaving if here.medium == "itself" else here.medium
    for step in load_spread().steps:
        if came_by not in step.when or not {here.asset.kind, ANY} & {*step.source}:
            continue
        if step.way == "mates" and here.step is not None:
            continue  # of one struck node; those of a whole hall tell for themselves
        if step.witness and here.asset.name not in spoken:
            continue
        for asset in _along(site, here.asset, step.way):
            if {asset.kind, ANY} & {*step.target} and not _turns_back(here, step, asset):
                yield step, asset


def _turns_back(here: Reached, step: Step, target: Asset) -> bool:
    """Up again after coming down, or down from a switch to its like after coming up: other parts of the site."""
    came = here.step.way if here.step else step.way
    return (came, step.way) == ("below", "above") or (
        (came, step.way) == ("above", "below") and target.kind == here.asset.kind
    )


def _along(site: Site, asset: Asset, way: Way) -> Iterator[Asset]:
    if way == "below":
        names: Collection[str] = site.standing_on(asset.name)
    elif way == "above":
        names = asset.on
    elif way == "peer":
        names = asset.redundant_with
    elif way == "scheduler":
        names = (scheduler(site),)
    else:
        pooled = site.pool_of(asset.name)
        nodes = (
            pooled.nodes if pooled else [n.name for n in site.of_kind("gpu_node") if not site.pool_of(n.name)]
        )
        names = [name for name in nodes if name != asset.name]
    for name in names:
        if (found := site.find(name)) is not None:
            yield found
