"""Small pieces that join one package's port to another's implementation."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agents.announced import BEFORE, announcements
from agents.evidence import Case
from agents.proposer import opening_of, people_for, review_of
from setpoint.app.asked import Asked
from setpoint.autonomy.gate import Gate
from setpoint.contracts import (
    Action,
    ActionProposal,
    Diagnosis,
    Dispatch,
    Event,
    Incident,
    JobRequest,
    Notice,
    Review,
)
from setpoint.contracts.action import Withheld
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, BackendError, InputError
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job
from setpoint.settings import Settings
from tools.actions import describe
from tools.adapter import SiteAdapter
from tools.guards import PREPARED, hindrance
from tools.proposals import no_readings
from tools.proposals import proposal as propose_action
from tools.readings import Read, Reading

MOST_AROUND, AROUND = 3000, timedelta(hours=1)
"""Events around an incident that are searched for announcements; the log's order is that of arrival, so it is read a
little further than the announcements can lie."""
MOST_PLACES = 8
"""Assets that are tried for an action."""
MOST_EVENTS = 400
"""Events one analysis looks at; the rest is counted."""
READINGS_FIT = timedelta(hours=1)
"""Present readings are evidence of an incident that had news within this time."""
FLOOD_WINDOW = timedelta(minutes=10)


@dataclass(frozen=True)
class Taken:
    """A batch that was read from the inbox already."""

    events: Sequence[Event]

    async def take(self, limit: int) -> Sequence[Event]:
        return self.events[:limit]


class Committer:
    """Commits what triage decided, holding back pages beyond the flood limit."""

    def __init__(
        self, ledger: Ledger, settings: Settings, summed_up: Callable[[Sequence[Incident]], Notice]
    ) -> None:
        self._ledger, self._limit, self._summed_up = ledger, settings.alerts.flood_per_10min, summed_up
        self._apart_s = settings.alerts.update_every_s
        self._paged: deque[datetime] = deque()
        self._held: dict[str, Incident] = {}
        self.last: Dispatch | None = None
        """What the latest run committed."""

    async def known(self, incident_ids: Sequence[str]) -> Mapping[str, Incident]:
        return await asyncio.to_thread(self._ledger.find_incidents, incident_ids)

    async def commit(self, dispatch: Dispatch) -> None:
        calm = self._without_flood(dispatch)
        await asyncio.to_thread(self._ledger.commit_triage, calm, updates_apart_s=self._apart_s)
        self.last = calm

    def _without_flood(self, dispatch: Dispatch) -> Dispatch:
        """P0 always goes out. Of the others, those beyond the limit (ISA-18.2: about ten in ten minutes) are summed
        up; their incidents stand in the ledger and the console as ever. Windows run in event time, so that a replay
        gives what the night gave."""
        incidents = {incident.id: incident for incident in dispatch.incidents}
        held = [
            n
            for n in dispatch.notices
            if n.stage == "first" and n.priority != "P0" and not self._room(incidents[n.incident_id])
        ]
        if not held:
            return dispatch
        before = len(self._held)
        self._held |= {notice.incident_id: incidents[notice.incident_id] for notice in held}
        kept = [notice for notice in dispatch.notices if notice not in held]
        # Said at the first, then each time the number has doubled: a summary must not become a flood itself.
        if before.bit_length() < len(self._held).bit_length():
            kept.append(self._summed_up(list(self._held.values())))
        return dispatch.model_copy(update={"notices": tuple(kept)})

    def _room(self, incident: Incident) -> bool:
        """Whether one more page fits the ten minutes before it."""
        horizon = incident.updated - FLOOD_WINDOW
        while self._paged and self._paged[0] < horizon:
            self._paged.popleft()
        self._held = {key: one for key, one in self._held.items() if one.updated >= horizon}
        if len(self._paged) >= self._limit:
            return False
        self._paged.append(incident.updated)
        return True


class NoSite:
    """A site without an adapter: it reads nothing and moves nothing."""

    def read(self, asset: str) -> Reading | None:
        return None

    def apply(self, action: Action, key: str) -> None:
        raise BackendError("no adapter reaches this site", remedy="Do it by hand, from the recovery guide")

    def applied(self, key: str) -> bool | None:
        return False

    def settle(self, seconds: float) -> None:
        return None


def load_case(ledger: Ledger, site: Site, adapter: SiteAdapter | None, incident_id: str) -> Case:
    """Everything one analysis may look at."""
    incident = ledger.get_incident(incident_id)
    telemetry = {}
    # Readings of now say nothing of an incident that lies back, a replayed one above all.
    fresh = datetime.now(UTC) - incident.updated < READINGS_FIT
    for asset in incident.assets[:6] if fresh else ():
        reading = adapter.read(asset) if adapter else None
        if reading is not None:
            telemetry[asset] = dict(reading.values)
    related = [other for key in incident.related if (other := _known(ledger, key))]
    events = tuple(ledger.events_of(incident_id, MOST_EVENTS))
    return Case(
        incident=incident,
        events=events,
        context=announced(ledger, events),
        triages={triage.event_id: triage for triage in ledger.triage_of(incident_id)},
        site=site,
        telemetry=telemetry,
        related=tuple(sorted(related, key=lambda other: other.opened, reverse=True)),
        corrected_cause=ledger.corrected_cause(incident_id),
    )


def announced(ledger: Ledger, events: Sequence[Event]) -> tuple[Event, ...]:
    """What was announced of planned work on the assets of these events, outside their incident."""
    if not events:
        return ()
    first = min(event.time for event in events)
    near = itertools.islice(ledger.iter_events(first - BEFORE), MOST_AROUND)
    return announcements(events, itertools.takewhile(lambda event: event.time <= first + AROUND, near))


def _known(ledger: Ledger, incident_id: str) -> Incident | None:
    return ledger.find_incidents([incident_id]).get(incident_id)


def propose(
    name: str, case: Case, evidence: Sequence[str], adapter: SiteAdapter | None, asked: Asked | None = None
) -> ActionProposal | Withheld | None:
    """The named action for this case, on the first asset it fits and no interlock keeps it from for good. None where it fits
    none; where people were asked before, what waits for them or why they are not asked again."""
    read: Read = adapter.read if adapter else no_readings
    causes = {event.asset: None for event in case.events if event.status == "firing"}
    why = f"{case.incident.title} ({case.incident.priority})"
    hindered: Withheld | None = None
    for asset in [*causes][:MOST_PLACES] or list(case.incident.assets[:1]):
        try:
            made = propose_action(
                name, asset, case.site, incident_id=case.incident.id, why=why, evidence=tuple(evidence), read=read
            )  # fmt: skip
        except (ActionRefused, InputError):
            continue
        if asked is not None and (before := asked.before(made.action)) is not None:
            return before
        against = hindrance(made.action, case.site, read, datetime.now(UTC))
        if against is None:
            return made
        refused = f"an interlock refuses it now: {against.what}. {against.remedy}"
        if against.guard in PREPARED:
            return made.model_copy(update={"why": f"{why}. As things stand {refused}"})
        hindered = hindered or Withheld(subject=describe(made.action), why=refused)
    return hindered


def record_diagnosis(
    ledger: Ledger,
    settings: Settings,
    diagnosis: Diagnosis,
    job: Job | None,
    notice: Notice | None,
    gate: Gate | None = None,
    again: JobRequest | None = None,
) -> list[Review]:
    """Diagnosis, its reviews, their jobs and the end of the analysis job, together; what may run alone is then approved.
    Returns the new reviews. Without a gate every proposal is put to a person. `again` is another look, later on."""
    now = datetime.now(UTC)
    wanted = diagnosis.proposals if settings.review.actions != "off" else ()
    known = {review.id: review for review in ledger.list_reviews(incident_id=diagnosis.incident_id)}
    looked = [(proposal, gate.look(proposal, diagnosis) if gate else None) for proposal in wanted]
    asked = [(proposal, found) for proposal, found in looked if found is None or found.level != "observe"]
    reviews = [
        review_of(proposal, settings.review, now, found.why if found and found.recommended else "")
        for proposal, found in asked
    ]
    fresh = [review for review in reviews if review.id not in known]
    ledger.record_diagnosis(
        diagnosis,
        reviews=fresh,
        notices=[notice] if notice else [],
        renewed=[review for review in reviews if review.id in known],
        jobs=[*map(open_order, fresh), *([again] if again else [])],
        finished_job=job,
        approvals_needed={r.id: people_for(r, settings.review) for r in fresh},
    )
    kept = {review.id for review in reviews}
    for review in known.values():
        if review.state == "pending" and review.kind == "action" and review.id.split(".v")[0] not in kept:
            ledger.withdraw_review(review.id, "setpoint", "a newer analysis no longer proposes it")
    alone = {
        review.id for review, (_, found) in zip(reviews, asked, strict=True) if found and found.runs_alone
    }
    return [run_alone(ledger, gate, review) if gate and review.id in alone else review for review in fresh]


def run_alone(ledger: Ledger, gate: Gate, review: Review) -> Review:
    """Approved by autonomy, where it may still be: a review it leaves waits for a person."""
    against = gate.run_alone(review.id)
    if against:
        ledger.audit("setpoint", "autonomy-held", review.id, {"why": list(against)})
    return ledger.get_review(review.id)


def open_order(review: Review) -> JobRequest:
    """The job that brings its thread to the question."""
    return JobRequest(kind="review", key=review.id, payload=opening_of(review), urgency=1)
