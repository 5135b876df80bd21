"""Everybody can use it: axe on every page, light and dark, wide and narrow; nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from setpoint.app.console.render import PAGES
from tests.browser.served import Served

GRAVE = ("serious", "critical")


def violations(page: Page) -> list[str]:
    """What axe finds serious or critical, with where."""
    found: dict[str, Any] = Axe().run(page).response
    return [
        f"{one['id']} ({one['impact']}): {one['help']}; {[node['target'] for node in one['nodes']][:4]}"
        for one in found["violations"]
        if one["impact"] in GRAVE
    ]


def ways(served: Served) -> list[str]:
    """Every page of the navigation, and one of each kind that it leads to."""
    incident = served.desk("incidents_list")[0]["id"]
    review = served.reviews()[0]["id"]
    return [*(href for _, _, href in PAGES), f"/incidents/{incident}", f"/approvals/{review}", "/stop"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(served: Served, context: Callable[..., BrowserContext], scheme: str) -> None:
    page = context(color_scheme=scheme).new_page()
    wrong = {}
    for way in ways(served):
        answer = page.goto(way)
        found = violations(page) if answer and answer.ok else [f"answers {answer and answer.status}"]
        if found:
            wrong[way] = found
    assert wrong == {}


def test_nothing_scrolls_sideways_on_a_phone(served: Served, context: Callable[..., BrowserContext]) -> None:
    page = context(viewport={"width": 390, "height": 844}).new_page()
    wide = {}
    for way in ways(served):
        page.goto(way)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wide[way] = over
    assert wide == {}
