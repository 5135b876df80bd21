"""Control loops run through the days of a simulated site, with all of Setpoint around them, and the same days without.

One simulated clock: the site's. It begins far enough back that it never passes the wall clock, since jobs are taken by
that one. A run that keeps its store goes on where it was killed: the ledger and the checkpoints hold the cycles, and the
site is what was done to it (`days.json`), written before an act is recorded.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from setpoint.app.desk_server import desk_server
from setpoint.app.formatting import counted
from setpoint.app.loop_live import play_live
from setpoint.app.loop_outcome import loop_run
from setpoint.app.loop_progress import LoopProgress
from setpoint.app.loop_report import write_loop_report
from setpoint.app.loop_text import as_json, as_text
from setpoint.app.loops_run import LoopRun
from setpoint.app.modelcheck import tell_missing_models
from setpoint.app.opening import open_site, utc_now, versions
from setpoint.app.policy import Policy, load_policy
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import Action
from setpoint.contracts.loops import LoopName
from setpoint.contracts.site import Site
from setpoint.errors import BackendError, InputError, UsageError
from setpoint.settings import Settings
from tools.loops.days_site import DaysSite

DAYS_FILE, RUN_FILE = "days.json", "loop_run.json"
MARGIN = timedelta(hours=1)
"""Acts take time to show: so far the simulated clock may pass the end of the run."""
LOOK_S, PATIENCE_S = 0.02, 600.0
"""How often a turn's work is looked for, and how long it may take."""
LONGEST_H = 20 * 24.0
"""The history of a simulated site goes three weeks back."""


@dataclass(frozen=True)
class Request:
    """What `setpoint loop run` was asked for."""

    names: tuple[LoopName, ...]
    hours: float
    speed: float
    """Simulated seconds in a wall second; 0: as fast as it goes."""
    decide: str
    start: datetime | None
    seed: int
    report: Path | None
    json: bool
    keep: bool
    baseline: bool = True
    """Run the same days once more without the loops."""
    warm_days: float = 7.0
    command: str = ""


class SavedDays(DaysSite):
    """The days, written down before anybody is told that something was done to them."""

    path: Path | None = None

    def apply(self, action: Action, key: str) -> None:
        super().apply(action, key)
        self.save()

    def save(self) -> None:
        """Whole or not at all. Raises BackendError where it cannot be written."""
        if self.path is None:
            return
        fresh = self.path.with_suffix(".new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(self.to_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise BackendError(
                f"cannot write the simulated days: {error.strerror}", where=str(self.path)
            ) from error


def play(settings: Settings, request: Request) -> int:
    """Run it all. Returns the exit code."""
    if not 0 < request.hours <= LONGEST_H:
        raise UsageError(f"{request.hours:g} hours cannot be run", remedy=f"Choose up to {LONGEST_H:g}")
    if request.speed < 0:
        raise UsageError(
            f"a speed of {request.speed:g} is none", remedy="Simulated seconds a wall second, or max"
        )
    if request.keep:
        return asyncio.run(_play(settings, request))
    with tempfile.TemporaryDirectory(prefix="setpoint-") as folder:
        store = settings.store.model_copy(update={"dir": Path(folder)})
        return asyncio.run(_play(settings.model_copy(update={"store": store}), request))


async def _play(settings: Settings, request: Request) -> int:
    site = open_site(settings)
    if not site.simulated:
        return await play_live(settings, request, site)
    policy = load_policy(request.decide, site)
    span = _span(settings.store.dir, request, site)
    began = time.monotonic()
    print(f"{site.name}: {request.warm_days:g} days of history before {span.start:%Y-%m-%d %H:%M} UTC", file=sys.stderr)  # fmt: skip
    days = await asyncio.to_thread(_open_days, site, span, request, settings.store.dir)
    runtime = build_runtime(
        _simulated(settings), simulated=days, history=days.history, clock=lambda: days.now
    )
    tell_missing_models(settings)
    try:
        _check_store(runtime, span, days)
        if request.keep:
            _keep(settings.store.dir, span, days)
        run = await _through(runtime, days, span, request, policy, began)
        waiting = len(runtime.ledger.list_reviews(states=("pending",), kinds=("action",)))
    finally:
        await runtime.close()
    (settings.store.dir / RUN_FILE).unlink(missing_ok=True)
    _publish(run, request)
    return _exit_code(waiting, request)


def _simulated(settings: Settings) -> Settings:
    """Acts move this site, and its loops turn by its clock and not by the wall's."""
    act = settings.act.model_copy(update={"dry_run": False})
    loops = settings.loops.model_copy(update={"enabled": ()})
    return settings.model_copy(update={"act": act, "loops": loops})


# ---- the days -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """The days of one run."""

    names: tuple[LoopName, ...]
    start: datetime
    end: datetime
    seed: int
    goes_on: bool = False
    """A run that was cut off, taken up again."""

    def to_dict(self, site: Site) -> dict[str, Any]:
        return {"site": site.name, "names": list(self.names), "start": self.start.isoformat(), "end": self.end.isoformat(),
                "seed": self.seed}  # fmt: skip


def _span(store: Path, request: Request, site: Site) -> Span:
    """The run that was cut off in this store, else a fresh one. Raises UsageError for days that lie ahead."""
    start = request.start or utc_now().replace(minute=0, second=0, microsecond=0) - MARGIN - timedelta(hours=request.hours)  # fmt: skip
    fresh = Span(request.names, start.astimezone(UTC), start.astimezone(UTC) + timedelta(hours=request.hours), request.seed)  # fmt: skip
    path = store / RUN_FILE
    if request.keep and path.exists() and (store / DAYS_FILE).exists():
        return _cut_off(path, fresh, request, site)
    if fresh.end > utc_now():
        raise UsageError(
            f"the run would end at {fresh.end:%Y-%m-%d %H:%M} UTC, which lies ahead",
            where="--start", remedy="Begin earlier: simulated time must not pass the wall clock",
        )  # fmt: skip
    return fresh


def _keep(store: Path, span: Span, days: SavedDays) -> None:
    """From here on a run that is cut off can be taken up. The store is ours by now."""
    days.path = store / DAYS_FILE
    days.save()
    (store / RUN_FILE).write_text(json.dumps(span.to_dict(days.site)), encoding="utf-8")


def _cut_off(path: Path, fresh: Span, request: Request, site: Site) -> Span:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        names, start, end = tuple(told["names"]), datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"])  # fmt: skip
        known = Span(names, start, end, int(told["seed"]), goes_on=True)
        same = (told["site"], names, known.seed) == (site.name, request.names, request.seed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not the notes of a run: {error}", where=str(path), remedy="Remove it") from error
    if not same or (request.start is not None and fresh.start != known.start):
        raise UsageError(
            f"{path.parent} holds a run of {', '.join(names)} on {told['site']} (seed {known.seed}) that was cut off",
            remedy="Ask for the same to go on with it, or use another --store",
        )  # fmt: skip
    return known


def _open_days(site: Site, span: Span, request: Request, store: Path) -> SavedDays:
    path = store / DAYS_FILE
    if span.goes_on:
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"not the saved days of a run: {error}", where=str(path), remedy="Remove it"
            ) from error
        days = SavedDays.from_dict(site, saved)
        print(f"going on at {days.now:%Y-%m-%d %H:%M} UTC, where it was cut off", file=sys.stderr)
    else:
        days = SavedDays(
            site, span.start, seed=span.seed, warm_days=request.warm_days, wear=_wears(span.names)
        )
    return days


def _wears(names: Sequence[LoopName]) -> bool:
    """Parts wear where the maintenance loop is there to see it; the figures of the other loops stand without."""
    return "maintenance" in names


def _check_store(runtime: Runtime, span: Span, days: DaysSite) -> None:
    """Cycles of another run would be taken for this one's."""
    last = runtime.ledger.list_cycles(limit=1)
    if last and not span.goes_on and last[0].at >= days.now:
        raise UsageError(
            f"the store holds cycles up to {last[0].at:%Y-%m-%d %H:%M} UTC, and this run begins at {days.now:%Y-%m-%d %H:%M} UTC",
            where=str(runtime.settings.store.dir), remedy="Use another --store, or begin later with --start",
        )  # fmt: skip


# ---- through the days -----------------------------------------------------------------------------------------------


async def _through(
    runtime: Runtime, days: SavedDays, span: Span, request: Request, policy: Policy, began: float
) -> LoopRun:
    progress = LoopProgress(sys.stderr, span.start, span.end, ask=request.decide == "ask")
    runtime.engine.parts.listeners.append(progress)
    with desk_server(runtime, request.keep and request.decide == "ask"):
        await runtime.start()
        clock = _Pace(days.now, request.speed)
        site_s = 0.0
        for due, names in turns(runtime, span, days.now):
            await clock.until(due)
            site_s -= time.monotonic()
            await asyncio.to_thread(days.pass_to, due)
            site_s += time.monotonic()
            for name in names:
                if days.now - due < timedelta(seconds=runtime.loops.loop(name).cycle_s):
                    runtime.loops.begin(
                        name
                    )  # else the site is past it: an act took longer to show than a turn lasts
            await _settle(runtime, policy)
            await asyncio.to_thread(_after_turn, runtime, days)
            progress.at(days.now)
        await clock.until(span.end)
        await asyncio.to_thread(days.pass_to, span.end)
        await runtime.settle(policy)
        await asyncio.to_thread(_after_turn, runtime, days)
    progress.close()
    without = await asyncio.to_thread(_without, days, span, request) if request.baseline else None
    return loop_run(
        runtime.ledger, days, without, span.names, start=span.start, seed=span.seed, decide=policy.name, site_s=site_s,
        wall_s=time.monotonic() - began, command=request.command, versions=versions(runtime.settings),
    )  # fmt: skip


async def _settle(runtime: Runtime, policy: Policy) -> None:
    """Until nothing is left of this turn but what waits for a person. Where events are about (a loop in trouble raises
    them), whatever they lead to is waited for, too."""
    ledger, failing_after = runtime.ledger, time.monotonic() + PATIENCE_S
    while time.monotonic() < failing_after:
        if runtime.engine.failure:
            raise runtime.engine.failure
        jobs = await asyncio.to_thread(ledger.list_jobs, states=("queued", "running"))
        if await asyncio.to_thread(ledger.pending_count) or any(job.kind in ("fast", "slow") for job in jobs):
            await runtime.settle(policy)
            return
        if not jobs and not await asyncio.to_thread(runtime.decide, policy):
            return
        await asyncio.sleep(LOOK_S)


def turns(runtime: Runtime, span: Span, now: datetime) -> Sequence[tuple[datetime, tuple[LoopName, ...]]]:
    """When which loops turn, from now to the end: each at the start and every `cycle_s` after it."""
    queue = [(span.start, place, name) for place, name in enumerate(span.names)]
    heapq.heapify(queue)
    due: dict[datetime, list[LoopName]] = {}
    while queue and queue[0][0] < span.end:
        at, place, name = heapq.heappop(queue)
        if at >= now:
            due.setdefault(at, []).append(name)
        heapq.heappush(queue, (at + timedelta(seconds=runtime.loops.loop(name).cycle_s), place, name))
    return [(at, tuple(names)) for at, names in due.items()]


def _after_turn(runtime: Runtime, days: SavedDays) -> None:
    """Rehearsals that are due are held against readings before those are dropped."""
    runtime.compare()
    runtime.loops.go_on()
    days.save()


@dataclass
class _Pace:
    """Wall time that simulated time takes."""

    start: datetime
    speed: float

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    async def until(self, moment: datetime) -> None:
        if self.speed > 0:
            due_s = (moment - self.start).total_seconds() / self.speed
            await asyncio.sleep(max(0.0, self._began + due_s - time.monotonic()))


def _without(days: DaysSite, span: Span, request: Request) -> DaysSite:
    """The same days, nobody at the controls but the site's own."""
    print("the same days once more, without the loop", file=sys.stderr)
    other = DaysSite(
        days.site, span.start, seed=span.seed, warm_days=request.warm_days, wear=_wears(span.names)
    )
    other.pass_to(days.now)
    return other


# ---- what is told ---------------------------------------------------------------------------------------------------


def _publish(run: LoopRun, request: Request) -> None:
    """The figures first: days of work are not lost where the page cannot be written."""
    sys.stdout.write(as_json(run) if request.json else as_text(run))
    sys.stdout.flush()
    if request.report:
        write_loop_report(request.report, run)
        print(f"report: {request.report}", file=sys.stderr)


def _exit_code(waiting: int, request: Request) -> int:
    if not waiting or request.decide != "ask":
        return 0
    hint = "" if request.keep else " (run with --keep --store DIR to decide them with `setpoint review`)"
    print(
        f"{counted(waiting, 'action')} wait{'s' if waiting == 1 else ''} for a decision{hint}",
        file=sys.stderr,
    )
    return 4
