"""Case folders played through the real product, in a process of its own.

The product is put together in `setpoint.app`, which evals may not import and must not rebuild: a copy would drift away
from what people run. So the cases go to `python -m setpoint.app.case_player`, one JSON line each way. It starts once,
and later cases cost no start; what it imports and prints stays out of Inspect's process.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any

from evals.folders.folder import Folder
from evals.running.calls import Call, keep
from evals.running.contenders import Contender
from setpoint.errors import BackendError, SetpointError

MODULE = "setpoint.app.case_player"
_STOP_S = 10.0
_TAIL_CHARS = 2000


class Player:
    """The other process; it starts at the first case and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._turn = Lock()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with it

    def play(self, folder: Folder, contender: Contender) -> dict[str, Any]:
        """What the product made of the case: incidents as `setpoint run -o json` has them, and how many pages.

        Model calls are kept for the transcript. Raises what the product raised.
        """
        with self._turn:
            said = self._asked(json.dumps(request(folder, contender)))
        keep([_call(one) for one in said.pop("calls", ())], said.pop("missing", ()))
        if "error" in said:
            # Whoever reports it shows the words of an error only, and where and remedy belong to them.
            raise SetpointError(str(SetpointError(said["error"], where=said["where"], remedy=said["remedy"])))
        return said

    def close(self) -> None:
        """The end of its input ends it."""
        if self._process is not None and self._process.stdin and self._process.stdout:
            self._process.stdin.close()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
        self._process = None

    def _asked(self, line: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise BackendError(f"the process that plays cases died: {self._last_words()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                text=True, encoding="utf-8", env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        return self._process

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-_TAIL_CHARS:].strip() or "it said nothing"


def request(folder: Folder, contender: Contender) -> Mapping[str, Any]:
    """All that the product gets of a case: its files and its clock, nothing of what is expected."""
    case = folder.case
    return {
        "events": str(folder.events.resolve()),
        "site": str(folder.site.resolve()) if folder.site else None,
        "telemetry": str(folder.telemetry.resolve()) if folder.telemetry else None,
        "rules": [str(path.resolve()) for path in folder.rules],
        "now": case.now.isoformat() if case.now else None,
        "system": contender.system,
        "light": contender.light.model_dump(mode="json"),
        "heavy": contender.heavy.model_dump(mode="json"),
    }


def _call(said: Mapping[str, Any]) -> Call:
    return Call(**{**said, "prompt": tuple((who, text) for who, text in said["prompt"])})


@cache
def the_player() -> Player:
    """One for all suites of this process."""
    made = Player()
    atexit.register(made.close)
    return made
