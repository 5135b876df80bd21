"""What changed, told to everybody who looks, as it happens.

The ledger is the truth: each row of its audit chain is a change, also one that another process wrote, and its number is the
place in the stream that a reader comes back with. What is no row (events taken in, notices sent, the stop file, new readings)
is told besides, under the number of the row before it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from setpoint.app.access import access_of, require
from setpoint.app.wiring import Runtime
from setpoint.errors import SetpointError
from setpoint.ledger.records import AuditRow
from tools.stop import StopSwitch

log = logging.getLogger("setpoint")
EVERY_S = 0.2
SITE_EVERY_S = 10.0
"""Readings flow without end; pages that show them are told this often."""
STILL_HERE_S = 15.0
KNOWN_EVERY_S = 5.0
"""How often it is asked whether a reader's session or token still stands."""
MOST_WAITING = 64
"""Changes that may wait for one reader; a slower one is sent away and comes back for the rest."""
MOST_ROWS, MOST_SUBJECTS = 2000, 200
ANYTHING = "*"
"""In place of subjects: so much has changed that everything is worth another look."""
KINDS = ("incident", "review", "action", "site", "stop", "chat", "notice", "quarantine", "silence", "autonomy", "loop", "rule", "account", "audit")  # fmt: skip
_BY_WORD = {
    "triage": "incident", "diagnosis": "incident", "rehearsal": "action", "cycle": "loop", "rules": "rule", "user": "account",
    "sessions": "account", "desk": "quarantine", "session": "account", "sign": "account", "token": "account",
}  # fmt: skip
_ALSO = {"review": ("incident",), "action": ("incident",), "diagnosis": ("review",), "triage": ("review",)}
_HEARD = {
    "triaged": "incident", "delivered": "notice", "delivery-failed": "notice", "outcome": "action", "cycle": "loop",
    "cycle-stage": "loop", "diagnosed": "incident", "known": "incident", "flood": "incident",
}  # fmt: skip
_SUBJECT = re.compile(r"(?:INC|REV|ACT|LOOP|ASK|SIL|TOK|CHAT)-[\w.-]+")


@dataclass(frozen=True)
class Change:
    """Something is worth another look."""

    seq: int
    kinds: frozenset[str]
    subjects: tuple[str, ...] = ()

    def text(self) -> str:
        """As a server-sent event."""
        said = {"seq": self.seq, "subjects": self.subjects, "kinds": sorted(self.kinds)}
        return f"id: {self.seq}\nevent: change\ndata: {json.dumps(said)}\n\n"


def change_of(rows: Iterable[AuditRow], seq: int) -> Change:
    """All these rows as one change."""
    kinds: set[str] = set()
    subjects: dict[str, None] = {}
    for row in rows:
        word = row.what.partition("-")[0]
        kinds |= {_BY_WORD.get(word, word), *_ALSO.get(word, ()), "audit"}
        subjects |= dict.fromkeys(_SUBJECT.findall(f"{row.subject} {json.dumps(row.data)}"))
    named = tuple(subjects) if len(subjects) <= MOST_SUBJECTS else (ANYTHING,)
    return Change(seq, frozenset(kinds & set(KINDS)) | {"audit"}, named)


@dataclass(eq=False)
class Reader:
    """One open page or program."""

    waiting: asyncio.Queue[Change | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))


class Changes:
    """One look at the ledger for all readers, on the event loop of the server."""

    def __init__(self, runtime: Runtime) -> None:
        self._ledger = runtime.ledger
        self._stop = StopSwitch(runtime.settings.store.dir / "STOP")
        self._reads_site = runtime.adapter is not None
        self._readers: set[Reader] = set()
        self._heard: set[str] = set()
        self._subjects: dict[str, None] = {}
        self._seq = 0
        self._ended = False

    # ---- telling ------------------------------------------------------------------------------------------------------

    def heard(self, what: str, value: Any) -> None:
        """A listener of the engine: what is no row of the ledger. Told at the next look."""
        if not self._readers:
            return
        if what == "accepted":
            self._heard |= {"quarantine"} if value[1] else set()
        elif what in _HEARD:
            self._heard.add(_HEARD[what])
            if what == "triaged":
                self._subjects |= dict.fromkeys(incident.id for incident in value.incidents)

    def tell(self, kind: str, *subjects: str) -> None:
        """Let everybody know of a change that neither the ledger nor the engine tells, from the server's event loop."""
        self._heard.add(kind)
        self._subjects |= dict.fromkeys(subjects)

    async def watch(self) -> None:
        """Look again and again until cancelled. Nothing is asked of the ledger while nobody reads."""
        clock = asyncio.get_running_loop().time
        stopped, site_at = self._stop.reason(), clock() + SITE_EVERY_S
        while True:
            await asyncio.sleep(EVERY_S)
            if not self._readers:
                continue
            now_stopped = self._stop.reason()
            if now_stopped != stopped:
                stopped = now_stopped
                self._heard.add("stop")
            if self._reads_site and clock() >= site_at:
                site_at = clock() + SITE_EVERY_S
                self._heard.add("site")
            try:
                await self._look()
            except SetpointError as error:
                log.warning("changes: %s", error)

    async def _look(self) -> None:
        last = await run_in_threadpool(self._ledger.last_audit)
        if last > self._seq:
            self._send(await run_in_threadpool(self.between, self._seq, last))
            self._seq = last
        if self._heard:
            kinds, subjects = frozenset(self._heard), tuple(self._subjects)[:MOST_SUBJECTS]
            self._heard, self._subjects = set(), {}
            self._send(Change(self._seq, kinds, subjects))

    def between(self, after: int, last: int) -> Change:
        """All that the ledger has of these rows, as one change."""
        if last - after > MOST_ROWS:
            return Change(last, frozenset(KINDS), (ANYTHING,))
        return change_of(self._ledger.list_audit(after=after, limit=last - after), last)

    def _send(self, change: Change) -> None:
        for reader in list(self._readers):
            if reader.waiting.full():
                self._readers.discard(reader)  # it comes back with the number it has, and gets the rest
            else:
                reader.waiting.put_nowait(change)

    def end(self) -> None:
        """Let every reader go. None comes in any more."""
        self._ended = True
        for reader in self._readers:
            if not reader.waiting.full():
                reader.waiting.put_nowait(None)  # wakes it; a full one is awake
        self._readers.clear()

    # ---- reading ------------------------------------------------------------------------------------------------------

    async def read(self, after: int, still_known: Any) -> AsyncIterator[str]:
        """The stream of one reader, from that row on; from now on for a number below 0. It ends where `still_known()` says
        so, with the server, and where the reader is too slow."""
        reader = Reader()
        last = await run_in_threadpool(self._ledger.last_audit)
        if not self._readers:
            self._seq = last
        self._readers.add(reader)
        try:
            yield f"retry: 1000\nid: {last if after < 0 else after}\nevent: hello\ndata: {{}}\n\n"
            if 0 <= after < last:
                yield (await run_in_threadpool(self.between, after, last)).text()
            elif after > last:  # of another store, or one that was put back
                yield Change(last, frozenset(KINDS), (ANYTHING,)).text()
            async for text in self._follow(reader, still_known):
                yield text
        finally:
            self._readers.discard(reader)

    async def _follow(self, reader: Reader, still_known: Any) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        spoke = asked = clock()
        while reader in self._readers and not self._ended:
            try:
                change = await asyncio.wait_for(reader.waiting.get(), 1.0)
            except TimeoutError:
                change = None
            if change is not None:
                yield change.text()
                spoke = clock()
            elif clock() - spoke >= STILL_HERE_S:
                yield "event: beat\ndata: {}\n\n"
                spoke = clock()
            if clock() - asked >= KNOWN_EVERY_S:
                asked = clock()
                if not await run_in_threadpool(still_known):
                    return


def stream_router(changes: Changes) -> APIRouter:
    """GET /v1/stream."""
    router = APIRouter()

    @router.get(
        "/v1/stream",
        tags=["live"],
        dependencies=[Depends(require("viewer"))],
        response_class=StreamingResponse,
    )
    async def stream(
        request: Request, last_event_id: Annotated[str, Header()] = "", after: Annotated[int, Query(ge=-1)] = -1
    ) -> StreamingResponse:  # fmt: skip
        """Server-sent events: what changed, as it changes. `Last-Event-ID`, or `after`, goes on from that row of the audit
        chain; without either it begins now."""
        begin = (
            int(last_event_id)
            if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16
            else after
        )
        access = access_of(request)

        def still_known() -> bool:
            found = access.find(request.headers, request.cookies)
            return found is not None and found.may("viewer")

        return StreamingResponse(
            changes.read(begin, still_known),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    return router
