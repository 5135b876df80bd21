"""Control loops at a real site, by the clock on the wall: its adapters read it, people decide, the executor moves it."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from setpoint.app.formatting import counted
from setpoint.app.modelcheck import tell_missing_models
from setpoint.app.opening import utc_now
from setpoint.app.policy import load_policy
from setpoint.app.wiring import build_runtime
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from setpoint.settings import Settings

if TYPE_CHECKING:
    from setpoint.app.loop_play import Request

LOOK_S = 1.0


async def play_live(settings: Settings, request: Request, site: Site) -> int:
    """Run the loops for so many hours, or until interrupted. Returns the exit code: 4 where proposals wait.

    Raises UsageError for what only simulated days have (another start, another speed, no store), and for a site that
    nothing reads; BackendError and ConfigError as the adapters do.
    """
    _only_live(settings, request, site)
    load_policy(request.decide, site)  # refuses a yes without people
    loops = settings.loops.model_copy(update={"enabled": request.names})
    runtime = build_runtime(settings.model_copy(update={"loops": loops}), live=sys.stdout)
    tell_missing_models(settings)
    end = utc_now() + timedelta(hours=request.hours)
    print(f"{site.name}: {', '.join(request.names)} until {end:%Y-%m-%d %H:%M} UTC, dry run "
          f"{'on' if settings.act.dry_run else 'off'}; decide with `setpoint review list --store {settings.store.dir}`",
          file=sys.stderr)  # fmt: skip
    try:
        await runtime.start()
        while utc_now() < end and runtime.engine.failure is None:
            await asyncio.sleep(min(LOOK_S, max(0.0, (end - utc_now()).total_seconds())))
        if runtime.engine.failure:
            raise runtime.engine.failure
        cycles = runtime.ledger.list_cycles(limit=1000)
        waiting = len(runtime.ledger.list_reviews(states=("pending",), kinds=("action",)))
    finally:
        await runtime.close()
    print(
        f"{counted(len(cycles), 'cycle')}; `setpoint loop list --store {settings.store.dir}`", file=sys.stderr
    )
    return 4 if waiting else 0


def _only_live(settings: Settings, request: Request, site: Site) -> None:
    if settings.site.adapters is None:
        raise UsageError(
            f"{site.name} is no simulated site, and no adapters read it", where="site.adapters",
            remedy="Name its adapter file (docs/adapters.md), or a simulated site: demo, hall-1024, lab-16, gb200-row",
        )  # fmt: skip
    if request.speed not in (0.0, 1.0) or request.start is not None:
        raise UsageError(
            f"{site.name} is real: it runs now and as fast as it does", remedy="Leave out --speed and --start"
        )
    if not request.keep:
        raise UsageError("proposals for a real site need a store to wait in", remedy="Add --keep --store DIR")
    if request.json or request.report:
        raise UsageError(
            "a report compares simulated days",
            remedy="Leave out --report and --json; see `setpoint loop list`",
        )
