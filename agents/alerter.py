"""The alerter: what an operator is told. Every notice here is a deterministic template and waits for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from agents.alert_facts import (
    Case,
    alert_sheet,
    case_of,
    clock,
    counted,
    dated,
    lasted,
    measured,
    place_of,
    said_by_source,
    tenants_of,
)
from knowledge.causes import load_causes
from knowledge.runbooks import Section, Step, load_corpus
from setpoint.contracts import Event, Incident, Notice, Ranked, Triage
from setpoint.contracts.site import Site
from setpoint.contracts.wording import FIRST

TEMPLATE = "template"
_CONDITIONAL = ("For ", "If ", "On a", "When ", "With ", "Where ", "After ", "Once ")
Stage = Literal["first", "update", "resolved"]
_MOST_NAMED = 3
FIRST_SIGN_S = 60.0
"""An incident that began this long before its worst event says so."""


@dataclass(frozen=True)
class FirstStep:
    """What to do first about one cause, from its runbook."""

    safety: str = ""
    """The runbook's safety sentence, which comes before everything."""
    step: str = ""
    runbook: str = ""

    def __str__(self) -> str:
        parts = [part for part in (self.safety, self.step) if part]
        return f"{' '.join(parts)} (runbook {self.runbook})" if parts else ""


class Alerter:
    """Writes the notices of one site. Construct once: it reads the runbooks' first steps."""

    def __init__(self, site: Site, first_steps: Mapping[str, FirstStep] | None = None) -> None:
        self.site = site
        self.first_steps = read_first_steps() if first_steps is None else first_steps

    def __call__(self, stage: Stage, incident: Incident, events: Sequence[Ranked]) -> Notice:
        """The notice of a stage, for triage's dispatch; its version is left 0."""
        plain, triages = [one.event for one in events], [one.triage for one in events]
        if stage == "resolved":
            return resolved_notice(incident, plain, self.site)
        if stage == "update":
            return update_notice(incident, plain, triages, self.site)
        return first_notice(incident, plain, triages, self.site, self.first_step(triages))

    def first_step(self, triages: Sequence[Triage]) -> FirstStep:
        """Of the most important triage that points at a cause with a runbook."""
        for triage in sorted(triages, key=lambda one: one.priority):
            for cause in triage.cause_hints:
                if cause in self.first_steps:
                    return self.first_steps[cause]
        return FirstStep()


def read_first_steps() -> dict[str, FirstStep]:
    """By cause id, from the first runbook section of each cause."""
    corpus = load_corpus()
    found = {}
    for cause in load_causes().values():
        section = next((corpus[name] for name in cause.sections if name in corpus), None)
        if section and (step := _first_step(section)).step:
            found[cause.id] = step
    return found


def _first_step(section: Section) -> FirstStep:
    safety = next((step for step in section.steps if step.is_safety), None)
    first = next((step for step in section.steps if not step.is_safety), None)
    if first and _is_plain(first):
        warning = _sentence(safety.text.removeprefix("Safety:").strip()) if safety else ""
        return FirstStep(warning, _sentence(first.text), section.id)
    # A step that holds only under a condition is no first step; the first check finds out whether it does.
    check = next((step for step in section.checks if _is_plain(step)), None)
    return FirstStep("", _sentence(check.text) if check else "", section.id)


def _is_plain(step: Step) -> bool:
    return len(step.text) <= 160 and "`" not in step.text and not step.text.startswith(_CONDITIONAL)


def _sentence(text: str) -> str:
    clean = " ".join(text.split())
    clean = clean[:1].upper() + clean[1:]
    return clean if clean.endswith((".", "!", "?")) else f"{clean}."


def first_notice(
    incident: Incident,
    events: Sequence[Event],
    triages: Sequence[Triage],
    site: Site,
    first_step: FirstStep | None = None,
) -> Notice:
    """What, where, since when, how bad, why it matters, what to do first: a title and at most three lines."""
    case = case_of(incident, events, triages, site)
    lines = [_facts_line(case), _why_line(case)]
    if first_step and str(first_step):
        lines.append(f"{FIRST}{first_step}")
    return _notice(incident, "first", incident.title, lines)


def plain_notice(last: Notice, words: str, written_by: str, first_step: FirstStep | None = None) -> Notice:
    """The version after `last` in a model's verified and filled words. What to do first stays the runbook's."""
    lines = [words]
    if first_step and str(first_step):
        lines.append(f"{FIRST}{first_step}")
    update = {
        "version": last.version + 1,
        "stage": "plain",
        "text": "\n".join(lines),
        "written_by": written_by,
    }
    return last.model_copy(update=update)


def update_notice(
    incident: Incident, events: Sequence[Event], triages: Sequence[Triage], site: Site
) -> Notice:
    """What is new about an incident that somebody knows of."""
    case = case_of(incident, events, triages, site)
    newest = case.condition[:1].upper() + case.condition[1:]
    detail = measured(case.lead)
    where = f" on {case.lead.asset}" if case.lead.asset != "unknown" else ""
    lines = [
        f"Now {counted(incident)}, since {dated(incident.opened, site)}.",
        f"New: {newest}{where} at {dated(case.lead.time, site)}{f': {detail}' if detail else ''}.",
    ]
    return _notice(incident, "update", incident.title, lines)


def resolved_notice(incident: Incident, events: Sequence[Event], site: Site) -> Notice:
    """It is over, and how long it lasted."""
    ends = [event.time for event in events if event.status == "resolved"]
    over = max(ends, default=incident.updated)
    seconds = (over - incident.opened).total_seconds()
    lines = [
        f"Over since {dated(over, site)}, after {lasted(seconds)}"
        + (f"; {counted(incident)}." if incident.event_count > 1 else ".")
    ]
    return _notice(incident, "resolved", f"Over: {incident.title}", lines)


def escalation_notice(
    incident: Incident,
    last: Notice | None,
    site: Site,
    now: datetime,
    told: str = "",
    told_at: datetime | None = None,
) -> Notice:
    """Nobody has answered. `told`: who was told before, `told_at`: when; `last`: what they were told."""
    waited = lasted((now - (told_at or incident.opened)).total_seconds())
    lines = [
        f"Nobody has acknowledged this {incident.priority} for {waited}{f' (told: {told})' if told else ''}."
    ]
    if last is not None:
        lines.append(last.text)
    lines.append(f"Acknowledge with: setpoint incidents ack {incident.id}")
    return _notice(incident, "escalation", f"Not acknowledged: {incident.title}", lines)


def storm_notice(incidents: Sequence[Incident], window: timedelta, site: Site) -> Notice:
    """Many incidents at once, said in one. Raises ValueError without incidents."""
    if not incidents:
        raise ValueError("a storm notice needs incidents")
    order = sorted(incidents, key=lambda one: (one.priority, -one.event_count, one.opened, one.id))
    begin = min(one.opened for one in incidents)
    per_priority = Counter(one.priority for one in incidents)
    named = "; ".join(f"{one.priority} {one.title} ({one.id})" for one in order[:_MOST_NAMED])
    more = len(order) - _MOST_NAMED
    lines = [
        f"Since {dated(begin, site)}: {', '.join(f'{number} {name}' for name, number in sorted(per_priority.items()))}; "
        f"{sum(one.event_count for one in incidents)} events.",
        f"Most important: {named}{f'; and {more} more' if more > 0 else ''}.",
        "Only P0 is notified one by one until this is over. All of them: setpoint incidents list",
    ]
    notice = _notice(
        order[0], "storm", f"{len(incidents)} incidents within {lasted(window.total_seconds())}", lines
    )
    return notice.model_copy(update={"dedup_key": f"storm:{begin:%Y%m%dT%H%M%SZ}"})


def why(case: Case) -> str:
    """The reason that carried the priority, as a clause."""
    triage = case.triage
    for judgement in (triage.impact, triage.urgency, triage.complexity):
        if judgement.level == "high" and judgement.reason:
            return judgement.reason.rstrip(".")
    return triage.impact.reason.rstrip(".")


def why_in_words(case: Case) -> str:
    """`why` where it holds no fact, for a model to say; "" otherwise."""
    clause = why(case)
    names = [case.lead.asset, *case.incident.assets]
    holds_facts = any(char.isdigit() or char in '{}"`' for char in clause)
    return "" if holds_facts or any(name.lower() in clause.lower() for name in names) else clause


def _facts_line(case: Case) -> str:
    place = place_of(case.asset, case.site)
    line = f"Since {dated(case.lead.time, case.site)}" + (f", in {place}" if place else "")
    if detail := measured(case.lead):
        line += f": {detail}."
    elif case.triage.condition and (quote := said_by_source(case.lead)):
        line += f'. The source says: "{quote}"' + ("" if quote.endswith((".", "!", "?")) else ".")
    else:
        line += "."
    if case.incident.event_count == 1:
        return line
    earlier = (case.lead.time - case.incident.opened).total_seconds() > FIRST_SIGN_S
    began = f", the first at {clock(case.incident.opened, case.site)}" if earlier else ""
    return f"{line} {counted(case.incident)}{began}."


def _why_line(case: Case) -> str:
    parts = [why(case)]
    below = len(case.site.downstream(case.lead.asset))
    if below and not any(char.isdigit() for char in parts[0]):
        parts.append(_standing_on(case, below))
    tenants = tenants_of(case.lead.asset, case.site)
    if tenants and tenants.lower() not in parts[0].lower():
        parts.append(f"VIP tenant {tenants} is affected")
    line = "; ".join(part for part in parts if part)
    line = f"Why it matters: {line}." if line else f"Ranked {case.incident.priority}."
    if case.triage.undecided:
        line += " No rule knows this message, so it is ranked one level up."
    return line


def _standing_on(case: Case, below: int) -> str:
    reserve = ", ".join(case.asset.redundant_with) if case.asset else ""
    many = f"{below} assets stand" if below > 1 else "1 asset stands"
    return f"{many} on {case.lead.asset}" + (f" (reserve: {reserve})" if reserve else "")


def _notice(incident: Incident, stage: str, title: str, lines: Sequence[str]) -> Notice:
    return Notice.model_validate(
        {
            "incident_id": incident.id,
            "dedup_key": incident.id,
            "version": 0,
            "stage": stage,
            "priority": incident.priority,
            "title": title,
            "text": "\n".join(line for line in lines if line),
            "written_by": TEMPLATE,
        }
    )


__all__ = [
    "Alerter",
    "FirstStep",
    "alert_sheet",
    "escalation_notice",
    "first_notice",
    "plain_notice",
    "read_first_steps",
    "resolved_notice",
    "storm_notice",
    "update_notice",
    "why_in_words",
]
