"""Prompts: templates as files, typed inputs, a strict renderer."""

from prompts.filling import fill, phrases, required_slots, spread, whole_sheet
from prompts.renderer import Prompt, render, template_hash
from prompts.tasks import (
    INPUT_OF,
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
    "INPUT_OF",
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
    "fill",
    "phrases",
    "render",
    "required_slots",
    "spread",
    "template_hash",
    "whole_sheet",
]
