"""The two roles, light and heavy: a configured model each, or none, in which case templates stand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from setpoint.contracts import FactSheet, Mode
from setpoint.errors import ModelFailed, ModelMissing
from setpoint.llm.grammar import words_grammar
from setpoint.llm.words import PromptText, Words
from setpoint.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

BUNDLED = Path(__file__).parent / "models" / "setpoint-small.gguf"
"""The model that ships with Setpoint."""
Role = Literal["light", "heavy"]
STRUCTURED_TOKENS = 640
"""Of a filled schema: one that is cut off is lost whole, so the room is its own and not that of a sentence."""
_RETRY_TEMPERATURE = 0.7
_TYPOGRAPHY = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-", "\u00a0": " "})


class RoleModel:
    """One role's model. Nothing is loaded before the first call; a missing model raises ModelMissing then."""

    def __init__(
        self,
        name: str,
        mode: Mode,
        make_chat: Callable[[], BaseChatModel],
        *,
        path: Path | None = None,
        bound_by_grammar: bool = False,
        terse: bool = False,
        timeout_s: float = 20.0,
    ) -> None:
        self.name, self.mode = name, mode
        self.path = path
        self.terse = terse
        """The bundled model: prompts without instructions and values (`render(..., show_values=not terse)`)."""
        self.timeout_s = timeout_s
        self._make_chat, self._bound_by_grammar = make_chat, bound_by_grammar

    @cached_property
    def chat(self) -> BaseChatModel:
        """The LangChain model behind the role. Raises ModelMissing."""
        return self._make_chat()

    @cached_property
    def sha256(self) -> str:
        """Hash of the model file; empty for a server or where the file cannot be read."""
        from setpoint.llm.engine import file_sha256

        try:
            return file_sha256(self.path) if self.path else ""
        except OSError:
            return ""

    def words(
        self, prompt: PromptText, sheet: FactSheet, *, attempt: int = 0, timeout_s: float | None = None
    ) -> Words:
        """Words with unfilled slots. The same arguments give the same words on a local model; `attempt` above 0
        asks for other ones. Raises ModelMissing, ModelFailed."""
        started = time.monotonic()
        reply = self.chat.invoke(_messages(prompt), **self._options(sheet, attempt, timeout_s))
        return _words(reply, started, self.name)

    async def awords(
        self, prompt: PromptText, sheet: FactSheet, *, attempt: int = 0, timeout_s: float | None = None
    ) -> Words:
        """`words` without blocking the event loop; cancelling it stops a local model."""
        started = time.monotonic()
        reply = await self.chat.ainvoke(_messages(prompt), **self._options(sheet, attempt, timeout_s))
        return _words(reply, started, self.name)

    def structured(self, system: str, user: str, schema: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """A filled JSON schema, every field of which is bounded, and the tokens it took.

        Raises ModelMissing, ModelFailed; UsageError on an unbounded schema (local models).
        """
        from langchain_core.messages import HumanMessage, SystemMessage

        bound = self.chat.with_structured_output(
            {"title": "answer", **schema}, include_raw=True, max_tokens=STRUCTURED_TOKENS
        )
        found: Any = bound.invoke([SystemMessage(system), HumanMessage(user)])
        if not isinstance(found["parsed"], dict):
            raise ModelFailed("the model's answer does not fit the schema", where=self.name)
        usage = getattr(found["raw"], "usage_metadata", None) or {}
        return found["parsed"], int(usage.get("total_tokens", 0))

    def _options(self, sheet: FactSheet, attempt: int, timeout_s: float | None) -> dict[str, Any]:
        options: dict[str, Any] = {"temperature": _RETRY_TEMPERATURE, "seed": attempt} if attempt else {}
        if self._bound_by_grammar:
            options["grammar"] = words_grammar(sheet)
            if timeout_s is not None:
                options["timeout_s"] = timeout_s
        elif timeout_s is not None:
            options["timeout"] = timeout_s
        return options


def load_role(settings: ModelSettings, role: Role = "light") -> RoleModel:
    """The model a role is set to. Cheap: files and servers are touched at the first call."""
    section = f"models.{role}"
    if settings.kind == "none":
        return RoleModel("none", settings.mode, lambda: _no_model(section), timeout_s=settings.timeout_s)
    if settings.kind == "openai":
        return RoleModel(
            settings.model, settings.mode, lambda: _server(settings, section), timeout_s=settings.timeout_s
        )
    path = BUNDLED if settings.kind == "bundled" else settings.path
    return RoleModel(
        path.stem if path else "none",
        settings.mode,
        lambda: _local(path, settings, section),
        path=path,
        bound_by_grammar=True,
        terse=settings.kind == "bundled",
        timeout_s=settings.timeout_s,
    )


def _no_model(section: str) -> BaseChatModel:
    raise ModelMissing(
        f'{section}.kind is "none"', remedy=f"Set {section}.kind to have a model word the texts"
    )


def _local(path: Path | None, settings: ModelSettings, section: str) -> BaseChatModel:
    if path is None:
        raise ModelMissing(f"{section}.path is empty", remedy=f"Set {section}.path to a GGUF file")
    from setpoint.llm.chat_model import LlamaChat

    if settings.kind == "bundled":
        remedy = f"Run `make train` to train it again, or set {section}.kind"
    else:
        remedy = f'Correct {section}.path, or set {section}.kind to "bundled"'
    return LlamaChat(
        path=path,
        context_tokens=settings.context_tokens,
        max_tokens=settings.max_tokens,
        threads=settings.threads,
        timeout_s=settings.timeout_s,
        remedy=remedy,
    )


def _server(settings: ModelSettings, section: str) -> BaseChatModel:
    for name in ("url", "model"):
        if not getattr(settings, name):
            raise ModelMissing(f"{section}.{name} is empty", remedy=f"Set {section}.{name}")
    from pydantic import SecretStr

    from setpoint.llm.server import ServerChat

    return ServerChat(
        model=settings.model,
        base_url=settings.url,
        # Local servers take any key, but the client insists on one.
        api_key=SecretStr(os.environ.get(settings.api_key_env) or "unused"),
        max_completion_tokens=settings.max_tokens,
        temperature=0.0,
        timeout=settings.timeout_s,
        deadline_s=settings.timeout_s,
        max_retries=0,
    )


def _messages(prompt: PromptText) -> list[BaseMessage]:
    from langchain_core.messages import HumanMessage, SystemMessage

    return [SystemMessage(prompt.system), HumanMessage(prompt.user)]


def _words(reply: BaseMessage, started: float, name: str) -> Words:
    text = " ".join(reply.text.translate(_TYPOGRAPHY).split())
    if not text:
        raise ModelFailed("the model answered nothing", where=name)
    usage = getattr(reply, "usage_metadata", None) or {}
    return Words(text, int(usage.get("total_tokens", 0)), time.monotonic() - started)
