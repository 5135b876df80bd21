"""The graphs as `langgraph dev` opens them (langgraph.json names these): to look at their nodes, edges and state.

Nothing is opened or read here, so none of them can act on a site from there: what a node reaches, a run hands it as its
context, and only Setpoint's own composition root builds that. The server that opens a graph brings its own persistence.
"""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph

from graphs.act import build_act_graph
from graphs.chat import build_chat_graph
from graphs.control_loop import build_control_loop
from graphs.fast_path import build_fast_graph
from graphs.review import build_review_graph
from graphs.slow_path import build_slow_path
from graphs.triage import build_triage_graph

Opened = CompiledStateGraph[Any, Any, Any, Any]


def triage() -> Opened:
    return _opened(build_triage_graph(_saver()))


def fast_path() -> Opened:
    return _opened(build_fast_graph(_saver()))


def slow_path() -> Opened:
    return _opened(build_slow_path(_saver()))


def review() -> Opened:
    return _opened(build_review_graph(_saver()))


def act() -> Opened:
    return _opened(build_act_graph(_saver()))


def control_loop() -> Opened:
    return _opened(build_control_loop(_saver()))


def chat() -> Opened:
    return _opened(build_chat_graph(_saver()))


def _saver() -> BaseCheckpointSaver[str]:
    """Durable graphs refuse to be built without one."""
    return InMemorySaver()


def _opened(graph: Opened) -> Opened:
    """Without its checkpointer, for the server's own, and without the schema of its ports, which are no JSON."""
    return graph.copy({"checkpointer": None, "context_schema": None})
