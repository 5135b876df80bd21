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
    PlanInput,
    PlanPart,
    Relation,
    StepInput,
    SummaryInput,
    Task,
    WordInput,
    render,
)
from setpoint.contracts import PRIORITIES, FactSheet
from setpoint.learning.phrases import Split, condition, impact, intent, title, todo
from setpoint.learning.sentences import (
    alert_answer,
    chat_answer,
    draw_style,
    plan_answer,
    step_answer,
    summary_answer,
)
from setpoint.learning.sheets import draw_facts, product_sheet, random_sheet

_SHARES: dict[Task, int] = {"alert": 4, "step": 4, "summary": 4, "chat": 3, "plan": 1}
"""Joining two lines is soon learned."""


@dataclass(frozen=True)
class Example:
    """One training pair. `task` is "copy" for the curriculum, which no product prompt uses."""

    task: Task | Literal["copy"]
    system: str
    user: str
    answer: str
    inputs: WordInput | PlanInput | None = None


def task_example(rng: Random, split: Split, task: Task) -> Example:
    """One prompt of `task` and its answer, from phrases of `split`."""
    inputs, answer = _MAKERS[task](rng, split)
    prompt = render(task, inputs)
    return Example(task=task, system=prompt.system, user=prompt.user, answer=answer, inputs=inputs)


def copy_example(rng: Random) -> Example:
    """Slots alone: some of them are asked for, in another order. Names that are no single token are spelled here."""
    facts = draw_facts(rng, rng.randint(2, 7))
    lines = [f"{{{fact.slot}}} {fact.kind}" for fact in facts]
    asked = [fact.slot for fact in rng.sample(facts, rng.randint(1, len(facts)))]
    lines.insert(0, "copy " + " ".join(asked))
    answer = ", ".join(f"{{{slot}}}" for slot in asked) + "."
    return Example(task="copy", system="Copy.", user="\n".join(lines), answer=answer)


def mixed_example(rng: Random, copy_share: float) -> Example:
    """A training example: the curriculum with probability `copy_share`, else one of the tasks."""
    task = rng.choices(TASKS, weights=[_SHARES[task] for task in TASKS])[0]
    return copy_example(rng) if rng.random() < copy_share else task_example(rng, "train", task)


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
    return inputs, alert_answer(rng, inputs, draw_style(rng))


def _step(rng: Random, split: Split) -> tuple[WordInput, str]:
    relations: tuple[Relation, ...] = ("supports", "contradicts", "absent")
    inputs = StepInput(
        title=title(rng, split), relation=rng.choice(relations), sheet=_sheet(rng, split, "step")
    )
    return inputs, step_answer(rng, inputs, draw_style(rng))


def _summary(rng: Random, split: Split) -> tuple[WordInput, str]:
    certainties: tuple[Certainty, ...] = ("clear", "likely", "open")
    sheet = _sheet(rng, split, "summary")
    inputs = SummaryInput(
        cause=rng.choice(["named"] * 6 + ["unknown", "no_fault"]),
        # What was seen may be the cause itself.
        title=sheet.condition if rng.random() < 0.1 else title(rng, split),
        certainty=rng.choice(certainties),
        sheet=sheet,
        todo=todo(rng, split) if rng.random() < 0.7 else "",
    )
    return inputs, summary_answer(rng, inputs, draw_style(rng))


def _chat(rng: Random, split: Split) -> tuple[WordInput, str]:
    inputs = ChatInput(intent=intent(rng, split), sheet=_sheet(rng, split, "chat"))
    return inputs, chat_answer(rng, inputs, draw_style(rng))


def _plan(rng: Random, split: Split) -> tuple[PlanInput, str]:
    parts: tuple[PlanPart, ...] = ("forecast", "advice")
    lines = tuple(_line(rng, split) for _ in range(rng.choice((1, 2, 2))))
    inputs = PlanInput(rng.choice(parts), FactSheet(condition="plan"), lines)
    return inputs, plan_answer(rng, inputs, draw_style(rng))


def _line(rng: Random, split: Split) -> str:
    """A sentence with the names of slots in it, as the prompt shows a plan's line."""
    said = rng.choice((condition, impact, todo))(rng, split).split()
    for slot in rng.choices(
        ("metric", "asset", "value", "limit", "time", "count", "span"), k=rng.randint(0, 4)
    ):
        said.insert(rng.randint(0, len(said)), slot)
    return " ".join(said) + "."


_MAKERS: dict[Task, Callable[[Random, Split], tuple[WordInput | PlanInput, str]]] = {
    "alert": _alert,
    "step": _step,
    "summary": _summary,
    "chat": _chat,
    "plan": _plan,
}


def _sheet(rng: Random, split: Split, task: Task) -> FactSheet:
    what = condition(rng, split)
    return product_sheet(rng, what, task) if rng.random() < 0.5 else random_sheet(rng, what)
