"""All routes of the console. Each module has `router(runtime) -> APIRouter`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from setpoint.app.console.frame import note_place
from setpoint.app.console.render import HERE
from setpoint.app.links import address, incident_link
from setpoint.app.wiring import Runtime

MODULES = ("overview", "incidents", "approvals", "chat", "records", "you")


def add_console(app: FastAPI, runtime: Runtime) -> None:
    """The pages, and the files they are made with."""
    app.state.runtime = runtime
    base = address(runtime.settings.serve)
    runtime.engine.link_notices(lambda notice: incident_link(base, notice))
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for name in MODULES:
        where = f"setpoint.app.console.{name}"
        if find_spec(where):
            app.include_router(
                import_module(where).router(runtime),
                include_in_schema=False,
                dependencies=[Depends(note_place)],
            )
