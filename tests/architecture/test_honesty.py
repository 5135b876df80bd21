"""Diagnosis is examined on nights that `plant.faults` makes, so it may not look at how they are made."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SHAPES = {
    "plant.faults.catalog": {"Area", "Effect", "Target", "with_on"},
    "plant.faults.effects": {"goal_of", "stands_at"},
    "plant.faults.place": {"fits", "fitting", "scheduler", "targets"},
}
"""What any knob's change is made of and where it may be put. The catalog's own magnitudes, ramps, chances and log lines
are read with `load_catalog` and by the modules that compose and tell a night."""
SOURCES = [
    *(REPOSITORY / "plant" / "diagnosis").glob("*.py"),
    *(REPOSITORY / "knowledge").rglob("*.py"),
    *(REPOSITORY / "agents").rglob("*.py"),
    REPOSITORY / "tools" / "diagnosis.py",
    REPOSITORY / "tools" / "causal.py",
    REPOSITORY / "tools" / "rehearsal.py",
]


def taken(source: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of everything imported from `plant.faults`, anywhere in the file."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("plant.faults"):
            yield from ((node.module or "", name.name) for name in node.names)
        if isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names if name.name.startswith("plant.faults"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_diagnosis_takes_nothing_of_the_generators_numbers(source: Path) -> None:
    forbidden = [(module, name) for module, name in taken(source) if name not in SHAPES.get(module, set())]
    assert forbidden == []
    assert "catalog.yaml" not in source.read_text("utf-8").replace("knowledge/catalog.yaml", "")


def test_the_check_can_fail(tmp_path: Path) -> None:
    made = tmp_path / "peeks.py"
    made.write_text("def f():\n    from plant.faults.catalog import Effect, load_catalog\n")
    assert set(taken(made)) == {("plant.faults.catalog", "Effect"), ("plant.faults.catalog", "load_catalog")}
