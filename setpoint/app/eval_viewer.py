"""Inspect's log viewer on the logs of eval runs: served from this machine, loopback only."""

from __future__ import annotations

import socket
import sys
import threading
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path

from setpoint.errors import BackendError, UsageError

HOST = "127.0.0.1"
OPENS_WITHIN_S = 20.0


def serve_viewer(folder: Path, port: int, browser: bool) -> None:
    """Serves until it is stopped. Raises UsageError where there is no log or the port is taken."""
    if find_spec("inspect_ai") is None:
        raise BackendError(
            "the log viewer is part of Inspect", remedy="Install it: pip install 'setpoint[eval]'"
        )
    if next(folder.rglob("*.eval"), None) is None:
        remedy = "Make a run: setpoint eval run all --limit 20"
        raise UsageError("no eval logs here", where=str(folder), remedy=remedy)
    if _answers(port):  # Inspect would end the viewer that it finds there
        raise UsageError(f"port {port} is taken", remedy="Choose another with --port")
    url = f"http://{HOST}:{port}"
    print(f"logs of {folder} at {url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    if browser:
        threading.Thread(target=_open, args=(url, port), daemon=True).start()
    from inspect_ai import view

    view(log_dir=str(folder), recursive=True, host=HOST, port=port, log_level="warning")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _open(url: str, port: int) -> None:
    """Once it serves."""
    until = time.monotonic() + OPENS_WITHIN_S
    while not _answers(port) and time.monotonic() < until:
        time.sleep(0.2)
    webbrowser.open(url)
