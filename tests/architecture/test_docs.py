"""What the README tells people to type exists, and every command shows how it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from setpoint.app.cli import app

REPOSITORY = Path(__file__).parents[2]
ROOT: Any = typer.main.get_command(app)
_TYPED = re.compile(r"`(setpoint [^`]+)`")
_OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")


def commands(command: Any = ROOT, path: str = "setpoint") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by how it is typed."""
    below_it = getattr(command, "commands", None)
    if below_it:
        for name, below in below_it.items():
            yield from commands(below, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands())


def documented() -> list[str]:
    """What README and the operator's texts tell people to type; help texts too."""
    texts = [(REPOSITORY / "README.md").read_text("utf-8"), *(one.help or "" for one in COMMANDS.values())]
    return sorted({line for text in texts for line in _TYPED.findall(text)})


def _found(line: str) -> tuple[str, Any] | None:
    words = line.split()
    return next(((name, COMMANDS[name]) for n in (3, 2) if (name := " ".join(words[:n])) in COMMANDS), None)


@pytest.mark.parametrize("line", documented())
def test_what_is_documented_can_be_typed(line: str) -> None:
    line = line.split(" | ")[0]
    if line.split()[1].startswith("-"):
        return
    found = _found(line)
    assert found is not None, f"no command for {line!r}"
    known = {option for parameter in found[1].params for option in parameter.opts} | {"--help", "-h"}
    assert set(_OPTION.findall(re.sub(r"\"[^\"]*\"|'[^']*'", "", line))) <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_of_itself(name: str) -> None:
    shown = " ".join((COMMANDS[name].help or "").split())
    assert "Example" in shown
    assert name in shown


@pytest.mark.parametrize(
    "name", ["incidents", "review", "silence", "feedback", "doctor", "stop", "serve", "chat"]
)
def test_the_readme_names_the_main_commands(name: str) -> None:
    assert f"`setpoint {name}" in (REPOSITORY / "README.md").read_text("utf-8")
