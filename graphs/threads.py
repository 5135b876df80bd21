"""How every durable graph here is run: one thread a subject, strict resume, each step on disk before the next.

The ledger says what is finished. A checkpoint only says how far a run came: after a kill `next` may be empty
although nothing ran, so "finished" is a value in the state, never the absence of a next node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Interrupt

from setpoint.errors import ConfigError

STRICT_RESUME = "__pregel_strict_resume"
"""Makes LangGraph refuse an answer to an interrupt that is not pending. Without it a second click on an answered
question is silently taken as the answer to the next one."""


def config_of(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, STRICT_RESUME: True}}


def need_checkpointer(checkpointer: BaseCheckpointSaver[str] | None, graph: str) -> BaseCheckpointSaver[str]:
    """Without one an interrupt is returned, never stored, and can never be resumed."""
    if not isinstance(checkpointer, BaseCheckpointSaver):
        raise ConfigError(
            f"the {graph} graph needs a checkpointer", remedy="Build it with one that is on disk"
        )
    return checkpointer


async def run_to_stop(
    graph: CompiledStateGraph[Any, Any, Any, Any], thread_id: str, first: Mapping[str, Any], context: object
) -> dict[str, Any]:
    """Start the thread, or take it up where it died, until it ends or waits. Returns its state.

    It never answers an interrupt: a waiting thread is left waiting. A thread with a `status` has ended.
    """
    config = config_of(thread_id)
    snapshot = await graph.aget_state(config)
    if snapshot.interrupts or snapshot.values.get("status"):
        return dict(snapshot.values)
    begun = snapshot.created_at is not None
    return await _run(graph, None if begun else dict(first), config, context)


async def answer(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    thread_id: str,
    pending: Interrupt,
    value: object,
    context: object,
) -> dict[str, Any]:
    """Answer exactly this interrupt. Raises UnknownInterruptError where it is not pending any more."""
    return await _run(graph, Command(resume={pending.id: value}), config_of(thread_id), context)


async def pending_interrupt(
    graph: CompiledStateGraph[Any, Any, Any, Any], thread_id: str
) -> Interrupt | None:
    snapshot = await graph.aget_state(config_of(thread_id))
    return snapshot.interrupts[0] if snapshot.interrupts else None


async def _run(
    graph: CompiledStateGraph[Any, Any, Any, Any], given: Any, config: RunnableConfig, context: object
) -> dict[str, Any]:
    output = await graph.ainvoke(given, config, context=context, durability="sync", version="v2")
    return dict(output.value)
