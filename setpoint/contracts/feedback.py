"""Human judgement, kept so that the next answer is better."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from setpoint.contracts.event import Frozen

FeedbackField = Literal["priority", "cause", "grouping", "wording", "guide_step", "action", "input", "rule"]


class Feedback(Frozen):
    """One decision or correction. Keyed by subject, version and person: the same person saying it twice is one."""

    id: str
    time: datetime
    subject: str
    """What it is about: incident, review, event or rule id."""
    version: int
    field: FeedbackField
    proposed: JsonValue
    decided: JsonValue
    difference: JsonValue
    who: str
    why: str
    evidence: tuple[str, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the model, prompts, rules and catalogs that made the proposal."""
    simulated: bool = False
