"""`setpoint loop`: control loops run through the days of a simulated site, and what their cycles came to."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpoint.app.desk_calls import Json, Store, group, tell
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.contracts.loops import LoopName

ALL = "all"
loop = group(
    "Control loops: energy, peak, cooling, maintenance. Run them on simulated days; read their cycles."
)
CycleId = Annotated[str, typer.Argument(help="Cycle id, as LOOP-cooling-20260314T120000Z.", metavar="CYCLE")]


@loop.command("run")
def loop_run(
    name: Annotated[str, typer.Argument(help="energy, peak, cooling, maintenance, or all four on one site.")],
    site: Annotated[str, typer.Option(help="demo, hall-1024, lab-16, gb200-row, or a site file.")] = "",
    hours: Annotated[float, typer.Option(help="Simulated hours, 480 at most.")] = 24.0,
    speed: Annotated[
        str, typer.Option(help="Simulated seconds in a second of the clock; max: as fast as it goes.")
    ] = "max",
    decide: Annotated[
        str,
        typer.Option(help="ask: leave proposals waiting; approve; reject; or a policy file (TOML)."),
    ] = "ask",
    start: Annotated[
        str, typer.Option(help="First moment, as 2026-03-14T00:00Z. Default: so that it ends an hour ago.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of requests, jobs and weather.")] = 7,
    warm_days: Annotated[
        float, typer.Option(help="Days of history before it, without any loop.", min=0, max=20)
    ] = 7.0,
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Run the same days without the loops, too.")
    ] = True,
    report: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    as_json: Json = False,
    store: Store = None,
    keep: Annotated[
        bool, typer.Option("--keep/--fresh", help="Use the store and go on after a kill, or a temporary one.")
    ] = False,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, as section.key=value. Repeatable.")
    ] = None,
) -> None:
    """Run a control loop through the days of a simulated site: its proposals go through the same queue, interlocks and
    executor as those of incidents. At the end: energy, bill, peak, heat and service beside the same days without it.

    Examples: `setpoint loop run cooling --site hall-1024 --hours 24 --decide approve --report run.html`;
    `setpoint loop run all --hours 336 --decide approve --json > fortnight.json`;
    `setpoint loop run peak --speed 600 --keep --store var/peak`, and in another terminal
    `setpoint review list --store var/peak`.
    """
    from setpoint.app.cli import settings_from
    from setpoint.app.loop_play import Request, play
    from setpoint.app.plant_views import may_write

    if report:
        may_write(report)
    request = Request(
        names=loops_named(name), hours=hours, speed=speed_of(speed), decide=decide, start=moment_of(start), seed=seed,
        report=report, json=as_json, keep=keep, baseline=baseline, warm_days=warm_days,
        command=shlex.join(["setpoint", *sys.argv[1:]]),
    )  # fmt: skip
    loaded = settings_from(sets, None, store)
    raise typer.Exit(play(_with_site(loaded.settings, site), request))


def loops_named(name: str) -> tuple[LoopName, ...]:
    """One loop, or all. Raises UsageError."""
    from setpoint.contracts.loops import LOOPS

    if name == ALL:
        return LOOPS
    if name not in LOOPS:
        raise UsageError(f"no control loop {name!r}", remedy=f"One of: {', '.join(LOOPS)}, {ALL}")
    return (name,)


def speed_of(text: str) -> float:
    """
    >>> speed_of("max"), speed_of("600")
    (0.0, 600.0)
    """
    if text == "max":
        return 0.0
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise UsageError(f"no speed {text!r}", remedy="Simulated seconds a second, as 600; or max")
    return found


def moment_of(text: str) -> datetime | None:
    """A moment with its zone; None for "". Raises UsageError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"no moment {text!r}", remedy="Write it as 2026-03-14T00:00Z") from error
    if found.tzinfo is None:
        raise UsageError(f"{text} has no zone", remedy=f"Write it as {text}Z for UTC")
    return found


def _with_site(settings: Any, site: str) -> Any:
    """The settings with the named site; the demo site where none is named and none is set."""
    from plant.site import site_file_of

    if not site and settings.site.file is not None:
        return settings
    named = settings.site.model_copy(update={"file": site_file_of(site or "demo")})
    return settings.model_copy(update={"site": named})


@loop.command("list")
def loop_list(
    name: Annotated[str, typer.Option("--loop", help="Only of this loop.")] = "",
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those whose proposals wait.")] = False,
    limit: Annotated[int, typer.Option(help="At most this many, the latest.", min=1)] = 50,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Cycles of the control loops, the latest last.

    Example: `setpoint loop list --loop cooling --waiting`
    """
    tell(store, as_json, "cycles", "loops_list", loop=name, waiting=waiting, limit=limit)


@loop.command("show")
def loop_show(
    id: Annotated[str, typer.Argument(help="Cycle id; without it the latest.", metavar="[CYCLE]")] = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """One cycle: what was foreseen, what was wanted and why, what was decided, done and withheld.

    Example: `setpoint loop show LOOP-cooling-20260314T120000Z`
    """
    tell(store, as_json, "cycle", "loops_show", id=id)
