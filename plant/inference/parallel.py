"""Ways to split one instance over accelerators: data, tensor, pipeline and expert parallelism.

What each costs in messages, which splits a model and a machine allow and why not the others, and where the time of a
step goes under one of them.

    tensor (tp)   every layer cut over tp accelerators; two all-reduces a layer (Megatron-LM, arXiv 1909.08053)
    pipeline (pp) layers cut into pp stages; one row of activations for each token and border
    data (dp)     attention copied dp times, each with its own sequences; used with experts (vLLM, DeepSeek-V3)
    expert (ep)   whole experts spread over ep accelerators; tokens travel there and back, two all-to-alls a layer
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from plant.hardware.gpus import Dtype, Gpu
from plant.hardware.models import Model
from plant.inference.comm import (
    LINK_SHARE,
    all_reduce_rate,
    all_reduce_s,
    exchange_count,
    exchange_s_per_token,
)
from plant.inference.cost import COEFFICIENTS, calibration, step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.memory import fits, plan_memory
from setpoint.errors import ConfigError, UsageError

P2P_START_S = 10e-6
"""Start of one message between two accelerators. Source: notes, seed 10 us (aiconfigurator `p2p_latency`)."""
Phase = Literal["prefill", "decode"]


@dataclass(frozen=True)
class Option:
    """One way to split an instance, possible or not."""

    tp: int
    pp: int
    dp: int
    ep: int
    deployment: Deployment | None
    """None where it is impossible."""
    reasons: tuple[str, ...] = ()
    """Why it is impossible; empty where it is possible."""
    notes: tuple[str, ...] = ()
    """What it costs, such as copied KV heads or a slow link."""
    weights_gb: float = 0.0
    """Of one accelerator."""
    pool_tokens: int = 0
    """Tokens of cache of the instance."""

    @property
    def possible(self) -> bool:
        return self.deployment is not None

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.dp

    @property
    def name(self) -> str:
        """As `tp 4` or `tp 8, pp 2`."""
        parts = (("tp", self.tp), ("pp", self.pp), ("dp", self.dp), ("ep", self.ep))
        return ", ".join(f"{k} {v}" for k, v in parts if v > 1) or "tp 1"


@dataclass(frozen=True)
class Split:
    """Where the time of one step goes, seconds."""

    phase: Phase
    attention_s: float
    """Projections, query-key pairs and reading the cache."""
    ffn_s: float
    """Feed-forward layers or experts, and the output head."""
    communication_s: float
    overhead_s: float
    """Kernel launches, gaps and scheduling."""

    @property
    def total_s(self) -> float:
        return self.attention_s + self.ffn_s + self.communication_s + self.overhead_s

    def shares(self) -> dict[str, float]:
        """Each part over the total."""
        parts = ("attention", "ffn", "communication", "overhead")
        return {part: float(getattr(self, f"{part}_s")) / self.total_s for part in parts}


def link_rate(gpu: Gpu, n: int) -> float:
    """Rate between n accelerators, bytes/s, one direction: NVLink inside the domain, the network beyond it."""
    return LINK_SHARE * (gpu.scale_up_bytes_per_s if n <= gpu.scale_up_domain else gpu.network_bytes_per_s)


def hierarchical_all_reduce_s(gpu: Gpu, n: int, size_bytes: float, per_node: int | None = None) -> float:
    """Seconds of one all-reduce over n accelerators in nodes of g: each node first sums, then nodes exchange.

    Reduce-scatter and all-gather inside the node, 2 (g - 1) / g S / B_nvlink; between the m = n / g nodes every
    accelerator sums its own part S / g, 2 (m - 1) / m (S / g) / B_network, all network cards at once. Source: NCCL's
    hierarchical rings; Thakur et al. 2005 for the ring terms. For n inside one domain it is the plain ring.
    `per_node`: members of the group in one domain where others share it (tensor parallel ways); all of it if None.

    >>> from plant.hardware.gpus import gpu
    >>> h100 = gpu("H100")
    >>> hierarchical_all_reduce_s(h100, 8, 1e9) == all_reduce_s(h100, 8, 1e9)
    True
    >>> round(hierarchical_all_reduce_s(h100, 64, 1e9) * 1e3, 2)
    9.4
    """
    inside = max(1, min(per_node or gpu.scale_up_domain, n))
    nodes = math.ceil(n / inside)
    local_s = all_reduce_s(gpu, inside, size_bytes)
    if nodes <= 1:
        return local_s
    part = size_bytes / inside
    rate = LINK_SHARE * gpu.network_bytes_per_s
    return local_s + 2 * P2P_START_S * math.log2(nodes) + 2 * (nodes - 1) / nodes * part / rate


def distinct_nodes(choices: int, nodes: int, limit: int = 0) -> float:
    """Nodes that one token visits whose `choices` experts lie evenly on `nodes`: N (1 - (1 - 1/N)^k), at most `limit`.

    A row is sent once to a node, however many of its experts lie there (DeepSeek-V3, arXiv 2412.19437, sec. 3.2.2,
    limits it to 4 nodes).

    >>> distinct_nodes(8, 1), round(distinct_nodes(8, 8), 2), distinct_nodes(8, 8, 4)
    (1.0, 5.25, 4.0)
    """
    found = nodes * (1.0 - (1.0 - 1.0 / nodes) ** choices)
    return min(found, float(limit)) if limit else found


def all_to_all_s(
    gpu: Gpu, n: int, tokens: float, choices: int, row_bytes: float, node_limit: int = 0
) -> float:
    """Seconds for each of n accelerators to send its `tokens` rows to their experts (or to get them back).

    Inside a node every row travels k times over NVLink, (g - 1) / g of it leaving; between nodes once to each other
    node it visits. Both links work at once, so the slower one counts. Zero for one accelerator.
    """
    if n <= 1:
        return 0.0
    inside = min(gpu.scale_up_domain, n)
    nodes = math.ceil(n / inside)
    local = tokens * choices * row_bytes * (inside - 1) / inside / (LINK_SHARE * gpu.scale_up_bytes_per_s)
    visits = distinct_nodes(choices, nodes, node_limit) * (nodes - 1) / nodes
    remote = tokens * visits * row_bytes / (LINK_SHARE * gpu.network_bytes_per_s)
    return P2P_START_S * (1 + math.log2(n)) + max(local, remote)


def p2p_s(gpu: Gpu, n: int, size_bytes: float) -> float:
    """Seconds of one message to a neighbour among n accelerators: start plus size over the slowest link between.

    >>> from plant.hardware.gpus import gpu
    >>> round(p2p_s(gpu("H100"), 2, 423e6) * 1e3, 2)
    1.01
    """
    return P2P_START_S + size_bytes / link_rate(gpu, n)


def check(
    model: Model,
    gpu: Gpu,
    tp: int = 1,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    *,
    node_gpus: int | None = None,
    weights: Dtype | None = None,
    kv: Dtype = "bf16",
    max_len: int = 8192,
    chunk_tokens: int = 2048,
    max_batch: int = 256,
) -> Option:
    """Whether that split can be, and if not why. Raises UsageError for ways below 1.

    >>> from plant.hardware.gpus import gpu
    >>> from plant.hardware.models import model
    >>> check(model("llama-3.1-70b"), gpu("H100"), tp=3).reasons
    ('64 heads do not divide by tp 3', '8 KV heads and tp 3 do not divide')
    """
    if min(tp, pp, dp, ep) < 1:
        raise UsageError(f"tp {tp}, pp {pp}, dp {dp}, ep {ep}", remedy="Each is a whole number, 1 or more")
    reasons = [*_shape_reasons(model, tp, pp, dp, ep)]
    notes = tuple(_notes(model, gpu, tp, pp, dp, node_gpus or gpu.scale_up_domain))
    if reasons:
        return Option(tp, pp, dp, ep, None, tuple(reasons), notes)
    deployment = Deployment(
        model=model, gpu=gpu, tp=tp, pp=pp, dp=dp, ep=ep, weights=weights or model.weights, kv=kv, max_len=max_len,
        chunk_tokens=chunk_tokens, max_batch=max_batch,
    )  # fmt: skip
    try:
        plan = plan_memory(deployment)
    except ConfigError as error:
        return Option(tp, pp, dp, ep, None, (error.what,), notes)
    weights_gb = plan.weights_bytes / 1e9
    if not fits(deployment):
        short = f"room for {plan.pool_tokens:,} tokens of cache, one request may need {max_len:,}"
        return Option(tp, pp, dp, ep, None, (short,), notes, weights_gb, plan.pool_tokens)
    return Option(tp, pp, dp, ep, deployment, (), notes, weights_gb, plan.pool_tokens)


def options(
    model: Model,
    gpu: Gpu,
    node_gpus: int | None = None,
    max_gpus: int = 8,
    *,
    weights: Dtype | None = None,
    kv: Dtype = "bf16",
    max_len: int = 8192,
    chunk_tokens: int = 2048,
    max_batch: int = 256,
) -> tuple[Option, ...]:
    """Every split of one instance over 1, 2, 4, ... up to `max_gpus` accelerators, with why some are impossible.

    `node_gpus`: accelerators that reach one another over NVLink; the hardware's own domain where None. Possible ones
    come first, by accelerators used.
    """
    found = [
        check(model, gpu, tp, pp, dp, ep, node_gpus=node_gpus, weights=weights, kv=kv, max_len=max_len,
              chunk_tokens=chunk_tokens, max_batch=max_batch)
        for tp, pp, dp, ep in _ways(model, max_gpus)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda o: (not o.possible, o.gpus, o.pp, -o.tp)))


def explain(
    d: Deployment, prompt_tokens: int = 1024, batch: int = 32, context: int = 1024
) -> dict[Phase, Split]:
    """Where the time goes: a step that computes one prompt, and a step that decodes `batch` sequences of `context`.

    >>> from plant.hardware.gpus import gpu
    >>> from plant.hardware.models import model
    >>> parts = explain(Deployment(model=model("llama-3.1-8b"), gpu=gpu("H100")))
    >>> parts["decode"].communication_s
    0.0
    """
    if prompt_tokens < 1 or batch < 1 or context < 1:
        raise UsageError(
            "prompt, batch and context must be 1 or more", remedy="Try explain(d, 1024, 32, 1024)"
        )
    pairs = prompt_tokens * prompt_tokens / 2.0
    return {
        "prefill": _split(d, "prefill", float(prompt_tokens), pairs, 0.0, 0.0),
        "decode": _split(d, "decode", 0.0, 0.0, float(batch), float(batch * context)),
    }


def _split(d: Deployment, phase: Phase, new: float, pairs: float, batch: float, context: float) -> Split:
    """The step less its pairs and cache, less messages and launches, is matrix products; those are shared out."""
    c = step_coefficients(d)
    total_s = float(step_time_s(c, new, pairs, batch, context, 1.0))
    core_s = total_s - float(step_time_s(c, new, 0.0, batch, 0.0, 1.0))
    count, doublings = exchange_count(d)
    k = calibration()
    starts_s = count * (k.exchange_s + doublings * k.exchange_hop_s)
    exchange_s = exchange_s_per_token(d) * (new + batch) + starts_s
    overhead_s = float(c[_place("fixed_s")] + c[_place("request_s")] * batch) - starts_s
    products_s = max(0.0, total_s - core_s - exchange_s - overhead_s)
    share = _attention_share(d, new + batch, batch)
    return Split(phase, core_s + share * products_s, (1 - share) * products_s, exchange_s, overhead_s)


def _attention_share(d: Deployment, tokens: float, sampled: float) -> float:
    """Share of the matrix products that is attention's projections.

    The roofline r = (a^4 + b^4)^(1/4) of compute a and reading b is homogeneous of degree 1, so by Euler's theorem
    its parts are (a^3 a_i + b^3 b_i) / r^3: by arithmetic where compute binds, by bytes where memory does.
    """
    m, c = d.model, step_coefficients(d)
    projections = m.cache_layers * m.attention_params + m.mixer_layers * m.mixer_params
    dense = max(m.params - m.expert_params - m.embedding_params - m.head_params, projections)
    active = m.expert_params * m.experts_per_token / m.experts if m.experts else 0.0
    read = m.expert_params * m.expert_share(tokens) if m.experts else 0.0
    head = m.head_params
    flops = tokens * (dense + active) + sampled * head
    compute_s = 2 * flops / float(c[_place("linear_rate")])
    memory_s = (dense + read + head) / float(c[_place("weight_rate")])
    by_compute, by_memory = tokens * projections / flops, projections / (dense + read + head)
    return (compute_s**4 * by_compute + memory_s**4 * by_memory) / (compute_s**4 + memory_s**4)


def _place(name: str) -> int:
    return COEFFICIENTS.index(name)


def _ways(model: Model, max_gpus: int) -> Iterator[tuple[int, int, int, int]]:
    powers = [2**i for i in range(max(max_gpus, 1).bit_length()) if 2**i <= max_gpus]
    for tp in powers:
        for pp in (p for p in powers if tp * p <= max_gpus):
            yield tp, pp, 1, 1
        if not model.experts:
            continue
        for dp in (p for p in powers if tp * p <= max_gpus and tp * p > 1):
            yield tp, 1, dp, tp * dp


def _shape_reasons(model: Model, tp: int, pp: int, dp: int, ep: int) -> Iterator[str]:
    if model.heads % tp:
        yield f"{model.heads} heads do not divide by tp {tp}"
    if model.kv_heads % tp and tp % model.kv_heads and not model.latent_kv_dim:
        yield f"{model.kv_heads} KV heads and tp {tp} do not divide"
    if pp > model.layers:
        yield f"{model.layers} layers are fewer than pp {pp} stages"
    if ep > 1 and not model.experts:
        yield f"{model.name} has no experts to spread over ep {ep}"
    elif ep > 1 and model.experts % ep:
        yield f"{model.experts} experts do not divide by ep {ep}"
    if ep not in (1, tp * dp):
        yield f"ep {ep} is neither 1 nor tp * dp = {tp * dp}"
    if dp > 1 and not model.experts:
        yield f"dp {dp} inside an instance is for models with experts; use {dp} instances"


def _notes(model: Model, gpu: Gpu, tp: int, pp: int, dp: int, domain: int) -> Iterator[str]:
    if tp > model.kv_heads and not model.latent_kv_dim:
        yield f"each of {model.kv_heads} KV heads is kept {tp // model.kv_heads} times"
    if model.latent_kv_dim and tp > 1:
        yield f"the latent cache is kept {tp} times"
    if pp > 1 and model.layers % pp:
        longest = math.ceil(model.layers / pp)
        yield (f"{model.layers} layers do not divide by pp {pp}: the longest stage has {longest}, the pipeline "
               f"runs at {model.layers / pp / longest:.0%} of an even one")  # fmt: skip
    if tp * dp > domain:
        slow = all_reduce_rate(gpu, 2) / (LINK_SHARE * gpu.network_bytes_per_s * 2 / 3)
        what = f"tp {tp}" if tp > domain else f"tp {tp} with dp {dp}"
        yield f"{what} leaves the NVLink domain of {domain}: its messages run about {slow:.0f} times slower"
