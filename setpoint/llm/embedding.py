"""Dense vectors from any GGUF embedding model through llama.cpp."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from setpoint.errors import ModelMissing

CONTEXT_TOKENS = 512


def load_embedding(path: Path) -> Callable[[Sequence[str]], list[list[float]]]:
    """A function from texts to unit vectors. Raises ModelMissing where the file cannot be loaded as one."""
    from llama_cpp import LLAMA_POOLING_TYPE_NONE, Llama

    if not path.is_file():
        raise ModelMissing(
            "no embedding model there", where=str(path), remedy="Correct knowledge.embedding, or unset it"
        )
    try:
        # Without n_threads_batch llama.cpp takes every core for a text of a few tokens and spins on them.
        llama: Any = Llama(
            model_path=str(path),
            embedding=True,
            n_ctx=CONTEXT_TOKENS,
            n_threads=1,
            n_threads_batch=1,
            verbose=False,
        )
    except ValueError as error:
        raise ModelMissing(
            f"cannot be loaded: {error}", where=str(path), remedy="Is it a GGUF embedding model?"
        ) from error
    if llama.pooling_type() == LLAMA_POOLING_TYPE_NONE:
        llama.close()
        raise ModelMissing(
            "it gives a vector for each token, none for a text",
            where=str(path),
            remedy="Set knowledge.embedding to an embedding model, whose GGUF file names a pooling; a language model is none",
        )
    # One llama.cpp context is not thread-safe.
    lock = Lock()

    def embed(texts: Sequence[str]) -> list[list[float]]:
        with lock:
            return [_unit(llama.embed(text, truncate=True)) for text in texts]

    return embed


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [float(value) / length for value in vector]
