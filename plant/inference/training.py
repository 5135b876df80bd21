"""Time of a training step, its memory and messages; data against expert parallelism; what stops a long run.

A step: every data-parallel way runs its micro-batches forwards and backwards through the pipeline, gradients are
summed over all ways, and the optimiser moves the weights.

    matrix products  6 P_active operations a token, 8 where the forward pass is run again (full recompute)
    attention        half of all query-key pairs (causal), three passes
    element-wise     norms, activations, dropout: bytes, not operations (Korthikanti et al., arXiv 2205.05198)
    messages         all-reduces of tensor parallelism, all-to-alls of experts, gradients of data parallelism
    bubble           (p - 1) / (v m) of the pipeline's work (Narayanan et al., arXiv 2104.04473, sec. 2.2)

KERNEL_SHARE and EXPERT_SHARE are fitted to eleven published runs of `training_runs.yaml` by `python -m dev.fit_training`;
the other runs are held against them there and in tests/plant/inference/test_training.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

from plant.hardware.gpus import DTYPE_BYTES, Dtype, Gpu
from plant.hardware.models import Model
from plant.inference.comm import all_reduce_s
from plant.inference.parallel import all_to_all_s, hierarchical_all_reduce_s, p2p_s
from setpoint.errors import ConfigError, UsageError

Recompute = Literal["none", "selective", "full"]
Sharding = Literal["none", "optimizer", "full"]
"""Training state of the data-parallel ways: all copied; optimiser state split (ZeRO-1); all split (ZeRO-3, FSDP)."""

KERNEL_SHARE: dict[tuple[str, str], float] = {
    ("ampere", "bf16"): 0.64, ("hopper", "bf16"): 0.57, ("hopper", "fp8"): 0.54,
    ("blackwell", "bf16"): 0.60, ("blackwell", "fp8"): 0.46,
}  # fmt: skip
"""Share of peak in the wide matrix products of training, by architecture and precision. Fitted by
`python -m dev.fit_training`, but for Blackwell at bf16, which is taken (its runs are of experts)."""
DEFAULT_SHARE = 0.55
ELEMENT_BYTES = 34.0
"""Bytes of activations a layer keeps for each token and hidden value (arXiv 2205.05198, eq. 1)."""
ELEMENT_PASSES = 2.0
"""Times each of them crosses the memory in the forward pass: written once, read once."""
SCORE_BYTES = 5.0
"""Bytes of scores and masks for each head and pair where attention is not fused (same source)."""
EXPERT_SHARE: dict[str, float] = {"bf16": 0.49, "fp8": 0.41}
"""Factor on the share of peak in grouped expert products, by precision: they are narrow, uneven and many. Fitted by
the same command."""
ROUTED_PASSES = 4.0
"""Times each routed row crosses the memory forwards: written and read when permuted, and when put back."""
STATE_BYTES = 12.0
"""Adam: 32-bit weights, mean and variance."""
INTERRUPTION_GPU_HOURS = 50_700.0
"""Accelerator hours between interruptions: Llama 3 405B, 16,384 H100, 54 days, 419 interruptions (notes/plant.md)."""


@dataclass(frozen=True)
class TrainingRun:
    """How a model is trained on what."""

    model: Model
    gpu: Gpu
    gpus: int
    batch_tokens: float
    """Of one step, all ways together."""
    tp: int = 1
    pp: int = 1
    cp: int = 1
    """Ways that share one sequence (context parallel); their messages are taken as hidden behind attention."""
    ep: int = 1
    """Data-parallel ways that share one set of experts."""
    sequence_tokens: int = 4096
    micro_sequences: int = 1
    """Sequences of one micro-batch."""
    virtual_stages: int = 1
    """Pieces of the pipeline on one accelerator (interleaved schedule)."""
    precision: Dtype = "bf16"
    recompute: Recompute = "none"
    sharding: Sharding = "optimizer"
    fused_attention: bool = True
    gradient_bytes: float = 2.0
    overlap_gradients: bool = True
    """Gradients are summed while the last micro-batch runs backwards."""
    overlap_tensor: float = 0.0
    """Share of the tensor-parallel messages hidden behind matrix products."""
    overlap_experts: float = 0.0
    """Share of the all-to-alls hidden (DualPipe of DeepSeek-V3 hides nearly all)."""
    node_limit: int = 0
    """Nodes one token may visit; 0: no limit."""
    spread_pu: float = 0.0
    """Standard deviation of one accelerator's step time over its mean."""

    @property
    def dp(self) -> int:
        """Data-parallel ways."""
        return self.gpus // (self.tp * self.pp * self.cp)

    @property
    def micro_batches(self) -> int:
        """Of one way in one step."""
        return max(1, round(self.batch_tokens / self.dp / self.sequence_tokens / self.micro_sequences))


@dataclass(frozen=True)
class Step:
    """One training step, seconds unless named otherwise."""

    compute_s: float
    """Matrix products and attention."""
    element_s: float
    tensor_s: float
    """Tensor-parallel messages that are not hidden."""
    expert_s: float
    """All-to-alls that are not hidden."""
    pipeline_s: float
    """Messages between stages."""
    bubble_s: float
    gradient_s: float
    """Not hidden part of summing the gradients (and of gathering weights where they are split)."""
    optimizer_s: float
    straggler_s: float
    gradient_bytes: float
    """One accelerator sends them in a step, hidden or not."""
    expert_bytes: float
    tokens: float
    model_flops: float
    """Of the step: without recomputed work."""
    gpus: int
    peak_flops: float
    """Of one accelerator."""

    @property
    def total_s(self) -> float:
        return (
            self.compute_s + self.element_s + self.tensor_s + self.expert_s + self.pipeline_s + self.bubble_s
            + self.gradient_s + self.optimizer_s + self.straggler_s
        )  # fmt: skip

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.total_s

    @property
    def tflops_per_gpu(self) -> float:
        return self.model_flops / self.total_s / self.gpus / 1e12

    @property
    def mfu(self) -> float:
        """Model operations over peak: recomputation does not count."""
        return self.tflops_per_gpu * 1e12 / self.peak_flops

    @property
    def communication_share(self) -> float:
        """Of the time, messages that are not hidden."""
        return (self.tensor_s + self.expert_s + self.pipeline_s + self.gradient_s) / self.total_s


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of one accelerator."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimizer + self.activations


def forward_flops(model: Model, sequence_tokens: int) -> float:
    """Operations of the forward pass for one token: 2 P without the looked-up embedding, and half of all pairs.

    >>> from plant.hardware.models import model
    >>> round(3 * forward_flops(model("llama-3.1-405b"), 8192) / (6 * 405e9), 3)
    1.039
    """
    multiplied = model.params_active - model.embedding_params
    return 2.0 * multiplied + model.pair_flops * sequence_tokens / 2.0


def check_run(run: TrainingRun) -> None:
    """Raises ConfigError for a split that cannot be, with what would."""
    m = run.model
    ways = run.tp * run.pp * run.cp
    if min(run.gpus, run.tp, run.pp, run.cp, run.ep, run.micro_sequences, run.virtual_stages) < 1:
        raise UsageError("ways and micro-batches must be 1 or more", remedy="Leave them at 1 where unsure")
    if not (math.isfinite(run.batch_tokens) and run.batch_tokens > 0) or run.sequence_tokens < 1:
        raise UsageError(
            f"a batch of {run.batch_tokens:g} tokens", remedy="Give tokens of one step, such as 4e6"
        )
    if run.gpus % ways:
        raise ConfigError(
            f"{run.gpus} GPUs do not divide by tp {run.tp} * pp {run.pp} * cp {run.cp} = {ways}",
            remedy=f"Use {max(1, run.gpus // ways) * ways} GPUs",
        )
    if m.heads % run.tp:
        raise ConfigError(f"{m.heads} heads do not divide by tp {run.tp}", remedy="Use a divisor, such as 8")
    if run.pp * run.virtual_stages > m.layers + 2:
        raise ConfigError(
            f"{m.layers} layers are fewer than {run.pp} stages of {run.virtual_stages} pieces",
            remedy=f"Use at most {m.layers // run.pp or 1} pieces",
        )
    if run.ep > 1 and (not m.experts or m.experts % run.ep or (run.dp * run.cp * run.tp) % run.ep):
        why = (
            f"{m.experts} experts over {run.dp * run.cp * run.tp} ways"
            if m.experts
            else f"{m.name} has no experts"
        )
        raise ConfigError(f"ep {run.ep} is impossible: {why}", remedy="Use a common divisor of both")
    least = run.dp * run.sequence_tokens * run.micro_sequences
    if run.batch_tokens < 0.5 * least:
        raise ConfigError(
            f"a batch of {run.batch_tokens:.3g} tokens is less than one micro-batch on each of {run.dp} ways",
            remedy=f"Use {least:.3g} tokens or more, fewer GPUs, or more tp and pp",
        )


def train_step(run: TrainingRun) -> Step:
    """The time of one step and where it goes. Raises ConfigError for a split that cannot be."""
    check_run(run)
    m, g = run.model, run.gpu
    count = run.micro_batches
    tokens = run.micro_sequences * run.sequence_tokens / run.cp
    compute_s, element_s = _compute_s(run, tokens), _element_s(run, tokens)
    tensor_s, expert_s = _tensor_s(run, tokens), _expert_s(run, tokens)
    one_s = compute_s + element_s + tensor_s + expert_s
    pipeline_s = count * _border_s(run, tokens)
    bubble_s = (run.pp - 1) / run.virtual_stages * one_s
    backward_s = one_s * 2 / 3
    gradient_s = _gradient_s(run, one_s, backward_s, count)
    optimizer_s = _optimizer_s(run)
    before_s = count * one_s + pipeline_s + bubble_s + gradient_s + optimizer_s
    trained = count * run.micro_sequences * run.sequence_tokens * run.dp
    return Step(
        compute_s=count * compute_s, element_s=count * element_s, tensor_s=count * tensor_s,
        expert_s=count * expert_s, pipeline_s=pipeline_s, bubble_s=bubble_s, gradient_s=gradient_s,
        optimizer_s=optimizer_s, straggler_s=before_s * (straggler_factor(run.gpus, run.spread_pu) - 1.0),
        gradient_bytes=_gradient_bytes(run) * (count if run.sharding == "full" else 1),
        expert_bytes=count * _expert_bytes(run, tokens), tokens=float(trained),
        model_flops=3.0 * forward_flops(m, run.sequence_tokens) * trained, gpus=run.gpus,
        peak_flops=g.peak(run.precision),
    )  # fmt: skip


def local_params(run: TrainingRun) -> tuple[float, float]:
    """Weights of one accelerator before any sharding: those all ways copy, and those of its experts."""
    m = run.model
    dense = (m.params - m.expert_params) / (run.tp * run.pp)
    if not m.experts:
        return dense, 0.0
    return dense, m.expert_params / (run.pp * max(run.ep, run.tp))


def training_memory(run: TrainingRun) -> TrainingMemory:
    """Bytes of one accelerator: weights, gradients, Adam's state, activations of the micro-batches on their way.

    Activations: 34 s b h / t a layer with fused attention, 5 a s^2 b / t more without, 2 s b h where recomputed in
    full (arXiv 2205.05198). The first stage holds p micro-batches of L / p layers, with v pieces a little more.

    >>> from plant.hardware.gpus import gpu
    >>> from plant.hardware.models import model
    >>> run = TrainingRun(model("llama-3.1-8b"), gpu("H100"), 8, 4e6, sequence_tokens=8192, sharding="none")
    >>> round((training_memory(run).weights + training_memory(run).optimizer) / 1e9)
    112
    """
    m = run.model
    dense, experts = local_params(run)
    copies = run.dp * run.cp
    over = 1.0 if run.sharding == "none" else float(copies)
    over_experts = 1.0 if run.sharding == "none" else max(1.0, copies * run.tp / max(run.ep, run.tp))
    split_all = run.sharding == "full"
    held = dense / over + experts / over_experts if split_all else dense + experts
    state = STATE_BYTES * (dense / over + experts / over_experts)
    tokens = run.micro_sequences * run.sequence_tokens / run.cp
    if run.recompute == "full":
        layer = 2.0 * tokens * m.hidden
    else:
        layer = ELEMENT_BYTES * tokens * m.hidden / run.tp
        if not run.fused_attention and run.recompute == "none":
            layer += SCORE_BYTES * m.heads * tokens * run.sequence_tokens / run.tp
    on_way = 1.0 + (run.pp - 1) / (run.pp * run.virtual_stages) if run.pp > 1 else 1.0
    live = min(on_way, run.micro_batches / run.pp) if run.pp > 1 else 1.0
    return TrainingMemory(2.0 * held, run.gradient_bytes * held, state, layer * m.layers * live)


def kernel_share(gpu: Gpu, precision: Dtype) -> float:
    """Share of peak in wide products; of the nearest known architecture."""
    arch = "blackwell" if gpu.arch.startswith("blackwell") else gpu.arch
    return KERNEL_SHARE.get((arch, precision), DEFAULT_SHARE)


def _passes(run: TrainingRun) -> float:
    """Forward passes' worth of work: forward, backward twice as much, forward again where recomputed."""
    return 4.0 if run.recompute == "full" else 3.0


def _compute_s(run: TrainingRun, tokens: float) -> float:
    """One micro-batch on one accelerator: products at the kernels' share of peak, attention at bf16."""
    m, ways = run.model, run.tp * run.pp
    share = kernel_share(run.gpu, run.precision)
    active = m.expert_params * m.experts_per_token / m.experts if m.experts else 0.0
    dense = m.params_active - m.embedding_params - active
    products = 2.0 * _passes(run) * tokens * (dense + active / EXPERT_SHARE.get(run.precision, 0.5)) / ways
    again = 1.0 if run.recompute == "selective" else 0.0
    pairs = m.pair_flops * run.sequence_tokens / 2.0 * (1.0 if run.fused_attention else 2.0)
    attention = (_passes(run) + again) * tokens * pairs / ways
    peak = run.gpu.peak(run.precision)
    return products / (peak * share) + attention / (run.gpu.peak("bf16") * kernel_share(run.gpu, "bf16"))


def _element_s(run: TrainingRun, tokens: float) -> float:
    """Bytes of element-wise work of one micro-batch over the memory's rate."""
    m = run.model
    width = ELEMENT_BYTES * m.hidden
    if not run.fused_attention:
        width += SCORE_BYTES * m.heads * run.sequence_tokens
    total = ELEMENT_PASSES * width * m.layers
    if m.experts:
        routed = ROUTED_PASSES * m.hidden + ELEMENT_PASSES * 3 * m.expert_ffn
        total += 2.0 * m.experts_per_token * routed * (m.expert_layers or m.layers)
    moved = _passes(run) * tokens * total / (run.tp * run.pp)
    return moved / run.gpu.memory_bytes_per_s


def _tensor_s(run: TrainingRun, tokens: float) -> float:
    """Two all-reduces a layer forwards, two backwards, two more where recomputed; those not hidden."""
    if run.tp == 1:
        return 0.0
    times = 6 if run.recompute == "full" else 4
    size = tokens * run.model.hidden * 2.0
    one_s = all_reduce_s(run.gpu, run.tp, size)
    return (1.0 - run.overlap_tensor) * times * one_s * run.model.layers / run.pp


def _expert_rows(run: TrainingRun, tokens: float) -> tuple[float, float]:
    """Layers with experts on one accelerator, and its tokens of a micro-batch."""
    m = run.model
    return (m.expert_layers or m.layers) / run.pp, tokens / run.tp


def _expert_s(run: TrainingRun, tokens: float) -> float:
    """Dispatch and combine of every expert layer, forwards and backwards; those not hidden."""
    if run.ep == 1:
        return 0.0
    m = run.model
    layers, rows = _expert_rows(run, tokens)
    out = DTYPE_BYTES[run.precision] * m.hidden
    back = 2.0 * m.hidden
    one_s = sum(
        all_to_all_s(run.gpu, run.ep, rows, m.experts_per_token, row, run.node_limit) for row in (out, back)
    )
    return (1.0 - run.overlap_experts) * (_passes(run) - 1.0) * layers * one_s


def _expert_bytes(run: TrainingRun, tokens: float) -> float:
    if run.ep == 1:
        return 0.0
    m = run.model
    layers, rows = _expert_rows(run, tokens)
    row = (DTYPE_BYTES[run.precision] + 2.0) * m.hidden
    leaving = (run.ep - 1) / run.ep
    return (_passes(run) - 1.0) * layers * rows * m.experts_per_token * row * leaving


def _border_s(run: TrainingRun, tokens: float) -> float:
    """Messages of one micro-batch over one border, there and back, for each piece."""
    if run.pp == 1:
        return 0.0
    size = tokens * run.model.hidden * 2.0 / run.tp
    return 2.0 * run.virtual_stages * p2p_s(run.gpu, run.tp * run.pp, size)


def _gradient_bytes(run: TrainingRun) -> float:
    """Bytes one accelerator sends to sum gradients: 2 (n - 1) / n of them; half as much more where weights are split."""
    dense, experts = local_params(run)
    n = run.dp * run.cp
    n_experts = max(1.0, n * run.tp / max(run.ep, run.tp))
    factor = 1.5 if run.sharding == "full" else 1.0
    ring = 2 * (n - 1) / n * dense + 2 * (n_experts - 1) / n_experts * experts
    return factor * run.gradient_bytes * ring


def _gradient_s(run: TrainingRun, one_s: float, backward_s: float, count: int) -> float:
    """Summing the gradients over the data-parallel ways, less what hides behind computing.

    Copied weights or a split optimiser: once a step, hidden behind the last micro-batch's way back. Split weights:
    gathered twice and summed once for every micro-batch, hidden behind that micro-batch.
    """
    dense, experts = local_params(run)
    n = run.dp * run.cp
    per_node = max(1, run.gpu.scale_up_domain // run.tp)
    groups = max(1, n * run.tp // max(run.ep, run.tp))
    all_s = hierarchical_all_reduce_s(run.gpu, n, dense * run.gradient_bytes, per_node)
    if experts:
        inside = max(1, run.gpu.scale_up_domain // max(run.ep, run.tp))
        all_s += hierarchical_all_reduce_s(run.gpu, groups, experts * run.gradient_bytes, inside)
    if n == 1:
        return 0.0
    if run.sharding == "full":
        each_s = 1.5 * all_s
        return count * max(0.0, each_s - one_s) if run.overlap_gradients else count * each_s
    return max(0.0, all_s - backward_s) if run.overlap_gradients else all_s


def _optimizer_s(run: TrainingRun) -> float:
    """Reading and writing state, gradients and weights once."""
    held = training_memory(run)
    moved = 2.0 * held.optimizer * (STATE_BYTES + run.gradient_bytes + 2.0) / STATE_BYTES
    return moved / run.gpu.memory_bytes_per_s


def straggler_factor(gpus: int, spread_pu: float) -> float:
    """Mean time of the slowest of so many over the mean of one, times normal and independent.

    The expected largest of n standard normals is near the quantile at (n - 0.375) / (n + 0.25) (Blom 1958).

    >>> round(straggler_factor(16384, 0.01), 3), straggler_factor(1, 0.01)
    (1.04, 1.0)
    """
    if gpus < 1 or not 0 <= spread_pu < 1:
        raise UsageError(
            f"{gpus} GPUs, spread {spread_pu:g}", remedy="Use 1 or more GPUs and a spread of 0 to 1"
        )
    if gpus == 1:
        return 1.0
    return 1.0 + spread_pu * NormalDist().inv_cdf((gpus - 0.375) / (gpus + 0.25))


@dataclass(frozen=True)
class Endurance:
    """What interruptions and checkpoints leave of a long run."""

    checkpoint_bytes: float
    write_s: float
    between_interruptions_s: float
    interval_s: float
    """Between checkpoints, the best by Young's formula."""
    goodput: float
    """Share of time that trains and is kept."""


def endurance(
    model: Model,
    gpus: int,
    storage_bytes_per_s: float,
    restart_s: float = 600.0,
    interruption_gpu_hours: float = INTERRUPTION_GPU_HOURS,
) -> Endurance:
    """The best interval between checkpoints and the goodput it leaves.

    A checkpoint holds 14 bytes a weight: 2 of the weight, 12 of Adam. Interval sqrt(2 d M) for a checkpoint of d
    seconds and M between interruptions (Young, CACM 17(9), 1974); the loss is d / T + (T / 2 + restart) / M.
    """
    if gpus < 1 or not (storage_bytes_per_s > 0 and interruption_gpu_hours > 0 and restart_s >= 0):
        raise UsageError(
            "GPUs, storage rate and hours must be positive", remedy="Try endurance(m, 16384, 2e12)"
        )
    size = (2.0 + STATE_BYTES) * model.params
    write_s = size / storage_bytes_per_s
    between_s = interruption_gpu_hours * 3600.0 / gpus
    interval_s = math.sqrt(2.0 * write_s * between_s)
    lost = write_s / interval_s + (interval_s / 2.0 + restart_s) / between_s
    return Endurance(size, write_s, between_s, interval_s, max(0.0, 1.0 - lost))


@dataclass(frozen=True)
class Comparison:
    """One row: a way to train the model on those accelerators."""

    way: str
    run: TrainingRun | None
    memory_gb: float
    fits: bool
    communication_gb: float
    """One accelerator sends so much in a step."""
    communication_share: float
    """Of the step, what is not hidden."""
    step_s: float
    tokens_per_s: float
    mfu: float
    scaling: float
    """Tokens a second and accelerator over those of one domain with the same tokens each."""
    note: str = ""


def compare_parallelism(
    model: Model,
    gpu: Gpu,
    gpus: int,
    batch_tokens: float,
    *,
    sequence_tokens: int = 4096,
    precision: Dtype = "bf16",
    recompute: Recompute = "full",
) -> tuple[Comparison, ...]:
    """Data parallelism (copied, split optimiser, all split) against expert parallelism, one row each.

    Data parallelism sums all gradients once a step; expert parallelism keeps each expert once and sends every token
    to its experts and back in each layer, forwards and backwards. A dense model has no expert row but the reason.
    """
    base = TrainingRun(
        model, gpu, gpus, batch_tokens, sequence_tokens=sequence_tokens, precision=precision, recompute=recompute,
    )  # fmt: skip
    rows = [
        _compare("data parallel", replace(base, sharding="none")),
        _compare("data parallel, optimiser split", base),
        _compare("data parallel, all split", replace(base, sharding="full")),
    ]
    if not model.experts:
        return *rows, Comparison(
            "expert parallel",
            None,
            0.0,
            False,
            0.0,
            0.0,
            math.inf,
            0.0,
            0.0,
            0.0,
            f"{model.name} has no experts",
        )
    ways = [n for n in _divisors(model.experts) if 1 < n <= gpus and gpus % n == 0]
    chosen = [n for n in ways if _fits(replace(base, ep=n))] or ways[-1:]
    return *rows, *(_compare(f"expert parallel, ep {n}", replace(base, ep=n)) for n in chosen)


def _compare(way: str, run: TrainingRun) -> Comparison:
    step, memory = train_step(run), training_memory(run)
    domain = min(run.gpus, max(run.gpu.scale_up_domain, 1))
    small = replace(
        run, gpus=domain, batch_tokens=run.batch_tokens * domain / run.gpus, ep=math.gcd(run.ep, domain)
    )
    alone = train_step(small).tokens_per_s / domain
    fits = _fits(run)
    short = f"needs {memory.total / 1e9:.0f} GB of {run.gpu.memory_bytes / 1e9:.0f}"
    return Comparison(
        way, run, memory.total / 1e9, fits, (step.gradient_bytes + step.expert_bytes) / 1e9,
        step.communication_share, step.total_s, step.tokens_per_s, step.mfu,
        step.tokens_per_s / run.gpus / alone, "" if fits else short,
    )  # fmt: skip


def _fits(run: TrainingRun) -> bool:
    """Within 94% of the memory: the rest is context and fragments."""
    return training_memory(run).total <= 0.94 * run.gpu.memory_bytes


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
