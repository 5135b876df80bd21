"""Who is measured: a baseline, or Setpoint with the models that `--model` names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from setpoint.errors import UsageError
from setpoint.llm import RoleModel, load_role
from setpoint.settings import ModelSettings

System = Literal["severity", "rules", "plant", "model"]
SYSTEMS: dict[System, str] = {
    "severity": "severity words of the loudest event decide; nothing else is looked at",
    "rules": "Setpoint's rules, signatures and templates; no plant model, no language model",
    "plant": "rules, and every cause tried on the plant model; no language model",
    "model": "all of Setpoint with its language models",
}
_ROLES: tuple[Literal["light", "heavy"], ...] = ("light", "heavy")
_MODES = ("facts", "assisted", "free")
_GRAMMAR = "light=bundled,heavy=none; each bundled, none, FILE.gguf or URL#MODEL, with @facts, @assisted or @free behind it"
EVAL_TIMEOUT_S = 60.0
"""Of one model call: a loaded machine must not change what is measured."""
_BUNDLED = ModelSettings(timeout_s=EVAL_TIMEOUT_S)


@dataclass(frozen=True)
class Contender:
    """One column of a result table."""

    name: str
    system: System = "model"
    light: ModelSettings = _BUNDLED
    heavy: ModelSettings = _BUNDLED

    def role(self, name: Literal["light", "heavy"]) -> RoleModel | None:
        """The role's model, with its calls recorded; None where this contender has none."""
        settings: ModelSettings = getattr(self, name)
        if self.system != "model" or settings.kind == "none":
            return None
        from evals.running.calls import CallLog  # LangChain takes its time, and most commands ask no model

        role = load_role(settings, name)
        role.chat.callbacks = [CallLog(name)]
        return role

    def check(self) -> None:
        """Asks each of its models for one token, so that what is not there is known before a suite runs, not from
        templates that stood in for it. Raises ModelMissing, ModelFailed."""
        roles = {"light": self.light, "heavy": self.heavy} if self.system == "model" else {}
        settings = {
            one.model_dump_json(exclude={"mode"}): one for one in roles.values() if one.kind != "none"
        }
        for one in settings.values():
            _ask_one_token(load_role(one, next(name for name in _ROLES if roles[name] is one)))

    def about(self) -> dict[str, Any]:
        """What it is made of, for the record of a run: models with mode and hash."""
        roles = {"light": self.light, "heavy": self.heavy} if self.system == "model" else {}
        return {"system": self.system} | {name: _about(one) for name, one in roles.items()}


BUNDLED = Contender("bundled")
"""Setpoint as it comes."""


def baseline(system: str) -> Contender:
    """A contender without models. Raises UsageError for a name that is none."""
    for known in SYSTEMS:
        if known == system != "model":
            return Contender(known, known)
    raise UsageError(f"no baseline {system!r}", remedy="One of: severity, rules, plant")


def contender(text: str) -> Contender:
    """As `--model` names it; `bundled` and `none` alone stand for both roles. Raises UsageError with the grammar.

    >>> contender("light=none,heavy=http://127.0.0.1:8080/v1#qwen@assisted").name
    'light=none,heavy=qwen@assisted'
    >>> contender("light=none,heavy=http://127.0.0.1:8080/v1#qwen@assisted").heavy.mode
    'assisted'
    """
    if text.strip() in ("bundled", "none"):
        both = _settings(text.strip(), text)
        return Contender(text.strip(), light=both, heavy=both)
    given: dict[str, ModelSettings] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        role, equals, value = part.partition("=")
        if role not in ("light", "heavy") or not equals or role in given:
            raise UsageError(f"--model {text!r}: {part!r} is no role with a model", remedy=_GRAMMAR)
        given[role] = _settings(value, text)
    if not given:
        raise UsageError("--model names no model", remedy=_GRAMMAR)
    name = ",".join(f"{role}={_short(given[role])}" for role in _ROLES if role in given)
    return Contender(name, light=given.get("light", _BUNDLED), heavy=given.get("heavy", _BUNDLED))


def _settings(value: str, whole: str) -> ModelSettings:
    found = re.fullmatch(r"(?P<model>.+?)(?:@(?P<mode>\w+))?", value)
    if not found or (found["mode"] or "facts") not in _MODES:
        raise UsageError(f"--model {whole!r}: {value!r} is no model", remedy=_GRAMMAR)
    more: dict[str, Any] = {"mode": found["mode"] or "facts", "timeout_s": EVAL_TIMEOUT_S}
    model = found["model"]
    if model in ("bundled", "none"):
        return ModelSettings(kind=model, **more)
    if model.startswith(("http://", "https://")):
        url, hash_, name = model.partition("#")
        if not hash_ or not name:
            raise UsageError(
                f"--model {whole!r}: {url} needs #MODEL, the name at that server", remedy=_GRAMMAR
            )
        return ModelSettings(kind="openai", url=url, model=name, **more)
    path = Path(model).expanduser()
    if not path.is_file():
        raise UsageError(f"--model {whole!r}: there is no file {model}", remedy=_GRAMMAR)
    return ModelSettings(kind="gguf", path=path, **more)


def _ask_one_token(role: RoleModel) -> None:
    from langchain_core.messages import HumanMessage

    role.chat.invoke([HumanMessage("Are you there?")], max_tokens=1)


def _short(settings: ModelSettings) -> str:
    """A model as a column's head names it: neither folder nor address."""
    plain = (
        settings.path.name
        if settings.path
        else settings.model
        if settings.kind == "openai"
        else settings.kind
    )
    return plain if settings.mode == "facts" else f"{plain}@{settings.mode}"


def _about(settings: ModelSettings) -> dict[str, str]:
    role = load_role(settings)
    found = {"kind": settings.kind, "name": role.name, "mode": settings.mode}
    return found | ({"sha256": role.sha256} if role.sha256 else {})
