"""A real site behind the executor's seam: what the adapter file maps, joined. Reading is free; writing is off unless the
file says `write: true`.

Devices cannot remember an idempotency key, so this side does: the key is on disk before anything is written and noted as
done after. A key that was begun and not done may have moved something: `applied` says None, and it is never repeated.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from plant.jobs.schedule import ScheduledJob
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from setpoint.errors import BackendError
from tools.adapters.config import (
    AdapterFile,
    KubernetesSource,
    ModbusSource,
    NvmlSource,
    PrometheusSource,
    RedfishSource,
    load_adapters,
)
from tools.adapters.ports import Actuator, Health, Source
from tools.readings import Reading
from tools.telemetry import Series

KEPT = timedelta(days=21)
KEPT_EVERY_S = 30.0
"""Of readings that pass by, at most one in so long is kept for the history."""


class RealSite:
    """`tools.adapter.SiteAdapter` of a site that is really there, and `tools.telemetry.History` of it."""

    def __init__(
        self,
        site: Site,
        adapters: Sequence[Any],
        *,
        write: bool,
        journal: Path,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.site, self.write = site, write
        self._adapters, self._journal, self._clock, self._sleep = tuple(adapters), journal, clock, sleep
        self._keys = _read_journal(journal)
        self._turn = Lock()
        self._kept: dict[tuple[str, str], list[tuple[datetime, float]]] = {}
        self.failed: dict[str, str] = {}
        """Adapter to what its last read failed with."""

    # ---- readings ---------------------------------------------------------------------------------------------------

    def read(self, asset: str) -> Reading | None:
        """All that is known of the asset now, joined; the time is that of the oldest part. A source that fails is left out
        and named in `failed`: what only it knows is then not read, which every guard refuses."""
        found = [reading for source in self._adapters if (reading := self._from(source, asset)) is not None]
        if not found:
            return None
        values = {metric: value for reading in reversed(found) for metric, value in reading.values.items()}
        joined = Reading(asset, min(reading.time for reading in found), values)
        self._keep(joined)
        return joined

    def _from(self, source: Source, asset: str) -> Reading | None:
        try:
            reading = source.read(asset)
        except BackendError as error:
            self.failed[source.name] = str(error)
            return None
        self.failed.pop(source.name, None)
        return reading

    def check(self) -> list[Health]:
        """Each adapter reached once."""
        return [adapter.check() for adapter in self._adapters]

    def close(self) -> None:
        for adapter in self._adapters:
            adapter.close()

    def assets(self) -> list[str]:
        """All that something is mapped for."""
        return sorted({asset for source in self._adapters for asset in source.assets()})

    def jobs(self, start: datetime, end: datetime) -> list[ScheduledJob]:
        """The schedule, of the adapters that know one."""
        return [
            job for adapter in self._adapters if hasattr(adapter, "jobs") for job in adapter.jobs(start, end)
        ]

    @property
    def history(self) -> RealSite:
        """Itself: readings of the past, as the simulated sites offer them."""
        return self

    # ---- the past ---------------------------------------------------------------------------------------------------

    def metrics(self, asset: str) -> Sequence[str]:
        stored = {m for one in self._adapters if hasattr(one, "metrics") for m in one.metrics(asset)}
        return sorted(stored | {metric for name, metric in self._kept if name == asset})

    def series(self, asset: str, metric: str) -> Series | None:
        """From a store of readings where there is one, else what passed by since this process began."""
        for one in self._adapters:
            if hasattr(one, "series") and (found := one.series(asset, metric)) is not None:
                return found if isinstance(found, Series) else None
        kept = self._kept.get((asset, metric))
        if not kept:
            return None
        return Series(asset, metric, tuple(at for at, _ in kept), tuple(value for _, value in kept))

    def _keep(self, reading: Reading) -> None:
        with self._turn:
            for metric, value in reading.values.items():
                kept = self._kept.setdefault((reading.asset, metric), [])
                if kept and (reading.time - kept[-1][0]).total_seconds() < KEPT_EVERY_S:
                    continue
                kept.append((reading.time, value))
                if kept[0][0] < reading.time - 2 * KEPT:
                    del kept[: len(kept) // 2]

    # ---- acting -----------------------------------------------------------------------------------------------------

    def preview(self, action: Action) -> str:
        """What would be written, by whom. Raises BackendError where nothing can do it."""
        actuator = self._actuator(action)
        return f"{actuator.name}: {actuator.preview(action)}"

    def apply(self, action: Action, key: str) -> None:
        if not self.write:
            raise BackendError(
                f"writing to {self.site.name} is switched off; it would have been {self.preview(action)}",
                where="adapter file", remedy="Set `write: true` in the site's adapter file once you want it",
            )  # fmt: skip
        actuator = self._actuator(action)
        with self._turn:
            if key in self._keys:
                return
            self._note(key, "begun", action)
        actuator.apply(action, key)
        with self._turn:
            self._note(key, "done", action)

    def applied(self, key: str) -> bool | None:
        state = self._keys.get(key)
        return None if state == "begun" else state == "done"

    def settle(self, seconds: float) -> None:
        self._sleep(seconds)

    def _actuator(self, action: Action) -> Actuator:
        for adapter in self._adapters:
            if hasattr(adapter, "can") and adapter.can(action):
                found: Actuator = adapter
                return found
        raise BackendError(
            f"no adapter of {self.site.name} can {action.name} on {action.asset}",
            remedy="Map it in the adapter file, or do it by hand",
        )

    def _note(self, key: str, state: str, action: Action) -> None:
        """On disk before it counts."""
        line = {
            "key": key,
            "state": state,
            "at": self._clock().isoformat(),
            "action": action.name,
            "asset": action.asset,
        }
        self._journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BackendError(f"cannot be written: {error.strerror}", where=str(self._journal),
                               remedy="Free some space; nothing was moved") from error  # fmt: skip
        self._keys[key] = state


def _read_journal(path: Path) -> dict[str, str]:
    """The last state of each key; a torn last line is of an action that was not begun."""
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            found[str(row["key"])] = str(row["state"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def open_real_site(site: Site, path: Path, store: Path, clock: Callable[[], datetime]) -> RealSite:
    """The site behind its adapter file. Raises ConfigError, and BackendError where a secret is missing."""
    file = load_adapters(path, site)
    return RealSite(
        site, make_adapters(file, clock), write=file.write, journal=store / "adapter-keys.jsonl", clock=clock
    )


def make_adapters(file: AdapterFile, clock: Callable[[], datetime]) -> list[Any]:
    """Each adapter of the file; nothing is reached yet."""
    return [_make(config, clock) for config in file.adapters]


def _make(config: Any, clock: Callable[[], datetime]) -> Any:
    if isinstance(config, PrometheusSource):
        from tools.adapters.prometheus import Prometheus

        return Prometheus(config, clock)
    if isinstance(config, RedfishSource):
        from tools.adapters.redfish import Redfish

        return Redfish(config, clock)
    if isinstance(config, KubernetesSource):
        from tools.adapters.kubernetes import Kubernetes

        return Kubernetes(config, clock)
    if isinstance(config, ModbusSource):
        from tools.adapters.modbus import Modbus

        return Modbus(config, clock)
    if isinstance(config, NvmlSource):
        from tools.adapters.nvml import Nvml

        return Nvml(config, clock)
    from tools.adapters.slurm import Slurm

    return Slurm(config, clock)
