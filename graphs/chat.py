"""One turn of the conversation: understand -> look -> answer. Read-only tools.

A thread is a conversation: with a checkpointer its subject (asset, incident, last tool) goes from turn to turn, so that a
follow-up may lean on it. Without one each question stands alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agents.explainer import Budget, Writer
from agents.follow_up import Memory, completed, remember
from agents.operator import Finding, Intent, Tool, answer, look
from setpoint.contracts.site import Site


@dataclass(frozen=True)
class ChatPorts:
    """What a turn reaches outside itself: reading tools by name, and a model for the words."""

    site: Site
    tools: Mapping[str, Tool]
    writer: Writer | None
    new_budget: Callable[[], Budget]


class ChatState(TypedDict, total=False):
    """Plain values only."""

    question: str
    intent: dict[str, Any]
    findings: list[dict[str, Any]]
    reply: dict[str, Any]
    memory: dict[str, Any]
    """The subject of the conversation after this turn."""


class Understood(TypedDict, total=False):
    intent: dict[str, Any]


class Looked(TypedDict, total=False):
    findings: list[dict[str, Any]]
    memory: dict[str, Any]


class Answered(TypedDict, total=False):
    reply: dict[str, Any]


async def understand_question(state: ChatState, runtime: Runtime[ChatPorts]) -> Understood:
    intent = completed(state["question"], runtime.context.site, Memory.of(state.get("memory")))
    return {
        "intent": {
            "name": intent.name, "phrase": intent.phrase, "about": intent.about, "args": dict(intent.args),
        }
    }  # fmt: skip


async def call_tools(state: ChatState, runtime: Runtime[ChatPorts]) -> Looked:
    intent, site = _intent(state), runtime.context.site
    found = await asyncio.to_thread(look, intent, runtime.context.tools)
    memory = remember(state["question"], site, Memory.of(state.get("memory")), intent, found)
    findings = [{"tool": f.tool, "args": dict(f.args), "result": f.result} for f in found]
    return {"findings": findings, "memory": memory.as_json()}


async def write_answer(state: ChatState, runtime: Runtime[ChatPorts]) -> Answered:
    ports = runtime.context
    findings = [Finding(item["tool"], item["args"], item["result"]) for item in state["findings"]]
    made = await asyncio.to_thread(answer, _intent(state), findings, ports.writer, ports.new_budget())
    return {
        "reply": {
            "answer": made.lead.text,
            "facts": list(made.lines),
            "citations": list(made.citations),
            "tools": [{"tool": f.tool, "args": dict(f.args)} for f in findings],
            "written_by": made.lead.written_by,
            "fallback": made.lead.problem,
        }
    }


def build_chat_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[ChatState, ChatPorts, ChatState, ChatState]:
    """Invoke it with `{"question": ...}`; the reply is `{"answer", "facts", "citations", "tools", ...}`."""
    graph = StateGraph(ChatState, context_schema=ChatPorts)
    graph.add_node("understand", understand_question)
    graph.add_node("look", call_tools)
    graph.add_node("answer", write_answer)
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "look")
    graph.add_edge("look", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=checkpointer, name="chat")


def _intent(state: ChatState) -> Intent:
    return Intent(**state["intent"])
