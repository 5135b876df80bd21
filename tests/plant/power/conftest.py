"""For tests of plant.power: examples in docstrings, those of compiled functions included."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest


class Examples:
    """Runs the examples of a module. `doctest.testmod` would pass over what numba has wrapped."""

    def failures(self, module: ModuleType) -> tuple[int, int]:
        """(failed, attempted)."""
        runner = doctest.DocTestRunner()
        for name, value in vars(module).items():
            text = getattr(getattr(value, "py_func", value), "__doc__", None)
            if getattr(value, "__module__", "") == module.__name__ and text and ">>>" in text:
                runner.run(doctest.DocTestParser().get_doctest(text, dict(vars(module)), name, None, 0))
        found = runner.summarize(verbose=False)
        return found.failed, found.attempted


@pytest.fixture(scope="session")
def examples() -> Examples:
    return Examples()
