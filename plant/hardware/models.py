"""Language models by their shape: what must be read, computed and kept for each token. Catalog: `models.yaml`."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

import yaml

from plant.closed import Closed
from plant.hardware.gpus import DTYPE_BYTES, Dtype
from setpoint.errors import ConfigError


class Model(Closed):
    """A decoder-only transformer, or a hybrid of attention with other mixers."""

    name: str
    aliases: tuple[str, ...] = ()
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    """Of queries and keys; with a latent cache the part that carries no position."""
    params: float
    """All weights."""
    params_active: float
    """Weights used for one token; the same as `params` for a dense model."""
    vocab: int = 128256
    tied: bool = False
    """Input embedding and output head are one matrix."""
    ffn: int = 0
    """Inner width of a dense feed-forward layer; 0 where unknown or where every layer has experts."""
    ffn_matrices: int = 3
    """Three where gated (SwiGLU), else two."""
    ffn_layers: int = 0
    """Layers with a dense feed-forward; 0 means all that have no experts."""
    experts: int = 0
    """Routed experts a layer; 0 for a dense model."""
    experts_per_token: int = 0
    expert_layers: int = 0
    """Layers that have experts; 0 with experts means all."""
    expert_ffn: int = 0
    """Inner width of one routed expert."""
    shared_ffn: int = 0
    """Inner width of the experts every token takes, together."""
    latent_kv_dim: int = 0
    """Multi-head latent attention: values kept a token and layer in place of keys and values; 0 without it."""
    rope_dim: int = 0
    """Multi-head latent attention: the part of `latent_kv_dim`, and of each query, that carries position."""
    q_rank: int = 0
    """Multi-head latent attention: rank of the query projection; 0 where it is full."""
    v_dim: int = 0
    """Of values where it differs from `head_dim`."""
    attention_gate: bool = False
    """Attention's output is gated by a fourth projection as wide as the queries."""
    window: int = 0
    """Sliding window of local attention layers, tokens; 0 where every layer sees all."""
    window_layers: int = 0
    attended_tokens: int = 0
    """Learned sparse attention: each query reads at most so many chosen tokens; 0 where it reads all."""
    attention_layers: int = 0
    """Layers with attention and a cache; 0 means all."""
    mixer_layers: int = 0
    """Layers whose mixer is recurrent (Mamba, gated delta net): a fixed state in place of a cache."""
    mixer_params: float = 0.0
    """Weights of one such mixer."""
    state_values: int = 0
    """Values of state one sequence keeps in one such layer."""
    weights: Dtype = "bf16"
    """How its published weights are stored."""
    dense_weights: Dtype | None = None
    """How all but the routed experts are stored, where that differs."""
    approximate: bool = False
    """True where the shape was estimated from a parameter count, or is a mean over unequal layers."""
    source: str = ""

    def kv_bytes_per_token(self, dtype: Dtype = "bf16") -> float:
        """Cache one token adds over all layers that keep it: 2 L a_kv d b, or L (latent) b.

        >>> round(model("llama-2-70b").kv_bytes_per_token())
        327680
        """
        return self.cache_layers * self.kv_width * DTYPE_BYTES[dtype]

    def kv_bytes(self, tokens: float, dtype: Dtype = "bf16") -> float:
        """Cache of one sequence of that length: layers with a window keep no more than the window.

        >>> oss = model("gpt-oss-20b")
        >>> round(oss.kv_bytes(4096) / (4096 * oss.kv_bytes_per_token()), 3)
        0.516
        """
        full = (self.cache_layers - self.window_layers) * tokens
        local = self.window_layers * min(tokens, self.window) if self.window else 0.0
        return (full + local) * self.kv_width * DTYPE_BYTES[dtype]

    def kv_read_bytes(self, tokens: float, dtype: Dtype = "bf16") -> float:
        """Cache that one decode step reads for a sequence of that length; sparse attention reads a part of it."""
        return self.kv_bytes(min(tokens, self.attended_tokens) if self.attended_tokens else tokens, dtype)

    def state_bytes(self, dtype: Dtype = "fp32") -> float:
        """State that the recurrent mixers of one sequence keep, whatever its length. 0 without such layers."""
        return self.mixer_layers * self.state_values * DTYPE_BYTES[dtype]

    def expert_share(self, tokens: float) -> float:
        """Share of the routed experts that a step with so many tokens must read: 1 - (1 - k/E)^tokens.

        Experts are taken to be chosen evenly and independently.

        >>> model("llama-2-70b").expert_share(1)
        1.0
        """
        if not self.experts:
            return 1.0
        return float(1.0 - (1.0 - self.experts_per_token / self.experts) ** max(tokens, 1.0))

    def weight_bytes(self, dtype: Dtype | None = None) -> float:
        """Bytes of all weights: as published, or all at one precision.

        >>> round(model("gpt-oss-120b").weight_bytes() / 1e9), round(model("llama-3.1-70b").weight_bytes() / 1e9)
        (69, 141)
        """
        if dtype is not None:
            return self.params * DTYPE_BYTES[dtype]
        shared = DTYPE_BYTES[self.dense_weights or self.weights]
        return self.expert_params * DTYPE_BYTES[self.weights] + (self.params - self.expert_params) * shared

    @property
    def expert_params(self) -> float:
        """Weights in routed experts: (P - P_active) / (1 - k/E)."""
        if not self.experts:
            return 0.0
        return (self.params - self.params_active) / (1.0 - self.experts_per_token / self.experts)

    @property
    def kv_width(self) -> int:
        """Values one token keeps in one layer."""
        return self.latent_kv_dim or 2 * self.kv_heads * self.head_dim

    @property
    def cache_layers(self) -> int:
        """Layers that keep a cache."""
        return self.attention_layers or self.layers

    @property
    def embedding_params(self) -> float:
        """Weights of the input embedding: looked up, never multiplied. 0 where the head shares them."""
        return 0.0 if self.tied else float(self.vocab * self.hidden)

    @property
    def head_params(self) -> float:
        """Weights of the output head: multiplied only for positions that are sampled."""
        return float(self.vocab * self.hidden)

    @property
    def attention_params(self) -> float:
        """Weights of one attention layer's projections.

        Grouped queries: 2 h a d + 2 h a_kv d, and h a d for a gate. Latent attention as in the DeepSeek-V2 paper (arXiv 2405.04434, sec.
        2.1): query through its rank, keys and values through the latent, each head unpacking its own.

        >>> model("llama-3.1-8b").attention_params
        41943040.0
        """
        h, a, d = self.hidden, self.heads, self.head_dim
        if not self.latent_kv_dim:
            return h * d * (2.0 * a + 2.0 * self.kv_heads + (a if self.attention_gate else 0.0))
        value, query, latent = self.v_dim or d, d + self.rope_dim, self.latent_kv_dim - self.rope_dim
        into = h * self.q_rank + self.q_rank * a * query if self.q_rank else h * a * query
        return float(into + h * self.latent_kv_dim + latent * a * (d + value) + a * value * h)

    @property
    def pair_flops(self) -> float:
        """Operations for one query-key pair over all attention layers: 2 a (query + value) L; 4 L a d where equal.

        >>> model("llama-2-70b").pair_flops == 4 * 80 * 64 * 128
        True
        """
        width = self.head_dim + self.rope_dim + (self.v_dim or self.head_dim)
        return 2.0 * self.cache_layers * self.heads * width

    @property
    def shape_params(self) -> tuple[float, float]:
        """All weights, and those in routed experts, recomputed from the widths; norms and biases are left out.

        Raises ConfigError where the widths are not known.

        >>> total, routed = model("qwen3-30b-a3b").shape_params
        >>> round(total / 1e9, 2), round(routed / 1e9, 2)
        (30.53, 28.99)
        """
        if not (self.ffn or self.expert_ffn):
            raise ConfigError(f"{self.name} gives no feed-forward width", remedy="Set `ffn` or `expert_ffn`")
        with_experts = (self.expert_layers or self.layers) if self.experts else 0
        one = self.ffn_matrices * self.hidden
        routed = float(with_experts * self.experts * one * self.expert_ffn)
        dense = (self.ffn_layers or self.layers - with_experts) * one * self.ffn
        always = with_experts * (self.hidden * self.experts + one * self.shared_ffn)
        mixing = self.cache_layers * self.attention_params + self.mixer_layers * self.mixer_params
        return routed + dense + always + mixing + self.embedding_params + self.head_params, routed


def model(name: str) -> Model:
    """The model of that name or alias, with or without its publisher and what publishers append.

    A quantisation in the name (-FP8, -NVFP4, -AWQ) sets `weights`. Raises ConfigError that lists near names.

    >>> found = model("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8")
    >>> found.name, found.weights
    ('qwen3-235b-a22b', 'fp8')
    """
    found = _find(name)
    if found is None:
        near = nearest(name)
        raise ConfigError(
            f"unknown model {name!r}",
            remedy=(f"Did you mean {' or '.join(near)}? " if near else "Known are " + ", ".join(m.name for m in models()) + ". ")
            + "Or describe it under `models:` in the site file",
        )  # fmt: skip
    stored = quantisation_of(name)
    if stored is None or stored == found.weights:
        return found
    return found.model_copy(update={"weights": stored, "dense_weights": None})


def nearest(name: str, count: int = 4) -> tuple[str, ...]:
    """Catalog names that look like it, nearest first; none where nothing does.

    >>> nearest("lama-3.1-70b")[0]
    'llama-3.1-70b'
    """
    close = get_close_matches(_bare(name), list(_by_key()), n=3 * count, cutoff=0.6)
    return tuple(dict.fromkeys(_by_key()[key].name for key in close))[:count]


def quantisation_of(name: str) -> Dtype | None:
    """The storage type a name tells of, None where it tells of none.

    4-bit integer formats (AWQ, GPTQ, W4A16) count as fp4: their bytes are alike, and their arithmetic is done wider.

    >>> quantisation_of("nvidia/Llama-3.1-8B-Instruct-FP8"), quantisation_of("Qwen3-32B-AWQ"), quantisation_of("x")
    ('fp8', 'fp4', None)
    """
    for token in _tokens(name):
        if token in _STORED:
            return _STORED[token]
    return None


def guess_model(name: str, total_b: float | None = None, active_b: float | None = None) -> Model:
    """The catalog's model of that name, or an estimate of its shape from parameter counts (`approximate`).

    `total_b`, `active_b`: parameters in billions, read from the name (`33B-A4B`, `8x7B`) where not given. The estimate
    is the catalog model next in size and kind, width and depth scaled by the cube root of the ratio of active
    parameters (they grow as depth times width squared, and both grow alike along the catalog's families), inner
    widths and experts a token set to meet the counts. Raises ConfigError where the name tells no count and none is given, or where they make no sense.

    >>> guessed = guess_model("Qwen9-33B-A4B")
    >>> guessed.approximate, guessed.params / 1e9, guessed.params_active / 1e9
    (True, 33.0, 4.0)
    """
    found = _find(name)
    if found is not None:
        return model(name)
    told_total, told_active = counts_of(name)
    total = total_b if total_b is not None else told_total
    if total is None:
        raise ConfigError(
            f"unknown model {name!r}, and its name tells no parameter count",
            remedy="Give total_b (and active_b for experts), or describe it under `models:` in the site file",
        )
    active = active_b if active_b is not None else (told_active if told_active is not None else total)
    if not (0 < active <= total and math.isfinite(total)):
        raise ConfigError(
            f"{name}: {active:g} billion active of {total:g} billion parameters is impossible",
            remedy="Give total_b > 0 and 0 < active_b <= total_b",
        )
    return estimate(name, total * 1e9, active * 1e9, models())


def counts_of(name: str) -> tuple[float | None, float | None]:
    """Total and active parameters in billions as a name tells them.

    Experts told as `8x7B` share attention and embeddings: Mixtral's 46.7 billion are 0.83 of 8 times 7.

    >>> counts_of("Qwen9-33B-A4B"), counts_of("Foo-8x7B"), counts_of("foo")
    ((33.0, 4.0), (46.48, 12.88), (None, None))
    """
    text = name.split("/")[-1].lower()
    mixed = re.search(r"(\d+)x(\d+(?:\.\d+)?)b", text)
    if mixed:
        each = float(mixed[2])
        return round(0.83 * int(mixed[1]) * each, 2), round(1.84 * each, 2)
    active = re.search(r"(?<![a-z0-9])a(\d+(?:\.\d+)?)b(?![a-z0-9])", text)
    totals = re.findall(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)b(?![a-z0-9])", text)
    return (float(totals[0]) if totals else None), (float(active[1]) if active else None)


def estimate(name: str, params: float, active: float, among: tuple[Model, ...]) -> Model:
    """A shape for those counts, scaled from the next of `among`; see `guess_model`."""
    sparse = active < _DENSE * params
    plain = [
        m for m in among if not (m.approximate or m.latent_kv_dim or m.mixer_layers) and m.heads > m.kv_heads
    ]

    def distance(m: Model) -> float:
        far = abs(math.log(params / m.params)) + abs(math.log(active / m.params_active))
        return far + (0.0 if _shared_prefix(name, m.name) >= 3 else _STRANGER)

    base = min((m for m in plain if bool(m.experts) == sparse), key=distance)
    scale = (active / base.params_active) ** (1 / 3)
    heads = max(base.kv_heads, round(base.heads * scale / base.kv_heads) * base.kv_heads)
    shaped = base.model_copy(update={
        "name": name, "aliases": (), "approximate": True, "params": params, "params_active": active,
        "layers": max(1, round(base.layers * scale)), "hidden": max(64, round(base.hidden * scale / 64) * 64), "heads": heads,
        "weights": quantisation_of(name) or base.weights, "dense_weights": None,
        "source": f"estimated from its parameter count, after {base.name}",
        **{field: round(getattr(base, field) * scale) for field in _COUNTS_OF_LAYERS},
    })  # fmt: skip
    return _meet(shaped, params, active)


_DENSE = 0.7
"""Share of active parameters from which a model counts as dense; Mixtral, the least sparse of experts, has 0.28."""
_STRANGER = 0.8
"""How much further a model of another family counts: as a factor exp(0.8) = 2.2 in size."""
_COUNTS_OF_LAYERS = ("ffn_layers", "expert_layers", "window_layers", "attention_layers", "mixer_layers")


def _meet(shaped: Model, params: float, active: float) -> Model:
    """Sets the inner widths, and the experts a token takes, so that the counts come out."""
    field, routed = ("expert_ffn", shaped.experts) if shaped.experts else ("ffn", 1)
    layers = (shaped.expert_layers or shaped.layers) if routed > 1 else (shaped.ffn_layers or shaped.layers)
    rest = shaped.model_copy(update={field: 1}).shape_params[0]
    width = 1 + max(0, round((params - rest) / (layers * routed * shaped.ffn_matrices * shaped.hidden)))
    met = shaped.model_copy(update={field: width})
    if not shaped.experts:
        return met
    share = 1.0 - (params - active) / max(met.shape_params[1], params - active)
    return met.model_copy(
        update={"experts_per_token": min(shaped.experts - 1, max(1, int(share * shaped.experts)))}
    )


def _shared_prefix(one: str, other: str) -> int:
    one, other = _bare(one), _bare(other)
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@cache
def models() -> tuple[Model, ...]:
    """The catalog, in its own order."""
    raw = yaml.safe_load(files("plant.hardware").joinpath("models.yaml").read_text(encoding="utf-8"))
    return tuple(Model.model_validate(item) for item in raw["models"])


@cache
def _by_key() -> dict[str, Model]:
    """Models by every spelling; without dots too (`Llama-31-8B`), where that names one model only (not opt-13b)."""
    named = [(name, found) for found in models() for name in (found.name, *found.aliases)]
    plain: dict[str, list[Model]] = {}
    for name, found in named:
        plain.setdefault(_bare(name).replace(".", ""), []).append(found)
    dotless = {key: found[0] for key, found in plain.items() if all(one is found[0] for one in found)}
    bare = {_bare(name): found for name, found in reversed(named)}
    return dotless | bare | {_key(name): found for name, found in named}


def _find(name: str) -> Model | None:
    catalog = _by_key()
    return catalog.get(_key(name)) or catalog.get(_bare(name))


_STORED: dict[str, Dtype] = {
    "fp8": "fp8", "w8a8fp8": "fp8", "nvfp4": "fp4", "mxfp4": "fp4", "fp4": "fp4", "awq": "fp4", "gptq": "fp4", "int4": "fp4",
    "w4a16": "fp4", "w4a8": "fp4", "4bit": "fp4", "int8": "int8", "w8a8": "int8", "w8a16": "int8", "8bit": "int8",
    "bf16": "bf16", "fp16": "bf16",
}  # fmt: skip
_APPENDED = frozenset({
    "instruct", "chat", "it", "pt", "hf", "base", "meta", "thinking", "preview", "interactive", "dynamic", "block", "static",
    "kv", "quantized", "99", "99.9", "large-scale", "tput", "turbo", "fast", "original", "text", "moe",
})  # fmt: skip
"""What publishers and benchmarks add to a name without another shape."""
_DATE = re.compile(r"^(0[1-9]|1[0-2]|2[3-6])\d{2}$|^v0\.\d$")


def _tokens(name: str) -> list[str]:
    return [token for token in re.split(r"[-_ :@/]+", name.split("/")[-1].lower()) if token]


def _bare(name: str) -> str:
    """The name less quantisation, date and other additions."""
    kept = [t for t in _tokens(name) if t not in _STORED and t not in _APPENDED and not _DATE.match(t)]
    return "".join(kept)


def _key(name: str) -> str:
    return "".join(c for c in name.lower().split("/")[-1] if c not in " -_")
