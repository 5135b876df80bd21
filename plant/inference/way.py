"""The way of a request, and of the weights before it: where data goes, over what, and how long each leg takes.

Weights: SSD -> DRAM -> HBM at start, or from a peer's HBM at scale-out. A request: text to tokens on the CPU, tokens
to the accelerators, prefill, hand-over of the cache where prefill and decode are apart, decode, tokens to text; its
cache may come from and go to DRAM, CXL memory or SSD. Inside one domain accelerators speak over NVLink, between nodes
over InfiniBand. Paths are those of `plant.hardware.paths`, steps those of `plant.inference.cost`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from plant.hardware.gpus import DTYPE_BYTES
from plant.hardware.paths import HostRates, Path, paths, transfer_s
from plant.inference.comm import exchange_s_per_token
from plant.inference.cost import COEFFICIENTS, FloatArray, step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.specs import NodeSpec
from setpoint.errors import ConfigError, UsageError

Start = Literal["warm", "cold", "dram", "scale_out"]
"""Weights are in HBM already; on SSD; in DRAM (page cache or a parked copy); in another instance's HBM."""
Tier = Literal["none", "dram", "cxl", "ssd"]
TOKENISE_TOKENS_PER_S = 550e3
"""Tokens one core encodes a second: byte-level BPE of `tokenizers` 0.22 on a core of this project's test machine."""
DETOKENISE_S = 5e-6
"""CPU time to turn one token into text and a message: 1.2 us for six tokens with `tokenizers`, the rest m."""
TOKEN_BYTES = 4.0
"""One token id on its way to and from the accelerator."""
CXL_LINK_BYTES_PER_S = 64e9
"""One generation 5 x16 link, one direction."""


@dataclass(frozen=True)
class Leg:
    """One stretch of the way."""

    stage: str
    """start, arrive, prefill, hand over, decode, finish, offload."""
    what: str
    seconds: float
    bytes: float = 0.0
    """Bytes that cross the path."""
    path: str = ""
    """Name of the path in `plant.hardware.paths`; empty where nothing but computation happens."""
    share: float = 0.0
    """Of the total; for a part (`within`) of the total too, so that parts add up to their whole."""
    within: str = ""
    """Stage it is a part of: its seconds are counted there."""
    waited_for: bool = True
    """False where it happens beside the request (offload after its end, text made while the next token decodes)."""

    @property
    def counted(self) -> bool:
        """It adds to the total."""
        return self.waited_for and not self.within


@dataclass(frozen=True)
class Way:
    """All legs, and the sums a reader asks for."""

    legs: tuple[Leg, ...]

    @cached_property
    def total_s(self) -> float:
        """From the first leg to the last token's text."""
        return sum(leg.seconds for leg in self.legs if leg.counted)

    def stage_s(self, *stages: str) -> float:
        """Seconds waited for in those stages."""
        return sum(leg.seconds for leg in self.legs if leg.counted and leg.stage in stages)

    @property
    def ttft_s(self) -> float:
        """Time to the first token of a request that finds its weights loaded and no queue."""
        return self.stage_s("arrive", "prefill")

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """A table as text: header, then a row a leg. Parts are indented, what is not waited for is in brackets."""
        head = ("stage", "leg", "seconds", "MB", "path", "share")
        return (head, *(_row(leg) for leg in self.legs))


def _row(leg: Leg) -> tuple[str, ...]:
    seconds = f"{leg.seconds:.4g}" if leg.waited_for else f"({leg.seconds:.4g})"
    moved = f"{leg.bytes / 1e6:,.3g}" if leg.bytes else ""
    share = f"{100 * leg.share:.1f}%" if leg.waited_for else ""
    return (leg.stage, f"  of it {leg.what}" if leg.within else leg.what, seconds, moved, leg.path, share)


def walk(
    deployment: Deployment,
    node: NodeSpec | None = None,
    prompt_tokens: int = 512,
    output_tokens: int = 128,
    *,
    batch: int = 1,
    context_tokens: float | None = None,
    clock_pu: float = 1.0,
    start: Start = "warm",
    loader: str | None = None,
    boot_s: float = 0.0,
    cached_tokens: int = 0,
    cache_in: Tier = "none",
    offload: Tier = "none",
    hand_over: bool = False,
) -> tuple[Leg, ...]:
    """Every leg of one request's way, in order, with its share of the total.

    `batch` sequences decode together, this one among them; the others are `context_tokens` long (as long as this
    prompt where None). `loader` names the path of the weights; the node's best is taken where None; paths give the
    hardware's limit, what unpacking files adds is the loader's. `boot_s` is what the engine takes besides (process,
    context, graph capture): it is added after a start that is not warm. `cached_tokens`
    of the prompt lie in `cache_in` and are fetched in place of computed. `hand_over`: decode is on another node.
    Raises UsageError for impossible lengths, ConfigError for a path or tier that the node lacks.
    """
    spec = node or NodeSpec()
    _check(prompt_tokens, output_tokens, batch, cached_tokens, cache_in, clock_pu)
    legs = [
        *_start(deployment, spec, start, loader, boot_s),
        *_arrive(deployment, spec, prompt_tokens, cached_tokens, cache_in),
        *_prefill(deployment, prompt_tokens, cached_tokens, clock_pu),
        *(_hand_over(deployment, spec, prompt_tokens) if hand_over else ()),
        *_decode(deployment, prompt_tokens, output_tokens, batch, context_tokens, clock_pu),
        *_finish(deployment, spec, output_tokens),
        *_offload(deployment, spec, prompt_tokens + output_tokens, offload),
    ]
    total = sum(leg.seconds for leg in legs if leg.counted)
    return tuple(replace(leg, share=leg.seconds / total if leg.waited_for else 0.0) for leg in legs)


def way(
    deployment: Deployment, node: NodeSpec | None = None, prompt_tokens: int = 512, output_tokens: int = 128
) -> Way:
    """`walk` with its defaults, summed."""
    return Way(walk(deployment, node, prompt_tokens, output_tokens))


def host_rates(node: NodeSpec) -> HostRates:
    """What the node's spec says of its drives and memories."""
    return HostRates(
        dram_bytes_per_s=node.dram_bytes_per_s,
        nvme_drives=node.nvme_drives,
        nvme_bytes_per_s=node.nvme_bytes_per_s,
        nvme_write_bytes_per_s=0.5 * node.nvme_bytes_per_s,
        cxl_bytes_per_s=CXL_LINK_BYTES_PER_S if node.cxl_bytes else 0.0,
    )


def load_bytes(d: Deployment) -> float:
    """Bytes of weights one instance loads: attention data parallel ways each hold what is not in routed experts."""
    m = d.model
    published = m.dense_weights if d.weights == m.weights else None
    shared = (m.params - m.expert_params) * DTYPE_BYTES[published or d.weights]
    return shared * d.dp + m.expert_params * DTYPE_BYTES[d.weights]


def load_times_s(d: Deployment, node: NodeSpec | None = None) -> dict[str, float]:
    """Seconds to bring an instance's weights into HBM over each path that ends there and that the node has.

    Nodes of an instance that spans several load at the same time, each its part.
    """
    spec = node or NodeSpec()
    known = _paths(d, spec)
    return {
        name: transfer_s(found, load_bytes(d) / _nodes(d, spec))
        for name, found in known.items()
        if found.target_place == "hbm"
        and found.source_place != "gpu"
        and found.usable
        and _allowed(name, spec)
    }


def _check(prompt: int, output: int, batch: int, cached: int, cache_in: Tier, clock_pu: float) -> None:
    if prompt < 1 or output < 1 or batch < 1:
        raise UsageError(
            f"a request of {prompt} prompt and {output} output tokens in a batch of {batch} is impossible",
            remedy="Give 1 or more of each",
        )
    if not 0 <= cached < prompt:
        raise UsageError(
            f"{cached} cached of {prompt} prompt tokens is impossible",
            remedy=f"Give 0 to {prompt - 1}: the last token is always computed",
        )
    if cached and cache_in == "none":
        raise UsageError("cached tokens lie nowhere", remedy="Set cache_in to dram, cxl or ssd")
    if not (0 < clock_pu <= 1):
        raise UsageError(
            f"a clock of {clock_pu:g} of its maximum is impossible", remedy="Give a share above 0, at most 1"
        )


def _nodes(d: Deployment, node: NodeSpec) -> int:
    return math.ceil(d.gpus / node.gpus)


def _paths(d: Deployment, node: NodeSpec, ways: int | None = None) -> dict[str, Path]:
    return paths(d.gpu, host_rates(node), ways or min(d.gpus, node.gpus))


def _allowed(name: str, node: NodeSpec) -> bool:
    direct = {
        "ssd_gds": node.gpudirect_storage,
        "hbm_ssd_gds": node.gpudirect_storage,
        "peer_rdma": node.gpudirect_rdma,
    }
    return direct.get(name, True)


def _start(d: Deployment, node: NodeSpec, start: Start, loader: str | None, boot_s: float) -> Iterator[Leg]:
    if start == "warm":
        return
    yield from _weights(d, node, start, loader)
    if boot_s > 0.0:
        yield Leg("start", "engine besides its weights", boot_s)


def _weights(d: Deployment, node: NodeSpec, start: Start, loader: str | None) -> Iterator[Leg]:
    known, each, nodes = _paths(d, node), load_bytes(d) / _nodes(d, node), _nodes(d, node)
    name = loader or _loader(node, start)
    if name not in known or known[name].target_place != "hbm":
        fitting = [path for path, found in known.items() if found.target_place == "hbm"]
        raise ConfigError(
            f"weights cannot be loaded over {name!r}", remedy=f"Use one of {', '.join(fitting)}"
        )
    seconds = transfer_s(known[name], each)
    first = {"ssd_bounce": "ssd_dram_read", "ssd_uring": "ssd_dram"}.get(name)
    if first is None:
        yield Leg("start", f"weights to HBM, {known[name].title}", seconds, each * nodes, name)
        return
    to_dram = min(seconds, transfer_s(known[first], each))
    yield Leg("start", "weights from SSD to DRAM", to_dram, each * nodes, first)
    yield Leg(
        "start", "weights from DRAM to HBM, what is left after", seconds - to_dram, each * nodes, "dram_hbm"
    )


def _loader(node: NodeSpec, start: Start) -> str:
    if start == "scale_out":
        return "peer_rdma" if node.gpudirect_rdma else "peer_bounce"
    if start == "dram":
        return "dram_hbm"
    return "ssd_gds" if node.gpudirect_storage else "ssd_bounce"


def _arrive(d: Deployment, node: NodeSpec, prompt: int, cached: int, cache_in: Tier) -> Iterator[Leg]:
    yield Leg("arrive", "text to tokens on the CPU", prompt / TOKENISE_TOKENS_PER_S, prompt * TOKEN_BYTES)
    ids = prompt * TOKEN_BYTES
    yield Leg("arrive", "tokens to HBM", transfer_s(_paths(d, node, 1)["dram_hbm"], ids), ids, "dram_hbm")
    if cached:
        name = {
            "dram": "dram_hbm",
            "cxl": "cxl_hbm",
            "ssd": "ssd_gds" if node.gpudirect_storage else "ssd_uring",
        }[cache_in]
        size = d.model.kv_bytes(cached, d.kv)
        fetched = transfer_s(_paths(d, node, d.tp)[name], size)
        yield Leg("arrive", f"cache of {cached:,} tokens from {cache_in.upper()}", fetched, size, name)


def _prefill(d: Deployment, prompt: int, cached: int, clock_pu: float) -> Iterator[Leg]:
    c, parts, total, done = step_coefficients(d), dict.fromkeys(_PARTS, 0.0), 0.0, cached
    while done < prompt:
        new = min(d.chunk_tokens, prompt - done)
        seconds, split = _step(d, c, float(new), new * (done + new / 2), 0.0, 0.0, clock_pu)
        total += seconds
        parts = {name: parts[name] + split[name] for name in parts}
        done += new
    yield Leg("prefill", f"prefill of {prompt - cached:,} tokens", total, d.model.kv_bytes(prompt, d.kv))
    yield from _part_legs(d, "prefill", parts, prompt - cached)


def _hand_over(d: Deployment, node: NodeSpec, prompt: int) -> Iterator[Leg]:
    """The cache moves layer by layer while later layers prefill: what is waited for is the last layer's part."""
    name, size = "peer_rdma" if node.gpudirect_rdma else "peer_bounce", d.model.kv_bytes(prompt, d.kv)
    seconds = transfer_s(_paths(d, node, min(d.tp, node.gpus))[name], size)
    last = seconds / d.model.cache_layers
    yield Leg("hand over", "cache to the decoding node, last layer", last, size / d.model.cache_layers, name)
    yield Leg("hand over", "cache to the decoding node, earlier layers", seconds - last, size - size / d.model.cache_layers,
              name, waited_for=False)  # fmt: skip


def _decode(
    d: Deployment, prompt: int, output: int, batch: int, others: float | None, clock_pu: float
) -> Iterator[Leg]:
    c, parts, total = step_coefficients(d), dict.fromkeys(_PARTS, 0.0), 0.0
    rest = (batch - 1) * (float(prompt) if others is None else others)
    for step in range(1, output):
        seconds, split = _step(
            d, c, 0.0, 0.0, float(batch), rest + (batch - 1) * step + prompt + step, clock_pu
        )
        total += seconds
        parts = {name: parts[name] + split[name] for name in parts}
    yield Leg("decode", f"decode of {output - 1:,} tokens in a batch of {batch}", total)
    yield from _part_legs(d, "decode", parts, batch * (output - 1))


_PARTS = ("attention", "feed-forward", "output head", "exchange", "launch and scheduling")


def _step(
    d: Deployment, c: FloatArray, new: float, pairs: float, batch: float, context: float, clock_pu: float
) -> tuple[float, dict[str, float]]:
    """Time of one step, and of its parts.

    The step is a sum of matrix products, attention over pairs and cache, messages and fixed costs. Attention's own
    part is the step less one without pairs and context; what a launch floor adds to a short prompt's step counts as
    launch. Products are shared out by active weights where they compute
    (prefill) and by weights read where they wait for memory (decode).
    """
    bare = c.copy()
    bare[COEFFICIENTS.index("launch_s")] = 0.0
    total = float(step_time_s(c, new, pairs, batch, context, clock_pu))
    work = float(step_time_s(bare, new, pairs, batch, context, clock_pu))
    cache_s = work - float(step_time_s(bare, new, 0.0, batch, 0.0, clock_pu))
    exchange = exchange_s_per_token(d) * (new + batch)
    fixed = float(c[COEFFICIENTS.index("fixed_s")] + c[COEFFICIENTS.index("request_s")] * batch)
    products = max(0.0, work - cache_s - exchange - fixed)
    weights = _weights_at_work(d, new, batch)
    shares = {name: products * part / sum(weights.values()) for name, part in weights.items()}
    return total, {
        "attention": shares["attention"] + cache_s,
        "feed-forward": shares["feed-forward"],
        "output head": shares["output head"],
        "exchange": exchange,
        "launch and scheduling": total - cache_s - exchange - products,
    }


def _weights_at_work(d: Deployment, new: float, batch: float) -> dict[str, float]:
    """Weights that a step multiplies (prefill) or reads (decode), by part."""
    m = d.model
    attention = m.cache_layers * m.attention_params + m.mixer_layers * m.mixer_params
    dense = max(0.0, m.params - m.expert_params - attention - m.embedding_params - m.head_params)
    share = m.experts_per_token / m.experts if m.experts and new else m.expert_share(batch)
    return {
        "attention": attention,
        "feed-forward": dense + m.expert_params * share,
        "output head": m.head_params * (0.0 if new else 1.0),
    }


def _part_legs(d: Deployment, stage: str, parts: dict[str, float], tokens: float) -> Iterator[Leg]:
    for name, seconds in parts.items():
        link = _link(d) if name == "exchange" else ""
        moved = _exchange_bytes(d) * tokens if name == "exchange" else 0.0
        if seconds > 0.0:
            yield Leg(stage, name, seconds, moved, link, within=stage)


def _link(d: Deployment) -> str:
    """NVLink where tensor and data parallel ways stay in one domain, else the network."""
    return "gpu_nvlink" if d.tp * d.dp <= d.gpu.scale_up_domain else "peer_rdma"


def _exchange_bytes(d: Deployment) -> float:
    """Bytes one token makes each accelerator send: two ring all-reduces a layer, experts' rows there and back."""
    row = d.model.hidden * 2.0
    reduce = 2 * d.model.layers * 2 * (d.tp - 1) / d.tp * row / d.dp
    n = d.tp * d.dp
    routed = 2 * d.model.layers * d.model.experts_per_token * row * (n - 1) / n / n if d.dp > 1 else 0.0
    return reduce + routed + (d.pp - 1) * row


def _finish(d: Deployment, node: NodeSpec, output: int) -> Iterator[Leg]:
    back = transfer_s(_paths(d, node, 1)["dram_hbm"], TOKEN_BYTES)
    yield Leg("finish", "last token to DRAM", back, TOKEN_BYTES, "dram_hbm")
    yield Leg("finish", "last token to text on the CPU", DETOKENISE_S)
    if output > 1:
        yield Leg(
            "finish",
            "earlier tokens to text, while the next one decodes",
            (output - 1) * DETOKENISE_S,
            waited_for=False,
        )


def _offload(d: Deployment, node: NodeSpec, tokens: int, tier: Tier) -> Iterator[Leg]:
    """Cache of a finished request to a slower tier, beside later requests. DMA engines copy while steps run."""
    known, size = _paths(d, node, min(d.tp, node.gpus)), d.model.kv_bytes(tokens, d.kv)
    direct = tier == "ssd" and node.gpudirect_storage
    steps: dict[Tier, tuple[str, ...]] = {
        "none": (),
        "dram": ("dram_hbm",),
        "cxl": ("cxl_hbm",),
        "ssd": ("hbm_ssd_gds",) if direct else ("dram_hbm", "dram_ssd"),
    }
    said = {
        "dram_hbm": "HBM to DRAM",
        "cxl_hbm": "HBM to CXL memory",
        "hbm_ssd_gds": "HBM to SSD",
        "dram_ssd": "DRAM to SSD",
    }
    for name in steps[tier]:
        seconds = transfer_s(known[name], size)
        yield Leg("offload", f"cache from {said[name]}", seconds, size, name, waited_for=False)
