"""Trains a model of ours on lessons: first towards the words people wanted, then away from those they did not.

Lessons are mixed with prompts of the base corpus, whose answers the model must not forget. Everything is drawn from the
seed, so that a run which was killed goes on from its last checkpoint to the very weights it would have reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from setpoint.learning.batches import Batch, padded
from setpoint.learning.corpus import mixed_example
from setpoint.learning.dpo import OWN_LIKELIHOOD, answer_logprob, preference_loss, rejection_loss
from setpoint.learning.model import Model
from setpoint.learning.muon import Optimizers
from setpoint.learning.pairs import Pair, Parts
from setpoint.learning.tokenizer import END, encode, prompt_text
from setpoint.learning.training import answer_loss

CHECKPOINT = "checkpoint.pt"
Stage = Literal["wanted", "preferred", "done"]
Point = tuple[int, Stage, float | None, float]
Listener = Callable[["Tuning", float], None]
"""Is told how far a stage is, as a share of the epochs it may take."""


@dataclass(frozen=True)
class Recipe:
    """How lessons are trained on."""

    seed: int = 1
    steps: int = 200
    """At most, in whole epochs; the watched lessons end it earlier."""
    patience: int = 4
    """Epochs without gain on the watched lessons after which it ends."""
    rows: int = 8
    """Lessons a step."""
    replay: float = 2.0
    """Prompts of the base corpus beside each lesson."""
    replay_weight: float = 0.6
    """Their share in the loss."""
    rate: float = 0.25
    """Learning rate as a share of the base training's."""
    bf16: bool = False
    """Matrix products in bfloat16: faster where the CPU has the instructions."""
    preference_epochs: int = 2
    preference_rate: float = 0.02
    checkpoint_every_s: float = 10.0


@dataclass
class Tuning:
    """What happened so far; kept with the weights."""

    lessons_sha256: str
    recipe: Recipe
    stage: Stage = "wanted"
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""
    loss_sum: float = 0.0
    """Over those batches."""
    steps: int = 0
    tokens: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    best_epoch: int = 0
    best_watch: float = float("inf")
    curve: list[Point] = field(default_factory=list)
    """(tokens, stage, mean loss of the epoch's batches (None before the first), loss of the watched lessons), nats, one point an epoch."""


class Tuner:
    """One run. `work` holds its checkpoint; a run with the same lessons and recipe goes on from there."""

    def __init__(self, model: Model, tokenizer: Tokenizer, parts: Parts, run: Tuning, work: Path) -> None:
        self.model, self.run, self._tokenizer, self._parts, self._work = model, run, tokenizer, parts, work
        self._optimizers = Optimizers(model)
        self._best = _copy(model)
        self._before: dict[str, tuple[float, float]] = {}
        """Of each disliked lesson: log-likelihood of the wanted and the unwanted words before the second stage."""
        self._saved_s = 0.0
        self._resume()

    def train(self, listener: Listener = lambda run, share: None) -> Model:
        """To the end. Gives the weights that did best on the watched lessons."""
        recipe = self.run.recipe
        if self.run.stage == "wanted":
            pairs = [pair for pair in self._parts.train if pair.chosen]
            epochs = -(-recipe.steps // max(1, -(-len(pairs) // recipe.rows)))
            self._epochs(pairs, epochs, recipe.rate, self._wanted_loss, listener)
            self._enter("preferred")
        if self.run.stage == "preferred":
            pairs = [pair for pair in self._parts.train if pair.rejected]
            self._before = self._before or {pair.lesson.id: self.likelihoods(pair) for pair in pairs}
            self._epochs(
                pairs, recipe.preference_epochs, recipe.preference_rate, self._preferred_loss, listener
            )
            self._enter("done")
        self.model.load_state_dict(self._best)
        return self.model

    def watched_loss(self) -> float:
        """Mean loss (nats a token) over the watched lessons; 0 where there are none."""
        with torch.no_grad():
            watched = self._parts.watch
            return float(answer_loss(self.model, self._batch(watched, "chosen"))) if watched else 0.0

    # ---- the loop --------------------------------------------------------------------------------------------------

    def _epochs(
        self,
        pairs: Sequence[Pair],
        epochs: int,
        rate: float,
        loss_of: Callable[[Sequence[Pair], Random], Tensor],
        listener: Listener,
    ) -> None:
        run = self.run
        if not run.curve:
            self._point(None)
        while pairs and run.epoch < epochs and not self._stalled():
            groups = self._groups(pairs)
            while run.batch < len(groups):
                share = (run.epoch + run.batch / len(groups)) / epochs
                self._step(loss_of, groups[run.batch], rate * _rate(share, run.steps))
                listener(run, share)
            self._point(run.loss_sum / len(groups))
            run.epoch, run.batch, run.loss_sum = run.epoch + 1, 0, 0.0

    def _step(
        self, loss_of: Callable[[Sequence[Pair], Random], Tensor], group: Sequence[Pair], rate: float
    ) -> None:
        run, wall, cpu = self.run, time.monotonic(), time.process_time()
        rng = Random(f"{run.recipe.seed}-{run.stage}-{run.epoch}-{run.batch}")
        with torch.autocast("cpu", torch.bfloat16, enabled=run.recipe.bf16):
            loss = loss_of(group, rng)
        torch.autograd.backward(loss)
        self._optimizers.step(rate)
        run.steps, run.batch, run.loss_sum = run.steps + 1, run.batch + 1, run.loss_sum + loss.item()
        run.wall_s += time.monotonic() - wall
        run.cpu_s += time.process_time() - cpu
        if run.wall_s - self._saved_s > run.recipe.checkpoint_every_s:
            self._save()

    def _groups(self, pairs: Sequence[Pair]) -> list[list[Pair]]:
        """This epoch's batches; the same each time they are asked for."""
        mixed = list(pairs)
        Random(f"{self.run.recipe.seed}-{self.run.stage}-{self.run.epoch}").shuffle(mixed)
        rows = self.run.recipe.rows
        return [mixed[start : start + rows] for start in range(0, len(mixed), rows)]

    def _point(self, loss: float | None) -> None:
        """One more point of the curve; the weights are kept where they are the best so far."""
        run, watched = self.run, self.watched_loss()
        shown = None if loss is None else round(loss, 4)
        run.curve.append((run.tokens, run.stage, shown, round(watched, 4)))
        if watched <= run.best_watch or not self._parts.watch:
            run.best_watch, run.best_epoch = watched, run.epoch
            self._best = _copy(self.model)

    def _stalled(self) -> bool:
        return bool(self._parts.watch) and self.run.epoch - self.run.best_epoch > self.run.recipe.patience

    def _enter(self, stage: Stage) -> None:
        """From the best weights, with fresh momentum."""
        self.model.load_state_dict(self._best)
        self._optimizers = Optimizers(self.model)
        self.run.stage, self.run.epoch, self.run.batch, self.run.best_epoch = stage, 0, 0, 0
        self._save()

    # ---- losses ----------------------------------------------------------------------------------------------------

    def _wanted_loss(self, group: Sequence[Pair], rng: Random) -> Tensor:
        recipe = self.run.recipe
        loss = answer_loss(self.model, self._counted(self._batch(group, "chosen")))
        count = round(recipe.replay * len(group))
        if not count:
            return loss
        old = padded([encode(self._tokenizer, mixed_example(rng, 0.0)) for _ in range(count)])
        return (1 - recipe.replay_weight) * loss + recipe.replay_weight * answer_loss(
            self.model, self._counted(old)
        )

    def _preferred_loss(self, group: Sequence[Pair], rng: Random) -> Tensor:
        edited = [pair for pair in group if pair.chosen]
        only_rejected = [pair for pair in group if not pair.chosen]
        loss = torch.zeros(())
        if edited:
            wanted = self._counted(self._batch(edited, "chosen"))
            unwanted = self._counted(self._batch(edited, "rejected"))
            loss = loss + OWN_LIKELIHOOD * answer_loss(self.model, wanted)
            loss = loss + preference_loss(
                answer_logprob(self.model, wanted), answer_logprob(self.model, unwanted), *self._held(edited)
            )
        if only_rejected:
            unwanted = self._counted(self._batch(only_rejected, "rejected"))
            loss = loss + rejection_loss(answer_logprob(self.model, unwanted), self._held(only_rejected)[1])
        return loss

    def likelihoods(self, pair: Pair) -> tuple[float, float]:
        with torch.no_grad():
            wanted, unwanted = (
                float(answer_logprob(self.model, self._batch([pair], which))[0])
                for which in ("chosen", "rejected")
            )
        return wanted, unwanted

    def _held(self, group: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        both = torch.tensor([self._before[pair.lesson.id] for pair in group])
        return both[:, 0], both[:, 1]

    def _batch(self, group: Sequence[Pair], which: str) -> Batch:
        rows = []
        for pair in group:
            prompt = self._tokenizer.encode(prompt_text(pair.prompt.system, pair.prompt.user)).ids
            answer = self._tokenizer.encode(getattr(pair, which) + END).ids
            rows.append((prompt + answer, len(prompt)))
        return padded(rows)

    def _counted(self, batch: Batch) -> Batch:
        self.run.tokens += batch.tokens
        return batch

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def _save(self) -> None:
        self._work.mkdir(parents=True, exist_ok=True)
        state = {
            "run": asdict(self.run),
            "model": self.model.state_dict(),
            "best": self._best,
            "optimizers": self._optimizers.state_dict(),
            "before": self._before,
        }
        part = self._work / f"{CHECKPOINT}.part"
        torch.save(state, part)
        part.replace(self._work / CHECKPOINT)
        self._saved_s = self.run.wall_s

    def _resume(self) -> None:
        path = self._work / CHECKPOINT
        if not path.is_file():
            return
        state: dict[str, Any] = torch.load(path, weights_only=True)
        known = Tuning(**{**state["run"], "recipe": Recipe(**state["run"]["recipe"])})
        if (known.lessons_sha256, known.recipe) != (self.run.lessons_sha256, self.run.recipe):
            return  # of another set or another way of training: begin anew
        self.run.__dict__.update(replace(known, curve=list(map(_point_of, known.curve))).__dict__)
        self.model.load_state_dict(state["model"])
        self._optimizers.load_state_dict(state["optimizers"])
        self._best, self._before, self._saved_s = state["best"], state["before"], known.wall_s


def _rate(share: float, steps: int) -> float:
    """Short warm-up, then a linear fall.

    >>> _rate(0.0, 0), _rate(0.5, 100)
    (0.1, 0.525)
    """
    return min(1.0, (steps + 1) / 10) * (1.0 - 0.95 * share)


def _point_of(point: Any) -> Point:
    tokens, stage, loss, watched = point
    return tokens, stage, loss, watched


def _copy(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
