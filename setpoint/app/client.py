"""Calls a desk function: in this process, or in the `setpoint serve` that owns the stores.

A running server leaves `serve.json` in the store folder (mode 0600) with its address and a token that only this
user can read. Where it does not answer, its leftover is ignored and the call is made here. Where people have accounts, a
command that changes something shows its person's own API token, from SETPOINT_TOKEN.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import JsonValue

from setpoint.errors import BackendError, SetpointError, UsageError

SERVE_FILE = "serve.json"
OWN_TOKEN = "SETPOINT_TOKEN"
"""Environment variable with the person's own API token."""
TIMEOUT_S = 60.0


class ServerGone(BackendError):
    """No answer, or one of another server than the one that was found: a later look may find it again."""


class NotLetIn(ServerGone):
    """The server is there and does not know the token: the server was started again since, or the token is over."""


@dataclass(frozen=True)
class Running:
    """Where a server listens and how to speak to it."""

    url: str
    token: str
    cert: str = ""
    """The server's own certificate, which is the only one that is taken from it; "" without TLS."""
    nobody: bool = False
    """People have accounts there and this command shows no token of one: it may look, and no more."""

    def verify(self) -> ssl.SSLContext | bool:
        """What httpx checks the server's certificate against."""
        return _only(self.cert) if self.cert else True


def _only(cert: str) -> ssl.SSLContext:
    """Trusts this certificate and no other. It was issued for the name that people type, and this is the same machine: the
    name is not compared."""
    context = ssl.create_default_context(cafile=cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


def announce(store: Path, url: str, token: str, cert: Path | None = None, accounts: bool = False) -> Path:
    """Leave the address of this server for the commands."""
    path = store / SERVE_FILE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        left = {"url": url, "token": token, "pid": os.getpid(), "accounts": accounts}
        json.dump(left | {"cert": str(cert.absolute()) if cert else ""}, file)
    return path


def find_running(store: Path) -> Running | None:
    """The server over this store, if one answers."""
    try:
        known = json.loads((store / SERVE_FILE).read_text())
        own = os.environ.get(OWN_TOKEN, "") if known.get("accounts") else ""
        nobody = bool(known.get("accounts")) and not own
        server = Running(known["url"], own or known["token"], known.get("cert", ""), nobody)
        answer = httpx.get(f"{server.url}/healthz", timeout=2.0, verify=server.verify())
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return server if answer.is_success else None


def call_remote(
    server: Running, name: str, arguments: dict[str, Any], timeout_s: float = TIMEOUT_S
) -> JsonValue:
    """One desk call over HTTP. Raises the error the server names, with its exit code; ServerGone without an answer."""
    try:
        answer = httpx.post(
            f"{server.url}/v1/desk/{name}",
            json=arguments,
            headers={"Authorization": f"Bearer {server.token}"},
            timeout=timeout_s,
            verify=server.verify(),
        )
    except ValueError as error:  # NaN and infinity have no JSON
        raise UsageError(
            f"an argument cannot be sent: {error}", where=name, remedy="Give plain numbers"
        ) from error
    except httpx.HTTPError as error:
        raise ServerGone(f"the server did not answer: {error}", where=server.url) from error
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise _unknown(_error_of(answer), server)
    if answer.is_success:
        value: JsonValue = answer.json()
        return value
    raise _error_of(answer)


def _unknown(told: SetpointError, server: Running) -> NotLetIn:
    error = NotLetIn(told.what, where=told.where or server.url, remedy=told.remedy)
    error.exit_code = told.exit_code
    return error


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
