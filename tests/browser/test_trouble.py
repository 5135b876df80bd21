"""What goes wrong around a page: the connection, the server, the session, the clock. Nothing typed is lost, and the person
is told."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError, expect

from tests.browser.served import UP_S, Served, event

LONG_MS = 30_000
PASSWORD = "correct horse battery staple"


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """Without the watch over errors: what fails here fails on purpose."""
    context = browser.new_context(base_url=served.url)
    context.set_default_timeout(LONG_MS)
    yield context.new_page()
    context.close()


def live(page: Page, way: str) -> None:
    page.goto(way)
    expect(page.locator("#link")).to_have_attribute("data-state", "live")


def typed(page: Page, review: str, words: str) -> None:
    live(page, f"/approvals/{review}")
    page.get_by_text("Reject", exact=True).click()
    page.locator("#reason-reject").fill(words)


def test_without_a_connection_nothing_is_sent_and_nothing_typed_is_lost(page: Page, served: Served) -> None:
    review = served.propose("gpu-15")
    typed(page, review, "the node is drained anyway")
    page.context.set_offline(True)
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
    expect(page.locator("#reason-reject")).to_have_value("the node is drained anyway")
    served.post(
        event("gpu-28", "NVRM: Xid (PCI:0000:3b:00): 79, pid=0, GPU has fallen off the bus.", source="kernel")
    )
    page.context.set_offline(False)
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#review .done")).to_have_text(re.compile("^Rejected"))
    page.get_by_role("link", name="Now", exact=True).click()
    expect(page.locator("#needs")).to_contain_text("gpu-28", timeout=LONG_MS)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_restart_keeps_the_draft_and_the_page_goes_on(
    page: Page, served: Served, how: signal.Signals
) -> None:
    review = served.propose("gpu-16" if how is signal.SIGTERM else "gpu-17")
    typed(page, review, "wait for the day shift")
    served.stop(how)
    expect(page.locator("#link")).to_have_attribute("data-state", "lost", timeout=LONG_MS)
    page.locator("#reason-reject").press("End")
    page.keyboard.type(", they know the node")
    served.start()
    expect(page.locator("#link")).to_have_attribute("data-state", "live", timeout=LONG_MS)
    page.reload()
    expect(page.locator("#reason-reject")).to_have_value("wait for the day shift, they know the node")
    page.get_by_text("Reject", exact=True).click()
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#review .done")).to_have_text(re.compile("^Rejected"))
    page.reload()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft:')).length") == 0


def test_an_expired_question_says_so_and_takes_no_yes(browser: Browser, serve: Callable[..., Served]) -> None:
    served = serve("review.expire_s=8", empty=True)
    context = browser.new_context(base_url=served.url)
    page = context.new_page()
    review = served.propose("gpu-18")
    live(page, f"/approvals/{review}")
    page.get_by_text("Approve", exact=True).click()
    expect(page.locator("#review")).to_contain_text(re.compile("expired", re.IGNORECASE), timeout=LONG_MS)
    yes = page.get_by_role("button", name=re.compile("^Yes: Cap"))
    try:
        yes.click(timeout=3000)
    except TimeoutError:  # the page has taken the question away meanwhile
        expect(yes).to_have_count(0)
    expect(page.locator("#review")).to_contain_text(re.compile("expired", re.IGNORECASE))
    assert served.desk("review_show", id=review)["state"] == "expired"
    assert served.outcome(review) == ""
    context.close()


# ---- accounts -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that people sign in to: Ada and Grace decide, Vera looks."""
    store = tmp_path_factory.mktemp("guarded") / "store"
    shutil.copytree(night, store)
    for name, role in (("Ada", "approver"), ("Grace", "approver"), ("Vera", "viewer")):
        command = [sys.executable, "-m", "setpoint.app", "user", "add", name, "--role", role, "--password-stdin",
                   "--store", str(store)]  # fmt: skip
        subprocess.run(command, input=f"{PASSWORD}\n".encode(), check=True, timeout=UP_S)
    made = Served(store, sets=("serve.accounts=true",)).start()
    yield made
    made.stop()


@pytest.fixture
def people(browser: Browser, guarded: Served) -> Iterator[Callable[[str], Page]]:
    contexts: list[BrowserContext] = []

    def sign_in(name: str) -> Page:
        context = browser.new_context(base_url=guarded.url)
        context.set_default_timeout(LONG_MS)
        contexts.append(context)
        page = context.new_page()
        page.goto("/approvals")
        expect(page).to_have_url(re.compile("/signin"))
        give(page, name)
        expect(page).to_have_url(re.compile("/approvals"))
        return page

    yield sign_in
    for one in contexts:
        one.close()


def give(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def waiting(page: Page, words: str) -> str:
    """Id of a review in the queue."""
    page.goto("/approvals")
    href = page.get_by_role("link", name=words).first.get_attribute("href") or ""
    return href.rsplit("/", 1)[-1]


def test_a_session_that_ends_in_mid_edit_keeps_what_was_typed(people: Callable[[str], Page]) -> None:
    page = people("Ada")
    review = waiting(page, "Cordon gpu-19?")
    page.goto(f"/approvals/{review}")
    page.get_by_text("Reject", exact=True).click()
    page.locator("#reason-reject").fill("the node is drained anyway")
    page.context.clear_cookies()
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("What you typed is kept")
    expect(page.locator("#reason-reject")).to_have_value("the node is drained anyway")
    with page.context.expect_page() as other:
        page.get_by_role("alert").get_by_role("link", name="Sign in").click()
    give(other.value, "Ada")
    expect(other.value).not_to_have_url(re.compile("/signin"))
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#review .done")).to_have_text(re.compile("^Rejected"))


def test_two_people_and_the_assets_name_for_high_risk(people: Callable[[str], Page], guarded: Served) -> None:
    ada, grace, vera = people("Ada"), people("Grace"), people("Vera")
    review = waiting(ada, "Drain gpu-19?")
    for person in (ada, grace, vera):
        live(person, f"/approvals/{review}")
    expect(vera.locator("#review")).to_contain_text("you need the role approver")
    expect(vera.get_by_text("Approve", exact=True)).to_have_count(0)
    ada.get_by_text("Approve", exact=True).click()
    ada.get_by_role("button", name=re.compile("^Yes: Drain")).click()
    expect(ada.locator("#review .done")).to_be_visible()
    expect(grace.locator("#review")).to_contain_text("Ada", timeout=LONG_MS)


def test_a_wrong_password_says_no_more_than_that(browser: Browser, guarded: Served) -> None:
    context = browser.new_context(base_url=guarded.url)
    page = context.new_page()
    page.goto("/signin")
    give(page, "Nobody", "x" * 12)
    unknown = page.get_by_role("alert").inner_text()
    give(page, "Grace", "x" * 12)
    assert page.get_by_role("alert").inner_text() == unknown
    context.close()
