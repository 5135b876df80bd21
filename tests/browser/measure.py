"""Bytes to the browser and time to the first paint, with a full ledger: `python -m tests.browser.measure`.

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
MOST_KB, MOST_PAINT_S = 300, 1.0
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


def main() -> int:
    """Print one line a page; 1 where one is over a limit."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--incidents", type=int, default=10_000)
    asked.add_argument("--times", type=int, default=5)
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
            browser.close()
        finally:
            served.stop()
    for row in rows:
        print(json.dumps(row))
    over = [row["page"] for row in rows if row["kB"] > MOST_KB or row["first_paint_s"] > MOST_PAINT_S]
    if over:
        print(f"over {MOST_KB} kB or {MOST_PAINT_S} s: {', '.join(over)}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
