"""A small Llama: RMSNorm, rotary positions (pairs as in llama.cpp), SwiGLU, tied embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of the model. Widths are multiples of 32, the block of Q8_0."""

    vocabulary: int = 3072
    width: int = 192
    layers: int = 6
    heads: int = 6
    hidden: int = 512
    context: int = 1024
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5


class Block(nn.Module):
    """Attention and gated feed-forward, each behind a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.attn_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_v = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.ffn_gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x (batch, length, width) -> the same shape."""
        normed = self.attn_norm(x)
        q = rotate(self._split(self.attn_q(normed)), cosine, sine)
        k = rotate(self._split(self.attn_k(normed)), cosine, sine)
        v = self._split(self.attn_v(normed))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_output(mixed.transpose(1, 2).flatten(2))
        normed = self.ffn_norm(x)
        gated = functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed)
        return x + self.ffn_down(gated)  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        return x.view(rows, length, self.heads, width // self.heads).transpose(1, 2)


class Model(nn.Module):
    """Token ids in, hidden states or logits out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        cosine, sine = rope_table(shape)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self.apply(_initialise)
        for block in self.blk:
            # Residual branches begin silent, so that depth does not inflate the stream.
            nn.init.zeros_(block.attn_output.weight)  # type: ignore[arg-type,union-attr]
            nn.init.zeros_(block.ffn_down.weight)  # type: ignore[arg-type,union-attr]

    def forward(self, ids: Tensor) -> Tensor:
        """ids (batch, length) -> normed hidden states (batch, length, width)."""
        length = ids.shape[1]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, self.cosine[:length], self.sine[:length])  # type: ignore[index]
        return self.output_norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary; the embedding is also the output matrix."""
        return hidden @ self.token_embd.weight.T

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())


def rope_table(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position and pair, both (context, head_width / 2)."""
    head = shape.width // shape.heads
    frequency = shape.rope_base ** (-torch.arange(0, head, 2, dtype=torch.float32) / head)
    angle = torch.outer(torch.arange(shape.context, dtype=torch.float32), frequency)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position on neighbouring pairs. x (batch, heads, length, head_width)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)
