"""The ops agent in conversation: understands a question, looks with read-only tools, answers from what it found.

With a small model code understands the question by its words and picks the tools; the model words one sentence over
the facts, and the facts themselves are listed by code. It can never approve or act.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.explainer import Budget, Said, Writer, say
from agents.plant_answers import tell
from agents.plant_questions import plant_question
from prompts import ChatInput
from setpoint.contracts import Fact, FactSheet
from setpoint.contracts.site import Site

IntentName = Literal["incident", "asset", "overview", "reviews", "knowledge", "refused", "plant"]
_INCIDENT = re.compile(r"\bINC-[0-9A-Z]+\b", re.IGNORECASE)
_ACT = re.compile(
    r"^\s*((please|now|just|can you|could you|would you|will you|i want you to|go ahead and)\s+)*(approve|reject|reset|restart|drain|cordon|shut|turn|power|start|stop|close|open|set|cap|migrate|"
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
_LIVE = ("open", "acknowledged")
_READING_ORDER = {"meaning": 0, "steps": 1, "checks": 2, "likely-causes": 3, "escalate-when": 4}
_MARK = re.compile(r"\s*\{action: \w+\}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*")


@dataclass(frozen=True)
class Intent:
    """What was asked, and about what."""

    name: IntentName
    phrase: str
    """The question as a short phrase without facts, for the model."""
    about: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the plant tool that `about` names."""


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
    """By its words, most telling first: a wish to act, an incident id, how the plant works or would, an asset, the
    queue, the whole, else the runbooks."""
    if _ACT.search(question):
        return Intent("refused", "whether the assistant may act")
    if match := _INCIDENT.search(question):
        return Intent("incident", "what this incident is about", match[0].upper())
    if asked := plant_question(question, site):
        return Intent("plant", asked.phrase, asked.tool, asked.args)
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
        "plant": [(intent.about, dict(intent.args))],
    }  # fmt: skip
    return [Finding(name, args, tools[name](**args)) for name, args in calls[intent.name]]


def answer(intent: Intent, findings: Sequence[Finding], writer: Writer | None, budget: Budget) -> Answer:
    """Facts by code, one lead sentence by the model where it passes verification."""
    if intent.name == "refused":
        text = "I can read and explain, not act. Decide a proposed action with `setpoint review list`."
        return Answer(Said(text, "template"), (), ())
    told = _DESCRIBE[intent.name](intent, {f.tool: f.result for f in findings})
    if not told.facts:
        return Answer(Said(told.plain, "template"), told.lines, told.citations)
    sheet = FactSheet(condition=told.condition, facts=told.facts)
    lead = say(writer, "chat", ChatInput(intent.phrase, sheet), sheet, told.plain, budget)
    return Answer(lead, told.lines, told.citations)


@dataclass(frozen=True)
class _Told:
    """What was found: a sentence of code's own, the facts of it for a model to say, and the lines behind it."""

    plain: str
    lines: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    condition: str = ""
    facts: tuple[Fact, ...] = ()


def _incident(intent: Intent, found: Mapping[str, Any]) -> _Told:
    value = found["incident"]
    if not isinstance(value, dict):
        return _Told(f"No incident {intent.about} is known here.", (str(value),))
    where = ", ".join(value["assets"][:3])
    guide = value.get("guide", [])
    lines = [f"{value['priority']}, {value['state']}, {_events(value['event_count'])} since {_since(value)}"]
    lines += [f"{key}: {text}" for key, text in value.get("evidence", [])]
    lines += [f"next: {text} [{cite}]" for text, cite in guide[:4]]
    because = f" The cause: {value['cause']}." if value.get("cause") else " It has not been analysed yet."
    facts = (
        _fact("incident", "code", value["id"], required=True),
        _fact("asset", "asset", where, required=True),
        _fact("count", "count", str(value["event_count"])),
    )
    return _Told(
        f"{value['id']}: {value['title']}.{because}", tuple(lines), tuple(cite for _, cite in guide[:4]),
        value.get("condition") or "trouble was reported", facts if value.get("condition") else (),
    )  # fmt: skip


def _asset(intent: Intent, found: Mapping[str, Any]) -> _Told:
    incidents, state, events = found["incidents"], found["site_state"], found["recent_events"]
    worth = [one for one in incidents if one["priority"] != "P3"]
    live = [one for one in worth if one["state"] in _LIVE]
    lines = [
        f"{i['priority']} {i['id']} {i['title']} ({i['state']}, since {_since(i)}){_because(i)}"
        for i in worth[:4]
    ]
    readings = state.get("readings", {}) if isinstance(state, dict) else {}
    if readings:
        said = ", ".join(f"{name} {value:.4g}" for name, value in sorted(readings.items()))
        lines.append(f"readings now: {said}")
    if isinstance(events, dict):
        lines += [f'{event["time"]} "{event["quoted"]}"' for event in events["events"][:3]]
    changes = found["changes"]
    if isinstance(changes, dict):
        lines += [f"changed {change['time']}: {change['what']}" for change in changes["changes"][:2]]
    if not live:
        return _Told(f"Nothing is open on {intent.about}.", tuple(lines))
    cause = f" Its likely cause: {live[0]['cause']}." if live[0].get("cause") else ""
    return _Told(f"{intent.about} is touched by {live[0]['id']}: {live[0]['title']}.{cause}", tuple(lines))


def _overview(intent: Intent, found: Mapping[str, Any]) -> _Told:
    live = [one for one in found["incidents"] if one["state"] in _LIVE and one["priority"] != "P3"]
    if not live:
        return _Told("No incident is open but routine records.")
    lines = [
        f"{i['priority']} {i['id']} {i['title']} ({_events(i['event_count'])}, since {_since(i)}){_because(i)}"
        for i in live[:8]
    ]
    if len(live) > 8:
        lines.append(f"and {len(live) - 8} more: setpoint incidents list")
    many = "1 incident is open" if len(live) == 1 else f"{len(live)} incidents are open"
    return _Told(f"{many}; the most urgent is {live[0]['id']}, {live[0]['title']}.", tuple(lines))


def _reviews(intent: Intent, found: Mapping[str, Any]) -> _Told:
    rows = found["reviews"]
    if not rows:
        return _Told("Nothing waits for a decision.")
    lines = [f"{row['id']} {row['subject']} ({_kind(row)}, {row['incident_id']})" for row in rows[:10]]
    if len(rows) > 10:
        lines.append(f"and {len(rows) - 10} more: setpoint review list")
    many = "1 decision is waiting" if len(rows) == 1 else f"{len(rows)} decisions are waiting"
    return _Told(f"{many}.", tuple(lines))


def _kind(row: Mapping[str, Any]) -> str:
    return f"{row['proposal']['risk']} risk" if row.get("proposal") else str(row["kind"]).replace("_", " ")


def _knowledge(intent: Intent, found: Mapping[str, Any]) -> _Told:
    """The best section's passages in the order one needs them: what it is, what to do, what to look at."""
    passages = found["search"]
    if not passages:
        return _Told("The runbooks and manuals say nothing about this.")
    first = passages[0]
    same = [one for one in passages if one["section"] == first["section"]]
    chosen = sorted(same, key=lambda one: _READING_ORDER.get(one["id"].split("#")[-1], len(_READING_ORDER)))[
        :3
    ]
    lines = []
    for passage in chosen:
        lines.append(f"[{passage['id']}]")
        lines += [
            f"  {line.strip()}" for line in without_marks(passage["text"]).splitlines() if line.strip()
        ][:8]
    others = dict.fromkeys(one["title"] for one in passages if one["section"] != first["section"])
    if others:
        lines.append(f"see also: {', '.join([*others][:3])}")
    return _Told(f"From {first['title']}:", tuple(lines), tuple(one["id"] for one in chosen))


def _plant(intent: Intent, found: Mapping[str, Any]) -> _Told:
    plain, lines = tell(intent.about, found[intent.about])
    return _Told(plain, tuple(lines))


def without_marks(text: str) -> str:
    """A runbook passage without the marks that tie its steps to the action catalog.

    >>> without_marks("1. Cordon the node. {action: cordon_node}")
    '1. Cordon the node.'
    """
    return _MARK.sub("", text)


_DESCRIBE: dict[IntentName, Callable[[Intent, Mapping[str, Any]], _Told]] = {
    "incident": _incident, "asset": _asset, "overview": _overview, "reviews": _reviews, "knowledge": _knowledge,
    "plant": _plant,
}  # fmt: skip


def _because(incident: Mapping[str, Any]) -> str:
    return f"; cause: {incident['cause']}" if incident.get("cause") else ""


def _events(many: int) -> str:
    return f"{many} event" if many == 1 else f"{many} events"


def _since(incident: Mapping[str, Any]) -> str:
    return str(incident.get("since") or incident["opened"])


def _asset_in(question: str, site: Site) -> str:
    for word in _WORD.findall(question):
        if (asset := site.find(word.rstrip(".:/"))) is not None:
            return asset.name
    return ""


def _fact(slot: str, kind: str, text: str, *, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": "E1", "required": required}
    )
