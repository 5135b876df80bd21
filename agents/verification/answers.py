"""Verification of an answer to a typed prompt: what was given and what must not be contradicted follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agents.verification.plan import given_phrases, plan_problems
from agents.verification.words import Stance, verify_words
from prompts import AlertInput, ChatInput, PlanInput, StepInput, SummaryInput
from setpoint.contracts import Verification

Input = AlertInput | StepInput | SummaryInput | ChatInput | PlanInput


def verify_answer(
    words: str, inputs: Input, *, firing: bool = True, names: Sequence[str] = (), closed: bool = False
) -> Verification:
    """`verify_words` with the phrases and the stance of `inputs`."""
    check = partial(verify_words, words, inputs.sheet, names=names, closed=closed)
    if isinstance(inputs, AlertInput):
        stance = Stance(firing=firing, priority=inputs.priority)
        return check(task="alert", given=(inputs.impact, inputs.todo), stance=stance)
    if isinstance(inputs, StepInput):
        stance = Stance(firing=firing, relation=inputs.relation)
        return check(task="step", given=(inputs.title,), stance=stance)
    if isinstance(inputs, SummaryInput):
        stance = Stance(firing=firing, cause=inputs.cause)
        given = (inputs.title, inputs.todo)
        return check(task="summary", given=given, stance=stance)
    if isinstance(inputs, PlanInput):
        found = check(task="plan", given=given_phrases(inputs.sheet, inputs.lines))
        problems = (*found.problems, *plan_problems(words, inputs.lines))
        return Verification(ok=not problems, problems=tuple(dict.fromkeys(problems)))
    stance = Stance(firing=firing)
    return check(task="chat", given=(inputs.intent,), stance=stance)
