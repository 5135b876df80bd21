"""The main job, to be watched: a recorded night on a simulated site, streamed through Setpoint."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import plant
from plant.nights import Line, night
from setpoint.app.outputs import render
from setpoint.app.policy import load_policy
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import Event, Quarantined
from setpoint.intake import read
from setpoint.settings import Settings, load_settings

SITE = Path(plant.__file__).parent / "sites" / "demo.yaml"
SHIFT = Path(__file__).parent / "demo_shift.toml"
FAULTS = {
    "pump_under_surge": ("coolant_pump_failure", "cdu-1-pump-a"),
    "gpu_off_bus": ("gpu_off_bus", "gpu-19"),
    "leak": ("coolant_leak", "r-05"),
    "feed_lost": ("power_feed_lost", "feed-b"),
    "sensor_lost": ("sensor_lost", "temp-r-03"),
}
"""What breaks on the simulated plant when a story of the night begins, so that readings and actions are real."""
LONGEST_PAUSE_S = 3.0


def play(report: Path, speed: float, seed: int) -> int:
    """Play the night. Returns the exit code."""
    store = report.parent / "store"
    shutil.rmtree(store, ignore_errors=True)
    report.parent.mkdir(parents=True, exist_ok=True)
    flags = {"site.file": SITE, "store.dir": store, "act.dry_run": False, "alerts.sinks": ["console"]}
    return asyncio.run(_play(load_settings(flags, files=()).settings, report, speed, seed))


async def _play(settings: Settings, report: Path, speed: float, seed: int) -> int:
    began = time.monotonic()
    lines = night(seed)
    runtime = build_runtime(settings, live=sys.stdout)
    policy = load_policy(str(SHIFT), runtime.site)
    runtime.inputs, runtime.decided_by = (f"recorded night, seed {seed}",), policy.name
    print(
        f"{len(lines)} raw lines of one night at the simulated site {runtime.site.name!r}; ledger in {report.parent / 'store'}\n"
    )
    try:
        await runtime.start()
        shift = asyncio.create_task(runtime.keep_deciding(policy, after_s=1.5))
        await _stream(runtime, lines, speed)
        await runtime.engine.drain()
        shift.cancel()
        await runtime.settle(policy)
        runtime.report(report, "A recorded night")
        sys.stdout.write(render("text", runtime.ledger, runtime.site, runtime.facts()))
    finally:
        await runtime.close()
    print(f"\nplayed in {time.monotonic() - began:.0f} s; report: {report}")
    return 0


async def _stream(runtime: Runtime, lines: list[Line], speed: float) -> None:
    """Lines at their own pace, `speed` times faster; long quiet spells are cut short."""
    told: set[str] = set()
    before = lines[0].time
    for line in lines:
        if speed > 0:
            pause = (line.time - before).total_seconds() / speed
            await asyncio.sleep(min(pause, LONGEST_PAUSE_S))
        before = line.time
        if line.story in FAULTS and line.story not in told and line.priority in ("P0", "P1", "P2"):
            _break(runtime, line, told)
        events, bad = _parse(runtime, line)
        await runtime.engine.accept(events, bad, "night")


def _break(runtime: Runtime, line: Line, told: set[str]) -> None:
    """The plant breaks with the story's first serious line, not with its forerunners."""
    if line.story == "pump_under_surge" and line.priority != "P0":
        return
    told.add(line.story)
    if runtime.simulated is not None:
        runtime.simulated.inject(*FAULTS[line.story])


def _parse(runtime: Runtime, line: Line) -> tuple[list[Event], list[Quarantined]]:
    origin = f"night {line.time:%H:%M}"
    items = list(
        read(line.text.encode() + b"\n", origin=origin, zone=runtime.site.zone, received=datetime.now(UTC))
    )
    return [i for i in items if isinstance(i, Event)], [i for i in items if isinstance(i, Quarantined)]
