"""Pages of what is written down: knowledge, feedback, autonomy, evals, audit, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from setpoint.app.access import require
from setpoint.app.console import record_rows as rows
from setpoint.app.console.readings import Remembered
from setpoint.app.console.render import page
from setpoint.app.desk import DESK
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import Principal
from setpoint.contracts.autonomy import LEVELS
from setpoint.errors import SetpointError

PAGE_ROWS = 50
LEARNED_S = 300.0
"""The share that people leave unchanged is counted anew after so long."""
VERIFIED_S = 600.0
"""The audit chain is verified at most this often, however many people look: each time it is walked from its first row."""
Viewer = Annotated[Principal, Depends(require("viewer"))]
Operator = Annotated[Principal, Depends(require("operator"))]
Approver = Annotated[Principal, Depends(require("approver"))]
Short = Annotated[str, Query(max_length=400)]
Number = Annotated[int, Query(ge=0, le=10**15)]
Reason = Annotated[str, Form(max_length=2000)]
Field = Annotated[str, Form(max_length=200)]


def router(runtime: Runtime) -> APIRouter:
    """Routes of the record pages."""
    made = APIRouter()
    pages = _Pages(runtime)
    _add_knowledge(made, pages)
    _add_feedback(made, pages)
    _add_autonomy(made, pages)
    _add_evals(made)
    _add_audit(made, pages)
    _add_quarantine(made, pages)
    return made


class _Pages:
    """What the routes share."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.learning = Remembered(lambda: rows.learned(runtime), LEARNED_S)
        self.chain = Remembered(lambda: rows.verified(runtime), VERIFIED_S)

    async def call(self, name: str, **arguments: Any) -> Any:
        return await run_in_threadpool(DESK[name], self.runtime.desk, **arguments)

    async def change(
        self, request: Request, me: Principal, again: Callable[..., Any], where: str, done: str, name: str, **arguments: Any
    ) -> Response:  # fmt: skip
        """Call, then the page again with what came of it; words beside it where it was refused."""
        try:
            await self.call(name, **arguments)
        except SetpointError as error:
            said: Response = await again(request, me, problem=rows.in_words(error), status=422)
            return said
        self.runtime.engine.wake()
        if request.headers.get("x-fragment") == "1":
            shown: Response = await again(request, me, done=done)
            return shown
        return RedirectResponse(where, 303)


# ---- knowledge ----------------------------------------------------------------------------------------------------


def _add_knowledge(made: APIRouter, pages: _Pages) -> None:
    @made.get("/knowledge")
    async def knowledge(request: Request, me: Viewer, q: Short = "") -> Response:
        problem = ""
        found: Any = []
        documents: Any = []
        try:
            documents = await pages.call("knowledge_list")
            found = await pages.call("knowledge_search", query=q, limit=10) if q.strip() else []
        except SetpointError as error:
            problem = rows.in_words(error)
        causes = await pages.call("knowledge_causes")
        return page(
            request, me, "knowledge.html.j2", at="knowledge", q=q, found=found, documents=documents, causes=causes, problem=problem
        )  # fmt: skip

    @made.get("/knowledge/passage/{name:path}")
    async def passage(request: Request, me: Viewer, name: str) -> Response:
        index = await run_in_threadpool(pages.runtime.index)
        found = await run_in_threadpool(index.passage, name)
        status = 200 if found else 404
        return page(request, me, "passage.html.j2", at="knowledge", status=status, passage=found, name=name)


# ---- feedback -----------------------------------------------------------------------------------------------------


def _add_feedback(made: APIRouter, pages: _Pages) -> None:
    @made.get("/feedback")
    async def feedback(request: Request, me: Viewer, subject: Short = "", skip: Number = 0) -> Response:
        found = await run_in_threadpool(rows.lessons, pages.runtime, subject.strip(), skip, PAGE_ROWS)
        whole = not subject.strip() and not skip
        learning = await run_in_threadpool(pages.learning.get) if whole else None
        found |= {"learning": learning, "counting": whole and learning is None}
        return page(
            request, me, "feedback.html.j2", at="feedback", subject=subject.strip(), skip=skip, size=PAGE_ROWS, **found
        )  # fmt: skip


# ---- autonomy -----------------------------------------------------------------------------------------------------


def _add_autonomy(made: APIRouter, pages: _Pages) -> None:
    async def shown(
        request: Request, me: Principal, problem: str = "", done: str = "", status: int = 200
    ) -> Response:
        kinds = await pages.call("autonomy_list")
        limits = pages.runtime.settings.autonomy
        return page(
            request, me, "autonomy.html.j2", at="autonomy", status=status, kinds=rows.by_record(kinds), levels=LEVELS,
            limits=limits, problem=problem, done=done,
        )  # fmt: skip

    @made.get("/autonomy")
    async def autonomy(request: Request, me: Viewer) -> Response:
        return await shown(request, me)

    @made.get("/autonomy/{kind}")
    async def one(request: Request, me: Viewer, kind: str) -> Response:
        try:
            found = await pages.call("autonomy_show", kind=kind)
        except SetpointError as error:
            return await shown(request, me, problem=rows.in_words(error), status=404)
        return page(request, me, "autonomy_kind.html.j2", at="autonomy", row=found)

    @made.post("/autonomy/revoke-all")
    async def revoke_all(request: Request, me: Operator, why: Reason = "") -> Response:
        done = "Every kind is back to assist: each action is asked about."
        return await pages.change(
            request, me, shown, "/autonomy", done, "autonomy_revoke", who=me.name, why=why, all=True
        )

    @made.post("/autonomy/{kind}/revoke")
    async def revoke(request: Request, me: Operator, kind: str, why: Reason = "") -> Response:
        done = f"{kind} is back to assist: each one is asked about."
        return await pages.change(
            request, me, shown, "/autonomy", done, "autonomy_revoke", who=me.name, why=why, kind=kind
        )

    @made.post("/autonomy/{kind}/level")
    async def level(request: Request, me: Approver, kind: str, level: Field, why: Reason = "") -> Response:
        return await pages.change(
            request, me, shown, "/autonomy", f"{kind} is at {level}.", "autonomy_set", kind=kind, level=level, who=me.name, why=why
        )  # fmt: skip

    @made.post("/autonomy/{kind}/sign")
    async def sign(
        request: Request, me: Approver, kind: str, per_hour: Annotated[int, Form()], per_day: Annotated[int, Form()],
        assets: Field = "*", why: Reason = "",
    ) -> Response:  # fmt: skip
        return await pages.change(
            request, me, shown, "/autonomy", f"{kind} may run alone within its limits.", "autonomy_sign", kind=kind, who=me.name,
            why=why, per_hour=per_hour, per_day=per_day, assets=assets,
        )  # fmt: skip


# ---- evals --------------------------------------------------------------------------------------------------------


def _add_evals(made: APIRouter) -> None:
    @made.get("/evals")
    async def evals(request: Request, me: Viewer) -> Response:
        runs, others = await run_in_threadpool(rows.measured)
        return page(request, me, "evals.html.j2", at="evals", runs=runs, others=others)


# ---- audit --------------------------------------------------------------------------------------------------------


def _add_audit(made: APIRouter, pages: _Pages) -> None:
    @made.get("/audit")
    async def audit(request: Request, me: Viewer, subject: Short = "", before: Number = 0) -> Response:
        chain = await run_in_threadpool(pages.chain.get)
        found = await run_in_threadpool(rows.audited, pages.runtime, subject.strip(), before, PAGE_ROWS)
        return page(request, me, "audit.html.j2", at="audit", subject=subject.strip(), chain=chain, **found)


# ---- quarantine ---------------------------------------------------------------------------------------------------


def _add_quarantine(made: APIRouter, pages: _Pages) -> None:
    async def shown(
        request: Request, me: Principal, problem: str = "", done: str = "", status: int = 200, mended: str = "", item: str = ""
    ) -> Response:  # fmt: skip
        held = await run_in_threadpool(rows.quarantined, pages.runtime, PAGE_ROWS)
        return page(
            request, me, "quarantine.html.j2", at="audit", status=status, problem=problem, done=done, mended=mended, item=item, **held
        )  # fmt: skip

    @made.get("/quarantine")
    async def quarantine(request: Request, me: Viewer) -> Response:
        return await shown(request, me)

    @made.post("/quarantine/{name}/replay")
    async def replay(
        request: Request, me: Operator, name: str, text: Annotated[str, Form(max_length=1_000_000)] = ""
    ) -> Response:
        async def again(request: Request, me: Principal, **more: Any) -> Response:
            return await shown(request, me, **more, mended=text if "problem" in more else "", item=name)

        if not text.strip():
            return await again(
                request, me, problem="There is no text to read. Mend it, or remove the item.", status=422
            )
        done = f"{name} could be read now and was taken in."
        mended = await run_in_threadpool(rows.mended, pages.runtime, name, text)
        return await pages.change(
            request, me, again, "/quarantine", done, "quarantine_replay", id=name, text=mended
        )

    @made.post("/quarantine/{name}/remove")
    async def remove(request: Request, me: Operator, name: str) -> Response:
        return await pages.change(
            request, me, shown, "/quarantine", f"{name} is removed.", "quarantine_remove", id=name
        )
