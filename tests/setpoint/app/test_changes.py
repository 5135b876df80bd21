"""The stream of changes: prompt, complete after a break, patient with nobody who is slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from setpoint.app import changes as module
from setpoint.app.changes import ANYTHING, KINDS, Changes
from setpoint.contracts import Decision
from tests.setpoint.app.served import Served, serving
from tests.setpoint.ledger.builders import review
from tools.stop import StopSwitch

SOON_S = 10.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
async def changes(served: Served) -> AsyncIterator[Changes]:
    made: Changes = served.app.state.changes
    watching = asyncio.create_task(made.watch())
    yield made
    made.end()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def told(text: str) -> dict[str, Any]:
    """The data of one server-sent event."""
    data = next(line for line in text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: ")) | {
        "event": text.partition("event: ")[2].partition("\n")[0]
    }


async def following(stream: AsyncIterator[str]) -> dict[str, Any]:
    async with asyncio.timeout(SOON_S):
        return told(await anext(stream))


async def opened(changes: Changes, after: int = -1) -> AsyncIterator[str]:
    stream = changes.read(after, lambda: True)
    assert (await following(stream))["event"] == "hello"
    return stream


async def test_a_decision_reaches_every_reader_within_a_second(served: Served, changes: Changes) -> None:
    ledger = served.runtime.ledger
    ledger.open_review(review(expires=None))
    readers = [await opened(changes) for _ in range(3)]
    clock = asyncio.get_running_loop().time
    began = clock()
    decision = Decision(type="approve", who="ada")
    await asyncio.to_thread(ledger.decide, "REV-1", ledger.get_review("REV-1").digest, decision)
    written = clock()
    for reader in readers:
        change = await following(reader)
        while "review" not in change["kinds"]:
            change = await following(reader)
        assert "REV-1" in change["subjects"]
        assert change["seq"] == ledger.last_audit()
    assert clock() - written < 1.0, f"written after {written - began:.2f} s"


async def test_after_a_break_a_reader_gets_what_it_missed_and_nothing_twice(
    served: Served, changes: Changes
) -> None:
    ledger = served.runtime.ledger
    ledger.open_review(review("REV-1"))
    seen = ledger.last_audit()
    ledger.open_review(review("REV-2"))
    ledger.open_review(review("REV-3"))
    stream = await opened(changes, after=seen)
    missed = await following(stream)
    assert {"REV-2", "REV-3"} <= set(missed["subjects"])
    assert "REV-1" not in missed["subjects"]
    assert missed["seq"] == ledger.last_audit()
    ledger.open_review(review("REV-4"))
    assert "REV-4" in (await following(stream))["subjects"]


async def test_a_number_of_another_store_means_look_at_everything(changes: Changes) -> None:
    change = await following(await opened(changes, after=10**9))
    assert change["subjects"] == [ANYTHING]
    assert set(change["kinds"]) == set(KINDS)


async def test_a_long_break_means_look_at_everything(
    served: Served, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    for number in range(4):
        served.runtime.ledger.audit("ada", "silence-added", f"SIL-{number}")
    assert (await following(await opened(changes, after=0)))["subjects"] == [ANYTHING]


async def test_the_kill_switch_is_told(served: Served, changes: Changes) -> None:
    stream, switch = await opened(changes), StopSwitch(served.runtime.settings.store.dir / "STOP")
    switch.engage("ada", "technician in the rack")
    assert "stop" in (await following(stream))["kinds"]
    switch.release()
    assert "stop" in (await following(stream))["kinds"]


async def test_what_is_no_row_is_told_too(changes: Changes) -> None:
    stream = await opened(changes)
    changes.heard("delivered", None)
    assert (await following(stream))["kinds"] == ["notice"]
    changes.tell("chat", "CHAT-1")
    change = await following(stream)
    assert (change["kinds"], change["subjects"]) == (["chat"], ["CHAT-1"])


async def test_a_slow_reader_is_let_go_and_others_are_not_held_up(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 4)
    slow, quick = await opened(changes), await opened(changes)
    for number in range(4 + 2):
        changes.tell("chat", f"CHAT-{number}")
        assert (await following(quick))["subjects"] == [f"CHAT-{number}"]
    left = [text async for text in slow]
    assert len(left) <= 4, "what waited is not told: it comes back with its number"


async def test_a_reader_whose_session_ended_is_let_go(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN_EVERY_S", 0.0)
    stream = changes.read(-1, lambda: False)
    async with asyncio.timeout(SOON_S):
        assert [told(text)["event"] async for text in stream] == ["hello"]


async def test_every_reader_is_let_go_when_the_server_stops(changes: Changes) -> None:
    stream = await opened(changes)
    changes.end()
    async with asyncio.timeout(SOON_S):
        assert [text async for text in stream] == []
