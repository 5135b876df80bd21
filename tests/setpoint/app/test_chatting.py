"""Conversations that are answered on the server: followed, left, resumed, stopped, and going on after a restart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.explainer import Budget
from graphs.chat import ChatPorts
from setpoint.app.chatting import Conversations
from setpoint.contracts.chat import ChatStep
from setpoint.errors import BackendError, UsageError
from setpoint.ledger import Ledger
from tests.agents.cases import demo_site

PATIENCE_S = 10.0


class Gear:
    """Tools of a site; one waits until it is let go."""

    def __init__(self) -> None:
        self.go_on, self.asked = threading.Event(), list[dict[str, Any]]()

    def topology(self, asset: str) -> dict[str, Any]:
        self.asked.append({"asset": asset})
        return {"asset": asset, "stands_on": ["pdu-01a"], "stand_on_it": ["gpu-01"], "services": [], "redundant_with": []}  # fmt: skip

    def asset_lost(self, asset: str) -> str:
        assert self.go_on.wait(PATIENCE_S)
        return f"nothing comes of {asset}"

    def incidents(self, asset: str = "") -> list[dict[str, Any]]:
        raise BackendError("the store does not answer", remedy="Look at its disk")

    def reviews(self) -> list[dict[str, Any]]:
        raise RuntimeError("a bug")

    def ports(self, _who: str) -> ChatPorts:
        tools: dict[str, Any] = {
            name: getattr(self, name) for name in ("topology", "asset_lost", "incidents", "reviews")
        }
        return ChatPorts(demo_site(), tools, None, lambda: Budget(0, 0, 0.0))


@pytest.fixture
def gear() -> Iterator[Gear]:
    made = Gear()
    yield made
    made.go_on.set()


@pytest.fixture
def chats(tmp_path: Path, gear: Gear) -> Iterator[Conversations]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield Conversations(ledger, gear.ports)


def end_of(chats: Conversations, turn: str, who: str = "ana") -> dict[str, Any]:
    """Everything of it, read in pieces as a terminal would."""
    steps: list[dict[str, Any]] = []
    while True:
        said = chats.follow(who, turn, steps[-1]["number"] if steps else 0, PATIENCE_S)
        steps += said["steps"]
        if said["state"] != "running":
            return said | {"steps": steps}


def test_a_turn_is_told_step_by_step_and_kept_whole(chats: Conversations) -> None:
    turn = chats.start("ana", "what feeds r-03?")
    said = end_of(chats, turn.id)
    assert [step["kind"] for step in said["steps"]] == [
        "understood",
        "call",
        "result",
        "facts",
        "words",
        "end",
    ]
    assert [step["number"] for step in said["steps"]] == [1, 2, 3, 4, 5, 6]
    assert said["reply"]["tools"] == [{"tool": "topology", "args": {"asset": "r-03"}}]
    (kept,) = chats.turns("ana", turn.thread)
    assert [step.model_dump(mode="json") for step in kept.steps] == said["steps"]
    assert chats.follow("ana", turn.id, 4, 0.0)["steps"] == said["steps"][4:], "read again from any step"


def test_a_follow_up_leans_on_the_last_turn_also_after_a_restart(tmp_path: Path, gear: Gear) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        chats = Conversations(ledger, gear.ports)
        turn = chats.start("ana", "what feeds r-03?")
        end_of(chats, turn.id)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        again = Conversations(ledger, gear.ports)
        end_of(again, again.start("ana", "what hangs on it?", turn.thread).id)
        end_of(again, again.start("ana", "what hangs on r-07?").id)
    assert gear.asked == [{"asset": "r-03"}, {"asset": "r-03"}, {"asset": "r-07"}]


def test_stopping_keeps_what_was_there_and_the_thread_goes_on(chats: Conversations, gear: Gear) -> None:
    turn = chats.start("ana", "what happens if ups-1 fails")
    while not any(step["kind"] == "call" for step in chats.follow("ana", turn.id, 0, PATIENCE_S)["steps"]):
        pass
    assert chats.stop("ana", turn.id)
    chats.stop("ana", turn.id)
    said = end_of(chats, turn.id)
    assert (said["state"], said["reply"]) == ("stopped", {})
    assert [step["kind"] for step in said["steps"]] == ["understood", "call", "end"]
    assert not chats.stop("ana", turn.id), "it had ended"
    assert end_of(chats, chats.start("ana", "what feeds r-03?", turn.thread).id)["state"] == "done"


async def test_two_pages_see_the_same_steps_and_one_that_comes_back_goes_on(
    chats: Conversations, gear: Gear
) -> None:
    turn = chats.start("ana", "what happens if ups-1 fails")
    live = chats.watch(turn.id)
    assert live is not None

    async def read(after: int) -> list[ChatStep]:
        return [step async for step in live.follow(after) if step is not None]

    first, second = asyncio.create_task(read(0)), asyncio.create_task(read(0))
    seen = await asyncio.to_thread(live.wait, 1, PATIENCE_S)
    late = asyncio.create_task(read(seen[0][-1].number))
    gear.go_on.set()
    whole, same, rest = await asyncio.gather(first, second, late)
    assert [step.kind for step in whole] == ["understood", "call", "result", "facts", "words", "end"]
    assert same == whole
    assert rest == whole[-len(rest) :]


@pytest.mark.parametrize(
    ("question", "said"),
    [("what is going on?", "the store does not answer"), ("what waits for a decision?", "RuntimeError")],
)
def test_what_goes_wrong_is_told_in_words_and_the_next_question_may_be_answered(
    chats: Conversations, question: str, said: str
) -> None:
    turn = chats.start("ana", question)
    end = end_of(chats, turn.id)
    assert end["state"] == "failed"
    assert said in end["steps"][-1]["data"]["error"]
    assert end["steps"][-1]["data"]["remedy"]
    assert end_of(chats, chats.start("ana", "what feeds r-03?", turn.thread).id)["state"] == "done"


def test_a_turn_is_its_owners(chats: Conversations) -> None:
    turn = chats.start("ana", "what feeds r-03?")
    for call in (
        lambda: chats.follow("ben", turn.id, 0, 0.0),
        lambda: chats.stop("ben", turn.id),
        lambda: chats.turns("ben", turn.thread),
        lambda: chats.propose("ben", turn.id, lambda _who, _offer: "REV-1"),
    ):
        with pytest.raises(UsageError, match="of yours"):
            call()
    end_of(chats, turn.id)


def test_an_answer_without_an_offer_proposes_nothing(chats: Conversations) -> None:
    turn = chats.start("ana", "what feeds r-03?")
    end_of(chats, turn.id)
    with pytest.raises(UsageError, match="offers nothing"):
        chats.propose("ana", turn.id, lambda _who, _offer: "REV-1")
