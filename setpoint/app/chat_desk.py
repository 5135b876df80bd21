"""Desk functions of conversations with the ops agent. `who` sees and changes only their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    from setpoint.app.desk import Desk

LONGEST_WAIT_S = 20.0


def chat_start(desk: Desk, question: str, who: str, thread: str = "") -> JsonValue:
    """Begin to answer a question, in a new conversation where no thread is named. Returns at once: `chat_follow` tells what
    comes of it."""
    turn = desk.chats().start(who, question, thread)
    return {"thread": turn.thread, "turn": turn.id}


def chat_follow(desk: Desk, turn: str, who: str, after: int = 0, wait_s: float = 10.0) -> JsonValue:
    """What became known of a turn beyond step `after`; waits so long for something new."""
    return desk.chats().follow(who, turn, max(0, after), min(max(0.0, wait_s), LONGEST_WAIT_S))


def chat_stop(desk: Desk, turn: str, who: str) -> JsonValue:
    """Stop a turn; what was found so far is kept."""
    return {"turn": turn, "stopped": desk.chats().stop(who, turn)}


def chat_list(desk: Desk, who: str) -> JsonValue:
    """One's own conversations, the one last spoken in first."""
    return [thread.model_dump(mode="json") for thread in desk.chats().threads(who)]


def chat_show(desk: Desk, thread: str, who: str) -> JsonValue:
    """One conversation of one's own with its turns."""
    turns = desk.chats().turns(who, thread)
    return {
        "thread": desk.ledger.get_thread(who, thread).model_dump(mode="json"),
        "turns": [turn.model_dump(mode="json") for turn in turns],
    }


def chat_remove(desk: Desk, thread: str, who: str) -> JsonValue:
    """Forget a conversation of one's own."""
    desk.ledger.remove_thread(who, thread)
    return {"removed": thread}
