"""Muon for matrices (orthogonalised momentum), AdamW for embeddings and norms, behind one small face.

Reference for the update and its constants: K. Jordan et al., "Muon: an optimizer for hidden layers" (2024).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Momentum whose direction is made orthogonal by five Newton-Schulz steps."""

    def __init__(
        self, params: list[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update from the gradients at hand."""
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                buffer = state.setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(buffer, group["momentum"]))
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(update, alpha=-group["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Roughly the nearest semi-orthogonal matrix."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Optimizers:
    """Both optimizers with one learning-rate factor."""

    def __init__(self, model: nn.Module, muon_lr: float = 0.02, adam_lr: float = 3e-3) -> None:
        inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embd" not in name]
        outer = [p for name, p in model.named_parameters() if p.ndim < 2 or "embd" in name]
        self.parts: list[torch.optim.Optimizer] = [
            Muon(inner, lr=muon_lr),
            torch.optim.AdamW(outer, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self._peak = [muon_lr, adam_lr]

    def step(self, factor: float) -> None:
        """One update with the peak rates times `factor`, then gradients are dropped."""
        for part, peak in zip(self.parts, self._peak, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
