"""What each reading tool of the ops agent is, for those who choose tools by themselves: name, purpose, typed arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict

from agents.operator import Tool
from agents.operator_tools import Typed
from tools.typed import in_words


class ToolCard(BaseModel):
    """One tool as a model sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    what: str
    args: dict[str, Any]
    """JSON schema of its arguments; others are refused."""


def cards(tools: Mapping[str, Tool]) -> list[ToolCard]:
    """By name."""
    return [_card(name, structured(name, tools[name])) for name in sorted(tools)]


def structured(name: str, tool: Tool) -> BaseTool:
    """The tool with its schema: its own where it is a typed one, else that of its signature."""
    if isinstance(tool, Typed):
        return tool.tool
    return StructuredTool.from_function(
        func=tool,
        name=name,
        description=" ".join((tool.__doc__ or "").split()),
        handle_validation_error=in_words,
    )


def call(name: str, tool: Tool, args: Mapping[str, Any]) -> Any:
    """What it answers; words where it cannot be asked like that."""
    if isinstance(tool, Typed):
        return tool(**args)
    made = structured(name, tool)
    unknown = sorted(set(args) - set(made.args))
    if unknown:
        return f"{unknown[0]}: no such argument; {name} takes {', '.join(made.args) or 'none'}"
    return made.invoke(dict(args))


def _card(name: str, tool: BaseTool) -> ToolCard:
    return ToolCard(name=name, what=tool.description, args=_closed(tool.tool_call_schema))


def _closed(schema: Any) -> dict[str, Any]:
    """Without titles that only repeat names, and refusing what it does not know."""
    made: dict[str, Any] = schema if isinstance(schema, dict) else schema.model_json_schema()
    plain = {key: value for key, value in _untitled(made).items() if key != "description"}
    return {**plain, "additionalProperties": False} | ({} if "properties" in plain else {"properties": {}})


def _untitled(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _untitled(one) for key, one in value.items() if not (key == "title" and isinstance(one, str))
        }
    return [_untitled(one) for one in value] if isinstance(value, list) else value
