"""What the ops agent can look with: every reading tool of a site as a plain function. None can change anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langchain_core.tools import BaseTool

from agents.alert_facts import dated
from agents.evidence import UNNAMED
from agents.operator import Tool
from agents.operator_plans import Planner, loop_tools
from agents.operator_records import record_tools
from knowledge.causes import load_causes
from knowledge.index import Index
from setpoint.contracts import Diagnosis, Evidence, Incident
from setpoint.contracts.site import Site
from setpoint.errors import BackendError
from setpoint.ledger import Ledger
from tools.adapter import SimulatedSite, SiteAdapter
from tools.loops.ports import LoopPorts
from tools.night_site import NightSite
from tools.plant_tools import PlantPorts, plant_tools
from tools.recorded import EventHistory
from tools.rehearsal import is_best
from tools.site_tools import ReadPorts, site_tools


@dataclass(frozen=True)
class Stores:
    """All that the tools read."""

    site: Site
    ledger: Ledger
    index: Callable[[], Index]
    adapter: SiteAdapter | None
    clock: Callable[[], datetime]
    reach: Callable[[], LoopPorts] | None = None
    """What the control loops read of the live site; None where no site is behind."""


def operator_tools(stores: Stores) -> dict[str, Tool]:
    """Every reading tool, by name. One that cannot do what was asked answers in words."""
    site, ledger = stores.site, stores.ledger
    ports = ReadPorts(site, stores.adapter.read if stores.adapter else _unread, ledger, stores.clock)
    every = [
        *site_tools(ports), *plant_tools(_plant_ports(ports, stores.adapter)), *record_tools(ledger, site),
        *loop_tools(Planner(site, ledger, stores.clock, stores.reach)),
    ]  # fmt: skip
    tools: dict[str, Tool] = {tool.name: Typed(tool) for tool in every}
    plain = tools["incident"]

    def incident(id: str) -> Any:
        """One incident with its latest events, its cause with the evidence for it, its guide, and what waits for a yes."""
        value = plain(id=id)
        if not isinstance(value, dict):
            return value
        since = dated(ledger.get_incident(id).opened, site)
        return value | _analysis(ledger, id) | {"since": since, "waiting": _waiting(ledger, id)}

    def incidents(asset: str = "") -> list[dict[str, Any]]:
        """Incidents, the most urgent first; those that touch one asset where it is named."""
        found = ledger.list_incidents(asset=asset, limit=50)
        return [_told(item.model_dump(mode="json"), item, ledger, site) for item in found]

    def reviews() -> list[dict[str, Any]]:
        """What waits for the decision of a person."""
        return [review.model_dump(mode="json") for review in ledger.list_reviews(states=("pending",))]

    def search(query: str) -> list[dict[str, Any]]:
        """Passages of runbooks and manuals that fit a question, each with its id to cite."""
        return [passage.model_dump(mode="json") for passage in stores.index().search(query, 8)]

    def gpus() -> dict[str, Any]:
        """The GPU nodes at a glance: how many are busy, idle, down, throttled, and the hottest."""
        return _fleet(ports)

    own: dict[str, Tool] = {
        "incident": incident, "incidents": incidents, "reviews": reviews, "search": search, "gpus": gpus,
    }  # fmt: skip
    return tools | own


def drafting_ports(stores: Stores) -> PlantPorts:
    """What a draft of an action looks at."""
    read = stores.adapter.read if stores.adapter else _unread
    return _plant_ports(ReadPorts(stores.site, read, stores.ledger, stores.clock), stores.adapter)


BUSY_PU = 0.05
"""A node with more load than this works."""


def _fleet(ports: ReadPorts) -> dict[str, Any]:
    """The GPU nodes at a glance, from their latest readings."""
    nodes = [asset.name for asset in ports.site.of_kind("gpu_node")]
    read = {name: dict(one.values) for name in nodes if (one := ports.read(name)) is not None}
    hot = {name: values["gpu_temp_c"] for name, values in read.items() if "gpu_temp_c" in values}
    hottest = max(hot, key=lambda name: hot[name], default="")
    down = [name for name, values in read.items() if values.get("up", 1.0) < 0.5]
    busy = [
        name for name, values in read.items() if values.get("load_pu", 0.0) > BUSY_PU and name not in down
    ]
    return {
        "nodes": len(nodes), "busy": len(busy), "idle": len(read) - len(busy) - len(down), "down": down,
        "throttled": [name for name, values in read.items() if values.get("throttled", 0.0) > 0.5],
        "cordoned": [name for name, v in read.items() if max(v.get("cordoned", 0.0), v.get("drained", 0.0)) > 0.5],
        "short_of_gpus": [name for name, values in read.items() if values.get("gpus_ok", 8.0) < _gpus_of(ports.site, name)],
        "hottest": hottest, "hottest_c": hot.get(hottest), "not_read": [name for name in nodes if name not in read],
    }  # fmt: skip


def _gpus_of(site: Site, node: str) -> float:
    """As its spec has it."""
    return float(site.spec(node).gpus)


def _unread(_asset: str) -> None:
    return None


def _plant_ports(ports: ReadPorts, adapter: SiteAdapter | None) -> PlantPorts:
    """A simulated site has its plant to copy and its own history; of another, events tell what was read."""
    if isinstance(adapter, SimulatedSite | NightSite):
        return PlantPorts(ports.site, adapter.history, ports.clock, ports.read, adapter.twin)
    return PlantPorts(
        ports.site, EventHistory(ports.ledger, ports.site, ports.clock), ports.clock, ports.read
    )


class Typed:
    """A typed tool as a plain function; what stands in the way of an answer comes back as words."""

    def __init__(self, tool: BaseTool) -> None:
        self.tool = tool

    def __call__(self, **args: Any) -> Any:
        try:
            return self.tool.invoke(args)
        except BackendError as error:
            return str(error)


def _telling(diagnosis: Diagnosis) -> list[Evidence]:
    """The evidence that speaks for the cause; the first pieces where none does."""
    supporting = [piece for piece in diagnosis.evidence if piece.id in diagnosis.top.supports]
    return (supporting or list(diagnosis.evidence))[:4]


def _told(value: dict[str, Any], incident: Incident, ledger: Ledger, site: Site) -> dict[str, Any]:
    """An incident with its cause and its begin as people here say it."""
    return value | _cause(ledger, incident.id) | {"since": dated(incident.opened, site)}


def _cause(ledger: Ledger, incident_id: str) -> dict[str, str]:
    """What a person said it is, else what was found most likely."""
    corrected = load_causes().get(ledger.corrected_cause(incident_id) or "")
    if corrected is not None:
        return {"cause": f"{corrected.title} (set by a person)"}
    diagnosis = ledger.get_diagnosis(incident_id)
    return {"cause": f"{diagnosis.top.title} ({diagnosis.top.score:.0%})"} if diagnosis else {}


def _condition(diagnosis: Diagnosis) -> str:
    """What was seen, in words that name it; "" where nothing seen has a name."""
    seen = (piece.sheet.condition for piece in (*_telling(diagnosis), *diagnosis.evidence))
    return next((condition for condition in seen if condition and condition != UNNAMED), "")


def _waiting(ledger: Ledger, incident_id: str) -> list[dict[str, str]]:
    """Its actions that wait for a yes with what was rehearsed of them, the best of what was tried first."""
    pending = [
        (review, review.proposal)
        for review in ledger.list_reviews(incident_id=incident_id, states=("pending",))
        if review.proposal
    ]
    pending.sort(key=lambda one: not is_best(one[1].rehearsal))
    return [
        {"review": review.id, "asked": review.subject, "risk": proposal.risk,
         "foreseen": proposal.rehearsal.said if proposal.rehearsal else ""}
        for review, proposal in pending
    ]  # fmt: skip


def _analysis(ledger: Ledger, incident_id: str) -> dict[str, Any]:
    diagnosis = ledger.get_diagnosis(incident_id)
    if diagnosis is None:
        return {}
    return _cause(ledger, incident_id) | {
        "condition": _condition(diagnosis),
        "evidence": [(piece.id, piece.text) for piece in _telling(diagnosis)],
        "guide": [
            (step.text, step.citation.passage_id)
            for step in diagnosis.guide.steps
            if "#escalate-when" not in step.citation.passage_id
        ],
    }
