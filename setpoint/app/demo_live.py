"""A live night: the console over a simulated site on which things break while somebody is at the desk. Nobody decides for
them; what they approve moves the plant, and the lines that come after are those of the plant they moved."""

from __future__ import annotations

import asyncio
import logging
import shutil
from datetime import timedelta
from pathlib import Path

import plant
from plant.faults.wire import Line
from setpoint.app.api import refuse_second, serve_forever
from setpoint.app.demo import parse
from setpoint.app.demo_night import BEFORE_S, LIVE_HOURS, SITE, live_night
from setpoint.app.opening import utc_now
from setpoint.app.wiring import Runtime
from setpoint.settings import load_settings
from tools.night_site import NightSite

STORE = Path("var/demo/live")
TURN_S = 1.0
log = logging.getLogger("setpoint")


def serve_night(port: int | None, seed: int) -> None:
    """Serve the night until it is stopped. Raises UsageError where it is being served already."""
    refuse_second(STORE)  # before the folder goes: it is the other server's ledger
    shutil.rmtree(STORE, ignore_errors=True)
    site_file = Path(plant.__file__).parent / "sites" / f"{SITE}.yaml"
    flags = {
        "site.file": site_file, "store.dir": STORE, "act.dry_run": False, "alerts.sinks": ["console"], "serve.port": port,
    }  # fmt: skip
    loaded = load_settings(flags, files=())
    night = live_night(utc_now(), seed)
    site = NightSite(night, utc_now)

    async def beside(runtime: Runtime) -> None:
        await live_through(runtime, site)

    serve_forever(loaded, site, beside, greeting=_greeting())


async def live_through(runtime: Runtime, site: NightSite) -> None:
    """Time passes, and the site's sources write."""
    end = utc_now() + timedelta(hours=LIVE_HOURS, seconds=-BEFORE_S)
    while utc_now() < end:
        lines = await asyncio.to_thread(_pass, site)
        for line in lines:
            events, bad = parse(runtime, line)
            await runtime.engine.accept(events, bad, "night")
        await asyncio.sleep(TURN_S)
    log.warning("the night is over: nothing new breaks, and nothing is read any more")


def _pass(site: NightSite) -> list[Line]:
    site.pass_to(utc_now())
    return site.told()


def _greeting() -> str:
    return (
        "\n\nYou are the shift. Open the address above in a browser, or in a second terminal:\n"
        f"    setpoint chat --store {STORE}\n"
        "In half a minute something breaks, and more will in the hours to come. Find out what and why, and decide what\n"
        "is proposed: what you approve moves the simulated plant. Ctrl+C ends it.\n"
    )
