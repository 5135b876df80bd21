"""Plays case folders for the eval suites: `python -m setpoint.app.case_player`, one JSON line in, one out, each case
through all of Setpoint in a store of its own.

Every action is rejected, so nothing may run. The settings are the defaults with the models that are asked for: a
user's own configuration must not change what is measured. Neither must the day: there is no simulated plant, whose
state goes with the clock, and readings are those of the case's file, or else those that its events carried.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evals.running.calls import CallLog, missing_models, recorded
from knowledge.index import Index
from setpoint.app.case_events import read_events
from setpoint.app.dossier import read_dossier
from setpoint.app.headless import CHUNK
from setpoint.app.opening import open_site
from setpoint.app.outputs import incident, quarantined
from setpoint.app.policy import Policy, PolicyRule
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts import Event
from setpoint.contracts.site import Site
from setpoint.errors import SetpointError
from setpoint.llm.registry import Role
from setpoint.llm.roles import RoleModel, load_role
from setpoint.settings import (
    ModelSettings,
    ModelsSettings,
    ReviewSettings,
    Settings,
    SiteSettings,
    StoreSettings,
    TriageSettings,
)
from tools.telemetry import History, Kept

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_LOADER, _DUMPER = (getattr(yaml, f"C{name}", getattr(yaml, name)) for name in ("SafeLoader", "SafeDumper"))
ROLES: tuple[Role, ...] = ("light", "heavy")
NOBODY_APPROVES = Policy(name="case player", rule=(PolicyRule(decide="reject", kind="action"),))
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A store that nobody will read again need not wait for a disk."""
MOVED = frozenset({"executing", "done", "dry_run", "failed"})
"""States of an action that somebody must have said yes to."""


def main() -> None:
    """Answer until the input ends. What the product prints goes to standard error: our lines stay whole."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line)), ensure_ascii=False) + "\n")
        answers.flush()


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What became of one case, or why it could not be played."""
    with recorded() as calls, missing_models() as missing:
        try:
            said = play(asked)
        except SetpointError as error:
            said = {"error": error.what, "where": error.where, "remedy": error.remedy}
    return said | {"calls": [asdict(call) for call in calls], "missing": missing}


def play(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The case through a fresh Setpoint. Raises SetpointError where its files cannot be used."""
    with tempfile.TemporaryDirectory(prefix="setpoint-case-", dir=IN_MEMORY) as folder:
        shutil.copytree(_index(), Path(folder) / "knowledge")
        return asyncio.run(_play(asked, _settings(asked, Path(folder))))


@cache
def _index() -> Path:
    """A filled knowledge index to copy: filling one for each case would take longer than many a case."""
    folder = tempfile.mkdtemp(prefix="setpoint-case-index-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Index.open(Path(folder) / "knowledge").close()
    return Path(folder) / "knowledge"


def _settings(asked: Mapping[str, Any], store: Path) -> Settings:
    models = {
        role: ModelSettings(**asked[role]) if asked["system"] == "model" else ModelSettings(kind="none")
        for role in ROLES
    }
    return Settings(
        site=SiteSettings(file=_site(asked["site"], store), telemetry=asked["telemetry"]),
        store=StoreSettings(dir=store),
        models=ModelsSettings(**models),
        triage=TriageSettings(rules=tuple(asked["rules"])),
        review=ReviewSettings(rule_change="auto"),
    )


def _site(path: str | None, store: Path) -> Path | None:
    """The site as a real one, of which only what was recorded is known."""
    if path is None:
        return None
    raw = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_LOADER)
    real = store / "site.yaml"
    real.write_text(
        yaml.dump(raw | {"simulated": False}, Dumper=_DUMPER, allow_unicode=True), encoding="utf-8"
    )
    return real


async def _play(asked: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    site = open_site(settings)
    now = datetime.fromisoformat(asked["now"]) if asked["now"] else None
    events, bad = read_events(Path(asked["events"]), settings.site.file, now)
    runtime = build_runtime(settings, history=_history(asked, events, site))
    try:
        for name in ROLES:
            _record(name, runtime.roles[name], asked[name])
        # In the inbox before the engine starts, so that it ranks them in the order of their arrival: handed over while it
        # runs, the urgent ones may overtake the others, and which do is a matter of moments.
        for start in range(0, len(events), CHUNK):
            runtime.ledger.accept(events[start : start + CHUNK], (), "case")
        runtime.ledger.accept((), bad, "case")
        await runtime.start()
        await runtime.settle(NOBODY_APPROVES)
        return _told(runtime)
    finally:
        await runtime.close()


def _record(name: Role, model: RoleModel, settings: Mapping[str, Any]) -> None:
    """Its calls into the transcript. A local model is loaded once for all cases; a server's client belongs to the
    event loop of its case."""
    if model.name == "none":
        return
    if settings["kind"] in ("bundled", "gguf"):
        model.chat = _local(name, json.dumps(settings))
    else:
        model.chat.callbacks = [CallLog(name)]


@cache
def _local(name: Role, settings: str) -> BaseChatModel:
    chat = load_role(ModelSettings(**json.loads(settings)), name).chat
    chat.callbacks = [CallLog(name)]
    return chat


def _history(asked: Mapping[str, Any], events: Sequence[Event], site: Site) -> History | None:
    """None: the file that the settings name. Without readings nothing can be tried on the plant: that is what the
    system "rules" is."""
    if asked["system"] == "rules":
        return Kept({})
    return None if asked["telemetry"] else carried(events, site)


def carried(events: Sequence[Event], site: Site) -> Kept:
    """The readings in the events themselves."""
    return Kept.of(
        (
            asset.name if (asset := site.find(event.asset)) else event.asset,
            event.metric,
            event.time,
            event.value,
        )
        for event in events
        if event.metric and event.value is not None
    )


def _told(runtime: Runtime) -> dict[str, Any]:
    dossier = read_dossier(runtime.ledger, runtime.site)
    return {
        "incidents": [incident(file) for file in dossier.files],
        "reviews": [review.model_dump(mode="json") for review in dossier.reviews],
        "pages": dossier.pages,
        "quarantined": [quarantined(item) for item in dossier.held],
        "moved": [
            record.action.name for file in dossier.files for record in file.actions if record.state in MOVED
        ],
        "explained": dict(dossier.explained),
    }


if __name__ == "__main__":
    main()
