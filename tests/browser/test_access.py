"""Everybody can use it: axe on every page, light and dark, wide and narrow; nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from setpoint.app.console.render import PAGES
from tests.browser.served import Served

NARROW = 390
"""CSS pixels of a phone."""
GRAVE = ("serious", "critical")

CUT = """() => [...document.querySelectorAll(".cell b, .cell > span")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.textContent.includes("..."))
  .map((one) => one.textContent)"""
UNDER_BADGE = """() => [...document.querySelectorAll(".cell")].filter((cell) => {
  const badge = cell.querySelector(".has")?.getBoundingClientRect(), name = document.createRange();
  name.selectNodeContents(cell.querySelector("b"));
  return badge && [...name.getClientRects()].some((at) =>
    at.right > badge.left && at.left < badge.right && at.bottom > badge.top && at.top < badge.bottom);
}).map((cell) => cell.textContent)"""


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
    passage = "/knowledge?q=coolant+flow+lost"
    return [
        *(href for _, _, href in PAGES),
        f"/incidents/{incident}",
        f"/approvals/{review}",
        "/stop",
        "/you",
        passage,
    ]


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", NARROW), ("dark", NARROW)]
)
def test_axe_finds_nothing_grave(
    served: Served, context: Callable[..., BrowserContext], scheme: str, width: int
) -> None:
    page = context(color_scheme=scheme, viewport={"width": width, "height": 844}).new_page()
    wrong = {}
    for way in ways(served):
        answer = page.goto(way)
        found = violations(page) if answer and answer.ok else [f"answers {answer and answer.status}"]
        if found:
            wrong[way] = found
    assert wrong == {}


def test_nothing_scrolls_sideways_on_a_phone(served: Served, context: Callable[..., BrowserContext]) -> None:
    page = context(viewport={"width": NARROW, "height": 844}).new_page()
    wide = {}
    for way in ways(served):
        page.goto(way)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wide[way] = over
    assert wide == {}


@pytest.mark.parametrize("width", [1280, NARROW])
def test_names_on_the_plant_are_whole(
    served: Served, context: Callable[..., BrowserContext], width: int
) -> None:
    page = context(viewport={"width": width, "height": 844}).new_page()
    page.goto("/")
    page.locator(".cell .has").first.wait_for()
    assert page.evaluate(CUT) == []
    assert page.evaluate(UNDER_BADGE) == []


@pytest.mark.parametrize("width", [1280, NARROW])
def test_at_the_end_of_a_review_its_buttons_stand_below_the_text(
    served: Served, context: Callable[..., BrowserContext], width: int
) -> None:
    page = context(viewport={"width": width, "height": 420}).new_page()
    page.goto(f"/approvals/{served.reviews()[0]['id']}")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    bar = page.locator(".decide")
    before = page.locator(".decide").evaluate(
        "bar => bar.previousElementSibling.getBoundingClientRect().bottom"
    )
    box = bar.bounding_box()
    assert box is not None
    assert before <= box["y"] + 1
    assert box["y"] + box["height"] <= 420, "all of it is in sight"
