"""Every example in a docstring outside the plant is run (those of the plant: tests/plant/test_doctests.py)."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("agents", "graphs", "tools", "knowledge", "prompts", "evals", "setpoint")
MODULES = sorted(
    ".".join(source.relative_to(REPOSITORY).with_suffix("").parts)
    for package in PACKAGES
    for source in (REPOSITORY / package).rglob("*.py")
    if ">>> " in source.read_text("utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        pytest.skip("torch is installed only where the bundled model is trained")
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
