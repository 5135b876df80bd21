"""Says at the start which configured model is not there, since the texts then fall back to templates in silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from setpoint.llm.registry import BUNDLED, ROLES, Registry
from setpoint.settings import ModelSettings, Settings

_MAGIC = b"GGUF"


def tell_missing_models(settings: Settings) -> None:
    """One line on stderr for each role whose model cannot be used."""
    for problem in missing_models(settings):
        print(f"setpoint: {problem}", file=sys.stderr)


def missing_models(settings: Settings) -> Iterator[str]:
    """What is wrong and what to do, for each role. Looks at settings and files only: no model is loaded."""
    registry = Registry.of(settings)
    for role in ROLES:
        model = settings.models.light if role == "light" else settings.models.heavy
        if model.kind == "bundled" and (warning := registry.in_service(role).warning):
            yield f"models.{role}: {warning}"
        if problem := _problem(model):
            yield f'models.{role}: {problem}. Templates stand in for its words. Correct models.{role}, or set its kind to "none"'


def _problem(model: ModelSettings) -> str:
    if model.kind == "none":
        return ""
    if model.kind == "openai":
        absent = [name for name in ("url", "model") if not getattr(model, name)]
        return f"{' and '.join(absent)} not set" if absent else ""
    path = BUNDLED if model.kind == "bundled" else model.path
    if path is None:
        return "path is not set"
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if magic == _MAGIC else f"{path} is no GGUF file"
