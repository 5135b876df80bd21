"""The two roles, light and heavy: a configured model each, or none, in which case templates stand."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from setpoint.contracts import FactSheet, Mode
from setpoint.errors import ModelFailed, ModelMissing
from setpoint.llm.grammar import words_grammar
from setpoint.llm.registry import BUNDLED, InService, Registry, Role, is_ours
from setpoint.llm.words import PromptText, Words
from setpoint.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

STRUCTURED_TOKENS = 640
"""Of a filled schema: one that is cut off is lost whole, so the room is its own and not that of a sentence."""
_RETRY_TEMPERATURE = 0.7
_log = logging.getLogger("setpoint.llm")
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
        """A model of ours: prompts without instructions and values (`render(..., show_values=not terse)`)."""
        self.timeout_s = timeout_s
        self._make_chat, self._bound_by_grammar = make_chat, bound_by_grammar

    @cached_property
    def chat(self) -> BaseChatModel:
        """The LangChain model behind the role. Raises ModelMissing."""
        return self._make_chat()

    @property
    def promoted(self) -> bool:
        """Whether a model of the site stands in for the shipped one; its name ends in its hash then."""
        return False

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
        self.follow()
        started = time.monotonic()
        reply = self.chat.invoke(_messages(prompt), **self._options(sheet, attempt, timeout_s))
        return _words(reply, started, self.name)

    async def awords(
        self, prompt: PromptText, sheet: FactSheet, *, attempt: int = 0, timeout_s: float | None = None
    ) -> Words:
        """`words` without blocking the event loop; cancelling it stops a local model."""
        self.follow()
        started = time.monotonic()
        reply = await self.chat.ainvoke(_messages(prompt), **self._options(sheet, attempt, timeout_s))
        return _words(reply, started, self.name)

    def structured(self, system: str, user: str, schema: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """A filled JSON schema, every field of which is bounded, and the tokens it took.

        Raises ModelMissing, ModelFailed; UsageError on an unbounded schema (local models).
        """
        from langchain_core.messages import HumanMessage, SystemMessage

        self.follow()
        bound = self.chat.with_structured_output(
            {"title": "answer", **schema}, include_raw=True, max_tokens=STRUCTURED_TOKENS
        )
        found: Any = bound.invoke([SystemMessage(system), HumanMessage(user)])
        if not isinstance(found["parsed"], dict):
            raise ModelFailed("the model's answer does not fit the schema", where=self.name)
        usage = getattr(found["raw"], "usage_metadata", None) or {}
        return found["parsed"], int(usage.get("total_tokens", 0))

    def follow(self) -> None:
        """Take over what was put in service since the last call; a model that is set by hand stays."""

    def _options(self, sheet: FactSheet, attempt: int, timeout_s: float | None) -> dict[str, Any]:
        options: dict[str, Any] = {"temperature": _RETRY_TEMPERATURE, "seed": attempt} if attempt else {}
        if self._bound_by_grammar:
            options["grammar"] = words_grammar(sheet)
            if timeout_s is not None:
                options["timeout_s"] = timeout_s
        elif timeout_s is not None:
            options["timeout"] = timeout_s
        return options


class ServingModel(RoleModel):
    """The bundled model, or the one promoted in its place. A promotion counts from the next call on, without a restart."""

    def __init__(self, settings: ModelSettings, role: Role, registry: Registry) -> None:
        self._registry, self._role, self._turn = registry, role, Lock()
        self._stamp, found = registry.stamp(), registry.in_service(role)
        super().__init__(
            _name(found),
            settings.mode,
            lambda: _local(self.path, settings, f"models.{role}"),
            path=found.path,
            bound_by_grammar=True,
            terse=True,
            timeout_s=settings.timeout_s,
        )

    @property
    def promoted(self) -> bool:
        return self.path != BUNDLED

    def follow(self) -> None:
        """Look at the registry; load the model that is in service now where it is another one."""
        if (stamp := self._registry.stamp()) == self._stamp:
            return
        with self._turn:
            found = self._registry.in_service(self._role)
            if found.warning:
                _log.warning("models.%s: %s", self._role, found.warning)
            if found.path != self.path:
                self.name, self.path = _name(found), found.path
                # Whoever is in a call keeps the old model until it ends.
                self.__dict__.pop("chat", None)
                self.__dict__.pop("sha256", None)
                _log.info("models.%s runs on %s now", self._role, self.name)
            self._stamp = stamp


def _name(found: InService) -> str:
    """As it stands beside what it wrote."""
    return BUNDLED.stem if found.path == BUNDLED else f"{found.name}@{found.sha256[:8]}"


def load_role(settings: ModelSettings, role: Role = "light", registry: Registry | None = None) -> RoleModel:
    """The model a role is set to. Cheap: weights and servers are touched at the first call. With `registry`, `bundled`
    means the model promoted there, if any; without it, the file that ships."""
    section = f"models.{role}"
    if settings.kind == "none":
        return RoleModel("none", settings.mode, lambda: _no_model(section), timeout_s=settings.timeout_s)
    if settings.kind == "openai":
        return RoleModel(
            settings.model, settings.mode, lambda: _server(settings, section), timeout_s=settings.timeout_s
        )
    if settings.kind == "bundled" and registry is not None:
        return ServingModel(settings, role, registry)
    path = BUNDLED if settings.kind == "bundled" else settings.path
    return RoleModel(
        path.stem if path else "none",
        settings.mode,
        lambda: _local(path, settings, section),
        path=path,
        bound_by_grammar=True,
        terse=settings.kind == "bundled" or is_ours(path),
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
