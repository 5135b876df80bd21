"""The top-level names are ours alone, importing does no work, and extras are not needed to start."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("agents", "graphs", "tools", "knowledge", "prompts", "evals", "plant", "setpoint")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_is_the_one_of_this_repository(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(REPOSITORY)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_owns_the_name(name: str) -> None:
    owners = set(packages_distributions().get(name, ())) - {"setpoint"}
    assert not owners, f"{owners} installs a package named {name!r}: uninstall it, or the wrong code may run"


def test_the_command_line_starts_without_extras_and_without_heavy_parts() -> None:
    """--help must answer at once: no model, no graph, no eval framework."""
    code = (
        "import sys\n"
        "import setpoint.app.cli, evals.registry, evals.running.runner\n"
        "heavy = {'inspect_ai', 'langgraph', 'llama_cpp', 'torch', 'qdrant_client', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert ran.returncode == 0, ran.stderr


def test_a_look_at_the_desk_loads_no_graph_no_model_and_no_compiled_plant() -> None:
    code = (
        "import sys\n"
        "import setpoint.app.opening\n"
        "heavy = {'langgraph', 'llama_cpp', 'numba', 'qdrant_client'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert ran.returncode == 0, ran.stderr


def test_the_product_itself_needs_no_eval_framework() -> None:
    code = "import sys; sys.modules['inspect_ai'] = None; import setpoint.app.wiring, setpoint.app.headless, setpoint.app.api"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert ran.returncode == 0, ran.stderr


def test_checkpoints_are_strict_in_tests() -> None:
    assert os.environ["LANGGRAPH_STRICT_MSGPACK"] == "true"
