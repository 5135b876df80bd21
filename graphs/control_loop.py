"""One turn of a control loop, the same for every loop; what differs is the loop in its ports.

monitor -> predict -> optimise -> advise -> rehearse -> ask -> review -> act -> observe -> record

One thread a cycle (`loop:CYCLE`). `ask` puts what the plan wants now into the shift's queue, in one ledger transaction
that may be done again; `review` holds the one interrupt and nothing else, because a node runs again from its top when it
is resumed. What was decided and done is read from the ledger, never from the value that resumed the graph. `record`
writes the end of the cycle, what the loop has learned and what it foresees, once.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import UnknownInterruptError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict

from agents import advisor, forecaster, interpreter
from agents.plan_words import due
from graphs.cycle import (
    CyclePorts,
    against,
    foreseen_after,
    knows,
    learned_of,
    planned,
    watched,
)
from graphs.state import dump, load
from graphs.threads import answer, need_checkpointer, pending_interrupt, run_to_stop
from setpoint.contracts import ActionProposal, Outcome
from setpoint.contracts.action import Withheld
from setpoint.contracts.loops import (
    Advice,
    Cycle,
    CycleState,
    Forecast,
    LoopPlan,
    Observed,
    Trouble,
    Watch,
)
from setpoint.errors import NotDecidable
from tools.actions import describe

Came = Literal["recorded", "waits", "known"]
"""What running a cycle came to."""


class CycleRun(TypedDict, total=False):
    """Plain values only: a checkpoint must be readable without our classes."""

    cycle_id: str
    at: str
    watch: dict[str, Any]
    forecasts: list[dict[str, Any]]
    looked: list[dict[str, Any]]
    """Troubles of the forecaster."""
    plan: dict[str, Any]
    advice: dict[str, Any]
    proposals: list[dict[str, Any]]
    withheld: list[dict[str, Any]]
    signal: dict[str, Any]
    """What woke the thread. Never a decision."""
    outcomes: list[dict[str, Any]]
    superseded: bool
    observed: list[dict[str, Any]]
    learned: dict[str, Any]
    spent_s: dict[str, float]
    status: str
    """"recorded" once the ledger holds the cycle's end."""


class Monitored(TypedDict, total=False):
    watch: dict[str, Any]


class Predicted(TypedDict, total=False):
    forecasts: list[dict[str, Any]]
    looked: list[dict[str, Any]]


class Optimised(TypedDict, total=False):
    plan: dict[str, Any]
    learned: dict[str, Any]


class Advised(TypedDict, total=False):
    advice: dict[str, Any]
    proposals: list[dict[str, Any]]
    withheld: list[dict[str, Any]]


class Proposed(TypedDict, total=False):
    proposals: list[dict[str, Any]]
    withheld: list[dict[str, Any]]


class Reviewed(TypedDict, total=False):
    signal: dict[str, Any]


class Acted(TypedDict, total=False):
    outcomes: list[dict[str, Any]]
    superseded: bool


class Learned(TypedDict, total=False):
    observed: list[dict[str, Any]]
    learned: dict[str, Any]


class Recorded(TypedDict, total=False):
    status: str


# ---- nodes --------------------------------------------------------------------------------------------------------


async def monitor(state: CycleRun, runtime: Runtime[CyclePorts]) -> Monitored:
    """Read the site. What cannot be read is a trouble, and the loop holds."""
    ports = runtime.context
    ports.progress(state["cycle_id"], "reading the site")
    watch = await asyncio.to_thread(watched, ports, _at(state))
    return {"watch": watch.model_dump(mode="json")}


async def predict(state: CycleRun, runtime: Runtime[CyclePorts]) -> Predicted:
    """Look ahead."""
    ports = runtime.context
    ports.progress(state["cycle_id"], "looking ahead")
    looked = await asyncio.to_thread(forecaster.forecast, ports.loop, _watch(state))
    return {"forecasts": dump(looked.forecasts), "looked": dump(looked.troubles)}


async def optimise(state: CycleRun, runtime: Runtime[CyclePorts]) -> Optimised:
    """Find the best plan, or one that holds and says why."""
    ports = runtime.context
    ports.progress(state["cycle_id"], "planning")
    looked = forecaster.Looked(
        tuple(load(Forecast, state["forecasts"])), tuple(load(Trouble, state["looked"]))
    )
    plan = await asyncio.to_thread(planned, ports, _watch(state), looked)
    return {"plan": plan.model_dump(mode="json", exclude_defaults=True), "learned": knows(ports.loop)}


async def advise(state: CycleRun, runtime: Runtime[CyclePorts]) -> Advised:
    """Put it into words, and make a proposal of each move that is due."""
    ports, plan = runtime.context, _plan(state)
    site, writer = ports.reach.site, ports.writer if due(plan) else None
    said = await asyncio.to_thread(interpreter.interpret, plan, writer, zone=site.zone)
    told = await asyncio.to_thread(advisor.advise, plan, writer, zone=site.zone)
    proposals, withheld = advisor.proposals(plan, state["cycle_id"], site)
    advice = Advice(
        forecast=said.text,
        advice=told.text,
        written_by=" and ".join(sorted({said.written_by, told.written_by})),
        fell_back="; ".join(dict.fromkeys(why for why in (said.fell_back, told.fell_back) if why)),
    )
    return {
        "advice": advice.model_dump(mode="json"),
        "proposals": dump(proposals),
        "withheld": dump(withheld),
    }


async def rehearse(state: CycleRun, runtime: Runtime[CyclePorts]) -> Proposed:
    """Each proposal on the plant model, beside doing nothing. What an interlock would refuse, its rehearsal or another,
    and what only costs, is not put to people."""
    ports = runtime.context
    wanted = load(ActionProposal, state["proposals"])
    if wanted:
        ports.progress(state["cycle_id"], "rehearsing")
    kept: list[ActionProposal] = []
    withheld = load(Withheld, state["withheld"])
    for one in wanted:
        # Interlocks first: they take a look at some readings, a rehearsal takes a second.
        why, proposal = await asyncio.to_thread(ports.hindered, one.action), one
        if not why:
            proposal = await asyncio.to_thread(ports.rehearse, one)
            why = against(proposal)
        if why:
            withheld.append(Withheld(subject=describe(one.action), why=why))
        else:
            kept.append(proposal)
    return {"proposals": dump(kept), "withheld": dump(withheld)}


async def ask(state: CycleRun, runtime: Runtime[CyclePorts]) -> Proposed:
    """Put what is left into the queue; what waits there already, and what nobody is asked about, is withheld."""
    # A process that took the thread up after `optimise` has a loop that knows nothing of this plan.
    await asyncio.to_thread(runtime.context.loop.restore, state["learned"])
    put = await asyncio.to_thread(runtime.context.put, _cycle(state, "waiting"), state["learned"])
    return {"proposals": dump(put.proposals), "withheld": dump(put.withheld)}


def after_ask(state: CycleRun) -> Literal["review", "act"]:
    return "review" if state["proposals"] else "act"


async def review(state: CycleRun) -> Reviewed:
    return {"signal": interrupt(asked_of(state))}


async def act(state: CycleRun, runtime: Runtime[CyclePorts]) -> Acted:
    """Collect what was done. Raises NotDecidable while anything of it is open, whatever woke the thread."""
    settled = await asyncio.to_thread(runtime.context.settled, state["cycle_id"])
    if settled is None:
        raise NotDecidable(
            "a review of it waits, or what was approved is not over", where=f"cycle {state['cycle_id']}",
            remedy="Decide it first",
        )  # fmt: skip
    return {"outcomes": dump(settled.outcomes), "superseded": settled.superseded}


async def observe(state: CycleRun, runtime: Runtime[CyclePorts]) -> Learned:
    """Hold what earlier cycles foresaw for now against what was read; the loop learns from it."""
    observed, learned = await asyncio.to_thread(learned_of, runtime.context, _at(state))
    return {"observed": dump(observed), "learned": learned}


async def record(state: CycleRun, runtime: Runtime[CyclePorts]) -> Recorded:
    """One transaction: the cycle's end, what was learned, and what is foreseen."""
    ports = runtime.context
    cycle = _cycle(state, "superseded" if state.get("superseded") else "recorded")
    seen = [one.foreseen for one in cycle.observed]
    noted = await asyncio.to_thread(foreseen_after, ports, cycle)
    await asyncio.to_thread(ports.end, cycle, state["learned"], noted, seen)
    return {"status": "recorded"}


# ---- the graph ----------------------------------------------------------------------------------------------------


def build_control_loop(
    checkpointer: BaseCheckpointSaver[str] | None,
) -> CompiledStateGraph[CycleRun, CyclePorts, CycleRun, CycleRun]:
    """Raises ConfigError without a checkpointer."""
    graph = StateGraph(CycleRun, context_schema=CyclePorts)
    nodes: dict[str, Any] = {
        "monitor": monitor, "predict": predict, "optimise": optimise, "advise": advise, "rehearse": rehearse,
        "ask": ask, "act": act, "observe": observe, "record": record,
    }  # fmt: skip
    for name, node in nodes.items():
        graph.add_node(name, _timed(name, node))
    graph.add_node("review", review)
    graph.add_edge(START, "monitor")
    for before, after in itertools.pairwise(("monitor", "predict", "optimise", "advise", "rehearse", "ask")):
        graph.add_edge(before, after)
    graph.add_conditional_edges("ask", after_ask)
    for before, after in itertools.pairwise(("review", "act", "observe", "record", END)):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=need_checkpointer(checkpointer, "control loop"), name="control_loop")


def _timed(name: str, node: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[CycleRun]]:
    """The node, with the wall time it took kept beside what it found."""

    async def run(state: CycleRun, runtime: Runtime[CyclePorts]) -> CycleRun:
        began = time.monotonic()
        update = dict(await node(state, runtime))
        spent = state.get("spent_s", {})
        took = spent.get(name, 0.0) + time.monotonic() - began
        return cast(CycleRun, {**update, "spent_s": {**spent, name: round(took, 4)}})

    return run


# ---- workers ------------------------------------------------------------------------------------------------------


def thread_id(cycle_id: str) -> str:
    return f"loop:{cycle_id}"


async def run_cycle(
    graph: CompiledStateGraph[Any, Any, Any, Any], ports: CyclePorts, cycle_id: str, at: datetime
) -> Came:
    """Worker of `loop` jobs: bring the cycle as far as it goes. "waits" while people, or what they approved, keep it; "known"
    where it was over before. Safe to repeat at any point."""
    known = await asyncio.to_thread(ports.ledger.find_cycle, cycle_id)
    if known is not None and known.state != "waiting":
        await _forget(graph, cycle_id)
        return "known"
    thread = thread_id(cycle_id)
    state = await run_to_stop(graph, thread, {"cycle_id": cycle_id, "at": at.isoformat()}, ports)
    pending = await pending_interrupt(graph, thread)
    if pending is not None:
        if await asyncio.to_thread(ports.settled, cycle_id) is None:
            return "waits"
        with suppress(UnknownInterruptError):  # another worker answered it a moment ago
            state = await answer(graph, thread, pending, {"cycle_id": cycle_id}, ports)
    if state.get("status") != "recorded":
        return "waits"
    await _forget(graph, cycle_id)
    return "recorded"


async def _forget(graph: CompiledStateGraph[Any, Any, Any, Any], cycle_id: str) -> None:
    """The ledger holds all of it; a loop that turns every few minutes would fill the disk with its steps."""
    if isinstance(graph.checkpointer, BaseCheckpointSaver):
        await graph.checkpointer.adelete_thread(thread_id(cycle_id))


def asked_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the thread waits for."""
    return {"cycle_id": state["cycle_id"], "proposals": [one["id"] for one in state["proposals"]]}


# ---- values from the state ------------------------------------------------------------------------------------------


def _at(state: CycleRun) -> datetime:
    return datetime.fromisoformat(state["at"])


def _watch(state: CycleRun) -> Watch:
    return Watch.model_validate(state["watch"])


def _plan(state: CycleRun) -> LoopPlan:
    return LoopPlan.model_validate(state["plan"])


def _cycle(state: CycleRun, stands: CycleState) -> Cycle:
    plan = _plan(state)
    return Cycle(
        id=state["cycle_id"],
        loop=plan.loop,
        at=_at(state),
        state=stands,
        plan=plan,
        advice=Advice.model_validate(state["advice"]),
        proposals=tuple(load(ActionProposal, state["proposals"])),
        withheld=tuple(load(Withheld, state["withheld"])),
        outcomes=tuple(load(Outcome, state.get("outcomes", []))),
        observed=tuple(load(Observed, state.get("observed", []))),
        spent_s=state.get("spent_s", {}),
    )
