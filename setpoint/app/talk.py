"""The ops agent over this site's stores: its reading tools, its graph, its writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from agents.alert_facts import dated
from agents.explainer import Budget
from agents.operator import Tool
from graphs.chat import ChatPorts, build_chat_graph
from knowledge.causes import load_causes
from knowledge.index import Index
from setpoint.contracts import Diagnosis, Evidence, Incident
from setpoint.contracts.site import Site
from setpoint.errors import BackendError
from setpoint.ledger import Ledger
from setpoint.llm import load_role
from setpoint.settings import Settings
from tools.adapter import SimulatedSite, SiteAdapter
from tools.night_site import NightSite
from tools.plant_tools import PlantPorts, plant_tools
from tools.recorded import EventHistory
from tools.site_tools import ReadPorts, site_tools


def make_operator(
    settings: Settings, site: Site, ledger: Ledger, index: Callable[[], Index], adapter: SiteAdapter | None
) -> Callable[[str], dict[str, Any]]:
    """A function from question to reply."""
    light = settings.models.light
    ports = ChatPorts(
        site=site,
        tools=_tools(site, ledger, index, adapter),
        writer=load_role(light, "light") if light.kind != "none" else None,
        new_budget=lambda: Budget(settings.models.tokens_per_incident, 4, light.timeout_s * 2),
    )
    graph = build_chat_graph()

    def ask(question: str) -> dict[str, Any]:
        state = asyncio.run(graph.ainvoke({"question": question}, context=ports))
        reply: dict[str, Any] = state["reply"]
        return reply

    return ask


def _tools(
    site: Site, ledger: Ledger, index: Callable[[], Index], adapter: SiteAdapter | None
) -> dict[str, Tool]:
    """Every reading tool as a plain function."""
    from setpoint.app.opening import utc_now

    ports = ReadPorts(site, adapter.read if adapter else (lambda _asset: None), ledger, utc_now)
    every = [*site_tools(ports), *plant_tools(_plant_ports(ports, adapter))]
    tools: dict[str, Tool] = {tool.name: _function(tool) for tool in every}
    plain = tools["incident"]

    def incident(id: str) -> Any:
        value = plain(id=id)
        if not isinstance(value, dict):
            return value
        return value | _analysis(ledger, id) | {"since": dated(ledger.get_incident(id).opened, site)}

    def incidents(asset: str = "") -> list[dict[str, Any]]:
        found = ledger.list_incidents(asset=asset, limit=50)
        return [_told(item.model_dump(mode="json"), item, ledger, site) for item in found]

    def reviews() -> list[dict[str, Any]]:
        return [review.model_dump(mode="json") for review in ledger.list_reviews(states=("pending",))]

    def search(query: str) -> list[dict[str, Any]]:
        return [passage.model_dump(mode="json") for passage in index().search(query, 8)]

    return tools | {"incident": incident, "incidents": incidents, "reviews": reviews, "search": search}


def _plant_ports(ports: ReadPorts, adapter: SiteAdapter | None) -> PlantPorts:
    """A simulated site has its plant to copy and its own history; of another, events tell what was read."""
    if isinstance(adapter, SimulatedSite | NightSite):
        return PlantPorts(ports.site, adapter.history, ports.clock, ports.read, adapter.twin)
    return PlantPorts(
        ports.site, EventHistory(ports.ledger, ports.site, ports.clock), ports.clock, ports.read
    )


def _function(tool: Any) -> Tool:
    def call(**args: Any) -> Any:
        try:
            return tool.invoke(args)
        except BackendError as error:
            return str(error)

    return call


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


def _analysis(ledger: Ledger, incident_id: str) -> dict[str, Any]:
    diagnosis = ledger.get_diagnosis(incident_id)
    if diagnosis is None:
        return {}
    return _cause(ledger, incident_id) | {
        "condition": diagnosis.evidence[0].sheet.condition if diagnosis.evidence else "",
        "evidence": [(piece.id, piece.text) for piece in _telling(diagnosis)],
        "guide": [
            (step.text, step.citation.passage_id)
            for step in diagnosis.guide.steps
            if "#escalate-when" not in step.citation.passage_id
        ],
    }
