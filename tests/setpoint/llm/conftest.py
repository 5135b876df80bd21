"""Real llama.cpp models for tests: random weights, built on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from setpoint.llm.chat_model import LlamaChat
from setpoint.testing import write_random_gguf


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def slow_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deep and with a long context: a full prompt takes some seconds."""
    path = tmp_path_factory.mktemp("gguf") / "slow.gguf"
    return write_random_gguf(path, context_tokens=8192, layers=48)


@pytest.fixture
def tiny(tiny_gguf: Path) -> Iterator[LlamaChat]:
    chat = LlamaChat(path=tiny_gguf, context_tokens=512, max_tokens=40)
    yield chat
    chat.close()
