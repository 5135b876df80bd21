"""Conversations with the ops agent: threads of one person each, their turns, and the subject that the next one leans on.

They outlive a restart; what was spoken of is no part of the audit chain, and goes after `store.chat_days`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from setpoint.contracts.chat import MOST_QUESTION_CHARS, ChatStep, ChatThread, ChatTurn, TurnState
from setpoint.errors import UsageError
from setpoint.ledger.chat_tables import chat_threads, chat_turns
from setpoint.ledger.clock import moment, seconds, utc_now
from setpoint.ledger.feedback import person_key
from setpoint.ledger.opened import Store
from setpoint.ledger.writing import chunks, to_json

TITLE_CHARS = 64
MOST_TURNS = 200
"""Of one thread: then another is begun, so that a page of it stays readable."""


class ChatThreads(Store):
    """The ledger's methods about conversations. `who` sees and changes only what is theirs."""

    def begin_turn(self, who: str, question: str, thread: str = "", now: datetime | None = None) -> ChatTurn:
        """A new turn that runs, in a thread of theirs or, without one, in a new thread that is called after the question.

        Raises UsageError for a question that is empty or too long, and while another turn of the thread runs.
        """
        asked = _asked(question)
        at = now or utc_now()
        turn = ChatTurn(
            id=f"TURN-{secrets.token_hex(8)}", thread=thread or f"CHAT-{secrets.token_hex(6)}", question=asked,
            asked=at, state="running",
        )  # fmt: skip
        with self._db.write() as tx:
            if thread:
                _may_go_on(tx, _own(tx, who, thread).id)
                tx.execute(
                    update(chat_threads).where(chat_threads.c.id == thread).values(updated=seconds(at))
                )
            else:
                _open(tx, turn.thread, who, asked, at)
            tx.execute(insert(chat_turns).values(**_row(turn), memory="{}"))
        return turn

    def keep_steps(self, turn: str, steps: Sequence[ChatStep]) -> None:
        """What became known so far, while the turn runs."""
        where = (chat_turns.c.id == turn, chat_turns.c.state == "running")
        with self._db.write() as tx:
            tx.execute(update(chat_turns).where(*where).values(steps=_steps(steps)))

    def end_turn(
        self, turn: str, state: TurnState, steps: Sequence[ChatStep], reply: Mapping[str, Any] | None = None,
        memory: Mapping[str, Any] | None = None,
    ) -> bool:  # fmt: skip
        """How it ended; the first ending stands. `memory`: the subject that the next turn leans on."""
        values = {
            "state": state, "steps": _steps(steps), "reply": to_json(dict(reply or {})), "memory": to_json(dict(memory or {})),
        }  # fmt: skip
        where = (chat_turns.c.id == turn, chat_turns.c.state == "running")
        with self._db.write() as tx:
            return tx.execute(update(chat_turns).where(*where).values(**values)).rowcount > 0

    def add_to_reply(self, who: str, turn: str, more: Mapping[str, Any]) -> None:
        """What came of an answer of theirs afterwards, such as the review that it led to."""
        known = self.get_turn(who, turn)
        with self._db.write() as tx:
            values = {"reply": to_json({**known.reply, **more})}
            tx.execute(update(chat_turns).where(chat_turns.c.id == turn).values(**values))

    def lose_turns(self) -> int:
        """Turns that a process which ended left running are lost. For the one process that answers from this ledger."""
        where = chat_turns.c.state == "running"
        with self._db.read() as tx:  # as a rule there is none, and nothing need be locked
            if not tx.execute(select(func.count()).where(where)).scalar_one():
                return 0
        with self._db.write() as tx:
            return tx.execute(update(chat_turns).where(where).values(state="lost")).rowcount

    def list_threads(self, who: str, limit: int = 100) -> list[ChatThread]:
        """Theirs, the one last spoken in first."""
        many = func.count(chat_turns.c.number).label("turns")
        query = (
            select(chat_threads, many)
            .outerjoin(chat_turns, chat_turns.c.thread == chat_threads.c.id)
            .where(chat_threads.c.who_key == person_key(who))
            .group_by(chat_threads.c.id)
            .order_by(chat_threads.c.updated.desc(), chat_threads.c.id)
            .limit(limit)
        )
        with self._db.read() as tx:
            return [_thread(row, row.turns) for row in tx.execute(query)]

    def get_thread(self, who: str, thread: str) -> ChatThread:
        """Raises UsageError where they have no such conversation."""
        with self._db.read() as tx:
            return _thread(_own(tx, who, thread), 0)

    def list_turns(self, who: str, thread: str) -> list[ChatTurn]:
        """Of a thread of theirs, oldest first."""
        query = select(chat_turns).where(chat_turns.c.thread == thread).order_by(chat_turns.c.number)
        with self._db.read() as tx:
            _own(tx, who, thread)
            return [_turn(row) for row in tx.execute(query)]

    def get_turn(self, who: str, turn: str) -> ChatTurn:
        """Raises UsageError where no thread of theirs has it."""
        with self._db.read() as tx:
            row = tx.execute(select(chat_turns).where(chat_turns.c.id == turn)).first()
            if row is None:
                raise UsageError(f"no question {turn!r} of yours")
            _own(tx, who, row.thread)
            return _turn(row)

    def chat_memory(self, thread: str) -> dict[str, Any]:
        """The subject after the last turn that ended whole; empty before the first."""
        where = (chat_turns.c.thread == thread, chat_turns.c.state == "done")
        query = select(chat_turns.c.memory).where(*where).order_by(chat_turns.c.number.desc()).limit(1)
        with self._db.read() as tx:
            found = tx.execute(query).scalar()
        return dict(json.loads(found)) if found else {}

    def remove_thread(self, who: str, thread: str) -> None:
        """With all its turns."""
        with self._db.write() as tx:
            _drop(tx, [_own(tx, who, thread).id])


def prune_threads(tx: Connection, cutoff: float, limit: int) -> int:
    """Conversations in which nobody spoke since then, with their turns. Returns how many."""
    query = select(chat_threads.c.id).where(chat_threads.c.updated < cutoff).order_by(chat_threads.c.updated)
    ids = list(tx.execute(query.limit(limit)).scalars())
    _drop(tx, ids)
    return len(ids)


def _drop(tx: Connection, ids: Sequence[str]) -> None:
    for part in chunks(ids):
        tx.execute(delete(chat_turns).where(chat_turns.c.thread.in_(part)))
        tx.execute(delete(chat_threads).where(chat_threads.c.id.in_(part)))


# ---- rows -------------------------------------------------------------------------------------------------


def _asked(question: str) -> str:
    asked = question.strip()
    if not asked:
        raise UsageError("the question is empty", remedy="Write what you want to know")
    if len(asked) > MOST_QUESTION_CHARS:
        raise UsageError(
            f"the question has {len(asked):,} characters, at most {MOST_QUESTION_CHARS:,} are taken",
            remedy="Shorten it, or ask it in parts",
        )
    return asked


def _may_go_on(tx: Connection, thread: str) -> None:
    query = select(chat_turns.c.state).where(chat_turns.c.thread == thread)
    states = list(tx.execute(query).scalars())
    if "running" in states:
        raise UsageError("the last question is still being answered", remedy="Wait for it, or stop it")
    if len(states) >= MOST_TURNS:
        raise UsageError(f"this conversation has {len(states)} questions", remedy="Begin a new one")


def _own(tx: Connection, who: str, thread: str) -> Row[Any]:
    row = tx.execute(select(chat_threads).where(chat_threads.c.id == thread)).first()
    if row is None or row.who_key != person_key(who):
        raise UsageError(f"no conversation {thread!r} of yours")
    return row


def _open(tx: Connection, id: str, who: str, question: str, at: datetime) -> None:
    title = " ".join(question.split())
    if len(title) > TITLE_CHARS:
        title = f"{title[: TITLE_CHARS - 1].rstrip()}\u2026"
    values = {"id": id, "who": who.strip(), "who_key": person_key(who), "title": title}
    tx.execute(insert(chat_threads).values(**values, created=seconds(at), updated=seconds(at)))


def _thread(row: Row[Any], turns: int) -> ChatThread:
    return ChatThread(
        id=row.id, who=row.who, title=row.title, created=moment(row.created), updated=moment(row.updated), turns=turns
    )  # fmt: skip


def _row(turn: ChatTurn) -> dict[str, Any]:
    return {
        "id": turn.id, "thread": turn.thread, "question": turn.question, "asked": seconds(turn.asked),
        "state": turn.state, "steps": _steps(turn.steps), "reply": to_json(turn.reply),
    }  # fmt: skip


def _steps(steps: Sequence[ChatStep]) -> str:
    return to_json([step.model_dump(mode="json") for step in steps])


def _turn(row: Row[Any]) -> ChatTurn:
    return ChatTurn(
        id=row.id, thread=row.thread, question=row.question, asked=moment(row.asked), state=row.state,
        steps=tuple(ChatStep.model_validate(one) for one in json.loads(row.steps)), reply=json.loads(row.reply),
    )  # fmt: skip
