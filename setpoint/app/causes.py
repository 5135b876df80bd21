"""Open incidents under their causes: kept so in the ledger after each analysis, and shown so in a flood of alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from agents.evidence import Case
from agents.flood import Flood, causes_first
from agents.grouping import Grouping, regroup
from knowledge.causes import load_causes
from setpoint.contracts import PRIORITIES, Diagnosis, Incident
from setpoint.contracts.incident import IncidentState
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger

WHO = "setpoint"
MOST_OPEN, MOST_EVENTS = 300, 200
"""Open incidents that are compared, the most urgent first, and events of each. What is beyond stands for itself."""
FLOOD_SPAN = timedelta(days=1)
"""Incidents without news for so long, and over, say nothing of a flood."""
REPLAYED = timedelta(hours=1)
"""Open incidents whose last event is older than this come from a recording: its clock counts."""
MOST_LISTED = 10_000
TOLD_APART = timedelta(seconds=60)
_LIVE: tuple[IncidentState, ...] = ("open", "acknowledged")


def regroup_open(ledger: Ledger, site: Site, now: datetime | None = None) -> list[Grouping]:
    """Bring the ledger's groups in line with what is known now: new ones in, those no longer explained out.

    What a person took out stays out. Call it after each diagnosis; the same knowledge again changes nothing.
    """
    cases = _open_cases(ledger, site)
    diagnoses = _latest(ledger, [case.incident for case in cases])
    found = regroup(cases, diagnoses, load_causes(), ledger.kept_apart())
    for one in found:
        title = load_causes()[one.cause].title
        why = f"all its alarms lie on the way of {title} on {one.path.root}"
        ledger.group_explained(one.root, one.incidents, cause=one.cause, why=why, now=now)
    _release(ledger, {case.incident.id for case in cases}, found, now)
    return found


class Grouper:
    """Keeps the groups in step with the diagnoses and says when a flood begins or changes. One a run.

    Call `diagnosed` after each diagnosis, and the object itself as a duty of the clock.
    """

    def __init__(
        self, ledger: Ledger, site: Site, limit_per_10min: int, tell: Callable[[str, Any], None]
    ) -> None:
        self._ledger, self._site, self._limit, self._tell = ledger, site, limit_per_10min, tell
        self._news = False
        self._told: tuple[datetime, frozenset[str]] | None = None

    def diagnosed(self) -> None:
        """There is a new diagnosis; grouping is done at the next call."""
        self._news = True

    def __call__(self, now: datetime) -> int:
        """Group again where there was a new diagnosis. Returns how many incidents stand under another one then."""
        if not self._news:
            return 0
        self._news = False
        found = regroup_open(self._ledger, self._site)
        flood = flood_now(self._ledger, self._site, self._limit, now)
        if flood.active and self._is_news(flood, now):
            self._tell("flood", flood)
        return sum(len(one.incidents) for one in found)

    def _is_news(self, flood: Flood, now: datetime) -> bool:
        """Its causes changed, and the last word on it is a while ago."""
        causes = frozenset(row.incident for row in flood.rows if row.known)
        if self._told is not None and (self._told[1] == causes or now - self._told[0] < TOLD_APART):
            return False
        self._told = (now, causes)
        return True


def explains(ledger: Ledger, site: Site, diagnosis: Diagnosis) -> tuple[str, ...]:
    """Ids of the open incidents that a fresh diagnosis would explain. Writes nothing."""
    cases = _open_cases(ledger, site)
    diagnoses = _latest(ledger, [case.incident for case in cases]) | {diagnosis.incident_id: diagnosis}
    found = regroup(cases, diagnoses, load_causes(), ledger.kept_apart())
    return next((one.incidents for one in found if one.root == diagnosis.incident_id), ())


def flood_now(ledger: Ledger, site: Site, limit_per_10min: int, now: datetime) -> Flood:
    """Causes first, over all that is open, with the rate of new alarms up to now; up to the last event where that
    lies long back, as in a replayed night."""
    live = ledger.list_incidents(states=_LIVE, limit=MOST_LISTED)
    now = as_of(live, now)
    recent = ledger.list_incidents(since=now - FLOOD_SPAN, limit=MOST_LISTED)
    incidents = list({one.id: one for one in (*live, *recent)}.values())
    return causes_first(
        incidents, _latest(ledger, live),
        {name: one.root_id for name, one in ledger.explained_by().items()}, now,
        site=site, limit_per_10min=limit_per_10min, reviews=ledger.list_reviews(states=("pending",)),
    )  # fmt: skip


def as_of(live: Iterable[Incident], now: datetime) -> datetime:
    """The moment that open incidents are looked at: now, or their last event where that lies long back."""
    latest = max((one.updated for one in live), default=now)
    return latest if now - latest > REPLAYED else now


def _open_cases(ledger: Ledger, site: Site) -> list[Case]:
    found = ledger.list_incidents(states=_LIVE, priorities=("P0", "P1", "P2"), limit=MOST_OPEN)
    return [
        Case(
            incident=incident,
            events=tuple(ledger.events_of(incident.id, MOST_EVENTS)),
            triages={triage.event_id: triage for triage in ledger.triage_of(incident.id)},
            site=site,
        )
        for incident in found
    ]


def _latest(ledger: Ledger, incidents: list[Incident]) -> dict[str, Diagnosis]:
    found = {incident.id: ledger.get_diagnosis(incident.id) for incident in incidents}
    return {name: diagnosis for name, diagnosis in found.items() if diagnosis is not None}


def _release(ledger: Ledger, live: set[str], found: list[Grouping], now: datetime | None) -> None:
    """What Setpoint grouped and no cause explains any more stands for itself again."""
    under = {name: one.root for one in found for name in one.incidents}
    for name, one in ledger.explained_by().items():
        if one.who == WHO and {name, one.root_id} <= live and name not in under:
            why = f"the cause of {one.root_id} no longer explains all of it"
            ledger.ungroup_explained(name, WHO, why, by_person=False, now=now)
            have_analysed(ledger, name)


def have_analysed(ledger: Ledger, name: str) -> None:
    """It was left to the cause of another incident, perhaps, and needs an analysis of its own now."""
    incident, last = ledger.get_incident(name), ledger.get_diagnosis(name)
    if last is None or last.revision < incident.revision:
        urgency = PRIORITIES.index(incident.priority)
        ledger.enqueue("slow", name, {"incident_id": name, "revision": incident.revision}, urgency=urgency)
