"""The ops agent in conversation: understands a question, looks with read-only tools, answers from what it found.

With a small model code understands the question by its words and picks the tools; the model words one sentence over
the facts, and the facts themselves are listed by code. It can never approve or act.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from agents.alert_facts import quoted
from agents.evidence import is_measured, reading_in_words
from agents.explainer import TEMPLATE, Budget, Said, Writer, say
from agents.mentions import assets_in, incident_in
from agents.metric_words import span_minutes
from agents.operator_answers import TELL_MORE, tell_more
from agents.operator_questions import operator_question
from agents.plant_answers import tell
from agents.plant_questions import plant_question
from agents.site_answers import TELL, tell_site
from agents.spoken import plainly
from agents.wishes import wants_act
from prompts import ChatInput
from setpoint.contracts import Fact, FactSheet
from setpoint.contracts.site import Site

IntentName = Literal[
    "incident", "incidents", "asset", "events", "overview", "reviews", "knowledge", "refused", "plant"
]
_HOW_TO = re.compile(
    r"\bhow (?:do|should|can|must|would) (?:i|we|you|one)\b(?! (?:know|see|tell))|\bhow to\b|\bhow does one\b|\bwhat (?:do|should|must|can) (?:we|i|you|one) do (?:when|if|about|on|with)\b|\b(?:procedures?|run\s?books?|instructions?|manuals?|playbooks?|sops?|"
    r"guidance|steps (?:for|to))\b|\bwhat (?:does|do|is|are)\b.*\bmeans?\b|\bmeaning of\b|\bwhats? .*\bmean\b|\bxid \d+ mean",
    re.IGNORECASE,
)
_WHAT_NOW = re.compile(
    r"\bwhat (?:should|shall|can|must|do|would) (?:i|we|you|one) (?:do|try)\b(?:\s+(?:first|now|next|then|here|about (?:it|this|that)))*\W*$|"
    r"^\W*(?:and |so )?what now\W*$|\bwhat(?:'s| is) (?:the |my |our )?(?:next step|first step|remedy|fix|cure|best (?:move|action))\b|"
    r"\bhow (?:do|can|should) (?:i|we) (?:fix|mend|cure|solve|stop) (?:it|this|that)\b|\bwhat (?:would|will|could) help\b",
    re.IGNORECASE,
)
"""What to do, asked of what is spoken of or of all; how a kind of trouble is met is the runbooks' matter."""
_WAITING = re.compile(
    r"\bwait\w* (?:for|on)\b|\bpropos(?:als?|ed actions?)\b|\bsaid yes\b|\b(?:has|have|needs?|who) to sign\b|\bpending\b|\bqueued?\b|\bfor a (?:yes|decision|sign)|\bsign(?:ed)?[- ]?off\b|\bawait\w*|\bneeds? (?:[\w ]* )?(?:a )?"
    r"(?:decision|approval|yes)\b",
    re.IGNORECASE,
)
_REVIEWS = re.compile(
    r"\b(wait\w*|pending|approv\w*|decid\w*|decision\w*|review\w*|queued?|queue of actions|sign[- ]?off|need(s|ed)? a yes)\b",
    re.IGNORECASE,
)
_INCIDENTS_OF = re.compile(
    r"\b(?:incidents?|tickets?|paged|alerts?|alarms?|cases?)\b|\b(?:anything|something|what(?:'s| is)?) open\b|\bopen (?:on|against|for)\b",
    re.IGNORECASE,
)
_EVENTS_OF = re.compile(r"\b(?:events?|happen\w*|logs?|messages?|log lines?)\b", re.IGNORECASE)
_OVERVIEW = re.compile(
    r"\b(what('?s| is) (going on|wrong|up|broken|open|new|happening|cooking|the (state|situation|story|worst))|status|overview|open incidents|alerts?|incidents|"
    r"p[0-3]s?|problems?|issues?|everything|attention|how('?s| is| are| has| was)? (the |our |it |this )?(night|shift|site|hall|things?|going|day|floor)|anything|summary|shift|sitrep|hand ?over|rundown|state of (play|things|affairs)|in order|on fire|burning|how (do|are) (matters|things|we)|"
    r"matters stand|all (quiet|good|ok|okay|clear|well|right)|trouble|look first|most urgent|(bad|good|quiet|busy|calm) night|worst)\b",
    re.IGNORECASE,
)
_LIVE = ("open", "acknowledged")
_READING_ORDER = {"meaning": 0, "steps": 1, "checks": 2, "likely-causes": 3, "escalate-when": 4}
_NAMED = re.compile(
    r"\b(?:gpu|gpu node|node|rack|r|cdu|pdu|ups|chiller|crah|pump|feed|leaf|switch|hall)[- ]?\w?-?\d+\w*\b",
    re.IGNORECASE,
)
"""What sounds like an asset; it is none of the site's where it comes to be looked up in runbooks."""
TO_DO = "what to do now"
_MARK = re.compile(r"\s*\{action: \w+\}")
_NEEDS = (
    "ask for example about an asset by its name, an incident by its id, what is open, what waits for a decision, a plan, a what-if, or "
    "how a task is done; where a manual is missing, `setpoint knowledge add FILE` adds it"
)
_USUAL_MIN = 1440
"""How far back the events of an asset are looked at where nothing is said."""


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
    """By its words, most telling first: a wish to act, a plan, who decided, an incident id, a procedure, how the plant works
    or would, an asset, the queue, the whole, else the runbooks."""
    plain = plainly(question)
    if wants_act(plain):
        return Intent("refused", "whether the assistant may act")
    if more := operator_question(plain, site):
        return Intent("plant", more.phrase, more.tool, more.args)
    if id := incident_in(plain):
        return Intent("incident", "what this incident is about", id)
    if _WHAT_NOW.search(plain):
        return Intent("overview", TO_DO)
    if _HOW_TO.search(plain):
        return Intent("knowledge", "what the runbooks say", plain)
    if _WAITING.search(plain):
        return Intent("reviews", "which actions wait for a decision")
    if asked := plant_question(plain, site):
        return Intent("plant", asked.phrase, asked.tool, asked.args)
    if assets := assets_in(plain, site):
        return _about_assets(plain, assets)
    if _REVIEWS.search(plain):
        return Intent("reviews", "which actions wait for a decision")
    if _OVERVIEW.search(plain):
        return Intent("overview", "which incidents are open")
    return Intent("knowledge", "what the runbooks say", plain)


def _about_assets(plain: str, assets: Sequence[str]) -> Intent:
    """Their incidents or events where those are asked for, else all of the first."""
    if _INCIDENTS_OF.search(plain):
        args = {"also": list(assets[1:4])} if assets[1:] else {}
        return Intent("incidents", "which incidents touch this asset", assets[0], args)
    span = span_minutes(plain)
    if _EVENTS_OF.search(plain):
        within: dict[str, Any] = {"minutes": min(span, _USUAL_MIN)} if span else {}
        return Intent("events", "what happened on this asset", assets[0], within)
    return Intent("asset", "what is known about this asset", assets[0])


def look(intent: Intent, tools: Mapping[str, Tool]) -> list[Finding]:
    """Call the tools the intent needs. A tool that fails is a finding too."""
    return [Finding(name, args, tools[name](**args)) for name, args in calls_of(intent)]


def calls_of(intent: Intent) -> list[tuple[str, dict[str, Any]]]:
    """The tools the intent needs, each with its arguments, in their order."""
    about, minutes = intent.about, intent.args.get("minutes", _USUAL_MIN)
    calls: dict[IntentName, list[tuple[str, dict[str, Any]]]] = {
        "incident": [("incident", {"id": about})],
        "incidents": [("incidents", {"asset": asset}) for asset in (about, *intent.args.get("also", ()))],
        "asset": [("incidents", {"asset": about}), ("site_state", {"asset": about}),
                  ("recent_events", {"asset": about, "minutes": _USUAL_MIN}), ("changes", {"asset": about})],
        "events": [("recent_events", {"asset": about, "minutes": minutes})],
        "overview": [("incidents", {})],
        "reviews": [("reviews", {})],
        "knowledge": [("search", {"query": about})],
        "refused": [],
        "plant": [(about, dict(intent.args))],
    }  # fmt: skip
    return calls[intent.name]


def answer(intent: Intent, findings: Sequence[Finding], writer: Writer | None, budget: Budget) -> Answer:
    """Facts by code, one lead sentence by the model where it passes verification."""
    return in_words(intent, facts_of(intent, findings), writer, budget)


def facts_of(intent: Intent, findings: Sequence[Finding]) -> Told:
    """What was found, by code alone."""
    if intent.name == "refused":
        return Told("I can read and explain, not act. Decide a proposed action with `setpoint review list`.")
    return _DESCRIBE[intent.name](intent, _by_tool(findings))


def in_words(intent: Intent, told: Told, writer: Writer | None, budget: Budget) -> Answer:
    """The facts with their lead sentence: the model's where it passes verification, else code's own."""
    if not told.facts:
        return Answer(Said(told.plain, "template"), told.lines, told.citations)
    sheet = FactSheet(condition=told.condition, facts=told.facts)
    lead = say(writer, "chat", ChatInput(intent.phrase, sheet), told.plain, budget)
    if lead.written_by != TEMPLATE:
        lead = replace(lead, text=f"{told.before}{lead.text}{told.after}")
    return Answer(lead, told.lines, told.citations)


def _by_tool(findings: Sequence[Finding]) -> dict[str, Any]:
    """What each tool gave; lists of several calls in one, each item once."""
    found: dict[str, Any] = {}
    for one in findings:
        known = found.get(one.tool)
        if isinstance(known, list) and isinstance(one.result, list):
            found[one.tool] = [*known, *(item for item in one.result if item not in known)]
        else:
            found[one.tool] = one.result
    return found


@dataclass(frozen=True)
class Told:
    """What was found: a sentence of code's own, the facts of it for a model to say, and the lines behind it."""

    plain: str
    lines: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    condition: str = ""
    facts: tuple[Fact, ...] = ()
    before: str = ""
    after: str = ""
    """What code says around a model's sentence: it must not cost the reader what code's own would have told."""


def _incident(intent: Intent, found: Mapping[str, Any]) -> Told:
    value = found["incident"]
    if not isinstance(value, dict):
        return Told(f"No incident {intent.about} is known here.", (str(value),))
    where = ", ".join(value["assets"][:3])
    guide = value.get("guide", [])
    lines = [f"{value['priority']}, {value['state']}, {_events(value['event_count'])} since {_since(value)}"]
    lines += [f"{key}: {text}" for key, text in value.get("evidence", [])] if intent.phrase != TO_DO else []
    lines += [
        f"waits for a yes: {one['review']} {one['asked']} ({one['risk']} risk){_foreseen(one)}"
        for one in (value.get("waiting", []) if intent.phrase == TO_DO else [])
    ]
    lines += [f"next: {text} [{cite}]" for text, cite in guide[:4]]
    because = f" The cause: {value['cause']}." if value.get("cause") else " It has not been analysed yet."
    facts = (
        _fact("asset", "asset", where, required=True),
        _fact("time", "time", _since(value)),
        _fact("count", "count", _events(value["event_count"])),
    )  # what a small model was taught for this task, in its order: it names no incident
    return Told(
        f"{value['id']}: {value['title']}.{because}", tuple(lines), tuple(cite for _, cite in guide[:4]),
        value.get("condition", ""), facts if value.get("condition") else (), f"{value['id']}: ", because,
    )  # fmt: skip


def _foreseen(one: Mapping[str, Any]) -> str:
    return f": {one['foreseen']}" if one["foreseen"] else ""


def _asset(intent: Intent, found: Mapping[str, Any]) -> Told:
    incidents, state, events = found["incidents"], found["site_state"], found["recent_events"]
    worth = [one for one in incidents if one["priority"] != "P3"]
    live = [one for one in worth if one["state"] in _LIVE]
    lines = [
        f"{i['priority']} {i['id']} {i['title']} ({i['state']}, since {_since(i)}){_because(i)}"
        for i in worth[:4]
    ]
    readings = state.get("readings", {}) if isinstance(state, dict) else {}
    if readings:
        measured = {name: value for name, value in readings.items() if is_measured(name)} or readings
        said = ", ".join(reading_in_words(name, value) for name, value in sorted(measured.items()))
        lines.append(f"readings now: {said}")
    if isinstance(events, dict):
        lines += [f"{_moment(event['time'])} {quoted(event['quoted'])}" for event in events["events"][:3]]
    changes = found["changes"]
    if isinstance(changes, dict):
        lines += [
            f"changed {_moment(change['time'])}: {quoted(change['what'])}"
            for change in changes["changes"][:2]
        ]
    if not live:
        return Told(f"Nothing is open on {intent.about}.", tuple(lines))
    cause = f" Its likely cause: {live[0]['cause']}." if live[0].get("cause") else ""
    return Told(f"{intent.about} is touched by {live[0]['id']}: {live[0]['title']}.{cause}", tuple(lines))


def _incidents(intent: Intent, found: Mapping[str, Any]) -> Told:
    """Those of the assets asked about, the live ones first; what is over is told as such."""
    names = " or ".join((intent.about, *intent.args.get("also", ())))
    worth = [one for one in found["incidents"] if one["priority"] != "P3"]
    live = [one for one in worth if one["state"] in _LIVE]
    ordered = [*live, *(one for one in worth if one not in live)]
    lines = tuple(
        f"{i['priority']} {i['id']} {i['title']} ({i['state']}, since {_since(i)}){_because(i)}"
        for i in ordered[:8]
    )
    if not live:
        return Told(f"No incident is open on {names}.", lines)
    many = "1 incident is open" if len(live) == 1 else f"{len(live)} incidents are open"
    return Told(f"{many} on {names}; the most urgent is {live[0]['id']}, {live[0]['title']}.", lines)


def _happened(intent: Intent, found: Mapping[str, Any]) -> Told:
    events = found["recent_events"]
    if not isinstance(events, dict):
        return Told(str(events))
    span = f"in the last {events['minutes']} minutes"
    if not events["count"]:
        return Told(f"Nothing was reported of {intent.about} {span}.")
    lines = tuple(f"{_moment(event['time'])} {quoted(event['quoted'])}" for event in events["events"][:8])
    return Told(f"{_events(events['count'])} of {intent.about} {span}, the latest first:", lines)


def _overview(intent: Intent, found: Mapping[str, Any]) -> Told:
    live = [one for one in found["incidents"] if one["state"] in _LIVE and one["priority"] != "P3"]
    if not live:
        return Told("No incident is open but routine records.")
    lines = [
        f"{i['priority']} {i['id']} {i['title']} ({_events(i['event_count'])}, since {_since(i)}){_because(i)}"
        for i in live[:8]
    ]
    if len(live) > 8:
        lines.append(f"and {len(live) - 8} more: setpoint incidents list")
    many = "1 incident is open" if len(live) == 1 else f"{len(live)} incidents are open"
    return Told(f"{many}; the most urgent is {live[0]['id']}, {live[0]['title']}.", tuple(lines))


def _reviews(intent: Intent, found: Mapping[str, Any]) -> Told:
    rows = found["reviews"]
    if not rows:
        return Told("Nothing waits for a decision.")
    lines = [f"{row['id']} {row['subject']} ({_kind(row)}, {row['incident_id']})" for row in rows[:10]]
    if len(rows) > 10:
        lines.append(f"and {len(rows) - 10} more: setpoint review list")
    many = "1 decision is waiting" if len(rows) == 1 else f"{len(rows)} decisions are waiting"
    return Told(f"{many}.", tuple(lines))


def _kind(row: Mapping[str, Any]) -> str:
    return f"{row['proposal']['risk']} risk" if row.get("proposal") else str(row["kind"]).replace("_", " ")


def _knowledge(intent: Intent, found: Mapping[str, Any]) -> Told:
    """The best section's passages in the order one needs them: what it is, what to do, what to look at."""
    passages = found["search"]
    if not passages:
        named = _NAMED.search(intent.about)
        gear = f"the site file names no {named[0]}, and " if named else ""
        return Told(f"I don't know: {gear}the runbooks and manuals say nothing about this.", (_NEEDS,))
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
    return Told(f"From {first['title']}:", tuple(lines), tuple(one["id"] for one in chosen))


def _plant(intent: Intent, found: Mapping[str, Any]) -> Told:
    words = tell_more if intent.about in TELL_MORE else tell_site if intent.about in TELL else tell
    plain, lines = words(intent.about, found[intent.about])
    return Told(plain, tuple(lines))


def without_marks(text: str) -> str:
    """A runbook passage without the marks that tie its steps to the action catalog.

    >>> without_marks("1. Cordon the node. {action: cordon_node}")
    '1. Cordon the node.'
    """
    return _MARK.sub("", text)


_DESCRIBE: dict[IntentName, Callable[[Intent, Mapping[str, Any]], Told]] = {
    "incident": _incident, "asset": _asset, "overview": _overview, "reviews": _reviews, "knowledge": _knowledge,
    "plant": _plant, "incidents": _incidents, "events": _happened,
}  # fmt: skip


def _because(incident: Mapping[str, Any]) -> str:
    return f"; cause: {incident['cause']}" if incident.get("cause") else ""


def _events(many: int) -> str:
    return f"{many} event" if many == 1 else f"{many} events"


def _since(incident: Mapping[str, Any]) -> str:
    return str(incident.get("since") or incident["opened"])


def _moment(text: str) -> str:
    """A tool's time as people say it; the offset stays, so that it can be none other.

    >>> _moment("2026-11-22T06:15:57+01:00")
    '22 Nov 06:15:57 +01:00'
    """
    if len(text) < len("2026-11-22T06:15:57"):
        return text  # a time of day alone
    moment = datetime.fromisoformat(text)
    return f"{moment:%d %b %H:%M:%S} {text[19:]}".lstrip("0")


def _fact(slot: str, kind: str, text: str, *, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": "E1", "required": required}
    )
