"""A played night behind the real application, and the shift that looks at it in browsers."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from setpoint.contracts import Action, ActionProposal, Review
from tests.setpoint.app.console.words import Page
from tests.setpoint.app.sample import build, hostile_line, incident_id
from tests.setpoint.app.served import Served, csrf, serving
from tools.actions import describe, spec_of, validate

PUMP = incident_id("pump_under_surge")
LEAK = incident_id("leak")
_number = itertools.count()


@dataclass
class Browser:
    """One signed-in person."""

    client: httpx.AsyncClient
    token: str

    async def open(self, path: str, status: int = 200) -> Page:
        """A page as a browser without scripts gets it."""
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text[:600]
        return Page(answer.text)

    async def send(self, path: str, status: int = 303, **fields: Any) -> httpx.Response:
        """A form of a page without scripts."""
        answer = await self.client.post(path, data={"csrf": self.token, **fields})
        assert answer.status_code == status, answer.text[:600]
        return answer

    async def fetch(self, path: str, status: int = 200, **fields: Any) -> httpx.Response:
        """A form as console.js sends it."""
        headers = {"X-CSRF-Token": self.token, "X-Fragment": "1"}
        answer = await self.client.post(path, data=fields, headers=headers)
        assert answer.status_code == status, answer.text[:600]
        return answer


@dataclass
class Shift:
    """The application, and who works with it."""

    served: Served

    @property
    def ledger(self) -> Any:
        return self.served.runtime.ledger

    async def browser(self, name: str, *roles: Any) -> Browser:
        client = self.served.browser(name, *(roles or ("approver",)))
        return Browser(client, await csrf(client))

    def ask(
        self, action: str = "set_coolant_flow", asset: str = "cdu-1", *, needed: int = 1, expires_s: float = 3600.0, incident: str = PUMP,
        **args: Any,
    ) -> Review:  # fmt: skip
        """A fresh question about an action."""
        spec = spec_of(action)
        given = args or ({"flow_lpm": 110.0} if action == "set_coolant_flow" else {})
        act = validate(Action(name=action, asset=asset, args=given), self.served.runtime.site)
        made = ActionProposal(
            id=f"ACT-{act.digest(incident)[:10]}", incident_id=incident, action=act, risk=spec.risk,
            effect=f"{describe(act)}. {spec.effect}", why="the loop runs short of flow", rollback=spec.rollback,
        )  # fmt: skip
        return self.put(made, needed, expires_s)

    def put(self, made: ActionProposal, needed: int = 1, expires_s: float = 3600.0) -> Review:
        now = datetime.now(UTC)
        review = Review(
            id=f"REV-shift{next(_number)}", kind="action", incident_id=made.incident_id, subject=f"{made.effect.partition('.')[0]}?",
            proposal=made, digest=made.action.digest(made.incident_id), created=now, expires=now + timedelta(seconds=expires_s),
        )  # fmt: skip
        assert self.ledger.open_review(review, approvals_needed=needed)
        return review


@contextmanager
def on_shift(folder: Path) -> Iterator[Shift]:
    """A night with a hostile line in it, served to people with accounts."""
    build(folder, extra=[hostile_line()]).ledger.close()
    with serving(folder, accounts=True) as served:
        yield Shift(served)


def proposed(review: Review) -> ActionProposal:
    """What an action's review is about."""
    assert review.proposal is not None
    return review.proposal


def value_of(page: str, name: str) -> str:
    """What a form's field holds."""
    found = re.search(rf'name="{re.escape(name)}"[^>]*?value="([^"]*)"', page)
    assert found, f"no field {name}"
    return html.unescape(found[1])
