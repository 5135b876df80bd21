"""Whether an incident needs another analysis: for its news, or since readings have come that the last one lacked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from agents.troubleshooter import certainty
from setpoint.app.causes import regroup_open
from setpoint.contracts import Diagnosis, Event, Incident, Triage
from setpoint.contracts.dispatch import JobRequest
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job

SAME_SPELL = timedelta(minutes=30)
"""What an asset said so short a time ago is no news when it says it again."""
_DONE = ("done", "failed")
Said = tuple[str, str, str, str]


def look_again(
    incident: Incident, diagnosis: Diagnosis, job: Job, after_s: Sequence[float]
) -> JobRequest | None:
    """The first look at something grave comes seconds after its first event, before the readings can tell causes apart:
    it is taken again when they can. None where the cause is clear, the incident can wait, or it was looked at
    as often as `after_s` is long."""
    done = int(str(job.payload.get("looks", 0)))
    if incident.priority > "P1" or certainty(diagnosis.hypotheses) == "clear" or done >= len(after_s):
        return None
    return JobRequest(
        kind="slow", key=incident.id, urgency=job.urgency, quiet_s=after_s[done], longest_s=after_s[done],
        payload={"incident_id": incident.id, "revision": incident.revision, "looks": done + 1},
    )  # fmt: skip


def already_known(ledger: Ledger, site: Site, incident: Incident, job: Job) -> str:
    """Why no analysis is needed, for people; "" where one is.

    What stands under another incident needs none, unless it is graver than that, or comes when that has long been quiet.
    """
    if why := _repeats(ledger, incident, job):
        return why
    if incident.priority == "P0":
        return ""
    regroup_open(ledger, site)
    under = ledger.explained_by().get(incident.id)
    root = ledger.get_incident(under.root_id) if under else None
    if root is None or root.priority > incident.priority:
        return ""
    if incident.updated - _last_trouble(ledger, root) > SAME_SPELL:
        return ""
    return f"the cause of {root.id} explains all of it"


def _last_trouble(ledger: Ledger, incident: Incident) -> datetime:
    """Time of its last firing event above P3."""
    serious = {triage.event_id for triage in ledger.triage_of(incident.id) if triage.priority < "P3"}
    events = ledger.events_of(incident.id)
    times = [event.time for event in events if event.status == "firing" and event.id in serious]
    return max(times, default=incident.opened)


def _repeats(ledger: Ledger, incident: Incident, job: Job) -> str:
    """The last analysis named a likely cause, nothing was done since, and the news only says again what it knew."""
    last = ledger.get_diagnosis(incident.id)
    named = job.payload.get("event_ids")
    fresh = set(named) if isinstance(named, list) else set()
    if last is None or not fresh or certainty(last.hypotheses) == "open" or _acted_since(ledger, incident.id):
        return ""
    triages = {triage.event_id: triage for triage in ledger.triage_of(incident.id)}
    events = ledger.events_of(incident.id)
    news = [event for event in events if event.id in fresh]
    before = _latest((event for event in events if event.id not in fresh), triages)
    for event in news:
        known = before.get(_said(event, triages))
        if known is None or event.time - known > SAME_SPELL:
            return ""
    return "it says again what the last analysis knew" if news else ""


def _latest(events: Iterable[Event], triages: dict[str, Triage]) -> dict[Said, datetime]:
    found: dict[Said, datetime] = {}
    for event in events:
        said = _said(event, triages)
        found[said] = max(event.time, found.get(said, event.time))
    return found


def _said(event: Event, triages: dict[str, Triage]) -> Said:
    triage = triages.get(event.id)
    condition = triage.condition if triage else ""
    return event.asset, condition or event.kind, triage.priority if triage else "", event.status


def _acted_since(ledger: Ledger, incident_id: str) -> bool:
    """Something was done about it after its last analysis: whether it helped is to be seen."""
    analysed = [row.time for row in ledger.list_audit(subject=incident_id) if row.what == "diagnosis"]
    acts = ledger.list_actions(incident_id=incident_id)
    return any(act.state in _DONE and act.begun > max(analysed, default=act.begun) for act in acts)
