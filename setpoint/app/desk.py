"""What an operator does from the command line or over HTTP, as plain functions over the ledger and the index.

Every function takes and returns JSON values, so that the same call works in process and against a running
`setpoint serve`, which owns the stores. `DESK` is the closed list of them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

from pydantic import JsonValue, ValidationError

from knowledge.causes import load_causes
from setpoint.app import (
    agent_desk,
    autonomy_desk,
    case_desk,
    cause_desk,
    chat_desk,
    learn_desk,
    loop_desk,
    site_desk,
    wording_desk,
)
from setpoint.contracts import Action, Decision, Event, Incident, Quarantined, Review, ReviewKind
from setpoint.contracts.feedback import FeedbackField
from setpoint.contracts.incident import IncidentState
from setpoint.contracts.sinks import sink_label
from setpoint.contracts.triage import PRIORITIES, Priority
from setpoint.errors import NotDecidable, UsageError
from setpoint.ledger import Ledger
from setpoint.settings import AutonomySettings
from tools.actions import describe, spec_of, validate
from tools.telemetry import History, Kept

if TYPE_CHECKING:
    from agents.operator import Tool
    from knowledge.index import Index
    from setpoint.app.chatting import Conversations
    from setpoint.app.proposing import Propose

LONGEST_SILENCE_MIN = 30 * 24 * 60
RULE_LINES = 80
"""Lines of a rule change that a review shows."""
_NUMBERED = re.compile(r"(\d+)\s*[:.)]\s*(\S.*)", re.DOTALL)
CORRECTABLE: dict[str, FeedbackField] = {
    "priority": "priority", "cause": "cause", "grouping": "grouping", "wording": "wording", "guide-step": "guide_step",
}  # fmt: skip


class Ask(Protocol):
    """Answers one chat question. Those of one thread are a conversation: a follow-up may lean on what was said."""

    def __call__(self, question: str, thread: str = "", who: str = "") -> dict[str, JsonValue]: ...


@dataclass(frozen=True)
class Desk:
    """The stores an operator's command needs."""

    ledger: Ledger
    site: Any
    open_index: Callable[[], Index]
    read_items: Callable[[bytes, str], tuple[list[Event], list[Quarantined]]]
    escalation: Callable[[Incident], tuple[Any, str]]
    """The escalation notice of an incident and the sink it goes to next."""
    versions: Callable[[], dict[str, str]]
    ask: Ask
    on_closed: Callable[[str], None] = lambda _: None
    """Told the incident that a person closed, where triage runs in this process."""
    on_merged: Callable[[str, str], None] = lambda _one, _into: None
    """Told the incident that a person put into another one, and that one."""
    flood_per_10min: int = 10
    """More new incidents than this in ten minutes are a flood."""
    autonomy: AutonomySettings = field(default_factory=AutonomySettings)
    history: Callable[[], History] = lambda: Kept({})
    """Readings of the past, for cases that are made of incidents."""
    propose: Callable[[], Propose] = agent_desk.nobody_proposes
    """Puts what a person wants done to review."""
    chats: Callable[[], Conversations] = agent_desk.nobody_converses
    """People's conversations with the ops agent."""
    tools: Callable[[], Mapping[str, Tool]] = dict
    """The reading tools of the ops agent, by name."""
    learning: Callable[[], learn_desk.Learning] = learn_desk.nowhere
    """Where lessons lie, and which models there are."""


Call = Callable[..., JsonValue]


# ---- incidents -----------------------------------------------------------------------------------------------


def incidents_list(
    desk: Desk, states: list[IncidentState] | None = None, priorities: list[Priority] | None = None, asset: str = "",
    limit: int = 100,
) -> JsonValue:  # fmt: skip
    """Most urgent first."""
    _known("state", states or (), get_args(IncidentState))
    _known("priority", priorities or (), PRIORITIES)
    found = desk.ledger.list_incidents(
        states=states or (), priorities=priorities or (), asset=asset, limit=limit
    )
    under = {name: one.root_id for name, one in desk.ledger.explained_by().items()}
    explained = Counter(under.values())
    return [
        incident.model_dump(mode="json")
        | {"explains": explained[incident.id], "explained_by": under.get(incident.id, "")}
        for incident in found
    ]


def _known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for one in given:
        if one not in known:
            raise UsageError(f"no {what} {one!r}", remedy=f"One of: {', '.join(known)}")


def incidents_show(desk: Desk, id: str) -> JsonValue:
    """One incident with its timeline, diagnosis and reviews."""
    loop_desk.refuse_cycle(id)
    incident = desk.ledger.get_incident(id)
    diagnosis = desk.ledger.get_diagnosis(id)
    events = desk.ledger.events_of(id, limit=200)
    triages = {triage.event_id: triage for triage in desk.ledger.triage_of(id)}
    return {
        "incident": incident.model_dump(mode="json"),
        "corrected_cause": desk.ledger.corrected_cause(id),
        "diagnosis": diagnosis.model_dump(mode="json") if diagnosis else None,
        "corrections": [item.model_dump(mode="json") for item in desk.ledger.list_feedback(subject=id)],
        "reviews": [review.model_dump(mode="json") for review in desk.ledger.list_reviews(incident_id=id)],
        "actions": [record.model_dump(mode="json") for record in desk.ledger.list_actions(incident_id=id)],
        "timeline": [item.model_dump(mode="json") for item in desk.ledger.timeline(id)],
        "events": [
            event.model_dump(mode="json")
            | {"triage": t.model_dump(mode="json") if (t := triages.get(event.id)) else None}
            for event in events
        ],
    }


def incidents_ack(desk: Desk, id: str, who: str, why: str = "") -> JsonValue:
    """Somebody has it: it no longer escalates."""
    return desk.ledger.acknowledge(id, who, why).model_dump(mode="json")


def incidents_close(desk: Desk, id: str, who: str, why: str = "") -> JsonValue:
    """Done with it; pending reviews of its actions are withdrawn."""
    incident = desk.ledger.set_state(id, "closed", who, why)
    for review in desk.ledger.list_reviews(states=("pending",), incident_id=id):
        desk.ledger.withdraw_review(review.id, who, "its incident was closed")
    desk.on_closed(id)
    return incident.model_dump(mode="json")


def incidents_escalate(desk: Desk, id: str, who: str, why: str = "") -> JsonValue:
    """Tell the next sink now."""
    notice, sink = desk.escalation(desk.ledger.get_incident(id))
    level = desk.ledger.escalate(id, notice, sink, who=who, why=why)
    return {"incident": id, "level": level, "sink": sink_label(sink)}


def incidents_correct(
    desk: Desk, id: str, field: str, value: str, who: str, why: str, part: str = ""
) -> JsonValue:
    """Change priority, cause, grouping, title ("wording"), a guide step or, with `part` (alert, summary, step-1 ...), one of
    its texts, with a reason; it becomes feedback. A text with a fact that is in no evidence of the incident is refused."""
    if field not in (*CORRECTABLE, "text"):
        raise UsageError(f"cannot correct {field!r}", remedy=f"One of: {', '.join(CORRECTABLE)}, text")
    if part and field != "text":
        raise UsageError(f"{field} has no parts", remedy="part goes with field text")
    if not why.strip():
        raise UsageError("a correction needs a reason", remedy="Add --why")
    if field == "text":
        return wording_desk.correct_text(desk, id, part, value, who, why)
    if field == "priority" and value not in PRIORITIES:
        raise UsageError(f"no priority {value!r}", remedy=f"One of: {', '.join(PRIORITIES)}")
    if field == "cause" and value not in load_causes():
        raise UsageError(
            f"no root cause {value!r} in the catalog", remedy="`setpoint knowledge causes` lists them"
        )
    what = _guide_step(desk, id, value) if field == "guide-step" else value
    made = desk.ledger.correct(id, CORRECTABLE[field], what, who, why, versions=desk.versions())
    return made.model_dump(mode="json")


def _guide_step(desk: Desk, id: str, value: str) -> JsonValue:
    """`3: new words` as a step of the guide; other text is about the guide as a whole."""
    match = _NUMBERED.fullmatch(value.strip())
    if not match:
        return value
    diagnosis = desk.ledger.get_diagnosis(id)
    steps = len(diagnosis.guide.steps) if diagnosis else 0
    if not 1 <= int(match[1]) <= steps:
        raise UsageError(
            f"the guide of {id} has no step {match[1]}",
            remedy=f"It has {steps}: `setpoint incidents show {id}`",
        )
    return {"step": int(match[1]), "text": match[2].strip()}


# ---- silences -------------------------------------------------------------------------------------------------


def silence_add(
    desk: Desk, who: str, why: str, minutes: float, asset: str = "*", kind: str = "*", template: str = "*"
) -> JsonValue:
    """Record matching events but notify nobody, for so long."""
    if not why.strip():
        raise UsageError("a silence needs a reason", remedy="Add --why")
    if not (math.isfinite(minutes) and 0 < minutes <= LONGEST_SILENCE_MIN):
        raise UsageError(
            f"a silence cannot last {minutes:g} minutes",
            remedy=f"Choose between 1 and {LONGEST_SILENCE_MIN} (30 days)",
        )
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    made = desk.ledger.add_silence(until=until, who=who, why=why, asset=asset, kind=kind, template=template)
    return made.model_dump(mode="json")


def silence_list(desk: Desk) -> JsonValue:
    """Silences that last, the oldest first."""
    return [silence.model_dump(mode="json") for silence in desk.ledger.list_silences()]


def silence_remove(desk: Desk, id: str, who: str) -> JsonValue:
    """End a silence before its time."""
    if not desk.ledger.remove_silence(id, who):
        raise UsageError(f"no silence {id!r}", remedy="`setpoint silence list` shows what there is")
    return {"removed": id}


# ---- reviews --------------------------------------------------------------------------------------------------


def review_list(desk: Desk, all: bool = False, kinds: list[str] | None = None) -> JsonValue:
    """The shift's shared queue, oldest first."""
    _known("kind of review", kinds or (), get_args(ReviewKind))
    states = () if all else ("pending",)
    rows = [_review(desk, review) for review in desk.ledger.list_reviews(states=states, kinds=kinds or ())]
    found = desk.ledger.find_incidents([str(row["incident_id"]) for row in rows if row["incident_id"]])
    cycles = loop_desk.about(desk, [str(row["incident_id"]) for row in rows])
    return [row | _about(found.get(name := str(row["incident_id"]))) | cycles.get(name, {}) for row in rows]


def review_show(desk: Desk, id: str) -> JsonValue:
    """One review with what a person needs to decide it: incident, evidence in words, what was edited, rule lines."""
    review = desk.ledger.get_review(id)
    incident = desk.ledger.find_incidents([review.incident_id]).get(review.incident_id)
    more: dict[str, JsonValue] = {}
    if review.proposal is not None:
        diagnosis = desk.ledger.get_diagnosis(review.incident_id) if incident else None
        more["evidence_texts"] = {piece.id: piece.text for piece in diagnosis.evidence} if diagnosis else {}
    if review.kind == "rule_change":
        more["rule_lines"] = _rule_lines(desk, id)
    cycle = loop_desk.about(desk, [review.incident_id]).get(review.incident_id, {})
    return _review(desk, review) | _about(incident) | cycle | more


def _about(incident: Incident | None) -> dict[str, JsonValue]:
    return {"priority": incident.priority, "incident_title": incident.title} if incident else {}


def _rule_lines(desk: Desk, id: str) -> list[JsonValue]:
    """The difference from what counts now, as a unified diff; all lines of a first version."""
    versions = desk.ledger.list_rules()
    asked = next((version for version in versions if version.review_id == id), None)
    if asked is None:
        return []
    before = [
        v for v in versions if v.name == asked.name and v.state == "accepted" and v.digest != asked.digest
    ]
    old = before[-1].content.splitlines() if before else []
    lines = list(
        difflib.unified_diff(old, asked.content.splitlines(), "counts now", asked.name, lineterm="", n=2)
    )
    shown: list[JsonValue] = [*lines[:RULE_LINES]]
    return shown if len(lines) <= RULE_LINES else [*shown, f"... {len(lines) - RULE_LINES} more lines"]


def review_decide(
    desk: Desk, id: str, type: str, who: str, reason: str = "", digest: str = "", args: dict[str, Any] | None = None,
    answer: str = "", asset: str = "", simulated: bool = False,
) -> JsonValue:  # fmt: skip
    """approve, edit, reject or respond. `digest` is the one the person saw; empty takes the present one. `asset`: its name as
    the person typed it, which a yes to something of high risk needs."""
    if simulated and not desk.site.simulated:
        raise UsageError(
            "a simulated decision is for a simulated site", where=id, remedy="Decide it as a person"
        )
    review = desk.ledger.get_review(id)
    edited = _edited(desk, review, args or {}) if type == "edit" else None
    try:
        decision = Decision.model_validate(
            {
                "type": type,
                "who": who,
                "reason": reason,
                "edited": edited,
                "answer": answer,
                "asset": asset,
                "simulated": simulated,
            }
        )
    except ValidationError as error:
        raise UsageError(f"not a decision: {error.errors()[0]['msg']}", where=id) from error
    decided = desk.ledger.decide(id, digest or review.digest, decision, versions=desk.versions())
    return {
        "review": decided.review.model_dump(mode="json"),
        "final": decided.final,
        "approvals": list(decided.approvals),
        "needed": decided.needed,
    }


def _edited(desk: Desk, review: Review, changes: dict[str, Any]) -> Action:
    if review.proposal is None:
        raise NotDecidable(
            "only an action can be edited", where=review.id, remedy="Approve, reject or respond"
        )
    unknown = set(changes) - set(review.proposal.action.args)
    if unknown:
        known = ", ".join(review.proposal.action.args) or "none"
        raise UsageError(f"no argument {min(unknown)!r}", where=review.id, remedy=f"Its arguments: {known}")
    action = review.proposal.action
    return validate(action.model_copy(update={"args": action.args | changes}), desk.site)


def _review(desk: Desk, review: Review) -> dict[str, JsonValue]:
    agreed, needed = desk.ledger.approvals(review.id)
    row: dict[str, JsonValue] = review.model_dump(mode="json")
    row |= {"approvals": list(agreed), "needed": needed}
    return row | _edited_since(desk, review)


def _edited_since(desk: Desk, review: Review) -> dict[str, JsonValue]:
    """What was asked first, where somebody has edited it, and the effect of what stands now."""
    proposal = review.proposal
    if proposal is None or review.digest.startswith(proposal.id.removeprefix("ACT-")):
        return {}
    said = desk.ledger.list_feedback(subject=review.id, simulated=True, limit=1)
    first = said[0].proposed if said else None
    asked = first.get("args") if isinstance(first, dict) else None
    if not isinstance(asked, dict) or asked == proposal.action.args:
        return {}
    effect = f"{describe(proposal.action)}. {spec_of(proposal.action.name).effect}"
    return {
        "asked_args": asked,
        "proposal": proposal.model_copy(update={"effect": effect}).model_dump(mode="json"),
    }


# ---- feedback, quarantine, knowledge, rules, audit ---------------------------------------------------------------


def feedback_list(desk: Desk, subject: str = "", simulated: bool = False) -> JsonValue:
    """What people decided and corrected, the oldest first."""
    return [
        item.model_dump(mode="json")
        for item in desk.ledger.list_feedback(subject=subject, simulated=simulated)
    ]


def feedback_export(desk: Desk, kind: str = "raw", simulated: bool = False) -> JsonValue:
    """Lines of JSON, for training: raw, preference or supervised."""
    if kind not in ("raw", "preference", "supervised"):
        raise UsageError(f"no export kind {kind!r}", remedy="One of: raw, preference, supervised")
    return list(desk.ledger.export_feedback(kind, simulated=simulated))


def quarantine_list(desk: Desk) -> JsonValue:
    """Input that could not be read, without its text."""
    return [
        item.item.model_dump(mode="json", exclude={"raw"})
        | {"bytes": len(item.item.raw), "state": item.state}
        for item in desk.ledger.list_quarantine()
    ]


def quarantine_show(desk: Desk, id: str) -> JsonValue:
    """One item that could not be read, with its text and the reason."""
    held = desk.ledger.get_quarantined(id)
    raw = held.item.raw.decode("utf-8", "backslashreplace")
    return held.item.model_dump(mode="json", exclude={"raw"}) | {"raw": raw, "state": held.state}


def quarantine_replay(desk: Desk, id: str, text: str = "") -> JsonValue:
    """Read the item again, mended where `text` is given. It leaves quarantine only if it can be read now."""
    held = desk.ledger.get_quarantined(id)
    if held.state != "held":
        raise UsageError(f"it is no longer in quarantine: {held.state}", where=id)
    events, bad = desk.read_items(text.encode() if text else held.item.raw, f"quarantine {id}")
    if bad or not events:
        problem = bad[0].reason if bad else "it holds no event"
        raise UsageError(
            f"still cannot be read: {problem}",
            where=id,
            remedy=f"Mend it and give it with --mended FILE (`setpoint quarantine show {id}` prints it)",
        )
    taken = desk.ledger.accept(events, (), f"quarantine {id}")
    desk.ledger.mark_replayed(id)
    return {"replayed": id, "events": taken.new, "duplicates": taken.duplicates}


def quarantine_remove(desk: Desk, id: str) -> JsonValue:
    """Drop an item that nobody will mend."""
    held = desk.ledger.get_quarantined(id)
    if not desk.ledger.remove_quarantined(id):
        raise UsageError(f"it is no longer in quarantine: {held.state}", where=id)
    return {"removed": id}


def knowledge_search(desk: Desk, query: str, limit: int = 6) -> JsonValue:
    """Passages of runbooks and manuals, the best first."""
    return [passage.model_dump(mode="json") for passage in desk.open_index().search(query, limit)]


def knowledge_list(desk: Desk) -> JsonValue:
    """Documents of the knowledge index."""
    return [vars(document) for document in desk.open_index().documents()]


def knowledge_add(desk: Desk, path: str) -> JsonValue:
    """Put a manual of the site into the knowledge index."""
    return {"added": Path(path).name, "passages": desk.open_index().add(Path(path))}


def knowledge_remove(desk: Desk, manual: str) -> JsonValue:
    """Take a manual out of the knowledge index."""
    desk.open_index().remove(manual)
    return {"removed": manual}


def knowledge_causes(desk: Desk) -> JsonValue:
    """Root causes of the catalog."""
    return [
        {"id": c.id, "area": c.area, "title": c.title, "meaning": c.meaning} for c in load_causes().values()
    ]


def rules_list(desk: Desk) -> JsonValue:
    """Versions of rule sets and whether they count."""
    return [version.model_dump(mode="json", exclude={"content"}) for version in desk.ledger.list_rules()]


def audit_list(desk: Desk, subject: str = "", after: int = -1, limit: int = 50) -> JsonValue:
    """Rows numbered above `after`; without it the latest."""
    if after < 0:
        begin = 0 if subject else max(0, desk.ledger.stats().audit_rows - limit)
        rows = desk.ledger.list_audit(subject=subject, after=begin, limit=100_000)[-limit:]
    else:
        rows = desk.ledger.list_audit(subject=subject, after=after, limit=limit)
    return [row.model_dump(mode="json") for row in rows]


def audit_verify(desk: Desk) -> JsonValue:
    """Recompute the audit chain; names the first row that does not fit."""
    return desk.ledger.verify_chain().model_dump(mode="json")


def site_info(desk: Desk) -> JsonValue:
    """Name and time zone of the site, so that times are shown as its people say them."""
    return {"name": desk.site.name, "timezone": desk.site.timezone, "simulated": desk.site.simulated}


def stats(desk: Desk) -> JsonValue:
    """Counts of everything in the ledger."""
    return desk.ledger.stats().model_dump(mode="json")


def chat_ask(desk: Desk, question: str, thread: str = "", who: str = "") -> JsonValue:
    """One answer, waited for. Where a person asks, an action may be put to review for them."""
    return desk.ask(question, thread, who)


DESK: dict[str, Call] = {
    function.__name__: function
    for function in (
        incidents_list, incidents_show, cause_desk.incidents_causes, cause_desk.incidents_ungroup, incidents_ack, incidents_close, incidents_escalate, incidents_correct,
        silence_add, silence_list, silence_remove, review_list, review_show, review_decide, agent_desk.review_propose, agent_desk.tools_list, agent_desk.tools_call, feedback_list,
        feedback_export, quarantine_list, quarantine_show, quarantine_replay, quarantine_remove, knowledge_search,
        knowledge_list, knowledge_add, knowledge_remove, knowledge_causes, rules_list, audit_list, audit_verify, stats,
        site_info, chat_ask, chat_desk.chat_start, chat_desk.chat_follow, chat_desk.chat_stop, chat_desk.chat_list, chat_desk.chat_show,
        chat_desk.chat_remove, autonomy_desk.autonomy_list, autonomy_desk.autonomy_show, autonomy_desk.autonomy_set,
        autonomy_desk.autonomy_sign, autonomy_desk.autonomy_revoke, autonomy_desk.autonomy_harm,
        autonomy_desk.review_approve_recommended, loop_desk.loops_list, loop_desk.loops_show, case_desk.cases_list, case_desk.cases_show,
        site_desk.site_plots_list, site_desk.review_fields_list, site_desk.who_show, wording_desk.incidents_texts_list,
        learn_desk.learning_show, learn_desk.learning_prepare, learn_desk.learning_sign,
    )
}  # fmt: skip
READS = frozenset(
    name
    for name in DESK
    if name.endswith(("_list", "_show", "_search", "_causes", "_verify", "_info", "stats"))
)
"""Functions that change nothing."""
