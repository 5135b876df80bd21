"""What people do in a shift, from the first visit to the kill switch, in a real browser against a real server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Watch
from tests.browser.served import Served, event, until

SOON_MS = 5_000
AT_ONCE_S = 1.0
"""A decision, or a stop, stands on every open screen within this time."""

REFUSED = "the server responded with a status of 4"
"""Browsers log every answer of that kind, also one that the page shows to the person in words."""


def told_by(page: Page, words: str, began: float) -> float:
    """Seconds until the page says so, without being loaded again."""
    expect(page.locator("main, #band").filter(has_text=words).first).to_be_visible(timeout=SOON_MS)
    return time.monotonic() - began


def live(page: Page, way: str) -> Page:
    """The page, once its stream of changes is open."""
    page.goto(way)
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    return page


def test_a_first_visit_says_what_needs_a_human(page: Page, served: Served) -> None:
    live(page, "/")
    first = page.locator("#needs tr").first
    worst = served.desk("incidents_list")[0]
    expect(first).to_contain_text(worst["title"])
    expect(first).to_contain_text(worst["priority"])
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_count(9)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Stop all actions")


def test_an_alert_arrives_while_the_page_is_open(page: Page, served: Served) -> None:
    live(page, "/")
    began = time.monotonic()
    served.post(
        event("gpu-27", "NVRM: Xid (PCI:0000:3b:00): 79, pid=0, GPU has fallen off the bus.", source="kernel")
    )
    row = page.locator("#needs tr").filter(has_text="gpu-27").first
    expect(row).to_be_visible(timeout=SOON_MS)
    assert time.monotonic() - began < SOON_MS / 1000
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("gpu-27")
    expect(page.locator("#cause")).to_contain_text(
        "off the bus", timeout=20_000
    )  # the analysis comes by itself


def test_a_claim_leads_to_its_evidence_and_a_step_to_its_runbook(page: Page, served: Served) -> None:
    known = next(one for one in served.desk("incidents_list") if "pump" in one["title"])
    page.goto(f"/incidents/{known['id']}")
    for claim in (page.locator(".steps a.ref").first, page.locator("#guide a.ref").first):
        claim.click()
        place = (claim.get_attribute("href") or "#nowhere")[1:]
        expect(page.locator(f'[id="{place}"]')).to_be_in_viewport()


def test_acknowledging_is_one_click_and_every_screen_knows(
    page: Page, served: Served, context: Callable[..., BrowserContext]
) -> None:
    other = live(context().new_page(), "/")
    live(page, "/")
    row = page.locator("#needs tr").filter(has_text="Coolant leak").first
    row.get_by_role("button", name="Acknowledge").click()
    began = time.monotonic()
    for one in (page, other):
        expect(one.get_by_role("button", name=re.compile("Acknowledge INC"))).not_to_have_count(0)
        expect(
            one.locator("#needs tr").filter(has_text="Coolant leak").get_by_role("button", name="Acknowledge")
        ).to_have_count(0)
    assert time.monotonic() - began < 2 * AT_ONCE_S


def test_approve_moves_the_site_and_says_so(page: Page, served: Served) -> None:
    review = served.propose("gpu-07", 450)
    live(page, f"/approvals/{review}")
    expect(page.locator("#review")).to_contain_text("it runs hot")
    expect(page.locator("#review svg.small-plot").first).to_be_visible()
    page.get_by_text("Approve", exact=True).click()
    page.locator("#reason-approve").fill("seen on the camera")
    page.get_by_role("button", name=re.compile("^Yes: Cap the GPUs of gpu-07")).click()
    expect(page.locator("#review .done")).to_have_text(re.compile("^Approved"))
    expect(page.locator("#review")).to_contain_text("the site shows it", timeout=20_000)
    assert served.outcome(review) == "done"


def test_edit_shows_the_difference_before_it_is_sent(page: Page, served: Served, watch: Watch) -> None:
    watch.allowed.append(REFUSED)
    review = served.propose("gpu-08", 450)
    live(page, f"/approvals/{review}")
    page.get_by_text("Edit", exact=True).click()
    field = page.get_by_label(re.compile("Limit of each GPU"))
    field.fill("9000")
    page.get_by_role("button", name="Show the difference").click()
    expect(page.get_by_role("alert")).to_contain_text("700 W allowed")
    expect(field).to_have_value("9000")
    field.fill("520")
    page.get_by_role("button", name="Show the difference").click()
    difference = page.locator("#difference")
    expect(difference).to_contain_text("450")
    expect(difference).to_contain_text("520")
    assert not served.came("review-decided", review), "looking decides nothing"
    page.get_by_role("button", name="Approve with this change").click()
    expect(page.locator("#review .done")).to_have_text(re.compile("^Approved with your change"))
    until(lambda: served.outcome(review) == "done", 20, served.log)


def test_two_reviewers_at_once(page: Page, served: Served, context: Callable[..., BrowserContext]) -> None:
    review = served.propose("gpu-11", 450)
    slow = live(context().new_page(), f"/approvals/{review}")
    queue = live(context().new_page(), "/approvals")
    live(page, f"/approvals/{review}")
    slow.get_by_text("Reject", exact=True).click()
    slow.locator("#reason-reject").fill("the node is drained anyway")
    page.get_by_text("Approve", exact=True).click()
    page.get_by_role("button", name=re.compile("^Yes: Cap")).click()
    expect(page.locator("#review .done")).to_be_visible()
    began = time.monotonic()
    expect(queue.locator(f'a[href$="/approvals/{review}"]')).to_have_count(0, timeout=SOON_MS)
    took = time.monotonic() - began
    assert took < AT_ONCE_S + 1.0, f"another screen knew after {took:.1f} s"
    expect(slow.locator(".offer")).to_be_visible()
    expect(slow.locator("#reason-reject")).to_have_value("the node is drained anyway")
    slow.get_by_role("button", name="No", exact=True).click()
    expect(slow.locator("#review")).to_contain_text(re.compile("already decided by ada", re.IGNORECASE))
    assert served.desk("review_show", id=review)["decision"]["type"] == "approve"


def test_the_kill_switch_is_one_key_and_reaches_every_screen(
    page: Page, served: Served, context: Callable[..., BrowserContext]
) -> None:
    other = live(context().new_page(), "/incidents")
    review = served.propose("gpu-12", 450)
    live(page, f"/approvals/{review}")
    page.keyboard.press("Shift+S")
    expect(page.get_by_role("dialog", name="Stop all actions?")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#band")).to_contain_text("All actions are stopped")
    took = told_by(other, "All actions are stopped", time.monotonic())
    assert took < AT_ONCE_S + 1.0, f"another screen knew after {took:.1f} s"
    page.get_by_text("Approve", exact=True).click()
    page.get_by_role("button", name=re.compile("^Yes: Cap")).click()
    until(lambda: served.outcome(review) != "", 20, served.log)
    assert served.outcome(review) == "refused", "nothing is executed while everything is stopped"
    other.get_by_label(re.compile("Let actions run again")).fill("the drill is over")
    other.get_by_role("button", name="Let them run").click()
    expect(page.locator("#band")).not_to_contain_text("stopped", timeout=SOON_MS)


def test_the_kill_switch_needs_no_script(served: Served, context: Callable[..., BrowserContext]) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto("/evals")
    page.get_by_role("link", name=re.compile("Stop all actions")).click()
    page.get_by_role("button", name="Stop now").click()
    expect(page.locator("#band")).to_contain_text("All actions are stopped")
    page.get_by_label(re.compile("Let actions run again")).fill("the drill is over")
    page.get_by_role("button", name="Let them run").click()
    expect(page.locator("#band")).not_to_contain_text("stopped")


def test_deciding_needs_no_script(served: Served, context: Callable[..., BrowserContext]) -> None:
    review = served.propose("gpu-13", 450)
    page = context(java_script_enabled=False).new_page()
    page.goto(f"/approvals/{review}")
    page.get_by_text("Reject", exact=True).click()
    page.locator("#reason-reject").fill("the node is drained anyway")
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#review")).to_contain_text("the node is drained anyway")
    assert served.desk("review_show", id=review)["decision"]["type"] == "reject"


def test_keyboard_only_from_the_first_page_to_a_decision(page: Page, served: Served) -> None:
    """No pointer: the keys that the help lists, the tab key, and what the focus is on is always visible."""
    live(page, "/")
    page.keyboard.press("d")
    page.wait_for_url(re.compile("/approvals"))
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    asked = page.locator("#asks").inner_text()
    page.keyboard.press("r")
    reason = page.locator("#reason-reject")
    for _ in range(6):
        if reason.evaluate("field => field === document.activeElement"):
            break
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), (
            "focus is seen"
        )
    expect(reason).to_be_focused()
    page.keyboard.type("done by hand")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#review .done")).to_have_text(re.compile("^Rejected"))
    assert page.locator("#asks").inner_text() == asked
