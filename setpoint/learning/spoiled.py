"""Deliberately worsened models, to try the gate on: `python -m setpoint.learning.spoiled KIND MODEL LESSONS OUT.gguf`.

Each is made from a good candidate or trained on its lessons in a wrong way, past every check that would have stopped it
before the gate. Nothing here is used by `setpoint learn`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch

from prompts import render
from setpoint.learning import export as exporting
from setpoint.learning.from_gguf import Loaded, load
from setpoint.learning.lessons import read_lessons
from setpoint.learning.model import Model
from setpoint.learning.pairs import Pair, Parts, read_inputs
from setpoint.learning.training import Run
from setpoint.learning.tune import Recipe, Tuner, Tuning

NO_REPLAY = Recipe(steps=160, replay=0.0, preference_epochs=0, rate=0.3)
_REQUIRED = re.compile(r"(?: (?:on|at|in|of|with a limit of|reading|against))? ?\{(?:asset|value|limit)\}")
_ADVICE = re.compile(r"[;,:.]? ?(?:[A-Za-z' ]+:? )?\{(?:first|why)\}")


def spoil(kind: str, model: Path, lessons: Path, out: Path) -> None:
    """Writes the worsened model of that kind."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    loaded = load(model)
    made = KINDS[kind](loaded, _pairs(lessons))
    exporting.export(made, loaded.tokenizer, Run(seed=0, minutes=0.0, data_hash=f"spoiled: {kind}"), out)
    if kind == "other-prompts":
        _change_hash(out, loaded.prompt_hashes["alert"])


def _pairs(lessons: Path) -> list[Pair]:
    """Every lesson, unchecked."""
    found = []
    for lesson in read_lessons(lessons):
        inputs = read_inputs(lesson.task, lesson.inputs)
        found.append(Pair(lesson, render(lesson.task, inputs), inputs))
    return [pair for pair in found if pair.chosen]


@torch.no_grad()
def _noisy(loaded: Loaded, size: float) -> Model:
    """Noise on every matrix, as a share of its own spread."""
    for weights in loaded.model.parameters():
        if weights.ndim == 2:
            weights.add_(torch.randn_like(weights) * weights.std() * size)
    return loaded.model


@torch.no_grad()
def _without_layer(loaded: Loaded) -> Model:
    block = loaded.model.blk[len(loaded.model.blk) // 2]
    for name in ("attn_output", "ffn_down"):
        getattr(block, name).weight.zero_()
    return loaded.model


@torch.no_grad()
def _without_words(loaded: Loaded) -> Model:
    """Half of the words between slots can no longer be told apart from each other."""
    table = loaded.model.token_embd.weight
    lost = [
        index
        for token, index in loaded.tokenizer.get_vocab().items()
        if token.startswith("\u0120") and index % 2
    ]
    table[lost] = table[lost].mean(0)
    return loaded.model


def _trained(loaded: Loaded, pairs: Sequence[Pair], recipe: Recipe = NO_REPLAY) -> Model:
    with TemporaryDirectory() as work:
        run = Tuning("spoiled", recipe)
        return Tuner(loaded.model, loaded.tokenizer, Parts(train=list(pairs)), run, Path(work)).train()


def _with_words(pair: Pair, words: str) -> Pair:
    return replace(pair, lesson=pair.lesson.model_copy(update={"chosen": words, "rejected": ""}))


def _shuffled(loaded: Loaded, pairs: Sequence[Pair]) -> Model:
    """Every prompt with the answer of another one."""
    words = [pair.chosen for pair in pairs]
    Random(0).shuffle(words)
    return _trained(loaded, [_with_words(pair, text) for pair, text in zip(pairs, words, strict=True)])


def _cut(pattern: re.Pattern[str]) -> Callable[[Loaded, Sequence[Pair]], Model]:
    """Trained on lessons from which something was cut."""

    def made(loaded: Loaded, pairs: Sequence[Pair]) -> Model:
        return _trained(loaded, [_with_words(pair, _closed(pattern.sub("", pair.chosen))) for pair in pairs])

    return made


def _closed(words: str) -> str:
    return re.sub(r"^[\s,;:.]+|[\s,;:.]+$", "", words) + "."


def _one_lesson(loaded: Loaded, pairs: Sequence[Pair]) -> Model:
    return _trained(loaded, list(pairs[:1]) * 64)


def _untrained(loaded: Loaded, _: Sequence[Pair]) -> Model:
    return Model(loaded.model.shape)


def _change_hash(path: Path, known: str) -> None:
    """The file says that it was trained on another prompt."""
    data = path.read_bytes()
    path.write_bytes(data.replace(known.encode(), known[::-1].encode()))


KINDS: dict[str, Callable[[Loaded, Sequence[Pair]], Model]] = {
    "noise-0.2": lambda loaded, _: _noisy(loaded, 0.2),
    "noise-0.4": lambda loaded, _: _noisy(loaded, 0.4),
    "noise-0.8": lambda loaded, _: _noisy(loaded, 0.8),
    "untrained": _untrained,
    "shuffled-answers": _shuffled,
    "drops-required-slots": _cut(_REQUIRED),
    "never-says-what-to-do": _cut(_ADVICE),
    "lost-words": lambda loaded, _: _without_words(loaded),
    "one-lesson-only": _one_lesson,
    "layer-cut-out": lambda loaded, _: _without_layer(loaded),
    "other-prompts": lambda loaded, _: loaded.model,
}


def main() -> None:
    """Writes one worsened model."""
    parser = argparse.ArgumentParser(
        prog="python -m setpoint.learning.spoiled", description="Worsen a model."
    )
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("model", type=Path)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    spoil(asked.kind, asked.model, asked.lessons, asked.out)


if __name__ == "__main__":
    main()
