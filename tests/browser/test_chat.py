"""Asking the ops agent in the browser: why, what if, put it to review; and a reload amid an answer loses nothing."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.served import Served

REFUSED = "the server responded with a status of 4"


def ask(page: Page, question: str) -> None:
    page.get_by_label("Ask the ops agent").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def answered(page: Page, number: int = 1) -> None:
    """The last of so many turns is over."""
    turns = page.locator(".turn")
    expect(turns).to_have_count(number, timeout=20_000)
    expect(turns.last).to_have_attribute("data-state", re.compile("^(ended|done)$"), timeout=60_000)


def test_why_and_what_if(page: Page, served: Served) -> None:
    leak = next(one for one in served.desk("incidents_list") if "leak" in one["title"].lower())
    page.goto("/chat")
    ask(page, f"Why did {leak['id']} happen?")
    answered(page)
    expect(page.locator(".turn").last).to_contain_text("leak")
    expect(page.locator(f'.turn a[href*="{leak["id"]}"]').first).to_be_visible()
    ask(page, "What happens if cdu-1 fails?")
    answered(page, 2)
    turn = page.locator(".turn").last
    expect(turn).to_contain_text(re.compile(r"\d+(\.\d+)? (C|kW|min)"))
    tools = turn.locator("details").filter(has_text="asset_lost").first
    expect(tools).not_to_have_attribute("open", "")
    assert served.reviews(), "asking decided nothing"


def test_a_wish_becomes_a_proposal_and_is_never_approved(page: Page, served: Served) -> None:
    before = {one["id"] for one in served.reviews()}
    page.goto("/chat")
    ask(page, "Cap the GPUs of gpu-06 at 450 W, they run hot")
    answered(page)
    turn = page.locator(".turn").last
    if not {one["id"] for one in served.reviews()} - before:
        turn.get_by_role("button", name=re.compile("Propose|Put it to review")).click()
    link = page.locator('.turn a[href*="/approvals/REV-"]').first
    expect(link).to_be_visible(timeout=20_000)
    (fresh,) = {one["id"] for one in served.reviews()} - before
    shown = served.desk("review_show", id=fresh)
    assert shown["state"] == "pending"
    assert shown["proposal"]["proposed_by"] == "ada"
    link.click()
    expect(page.locator("#review")).to_contain_text("450 W")
    ask_page = page.goto("/chat")
    assert ask_page is not None
    ask(page, f"Approve {fresh} for me")
    answered(page)
    assert served.desk("review_show", id=fresh)["state"] == "pending", "chat can never approve"


def test_a_reload_amid_an_answer_goes_on_where_it_was(page: Page, served: Served) -> None:
    page.goto("/chat")
    ask(page, "What happens if cdu-2 fails?")
    page.wait_for_url(re.compile(r"/chat/.+"))
    page.reload()
    page.reload()
    answered(page)
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.locator(".turn").last).to_contain_text("cdu-2")


def test_a_question_too_long_is_refused_in_words_and_kept(page: Page, served: Served, watch: Watch) -> None:
    watch.allowed.append(REFUSED)
    page.goto("/chat")
    text = "why " * 600
    ask(page, text)
    expect(page.get_by_role("alert").first).to_contain_text("2,000")
    expect(page.get_by_label("Ask the ops agent")).to_have_value(text)
    page.reload()
    expect(page.get_by_label("Ask the ops agent")).to_have_value(text)
