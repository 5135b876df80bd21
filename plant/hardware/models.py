"""Language models by their shape: what must be read, computed and kept for each token. Catalog: `models.yaml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from plant.closed import Closed
from plant.hardware.gpus import DTYPE_BYTES, Dtype
from setpoint.errors import ConfigError


class Model(Closed):
    """A decoder-only transformer."""

    name: str
    aliases: tuple[str, ...] = ()
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    params: float
    """All weights."""
    params_active: float
    """Weights used for one token; the same as `params` for a dense model."""
    vocab: int = 128256
    experts: int = 0
    """Routed experts a layer; 0 for a dense model."""
    experts_per_token: int = 0
    expert_layers: int = 0
    """Layers that have experts; 0 with experts means all."""
    latent_kv_dim: int = 0
    """Multi-head latent attention: values kept a token and layer in place of keys and values; 0 without it."""
    window: int = 0
    """Sliding window of local attention layers, tokens; 0 where every layer sees all."""
    window_layers: int = 0
    weights: Dtype = "bf16"
    """How its published weights are stored."""
    approximate: bool = False
    """True where the shape was estimated from a parameter count."""
    source: str = ""

    def kv_bytes_per_token(self, dtype: Dtype = "bf16") -> float:
        """Cache one token adds over all layers that keep it: 2 L a_kv d b, or L (latent) b.

        >>> round(model("llama-2-70b").kv_bytes_per_token())
        327680
        """
        width = self.latent_kv_dim or 2 * self.kv_heads * self.head_dim
        return self.layers * width * DTYPE_BYTES[dtype]

    def expert_share(self, tokens: float) -> float:
        """Share of the routed experts that a step with so many tokens must read: 1 - (1 - k/E)^tokens.

        Experts are taken to be chosen evenly and independently.

        >>> model("llama-2-70b").expert_share(1)
        1.0
        """
        if not self.experts:
            return 1.0
        return float(1.0 - (1.0 - self.experts_per_token / self.experts) ** max(tokens, 1.0))

    @property
    def expert_params(self) -> float:
        """Weights in routed experts: (P - P_active) / (1 - k/E)."""
        if not self.experts:
            return 0.0
        return (self.params - self.params_active) / (1.0 - self.experts_per_token / self.experts)


def model(name: str) -> Model:
    """The model of that name or alias, with or without its publisher. Raises ConfigError that lists near names."""
    found = _by_key().get(_key(name))
    if found is None:
        raise ConfigError(
            f"unknown model {name!r}",
            remedy=f"Use one of {', '.join(m.name for m in models())}, or describe it under `models:` in the site file",
        )
    return found


@cache
def models() -> tuple[Model, ...]:
    """The catalog, in its own order."""
    raw = yaml.safe_load(files("plant.hardware").joinpath("models.yaml").read_text(encoding="utf-8"))
    return tuple(Model.model_validate(item) for item in raw["models"])


@cache
def _by_key() -> dict[str, Model]:
    return {_key(name): found for found in models() for name in (found.name, *found.aliases)}


def _key(name: str) -> str:
    return "".join(c for c in name.lower().split("/")[-1] if c not in " -_.")
