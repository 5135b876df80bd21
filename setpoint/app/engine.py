"""The live engine: the door, triage, delivery, and the clock's duties. Jobs have lanes of their own.

Each loop looks at the ledger, does what is due, and sleeps until somebody wakes it or a moment has passed. The
ledger says what is done, so the engine may die at any instant and a new one goes on. The alert path (door, triage,
delivery) never awaits a model, and shares neither an event loop nor a thread with what does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from setpoint.app.arrivals import Door, Handover
from setpoint.app.delivery import Deliverer
from setpoint.app.lanes import POLL_S, LaneParts, Lanes, wait_for
from setpoint.app.loopthread import LoopThread
from setpoint.app.pressure import Pressure
from setpoint.app.sinks import Sink
from setpoint.contracts import Event, Notice, Quarantined
from setpoint.contracts.dispatch import Dispatch
from setpoint.errors import SafetyViolation, SetpointError
from setpoint.ledger import Ledger
from setpoint.ledger.records import Accepted
from setpoint.settings import Settings

log = logging.getLogger("setpoint")
TELL_FIRST_S = 0.1
CALM = 0.2
"""Share of the last seconds that the alert path may have been busy for its moment to count as calm."""

Listener = Callable[[str, Any], None]
Course = Literal["live", "pipe", "files"]
"""How a run takes what comes in. Live: what looks critical is ranked first. Pipe: in the order it came, at once. Files:
in their order, in batches that are full, and analyses begin when all is ranked, so that the same files give the same."""


@dataclass(frozen=True)
class Duty:
    """What the clock makes due. It is called with the time and returns how much it did."""

    every_s: float
    call: Callable[[datetime], int]


@dataclass(frozen=True)
class EngineParts:
    """What the composition root gives the engine."""

    settings: Settings
    ledger: Ledger
    triage: Callable[[Sequence[Event]], Coroutine[Any, Any, Dispatch | None]]
    """Called on a loop of its own, one batch at a time."""
    sinks: Mapping[str, Sink]
    lanes: LaneParts
    duties: Sequence[Duty]
    listeners: list[Listener] = field(default_factory=list)
    course: Course = "live"


class Engine:
    """Runs until stopped. `accept` may be called at any time, on the loop that started the engine."""

    def __init__(self, parts: EngineParts) -> None:
        self.parts = parts
        self._ledger = parts.ledger
        self._handover = Handover()
        self._door = Door(parts.ledger, self._handover)
        self._pressure = Pressure()
        self._judge = LoopThread("triage")
        """Ranking a batch takes tens of milliseconds; the door and the sinks must not stand still meanwhile."""
        self._lanes = Lanes(parts.lanes, self._pressure, self.tell)
        self._lanes.held = parts.course == "files"
        self._more_comes = parts.course == "files"
        self._wake: dict[str, asyncio.Event] = {}
        self._busy: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._deliverer = Deliverer(
            parts.ledger, parts.sinks, self._pressure, self.tell, lambda: self.wake("delivery")
        )
        self._home: asyncio.AbstractEventLoop | None = None
        self._failure: SetpointError | None = None
        self.troubles: dict[str, str] = {}
        """Loop name to what its last turn failed with; empty when all is well."""

    @property
    def failure(self) -> SetpointError | None:
        """A broken safety invariant: a loop stopped for it."""
        return self._failure or self._lanes.failure

    def link_notices(self, link: Callable[[Notice], str]) -> None:
        """From now on each notice leads to that page."""
        self._deliverer.link = link

    async def start(self) -> None:
        """Start every loop. Unfinished work of a run before this one is taken up first."""
        self._home = asyncio.get_running_loop()
        self._judge.start()
        await self._lanes.start()
        loops: dict[str, Callable[[], Awaitable[float]]] = {"triage": self._triage, "delivery": self._deliver}
        self._wake = {name: asyncio.Event() for name in loops}
        self._tasks = [asyncio.create_task(self._loop(name, step), name=name) for name, step in loops.items()]
        self._tasks.append(asyncio.create_task(self._clock(), name="clock"))

    async def stop(self) -> None:
        """Stop every loop at its next rest; what was begun and not finished stays in the ledger."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._deliverer.stop()
        await self._judge.stop()
        await self._lanes.stop()

    async def accept(
        self, events: Sequence[Event], bad: Sequence[Quarantined] = (), origin: str = ""
    ) -> Accepted:
        """Take events in. When this returns, they are on disk."""
        taken = await self._door.accept(events, bad, origin)
        self._tell("accepted", (taken, bad))
        self.wake("triage")
        return taken

    def wake(self, *names: str) -> None:
        """Make loops look again at once ("triage", "delivery", "lanes"); all of them where none is named."""
        for name in names or (*self._wake, "lanes"):
            if name == "lanes":
                self._lanes.wake()
            elif name in self._wake and self._home is not None:
                self._home.call_soon_threadsafe(self._wake[name].set)

    async def drain(self, *, patience_s: float = 600.0) -> bool:
        """Wait until nothing is left to do but what waits for a person. False: patience ran out.

        Whoever calls it has no more events for now, so nothing waits for its incident to be quiet.
        """
        self._more_comes = False
        deadline = asyncio.get_running_loop().time() + patience_s
        while asyncio.get_running_loop().time() < deadline:
            if self.failure:
                raise self.failure
            if not (self._busy or self._deliverer.busy or self._lanes.busy) and not await asyncio.to_thread(
                self._work_left
            ):
                return True
            self.wake()
            await asyncio.sleep(0.05)
        return False

    @property
    def calm(self) -> bool:
        """Little has come in of late: a good moment for upkeep."""
        return self._pressure.share() < CALM

    def dead_loops(self) -> list[str]:
        """Names of loops that ended though they should run."""
        dead = [task.get_name() for task in self._tasks if task.done()] + self._lanes.dead()
        return [f"the {name} loop has ended" for name in dead]

    # ---- loops ----------------------------------------------------------------------------------------------

    async def _loop(self, name: str, step: Callable[[], Awaitable[float]]) -> None:
        """`step` does what is due and says how long to rest; 0 means there may be more."""
        while True:
            self._wake[name].clear()
            rest_s = 1.0
            try:
                rest_s = await step()
            except SafetyViolation as error:
                self._failure = error
                log.critical("%s stopped: %s", name, error)
                return
            except SetpointError as error:
                self.troubles[name] = str(error)
                log.warning("%s: %s", name, error)
            except (
                Exception
            ) as error:  # a loop must outlive any one failure; what failed is still in the ledger
                self.troubles[name] = f"{type(error).__name__}: {error}"
                log.exception("%s: unexpected failure, going on", name)
            else:
                self.troubles.pop(name, None)
            finally:
                self._busy.discard(name)
            if rest_s:
                await wait_for(self._wake[name], rest_s)

    async def _triage(self) -> float:
        limit = self.parts.settings.triage.batch
        events = await (self._most_urgent(limit) if self.parts.course == "live" else self._in_order(limit))
        if not events:
            return POLL_S
        self._busy.add("triage")
        with self._pressure.working():
            dispatch = await self._judge.run(self.parts.triage(events))
        if dispatch is None:
            return 0.0
        if dispatch.notices:
            self.wake("delivery")
        if dispatch.jobs or dispatch.reviews:
            self.wake("lanes")
        self._tell("triaged", dispatch)
        return 0.0

    async def _most_urgent(self, limit: int) -> list[Event]:
        if not self._handover.urgent:
            await self._let_tell()
        events = self._handover.take(limit)
        if not events:
            events = await asyncio.to_thread(self._ledger.pending, limit)
            self._handover.given_out(events)
        return events

    async def _in_order(self, limit: int) -> list[Event]:
        """Of files only whole batches while more comes: where a batch ends must not be a matter of moments."""
        whole = self._more_comes
        events = await asyncio.to_thread(self._ledger.pending, limit)
        if whole and len(events) < limit:
            return []
        self._handover.given_out(events)
        return events

    async def _let_tell(self) -> None:
        """What was found critical is told before the routine is ranked. A sink that hangs delays it by a moment only."""
        deadline = asyncio.get_running_loop().time() + TELL_FIRST_S
        while self._deliverer.telling and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
            if self._handover.urgent:
                return

    async def _deliver(self) -> float:
        await self._deliverer.turn()
        return POLL_S

    # ---- the clock ------------------------------------------------------------------------------------------

    async def _clock(self) -> None:
        due_at = dict.fromkeys(self.parts.duties, datetime.now(UTC))
        while True:
            now = datetime.now(UTC)
            for duty in [duty for duty, at in due_at.items() if now >= at]:
                due_at[duty] = now + timedelta(seconds=duty.every_s)
                await self._do_duty(duty.call, now)
            await asyncio.sleep(1.0)

    async def _do_duty(self, duty: Callable[[datetime], int], now: datetime) -> None:
        try:
            if await asyncio.to_thread(duty, now):
                self.wake()
        except SetpointError as error:
            log.warning("clock: %s", error)
        except Exception:  # the clock must outlive one duty's defect
            log.exception("clock: unexpected failure, going on")

    def _work_left(self) -> bool:
        stats = self._ledger.stats()
        if not stats.events_waiting:
            self._ledger.hasten_jobs()
            self._lanes.held = False
        jobs = sum(n for key, n in stats.jobs_by_state.items() if key.endswith((":queued", ":running")))
        return bool(stats.events_waiting or jobs or self._ledger.due(1))

    # ---- listeners ------------------------------------------------------------------------------------------

    def tell(self, what: str, value: object) -> None:
        """Let the listeners know of something. From any thread; they hear it on the engine's loop, in order."""
        if self._home is None or self._home.is_closed():
            self._tell(what, value)
        else:
            self._home.call_soon_threadsafe(self._tell, what, value)

    def _tell(self, what: str, value: object) -> None:
        for listener in self.parts.listeners:
            listener(what, value)
