"""What stands around every page: the site and its clock, what waits for people, and whether actions are stopped."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import Request

from setpoint.app.formatting import day_and_time
from setpoint.errors import SetpointError
from setpoint.ledger.glance import Waiting
from tools.stop import StopSwitch

if TYPE_CHECKING:
    from setpoint.app.wiring import Runtime

log = logging.getLogger("setpoint")


@dataclass(frozen=True)
class Stopped:
    """That nothing is executed, and by whom."""

    said: str
    """The stop file's own words: who, and why."""
    since: str
    """Time of the site; "" where the file does not tell."""


@dataclass(frozen=True)
class Frame:
    """Around the pages of one moment."""

    site: str
    timezone: str
    simulated: bool
    dry_run: bool
    now_ms: int
    """Server time, which the page's clock goes by: a browser's own may be wrong."""
    clock: str
    waiting: Waiting
    trouble: str
    """Why the counts are not known; "" where they are."""
    stopped: Stopped | None


def stop_switch(runtime: Runtime) -> StopSwitch:
    """The same file that the executor looks at."""
    return StopSwitch(runtime.settings.store.dir / "STOP")


def runtime_of(request: Request) -> Runtime:
    """What this application serves."""
    found: Runtime = request.app.state.runtime
    return found


def note_place(request: Request) -> None:
    """A dependency of every page: where the stream of changes stood before anything of the page was read, so that its
    script can go on from there and misses nothing that happened meanwhile."""
    try:
        request.state.place = runtime_of(request).ledger.last_audit()
    except SetpointError as error:
        log.warning("console: %s", error)


def frame_of(runtime: Runtime) -> Frame:
    """The frame now. A ledger that does not answer must not take the kill switch away."""
    site, now = runtime.site, datetime.now(UTC)
    waiting, trouble = Waiting(), ""
    try:
        waiting = runtime.ledger.waiting()
    except SetpointError as error:
        trouble = str(error)
        log.warning("console: %s", error)
    return Frame(
        site=site.name, timezone=site.timezone, simulated=site.simulated, dry_run=runtime.settings.act.dry_run,
        now_ms=round(time.time() * 1000), clock=day_and_time(now, site.zone), waiting=waiting, trouble=trouble,
        stopped=stopped(runtime),
    )  # fmt: skip


def stopped(runtime: Runtime) -> Stopped | None:
    """Who stopped every action, when and why; None where they may run."""
    switch = stop_switch(runtime)
    said = switch.reason()
    if not said:
        return None
    try:
        since = datetime.fromtimestamp(switch.path.stat().st_mtime, UTC)
    except OSError:
        return Stopped(said, "")
    return Stopped(said, day_and_time(since, runtime.site.zone))
