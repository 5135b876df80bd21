"""One approved action on its way through the executor: check -> execute -> observe -> record.

Each node may run again after a crash; the executor and the ledger see to it that the site is moved once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graphs.threads import need_checkpointer, run_to_stop
from setpoint.contracts import Outcome
from setpoint.errors import SafetyViolation
from tools.executor import Checked, Order


class ActExecutor(Protocol):
    """The executor's four steps."""

    def check(self, order: Order) -> Checked: ...

    def execute(self, order: Order, before: dict[str, float]) -> Outcome | None: ...

    def observe(self, order: Order, before: dict[str, float]) -> Outcome: ...

    def record(self, order: Order, outcome: Outcome) -> Outcome: ...


@dataclass(frozen=True)
class ActPorts:
    """All that an action reaches outside itself."""

    executor: ActExecutor


class ActState(TypedDict, total=False):
    """Plain values only: a checkpoint must be readable without our classes."""

    order: dict[str, Any]
    before: dict[str, float]
    outcome: dict[str, Any]
    status: str
    """"recorded" once the ledger holds the outcome."""


class CheckedUpdate(TypedDict, total=False):
    before: dict[str, float]
    outcome: dict[str, Any]


class OutcomeUpdate(TypedDict, total=False):
    outcome: dict[str, Any]


class RecordedUpdate(TypedDict, total=False):
    outcome: dict[str, Any]
    status: str


def build_act_graph(
    checkpointer: BaseCheckpointSaver[str] | None,
) -> CompiledStateGraph[ActState, ActPorts, ActState, ActState]:
    """Raises ConfigError without a checkpointer."""
    graph = StateGraph(ActState, context_schema=ActPorts)
    graph.add_node("check", check)
    graph.add_node("execute", execute)
    graph.add_node("observe", observe)
    graph.add_node("record", record)
    graph.add_edge(START, "check")
    graph.add_conditional_edges("check", after_check)
    graph.add_conditional_edges("execute", after_execute)
    graph.add_edge("observe", "record")
    graph.add_edge("record", END)
    return graph.compile(checkpointer=need_checkpointer(checkpointer, "act"), name="act")


async def check(state: ActState, runtime: Runtime[ActPorts]) -> CheckedUpdate:
    checked = await asyncio.to_thread(runtime.context.executor.check, _order(state))
    update: CheckedUpdate = {"before": checked.before}
    if checked.outcome is not None:
        update["outcome"] = checked.outcome.model_dump(mode="json")
    return update


async def execute(state: ActState, runtime: Runtime[ActPorts]) -> OutcomeUpdate:
    """Raises Busy where another action moves the asset: the job is tried again later."""
    outcome = await asyncio.to_thread(runtime.context.executor.execute, _order(state), state["before"])
    return {} if outcome is None else {"outcome": outcome.model_dump(mode="json")}


async def observe(state: ActState, runtime: Runtime[ActPorts]) -> OutcomeUpdate:
    outcome = await asyncio.to_thread(runtime.context.executor.observe, _order(state), state["before"])
    return {"outcome": outcome.model_dump(mode="json")}


async def record(state: ActState, runtime: Runtime[ActPorts]) -> RecordedUpdate:
    outcome = Outcome.model_validate(state["outcome"])
    stands = await asyncio.to_thread(runtime.context.executor.record, _order(state), outcome)
    return {"outcome": stands.model_dump(mode="json"), "status": "recorded"}


def after_check(state: ActState) -> Literal["record", "execute"]:
    return "record" if state.get("outcome") else "execute"


def after_execute(state: ActState) -> Literal["record", "observe"]:
    return "record" if state.get("outcome") else "observe"


def thread_of(order: Order) -> str:
    """One thread a token: a second approval token of the same order starts over and finds what the ledger holds."""
    return f"act:{order.key}:{hashlib.sha256(order.token.encode()).hexdigest()[:8]}"


async def run_act(
    graph: CompiledStateGraph[Any, Any, Any, Any], ports: ActPorts, payload: Mapping[str, Any]
) -> Outcome:
    """Worker of `act` jobs. Safe to repeat at any point. Raises Busy, and what the stores raise."""
    fields = {name: payload[name] for name in Order.model_fields}
    order = Order.model_validate(fields)
    state = await run_to_stop(graph, thread_of(order), {"order": order.model_dump(mode="json")}, ports)
    if state.get("status") != "recorded":
        raise SafetyViolation("the thread ended without a recorded outcome", where=thread_of(order))
    return Outcome.model_validate(state["outcome"])


def _order(state: ActState) -> Order:
    return Order.model_validate(state["order"])
