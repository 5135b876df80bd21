"""The same tools at /mcp of a running server, behind its tokens, with the real client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from setpoint.app.api import make_app
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.settings import load_settings
from tests.setpoint.app.terminal import DEMO

COMMAND = "the-token-of-serve.json-in-this-test"
CAP = {"action": "cap_gpu_power", "asset": "gpu-03", "args": {"cap_w": 400}, "why": "it runs hot"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Runtime, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = {"site.file": DEMO, "store.dir": tmp_path / "store", "serve.port": port,
             "models.light.kind": "none", "models.heavy.kind": "none"}  # fmt: skip
    runtime = build_runtime(load_settings(flags, env={}, files=()).settings)
    server = uvicorn.Server(uvicorn.Config(make_app(runtime, COMMAND), port=port, log_level="warning"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield runtime, f"http://127.0.0.1:{port}/mcp"
    server.should_exit = True
    await task


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_with_a_token_looks_and_proposes(served: tuple[Runtime, str], mode: str) -> None:
    runtime, url = served
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {COMMAND}"}, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        state = await client.call_tool("site_state", {"asset": "gpu-03"})
        assert state.structured_content["asset"] == "gpu-03"
        made = await client.call_tool("propose", CAP)
        assert made.structured_content["state"] == "pending"
    (review,) = runtime.ledger.list_reviews()
    assert review.proposal is not None
    assert review.proposal.proposed_via.startswith("mcp")


async def test_without_a_token_there_is_no_way_in(served: tuple[Runtime, str]) -> None:
    """Not for a page in the user's browser either: it cannot know the token of a form."""
    _, url = served
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accepts = {"Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient() as http:
        for headers in ({}, {"Authorization": "Bearer guessed"}, {"Origin": "https://example.net"}):
            answer = await http.post(url, json=call, headers=accepts | headers)
            assert answer.status_code in (401, 403), answer.text
        big = {"Authorization": f"Bearer {COMMAND}"}
        answer = await http.post(url, content=b"x" * 300_000, headers=accepts | big)
        assert answer.status_code == 413
