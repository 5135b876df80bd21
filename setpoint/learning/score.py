"""Scores the exported model on phrases it was never trained on.

python -m setpoint.learning.score setpoint/llm/models/setpoint-small.gguf
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

from prompts import TASKS, Task
from setpoint.contracts import FactSheet
from setpoint.learning.corpus import Split, task_example
from setpoint.learning.gguf_runtime import GgufRuntime
from setpoint.learning.rules import problems

GrammarOf = Callable[[FactSheet], str]


@dataclass(frozen=True)
class TaskScore:
    """Share of answers without any problem, with its 95% half-width, and what went wrong how often."""

    task: Task
    grammar: bool
    answers: int
    clean: int
    share: float
    half_width: float
    problems: dict[str, int]


def score(
    path: Path, split: Split = "test", each: int = 100, grammar: GrammarOf | None = None
) -> list[TaskScore]:
    """One score a task over `each` answers from `split`; decoded under `grammar` where one is given."""
    runtime = GgufRuntime(path)
    return [_score_task(runtime, task, split, each, grammar) for task in TASKS]


def _score_task(
    runtime: GgufRuntime, task: Task, split: Split, each: int, grammar: GrammarOf | None
) -> TaskScore:
    rng, kinds, clean = Random(f"score-{split}-{task}"), Counter[str](), 0
    for _ in range(each):
        example = task_example(rng, split, task)
        assert example.inputs is not None
        answer = runtime.answer(
            example.system, example.user, grammar(example.inputs.sheet) if grammar else ""
        )
        found = problems(example.inputs, answer)
        clean += not found
        kinds.update({_kind(problem) for problem in found})
    share = clean / each
    half = 1.96 * math.sqrt(max(share * (1 - share), 1 / each / 4) / each)
    return TaskScore(
        task=task,
        grammar=grammar is not None,
        answers=each,
        clean=clean,
        share=round(share, 3),
        half_width=round(half, 3),
        problems=dict(kinds.most_common()),
    )


def slot_grammar(sheet: FactSheet) -> str:
    """GBNF: words without digits and braces, and exactly this sheet's slots."""
    slots = " | ".join(f'"{{{slot}}}"' for slot in sheet.slots)
    return f'root ::= (word{" | slot" if slots else ""})+ "."\nword ::= [A-Za-z ,.:;/\'-]\n' + (
        f"slot ::= {slots}\n" if slots else ""
    )


def _kind(problem: str) -> str:
    return (
        "phrase lost"
        if problem.startswith("phrase lost")
        else " ".join(
            word
            for word in problem.split()
            if word in {"unknown", "slot", "required", "missing", "digit", "brace", "once", "word", "end"}
        )
    )


def main() -> None:
    """Prints both scores, without and with grammar, as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--each", type=int, default=100)
    arguments = parser.parse_args()
    for grammar in (None, slot_grammar):
        for result in score(arguments.model, arguments.split, arguments.each, grammar):
            print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
