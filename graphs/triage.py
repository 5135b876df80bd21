"""Triage as a state machine over micro-batches: sense -> correlate -> rank -> dispatch.

One run takes one batch from the inbox and ends with one commit. The ledger says which events are done; a batch
that was cut off is taken again and comes out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy
from pydantic import BaseModel
from typing_extensions import TypedDict

from agents.dispatcher import NoticeWriter, Policy, counts, plan
from graphs.state import Plain, dump, load
from setpoint.contracts import Context, Correlated, Dispatch, Event, Incident, Triage
from setpoint.errors import StoreLocked


class Sensor(Protocol):
    """Where events wait."""

    async def take(self, limit: int) -> Sequence[Event]:
        """The next events that are not yet triaged, in the order accepted. They stay there until committed."""


class Correlating(Protocol):
    """Who puts events into incidents."""

    def observe(self, events: Sequence[Event]) -> Sequence[Correlated]:
        """The same events in the same order; asked twice about one event, the same answer."""


class Ranking(Protocol):
    """Who judges importance."""

    def rank(self, event: Event, context: Context) -> Triage:
        """How important the event is, with reasons."""


class Committing(Protocol):
    """The durable end."""

    async def known(self, incident_ids: Sequence[str]) -> Mapping[str, Incident]:
        """Those incidents that exist, as they stand."""

    async def commit(self, dispatch: Dispatch) -> None:
        """All of it or nothing; the same batch twice is once."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class TriageContext:
    """What a run needs from outside."""

    sensor: Sensor
    correlator: Correlating
    ranker: Ranking
    dispatcher: Committing
    notice: NoticeWriter
    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], datetime] = _utc_now
    checkpointed: bool = True
    """False where the graph has no checkpointer: contracts then go from node to node as they are, and a batch costs
    a third less."""

    def carried(self, models: Iterable[BaseModel]) -> list[Plain]:
        """What goes into the state; `load` takes both sorts."""
        return dump(models) if self.checkpointed else cast(list[Plain], list(models))


class TriageState(TypedDict):
    """Plain values only."""

    limit: int
    """Most events to take."""
    events: list[Plain]
    correlated: list[Plain]
    triaged: list[Plain]
    result: dict[str, int]
    """Counts of what was dispatched; absent while nothing was."""


class TriageInput(TypedDict):
    limit: int


class Sensed(TypedDict, total=False):
    events: list[Plain]


class Grouped(TypedDict, total=False):
    events: list[Plain]
    correlated: list[Plain]


class Judged(TypedDict, total=False):
    triaged: list[Plain]


class Dispatched(TypedDict, total=False):
    correlated: list[Plain]
    triaged: list[Plain]
    result: dict[str, int]


async def sense(state: TriageState, runtime: Runtime[TriageContext]) -> Sensed:
    """Take the next batch."""
    return {"events": runtime.context.carried(await runtime.context.sensor.take(state["limit"]))}


def after_sense(state: TriageState) -> Literal["correlate", "__end__"]:
    """An empty inbox ends the run."""
    return "correlate" if state["events"] else "__end__"


async def correlate(state: TriageState, runtime: Runtime[TriageContext]) -> Grouped:
    """Find each event's incident and surroundings. From here on the events live in `correlated`."""
    found = runtime.context.correlator.observe(load(Event, state["events"]))
    return {"events": [], "correlated": runtime.context.carried(found)}


async def rank(state: TriageState, runtime: Runtime[TriageContext]) -> Judged:
    """Judge each event."""
    judge, correlated = runtime.context.ranker.rank, load(Correlated, state["correlated"])
    return {"triaged": runtime.context.carried(judge(one.event, one.context) for one in correlated)}


async def dispatch(state: TriageState, runtime: Runtime[TriageContext]) -> Dispatched:
    """Decide what follows and commit it."""
    context = runtime.context
    correlated, triaged = load(Correlated, state["correlated"]), load(Triage, state["triaged"])
    known = await context.dispatcher.known(list(dict.fromkeys(one.incident_id for one in correlated)))
    batch = list(zip(correlated, triaged, strict=True))
    decided = plan(batch, known, context.clock(), context.notice, context.policy)
    await context.dispatcher.commit(decided)
    return {"correlated": [], "triaged": [], "result": counts(decided)}


TriageGraph = CompiledStateGraph[TriageState, TriageContext, TriageInput, TriageState]


def build_triage_graph(checkpointer: BaseCheckpointSaver[str] | None = None) -> TriageGraph:
    """Compile the graph. In service it runs without a checkpointer, since the ledger is the truth."""
    graph = StateGraph(TriageState, context_schema=TriageContext, input_schema=TriageInput)
    graph.add_node("sense", sense)
    graph.add_node("correlate", correlate)
    graph.add_node("rank", rank)
    graph.add_node(
        "dispatch",
        dispatch,
        retry_policy=RetryPolicy(retry_on=StoreLocked, max_attempts=3, initial_interval=0.1),
    )
    graph.add_edge(START, "sense")
    graph.add_conditional_edges("sense", after_sense)
    graph.add_edge("correlate", "rank")
    graph.add_edge("rank", "dispatch")
    graph.add_edge("dispatch", END)
    return graph.compile(checkpointer=checkpointer, name="triage")
