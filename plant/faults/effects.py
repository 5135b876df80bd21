"""Moving the simulated plant: a fault's effects begin, grow and end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plant.dynamics.columns import COLUMNS
from plant.dynamics.knobs import FAULT_KNOBS
from plant.faults.catalog import Effect, scaled
from plant.faults.place import FaultPlan, targets
from plant.sim import Plant
from plant.site import Site

RAMP_STEP_S = 30.0
"""A growing effect is moved in steps of at most this."""


@dataclass(frozen=True)
class Move:
    """One turn of one knob at one time. `share` of its effect is reached; 0 takes it back."""

    at_s: float
    asset: str
    effect: Effect
    severity: float
    share: float


def moves(plan: FaultPlan, site: Site, until_s: float) -> Iterator[Move]:
    """All moves of a plan up to `until_s`, in time order for each knob."""
    for effect in plan.fault.effects:
        begin = plan.at_s + effect.after_s
        for asset in targets(site, plan.asset, effect):
            steps = max(1, round(plan.fault.ramp_s / RAMP_STEP_S))
            for step in range(1, steps + 1):
                at = begin + plan.fault.ramp_s * (step - 1) / steps
                if at <= until_s and (plan.end_s is None or at < plan.end_s):
                    yield Move(at, asset, effect, plan.severity, step / steps)
            if plan.end_s is not None and begin < plan.end_s <= until_s:
                yield Move(plan.end_s, asset, effect, plan.severity, 0.0)
    yield from _mends(plan, site, until_s)


def _mends(plan: FaultPlan, site: Site, until_s: float) -> Iterator[Move]:
    """What people do once the fault is mended: pumps started again, loops filled up, nodes switched on."""
    for effect in plan.fault.mends:
        if plan.end_s is not None and plan.end_s + effect.after_s <= until_s:
            for asset in targets(site, plan.asset, effect):
                yield Move(plan.end_s + effect.after_s, asset, effect, plan.severity, 1.0)


class Hand:
    """Turns the knobs of one plant and remembers how they stood, so that a mended fault leaves no trace.

    Two faults on one knob of one asset are not told apart: the later one wins.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._before: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], Move] = {}

    def turn(self, move: Move) -> None:
        """Set the knob to its share of the way from how it stood to the effect's value."""
        if move.effect.knob == RESTART:
            self._restart(move.asset)
            return
        key = (move.asset, move.effect.knob)
        before = self._before.setdefault(key, self._read(*key))
        if move.share == 0.0:
            del self._before[key]
            self._last.pop(key, None)
            self.plant.inject_knob(*key, before)
            return
        self._last[key] = move
        goal = goal_of(move.effect, move.severity, before)
        self.plant.inject_knob(*key, before + (goal - before) * move.share)

    def usual(self, asset: str, knob: str) -> float:
        """How the knob stands without faults."""
        key = (asset, knob)
        return self._before[key] if key in self._before else self._read(*key)

    def set_usual(self, asset: str, knob: str, value: float) -> None:
        """Change how it stands without faults; a fault on it stays on it."""
        key = (asset, knob)
        if key in self._last:
            self._before[key] = value
            self.turn(self._last[key])
        else:
            self.plant.inject_knob(asset, knob, value)

    def _read(self, asset: str, knob: str) -> float:
        return stands_at(self.plant, asset, knob)

    def _restart(self, node: str) -> None:
        """Switch a node on that shut itself down; one that runs is left alone."""
        if self.plant.number(node, "up") == 0.0 and (node, "up") not in self._before:
            self.plant.apply("reset_gpu", node, {})
            self.plant.inject_knob(node, "up", 1.0)


RESTART = "restart"
"""A mend that is no knob: nodes that tripped are switched on again."""


def goal_of(effect: Effect, severity: float, before: float) -> float:
    """What the knob is set to at full effect, where it stood at `before`. A count may be given as so many less."""
    value = scaled(effect.value, severity)
    if effect.relative:
        return before * value
    return max(0.0, before + value) if effect.knob == "gpus_ok" and value < 0 else value


def stands_at(plant: Plant, asset: str, knob: str) -> float:
    """How a knob stands now; for one of accelerators how a sound one's stands."""
    found = FAULT_KNOBS[knob]
    if found.kinds == ("gpu",):
        return next(column.start for column in COLUMNS["gpu"] if column.name == found.of)
    return plant.number(asset, found.of)


def inject(plant: Plant, plan: FaultPlan, at_once: bool = False) -> None:
    """Begin a fault on a running plant now, growing over its ramp (`at_once`: complete, as for a rehearsal that starts
    inside it). What its sensors show is not told to the plant: `compose` does that to the readings.

    Raises UsageError where a knob does not fit the asset.
    """
    for effect in plan.fault.effects:
        for asset in targets(plant.site, plan.asset, effect):
            before = stands_at(plant, asset, effect.knob)
            ramp_s = 0.0 if at_once else plan.fault.ramp_s
            plant.inject_knob(asset, effect.knob, goal_of(effect, plan.severity, before), ramp_s)
