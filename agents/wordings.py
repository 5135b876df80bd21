"""What a text was written from, as it is kept beside the text, and back."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from prompts import INPUT_OF, AlertInput, ChatInput, StepInput, SummaryInput, WordInput
from setpoint.contracts.wording import Wording, WordTask
from setpoint.errors import InputError


def origin_of(task: WordTask, inputs: WordInput, words: str = "") -> Wording:
    """`words`: a model's, with slots; "" where a template wrote the text."""
    return Wording(task=task, inputs=TypeAdapter(type(inputs)).dump_python(inputs, mode="json"), words=words)


def inputs_of(origin: Wording) -> WordInput:
    """The inputs of the prompt. Raises InputError where they are not those of such a text (any more)."""
    try:
        found = TypeAdapter(INPUT_OF[origin.task]).validate_python(origin.inputs)
    except ValidationError as error:
        raise InputError(f"what the {origin.task} was written from is not known") from error
    if not isinstance(found, AlertInput | StepInput | SummaryInput | ChatInput):
        raise InputError(f"{origin.task} is no text that words are learned for")
    return found
