"""The outermost layer of the HTTP face: what is refused before any route looks at it, and the headers that every answer has.

Plain ASGI and a few comparisons a request, because events come through here too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from setpoint.settings import ServeSettings

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer browsers send their own forms with "Origin: null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
HSTS = f"max-age={180 * 24 * 3600}"
STATIC = "/static/"


class Doorway:
    """Refuses names that are not this server's, pages of others, and bodies that are too large."""

    def __init__(self, app: ASGIApp, serve: ServeSettings) -> None:
        self._app, self._serve = app, serve
        self._most = int(serve.max_body_mb * 1_000_000)
        self._extra = {"strict-transport-security": HSTS} if serve.secure else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = self._answering(scope, send)
        if problem := self._problem(scope):
            body = {"error": problem, "where": "", "remedy": "", "exit_code": 2}
            await JSONResponse(body, 403)(scope, receive, answering)
            return
        passed = self._behind(scope) if self._serve.behind_proxy else scope
        await self._app(passed, self._counting(receive), answering)

    def _problem(self, scope: Scope) -> str:
        """Why this request is not let in, "" where it is."""
        headers, serve = Headers(scope=scope), self._serve
        host = headers.get("host", "")
        if not serve.accounts and not is_loopback_name(_name_of(host)):
            # Another site's name may be made to lead to this machine; its pages would then act as this machine's user.
            return (
                f"without accounts this server answers to localhost and loopback addresses, not to {host!r}"
            )
        peer = (scope.get("client") or ("",))[0]  # commands of this machine come without the proxy
        if serve.behind_proxy and peer not in serve.proxy_addresses and not is_loopback_name(peer):
            return "this server is reached through its proxy alone"
        origin = headers.get("origin")
        if origin is not None and not self._own(origin, host, scope["scheme"]):
            return f"a page of {origin} may not use this server"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and scope["method"] not in ("GET", "HEAD"):  # fmt: skip
            return "a page of another site may not change anything here"
        return ""

    def _behind(self, scope: Scope) -> Scope:
        """The request as the proxy got it: over TLS, from the address that it added last."""
        sender = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
        return {**scope, "scheme": "https", "client": (sender, 0) if sender else scope.get("client")}

    def _own(self, origin: str, host: str, scheme: str) -> bool:
        if self._serve.public_url and origin == _origin_of(self._serve.public_url):
            return True
        return not self._serve.behind_proxy and origin.casefold() == f"{scheme}://{host}".casefold()

    def _counting(self, receive: Receive) -> Receive:
        """Raises 413 once more came than may."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                limit = f"{self._serve.max_body_mb:g} MB (serve.max_body_mb)"
                raise HTTPException(413, f"the body is larger than {limit}; send it in parts")
            return message

        return counted

    def _answering(self, scope: Scope, send: Send) -> Send:
        kept = scope["path"].startswith(STATIC)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, **self._extra})
                if not kept:
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        return answer


def is_loopback_name(name: str) -> bool:
    """Whether this name can lead to nowhere but the machine itself.

    >>> [is_loopback_name(name) for name in ("localhost", "127.0.0.1", "::1", "attacker.example", "10.0.0.1")]
    [True, True, True, False, False]
    """
    if name.casefold().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
