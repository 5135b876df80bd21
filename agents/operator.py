"""The ops agent in conversation: understands a question, looks with read-only tools, answers from what it found.

With a small model code understands the question by its words and picks the tools; the model words one sentence over
the facts, and the facts themselves are listed by code. It can never approve or act.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agents.explainer import Budget, Said, Writer, say
from prompts import ChatInput
from setpoint.contracts import Fact, FactSheet
from setpoint.contracts.site import Site

IntentName = Literal["incident", "asset", "overview", "reviews", "knowledge", "refused"]
_INCIDENT = re.compile(r"\bINC-[0-9A-Z]+\b", re.IGNORECASE)
_ACT = re.compile(
    r"^\s*(please\s+)?(approve|reject|reset|restart|drain|cordon|shut|turn|power|start|stop|close|open|set|cap|migrate|"
    r"pause|kill|reboot|flash|update|delete|ack\w*)\b",
    re.IGNORECASE,
)
_REVIEWS = re.compile(
    r"\b(wait\w*|pending|approv\w*|decid\w*|decision\w*|review\w*|queue of actions)\b", re.IGNORECASE
)
_OVERVIEW = re.compile(
    r"\b(what('s| is) (going on|wrong|up|broken|open)|status|overview|open incidents|alerts?|incidents|p0|p1|anything|summary|shift)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*")


@dataclass(frozen=True)
class Intent:
    """What was asked, and about what."""

    name: IntentName
    phrase: str
    """The question as a short phrase without facts, for the model."""
    about: str = ""


@dataclass(frozen=True)
class Finding:
    """One tool call and what it gave."""

    tool: str
    args: Mapping[str, Any]
    result: Any


@dataclass(frozen=True)
class Answer:
    """A lead sentence, the facts behind it, and where they come from."""

    lead: Said
    lines: tuple[str, ...]
    citations: tuple[str, ...]


Tool = Callable[..., Any]


def understand(question: str, site: Site) -> Intent:
    """By its words, most telling first: a wish to act, an incident id, the queue, an asset, the whole, else the runbooks."""
    if _ACT.search(question):
        return Intent("refused", "whether the assistant may act")
    if match := _INCIDENT.search(question):
        return Intent("incident", "what this incident is about", match[0].upper())
    if asset := _asset_in(question, site):
        return Intent("asset", "what is known about this asset", asset)
    if _REVIEWS.search(question):
        return Intent("reviews", "which actions wait for a decision")
    if _OVERVIEW.search(question):
        return Intent("overview", "which incidents are open")
    return Intent("knowledge", "what the runbooks say", question)


def look(intent: Intent, tools: Mapping[str, Tool]) -> list[Finding]:
    """Call the tools the intent needs. A tool that fails is a finding too."""
    calls: dict[IntentName, list[tuple[str, dict[str, Any]]]] = {
        "incident": [("incident", {"id": intent.about})],
        "asset": [("incidents", {"asset": intent.about}), ("site_state", {"asset": intent.about}),
                  ("recent_events", {"asset": intent.about, "minutes": 1440}), ("changes", {"asset": intent.about})],
        "overview": [("incidents", {})],
        "reviews": [("reviews", {})],
        "knowledge": [("search", {"query": intent.about})],
        "refused": [],
    }  # fmt: skip
    return [Finding(name, args, tools[name](**args)) for name, args in calls[intent.name]]


def answer(intent: Intent, findings: Sequence[Finding], writer: Writer | None, budget: Budget) -> Answer:
    """Facts by code, one lead sentence by the model where it passes verification."""
    if intent.name == "refused":
        text = "I can read and explain, not act. Decide a proposed action with `setpoint review list`."
        return Answer(Said(text, "template"), (), ())
    condition, facts, lines, citations = _DESCRIBE[intent.name](intent, {f.tool: f.result for f in findings})
    sheet = FactSheet(condition=condition, facts=tuple(facts))
    plain = _plain(condition, facts)
    if not facts:
        return Answer(Said(plain, "template"), tuple(lines), tuple(citations))
    return Answer(
        say(writer, "chat", ChatInput(intent.phrase, sheet), sheet, plain, budget),
        tuple(lines),
        tuple(citations),
    )


_Described = tuple[str, list[Fact], list[str], list[str]]


def _incident(intent: Intent, found: Mapping[str, Any]) -> _Described:
    value = found["incident"]
    if not isinstance(value, dict):
        return "no such incident is known", [], [str(value)], []
    facts = [
        _fact("incident", "code", value["id"], required=True),
        _fact("asset", "asset", ", ".join(value["assets"][:3]), required=True),
        _fact("count", "count", str(value["event_count"])),
        _fact("time", "time", value["opened"]),
    ]
    lines = [
        f"{value['priority']} {value['title']} ({value['state']}), {value['event_count']} events since {value['opened']}"
    ]
    if value.get("cause"):
        lines.append(f"cause: {value['cause']}")
    lines += [f"{key}: {text}" for key, text in value.get("evidence", [])]
    lines += [f"next: {text} [{cite}]" for text, cite in value.get("guide", [])[:4]]
    return (
        value.get("condition") or "trouble was reported",
        facts,
        lines,
        [cite for _, cite in value.get("guide", [])[:4]],
    )


def _asset(intent: Intent, found: Mapping[str, Any]) -> _Described:
    incidents, state, events = found["incidents"], found["site_state"], found["recent_events"]
    lines = [f"{i['priority']} {i['id']} {i['title']} ({i['state']}){_because(i)}" for i in incidents[:4]]
    readings = state.get("readings", {}) if isinstance(state, dict) else {}
    if readings:
        lines.append(
            "readings now: " + ", ".join(f"{name} {value:.4g}" for name, value in sorted(readings.items()))
        )
    if isinstance(events, dict):
        lines += [f'{event["time"]} "{event["quoted"]}"' for event in events["events"][:3]]
    changes = found["changes"]
    if isinstance(changes, dict):
        lines += [f"changed {change['time']}: {change['what']}" for change in changes["changes"][:2]]
    facts = [_fact("asset", "asset", intent.about, required=True)]
    live = [incident for incident in incidents if incident["state"] in ("open", "acknowledged")]
    if live:
        facts.append(_fact("incident", "code", live[0]["id"], required=True))
        return live[0].get("condition") or "trouble was reported", facts, lines, []
    return "nothing is open on this asset", facts, lines, []


def _overview(intent: Intent, found: Mapping[str, Any]) -> _Described:
    live = [
        incident
        for incident in found["incidents"]
        if incident["state"] in ("open", "acknowledged") and incident["priority"] != "P3"
    ]
    if not live:
        return "no incident is open", [], [], []
    lines = [
        f"{i['priority']} {i['id']} {i['title']} ({i['event_count']} events, since {i['opened']}){_because(i)}"
        for i in live[:8]
    ]
    if len(live) > 8:
        lines.append(f"and {len(live) - 8} more: setpoint incidents list --state open")
    facts = [
        _fact("count", "count", str(len(live)), required=True),
        _fact("incident", "code", live[0]["id"], required=True),
    ]
    return "incidents are open", facts, lines, []


def _reviews(intent: Intent, found: Mapping[str, Any]) -> _Described:
    rows = found["reviews"]
    if not rows:
        return "nothing waits for a decision", [], [], []
    lines = [
        f"{row['id']} {row['subject']} ({row['kind'].replace('_', ' ')}, {row['incident_id']})"
        for row in rows[:10]
    ]
    return "decisions are waiting", [_fact("count", "count", str(len(rows)), required=True)], lines, []


def _knowledge(intent: Intent, found: Mapping[str, Any]) -> _Described:
    passages = found["search"]
    if not passages:
        return "the runbooks say nothing about this", [], [], []
    lines = []
    for passage in passages[:3]:
        first = " ".join(passage["text"].split())
        lines.append(
            f"{passage['title']}: {first[:260]}{'...' if len(first) > 260 else ''} [{passage['id']}]"
        )
    return "the runbooks have an answer", [], lines, [passage["id"] for passage in passages[:3]]


_DESCRIBE: dict[IntentName, Callable[[Intent, Mapping[str, Any]], _Described]] = {
    "incident": _incident, "asset": _asset, "overview": _overview, "reviews": _reviews, "knowledge": _knowledge,
}  # fmt: skip


def _because(incident: Mapping[str, Any]) -> str:
    return f"; cause: {incident['cause']}" if incident.get("cause") else ""


def _plain(condition: str, facts: Sequence[Fact]) -> str:
    said = condition[:1].upper() + condition[1:]
    named = ", ".join(fact.text for fact in facts if fact.required)
    return f"{said}: {named}." if named else f"{said}."


def _asset_in(question: str, site: Site) -> str:
    for word in _WORD.findall(question):
        if (asset := site.find(word.rstrip(".:/"))) is not None:
            return asset.name
    return ""


def _fact(slot: str, kind: str, text: str, *, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": "E1", "required": required}
    )
