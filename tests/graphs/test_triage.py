"""The triage graph: order, the empty batch, a crash between any two nodes, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from syrupy.assertion import SnapshotAssertion

from agents.correlator import Correlator
from agents.dispatcher import Stage
from graphs.triage import TriageContext, build_triage_graph
from setpoint.contracts import Context, Dispatch, Event, Incident, Judgement, Notice, Priority, Ranked, Triage
from setpoint.errors import StoreLocked

NOW = datetime(2026, 3, 15, 1, 0, tzinfo=UTC)


class Inbox:
    """An inbox and a ledger in one, as far as triage sees them: events stay until they are committed."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.waiting = list(events)
        self.incidents: dict[str, Incident] = {}
        self.committed: list[Dispatch] = []
        self.locked = 0

    async def take(self, limit: int) -> Sequence[Event]:
        return self.waiting[:limit]

    async def known(self, incident_ids: Sequence[str]) -> Mapping[str, Incident]:
        return {name: self.incidents[name] for name in incident_ids if name in self.incidents}

    async def commit(self, dispatch: Dispatch) -> None:
        if self.locked:
            self.locked -= 1
            raise StoreLocked("the ledger is locked")
        done = {one.event.id for one in dispatch.ranked}
        self.waiting = [event for event in self.waiting if event.id not in done]
        self.incidents |= {incident.id: incident for incident in dispatch.incidents}
        self.committed.append(dispatch)


class ByMessage:
    """Ranks by the priority that the message names, and dies when told to."""

    dies = False

    def rank(self, event: Event, context: Context) -> Triage:
        if self.dies:
            raise OSError("killed")
        level = Judgement(level="low", reason="")
        names: dict[str, Priority] = {"smoke": "P0", "XID": "P1"}
        priority = next((rank for word, rank in names.items() if word in event.message), "P3")
        return Triage(
            event_id=event.id, priority=priority, urgency=level, impact=level, complexity=level, confidence=1.0,
            decided_by=("test",), condition="",
        )  # fmt: skip


def notice(stage: Stage, incident: Incident, events: Sequence[Ranked]) -> Notice:
    return Notice(
        incident_id=incident.id, dedup_key=incident.id, version=0, stage=stage, priority=incident.priority,
        title=incident.title, text="", written_by="template",
    )  # fmt: skip


def event(number: int, message: str, asset: str = "gpu-05") -> Event:
    moment = NOW + timedelta(seconds=number)
    return Event(
        id=f"e{number}", time=moment, received=moment, asset=asset, source="t", kind="", message=message
    )


def night() -> list[Event]:
    return [
        event(1, "GPU XID 79"),
        event(2, "session opened"),
        event(3, "smoke alarm", "fire-panel-1"),
        event(4, "GPU XID 79"),
    ]


def context_of(inbox: Inbox) -> TriageContext:
    return TriageContext(inbox, Correlator(), ByMessage(), inbox, notice, clock=lambda: NOW)


async def test_a_batch_goes_through_and_is_committed_once() -> None:
    inbox = Inbox(night())
    out = await build_triage_graph().ainvoke({"limit": 200}, context=context_of(inbox), version="v2")
    assert inbox.waiting == []
    (done,) = inbox.committed
    assert [one.triage.priority for one in done.ranked] == ["P1", "P3", "P0", "P1"]
    assert [(job.kind, job.urgency) for job in done.jobs] == [("slow", 1), ("fast", 0)]
    assert out.value["result"] == {
        "P0": 1, "P1": 2, "P2": 0, "P3": 1, "events": 4, "incidents": 3, "new": 3, "notices": 2, "reviews": 0, "jobs": 2,
    }  # fmt: skip


async def test_the_limit_cuts_batches_and_the_rest_follows() -> None:
    inbox = Inbox(night())
    graph, context = build_triage_graph(), context_of(inbox)
    for _ in range(2):
        await graph.ainvoke({"limit": 3}, context=context, version="v2")
    assert [len(done.ranked) for done in inbox.committed] == [3, 1]
    assert inbox.committed[1].new_incidents == ()
    assert inbox.committed[1].incidents[0].event_count == 2


async def test_an_empty_inbox_ends_at_once() -> None:
    inbox = Inbox([])
    out = await build_triage_graph().ainvoke({"limit": 200}, context=context_of(inbox), version="v2")
    assert "result" not in out.value
    assert inbox.committed == []


async def test_a_locked_store_is_tried_again() -> None:
    inbox = Inbox(night())
    inbox.locked = 1
    await build_triage_graph().ainvoke({"limit": 200}, context=context_of(inbox), version="v2")
    assert len(inbox.committed) == 1


async def test_a_run_that_died_in_ranking_resumes_from_disk(tmp_path: Path) -> None:
    inbox = Inbox(night())
    context = context_of(inbox)
    config = {"configurable": {"thread_id": "batch-1"}}
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        dead = replace(context, ranker=ByMessage())
        dead.ranker.dies = True  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="killed"):
            await build_triage_graph(saver).ainvoke(
                {"limit": 200}, config, context=dead, durability="sync", version="v2"
            )
    assert inbox.committed == []
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        fresh = replace(context, correlator=Correlator())
        await build_triage_graph(saver).ainvoke(None, config, context=fresh, durability="sync", version="v2")
    (done,) = inbox.committed
    other = Inbox(night())
    await build_triage_graph().ainvoke({"limit": 200}, context=context_of(other), version="v2")
    assert done == other.committed[0], "a batch that was cut off comes out the same"


async def test_state_survives_a_checkpointer_and_holds_plain_values() -> None:
    inbox = Inbox(night())
    graph = build_triage_graph(InMemorySaver())
    config = {"configurable": {"thread_id": "batch-1"}}
    await graph.ainvoke(
        {"limit": 200}, config, context=context_of(inbox), interrupt_after=["correlate"], version="v2"
    )
    halfway = (await graph.aget_state(config)).values
    assert [type(row) for row in halfway["correlated"]] == [dict] * 4
    assert type(halfway["correlated"][0]["event"]["time"]) is str
    await graph.ainvoke(None, config, context=context_of(inbox), version="v2")
    assert len(inbox.committed) == 1


def test_shape(snapshot: SnapshotAssertion) -> None:
    assert build_triage_graph().get_graph(xray=True).draw_mermaid() == snapshot
