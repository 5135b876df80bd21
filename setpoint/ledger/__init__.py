"""The ledger: inbox, incidents, outbox, jobs, reviews, actions, feedback and the audit chain, durably."""

from setpoint.ledger.faults import LeaseLost, StoreCorrupt, StoreFull, StoreReadOnly, StoreTooNew
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
    LatencyFigures,
    Pruned,
    RuleVersion,
    Silence,
    Stats,
    TimelineItem,
)
from setpoint.ledger.store import Ledger

__all__ = [
    "Accepted",
    "ActionRecord",
    "AuditRow",
    "ChainReport",
    "Committed",
    "Decided",
    "Delivery",
    "Escalation",
    "Explained",
    "HeldItem",
    "Job",
    "LatencyFigures",
    "LeaseLost",
    "Ledger",
    "Pruned",
    "RuleVersion",
    "Silence",
    "Stats",
    "StoreCorrupt",
    "StoreFull",
    "StoreReadOnly",
    "StoreTooNew",
    "TimelineItem",
]
