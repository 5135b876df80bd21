"""`setpoint` as a person types it, in this process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from setpoint.app.cli import main

DEMO = Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml"
NO_MODEL = ("--set", "models.light.kind=none", "--set", "models.heavy.kind=none")


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Runs commands in a folder of their own, without the settings of whoever runs the tests."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        self._patch, self._capsys, self.folder = monkeypatch, capsys, folder
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        monkeypatch.setenv("COLUMNS", "140")
        monkeypatch.setenv("SETPOINT_USER", "ana")

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        self._capsys.readouterr()
        self._patch.setattr(sys, "argv", ["setpoint", *arguments])
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = self._capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    def play(self, *files: str, store: str = "", more: tuple[str, ...] = ()) -> Ran:
        """`setpoint run` on the demo site without models."""
        kept = ("--keep", "--store", store) if store else ()
        return self("run", *files, "--site", str(DEMO), "-o", "json", *NO_MODEL, *kept, *more)

    def write(self, name: str, content: bytes | str) -> str:
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name
