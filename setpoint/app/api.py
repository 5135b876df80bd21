"""The HTTP face: events in, health and metrics out, and the desk for the commands. Loopback only until accounts exist.

An event is acknowledged (202) only when the ledger has it on disk.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import logging
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from setpoint import __version__
from setpoint.app.client import announce, find_running
from setpoint.app.desk import DESK
from setpoint.app.metrics import Metrics
from setpoint.app.modelcheck import tell_missing_models
from setpoint.app.opening import read_items
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import Incident
from setpoint.errors import BackendError, SetpointError, StoreLocked, UsageError
from setpoint.settings import Loaded

log = logging.getLogger("setpoint")
SMALL = 16_384
"""Bytes of a body that are read at once: a hop to another thread would cost more."""
WARM_UP_AFTER_S = 3.0
SWITCH_S = 0.0005
"""How long one thread may hold the interpreter while the alert path waits for it (Python's default is 10 times that)."""
STATUS = {2: 422, 3: 503, 4: 409, 5: 500}
"""HTTP status by exit code of the error."""


class Receipt(BaseModel):
    """What became of one POST. Everything counted here is on disk."""

    model_config = ConfigDict(extra="forbid")
    accepted: int = Field(description="New events in the inbox")
    duplicates: int = Field(description="Events that were there already")
    quarantined: int = Field(description="Items that could not be read; they are kept")
    problems: list[dict[str, str]] = Field(description="Item, reason and remedy of each unreadable item")


class Health(BaseModel):
    """Liveness or readiness."""

    status: str
    problems: list[str] = []
    version: str = __version__


def make_app(runtime: Runtime, token: str) -> FastAPI:
    """The application over a runtime that this app starts and closes."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        warm = asyncio.create_task(_warm_up(runtime))
        yield
        warm.cancel()
        await runtime.close()

    app = FastAPI(
        title="Setpoint",
        version=__version__,
        description="An operations agent for AI data centers. Accepts events; says what is wrong and what would help.",
        lifespan=life,
    )
    metrics = Metrics(runtime.ledger)
    runtime.engine.parts.listeners.append(metrics)
    add_errors(app)
    _add_intake(app, runtime)
    add_health(app, runtime, metrics)
    _add_reading(app, runtime)
    add_desk(app, runtime, token)
    return app


async def _warm_up(runtime: Runtime) -> None:
    """Open the index before the first analysis asks for it: loading it amid a storm would hold up the storm's alerts."""
    await asyncio.sleep(WARM_UP_AFTER_S)
    try:
        await asyncio.to_thread(runtime.index)
    except SetpointError as error:
        log.warning("index: %s", error)


def add_errors(app: FastAPI) -> None:
    """What goes wrong, in one shape."""

    @app.exception_handler(SetpointError)
    async def expected(_: Request, error: SetpointError) -> JSONResponse:
        body = {"error": error.what if hasattr(error, "what") else str(error), "where": getattr(error, "where", ""),
                "remedy": getattr(error, "remedy", ""), "exit_code": error.exit_code}  # fmt: skip
        return JSONResponse(body, STATUS.get(error.exit_code, 400))

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        """The same shape for what the framework refuses: unknown path, wrong method, body too large."""
        return JSONResponse(
            {"error": str(error.detail), "where": "", "remedy": "", "exit_code": 2}, error.status_code
        )


def _add_intake(app: FastAPI, runtime: Runtime) -> None:
    async def take(request: Request, origin: str) -> JSONResponse:
        raw = await _body(request, runtime.settings.serve.max_body_mb)
        if len(raw) > SMALL:
            events, bad = await asyncio.to_thread(read_items, raw, origin, runtime.site)
        else:
            events, bad = read_items(raw, origin, runtime.site)
        if not events and not bad:
            raise UsageError(
                "the body holds no event",
                where=origin,
                remedy="Send Alertmanager, CloudEvents, Redfish, syslog, JSON Lines, CSV or plain log lines",
            )
        taken = await runtime.engine.accept(events, bad, origin)
        problems = [{"item": item.origin, "reason": item.reason, "remedy": item.remedy} for item in bad[:50]]
        receipt = Receipt(
            accepted=taken.new, duplicates=taken.duplicates, quarantined=taken.quarantined, problems=problems
        )
        # All of it unreadable is the sender's mistake; a part of it is kept and said.
        return JSONResponse(receipt.model_dump(), 202 if events else 422)

    @app.post("/v1/events", status_code=202, response_model=Receipt, tags=["intake"],
              openapi_extra={"requestBody": {"content": {"application/json": {}, "text/plain": {}, "text/csv": {}}}})  # fmt: skip
    async def events(request: Request) -> JSONResponse:
        """Events of any known format, recognised by content; one or many, gzip allowed."""
        return await take(request, "POST /v1/events")

    @app.post("/v1/alertmanager", status_code=202, response_model=Receipt, tags=["intake"],
              openapi_extra={"requestBody": {"content": {"application/json": {}}}})  # fmt: skip
    async def alertmanager(request: Request) -> JSONResponse:
        """The webhook receiver of Prometheus Alertmanager (payload version 4)."""
        return await take(request, "POST /v1/alertmanager")


async def _body(request: Request, most_mb: float) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_mb * 1_000_000:
            raise HTTPException(
                413, f"the body is larger than {most_mb:g} MB (serve.max_body_mb); send it in parts"
            )
        parts.append(part)
    return b"".join(parts)


def add_health(app: FastAPI, runtime: Runtime, metrics: Metrics) -> None:
    """Alive, ready, and counted."""

    @app.get("/healthz", tags=["health"])
    async def healthz() -> Health:
        """Alive: the process answers."""
        return Health(status="ok")

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """Ready: events are taken, ranked and delivered. 503 with the reasons where not."""
        problems = await asyncio.to_thread(_problems, runtime)
        return JSONResponse(
            Health(status="not ready" if problems else "ok", problems=problems).model_dump(),
            503 if problems else 200,
        )

    @app.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def prometheus() -> Response:
        """Prometheus metrics."""
        text = await asyncio.to_thread(metrics.render)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _problems(runtime: Runtime) -> list[str]:
    problems = [str(runtime.engine.failure)] if runtime.engine.failure else []
    problems += runtime.engine.dead_loops()
    problems += [f"{name}: {why}" for name, why in runtime.engine.troubles.items()]
    try:
        waiting = runtime.ledger.pending_count()
    except (BackendError, StoreLocked) as error:
        return [*problems, f"ledger: {error}"]
    if waiting > 50_000:
        problems.append(f"{waiting} events wait for triage")
    return problems


def _add_reading(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/v1/incidents", tags=["incidents"])
    async def incidents(state: str = "", priority: str = "", limit: int = 100) -> list[Incident]:
        """Most urgent first. Filters: `state=open,acknowledged`, `priority=P0,P1`."""
        states: Any = [s for s in state.split(",") if s]
        priorities: Any = [p for p in priority.split(",") if p]
        return await asyncio.to_thread(
            runtime.ledger.list_incidents,
            states=states,
            priorities=priorities,
            limit=max(1, min(limit, 1000)),
        )

    @app.get("/v1/incidents/{incident_id}", tags=["incidents"])
    async def incident(incident_id: str) -> Any:
        """One incident with timeline, diagnosis and reviews."""
        return await asyncio.to_thread(DESK["incidents_show"], runtime.desk, id=incident_id)


def add_desk(app: FastAPI, runtime: Runtime, token: str) -> None:
    """What commands call."""

    def allowed(authorization: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "needs the token of serve.json in the store folder")

    @app.post("/v1/desk/{name}", tags=["desk"], dependencies=[Depends(allowed)])
    async def desk(name: str, arguments: dict[str, Any]) -> Any:
        """What the `setpoint` commands call. Needs the token that the server left in its store folder."""
        if name not in DESK:
            raise HTTPException(404, f"no desk function {name!r}")
        try:
            value = await asyncio.to_thread(DESK[name], runtime.desk, **arguments)
        except TypeError as error:
            raise UsageError(f"wrong arguments: {error}", where=name) from error
        runtime.engine.wake()
        return value


def _tune_interpreter() -> None:
    """For low latency: what was loaded is never collected, young garbage less often, and threads take turns faster."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.setswitchinterval(SWITCH_S)


def _check_port(host: str, port: int) -> None:
    """Said before anything is opened. Raises BackendError where something else listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BackendError(
                f"port {port} cannot be used: {error.strerror}",
                where=host,
                remedy="Choose another with --port",
            ) from error


def serve_forever(loaded: Loaded) -> None:
    """Run until stopped. Raises UsageError where another server has this store."""
    settings = loaded.settings
    other = find_running(settings.store.dir)
    if other is not None:
        raise UsageError(
            f"a server at {other.url} has this store already", remedy="Stop it, or use another --store"
        )
    _check_port(settings.serve.host, settings.serve.port)
    tell_missing_models(settings)
    runtime = build_runtime(settings, live=sys.stderr, rank_lines=sys.stderr.isatty())
    _tune_interpreter()
    token = secrets.token_urlsafe(32)
    host = f"[{settings.serve.host}]" if ":" in settings.serve.host else settings.serve.host
    url = f"http://{host}:{settings.serve.port}"
    note = announce(settings.store.dir, url, token)
    print(
        f"Setpoint {__version__} at {url} (API: {url}/docs); ledger in {settings.store.dir}", file=sys.stderr
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has shut down
    try:
        uvicorn.run(
            make_app(runtime, token), host=settings.serve.host, port=settings.serve.port, log_level="warning"
        )
    finally:
        note.unlink(missing_ok=True)
