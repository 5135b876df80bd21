"""One person's conversation over the desk: questions asked, answers followed step by step, stopped, and taken up again."""

from __future__ import annotations

import asyncio
from typing import Any

from setpoint.app.client import ServerGone
from setpoint.app.terminal.picture import Call, Row
from setpoint.app.terminal.talk import Talk, Turn
from setpoint.errors import SetpointError

WAIT_S = 1.0
"""One look at an answer waits so long for a new step."""
START_S = 60.0
"""The first question of a process loads the ops agent."""


class Asking:
    """One conversation at a time. `who` is the person, as the desk knows them."""

    def __init__(self, call: Call, who: str) -> None:
        self._call, self._who = call, who
        self._thread = self._turn = ""
        self.busy = False
        """Whether an answer is being written."""

    async def ask(self, talk: Talk, question: str) -> None:
        """Ask, and show the answer as it comes. A question that was not answered is in the field again."""
        self.busy = True
        talk.question.sent(question)
        turn = await talk.begin(question)
        try:
            begun = await self._do("chat_start", START_S, question=question, thread=self._thread)
        except SetpointError as error:
            turn.failed(f"not answered: {error}")
            talk.question.give_back(question)
            self.busy = False
            return
        self._thread = begun["thread"]
        await self._follow(talk, turn, begun["turn"])

    async def stop(self) -> None:
        """Stop the answer that is being written."""
        if self._turn:
            await self._do("chat_stop", turn=self._turn)

    async def take_up(self, talk: Talk) -> str:
        """Show the last conversation again and go on with it. Returns what to tell: its title, or that there is none."""
        threads = await self._do("chat_list", START_S)
        if not threads:
            return "there is no earlier conversation of yours"
        shown = await self._do("chat_show", thread=threads[0]["id"])
        self._thread = threads[0]["id"]
        for known in shown["turns"]:
            turn = await talk.begin(known["question"])
            if known["state"] == "running":
                await self._follow(talk, turn, known["id"])
            else:
                for step in known["steps"]:
                    turn.told.add(step)
                await turn.ended(known["state"], known["reply"])
        talk.to_end()
        return f"going on with: {threads[0]['title']}"

    async def _follow(self, talk: Talk, turn: Turn, id: str) -> None:
        """To its end. While the server is away it waits: a turn that goes on there is taken up where it was left."""
        self.busy, self._turn, after = True, id, 0
        try:
            while True:
                found = await self._look(turn, id, after)
                for step in found["steps"]:
                    turn.step(step)
                    after = step["number"]
                talk.to_end()
                if found["state"] != "running":
                    await self._end(talk, turn, found)
                    return
        except SetpointError as error:
            turn.failed(f"not answered: {error}")
            talk.question.give_back(turn.question)
        finally:
            self.busy, self._turn = False, ""
            talk.to_end()

    async def _look(self, turn: Turn, id: str, after: int) -> Row:
        while True:
            try:
                found: Row = await self._do("chat_follow", turn=id, after=after, wait_s=WAIT_S)
                return found
            except ServerGone:
                turn.wait("the server does not answer; this goes on once it is back")
                await asyncio.sleep(WAIT_S)

    async def _end(self, talk: Talk, turn: Turn, found: Row) -> None:
        end: dict[str, Any] = next((step["data"] for step in found["steps"] if step["kind"] == "end"), {})
        problem = ". ".join(part for part in (end.get("error", ""), end.get("remedy", "")) if part)
        await turn.ended(found["state"], found["reply"], problem)
        if found["state"] in ("failed", "lost"):
            talk.question.give_back(turn.question)

    async def _do(self, name: str, timeout_s: float = 20.0, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._call, name, timeout_s, who=self._who, **arguments)
