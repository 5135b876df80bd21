"""Prefill and decode together or apart; decode from a GPU's HBM or from an LPU's SRAM: which, and why in numbers.

Together, every prompt holds up the sequences that decode: one step that computes it lasts tens to hundreds of
milliseconds. Apart, decode runs undisturbed, but the cache of each prompt must travel, and each pool rounds up to
whole instances. So apart pays where the time per token must be short while prompts are long (DistServe, arXiv
2401.09670; Splitwise, arXiv 2311.18677).

An LPU holds all weights in SRAM spread over hundreds of chips. It reads them in microseconds, its clock is fixed and
its schedule static, so its time per token hardly varies; but each chip holds 230 MB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from plant.hardware.gpus import DTYPE_BYTES, Dtype, Gpu
from plant.hardware.models import Model
from plant.inference.comm import LINK_SHARE
from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.engine import Replay
from plant.inference.engine import replay as serve
from plant.inference.memory import LPU_RESERVE_SHARE
from plant.inference.slo import Seen, Slo, judge, show_ms
from plant.inference.trace import Trace
from setpoint.errors import ConfigError, UsageError

LPU_LAYER_S = 65e-6
"""Time of one layer on an LPU beyond reading its weights: hops, vector work, synchronisation. Fitted to one figure:
5.32 ms per token of Llama-2-70B (llmperf-leaderboard raw json, 550 in, 150 out) on 576 chips [m]."""
LPU_SPREAD = 0.02
"""Spread of an LPU's time per token around its mean: its schedule is static, only queueing varies [m]."""
SPLITS_TRIED = 3
"""Splits of a total on either side of the one that the load suggests."""
PLAY = 0.02
"""Less energy by this share is no reason to take the other."""


def kv_bytes(d: Deployment, tokens: float) -> float:
    """Cache of a prompt, bytes of the whole instance."""
    return tokens * d.model.kv_bytes_per_token(d.kv)


def transfer_rate(prefill: Deployment, decode: Deployment) -> tuple[float, str]:
    """Bytes a second between two instances, and over what: NVLink where both lie in one domain, else the network.

    All accelerators of the smaller side send at once.
    """
    a, b = prefill.gpu, decode.gpu
    count = min(prefill.gpus, decode.gpus)
    if a.name == b.name and prefill.gpus + decode.gpus <= a.scale_up_domain:
        return count * LINK_SHARE * a.scale_up_bytes_per_s, "NVLink"
    return count * min(a.network_bytes_per_s, b.network_bytes_per_s), "network"


def handover_s(prefill: Deployment, decode: Deployment, tokens: float) -> float:
    """Seconds the cache of a prompt arrives after its first token: sent layer by layer while later layers compute.

    max(size / (L rate), size / rate - T (L - 1) / L): at least the last layer's share is left, and all that the link
    could not carry in the time T of the prefill. Source: Splitwise (arXiv 2311.18677), sec. 4.3; notes/plant.md.

    >>> from plant.hardware.gpus import gpu
    >>> from plant.hardware.models import model
    >>> d = Deployment(model=model("llama-3.1-70b"), gpu=gpu("H100"), tp=8)
    >>> round(handover_s(d, d, 4096) * 1e6, 1)
    41.9
    """
    rate, _ = transfer_rate(prefill, decode)
    send_s, layers = kv_bytes(prefill, tokens) / rate, prefill.model.layers
    compute_s = float(step_time_s(step_coefficients(prefill), tokens, tokens * tokens / 2.0, 0.0, 0.0, 1.0))
    return max(send_s / layers, send_s - compute_s * (layers - 1) / layers)


@dataclass(frozen=True)
class Pools:
    """A pair of pools under a trace."""

    prefill: int
    """Instances."""
    decode: int
    seen: Seen
    replay: Replay
    handover_s: float
    """Of the mean prompt."""

    @property
    def instances(self) -> int:
        return self.prefill + self.decode

    @property
    def joule_per_token(self) -> float:
        return self.replay.energy_j / max(self.replay.decode_tokens + self.replay.completed, 1)


def split_pools(d: Deployment, trace: Trace, slo: Slo, prefill: int, decode: int) -> Pools:
    """Replays `trace` on so many instances of each kind. Raises UsageError below one of each."""
    mean = float(trace.prompt_tokens.mean())
    found = serve(d, trace, routing="least_loaded", prefill_instances=prefill, decode_instances=decode)
    return Pools(prefill, decode, judge(found, slo, d), found, handover_s(d, d, mean))


def find_pools(d: Deployment, trace: Trace, slo: Slo, max_instances: int) -> Pools | None:
    """The fewest instances, apart, that keep the SLO on this trace; None where `max_instances` do not.

    Starts from the prompts' work over the time there is, tries the splits of each total near the one that the load
    suggests, and lets the replay judge.
    """
    if max_instances < 2:
        return None
    share = prefill_share(d, trace, slo)
    busy = _prompt_seconds(d, trace) / max(trace.span_s, 1e-9)
    start = max(2, math.floor(busy / max(share, 0.05)))
    for total in range(min(start, max_instances), max_instances + 1):
        middle = min(max(round(share * total), 1), total - 1)
        low, high = max(1, middle - SPLITS_TRIED), min(total - 1, middle + SPLITS_TRIED)
        for prefill in sorted(range(low, high + 1), key=lambda p: abs(p - middle)):
            found = split_pools(d, trace, slo, prefill, total - prefill)
            if found.seen.kept:
                return found
    return None


def prefill_share(d: Deployment, trace: Trace, slo: Slo) -> float:
    """Share of the instances that prompts ask for: their seconds over those and the decoding's, both at full load.

    Decode is taken at the largest batch whose step keeps the time per token.
    """
    prompt_s = _prompt_seconds(d, trace)
    batch = decode_batch(d, float(trace.prompt_tokens.mean() + trace.output_tokens.mean() / 2), slo.tpot_s)
    decode_s = float(trace.output_tokens.sum()) * slo.tpot_s / max(batch, 1)
    return prompt_s / (prompt_s + decode_s)


def decode_batch(d: Deployment, context: float, tpot_s: float) -> int:
    """Largest batch of sequences of `context` tokens whose decode step lasts at most `tpot_s`; 0 where none does."""
    c = step_coefficients(d)
    low, high = 0, d.max_batch
    while low < high:
        middle = (low + high + 1) // 2
        fits = float(step_time_s(c, 0.0, 0.0, float(middle), middle * context, 1.0)) <= tpot_s
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _prompt_seconds(d: Deployment, trace: Trace) -> float:
    c, n = step_coefficients(d), float(trace.prompt_tokens.mean())
    pairs = float((trace.prompt_tokens.astype(float) ** 2).mean()) / 2.0
    return len(trace) * float(step_time_s(c, n, pairs, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Verdict:
    """Which of two, and why in numbers."""

    choice: Literal["together", "apart", "gpu", "lpu"]
    why: str


def together_or_apart(d: Deployment, slo: Slo, together: tuple[int, float], apart: Pools | None) -> Verdict:
    """By accelerators first, then by energy. `together`: instances and joules per token of the same trace."""
    instances, joule = together
    if apart is None:
        return Verdict("together", f"{instances} instances together keep it; no split of as many does")
    split = f"{apart.prefill} prefill + {apart.decode} decode"
    detail = (
        f"apart: {split}, P{slo.percentile:g} TPOT {show_ms(apart.seen.tpot_s)}, cache handed over "
        f"{show_ms(apart.handover_s)} after the first token, {apart.joule_per_token:.2f} J a token; "
        f"together: {instances} instances, {joule:.2f} J a token"
    )
    fewer = apart.instances < instances
    thriftier = apart.instances == instances and apart.joule_per_token < (1 - PLAY) * joule
    return Verdict("apart" if fewer or thriftier else "together", detail)


@dataclass(frozen=True)
class LpuPlan:
    """Decode of one model from the SRAM of many chips."""

    chips: int
    chips_for_weights: int
    sequences: int
    """That decode at once."""
    tpot_s: float
    tpot_p99_s: float
    tokens_per_s: float
    """Of the whole system."""
    power_kw: float

    @property
    def joule_per_token(self) -> float:
        return 1e3 * self.power_kw / self.tokens_per_s


def lpu_decode(
    model: Model,
    lpu: Gpu,
    context_tokens: float,
    sequences: int,
    weights: Dtype = "int8",
    kv: Dtype = "bf16",
) -> LpuPlan:
    """How many chips hold weights and cache, and how fast and at what power they decode.

    Layers follow one another over chips, n / L chips to a layer that read their share at once: a token takes
    L W / (n B) + L t_layer, whatever the batch, while up to L sequences are on their way, one a layer. Two groups of
    sequences beyond L share time. Clock and voltage are fixed; power falls only as stages idle.

    Raises ConfigError where `lpu` is not one or a layer's cache cannot be placed.

    >>> from plant.hardware.gpus import gpu
    >>> from plant.hardware.models import model
    >>> plan = lpu_decode(model("llama-2-70b"), gpu("Groq-LPU-v1"), 700, 80)
    >>> plan.chips_for_weights, round(plan.tpot_s * 1e3, 1)
    (307, 5.4)
    """
    if lpu.kind != "lpu":
        raise ConfigError(f"{lpu.name} is no LPU", remedy="Use Groq-LPU-v1 or describe one with kind: lpu")
    if sequences < 1 or not context_tokens > 0:
        raise UsageError(
            f"{sequences} sequences of {context_tokens:g} tokens", remedy="Give 1 or more of each"
        )
    usable = lpu.memory_bytes * (1.0 - LPU_RESERVE_SHARE)
    stored = model.params * DTYPE_BYTES[weights]
    cache = sequences * context_tokens * model.kv_bytes_per_token(kv)
    for_weights, chips = math.ceil(stored / usable), math.ceil((stored + cache) / usable)
    chips = max(chips, model.layers)
    active = model.params_active * DTYPE_BYTES[weights] + context_tokens * model.kv_bytes_per_token(kv)
    token_s = model.layers * (active / (chips * lpu.memory_bytes_per_s) + LPU_LAYER_S)
    rounds = max(1.0, sequences / model.layers)
    filled = min(1.0, sequences / model.layers)
    power_kw = chips * (lpu.idle_w + filled * (lpu.tdp_w - lpu.idle_w)) / 1e3
    tpot_s = token_s * rounds
    return LpuPlan(
        chips, for_weights, sequences, tpot_s, tpot_s * (1 + 2.33 * LPU_SPREAD), sequences / tpot_s, power_kw
    )


@dataclass(frozen=True)
class GpuDecode:
    """Decode of one instance from HBM, for comparison."""

    gpus: int
    batch: int
    tpot_s: float
    joule_per_token: float


def gpu_or_lpu(d: Deployment, own: GpuDecode, context_tokens: float, tpot_slo_s: float, lpu: Gpu) -> Verdict:
    """LPU only where no batch on the GPU keeps the time per token and the LPU does; numbers of both either way."""
    plan = lpu_decode(d.model, lpu, context_tokens, max(own.batch, 1))
    detail = (
        f"{lpu.name}: {plan.chips} chips ({plan.chips_for_weights} for the weights alone) give "
        f"{show_ms(plan.tpot_s)} a token within {2.33 * LPU_SPREAD:.0%} at a fixed clock, {plan.power_kw:.0f} kW, "
        f"{plan.joule_per_token:.1f} J a token; {own.gpus} {d.gpu.name}: {show_ms(own.tpot_s)} at batch "
        f"{own.batch}, {own.joule_per_token:.2f} J a token"
    )
    only_lpu = own.tpot_s > tpot_slo_s >= plan.tpot_p99_s
    cheaper = plan.tpot_p99_s <= tpot_slo_s and plan.joule_per_token < own.joule_per_token
    return Verdict("lpu" if only_lpu or cheaper else "gpu", detail)
