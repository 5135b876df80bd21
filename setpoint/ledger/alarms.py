"""The ledger's methods about alarms: taken in, ranked, grouped into incidents, told to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from setpoint.contracts import (
    Event,
    Feedback,
    FeedbackField,
    Incident,
    IncidentState,
    Notice,
    Priority,
    Quarantined,
    Triage,
)
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.contracts.wording import Wording
from setpoint.ledger import (
    corrections,
    explained,
    inbox,
    incidents,
    outbox,
    quarantine,
    silences,
    texts,
    timeline,
    triage,
)
from setpoint.ledger.clock import utc_now
from setpoint.ledger.opened import Store
from setpoint.ledger.records import (
    Accepted,
    Committed,
    Delivery,
    Escalation,
    Explained,
    HeldItem,
    QuarantineState,
    Silence,
    TimelineItem,
)
from setpoint.ledger.texts import Text


class Alarms(Store):
    """Inbox, triage, incidents, outbox, and what is kept from both."""

    # ---- inbox ------------------------------------------------------------------------------------------------

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

    # ---- triage -----------------------------------------------------------------------------------------------

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

    # ---- incidents --------------------------------------------------------------------------------------------

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
        origin: Wording | None = None,
        now: datetime | None = None,
    ) -> Feedback:
        """A person's correction: kept as feedback, applied to the incident, whose revision rises.

        field "priority": value "P0".."P3". "cause": a cause id. "wording": the better title, or {"part": "alert",
        "summary" or "step-N", "text": better words, "" for a bad text without better words}; `origin`: what that text
        was written from, where the ledger does not know it.
        "grouping": the id of the incident this one belongs into, or {"events": [ids], "into": id or ""}
        where "" opens a new incident. "guide_step": any JSON, kept as feedback only.
        The same person saying the same again returns the feedback that exists.
        """
        with self._db.write() as tx:
            correction = corrections.Correction(
                incident_id, field, value, who, why, dict(versions or {}), tuple(evidence), simulated, origin
            )
            return corrections.correct(tx, correction, now or utc_now())

    def list_texts(self, incident_id: str) -> list[Text]:
        """Its alert, summary and steps as they read now, as far as there are any."""
        with self._db.read() as tx:
            return texts.list_all(tx, incident_id)

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

    # ---- incidents that another one explains ------------------------------------------------------------------

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

    # ---- outbox -----------------------------------------------------------------------------------------------

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

    # ---- quarantine -------------------------------------------------------------------------------------------

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

    # ---- silences ---------------------------------------------------------------------------------------------

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
