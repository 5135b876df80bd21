"""The ledger's methods about decisions: what was found, proposed, rehearsed, decided and done, and what it earned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from plant.diagnosis.results import Compared, Rehearsal
from setpoint.contracts import Action, Decision, Diagnosis, Feedback, Notice, Outcome, Review
from setpoint.contracts.autonomy import DecidedAction, Harm, LevelChange
from setpoint.contracts.dispatch import JobRequest
from setpoint.ledger import actions, autonomy, diagnoses, feedback, rehearsals, reviews, rules
from setpoint.ledger.clock import utc_now
from setpoint.ledger.opened import Store
from setpoint.ledger.records import ActionRecord, Decided, Job, RehearsalRecord, RuleState, RuleVersion


class Decisions(Store):
    """Diagnoses, reviews, actions, rehearsals, autonomy, feedback and rules."""

    # ---- diagnoses --------------------------------------------------------------------------------------------

    def record_diagnosis(
        self,
        diagnosis: Diagnosis,
        *,
        reviews: Sequence[Review] = (),
        renewed: Sequence[Review] = (),
        notices: Sequence[Notice] = (),
        jobs: Sequence[JobRequest] = (),
        finished_job: Job | None = None,
        approvals_needed: Mapping[str, int] | None = None,
        sinks: Sequence[str] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Write a diagnosis with all that follows from it and finish its job, in one transaction.

        `approvals_needed` maps a review id to how many people must agree (1 where it is not named).
        `renewed` are questions that wait already and are shown with what is known by now.
        Raises LeaseLost, and writes nothing, where another worker holds the job by now.
        """
        with self._db.write() as tx:
            moment = now or utc_now()
            diagnoses.record(
                tx,
                diagnosis,
                diagnoses.Consequences(
                    tuple(reviews),
                    tuple(notices),
                    tuple(jobs),
                    finished_job,
                    dict(approvals_needed or {}),
                    tuple(renewed),
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

    def dated_diagnoses(self, incident_id: str) -> list[tuple[datetime, Diagnosis]]:
        """Each with when it was recorded, oldest first."""
        with self._db.read() as tx:
            return diagnoses.dated(tx, incident_id)

    # ---- reviews ----------------------------------------------------------------------------------------------

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

    # ---- actions ----------------------------------------------------------------------------------------------

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

    # ---- rehearsals -------------------------------------------------------------------------------------------

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

    # ---- autonomy ---------------------------------------------------------------------------------------------

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

    # ---- feedback ---------------------------------------------------------------------------------------------

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

    # ---- rules ------------------------------------------------------------------------------------------------

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
