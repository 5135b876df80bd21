"""The bundled model belongs to the prompts in this tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gguf import GGUFReader

import setpoint
from prompts import TASKS, Task, template_hash
from setpoint.learning.score import score

MODEL = Path(setpoint.__file__).parent / "llm" / "models" / "setpoint-small.gguf"
RETRAIN = (
    "retrain: python -m setpoint.learning.train --minutes 25 --out setpoint/llm/models/setpoint-small.gguf"
)


@pytest.fixture(scope="module")
def metadata() -> GGUFReader:
    return GGUFReader(MODEL)


@pytest.mark.parametrize("task", TASKS)
def test_the_model_was_trained_on_these_prompts(metadata: GGUFReader, task: Task) -> None:
    trained_on = metadata.fields[f"setpoint.prompt_hash.{task}"].contents()
    assert trained_on == template_hash(task), f"the {task} prompt moved away from the model; {RETRAIN}"


def test_the_model_carries_its_run(metadata: GGUFReader) -> None:
    run = json.loads(metadata.fields["setpoint.run"].contents())
    record = json.loads(MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    assert run["tokens"] == record["tokens"] > 1_000_000
    assert run["data_hash"] == record["data_hash"]


def test_the_model_is_small_enough_to_ship() -> None:
    assert MODEL.stat().st_size < 8_000_000


def test_the_model_words_the_products_own_prompts() -> None:
    found = {result.task: result.verified for result in score(MODEL, "product", "bound", each=10)}
    assert min(found.values()) >= 0.9, found
    assert sum(found.values()) / len(found) >= 0.98, found
