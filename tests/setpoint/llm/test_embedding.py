"""Embedding models: which files are taken as one, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from setpoint.errors import ModelMissing
from setpoint.llm.embedding import load_embedding


def test_a_language_model_is_refused_with_a_remedy(tiny_gguf: Path) -> None:
    with pytest.raises(ModelMissing) as refused:
        load_embedding(tiny_gguf)
    assert refused.value.where == str(tiny_gguf)
    assert "knowledge.embedding" in refused.value.remedy
    assert "each token" in refused.value.what


def test_a_file_that_is_no_model_is_refused_with_a_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "notes.gguf"
    broken.write_text("not a model")
    with pytest.raises(ModelMissing, match="cannot be loaded"):
        load_embedding(broken)
    with pytest.raises(ModelMissing, match="no embedding model there"):
        load_embedding(tmp_path / "absent.gguf")
