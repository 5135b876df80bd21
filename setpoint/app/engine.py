"""The live engine: inbox to triage, outbox to sinks, jobs to graphs, and the clock's duties.

Each loop looks at the ledger, does what is due, and sleeps until somebody wakes it or a moment has passed. The
ledger says what is done, so the engine may die at any instant and a new one goes on. The alert path (triage and
delivery) never awaits a model: graphs that use one run in lanes of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from setpoint.app.sinks import Sink, SinkFailed
from setpoint.contracts import Event, Quarantined
from setpoint.contracts.dispatch import Dispatch
from setpoint.errors import SafetyViolation, SetpointError, StoreLocked
from setpoint.ledger import Ledger
from setpoint.ledger.records import Accepted, Delivery, Job
from setpoint.settings import Settings

log = logging.getLogger("setpoint")
POLL_S = 0.5
"""Work that another process put in the ledger is seen after at most this long."""
DELIVERIES_AT_ONCE = 64
MAX_BACKOFF_S = 300.0
LEASE_S = 120.0

Handler = Callable[[Job], Awaitable[None]]
Listener = Callable[[str, Any], None]


@dataclass(frozen=True)
class Duties:
    """What the clock makes due. Each is called with the time and returns how much it did."""

    each_second: Sequence[Callable[[datetime], int]] = ()
    each_hour: Sequence[Callable[[datetime], int]] = ()


@dataclass(frozen=True)
class EngineParts:
    """What the composition root gives the engine."""

    settings: Settings
    ledger: Ledger
    triage: Callable[[Sequence[Event]], Awaitable[Dispatch | None]]
    sinks: Mapping[str, Sink]
    lanes: Mapping[str, tuple[str, ...]]
    """Lane name to the job kinds it works on, one at a time."""
    handlers: Mapping[str, Handler]
    duties: Duties
    listeners: list[Listener] = field(default_factory=list)


class Engine:
    """Runs until stopped. `accept` may be called at any time."""

    def __init__(self, parts: EngineParts) -> None:
        self.parts = parts
        self._ledger = parts.ledger
        self._wake: dict[str, asyncio.Event] = {}
        self._busy: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.failure: SetpointError | None = None

    async def start(self) -> None:
        """Start every loop. Unfinished work of a run before this one is taken up first."""
        loops: dict[str, Callable[[], Awaitable[float]]] = {"triage": self._triage, "delivery": self._deliver}
        for lane, kinds in self.parts.lanes.items():
            loops[lane] = lambda kinds=kinds, lane=lane: self._work(lane, kinds)  # type: ignore[misc]
        self._wake = {name: asyncio.Event() for name in loops}
        self._tasks = [asyncio.create_task(self._loop(name, step), name=name) for name, step in loops.items()]
        self._tasks.append(asyncio.create_task(self._clock(), name="clock"))

    async def stop(self) -> None:
        """Stop every loop at its next rest; what was begun and not finished stays in the ledger."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sink in self.parts.sinks.values():
            await sink.close()

    async def accept(
        self, events: Sequence[Event], bad: Sequence[Quarantined] = (), origin: str = ""
    ) -> Accepted:
        """Take events in. When this returns, they are on disk."""
        taken = await asyncio.to_thread(self._ledger.accept, events, bad, origin)
        self._tell("accepted", (taken, bad))
        self.wake("triage")
        return taken

    def wake(self, *names: str) -> None:
        """Make loops look again at once; all of them where none is named."""
        for name in names or self._wake:
            if name in self._wake:
                self._wake[name].set()

    async def drain(self, *, patience_s: float = 600.0) -> bool:
        """Wait until nothing is left to do but what waits for a person. False: patience ran out."""
        deadline = asyncio.get_running_loop().time() + patience_s
        while asyncio.get_running_loop().time() < deadline:
            if self.failure:
                raise self.failure
            if not self._busy and not await asyncio.to_thread(self._work_left):
                return True
            self.wake()
            await asyncio.sleep(0.05)
        return False

    def dead_loops(self) -> list[str]:
        """Names of loops that ended though they should run."""
        return [f"the {task.get_name()} loop has ended" for task in self._tasks if task.done()]

    # ---- loops ----------------------------------------------------------------------------------------------

    async def _loop(self, name: str, step: Callable[[], Awaitable[float]]) -> None:
        """`step` does what is due and says how long to rest; 0 means there may be more."""
        while True:
            self._wake[name].clear()
            try:
                rest = await step()
            except asyncio.CancelledError:
                raise
            except SafetyViolation as error:
                self.failure = error
                log.critical("%s stopped: %s", name, error)
                return
            except StoreLocked as error:
                log.warning("%s: %s", name, error)
                rest = 1.0
            except Exception:  # a loop must outlive any one failure; what failed is still in the ledger
                log.exception("%s: unexpected failure, going on", name)
                rest = 1.0
            finally:
                self._busy.discard(name)
            if rest:
                await _wait(self._wake[name], rest)

    async def _triage(self) -> float:
        events = await asyncio.to_thread(self._ledger.pending, self.parts.settings.triage.batch)
        if not events:
            return POLL_S
        self._busy.add("triage")
        dispatch = await self.parts.triage(events)
        self.wake("delivery", *self.parts.lanes)
        if dispatch is not None:
            self._tell("triaged", dispatch)
        return 0.0

    async def _deliver(self) -> float:
        due = await asyncio.to_thread(self._ledger.due, DELIVERIES_AT_ONCE)
        if not due:
            return POLL_S
        self._busy.add("delivery")
        results = await asyncio.gather(*(self._send(delivery) for delivery in due))
        sent = [delivery for delivery, error in zip(due, results, strict=True) if error is None]
        if sent:
            await asyncio.to_thread(self._ledger.mark_sent, [delivery.key for delivery in sent])
        for delivery, error in zip(due, results, strict=True):
            if error is not None:
                await asyncio.to_thread(self._put_off, delivery, error)
        for delivery in sent:
            self._tell("delivered", delivery)
        return 0.0

    async def _send(self, delivery: Delivery) -> str | None:
        """None where the sink accepted it, else why not."""
        sink = self.parts.sinks.get(delivery.sink)
        if sink is None:
            return "this sink is no longer configured"
        try:
            await sink.send(delivery.notice, delivery.key)
        except SinkFailed as error:
            return str(error)
        return None

    def _put_off(self, delivery: Delivery, error: str) -> None:
        pause = min(MAX_BACKOFF_S, 0.5 * 2 ** min(delivery.attempts, 12))
        retry_at = datetime.now(UTC) + timedelta(seconds=pause) if delivery.sink in self.parts.sinks else None
        self._ledger.mark_failed(delivery.key, error, retry_at)
        self._tell("delivery-failed", (delivery, error))

    async def _work(self, lane: str, kinds: tuple[str, ...]) -> float:
        job = await asyncio.to_thread(self._ledger.claim, kinds, f"{lane}-{id(self)}", LEASE_S)
        if job is None:
            return POLL_S
        self._busy.add(lane)
        beat = asyncio.create_task(self._keep(job))
        try:
            await self.parts.handlers[job.kind](job)
        except SafetyViolation:
            raise
        except (
            Exception
        ) as error:  # one job's failure must not stop its lane; the ledger keeps it for a retry
            log.exception("job %s %s failed", job.kind, job.key)
            retry_at = datetime.now(UTC) + timedelta(seconds=min(MAX_BACKOFF_S, 2.0**job.attempts))
            state = await asyncio.to_thread(
                self._ledger.fail, job, f"{type(error).__name__}: {error}", retry_at
            )
            self._tell("job-failed", (job, error, state))
        finally:
            beat.cancel()
        self.wake()
        return 0.0

    async def _keep(self, job: Job) -> None:
        """Prolong the lease while the job runs."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await asyncio.to_thread(self._ledger.heartbeat, job, LEASE_S)

    async def _clock(self) -> None:
        next_hourly = datetime.now(UTC)
        while True:
            now = datetime.now(UTC)
            duties = list(self.parts.duties.each_second)
            if now >= next_hourly:
                duties += self.parts.duties.each_hour
                next_hourly = now + timedelta(hours=1)
            for duty in duties:
                try:
                    if await asyncio.to_thread(duty, now):
                        self.wake()
                except SetpointError as error:
                    log.warning("clock: %s", error)
            await asyncio.sleep(1.0)

    def _work_left(self) -> bool:
        stats = self._ledger.stats()
        jobs = sum(n for key, n in stats.jobs_by_state.items() if key.endswith((":queued", ":running")))
        return bool(stats.events_waiting or jobs or self._ledger.due(1))

    def _tell(self, what: str, value: object) -> None:
        for listener in self.parts.listeners:
            listener(what, value)

    def tell(self, what: str, value: object) -> None:
        """Let the listeners know of something a handler did."""
        self._tell(what, value)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
