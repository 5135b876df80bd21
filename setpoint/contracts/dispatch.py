"""What one triage batch decided: the one value that triage hands over and the ledger commits at once."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from setpoint.contracts.action import Review
from setpoint.contracts.event import Event, Frozen
from setpoint.contracts.incident import Incident, Notice
from setpoint.contracts.triage import Context, Triage

JobKind = Literal["fast", "slow", "review", "resume", "act", "loop"]


class Ranked(Frozen):
    """One event as triage leaves it: judged, and in its incident."""

    event: Event
    context: Context
    triage: Triage
    incident_id: str
    group_key: str
    grouped_by: str
    repeat: bool = False
    """Nothing new: counted, never notified."""


class JobRequest(Frozen):
    """Work to be queued with the batch. A queued job of the same kind and key absorbs this one."""

    kind: JobKind
    key: str
    """Incident id for `fast` and `slow`, review id for `review`, cycle id for `loop`."""
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    """`incident_id` always; `revision` and `event_ids` (the new ones, most important first) for fast and
    slow; `review_id` for review."""
    urgency: int = Field(default=2, ge=0, le=3)
    """The incident's priority as a number: 0 is taken first."""
    quiet_s: float = Field(default=0.0, ge=0.0)
    """Taken after so long without another request for the same key; 0: at once."""
    longest_s: float = Field(default=0.0, ge=0.0)
    """With `quiet_s`: taken after so long at the latest, whatever else comes."""


class Dispatch(Frozen):
    """Committed whole or not at all. All of it follows from the batch and the state before it, so a batch that is
    done again after a crash makes the same ids."""

    batch_id: str
    """Hash of the event ids, for recognising a batch that was committed before."""
    time: datetime
    """When the batch was dispatched, UTC."""
    ranked: tuple[Ranked, ...]
    """Every event of the batch, in the order it was taken from the inbox."""
    incidents: tuple[Incident, ...] = ()
    """Upserts, complete: what each touched incident is after this batch (event_count is the total)."""
    new_incidents: tuple[str, ...] = ()
    """Ids among `incidents` that did not exist before."""
    notices: tuple[Notice, ...] = ()
    """For the outbox: first notices, updates and resolutions. `version` 0: the ledger numbers it within the
    incident. Silenced, maintained and repeated events make none."""
    reviews: tuple[Review, ...] = ()
    """Doubtful inputs to be looked at, ids stable: insert where absent."""
    jobs: tuple[JobRequest, ...] = ()
