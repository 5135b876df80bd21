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

import httpx
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
    expect(page.locator("#link")).to_have_attribute("data-state", "lost", timeout=1000)
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
    """A server that people sign in to: Ada and Grace decide, Hedy proposes, Vera and Iris look."""
    store = tmp_path_factory.mktemp("guarded") / "store"
    shutil.copytree(night, store)
    for name, role in (
        ("Ada", "approver"),
        ("Grace", "approver"),
        ("Vera", "viewer"),
        ("Hedy", "operator"),
        ("Iris", "viewer"),
    ):
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


def own_token(page: Page, scope: str) -> str:
    """Made on the person's own page, where it is shown this once."""
    page.get_by_role("link", name="Hedy").click()
    page.get_by_label("What it is for").fill("proposals of the night")
    page.locator("select[name=scope]").select_option(scope)
    page.get_by_role("button", name="Make a token").click()
    value = page.get_by_label("The token").input_value()
    page.goto("/you")
    expect(page.get_by_label("The token")).to_have_count(0)
    return value


def test_two_people_and_the_assets_name_for_high_risk(people: Callable[[str], Page], guarded: Served) -> None:
    ada, grace, vera = people("Ada"), people("Grace"), people("Vera")
    asked = httpx.post(
        f"{guarded.url}/v1/reviews",
        headers={"Authorization": f"Bearer {own_token(people('Hedy'), 'operator')}"},
        json={"action": "reset_gpu", "asset": "gpu-03", "args": {}, "why": "two GPUs of it hang"},
        timeout=60,
    )
    review = asked.raise_for_status().json()["review"]["id"]
    for person in (ada, grace, vera):
        live(person, f"/approvals/{review}")
        expect(person.locator("#review")).to_contain_text("2 people have to agree. Nobody has yet.")
    expect(vera.locator("#review")).to_contain_text("you need the role approver")
    expect(vera.get_by_text("Approve", exact=True)).to_have_count(0)

    ada.get_by_text("Approve", exact=True).click()
    yes, typed_name = ada.get_by_role("button", name=re.compile("^Yes: Reset")), ada.locator("#asset-approve")
    yes.click()
    expect(typed_name).to_be_focused()  # the browser asks for the name first
    typed_name.fill("gpu-04")
    ada.locator("#reason-approve").fill("seen in the log")
    yes.click()
    expect(ada.get_by_role("alert")).to_contain_text("type gpu-03")
    expect(ada.locator("#reason-approve")).to_have_value("seen in the log")
    expect(grace.locator("#review")).to_contain_text("Nobody has yet")
    typed_name.fill("gpu-03")
    yes.click()
    expect(ada.locator("#review .done")).to_contain_text("1 of 2: another person has to agree")
    expect(grace.locator("#review")).to_contain_text("Agreed so far: Ada", timeout=LONG_MS)
    assert guarded.desk("review_show", id=review)["state"] == "pending"

    grace.get_by_text("Approve", exact=True).click()
    grace.locator("#asset-approve").fill("GPU-03")
    grace.get_by_role("button", name=re.compile("^Yes: Reset")).click()
    expect(grace.locator("#review .done")).to_contain_text("Approved")
    expect(vera.locator("#review")).to_contain_text("Grace", timeout=LONG_MS)
    shown = guarded.desk("review_show", id=review)
    assert (shown["state"], shown["approvals"]) == ("decided", ["Ada", "Grace"])


def test_another_password_signs_every_other_browser_out(people: Callable[[str], Page]) -> None:
    here, there = people("Iris"), people("Iris")
    here.goto("/you")
    for label, words in (
        ("Present password", PASSWORD),
        ("New password", "other"),
        ("New password once more", "x"),
    ):
        here.get_by_label(label, exact=True).fill(f"{words} of the night" if words != PASSWORD else words)
    here.get_by_role("button", name="Change it").click()
    expect(here.get_by_role("alert")).to_contain_text("differ")
    for label, words in (("Present password", PASSWORD), ("New password", "other"), ("New password once more", "other")):  # fmt: skip
        here.get_by_label(label, exact=True).fill(f"{words} of the night" if words != PASSWORD else words)
    here.get_by_role("button", name="Change it").click()
    expect(here.get_by_role("status").filter(has_text="Your password is changed")).to_be_visible()
    there.goto("/you")
    expect(there).to_have_url(re.compile("/signin"))
    give(there, "Iris", "other of the night")
    expect(there).to_have_url(re.compile("/you"))
    expect(there.get_by_role("button", name=re.compile("^Sign out the browser"))).to_have_count(2)


def test_a_wrong_password_says_no_more_than_that(browser: Browser, guarded: Served) -> None:
    context = browser.new_context(base_url=guarded.url)
    page = context.new_page()
    page.goto("/signin")
    give(page, "Nobody", "x" * 12)
    unknown = page.get_by_role("alert").inner_text()
    give(page, "Grace", "x" * 12)
    assert page.get_by_role("alert").inner_text() == unknown
    context.close()
