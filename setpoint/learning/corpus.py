"""Training examples: prompts rendered by the product's own renderer, answers composed from our own sentences.

Everything is drawn from a seeded generator. A phrase of the test split is trained on in no task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from prompts import (
    TASKS,
    AlertInput,
    Certainty,
    ChatInput,
    Relation,
    StepInput,
    SummaryInput,
    Task,
    WordInput,
    render,
)
from prompts.renderer import capital, inner
from setpoint.contracts import PRIORITIES, FactSheet
from setpoint.learning.phrases import Split, any_phrase, condition, impact, intent, title, todo
from setpoint.learning.sentences import alert_answer, chat_answer, step_answer, summary_answer
from setpoint.learning.sheets import draw_facts, product_sheet, random_sheet


@dataclass(frozen=True)
class Example:
    """One training pair. `task` is "copy" for the curriculum, which no product prompt uses."""

    task: Task | Literal["copy"]
    system: str
    user: str
    answer: str
    inputs: WordInput | None = None


def task_example(rng: Random, split: Split, task: Task) -> Example:
    """One prompt of `task` and its answer, from phrases of `split`."""
    inputs, answer = _MAKERS[task](rng, split)
    prompt = render(task, inputs)
    return Example(task=task, system=prompt.system, user=prompt.user, answer=answer, inputs=inputs)


def copy_example(rng: Random) -> Example:
    """Dense copying: several phrases under keys, asked for in another order, then every starred slot."""
    keys = rng.sample(["why", "first", "then", "cause", "expected"], rng.randint(1, 4))
    phrases = {key: inner(any_phrase(rng, "train")) for key in keys}
    asked = rng.sample(keys, len(keys))
    lead = capital(condition(rng, "train"))
    facts = draw_facts(rng, rng.randint(1, 7))
    lines = ["copy " + " ".join(asked), lead]
    lines += [f"{key}: {text}" for key, text in phrases.items()]
    lines += [f"{{{fact.slot}}} {fact.kind}{' *' if fact.required else ''}" for fact in facts]
    slots = " ".join(f"{{{fact.slot}}}" for fact in facts if fact.required)
    answer = (
        "; ".join([lead + (f" {slots}" if slots else ""), *(f"say: {phrases[key]}" for key in asked)]) + "."
    )
    return Example(task="copy", system="Copy.", user="\n".join(lines), answer=answer)


def mixed_example(rng: Random, copy_share: float) -> Example:
    """A training example: the curriculum with probability `copy_share`, else one of the tasks, evenly."""
    return copy_example(rng) if rng.random() < copy_share else task_example(rng, "train", rng.choice(TASKS))


def data_hash() -> str:
    """Identifies the corpus: the word lists, the composed sentences and the prompts, by a fixed sample."""
    digest = hashlib.sha256()
    rng = Random(0)
    for _ in range(500):
        example = mixed_example(rng, 0.3)
        digest.update(f"{example.system}\0{example.user}\0{example.answer}\n".encode())
    return digest.hexdigest()[:16]


def _alert(rng: Random, split: Split) -> tuple[WordInput, str]:
    inputs = AlertInput(
        priority=rng.choice(PRIORITIES),
        sheet=_sheet(rng, split, "alert"),
        impact=impact(rng, split) if rng.random() < 0.8 else "",
        todo=todo(rng, split) if rng.random() < 0.75 else "",
    )
    return inputs, alert_answer(rng, inputs)


def _step(rng: Random, split: Split) -> tuple[WordInput, str]:
    relations: tuple[Relation, ...] = ("supports", "contradicts", "absent")
    inputs = StepInput(
        title=title(rng, split), relation=rng.choice(relations), sheet=_sheet(rng, split, "step")
    )
    return inputs, step_answer(rng, inputs)


def _summary(rng: Random, split: Split) -> tuple[WordInput, str]:
    certainties: tuple[Certainty, ...] = ("clear", "likely", "open")
    inputs = SummaryInput(
        cause=rng.choice(["named"] * 6 + ["unknown", "no_fault"]),
        title=title(rng, split),
        certainty=rng.choice(certainties),
        sheet=_sheet(rng, split, "summary"),
        todo=todo(rng, split) if rng.random() < 0.7 else "",
    )
    return inputs, summary_answer(rng, inputs)


def _chat(rng: Random, split: Split) -> tuple[WordInput, str]:
    inputs = ChatInput(intent=intent(rng, split), sheet=_sheet(rng, split, "chat"))
    return inputs, chat_answer(rng, inputs)


_MAKERS: dict[Task, Callable[[Random, Split], tuple[WordInput, str]]] = {
    "alert": _alert,
    "step": _step,
    "summary": _summary,
    "chat": _chat,
}


def _sheet(rng: Random, split: Split, task: Task) -> FactSheet:
    what = condition(rng, split)
    return product_sheet(rng, what, task) if rng.random() < 0.5 else random_sheet(rng, what)
