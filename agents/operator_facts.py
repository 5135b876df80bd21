"""What was found by calls that a model chose by itself, listed by code as it lists its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.operator import Finding, Intent, IntentName, facts_of
from agents.plant_answers import n

MOST_LINES = 24
_INTENTS: dict[str, IntentName] = {
    "incident": "incident", "reviews": "reviews", "search": "knowledge", "recent_events": "events",
}  # fmt: skip


def facts_of_calls(findings: Sequence[Finding]) -> tuple[str, list[str], list[str]]:
    """Code's own sentence for the last call that told something, the lines of all, and what is cited."""
    plain = ""
    lines: list[str] = []
    citations: list[str] = []
    for one in findings:
        said, more, cited = _told(one)
        plain = said or plain
        lines += [
            line for line in ([said, *more] if len(findings) > 1 else more) if line and line not in lines
        ]
        citations += [name for name in cited if name not in citations]
    return plain, lines[:MOST_LINES], citations


def _told(one: Finding) -> tuple[str, list[str], list[str]]:
    if isinstance(one.result, str):  # why it could not be asked like that
        return one.result, [], []
    if one.tool in ("site_state", "changes"):
        return _state(one.result) if one.tool == "site_state" else _changes(one.result)
    told = facts_of(_intent(one), [one])
    return told.plain, list(told.lines), list(told.citations)


def _intent(one: Finding) -> Intent:
    """The intent whose answer the call alone would be."""
    if one.tool == "incidents":
        asset = str(one.args.get("asset", ""))
        return Intent("incidents" if asset else "overview", "", asset)
    name = _INTENTS.get(one.tool)
    if name is None:
        return Intent("plant", "", one.tool, dict(one.args))
    return Intent(name, "", str(one.args.get("id") or one.args.get("asset") or one.args.get("query") or ""))


def _state(result: Any) -> tuple[str, list[str], list[str]]:
    if not isinstance(result, Mapping):
        return str(result), [], []
    read = ", ".join(f"{name} {n(value)}" for name, value in sorted(result["readings"].items()))
    return f"{result['asset']} reads {read or 'nothing'}.", [], []


def _changes(result: Any) -> tuple[str, list[str], list[str]]:
    if not isinstance(result, Mapping):
        return str(result), [], []
    lines = [f"changed {one['time']}: {one['what']}" for one in result["changes"][:4]]
    return ("" if lines else f"Nothing was changed on {result['asset']}."), lines, []
