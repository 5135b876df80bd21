"""How each cause of the root-cause catalog would show: what it moves in the plant, and which readings it bends.

All of it is data in `mechanisms.yaml`; this module is its schema, and puts a mechanism into a plant.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from plant.closed import Closed
from plant.dynamics.knobs import FAULT_KNOBS
from plant.faults.catalog import Area, Effect, Target, with_on
from plant.faults.effects import goal_of, stands_at
from plant.faults.place import fitting, targets
from plant.sim import Plant
from plant.site import AssetKind, Site
from plant.units import Seconds
from setpoint.errors import ConfigError

PATH = Path(__file__).parent / "mechanisms.yaml"
Change = Literal["up", "down", "either", "absent", "frozen"]
CauseArea = Literal[Area, "facility"]
EVERY, ANY = "*", "any"
"""As a metric: every reading of the asset, or some one of them."""
SWITCHED = frozenset(
    {"failed", "running", "leak", "gpu_ok", "hard", "gpus_ok", "psu_ok", "up", "drained", "job_running", "breaker_closed",
     "available", "on_battery", "on_source", "wet"}
)  # fmt: skip
"""Knobs that are counted or switched: they never move gradually."""


class Move(Target):
    """A quantity of the plant that the cause sets; where in the range is fitted."""

    knob: str
    """One of plant.dynamics.knobs.FAULT_KNOBS."""
    mild: float = 1.0
    severe: float = 1.0
    relative: bool = False
    """The values multiply what stood there before."""
    gpus: int = Field(0, ge=0)
    """Of a knob of accelerators: so many of the node, the first ones; 0: all."""

    @model_validator(mode="after")
    def _within_its_knob(self) -> Move:
        found = FAULT_KNOBS.get(self.knob)
        if found is None:
            raise ValueError(f"no knob {self.knob!r}")
        if not self.relative and not all(found.low <= v <= found.high for v in (self.mild, self.severe)):
            raise ValueError(f"{self.knob} lies between {found.low:g} and {found.high:g}")
        if self.gpus and found.kinds != ("gpu",):
            raise ValueError(f"{self.knob} is no knob of single GPUs")
        return self

    @property
    def effect(self) -> Effect:
        """The same as the fault catalog writes it."""
        return Effect(
            on=self.on, most=self.most, knob=self.knob, value=(self.mild, self.severe), relative=self.relative
        )


class Expected(Target):
    """A reading that the plant model does not compute and the cause bends. Directions only: amounts differ by make."""

    metric: str
    """A metric, `*` for every reading of the asset, or `any` for one of them, whichever it is."""
    change: Change
    sure: bool = True
    """False: it often shows, and its absence says little."""


class Mechanism(Closed):
    """One way in which a cause comes about."""

    id: str
    cause: str
    """Id in knowledge/catalogs/causes.yaml."""
    area: CauseArea
    """Of the cause; the heading in the file."""
    title: str
    strikes: tuple[AssetKind, ...] = Field(min_length=1)
    names: str = "*"
    """Glob over asset names it strikes."""
    needs: tuple[str, ...] = ()
    """Targets that must be there (see plant.faults.catalog.Target)."""
    on_duty: bool = False
    """It strikes only what runs, of a redundant pair the first by name."""
    begins: Literal["at once", "slowly", "either"] = "either"
    rate: float = Field(1.0, gt=0)
    """Relative frequency, for the prior; 1 is one in a site of a thousand GPUs and a year."""
    ramps_s: tuple[Seconds, ...] = ()
    """Growth times that are tried where it begins slowly."""
    moves: tuple[Move, ...] = ()
    expects: tuple[Expected, ...] = ()

    @model_validator(mode="after")
    def _shows(self) -> Mechanism:
        if not (self.moves or self.expects):
            raise ValueError("a mechanism moves a quantity or bends a reading")
        if (self.begins == "at once") == bool(self.ramps_s):
            raise ValueError("what begins slowly needs growth times, and what begins at once has none")
        return self

    @property
    def of_one_reading(self) -> bool:
        """It is a fault of a sensor: some one reading is wrong and the plant is sound."""
        return any(expected.metric == ANY for expected in self.expects)


@lru_cache(maxsize=1)
def load_mechanisms() -> dict[str, Mechanism]:
    """All mechanisms by id, in the order of the file. Raises ConfigError where the file is wrong."""
    return read_mechanisms(PATH)


def read_mechanisms(path: Path) -> dict[str, Mechanism]:
    """A file of mechanisms. Raises ConfigError with the field and the reason."""
    raw = with_on(
        yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    )
    areas = raw if isinstance(raw, dict) else {}
    items = [{"area": area} | item for area, held in areas.items() for item in held]
    try:
        found = TypeAdapter(list[Mechanism]).validate_python(items)
    except ValidationError as error:
        first = error.errors()[0]
        place = items[int(first["loc"][0])].get("id", first["loc"][0]) if first["loc"] else ""
        field = ".".join(str(part) for part in (place, *first["loc"][1:]))
        raise ConfigError(f"{field}: {first['msg']}", where=str(path), remedy="Mend this field") from error
    named = {mechanism.id: mechanism for mechanism in found}
    if len(named) < len(found):
        ids = [mechanism.id for mechanism in found]
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ConfigError(f"mechanism {twice!r} stands twice", where=str(path), remedy="Rename one")
    return named


def places(mechanism: Mechanism, site: Site) -> list[str]:
    """Assets of the site that it can strike, by name."""
    return fitting(mechanism, site)


def inject(plant: Plant, mechanism: Mechanism, asset: str, severity: float, ramp_s: float = 0.0) -> int:
    """Put it into a running plant: each of its quantities at `severity` (0 to 1) of its range, growing over `ramp_s`.

    Targets that have no such quantity (a service that is no pool) are passed over. Returns how many quantities were
    set. Raises UsageError where a value is out of its knob's range.
    """
    done = 0
    for move in mechanism.moves:
        knob, effect = FAULT_KNOBS[move.knob], move.effect
        ramp = 0.0 if move.knob in SWITCHED else ramp_s
        for name in targets(plant.site, asset, move):
            if not _has(plant, name, knob.kinds):
                continue
            goal = goal_of(effect, severity, stands_at(plant, name, move.knob))
            goal = min(max(goal, knob.low), knob.high) if move.relative else goal
            for part in _parts(plant, name, move):
                plant.inject_knob(part, move.knob, goal, ramp)
                done += 1
    return done


def _has(plant: Plant, name: str, kinds: tuple[str, ...]) -> bool:
    kind = plant.store.rows.get(name, ("", 0))[0]
    return kind in kinds or (kinds == ("gpu",) and kind == "gpu_node")


def _parts(plant: Plant, name: str, move: Move) -> list[str]:
    """The asset, or single accelerators of it."""
    there = int(plant.number(name, "gpu_rows")) if move.gpus else 0
    return [f"{name}/gpu{k}" for k in range(min(move.gpus, there))] or [name]
