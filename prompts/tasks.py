"""What each prompt needs to know: one frozen input a task.

Phrases (condition, impact, todo, title) are words without facts. Facts travel only as slots of a fact sheet; phrases
become slots of their own (see `prompts.filling`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from setpoint.contracts import Evidence, FactSheet, Priority

Task = Literal["alert", "step", "summary", "chat", "decide", "plan", "operate"]
TASKS: tuple[Task, ...] = ("alert", "step", "summary", "chat", "plan")
"""Tasks the bundled model is trained on. `decide` and `operate` are for larger models alone: it was measured not to reason."""
PlanPart = Literal["forecast", "advice"]
Relation = Literal["supports", "contradicts", "absent"]
Certainty = Literal["clear", "likely", "open"]


@dataclass(frozen=True)
class AlertInput:
    """One alert to be said in one or two plain sentences."""

    priority: Priority
    sheet: FactSheet
    impact: str = ""
    """Why it matters, a clause without facts ("many nodes depend on it"), or empty."""
    todo: str = ""
    """What to do first, a short imperative without facts ("start the standby pump"), or empty."""


@dataclass(frozen=True)
class StepInput:
    """One piece of evidence weighed against one cause, in one sentence."""

    title: str
    """Title of the cause ("coolant pump failure")."""
    relation: Relation
    sheet: FactSheet
    """The observed evidence. For `absent`: the thing that was expected, named without a negation."""


@dataclass(frozen=True)
class SummaryInput:
    """The conclusion of a root-cause analysis, in two sentences."""

    cause: str
    """Id from the cause catalog; "unknown" and "no_fault" are said honestly, without a title."""
    title: str
    certainty: Certainty
    sheet: FactSheet
    """What was observed."""
    todo: str = ""


@dataclass(frozen=True)
class ChatInput:
    """An answer to an operator, from the facts of one sheet."""

    intent: str
    """What was asked, a short phrase without facts ("when did it start")."""
    sheet: FactSheet


@dataclass(frozen=True)
class PlanInput:
    """Sentences about a plan, to be said again in plain words."""

    part: PlanPart
    sheet: FactSheet
    """The facts of those lines alone."""
    lines: tuple[str, ...]
    """What code says, with slots in the place of every fact."""

    def without_facts(self) -> PlanInput:
        """For a model that may only join the lines."""
        return replace(self, sheet=self.sheet.model_copy(update={"facts": ()}))


@dataclass(frozen=True)
class DecideInput:
    """Which root cause fits the evidence: for a model that may decide (modes assisted and free)."""

    evidence: tuple[Evidence, ...]
    candidates: tuple[tuple[str, str], ...]
    """Cause id and its meaning."""


@dataclass(frozen=True)
class OperateInput:
    """A question of an operator, for a model that calls tools by itself."""

    question: str
    site: str
    now: str
    """The site's local time, in words."""


WordInput = AlertInput | StepInput | SummaryInput | ChatInput
"""Inputs of the tasks that word a fact sheet."""
TaskInput = WordInput | PlanInput | DecideInput | OperateInput
INPUT_OF: dict[Task, type[TaskInput]] = {
    "alert": AlertInput,
    "step": StepInput,
    "summary": SummaryInput,
    "chat": ChatInput,
    "plan": PlanInput,
    "decide": DecideInput,
    "operate": OperateInput,
}
"""What each prompt takes."""
