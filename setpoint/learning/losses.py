"""How surprised a file of ours is by given answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from setpoint.learning.batches import padded
from setpoint.learning.corpus import Example
from setpoint.learning.dpo import answer_logprob
from setpoint.learning.from_gguf import load
from setpoint.learning.tokenizer import encode


@torch.no_grad()
def losses(path: Path, examples: Sequence[Example]) -> list[float]:
    """Of each example's answer, nats a token, in the order given."""
    loaded = load(path)
    found = []
    for example in examples:
        batch = padded([encode(loaded.tokenizer, example)])
        found.append(-float(answer_logprob(loaded.model, batch)[0]) / int(batch.answer.sum()))
    return found
