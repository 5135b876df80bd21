"""From a root cause to each observed event: over which assets, by what, how soon, and which events that explains.

An event belongs to the path where the trouble reaches its asset, at a time that fits, and what the event says can be
an effect of it there. Recoveries and routine (P3) lines are neither explained nor missed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from plant.diagnosis.observed import Observed, Sign
from plant.diagnosis.results import CausalPath, Curve, Link, Medium, Verdict
from plant.diagnosis.spread import Reached, load_spread, reach
from plant.diagnosis.words import named, number, reading, unit
from plant.ranges import written
from plant.site import Site

MOST_LINKS = 12
TOLERANCE_S = 120.0
"""A fitted onset may be late by so much."""
LULL_S = 3600.0
"""After so long without an event at one place the next one there is news."""
FORERUNNER_S = 6 * 3600.0
"""The struck asset may have spoken so long before."""
CLEARLY_PU, LEAST_PU = 0.25, 0.02
"""A simulated reading has left its healthy course at this share of its greatest departure, where that is at least the
second share of the healthy value."""
FEW = 3
"""So many assets are named one by one; more as ranges."""
_MEASURING = ("sensor", "leak_sensor")
_NOTHING = frozenset({"no_fault", "unknown"})

Key = tuple[str, Medium]


@dataclass(frozen=True)
class Change:
    """When the model first shows the cause on an asset, and what it shows there."""

    after_s: float
    """From the onset."""
    metric: str
    healthy: float
    simulated: float
    """At its furthest from healthy, in the metric's unit."""


def changes_of(curves: Iterable[Curve]) -> dict[str, Change]:
    """By asset the first signal that leaves its healthy course in the model's run of a cause."""
    found: dict[str, Change] = {}
    for curve in curves:
        change = _change(curve)
        if change and (curve.asset not in found or change.after_s < found[curve.asset].after_s):
            found[curve.asset] = change
    return found


def _change(curve: Curve) -> Change | None:
    gaps = [simulated - healthy for simulated, healthy in zip(curve.simulated, curve.healthy, strict=True)]
    furthest = max(range(len(gaps)), key=lambda place: abs(gaps[place]), default=None)
    if furthest is None or abs(gaps[furthest]) <= LEAST_PU * abs(curve.healthy[furthest]):
        return None
    begin = next(place for place, gap in enumerate(gaps) if abs(gap) >= CLEARLY_PU * abs(gaps[furthest]))
    after_s = max(0.0, curve.times_s[begin])
    return Change(after_s, curve.metric, curve.healthy[furthest], curve.simulated[furthest])


def causal_path(
    site: Site, verdict: Verdict, observed: Observed, changes: Mapping[str, Change] | None = None
) -> CausalPath:
    """The path of one cause to the events of the window; of a double fault, ask for each.

    `changes`, by asset, give the links their numbers; without them they are read from the verdict's curves.
    """
    shown = changes_of(verdict.curves) if changes is None else changes
    remarkable = [sign for sign in observed.signs if _is_trouble(sign, verdict.cause)]
    root = "" if verdict.cause in _NOTHING else root_of(site, verdict)
    onset_s = _onset_s(verdict, observed, remarkable, root, site)
    placed = _placed(site, verdict, root, onset_s, remarkable, {*shown})
    explained = [sign for signs in placed.values() for sign, _ in signs]
    own = [sign for signs in placed.values() for sign, at in signs if at.medium == "itself"]
    links, more = _links([at for signs in placed.values() for _, at in signs], placed, shown, onset_s)
    return CausalPath(
        cause=verdict.cause,
        root=root or verdict.asset,
        links=tuple(links),
        explained=_in_order(explained),
        unexplained=_in_order(sign for sign in remarkable if sign not in explained),
        onset=observed.start + timedelta(seconds=onset_s) if root else None,
        seen=_seen(own),
        seen_after_s=min((sign.at_s - onset_s for sign in own), default=None),
        more=more,
    )


def root_of(site: Site, verdict: Verdict) -> str:
    """The struck asset as the site file spells it: what a sensor measures, unless the sensor itself is at fault."""
    asset = site.find(verdict.asset)
    if asset is None:
        return ""
    faulty = load_spread().leaving(verdict.cause, asset.kind) == "sensing"
    measured = site.find(asset.on[0]) if asset.kind in _MEASURING and asset.on and not faulty else None
    return (measured or asset).name


def _is_trouble(sign: Sign, cause: str) -> bool:
    return sign.firing and (sign.priority < "P3" or cause in sign.hints)


def _onset_s(verdict: Verdict, observed: Observed, signs: Sequence[Sign], root: str, site: Site) -> float:
    """Seconds from the window's start; without a fitted onset the first event at the root, else the first at all."""
    if verdict.onset is not None:
        return (verdict.onset - observed.start).total_seconds()
    at_root = [sign.at_s for sign in signs if (asset := site.find(sign.asset)) and asset.name == root]
    return min(at_root or [sign.at_s for sign in signs], default=0.0)


def _in_order(signs: Iterable[Sign]) -> tuple[str, ...]:
    return tuple(sign.id for sign in sorted(signs, key=lambda sign: (sign.at_s, sign.id)))


# ---- which events belong to it ---------------------------------------------------------------------------------


def _placed(
    site: Site, verdict: Verdict, root: str, onset_s: float, signs: Sequence[Sign], shown: Collection[str]
) -> dict[Key, list[tuple[Sign, Reached]]]:
    """By where the trouble came to, and by what: the events it explains there."""
    assets = {sign.asset: found.name for sign in signs if (found := site.find(sign.asset))}
    reached = reach(site, verdict.cause, root, {*assets.values(), *shown}) if root else {}
    placed: dict[Key, list[tuple[Sign, Reached]]] = {}
    for sign in sorted(signs, key=lambda one: one.at_s):
        ways = reached.get(assets.get(sign.asset, ""), ())
        fitting = (
            at for at in ways
            if _can_say(sign, verdict.cause, at)
            and _in_time(sign, at, onset_s, verdict.ramp_s or 0.0, placed.get(at.key, ()))
        )  # fmt: skip
        at = next(fitting, None)
        if at is not None:
            placed.setdefault(at.key, []).append((sign, at))
    return placed


def _can_say(sign: Sign, cause: str, at: Reached) -> bool:
    """Whether the rule that knows the event names the cause or one of its effects there; one that names nothing
    stands against nothing."""
    hints = {*sign.hints} - _NOTHING
    effects = load_spread().effects(at.medium, at.asset.kind)
    if not hints:
        return at.step is None or not at.step.named
    return cause in hints or bool(hints & effects)


def _in_time(
    sign: Sign, at: Reached, onset_s: float, ramp_s: float, before: Sequence[tuple[Sign, Reached]]
) -> bool:
    """Not before the cause; the first of them soon enough after it, and each later one after no long lull."""
    after_s = sign.at_s - onset_s
    if after_s < (-FORERUNNER_S if at.step is None else -TOLERANCE_S):
        return False
    if before and before[-1][0].at_s >= sign.at_s - LULL_S:
        return True
    return after_s <= ramp_s + max(at.within_s, LULL_S if at.step is None else 0.0)


# ---- links --------------------------------------------------------------------------------------------------------


@dataclass
class _Box:
    """Assets of one kind that the trouble reaches from the same assets by the same medium: one box of the picture."""

    name: str
    reached: list[Reached]
    before: _Box | None
    signs: list[Sign]
    after: list[_Box] = field(default_factory=list)

    @property
    def weight(self) -> tuple[str, int]:
        """Least worth showing first, among boxes that lead nowhere."""
        return min((sign.priority for sign in self.signs), default="P9"), -len(self.signs)


def _links(
    ends: Sequence[Reached], placed: Mapping[Key, Sequence[tuple[Sign, Reached]]],
    shown: Mapping[str, Change], onset_s: float,
) -> tuple[list[Link], int]:  # fmt: skip
    """Links in the order of the tree, at most MOST_LINKS, and how many were left out."""
    needed: dict[Key, Reached] = {}
    for end in ends:
        at: Reached | None = end
        while at is not None and at.key not in needed:
            needed[at.key] = at
            at = at.before
    starts = [at for at in needed.values() if at.before is None]
    if not starts:
        return [], 0
    root = _Box(starts[0].asset.name, starts, None, [])
    boxes = list(_grown(root, list(needed.values()), placed))
    left_out = 0
    while len(boxes) > MOST_LINKS:
        least = max((box for box in boxes if not box.after), key=lambda box: box.weight)
        boxes.remove(least)
        if least.before is not None:
            least.before.after.remove(least)
        left_out += 1
    return [_link(box, shown, onset_s) for box in boxes], left_out


def _grown(
    box: _Box, needed: Sequence[Reached], placed: Mapping[Key, Sequence[tuple[Sign, Reached]]]
) -> Iterable[_Box]:
    """The boxes after this one, each before its own."""
    inside = {at.key for at in box.reached}
    groups: dict[tuple[str, Medium, str], list[Reached]] = {}
    for at in needed:
        if at.before is not None and at.step is not None and at.before.key in inside:
            groups.setdefault((at.asset.kind, at.medium, at.step.effect), []).append(at)
    for members in groups.values():
        members.sort(key=lambda at: at.asset.name)
        signs = [sign for at in members for sign, _ in placed.get(at.key, ())]
        made = _Box(_names([at.asset.name for at in members]), members, box, signs)
        box.after.append(made)
        yield made
        yield from _grown(made, needed, placed)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= FEW else written(list(names))


def _link(box: _Box, shown: Mapping[str, Change], onset_s: float) -> Link:
    step, before = box.reached[0].step, box.before
    assert step is not None  # every box but the root came by a step
    assert before is not None
    assets = tuple(at.asset.name for at in box.reached)
    known = {name: shown[name] for name in assets if name in shown}
    return Link(
        source=before.name,
        target=box.name,
        medium=box.reached[0].medium,
        effect=step.effect + _amount(known),
        after_s=min((change.after_s for change in known.values()), default=None),
        events=_in_order(box.signs),
        assets=assets,
        seen=_seen(box.signs),
        seen_after_s=min((sign.at_s - onset_s for sign in box.signs), default=None),
    )


def _amount(known: Mapping[str, Change]) -> str:
    """`: flow 170 to 96 L/min`, of several assets the one that changes most."""
    if not known:
        return ""
    first = min(known.values(), key=lambda change: change.after_s)
    alike = {name: change for name, change in known.items() if change.metric == first.metric}
    most = max(alike, key=lambda name: abs(alike[name].simulated - alike[name].healthy))
    change = alike[most]
    where = f" on {most}" if len(alike) > 1 else ""
    span = f"{number(change.healthy)} to {reading(change.metric, change.simulated)}"
    return f": {named(change.metric)}{where} {span} in the model"


def _seen(signs: Sequence[Sign]) -> str:
    """What the most urgent event said, and how many more there were."""
    if not signs:
        return ""
    worst = min(signs, key=lambda sign: (sign.priority, not sign.condition, sign.at_s))
    known = worst.value is not None and unit(worst.metric)
    value = f" ({reading(worst.metric, worst.value)})" if known and worst.value is not None else ""
    words = worst.condition or (
        f"{named(worst.metric)} alarm" if worst.metric else "an event without a known meaning"
    )
    more = len(signs) - 1
    return f"{worst.priority} {words}{value}" + (f", and {more} more" if more else "")
