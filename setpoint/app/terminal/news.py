"""Word from the server that something changed, so that a look need not wait for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import httpx

from setpoint.app.client import Running
from setpoint.app.terminal.link import Link

RETRY_S = 2.0
SILENT_S = 45.0
"""The server sends a beat every 15 s: so long without one, and the connection is dead."""


class News:
    """Calls `changed` at each change the server tells of. `live`: whether it is listening right now."""

    def __init__(self, link: Link, changed: Callable[[], None]) -> None:
        self._link, self._changed = link, changed
        self.live = False

    async def listen(self) -> None:
        """Until cancelled. Without a server, or one that tells nothing, it only tries again."""
        while True:
            if server := self._link.server:
                with suppress(httpx.HTTPError, OSError):  # lost: the next look tells the person
                    await self._read(server)
                if self.live:
                    self.live = False
                    self._changed()
            await asyncio.sleep(RETRY_S)

    async def _read(self, server: Running) -> None:
        timeout = httpx.Timeout(5.0, read=SILENT_S)
        headers = {"Authorization": f"Bearer {server.token}"}
        async with (
            httpx.AsyncClient(verify=server.verify(), timeout=timeout, headers=headers) as client,
            client.stream("GET", f"{server.url}/v1/stream") as answer,
        ):
            async for line in answer.aiter_lines():
                self.live = answer.is_success
                if line == "event: change":
                    self._changed()
