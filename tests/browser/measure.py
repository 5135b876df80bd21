"""Bytes to the browser, time to the first paint, and how soon other screens show a decision, with a full ledger:
`python -m tests.browser.measure`.

The store is filled through the ledger's own door, then a real server is asked by a real browser with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from setpoint.app.console.render import PAGES
from setpoint.contracts import Priority
from setpoint.ledger import Ledger
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.served import Served, trouble, until
from tests.setpoint.ledger.builders import dispatch, event, incident, ranked

BATCH = 200
MOST_KB, MOST_PAINT_S, MOST_SEEN_S = 300, 1.0, 1.0
RANKS: tuple[Priority, ...] = ("P0", "P1", "P1", "P2", "P2", "P2", "P2", "P3", "P3", "P3")
PAINT = "performance.getEntriesByType('paint').find(one => one.name === 'first-contentful-paint')?.startTime ?? -1"


def fill(store: Path, incidents: int) -> None:
    """So many incidents of the last month, one event each; a tenth of them open."""
    store.mkdir(parents=True, exist_ok=True)
    ledger = Ledger.open(store / "ledger.db")
    begin = datetime.now(UTC) - timedelta(days=30)
    for first in range(0, incidents, BATCH):
        items, made = [], []
        for number in range(first, min(first + BATCH, incidents)):
            at = begin + timedelta(days=30) * number / incidents
            rank = RANKS[number % len(RANKS)]
            asset = f"gpu-{number % 32 + 1:02d}"
            one = event(number, asset, time=at, received=at)
            name = f"INC-{number:06d}"
            made.append(
                incident(
                    name, priority=rank, opened=at, updated=at, assets=(asset,), title=f"GPU fell off the bus on {asset}",
                    group_key=f"{asset}/{number}", state="open" if number % 10 == 0 else "closed",
                )
            )  # fmt: skip
            items.append(ranked(one, name, priority=rank))
        ledger.accept([one.event for one in items], (), "measure")
        ledger.commit_triage(dispatch(items, made, new_incidents=tuple(one.id for one in made)))
    ledger.close()


def look(browser: Browser, url: str, way: str, times: int) -> dict[str, Any]:
    """One page, opened anew so many times: bytes of everything it loads, and the median time to its first content."""
    sizes, paints = [], []
    for _ in range(times):
        context = browser.new_context(base_url=url)
        page, got = context.new_page(), [0]
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on(
            "Network.loadingFinished",
            lambda one, got=got: got.__setitem__(0, got[0] + one["encodedDataLength"]),
        )
        page.goto(way, wait_until="load")
        page.wait_for_timeout(400)
        paints.append(page.evaluate(PAINT) / 1000)
        sizes.append(got[0])
        context.close()
    return {
        "page": way, "kB": round(max(sizes) / 1000, 1), "first_paint_s": round(statistics.median(paints), 3),
        "slowest_s": round(max(paints), 3),
    }  # fmt: skip


def decided(browser: Browser, served: Served, times: int) -> dict[str, Any]:
    """Seconds from the click of one person until the open screens of three others show it: the review itself, the queue
    and Now."""
    took: dict[str, list[float]] = {"review": [], "queue": [], "now": []}
    for number in range(times):
        review = served.propose(f"gpu-{number + 20:02d}", 400.0 + number)
        ways = {"review": f"/approvals/{review}", "queue": "/approvals", "now": "/"}
        contexts = [browser.new_context(base_url=served.url) for _ in range(4)]
        mine, *others = [context.new_page() for context in contexts]
        mine.goto(ways["review"])
        for page, way in zip(others, ways.values(), strict=True):
            page.goto(way, wait_until="load")
            page.wait_for_timeout(300)
        gone = {"review": "document.body.innerText.includes('lready decided')",
                "queue": f"!document.body.innerHTML.includes('{review}')", "now": f"!document.body.innerHTML.includes('{review}')"}  # fmt: skip
        mine.get_by_text("Approve", exact=True).first.click()
        mine.get_by_role("button", name="Yes:").click(no_wait_after=True)
        began = time.monotonic()
        waiting = dict(zip(ways, others, strict=True))
        while waiting and time.monotonic() - began < 30:
            for name, page in list(waiting.items()):
                if page.evaluate(gone[name]):
                    took[name].append(time.monotonic() - began)
                    del waiting[name]
        for context in contexts:
            context.close()
    return {
        "decision seen": {name: {"median_s": round(statistics.median(all_s), 2), "slowest_s": round(max(all_s), 2), "of": len(all_s)}
                          for name, all_s in took.items() if all_s}, "asked": times,
    }  # fmt: skip


def main() -> int:
    """Print one line a page; 1 where one is over a limit."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--incidents", type=int, default=10_000)
    asked.add_argument("--times", type=int, default=5)
    asked.add_argument(
        "--decisions", type=int, default=10, help="decisions whose way to other screens is timed"
    )
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "store"
        began = time.monotonic()
        fill(store, given.incidents)
        print(f"{given.incidents} incidents written in {time.monotonic() - began:.0f} s", file=sys.stderr)
        served = Served(store).start()
        try:
            served.post(*trouble())
            until(lambda: len(served.reviews()) >= 8, 180, served.log)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            ways = [way for _, _, way in PAGES]
            ways += [
                f"/incidents/{served.desk('incidents_list')[0]['id']}",
                f"/approvals/{served.reviews()[0]['id']}",
            ]
            rows = [look(browser, served.url, way, given.times) for way in ways]
            seen = decided(browser, served, given.decisions)
            browser.close()
        finally:
            served.stop()
    for row in rows:
        print(json.dumps(row))
    print(json.dumps(seen))
    over = [row["page"] for row in rows if row["kB"] > MOST_KB or row["first_paint_s"] > MOST_PAINT_S]
    if over:
        print(f"over {MOST_KB} kB or {MOST_PAINT_S} s: {', '.join(over)}", file=sys.stderr)
    slow = [name for name, one in seen["decision seen"].items() if one["median_s"] > MOST_SEEN_S]
    if slow:
        print(f"a decision is seen later than {MOST_SEEN_S} s: {', '.join(slow)}", file=sys.stderr)
    return 1 if over or slow else 0


if __name__ == "__main__":
    sys.exit(main())
