"""Examples as the product itself makes them: phrases of its own rules, catalog and runbooks, sheets of its shape.

For scoring: nobody composed these sentences for the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from prompts import (
    AlertInput,
    Certainty,
    ChatInput,
    PlanInput,
    Relation,
    StepInput,
    SummaryInput,
    Task,
    WordInput,
    render,
)
from setpoint.contracts import PRIORITIES, FactSheet
from setpoint.learning import known
from setpoint.learning.corpus import Example
from setpoint.learning.phrases import split_of
from setpoint.learning.sheets import product_sheet

_INTENTS = ("what happened", "when did it start", "which device is affected", "what is the reading")


def product_example(rng: Random, task: Task, *, unseen: bool) -> Example:
    """One prompt of `task` without a model answer: `answer` is empty.

    `unseen` keeps to phrases outside the training split; else every phrase of the product may come.
    """
    inputs = _inputs(rng, task, unseen)
    prompt = render(task, inputs)
    return Example(task=task, system=prompt.system, user=prompt.user, answer="", inputs=inputs)


def _inputs(rng: Random, task: Task, unseen: bool) -> WordInput | PlanInput:
    if task == "plan":
        lines = tuple(f"{_pick(rng, known.sentences(), unseen)}." for _ in range(rng.choice((1, 2, 2))))
        return PlanInput(rng.choice(("forecast", "advice")), FactSheet(condition="plan"), lines)
    sheet = product_sheet(rng, _pick(rng, known.conditions(), unseen), task)
    if task == "alert":
        return AlertInput(rng.choice(PRIORITIES), sheet, impact=_pick(rng, known.impacts(), unseen))
    if task == "chat":
        return ChatInput(rng.choice(_INTENTS), sheet)
    title = _pick(rng, [title for _, title in known.titles()], unseen)
    if task == "step":
        relations: tuple[Relation, ...] = ("supports", "supports", "supports", "contradicts", "absent")
        return StepInput(title, rng.choice(relations), sheet)
    certainties: tuple[Certainty, ...] = ("clear", "likely", "open")
    cause = next(cause for cause, name in known.titles() if name == title)
    todo = rng.choice(("", *known.remedies()))
    return SummaryInput(cause, title, rng.choice(certainties), sheet, todo)


def _pick(rng: Random, phrases: Sequence[str], unseen: bool) -> str:
    return rng.choice([text for text in phrases if not unseen or split_of(text) != "train"])
