"""The published training runs of `training_runs.yaml`, each as the model predicts it and as it was."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from plant.hardware.gpus import gpu
from plant.hardware.models import Model, model
from plant.inference.training import TrainingRun, train_step


@dataclass(frozen=True)
class Published:
    """One run. `rate` is tokens a second and accelerator."""

    name: str
    source: str
    run: TrainingRun
    rate: float
    fitted: bool
    """The constants were fitted to it."""

    def error(self) -> float:
        """Predicted over published rate, less 1."""
        return train_step(self.run).tokens_per_s / self.run.gpus / self.rate - 1.0


@cache
def published_runs() -> tuple[Published, ...]:
    """All of them, in the order of the file."""
    text = files("plant.inference").joinpath("training_runs.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    rows = [_megatron(row) for row in _named(raw["megatron"])]
    rows += [_bridge(row) for row in _named(raw["bridge"])]
    rows += [_llama3(row) for row in _named(raw["llama3"])]
    return *rows, _deepseek(raw["deepseek"])


def _named(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(block["columns"], row, strict=True)) for row in block["rows"]]


def _megatron(row: dict[str, Any]) -> Published:
    """The paper's operations a second become tokens a second by its own formula."""
    h, layers, s, vocab = row["hidden"], row["layers"], 2048, 51_200
    params = row["billion_params"] * 1e9
    shape = Model(
        name=f"gpt-{row['billion_params']}b", layers=layers, hidden=h, heads=row["heads"], kv_heads=row["heads"],
        head_dim=h // row["heads"], params=params, params_active=params, vocab=vocab, ffn=4 * h, ffn_matrices=2,
        tied=True,
    )  # fmt: skip
    run = TrainingRun(
        shape, gpu("A100-SXM-80"), row["gpus"], row["sequences"] * s, tp=row["tp"], pp=row["pp"], sequence_tokens=s,
        recompute="full", sharding="none", fused_attention=False, overlap_gradients=False,
    )  # fmt: skip
    flops = 96 * layers * h * h * (1 + s / (6 * h) + vocab / (16 * layers * h))
    return Published(f"{shape.name} A100", "megatron", run, row["tflops"] * 1e12 / flops, row["fit"])


def _bridge(row: dict[str, Any]) -> Published:
    run = TrainingRun(
        model(row["model"]), gpu(row["gpu"]), row["gpus"], row["sequences"] * row["length"], tp=row["tp"],
        pp=row["pp"], cp=row["cp"], ep=row["ep"], sequence_tokens=row["length"], micro_sequences=row["micro"],
        virtual_stages=row["pieces"], precision=row["precision"], sharding=row["sharding"],
    )  # fmt: skip
    return Published(row["name"], "bridge", run, float(row["tokens"]), row["fit"])


def _llama3(row: dict[str, Any]) -> Published:
    run = TrainingRun(
        model("llama-3.1-405b"), gpu("H100-SXM"), row["gpus"], 2048 * 8192, tp=8, pp=16, sequence_tokens=8192,
        virtual_stages=8, gradient_bytes=4.0,
    )  # fmt: skip
    step = train_step(run)
    flops = step.model_flops / step.tokens
    return Published(
        f"Llama 3 405B {row['gpus']} H100", "llama3", run, row["tflops"] * 1e12 / flops, row["fit"]
    )


def _deepseek(block: dict[str, Any]) -> Published:
    run = TrainingRun(
        model("deepseek-v3"), gpu("H800-SXM"), 2048, 15360 * 4096, pp=16, ep=64, sequence_tokens=4096,
        precision="fp8", overlap_experts=1.0, node_limit=4,
    )  # fmt: skip
    return Published("DeepSeek-V3 H800", "deepseek", run, block["tokens"] / block["hours"] / 3600.0, False)
