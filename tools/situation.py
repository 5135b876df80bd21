"""What a guard looks at and what it says: shared by all files of guards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from plant.diagnosis.results import Rehearsal
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from tools.actions import ActionSpec, spec_of
from tools.readings import Read, value

Rehearse = Callable[[Action], Rehearsal | None]
"""The next minutes with and without an action, from the present state; None where there is nothing to rehearse."""


def no_rehearsal(action: Action) -> None:
    """For sites that no plant model covers."""
    return None


@dataclass(frozen=True)
class Situation:
    """Everything a guard may look at."""

    action: Action
    site: Site
    now: datetime
    read: Read
    telemetry_max_age_s: float = 30.0
    done_last_hour: int = 0
    """Actions on this asset in the last hour."""
    per_asset_per_hour: int = 6
    stopped: str = ""
    """Why everything is stopped; "" while nothing is."""
    rehearse: Rehearse = no_rehearsal

    @property
    def spec(self) -> ActionSpec:
        return spec_of(self.action.name)

    def metric(self, name: str, default: float = 0.0, asset: str = "") -> float:
        return value(self.read(asset or self.action.asset), name, default)

    def arg(self, name: str) -> float:
        return float(self.action.args[name])

    def limit(self, name: str, default: float) -> float:
        return self.site.limits.get(name, default)

    def below(self, asset: str, kind: str) -> list[str]:
        """Assets of a kind that stand on this one, itself included."""
        names = (asset, *self.site.downstream(asset))
        return [name for name in names if (found := self.site.find(name)) and found.kind == kind]


@dataclass(frozen=True)
class Refusal:
    """Why not: what was found against which limit, and what to do."""

    guard: str
    what: str
    remedy: str


Guard = Callable[[Situation], Iterator[Refusal]]
