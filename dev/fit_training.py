"""Fits the shares of peak of `plant.inference.training` to the marked runs and shows the error of every run.

    python -m dev.fit_training

Each constant is one number found on a grid of 0.01 by the squared logarithmic error of the runs that it alone moves.
"""

from __future__ import annotations

import math

from plant.inference import training
from plant.inference.training_runs import Published, published_runs

GRID = [round(0.2 + 0.01 * i, 2) for i in range(71)]


def loss(runs: list[Published]) -> float:
    return sum(math.log1p(run.error()) ** 2 for run in runs)


def fit_share(arch: str, precision: str, runs: list[Published]) -> float:
    """Share of peak of dense products; leaves it set."""

    def at(share: float) -> float:
        training.KERNEL_SHARE[arch, precision] = share
        return loss(runs)

    training.KERNEL_SHARE[arch, precision] = best = min(GRID, key=at)
    return best


def fit_experts(precision: str, runs: list[Published]) -> float:
    """Factor of grouped products; leaves it set."""

    def at(share: float) -> float:
        training.EXPERT_SHARE[precision] = share
        return loss(runs)

    training.EXPERT_SHARE[precision] = best = min(GRID, key=at)
    return best


def main() -> None:
    marked = [run for run in published_runs() if run.fitted]
    for arch, precision in (("ampere", "bf16"), ("hopper", "bf16"), ("hopper", "fp8"), ("blackwell", "fp8")):
        own = [
            r for r in marked
            if not r.run.model.experts and r.run.gpu.arch.startswith(arch) and r.run.precision == precision
        ]  # fmt: skip
        print(f"KERNEL_SHARE {arch} {precision}: {fit_share(arch, precision, own)} from {len(own)} runs")
    for precision in ("bf16", "fp8"):
        own = [r for r in marked if r.run.model.experts and r.run.precision == precision]
        print(f"EXPERT_SHARE {precision}: {fit_experts(precision, own)} from {len(own)} runs")
    for run in published_runs():
        print(
            f"{run.name:28s} {run.rate:10.0f} tok/s/GPU {run.error():+7.1%} {'fitted' if run.fitted else ''}"
        )


if __name__ == "__main__":
    main()
