"""Now: what needs a person, the last hours, the plant at a glance; and the kill switch, which is on every page."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from setpoint.app.access import require
from setpoint.app.console import plant_map, plots
from setpoint.app.console.frame import stop_switch
from setpoint.app.console.needs import needs_of
from setpoint.app.console.readings import Readings
from setpoint.app.console.render import page, part
from setpoint.app.desk import DESK
from setpoint.app.formatting import day_and_time, time_of_day
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import Principal
from setpoint.errors import SetpointError

SPANS_H = (1.0, 2.0, 8.0, 24.0)
USUAL_H = 2.0
MOST_INCIDENTS = 500
"""Open ones that are shown on the plant, the gravest first."""
Viewer = Annotated[Principal, Depends(require("viewer"))]
Operator = Annotated[Principal, Depends(require("operator"))]
Approver = Annotated[Principal, Depends(require("approver"))]
Words = Annotated[str, Form(max_length=500)]
log = logging.getLogger("setpoint")


def router(runtime: Runtime) -> APIRouter:
    """Routes of Now, of the frame around every page, and of the kill switch."""
    made = APIRouter()
    readings = Readings(runtime)
    _add_now(made, runtime, readings)
    _add_frame(made)
    _add_stop(made, runtime)
    return made


# ---- now ------------------------------------------------------------------------------------------------------


def _add_now(made: APIRouter, runtime: Runtime, readings: Readings) -> None:
    async def both(hours: float) -> dict[str, Any]:
        seen, drawn, wanted = await asyncio.gather(
            run_in_threadpool(_plant, runtime, readings), run_in_threadpool(_plots, runtime, readings, hours),
            run_in_threadpool(needs_of, runtime),
        )  # fmt: skip
        return {**seen, **drawn, "needs": wanted}

    @made.get("/")
    async def now(request: Request, me: Viewer, hours: float = USUAL_H) -> Response:
        return page(request, me, "now.html.j2", at="now", **await both(_span(hours)))

    @made.get("/now/needs")
    async def needs(request: Request, me: Viewer) -> Response:
        return part(request, me, "_needs.html.j2", needs=await run_in_threadpool(needs_of, runtime))

    @made.get("/now/plots")
    async def plots_now(request: Request, me: Viewer, hours: float = USUAL_H) -> Response:
        return part(
            request, me, "_plots.html.j2", **await run_in_threadpool(_plots, runtime, readings, _span(hours))
        )

    @made.get("/now/plant")
    async def plant_now(request: Request, me: Viewer) -> Response:
        return part(request, me, "_plant.html.j2", **await run_in_threadpool(_plant, runtime, readings))

    @made.post("/now/acknowledge")
    async def acknowledge(
        request: Request, me: Operator, incident: Annotated[str, Form(max_length=200)]
    ) -> Response:
        await run_in_threadpool(DESK["incidents_ack"], runtime.desk, id=incident, who=me.name)
        runtime.engine.wake()
        if _is_part(request):
            return part(request, me, "_needs.html.j2", needs=await run_in_threadpool(needs_of, runtime))
        return RedirectResponse("/", 303)


def _span(hours: float) -> float:
    """The nearest of the offered spans."""
    return min(SPANS_H, key=lambda one: abs(one - hours)) if hours == hours else USUAL_H


def _plots(runtime: Runtime, readings: Readings, hours: float) -> dict[str, Any]:
    past, site = readings.past(hours), runtime.site
    since = day_and_time(past.start, site.zone) if past and past.short and past.lines else ""
    return {
        "drawn": plots.plots(site, past) if past else [], "acts": plots.acts_of(site, past) if past else [],
        "hours": hours, "spans": SPANS_H, "since": since, "slow": past is None,
    }  # fmt: skip


def _plant(runtime: Runtime, readings: Readings) -> dict[str, Any]:
    now, site = readings.now(), runtime.site
    incidents = runtime.ledger.list_incidents(states=("open", "acknowledged"), limit=MOST_INCIDENTS)
    groups = plant_map.draw_map(site, now.values if now else {}, incidents)
    return {
        "groups": groups, "read_at": time_of_day(now.at, site.zone) if now and now.values else "",
        "failed": now.failed if now else (), "levels": plant_map.LEVELS, "spans_k": plant_map.SPANS_K,
        "described": bool(site.assets), "still": now is None,
    }  # fmt: skip


# ---- the frame --------------------------------------------------------------------------------------------------


def _add_frame(made: APIRouter) -> None:
    @made.get("/frame/nav")
    async def nav(request: Request, me: Viewer, at: str = "") -> Response:
        return part(request, me, "_nav.html.j2", at=at)

    @made.get("/frame/band")
    async def band(request: Request, me: Viewer) -> Response:
        return part(request, me, "_band.html.j2")


# ---- the kill switch --------------------------------------------------------------------------------------------


def _add_stop(made: APIRouter, runtime: Runtime) -> None:
    switch = stop_switch(runtime)

    @made.get("/stop")
    async def ask(request: Request, me: Viewer) -> Response:
        return page(request, me, "stop.html.j2", at="stop")

    @made.post("/stop")
    async def stop(request: Request, me: Viewer, why: Words = "") -> Response:
        """Anybody who may look may stop: it is the safe side, and it is written down who it was."""
        await run_in_threadpool(switch.engage, me.name, why.strip() or "no reason given")
        await _note(runtime, me.name, "actions-stopped", why)
        return _stood(request, me)

    @made.post("/stop/release")
    async def release(request: Request, me: Approver, why: Words = "") -> Response:
        await run_in_threadpool(switch.release)
        await _note(runtime, me.name, "actions-released", why)
        runtime.engine.wake()
        return _stood(request, me)


async def _note(runtime: Runtime, who: str, what: str, why: str) -> None:
    """Into the audit chain, after the fact: a ledger that is locked or full must not hold up a stop."""
    try:
        await run_in_threadpool(partial(runtime.ledger.audit, who, what, "site", {"why": why}))
    except SetpointError as error:
        log.warning("%s by %s is not in the audit chain: %s", what, who, error)


def _stood(request: Request, me: Principal) -> Response:
    if _is_part(request):
        return part(request, me, "_band.html.j2")
    return RedirectResponse(_back(request), 303)


def _back(request: Request) -> str:
    """The page that the form stood on, where the browser tells it; only a path of ours."""
    path = urlsplit(request.headers.get("referer", "")).path
    return path if path.startswith("/") and not path.startswith(("//", "/stop")) else "/"


def _is_part(request: Request) -> bool:
    """Asked for by the page's script, which puts the answer in its place."""
    return request.headers.get("x-fragment") == "1"
