"""The page of a person's own: who one is here, the password, the browsers one is signed in with, one's programs' tokens.

Everything that changes something asks for a browser's session: a program with a person's token can make neither another token
nor another password out of it.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from setpoint.app.access import TOKEN_BYTES, access_of, digest_of, own_session, require
from setpoint.app.console.ledger_pages import in_words
from setpoint.app.console.render import page
from setpoint.app.identity import LocalIdentity, Passwords, Refused
from setpoint.app.tokens import LONGEST_DAYS, LONGEST_LABEL, new_token
from setpoint.app.wiring import Runtime
from setpoint.contracts.accounts import SCOPES, Principal, Scope
from setpoint.errors import SetpointError, UsageError
from setpoint.ledger.accounts import owner_may, session_id_of

Viewer = Annotated[Principal, Depends(require("viewer"))]
Self = Annotated[Principal, Depends(own_session)]
Typed = Annotated[str, Form(max_length=2000)]
DONE = {
    "password": "Your password is changed. Every other browser is signed out.",
    "session": "That browser is signed out.",
    "others": "Every other browser is signed out.",
    "token": "That token no longer works.",
}


def router(runtime: Runtime) -> APIRouter:
    """Everything under /you."""
    routes, pages = APIRouter(), _YouPages(runtime)

    @routes.get("/you")
    def you(request: Request, me: Viewer, done: str = "") -> Response:
        return pages.shown(request, me, done=DONE.get(done, ""))

    @routes.post("/you/password")
    async def password(request: Request, me: Self, present: Typed = "", wanted: Typed = "", again: Typed = "") -> Response:  # fmt: skip
        return await run_in_threadpool(pages.change_password, request, me, present, wanted, again)

    @routes.post("/you/sessions/end-others")
    def end_others(request: Request, me: Self) -> Response:
        runtime.ledger.end_sessions(me.name, me.name, keep=_digest(request))
        return _again("others")

    @routes.post("/you/sessions/{id}/end")
    def end_one(request: Request, me: Self, id: str) -> Response:
        return pages.end_session(request, me, id)

    @routes.post("/you/tokens")
    def add(
        request: Request, me: Self, label: Typed = "", days: Typed = "30",
        scope: Annotated[list[str], Form()] = [],  # noqa: B006  # read by FastAPI, never changed
    ) -> Response:  # fmt: skip
        return pages.add_token(request, me, label, days, scope)

    @routes.post("/you/tokens/{id}/revoke")
    def revoke(request: Request, me: Self, id: str) -> Response:
        return pages.revoke_token(request, me, id)

    return routes


class _YouPages:
    """The page, and what its forms do."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._ledger = runtime, runtime.ledger
        self._passwords = Passwords()
        self._identity = LocalIdentity(runtime.ledger, self._passwords)

    def shown(self, request: Request, me: Principal, status: int = 200, **more: Any) -> Response:
        """The page; with words about what was done or was wrong, and a new token's value this once."""
        serve = self._runtime.settings.serve
        found = self._ledger.find_user(me.name) if serve.accounts else None
        account, password_hash = found or (None, "")
        values: dict[str, Any] = {
            "account": account, "has_password": bool(password_hash), "zone": self._runtime.site.timezone, "done": "",
            "problem": "", "at_form": "", "made": None, "value": "", "label": "", "days": "30", "longest_days": int(LONGEST_DAYS),
            "longest_label": LONGEST_LABEL, "here": session_id_of(_digest(request)), "sessions": [], "tokens": [], "scopes": [],
        }  # fmt: skip
        if account is not None:
            values["sessions"] = self._ledger.list_sessions(me.name, serve.session_idle_s)
            values["tokens"] = self._ledger.list_tokens(me.name)[::-1]
            values["scopes"] = [scope for scope in SCOPES if owner_may(account, scope)]
        return page(request, me, "you.html.j2", at="you", status=status, **(values | more))

    def _refused(
        self, request: Request, me: Principal, form: str, error: SetpointError, **typed: Any
    ) -> Response:
        status = 429 if isinstance(error, Refused) and error.wait_s else 422
        return self.shown(request, me, status, problem=in_words(error), at_form=form, **typed)

    def change_password(
        self, request: Request, me: Principal, present: str, wanted: str, again: str
    ) -> Response:
        """Another password for whoever knows the present one. This browser gets a new session, every other one ends."""
        address = request.client.host if request.client else ""
        try:
            if wanted != again:
                raise UsageError("the two new passwords differ", remedy="Type both once more")
            self._check_present(me, present, address)
            self._ledger.set_password(me.name, self._passwords.hash(wanted), me.name)
        except SetpointError as error:
            return self._refused(request, me, "password", error)
        serve, value = self._runtime.settings.serve, secrets.token_urlsafe(TOKEN_BYTES)
        self._ledger.begin_session(me.name, digest_of(value), serve.session_h * 3600.0)
        answer = _again("password")
        answer.set_cookie(
            access_of(request).cookie, value, httponly=True, samesite="strict", secure=serve.secure, path="/"
        )
        return answer

    def _check_present(self, me: Principal, present: str, address: str) -> None:
        try:
            self._identity.identify(me.name, present, address)
        except Refused as error:
            raise Refused(error.what if error.wait_s else "that is not your present password", error.wait_s) from error  # fmt: skip

    def end_session(self, request: Request, me: Principal, id: str) -> Response:
        """Sign one of one's own browsers out; this one too."""
        if not self._ledger.end_own_session(me.name, id):
            gone = UsageError("that browser is signed out already")
            return self._refused(request, me, "sessions", gone)
        return _again("session")

    def add_token(self, request: Request, me: Principal, label: str, days: str, scope: list[str]) -> Response:
        """A token of one's own. Its value stands on this one answer and nowhere else."""
        try:
            made, value = new_token(self._ledger, label, me.name, _scopes(scope), _number(days), me.name)
        except SetpointError as error:
            return self._refused(request, me, "tokens", error, label=label[:LONGEST_LABEL], days=days[:10])
        return self.shown(request, me, made=made, value=value)

    def revoke_token(self, request: Request, me: Principal, id: str) -> Response:
        """One of one's own; that of another person is not there for this page."""
        if id not in {one.id for one in self._ledger.list_tokens(me.name)}:
            return self._refused(request, me, "tokens", UsageError(f"you have no token {id[:40]!r}"))
        self._ledger.revoke_token(id, me.name)
        return _again("token")


def _again(done: str) -> Response:
    return RedirectResponse(f"/you?done={done}", 303)


def _digest(request: Request) -> str:
    """That of this browser's own session."""
    return digest_of(request.cookies.get(access_of(request).cookie, ""))


def _scopes(given: list[str]) -> set[Scope]:
    strange = next((one for one in given if one not in SCOPES), None)
    if strange is not None:
        raise UsageError(f"no scope {strange[:40]!r}", remedy=f"One of: {', '.join(SCOPES)}")
    if not given:
        raise UsageError("a token needs a scope", remedy="Choose what it may do")
    return {scope for scope in SCOPES if scope in given}


def _number(days: str) -> float:
    try:
        return float(days)
    except ValueError:
        raise UsageError(f"{days[:20]!r} is no number of days", remedy="Give a number, as 30") from None
