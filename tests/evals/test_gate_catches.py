"""The gate on real suites: it is shut by a worsened prompt, rule and model, and open for the product as it is."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evals.running.gate import Verdict, baseline_of, hold
from evals.running.plan import Wanted, plan, run
from evals.running.record import Record
from knowledge import rulebook
from prompts import renderer
from setpoint.llm import BUNDLED
from setpoint.testing import write_random_gguf

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
    ),
    pytest.mark.skipif(not BUNDLED.is_file(), reason="the bundled model is not in this checkout"),
]
CASES = {"alert": 10, "triage": 60}
Runs = Callable[..., Record]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Whatever was read before, and whatever is read meanwhile, is read again."""
    forget()
    yield
    forget()
    gc.collect()


def forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(("evals.", "prompts.")):
            for value in list(vars(module).values()):
                getattr(value, "cache_clear", lambda: None)()


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Runs a suite without public data, each time as if in a new process."""

    def of(suite: str, model: str = "bundled") -> Record:
        forget()
        return run(plan(Wanted((suite,), (model,), limit=CASES[suite], data="none", out=tmp_path)))

    return of


def told(verdict: Verdict) -> str:
    return "\n".join(fall.what for fall in verdict.falls)


def test_a_worsened_prompt_shuts_it(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = baseline_of(runs("alert"))
    again = hold(good, runs("alert"))
    assert again.passed, told(again)
    spoiled = Path(shutil.copytree(renderer.TEMPLATES, tmp_path / "templates"))
    template = (spoiled / "alert.j2").read_text("utf-8")
    (spoiled / "alert.j2").write_text(template.replace('{% include "slots.j2" %}', ""), "utf-8")
    monkeypatch.setattr(renderer, "TEMPLATES", spoiled)
    verdict = hold(good, runs("alert"))
    assert not verdict.passed
    assert "model words" in told(verdict)


def test_a_rule_file_left_out_shuts_it(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = baseline_of(runs("triage"))
    again = hold(good, runs("triage"))
    assert again.passed, told(again)
    spoiled = Path(shutil.copytree(rulebook.RULES_DIR, tmp_path / "rules"))
    (spoiled / "11-cooling.yaml").unlink()
    monkeypatch.setattr(rulebook, "RULES_DIR", spoiled)
    verdict = hold(good, runs("triage"))
    assert not verdict.passed
    assert all(fall.broken for fall in verdict.falls)


def test_a_model_of_random_weights_shuts_it(runs: Runs, tmp_path: Path) -> None:
    good = baseline_of(runs("alert"))
    random = write_random_gguf(tmp_path / "random.gguf", context_tokens=1024)
    verdict = hold(good, runs("alert", f"light={random},heavy=none"))
    assert not verdict.passed
    assert "model words" in told(verdict)
