"""The shared vocabulary: typed values that cross a border. No behaviour beyond what a value knows of itself."""

from setpoint.contracts.action import (
    Action,
    ActionProposal,
    ActionState,
    Decision,
    DecisionType,
    Outcome,
    Review,
    ReviewKind,
    RiskClass,
)
from setpoint.contracts.diagnosis import Diagnosis, GuideStep, Hypothesis, Mode, ReasoningStep, RecoveryGuide
from setpoint.contracts.dispatch import Dispatch, JobKind, JobRequest, Ranked
from setpoint.contracts.event import Event, Flag, Frozen, Quarantined, Severity
from setpoint.contracts.facts import Citation, Evidence, Fact, FactKind, FactSheet, Passage, Verification
from setpoint.contracts.feedback import Feedback, FeedbackField
from setpoint.contracts.incident import Incident, IncidentState, Notice
from setpoint.contracts.triage import (
    PRIORITIES,
    Context,
    Correlated,
    Judgement,
    Level,
    Priority,
    Triage,
    one_level_up,
    priority_of,
)

__all__ = [
    "PRIORITIES",
    "Action",
    "ActionProposal",
    "ActionState",
    "Citation",
    "Context",
    "Correlated",
    "Decision",
    "DecisionType",
    "Diagnosis",
    "Dispatch",
    "Event",
    "Evidence",
    "Fact",
    "FactKind",
    "FactSheet",
    "Feedback",
    "FeedbackField",
    "Flag",
    "Frozen",
    "GuideStep",
    "Hypothesis",
    "Incident",
    "IncidentState",
    "JobKind",
    "JobRequest",
    "Judgement",
    "Level",
    "Mode",
    "Notice",
    "Outcome",
    "Passage",
    "Priority",
    "Quarantined",
    "Ranked",
    "ReasoningStep",
    "RecoveryGuide",
    "Review",
    "ReviewKind",
    "RiskClass",
    "Severity",
    "Triage",
    "Verification",
    "one_level_up",
    "priority_of",
]
