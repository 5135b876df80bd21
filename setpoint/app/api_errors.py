"""What goes wrong, in one shape: JSON for programs, a page in words for people who follow a link or send a form."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from setpoint.errors import SetpointError

STATUS = {2: 422, 3: 503, 4: 409, 5: 500}
"""HTTP status by exit code of the error."""
TITLES = {
    401: "Sign in first",
    403: "You may not do this",
    404: "There is no such page",
    409: "This cannot be decided",
    413: "This is too large",
    503: "Something Setpoint stands on does not answer",
}


def add_errors(app: FastAPI) -> None:
    """Every expected error of this app."""

    @app.exception_handler(SetpointError)
    async def expected(request: Request, error: SetpointError) -> Response:
        body = {
            "error": error.what,
            "where": error.where,
            "remedy": error.remedy,
            "exit_code": error.exit_code,
        }
        return _answer(request, body, STATUS.get(error.exit_code, 400))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        """What the framework and the rules refuse: unknown path, wrong method, not signed in, not allowed."""
        if error.status_code == 401 and request.method == "GET" and wants_page(request):
            return RedirectResponse(f"/signin?next={quote(_here(request), safe='')}", 303)
        body = {"error": str(error.detail), "where": "", "remedy": "", "exit_code": 2}
        return _answer(request, body, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        body = {"error": str(first["msg"]), "where": where, "remedy": "", "exit_code": 2}
        return _answer(request, body, 422)


def wants_page(request: Request) -> bool:
    """Whether a person's browser shows the answer as it comes. Our own script asks for fragments and gets words."""
    if "x-fragment" in request.headers:
        return False
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return request.url.path + query


def _came_from(request: Request) -> str:
    """The page that a form was on, which the sign-in leads back to; it refuses what is not of this server."""
    try:
        return urlsplit(request.headers.get("referer", "")).path or "/"
    except ValueError:
        return "/"


def _answer(
    request: Request, body: dict[str, object], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    if not wants_page(request):
        return JSONResponse(body, status, headers)
    from setpoint.app.console.render import environment

    title = TITLES.get(status, "This did not work")
    back = quote(_came_from(request), safe="")
    text = environment().get_template("refused.html.j2").render(title=title, status=status, back=back, **body)
    return HTMLResponse(text, status, headers)
