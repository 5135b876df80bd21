"""Headless runs: the same graphs over files of events, for CI and for trying things out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from setpoint.app.formatting import counted, one_line
from setpoint.app.modelcheck import tell_missing_models
from setpoint.app.opening import load_ranking
from setpoint.app.outputs import render
from setpoint.app.policy import load_policy
from setpoint.app.progress import Progress
from setpoint.app.pump import Pump
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import PRIORITIES, Event, Quarantined
from setpoint.errors import UsageError
from setpoint.intake import read
from setpoint.llm import Registry
from setpoint.settings import Loaded

CHUNK = 500
FORMATS = ("text", "json", "jsonl", "junit", "github")


@dataclass(frozen=True)
class Request:
    """What `setpoint run` was asked for."""

    files: Sequence[str]
    decide: str
    output: str
    report: Path | None
    fail_on: str
    fields: Sequence[str]
    keep: bool


def run_headless(loaded: Loaded, request: Request) -> int:
    """Run it all. Returns the exit code."""
    if request.output not in FORMATS:
        raise UsageError(f"no output format {request.output!r}", remedy=f"One of: {', '.join(FORMATS)}")
    if request.fail_on and request.fail_on not in PRIORITIES:
        raise UsageError(f"no priority {request.fail_on!r}", remedy=f"One of: {', '.join(PRIORITIES)}")
    if request.keep:
        return asyncio.run(_run(loaded, request))
    with tempfile.TemporaryDirectory(prefix="setpoint-") as folder:
        store = loaded.settings.store.model_copy(update={"dir": Path(folder)})
        models = loaded.settings.models.model_copy(update={"dir": Registry.of(loaded.settings).folder})
        fresh = loaded.settings.model_copy(update={"store": store, "models": models})
        return asyncio.run(_run(Loaded(settings=fresh, origins=loaded.origins), request))


async def _run(loaded: Loaded, request: Request) -> int:
    items = read_files(request.files, zone=_zone(loaded), fields=field_map(request.fields))
    runtime = build_runtime(
        loaded.settings,
        live=sys.stdout if request.output == "text" else None,
        course="pipe" if "-" in request.files else "files",
    )
    tell_missing_models(loaded.settings)
    policy = load_policy(request.decide, runtime.site)
    runtime.inputs, runtime.decided_by = tuple(request.files), policy.name
    progress = _progress(request)
    runtime.engine.parts.listeners.append(progress)
    try:
        await runtime.start()
        await _feed(runtime, items)
        if not progress.read:
            raise UsageError("no event could be read", where=", ".join(request.files),
                             remedy="Known: Alertmanager, CloudEvents, Redfish, syslog, JSON Lines, CSV, plain log lines")  # fmt: skip
        await runtime.settle(policy)
        progress.close()
        waiting = len(runtime.ledger.list_reviews(states=("pending",), kinds=("action",)))
        _publish(runtime, request)
    finally:
        progress.close()
        await runtime.close()
    _say_kept(progress.bad, request)
    return _exit_code(runtime, request, waiting)


def _progress(request: Request) -> Progress:
    """The live view tells of bad items itself, and would be torn by a line that is written over."""
    watched = request.output == "text"
    quiet = watched and sys.stdout.isatty()
    return Progress(sys.stderr, overwrite=sys.stderr.isatty() and not quiet, tell_bad=not watched)


def _say_kept(bad: int, request: Request) -> None:
    if bad:
        items = counted(bad, "unreadable item")
        where = (
            "`setpoint quarantine list`"
            if request.keep
            else "run with --keep --store DIR to keep and replay them"
        )
        print(f"{items} in quarantine: {where}", file=sys.stderr)


async def _feed(runtime: Runtime, items: Iterator[Event | Quarantined]) -> None:
    """Everything into the inbox, in chunks that fit in memory."""
    async for chunk in Pump(items).chunks(CHUNK):
        events = [item for item in chunk if isinstance(item, Event)]
        bad = [item for item in chunk if isinstance(item, Quarantined)]
        await runtime.engine.accept(events, bad, "file")
        while await asyncio.to_thread(runtime.ledger.pending_count) > 4 * CHUNK:
            await asyncio.sleep(0.02)


def _publish(runtime: Runtime, request: Request) -> None:
    if request.report:
        runtime.report(request.report, "Setpoint run")
        print(f"report: {request.report}", file=sys.stderr)
    sys.stdout.write(render(request.output, runtime.ledger, runtime.site, runtime.facts()))
    sys.stdout.flush()


def _exit_code(runtime: Runtime, request: Request, waiting: int) -> int:
    if request.fail_on:
        gate = PRIORITIES[: PRIORITIES.index(request.fail_on) + 1]
        if runtime.worst in gate:
            return 1
    if waiting and request.decide == "ask":
        hint = "" if request.keep else " (run with --keep --store DIR to decide them with `setpoint review`)"
        print(
            f"{counted(waiting, 'action')} wait{'s' if waiting == 1 else ''} for a decision{hint}",
            file=sys.stderr,
        )
        return 4
    return 0


def rank_only(loaded: Loaded, files: Sequence[str], output: str, fields: Sequence[str]) -> int:
    """One line an event: id, priority, urgency, impact, complexity, reason, confidence."""
    if output not in ("jsonl", "text"):
        raise UsageError(f"no output format {output!r}", remedy="One of: jsonl, text")
    ranking = load_ranking(loaded.settings)
    items = read_files(files, zone=_zone(loaded), fields=field_map(fields))
    seen = bad = 0
    while chunk := list(islice(items, CHUNK)):
        events = [item for item in chunk if isinstance(item, Event)]
        for item in chunk:
            if isinstance(item, Quarantined):
                bad += 1
                print(f"setpoint: {item.origin}: {item.reason}. {item.remedy}", file=sys.stderr)
        for event, triage in ranking(events):
            seen += 1
            sys.stdout.write(_line(event, triage, output))
    if not seen:
        raise UsageError("no event could be read", where=", ".join(files),
                         remedy="Known: Alertmanager, CloudEvents, Redfish, syslog, JSON Lines, CSV, plain log lines")  # fmt: skip
    print(f"{seen} events ranked, {bad} items unreadable", file=sys.stderr)
    return 0


def _line(event: Event, triage: Any, output: str) -> str:
    if output == "text":
        return f"{triage.priority}  {one_line(event.asset):<20} {one_line(event.message, 100)}\n      {triage.reason} [{', '.join(triage.decided_by)}]\n"
    row = {
        "id": event.labels.get("id", event.id),
        "priority": triage.priority,
        "urgency": triage.urgency.level,
        "impact": triage.impact.level,
        "complexity": triage.complexity.level,
        "reason": triage.reason,
        "confidence": triage.confidence,
        "decided_by": list(triage.decided_by),
        "undecided": triage.undecided,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_files(
    files: Sequence[str], *, zone: ZoneInfo, fields: dict[str, str] | None = None
) -> Iterator[Event | Quarantined]:
    """Items of all files in turn; `-` is standard input. A file that is not there stops the run before it starts."""
    for name in files:
        if name != "-":
            _check_readable(Path(name))
    return _items(files, zone, fields)


def _check_readable(path: Path) -> None:
    remedy = "Give files of events, or - for standard input"
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder", remedy=f"{remedy}: {path}/*")
    if not path.exists():
        raise UsageError(f"no file {str(path)!r}", remedy=remedy)
    if not os.access(path, os.R_OK):
        raise UsageError(f"{str(path)!r} may not be read", remedy="Check its owner and mode")


def _items(
    files: Sequence[str], zone: ZoneInfo, fields: dict[str, str] | None
) -> Iterator[Event | Quarantined]:
    for name in files:
        if name == "-":
            found = read(
                _standard_input(),
                origin="standard input",
                zone=zone,
                received=datetime.now(UTC),
                fields=fields,
            )
            yield from map(_just_now, found)
            continue
        with open(name, "rb") as stream:
            yield from read(
                stream, origin=Path(name).name, zone=zone, received=datetime.now(UTC), fields=fields
            )


def _standard_input() -> BinaryIO:
    """A reader of its own where there is a real one: a thread may be left waiting in it when the process ends."""
    try:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    except (OSError, ValueError):
        return sys.stdin.buffer


def _just_now(item: Event | Quarantined) -> Event | Quarantined:
    """A pipe may stay open for days: what comes through it was received now, not when it was opened."""
    now = datetime.now(UTC)
    if isinstance(item, Event) and item.time == item.received:
        return item.model_copy(update={"received": now, "time": now})
    return item.model_copy(update={"received": now})


def field_map(items: Sequence[str]) -> dict[str, str] | None:
    """`time=when` pairs. Raises UsageError."""
    pairs = [item.partition("=") for item in items]
    if any(not (key and value) for key, _, value in pairs):
        raise UsageError(
            "--field takes our_name=your_name", remedy="Example: --field time=when --field host=node"
        )
    return {key: value for key, _, value in pairs} or None


def _zone(loaded: Loaded) -> ZoneInfo:
    from setpoint.app.opening import open_site

    return open_site(loaded.settings).zone
