"""Markup and scripts in event text, names, documents and what people type stay text: nothing of it is ever executed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from setpoint.app.console.render import PAGES
from tests.browser.served import SETTLED_S, Served, event, until

HIT = "window.__hit=(window.__hit||0)+1;alert(1)"
PAYLOADS = (
    f"<script>{HIT}</script>",
    f"<img src=x onerror='{HIT}'>",
    f"\"><svg onload='{HIT}'>",
    f"' onfocus='{HIT}' autofocus tabindex=0 x='",
    f"</textarea></title></style><script>{HIT}</script>",
    f"[click](javascript:{HIT})",
    f'<a href="javascript:{HIT}">runbook</a>',
    f"<details open ontoggle='{HIT}'>",
    "{{ 7 * 191 }} {% raw %} ${7*191}",
    "<style>body{display:none}</style><meta http-equiv=refresh content='0;url=//example.net'>",
    "<form action=//example.net><button id=kill>Stop</button></form>",
    "admin\u202egnp.exe\u200b \x1b[31mred\x1b[0m",
    "<!--<base href=//example.net/>-->]]>",
)
OURS = """() => ({
  hit: window.__hit || 0,
  scripts: [...document.scripts].filter(one => !one.src.startsWith(location.origin + "/static/")).length,
  handlers: [...document.querySelectorAll("*")].filter(one => [...one.attributes].some(a => /^on/i.test(a.name))).length,
  styled: document.querySelectorAll("[style], style").length,
  away: [...document.querySelectorAll("a[href], form[action], img[src]")].filter(one =>
    !["http:", "https:", "data:"].includes(new URL(one.href || one.action || one.src, location).protocol)
    || /example\\.net/.test(one.href || one.action || one.src)).length,
  base: document.querySelectorAll("base, meta[http-equiv=refresh], iframe, object, embed").length,
})"""
CLEAN = {"hit": 0, "scripts": 0, "handlers": 0, "styled": 0, "away": 0, "base": 0}


def poison(served: Served, folder: Path) -> None:
    """Every way in that an outsider, a machine or a colleague has."""
    for number, payload in enumerate(PAYLOADS):
        asset = ("gpu-19", "cdu-1", "leak-r-05", payload)[number % 4]
        served.post(
            event(asset, payload, kind=payload, source=payload, labels={"rack": payload, payload: "x"})
        )
    served.post(event("gpu-20", f"GPU has fallen off the bus {PAYLOADS[0]}", source="kernel"))
    document = folder / "poisoned.md"
    document.write_text("# Coolant pump\n\n" + "\n\n".join(PAYLOADS) + "\n\nStart the standby pump.\n")
    served.desk("knowledge_add", path=str(document))
    for number, payload in enumerate(PAYLOADS[:4]):
        served.desk(
            "review_propose", action="cap_gpu_power", asset=f"gpu-0{number + 1}", args={"cap_w": 450}, why=payload,
            who=f"grace {payload}", via=f"mcp {payload}",
        )  # fmt: skip
    first = served.desk("incidents_list")[0]["id"]
    served.desk("incidents_ack", id=first, who=f"ada {PAYLOADS[1]}", why=PAYLOADS[2])
    served.desk("incidents_correct", id=first, field="wording", value=PAYLOADS[0], who="ada", why=PAYLOADS[1])
    review = served.reviews()[0]["id"]
    served.desk("review_decide", id=review, type="reject", who=f"mira {PAYLOADS[1]}", reason=PAYLOADS[4])
    served.desk("silence_add", who="ada", why=PAYLOADS[1], minutes=5, asset=PAYLOADS[2])
    until(served.settled, SETTLED_S, served.log)


def every_page(page: Page, served: Served) -> list[str]:
    """All pages, and every one of ours that they lead to."""
    found = [href for _, _, href in PAGES] + ["/stop", "/approvals/past", "/quarantine"]
    found += [f"/incidents/{one['id']}" for one in served.desk("incidents_list")]
    found += [f"/approvals/{one['id']}" for one in served.desk("review_list", all=True)]
    return list(dict.fromkeys(found))


def test_nothing_of_it_runs_on_any_page(
    browser: Browser, serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve(user=f"ada {PAYLOADS[1]}")
    poison(served, tmp_path)
    context = browser.new_context(base_url=served.url)
    page, dialogs, outside, broken = context.new_page(), [], [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda one: one.url.startswith((served.url, "data:")) or outside.append(one.url))
    page.on("response", lambda one: one.status >= 500 and broken.append(one.url))
    wrong = {}
    for way in every_page(page, served):
        page.goto(way, wait_until="load")
        for fold in page.locator("details > summary").all()[:3]:
            if fold.is_visible():
                fold.click()
        found = page.evaluate(OURS)
        if found != CLEAN:
            wrong[way] = {name: value for name, value in found.items() if value}
    assert wrong == {}
    assert (dialogs, outside, broken) == ([], [], [])
    context.close()


def test_it_can_be_read_as_what_it_is(browser: Browser, serve: Callable[..., Served], served: Served) -> None:
    """It is shown, not swallowed: an operator must see that somebody tried."""
    served.post(event("gpu-29", f"GPU has fallen off the bus {PAYLOADS[1]}", source="kernel"))
    until(
        lambda: any("gpu-29" in one["assets"] for one in served.desk("incidents_list")), SETTLED_S, served.log
    )
    incident = next(one for one in served.desk("incidents_list") if "gpu-29" in one["assets"])
    context = browser.new_context(base_url=served.url)
    page = context.new_page()
    page.goto(f"/incidents/{incident['id']}")
    assert re.search(r"<img src=x onerror=", page.locator("main").inner_text())
    context.close()


def test_what_is_typed_in_chat_stays_text(browser: Browser, served: Served) -> None:
    context = browser.new_context(base_url=served.url)
    page, dialogs = context.new_page(), []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for payload in PAYLOADS[:3]:
        page.goto("/chat")
        page.get_by_label("Ask the ops agent").fill(f"what is {payload}")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator('.turn[data-state="ended"], .turn[data-state="done"]').first.wait_for(timeout=60_000)
        assert page.evaluate(OURS) == CLEAN
    assert dialogs == []
    context.close()
