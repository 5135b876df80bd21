"""The chat page: a person's conversations with the ops agent, each answer as it comes.

A turn is answered by the server whoever looks on: a page that is loaded again goes on from the step it saw. What may be done
is asked for in the approvals; nothing is approved here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool

from agents.explainer import TEMPLATE
from setpoint.app.access import require
from setpoint.app.console.ledger_pages import Typed, in_words, is_fetch, typed_of
from setpoint.app.console.render import environment, page, part
from setpoint.app.desk import DESK
from setpoint.app.formatting import visible
from setpoint.app.lines import patiently
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import Principal
from setpoint.contracts.chat import MOST_QUESTION_CHARS, ChatStep, ChatTurn
from setpoint.errors import SetpointError

Operator = Annotated[Principal, Depends(require("operator"))]
Fields = Annotated[Typed, Depends(typed_of)]
log = logging.getLogger("setpoint")
WARM_AFTER_S = 1.0
WAIT_PLAIN_S = 20.0
"""A page without scripts waits so long for its answer."""
EXAMPLES = (
    "What is going on?", "What waits for a decision?", "What headroom do the PDUs have?", "Plan the next hours of cooling",
    "What happens if a pump of cdu-1 fails?", "How do I handle XID 79?",
)  # fmt: skip
_LINKED = re.compile(
    r"\b(?P<incident>(?:INC|LOOP)-[\w-]+)\b|\b(?P<review>REV-[0-9a-z]+(?:\.v\d+)?)\b|"
    r"(?P<list>\bsetpoint (?:incidents list|review list(?: --all)?))|"
    r"\[(?P<passage>[\w./-]+#[\w-]+)(?P<step>/\d+)?\]"
)


def router(runtime: Runtime) -> APIRouter:
    """Everything under /chat."""
    routes, pages = APIRouter(), ChatPages(runtime)

    @routes.get("/chat")
    async def begin(request: Request, me: Operator, ask: str = "") -> HTMLResponse:
        return await pages.shown(request, me, "", typed=ask[:MOST_QUESTION_CHARS])

    @routes.post("/chat/ask")
    async def first(request: Request, me: Operator, typed: Fields) -> Response:
        return await pages.asked(request, me, "", typed.get("question"))

    @routes.get("/chat/{thread}")
    async def shown(request: Request, me: Operator, thread: str) -> HTMLResponse:
        return await pages.shown(request, me, thread)

    @routes.post("/chat/{thread}/ask")
    async def ask(request: Request, me: Operator, thread: str, typed: Fields) -> Response:
        return await pages.asked(request, me, thread, typed.get("question"))

    @routes.get("/chat/{thread}/turns/{turn}/stream")
    async def stream(request: Request, me: Operator, thread: str, turn: str, after: int = 0) -> Response:
        seen = request.headers.get("last-event-id", "")
        number = int(seen) if seen.isdecimal() else max(0, after)
        return await pages.stream(request, me, turn, number)

    @routes.post("/chat/{thread}/stop")
    async def stop(request: Request, me: Operator, thread: str, typed: Fields) -> Response:
        return await pages.stopped(request, me, thread, typed.get("turn"))

    @routes.post("/chat/{thread}/propose")
    async def propose(request: Request, me: Operator, thread: str, typed: Fields) -> Response:
        return await pages.proposed(request, me, thread, typed.get("turn"))

    @routes.post("/chat/{thread}/remove")
    async def remove(request: Request, me: Operator, thread: str) -> Response:
        await pages.call("chat_remove", thread=thread, who=me.name)
        return RedirectResponse("/chat", 303)

    return routes


class ChatPages:
    """The pages over one runtime. Desk calls run beside the event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._warming: asyncio.Task[object] | None = None
        environment().filters["linked"] = linked

    async def call(self, name: str, **arguments: Any) -> Any:
        """A function of the desk."""
        return await run_in_threadpool(DESK[name], self._runtime.desk, **arguments)

    async def shown(
        self,
        request: Request,
        me: Principal,
        thread: str,
        *,
        problem: str = "",
        typed: str = "",
        status: int = 200,
    ) -> HTMLResponse:
        """A conversation, or the page that begins one."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm())
        values = await self._values(me, thread)
        threads = await run_in_threadpool(self._runtime.desk.chats().threads, me.name)
        return page(
            request, me, "chat.html.j2", at="chat", status=status, threads=threads, problem=problem, typed=typed,
            examples=EXAMPLES, zone=self._runtime.site.zone, **values,
        )  # fmt: skip

    async def _warm(self) -> None:
        """The first question should not wait for the plant model to load, nor the page for that."""
        await asyncio.sleep(WARM_AFTER_S)
        try:
            await run_in_threadpool(lambda: self._runtime.desk.chats().warm())
        except SetpointError as error:
            log.warning("chat: %s", error)

    async def _values(self, me: Principal, thread: str) -> dict[str, Any]:
        """What a conversation shows."""
        known, turns = None, []
        if thread:
            known = await run_in_threadpool(self._runtime.ledger.get_thread, me.name, thread)
            turns = await run_in_threadpool(self._runtime.desk.chats().turns, me.name, thread)
        return {"thread": known, "turns": [Shown(turn) for turn in turns], "most": MOST_QUESTION_CHARS}

    async def asked(self, request: Request, me: Principal, thread: str, question: str) -> Response:
        """Begin a turn. What is not taken stays where it was typed, with the reason beside it."""
        try:
            made = await self.call("chat_start", question=question, who=me.name, thread=thread)
        except SetpointError as error:
            return await self._refused(request, me, thread, error, question)
        if is_fetch(request) and thread:
            return part(request, me, "_talk.html.j2", typed="", **await self._values(me, thread))
        if not is_fetch(request):
            await patiently(self._runtime.desk.chats().settle, made["turn"], WAIT_PLAIN_S)
        return RedirectResponse(f"/chat/{made['thread']}", 303)

    async def _refused(
        self, request: Request, me: Principal, thread: str, error: SetpointError, typed: str = ""
    ) -> Response:
        if is_fetch(request):
            return JSONResponse({"error": error.what, "remedy": error.remedy}, 422)
        return await self.shown(request, me, thread, problem=in_words(error), typed=typed, status=422)

    async def stream(self, request: Request, me: Principal, turn: str, after: int) -> Response:
        """The turn as it changes, as server-sent events: the number of the step and the whole turn drawn anew."""
        known = await run_in_threadpool(self._runtime.ledger.get_turn, me.name, turn)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._events(request, me, known, after), media_type="text/event-stream", headers=headers
        )

    async def _events(
        self, request: Request, me: Principal, turn: ChatTurn, after: int
    ) -> AsyncIterator[str]:
        live = self._runtime.desk.chats().watch(turn.id)
        if live is not None:
            yield "retry: 1000\n\n"
            steps: list[ChatStep] = live.after(0)[0][:after]
            async for step in live.follow(after):
                if step is None:
                    yield ": still there\n\n"
                elif step.kind != "end":
                    steps.append(step)
                    drawn = self._drawn(request, me, turn.model_copy(update={"steps": tuple(steps)}))
                    yield event("step", step.number, drawn)
        ended = await run_in_threadpool(self._runtime.ledger.get_turn, me.name, turn.id)
        yield event("end", len(ended.steps), self._drawn(request, me, ended))

    def _drawn(self, request: Request, me: Principal, turn: ChatTurn) -> str:
        return bytes(part(request, me, "_turn.html.j2", turn=Shown(turn)).body).decode()

    async def stopped(self, request: Request, me: Principal, thread: str, turn: str) -> Response:
        try:
            await self.call("chat_stop", turn=turn, who=me.name)
        except SetpointError as error:
            return await self._refused(request, me, thread, error)
        if is_fetch(request):
            return part(request, me, "_talk.html.j2", typed="", **await self._values(me, thread))
        return RedirectResponse(f"/chat/{thread}", 303)

    async def proposed(self, request: Request, me: Principal, thread: str, turn: str) -> Response:
        """Put to review what that turn offered, in this person's name."""
        try:
            review = await run_in_threadpool(self._runtime.desk.chats().propose, me.name, turn, self._propose)
        except SetpointError as error:
            return await self._refused(request, me, thread, error)
        self._runtime.engine.wake()
        if is_fetch(request):
            return part(request, me, "_talk.html.j2", typed="", **await self._values(me, thread))
        return RedirectResponse(f"/approvals/{quote(review)}", 303)

    def _propose(self, who: str, offer: dict[str, Any]) -> str:
        """The id of the review that asks for it."""
        made: Any = DESK["review_propose"](
            self._runtime.desk, action=offer["action"], asset=offer["asset"], args=offer["args"], who=who,
            why=offer["why"], via="chat",
        )  # fmt: skip
        return str(made["review"]["id"])


class Shown:
    """A turn as the page shows it."""

    def __init__(self, turn: ChatTurn) -> None:
        self.turn, self.reply = turn, turn.reply
        self.running = turn.state == "running"
        self.seen = turn.steps[-1].number if turn.steps else 0
        results = {step.data["id"]: step.data for step in turn.steps if step.kind == "result"}
        self.calls = [
            step.data | {"given": _given(step.data["args"]), "came": results.get(step.data["id"])}
            for step in turn.steps
            if step.kind == "call"
        ]
        facts = [step.data for step in turn.steps if step.kind == "facts"]
        self.facts: list[str] = self.reply.get("facts") or (facts[-1]["lines"] if facts else [])
        words = [step.data["text"] for step in turn.steps if step.kind == "words"]
        self.lead: str = self.reply.get("answer") or " ".join(words)
        ends = [step.data for step in turn.steps if step.kind == "end"]
        self.error = (
            f"{ends[-1]['error']}. {ends[-1].get('remedy', '')}".strip()
            if ends and "error" in ends[-1]
            else ""
        )
        self.worded = bool(self.reply) and (
            self.reply["written_by"] != TEMPLATE or bool(self.reply["fallback"])
        )
        self.doing = "" if not self.running else _doing(turn.steps)


def _given(args: dict[str, Any]) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in args.items())


def _doing(steps: tuple[ChatStep, ...]) -> str:
    """What goes on, in words."""
    last = steps[-1] if steps else None
    if last is None:
        return "reading the question"
    if last.kind == "call":
        return f"asking {last.data['tool']}"
    if last.kind == "wording":
        return f"{last.data['by']} words the answer; it is checked before it is shown"
    return "looking"


def linked(text: str) -> Markup:
    """Text with links on incidents, cycles, reviews and runbook passages; everything else stays text."""
    found, at = Markup(), 0
    for match in _LINKED.finditer(text):
        found += escape(visible(text[at : match.start()])) + _link(match)
        at = match.end()
    return found + escape(visible(text[at:]))


def _link(match: re.Match[str]) -> Markup:
    where = Markup('<a href="{}">{}</a>')
    if match["incident"]:
        return where.format(f"/incidents/{quote(match[0])}", match[0])
    if match["review"]:
        return where.format(f"/approvals/{quote(match[0])}", match[0])
    if match["list"]:
        return where.format("/incidents" if "incidents" in match["list"] else "/approvals", "open the list")
    words = f"{match['passage']}{match['step'] or ''}"
    return Markup("[{}]").format(where.format(f"/knowledge/passage/{quote(match['passage'])}", words))


def event(kind: str, number: int, html: str) -> str:
    """One server-sent event."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps({'html': html})}\n\n"
