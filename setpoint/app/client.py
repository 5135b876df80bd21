"""Calls a desk function: in this process, or in the `setpoint serve` that owns the stores.

A running server leaves `serve.json` in the store folder (mode 0600) with its address and a token that only this
user can read. Where it does not answer, its leftover is ignored and the call is made here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import JsonValue

from setpoint.errors import BackendError, SetpointError, UsageError

SERVE_FILE = "serve.json"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Running:
    """Where a server listens and how to speak to it."""

    url: str
    token: str


def announce(store: Path, url: str, token: str) -> Path:
    """Leave the address of this server for the commands."""
    path = store / SERVE_FILE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, file)
    return path


def find_running(store: Path) -> Running | None:
    """The server over this store, if one answers."""
    try:
        known = json.loads((store / SERVE_FILE).read_text())
        answer = httpx.get(f"{known['url']}/healthz", timeout=2.0)
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return Running(known["url"], known["token"]) if answer.is_success else None


def call_remote(server: Running, name: str, arguments: dict[str, Any]) -> JsonValue:
    """One desk call over HTTP. Raises the error the server names, with its exit code."""
    try:
        answer = httpx.post(
            f"{server.url}/v1/desk/{name}",
            json=arguments,
            headers={"Authorization": f"Bearer {server.token}"},
            timeout=TIMEOUT_S,
        )
    except ValueError as error:  # NaN and infinity have no JSON
        raise UsageError(
            f"an argument cannot be sent: {error}", where=name, remedy="Give plain numbers"
        ) from error
    except httpx.HTTPError as error:
        raise BackendError(f"the server did not answer: {error}", where=server.url) from error
    if answer.is_success:
        value: JsonValue = answer.json()
        return value
    raise _error_of(answer)


def _error_of(answer: httpx.Response) -> SetpointError:
    try:
        body = answer.json()
        error = SetpointError(body["error"], where=body.get("where", ""), remedy=body.get("remedy", ""))
        error.exit_code = int(body.get("exit_code", 1))
    except (ValueError, KeyError):
        error = BackendError(f"the server answered {answer.status_code}")
    return error


def caller(
    store: Path, local: Callable[[], Callable[[str, dict[str, Any]], JsonValue]]
) -> Callable[..., JsonValue]:
    """`call(name, **arguments)`, to the running server where there is one."""
    server = find_running(store)
    if server is not None:
        return lambda name, **arguments: call_remote(server, name, arguments)
    here = local()
    return lambda name, **arguments: here(name, arguments)
