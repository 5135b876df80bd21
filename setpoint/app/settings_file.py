"""Changes settings in a TOML file that people edit too: only the keys asked for, every other line as it stands.

The change is read back before it is kept. A file that is written in a way that cannot be changed line by line is left alone,
and the error holds the lines to put in by hand.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setpoint.errors import ConfigError
from setpoint.settings import user_config

_HEADER = re.compile(r"^\s*\[(?P<name>[^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"^\s*(?P<key>[A-Za-z0-9_-]+)\s*=")
Value = str | int | float | bool


def file_to_change() -> Path:
    """./setpoint.toml where there is one, since it counts for more; else the user's own configuration."""
    here = Path("setpoint.toml")
    return here if here.is_file() else user_config()


def change_section(path: Path, section: str, values: Mapping[str, Value | None]) -> None:
    """Set the keys of one section; None takes a key out. Raises ConfigError, with nothing changed, where it cannot."""
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    wanted = _changed(_parsed(before, path), section, values)
    after = "\n".join(_lines(before.splitlines(), section, values)).strip("\n") + "\n"
    try:
        done = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        done = False
    if not done:
        raise ConfigError(
            "this file cannot be changed line by line", where=str(path), remedy=f"Put in by hand: {as_toml(section, values)!r}"
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(after, encoding="utf-8")
    if path.exists():
        draft.chmod(path.stat().st_mode & 0o777)
    os.replace(draft, path)


def as_toml(section: str, values: Mapping[str, Value | None]) -> str:
    """The section as it would stand in a file.

    >>> print(as_toml("models.light", {"kind": "gguf", "threads": 2, "url": None}))
    [models.light]
    kind = "gguf"
    threads = 2
    """
    return "\n".join(
        [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None)]
    )


def _lines(lines: list[str], section: str, values: Mapping[str, Value | None]) -> list[str]:
    """The file's lines with the section changed; the section comes last where there was none."""
    begin = next((place for place, line in enumerate(lines) if _name(line) == section), None)
    if begin is None:
        return [*lines, "", *as_toml(section, values).splitlines()]
    end = next((place for place in range(begin + 1, len(lines)) if _HEADER.match(lines[place])), len(lines))
    kept = [line for line in lines[begin + 1 : end] if _key(line) not in values]
    while kept and not kept[-1].strip():
        kept.pop()
    return [*lines[:begin], lines[begin], *as_toml(section, values).splitlines()[1:], *kept, "", *lines[end:]]


def _name(line: str) -> str:
    found = _HEADER.match(line)
    return found["name"].strip() if found else ""


def _key(line: str) -> str:
    found = _KEY.match(line)
    return found["key"] if found else ""


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path), remedy="Mend it first") from error


def _changed(tree: dict[str, Any], section: str, values: Mapping[str, Value | None]) -> dict[str, Any]:
    """What the file must mean afterwards."""
    node = tree
    for part in section.split("."):
        node = node.setdefault(part, {})
    node.update({key: value for key, value in values.items() if value is not None})
    for key in [key for key, value in values.items() if value is None]:
        node.pop(key, None)
    return tree


def _toml(value: Value) -> str:
    """A basic string is written as JSON writes one."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else json.dumps(value)
