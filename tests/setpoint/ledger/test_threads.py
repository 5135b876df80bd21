"""Conversations are kept for their owner, go on after a restart, and go when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from setpoint.contracts.chat import MOST_QUESTION_CHARS, ChatStep
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.ledger.threads import MOST_TURNS
from setpoint.settings import StoreSettings

NOW = datetime(2026, 3, 14, 23, 0, tzinfo=UTC)
STEP = ChatStep(number=1, kind="call", data={"id": 1, "tool": "incidents", "args": {}})


def ended(ledger: Ledger, question: str, thread: str = "", who: str = "ana", **memory: str) -> str:
    turn = ledger.begin_turn(who, question, thread, now=NOW)
    assert ledger.end_turn(turn.id, "done", [STEP], {"answer": "yes"}, memory)
    return turn.thread


def test_a_conversation_is_called_after_its_first_question_and_goes_on_after_a_restart(
    tmp_path: Path,
) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        thread = ended(ledger, "  what is\n going on  ", about="cdu-1")
        ended(ledger, "why?", thread, about="gpu-07")
    with Ledger.open(tmp_path / "ledger.db") as again:
        (listed,) = again.list_threads("ana")
        assert (listed.id, listed.title, listed.turns) == (thread, "what is going on", 2)
        first, second = again.list_turns("ana", thread)
        assert (first.question, second.reply, second.steps) == (
            "what is\n going on",
            {"answer": "yes"},
            (STEP,),
        )
        assert again.chat_memory(thread) == {"about": "gpu-07"}


def test_nobody_but_its_owner_sees_it_in_any_spelling_of_the_name(ledger: Ledger) -> None:
    thread = ended(ledger, "is my rack hot")
    turn = ledger.list_turns("  ANA ", thread)[0]
    for call in (
        lambda: ledger.get_thread("ben", thread),
        lambda: ledger.list_turns("ben", thread),
        lambda: ledger.get_turn("ben", turn.id),
        lambda: ledger.remove_thread("ben", thread),
        lambda: ledger.add_to_reply("ben", turn.id, {"review": "REV-1"}),
        lambda: ledger.begin_turn("ben", "and now?", thread),
    ):
        with pytest.raises(UsageError, match="of yours"):
            call()
    assert ledger.list_threads("ben") == []
    ledger.remove_thread("ana", thread)
    assert ledger.list_threads("ana") == []
    with pytest.raises(UsageError):
        ledger.get_turn("ana", turn.id)


@pytest.mark.parametrize(
    ("question", "said"),
    [("   ", "is empty"), ("x" * (MOST_QUESTION_CHARS + 1), "2,001 characters, at most 2,000")],
)
def test_what_is_no_question_is_refused_in_words(ledger: Ledger, question: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ledger.begin_turn("ana", question)
    assert ledger.list_threads("ana") == []


def test_one_question_at_a_time_and_not_without_end(ledger: Ledger) -> None:
    running = ledger.begin_turn("ana", "first")
    with pytest.raises(UsageError, match="still being answered"):
        ledger.begin_turn("ana", "second", running.thread)
    ledger.end_turn(running.id, "stopped", [])
    for number in range(MOST_TURNS - 1):
        turn = ledger.begin_turn("ana", f"question {number}", running.thread)
        ledger.end_turn(turn.id, "done", [])
    with pytest.raises(UsageError, match="Begin a new one"):
        ledger.begin_turn("ana", "one more", running.thread)


def test_the_first_ending_stands_and_what_died_is_lost(ledger: Ledger) -> None:
    stopped, cut_off = ledger.begin_turn("ana", "one"), ledger.begin_turn("ana", "two")
    ledger.keep_steps(cut_off.id, [STEP])
    assert ledger.end_turn(stopped.id, "stopped", [STEP])
    assert not ledger.end_turn(stopped.id, "done", [], {"answer": "too late"})
    assert (ledger.lose_turns(), ledger.lose_turns()) == (1, 0)
    lost = ledger.get_turn("ana", cut_off.id)
    assert (lost.state, lost.steps) == ("lost", (STEP,)), "what was found before is still there"
    assert ledger.get_turn("ana", stopped.id).state == "stopped"
    ledger.begin_turn("ana", "again", cut_off.thread)


def test_a_stopped_turn_leaves_the_subject_as_it_was(ledger: Ledger) -> None:
    thread = ended(ledger, "is cdu-1 fine", about="cdu-1")
    turn = ledger.begin_turn("ana", "and cdu-2?", thread)
    ledger.end_turn(turn.id, "stopped", [], memory={"about": "cdu-2"})
    assert ledger.chat_memory(thread) == {"about": "cdu-1"}


def test_old_conversations_go_with_their_turns(ledger: Ledger) -> None:
    old = ended(ledger, "old")
    turn = ledger.list_turns("ana", old)[0]
    later = NOW + timedelta(days=31)
    kept = ledger.begin_turn("ana", "fresh", now=later).thread
    dropped = ledger.prune(StoreSettings(chat_days=30), now=later)
    assert dropped.conversations == 1
    assert [one.id for one in ledger.list_threads("ana")] == [kept]
    with pytest.raises(UsageError):
        ledger.get_turn("ana", turn.id)
