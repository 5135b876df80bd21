"""Does llama.cpp see the same tokens and choose the same next token as the trained model did?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer

from prompts import TASKS
from setpoint.learning.corpus import task_example
from setpoint.learning.gguf_runtime import GgufRuntime
from setpoint.learning.model import Model
from setpoint.learning.tokenizer import END, prompt_text


@dataclass(frozen=True)
class Parity:
    """Agreement over held-out examples."""

    texts: int
    same_tokens: int
    """Texts tokenized identically."""
    positions: int
    """Tokens of the answers: what was learned, and what is ever generated."""
    same_choice: int
    """Positions where both choose the same most likely next token."""


@torch.no_grad()
def measure(model: Model, tokenizer: Tokenizer, path: Path, texts: int = 40) -> Parity:
    """Compares the model in memory with the file at `path` on `texts` held-out examples."""
    runtime, rng = GgufRuntime(path, all_logits=True), Random("parity")
    same_tokens = positions = same_choice = 0
    for number in range(texts):
        example = task_example(rng, "dev", TASKS[number % len(TASKS)])
        text = prompt_text(example.system, example.user) + example.answer + END
        ids = tokenizer.encode(text).ids
        same_tokens += runtime.tokens(text) == ids
        start = len(tokenizer.encode(prompt_text(example.system, example.user)).ids) - 1
        ours = model.logits(model(torch.tensor([ids])))[0].argmax(-1).numpy()
        theirs = runtime.logits(ids).argmax(-1)
        positions += len(ids) - start
        same_choice += int((ours == theirs)[start:].sum())
    return Parity(texts=texts, same_tokens=same_tokens, positions=positions, same_choice=same_choice)
