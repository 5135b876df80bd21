"""Lessons of a simulated operator over the product's own phrases, for tests of training."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from pydantic import TypeAdapter

from evals.house_styles import Style, plant_slang
from prompts import Task
from setpoint.learning.lessons import Lesson, write_lessons
from setpoint.learning.product import product_example

TASKS: tuple[Task, ...] = ("alert", "step", "summary")


def lessons(count: int, style: Style = plant_slang, rejected: str = "{what} on {asset}.") -> list[Lesson]:
    """The same each time."""
    rng, made = Random(3), list[Lesson]()
    for number in range(count):
        task = TASKS[number % len(TASKS)]
        inputs = product_example(rng, task, unseen=False).inputs
        assert inputs is not None
        data = TypeAdapter(type(inputs)).dump_python(inputs, mode="json")
        words = style(inputs)  # type: ignore[arg-type] # no plan among these tasks
        made.append(
            Lesson(
                id=f"F{number}", kind="edit", task=task, inputs=data, chosen=words, rejected=rejected,
                who="ada", time=datetime(2026, 11, 22, tzinfo=UTC),
            )
        )  # fmt: skip
    return made


def main(model: Path, work: Path, file: Path) -> None:
    """A run that saves after every step, for a test that kills it."""
    import torch

    from setpoint.learning.from_gguf import load
    from setpoint.learning.lessons import read_lessons
    from setpoint.learning.pairs import parts
    from setpoint.learning.tune import Recipe, Tuner, Tuning

    torch.set_num_threads(1)
    loaded = load(model)
    run = Tuning("test", Recipe(**RECIPE, checkpoint_every_s=0.0))
    Tuner(loaded.model, loaded.tokenizer, parts(read_lessons(file)), run, work).train(
        lambda run, share: print(f"{share:.3f}", flush=True)
    )


RECIPE: dict[str, Any] = {"steps": 8, "preference_epochs": 1}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))


__all__ = ["RECIPE", "lessons", "write_lessons"]
