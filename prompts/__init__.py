"""Prompts: templates as files, typed inputs, a strict renderer."""

from prompts.renderer import Prompt, render, template_hash
from prompts.tasks import (
    TASKS,
    AlertInput,
    Certainty,
    ChatInput,
    DecideInput,
    OperateInput,
    PlanInput,
    PlanPart,
    Relation,
    StepInput,
    SummaryInput,
    Task,
    TaskInput,
    WordInput,
)

__all__ = [
    "TASKS",
    "AlertInput",
    "Certainty",
    "ChatInput",
    "DecideInput",
    "OperateInput",
    "PlanInput",
    "PlanPart",
    "Prompt",
    "Relation",
    "StepInput",
    "SummaryInput",
    "Task",
    "TaskInput",
    "WordInput",
    "render",
    "template_hash",
]
