"""How each cause of the root-cause catalog would show: what it moves in the plant, and which readings it bends."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from plant.closed import Closed
from plant.faults.catalog import Target
from plant.site import AssetKind
from plant.units import Seconds

PATH = Path(__file__).parent / "mechanisms.yaml"
Change = Literal["up", "down", "absent", "frozen"]


class Move(Target):
    """A quantity of the plant that the cause sets; where in the range is fitted."""

    knob: str
    """One of plant.dynamics.knobs.FAULT_KNOBS."""
    mild: float = 1.0
    severe: float = 1.0
    relative: bool = False
    """The values multiply what stood there before."""


class Expected(Target):
    """A reading that the plant model does not compute and the cause bends. Directions only: amounts differ by make."""

    metric: str
    change: Change
    sure: bool = True
    """False: it often shows, and its absence says little."""


class Mechanism(Closed):
    """One way in which a cause comes about."""

    id: str
    cause: str
    """Id in knowledge/catalogs/causes.yaml."""
    title: str
    strikes: tuple[AssetKind, ...] = Field(min_length=1)
    needs: tuple[str, ...] = ()
    """Targets that must be there (see plant.faults.catalog.Target)."""
    on_duty: bool = False
    begins: Literal["at once", "slowly", "either"] = "either"
    rate: float = Field(1.0, gt=0)
    """Relative frequency, for the prior; 1 is one in a site of a thousand GPUs and a year."""
    ramps_s: tuple[Seconds, ...] = ()
    """Growth times that are tried where it begins slowly."""
    moves: tuple[Move, ...] = ()
    expects: tuple[Expected, ...] = ()


def load_mechanisms() -> dict[str, Mechanism]:
    """All mechanisms by id. Raises ConfigError where the file is wrong."""
    raise NotImplementedError
