"""Scores a GGUF on phrases it was never trained on, and on the product's own.

    python -m setpoint.learning.score setpoint/llm/models/setpoint-small.gguf

Two ways of decoding: free (greedy, one try, nothing forbidden) and as the product runs it (bound to the slot
grammar, a second try where the verifier refuses the first).
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Literal

from agents.verification.answers import verify_answer
from prompts import TASKS, Prompt, Task, whole_sheet
from setpoint.learning.corpus import Example, task_example
from setpoint.learning.gguf_runtime import GgufRuntime
from setpoint.learning.product import product_example
from setpoint.learning.rules import lost
from setpoint.llm import load_role
from setpoint.settings import ModelSettings

Source = Literal["held-out", "product", "product-unseen"]
Way = Literal["free", "bound"]
TRIES = 2
Speak = Callable[[Example, int], str]
_MAKE: dict[Source, Callable[[Random, Task], Example]] = {
    "held-out": lambda rng, task: task_example(rng, "test", task),
    "product": lambda rng, task: product_example(rng, task, unseen=False),
    "product-unseen": lambda rng, task: product_example(rng, task, unseen=True),
}


@dataclass(frozen=True)
class TaskScore:
    """Shares of answers, each with its 95% half-width in `half_width` (the wider of both)."""

    source: Source
    way: Way
    task: Task
    answers: int
    verified: float
    """The verifier lets the answer through: it is shown. The rest falls back to deterministic text."""
    faithful: float
    """Verified, and the filled text holds every given phrase and every required fact word for word."""
    half_width: float
    problems: dict[str, int]
    """What the verifier or the check of the filled text found, by kind, in the last try."""


def score(path: Path, source: Source, way: Way, each: int) -> list[TaskScore]:
    """One score a task over `each` prompts from `source`, decoded in `way`."""
    speak = _free(path) if way == "free" else _bound(path)
    return [_score_task(speak, source, way, task, each) for task in TASKS]


def score_all(path: Path, each: int) -> list[TaskScore]:
    """Every source decoded in every way."""
    sources: tuple[Source, ...] = ("held-out", "product", "product-unseen")
    ways: tuple[Way, ...] = ("free", "bound")
    return [found for source in sources for way in ways for found in score(path, source, way, each)]


def _score_task(speak: Speak, source: Source, way: Way, task: Task, each: int) -> TaskScore:
    rng, kinds, verified, faithful = Random(f"score-{source}-{task}"), Counter[str](), 0, 0
    for _ in range(each):
        example = _MAKE[source](rng, task)
        problems, missing = _judge(speak, example, TRIES if way == "bound" else 1)
        verified += not problems
        faithful += not problems and not missing
        kinds.update({_kind(problem) for problem in problems} | ({"something lost"} if missing else set()))
    return TaskScore(
        source=source,
        way=way,
        task=task,
        answers=each,
        verified=round(verified / each, 3),
        faithful=round(faithful / each, 3),
        half_width=round(max(half_width(verified, each), half_width(faithful, each)), 3),
        problems=dict(kinds.most_common()),
    )


def _judge(speak: Speak, example: Example, tries: int) -> tuple[tuple[str, ...], list[str]]:
    """Problems and what was lost of the first verified answer, else of the last."""
    inputs = example.inputs
    assert inputs is not None
    problems: tuple[str, ...] = ()
    words = ""
    for attempt in range(tries):
        words = speak(example, attempt)
        problems = verify_answer(words, inputs, closed=True).problems
        if not problems:
            break
    return problems, lost(inputs, words)


def half_width(hits: int, count: int) -> float:
    """Half of the 95% Wilson interval of a share.

    >>> round(half_width(50, 100), 3), round(half_width(100, 100), 3)
    (0.096, 0.018)
    """
    z, share = 1.96, hits / count
    return z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))


def _free(path: Path) -> Speak:
    runtime = GgufRuntime(path)
    return lambda example, attempt: runtime.answer(example.system, example.user)


def _bound(path: Path) -> Speak:
    role = load_role(ModelSettings(kind="gguf", path=path))

    def speak(example: Example, attempt: int) -> str:
        assert example.inputs is not None
        assert example.task != "copy"
        prompt = Prompt(task=example.task, system=example.system, user=example.user, hash="")
        return role.words(prompt, whole_sheet(example.inputs), attempt=attempt).text

    return speak


def _kind(problem: str) -> str:
    """The problem without what it quotes."""
    return " ".join(word for word in problem.split() if word.isalpha())[:40]


def main() -> None:
    """Prints one JSON line a score."""
    parser = argparse.ArgumentParser(prog="python -m setpoint.learning.score", description="Score a GGUF.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--each", type=int, default=100, help="prompts for each task, source and way")
    arguments = parser.parse_args()
    for result in score_all(arguments.model, arguments.each):
        print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
