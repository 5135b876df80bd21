"""Signing in and out. Pages without the frame of the others: they show nothing of the site."""

from __future__ import annotations

import secrets
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from setpoint.app.access import TOKEN_BYTES, access_of, csrf_field, digest_of, find_principal, require
from setpoint.app.console.render import environment
from setpoint.app.identity import IdentityProvider, LocalIdentity, Refused
from setpoint.contracts.accounts import LONGEST_NAME, Principal
from setpoint.ledger import Ledger
from setpoint.settings import ServeSettings

LONGEST_NEXT = 2000


def sign_in_router(ledger: Ledger, serve: ServeSettings, identity: IdentityProvider | None = None) -> APIRouter:  # fmt: skip
    """The routes /signin and /signout."""
    provider = identity or LocalIdentity(ledger)
    router = APIRouter(include_in_schema=False)

    @router.get("/signin")
    async def signin(request: Request, next: str = "/") -> Response:
        """The form; whoever is known already goes on."""
        if await run_in_threadpool(find_principal, request):
            return RedirectResponse(inside(next), 303)
        return _page("signin.html.j2", next=inside(next), name="", problem="")

    @router.post("/signin")
    async def sign_in(
        request: Request, name: Annotated[str, Form()], password: Annotated[str, Form()],
        next: Annotated[str, Form()] = "/",
    ) -> Response:  # fmt: skip
        """Check, and begin a session under a value that only this browser gets."""
        if not serve.accounts:
            return RedirectResponse(inside(next), 303)
        address = request.client.host if request.client else ""
        try:
            account = await run_in_threadpool(provider.identify, name[: LONGEST_NAME * 2], password, address)
        except Refused as error:
            status = 429 if error.wait_s else 401
            return _page("signin.html.j2", status, next=inside(next), name=name[:LONGEST_NAME], problem=f"{error.what}.")  # fmt: skip
        value = secrets.token_urlsafe(TOKEN_BYTES)
        await run_in_threadpool(ledger.begin_session, account, digest_of(value), serve.session_h * 3600.0)
        answer = RedirectResponse(inside(next), 303)
        answer.set_cookie(
            access_of(request).cookie, value, httponly=True, samesite="strict", secure=serve.secure, path="/"
        )
        return answer

    @router.get("/signout")
    async def signout(
        request: Request, principal: Annotated[Principal, Depends(require("viewer"))]
    ) -> Response:
        return _page("signout.html.j2", me=principal, csrf=csrf_field(request))

    @router.post("/signout")
    async def sign_out(
        request: Request, principal: Annotated[Principal, Depends(require("viewer"))],
        where: Annotated[str, Form()] = "here",
    ) -> Response:  # fmt: skip
        """End this session, or every session of this person."""
        access = access_of(request)
        if principal.via == "session" and where == "everywhere":
            await run_in_threadpool(ledger.end_sessions, principal.name, principal.name)
        elif principal.via == "session":
            await run_in_threadpool(ledger.end_session, digest_of(request.cookies.get(access.cookie, "")))
        answer = RedirectResponse("/signin", 303)
        answer.delete_cookie(access.cookie, path="/", secure=serve.secure, httponly=True, samesite="strict")
        return answer

    return router


def inside(next: str) -> str:
    """An address of this server, whatever was asked for: a link to the sign-in must not lead away from here.

    >>> inside("/incidents?state=open"), inside("//evil.example/x"), inside("https://evil.example"), inside("/\\\\evil.example")
    ('/incidents?state=open', '/', '/', '/')
    """
    try:
        parts = urlsplit(next)
    except ValueError:
        return "/"
    stays = next.startswith("/") and not (parts.scheme or parts.netloc) and "\\" not in next
    plain = (
        len(next) <= LONGEST_NEXT
        and next.isprintable()
        and not next.startswith(("//", "/signin", "/signout"))
    )
    return next if stays and plain else "/"


def _page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(environment().get_template(template).render(**values), status)
