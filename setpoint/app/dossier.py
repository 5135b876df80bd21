"""All that a report or a machine output says of one run, read from the ledger in a few passes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agents.flood import WINDOW, Flood, causes_first
from agents.grouping import LIVE
from setpoint.app.causes import as_of
from setpoint.contracts import (
    PRIORITIES,
    Diagnosis,
    Event,
    Feedback,
    Incident,
    Notice,
    Priority,
    Review,
    Triage,
)
from setpoint.contracts.dispatch import Ranked
from setpoint.contracts.site import Site
from setpoint.contracts.wording import split_alert
from setpoint.ledger import Ledger
from setpoint.ledger.records import (
    ActionRecord,
    AuditRow,
    ChainReport,
    Delivery,
    HeldItem,
    RehearsalRecord,
    Silence,
    Stats,
    TimelineItem,
)

ALL = 1_000_000
"""As a limit: no limit."""
FULL_FILES = 200
"""Incidents, most urgent first, whose single events are kept."""
REPLAY_LAG_S = 900.0
"""Where most events are read this long after they happened, the input is a recording."""
_SAME = timedelta(milliseconds=1)
_DOUBTFUL_TIME = {"time-in-future", "time-missing"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One event of an incident, as far as pictures need it."""

    event: Event
    priority: Priority

    @property
    def has_sure_time(self) -> bool:
        return not _DOUBTFUL_TIME.intersection(self.event.flags)


def verdict(review: Review) -> str:
    """The state of a review in a word or three."""
    words = {
        "approve": "approved",
        "edit": "approved with changes",
        "reject": "rejected",
        "respond": "answered",
    }
    return words[review.decision.type] if review.decision else review.state


@dataclass(frozen=True)
class NoticeVersion:
    """One version of a notification and what became of it at each sink."""

    notice: Notice
    deliveries: tuple[Delivery, ...]

    @property
    def first_sent(self) -> datetime | None:
        return min((d.sent for d in self.deliveries if d.sent), default=None)

    @property
    def latency_s(self) -> float | None:
        """Event read to first sink accepted."""
        spent = [(d.sent - d.received).total_seconds() for d in self.deliveries if d.sent and d.received]
        return min(spent, default=None)


@dataclass
class IncidentFile:
    """One incident with everything that was said, asked and done about it."""

    incident: Incident
    triage: Triage | None = None
    """Of its first event of the highest rank."""
    sightings: list[Sighting] = field(default_factory=list)
    """In order of time; empty past the first FULL_FILES incidents."""
    notices: list[NoticeVersion] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    actions: list[ActionRecord] = field(default_factory=list)
    corrections: list[Feedback] = field(default_factory=list)
    """A person's, of the incident itself."""
    grouping: Counter[str] = field(default_factory=Counter)
    """Why each of its events is in it, in words, and how many share that reason."""
    story: list[TimelineItem] = field(default_factory=list)
    """Everything that happened to it, oldest first; only where it was asked for."""

    @property
    def diagnosis(self) -> Diagnosis | None:
        return self.diagnoses[-1] if self.diagnoses else None

    @property
    def plain_words(self) -> tuple[str, str] | None:
        """The alert as a model or a person worded it after the first notice, without the runbook's line, and who did."""
        plain = next((v.notice for v in reversed(self.notices) if v.notice.stage == "plain"), None)
        return (split_alert(plain.text)[0], plain.written_by) if plain else None

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        """How its reviews stand: ("approved", 3), ("pending", 1)."""
        return list(Counter(verdict(review) for review in self.reviews).items())

    @property
    def is_routine(self) -> bool:
        """Recorded, and nothing more to say about it."""
        return self.incident.priority == "P3" and not (self.diagnoses or self.reviews or self.notices)

    def corrected(self, name: str) -> Feedback | None:
        """The last correction of that field."""
        return next((item for item in reversed(self.corrections) if item.field == name), None)

    def action_of(self, review_id: str) -> ActionRecord | None:
        """What became of the action a review was about."""
        return next((record for record in reversed(self.actions) if record.review_id == review_id), None)

    def placed(self, moment: datetime) -> datetime:
        """A wall-clock moment on the clock of the events: the time of the last event read before it, plus the time
        that really passed since. The same moment in a live run; in a replay, where the recording would have it."""
        known = [s.event for s in self.sightings if s.has_sure_time and s.event.received <= moment]
        if not known:
            return moment
        last = max(known, key=lambda event: event.received)
        return last.time + (moment - last.received)

    def noticed(self, version: NoticeVersion, sent: datetime) -> datetime:
        """When a notice went out, on the clock of the events: at the event that caused it plus the real latency."""
        received = next((d.received for d in version.deliveries if d.received), None)
        if received is None:
            return self.placed(sent)
        causes = [
            s.event for s in self.sightings if s.has_sure_time and abs(s.event.received - received) < _SAME
        ]
        leading = [event for event in causes if self.triage and event.id == self.triage.event_id]
        return (leading or causes)[0].time + (sent - received) if causes else self.placed(sent)


@dataclass(kw_only=True)
class CaseFiles:
    """Incidents with what stands around them."""

    site: Site
    files: list[IncidentFile]
    """Most urgent first, then in order of time."""
    feedback: list[Feedback]
    refusals: dict[str, str] = field(default_factory=dict)
    """Why an approval led to no action, by review id."""
    readings: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    """Every event with a value, by asset and metric, for those that an incident of note carries."""
    explained: dict[str, str] = field(default_factory=dict)
    """Incident to the one whose cause explains it, by id."""
    rehearsed: dict[str, RehearsalRecord] = field(default_factory=dict)
    """What was predicted of an action and what came, by the action's key."""

    def explains(self, incident_id: str) -> list[IncidentFile]:
        """The incidents that are grouped under this one."""
        return [file for file in self.files if self.explained.get(file.incident.id) == incident_id]

    def decision_of(self, review_id: str) -> Feedback | None:
        """The last judgement of a review: its time, and what was changed."""
        return next((item for item in reversed(self.feedback) if item.subject == review_id), None)


@dataclass(kw_only=True)
class Dossier(CaseFiles):
    """One run."""

    stats: Stats
    reviews: list[Review]
    quarantine: list[HeldItem]
    silences: list[Silence]
    chain: ChainReport
    notices: list[NoticeVersion]
    first_event: datetime | None = None
    last_event: datetime | None = None
    routine_times: list[float] = field(default_factory=list)
    """Seconds since 1970 of every P3 event."""
    replayed: bool = False
    """The input was a recording."""
    flood: Flood | None = None
    """What is open by cause at the end, and whether alarms came as a flood then."""
    peak: tuple[int, datetime] | None = None
    """Most new incidents above P3 in ten minutes, and when."""

    @property
    def pages(self) -> int:
        """How often somebody was called: first notices, escalations and flood summaries of P0 and P1. Further
        versions replace the one that is there."""
        calls = ("first", "escalation", "storm")
        return sum(v.notice.stage in calls and v.notice.priority in ("P0", "P1") for v in self.notices)

    @property
    def held(self) -> list[HeldItem]:
        return [item for item in self.quarantine if item.state == "held"]


def read_dossier(ledger: Ledger, site: Site, *, stories: bool = False, flood_per_10min: int = 10) -> Dossier:
    """Read it all. Nothing is cut but the single events of incidents past FULL_FILES; `stories` adds what happened
    step by step to each of those that has more to it than a record."""
    incidents = sorted(
        ledger.list_incidents(limit=ALL), key=lambda i: (PRIORITIES.index(i.priority), i.opened, i.id)
    )
    files = {incident.id: IncidentFile(incident) for incident in incidents}
    notices = _versions(ledger.list_deliveries(limit=ALL))
    reviews = ledger.list_reviews(limit=ALL)
    feedback = ledger.list_feedback(simulated=True)
    for version in notices:
        _put(files, version.notice.incident_id, "notices", version)
    for diagnosis in ledger.list_diagnoses():
        _put(files, diagnosis.incident_id, "diagnoses", diagnosis)
    for review in reviews:
        _put(files, review.incident_id, "reviews", review)
    for record in ledger.list_actions(limit=ALL):
        _put(files, record.incident_id, "actions", record)
    for item in feedback:
        _put(files, item.subject, "corrections", item)
    quarantine = [
        *ledger.list_quarantine(state="held", limit=ALL),
        *ledger.list_quarantine(state="replayed", limit=ALL),
    ]
    dossier = Dossier(
        site=site, stats=ledger.stats(), files=list(files.values()), reviews=reviews, feedback=feedback,
        quarantine=quarantine, silences=ledger.list_silences(), chain=ledger.verify_chain(), notices=notices,
    )  # fmt: skip
    dossier.refusals = _refusals(ledger.list_audit(limit=ALL))
    dossier.explained = {one.incident_id: one.root_id for one in ledger.explained_by().values()}
    dossier.rehearsed = {one.key: one for one in ledger.list_rehearsals(limit=ALL)}
    dossier.flood = _by_cause(dossier, flood_per_10min)
    dossier.peak = busiest([one.opened for one in incidents if one.priority != "P3"], WINDOW)
    _read_events(dossier, ledger.iter_triaged())
    if stories:
        for file in dossier.files[:FULL_FILES]:
            file.story = [] if file.is_routine else ledger.timeline(file.incident.id)
    return dossier


def read_case(ledger: Ledger, site: Site, incident_id: str) -> CaseFiles:
    """One incident with what stands around it, itself first. Raises UsageError where there is none."""
    file = IncidentFile(ledger.get_incident(incident_id))
    under = ledger.explained_by()
    below = ledger.find_incidents([name for name, one in under.items() if one.root_id == incident_id])
    file.notices = _versions(ledger.list_deliveries(incident_id=incident_id, limit=ALL))
    file.diagnoses = ledger.list_diagnoses(incident_id)
    file.reviews = ledger.list_reviews(incident_id=incident_id, limit=ALL)
    file.actions = ledger.list_actions(incident_id=incident_id, limit=ALL)
    file.corrections = ledger.list_feedback(subject=incident_id, simulated=True)
    file.story = ledger.timeline(incident_id, ALL)
    names = [review.id for review in file.reviews]
    case = CaseFiles(
        site=site,
        files=[file, *(IncidentFile(one) for one in below.values())],
        feedback=[item for name in names for item in ledger.list_feedback(subject=name, simulated=True)],
        refusals=_refusals(row for name in names for row in ledger.list_audit(subject=name)),
        explained={name: one.root_id for name, one in under.items()},
        rehearsed={one.key: one for one in ledger.list_rehearsals(incident_id=incident_id, limit=ALL)},
    )
    _look_at_events(case, file, ledger)
    return case


def _look_at_events(case: CaseFiles, file: IncidentFile, ledger: Ledger) -> None:
    triages = {triage.event_id: triage for triage in ledger.triage_of(file.incident.id)}
    for event in ledger.events_of(file.incident.id, ALL):
        if (triage := triages.get(event.id)) is not None:
            _lead(file, triage)
            file.sightings.append(Sighting(event, triage.priority))
        if event.metric and event.value is not None:
            case.readings.setdefault((event.asset, event.metric), []).append(event)


def _refusals(rows: Iterable[AuditRow]) -> dict[str, str]:
    return {
        row.subject: str(row.data.get("why", ""))
        for row in rows
        if row.what == "approval-refused" and isinstance(row.data, dict)
    }


def _by_cause(dossier: Dossier, limit: int) -> Flood:
    """What is open at the end of the run, by cause."""
    incidents = [file.incident for file in dossier.files]
    live = [one for one in incidents if one.state in LIVE]
    now = as_of(live, datetime.now(UTC))
    diagnoses = {file.incident.id: file.diagnosis for file in dossier.files if file.diagnosis}
    waiting = [review for review in dossier.reviews if review.state == "pending"]
    return causes_first(
        incidents, diagnoses, dossier.explained, now, site=dossier.site, limit_per_10min=limit, reviews=waiting
    )  # fmt: skip


def busiest(times: Sequence[datetime], window: timedelta) -> tuple[int, datetime] | None:
    """How many lie within one window at most, and when that was reached; None of none.

    >>> start = datetime(2026, 1, 1)
    >>> busiest([start, start + timedelta(minutes=9), start + timedelta(minutes=15)], timedelta(minutes=10))
    (2, datetime.datetime(2026, 1, 1, 0, 9))
    """
    ordered, first, most = sorted(times), 0, None
    for place, time in enumerate(ordered):
        while ordered[first] <= time - window:
            first += 1
        if most is None or place - first + 1 > most[0]:
            most = (place - first + 1, time)
    return most


def _put(files: dict[str, IncidentFile], identifier: str, part: str, value: object) -> None:
    if identifier in files:
        getattr(files[identifier], part).append(value)


def _versions(deliveries: Iterable[Delivery]) -> list[NoticeVersion]:
    """Deliveries of one version to several sinks together, in the order of their versions."""
    by_version: defaultdict[tuple[str, int], list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_version[delivery.notice.dedup_key, delivery.notice.version].append(delivery)
    return [NoticeVersion(group[0].notice, tuple(group)) for group in by_version.values()]


def _read_events(dossier: Dossier, ranked: Iterable[Ranked]) -> None:
    """One pass over every event: leading ranks, sightings, readings, the span and the routine."""
    files = {file.incident.id: file for file in dossier.files}
    full = {file.incident.id for file in dossier.files[:FULL_FILES]}
    readings: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    late: Counter[bool] = Counter()
    times: list[float] = []
    for item in ranked:
        event, file = item.event, files.get(item.incident_id)
        sighting = Sighting(event, item.triage.priority)
        if sighting.has_sure_time:
            late[(event.received - event.time).total_seconds() > REPLAY_LAG_S] += 1
            times.append(event.time.timestamp())
        if item.triage.priority == "P3":
            dossier.routine_times.append(event.time.timestamp())
        if event.metric and event.value is not None:
            readings[event.asset, event.metric].append(event)
        if file is not None:
            _lead(file, item.triage)
            file.grouping[item.grouped_by] += 1
            if item.incident_id in full:
                file.sightings.append(sighting)
    for file in dossier.files:
        file.sightings.sort(key=lambda s: s.event.time)
    dossier.readings = {key: sorted(events, key=lambda e: e.time) for key, events in readings.items()}
    if times:
        dossier.first_event, dossier.last_event = (datetime.fromtimestamp(t, UTC) for t in usual_span(times))
    dossier.replayed = late[True] > late[False]


def usual_span(times: list[float]) -> tuple[float, float]:
    """First and last of the times; without the outermost hundredth where that alone stretches them tenfold, as one
    source with a clock at 1970 does.

    >>> usual_span([0.0] + [1000.0 + second for second in range(50)])
    (1000.0, 1048.0)
    >>> usual_span([1.0, 2.0, 90.0])
    (1.0, 90.0)
    """
    ordered = sorted(times)
    cut = max(1, len(ordered) // 100)
    inner = ordered[cut:-cut]
    if len(inner) < 10 or (ordered[-1] - ordered[0]) <= 10 * (inner[-1] - inner[0]):
        return ordered[0], ordered[-1]
    return inner[0], inner[-1]


def _lead(file: IncidentFile, triage: Triage) -> None:
    """Keep the first judgement of the highest rank."""
    if file.triage is None or PRIORITIES.index(triage.priority) < PRIORITIES.index(file.triage.priority):
        file.triage = triage
