"""Lessons made ready for training: prompts rendered, words checked, some kept back.

Three parts, by prompt, so that no prompt stands in two of them: most are trained on, a tenth is watched to stop in
time, a fifth is the exam that the gate holds the trained model to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from agents.verification import verify_answer
from agents.wordings import inputs_of
from prompts import Prompt, Task, WordInput, render
from setpoint.contracts.wording import Wording, WordTask
from setpoint.errors import InputError
from setpoint.learning.lessons import Lesson

WATCHED_SHARE, HELD_SHARE = 0.1, 0.3
"""Below the first a prompt is watched, below the second it is of the exam; the rest is trained on."""
LEAST = 12
"""Fewer lessons than this teach nothing that could be told from chance."""


@dataclass(frozen=True)
class Pair:
    """One prompt with the words that are wanted and those that are not."""

    lesson: Lesson
    prompt: Prompt
    inputs: WordInput

    @property
    def chosen(self) -> str:
        return self.lesson.chosen

    @property
    def rejected(self) -> str:
        return self.lesson.rejected if self.lesson.rejected != self.lesson.chosen else ""


@dataclass
class Parts:
    """Where each lesson went."""

    train: list[Pair] = field(default_factory=list)
    watch: list[Pair] = field(default_factory=list)
    exam: list[Pair] = field(default_factory=list)
    aside: list[tuple[str, str]] = field(default_factory=list)
    """Id and reason of what is not used."""


def parts(lessons: Iterable[Lesson]) -> Parts:
    """The same lessons give the same parts, in whatever order they come."""
    found, usable = Parts(), list[Pair]()
    for lesson in lessons:
        try:
            usable.append(pair_of(lesson))
        except InputError as error:
            found.aside.append((lesson.id, error.what))
    for pair in usable:
        place = _place(pair.prompt.user)
        part = found.watch if place < WATCHED_SHARE else found.exam if place < HELD_SHARE else found.train
        part.append(pair)
    # An exam and a watch ask for wanted words; what was only rejected is for training alone.
    for part in (found.watch, found.exam):
        found.train += [pair for pair in part if not pair.chosen]
        part[:] = [pair for pair in part if pair.chosen]
    return found


def pair_of(lesson: Lesson) -> Pair:
    """Raises InputError where the words may not be taught or the prompt cannot be made again."""
    inputs = read_inputs(lesson.task, lesson.inputs)
    if lesson.chosen and (problems := verify_answer(lesson.chosen, inputs, closed=True).problems):
        raise InputError(f"the verifier refuses its words: {'; '.join(problems[:2])}", where=lesson.id)
    if not lesson.chosen and not lesson.rejected:
        raise InputError("it holds no words", where=lesson.id)
    return Pair(lesson, render(lesson.task, inputs), inputs)


def read_inputs(task: Task, data: dict[str, Any]) -> WordInput:
    """The inputs of a prompt from their JSON. Raises InputError."""
    if task not in get_args(WordTask):
        raise InputError(f"{task} is no text that words are learned for", where="lesson")
    return inputs_of(Wording.model_validate({"task": task, "inputs": data}))


def _place(prompt: str) -> float:
    """0 to 1, of the prompt alone: what was an exam for one generation of models is none of the next one's lessons."""
    return int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4]) / 2**32


def lessons_hash(lessons: Sequence[Lesson]) -> str:
    """Identifies what was taught, apart from order."""
    lines = sorted(lesson.model_dump_json() for lesson in lessons)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
