"""People who wait long for an answer hold up neither the probes nor those who are to be let in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from setpoint.app.chatting import Conversations
from tests.setpoint.app.served import COMMAND, serving

POLLS = 50
"""More than the 40 threads that everything else shares."""


@pytest.mark.parametrize("door", ["/v1/desk/chat_follow", "/v1/chat/turns/{turn}"])
async def test_long_polls_starve_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setenv("SETPOINT_USER", "ada")
    monkeypatch.setattr(Conversations, "_run", never)
    with serving(tmp_path) as served:
        chats = served.runtime.desk.chats()
        async with served.client(authorization=f"Bearer {COMMAND}") as client:
            begun = await client.post("/v1/desk/chat_start", json={"who": "ada", "question": "what is open?"})
            turn, wait = begun.json()["turn"], {"after": 50, "wait_s": 20.0}

            async def poll() -> int:
                if door.startswith("/v1/desk"):
                    body = {"turn": turn, "who": "ada", **wait}
                    return (await client.post(door, json=body)).status_code
                return (await client.get(door.format(turn=turn), params=wait)).status_code

            polls = [asyncio.create_task(poll()) for _ in range(POLLS)]
            await asyncio.sleep(1.0)
            assert [poll for poll in polls if poll.done()] == [], "they wait"
            for way in ("/readyz", "/metrics", "/v1/stats"):
                async with asyncio.timeout(3.0):
                    answer = await client.get(way)
                assert answer.status_code in (200, 503), way
            assert [poll for poll in polls if poll.done()] == [], "they wait still"
            assert chats.stop("ada", turn)
            assert {await poll for poll in polls} == {200}
