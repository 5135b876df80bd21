"""What is old and settled goes, in bounded steps; what is owed stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from setpoint.contracts import Decision
from setpoint.ledger import Ledger
from setpoint.settings import StoreSettings
from tests.setpoint.ledger.builders import action, at, bad_item, event, one_incident, review

SETTINGS = StoreSettings(event_days=90, checkpoint_days=7)
DAY = 86_400


def _work_done(ledger: Ledger, name: str, number: int) -> None:
    """One incident from event to sent notice and finished job."""
    ledger.accept([event(number)])
    ledger.commit_triage(one_incident(event(number), name=name), now=at(1))
    ledger.mark_sent([delivery.key for delivery in ledger.due(now=at(2))], now=at(2))
    job = ledger.claim(("slow",), "w", now=at(2))
    assert job is not None
    ledger.finish(job, now=at(3))


def test_only_settled_rows_past_their_time_go(ledger: Ledger) -> None:
    _work_done(ledger, "INC-1", 1)
    _work_done(ledger, "INC-2", 2)
    ledger.set_state("INC-1", "closed", "ada", now=at(5))
    ledger.accept([event("late", received=at(89 * DAY)), event("waiting")], [bad_item(1)])
    early = ledger.prune(SETTINGS, now=at(89 * DAY))
    pruned = ledger.prune(SETTINGS, now=at(91 * DAY))

    assert early.model_dump() == dict.fromkeys(early.model_dump(), 0)
    assert (pruned.events, pruned.deliveries, pruned.jobs, pruned.quarantined) == (1, 2, 2, 1)
    assert [item.id for item in ledger.iter_events()] == ["ev-2", "ev-late", "ev-waiting"]
    assert ledger.get_triage("ev-1") is None
    assert ledger.get_incident("INC-1").state == "closed"  # incidents stay
    assert ledger.list_audit()[-1].what == "pruned"
    assert ledger.verify_chain().ok


def test_a_run_is_bounded_and_can_go_on(ledger: Ledger) -> None:
    for n in range(5):
        _work_done(ledger, f"INC-{n}", n)
        ledger.set_state(f"INC-{n}", "closed", "ada")

    assert [ledger.prune(SETTINGS, limit=2, now=at(91 * DAY)).events for _ in range(4)] == [2, 2, 1, 0]


# ---- checkpoints ------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A file as LangGraph's SqliteSaver lays it out."""
    sqlite_saver = pytest.importorskip("langgraph.checkpoint.sqlite")
    path = tmp_path / "checkpoints.db"
    with sqlite_saver.SqliteSaver.from_conn_string(str(path)) as saver:
        saver.setup()
    return path


def _run_thread(path: Path, thread: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        for n in range(3):
            file.execute("INSERT INTO checkpoints (thread_id, checkpoint_id) VALUES (?, ?)", (thread, str(n)))
            file.execute(
                "INSERT INTO writes (thread_id, checkpoint_id, task_id, idx, channel) VALUES (?, ?, 't', 0, 'c')",
                (thread, str(n)),
            )


def _threads(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes").fetchall()
    return {row[0] for row in rows}


def _job(ledger: Ledger, key: str, seconds: float, finish: bool = True, **payload: Any) -> None:
    ledger.enqueue("slow", key, payload, now=at(seconds))
    job = ledger.claim(("slow",), "w", lease_s=60, now=at(seconds))
    assert job is not None
    if finish:
        ledger.finish(job, now=at(seconds))


def test_checkpoints_of_finished_threads_go(ledger: Ledger, checkpoints: Path) -> None:
    _job(ledger, "INC-old", 0)
    _job(ledger, "INC-named", 0, thread_id="thread-7")
    _job(ledger, "INC-recent", 9 * DAY)
    _job(ledger, "INC-running", 0, finish=False)
    _job(ledger, "INC-again", 0)
    ledger.enqueue("slow", "INC-again", now=at(0))
    for thread in (
        "slow:INC-old",
        "thread-7",
        "slow:INC-recent",
        "slow:INC-running",
        "slow:INC-again",
        "chat-1",
    ):
        _run_thread(checkpoints, thread)
    pruned = ledger.prune(SETTINGS, checkpoints=checkpoints, now=at(10 * DAY))

    assert pruned.checkpoints == 2
    assert _threads(checkpoints) == {"slow:INC-recent", "slow:INC-running", "slow:INC-again", "chat-1"}


@pytest.mark.parametrize("thread", ["REV-1", "review:REV-1"])
def test_the_thread_of_a_pending_review_stays(ledger: Ledger, checkpoints: Path, thread: str) -> None:
    ledger.open_review(review(expires=None))
    _job(ledger, "REV-1", 0, thread_id=thread)
    _run_thread(checkpoints, thread)
    assert ledger.prune(SETTINGS, checkpoints=checkpoints, now=at(10 * DAY)).checkpoints == 0

    ledger.decide("REV-1", action().digest("INC-1"), Decision(type="reject", who="ada"), now=at(10 * DAY))
    assert ledger.prune(SETTINGS, checkpoints=checkpoints, now=at(10 * DAY)).checkpoints == 1


def test_checkpoint_pruning_is_bounded(ledger: Ledger, checkpoints: Path) -> None:
    for n in range(5):
        _job(ledger, f"INC-{n}", 0)
        _run_thread(checkpoints, f"slow:INC-{n}")
    counts = [
        ledger.prune(SETTINGS, checkpoints=checkpoints, limit=2, now=at(10 * DAY)).checkpoints
        for _ in range(4)
    ]

    assert counts == [2, 2, 1, 0]


def test_a_missing_or_foreign_checkpoint_file_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    foreign = tmp_path / "other.db"
    with closing(sqlite3.connect(foreign)) as file, file:
        file.execute("CREATE TABLE mine (a)")

    assert ledger.prune(SETTINGS, checkpoints=tmp_path / "absent.db").checkpoints == 0
    assert not (tmp_path / "absent.db").exists()
    assert ledger.prune(SETTINGS, checkpoints=foreign).checkpoints == 0
