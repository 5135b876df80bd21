"""Actions: what Setpoint may ever do to a site, and how it is approved."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Literal

from pydantic import Field

from plant.diagnosis.results import Rehearsal
from setpoint.contracts.event import Frozen

RiskClass = Literal["low", "medium", "high"]
ReviewKind = Literal["action", "doubtful_input", "rule_change"]
ReviewState = Literal["pending", "decided", "expired", "withdrawn"]
DecisionType = Literal["approve", "edit", "reject", "respond"]
ActionState = Literal[
    "proposed",
    "approved",
    "executing",
    "done",
    "dry_run",
    "refused",
    "failed",
    "rejected",
    "expired",
    "withdrawn",
]
ArgValue = float | int | str | bool
ASK = "ASK-"
"""Begins the id that stands in the place of an incident's where a person proposed the action."""


class Action(Frozen):
    """One typed action: a catalog name, an asset, and arguments with their units in the names."""

    name: str
    asset: str
    args: dict[str, ArgValue]

    def digest(self, incident_id: str) -> str:
        """Hash that an approval is bound to and that makes the idempotency key. Any edit changes it."""
        body = json.dumps([incident_id, self.name, self.asset, self.args], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()


class ActionProposal(Frozen):
    """An action somebody should decide about."""

    id: str
    incident_id: str
    action: Action
    risk: RiskClass
    effect: str
    """What it does, in words, from the catalog."""
    why: str
    rollback: str
    evidence: tuple[str, ...] = ()
    rehearsal: Rehearsal | None = None
    """The next minutes with and without it; None where there is nothing to rehearse, or no plant model."""
    proposed_by: str = ""
    """The person who asked for it, also through an agent of his; "" where Setpoint proposes it by itself."""
    proposed_via: str = ""
    """How that person asked: "chat", "mcp" with the name of the agent, "command"."""


class Withheld(Frozen):
    """An action that the cause calls for and that is not proposed."""

    subject: str
    """What it would do, in words."""
    why: str
    review: str = ""
    """Id of the review in which people were asked; "" where an interlock is against it."""


class Decision(Frozen):
    """What a person decided. `respond` answers a question; it is never a yes or a no."""

    type: DecisionType
    who: str
    reason: str = ""
    edited: Action | None = None
    """The action as it should be, for `edit`."""
    answer: str = ""
    """For `respond`."""
    asset: str = ""
    """What the person typed as the name of the asset: a yes to something of high risk needs it."""
    simulated: bool = False
    """Made by a --decide policy on a simulated site: never counts for autonomy or training."""


class Review(Frozen):
    """One entry of the shift's shared queue."""

    id: str
    kind: ReviewKind
    incident_id: str
    subject: str
    """What is asked, in one sentence."""
    proposal: ActionProposal | None = None
    digest: str = ""
    """What the decision must be bound to."""
    state: ReviewState = "pending"
    created: datetime
    expires: datetime | None = None
    decision: Decision | None = None
    recommended: str = ""
    """Why it is what to do, where its kind has earned the level advise; such actions may be approved together."""


class Outcome(Frozen):
    """What happened when an action was executed."""

    action_id: str
    state: ActionState
    message: str
    before: dict[str, float] = Field(default_factory=dict)
    after: dict[str, float] = Field(default_factory=dict)
    dry_run: bool = True
