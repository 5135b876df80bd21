"""langgraph.json: every graph opens as the development server of LangGraph would open it."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path

import pytest
from langgraph.graph.state import CompiledStateGraph

from graphs import studio

ROOT = Path(studio.__file__).parent.parent
CONFIG = json.loads((ROOT / "langgraph.json").read_text())


def test_it_names_every_graph_there_is() -> None:
    built = {path.stem for path in (ROOT / "graphs").glob("*.py") if "StateGraph(" in path.read_text()}
    assert set(CONFIG["graphs"]) == built
    assert CONFIG["dependencies"] == ["."]


@pytest.mark.parametrize("name", sorted(CONFIG["graphs"]))
def test_it_opens(name: str) -> None:
    """By the path of its file and the name of a function, as there is no other entry; with a schema for its input and
    none for what Setpoint alone can give it."""
    path, _, entry = CONFIG["graphs"][name].rpartition(":")
    spec = importlib.util.spec_from_file_location(f"opened_{name}", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    factory = getattr(module, entry)
    assert not inspect.signature(factory).parameters
    graph = factory()
    assert isinstance(graph, CompiledStateGraph)
    assert graph.name == name
    assert graph.checkpointer is None, "the server brings its own"
    assert graph.get_input_jsonschema()["properties"], "a form to fill in"
    assert graph.get_context_jsonschema() is None
    nodes = set(graph.get_graph().nodes)
    assert {"__start__", "__end__"} < nodes
    assert graph.get_graph().draw_mermaid()
