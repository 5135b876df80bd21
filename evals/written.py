"""What a model makes of one prompt, asked and verified as the product asks and verifies."""

from __future__ import annotations

from dataclasses import dataclass

from agents.verification import verify_answer
from prompts import PlanInput, Task, WordInput, render
from prompts.filling import whole_sheet
from setpoint.llm import RoleModel

TRIES = 2


@dataclass(frozen=True)
class Written:
    """One prompt's outcome."""

    words: str
    """Of the first attempt that the verifier let through; "" where none was: the template stands."""
    at_once: bool
    """The first attempt was let through."""


def write(role: RoleModel, task: Task, inputs: WordInput | PlanInput) -> Written:
    """The model's verified words with their slots."""
    prompt, sheet = render(task, inputs), whole_sheet(inputs)
    for attempt in range(TRIES):
        words = role.words(prompt, sheet, attempt=attempt).text
        if verify_answer(words, inputs, closed=True).ok:
            return Written(words, attempt == 0)
    return Written("", False)
