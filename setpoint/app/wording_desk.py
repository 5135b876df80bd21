"""A person says one of an incident's texts better. Any words are theirs to choose; a fact that the incident has not is
refused, because facts are never invented, not even by a typing error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import JsonValue

from setpoint.contracts import Diagnosis, Evidence
from setpoint.contracts.wording import Wording, is_part
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.app.desk import Desk

LONGEST_TEXT = 600
"""Characters of a text as an operator may write it."""
EVENTS = 2000
"""Of an incident, whose facts a text may use."""


def incidents_texts_list(desk: Desk, id: str) -> JsonValue:
    """The texts of an incident that can be said better, as they read now: its alert, summary and steps."""
    desk.ledger.get_incident(id)
    return [
        {"part": one.part, "text": one.text, "written_by": one.written_by}
        for one in desk.ledger.list_texts(id)
    ]


def correct_text(desk: Desk, id: str, part: str, text: str, who: str, why: str) -> JsonValue:
    """Show `text` in its place and keep both to learn from. "" says that the text is bad, without better words."""
    clean = " ".join(text.split())
    now = _standing(desk, id, part)
    if clean == " ".join(now.split()):
        raise UsageError("this is how it reads already", where=f"{id} {part}", remedy="Change the words")
    if len(clean) > LONGEST_TEXT:
        raise UsageError(
            f"the text has {len(clean)} characters, at most {LONGEST_TEXT} are kept", remedy="Say it shorter"
        )
    if not clean.isprintable():
        raise UsageError(
            "the text holds a character that nobody sees", remedy="Type it instead of pasting it"
        )
    if clean:
        _refuse_foreign(desk, id, clean)
    origin = _alert_origin(desk, id, now) if part == "alert" else None
    made = desk.ledger.correct(
        id, "wording", {"part": part, "text": clean}, who, why, versions=desk.versions(), origin=origin
    )
    return made.model_dump(mode="json")


def _standing(desk: Desk, id: str, part: str) -> str:
    """How it reads now. Raises UsageError where there is no such text."""
    if not is_part(part):
        raise UsageError(
            f"no text is called {part!r}" if part else "say which text is meant",
            remedy="--part alert, summary or step-N (`setpoint incidents show` numbers the steps)",
        )
    desk.ledger.get_incident(id)
    texts = {one.part: one.text for one in desk.ledger.list_texts(id)}
    if part not in texts:
        raise UsageError(
            f"{id} has no {part.replace('-', ' ')}",
            remedy=f"It has: {', '.join(texts) or 'no text that can be corrected'}",
        )
    return texts[part]


def _refuse_foreign(desk: Desk, id: str, text: str) -> None:
    from agents.verification import foreign_facts

    evidence = list(_evidence(desk, id))
    problems = [*foreign_facts(text, evidence), *_strangers(desk, text, evidence)]
    if problems:
        raise UsageError(
            f"the text says what this incident does not know: {'; '.join(problems)}",
            where=id,
            remedy="Use the facts of its events and evidence, spelled as there",
        )


def _strangers(desk: Desk, text: str, evidence: list[Evidence | str]) -> Iterator[str]:
    """Assets and tenants of the site that the incident has nothing to do with."""
    known = " ".join(one if isinstance(one, str) else one.text for one in evidence).lower()
    names = {asset.name for asset in desk.site.assets} | {
        asset.tenant for asset in desk.site.assets if asset.tenant
    }
    for name in sorted(names):
        found = re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", text.lower())
        if found and name.lower() not in known:
            yield f"name {name!r} is not in the evidence"


def _evidence(desk: Desk, id: str) -> Iterator[Evidence | str]:
    """Everything that is known of the incident: its events, its analysis and what was said of it."""
    ledger, incident = desk.ledger, desk.ledger.get_incident(id)
    yield " ".join((incident.id, incident.title, incident.priority, *incident.assets))
    yield f"{incident.event_count} events on {len(incident.assets)} assets"
    for text in ledger.list_texts(id):
        yield text.text
    for delivery in ledger.list_deliveries(incident_id=id, limit=100):
        yield f"{delivery.notice.title}\n{delivery.notice.text}"
    yield from _event_facts(desk, id)
    if (diagnosis := ledger.get_diagnosis(id)) is not None:
        yield from _of_analysis(diagnosis)


def _event_facts(desk: Desk, id: str) -> Iterator[str]:
    """Each event as an operator spells it: values with units, times of the site, places."""
    from agents.alert_facts import alert_sheet, case_of, dated

    incident, triages = desk.ledger.get_incident(id), {one.event_id: one for one in desk.ledger.triage_of(id)}
    for event in desk.ledger.events_of(id, EVENTS):
        yield f"{event.asset} {event.kind} {event.message} {dated(event.time, desk.site)}"
        if event.id in triages:
            sheet = alert_sheet(case_of(incident, [event], [triages[event.id]], desk.site))
            yield "; ".join((sheet.condition, *(fact.text for fact in sheet.facts)))


def _of_analysis(diagnosis: Diagnosis) -> Iterator[Evidence | str]:
    yield from diagnosis.evidence
    for passage in diagnosis.passages:
        yield passage.text
    for one in diagnosis.hypotheses:
        yield one.title
    for step in diagnosis.guide.steps:
        yield step.text


def _alert_origin(desk: Desk, id: str, text: str) -> Wording | None:
    """What a template's alert says, as the model is told it: as known from its first correction, else made of its events.
    None where none of them is ranked any more."""
    from agents.alert_facts import case_of, clock
    from agents.rewording import alert_input
    from agents.wordings import origin_of

    for item in desk.ledger.list_feedback(subject=id, fields=("wording",)):
        if (
            isinstance(item.proposed, dict)
            and item.proposed.get("part") == "alert"
            and item.proposed["inputs"]
        ):
            return Wording.model_validate({key: item.proposed[key] for key in ("task", "inputs", "words")})
    incident, events = desk.ledger.get_incident(id), desk.ledger.events_of(id)
    # The event that the alert is about; others have come since.
    told = [one for one in events if clock(one.time, desk.site) in text]
    try:
        case = case_of(incident, told or events, desk.ledger.triage_of(id), desk.site)
    except ValueError:
        return None
    return origin_of("alert", alert_input(case))
