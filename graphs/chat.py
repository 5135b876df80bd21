"""One turn of the conversation: understand -> look -> answer. Read-only tools.

Where a larger model is set to plan freely it goes first (`think`, graphs/chat_free.py); where it fails, code goes its own way.
A thread is a conversation: its subject (asset, incident, last tool, offer) goes from turn to turn, with a checkpointer or as
`memory` and `offer` of the next turn, so that a follow-up may lean on it. Without either each question stands alone.

What becomes known is streamed as it comes (`stream_mode="custom"`): understood, call, result, facts, wording, words. Words are
verified before anybody sees them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import StreamWriter
from typing_extensions import TypedDict

from agents.explainer import Budget, Writer
from agents.follow_up import Memory, completed, remember
from agents.operator import Finding, Intent, Tool, calls_of, facts_of, in_words
from agents.operator_wishes import asks_to_propose, offer_of, wished
from agents.spoken import plainly
from graphs.chat_free import Thinker, think_freely
from graphs.chat_steps import folded
from setpoint.contracts.site import Site
from setpoint.errors import SetpointError

WRITES = frozenset({"propose"})
"""Tools that write something: once begun they are waited for, also where the turn is stopped."""
NO_WHY = "asked for in chat"


@dataclass(frozen=True)
class ChatPorts:
    """What a turn reaches outside itself: tools by name, and a model for the words."""

    site: Site
    tools: Mapping[str, Tool]
    """Reading tools; with a person behind the conversation also draft_action and propose, which asks and never acts."""
    writer: Writer | None
    new_budget: Callable[[], Budget]
    thinker: Thinker | None = None
    """A model that plans by itself; None: code understands the question by its words."""


class ChatState(TypedDict, total=False):
    """Plain values only."""

    question: str
    history: list[dict[str, str]]
    """What was said before, question and answer, for a model that plans by itself."""
    intent: dict[str, Any]
    findings: list[dict[str, Any]]
    reply: dict[str, Any]
    memory: dict[str, Any]
    """The subject of the conversation after this turn."""
    offer: dict[str, Any]
    """The action that was offered to be put to review; empty for none."""
    fallback: str
    """Why the model's own way was not taken; "" where it was, or none was asked."""


class Understood(TypedDict, total=False):
    intent: dict[str, Any]


class Thought(TypedDict, total=False):
    findings: list[dict[str, Any]]
    reply: dict[str, Any]
    offer: dict[str, Any]
    fallback: str


class Looked(TypedDict, total=False):
    findings: list[dict[str, Any]]
    memory: dict[str, Any]
    offer: dict[str, Any]


class Answered(TypedDict, total=False):
    reply: dict[str, Any]


async def understand_question(state: ChatState, runtime: Runtime[ChatPorts]) -> Understood:
    ports = runtime.context
    memory = Memory.of(state.get("memory"))
    intent = completed(state["question"], ports.site, memory)
    intent = _pointing(intent, memory)
    if "propose" in ports.tools:
        intent = _wish(state, intent, memory, ports.site)
    if _by(ports, intent) == "code":
        runtime.stream_writer(
            {"kind": "understood", "intent": intent.name, "phrase": intent.phrase, "by": "code"}
        )
    told = {"name": intent.name, "phrase": intent.phrase, "about": intent.about, "args": dict(intent.args)}
    return {"intent": told}


def _pointing(intent: Intent, memory: Memory) -> Intent:
    """ "who approved that": of what was spoken of."""
    about = memory.asset or memory.incident
    if intent.about != "decisions" or intent.args.get("subject") or not about:
        return intent
    return replace(intent, args={"subject": about})


def _wish(state: ChatState, intent: Intent, memory: Memory, site: Site) -> Intent:
    """A wish to act becomes an offer, and what the person says is to be proposed is proposed. Nothing else acts."""
    plain = plainly(state["question"])
    asks = asks_to_propose(plain)
    if intent.name != "refused" and not asks:
        return intent
    wish = wished(plain, site, memory.asset)
    why = wish.why or state["question"].strip()[:400] or NO_WHY
    if wish.action:
        args = {"action": wish.action, "asset": wish.asset, "args": dict(wish.args)}
        if not asks:
            return Intent("plant", "what could be put to review", "draft_action", args)
        return Intent("plant", "to put an action to review", "propose", args | {"why": why})
    offer = state.get("offer") or {}
    if asks and offer:
        args = {key: offer[key] for key in ("action", "asset", "args")}
        return Intent(
            "plant", "to put an action to review", "propose", args | {"why": offer.get("why") or why}
        )
    if asks or (wish.asset and not _decides(plain)):
        args = {"action": "?", "asset": wish.asset, "args": {}}
        return Intent("plant", "what could be put to review", "draft_action", args)
    return intent


def _decides(plain: str) -> bool:
    """A wish that something be approved or signed is for a person alone."""
    return any(word in plain.lower() for word in ("approv", "reject", "sign", "rev-", "confirm", "authori"))


def _by(ports: ChatPorts, intent: Intent) -> Literal["code", "model"]:
    """Who looks: with a model that assists, code where it understands the question; with a free one the model always. What
    wants something done or proposed is code's in any case."""
    if ports.thinker is None or intent.name == "refused" or intent.about in ("draft_action", "propose"):
        return "code"
    if ports.thinker.mode == "assisted" and intent.name != "knowledge":
        return "code"
    return "model"


def route(state: ChatState, runtime: Runtime[ChatPorts]) -> Literal["think", "look"]:
    return "think" if _by(runtime.context, Intent(**state["intent"])) == "model" else "look"


def after_thinking(state: ChatState) -> Literal["look", "__end__"]:
    return "look" if state.get("fallback") else "__end__"


async def think(state: ChatState, runtime: Runtime[ChatPorts]) -> Thought:
    """The model's own way: it calls tools and words the answer, of which only what holds is taken."""
    ports = runtime.context
    assert ports.thinker is not None
    try:
        thought = await think_freely(
            ports.thinker, state["question"], state.get("history") or [], ports.tools, runtime.stream_writer
        )
    except SetpointError as error:
        return {"fallback": f"{ports.thinker.name}: {error}"}
    findings = [{"tool": f.tool, "args": dict(f.args), "result": f.result} for f in thought.findings]
    return {
        "findings": findings,
        "reply": thought.reply,
        "offer": _offer(thought.findings, ""),
        "fallback": "",
    }


async def call_tools(state: ChatState, runtime: Runtime[ChatPorts]) -> Looked:
    intent, ports = _intent(state), runtime.context
    if state.get("fallback"):
        runtime.stream_writer(
            {"kind": "understood", "intent": intent.name, "phrase": intent.phrase, "by": "code"}
        )
    found = [
        await _called(number, name, args, ports.tools[name], runtime.stream_writer)
        for number, (name, args) in enumerate(calls_of(intent), 1)
    ]
    memory = remember(state["question"], ports.site, Memory.of(state.get("memory")), intent, found)
    findings = [{"tool": f.tool, "args": dict(f.args), "result": f.result} for f in found]
    return {"findings": findings, "memory": memory.as_json(), "offer": _offer(found, state["question"])}


async def _called(number: int, name: str, args: dict[str, Any], tool: Tool, tell: StreamWriter) -> Finding:
    tell({"kind": "call", "id": number, "tool": name, "args": args})
    began = time.monotonic()
    work = asyncio.ensure_future(asyncio.to_thread(tool, **args))
    try:
        result = await asyncio.shield(work)
    except asyncio.CancelledError:
        if name in WRITES:  # what was begun is told, stopped or not
            tell(folded(number, await work, began))
        raise
    tell(folded(number, result, began))
    return Finding(name, args, result)


def _offer(found: Sequence[Finding], question: str) -> dict[str, Any]:
    """What the last draft offers; a turn without one leaves none."""
    for one in reversed(found):
        if one.tool == "draft_action" and (offer := offer_of(one.result)):
            return offer | ({"why": question.strip()[:400]} if question else {})
    return {}


async def write_answer(state: ChatState, runtime: Runtime[ChatPorts]) -> Answered:
    ports, intent, tell = runtime.context, _intent(state), runtime.stream_writer
    findings = [Finding(item["tool"], item["args"], item["result"]) for item in state["findings"]]
    told = await asyncio.to_thread(facts_of, intent, findings)
    tell({"kind": "facts", "lines": list(told.lines), "citations": list(told.citations)})
    if told.facts and ports.writer is not None:
        tell({"kind": "wording", "by": ports.writer.name})
    made = await asyncio.to_thread(in_words, intent, told, ports.writer, ports.new_budget())
    lead = replace(made.lead, problem=made.lead.problem or state.get("fallback", ""))
    tell({"kind": "words", "text": lead.text})
    reply: dict[str, Any] = {
        "answer": lead.text,
        "facts": list(made.lines),
        "citations": list(made.citations),
        "tools": [{"tool": f.tool, "args": dict(f.args)} for f in findings],
        "written_by": lead.written_by,
        "fallback": lead.problem,
    }
    return {"reply": reply | links_of(findings, state.get("offer") or {})}


def links_of(findings: Sequence[Finding], offer: Mapping[str, Any]) -> dict[str, Any]:
    """What can be opened or asked next: the review that was opened, or the action that is offered."""
    for one in findings:
        if one.tool == "propose" and isinstance(one.result, Mapping):
            return {"review": one.result["review"]["id"]}
    return {"offer": dict(offer)} if offer else {}


def build_chat_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[ChatState, ChatPorts, ChatState, ChatState]:
    """Invoke it with `{"question": ...}`; the reply is `{"answer", "facts", "citations", "tools", ...}`."""
    graph = StateGraph(ChatState, context_schema=ChatPorts)
    graph.add_node("understand", understand_question)
    graph.add_node("think", think)
    graph.add_node("look", call_tools)
    graph.add_node("answer", write_answer)
    graph.add_edge(START, "understand")
    graph.add_conditional_edges("understand", route)
    graph.add_conditional_edges("think", after_thinking)
    graph.add_edge("look", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=checkpointer, name="chat")


def _intent(state: ChatState) -> Intent:
    return Intent(**state["intent"])
