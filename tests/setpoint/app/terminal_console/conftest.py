"""The console in the terminal over a real store: a played night with fresh questions that wait for people."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from setpoint.app.terminal.app import ConsoleApp
from setpoint.app.terminal.link import Link
from setpoint.contracts import Review
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.settings import Settings, load_settings
from tests.setpoint.app.sample import build, hostile_line, incident_id
from tests.setpoint.app.terminal import DEMO
from tools.proposals import proposal

PATIENCE_S = 20.0
PAYLOAD = "[bold red]owned[/] [@click=app.quit]go[/] \x1b[2J\u202egnp.exe"
LOW, HIGH, TWO, HOSTILE = "REV-low", "REV-high", "REV-two", "REV-hostile"


def ask(
    ledger: Ledger,
    site: Site,
    name: str,
    action: str,
    asset: str,
    subject: str = "",
    minutes: float = 60.0,
    people: int = 1,
) -> Review:
    """Put one action to review."""
    story = incident_id("pump_under_surge")
    made = proposal(action, asset, site, incident_id=story, why="the runbook calls for it", evidence=("E1",))
    now = datetime.now(UTC)
    review = Review(
        id=name, kind="action", incident_id=story, subject=subject or f"{made.effect.partition('.')[0]}?", proposal=made,
        digest=made.action.digest(story), created=now, expires=now + timedelta(minutes=minutes),
    )  # fmt: skip
    ledger.open_review(review, approvals_needed=people, now=now)
    return review


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to copy."""
    folder = tmp_path_factory.mktemp("terminal_night")
    made = build(folder, extra=[hostile_line()])
    made.ledger.expire_reviews()
    ask(made.ledger, made.site, LOW, "cap_gpu_power", "gpu-01")
    ask(made.ledger, made.site, HIGH, "close_leak_valve", "r-05", minutes=70, people=2)
    ask(made.ledger, made.site, TWO, "cap_gpu_power", "gpu-03", minutes=75, people=2)
    ask(made.ledger, made.site, HOSTILE, "lock_gpu_clock", "gpu-02", f"Lock {PAYLOAD}?", minutes=80)
    made.ledger.close()
    return folder


@pytest.fixture
def settings(night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings over a copy of that night, without models."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    store = tmp_path / "store"
    shutil.copytree(night, store)
    flags = {"store.dir": store, "site.file": DEMO, "models.light.kind": "none", "models.heavy.kind": "none"}
    return load_settings(flags, files=()).settings


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """The same store, as another person's commands reach it."""
    with Ledger.open(settings.store.dir / "ledger.db") as opened:
        yield opened


class Screen:
    """A console that a test looks at and types into."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def lines(self) -> list[str]:
        """What stands on the terminal. Textual has no public way to read it as text."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def still(self) -> str:
        """The terminal with every time and age as zeros."""
        text = re.sub(r"\d+:\d\d(:\d\d)?( CES?T)?", "0:00", self.text)
        text = re.sub(r"\b\d+ (d|h|min|s)\b", "0 d", text)
        return "\n".join(re.sub(r" +", " ", line).rstrip() for line in text.splitlines())

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Type it where the focus is."""
        names = {" ": "space", "-": "minus", "?": "question_mark", ".": "full_stop", "[": "left_square_bracket",
                 "]": "right_square_bracket", "/": "slash"}  # fmt: skip
        await self.press(*(names.get(char, char) for char in text))

    async def sees(self, *words: str) -> None:
        """Wait until all of it stands there."""
        await self.until(lambda: all(word in self.text for word in words), f"{words} in\n{self.text}")

    async def until(self, true: Callable[[], bool], what: str = "") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            await self.pilot.pause()
            assert time.monotonic() < deadline, what or self.text
            await asyncio.sleep(0.05)

    def choose(self, pane: str, id: str) -> None:
        side = self.app.query_one(f"#{pane}")
        side.highlighted = side.get_option_index(id)  # type: ignore[attr-defined]  # an OptionList

    def field(self, key: str) -> Input:
        return self.app.screen.query_one(f"#field-{key}", Input)


Open = Callable[..., "AsyncIterator[Screen]"]


@asynccontextmanager
async def console(
    settings: Settings, who: str = "ana", size: tuple[int, int] = (140, 50)
) -> AsyncIterator[Screen]:
    """Open the console and wait for its first look."""
    link = Link(settings)
    app = ConsoleApp(link, who)
    try:
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.until(lambda: bool(app.picture.site) and app.query_one("#reviews").option_count > 0)  # type: ignore[attr-defined]  # an OptionList
            yield screen
    finally:
        link.close()
