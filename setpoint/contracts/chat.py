"""Conversations with the ops agent, as they are kept and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from setpoint.contracts.event import Frozen

TurnState = Literal["running", "done", "stopped", "failed", "lost"]
"""lost: the server ended before the answer was whole."""
StepKind = Literal["understood", "call", "result", "facts", "wording", "words", "end"]
MOST_QUESTION_CHARS = 2000
"""Of one question."""


class ChatStep(Frozen):
    """One thing that became known while a turn was answered. A page that lost touch goes on from the number it saw."""

    number: int = Field(ge=1)
    kind: StepKind
    data: dict[str, Any] = Field(default_factory=dict)
    """understood: intent, phrase, by (code or the model's name); call: id, tool, args; result: id, text, seconds; facts:
    lines; words: text, a sentence that was verified; end: state, and error and remedy where it failed."""


class ChatTurn(Frozen):
    """One question and what came of it."""

    id: str
    thread: str
    question: str
    asked: datetime
    state: TurnState
    steps: tuple[ChatStep, ...] = ()
    reply: dict[str, Any] = Field(default_factory=dict)
    """What graphs/chat.py answered; empty where it was stopped before."""


class ChatThread(Frozen):
    """One conversation of one person. Nobody else can read it."""

    id: str
    who: str
    title: str
    created: datetime
    updated: datetime
    turns: int = 0
