"""The real application over a real store, asked in process, as browsers, programs and commands ask it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from setpoint.app.access import digest_of
from setpoint.app.api import make_app
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts.accounts import Role, Scope
from setpoint.settings import Settings

SITE = Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml"
COMMAND = "the-token-of-serve-json"
NOT_NEEDED = "no password of these tests is ever hashed"


@dataclass
class Served:
    """An app whose engine is not started: requests alone are asked of it."""

    app: FastAPI
    runtime: Runtime
    url: str = "http://127.0.0.1:8321"

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A program without cookies; what fails inside comes back as 500."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=self.url, headers=headers)

    def person(self, name: str, *roles: Role) -> str:
        """An account. Its name."""
        found = self.runtime.ledger.find_user(name)
        if found is None:
            return self.runtime.ledger.add_user(name, NOT_NEEDED, roles, "test").name
        return found[0].name

    def session(self, name: str, *roles: Role, lasts_s: float = 3600.0) -> str:
        """The value of the cookie of a browser that has just signed in."""
        value = secrets.token_urlsafe(32)
        self.runtime.ledger.begin_session(self.person(name, *roles), digest_of(value), lasts_s)
        return value

    def browser(self, name: str, *roles: Role) -> httpx.AsyncClient:
        """A signed-in browser."""
        client = self.client()
        client.cookies.set(self.app.state.access.cookie, self.session(name, *roles))
        return client

    def token(self, name: str, scopes: Sequence[Scope], *roles: Role) -> str:
        value = secrets.token_urlsafe(32)
        owner = self.person(name, *roles)
        self.runtime.ledger.add_token("test", owner, scopes, digest_of(value), timedelta(days=1), "test")
        return value


async def csrf(client: httpx.AsyncClient) -> str:
    """What a page of this browser holds."""
    return re.findall(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/signout")).text)[0]


@contextmanager
def serving(store: Path, **serve: Any) -> Iterator[Served]:
    """An app over that store, without models."""
    nothing = {"kind": "none"}
    settings = Settings.model_validate(
        {"store": {"dir": store}, "site": {"file": SITE}, "models": {"light": nothing, "heavy": nothing}, "serve": serve}
    )  # fmt: skip
    runtime = build_runtime(settings)
    try:
        yield Served(make_app(runtime, COMMAND), runtime)
    finally:
        runtime.ledger.close()
        runtime._ownership.release()
