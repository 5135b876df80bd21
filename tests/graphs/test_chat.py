"""The chat graph: one turn, resumed after a kill, and what it looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from syrupy.assertion import SnapshotAssertion

from agents.explainer import Budget
from graphs.chat import ChatPorts, build_chat_graph
from graphs.threads import config_of, run_to_stop
from tests.agents.cases import demo_site

PASSAGE = {
    "id": "pump-failure#steps",
    "section": "pump-failure",
    "title": "Coolant pump failed",
    "text": "1. Start the standby pump.",
}


class Dying:
    """A search that dies the first time it is asked, as under kill -9."""

    def __init__(self, deaths: int) -> None:
        self.deaths, self.calls = deaths, 0

    def __call__(self, query: str) -> list[dict[str, Any]]:
        self.calls += 1
        if self.calls <= self.deaths:
            raise OSError("killed here")
        return [PASSAGE]


def ports(search: Dying) -> ChatPorts:
    return ChatPorts(demo_site(), {"search": search}, None, lambda: Budget(0, 0, 0.0))


async def test_one_turn_without_a_checkpointer() -> None:
    state = await build_chat_graph().ainvoke(
        {"question": "how do I start a spare pump"}, context=ports(Dying(0))
    )
    assert "1. Start the standby pump." in "\n".join(state["reply"]["facts"])
    assert state["reply"]["citations"] == ["pump-failure#steps"]
    assert state["reply"]["tools"] == [{"tool": "search", "args": {"query": "how do I start a spare pump"}}]


async def test_a_killed_turn_goes_on_where_it_was(tmp_path: Path) -> None:
    search = Dying(1)
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        with pytest.raises(OSError, match="killed here"):
            await run_to_stop(
                build_chat_graph(saver), "chat:1", {"question": "how do I start a spare pump"}, ports(search)
            )
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        state = await run_to_stop(
            build_chat_graph(saver), "chat:1", {"question": "not asked again"}, ports(search)
        )
    assert state["question"] == "how do I start a spare pump"
    assert state["reply"]["citations"] == ["pump-failure#steps"]
    assert search.calls == 2


def test_its_picture(snapshot: SnapshotAssertion) -> None:
    assert build_chat_graph().get_graph().draw_mermaid() == snapshot


async def test_a_thread_remembers_its_subject_across_a_restart(tmp_path: Path) -> None:
    """Each turn is asked of another graph over the same checkpoints, as after a restart."""
    asked: list[str] = []

    def lost(asset: str) -> str:
        asked.append(asset)
        return "nothing comes of it"

    given = ChatPorts(demo_site(), {"asset_lost": lost, "search": Dying(0)}, None, lambda: Budget(0, 0, 0.0))
    for thread, question in (
        ("a", "what happens if ups-1 fails"),
        ("a", "and the other one?"),
        ("b", "and the other one?"),
    ):
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
            graph = build_chat_graph(saver)
            await graph.ainvoke({"question": question}, config_of(thread), context=given, version="v2")
    assert asked == ["ups-1", "ups-2"], "another thread knows nothing of it"


async def test_what_is_remembered_does_not_grow_with_the_conversation(tmp_path: Path) -> None:
    given = ChatPorts(demo_site(), {"search": Dying(0)}, None, lambda: Budget(0, 0, 0.0))
    sizes = []
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        graph = build_chat_graph(saver)
        for number in range(6):
            said = f"how do I bleed loop number {number}"
            output = await graph.ainvoke({"question": said}, config_of("a"), context=given, version="v2")
            sizes.append(len(str(output.value["memory"])))
    assert len(set(sizes)) == 1
