"""Control loops at work in a run: their cycles as jobs of a lane of their own, from the site's readings to its queue.

A cycle is a job (`loop`, key: the cycle's id). While its proposals wait it holds nobody up: the thread waits on disk, and
the job comes again once the last of them is decided and done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
from langgraph.checkpoint.base import BaseCheckpointSaver

from agents.explainer import Writer
from graphs.control_loop import build_control_loop, run_cycle
from graphs.cycle import CyclePorts, Put, Settled, next_turn
from setpoint.app import adapters
from setpoint.app.lanes import Handler
from setpoint.app.loop_asking import AskParts, cycle_id, ended, is_cycle, loop_of, put
from setpoint.app.trials import PlantTrials
from setpoint.autonomy.gate import Gate
from setpoint.contracts import Action, ActionProposal, Event
from setpoint.contracts.loops import LOOPS, Cycle, Foreseen, LoopName
from setpoint.errors import SetpointError
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job
from setpoint.settings import Settings
from tools import guards
from tools.adapter import SiteAdapter
from tools.loops.ports import Loop, LoopPorts, make_loop
from tools.stop import StopSwitch
from tools.telemetry import History

LANE = "loop lane"
ATTEMPTS = 3
"""A cycle that fails so often is given up; the next one plans anew."""
AVERAGED_S = 300.0
"""What was foreseen for a moment is held against the mean of so much before it: a forecast is a mean of its step."""
_ID_TIME = "%Y%m%dT%H%M%SZ"
_LOG = logging.getLogger("setpoint.loops")


@dataclass(frozen=True)
class LoopsParts:
    """What the loops of one run stand on."""

    settings: Settings
    ledger: Ledger
    reach: LoopPorts
    adapter: SiteAdapter
    gate: Gate
    trials: PlantTrials
    stop: StopSwitch
    wake: Callable[[], None]
    """Makes the lanes and triage look for work."""
    tell: Callable[[str, Any], None]
    writer: Writer | None = None
    make: Callable[[LoopName, LoopPorts], Loop] = make_loop
    expires: bool = True
    """False in simulated time: a question waits until a newer plan takes it back."""


class Loops:
    """The loops of one run. Its jobs are done one at a time, on the lanes' event loop."""

    def __init__(self, parts: LoopsParts, names: Sequence[LoopName] = ()) -> None:
        self._parts, self._ledger, self.names = parts, parts.ledger, tuple(names)
        self._made: dict[LoopName, Loop] = {}
        self._impossible: set[LoopName] = set()
        self._turn = Lock()

    def open(self, saver: BaseCheckpointSaver[Any]) -> None:
        """Call it on the loop of the lanes, before the first job."""
        self._graph = build_control_loop(saver)

    @property
    def handlers(self) -> dict[str, Handler]:
        """By job kind."""
        return {"loop": self._do}

    def loop(self, name: LoopName) -> Loop:
        """The loop, with what an earlier process learned. From any thread."""
        with self._turn:
            if name not in self._made:
                made = self._parts.make(name, self._parts.reach)
                memory = self._ledger.loop_memory(name)
                if memory is not None:
                    made.restore(memory.learned)
                self._made[name] = made
            return self._made[name]

    # ---- turns ------------------------------------------------------------------------------------------------------

    def begin(self, name: LoopName) -> str:
        """Queue a cycle of this moment. Returns its id."""
        at = self._parts.reach.clock().astimezone(UTC).replace(microsecond=0)
        made = cycle_id(name, at)
        self._enqueue(made)
        return made

    def turn(self, _now: datetime) -> int:
        """A duty of the clock: queue the cycles that are due, and those whose proposals are over. Returns how many. A loop
        that this site cannot have is said once, and the others turn."""
        count = self.go_on()
        for name in self.names:
            try:
                count += self._begin_if_due(name)
            except SetpointError as error:
                if name not in self._impossible:
                    _LOG.warning("the %s loop does not turn: %s", name, error)
                self._impossible.add(name)
        return count

    def _begin_if_due(self, name: LoopName) -> bool:
        at_work = self._ledger.list_jobs(kinds=("loop",), states=("queued", "running"))
        if any(loop_of(job.key) == name for job in at_work):
            return False
        memory = self._ledger.loop_memory(name)
        now = self._parts.reach.clock()
        if next_turn(memory.at if memory else None, now, self.loop(name).cycle_s) > now:
            return False
        self.begin(name)
        return True

    def go_on(self) -> int:
        """Queue the cycles that waited and need not any more. Whoever died between an act and its cycle is made good
        here."""
        over = [
            one.id for one in self._ledger.list_cycles(states=("waiting",)) if ended(self._ledger, one.id)
        ]
        for name in over:
            self._enqueue(name)
        return len(over)

    def touched(self, name: str) -> None:
        """A review or an act that carries this id in the place of an incident's has come to its end."""
        if is_cycle(name) and ended(self._ledger, name) is not None:
            self._enqueue(name)

    def _enqueue(self, name: str) -> None:
        self._ledger.enqueue(
            "loop", name, {"thread_id": f"loop:{name}"}, max_attempts=ATTEMPTS, now=self._parts.reach.clock()
        )
        self._parts.wake()

    async def _do(self, job: Job) -> None:
        name, at = _name_of(job.key), datetime.strptime(job.key[-16:], _ID_TIME).replace(tzinfo=UTC)
        ports = await asyncio.to_thread(self._ports, name)
        came = await run_cycle(self._graph, ports, job.key, at)
        await asyncio.to_thread(self._ledger.finish, job)
        if came == "recorded":
            self._parts.tell("cycle", await asyncio.to_thread(self._ledger.find_cycle, job.key))
        if came == "waits":  # it may have come to its end while this job still ran
            await asyncio.to_thread(self.touched, job.key)

    # ---- ports ------------------------------------------------------------------------------------------------------

    def _ports(self, name: LoopName) -> CyclePorts:
        parts, loop = self._parts, self.loop(name)

        def last_at() -> datetime | None:
            memory = self._ledger.loop_memory(name)
            return memory.at if memory else None

        def settled(cycle: str) -> Settled | None:
            found = ended(self._ledger, cycle)
            return Settled(found.outcomes, found.superseded) if found else None

        return CyclePorts(
            loop=loop, reach=parts.reach, ledger=self._ledger, last_at=last_at, hindered=self._hindered, rehearse=self._rehearsed,
            put=lambda cycle, learned: self._put(cycle, loop, learned), settled=settled, end=self._end,
            read_at=lambda one: reading_of(parts.reach.history, one.name, one.due, AVERAGED_S), writer=parts.writer,
            progress=lambda cycle, stage: parts.tell("cycle-stage", (cycle, stage)),
        )  # fmt: skip

    def _put(self, cycle: Cycle, loop: Loop, learned: Mapping[str, Any]) -> Put:
        made = put(cycle, self._asking(loop), learned)
        return Put(made.proposals, made.withheld)

    def _asking(self, loop: Loop) -> AskParts:
        parts = self._parts
        return AskParts(
            ledger=self._ledger, settings=parts.settings, clock=parts.reach.clock, cycle_s=loop.cycle_s,
            look=parts.gate.look,
            run_alone=lambda review: adapters.run_alone(self._ledger, parts.gate, review),
            accept=self._accept, site_name=parts.reach.site.name, expires=parts.expires,
        )  # fmt: skip

    def _rehearsed(self, proposal: ActionProposal) -> ActionProposal:
        found = self._parts.trials.rehearse_now(proposal.action)
        return proposal if found is None else proposal.model_copy(update={"rehearsal": found})

    def _hindered(self, action: Action) -> str:
        parts, now = self._parts, self._parts.reach.clock()
        found = guards.refusals(
            guards.Situation(
                action=action, site=parts.reach.site, now=now, read=parts.adapter.read,
                telemetry_max_age_s=parts.settings.act.telemetry_max_age_s,
                done_last_hour=self._ledger.actions_on(action.asset, now - timedelta(hours=1)),
                per_asset_per_hour=parts.settings.act.per_asset_per_hour, stopped=parts.stop.reason(),
            )
        )  # fmt: skip
        return f"an interlock refuses it now: {found[0].what}. {found[0].remedy}" if found else ""

    def _accept(self, events: Sequence[Event]) -> None:
        self._ledger.accept(events, (), "control loops")
        self._parts.wake()

    def _end(
        self, cycle: Cycle, learned: Mapping[str, Any], noted: Sequence[Foreseen], seen: Sequence[Foreseen]
    ) -> None:
        self._ledger.record_cycle(
            cycle, learned=learned, noted=noted, seen=seen, now=self._parts.reach.clock()
        )


def _name_of(cycle: str) -> LoopName:
    return next(name for name in LOOPS if name == loop_of(cycle))


def reading_of(history: History, name: str, at: datetime, averaged_s: float) -> float | None:
    """Mean of the readings of "asset.metric" within so long before a moment; None where there are none."""
    asset, _, metric = name.rpartition(".")
    series = history.series(asset, metric)
    if series is None:
        return None
    recent = series.since(at - timedelta(seconds=averaged_s))
    inside = [value for time, value in zip(recent.times, recent.values, strict=True) if time <= at]
    return float(np.mean(inside)) if inside else None
