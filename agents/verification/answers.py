"""Verification of an answer to a typed prompt: what was given and what must not be contradicted follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.verification.plan import given_phrases, plan_problems
from agents.verification.words import Stance, Task, verify_words
from prompts import (
    AlertInput,
    ChatInput,
    PlanInput,
    StepInput,
    SummaryInput,
    WordInput,
    phrases,
    spread,
    whole_sheet,
)
from setpoint.contracts import Verification

Input = AlertInput | StepInput | SummaryInput | ChatInput | PlanInput


def verify_answer(
    words: str, inputs: Input, *, firing: bool = True, names: Sequence[str] = (), closed: bool = False
) -> Verification:
    """`verify_words` with the phrases and the stance of `inputs`."""
    if isinstance(inputs, PlanInput):
        return _verify_plan(words, inputs, names, closed)
    given = (*phrases(inputs).values(), *_also_given(inputs))
    task, stance = _stance_of(inputs, firing)
    return verify_words(
        words, whole_sheet(inputs), task=task, given=given, stance=stance, names=names, closed=closed
    )


def _stance_of(inputs: WordInput, firing: bool) -> tuple[Task, Stance]:
    if isinstance(inputs, AlertInput):
        return "alert", Stance(firing=firing, priority=inputs.priority)
    if isinstance(inputs, StepInput):
        return "step", Stance(firing=firing, relation=inputs.relation)
    if isinstance(inputs, SummaryInput):
        return "summary", Stance(firing=firing, cause=inputs.cause, certainty=inputs.certainty)
    return "chat", Stance(firing=firing)


def _also_given(inputs: WordInput) -> Iterator[str]:
    """Phrases that are no slots: what was asked, and a title that says what the condition says."""
    if isinstance(inputs, ChatInput):
        yield inputs.intent
    elif isinstance(inputs, SummaryInput):
        yield inputs.title


def _verify_plan(words: str, inputs: PlanInput, names: Sequence[str], closed: bool) -> Verification:
    """The lines stand in the place of their slots: what was not said by its slot must say the facts of its line."""
    said = spread(words, inputs)
    given = given_phrases(inputs.sheet, inputs.lines)
    found = verify_words(said, inputs.sheet, task="plan", given=given, names=names, closed=closed)
    problems = [*found.problems, *plan_problems(said, inputs.lines)]
    for slot in phrases(inputs):
        times = words.count(f"{{{slot}}}")
        if times > 1:
            problems.append(f"uses slot {slot!r} {times} times")
        if closed and not times:
            problems.append(f"misses the required slot {slot!r}")
    return Verification(ok=not problems, problems=tuple(dict.fromkeys(problems)))
