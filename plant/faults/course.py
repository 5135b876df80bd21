"""The plant on its way through a night: the faults' moves and the demand of its serving pools, each at its time."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from plant.faults.effects import Hand, Move, moves
from plant.faults.place import FaultPlan
from plant.sim import Plant


class Course:
    """Takes one plant through the faults of a night. Seconds count from the night's start."""

    def __init__(self, plant: Plant, plans: Sequence[FaultPlan], seed: int, until_s: float) -> None:
        """`plant` stands at the night's start; moves after `until_s` are left out."""
        self.plant = plant
        self.hand = Hand(plant)
        self.demand = Demand(plant, self.hand, seed)
        self.at_s = 0.0
        """Where the plant stands."""
        self._next = 0
        self._turns: list[Move] = sorted(
            (move for plan in plans for move in moves(plan, plant.site, until_s)),
            key=lambda move: (move.at_s, move.asset, move.effect.knob),
        )

    def go_to(self, at_s: float) -> None:
        """Advance to that time, turning every knob that is due by then. A time that has passed turns none."""
        while self._next < len(self._turns) and self._turns[self._next].at_s <= at_s:
            move = self._turns[self._next]
            self._advance(move.at_s)
            self.hand.turn(move)
            self._next += 1
        self._advance(at_s)

    def _advance(self, at_s: float) -> None:
        if at_s > self.at_s:
            self.plant.advance(at_s - self.at_s)
            self.at_s = at_s


class Demand:
    """Requests follow the hour of the day and wander: 12 % about the mean by a slow swing, 4 % by a random walk with
    a memory of half an hour. (ServeGen's m-large month swings far more; a serving pool of a site this small is kept
    inside what it can carry, so that only a fault breaks its SLO.)"""

    SWING, WANDER, MEMORY_S = 0.12, 0.04, 1800.0

    def __init__(self, plant: Plant, hand: Hand, seed: int) -> None:
        self._hand = hand
        self._rngs = {
            name: random.Random(f"{seed}-{name}-demand")
            for name in plant.each("service")
            if plant.store.rows.get(name, ("", 0))[0] == "pool"
        }
        self._usual = {name: hand.usual(name, "arrival_rps") for name in self._rngs}
        self._walk = dict.fromkeys(self._rngs, 0.0)
        self._zero_h = plant.now.astimezone(plant.site.zone).hour
        self._before_s = 0.0

    def move(self, at_s: float) -> None:
        """Set every pool's arrivals for this time."""
        keep = math.exp(-(at_s - self._before_s) / self.MEMORY_S)
        self._before_s = at_s
        for name, rng in self._rngs.items():
            self._walk[name] = keep * self._walk[name] + self.WANDER * math.sqrt(1 - keep * keep) * rng.gauss(
                0, 1
            )
            hour = self._zero_h + at_s / 3600
            swing = self.SWING * math.cos(2 * math.pi * (hour - 15) / 24)
            self._hand.set_usual(name, "arrival_rps", self._usual[name] * (1 + swing + self._walk[name]))
