"""Pages of incidents: the list, each with its whole story and what a person may do about it, and cycles of the loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from knowledge.causes import load_causes
from setpoint.app import loop_desk
from setpoint.app.access import require
from setpoint.app.console.cycle import cycle_values
from setpoint.app.console.ledger_pages import (
    NOTHING,
    Pages,
    Refused,
    Typed,
    in_words,
    is_fetch,
    style_sheet,
    typed_of,
)
from setpoint.app.dossier import CaseFiles, read_case
from setpoint.app.pictures import anchor
from setpoint.app.report import Links, passage_of, shown_passages
from setpoint.app.wiring import Runtime
from setpoint.app.wording_desk import LONGEST_TEXT
from setpoint.contracts import PRIORITIES
from setpoint.contracts.accounts import Principal
from setpoint.contracts.incident import IncidentState
from setpoint.errors import SetpointError, UsageError
from setpoint.ledger.browsing import Wanted
from setpoint.ledger.explained import LIVE
from setpoint.ledger.records import TimelineItem

PER_PAGE = 50
MOST_PAGES = 100_000
STATES: tuple[str, ...] = get_args(IncidentState)
Viewer = Annotated[Principal, Depends(require("viewer"))]
Operator = Annotated[Principal, Depends(require("operator"))]
Fields = Annotated[Typed, Depends(typed_of)]
DONE = {
    "ack": "You have it now; it no longer escalates.",
    "close": "It is closed; what waited for a decision about it was withdrawn.",
    "escalate": "It was escalated.",
    "correct": "Your correction is kept, and the incident follows it.",
    "silence": "The silence is in force.",
    "ungroup": "It stands for itself again and stays so.",
    "reword": "Your words stand there now, and are kept to learn from.",
}


def router(runtime: Runtime) -> APIRouter:
    """Everything under /incidents."""
    routes, pages = APIRouter(), IncidentPages(runtime)

    @routes.get("/incidents.css")
    def styles(me: Viewer) -> Response:
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(style_sheet(), media_type="text/css", headers=kept)

    @routes.get("/incidents")
    def listed(request: Request, me: Viewer) -> HTMLResponse:
        return pages.listed(request, me)

    @routes.get("/incidents/{name}")
    def shown(name: str, request: Request, me: Viewer, done: str = "") -> Response:
        return pages.answer(request, me, name, done=DONE.get(done, ""))

    @routes.post("/incidents/{name}/{deed}")
    def did(name: str, deed: str, request: Request, me: Operator, typed: Fields) -> Response:
        return pages.did(request, me, name, deed, typed)

    return routes


@dataclass(frozen=True)
class Search:
    """What the list is asked for, as it stands in its address."""

    state: str = "live"
    """A state, "live" (open or acknowledged), or "all"."""
    priorities: tuple[str, ...] = ()
    asset: str = ""
    text: str = ""
    page: int = 1

    @classmethod
    def of(cls, request: Request) -> Search:
        """Raises UsageError for what is not a filter."""
        asked = request.query_params
        state, priorities, page = (
            asked.get("state", "live"),
            tuple(asked.getlist("priority")),
            asked.get("page", "1"),
        )
        if state not in ("live", "all", *STATES):
            raise UsageError(f"no state {state!r}", remedy=f"One of: live, all, {', '.join(STATES)}")
        if unknown := [one for one in priorities if one not in PRIORITIES]:
            raise UsageError(f"no priority {unknown[0]!r}", remedy=f"One of: {', '.join(PRIORITIES)}")
        if not (page.isascii() and page.isdigit() and 1 <= int(page) <= MOST_PAGES):
            raise UsageError(f"no page {page!r}", remedy="Pages are numbered from 1")
        return cls(state, priorities, asked.get("asset", "").strip(), asked.get("q", "").strip(), int(page))

    @property
    def wanted(self) -> Wanted:
        states: Any = {"live": LIVE, "all": ()}.get(self.state, (self.state,))
        priorities: Any = self.priorities
        return Wanted(states=states, priorities=priorities, asset=self.asset, text=self.text)

    def query(self, page: int) -> str:
        """As the end of an address; what is not asked for is left out."""
        pairs = [("state", self.state)] if self.state != "live" else []
        pairs += [("priority", one) for one in self.priorities]
        pairs += [(name, value) for name, value in (("asset", self.asset), ("q", self.text)) if value]
        return "?" + urlencode(pairs + ([("page", str(page))] if page > 1 else []))


class IncidentPages(Pages):
    """The list and the single pages."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, Links(incident=incident_href, review=review_href, story=story_href))
        self.links = Links(
            incident=incident_href, review=review_href, story=story_href,
            passage=lambda name: f"#{anchor('p', passage_of(name))}",
        )  # fmt: skip

    # ---- the list -----------------------------------------------------------------------------------------------

    def listed(self, request: Request, me: Principal) -> HTMLResponse:
        problem, status = "", 200
        try:
            search = Search.of(request)
        except UsageError as error:
            problem, status, search = in_words(error), 422, Search()
        rows, total = self.runtime.ledger.browse_incidents(
            search.wanted, PER_PAGE, PER_PAGE * (search.page - 1)
        )
        causes = load_causes()
        main = self.part(
            "_incidents.html.j2", request, me, rows=rows, total=total, search=search, problem=problem, moment=self.moment(),
            titles={key: cause.title for key, cause in causes.items()}, states=STATES, priorities=PRIORITIES,
            pages=max(1, -(-total // PER_PAGE)), per_page=PER_PAGE,
        )  # fmt: skip
        return self.whole(request, me, main, at="incidents", title="Incidents", status=status)

    # ---- one incident -------------------------------------------------------------------------------------------

    def answer(
        self, request: Request, me: Principal, name: str, *, done: str = "", refused: Refused | None = None
    ) -> Response:
        """The page of one incident, or of a loop's cycle; in words where there is none."""
        if name.startswith(loop_desk.PREFIX):
            return self._cycle(request, me, name)
        try:
            case = read_case(self.runtime.ledger, self.runtime.site, name)
        except UsageError as error:
            main = self.part("_missing.html.j2", request, me, words=in_words(error), back="/incidents")
            return self.whole(request, me, main, at="incidents", title="No such incident", status=404)
        main = self.part("_incident.html.j2", request, me, **self._values(case, done, refused))
        status = refused.status if refused else 200
        title = f"{case.files[0].incident.id} {case.files[0].incident.title}"
        return self.whole(request, me, main, at="incidents", title=title, status=status)

    def _values(self, case: CaseFiles, done: str, refused: Refused | None) -> dict[str, Any]:
        file, ledger = case.files[0], self.runtime.ledger
        causes = load_causes()
        held = ledger.holder_of(file.incident.id) if file.incident.state == "acknowledged" else None
        return {
            "case": case, "file": file, "i": file.incident, "d": file.diagnosis, "held": held, "moment": self.moment(),
            "zone": case.site.zone, "pending": [one for one in file.reviews if one.state == "pending"],
            "passages": shown_passages(case.files[:1]), "done": done, "refused": refused, "typed": refused.typed if refused else NOTHING,
            "causes": sorted((one.title, key) for key, one in causes.items()), "priorities": PRIORITIES,
            "texts": {one.part: one.text for one in ledger.list_texts(file.incident.id)}, "longest_text": LONGEST_TEXT,
            "corrected": ledger.corrected_cause(file.incident.id), "live": " ".join([file.incident.id, *(r.id for r in file.reviews)]),
        }  # fmt: skip

    def _cycle(self, request: Request, me: Principal, name: str) -> Response:
        try:
            values = cycle_values(self.runtime, name)
        except UsageError as error:
            main = self.part("_missing.html.j2", request, me, words=in_words(error), back="/approvals")
            return self.whole(request, me, main, at="approvals", title="No such cycle", status=404)
        main = self.part("_cycle.html.j2", request, me, **values)
        return self.whole(request, me, main, at="approvals", title=name)

    # ---- what a person does ---------------------------------------------------------------------------------------

    def did(self, request: Request, me: Principal, name: str, deed: str, typed: Typed) -> Response:
        """Do it; the page as it stands then. A refusal is told beside its form, with what was typed."""
        if deed not in DONE:
            return self.answer(request, me, name, refused=Refused("", f"There is no {deed!r} to be done."))
        try:
            said = self._do(name, deed, me.name, typed)
        except SetpointError as error:
            if is_fetch(request):
                raise  # told beside the form, which stays as it is
            status = 409 if error.exit_code == 4 else 422
            return self.answer(request, me, name, refused=Refused(deed, in_words(error), typed, status))
        if is_fetch(request):
            return self.answer(request, me, name, done=said or DONE[deed])
        return RedirectResponse(f"{incident_href(name)}?done={deed}", 303)

    def _do(self, name: str, deed: str, who: str, typed: Typed) -> str:
        why = typed.reason("why")
        if deed == "correct":
            self.call(
                "incidents_correct",
                id=name,
                field=typed.get("field"),
                value=_corrected(typed),
                who=who,
                why=why,
            )
        elif deed == "reword":
            value = "" if typed.get("bad") else _reworded(typed)
            part = typed.text("part", "part")
            self.call("incidents_correct", id=name, field="text", part=part, value=value, who=who, why=why)
        elif deed == "silence":
            made = {key: typed.text(key, key) or "*" for key in ("asset", "kind", "template")}
            self.call("silence_add", who=who, why=why, minutes=_minutes(typed.get("minutes")), **made)
        elif deed == "escalate":
            told = self.call("incidents_escalate", id=name, who=who, why=why)
            return f"It was escalated to {told['sink']}, level {told['level']}."
        else:
            self.call(f"incidents_{deed}", id=name, who=who, why=why)
        return ""


def _corrected(typed: Typed) -> str:
    """The value that goes with the field which was chosen."""
    field = typed.get("field")
    if field == "guide-step":
        number, words = typed.text("step", "step"), typed.reason("guide_step", "step's text")
        if not words:
            raise UsageError("the better step is empty", remedy="Write it as it should be")
        return f"{number}: {words}" if number else words
    value = typed.text(field, field) if field in ("priority", "cause", "wording") else ""
    if field == "wording" and not value:
        raise UsageError("the better title is empty", remedy="Write it as it should be")
    return value


def _reworded(typed: Typed) -> str:
    text = typed.text("text", "text", LONGEST_TEXT)
    if not text:
        raise UsageError("the better text is empty", remedy="Write it as it should read")
    return text


def _minutes(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no number of minutes", remedy="Write a plain number, such as 60"
        ) from None


def incident_href(name: str) -> str:
    """An incident's page, or a cycle's."""
    return f"/incidents/{quote(name, safe='')}" if name else ""


def review_href(name: str) -> str:
    return f"/approvals/{quote(name, safe='')}"


def story_href(item: TimelineItem) -> str:
    """What a line of the timeline is about, where it stands on the same page."""
    places = {"diagnosis": "#cause", "notice": "#notices", "action": "#asked"}
    if item.kind == "review":
        return f"#{anchor('r', item.ref)}"
    return places.get(item.kind, "")
