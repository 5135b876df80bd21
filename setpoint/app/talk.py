"""`setpoint chat`: a plain conversation with the ops agent at the terminal, or one question for a script."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import typer

from agents.explainer import Budget
from agents.operator import Tool
from graphs.chat import ChatPorts, build_chat_graph
from knowledge.index import Index
from setpoint.app.client import caller
from setpoint.contracts.site import Site
from setpoint.errors import BackendError
from setpoint.ledger import Ledger
from setpoint.llm import load_role
from setpoint.settings import Loaded, Settings
from tools.adapter import SiteAdapter
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


def converse(loaded: Loaded, once: str, as_json: bool) -> None:
    """Answer once, or until the person leaves."""
    from setpoint.app.wiring import local_desk

    call = caller(loaded.settings.store.dir, lambda: local_desk(loaded.settings))
    if once:
        _show(call("chat_ask", question=once), as_json)
        return
    print(
        "Ask about incidents, assets, decisions or runbooks. An empty line or ctrl-d ends.", file=sys.stderr
    )
    while question := _next_question():
        _show(call("chat_ask", question=question), as_json)


def _next_question() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _show(reply: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(reply, indent=2, ensure_ascii=False))
        return
    typer.echo(reply["answer"])
    for line in reply["facts"]:
        typer.echo(f"  {line}")
    if reply["fallback"]:
        typer.echo(f"  (the model's words were not used: {reply['fallback']})", err=True)


def _tools(
    site: Site, ledger: Ledger, index: Callable[[], Index], adapter: SiteAdapter | None
) -> dict[str, Tool]:
    """Every reading tool as a plain function."""
    from setpoint.app.wiring import utc_now

    ports = ReadPorts(site, adapter.read if adapter else (lambda _asset: None), ledger, utc_now)
    tools: dict[str, Tool] = {tool.name: _function(tool) for tool in site_tools(ports)}
    plain = tools["incident"]

    def incident(id: str) -> Any:
        value = plain(id=id)
        return value | _analysis(ledger, id) if isinstance(value, dict) else value

    def incidents(asset: str = "") -> list[dict[str, Any]]:
        found = ledger.list_incidents(asset=asset, limit=50)
        return [item.model_dump(mode="json") | _cause(ledger, item.id) for item in found]

    def reviews() -> list[dict[str, Any]]:
        return [review.model_dump(mode="json") for review in ledger.list_reviews(states=("pending",))]

    def search(query: str) -> list[dict[str, Any]]:
        return [passage.model_dump(mode="json") for passage in index().search(query, 4)]

    return tools | {"incident": incident, "incidents": incidents, "reviews": reviews, "search": search}


def _function(tool: Any) -> Tool:
    def call(**args: Any) -> Any:
        try:
            return tool.invoke(args)
        except BackendError as error:
            return str(error)

    return call


def _cause(ledger: Ledger, incident_id: str) -> dict[str, str]:
    diagnosis = ledger.get_diagnosis(incident_id)
    if diagnosis is None:
        return {}
    first = diagnosis.evidence[0].sheet.condition if diagnosis.evidence else ""
    return {"cause": f"{diagnosis.top.title} ({diagnosis.top.score:.0%})", "condition": first}


def _analysis(ledger: Ledger, incident_id: str) -> dict[str, Any]:
    diagnosis = ledger.get_diagnosis(incident_id)
    if diagnosis is None:
        return {}
    return _cause(ledger, incident_id) | {
        "evidence": [(piece.id, piece.text) for piece in diagnosis.evidence[:5]],
        "guide": [(step.text, step.citation.passage_id) for step in diagnosis.guide.steps],
    }
