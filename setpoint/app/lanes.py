"""Lanes: who works on the ledger's jobs. They have an event loop and a thread of their own, so that what an analysis
computes never stands before an alert, and they hold back in proportion to what the alert path has to do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from setpoint.app.loopthread import LoopThread
from setpoint.app.pressure import Pressure
from setpoint.errors import SafetyViolation, SetpointError, StoreLocked
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job

log = logging.getLogger("setpoint")
POLL_S = 0.5
"""Work that another process put in the ledger is seen after at most this long."""
MAX_BACKOFF_S = 300.0
LEASE_S = 120.0
LONGEST_REST_S = 10.0
"""However busy the alert path is, a waiting analysis gets its turn after this long."""
YIELD = 4.0
"""How much a lane rests for each second of work, times the alert path's odds of being busy."""

Handler = Callable[[Job], Awaitable[None]]


@dataclass(frozen=True)
class LaneParts:
    """What lanes need from outside."""

    ledger: Ledger
    lanes: Mapping[str, tuple[str, ...]]
    """Lane name to the job kinds it works on, one at a time."""
    patient: frozenset[str]
    """Lanes that give way to the alert path. The others serve a person who has decided."""
    handlers: Mapping[str, Handler]
    open: Callable[[], Awaitable[None]]
    """Called on the lanes' loop before the first job, for what must live there."""
    close: Callable[[], Awaitable[None]]


class Lanes:
    """Runs until stopped. `wake` and `busy` may be used from any thread."""

    def __init__(self, parts: LaneParts, pressure: Pressure, tell: Callable[[str, Any], None]) -> None:
        self._parts, self._pressure, self._tell = parts, pressure, tell
        self._there = LoopThread("lanes")
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.busy: set[str] = set()
        self.failure: SetpointError | None = None
        self.held = False
        """No job is taken meanwhile."""

    async def start(self) -> None:
        """Start the thread, what lives on its loop, and every lane."""
        self._there.start()
        await self._there.run(self._open())

    async def stop(self) -> None:
        """Stop every lane; a job that was begun stays in the ledger."""
        if self._tasks:
            await self._there.run(self._close())
        await self._there.stop()

    def wake(self) -> None:
        """Make every lane look for work at once."""
        self._there.call(self._set_all)

    def dead(self) -> list[str]:
        """Names of lanes that ended though they should run."""
        return [task.get_name() for task in self._tasks if task.done()]

    async def _open(self) -> None:
        await self._parts.open()
        self._wakes = {name: asyncio.Event() for name in self._parts.lanes}
        self._tasks = [asyncio.create_task(self._lane(name), name=name) for name in self._parts.lanes]

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._parts.close()

    def _set_all(self) -> None:
        for event in self._wakes.values():
            event.set()

    async def _lane(self, name: str) -> None:
        while True:
            self._wakes[name].clear()
            rest_s = 1.0
            try:
                rest_s = await self._turn(name)
            except SafetyViolation as error:
                self.failure = error
                log.critical("%s stopped: %s", name, error)
                return
            except StoreLocked as error:
                log.warning("%s: %s", name, error)
            except Exception:  # a lane must outlive any one failure; the job is still in the ledger
                log.exception("%s: unexpected failure, going on", name)
            finally:
                self.busy.discard(name)
            if rest_s:
                await wait_for(self._wakes[name], rest_s)

    async def _turn(self, name: str) -> float:
        """Take one job and do it. Returns how long to rest; 0 means there may be more."""
        if self.held:
            return POLL_S
        ledger = self._parts.ledger
        job = await asyncio.to_thread(ledger.claim, self._parts.lanes[name], f"{name}-{id(self)}", LEASE_S)
        if job is None:
            return POLL_S
        self.busy.add(name)
        began = time.monotonic()
        await self._do(job)
        self._set_all()
        if name in self._parts.patient:
            await asyncio.sleep(self._rest_s(time.monotonic() - began))
        return 0.0

    def _rest_s(self, worked_s: float) -> float:
        share = min(0.95, self._pressure.share())
        return min(LONGEST_REST_S, worked_s * YIELD * share / (1.0 - share))

    async def _do(self, job: Job) -> None:
        beat = asyncio.create_task(self._keep(job))
        try:
            await self._parts.handlers[job.kind](job)
        except SafetyViolation:
            raise
        except Exception as error:  # one job's failure must not stop its lane; it is tried again
            log.exception("job %s %s failed", job.kind, job.key)
            retry_at = datetime.now(UTC) + timedelta(seconds=min(MAX_BACKOFF_S, 2.0**job.attempts))
            why = f"{type(error).__name__}: {error}"
            state = await asyncio.to_thread(self._parts.ledger.fail, job, why, retry_at)
            self._tell("job-failed", (job, error, state))
        finally:
            beat.cancel()

    async def _keep(self, job: Job) -> None:
        """Prolong the lease while the job runs."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await asyncio.to_thread(self._parts.ledger.heartbeat, job, LEASE_S)


async def wait_for(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event is set, or so long."""
    try:
        # Not asyncio.wait_for: on Python 3.11 it swallows a cancellation that comes with the event, and the loop
        # that was to end goes on for ever.
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
