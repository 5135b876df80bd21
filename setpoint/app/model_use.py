"""Sets a role to a model in the settings file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from setpoint.app.model_choice import settings_of
from setpoint.app.settings_file import Value, as_toml, change_section, file_to_change
from setpoint.errors import UsageError
from setpoint.llm.registry import ROLES
from setpoint.settings import ModelSettings, Settings

MODES = ("facts", "assisted", "free")


def use(
    roles: Sequence[str],
    name: str,
    model: str,
    mode: str,
    file: Path | None,
    settings: Settings,
    *,
    dry_run: bool,
) -> Iterator[str]:
    """Change the sections of these roles. Yields what was done, in words. Raises UsageError, ConfigError."""
    if unknown := [role for role in roles if role not in ROLES]:
        raise UsageError(f"no role {unknown[0]!r}", remedy="One of: light, heavy")
    if mode not in MODES:
        raise UsageError(f"no mode {mode!r}", remedy=f"One of: {', '.join(MODES)}")
    if name in ROLES:
        raise UsageError(f"{name!r} is a role", remedy="Name the model that it should run on")
    one = settings_of(name, settings, model)
    path = file or file_to_change()
    for role in roles:
        values = _values(one, mode)
        if dry_run:
            yield as_toml(f"models.{role}", values)
            continue
        change_section(path, f"models.{role}", values)
        yield f"models.{role} is {name} in mode {mode} now ({path}); a running server takes it over at its next start"


def _values(one: ModelSettings, mode: str) -> dict[str, Value | None]:
    """The keys that say which model it is; the others of the section stay as they are."""
    return {
        "kind": one.kind,
        "path": str(one.path) if one.path else None,
        "url": one.url or None,
        "model": one.model or None,
        "mode": None if mode == "facts" else mode,
    }
