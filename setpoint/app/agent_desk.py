"""Desk functions for agents, those of others and Setpoint's own: look with the reading tools, and propose for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.app.chatting import Conversations
    from setpoint.app.desk import Desk
    from setpoint.app.proposing import Propose


def nobody_proposes() -> Propose:
    """Where no site stands behind the desk."""
    raise UsageError("nothing can be proposed here", remedy="Open the desk over a site")


def nobody_converses() -> Conversations:
    """Where no site stands behind the desk."""
    raise UsageError("nobody can be asked here", remedy="Open the desk over a site")


def review_propose(
    desk: Desk, action: str, asset: str, who: str, why: str, args: dict[str, Any] | None = None, via: str = "command",
) -> JsonValue:  # fmt: skip
    """Put an action of the catalog to review. It waits for a yes like every other; nothing is approved by this."""
    return desk.propose()(action, asset, args or {}, why, who, via)


def tools_list(desk: Desk) -> JsonValue:
    """The reading tools of the ops agent: name, purpose, and the JSON schema of the arguments."""
    from agents.tool_cards import cards  # with the plant behind it, that takes a second

    return [card.model_dump(mode="json") for card in cards(desk.tools())]


def tools_call(desk: Desk, tool: str, args: dict[str, Any] | None = None) -> JsonValue:
    """One look with a reading tool of the ops agent: state, topology, events, what-if on the plant model, runbooks. What
    cannot be looked at like that is answered in words."""
    from agents.tool_cards import call

    tools = desk.tools()
    if tool not in tools:
        raise UsageError(f"no tool {tool!r}", remedy=f"One of: {', '.join(sorted(tools))}")
    found: JsonValue = call(tool, tools[tool], args or {})
    return found
