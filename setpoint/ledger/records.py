"""Values the ledger hands out that are not part of the shared vocabulary."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, JsonValue

from plant.diagnosis.results import Compared, Rehearsal
from setpoint.contracts import (
    Action,
    ActionState,
    Feedback,
    Frozen,
    Incident,
    Notice,
    Priority,
    Quarantined,
    Review,
)
from setpoint.contracts.loops import LoopName, Trouble

DeliveryState = Literal["queued", "failed", "sent", "dead", "superseded"]
JobState = Literal["queued", "running", "done", "dead", "merged"]
QuarantineState = Literal["held", "replayed", "removed"]
RehearsalState = Literal["waiting", "compared", "unseen"]
RuleState = Literal["unknown", "pending", "accepted", "rejected"]
TimelineKind = Literal["event", "notice", "diagnosis", "review", "action", "feedback", "human"]


class Accepted(Frozen):
    """What one intake transaction did. The caller may acknowledge all of it."""

    new: int
    duplicates: int
    quarantined: int


class Committed(Frozen):
    """What one triage transaction did."""

    incidents: tuple[Incident, ...] = ()
    """As they stand now: a person's corrections win over what triage wrote."""
    replayed: bool = False
    """True: this batch was committed before (a restart) and nothing changed."""


class Delivery(Frozen):
    """One notice on its way to one sink."""

    key: str
    """Idempotency key: incident dedup key, version and sink."""
    sink: str
    notice: Notice
    state: DeliveryState
    attempts: int
    next_try: datetime
    queued: datetime
    received: datetime | None = None
    """When Setpoint read the event that caused it; alert latency counts from here."""
    sent: datetime | None = None
    """When the sink accepted it."""
    error: str = ""


class Job(Frozen):
    """One piece of work a worker holds or may take."""

    id: int
    kind: str
    key: str
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    state: JobState
    urgency: int
    """0 is taken first."""
    attempts: int
    """Times it was claimed, this time included."""
    not_before: datetime
    worker: str = ""
    lease_until: datetime | None = None
    error: str = ""


class Decided(Frozen):
    """What became of one decision."""

    review: Review
    """As it stands now: still pending where a second person is needed."""
    feedback: Feedback
    final: bool
    approvals: tuple[str, ...] = ()
    """Who said yes to the current digest."""
    needed: int = 1
    resume_job: int | None = None
    """Id of the `resume` job that was queued with the decision; None while not final."""


class ActionRecord(Frozen):
    """One action that was begun, and how it ended."""

    key: str
    incident_id: str
    action: Action
    review_id: str
    state: ActionState
    approvers: tuple[str, ...]
    dry_run: bool
    begun: datetime
    finished: datetime | None = None
    message: str = ""
    before: dict[str, float] = Field(default_factory=dict)
    after: dict[str, float] = Field(default_factory=dict)


class RehearsalRecord(Frozen):
    """What was predicted for one executed action, and how it compared."""

    key: str
    """Of the action."""
    incident_id: str
    rehearsal: Rehearsal
    noted: datetime
    due: datetime
    """When its horizon ends."""
    state: RehearsalState
    compared: Compared | None = None
    acted: bool = False
    """The action ran, or may have: its site can be held against the rehearsal."""


class OpenTrouble(Frozen):
    """A blocking trouble of a control loop that an event was raised for and that lasts."""

    event_id: str
    since: datetime
    trouble: Trouble


class LoopMemory(Frozen):
    """What a control loop knows from its cycles before."""

    loop: LoopName
    at: datetime
    """Of the cycle that wrote it."""
    learned: dict[str, JsonValue] = Field(default_factory=dict)
    troubles: dict[str, OpenTrouble] = Field(default_factory=dict)
    """By what is wrong with which reading."""


class HeldItem(Frozen):
    """One quarantined item and what became of it."""

    item: Quarantined
    state: QuarantineState
    changed: datetime


class Silence(Frozen):
    """Events that match all three globs are recorded but notify nobody until `until`."""

    id: str
    asset: str = "*"
    kind: str = "*"
    template: str = "*"
    starts: datetime
    until: datetime
    who: str
    why: str

    def matches(self, asset: str, kind: str, template: str, at: datetime) -> bool:
        """Globs are case-sensitive; `*` in a template glob also matches the `<*>` of a mined template."""
        return self.starts <= at < self.until and all(
            glob == "*" or fnmatchcase(text, glob)
            for text, glob in ((asset, self.asset), (kind, self.kind), (template, self.template))
        )


class RuleVersion(Frozen):
    """One content of one rule set, known by its hash."""

    name: str
    digest: str
    state: RuleState
    content: str
    """The files as text, so that the accepted version can go on while a newer one waits."""
    proposed: datetime
    decided: datetime | None = None
    who: str = ""
    why: str = ""
    review_id: str = ""


class Escalation(Frozen):
    """A P0 nobody has acknowledged in time."""

    incident: Incident
    level: int
    """How often it was escalated before."""
    waiting_s: float


class Explained(Frozen):
    """One incident that another one's cause explains."""

    incident_id: str
    root_id: str
    """The incident it is grouped under."""
    cause: str
    """Root-cause id, as it was when they were grouped."""
    since: datetime
    who: str
    why: str


class TimelineItem(Frozen):
    """One thing that happened to an incident."""

    time: datetime
    kind: TimelineKind
    text: str
    who: str = ""
    ref: str = ""
    """Id of the event, review, action or delivery."""


class ChainReport(Frozen):
    """Result of checking the audit chain from its first row to its head."""

    ok: bool
    rows: int
    head: str
    broken_at: int | None = None
    """Number of the first row that does not fit."""
    problem: str = ""


class AuditRow(Frozen):
    """One audited fact."""

    number: int
    time: datetime
    who: str
    what: str
    subject: str
    data: JsonValue
    digest: str


class Pruned(Frozen):
    """How many rows retention dropped."""

    events: int = 0
    deliveries: int = 0
    jobs: int = 0
    quarantined: int = 0
    cycles: int = 0
    conversations: int = 0
    checkpoints: int = 0


class LatencyFigures(Frozen):
    """Received to accepted by the sink, of first notices."""

    count: int = 0
    p50_s: float | None = None
    p99_s: float | None = None
    worst_s: float | None = None


class Stats(Frozen):
    """Counts for reports and metrics."""

    events: int = 0
    events_waiting: int = 0
    events_by_priority: dict[Priority, int] = Field(default_factory=dict)
    incidents_by_priority: dict[Priority, int] = Field(default_factory=dict)
    incidents_by_state: dict[str, int] = Field(default_factory=dict)
    deliveries_by_state: dict[str, int] = Field(default_factory=dict)
    jobs_by_state: dict[str, int] = Field(default_factory=dict)
    """Keys are "kind:state"."""
    reviews_by_state: dict[str, int] = Field(default_factory=dict)
    actions_by_state: dict[str, int] = Field(default_factory=dict)
    quarantine_by_state: dict[str, int] = Field(default_factory=dict)
    diagnoses: int = 0
    feedback: int = 0
    feedback_simulated: int = 0
    audit_rows: int = 0
    first_notice: LatencyFigures = LatencyFigures()
