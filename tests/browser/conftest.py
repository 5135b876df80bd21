"""A browser and servers for the journeys. Everything runs on loopback; what a page would load from elsewhere fails the
test."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.browser.served import SETTLED_S, Served, trouble, until

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PATIENCE_MS = 15_000
Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if CHROMIUM:
        return
    for item in items:
        if here in item.path.parents:
            item.add_marker(
                pytest.mark.skip("no chromium on this machine: apt-get install chromium, or set CHROMIUM")
            )


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a few incidents, analysed, whose actions wait for people. Copy it; a server writes."""
    store = tmp_path_factory.mktemp("night") / "store"
    served = Served(store).start()
    served.post(*trouble())
    try:
        until(lambda: len(served.reviews()) >= 8, SETTLED_S, served.log)
        until(served.settled, SETTLED_S, served.log)
    finally:
        served.stop()
    return store


@pytest.fixture(scope="module")
def serve(night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Starts servers, each over its own copy of the night, with further settings."""
    started: list[Served] = []

    def start(*sets: str, empty: bool = False, user: str = "ada") -> Served:
        store = tmp_path_factory.mktemp("served") / "store"
        if not empty:
            shutil.copytree(night, store)
        made = Served(store, sets=sets, user=user)
        started.append(made.start())
        return made

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="module")
def served(serve: Callable[..., Served]) -> Served:
    """The module's own server, with the night in it."""
    return serve()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


class Watch:
    """What a page must not do: run into errors, or reach beyond its server."""

    def __init__(self, url: str) -> None:
        self._url, self.errors, self.outside = url, [], []  # type: tuple[str, list[str], list[str]]
        self.allowed: list[str] = []
        """Words of errors that the test itself brings about."""

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on("console", self._said)
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.location.get('url', '')}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:")):
            self.outside.append(request.url)

    def settle(self) -> None:
        wrong = [one for one in self.errors if not any(word in one for word in self.allowed)]
        assert wrong == []
        assert self.outside == []


@pytest.fixture
def watch(served: Served) -> Watch:
    return Watch(served.url)


@pytest.fixture
def context(browser: Browser, served: Served) -> Iterator[Callable[..., BrowserContext]]:
    """Opens browsers of different people: nothing is shared between them."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> BrowserContext:
            made = browser.new_context(**({"base_url": served.url} | options))
            made.set_default_timeout(PATIENCE_MS)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def page(context: Callable[..., BrowserContext], watch: Watch) -> Iterator[Page]:
    """One person's browser. The test fails where a script failed or something was loaded from elsewhere."""
    made = context().new_page()
    watch.follow(made)
    yield made
    watch.settle()
