"""Root cause and recovery guide."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plant.diagnosis.results import CausalPath, StateNote, Trial, Verdict
from setpoint.contracts.action import ActionProposal, Withheld
from setpoint.contracts.event import Frozen
from setpoint.contracts.facts import Citation, Evidence, Passage
from setpoint.contracts.wording import Wording

__all__ = [
    "CausalPath", "Diagnosis", "GuideStep", "Hypothesis", "Mode", "ReasoningStep", "RecoveryGuide", "StateNote", "Trial",
    "Verdict",
]  # fmt: skip
Mode = Literal["facts", "assisted", "free"]


class Hypothesis(Frozen):
    """One candidate cause from the closed catalog."""

    cause: str
    title: str
    score: float = Field(ge=0.0, le=1.0)
    """Share of belief over the listed causes, no_fault and unknown; they sum to 1."""
    supports: tuple[str, ...] = ()
    """Evidence ids that speak for it."""
    contradicts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """What one would expect to see and does not, in words."""
    tested: Verdict | None = None
    """How it fared on the plant model; None where nothing could be tried."""


class ReasoningStep(Frozen):
    """One step of the chain of thought, bound to the evidence it uses."""

    text: str
    evidence: tuple[str, ...]
    written_by: str
    origin: Wording | None = None
    """What it was written from."""


class GuideStep(Frozen):
    """One recovery step. Its words are the runbook's own; the citation says where they stand."""

    kind: Literal["safety", "check", "step", "escalate"]
    text: str
    citation: Citation
    action: str | None = None


class RecoveryGuide(Frozen):
    steps: tuple[GuideStep, ...]


class Diagnosis(Frozen):
    """What the slow path concluded on one revision of an incident."""

    incident_id: str
    revision: int
    mode: Mode
    evidence: tuple[Evidence, ...]
    passages: tuple[Passage, ...]
    hypotheses: tuple[Hypothesis, ...]
    """Most likely first; never empty ("unknown" stands in)."""
    steps: tuple[ReasoningStep, ...]
    summary: str
    guide: RecoveryGuide
    proposals: tuple[ActionProposal, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    """Actions the cause calls for that were judged before, or that an interlock would refuse now."""
    state: StateNote | None = None
    """How well the plant model was brought to the site's state; None where no plant model covers the incident."""
    path: CausalPath | None = None
    """From the first cause to the events, along the topology."""
    explains: tuple[str, ...] = ()
    """Other open incidents whose events the first cause explains; they are grouped under this one."""
    disagreement: str = ""
    """Where the symbolic signatures, or the model, would have named another cause than the test on the plant."""
    untested: str = ""
    """Why the causes were not tried on the plant model; "" where they were."""
    service: str = ""
    """What change points, order in time and elimination say of services that no plant model covers."""
    written_by: str
    """Which mode and model wrote the words; "template" where the fallback stands."""
    summary_by: str = ""
    """Who wrote the summary, where that is known apart."""
    summary_origin: Wording | None = None
    """What the summary was written from."""
    fallbacks: tuple[str, ...] = ()
    """Which parts fell back to deterministic text, and why."""
    tokens: int = 0
    seconds: float = 0.0

    @property
    def top(self) -> Hypothesis:
        return self.hypotheses[0]
