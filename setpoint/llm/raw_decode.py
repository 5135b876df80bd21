"""The same file decoded by llama.cpp's own calls, token by token and greedily: what our own way of asking is held
against. Nothing of Setpoint lies between: no queue, no deadline, no text, no grammar."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setpoint.errors import ModelFailed
from setpoint.llm.engine import Engine


@dataclass(frozen=True)
class Decoded:
    """One answer."""

    tokens: int
    """Of the answer."""
    first_s: float
    """Until its first token was known: the prompt's share."""
    total_s: float
    cpu_s: float
    """Of the whole process meanwhile."""


class RawDecoder:
    """A context of its own over the file. Tokens that a prompt shares with the one before are kept, as the product does."""

    def __init__(self, path: Path, *, context_tokens: int, threads: int) -> None:
        self._engine = Engine(path, context_tokens=context_tokens, threads=threads)
        self._seen: list[int] = []

    def decode(self, messages: Sequence[tuple[str, str]], max_tokens: int) -> Decoded:
        """The greedy answer to the prompt as the product would tokenise it. Raises ModelMissing, ModelFailed."""
        return self._engine.measure(
            lambda llama, prompt: self._decoded(llama, prompt, max_tokens), tuple(messages)
        )

    def close(self) -> None:
        """Free the context."""
        self._engine.close()

    def _decoded(self, llama: Any, prompt: list[int], max_tokens: int) -> Decoded:
        from llama_cpp import llama_cpp

        began, cpu_began = time.perf_counter(), time.process_time()
        sampler = llama_cpp.llama_sampler_init_greedy()
        fresh = prompt[self._keep(llama, prompt) :]
        count, first_s = 0, 0.0
        try:
            while True:
                self._feed(llama, fresh)
                token = llama_cpp.llama_sampler_sample(sampler, llama.ctx, -1)
                first_s = first_s or time.perf_counter() - began
                if llama_cpp.llama_vocab_is_eog(llama._model.vocab, token) or count == max_tokens:
                    break
                count += 1
                fresh = [token]
        finally:
            llama_cpp.llama_sampler_free(sampler)
        return Decoded(count, first_s, time.perf_counter() - began, time.process_time() - cpu_began)

    def _keep(self, llama: Any, prompt: Sequence[int]) -> int:
        """How many leading tokens stay in the context's memory; the last one of a prompt is always decoded."""
        from llama_cpp import llama_cpp

        same = 0
        for old, new in zip(self._seen, prompt[:-1], strict=False):
            if old != new:
                break
            same += 1
        llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(llama.ctx), 0, same, -1)
        self._seen = list(prompt[:same])
        return same

    def _feed(self, llama: Any, tokens: Sequence[int]) -> None:
        from llama_cpp import llama_cpp

        array = (ctypes.c_int32 * len(tokens))(*tokens)
        if llama_cpp.llama_decode(llama.ctx, llama_cpp.llama_batch_get_one(array, len(tokens))):
            raise ModelFailed("llama.cpp cannot decode", where=str(self._engine.path))
        self._seen += tokens
