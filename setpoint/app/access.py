"""Who stands behind a request, and whether he may. Every route but the few open ones names its rule with `require`.

A request is known, in this order: by a token in `Authorization: Bearer` (an API token, or the one that the server left in its
store folder for commands), by a browser's session, or, while accounts are off and the server listens on loopback alone, as
the user of this machine. What browsers send by themselves proves no intent: sessions and the loopback user need a CSRF token
on everything that is not a plain read.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI, HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from markupsafe import Markup

from setpoint.app.api_table import NEEDS
from setpoint.app.lines import quickly
from setpoint.contracts.accounts import Account, ApiToken, Principal, Role, Scope
from setpoint.errors import SafetyViolation
from setpoint.ledger import Ledger
from setpoint.ledger.accounts import owner_may
from setpoint.settings import ServeSettings

__all__ = ["NEEDS", "Access", "csrf_field", "csrf_token", "open_access", "principal_of", "require", "sends_events"]  # fmt: skip
OPEN = frozenset({"/healthz", "/readyz", "/signin", "/static"})
"""Addresses that anybody may ask; the last is the folder of the pages' script and style."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
TOKEN_BYTES = 32
Check = Callable[[Request], Awaitable[Principal]]


def digest_of(secret: str) -> str:
    """What the ledger keeps of a session's or token's value. They are random and long, so one hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class Access:
    """What one server knows people by."""

    serve: ServeSettings
    ledger: Ledger
    command_token: str
    page_secret: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES))
    """CSRF tokens of the loopback user hang on it; pages of an earlier process have to be loaded again."""

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. The prefix makes browsers take it over TLS only, and from this host alone."""
        return "__Host-setpoint" if self.serve.secure else "setpoint"

    def find(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Principal | None:
        """Who it is; None for nobody. A token that is wrong is nobody, whatever else the request carries."""
        if given := headers.get("authorization", ""):
            scheme, _, token = given.partition(" ")
            return self.by_token(token.strip()) if scheme.casefold() == "bearer" else None
        if not self.serve.accounts:
            return Principal(name=machine_user(), roles=frozenset({"approver", "admin"}), via="loopback")
        return self.by_session(cookies.get(self.cookie, ""))

    def by_token(self, token: str) -> Principal | None:
        if hmac.compare_digest(token.encode(), self.command_token.encode()):
            return _command(self.serve.accounts)
        found = self.ledger.find_token(digest_of(token)) if token else None
        return _of_token(*found) if found else None

    def by_session(self, value: str) -> Principal | None:
        if not value:
            return None
        found = self.ledger.find_session(digest_of(value), self.serve.session_idle_s)
        return Principal(name=found.name, roles=found.roles, via="session") if found else None

    def csrf_of(self, principal: Principal | None, cookies: Mapping[str, str]) -> str:
        """The token that this browser's forms carry; "" for programs, which need none."""
        if principal is None or principal.via in ("token", "command"):
            return ""
        own = cookies.get(self.cookie, "").encode() if principal.via == "session" else self.page_secret
        return hmac.digest(own, b"csrf of a page", "sha256").hex()


def machine_user() -> str:
    """Who started this server, as the commands name him."""
    return os.environ.get("SETPOINT_USER") or getpass.getuser()


def _command(accounts: bool) -> Principal:
    """A command of the user whom the store belongs to. Once people have accounts, it reads and manages them; what a person
    has to answer for needs that person's own token."""
    roles: frozenset[Role] = frozenset({"admin"}) if accounts else frozenset({"approver", "admin"})
    return Principal(name=machine_user(), roles=roles, via="command")


def _of_token(token: ApiToken, owner: Account) -> Principal:
    allowed: set[Scope] = {scope for scope in token.scopes if owner_may(owner, scope)}
    roles = frozenset(scope for scope in allowed if scope != "intake")
    return Principal(name=owner.name, roles=roles, via="token", sends_events="intake" in allowed)


def open_access(app: FastAPI, serve: ServeSettings, ledger: Ledger, command_token: str) -> Access:
    """Give an app its means to know who asks."""
    made = Access(serve, ledger, command_token)
    app.state.access = made
    return made


# ---- in routes --------------------------------------------------------------------------------------------------------


def access_of(request: Request) -> Access:
    found: Access = request.app.state.access
    return found


def find_principal(request: Request) -> Principal | None:
    """Who asks, asked of the ledger once a request; None for nobody."""
    if not hasattr(request.state, "principal"):
        request.state.principal = access_of(request).find(request.headers, request.cookies)
    found: Principal | None = request.state.principal
    return found


def principal_of(request: Request) -> Principal:
    """Who asks. Raises 401 for nobody."""
    found = find_principal(request)
    if found is None:
        raise HTTPException(401, _unknown(request), headers={"WWW-Authenticate": "Bearer"})
    return found


def _unknown(request: Request) -> str:
    if "authorization" in request.headers:
        return "this token is not known, is over, or was revoked. Your page /you in the browser, or `setpoint token add`, makes another"
    return (
        "you are not signed in, or your session has ended. Sign in again; what you typed is kept on this page"
    )


def csrf_token(request: Request) -> str:
    """What the header X-CSRF-Token, or the field `csrf` of a form, has to hold."""
    return access_of(request).csrf_of(find_principal(request), request.cookies)


def csrf_field(request: Request) -> Markup:
    """The hidden field of a form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, csrf_token(request))


def require(role: Role) -> Check:
    """A dependency of a route: who asks, if he holds the role and means it. Else 401 or 403, in words."""

    async def check(request: Request) -> Principal:
        principal = await known(request)
        if not principal.may(role):
            raise HTTPException(403, refusal(principal, role))
        await check_intent(request, principal)
        return principal

    check.rule = role  # type: ignore[attr-defined]  # read by `rules_of`, so that no route goes without
    return check


async def own_session(request: Request) -> Principal:
    """A dependency of what people do to their own account: a signed-in browser. Whoever got hold of a token, or uses a
    server without accounts, changes nobody's password."""
    principal = await known(request)
    if principal.via != "session" or not principal.may("viewer"):
        raise HTTPException(
            403, "this is done in a browser in which you are signed in, on your own page (/you)"
        )
    await check_intent(request, principal)
    return principal


own_session.rule = "session"  # type: ignore[attr-defined]  # as in `require`


def refusal(principal: Principal, role: Role) -> str:
    """Why somebody may not, and who can change that."""
    own = ", ".join(sorted(principal.roles)) or "none"
    article = "an" if role[0] in "aeiou" else "a"
    if principal.via == "command":
        return (
            f"with accounts on, this needs {article} {role}: put your own API token into SETPOINT_TOKEN "
            f"(your page /you in the browser, or `setpoint token add --owner NAME --scope {role}`, makes one)"
        )
    return f"this needs {article} {role}; roles of {principal.name}: {own}. An admin can change that with `setpoint user roles`"


async def sends_events(request: Request) -> Principal | None:
    """A dependency of the intake: anybody on loopback while accounts are off, else a token of the scope "intake" or the
    role operator."""
    if not access_of(request).serve.accounts:
        return None
    principal = await known(request)
    if not principal.may_send_events():
        raise HTTPException(403, "sending events in needs a token of the scope intake, or the role operator")
    await check_intent(request, principal)
    return principal


sends_events.rule = "intake"  # type: ignore[attr-defined]  # as in `require`


async def known(request: Request) -> Principal:
    """As `principal_of`, without holding up the event loop where the ledger has to be asked."""
    if access_of(request).serve.accounts or "authorization" in request.headers:
        return await quickly(principal_of, request)
    return principal_of(request)


async def check_intent(request: Request, principal: Principal) -> None:
    """Raises 403 where a browser sent something that changes things and does not hold the page's token."""
    if request.method in SAFE or principal.via in ("token", "command"):
        return
    given = request.headers.get(CSRF_HEADER) or await _form_field(request)
    wanted = access_of(request).csrf_of(principal, request.cookies)
    if not (wanted and hmac.compare_digest(given.encode(), wanted.encode())):
        raise HTTPException(
            403,
            "this page is from before the server was restarted or you signed in again: load it once more, what you typed "
            "is kept. Programs send a token as Authorization: Bearer",
        )


async def _form_field(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return ""
    value = (await request.form()).get(CSRF_FIELD, "")
    return value if isinstance(value, str) else ""


# ---- commands and rules -----------------------------------------------------------------------------------------------


async def commands(request: Request) -> Principal:
    """A dependency of the commands' door: a token is needed, also on loopback."""
    principal = await known(request)
    if principal.via not in ("command", "token"):
        raise HTTPException(401, "needs the token of serve.json in the store folder, or an API token")
    return principal


commands.rule = "command"  # type: ignore[attr-defined]  # as in `require`


def check_may(principal: Principal, name: str) -> None:
    """Raises 403 where the desk function asks more. One that is offered nowhere asks as much as deciding does."""
    role = NEEDS.get(name, "approver")
    if not principal.may(role):
        raise HTTPException(403, refusal(principal, role))


def may_read(request: Request) -> bool:
    found = find_principal(request)
    return found is not None and found.may("viewer")


def rules_of(route: RouteContext) -> frozenset[str]:
    """What a route asks: a role, "intake" or "command". Nothing: it is open to everybody."""
    dependant = getattr(route, "dependant", None)
    asked = (getattr(one.call, "rule", "") for one in _dependencies(dependant)) if dependant else ()
    return frozenset(rule for rule in asked if rule)


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for one in dependant.dependencies:
        yield one
        yield from _dependencies(one)


def check_rules(app: FastAPI) -> None:
    """Raises SafetyViolation for a route that asks nothing and is not one of the open ones."""
    bare = sorted({str(route.path) for route in routes_of(app) if not rules_of(route)} - OPEN)
    if bare:
        raise SafetyViolation(
            f"{len(bare)} routes ask for no role: {', '.join(bare)}", remedy="Depends(require(ROLE)) on each"
        )


def routes_of(app: FastAPI) -> list[RouteContext]:
    """Every route, also of the routers that were taken in."""
    return list(iter_route_contexts(app.routes))
