"""The ledger: the one durable truth about what came in, what was said, asked, decided and done.

Every method is synchronous and runs in one transaction; callers on an event loop put it in a thread. What a
method returned is on disk. Methods may be called from any thread and from several processes at once. Times are
aware datetimes; `now` defaults to the clock and is a parameter so that replays and tests can set it.

Every method may raise StoreLocked, StoreFull, StoreReadOnly or StoreCorrupt; none of them leaves half a
transaction behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from plant.diagnosis.results import Compared, Rehearsal
from setpoint.contracts import (
    Action,
    Decision,
    Diagnosis,
    Event,
    Feedback,
    FeedbackField,
    Incident,
    IncidentState,
    Notice,
    Outcome,
    Priority,
    Quarantined,
    Review,
    Triage,
)
from setpoint.contracts.autonomy import DecidedAction, Harm, LevelChange
from setpoint.contracts.dispatch import Dispatch, JobRequest, Ranked
from setpoint.ledger import (
    actions,
    audit,
    autonomy,
    corrections,
    diagnoses,
    explained,
    feedback,
    inbox,
    incidents,
    jobs,
    outbox,
    quarantine,
    rehearsals,
    retention,
    reviews,
    rules,
    silences,
    stats,
    timeline,
    triage,
)
from setpoint.ledger.clock import utc_now
from setpoint.ledger.database import Database
from setpoint.ledger.records import (
    Accepted,
    ActionRecord,
    AuditRow,
    ChainReport,
    Committed,
    Decided,
    Delivery,
    Escalation,
    Explained,
    HeldItem,
    Job,
    Pruned,
    QuarantineState,
    RehearsalRecord,
    RuleState,
    RuleVersion,
    Silence,
    Stats,
    TimelineItem,
)
from setpoint.settings import StoreSettings


class Ledger:
    """All of the ledger behind one door. Open it with `Ledger.open`; it is a context manager."""

    def __init__(self, database: Database, sinks: tuple[str, ...]) -> None:
        self._db = database
        self.sinks = sinks
        """Where notices go unless a call says otherwise."""

    @classmethod
    def open(cls, target: str | Path, *, sinks: Sequence[str] = ("console",), wait_s: float = 10.0) -> Ledger:
        """Open or create the ledger and bring its schema up to date.

        `target` is a SQLAlchemy URL, or the path of a SQLite file (made with mode 0600, its folder too).
        `wait_s` is how long any call waits for another process before StoreLocked.
        Raises StoreTooNew where a newer Setpoint wrote it.
        """
        return cls(Database.open(target, wait_s=wait_s), tuple(sinks))

    def close(self) -> None:
        """Close every connection. Nothing is lost by not calling it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- inbox ------------------------------------------------------------------------------------------

    def accept(
        self, events: Sequence[Event], quarantined: Sequence[Quarantined] = (), origin: str = ""
    ) -> Accepted:
        """Take events into the inbox and bad items into quarantine. Only after it returns may intake acknowledge.

        An id seen before is a duplicate: counted and otherwise ignored. `origin` says where they came from.
        """
        with self._db.write() as tx:
            return inbox.accept(tx, events, quarantined, origin)[0]

    def accept_many(
        self, batches: Sequence[tuple[Sequence[Event], Sequence[Quarantined], str]]
    ) -> list[tuple[Accepted, list[Event]]]:
        """`accept` of several inputs (events, bad items, origin) in one transaction; for each its answer and the new
        events as they are stored."""
        with self._db.write() as tx:
            return [inbox.accept(tx, events, bad, origin) for events, bad, origin in batches]

    def pending(self, limit: int = 200) -> list[Event]:
        """Events that are not yet triaged, in the order they were accepted."""
        with self._db.read() as tx:
            return inbox.pending(tx, limit)

    def pending_count(self) -> int:
        """How many events wait for triage."""
        with self._db.read() as tx:
            return inbox.pending_count(tx)

    def get_events(self, ids: Iterable[str]) -> list[Event]:
        """The named events in the order they were accepted; unknown ids are left out."""
        with self._db.read() as tx:
            return inbox.get_events(tx, list(ids))

    def iter_events(self, since: datetime | None = None) -> Iterator[Event]:
        """Every event that happened at or after `since`, in the order accepted, read page by page."""
        return inbox.iter_events(self._db, since)

    # ---- triage -----------------------------------------------------------------------------------------

    def commit_triage(
        self,
        dispatch: Dispatch,
        *,
        sinks: Sequence[str] | None = None,
        updates_apart_s: float = 0.0,
        now: datetime | None = None,
    ) -> Committed:
        """Write all that one micro-batch led to, in one transaction, and mark its events triaged.

        An update goes out no sooner than `updates_apart_s` after what was last said of its incident; until then
        newer ones take its place.
        Committing the same batch again changes nothing. Events of it that are already triaged are skipped.
        A person's correction of an incident (priority, title, state) is never overwritten.
        """
        with self._db.write() as tx:
            return triage.commit(tx, dispatch, self._sinks(sinks), now or utc_now(), updates_apart_s)

    def get_triage(self, event_id: str) -> Triage | None:
        """How one event was ranked."""
        with self._db.read() as tx:
            return triage.get(tx, event_id)

    def triage_of(self, incident_id: str) -> list[Triage]:
        """How the events of one incident were ranked, in the order accepted."""
        with self._db.read() as tx:
            return triage.of_incident(tx, incident_id)

    def iter_triaged(
        self, since: datetime | None = None, *, committed_after: datetime | None = None
    ) -> Iterator[Ranked]:
        """Every triaged event as triage left it, in the order accepted; `since` is about the event's time,
        `committed_after` about when it was triaged.

        Incident ids are the present ones: where a person moved an event, the new place. For a warm restart of
        the correlator and for reports.
        """
        return triage.iter_triaged(self._db, since, committed_after)

    # ---- incidents --------------------------------------------------------------------------------------

    def get_incident(self, incident_id: str) -> Incident:
        """Raises UsageError where there is no such incident."""
        with self._db.read() as tx:
            return incidents.get(tx, incident_id)

    def find_incidents(self, ids: Sequence[str]) -> dict[str, Incident]:
        """Those of `ids` that exist, by id."""
        with self._db.read() as tx:
            return {found.id: found for found in incidents.find(tx, ids)}

    def list_incidents(
        self,
        *,
        states: Sequence[IncidentState] = (),
        priorities: Sequence[Priority] = (),
        since: datetime | None = None,
        asset: str = "",
        limit: int = 1000,
    ) -> list[Incident]:
        """Most urgent first, then the latest. Empty filters match all; `since` is about the last event."""
        with self._db.read() as tx:
            return incidents.list_all(tx, states, priorities, since, asset, limit)

    def events_of(self, incident_id: str, limit: int = 10_000) -> list[Event]:
        """Its events in order of their time."""
        with self._db.read() as tx:
            return incidents.events_of(tx, incident_id, limit)

    def incident_of(self, event_id: str) -> str:
        """Id of the incident the event belongs to, "" for none."""
        with self._db.read() as tx:
            return incidents.incident_of(tx, event_id)

    def timeline(self, incident_id: str, limit: int = 500) -> list[TimelineItem]:
        """Everything that happened to it, oldest first."""
        with self._db.read() as tx:
            return timeline.of_incident(tx, incident_id, limit)

    def set_state(
        self, incident_id: str, state: IncidentState, who: str, why: str = "", now: datetime | None = None
    ) -> Incident:
        """Change the state by hand. The same state again changes nothing."""
        with self._db.write() as tx:
            return incidents.set_state(tx, incident_id, state, who, why, now or utc_now())

    def acknowledge(self, incident_id: str, who: str, why: str = "", now: datetime | None = None) -> Incident:
        """Somebody has it: it no longer escalates. Raises UsageError where it is resolved or closed."""
        with self._db.write() as tx:
            return incidents.acknowledge(tx, incident_id, who, why, now or utc_now())

    def correct(
        self,
        incident_id: str,
        field: FeedbackField,
        value: JsonValue,
        who: str,
        why: str,
        *,
        versions: Mapping[str, str] | None = None,
        evidence: Sequence[str] = (),
        simulated: bool = False,
        now: datetime | None = None,
    ) -> Feedback:
        """A person's correction: kept as feedback, applied to the incident, whose revision rises.

        field "priority": value "P0".."P3". "cause": a cause id. "wording": the better title.
        "grouping": the id of the incident this one belongs into, or {"events": [ids], "into": id or ""}
        where "" opens a new incident. "guide_step": any JSON, kept as feedback only.
        The same person saying the same again returns the feedback that exists.
        """
        with self._db.write() as tx:
            correction = corrections.Correction(
                incident_id, field, value, who, why, dict(versions or {}), tuple(evidence), simulated
            )
            return corrections.correct(tx, correction, now or utc_now())

    def corrected_cause(self, incident_id: str) -> str:
        """The cause a person set, "" where nobody did."""
        with self._db.read() as tx:
            return incidents.corrected_cause(tx, incident_id)

    def due_escalations(
        self, after_s: float, *, max_level: int = 1, now: datetime | None = None
    ) -> list[Escalation]:
        """Open P0 incidents whose last notice (first or escalation) is older than `after_s`, unacknowledged.

        `max_level` is the number of sinks after the first: nothing escalates further than that.
        """
        with self._db.read() as tx:
            return incidents.due_escalations(tx, after_s, max_level, now or utc_now())

    def escalate(
        self,
        incident_id: str,
        notice: Notice | None = None,
        sink: str = "",
        *,
        who: str = "setpoint",
        why: str = "",
        now: datetime | None = None,
    ) -> int:
        """Note one more escalation and queue its notice for `sink`. Returns the new level."""
        with self._db.write() as tx:
            return incidents.escalate(tx, incident_id, notice, sink, who, why, now or utc_now())

    # ---- incidents that another one explains --------------------------------------------------------------

    def group_explained(
        self,
        root_id: str,
        ids: Sequence[str],
        *,
        cause: str,
        why: str,
        who: str = "setpoint",
        now: datetime | None = None,
    ) -> list[str]:
        """Put incidents under the one whose cause explains them; returns those that are new there.

        What a person took out stays out. Raises UsageError for an unknown root.
        """
        with self._db.write() as tx:
            return explained.group(tx, root_id, ids, cause, who, why, now or utc_now())

    def ungroup_explained(
        self, incident_id: str, who: str, why: str, *, by_person: bool = True, now: datetime | None = None
    ) -> Explained:
        """Take an incident out again; a person's word keeps it out. Raises UsageError where it stands under none."""
        with self._db.write() as tx:
            return explained.ungroup(tx, incident_id, who, why, now or utc_now(), by_person=by_person)

    def explained_by(self) -> dict[str, Explained]:
        """Every incident that stands under another one, by its id."""
        with self._db.read() as tx:
            return {one.incident_id: one for one in explained.list_all(tx)}

    def kept_apart(self) -> set[str]:
        """Incidents that a person took out and that Setpoint must not group again."""
        with self._db.read() as tx:
            return explained.kept_apart(tx)

    # ---- outbox -----------------------------------------------------------------------------------------

    def queue_notice(
        self,
        notice: Notice,
        *,
        sinks: Sequence[str] | None = None,
        received: datetime | None = None,
        not_before: datetime | None = None,
        now: datetime | None = None,
    ) -> int:
        """Queue one notice version per sink; a version queued before is ignored. Returns how many were new.

        Version 0 means the next one: the ledger numbers it within the dedup key. It supersedes unsent older plain words and updates of the same incident and sink, never the first notice.
        """
        with self._db.write() as tx:
            outgoing = [outbox.Outgoing(notice, received, not_before)]
            return outbox.queue(tx, outgoing, self._sinks(sinks), now or utc_now())

    def due(
        self, limit: int = 100, now: datetime | None = None, *, without: Sequence[str] = ()
    ) -> list[Delivery]:
        """What to send now: most urgent first, and per incident and sink never a version before an older one.
        Nothing for the sinks in `without`."""
        with self._db.read() as tx:
            return outbox.due(tx, now or utc_now(), limit, without)

    def mark_sent(self, keys: str | Sequence[str], now: datetime | None = None) -> int:
        """The sink accepted them. Returns how many were not marked before."""
        with self._db.write() as tx:
            return outbox.mark_sent(tx, [keys] if isinstance(keys, str) else list(keys), now or utc_now())

    def mark_failed(
        self, key: str, error: str, retry_at: datetime | None, now: datetime | None = None
    ) -> None:
        """The sink refused or was not reached. `retry_at` None gives up (state dead)."""
        with self._db.write() as tx:
            outbox.mark_failed(tx, key, error, retry_at, now or utc_now())

    def list_deliveries(
        self, *, incident_id: str = "", states: Sequence[str] = (), limit: int = 1000
    ) -> list[Delivery]:
        """Deliveries in the order they were queued."""
        with self._db.read() as tx:
            return outbox.list_all(tx, incident_id, states, limit)

    def last_notice(self, incident_id: str) -> Notice | None:
        """The newest version queued for the incident: the next one carries `version + 1`."""
        with self._db.read() as tx:
            return outbox.last_notice(tx, incident_id)

    def first_told(self, incident_id: str) -> datetime | None:
        """When the incident's first notice was queued."""
        with self._db.read() as tx:
            return outbox.first_queued(tx, incident_id)

    def notices_since(self, since: datetime, stage: str = "first") -> int:
        """How many distinct notices of one stage were queued since then (for flood control)."""
        with self._db.read() as tx:
            return outbox.notices_since(tx, since, stage)

    # ---- jobs -------------------------------------------------------------------------------------------

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: Mapping[str, JsonValue] | None = None,
        *,
        urgency: int = 2,
        not_before: datetime | None = None,
        max_attempts: int = 8,
        now: datetime | None = None,
    ) -> int:
        """Queue work. While a job of this kind and key is queued, the newer payload replaces the older one
        (lists of both are joined), and the earlier start and the higher urgency stand. Returns the job's id.

        A `thread_id` in the payload names the checkpoint thread that retention may drop when it is finished.
        """
        with self._db.write() as tx:
            order = jobs.Order(kind, key, dict(payload or {}), urgency, not_before, max_attempts)
            return jobs.enqueue(tx, order, now or utc_now())

    def claim(
        self, kinds: Sequence[str], worker: str, lease_s: float = 60.0, now: datetime | None = None
    ) -> Job | None:
        """Take the most urgent job that is due, or one whose worker let its lease run out. None: nothing to do.

        Never two at a time of one kind and key.
        """
        with self._db.read() as tx:  # polling an empty queue must not take the write lock
            if not jobs.any_due(tx, kinds, now or utc_now()):
                return None
        with self._db.write() as tx:
            return jobs.claim(tx, kinds, worker, lease_s, now or utc_now())

    def release_jobs(self, now: datetime | None = None) -> int:
        """Queue again what a process that died held. Only for the one process that works on this ledger."""
        with self._db.write() as tx:
            return jobs.release(tx, now or utc_now())

    def heartbeat(self, job: Job, lease_s: float = 60.0, now: datetime | None = None) -> bool:
        """Prolong the lease. False: it was lost, stop working on it."""
        with self._db.write() as tx:
            return jobs.heartbeat(tx, job, lease_s, now or utc_now())

    def finish(self, job: Job, now: datetime | None = None) -> bool:
        """The job is done. False: the lease was lost and another worker has it."""
        with self._db.write() as tx:
            return jobs.finish(tx, job, now or utc_now())

    def fail(self, job: Job, error: str, retry_at: datetime | None, now: datetime | None = None) -> str:
        """The job failed; it is tried again at `retry_at`. Returns the new state.

        "dead" after the last allowed attempt or where `retry_at` is None; "merged" where a newer job of the
        same kind and key is queued already and does its work; "lost" where the lease was lost.
        """
        with self._db.write() as tx:
            return jobs.fail(tx, job, error, retry_at, now or utc_now())

    def list_jobs(
        self, *, kinds: Sequence[str] = (), states: Sequence[str] = (), limit: int = 1000
    ) -> list[Job]:
        """Jobs in the order they were queued."""
        with self._db.read() as tx:
            return jobs.list_all(tx, kinds, states, limit)

    # ---- diagnoses --------------------------------------------------------------------------------------

    def record_diagnosis(
        self,
        diagnosis: Diagnosis,
        *,
        reviews: Sequence[Review] = (),
        notices: Sequence[Notice] = (),
        jobs: Sequence[JobRequest] = (),
        finished_job: Job | None = None,
        approvals_needed: Mapping[str, int] | None = None,
        sinks: Sequence[str] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Write a diagnosis with all that follows from it and finish its job, in one transaction.

        `approvals_needed` maps a review id to how many people must agree (1 where it is not named).
        Raises LeaseLost, and writes nothing, where another worker holds the job by now.
        """
        with self._db.write() as tx:
            moment = now or utc_now()
            diagnoses.record(
                tx,
                diagnosis,
                diagnoses.Consequences(
                    tuple(reviews), tuple(notices), tuple(jobs), finished_job, dict(approvals_needed or {})
                ),
                self._sinks(sinks),
                moment,
            )

    def get_diagnosis(self, incident_id: str) -> Diagnosis | None:
        """The latest one."""
        with self._db.read() as tx:
            return diagnoses.latest(tx, incident_id)

    def list_diagnoses(self, incident_id: str = "") -> list[Diagnosis]:
        """Oldest first; of all incidents where none is named."""
        with self._db.read() as tx:
            return diagnoses.list_all(tx, incident_id)

    # ---- reviews ----------------------------------------------------------------------------------------

    def open_review(self, review: Review, *, approvals_needed: int = 1, now: datetime | None = None) -> bool:
        """Put a review in the queue. False: its id is there already (nothing changed)."""
        with self._db.write() as tx:
            return reviews.open_review(tx, review, approvals_needed, now or utc_now())

    def get_review(self, review_id: str) -> Review:
        """Raises UsageError where there is no such review."""
        with self._db.read() as tx:
            return reviews.get(tx, review_id)

    def list_reviews(
        self,
        *,
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        incident_id: str = "",
        limit: int = 1000,
    ) -> list[Review]:
        """Oldest first."""
        with self._db.read() as tx:
            return reviews.list_all(tx, states, kinds, incident_id, limit)

    def approvals(self, review_id: str) -> tuple[tuple[str, ...], int]:
        """Who has said yes to the current digest, and how many are needed."""
        with self._db.read() as tx:
            return reviews.approvals(tx, review_id)

    def decide(
        self,
        review_id: str,
        digest: str,
        decision: Decision,
        *,
        versions: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> Decided:
        """Decide a pending review: check, claim, feedback, audit and resume job in one transaction.

        `digest` is the one the person saw. approve: final once enough different people agreed. edit: counts as
        the editor's yes to the edited action under its new digest; earlier approvals fall. reject and respond
        are final at once. A final decision queues the job `resume` with key = review id and payload
        {review_id, incident_id, decision, digest, approvers}.
        Raises NotDecidable where it is not pending, expired, has another digest, or the same person agrees
        twice; then nothing was written.
        """
        with self._db.write() as tx:
            return reviews.decide(tx, review_id, digest, decision, dict(versions or {}), now or utc_now())

    def expire_reviews(self, now: datetime | None = None) -> list[Review]:
        """Close every pending review whose time is over; each queues its `resume` job. Returns them."""
        with self._db.write() as tx:
            return reviews.expire(tx, now or utc_now())

    def withdraw_review(self, review_id: str, who: str, why: str, now: datetime | None = None) -> bool:
        """Take a pending review back (the incident went away). False: it was not pending any more."""
        with self._db.write() as tx:
            return reviews.withdraw(tx, review_id, who, why, now or utc_now())

    # ---- actions ----------------------------------------------------------------------------------------

    def begin_action(
        self,
        key: str,
        action: Action,
        *,
        incident_id: str,
        review_id: str = "",
        approvers: Sequence[str] = (),
        dry_run: bool = True,
        token: str = "",
        now: datetime | None = None,
    ) -> bool:
        """Claim the right to execute `action` once. False: `key` was begun before, so do not execute.

        Raises ActionRefused where another action on the same asset is still executing.
        After a crash between begin and finish the row stays "executing": see `unfinished_actions`.
        """
        with self._db.write() as tx:
            start = actions.Start(key, action, incident_id, review_id, tuple(approvers), dry_run, token)
            return actions.begin(tx, start, now or utc_now())

    def finish_action(self, key: str, outcome: Outcome, now: datetime | None = None) -> None:
        """Write how it ended. Finishing twice keeps the first outcome."""
        with self._db.write() as tx:
            actions.finish(tx, key, outcome, now or utc_now())

    def get_action(self, key: str) -> ActionRecord | None:
        """The record under this idempotency key."""
        with self._db.read() as tx:
            return actions.get(tx, key)

    def list_actions(self, *, incident_id: str = "", limit: int = 1000) -> list[ActionRecord]:
        """Oldest first."""
        with self._db.read() as tx:
            return actions.list_all(tx, incident_id, (), limit)

    def unfinished_actions(self) -> list[ActionRecord]:
        """Actions begun and not finished: on start, whoever executes must settle each of them."""
        with self._db.read() as tx:
            return actions.list_all(tx, "", ("executing",), 1000)

    def actions_on(self, asset: str, since: datetime) -> int:
        """How many actions really moved (or may have moved) this asset since then; dry runs do not count."""
        with self._db.read() as tx:
            return actions.count_on(tx, asset, since)

    # ---- rehearsals -------------------------------------------------------------------------------------

    def note_rehearsal(
        self,
        key: str,
        rehearsal: Rehearsal,
        *,
        incident_id: str = "",
        due: datetime | None = None,
        now: datetime | None = None,
    ) -> bool:
        """Keep what was predicted for the action under `key`, until its horizon ends (`due`, else from now).

        The first one stands. False: there was one already.
        """
        at = now or utc_now()
        with self._db.write() as tx:
            ends = due or at + timedelta(seconds=rehearsal.horizon_s)
            return rehearsals.note(tx, key, rehearsal, incident_id, ends, at)

    def due_rehearsals(self, now: datetime | None = None, limit: int = 100) -> list[RehearsalRecord]:
        """Those whose horizon has ended and that were not yet compared, the longest waiting first."""
        with self._db.read() as tx:
            return rehearsals.due(tx, now or utc_now(), limit)

    def finish_rehearsal(self, key: str, compared: Compared | None, now: datetime | None = None) -> bool:
        """End it: as compared, or, with None or no reading in it, as unseen. The first ending stands; False: it had
        ended. Raises UsageError for an unknown key."""
        with self._db.write() as tx:
            return rehearsals.finish(tx, key, compared, now or utc_now())

    def get_rehearsal(self, key: str) -> RehearsalRecord | None:
        """Of the action under `key`."""
        with self._db.read() as tx:
            return rehearsals.get(tx, key)

    def list_rehearsals(
        self, *, action: str = "", incident_id: str = "", limit: int = 1000
    ) -> list[RehearsalRecord]:
        """Oldest first, of one catalog action or of one incident where it is named."""
        with self._db.read() as tx:
            return rehearsals.list_all(tx, action, incident_id, limit)

    # ---- autonomy ---------------------------------------------------------------------------------------

    def change_level(self, item: LevelChange) -> LevelChange:
        """Write what a person said about a kind's level into the audit chain, which is where it counts."""
        with self._db.write() as tx:
            return autonomy.change(tx, item)

    def level_changes(self, action: str) -> list[LevelChange]:
        """All that was said about the level of one kind of action, oldest first."""
        with self._db.read() as tx:
            return autonomy.changes(tx, action)

    def decided_actions(self, action: str) -> list[DecidedAction]:
        """Final decisions about one kind of action and what came of each, in order; simulated ones are left out."""
        with self._db.read() as tx:
            return autonomy.decided(tx, action)

    def mark_harm(self, named: str, who: str, why: str, now: datetime | None = None) -> Harm:
        """A person says that an executed action did harm. `named`: its key, or the id of its review. The first word
        stands. Raises UsageError where there is no such action or it moved nothing."""
        with self._db.write() as tx:
            return autonomy.mark_harm(tx, named, who, why, now or utc_now())

    def ran_alone(self, since: datetime, action: str = "", *, before_review: str = "") -> int:
        """How many actions autonomy let run since then, of all kinds where none is named; only those that it let run
        before the named review where one is given."""
        with self._db.read() as tx:
            return autonomy.alone_since(tx, action, since, before_review)

    # ---- feedback ---------------------------------------------------------------------------------------

    def add_feedback(self, item: Feedback) -> bool:
        """Keep one judgement. False: the same person said it of this version already."""
        with self._db.write() as tx:
            return feedback.add(tx, item)

    def list_feedback(
        self, *, subject: str = "", fields: Sequence[str] = (), simulated: bool = False, limit: int = 100_000
    ) -> list[Feedback]:
        """Oldest first. Simulated decisions are left out unless asked for."""
        with self._db.read() as tx:
            return feedback.list_all(tx, subject, fields, simulated, limit)

    def export_feedback(self, kind: str = "raw", *, simulated: bool = False) -> Iterator[str]:
        """JSON Lines, each with `prompt` (the situation as data) and `meta`, except for kind "raw".

        kind "raw": whole records. "preference": {chosen, rejected}. "supervised": {completion}. "labelled":
        {completion, label}, label being whether a person agreed. Simulated decisions are left out unless asked for.
        """
        with self._db.read() as tx:
            return iter(feedback.export(tx, kind, simulated))

    # ---- quarantine -------------------------------------------------------------------------------------

    def list_quarantine(self, *, state: QuarantineState = "held", limit: int = 1000) -> list[HeldItem]:
        """Oldest first."""
        with self._db.read() as tx:
            return quarantine.list_all(tx, state, limit)

    def get_quarantined(self, item_id: str) -> HeldItem:
        """Raises UsageError where there is no such item."""
        with self._db.read() as tx:
            return quarantine.get(tx, item_id)

    def mark_replayed(self, item_id: str, now: datetime | None = None) -> bool:
        """The mended item went through intake. False: it was not held."""
        with self._db.write() as tx:
            return quarantine.change(tx, item_id, "replayed", now or utc_now())

    def remove_quarantined(self, item_id: str, now: datetime | None = None) -> bool:
        """Give the item up; its raw bytes are dropped. False: it was not held."""
        with self._db.write() as tx:
            return quarantine.change(tx, item_id, "removed", now or utc_now())

    # ---- silences ---------------------------------------------------------------------------------------

    def add_silence(
        self,
        *,
        until: datetime,
        who: str,
        why: str,
        asset: str = "*",
        kind: str = "*",
        template: str = "*",
        now: datetime | None = None,
    ) -> Silence:
        """Raises UsageError for a silence that ends in the past or that would silence everything."""
        with self._db.write() as tx:
            return silences.add(
                tx, silences.Matchers(asset, kind, template), until, who, why, now or utc_now()
            )

    def list_silences(self, *, active_at: datetime | None = None) -> list[Silence]:
        """Those not removed; only those in force at `active_at` where it is given."""
        with self._db.read() as tx:
            return silences.list_all(tx, active_at)

    def remove_silence(self, silence_id: str, who: str, now: datetime | None = None) -> bool:
        """False: there is no such silence any more."""
        with self._db.write() as tx:
            return silences.remove(tx, silence_id, who, now or utc_now())

    def matching_silence(
        self, asset: str, kind: str, template: str = "", now: datetime | None = None
    ) -> Silence | None:
        """The first silence in force that matches. For many events, list once and use `Silence.matches`."""
        moment = now or utc_now()
        return next(
            (s for s in self.list_silences(active_at=moment) if s.matches(asset, kind, template, moment)),
            None,
        )

    # ---- rules ------------------------------------------------------------------------------------------

    def rule_state(self, name: str, digest: str) -> RuleState:
        """Whether this content of the rule set may count: only "accepted" may."""
        with self._db.read() as tx:
            return rules.state(tx, name, digest)

    def propose_rules(
        self,
        name: str,
        content: str,
        *,
        who: str,
        why: str = "",
        shipped: bool = False,
        review: Review | None = None,
        now: datetime | None = None,
    ) -> RuleVersion:
        """Make a rule set's content known by its SHA-256. Known content is returned as it stands.

        New content waits (pending) until its review says yes; `shipped` content (part of this release) is
        accepted at once. `review` is opened with it; deciding that review decides the rules.
        """
        with self._db.write() as tx:
            moment = now or utc_now()
            proposal = rules.Proposal(name, content, who, why, shipped, review.id if review else "")
            version, is_new = rules.propose(tx, proposal, moment)
            if is_new and review is not None and not shipped:
                reviews.open_review(tx, review, 1, moment)
            return version

    def decide_rules(
        self, name: str, digest: str, accept: bool, who: str, why: str, now: datetime | None = None
    ) -> RuleVersion:
        """Accept or reject pending content directly. Raises NotDecidable where it is not pending."""
        with self._db.write() as tx:
            return rules.decide(tx, name, digest, accept, who, why, now or utc_now())

    def accepted_rules(self, name: str) -> RuleVersion | None:
        """The content accepted last: what counts while a newer one waits."""
        with self._db.read() as tx:
            return rules.accepted(tx, name)

    def list_rules(self, *, state: RuleState | None = None) -> list[RuleVersion]:
        """Oldest first."""
        with self._db.read() as tx:
            return rules.list_all(tx, state)

    # ---- audit and upkeep -------------------------------------------------------------------------------

    def audit(
        self, who: str, what: str, subject: str, data: JsonValue = None, now: datetime | None = None
    ) -> AuditRow:
        """Add one row to the hash chain."""
        with self._db.write() as tx:
            return audit.append(tx, who, what, subject, data, now or utc_now())

    def list_audit(self, *, subject: str = "", after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """Rows numbered above `after`, in order."""
        with self._db.read() as tx:
            return audit.list_all(tx, subject, after, limit)

    def verify_chain(self) -> ChainReport:
        """Recompute the whole chain; names the first row that was changed, removed or put in."""
        with self._db.read() as tx:
            return audit.verify(tx)

    def prune(
        self,
        settings: StoreSettings,
        *,
        checkpoints: Path | None = None,
        limit: int = 20_000,
        now: datetime | None = None,
    ) -> Pruned:
        """Drop at most `limit` rows of each sort that are past retention.

        Feedback, reviews, actions, diagnoses, incidents and the audit chain are kept. `checkpoints` is the file
        of LangGraph's SqliteSaver: a thread goes when the jobs that named it (payload `thread_id`, else
        "kind:key") all ended more than `checkpoint_days` ago and no review of that id is pending.
        """
        return retention.prune(self._db, settings, checkpoints, limit, now or utc_now())

    def tidy(self) -> None:
        """Upkeep of the file that commits should not do themselves; call it every few seconds."""
        self._db.tidy()

    def stats(self, since: datetime | None = None) -> Stats:
        """Counts, for reports and metrics. `since` bounds the latency figures only."""
        with self._db.read() as tx:
            return stats.collect(tx, since)

    def _sinks(self, sinks: Sequence[str] | None) -> tuple[str, ...]:
        return self.sinks if sinks is None else tuple(sinks)
