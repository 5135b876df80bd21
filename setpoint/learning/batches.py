"""Batches of similar length from an endless, seeded stream of examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from setpoint.learning.corpus import Example, mixed_example
from setpoint.learning.tokenizer import encode

ROWS = 32
CHUNK_BATCHES = 16


@dataclass(frozen=True)
class Batch:
    """Token ids (rows, length), padded on the right; `answer` marks the positions that are learned."""

    ids: Tensor
    answer: Tensor

    @property
    def tokens(self) -> int:
        return self.ids.numel()


def chunk(tokenizer: Tokenizer, seed: int, number: int, copy_share: float) -> Iterator[Batch]:
    """Chunk `number` of the stream, in shuffled order. The same arguments give the same batches."""
    rng = Random(f"{seed}-{number}")
    examples = [mixed_example(rng, copy_share) for _ in range(ROWS * CHUNK_BATCHES)]
    yield from batches(tokenizer, examples, rng)


def batches(tokenizer: Tokenizer, examples: list[Example], rng: Random) -> Iterator[Batch]:
    """Examples sorted by length, cut into batches, batches shuffled."""
    encoded = sorted((encode(tokenizer, example) for example in examples), key=lambda pair: len(pair[0]))
    groups = [encoded[start : start + ROWS] for start in range(0, len(encoded), ROWS)]
    rng.shuffle(groups)
    for group in groups:
        yield padded(group)


def padded(group: Sequence[tuple[list[int], int]]) -> Batch:
    """Rows of (token ids, where the answer begins) as one batch."""
    length = max(len(ids) for ids, _ in group)
    ids = torch.zeros((len(group), length), dtype=torch.long)
    answer = torch.zeros((len(group), length), dtype=torch.bool)
    for row, (tokens, start) in enumerate(group):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        answer[row, start : len(tokens)] = True
    return Batch(ids=ids, answer=answer)
