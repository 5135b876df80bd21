"""Parts of a simulated site that age through its days: what they do to the plant, what sensors tell, when they fail.

Each unit is drawn by seed from the population of `plant.control.maintenance.lives`: its stress, its path of wear and
the failure that no reading announces. Its age at the begin is what the site file says, else even between new and the
kind's usual interval. A worn unit loses the plant's head, air, passage or heat transfer; the sensors that a site has on
it (plant/faults/sensors.yaml) show its damage with the offset and noise of that population. At its end the part stands
in the plant until the crew has put in a new one; a ticket has it renewed before. When each would fail is the truth of the
days: it is kept for judging and never shown.

Air filters, drives and node fans do not wear here: no reading of the plant or of its sensors would show it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from plant.control.days import at_hour, rng_of
from plant.control.maintenance.lives import STEP_DAYS, USUAL, wear_path
from plant.control.maintenance.parts import DAYS_A_YEAR, PartKind, Signal
from plant.dynamics.columns import told
from plant.faults.sensors import load_sensors
from plant.sim import Plant
from plant.site import AssetKind, Site

FloatArray = NDArray[np.float64]
DAY_S, HOUR_S = 86400.0, 3600.0
REPAIR_H = 24.0
"""From a failure to the new part: call-out and a spare by express; assumed."""
WORK_HOUR = 3.0
"""Planned work begins at this hour of the site's night, once the part is there; assumed."""
REACH_DAYS = 200.0
"""So much of a unit's path is kept from where the days meet it."""
TRIES = 200
"""Draws until a unit is alive at the age it is found at."""


@dataclass(frozen=True)
class WearPart:
    """What of a site wears: one kind of part on one asset."""

    asset: str
    kind: PartKind
    count: int
    """So many alike: the GPUs of a node, the two ends of a link."""
    age_days: float | None
    """At the begin; None where the site file does not tell."""


@dataclass(frozen=True)
class Mark:
    """How the plant shows one kind of part."""

    column: str
    """Quantity of the asset that wear moves; "" where it moves none until it fails."""
    sound: float
    worn: float
    """Its values new and at the limit."""
    fails: tuple[tuple[str, float, float], ...]
    """(quantity, value while the part has failed, value when it is put right)."""
    stands: bool
    """Whether the part stands still while it is worked on."""


MARKS: Mapping[str, Mark] = {
    "pump_bearing": Mark("wear_pu", 0.0, 0.45, (("failed", 1.0, 0.0),), True),
    "fan_bearing": Mark("fan_pu", 1.0, 0.6, (("running", 0.0, 1.0),), True),
    "coolant_filter": Mark("passage_pu", 1.0, 0.55, (("passage_pu", 0.3, 1.0),), False),
    "condenser": Mark("fouling_pu", 0.0, 0.4, (("running", 0.0, 1.0),), True),
    "ess_cells": Mark("capacity_pu", 1.0, 0.8, (("available", 0.0, 1.0),), True),
    "ups_battery": Mark("battery_capacity_pu", 1.0, 0.8, (("battery_capacity_pu", 0.05, 1.0),), False),
    "optics": Mark("", 0.0, 0.0, (("up_pu", 0.0, 1.0),), True),
    "gpu_memory": Mark("", 0.0, 0.0, (), True),
}
"""By kind of part. The worn values of quantities that a forecast reads are the limits of
plant.control.maintenance.parts; a battery at the end of its life holds 80 % (IEEE 1188 practice; remembered). A blocked
filter leaves the passage of the fault coolant_flow_restricted, a chiller trips on head pressure. Of a node one GPU falls
off the bus."""


@dataclass(frozen=True)
class Life:
    """One unit: its wear by days since `since`, and when it fails if nobody touches it."""

    since: datetime
    days: FloatArray
    damage: FloatArray
    fails_at: datetime
    announced: bool
    """Wear ends it, which readings show before; else it fails out of the blue."""

    def damage_at(self, moment: datetime) -> float:
        if not len(self.days):
            return 0.0
        days = (moment - self.since).total_seconds() / DAY_S
        return float(np.interp(days, self.days, self.damage))


@dataclass(frozen=True)
class WornPart:
    """The truth of one unit."""

    asset: str
    part: str
    """The kind's title, as tasks have it."""
    number: int
    """Among those alike on the asset, from 0; -1 where there is one."""
    since: datetime
    """When it was put in; of those that the days met, the begin."""
    fails_at: datetime
    """When it fails, or would have."""
    announced: bool
    """Its readings show wear before; else it fails out of the blue."""
    failed: bool = False
    """It came to that."""
    renewed_at: datetime | None = None
    """It was replaced in good time, or after its failure."""
    ticket_at: datetime | None = None


@dataclass
class _Unit:
    part: WearPart
    number: int
    life: Life
    generation: int = 0
    out_until: datetime | None = None
    """It has failed or is worked on."""
    failed: bool = False
    ticket_at: datetime | None = None
    work_at: datetime | None = None

    @property
    def next_at(self) -> datetime:
        """When something happens to it next."""
        if self.out_until is not None:
            return self.out_until
        return min(self.life.fails_at, self.work_at or self.life.fails_at)


def wears(kind: PartKind, asset_kind: AssetKind) -> bool:
    """Whether the days can show it: the plant has a place for its end, and a reading shows its wear."""
    return kind.name in MARKS and bool(_sensors(kind, asset_kind) or _told(kind, asset_kind))


def _sensors(kind: PartKind, asset_kind: AssetKind) -> list[Signal]:
    """Signals that a sensor of the asset shows and the plant does not work out."""
    known = load_sensors().get(asset_kind, {})
    return [s for s in kind.signals if s.metric in known and not known[s.metric].source]


def _told(kind: PartKind, asset_kind: AssetKind) -> list[Signal]:
    """Signals that the plant's telemetry shows itself."""
    return [s for s in kind.signals if s.metric in told(asset_kind)]


@dataclass
class DaysWear:
    """The units of a site from `begin` on. Time only goes forward; the same seed and tickets are the same days."""

    site: Site
    parts: Sequence[WearPart]
    begin: datetime
    seed: int
    ended: list[WornPart] = field(default_factory=list)
    """Units that were replaced, before or after their failure, the first first."""

    def __post_init__(self) -> None:
        self._kinds: dict[str, AssetKind] = {asset.name: asset.kind for asset in self.site.assets}
        self.parts = [part for part in self.parts if wears(part.kind, self._kinds[part.asset])]
        self._units = {
            (part.asset, part.kind.name): [self._drawn(part, n) for n in range(part.count)]
            for part in self.parts
        }
        self._next = self.begin
        self._hour = -1
        self.sensors: tuple[tuple[str, str], ...] = tuple(
            (part.asset, signal.metric) for part, signal in self._each(_sensors)
        )
        """What sensors tell of them, beyond the plant's telemetry."""
        self.blurred: tuple[tuple[str, str], ...] = tuple(
            (part.asset, signal.metric) for part, signal in self._each(_told)
        )
        """What the plant's telemetry tells of them, which `blur` goes on top of."""
        known = [signal for _, signal in self._each(_told)]
        self.bounds: tuple[FloatArray, FloatArray] = (
            np.array([signal.least for signal in known]), np.array([signal.most for signal in known])
        )  # fmt: skip
        """Least and most that `blurred` can read, each of shape (blurred,)."""
        self._noise = lru_cache(maxsize=4096)(self._drawn_noise)

    def _each(
        self, signals: Callable[[PartKind, AssetKind], list[Signal]]
    ) -> Iterator[tuple[WearPart, Signal]]:
        for part in self.parts:
            for signal in signals(part.kind, self._kinds[part.asset]):
                yield part, signal

    # ---- lives --------------------------------------------------------------------------------------------------

    def _drawn(
        self, part: WearPart, number: int, generation: int = 0, since: datetime | None = None
    ) -> _Unit:
        """A unit of the population; a new one where `since` is given."""
        rng = rng_of(self.seed, "wear", part.asset, part.kind.name, number, generation)
        age = 0.0
        if since is None:
            known = part.age_days
            age = float(rng.uniform(0.0, _oldest_days(part.kind))) if known is None else known
        return _Unit(part, number, _life(part.kind, age, since or self.begin, rng), generation)

    # ---- time ---------------------------------------------------------------------------------------------------

    def pass_to(self, now: datetime, plant: Plant) -> None:
        """What the parts have come to by now: failures, repairs and work that are due, and by the hour their wear."""
        if now >= self._next:
            for units in self._units.values():
                for unit in units:
                    while unit.next_at <= now:
                        self._turn(unit, plant)
            self._next = min((u.next_at for units in self._units.values() for u in units), default=now)
        hour = int(now.timestamp() // HOUR_S)
        if hour != self._hour:
            self._hour = hour
            for units in self._units.values():
                self._wear(units, now, plant)

    def _turn(self, unit: _Unit, plant: Plant) -> None:
        """The next thing that happens to a unit."""
        at, kind = unit.next_at, unit.part.kind
        if unit.out_until is not None:
            self._renew(unit, at, plant)
        elif at == unit.life.fails_at:
            unit.failed, unit.out_until = True, at + timedelta(hours=REPAIR_H)
            _set_out(unit, plant, out=True)
        else:
            unit.out_until = at + timedelta(hours=kind.work.hours)
            if MARKS[kind.name].stands:
                _set_out(unit, plant, out=True)

    def _renew(self, unit: _Unit, at: datetime, plant: Plant) -> None:
        self.ended.append(_truth(unit, at))
        _set_out(unit, plant, out=False)
        fresh = self._drawn(unit.part, unit.number, unit.generation + 1, at)
        unit.life, unit.generation = fresh.life, fresh.generation
        unit.failed, unit.out_until, unit.ticket_at, unit.work_at = False, None, None, None
        self._wear(self._units[unit.part.asset, unit.part.kind.name], at, plant)

    def _wear(self, units: Sequence[_Unit], now: datetime, plant: Plant) -> None:
        part, mark = units[0].part, MARKS[units[0].part.kind.name]
        if mark.column and not any(unit.failed for unit in units):
            damage = min(max(unit.life.damage_at(now) for unit in units), 1.0)
            plant.state[part.asset][mark.column] = mark.sound + damage * (mark.worn - mark.sound)

    def ticket(self, asset: str, queue: str, now: datetime) -> None:
        """A ticket was opened: the crew of that queue renews the most worn unit of the asset, in the first night after
        its spare is there. One that is ordered already is not ordered twice."""
        units = [
            unit
            for (name, _), found in self._units.items()
            if name == asset
            for unit in found
            if unit.part.kind.work.queue == queue
        ]
        if not units or any(unit.ticket_at for unit in units):
            return
        worst = max(units, key=lambda unit: (unit.life.damage_at(now), -unit.number))
        worst.ticket_at = now
        worst.work_at = _first_night(now + timedelta(days=worst.part.kind.work.lead_days), self.site)
        self._next = min(self._next, worst.next_at)

    # ---- readings -----------------------------------------------------------------------------------------------

    def shown(self, now: datetime) -> FloatArray:
        """What `sensors` read now, shape (sensors,); NaN where the part stands still."""
        return np.array([self._reading(part, signal, now) for part, signal in self._each(_sensors)])

    def blur(self, now: datetime) -> FloatArray:
        """What the readings of `blurred` are off by, in their units, shape (blurred,)."""
        return np.array(
            [self._error(part, s, now) * (s.limit - s.usual) for part, s in self._each(_told)], np.float64
        )

    def _reading(self, part: WearPart, signal: Signal, now: datetime) -> float:
        alive = [unit for unit in self._units[part.asset, part.kind.name] if unit.out_until is None]
        if not alive:
            return math.nan
        damage = max(unit.life.damage_at(now) for unit in alive)
        value = signal.reading(damage + self._error(part, signal, now))
        return float(round(value)) if part.kind.life.wear == "counts" else value

    def _error(self, part: WearPart, signal: Signal, now: datetime) -> float:
        """Offset of the sensor on this unit and noise of the half-day, in damage."""
        generation = max(unit.generation for unit in self._units[part.asset, part.kind.name])
        half_day = int(now.timestamp() // (DAY_S / 2.0))
        return self._noise(part.asset, signal, generation, half_day)

    def _drawn_noise(self, asset: str, signal: Signal, generation: int, half_day: int) -> float:
        """The noise of a half-day is that of a daily mean times the root of two."""
        offset = rng_of(self.seed, "offset", asset, signal.metric, generation).standard_normal()
        noise = rng_of(self.seed, "noise", asset, signal.metric, half_day).standard_normal()
        return float(signal.spread * offset + math.sqrt(2.0) * signal.noise * noise)

    # ---- truth --------------------------------------------------------------------------------------------------

    def truth(self) -> tuple[WornPart, ...]:
        """Every unit that there was: those that ended, then those that are in place."""
        return (*self.ended, *(_truth(unit, None) for units in self._units.values() for unit in units))


def _truth(unit: _Unit, renewed_at: datetime | None) -> WornPart:
    return WornPart(
        unit.part.asset, unit.part.kind.title, unit.number if unit.part.count > 1 else -1, unit.life.since,
        unit.life.fails_at, unit.life.announced, unit.failed, renewed_at, unit.ticket_at,
    )  # fmt: skip


def _life(kind: PartKind, age_days: float, since: datetime, rng: np.random.Generator) -> Life:
    """A unit that is alive at that age: draws that are not are passed over, the last one lives on from there."""
    rate = kind.life.sudden_per_year / DAYS_A_YEAR
    for _ in range(TRIES):
        stress = USUAL.stress_mean + USUAL.stress_sigma * rng.standard_normal()
        ages, damage = wear_path(kind, stress, rng)
        sudden = age_days + float(rng.exponential(1.0 / rate))
        worn = _reaches_one(ages, damage)
        if worn > age_days + STEP_DAYS:
            break
    fails = min(worn, sudden) if worn > age_days else sudden
    near = (ages >= age_days - STEP_DAYS) & (ages <= age_days + REACH_DAYS)
    kept = near if (damage[near] > 0.0).any() else np.zeros(len(ages), bool)
    at = since + timedelta(days=min(fails - age_days, 36500.0))
    return Life(since, ages[kept] - age_days, damage[kept], at, worn <= sudden)


def _reaches_one(ages: FloatArray, damage: FloatArray) -> float:
    """Age at which damage passes 1, between two steps of the path; infinite where it does not."""
    after = int(np.argmax(damage >= 1.0))
    if damage[after] < 1.0:
        return math.inf
    if after == 0:
        return float(ages[0])
    part = (1.0 - damage[after - 1]) / (damage[after] - damage[after - 1])
    return float(ages[after - 1] + part * (ages[after] - ages[after - 1]))


def _oldest_days(kind: PartKind) -> float:
    """Parts are changed by the calendar: none is found older than its usual interval."""
    return min(USUAL.oldest_days, kind.fixed_days)


def _first_night(after: datetime, site: Site) -> datetime:
    local = after.astimezone(site.zone).date()
    tonight = at_hour(local, WORK_HOUR, site)
    return tonight if tonight >= after else at_hour(local, 24.0 + WORK_HOUR, site)


def _set_out(unit: _Unit, plant: Plant, *, out: bool) -> None:
    asset, mark = unit.part.asset, MARKS[unit.part.kind.name]
    for column, failed, right in mark.fails:
        plant.state[asset][column] = failed if out else right
    if unit.part.kind.name == "gpu_memory":
        plant.inject_knob(f"{asset}/gpu{unit.number}", "hard", 1.0 if out else 0.0)
        plant.inject_knob(f"{asset}/gpu{unit.number}", "gpu_ok", 0.0 if out else 1.0)
