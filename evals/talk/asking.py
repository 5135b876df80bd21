"""The product's chat, asked: its graph over the world's tools, a thread for a conversation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agents.explainer import Budget
from agents.verification.claims import claims_of
from evals.running.contenders import EVAL_TIMEOUT_S
from evals.talk.world import World
from graphs.chat import ChatPorts, build_chat_graph
from graphs.chat_free import Thinker
from graphs.threads import config_of
from setpoint.llm import RoleModel

TOKENS, CALLS = 6000, 4


def converse(
    questions: Sequence[str], world: World, model: RoleModel | None, thinker: Thinker | None = None
) -> list[dict[str, Any]]:
    """What was said to each question of one conversation, as JSON: text, facts, calls, and what the calls gave."""
    ports = ChatPorts(
        world.site, world.tools, model, lambda: Budget(TOKENS, CALLS, 2 * EVAL_TIMEOUT_S), thinker
    )
    return asyncio.run(_turns(questions, ports))


def thinking(model: RoleModel, world: World, limit_s: float = 2 * EVAL_TIMEOUT_S) -> Thinker:
    """The model as one that plans every turn by itself, as the product makes it of a server in mode free."""
    return Thinker(
        model.name, "free", lambda: model.chat, world.site, lambda: f"{world.live.now:%A %Y-%m-%d %H:%M}", limit_s
    )  # fmt: skip


async def _turns(questions: Sequence[str], ports: ChatPorts) -> list[dict[str, Any]]:
    graph, config = build_chat_graph(InMemorySaver()), config_of("chat")
    return [
        _said(dict((await graph.ainvoke({"question": question}, config, context=ports, version="v2")).value))
        for question in questions
    ]


def _said(state: Mapping[str, Any]) -> dict[str, Any]:
    reply = state["reply"]
    return {
        "text": "\n".join((reply["answer"], *(f"  {line}" for line in reply["facts"]))),
        "lead": reply["answer"],
        "facts": list(reply["facts"]),
        "calls": list(reply["tools"]),
        "written_by": reply["written_by"],
        "fallback": reply["fallback"],
        "findings": list(state["findings"]),
    }


# ---- facts -------------------------------------------------------------------------------------------------------


def unfounded(said: Mapping[str, Any], question: str) -> list[str]:
    """Numbers, times and names of the answer that neither a tool gave nor the person said."""
    source = _Source.of(said["findings"], question)
    told = (line for line in said["facts"] if not line.startswith(_HINT))
    text = "\n".join((said["lead"], *told))
    return [claim for claim in dict.fromkeys(_claimed(text)) if not source.has(claim)]


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_HINT = "ask for example"
"""How to ask is no statement about the site."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_CODE = re.compile(r"\b(?:INC|REV|ACT)-\w+")


def _claimed(text: str) -> Iterator[str]:
    yield from _CODE.findall(text)
    for claim in claims_of(_THOUSANDS.sub("", _CODE.sub(" ", text))):
        if claim.kind != "digit" and (claim.kind != "name" or re.search(r"[\d_]", claim.text)):
            yield claim.text


@dataclass(frozen=True)
class _Source:
    """What the tools gave: their words, and their numbers. Counts of what is listed are theirs too."""

    text: str
    numbers: tuple[float, ...]

    @classmethod
    def of(cls, findings: Sequence[Mapping[str, Any]], question: str) -> _Source:
        words = [question, *_leaves(list(findings))]
        text = "\n".join(words).lower()
        numbers = [float(found) for word in words for found in _NUMBER.findall(word.replace(",", ""))]
        return cls(text, (*numbers, *_sizes(list(findings))))

    def has(self, claim: str) -> bool:
        if clock := _CLOCK.fullmatch(claim):
            hour = int(clock[1]) + int(clock[2]) / 60
            return claim in self.text or any(abs(number - hour) < 0.01 for number in self.numbers)
        if not _NUMBER.fullmatch(claim):
            return claim.lower() in self.text
        return any(_reads_as(number, float(claim)) for number in self.numbers)


def _reads_as(number: float, said: float) -> bool:
    """Whether the number may be told so: rounded to three digits, as a share in percent, without its sign."""
    near = max(0.0051 * abs(said), 5e-4)
    return any(abs(abs(one) - abs(said)) <= near for one in (number, 100 * number))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key)
            yield from _leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield str(value)


def _sizes(value: Any) -> Iterator[float]:
    """How many there are of what is listed, of each kind and state that is told apart, and how many are left."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _sizes(part)
    elif isinstance(value, list | tuple):
        yield from map(float, range(len(value) + 1))
        for part in value:
            yield from _sizes(part)
