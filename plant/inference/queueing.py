"""What an instance under a steady rate should show, in closed form: the fast look before a replay.

Prompts are a queue with one server, M/G/1: each takes the step that computes it, in which the running sequences go on
too. Running sequences are a closed loop: the more decode at once, the longer a step, the more decode at once. The
fixed point of both gives the mean batch and the mean time per token. It leaves out the block pool, preemption and
prompts that share a step; `plant.inference.engine` has them all and is the judge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.inference.cost import engine_cost, step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
HALVINGS = 40
QUANTILES = 48
"""Prompt lengths that stand for the distribution."""


@dataclass(frozen=True)
class Work:
    """What requests bring: equally likely prompt lengths, and the mean answer."""

    prompts: FloatArray
    output_tokens: float
    output_inverse: float
    """Mean of 1 / answer length: short answers feel each prompt most."""

    @property
    def prompt_tokens(self) -> float:
        return float(self.prompts.mean())

    @property
    def context_tokens(self) -> float:
        """Mean length of a sequence while it decodes; long prompts are not longer there than elsewhere."""
        return self.prompt_tokens + self.output_tokens / 2.0


@dataclass(frozen=True)
class Expected:
    """Steady state of one instance."""

    batch: float
    """Sequences that decode at once, mean."""
    tpot_s: float
    tpot_p99_s: float
    """2.33 standard deviations above the mean: of the batch, and of the prompts met while an answer is made."""
    ttft_s: float
    ttft_p99_s: float
    prefill_share: float
    """Share of time in steps with prompt tokens: the utilisation of the queue of prompts."""


def work(prompts: NDArray[Any], outputs: NDArray[Any]) -> Work:
    """Of many requests, their quantiles. Raises UsageError where there is none."""
    if not len(prompts) or len(prompts) != len(outputs):
        raise UsageError("no requests to describe", remedy="Give one prompt and one answer length each")
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found = np.quantile(prompts.astype(np.float64), shares)
    inverse = float((1.0 / outputs.astype(np.float64)).mean())
    return Work(found * (float(prompts.mean()) / float(found.mean())), float(outputs.mean()), inverse)


def capacity_rps(d: Deployment, w: Work, pool_tokens: float = math.inf, clock_pu: float = 1.0) -> float:
    """Requests a second of one instance that always has full steps: the most it can do, whatever the SLO.

    Every step mixes prompts and sequences as the requests do. B sequences in a step of time t finish B / (o t)
    requests a second and need p = B i / o new prompt tokens; B is bounded by batch limit, token budget and pool.
    """
    c = step_coefficients(d)
    i, o = w.prompt_tokens, w.output_tokens
    most = min(float(d.max_batch), d.chunk_tokens / (1.0 + i / o), pool_tokens / w.context_tokens)
    if most < 1.0:
        return 0.0
    pairs = float((w.prompts**2).mean()) / 2.0 / i
    best = 0.0
    for batch in np.geomspace(1.0, most, 12):
        new = batch * i / o
        t = float(step_time_s(c, new, new * pairs, batch, batch * w.context_tokens, clock_pu))
        best = max(best, batch / (o * t))
    return best


def expect(d: Deployment, w: Work, rate_rps: float, clock_pu: float = 1.0) -> Expected | None:
    """The steady state at that rate; None where the instance cannot keep up.

    Mean wait of M/G/1: l E[S^2] / (2 (1 - rho)) (Pollaczek and Khinchine); its tail is taken as exponential with
    P(W > 0) = rho. A prompt longer than the token budget takes several steps. An answer of o tokens meets
    Poisson(l o t) prompts, each of which holds it up for S: a variance of l t E[S^2] / o per token.
    """
    if not rate_rps > 0:
        raise UsageError(f"a rate of {rate_rps}", remedy="Give requests a second, above 0")
    c = step_coefficients(d)
    batch = _fixed_point(c, d, w, rate_rps, clock_pu)
    if batch is None:
        return None
    service = _service_s(c, d, w, batch, clock_pu)
    rho = rate_rps * float(service.mean())
    decode_s = _decode_s(c, w, batch, clock_pu)
    wait_s = rate_rps * float((service**2).mean()) / (2 * (1 - rho)) + (1 - rho) * decode_s / 2
    tail_s = wait_s / rho * max(0.0, math.log(100.0 * rho))
    first_s = engine_cost(d.engine).first_s
    longest_s = float(np.quantile(service, 0.99))
    tpot_s = batch / (rate_rps * w.output_tokens)
    by_batch_s = tpot_s * (_decode_s(c, w, batch + math.sqrt(batch), clock_pu) / decode_s - 1)
    by_prompts_s = math.sqrt(rate_rps * tpot_s * float((service**2).mean()) * w.output_inverse)
    return Expected(
        batch=batch,
        tpot_s=tpot_s,
        tpot_p99_s=tpot_s + 2.33 * math.hypot(by_batch_s, by_prompts_s),
        ttft_s=wait_s + float(service.mean()) + first_s,
        ttft_p99_s=max(longest_s + wait_s, tail_s + float(service.mean())) + first_s,
        prefill_share=rho,
    )


def _fixed_point(c: FloatArray, d: Deployment, w: Work, rate_rps: float, clock_pu: float) -> float | None:
    """Batch at which tokens made equal tokens asked for, by halving; made tokens grow with the batch."""

    def short(batch: float) -> bool:
        rho = rate_rps * float(_service_s(c, d, w, batch, clock_pu).mean())
        steps = rate_rps + max(0.0, 1.0 - rho) / _decode_s(c, w, batch, clock_pu)
        return rho >= 1.0 or batch * steps < rate_rps * w.output_tokens

    low, high = 1e-3, float(d.max_batch)
    if short(high):
        return None
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if short(middle) else (low, middle)
    return high


def _service_s(c: FloatArray, d: Deployment, w: Work, batch: float, clock_pu: float) -> FloatArray:
    """Seconds of the steps that compute each prompt beside `batch` running sequences."""
    room = max(d.chunk_tokens - batch, 1.0)
    found = []
    for prompt in w.prompts:
        steps = math.ceil(prompt / room)
        new = prompt / steps
        one = step_time_s(c, new, new * prompt / 2.0, batch, batch * w.context_tokens, clock_pu)
        found.append(steps * float(one))
    return np.array(found)


def _decode_s(c: FloatArray, w: Work, batch: float, clock_pu: float) -> float:
    return float(step_time_s(c, 0.0, 0.0, batch, batch * w.context_tokens, clock_pu))
