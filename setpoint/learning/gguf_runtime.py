"""The exported file as llama.cpp runs it: greedy answers and raw scores, for parity and score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import Llama
from llama_cpp.llama_grammar import LlamaGrammar
from numpy.typing import NDArray

from setpoint.learning.tokenizer import prompt_text


class GgufRuntime:
    """One loaded model on one thread."""

    def __init__(self, path: Path, *, all_logits: bool = False) -> None:
        self._llama = Llama(
            str(path), n_ctx=512, n_threads=1, n_threads_batch=1, logits_all=all_logits, verbose=False
        )

    def tokens(self, text: str) -> list[int]:
        """Token ids of `text`, control tokens recognised."""
        return self._llama.tokenize(text.encode(), add_bos=False, special=True)

    def logits(self, ids: list[int]) -> NDArray[np.float32]:
        """Scores (len(ids), vocabulary); needs `all_logits`."""
        self._llama.reset()  # type: ignore[no-untyped-call]
        self._llama.eval(ids)
        return np.array(self._llama.scores[: len(ids)], dtype=np.float32)

    def answer(self, system: str, user: str, grammar: str = "", max_tokens: int = 160) -> str:
        """The greedy answer, bound to `grammar` (GBNF) where one is given."""
        extra: dict[str, Any] = (
            {"grammar": LlamaGrammar.from_string(grammar, verbose=False)} if grammar else {}
        )
        result: Any = self._llama.create_completion(
            self.tokens(prompt_text(system, user)), max_tokens=max_tokens, temperature=0.0, **extra
        )
        return str(result["choices"][0]["text"])
