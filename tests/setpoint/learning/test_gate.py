"""What the gate lets through and what it refuses. The whole of it on trained candidates: `python -m evals.learning_gate`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from setpoint.errors import UsageError
from setpoint.learning import gate
from setpoint.learning.gate import Figure, compare
from setpoint.learning.lessons import write_lessons
from setpoint.llm import BUNDLED, Registry
from setpoint.llm.gguf_header import read_header
from tests.setpoint.learning.taught import lessons

pytest.importorskip("torch", reason="torch is installed only where models are trained")
pytestmark = pytest.mark.skipif(not BUNDLED.is_file(), reason="the bundled model is not in this checkout")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def put(registry: Registry, name: str, data: bytes) -> None:
    """A candidate with lessons."""
    draft = registry.folder.parent / f"{name}.gguf"
    draft.write_bytes(data)
    folder = registry.add(name, draft, {}).parent
    write_lessons(folder / "lessons.jsonl", lessons(30))


def test_the_file_in_service_is_no_candidate(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    put(registry, "same", BUNDLED.read_bytes())
    assert compare(registry, "same", registry.in_service("light"), NOW).refused == (
        "it is the very file that is in service",
    )


def test_other_prompts_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    known = read_header(BUNDLED).prompt_hashes["alert"].encode()
    put(registry, "other", BUNDLED.read_bytes().replace(known, known[::-1]))
    held = compare(registry, "other", registry.in_service("light"), NOW)
    assert held.refused == ("it was trained on other prompts of alert than this version has",)
    assert not held.figures


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    data = BUNDLED.read_bytes()
    put(registry, "broken", data[:-4000] + b"\xff" * 4000)
    assert not compare(registry, "broken", registry.in_service("light"), NOW).passed


def test_a_model_from_elsewhere_has_no_exam(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.add("elsewhere", BUNDLED, {})
    with pytest.raises(UsageError, match="not made from lessons"):
        compare(registry, "elsewhere", registry.in_service("light"), NOW)


def figure(kind: str, name: str, before: list[float], after: list[float]) -> Figure:
    lower = kind == gate.BASE
    return gate._figure(kind, name, list(zip(before, after, strict=True)), lower_is_better=lower)


def test_an_exam_must_come_out_better_by_more_than_chance() -> None:
    better = figure(gate.EXAM, "exam", [0.0] * 20, [1.0] * 8 + [0.0] * 12)
    chance = figure(gate.EXAM, "exam", [0.0] * 20, [1.0] + [0.0] * 19)
    assert better.verdict == "better"
    assert not list(gate._refusals([better]))
    assert "do not come out better" in next(gate._refusals([chance]))
    assert "no lesson was kept back" in next(gate._refusals([figure(gate.EXAM, "exam", [], [])]))


def test_a_small_fall_is_seen_even_where_chance_could_have_made_it() -> None:
    fell = figure("incidents", "alert: passes", [1.0] * 40, [1.0] * 38 + [0.0] * 2)
    held = figure("incidents", "alert: passes", [1.0] * 40, [1.0] * 39 + [0.0])
    assert "it falls" in next(gate._refusals([fell]))
    assert not list(gate._refusals([held]))


def test_what_was_corrected_may_move_and_nothing_else_may_be_forgotten() -> None:
    before, after = [0.10, 0.12, 0.11, 0.09] * 5, [0.60, 0.70, 0.65, 0.62] * 5
    moved = figure(gate.BASE, f"alert: loss a token, {gate.MAY_MOVE}", before, after)
    lost = figure(gate.BASE, "chat: loss a token, not corrected", before, after)
    assert not list(gate._refusals([moved]))
    assert "is forgotten" in next(gate._refusals([lost]))
