"""The main job, to be watched: a night of ten faults on a simulated site, streamed through Setpoint.

Events, readings and the plant that actions move are of one night. It is played `speed` times faster than it happened;
where something waits to be analysed, decided or done, the night stands still meanwhile, since that takes as long here
as it would on a real site.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plant
from plant.faults.night import Night
from plant.faults.wire import Line
from setpoint.app.demo_night import SITE, demo_night
from setpoint.app.formatting import counted
from setpoint.app.opening import utc_now
from setpoint.app.outputs import render
from setpoint.app.policy import Policy, load_policy
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import Event, Quarantined
from setpoint.intake import read
from setpoint.settings import Settings, load_settings
from tools.night_site import NightSite

SHIFT = Path(__file__).parent / "demo_shift.toml"
LONGEST_PAUSE_S = 2.0
"""A longer quiet spell is cut to this much wall time."""
BURST_S = 240.0
"""Lines less than this much of the night apart come without waiting for what the ones before them led to."""
LOOK_S = 75.0
"""After a new P0 so much of the night passes before the night stands still for it: its readings must show something."""
MOST_ACTIONS = 48
"""Actions on one asset within an hour of the wall clock, in which eight hours of the night pass: six an hour."""
PATIENCE_S = 60.0
"""The night waits this long for an analysis or a decision, then it goes on."""


def play(report: Path, speed: float, seed: int) -> int:
    """Play the night. Returns the exit code."""
    store = report.parent / "store"
    shutil.rmtree(store, ignore_errors=True)
    report.parent.mkdir(parents=True, exist_ok=True)
    site = Path(plant.__file__).parent / "sites" / f"{SITE}.yaml"
    flags = {
        "site.file": site, "store.dir": store, "act.dry_run": False, "act.per_asset_per_hour": MOST_ACTIONS,
        "alerts.sinks": ["console"],
    }  # fmt: skip
    return asyncio.run(play_night(load_settings(flags, files=()).settings, demo_night(seed), report, speed))


async def play_night(settings: Settings, night: Night, report: Path, speed: float) -> int:
    """Play one night under these settings and write its report. Returns the exit code."""
    began = time.monotonic()
    site = NightSite(night, utc_now)
    runtime = build_runtime(settings, live=sys.stdout, simulated=site)
    policy = load_policy(str(SHIFT), runtime.site)
    runtime.inputs, runtime.decided_by = (f"composed night, seed {night.seed}",), policy.name
    print(_opening(night, runtime, report))
    try:
        await runtime.start()
        await _stream(runtime, night, site, speed, policy)
        await runtime.settle(policy)
        runtime.report(report, f"A night of {counted(len(night.plans), 'fault')}")
        sys.stdout.write(render("text", runtime.ledger, runtime.site, runtime.facts()))
    finally:
        await runtime.close()
    print(f"\nplayed in {time.monotonic() - began:.0f} s; report: {report}")
    return 0


def _opening(night: Night, runtime: Runtime, report: Path) -> str:
    return (
        f"{len(night.events)} raw lines and {len(night.telemetry.series)} sensors of one night at the simulated site "
        f"{runtime.site.name!r}, {night.hours:g} h, in which {counted(len(night.plans), 'fault')} "
        f"{'begins' if len(night.plans) == 1 else 'begin'}.\n"
        f"Decisions are those of a simulated shift and never count for autonomy. Ledger in {report.parent / 'store'}\n"
    )


async def _stream(runtime: Runtime, night: Night, site: NightSite, speed: float, policy: Policy) -> None:
    """Lines at their own pace, `speed` times faster."""
    alarm = _Alarm()
    runtime.engine.parts.listeners.append(alarm)
    before = night.start
    for line in night.events:
        apart_s = (line.time - before).total_seconds()
        if apart_s > BURST_S or alarm.is_due(line.time):
            await _let_finish(runtime, policy)
        if speed > 0:
            await asyncio.sleep(min(apart_s / speed, LONGEST_PAUSE_S))
        before = line.time
        await asyncio.to_thread(site.pass_to, line.time)
        events, bad = parse(runtime, line)
        await runtime.engine.accept(events, bad, "night")


class _Alarm:
    """Listens for incidents that became P0: people drop what they do."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._since: datetime | None = None

    def __call__(self, what: str, value: Any) -> None:
        if what != "triaged":
            return
        grave = {
            one.id: one.updated
            for one in value.incidents
            if one.priority == "P0" and one.id not in self._known
        }
        if grave:
            self._known |= set(grave)
            self._since = self._since or min(grave.values())

    def is_due(self, moment: datetime) -> bool:
        """Whether a new P0 has stood long enough to be looked at; true once for each."""
        if self._since is None or (moment - self._since).total_seconds() < LOOK_S:
            return False
        self._since = None
        return True


async def _let_finish(runtime: Runtime, policy: Policy) -> None:
    """Until nothing is left to analyse, decide or do, or patience runs out."""
    try:
        await asyncio.wait_for(runtime.settle(policy), PATIENCE_S)
    except TimeoutError:
        return


def parse(runtime: Runtime, line: Line) -> tuple[list[Event], list[Quarantined]]:
    """What intake reads in a line of the night."""
    origin = f"night {line.time:%H:%M}"
    items = list(
        read(line.text.encode() + b"\n", origin=origin, zone=runtime.site.zone, received=datetime.now(UTC))
    )
    return [i for i in items if isinstance(i, Event)], [i for i in items if isinstance(i, Quarantined)]
