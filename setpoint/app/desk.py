"""What an operator does from the command line or over HTTP, as plain functions over the ledger and the index.

Every function takes and returns JSON values, so that the same call works in process and against a running
`setpoint serve`, which owns the stores. `DESK` is the closed list of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pydantic import JsonValue, ValidationError

from knowledge.causes import load_causes
from knowledge.index import Index
from setpoint.contracts import Action, Decision, Event, Incident, Quarantined, Review
from setpoint.contracts.feedback import FeedbackField
from setpoint.contracts.incident import IncidentState
from setpoint.contracts.triage import PRIORITIES, Priority
from setpoint.errors import NotDecidable, UsageError
from setpoint.ledger import Ledger
from tools.actions import validate

CORRECTABLE: dict[str, FeedbackField] = {
    "priority": "priority", "cause": "cause", "grouping": "grouping", "wording": "wording", "guide-step": "guide_step",
}  # fmt: skip


class Ask(Protocol):
    """Answers one chat question."""

    def __call__(self, question: str) -> dict[str, JsonValue]: ...


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


Call = Callable[..., JsonValue]


# ---- incidents -----------------------------------------------------------------------------------------------


def incidents_list(
    desk: Desk, states: list[IncidentState] | None = None, priorities: list[Priority] | None = None, asset: str = "",
    limit: int = 100,
) -> JsonValue:  # fmt: skip
    """Most urgent first."""
    found = desk.ledger.list_incidents(
        states=states or (), priorities=priorities or (), asset=asset, limit=limit
    )
    return [incident.model_dump(mode="json") for incident in found]


def incidents_show(desk: Desk, id: str) -> JsonValue:
    """One incident with its timeline, diagnosis and reviews."""
    incident = desk.ledger.get_incident(id)
    diagnosis = desk.ledger.get_diagnosis(id)
    events = desk.ledger.events_of(id, limit=200)
    triages = {triage.event_id: triage for triage in desk.ledger.triage_of(id)}
    return {
        "incident": incident.model_dump(mode="json"),
        "corrected_cause": desk.ledger.corrected_cause(id),
        "diagnosis": diagnosis.model_dump(mode="json") if diagnosis else None,
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
    return incident.model_dump(mode="json")


def incidents_escalate(desk: Desk, id: str, who: str, why: str = "") -> JsonValue:
    """Tell the next sink now."""
    notice, sink = desk.escalation(desk.ledger.get_incident(id))
    level = desk.ledger.escalate(id, notice, sink, who=who, why=why)
    return {"incident": id, "level": level, "sink": sink}


def incidents_correct(desk: Desk, id: str, field: str, value: str, who: str, why: str) -> JsonValue:
    """Change priority, cause, grouping, wording or a guide step, with a reason; it becomes feedback."""
    if field not in CORRECTABLE:
        raise UsageError(f"cannot correct {field!r}", remedy=f"One of: {', '.join(CORRECTABLE)}")
    if not why.strip():
        raise UsageError("a correction needs a reason", remedy="Add --why")
    if field == "priority" and value not in PRIORITIES:
        raise UsageError(f"no priority {value!r}", remedy=f"One of: {', '.join(PRIORITIES)}")
    if field == "cause" and value not in load_causes():
        raise UsageError(
            f"no root cause {value!r} in the catalog", remedy="`setpoint knowledge causes` lists them"
        )
    made = desk.ledger.correct(id, CORRECTABLE[field], value, who, why, versions=desk.versions())
    return made.model_dump(mode="json")


# ---- silences -------------------------------------------------------------------------------------------------


def silence_add(
    desk: Desk, who: str, why: str, minutes: float, asset: str = "*", kind: str = "*", template: str = "*"
) -> JsonValue:
    """Record matching events but notify nobody, for so long."""
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    made = desk.ledger.add_silence(until=until, who=who, why=why, asset=asset, kind=kind, template=template)
    return made.model_dump(mode="json")


def silence_list(desk: Desk) -> JsonValue:
    return [silence.model_dump(mode="json") for silence in desk.ledger.list_silences()]


def silence_remove(desk: Desk, id: str, who: str) -> JsonValue:
    if not desk.ledger.remove_silence(id, who):
        raise UsageError(f"no silence {id!r}", remedy="`setpoint silence list` shows what there is")
    return {"removed": id}


# ---- reviews --------------------------------------------------------------------------------------------------


def review_list(desk: Desk, all: bool = False, kinds: list[str] | None = None) -> JsonValue:
    """The shift's shared queue, oldest first."""
    states = () if all else ("pending",)
    return [_review(desk, review) for review in desk.ledger.list_reviews(states=states, kinds=kinds or ())]


def review_show(desk: Desk, id: str) -> JsonValue:
    return _review(desk, desk.ledger.get_review(id))


def review_decide(
    desk: Desk, id: str, type: str, who: str, reason: str = "", digest: str = "", args: dict[str, Any] | None = None,
    answer: str = "", simulated: bool = False,
) -> JsonValue:  # fmt: skip
    """approve, edit, reject or respond. `digest` is the one the person saw; empty takes the present one."""
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
    return review.model_dump(mode="json") | {"approvals": list(agreed), "needed": needed}


# ---- feedback, quarantine, knowledge, rules, audit ---------------------------------------------------------------


def feedback_list(desk: Desk, subject: str = "", simulated: bool = False) -> JsonValue:
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
    return [
        item.item.model_dump(mode="json", exclude={"raw"})
        | {"bytes": len(item.item.raw), "state": item.state}
        for item in desk.ledger.list_quarantine()
    ]


def quarantine_show(desk: Desk, id: str) -> JsonValue:
    held = desk.ledger.get_quarantined(id)
    raw = held.item.raw.decode("utf-8", "backslashreplace")
    return held.item.model_dump(mode="json", exclude={"raw"}) | {"raw": raw, "state": held.state}


def quarantine_replay(desk: Desk, id: str, text: str = "") -> JsonValue:
    """Read the item again, mended where `text` is given. It leaves quarantine only if it can be read now."""
    held = desk.ledger.get_quarantined(id)
    events, bad = desk.read_items(text.encode() if text else held.item.raw, f"quarantine {id}")
    if bad or not events:
        problem = bad[0].reason if bad else "it holds no event"
        raise UsageError(f"still cannot be read: {problem}", where=id, remedy=bad[0].remedy if bad else "")
    taken = desk.ledger.accept(events, (), f"quarantine {id}")
    desk.ledger.mark_replayed(id)
    return {"replayed": id, "events": taken.new, "duplicates": taken.duplicates}


def quarantine_remove(desk: Desk, id: str) -> JsonValue:
    return {"removed": desk.ledger.remove_quarantined(id)}


def knowledge_search(desk: Desk, query: str, limit: int = 6) -> JsonValue:
    return [passage.model_dump(mode="json") for passage in desk.open_index().search(query, limit)]


def knowledge_list(desk: Desk) -> JsonValue:
    return [vars(document) for document in desk.open_index().documents()]


def knowledge_add(desk: Desk, path: str) -> JsonValue:
    return {"added": Path(path).name, "passages": desk.open_index().add(Path(path))}


def knowledge_remove(desk: Desk, manual: str) -> JsonValue:
    desk.open_index().remove(manual)
    return {"removed": manual}


def knowledge_causes(desk: Desk) -> JsonValue:
    return [
        {"id": c.id, "area": c.area, "title": c.title, "meaning": c.meaning} for c in load_causes().values()
    ]


def rules_list(desk: Desk) -> JsonValue:
    return [version.model_dump(mode="json", exclude={"content"}) for version in desk.ledger.list_rules()]


def audit_list(desk: Desk, subject: str = "", after: int = 0, limit: int = 200) -> JsonValue:
    return [
        row.model_dump(mode="json")
        for row in desk.ledger.list_audit(subject=subject, after=after, limit=limit)
    ]


def audit_verify(desk: Desk) -> JsonValue:
    return desk.ledger.verify_chain().model_dump(mode="json")


def stats(desk: Desk) -> JsonValue:
    return desk.ledger.stats().model_dump(mode="json")


def chat_ask(desk: Desk, question: str) -> JsonValue:
    return desk.ask(question)


DESK: dict[str, Call] = {
    function.__name__: function
    for function in (
        incidents_list, incidents_show, incidents_ack, incidents_close, incidents_escalate, incidents_correct,
        silence_add, silence_list, silence_remove, review_list, review_show, review_decide, feedback_list,
        feedback_export, quarantine_list, quarantine_show, quarantine_replay, quarantine_remove, knowledge_search,
        knowledge_list, knowledge_add, knowledge_remove, knowledge_causes, rules_list, audit_list, audit_verify, stats,
        chat_ask,
    )
}  # fmt: skip
READS = frozenset(
    name for name in DESK if name.endswith(("_list", "_show", "_search", "_causes", "_verify", "stats"))
)
"""Functions that change nothing."""
