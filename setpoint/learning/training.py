"""The training loop: a wall-clock budget, a curriculum, checkpoints, a record."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from setpoint.errors import UsageError
from setpoint.learning.batches import Batch, chunk
from setpoint.learning.model import Model
from setpoint.learning.muon import Optimizers

COPY_SHARE_EARLY, COPY_SHARE_LATE = 0.5, 0.05
CHECKPOINT_EVERY_S = 120.0


@dataclass
class Run:
    """What happened so far; written beside the weights."""

    seed: int
    minutes: float
    data_hash: str
    bf16: bool = False
    """Matrix products in bfloat16: faster where the CPU has the instructions, slower elsewhere."""
    curriculum: float = 0.15
    """Share of the budget in which dense copying dominates."""
    warm_start: str = ""
    """Data hash and tokens of the run whose weights were taken over."""
    parameters: int = 0
    steps: int = 0
    tokens: int = 0
    chunks: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    """(tokens, loss of the answers, share of copying), one point a chunk."""

    @property
    def progress(self) -> float:
        return min(1.0, self.wall_s / (self.minutes * 60))


def train(run: Run, tokenizer: Tokenizer, folder: Path, model: Model) -> Model:
    """Trains `model` until the budget is spent, continuing from the checkpoint in `folder` where there is one."""
    run.parameters = model.parameter_count
    optimizers = Optimizers(model)
    _resume(run, model, optimizers, folder)
    saved_at = run.wall_s
    while run.progress < 1.0:
        share = COPY_SHARE_EARLY if run.progress < run.curriculum else COPY_SHARE_LATE
        loss = _train_chunk(run, model, optimizers, tokenizer, share)
        run.chunks += 1
        run.curve.append((run.tokens, round(loss, 4), share))
        print(
            f"{run.wall_s / 60:5.1f} min  {run.steps:5d} steps  {run.tokens:9d} tokens  loss {loss:.4f}",
            flush=True,
        )
        if run.wall_s - saved_at > CHECKPOINT_EVERY_S or run.progress >= 1.0:
            _save(run, model, optimizers, folder)
            saved_at = run.wall_s
    return model


def answer_loss(model: Model, batch: Batch) -> Tensor:
    """Mean cross-entropy (nats) over the answer's tokens."""
    hidden = model(batch.ids[:, :-1])
    learned = batch.answer[:, 1:]
    return functional.cross_entropy(model.logits(hidden[learned]), batch.ids[:, 1:][learned])


def rate_factor(progress: float, steps: int) -> float:
    """Learning-rate factor: short warm-up, plateau, linear fall from half-way on.

    >>> rate_factor(0.2, 1000), rate_factor(1.0, 1000)
    (1.0, 0.02)
    """
    fall = 1.0 if progress < 0.5 else 1.0 - 0.98 * (progress - 0.5) / 0.5
    return min(1.0, (steps + 1) / 40) * round(fall, 6)


def _train_chunk(run: Run, model: Model, optimizers: Optimizers, tokenizer: Tokenizer, share: float) -> float:
    total, count = 0.0, 0
    wall, cpu = time.monotonic(), time.process_time()
    for batch in chunk(tokenizer, run.seed, run.chunks, share):
        with torch.autocast("cpu", torch.bfloat16, enabled=run.bf16):
            loss = answer_loss(model, batch)
        torch.autograd.backward(loss)
        optimizers.step(rate_factor(run.progress, run.steps))
        total, count = total + loss.item(), count + 1
        run.steps += 1
        run.tokens += batch.tokens
        run.wall_s, wall = run.wall_s + time.monotonic() - wall, time.monotonic()
        run.cpu_s, cpu = run.cpu_s + time.process_time() - cpu, time.process_time()
    return total / count


def _save(run: Run, model: Model, optimizers: Optimizers, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = {"run": asdict(run), "model": model.state_dict(), "optimizers": optimizers.state_dict()}
    torch.save(state, folder / "checkpoint.part")
    (folder / "checkpoint.part").replace(folder / "checkpoint.pt")
    (folder / "run.json").write_text(json.dumps(asdict(run)) + "\n", encoding="utf-8")


def _resume(run: Run, model: Model, optimizers: Optimizers, folder: Path) -> None:
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["run"]["data_hash"] != run.data_hash:
        raise UsageError(
            "the checkpoint was trained on another corpus",
            where=str(path),
            remedy="Train in another work folder (--work), or begin with its weights (--warm-start)",
        )
    model.load_state_dict(state["model"])
    optimizers.load_state_dict(state["optimizers"])
    for name in ("steps", "tokens", "chunks", "wall_s", "cpu_s"):
        setattr(run, name, state["run"][name])
    run.curve = [tuple(point) for point in state["run"]["curve"]]
