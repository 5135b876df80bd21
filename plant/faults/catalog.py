"""The catalog of faults: what can go wrong, where, how it begins, what it does and what equipment logs about it.

Everything is data in `catalog.yaml`; this module is its schema. Nothing in a fault's lines may name the fault.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from plant.closed import Closed
from plant.site import AssetKind
from plant.units import PerUnit, Seconds
from setpoint.errors import ConfigError

PATH = Path(__file__).parent / "catalog.yaml"
Priority = Literal["P0", "P1", "P2", "P3"]
Severity = Literal["info", "warning", "critical"]
Form = Literal["kernel", "syslog", "bms", "fire", "access", "alert", "health", "redfish"]
Area = Literal[
    "cooling", "power", "gpu", "host", "fabric", "storage", "inference", "software", "sensing", "security"
]
DAY_S = 86400.0
Scaled = float | tuple[float, float]
"""A number, or what it is at the least and at the greatest severity."""


def scaled(value: Scaled, severity: float) -> float:
    """The number at a severity of 0 to 1.

    >>> scaled(3.0, 0.5), scaled((1.0, 3.0), 0.5)
    (3.0, 2.0)
    """
    if isinstance(value, tuple):
        return value[0] + (value[1] - value[0]) * severity
    return value


class Target(Closed):
    """Which assets something falls on, seen from the asset that is struck."""

    on: str = "self"
    """`self`; `up KIND` all of that kind it stands on, nearest first, `parent KIND` those it stands on itself; `down KIND` all of that kind that stand on it however
    remotely, `child KIND` those that do so themselves; `any KIND` those anywhere; `peer` its redundant partner;
    `scheduler`. `a > b` takes b of each a; of alternatives parted by `|` the first that exists."""
    most: int = Field(64, ge=1)
    """At most so many assets, in the site's order."""


class Effect(Target):
    """A move of a knob of the simulated plant."""

    knob: str
    """One of plant.dynamics.knobs.FAULT_KNOBS."""
    value: Scaled = 1.0
    """What the knob is set to; with `relative`, what it is multiplied by."""
    relative: bool = False
    after_s: Seconds = 0.0


class Signal(Target):
    """What a sensor shows that the plant does not simulate, or shows wrongly."""

    metric: str
    mode: Literal["add", "times", "set", "freeze", "drop"] = "add"
    value: Scaled = 0.0
    from_s: Seconds = 0.0
    """When the change begins; negative: before the onset, as a forerunner."""
    full_s: Seconds | None = None
    """When it is complete; None: after the fault's own ramp."""


class Said(Target):
    """Lines that equipment logs. Fields beyond the common ones belong to some formats only."""

    at: Seconds
    """Seconds after the onset (after the end, for resolving lines)."""
    form: Form = Field(alias="as")
    priority: Priority
    redundant: Priority | None = None
    """The priority where the struck asset has a redundant partner."""
    say: str
    """The text, with {fields} (see plant.faults.words) and {t[metric]} for what the target's sensor shows then."""
    severity: Severity = "warning"
    program: str = "kernel"
    level: int = Field(3, ge=0, le=7)
    name: str = ""
    """Alert name, health check, or Redfish MessageId."""
    args: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    gpu: bool = False
    """The alert or check names the struck GPU."""
    metric: str = ""
    unit: str = ""
    limit: float | str | None = None
    """A number, or the name of a limit in the site file."""
    status: Literal["firing", "resolved"] = "firing"
    apart_s: Seconds = 0.2
    """Between two assets of the target."""
    times: int = Field(1, ge=1)
    every_s: Seconds = 60.0
    when: str = ""
    """A condition on the target's telemetry, `metric >= number`: the line comes when it is first met, or never."""

    @model_validator(mode="after")
    def _whole(self) -> Said:
        if self.form in ("alert", "health", "redfish") and not self.name:
            raise ValueError(f"a line of form {self.form} needs a name")
        return self


class Fault(Closed):
    """One thing that can go wrong."""

    id: str
    title: str
    area: Area
    cause: str
    """Id in knowledge/catalogs/causes.yaml."""
    strikes: tuple[AssetKind, ...] = Field(min_length=1)
    names: str = "*"
    """Glob over asset names it strikes."""
    needs: tuple[str, ...] = ()
    """Targets that must be there for it to strike: `up cdu` (a liquid-cooled rack)."""
    on_duty: bool = False
    """It strikes only what runs: of a redundant pair the first by name, as the plant starts them."""
    ramp_s: Seconds = Field(0.0, ge=0)
    """0: at once. Else from onset to full effect."""
    severity: tuple[PerUnit, PerUnit] = (0.3, 1.0)
    """Range the severity is drawn from."""
    lasts_s: tuple[Seconds, Seconds] | None = (1200.0, 3600.0)
    """From full effect to repair; None: it stays for the night."""
    touches: tuple[AssetKind, ...] = ()
    """Kinds of asset downstream that feel it."""
    detect: tuple[str, ...] = ()
    """Threshold rules (plant/faults/alerts.yaml) that a site with these sensors should see cross."""
    effects: tuple[Effect, ...] = ()
    mends: tuple[Effect, ...] = ()
    """What is done once it is over, `after_s` later, beside taking its effects back: `knob: restart` switches nodes on
    that shut themselves down."""
    signals: tuple[Signal, ...] = ()
    events: tuple[Said, ...] = ()
    resolves: tuple[Said, ...] = ()
    note: str = ""

    @field_validator("severity")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the severity range runs backwards")
        return value

    @model_validator(mode="after")
    def _does_something(self) -> Fault:
        if not (self.effects or self.signals):
            raise ValueError("a fault moves at least one quantity or sensor")
        return self

    @property
    def onset(self) -> str:
        """In words.

        >>> load_catalog()["pump_trip"].onset
        'at once'
        """
        return "at once" if self.ramp_s == 0 else f"over {_span(self.ramp_s)}"

    @property
    def lead_s(self) -> float:
        """Seconds before the onset of the first forerunner. What began days before is no forerunner but a state."""
        signals = [signal.from_s for signal in self.signals if signal.from_s > -DAY_S]
        return -min([0.0, *(said.at for said in self.events), *signals])


class Catalog(Closed):
    version: Annotated[int, Field(ge=1)]
    faults: tuple[Fault, ...]


@lru_cache(maxsize=1)
def load_catalog() -> dict[str, Fault]:
    """All faults by id, in the order of the file. Raises ConfigError where the file is wrong."""
    return {fault.id: fault for fault in read_catalog(PATH).faults}


def read_catalog(path: Path) -> Catalog:
    """A catalog file. Raises ConfigError with the fault, field and reason."""
    raw = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        catalog = Catalog.model_validate(with_on(raw))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{field}: {first['msg']}", where=str(path), remedy="Mend this field") from error
    names = [fault.id for fault in catalog.faults]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"fault {twice[0]!r} stands twice", where=str(path), remedy="Rename one")
    return catalog


def listing() -> list[dict[str, str]]:
    """What `setpoint plant faults` prints: id, title, cause, strikes, onset, touches; one row a fault."""
    return [
        {
            "id": fault.id,
            "title": fault.title,
            "cause": fault.cause,
            "strikes": ", ".join(fault.strikes),
            "onset": fault.onset,
            "touches": ", ".join(fault.touches),
        }
        for fault in load_catalog().values()
    ]


def with_on(item: object) -> object:
    """YAML 1.1 reads a bare `on:` key as true."""
    if isinstance(item, dict):
        return {("on" if key is True else key): with_on(value) for key, value in item.items()}
    return [with_on(one) for one in item] if isinstance(item, list) else item


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
