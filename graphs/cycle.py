"""What a cycle of a control loop reaches, and what its nodes compute: reading, planning, judging and learning, with every
way in which a loop may fail told as a trouble."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from agents import forecaster, optimizer
from agents.explainer import Writer
from agents.plan_words import due
from setpoint.contracts import Action, ActionProposal, Outcome
from setpoint.contracts.action import Withheld
from setpoint.contracts.loops import Cycle, Foreseen, LoopName, LoopPlan, Observed, Trouble, Watch
from setpoint.errors import SetpointError
from tools.loops.ports import Loop, LoopPorts
from tools.rehearsal import only_costs

SILENT_CYCLES = 3.0
"""So many turns left out are worth a word: the loop stood still, or the clock was set."""
_FAILS = (SetpointError, ArithmeticError, LookupError, TypeError, ValueError)
"""What a loop's own code may raise at a reading that nobody thought of."""
_LOG = logging.getLogger("setpoint.loops")


class CycleLedger(Protocol):
    """What a cycle reads of the ledger. It writes through `put` and `end` alone."""

    def find_cycle(self, cycle_id: str) -> Cycle | None: ...

    def due_foreseen(self, loop: LoopName, now: datetime, limit: int = 1000) -> list[Foreseen]: ...


@dataclass(frozen=True)
class Put:
    """What became of a cycle's proposals."""

    proposals: tuple[ActionProposal, ...]
    """In the queue, or running alone."""
    withheld: tuple[Withheld, ...]


@dataclass(frozen=True)
class Settled:
    """How the reviews of a cycle ended."""

    outcomes: tuple[Outcome, ...]
    superseded: bool
    """A newer plan took one of them back."""


@dataclass(frozen=True)
class CyclePorts:
    """All that a cycle reaches outside itself."""

    loop: Loop
    reach: LoopPorts
    ledger: CycleLedger
    last_at: Callable[[], datetime | None]
    """When the loop's last cycle was planned."""
    hindered: Callable[[Action], str]
    """What an interlock has against an action as the site is now; "" where nothing."""
    rehearse: Callable[[ActionProposal], ActionProposal]
    """The proposal with its rehearsal from the site's present state."""
    put: Callable[[Cycle, Mapping[str, Any]], Put]
    """Puts a planned cycle's proposals into the queue, with the events of its troubles, and keeps what the loop knows.
    Safe to repeat."""
    settled: Callable[[str], Settled | None]
    """None while a review of that cycle waits, or what was approved is not over."""
    end: Callable[[Cycle, Mapping[str, Any], Sequence[Foreseen], Sequence[Foreseen]], None]
    """Records the cycle, what was learned, what it foresees, and what earlier ones foresaw that is done with."""
    read_at: Callable[[Foreseen], float | None]
    """What was read at the moment that something was foreseen for."""
    writer: Writer | None = None
    progress: Callable[[str, str], None] = lambda _cycle, _stage: None


# ---- what a node computes -----------------------------------------------------------------------------------------


def against(proposal: ActionProposal) -> str:
    """Why a rehearsed proposal is not put to people; "" where nothing speaks against it. What costs work and makes
    nothing safer is still worth asking where it saves energy: that is what a loop is for."""
    foreseen = proposal.rehearsal
    if foreseen is None:
        return ""
    if foreseen.refused:
        return f"its rehearsal refuses it: {foreseen.refused}"
    saves = any(cost.what == "energy_kwh" and cost.high < 0 for cost in foreseen.costs)
    return f"rehearsed: {foreseen.said}" if only_costs(foreseen) and not saves else ""


def watched(ports: CyclePorts, at: datetime) -> Watch:
    """The loop's reading, with what is wrong with the clock. A loop that cannot read at all says so as a trouble."""
    try:
        watch = ports.loop.monitor(at)
        watch = Watch.model_validate_json(watch.model_dump_json())
    except _FAILS as error:
        why = f"the site could not be read ({type(error).__name__}: {error})"
        trouble = Trouble(kind="adapter", what=why, instead="Every setpoint is held.",
                          remedy="Check the adapter and the site file: `setpoint doctor`")  # fmt: skip
        watch = Watch(loop=ports.loop.name, at=at, troubles=(trouble,))
    found = clock_trouble(ports.last_at(), at, ports.loop.cycle_s)
    return watch.model_copy(update={"troubles": (*watch.troubles, found)}) if found else watch


def clock_trouble(last: datetime | None, at: datetime, cycle_s: float) -> Trouble | None:
    """What is odd about the time since the loop's last cycle; None where nothing is."""
    if last is None:
        return None
    apart_s = (at - last).total_seconds()
    if apart_s < -1.0:
        return Trouble(
            kind="clock_jump",
            what=f"The clock went back by {_span(-apart_s)}: the last cycle was at {last:%Y-%m-%d %H:%M:%S} UTC, "
            f"and it is {at:%Y-%m-%d %H:%M:%S} UTC.",
            instead="Every setpoint is held for this cycle; the next one plans anew.",
            remedy="Check the clock of this machine (NTP).",
        )  # fmt: skip
    if apart_s > SILENT_CYCLES * cycle_s:
        return Trouble(
            kind="clock_jump",
            what=f"No cycle for {_span(apart_s)}; the loop turns every {_span(cycle_s)}.",
            instead="It plans from what was read meanwhile.", remedy="", blocks=False,
        )  # fmt: skip
    return None


def _span(seconds: float) -> str:
    """
    >>> _span(50.0), _span(300.0), _span(9000.0)
    ('50 s', '5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def planned(ports: CyclePorts, watch: Watch, looked: forecaster.Looked) -> LoopPlan:
    """The plan as it will be read again: figures that are no numbers would be lost on the way."""
    plan = optimizer.optimise(ports.loop, watch, looked, ports=ports.reach)
    try:
        return LoopPlan.model_validate_json(plan.model_dump_json())
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        trouble = Trouble(kind="infeasible", what=f"The {ports.loop.name} loop planned a figure that is no number ({where}).",
                          instead="It holds the setpoints that were set last.", remedy="Report it.")  # fmt: skip
        return optimizer.held(ports.loop, watch, (), (*watch.troubles, trouble), ports.reach.site.name)


def learned_of(ports: CyclePorts, now: datetime) -> tuple[list[Observed], dict[str, Any]]:
    waiting = ports.ledger.due_foreseen(ports.loop.name, now)
    observed = [Observed(foreseen=one, read=ports.read_at(one)) for one in waiting]
    try:
        if observed:
            ports.loop.learn(observed)
    except _FAILS as error:
        _LOG.warning("the %s loop could not learn: %s: %s", ports.loop.name, type(error).__name__, error)
    return observed, knows(ports.loop)


def knows(loop: Loop) -> dict[str, Any]:
    """What the loop knows, as JSON. Nothing where it is none: what it knew before stands then, which is better than a
    loop that never ends its cycle."""
    try:
        return dict(json.loads(json.dumps(loop.state(), allow_nan=False)))
    except _FAILS as error:
        _LOG.warning("what the %s loop knows cannot be kept: %s: %s", loop.name, type(error).__name__, error)
        return {}


def foreseen_after(ports: CyclePorts, cycle: Cycle) -> list[Foreseen]:
    """What the next readings should be. Only where all that was due was done: otherwise they would be held against a
    plan that nobody followed."""
    done = sum(one.state == "done" and not one.dry_run for one in cycle.outcomes)
    if done < len(due(cycle.plan)):
        return []
    try:
        return [one for one in ports.loop.foresee(cycle.plan) if one.due > cycle.at]
    except _FAILS as error:
        _LOG.warning("the %s loop foresees nothing: %s: %s", ports.loop.name, type(error).__name__, error)
        return []


def next_turn(last: datetime | None, now: datetime, cycle_s: float) -> datetime:
    """When a loop turns next. After a clock that went back, or a long silence, at once."""
    if last is None or last > now:
        return now
    return max(now, last + timedelta(seconds=cycle_s))
