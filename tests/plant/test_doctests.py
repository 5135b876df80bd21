"""Every number in a docstring of the plant is run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import plant

MODULES = [found.name for found in pkgutil.walk_packages(plant.__path__, "plant.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_formulas_have_examples() -> None:
    """Where physics lives, most functions carry a number to check them by."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for package in ("plant.power", "plant.thermal"):
        modules = [importlib.import_module(name) for name in MODULES if name.startswith(package + ".")]
        with_example = sum(bool(test.examples) for module in modules for test in finder.find(module))
        assert with_example >= 10, f"{package} has {with_example} examples"
