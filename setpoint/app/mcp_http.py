"""The same tools over HTTP, at /mcp of a running server, for agents that hold an API token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import JsonValue
from starlette.types import Receive, Scope, Send

from setpoint.app.access import find_principal, refusal, require
from setpoint.app.desk import DESK
from setpoint.app.mcp_server import make_server
from setpoint.contracts.accounts import Principal
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from setpoint.app.mcp_server import Context
    from setpoint.app.wiring import Runtime

MOST_BODY_BYTES = 256 * 1024


def router(runtime: Runtime) -> APIRouter:
    """One address. Whoever may read may look; proposing asks for an operator, as everywhere."""
    door = _Door(runtime)
    made = APIRouter(lifespan=door.life)

    @made.api_route("/mcp", methods=["GET", "POST", "DELETE"], include_in_schema=False)
    async def mcp(request: Request, me: Annotated[Principal, Depends(require("viewer"))]) -> Response:
        """The Model Context Protocol over streamable HTTP."""
        return _Handed(await door.manager())

    return made


class _Handed(Response):
    """The protocol's own handler answers."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        super().__init__()
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


class _Door:
    """Opened by the first who asks: the protocol takes a second to load, and a start must be quick. Nothing is kept between
    requests, so a restart is not noticed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._opened: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        yield
        self._closing.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def manager(self) -> StreamableHTTPSessionManager:
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._opened))
        return await asyncio.shield(self._opened)

    async def _run(self, opened: asyncio.Future[StreamableHTTPSessionManager]) -> None:
        """One task enters and leaves it, as its group of tasks demands."""
        try:
            made = await to_thread.run_sync(self._make)
            async with made.run():
                opened.set_result(made)
                await self._closing.wait()
        except BaseException as error:  # raised again; whoever waits for the opening must learn of it
            if not opened.done():
                opened.set_exception(error)
            raise

    def _make(self) -> StreamableHTTPSessionManager:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        server = make_server(self._call, _operator)
        return StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=MOST_BODY_BYTES
        )

    def _call(self, name: str, **arguments: Any) -> JsonValue:
        found = DESK[name](self._runtime.desk, **arguments)
        self._runtime.engine.wake()
        return found


def _operator(context: Context) -> str:
    """In whose name it is proposed. Raises UsageError for one who may only look."""
    principal = find_principal(context.request) if context.request is not None else None
    if principal is None or not principal.may("operator"):
        raise UsageError(refusal(principal, "operator") if principal else "nobody stands behind this request")
    return principal.name
