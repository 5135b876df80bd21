"""Which model a name on the command line means: a role, the shipped one, one of the store, a file, or a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from setpoint.errors import UsageError
from setpoint.llm.registry import ROLES, SHIPPED, Registry
from setpoint.settings import ModelSettings, Settings


def settings_of(text: str, settings: Settings, model: str = "", **more: Any) -> ModelSettings:
    """The settings under which that model would be asked. `model`: its name at a server; it may stand behind # as well.
    `more`: further settings. Raises UsageError for what is not there."""
    if text in ROLES:
        return _of_role(getattr(settings.models, text), text, settings).model_copy(update=more)
    if text.startswith(("http://", "https://")):
        url, _, behind = text.partition("#")
        if not (model or behind):
            raise UsageError(
                "a server needs the model's name there",
                where=url,
                remedy=f"Give --model NAME, or {url}#NAME",
            )
        return ModelSettings(kind="openai", url=url, model=model or behind, **more)
    if text == SHIPPED:
        return ModelSettings(kind="bundled", **more)
    if text == "none":
        return ModelSettings(kind="none", **more)
    return ModelSettings(kind="gguf", path=_file(text, settings), **more)


def label_of(one: ModelSettings) -> str:
    """As a person calls it: neither folder nor address."""
    if one.kind == "openai":
        return one.model
    if one.kind == "gguf" and one.path is not None:
        return one.path.parent.name if one.path.name == "model.gguf" else one.path.name
    return one.kind


def _of_role(one: ModelSettings, role: str, settings: Settings) -> ModelSettings:
    """What is in service there, a promotion included."""
    if one.kind == "none":
        raise UsageError(f"models.{role} is set to none", remedy="Name a model")
    found = Registry.of(settings).in_service("light" if role == "light" else "heavy")
    if one.kind == "bundled" and found.name != SHIPPED:
        return one.model_copy(update={"kind": "gguf", "path": found.path})
    return one


def _file(text: str, settings: Settings) -> Path:
    registry = Registry.of(settings)
    if text in registry.names():
        return registry.entry(text).path
    path = Path(text).expanduser()
    if path.is_file():
        return path.absolute()
    known = ", ".join([SHIPPED, *registry.names()])
    raise UsageError(
        f"there is no model {text!r}",
        remedy=f"Give a GGUF file, a server's URL with --model, or one of: {known} (`setpoint model list`)",
    )
