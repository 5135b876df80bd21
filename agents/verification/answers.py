"""Verification of an answer to a typed prompt: what was given and what must not be contradicted follow from it."""

from __future__ import annotations

from collections.abc import Sequence

from agents.verification.words import Stance, verify_words
from prompts import AlertInput, ChatInput, StepInput, SummaryInput
from setpoint.contracts import Verification

Input = AlertInput | StepInput | SummaryInput | ChatInput


def verify_answer(
    words: str, inputs: Input, *, firing: bool = True, names: Sequence[str] = ()
) -> Verification:
    """`verify_words` with the phrases and the stance of `inputs`."""
    if isinstance(inputs, AlertInput):
        stance = Stance(firing=firing, priority=inputs.priority)
        return verify_words(
            words, inputs.sheet, task="alert", given=(inputs.impact, inputs.todo), stance=stance, names=names
        )
    if isinstance(inputs, StepInput):
        stance = Stance(firing=firing, relation=inputs.relation)
        return verify_words(
            words, inputs.sheet, task="step", given=(inputs.title,), stance=stance, names=names
        )
    if isinstance(inputs, SummaryInput):
        stance = Stance(firing=firing, cause=inputs.cause)
        given = (inputs.title, inputs.todo)
        return verify_words(words, inputs.sheet, task="summary", given=given, stance=stance, names=names)
    stance = Stance(firing=firing)
    return verify_words(words, inputs.sheet, task="chat", given=(inputs.intent,), stance=stance, names=names)
