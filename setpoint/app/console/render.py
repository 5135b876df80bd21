"""Pages of the console: one environment with autoescape, one frame around every page."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from setpoint.app import access
from setpoint.app.console.frame import frame_of, runtime_of
from setpoint.app.formatting import counted, day_and_time, visible
from setpoint.contracts.accounts import Principal

HERE = Path(__file__).parent
_MARK = re.compile(r"\{action:\s*(\w+)\}")
PAGES = (
    ("now", "Now", "/"), ("incidents", "Incidents", "/incidents"), ("approvals", "Approvals", "/approvals"),
    ("chat", "Chat", "/chat"), ("knowledge", "Knowledge", "/knowledge"), ("feedback", "Feedback", "/feedback"),
    ("autonomy", "Autonomy", "/autonomy"), ("evals", "Evals", "/evals"), ("audit", "Audit", "/audit"),
)  # fmt: skip


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Autoescape is on; characters that hide or reorder text are shown as escapes by `|visible`."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    made.filters["visible"] = visible
    made.filters |= {
        "counted": counted,
        "without_marks": without_marks,
        "local": local,
        "date": date,
        "day_and_time": day_and_clock,
    }
    made.globals["asset_url"] = asset_url
    return made


def local(time: datetime, zone: str) -> str:
    """A time of the day where the site is; pages with scripts say how long it is from now."""
    return f"{time.astimezone(ZoneInfo(zone)):%H:%M %Z}"


def date(time: datetime, zone: str) -> str:
    """A day where the site is."""
    return f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d}"


def day_and_clock(time: datetime, zone: str) -> str:
    """A day with its time where the site is."""
    return day_and_time(time, ZoneInfo(zone))


def without_marks(text: str) -> str:
    """A runbook's text as people read it; what it names for machines becomes words.

    >>> without_marks("Start the other pump. {action: start_standby_pump}")
    'Start the other pump. (start standby pump)'
    """
    return _MARK.sub(lambda found: f"({found[1].replace('_', ' ')})", text)


@lru_cache(maxsize=16)
def asset_url(name: str) -> str:
    """A static file with its content in the address, so that a browser never shows a page with an older one."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?{digest}"


def page(
    request: Request, principal: Principal, template: str, *, at: str, status: int = 200, **values: Any
) -> HTMLResponse:
    """A whole page; `at` is its entry in PAGES. A template is `{% extends "base.html.j2" %}` with blocks title and main."""
    return HTMLResponse(_render(request, principal, template, at=at, **values), status)


def fragment(template: str, **values: Any) -> HTMLResponse:
    """A part of a page, as the stream's changes ask for it."""
    return HTMLResponse(environment().get_template(template).render(**values))


def part(
    request: Request, principal: Principal, template: str, *, at: str = "", **values: Any
) -> HTMLResponse:
    """A part of a page that holds forms or stands in the frame: with the values a whole page has."""
    return HTMLResponse(_render(request, principal, template, at=at, **values))


def _render(request: Request, principal: Principal, template: str, **values: Any) -> str:
    around = {
        "request": request, "me": principal, "pages": PAGES, "frame": frame_of(runtime_of(request)),
        "csrf": access.csrf_field(request), "csrf_token": access.csrf_token(request),
        "place": getattr(request.state, "place", -1),
    }  # fmt: skip
    return environment().get_template(template).render(**around, **values)
