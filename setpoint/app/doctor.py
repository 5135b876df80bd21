"""`setpoint doctor`: checks everything Setpoint stands on and says what to do about what is wrong."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from setpoint.app.client import find_running
from setpoint.errors import SetpointError
from setpoint.settings import Loaded, Settings

Verdict = Literal["ok", "warning", "failed"]
NEEDED = ("langgraph", "langchain", "llama-cpp-python", "qdrant-client", "pydantic", "sqlalchemy", "tenacity")
LEAST_FREE_MB = 500
COLOUR: dict[Verdict, str] = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def examine(loaded: Loaded, as_json: bool) -> int:
    """Print what was found. Returns 3 where something failed."""
    findings = [finding for check in CHECKS for finding in _guarded(check, loaded.settings)]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = Console()
        for one in findings:
            console.print(f"[{COLOUR[one.verdict]}]{one.verdict:<8}[/]{one.what:<16} {escape(one.detail)}")
            if one.remedy and one.verdict != "ok":
                console.print(f"{'':<24} {escape(one.remedy)}")
    return 3 if any(one.verdict == "failed" for one in findings) else 0


def _guarded(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    """A check that raises has found something."""
    name = check.__name__.strip("_")
    try:
        return list(check(settings))
    except SetpointError as error:
        return [Finding(name, "failed", error.what, error.remedy)]


def _python(settings: Settings) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(
        "python", "ok" if sys.version_info >= (3, 11) else "failed", version, "Use Python 3.11 or newer"
    )
    for name in NEEDED:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "failed", "not installed", "Run `make install`")


def _site(settings: Settings) -> Iterator[Finding]:
    from setpoint.app.opening import open_site

    if settings.site.file is None:
        yield Finding(
            "site",
            "warning",
            "no site file: assets are judged by their names alone",
            "Set site.file, or use --site",
        )
        return
    site = open_site(settings)
    kind = "simulated" if site.simulated else "real"
    yield Finding("site", "ok", f"{site.name}: {len(site.assets)} assets, time zone {site.timezone}, {kind}")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.store.dir
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free_mb = shutil.disk_usage(existing).free // 1_000_000
    verdict: Verdict = "ok" if free_mb > LEAST_FREE_MB else "failed"
    yield Finding(
        "disk",
        verdict,
        f"{free_mb:,} MB free for {folder}",
        f"Free at least {LEAST_FREE_MB} MB, or move store.dir",
    )


def _ledger(settings: Settings) -> Iterator[Finding]:
    from setpoint.app.opening import open_ledger

    server = find_running(settings.store.dir)
    if server is not None:
        yield Finding("serve", "ok", f"running at {server.url}")
    if not settings.store.url and not (settings.store.dir / "ledger.db").is_file():
        yield Finding("ledger", "ok", "none yet; it is made at the first event")
        return
    with open_ledger(settings) as ledger:
        chain, stats = ledger.verify_chain(), ledger.stats()
    verdict: Verdict = "ok" if chain.ok else "failed"
    yield Finding("ledger", verdict, f"{stats.events} events, audit chain of {chain.rows} rows {'intact' if chain.ok else chain.problem}",
                  "Restore the ledger from a backup; the row named was changed")  # fmt: skip
    if stats.events_waiting:
        yield Finding(
            "inbox", "warning", f"{stats.events_waiting} events wait for triage", "Start `setpoint serve`"
        )


def _index(settings: Settings) -> Iterator[Finding]:
    from setpoint.app.opening import open_index

    if find_running(settings.store.dir) is not None and not settings.knowledge.url:
        yield Finding("knowledge", "ok", "open in the running server")
        return
    index = open_index(settings)
    documents = index.documents()
    index.close()
    manuals = sum(document.origin != "setpoint" for document in documents)
    yield Finding(
        "knowledge", "ok", f"{len(documents) - manuals} runbook sections, {manuals} manuals of the site"
    )


def _light(settings: Settings) -> Iterator[Finding]:
    yield from _role("light", settings)


def _heavy(settings: Settings) -> Iterator[Finding]:
    yield from _role("heavy", settings)


def _role(role: Literal["light", "heavy"], settings: Settings) -> Iterator[Finding]:
    """Has the model say one sentence: loading alone proves little."""
    from prompts import ChatInput, render, whole_sheet
    from setpoint.contracts import Fact, FactSheet
    from setpoint.llm import Registry, load_role

    wanted = settings.models.light if role == "light" else settings.models.heavy
    registry = Registry.of(settings)
    if wanted.kind == "none":
        yield Finding(f"model {role}", "warning", "none: every text is a template")
        return
    if wanted.kind == "bundled" and (problem := registry.in_service(role).warning):
        yield Finding(
            f"model {role}", "warning", problem, "Promote it again, or run `setpoint learn rollback`"
        )
    model = load_role(wanted, role, registry)
    fact = Fact(slot="asset", kind="asset", text="cdu-1", evidence_id="E1", required=True)
    sheet = FactSheet(condition="coolant flow is low", facts=(fact,))
    asked = ChatInput("what is wrong", sheet)
    words = model.words(render("chat", asked, show_values=not model.terse), whole_sheet(asked))
    yield Finding(f"model {role}", "ok", f"{model.name} answers in {words.seconds:.2f} s, mode {wanted.mode}")


def _sinks(settings: Settings) -> Iterator[Finding]:
    from setpoint.app.sinks import make_sink

    for name in settings.alerts.sinks:
        make_sink(name, lambda _notice: None)
        yield Finding("sink", "ok", f"{name.split('://')[0]} is understood (nothing was sent)")
    if settings.alerts.sinks == ("console",):
        yield Finding(
            "sink",
            "warning",
            "alerts go to the console alone",
            "Set alerts.sinks: a webhook or an Apprise URL",
        )


def _switches(settings: Settings) -> Iterator[Finding]:
    from tools.stop import StopSwitch

    reason = StopSwitch(Path(settings.store.dir) / "STOP").reason()
    if reason:
        yield Finding(
            "stop switch", "warning", f"engaged: {reason}", "Remove it with `setpoint stop --release`"
        )
    yield Finding(
        "actions",
        "ok",
        "dry run: every check runs, nothing moves"
        if settings.act.dry_run
        else "live: approved actions move the site",
    )


CHECKS = (_python, _site, _disk, _ledger, _index, _light, _heavy, _sinks, _switches)
