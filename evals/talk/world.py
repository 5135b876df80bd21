"""The world that chat tasks are asked in: one night played through the real product, and its plant behind the tools.

The site is the demo's under names that another hand chose before seeing it (`svc-chat-70b`, `leaf-1`, `pdu-2`), so that
nothing which only knows the demo's own names passes here. The ledger is what `setpoint run` leaves of the night's lines
with every decision still waiting; readings, history and what-ifs come from the night's own plant, on the night's clock.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import Any

from agents.operator import Tool
from agents.operator_tools import Stores, Typed, operator_tools
from evals.playing import DEMO_SITE
from knowledge.index import Index
from plant.faults.catalog import load_catalog
from plant.faults.night import Night, compose
from plant.faults.place import FaultPlan
from setpoint.contracts import Incident
from setpoint.contracts.site import Site, load_site
from setpoint.errors import BackendError
from setpoint.ledger import Ledger
from tools.night_site import NightSite

HOURS = 1.25
PROGRAMME = (
    ("clogged_filter", "cdu-2", 600.0), ("storage_latency", "storage-1", 1000.0), ("pump_trip", "cdu-1-pump-a", 1500.0),
    ("gpu_off_bus", "gpu-19", 2600.0), ("rack_leak", "r-05", 3200.0),
)  # fmt: skip
"""(fault, what it strikes, second of the night)."""
PATIENCE_S = 180.0
_NAMES = (
    ("ib-leaf-", "leaf-"),
    ("ib-spine-", "spine-"),
    ("store-1", "storage-1"),
    ("pool-chat", "svc-chat-70b"),
)
_ID = re.compile(r"\bINC-([0-9A-Z]{8})\b")


@dataclass(frozen=True)
class World:
    """One played night. Nothing that is asked may change it."""

    site: Site
    ledger: Ledger
    live: NightSite
    index: Index

    @cached_property
    def tools(self) -> Mapping[str, Tool]:
        """The product's own reading tools over this night. The same call gives the same, so it is made once."""
        stores = Stores(self.site, self.ledger, lambda: self.index, self.live, lambda: self.live.now)
        return {name: _once_each(tool) for name, tool in operator_tools(stores).items()}

    @cached_property
    def incidents(self) -> tuple[Incident, ...]:
        """The open ones that matter, most urgent first."""
        found = self.ledger.list_incidents(states=("open", "acknowledged"), priorities=("P0", "P1", "P2"))
        return tuple(found)

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same after any conversation: the head of the audit chain, every count of the ledger, and all
        that was done to the plant."""
        counts = self.ledger.stats().model_dump(mode="json", exclude={"latency"})
        acts = [str(action) for _, action in self.live.acts]
        return {"audit": self.ledger.verify_chain().model_dump(mode="json"), "counts": counts, "acts": acts}


class _Kept(Typed):
    """A typed tool that is asked once each; a model is still shown its schema."""

    def __init__(self, tool: Typed) -> None:
        super().__init__(tool.tool)
        self._asked = _once_each(super().__call__)

    def __call__(self, **args: Any) -> Any:
        return self._asked(**args)


def _once_each(tool: Tool) -> Tool:
    if isinstance(tool, Typed):
        return _Kept(tool)
    kept: dict[str, Any] = {}

    @wraps(tool)
    def call(**args: Any) -> Any:
        key = json.dumps(args, sort_keys=True)
        if key not in kept:
            kept[key] = tool(**args)
        return deepcopy(kept[key])

    return call


@cache
def world(seed: int) -> World:
    """The night of this seed, played once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="setpoint-chat-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "site.yaml"
    path.write_text(renamed(DEMO_SITE.read_text(encoding="utf-8")), encoding="utf-8")
    site = load_site(path)
    night = _night(site, seed)
    _play(night, path, folder)
    live = NightSite(night, lambda: live.now)
    live.pass_to(night.events[-1].time)
    ledger = Ledger.open(folder / "store" / "ledger.db")
    atexit.register(ledger.close)
    index = Index.open(folder / "store" / "knowledge")
    atexit.register(index.close)
    return World(site, ledger, live, index)


def renamed(site: str) -> str:
    """The demo's site file under the tasks' names. PDUs are numbered through: A and B of rack 1 are 1 and 2."""
    for old, new in _NAMES:
        site = re.sub(rf"(?<![\w-]){re.escape(old)}", new, site)
    return re.sub(r"\bpdu-0(\d)([ab])\b", lambda m: f"pdu-{2 * int(m[1]) - (m[2] == 'a')}", site)


def with_real_ids(text: str, written: tuple[str, ...], incidents: tuple[Incident, ...]) -> str:
    """Incident ids that a task's author made up become ids of this night, in their order, however they are written."""
    for number, old in enumerate(written):
        new = incidents[number % len(incidents)].id.removeprefix("INC-")
        text = re.sub(re.escape(old), lambda m, new=new: new.lower() if m[0].islower() else new, text, flags=re.IGNORECASE)  # type: ignore[misc]  # fmt: skip
    return text


def made_up_ids(text: str) -> tuple[str, ...]:
    """What stands behind INC- in it, each once."""
    return tuple(dict.fromkeys(_ID.findall(text)))


def _night(site: Site, seed: int) -> Night:
    catalog = load_catalog()
    plans = [FaultPlan(catalog[name], asset, at_s, 0.6) for name, asset, at_s in PROGRAMME]
    return compose(site, seed, HOURS, plans)


def _play(night: Night, site: Path, folder: Path) -> None:
    """Through the command line, since that is the product. Evals may not import the app, which sits above them."""
    lines = folder / "events.log"
    lines.write_text("\n".join(line.text for line in night.events) + "\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "setpoint.app", "run", str(lines), "--site", str(site), "--store", str(folder / "store"),
        "--keep", "--decide", "ask", "--output", "json", "--set", "models.light.kind=none", "--set", "models.heavy.kind=none",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=dict(os.environ))
    if ran.returncode not in (0, 4):  # 4: actions wait for a decision, as they should
        raise BackendError(
            f"the night could not be played: {ran.stderr.strip()[-300:]}", where=" ".join(command)
        )
