"""A larger model that plans a turn by itself: LangChain's agent over the operator's own tools, bounded in calls and time.

What it says is streamed sentence by sentence, each only after it held against what the tools gave. It has no tool that
writes: it may check an action with draft_action, and the person decides whether that is put to review.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.types import StreamWriter

from agents.explainer import TEMPLATE
from agents.operator import Finding, Tool
from agents.operator_facts import facts_of_calls
from agents.operator_said import Sources, sentences
from agents.tool_cards import call, structured
from graphs.chat_steps import folded
from prompts import OperateInput, render
from setpoint.contracts import Mode
from setpoint.contracts.site import Site
from setpoint.errors import ModelFailed, SetpointError
from tools.typed import in_words

MODEL_CALLS, TOOL_CALLS = 6, 10
_LOG = logging.getLogger("setpoint.chat")
RESULT_CHARS = 6000
"""Of one tool's result, as the model reads it."""
MOST_HISTORY = 6
"""Turns before this one that the model is shown."""
KEPT_FROM_IT = frozenset({"propose"})
"""Tools that a model does not get: what is put to review is a person's own word."""


@dataclass(frozen=True)
class Thinker:
    """A model that may plan by itself."""

    name: str
    mode: Mode
    """free: it plans every turn; assisted: those that code does not understand."""
    make: Callable[[], BaseChatModel]
    site: Site
    now: Callable[[], str]
    """The site's local time, in words."""
    limit_s: float = 60.0
    """Of one turn with all its calls."""

    @cached_property
    def chat(self) -> BaseChatModel:
        """Raises ModelMissing."""
        return self.make()


@dataclass(frozen=True)
class Thought:
    """What the model looked at, and what of its answer holds."""

    findings: tuple[Finding, ...]
    reply: dict[str, Any]


@dataclass
class _Turn:
    """One turn under way: what was called, what the sentences are held against, and which of them were let through."""

    sources: Sources
    tell: StreamWriter
    findings: list[Finding] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    message: str = ""
    """Id of the message whose words come in."""
    pending: str = ""
    """Its words that are no whole sentence yet."""

    def hear(self, message: BaseMessage) -> None:
        """A piece of the model's words. Whole sentences are checked at once."""
        if message.id != self.message:
            self.finish()
            self.message, self.kept, self.left_out = message.id or "", [], []
        self.pending += message.text
        found = sentences(self.pending)
        if len(found) > 1:
            cut = self.pending.rfind(found[-1])
            whole, self.pending = self.pending[:cut], self.pending[cut:]
            self._check(whole)

    def finish(self) -> None:
        """The message is over: what is left is its last sentence."""
        whole, self.pending = self.pending, ""
        self._check(whole)

    def _check(self, text: str) -> None:
        for one in sentences(text):
            problems = self.sources.problems(one)
            if problems:
                self.left_out += problems[:1]
            else:
                self.kept.append(one)
                self.tell({"kind": "words", "text": one})


async def think_freely(
    thinker: Thinker,
    question: str,
    history: Sequence[Mapping[str, str]],
    tools: Mapping[str, Tool],
    tell: StreamWriter,
) -> Thought:
    """One turn. Raises ModelMissing and ModelFailed, also where it takes too long or says nothing that holds."""
    # It takes two seconds to load, and most never need it.
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelCallLimitMiddleware, ToolCallLimitMiddleware

    names = frozenset(asset.name.lower() for asset in thinker.site.assets)
    turn = _Turn(Sources(question, names), tell)
    tell(
        {"kind": "understood", "intent": "free", "phrase": "planned by the model itself", "by": thinker.name}
    )
    prompt = render("operate", OperateInput(question, thinker.site.name, thinker.now()), show_values=True)
    limits: list[Any] = [  # typed over their own contexts, which this agent has none of
        ModelCallLimitMiddleware(run_limit=MODEL_CALLS, exit_behavior="end"),
        ToolCallLimitMiddleware(run_limit=TOOL_CALLS, exit_behavior="continue"),
    ]
    offered = [_tool(name, tool, turn) for name, tool in tools.items() if name not in KEPT_FROM_IT]
    agent = create_agent(thinker.chat, offered, system_prompt=prompt.system, middleware=limits)
    messages = [*_before(history), HumanMessage(prompt.user)]
    try:
        async with asyncio.timeout(thinker.limit_s):
            async for message in _heard(agent, messages):
                turn.hear(message)
    except SetpointError:
        raise
    except TimeoutError as error:
        raise ModelFailed(f"no whole answer within {thinker.limit_s:g} s", where=thinker.name) from error
    except Exception as error:  # whatever a server sends or breaks off, the person gets code's answer
        _LOG.warning("%s: %s: %s", thinker.name, type(error).__name__, error)
        raise ModelFailed(f"its answer broke off ({type(error).__name__})", where=thinker.name) from error
    turn.finish()
    return _thought(turn, thinker)


async def _heard(agent: Any, messages: list[BaseMessage]) -> AsyncIterator[BaseMessage]:
    """The model's own words as they come, and none of the tools' or the limits'."""
    stream = agent.astream({"messages": messages}, stream_mode="messages", version="v2")
    async for part in stream:
        message, meta = part["data"]
        if (
            meta.get("langgraph_node") == "model"
            and isinstance(message, AIMessage | AIMessageChunk)
            and message.text
        ):
            yield message


def _before(history: Sequence[Mapping[str, str]]) -> list[BaseMessage]:
    found: list[BaseMessage] = []
    for turn in history[-MOST_HISTORY:]:
        found += [HumanMessage(turn["question"]), AIMessage(turn["answer"] or "(no answer)")]
    return found


def _thought(turn: _Turn, thinker: Thinker) -> Thought:
    plain, lines, citations = facts_of_calls(turn.findings)
    lead = " ".join(turn.kept)
    if not lead and not plain:
        why = turn.left_out[0] if turn.left_out else "it answered nothing"
        raise ModelFailed(f"nothing of its answer holds: {why}", where=thinker.name)
    many = len(turn.left_out)
    fallback = (
        f"{many} {'sentence was' if many == 1 else 'sentences were'} left out: {turn.left_out[0]}"
        if many
        else ""
    )
    turn.tell({"kind": "facts", "lines": lines, "citations": citations})
    if not lead:
        turn.tell({"kind": "words", "text": plain})
    reply: dict[str, Any] = {
        "answer": lead or plain,
        "facts": lines,
        "citations": citations,
        "tools": [{"tool": one.tool, "args": dict(one.args)} for one in turn.findings],
        "written_by": thinker.name if lead else TEMPLATE,
        "fallback": fallback,
    }
    return Thought(tuple(turn.findings), reply)


def _tool(name: str, tool: Tool, turn: _Turn) -> BaseTool:
    """The operator's tool as the model calls it: typed as it is, its result kept whole and told in short."""
    made = structured(name, tool)

    async def looked(**args: Any) -> str:
        number, began = len(turn.findings) + 1, time.monotonic()
        turn.tell({"kind": "call", "id": number, "tool": name, "args": args})
        result = await asyncio.to_thread(call, name, tool, args)
        found = Finding(name, args, result)
        turn.findings.append(found)
        turn.sources.add(found)
        turn.tell(folded(number, result, began))
        return _short(result)

    return StructuredTool.from_function(
        coroutine=looked, name=name, description=made.description, args_schema=made.args_schema,
        handle_validation_error=in_words, handle_tool_error=True,
    )  # fmt: skip


def _short(result: Any) -> str:
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    if len(text) <= RESULT_CHARS:
        return text
    return f"{text[:RESULT_CHARS]} ... cut: {len(text) - RESULT_CHARS:,} more characters; ask more narrowly"


__all__ = ["Thinker", "Thought", "think_freely"]
