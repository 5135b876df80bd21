"""The shift's shared queue: what is asked, everything needed to decide it, and the decision itself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from setpoint.app.access import require
from setpoint.app.console.asked import Asked, Edit, edit_of, read_asked
from setpoint.app.console.incidents import incident_href, review_href
from setpoint.app.console.ledger_pages import (
    NOTHING,
    Pages,
    Refused,
    Typed,
    in_words,
    is_fetch,
    typed_of,
)
from setpoint.app.dossier import CaseFiles, read_case
from setpoint.app.report import Links
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import Principal
from setpoint.errors import NotDecidable, SetpointError, UsageError

PER_PAGE = 50
Viewer = Annotated[Principal, Depends(require("viewer"))]
Approver = Annotated[Principal, Depends(require("approver"))]
Fields = Annotated[Typed, Depends(typed_of)]
DECISIONS = ("approve", "edit", "reject", "respond")


def router(runtime: Runtime) -> APIRouter:
    """Everything under /approvals."""
    routes, pages = APIRouter(), ApprovalPages(runtime)

    @routes.get("/approvals")
    def queue(request: Request, me: Viewer) -> HTMLResponse:
        return pages.queue(request, me)

    @routes.get("/approvals/queue")
    def waiting(request: Request, me: Viewer, at: str = "") -> HTMLResponse:
        return HTMLResponse(pages.waiting(request, me, at))

    @routes.get("/approvals/past")
    def past(request: Request, me: Viewer, page: str = "1") -> HTMLResponse:
        return pages.past(request, me, page)

    @routes.get("/approvals/{name}")
    def shown(name: str, request: Request, me: Viewer) -> Response:
        return pages.shown(request, me, name)

    @routes.get("/approvals/{name}/review")
    def part(name: str, request: Request, me: Viewer) -> Response:
        return pages.review(request, me, name)

    @routes.post("/approvals/recommended")
    def recommended(request: Request, me: Approver, typed: Fields) -> Response:
        return pages.approve_recommended(request, me, typed)

    @routes.post("/approvals/{name}/change")
    def change(name: str, request: Request, me: Approver, typed: Fields) -> Response:
        return pages.change(request, me, name, typed)

    @routes.post("/approvals/{name}/rehearse")
    def rehearse(name: str, request: Request, me: Approver, typed: Fields) -> Response:
        return pages.change(request, me, name, typed, rehearse=True)

    @routes.post("/approvals/{name}")
    def decide(name: str, request: Request, me: Approver, typed: Fields) -> Response:
        return pages.decide(request, me, name, typed)

    return routes


class ApprovalPages(Pages):
    """The queue beside one review, and what was decided."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, Links(incident=incident_href, review=review_href))

    # ---- reading --------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """What waits, the most urgent incident first and the oldest question first in it."""
        rows = self.call("review_list")
        return sorted(rows, key=lambda row: (row.get("priority") or "P9", row["created"]))

    def waiting(
        self,
        request: Request,
        me: Principal,
        at: str,
        said: str = "",
        rows: list[dict[str, Any]] | None = None,
    ) -> Any:
        """The queue, with the one that is open marked. `rows` spares reading them twice."""
        rows = self.rows() if rows is None else rows
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(row["incident_id"], []).append(row)
        return self.part("_queue.html.j2", request, me, groups=groups, many=len(rows), at=at, said=said)

    def queue(self, request: Request, me: Principal, said: str = "") -> HTMLResponse:
        """The queue, with the first of it open beside it."""
        rows = self.rows()
        first = self._review(request, me, rows[0]["id"]) if rows else ""
        at = rows[0]["id"] if rows else ""
        return self._beside(request, me, first, at, waiting=self.waiting(request, me, at, said, rows))

    def shown(
        self, request: Request, me: Principal, name: str, refused: Refused | None = None, **more: Any
    ) -> Response:
        """One review beside the queue; in words where there is none."""
        try:
            review = self._review(request, me, name, refused, **more)
        except UsageError as error:
            main = self.part("_missing.html.j2", request, me, words=in_words(error), back="/approvals")
            return self.whole(request, me, main, at="approvals", title="No such review", status=404)
        return self._beside(request, me, review, name, single=True, status=refused.status if refused else 200)

    def review(self, request: Request, me: Principal, name: str) -> Response:
        """One review alone, as changes ask for it."""
        return HTMLResponse(self._review(request, me, name))

    def _beside(
        self, request: Request, me: Principal, review: Any, at: str, *, waiting: Any = None, single: bool = False, status: int = 200
    ) -> HTMLResponse:  # fmt: skip
        if is_fetch(request):
            return HTMLResponse(review, status)
        queue = self.waiting(request, me, at) if waiting is None else waiting
        main = self.part("_approvals.html.j2", request, me, queue=queue, review=review, at=at, single=single)
        title = at if single else "Approvals"
        return self.whole(request, me, main, at="approvals", title=title, status=status)

    def _review(
        self, request: Request, me: Principal, name: str, refused: Refused | None = None, done: str = "",
        typed: Typed = NOTHING, **more: Any,
    ) -> Any:  # fmt: skip
        asked = read_asked(self.runtime, name)
        values = {
            "asked": asked, "r": asked.review, "case": self._case(asked), "done": done, "refused": refused, "edit": None,
            "tried": False, "rehearsal": None, "typed": refused.typed if refused else typed, "zone": self.runtime.site.zone,
        }  # fmt: skip
        return self.part("_review.html.j2", request, me, **(values | more))

    def _case(self, asked: Asked) -> CaseFiles | None:
        """What stands around it; None for a loop's proposal and for rules."""
        return (
            read_case(self.runtime.ledger, self.runtime.site, asked.incident.id) if asked.incident else None
        )

    def past(self, request: Request, me: Principal, page: str) -> HTMLResponse:
        """What waits no more, the last first."""
        number = int(page) if page.isascii() and page.isdigit() and 0 < int(page) < 100_000 else 1
        ended, total = self.runtime.ledger.browse_ended_reviews(PER_PAGE, PER_PAGE * (number - 1))
        names = [one.review.incident_id for one in ended if one.review.incident_id]
        main = self.part(
            "_past.html.j2", request, me, ended=ended, total=total, page=number, pages=max(1, -(-total // PER_PAGE)),
            incidents=self.runtime.ledger.find_incidents(names), acts=self._acts(names),
        )  # fmt: skip
        return self.whole(request, me, main, at="approvals", title="Decided")

    def _acts(self, names: list[str]) -> dict[str, Any]:
        found = (
            one for name in dict.fromkeys(names) for one in self.runtime.ledger.list_actions(incident_id=name)
        )
        return {one.review_id: one for one in found}

    # ---- deciding -------------------------------------------------------------------------------------------------

    def change(
        self, request: Request, me: Principal, name: str, typed: Typed, *, rehearse: bool = False
    ) -> Response:
        """Show the difference that an edit makes, before it is sent; on the plant model too where that is asked."""
        try:
            asked = read_asked(self.runtime, name)
            typed.reason()
            _check_seen(asked, typed)
            edit = edit_of(asked, typed.prefixed("arg."), self.runtime.site)
        except SetpointError as error:
            return self._refuse(request, me, name, "edit", error, typed)
        found = self.runtime.rehearse(edit.action, asked.review.incident_id) if rehearse else None
        return self.shown(request, me, name, edit=edit, typed=typed, tried=rehearse, rehearsal=found)

    def decide(self, request: Request, me: Principal, name: str, typed: Typed) -> Response:
        """Decide it, by one who saw what is decided."""
        kind = typed.get("type")
        try:
            said = self._decide(name, kind, me, typed)
        except SetpointError as error:
            return self._refuse(request, me, name, kind, error, typed)
        if is_fetch(request):
            return HTMLResponse(self._review(request, me, name, done=said))
        return RedirectResponse(review_href(name), 303)

    def _decide(self, name: str, kind: str, me: Principal, typed: Typed) -> str:
        if kind not in DECISIONS:
            raise UsageError(f"{kind!r} is no decision", remedy=f"One of: {', '.join(DECISIONS)}")
        asked = read_asked(self.runtime, name)
        _check_seen(asked, typed)
        reason, answer = typed.reason(), typed.reason("answer", "answer")
        args: dict[str, Any] = {}
        if kind == "edit":
            args = _looked_at(edit_of(asked, typed.prefixed("arg."), self.runtime.site), typed)
        if kind == "reject" and not reason:
            raise UsageError(
                "a no needs a reason", remedy="Say why; it is what the next proposal learns from"
            )
        if kind == "respond" and not answer:
            raise UsageError("the answer is empty", remedy="Write what you would say or ask")
        made = self.call(
            "review_decide", id=name, type=kind, who=me.name, reason=reason, digest=typed.get("digest"), args=args, answer=answer,
            asset=typed.get("asset_typed"),
        )  # fmt: skip
        return _said(kind, made)

    def _refuse(
        self, request: Request, me: Principal, name: str, form: str, error: SetpointError, typed: Typed
    ) -> Response:
        """Why it was not taken, beside the form as it was filled in; or what became of the review meanwhile."""
        late = isinstance(error, NotDecidable)
        if is_fetch(request) and not late:
            raise error
        return self.shown(request, me, name, Refused(form, in_words(error), typed, 409 if late else 422))

    def approve_recommended(self, request: Request, me: Principal, typed: Typed) -> Response:
        """A yes to all that is recommended for one incident, as each stands now. High risk is looked at one by one."""
        incident = typed.get("incident")
        try:
            reason = typed.reason()
            grave = [
                row["id"]
                for row in self.rows()
                if row["incident_id"] == incident and row["recommended"] and row["proposal"]["risk"] == "high"
            ]
            if grave:
                raise UsageError(f"{', '.join(grave)} is of high risk", remedy="Decide it by itself")
            made = self.call("review_approve_recommended", incident=incident, who=me.name, reason=reason)
        except SetpointError as error:
            said = in_words(error)
        else:
            said = " ".join(f"{row['id']}: {row['said'] or 'approved'}." for row in made["reviews"])
        if is_fetch(request):
            return HTMLResponse(self.waiting(request, me, "", said))
        return self.queue(request, me, said)


def _check_seen(asked: Asked, typed: Typed) -> None:
    """Raises NotDecidable where it has changed, or ended, since the page was made; the words say how."""
    if asked.ended_words:
        raise NotDecidable(f"{asked.ended_words}; your answer was not recorded")
    if typed.get("digest") != asked.review.digest:
        raise NotDecidable(
            "it is not the version you saw: it has been edited since",
            remedy="Look at what it asks now, then decide",
        )


def _looked_at(edit: Edit, typed: Typed) -> dict[str, Any]:
    """The new values. Raises UsageError where the difference that was looked at is another one, or none."""
    if typed.get("shown") != edit.digest:
        raise UsageError(
            "these values were not yet looked at as a difference",
            remedy="Show the difference, then approve it",
        )
    return {one.name: one.after for one in edit.changes}


def _said(kind: str, made: dict[str, Any]) -> str:
    """What a decision led to, to the one who made it."""
    if kind in ("approve", "edit") and not made["final"]:
        return f"Your yes is recorded, {len(made['approvals'])} of {made['needed']}: another person has to agree."
    done = {"approve": "Approved.", "edit": "Approved with your change.", "reject": "Rejected."}
    return done.get(kind, "Your answer is recorded; the question is put again with it.")
