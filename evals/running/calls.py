"""Every model call of a case: kept with its prompt and answer for the transcript, and counted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from setpoint.errors import ModelMissing


@dataclass(frozen=True)
class Call:
    """One call of one model."""

    role: str
    prompt: tuple[tuple[str, str], ...]
    """(who, text) of each message."""
    answer: str
    tokens_in: int
    tokens_out: int
    seconds: float
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"prompt": [list(message) for message in self.prompt]}


_current: ContextVar[list[Call] | None] = ContextVar("calls", default=None)
_missing: ContextVar[list[str] | None] = ContextVar("missing", default=None)


@contextmanager
def missing_models() -> Iterator[list[str]]:
    """What is said of models that were not there inside. The product falls back to templates then, and such an answer
    must not count as the model's."""
    said: list[str] = []
    token = _missing.set(said)
    try:
        yield said
    finally:
        _missing.reset(token)


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """The calls made inside, in their order; threads that copy the context count."""
    calls: list[Call] = []
    token = _current.set(calls)
    try:
        yield calls
    finally:
        _current.reset(token)


def keep(calls: Iterable[Call], missing: Iterable[str] = ()) -> None:
    """Calls that another process made for this case, and what it said of models that were not there."""
    current, told = _current.get(), _missing.get()
    if current is not None:
        current.extend(calls)
    if told is not None:
        told.extend(missing)


class CallLog(BaseCallbackHandler):
    """Hangs on a chat model and writes its calls down, where somebody records."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._begun: dict[UUID, tuple[float, tuple[tuple[str, str], ...]]] = {}

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **more: Any
    ) -> None:
        prompt = tuple((message.type, message.text) for message in messages[0])
        self._begun[run_id] = time.monotonic(), prompt

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Any) -> None:
        generation = response.generations[0][0]
        message = generation.message if isinstance(generation, ChatGeneration) else None
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        told = usage or {"input_tokens": 0, "output_tokens": 0}
        self._keep(run_id, generation.text, told["input_tokens"], told["output_tokens"], "")

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        told = _missing.get()
        if told is not None and isinstance(error, ModelMissing):
            told.append(str(error))
        self._keep(run_id, "", 0, 0, str(error) or type(error).__name__)

    def _keep(self, run_id: UUID, answer: str, tokens_in: int, tokens_out: int, error: str) -> None:
        began, prompt = self._begun.pop(run_id)
        calls = _current.get()
        if calls is not None:
            seconds = time.monotonic() - began
            calls.append(Call(self._role, prompt, answer, tokens_in, tokens_out, seconds, error))
