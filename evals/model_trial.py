"""What one model is worth in each role, measured in minutes over cases of the product's own: words, order of causes, tools.

The words are written as the product writes them: two tries under the slot grammar (local files), checked by the verifier.
The order of causes is the model's own first choice among code's candidates, beside code's on the same cases, before any
trial on the plant model. Tools are those of the chat, planned by the model itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from agents.decider import decide
from agents.evidence import gather
from agents.explainer import Budget, say
from agents.troubleshooter import by_signature, weigh_causes
from evals.suites.rca.nights import nights
from evals.word_inputs import Told, told
from knowledge.causes import load_causes
from prompts import Prompt, Task
from setpoint.contracts import FactSheet, Mode
from setpoint.llm import RoleModel, Words

WORD_TASKS: tuple[Task, ...] = ("alert", "step", "summary")
"""What generated nights give inputs for; chat answers are asked for with the tools."""
FREE_BUDGET = Budget(tokens=10**9, calls=10**9, seconds=10**9)
Tell = Callable[[str, int, int], None]
"""Is told of which part how many cases are done, of how many."""


@dataclass(frozen=True)
class Wording:
    """One text asked for."""

    task: Task
    incident: str
    ok: bool
    """The verifier let the model's words through."""
    tries: int
    tokens: int
    seconds: float
    """Of all its tries, checks included."""
    problem: str = ""


@dataclass(frozen=True)
class Order:
    """One fault: who named it first."""

    case: str
    truth: str
    code: str
    """Code's first cause by what events say."""
    model: str
    """The model's first cause; code's where it gave none that can be used."""
    answered: bool
    seconds: float
    candidates: int
    """Causes it could choose from. Of one there is nothing to choose."""
    offered: bool
    """The true cause was among them."""


@dataclass(frozen=True)
class Asked:
    """One question to the chat whose tools the model chose."""

    question: str
    exact: bool
    """The right calls and no other."""
    facts: bool
    """Nothing said that no tool gave."""
    seconds: float
    calls: tuple[Any, ...] = ()
    fell_back: bool = False


@dataclass
class Listener:
    """A model in its role whose words are kept, refused ones too."""

    model: RoleModel
    tokens: int = 0
    texts: list[list[str]] = field(default_factory=list)
    """Of each text asked for, the raw words of every try, slots unfilled."""

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def terse(self) -> bool:
        return self.model.terse

    def words(self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0) -> Words:
        return self._kept(self.model.words(prompt, sheet, attempt=attempt), attempt)

    async def awords(
        self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0, timeout_s: float | None = None
    ) -> Words:
        return self._kept(
            await self.model.awords(prompt, sheet, attempt=attempt, timeout_s=timeout_s), attempt
        )

    def _kept(self, found: Words, attempt: int) -> Words:
        if attempt == 0:
            self.texts.append([])
        self.texts[-1].append(found.text)
        self.tokens += found.tokens
        return found


def word_cases(split: str, each: int, most_nights: int = 12) -> list[Told]:
    """So many inputs of each task from generated nights; fewer where the nights do not hold so many."""
    found: list[Told] = []
    for count in range(1, most_nights + 1):
        found = told(split, count)
        if all(sum(one.task == task for one in found) >= each for task in WORD_TASKS):
            break
    return [one for task in WORD_TASKS for one in islice((x for x in found if x.task == task), each)]


def words(model: RoleModel, cases: Sequence[Told], tell: Tell = lambda *_: None) -> list[Wording]:
    """Each text written once, as the product writes it. Raises ModelMissing where the model is not there."""
    rows = []
    for number, case in enumerate(cases, 1):
        rows.append(_worded(model, case))
        tell("words", number, len(cases))
    return rows


def _worded(model: RoleModel, case: Told) -> Wording:
    heard, began = Listener(model), time.perf_counter()
    said = say(heard, case.task, case.inputs, "", replace(FREE_BUDGET))  # type: ignore[arg-type]  # only word tasks come
    seconds = time.perf_counter() - began
    return Wording(
        case.task, case.incident, bool(said.text) and not said.problem, sum(map(len, heard.texts)), heard.tokens, seconds, said.problem
    )  # fmt: skip


def orders(
    model: RoleModel, split: str, count: int, mode: Mode = "assisted", tell: Tell = lambda *_: None
) -> list[Order]:
    """The model's first cause beside code's, over so many faults of generated nights."""
    rows: list[Order] = []
    for night in nights(split, 1, count):  # type: ignore[arg-type]  # checked by the caller
        for fault in night.asked:
            if len(rows) < count and fault.seat is not None:
                rows.append(_ordered(model, mode, f"{night.seed}-{fault.story}", fault))
                tell("causes", len(rows), count)
    return rows


def _ordered(model: RoleModel, mode: Mode, name: str, fault: Any) -> Order:
    case, causes, began = fault.seat.told, load_causes(), time.perf_counter()
    evidence, evidence_of = gather(case)
    ranked = by_signature(weigh_causes(case, causes, evidence_of, evidence))
    verdict = decide(mode, model, ranked, evidence, causes)
    truth = fault.plan.fault.cause
    return Order(
        name, truth, ranked[0].cause, verdict.hypotheses[0].cause, verdict.decided_by != "code",
        time.perf_counter() - began, len(ranked), any(one.cause == truth for one in ranked),
    )  # fmt: skip


def tool_calls(model: RoleModel, split: str, count: int, tell: Tell = lambda *_: None) -> list[Asked]:
    """Questions of the suite `tools`, each planned by the model: one behind a server, which alone can call tools."""
    from evals.registry import Ask
    from evals.suites.tools import judged
    from evals.talk.asking import converse, thinking, unfounded
    from evals.talk.tasks import tasks

    ask = Ask(split=split, limit=count)  # type: ignore[arg-type]  # checked by the caller
    world, found = tasks(ask, single=True)
    thinker, rows = thinking(model, world), list[Asked]()
    for number, task in enumerate(_spread(found, count), 1):
        (turn,), began = task.turns, time.perf_counter()
        (said,) = converse([turn.say], world, None, thinker)
        case = {"turn": vars(turn), "hand": task.hand}
        row = judged(case, said | {"unfounded": unfounded(said, turn.say), "findings": []}, world)
        rows.append(
            Asked(
                turn.say, row["exact"] and not row["fell_back"], row["facts"], time.perf_counter() - began, tuple(said["calls"]), row["fell_back"]
            )
        )  # fmt: skip
        tell("tools", number, count)
    return rows


def _spread(found: Sequence[Any], count: int) -> list[Any]:
    """By turns of each meaning, so that a few questions show many of them."""
    from evals.running.tasks import interleaved

    return interleaved(found, lambda one: one.turns[0].intent)[:count]
