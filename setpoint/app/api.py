"""The HTTP face: events in, health and metrics out, the desk for programs and commands, and the pages of the console.

Every route names who may use it (`access.require`); an app with one that does not is not served. An event is acknowledged (202) only when the ledger has it on disk.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from setpoint import __version__
from setpoint.app.access import check_may, check_rules, commands, may_read, open_access, require, sends_events
from setpoint.app.api_desk import MOST_ROWS, Name, Phrase, add_desk_routes, add_manual, line_of
from setpoint.app.api_errors import add_errors
from setpoint.app.binding import check_binding, own_url, somebody_decides, transport, writes_real_site
from setpoint.app.changes import Changes, stream_router
from setpoint.app.client import announce, find_running
from setpoint.app.console.pages import add_console
from setpoint.app.console.signin import sign_in_router
from setpoint.app.desk import DESK
from setpoint.app.doorway import Doorway
from setpoint.app.histories import Reached
from setpoint.app.lines import quickly
from setpoint.app.links import address
from setpoint.app.mcp_http import router as mcp_router
from setpoint.app.metrics import Metrics
from setpoint.app.modelcheck import tell_missing_models
from setpoint.app.opening import read_items
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts.accounts import Principal
from setpoint.errors import BackendError, SetpointError, StoreLocked, UsageError
from setpoint.settings import Loaded

Beside = Callable[[Runtime], Awaitable[None]]
"""What runs as long as the server does."""
log = logging.getLogger("setpoint")
SMALL = 16_384
"""Bytes of a body that are read at once: a hop to another thread would cost more."""
WARM_UP_AFTER_S = 3.0
SWITCH_S = 0.0005
"""How long one thread may hold the interpreter while the alert path waits for it (Python's default is 10 times that)."""
GRACE_S = 5
"""How long a request under way may go on once the server is asked to stop."""


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


def make_app(runtime: Runtime, token: str, beside: Beside | None = None) -> FastAPI:
    """The application over a runtime that this app starts and closes; `beside` runs for as long. Raises SafetyViolation
    for a route without a rule."""
    changes = Changes(runtime)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        tasks = [asyncio.create_task(_warm_up(runtime)), asyncio.create_task(changes.watch())]
        if beside is not None:
            tasks.append(asyncio.ensure_future(beside(runtime)))
        yield
        changes.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runtime.close()

    app = FastAPI(
        title="Setpoint",
        version=__version__,
        description="An operations agent for AI data centers. Accepts events; says what is wrong and what would help.",
        lifespan=life,
        openapi_url=None,
    )
    serve = runtime.settings.serve
    app.state.changes = changes
    open_access(app, serve, runtime.ledger, token)
    metrics = Metrics(runtime.ledger)
    runtime.engine.parts.listeners.extend((metrics, changes.heard))
    add_errors(app)
    _add_intake(app, runtime)
    add_health(app, runtime, metrics)
    _add_reading(app, runtime)
    add_desk(app, runtime)
    app.include_router(stream_router(changes))
    app.include_router(sign_in_router(runtime.ledger, serve))
    app.include_router(mcp_router(runtime))
    add_console(app, runtime)
    app.add_middleware(Doorway, serve=serve)
    check_rules(app)
    return app


async def _warm_up(runtime: Runtime) -> None:
    """Open the index before the first analysis asks for it: loading it amid a storm would hold up the storm's alerts."""
    await asyncio.sleep(WARM_UP_AFTER_S)
    try:
        await asyncio.to_thread(runtime.index)
    except SetpointError as error:
        log.warning("index: %s", error)


def _add_intake(app: FastAPI, runtime: Runtime) -> None:
    async def take(request: Request, origin: str) -> JSONResponse:
        raw = await request.body()
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

    @app.post("/v1/events", status_code=202, response_model=Receipt, tags=["intake"], dependencies=[Depends(sends_events)],
              openapi_extra={"requestBody": {"content": {"application/json": {}, "text/plain": {}, "text/csv": {}}}})  # fmt: skip
    async def events(request: Request) -> JSONResponse:
        """Events of any known format, recognised by content; one or many, gzip allowed."""
        return await take(request, "POST /v1/events")

    @app.post("/v1/alertmanager", status_code=202, response_model=Receipt, tags=["intake"], dependencies=[Depends(sends_events)],
              openapi_extra={"requestBody": {"content": {"application/json": {}}}})  # fmt: skip
    async def alertmanager(request: Request) -> JSONResponse:
        """The webhook receiver of Prometheus Alertmanager (payload version 4)."""
        return await take(request, "POST /v1/alertmanager")


def add_health(app: FastAPI, runtime: Runtime, metrics: Metrics) -> None:
    """Alive, ready, and counted."""

    @app.get("/healthz", tags=["health"])
    async def healthz() -> Health:
        """Alive: the process answers."""
        return Health(status="ok")

    @app.get("/readyz", tags=["health"])
    async def readyz(request: Request) -> JSONResponse:
        """Ready: events are taken, ranked and delivered. 503 where not, with the reasons for those who may read."""
        problems = await quickly(_problems, runtime)
        shown = problems if await quickly(may_read, request) else []
        return JSONResponse(
            Health(status="not ready" if problems else "ok", problems=shown).model_dump(),
            503 if problems else 200,
        )

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=PlainTextResponse,
        dependencies=[Depends(require("viewer"))],
    )
    async def prometheus() -> Response:
        """Prometheus metrics."""
        text = await quickly(metrics.render)
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
    @app.get("/v1/incidents", tags=["incidents"], dependencies=[Depends(require("viewer"))])
    async def incidents_list(
        state: Phrase = "", priority: Phrase = "", asset: Phrase = "",
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
    ) -> Any:  # fmt: skip
        """Most urgent first. Filters: `state=open,acknowledged`, `priority=P0,P1`, `asset=gpu-07`."""
        filters: dict[str, Any] = {
            "states": state.split(",") if state else None,
            "priorities": priority.split(",") if priority else None,
        }
        return await run_in_threadpool(
            DESK["incidents_list"], runtime.desk, asset=asset, limit=limit, **filters
        )

    @app.post("/v1/knowledge", tags=["knowledge"],
              openapi_extra={"requestBody": {"content": {"text/markdown": {}, "application/pdf": {}, "text/html": {}}}})  # fmt: skip
    async def knowledge_add(
        request: Request, name: Name, principal: Annotated[Principal, Depends(require("admin"))]
    ) -> Any:
        """Put a manual of the site into the knowledge index: its file name here, its content as the body."""
        content = await request.body()
        return await run_in_threadpool(add_manual, runtime, principal.name, name, content)

    router = APIRouter()
    add_desk_routes(router, runtime)
    app.include_router(router)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(require("viewer"))])
    async def described() -> JSONResponse:
        return JSONResponse(app.openapi())


def add_desk(app: FastAPI, runtime: Runtime) -> None:
    """What commands call."""

    @app.post("/v1/desk/{name}", tags=["desk"])
    async def desk(
        name: str, arguments: dict[str, Any], principal: Annotated[Principal, Depends(commands)]
    ) -> Any:
        """What the `setpoint` commands call, with the token that the server left in its store folder or one's own."""
        if name not in DESK:
            raise HTTPException(404, f"no desk function {name!r}")
        check_may(principal, name)
        if runtime.settings.serve.accounts and "who" in signature(DESK[name]).parameters:
            arguments = arguments | {"who": principal.name}
        try:
            value = await line_of(name)(DESK[name], runtime.desk, **arguments)
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


class _Server(uvicorn.Server):
    """Ends the streams first when it stops: they would hold it up for as long as their readers stay."""

    changes: Changes

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.changes.end()
        await super().shutdown(sockets)


def refuse_second(store: Path) -> None:
    """Raises UsageError where a running server has this store."""
    other = find_running(store)
    if other is not None:
        raise UsageError(
            f"a server at {other.url} has this store already", remedy="Stop it, or use another --store"
        )


def serve_forever(
    loaded: Loaded, simulated: Reached | None = None, beside: Beside | None = None, greeting: str = ""
) -> None:
    """Run until stopped, with another site than the settings name and something that runs beside where they are given.

    Raises UsageError where another server has this store, ConfigError where it may not listen so.
    """
    settings = loaded.settings
    serve = settings.serve
    refuse_second(settings.store.dir)
    check_binding(serve, lambda: somebody_decides(settings), writes_real_site(settings))
    _check_port(serve.host, serve.port)
    tell_missing_models(settings)
    runtime = build_runtime(
        settings, live=sys.stderr, rank_lines=sys.stderr.isatty(), simulated=simulated, looks_again=True
    )
    _tune_interpreter()
    token = secrets.token_urlsafe(32)
    app = make_app(runtime, token, beside)
    note = announce(settings.store.dir, own_url(serve), token, serve.tls_cert, serve.accounts)
    print(
        f"Setpoint {__version__} at {address(serve)}; ledger in {settings.store.dir}{greeting}",
        file=sys.stderr,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has shut down
    server = _Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE_S, **transport(serve))
    )
    server.changes = app.state.changes
    try:
        server.run()
    finally:
        note.unlink(missing_ok=True)
