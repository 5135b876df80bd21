"""One incident: the events that belong together, and what was said about them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from setpoint.contracts.event import Frozen
from setpoint.contracts.triage import Priority
from setpoint.contracts.wording import Wording

IncidentState = Literal["open", "acknowledged", "resolved", "closed"]
Path = Literal["fast", "slow", "record"]
NoticeStage = Literal["first", "plain", "update", "escalation", "resolved", "storm"]


class Incident(Frozen):
    """The unit an operator works on."""

    id: str
    """Short and stable, e.g. "INC-0042"."""
    group_key: str
    """What the grouping rule saw as one thing (asset, rack, feed, serial number, template ...)."""
    title: str
    priority: Priority
    state: IncidentState
    opened: datetime
    """Time of its first event, UTC."""
    updated: datetime
    """Time of its last event, UTC."""
    assets: tuple[str, ...]
    event_count: int = Field(ge=0)
    path: Path
    grouped_by: str
    """Why these events are one incident, in words."""
    revision: int = 0
    """Rises when something new enough to deserve another look arrived."""
    related: tuple[str, ...] = ()
    """Ids of incidents that are linked by topology but were opened apart."""


class Notice(Frozen):
    """One notification version. Versions of one incident share `dedup_key`, so a sink updates in place."""

    incident_id: str
    dedup_key: str
    version: int
    stage: NoticeStage
    priority: Priority
    title: str
    text: str
    written_by: str
    """"template", the model's name where verified model words are in it, or the person who said it better."""
    link: str = ""
    origin: Wording | None = None
    """What a model wrote it from. It stays in the ledger: no sink is sent it."""
