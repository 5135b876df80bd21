"""No answer leaks: neither the cases nor the prompts that models were given hold the label of their case."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log

from evals.registry import SUITES, Ask, Prepared, SuiteModule
from evals.running.plan import NO_DATA
from evals.running.runner import leaked, run_suite
from evals.running.story import calls_in
from setpoint.llm import BUNDLED

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
LIMIT = 2
THERE = [name for name, suite in SUITES.items() if find_spec(suite.module)]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


class Kept:
    """A suite that keeps what it prepared, since preparing twice would take twice as long."""

    def __init__(self, module: SuiteModule) -> None:
        self._module = module

    def prepare(self, ask: Ask) -> Prepared:
        self.prepared = self._module.prepare(ask)
        return self.prepared


@pytest.mark.parametrize("name", THERE)
def test_no_case_and_no_prompt_holds_its_label(name: str, tmp_path: Path) -> None:
    suite = Kept(SUITES[name].load())
    ran = run_suite(name, suite, Ask(limit=LIMIT, data=NO_DATA), logs=tmp_path)
    assert [error for error in ran.errors if "stands in its input" in error] == []
    if not BUNDLED.is_file():
        pytest.skip("without the bundled model there are no prompts")
    for sample in read_eval_log(str(tmp_path / ran.log), resolve_attachments=True).samples or []:
        case = Sample(id=sample.id, input="", target=sample.target, metadata=sample.metadata)
        for call in calls_in(sample):
            asked = "\n".join(text for _, text in call["prompt"])
            assert leaked(case.model_copy(update={"input": asked}), suite.prepared) == "", asked
