"""Byte-level BPE of 3,072 tokens; usual slots are one token each, digits stay single."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from setpoint.learning.corpus import Example, mixed_example

VOCABULARY = 3072
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CONTROL = (PAD, START, END)
SLOT_NAMES = (
    "asset", "place", "metric", "value", "limit", "count",
    "time", "duration", "code", "quote", "tenant", "name",
)  # fmt: skip
PHRASE_NAMES = ("what", "why", "first", "cause", "line", "line2", "line3")
SLOTS = (
    *(f"{{{name}{number}}}" for name in SLOT_NAMES for number in ("", "2", "3")),
    *(f"{{{name}}}" for name in PHRASE_NAMES),
)
# The split that llama.cpp calls "qwen2": digits one by one, a leading space belongs to the word.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def splitting(model: models.BPE) -> Tokenizer:
    """A tokenizer over `model` that cuts texts as llama.cpp's "qwen2" does."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_tokenizer(seed: int, examples: int = 12_000) -> Tokenizer:
    """A tokenizer trained on the corpus itself, so that it can be rebuilt from the seed."""
    tokenizer = splitting(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL) - len(SLOTS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, examples), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(slot, special=False, normalized=False) for slot in SLOTS])
    return tokenizer


def prompt_text(system: str, user: str) -> str:
    """The ChatML text before the answer, as the GGUF's chat template writes it."""
    return f"{START}system\n{system}{END}\n{START}user\n{user}{END}\n{START}assistant\n"


def encode(tokenizer: Tokenizer, example: Example) -> tuple[list[int], int]:
    """Token ids of prompt and answer, and where the answer begins."""
    prompt = tokenizer.encode(prompt_text(example.system, example.user)).ids
    return prompt + tokenizer.encode(example.answer + END).ids, len(prompt)


def _texts(seed: int, examples: int) -> Iterator[str]:
    rng = Random(f"tokenizer-{seed}")
    for _ in range(examples):
        example = mixed_example(rng, 0.2)
        yield from _without_added((prompt_text(example.system, example.user), example.answer + END))


def _without_added(texts: Iterable[str]) -> Iterator[str]:
    # They are tokens of their own; merges inside them would only take room in the vocabulary.
    for text in texts:
        for slot in (*SLOTS, *CONTROL):
            text = text.replace(slot, " ")
        yield text
