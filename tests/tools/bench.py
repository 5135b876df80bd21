"""One workbench for tests of actions: the demo site, a simulated plant, a real ledger, a clock to turn."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from plant.sim import Plant
from setpoint.contracts import Action
from setpoint.contracts.site import Site, load_site
from setpoint.ledger import Ledger
from setpoint.settings import ActSettings
from tools.actions import validate
from tools.adapter import SimulatedSite
from tools.executor import Executor, Order
from tools.guards import Situation
from tools.stop import StopSwitch
from tools.tokens import Grant, Signer, limits_version, new_nonce

NIGHT = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
DEMO = Path(__file__).parents[2] / "plant" / "sites" / "demo.yaml"
INCIDENT = "INC-0001"


@dataclass
class Clock:
    now: datetime = NIGHT

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@cache
def quiet_plant() -> str:
    """The demo site in its quiet state: it takes a tenth of a second to reach, so it is reached once."""
    return json.dumps(Plant.start(load_site(DEMO), NIGHT).to_dict())


def action(name: str, asset: str, **args: float | str) -> Action:
    return Action(name=name, asset=asset, args=dict(args))


@dataclass
class Bench:
    """Everything an executor needs, on disk under one folder."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    settings: ActSettings = field(default_factory=lambda: ActSettings(dry_run=False))
    site: Site = field(default_factory=lambda: load_site(DEMO))

    def __post_init__(self) -> None:
        if not (self.folder / "plant.json").exists() and self.clock.now == NIGHT:
            (self.folder / "plant.json").write_text(quiet_plant())
        self.adapter = SimulatedSite(self.site, self.clock, self.folder / "plant.json")
        self.ledger = Ledger.open(self.folder / "ledger.db")
        self.signer = Signer.open(self.folder)
        self.stop = StopSwitch(self.folder / "STOP")

    @property
    def plant(self) -> Plant:
        return self.adapter.plant

    def executor(self, **changes: object) -> Executor:
        ports = {
            "site": self.site, "adapter": self.adapter, "ledger": self.ledger, "signer": self.signer,
            "stop": self.stop, "settings": self.settings, "clock": self.clock,
        }  # fmt: skip
        return Executor(**(ports | changes))  # type: ignore[arg-type]

    def situation(self, wanted: Action, **changes: object) -> Situation:
        values = {
            "action": validate(wanted, self.site),
            "site": self.site,
            "now": self.clock(),
            "read": self.adapter.read,
        }
        return Situation(**(values | changes))  # type: ignore[arg-type]

    def grant(self, wanted: Action, **changes: object) -> Grant:
        values = {
            "digest": wanted.digest(INCIDENT), "incident_id": INCIDENT, "review_id": "REV-1",
            "limits_version": limits_version(self.site), "expires": self.clock() + timedelta(minutes=15),
            "nonce": new_nonce(), "approvers": ("alice",), "simulated": False,
        }  # fmt: skip
        return Grant(**(values | changes))  # type: ignore[arg-type]

    def order(self, wanted: Action, **changes: object) -> Order:
        """Approved, as the review would hand it over."""
        known = validate(wanted, self.site)
        token = self.signer.mint(self.grant(known))
        values = {
            "action_id": "ACT-1",
            "incident_id": INCIDENT,
            "review_id": "REV-1",
            "action": known,
            "token": token,
        }
        return Order(**(values | changes))  # type: ignore[arg-type]

    def reading(self, asset: str, metric: str) -> float:
        found = self.adapter.read(asset)
        assert found is not None
        return found.values[metric]
