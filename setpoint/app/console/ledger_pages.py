"""What the pages about incidents and approvals share: their templates, forms read and checked, refusals told in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from setpoint.app import access
from setpoint.app.causes import REPLAYED
from setpoint.app.console.cycle import FILTERS
from setpoint.app.console.render import HERE, page
from setpoint.app.desk import DESK
from setpoint.app.report import TEMPLATES, Links, parts_environment
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import Principal
from setpoint.errors import SetpointError, UsageError
from tools.actions import describe

STYLES = (
    TEMPLATES / "parts.css",
    TEMPLATES / "small.css",
    TEMPLATES / "plan.css",
    HERE / "templates" / "incidents.css",
)
LONGEST_REASON = 2000
"""Characters of a reason or an answer."""
LONGEST_VALUE = 500
MOST_FIELDS = 40


@dataclass(frozen=True)
class Typed:
    """What a form held. Nothing in it is trusted."""

    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.fields.get(name, "")

    def text(self, name: str, words: str, longest: int = LONGEST_VALUE) -> str:
        """Raises UsageError where it is longer than it may be."""
        value = self.get(name).strip()
        if len(value) > longest:
            raise UsageError(
                f"the {words} has {len(value):,} characters, at most {longest:,} are kept",
                remedy="Shorten it; what you typed is still here",
            )
        return value

    def reason(self, name: str = "reason", words: str = "reason") -> str:
        return self.text(name, words, LONGEST_REASON)

    def prefixed(self, prefix: str) -> dict[str, str]:
        """Fields of a group, without its prefix."""
        return {
            key.removeprefix(prefix): value.strip()
            for key, value in self.fields.items()
            if key.startswith(prefix)
        }


NOTHING = Typed({})


@dataclass(frozen=True)
class Refused:
    """Why a form was not taken, to be shown beside it with what was typed."""

    form: str
    words: str
    typed: Typed = NOTHING
    status: int = 422


@dataclass
class Pages:
    """Templates over one runtime. Everything they print passes autoescape, and what hides or reorders text is shown."""

    runtime: Runtime
    links: Links = field(default_factory=Links)

    @cached_property
    def environment(self) -> Environment:
        made = parts_environment(self.runtime.site.zone, self.links)
        made.loader = FileSystemLoader([HERE / "templates", TEMPLATES])
        made.filters |= FILTERS
        made.globals |= {"describe": describe, "said_of": said_of, "moment_of": datetime.fromisoformat}
        return made

    def part(self, name: str, request: Request, me: Principal, **values: Any) -> Markup:
        """One template with what forms need."""
        around = {"me": me, "csrf": access.csrf_field(request)}
        return Markup(self.environment.get_template(name).render(**around, **values))

    def whole(
        self, request: Request, me: Principal, main: Markup, *, at: str, title: str, status: int = 200
    ) -> HTMLResponse:
        """The part within the frame of every page; the part alone where a page that is open asks for it."""
        if is_fetch(request):
            return HTMLResponse(main, status)
        shown = {"main": main, "title": title, "style_url": style_url()}
        return page(request, me, "ledger_page.html.j2", at=at, status=status, **shown)

    def call(self, name: str, **arguments: Any) -> Any:
        """A function of the desk; whatever waits for what it wrote looks at once. Not for an event loop: it blocks."""
        value = DESK[name](self.runtime.desk, **arguments)
        if access.NEEDS[name] != "viewer":
            self.runtime.engine.wake()
        return value

    def moment(self) -> datetime:
        """What ages are counted to: now, or the last event where all that is open comes from a recording."""
        now, latest = datetime.now(UTC), self.runtime.ledger.last_event()
        return latest if latest and now - latest > REPLAYED else now


async def typed_of(request: Request) -> Typed:
    """The form's fields, the last of each name. Files and what is beyond MOST_FIELDS are refused by the parser."""
    form = await request.form(max_fields=MOST_FIELDS, max_files=0)
    return Typed({key: value for key, value in form.items() if isinstance(value, str)})


def is_fetch(request: Request) -> bool:
    """Sent by console.js: the answer takes the place of a part of the page."""
    return "x-fragment" in request.headers


def to(request: Request, where: str) -> Response:
    """After a form of the page without scripts was taken."""
    return RedirectResponse(where, 303)


def in_words(error: SetpointError) -> str:
    """What was wrong and what to do, without the place where the code found it."""
    parts = [error.what] + ([error.remedy[0].upper() + error.remedy[1:]] if error.remedy else [])
    said = ". ".join(part.rstrip(".") for part in parts)
    return f"{said[:1].upper()}{said[1:]}."


def said_of(value: Any) -> str:
    """What a correction says, in words."""
    if isinstance(value, dict) and "part" in value:
        return f"{value['part'].replace('-', ' ')}: {value['text'] or 'found bad, no better words'}"
    if isinstance(value, dict) and "text" in value:
        return f"step {value.get('step')}: {value['text']}"
    if isinstance(value, dict) and "into" in value:
        return f"moved to {value['into'] or 'an incident of their own'}"
    return str(value)


@lru_cache(maxsize=1)
def style_sheet() -> str:
    """What the report's parts need, and these pages beside it."""
    return "".join(path.read_text("utf-8") for path in STYLES)


@lru_cache(maxsize=1)
def style_url() -> str:
    """With its content in the address, so that no browser shows a page with an older one."""
    return f"/incidents.css?{hashlib.sha256(style_sheet().encode()).hexdigest()[:10]}"
