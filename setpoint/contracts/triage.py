"""The importance decision."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from setpoint.contracts.event import Event, Frozen

Priority = Literal["P0", "P1", "P2", "P3"]
Level = Literal["high", "low"]
PRIORITIES: tuple[Priority, ...] = ("P0", "P1", "P2", "P3")


def priority_of(urgency: Level, impact: Level, complexity: Level) -> Priority:
    """The product's one priority table.

    >>> priority_of("high", "high", "low"), priority_of("low", "high", "low")
    ('P0', 'P1')
    >>> priority_of("high", "low", "low"), priority_of("low", "low", "high"), priority_of("low", "low", "low")
    ('P2', 'P2', 'P3')
    """
    if impact == "high":
        return "P0" if urgency == "high" else "P1"
    return "P2" if "high" in (urgency, complexity) else "P3"


def one_level_up(priority: Priority) -> Priority:
    """Where an undecided event goes: up, never down."""
    return PRIORITIES[max(0, PRIORITIES.index(priority) - 1)]


class Judgement(Frozen):
    """One of the three questions answered, with its reason in an operator's words."""

    level: Level
    reason: str


class Triage(Frozen):
    """How important one event is, and what made it so."""

    event_id: str
    priority: Priority
    urgency: Judgement
    impact: Judgement
    complexity: Judgement
    confidence: float = Field(ge=0.0, le=1.0)
    """Calibrated probability that the priority is right."""
    decided_by: tuple[str, ...]
    """Rule ids ("xid.79@3"), "ranker", "severity", "site-tier", "new-pattern" ... in the order they applied."""
    condition: str
    """What happened in a short noun phrase ("GPU fell off the bus"), from the rule; "" where no rule names it."""
    cause_hints: tuple[str, ...] = ()
    """Root-cause ids the deciding rules point at."""
    undecided: bool = False
    """No rule and no confident ranker: ranked one level up."""
    doubtful: bool = False
    """Contradictory, low in confidence or from the future: waits in review as doubtful input."""

    @property
    def reason(self) -> str:
        return "; ".join(j.reason for j in (self.urgency, self.impact, self.complexity) if j.reason)


class Context(Frozen):
    """What correlation knows about one event before it is ranked."""

    template: str = ""
    """Mined message template with variable parts as `<*>`."""
    template_count: int = 1
    """Times this template was seen on this site so far."""
    repeats: int = 0
    """Times this very condition (dedup key) fired before within the repeat window."""
    burst: int = 1
    """Events of this template within the group window, over all assets."""
    burst_assets: int = 1
    """Distinct assets in that burst."""
    new_pattern: bool = False
    """First seen since a change that touched this asset, on a site that has history."""
    since_change: str = ""
    """That change in words."""
    flapping: bool = False
    """Fired and resolved several times within the flap window."""
    maintenance: str = ""
    """The maintenance window that covers it, in words; "" outside any."""
    about: str = ""
    """The asset that the message is about, where another one reports it (a scheduler on a node); else ""."""
    announced: str = ""
    """What was announced beforehand and accounts for it, in its own words; "" where nothing was."""
    silenced: str = ""
    """The id of the silence that matches it; "" where none does."""
    tier: str = ""
    """"shared", "vip", "standard", or "" for an asset the site file does not know."""
    downstream: int = 0
    """Assets that stand on this one."""


class Correlated(Frozen):
    """One event with the incident it belongs to."""

    event: Event
    context: Context
    group_key: str
    grouped_by: str
    """Why it belongs there, in words."""
    repeat: bool = False
    """Nothing new: counted, not notified again."""
    incident_id: str = ""
    """Stable: made of the group key and the id of the incident's first event."""
    related: tuple[str, ...] = ()
    """Ids of other open incidents that are linked by topology but were opened apart."""
    clears: bool = False
    """With this event every condition of the incident that can clear has cleared."""
