"""The desk over HTTP beside a run that owns its store, so that commands in another terminal reach it as they reach
`setpoint serve`. In a thread of its own; it takes no events in."""

from __future__ import annotations

import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from setpoint import __version__
from setpoint.app.access import check_rules, open_access
from setpoint.app.api import add_desk, add_health
from setpoint.app.api_errors import add_errors
from setpoint.app.client import announce
from setpoint.app.doorway import Doorway
from setpoint.app.metrics import Metrics
from setpoint.app.wiring import Runtime
from setpoint.errors import BackendError

LOOPBACK = "127.0.0.1"
START_S = 10.0


@contextmanager
def desk_server(runtime: Runtime, wanted: bool) -> Iterator[None]:
    """Serve the desk of a runtime while the block lasts; nothing where it is not wanted. Raises BackendError where it
    does not start."""
    if not wanted:
        yield
        return
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        token, port = secrets.token_urlsafe(32), listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(_app(runtime, token), log_level="warning", lifespan="off"))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="desk", daemon=True
        )
        thread.start()
        _wait(server)
        store = runtime.settings.store.dir
        note = announce(store, f"http://{LOOPBACK}:{port}", token)
        print(f"decide from another terminal: setpoint review list --store {store}", file=sys.stderr)
        try:
            yield
        finally:
            note.unlink(missing_ok=True)
            server.should_exit = True
            thread.join(START_S)


def _wait(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + START_S
    while not server.started:
        if time.monotonic() > deadline:
            raise BackendError("the desk did not start", remedy="Run with --decide approve or reject")
        time.sleep(0.02)


def _app(runtime: Runtime, token: str) -> FastAPI:
    serve = runtime.settings.serve
    app = FastAPI(title="Setpoint", version=__version__, openapi_url=None)
    open_access(app, serve, runtime.ledger, token)
    metrics = Metrics(runtime.ledger)
    runtime.engine.parts.listeners.append(metrics)
    add_errors(app)
    add_health(app, runtime, metrics)
    add_desk(app, runtime)
    app.add_middleware(Doorway, serve=serve)
    check_rules(app)
    return app
