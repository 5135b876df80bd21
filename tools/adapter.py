"""The seam between Setpoint and what moves a site. Real sites get an adapter each; this is the simulated one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Protocol

from plant.sim import Plant
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from setpoint.errors import BackendError
from tools.readings import Reading
from tools.recorded import PlantHistory

CATCH_UP_MAX_S = 3600.0
"""After a long sleep the plant is advanced by at most this much."""


class SiteAdapter(Protocol):
    """What the executor needs from a site. Implementations hold the actuator credentials; nothing else does."""

    def read(self, asset: str) -> Reading | None:
        """Latest reading with the time it was taken; None where there is no telemetry of the asset."""

    def apply(self, action: Action, key: str) -> None:
        """Do it. `key` is the idempotency key; a site that can remember it applies each key once.

        Raises BackendError where the site did not accept it.
        """

    def applied(self, key: str) -> bool | None:
        """Whether this key was applied; None where the site cannot tell."""

    def settle(self, seconds: float) -> None:
        """Return once the readings can show the effect."""


class SimulatedSite:
    """The simulated plant behind the adapter. It is written to `path` after every change, whole or not at all.

    `history` holds what it read as plant time passed, up to two hours; it is not written down, and begins anew with
    the process.
    """

    def __init__(self, site: Site, clock: Callable[[], datetime], path: Path | None = None) -> None:
        self.site, self._clock, self._path = site, clock, path
        self._lock = RLock()
        self.plant = self._load() or Plant.start(site, clock())
        self.history = PlantHistory(self.plant, self._refreshed)
        self.history.take(self.plant)

    def twin(self) -> Plant:
        """A copy of the plant as it is now, to try things on."""
        with self._lock:
            self._catch_up()
            return self.plant.copy()

    def read(self, asset: str) -> Reading | None:
        with self._lock:
            now = self._catch_up()
            if self.site.find(asset) is None:
                return None
            reading = self.plant.telemetry(asset)
            # Plant time may run ahead after settling; what matters is how long ago it was read.
            stamp = now - (self.plant.now - reading.time)
            return Reading(reading.asset, stamp, reading.values) if reading.values else None

    def apply(self, action: Action, key: str) -> None:
        with self._lock:
            self._catch_up()
            self.plant.apply(action.name, action.asset, action.args, key)
            self._save()

    def applied(self, key: str) -> bool | None:
        return key in self.plant.journal

    def settle(self, seconds: float) -> None:
        with self._lock:
            self._advance(seconds)
            self._save()

    def inject(self, fault: str, asset: str, **values: float) -> None:
        """Start a fault of plant.sim.FAULTS, for demos and tests."""
        with self._lock:
            self._catch_up()
            self.plant.inject(fault, asset, **values)
            self._save()

    def _catch_up(self) -> datetime:
        now = self._clock()
        behind_s = (now - self.plant.now).total_seconds()
        if behind_s > CATCH_UP_MAX_S:
            self.plant.skip_to(now - timedelta(seconds=CATCH_UP_MAX_S))
            self._advance(CATCH_UP_MAX_S)
        elif behind_s > 0:
            self._advance(behind_s)
        return now

    def _advance(self, seconds: float) -> None:
        """Let plant time pass, with a row of the history whenever one is due."""
        end = self.plant.now + timedelta(seconds=seconds)
        while (left_s := (end - self.plant.now).total_seconds()) > 1e-9:
            due_s = self.history.due_s(self.plant)
            if due_s > 0:
                self.plant.advance(min(left_s, due_s))
            if self.history.due_s(self.plant) <= 1e-9:
                self.history.take(self.plant)

    def _refreshed(self) -> datetime:
        with self._lock:
            return self._catch_up()

    def _load(self) -> Plant | None:
        if self._path is None or not self._path.exists():
            return None
        try:
            return Plant.from_dict(self.site, json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError) as error:
            raise BackendError(
                f"the simulated plant's state cannot be read: {error}", where=str(self._path),
                remedy="Remove the file; the plant starts afresh",
            ) from error  # fmt: skip

    def _save(self) -> None:
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(self.plant.to_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            raise BackendError(
                f"cannot write the simulated plant: {error.strerror}", where=str(self._path)
            ) from error
