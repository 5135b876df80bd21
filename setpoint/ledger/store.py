"""The ledger: the one durable truth about what came in, what was said, asked, decided and done.

Every method is synchronous and runs in one transaction; callers on an event loop put it in a thread. What a
method returned is on disk. Methods may be called from any thread and from several processes at once. Times are
aware datetimes; `now` defaults to the clock and is a parameter so that replays and tests can set it.

Every method may raise StoreLocked, StoreFull, StoreReadOnly or StoreCorrupt; none of them leaves half a
transaction behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from setpoint.ledger import actions, audit, glance, jobs, retention, stats
from setpoint.ledger.accounts import Accounts
from setpoint.ledger.alarms import Alarms
from setpoint.ledger.browsing import Browsing
from setpoint.ledger.clock import utc_now
from setpoint.ledger.decisions import Decisions
from setpoint.ledger.glance import Waiting
from setpoint.ledger.loops import Cycles
from setpoint.ledger.records import ActionRecord, AuditRow, ChainReport, Job, Pruned, Stats
from setpoint.ledger.threads import ChatThreads
from setpoint.settings import StoreSettings


class Ledger(Alarms, Browsing, Decisions, Cycles, ChatThreads, Accounts):
    """All of the ledger behind one door. Open it with `Ledger.open`; it is a context manager."""

    # ---- jobs -------------------------------------------------------------------------------------------------

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

    def hasten_jobs(self, now: datetime | None = None) -> int:
        """Let begin what waits for its incident to be quiet, because no more events will come. Returns how many."""
        with self._db.write() as tx:
            return jobs.hasten(tx, now or utc_now())

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

    # ---- audit and upkeep -------------------------------------------------------------------------------------

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

    def last_audit(self) -> int:
        """Number of the newest row of the chain; cheap enough to ask several times a second."""
        with self._db.read() as tx:
            return audit.last_number(tx)

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

    # ---- at a glance ------------------------------------------------------------------------------------------

    def waiting(self) -> Waiting:
        """What waits for a person, in counts."""
        with self._db.read() as tx:
            return glance.waiting(tx)

    def latest_actions(self, since: datetime, limit: int = 200) -> list[ActionRecord]:
        """The last actions that were begun since then, in their order."""
        with self._db.read() as tx:
            return actions.latest(tx, since, limit)
