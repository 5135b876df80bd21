"""Conversations of people with the ops agent: turns that are answered here, whoever looks on, and kept in the ledger.

A turn runs on a loop of its own: a page that is closed does not end it, and one that comes back goes on from the step it saw.
The subject that a follow-up leans on is kept with each turn in the ledger, not in checkpoints: it is a few hundred bytes, the
ledger is the truth anyway, and 150 turns of checkpoints were measured at 28 MB (docs/chat.md).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphs.chat import ChatPorts, build_chat_graph
from setpoint.app.loopthread import LoopThread
from setpoint.contracts.chat import ChatStep, ChatThread, ChatTurn, TurnState
from setpoint.errors import SetpointError, UsageError
from setpoint.ledger import Ledger

MOST_HISTORY = 6
"""Turns before this one that a model which plans by itself is shown."""
BEAT_S = 15.0
_FAULT = "a fault of Setpoint's own kept it from answering"
_LOG = logging.getLogger("setpoint.chat")


@dataclass
class Live:
    """A turn that is being answered. Steps are only ever added; any thread may look on."""

    turn: ChatTurn
    steps: list[ChatStep] = field(default_factory=list)
    ended: bool = False
    task: asyncio.Task[None] | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _lookers: set[Callable[[], None]] = field(default_factory=set)

    def add(self, kind: Any, data: dict[str, Any], *, ends: bool = False) -> None:
        with self._changed:
            self.steps.append(ChatStep(number=len(self.steps) + 1, kind=kind, data=data))
            self.ended = self.ended or ends
            self._changed.notify_all()
            lookers = list(self._lookers)
        for look in lookers:
            look()

    def after(self, number: int) -> tuple[list[ChatStep], bool]:
        """Steps beyond that number, and whether there will be more."""
        with self._changed:
            return self.steps[number:], self.ended

    def wait(self, number: int, timeout_s: float) -> tuple[list[ChatStep], bool]:
        """As `after`, once there is something, or when the time is over. Blocks."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or len(self.steps) > number, timeout_s)
            return self.steps[number:], self.ended

    async def follow(self, number: int) -> AsyncIterator[ChatStep | None]:
        """Steps beyond that number as they come, to the end; None every few seconds in which nothing came."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def look() -> None:
            loop.call_soon_threadsafe(news.set)

        with self._changed:
            self._lookers.add(look)
        try:
            while True:
                news.clear()
                fresh, ended = self.after(number)
                for step in fresh:
                    number = step.number
                    yield step
                if ended and not fresh:
                    return
                if not fresh:
                    try:
                        await asyncio.wait_for(news.wait(), BEAT_S)
                    except TimeoutError:
                        yield None
        finally:
            with self._changed:
                self._lookers.discard(look)


class Conversations:
    """Everybody's conversations over one ledger. `ports` gives what a person's turns reach; `warm` loads what the first
    question would wait for."""

    def __init__(
        self, ledger: Ledger, ports: Callable[[str], ChatPorts], warm: Callable[[], object] = lambda: None
    ) -> None:
        self._ledger, self._ports, self.warm = ledger, ports, warm
        self._graph = build_chat_graph()
        self._loop = LoopThread("chat")
        self._live: dict[str, Live] = {}
        self._turn = threading.Lock()
        self._begun = False

    # ---- asking -------------------------------------------------------------------------------------------------------

    def start(self, who: str, question: str, thread: str = "") -> ChatTurn:
        """Begin to answer, in a new conversation where none is named. Returns at once.

        Raises UsageError for a question that is empty or too long, another person's thread, and while the last question of
        the thread is still being answered.
        """
        turn = self._ledger.begin_turn(who, question, thread)
        live = Live(turn)
        with self._turn:
            self._live[turn.id] = live
            if not self._begun:
                self._loop.start()
                self._begun = True
        self._loop.call(lambda: self._begin(who, live))
        return turn

    def stop(self, who: str, turn: str) -> bool:
        """Stop it; what was found so far is kept. False: it had ended already."""
        self._ledger.get_turn(who, turn)
        live = self._live.get(turn)
        if live is None or live.ended:
            return False
        self._loop.call(lambda: live.task.cancel() if live.task else None)
        live.wait(10_000, 2.0)
        return True

    def propose(self, who: str, turn: str, put: Callable[[str, dict[str, Any]], str]) -> str:
        """Have what a turn offered put to review for its person. Returns the review's id, which the turn then shows.

        Raises UsageError where it offers nothing, and what `put` raises.
        """
        known = self._ledger.get_turn(who, turn)
        if review := known.reply.get("review"):
            return str(review)
        offer = known.reply.get("offer")
        if not offer:
            raise UsageError("that answer offers nothing to propose", remedy="Ask for the action again")
        review = put(who, {"why": known.question[:400], **offer})
        self._ledger.add_to_reply(who, turn, {"review": review})
        return review

    def _begin(self, who: str, live: Live) -> None:
        live.task = asyncio.get_running_loop().create_task(self._answer(who, live))

    async def _answer(self, who: str, live: Live) -> None:
        """The turn, from its question to its end, whatever that is."""
        state: TurnState = "failed"
        end: dict[str, Any] = {}
        reply: dict[str, Any] = {}
        kept: dict[str, Any] = {}
        try:
            found = await self._run(who, live)
            reply, state = found["reply"], "done"
            kept = {key: found[key] for key in ("memory", "offer") if found.get(key)}
        except asyncio.CancelledError:
            state = "stopped"
        except SetpointError as error:
            end = {"error": error.what, "remedy": error.remedy}
        except Exception as error:  # a defect: the person is told, the log has the rest
            _LOG.exception("a question could not be answered")
            end = {
                "error": f"{_FAULT} ({type(error).__name__})",
                "remedy": "Ask again; the server's log says more",
            }
        await asyncio.shield(self._end(live, state, end, reply, kept))  # stopped twice it still ends

    async def _run(self, who: str, live: Live) -> dict[str, Any]:
        before = await asyncio.to_thread(self._before, who, live.turn)
        ports = await asyncio.to_thread(self._ports, who)
        found: dict[str, Any] = {}
        stream = self._graph.astream(before, context=ports, stream_mode=["custom", "values"], version="v2")
        async for part in stream:
            if part["type"] == "custom":
                data = dict(part["data"])
                live.add(data.pop("kind"), data)
                await asyncio.to_thread(self._ledger.keep_steps, live.turn.id, list(live.steps))
            elif part["type"] == "values":
                found = dict(part["data"])
        return found

    def _before(self, who: str, turn: ChatTurn) -> Any:
        """What the graph begins with: the question, and what was spoken of before."""
        history = [
            {"question": one.question, "answer": str(one.reply.get("answer", ""))}
            for one in self._ledger.list_turns(who, turn.thread)[-MOST_HISTORY - 1 :]
            if one.id != turn.id
        ]
        return {"question": turn.question, "history": history} | self._ledger.chat_memory(turn.thread)

    async def _end(
        self, live: Live, state: TurnState, end: dict[str, Any], reply: dict[str, Any], kept: dict[str, Any]
    ) -> None:
        step = ChatStep(number=len(live.steps) + 1, kind="end", data={"state": state, **end})
        try:
            await asyncio.to_thread(
                self._ledger.end_turn, live.turn.id, state, [*live.steps, step], reply, kept
            )
        except Exception:  # whoever looks on must learn that it is over, whatever the ledger says
            _LOG.exception("the end of a turn could not be written")
        finally:
            live.add("end", step.data, ends=True)
            with self._turn:
                self._live.pop(live.turn.id, None)

    # ---- looking on ---------------------------------------------------------------------------------------------------

    def watch(self, turn: str) -> Live | None:
        """The turn while it is being answered here. Ask the ledger first whose it is."""
        return self._live.get(turn)

    def follow(self, who: str, turn: str, after: int, wait_s: float) -> dict[str, Any]:
        """Steps beyond a number, waiting for one so long; with the state, and the reply once it is there."""
        known = self._ledger.get_turn(who, turn)
        live = self._live.get(turn)
        if live is not None:
            steps, ended = live.wait(after, wait_s)
            if not ended:
                return _said("running", steps, {})
            known = self._ledger.get_turn(who, turn)
        return _said(known.state, [step for step in known.steps if step.number > after], known.reply)

    def threads(self, who: str) -> list[ChatThread]:
        return self._ledger.list_threads(who)

    def turns(self, who: str, thread: str) -> list[ChatTurn]:
        """With what is known by now of one that is being answered."""
        return [self._as_it_is(turn) for turn in self._ledger.list_turns(who, thread)]

    def _as_it_is(self, turn: ChatTurn) -> ChatTurn:
        live = self._live.get(turn.id) if turn.state == "running" else None
        return turn if live is None else turn.model_copy(update={"steps": tuple(live.after(0)[0])})

    def settle(self, turn: str, timeout_s: float) -> None:
        """Wait for its end."""
        live = self._live.get(turn)
        deadline = time.monotonic() + timeout_s
        while live is not None and not live.ended and time.monotonic() < deadline:
            live.wait(len(live.after(0)[0]), max(0.0, deadline - time.monotonic()))


def _said(state: TurnState, steps: Sequence[ChatStep], reply: dict[str, Any]) -> dict[str, Any]:
    return {"state": state, "steps": [step.model_dump(mode="json") for step in steps], "reply": reply}
