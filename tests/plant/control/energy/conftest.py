"""Requests of three classes on one deployment, without files."""

from __future__ import annotations

import numpy as np
import pytest

from plant.control.energy.fleet import Pool
from plant.control.energy.lengths import prompt_class
from plant.control.energy.profile import load_of
from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.deployment import Deployment
from plant.inference.trace import Lengths, Trace, make_trace
from plant.specs import NodeSpec

TTFT_S = (0.5, 0.8, 2.0)


@pytest.fixture(scope="session")
def served() -> Trace:
    """Lengths like those of Azure's conversations."""
    prompts, answers = Lengths(longest=4096).draw(6000, np.random.default_rng(2))
    return make_trace(np.arange(6000.0), prompts, answers, name="made up")


@pytest.fixture(scope="session")
def kinds(served: Trace) -> np.ndarray:
    return prompt_class(served.prompt_tokens)


@pytest.fixture(scope="session")
def pools(served: Trace, kinds: np.ndarray) -> dict[str, Pool]:
    d = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H100"), tp=8, max_len=16384)
    made = {}
    for name, classes in (("all", (0, 1, 2)), ("short", (0,)), ("long", (1, 2))):
        mine = np.isin(kinds, classes)
        load = load_of(served.prompt_tokens[mine], served.output_tokens[mine], kinds[mine], TTFT_S, 0.1)
        made[name] = Pool(name, float(mine.mean()), d, load, NodeSpec(), np.flatnonzero(mine))
    return made
