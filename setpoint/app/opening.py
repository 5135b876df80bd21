"""What is opened from settings alone: site, stores, index, desk. Commands use it without the engine and its graphs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from agents.alerter import escalation_notice
from agents.correlator import Correlator
from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from knowledge.causes import catalog_version
from knowledge.rulebook import RuleBook
from setpoint import __version__
from setpoint.app.api_table import NEEDS
from setpoint.app.desk import DESK, Desk
from setpoint.app.learn_desk import LEARNING, Learning, models_of
from setpoint.contracts import Event, Incident, Notice, Quarantined, Triage
from setpoint.contracts.sinks import sink_label
from setpoint.contracts.site import Site, load_site
from setpoint.errors import UsageError
from setpoint.intake import read, sense
from setpoint.ledger import Ledger
from setpoint.llm import Registry, RoleModel, load_role
from setpoint.settings import Settings

if TYPE_CHECKING:
    from agents.operator import Tool
    from knowledge.index import Index
    from setpoint.app.histories import Reached
    from setpoint.app.proposing import Propose
    from setpoint.app.talk import Operator
    from tools.adapter import SimulatedSite
    from tools.adapters.real_site import RealSite
    from tools.telemetry import History


def utc_now() -> datetime:
    return datetime.now(UTC)


def open_site(settings: Settings) -> Site:
    """The site file, or a site without known assets."""
    return load_site(settings.site.file) if settings.site.file else Site(name="site")


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name; first notices go to the first sink."""
    settings.store.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    target: str | Path = settings.store.url or settings.store.dir / "ledger.db"
    return Ledger.open(target, sinks=settings.alerts.sinks[:1])


def open_index(settings: Settings) -> Index:
    """The knowledge index, with dense vectors where an embedding model is set."""
    from knowledge.index import Index  # Qdrant takes half a second to load, and a start must be quick

    knowledge = settings.knowledge
    embed = None
    if knowledge.embedding:
        from setpoint.llm.embedding import load_embedding

        embed = load_embedding(knowledge.embedding)
    key = os.environ.get(knowledge.api_key_env)
    return Index.open(settings.store.dir / "knowledge", url=knowledge.url, api_key=key, embed=embed)


def open_adapter(settings: Settings, site: Site) -> SimulatedSite | RealSite | None:
    """The simulated plant of a simulated site, or a real one through its adapter file; None without either.

    Raises ConfigError for an adapter file that is wrong, BackendError where a secret it names is missing.
    """
    if not site.simulated:
        if settings.site.adapters is None:
            return None
        from tools.adapters.real_site import open_real_site

        return open_real_site(site, settings.site.adapters, settings.store.dir, utc_now)
    from tools.adapter import SimulatedSite  # compiled code takes half a second to load

    return SimulatedSite(site, utc_now, settings.store.dir / "plant.json")


def load_ranking(settings: Settings) -> Callable[[Sequence[Event]], Iterator[tuple[Event, Triage]]]:
    """Sense, correlate and rank without a store, for `setpoint triage`."""
    site = open_site(settings)
    correlator = Correlator(site, settings.triage)
    engine = SymbolicEngine(RuleBook.load(settings.triage.rules), site, TextRanker.load())

    def ranked(events: Sequence[Event]) -> Iterator[tuple[Event, Triage]]:
        for one in correlator.observe([sense(event, site, settings.triage) for event in events]):
            yield one.event, engine.rank(one.event, one.context)

    return ranked


def local_desk(settings: Settings) -> Callable[[str, dict[str, Any]], JsonValue]:
    """Desk calls in this process."""
    site = open_site(settings)
    return calls_here(settings, make_desk(settings, site, open_ledger(settings)))


def calls_here(settings: Settings, desk: Desk) -> Callable[[str, dict[str, Any]], JsonValue]:
    """What a command of this machine's user may call of a desk in its own process."""

    def call(name: str, arguments: dict[str, Any]) -> JsonValue:
        if settings.serve.accounts and NEEDS.get(name, "approver") not in ("viewer", "admin"):
            raise UsageError(
                "serve.accounts is on: who changes something is asked for by the server",
                where=name,
                remedy="Start `setpoint serve`, and put your API token into SETPOINT_TOKEN",
            )
        return DESK[name](desk, **arguments)

    return call


def make_desk(
    settings: Settings,
    site: Site,
    ledger: Ledger,
    index: Callable[[], Index] | None = None,
    simulated: Reached | None = None,
) -> Desk:
    """The operator's functions over these stores, and over the simulated site of a running server."""
    opened = index or once(lambda: open_index(settings))
    adapter = once(lambda: simulated or open_adapter(settings, site))
    operator = once(lambda: _operator(settings, desk, adapter()))
    desk = Desk(
        ledger=ledger,
        site=site,
        open_index=opened,
        read_items=lambda raw, origin: read_items(raw, origin, site),
        escalation=lambda incident: next_escalation(incident, 0, settings, ledger, site),
        versions=lambda: versions(settings),
        autonomy=settings.autonomy,
        ask=lambda question, thread="", who="": operator().ask(question, thread, who),
        chats=lambda: operator().chats,
        flood_per_10min=settings.alerts.flood_per_10min,
        history=once(lambda: _history(settings, site, ledger, simulated)),
        propose=once(lambda: _proposer(settings, site, ledger, adapter())),
        tools=once(lambda: _tools(settings, site, ledger, opened, adapter())),
        learning=lambda: Learning(settings.store.dir / LEARNING, lambda: models_of(settings)),
    )
    return desk


def _proposer(settings: Settings, site: Site, ledger: Ledger, adapter: Reached | None) -> Propose:
    from setpoint.app.proposing import make_proposer

    return make_proposer(settings, site, ledger, adapter)


def _tools(
    settings: Settings, site: Site, ledger: Ledger, index: Callable[[], Index], adapter: Reached | None
) -> Mapping[str, Tool]:
    from agents.operator_tools import Stores, operator_tools  # they bring the plant, which takes a second
    from setpoint.app.reaching import reach_of

    return operator_tools(
        Stores(site, ledger, index, adapter, utc_now, reach_of(settings, site, ledger, adapter))
    )


def _history(settings: Settings, site: Site, ledger: Ledger, simulated: Reached | None) -> History:
    from setpoint.app.histories import open_history  # loads the compiled plant

    return open_history(settings, site, ledger, utc_now, simulated)


def _operator(settings: Settings, desk: Desk, adapter: Reached | None) -> Operator:
    from setpoint.app.talk import Operator  # its tools bring the plant, which takes a second to load

    return Operator(settings, desk, adapter)


def read_items(raw: bytes, origin: str, site: Site) -> tuple[list[Event], list[Quarantined]]:
    """Events and unreadable items of one input."""
    items = list(read(raw, origin=origin, zone=site.zone, received=utc_now()))
    return [i for i in items if isinstance(i, Event)], [i for i in items if isinstance(i, Quarantined)]


def versions(settings: Settings) -> dict[str, str]:
    """What made a proposal: kept with every human judgement."""
    registry = Registry.of(settings)
    light = load_role(settings.models.light, "light", registry)
    heavy = load_role(settings.models.heavy, "heavy", registry)
    return {
        "setpoint": __version__,
        "causes": catalog_version(),
        "light": _version_of(light),
        "heavy": _version_of(heavy),
        "mode": settings.models.heavy.mode,
    }


def _version_of(model: RoleModel) -> str:
    """Name and hash; a promoted model has its hash in its name."""
    return model.name if model.promoted else f"{model.name}@{model.sha256[:12]}"


def next_escalation(
    incident: Incident, level: int, settings: Settings, ledger: Ledger, site: Site
) -> tuple[Notice, str]:
    """What to say and to whom, when nobody answered `level` escalations."""
    sinks = settings.alerts.sinks
    told = sink_label(sinks[min(level, len(sinks) - 1)])
    last = ledger.last_notice(incident.id)
    notice = escalation_notice(incident, last, site, utc_now(), told, ledger.first_told(incident.id))
    return notice.model_copy(update={"version": (last.version + 1) if last else 1}), sinks[
        min(level + 1, len(sinks) - 1)
    ]


def once(make: Callable[[], Any]) -> Callable[[], Any]:
    """What it makes at the first call, by whatever thread; the same at every later one."""
    made: list[Any] = []
    turn = Lock()

    def get() -> Any:
        with turn:
            if not made:
                made.append(make())
            return made[0]

    return get
