"""A benchmark's closed loop: so many clients, each sending its next request when its last is answered.

Client, queue, prompt slots and running batch are stepped through by one compiled loop that jumps over runs of decode
steps in which nothing joins or leaves. Lengths are spread evenly between the shortest and the longest by a fixed
low-discrepancy sequence, so that the same case always gives the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.compiled import njit
from plant.inference.cost import (
    Calibration,
    EngineCost,
    engine_cost,
    step_coefficients,
    step_time_s,
    step_use,
)
from plant.inference.deployment import Deployment
from plant.inference.memory import plan_memory
from setpoint.errors import ConfigError

MIXED, WHOLE, PROMPT_FIRST = 0, 1, 2
POLICY = {"vllm": MIXED, "trtllm": WHOLE, "sglang": PROMPT_FIRST}
"""Who may share a step. MIXED: prompts are cut to the token budget left by the running sequences (vLLM).
WHOLE: uncut prompts join the running sequences (TensorRT-LLM). PROMPT_FIRST: a step is prompts alone while any wait
(SGLang)."""
GOLDEN, SILVER = 0.6180339887498949, 0.7548776662466927
EVENTS = 200_000


@dataclass(frozen=True)
class ClosedLoop:
    """What a client sees, after the start-up wave has passed unless the run is the wave itself."""

    ttft_ms: float
    """Mean time to first token."""
    ttft_median_ms: float
    tpot_ms: float
    """Mean over requests of (last - first token) / (tokens - 1)."""
    itl_median_ms: float
    """Median gap between two tokens."""
    e2e_ms: float
    output_tok_s: float
    """Over the whole run, its filling and emptying included."""
    batch: float
    """Mean sequences that decode in a step."""
    prefill_share: float
    """Share of time in steps that hold prompt tokens."""
    u_compute: float
    u_memory: float
    steps: int


ABSENT, WAITING, PROMPT, DECODE = 0, 1, 2, 3


@njit(cache=True)
def _lengths(request: int, isl_low: float, isl: float, osl_low: float, osl: float) -> tuple[float, float]:
    """Prompt and answer of the n-th request, tokens: two additive recurrences, each even over its range."""
    u = ((request + 1) * GOLDEN) % 1.0
    v = ((request + 1) * SILVER) % 1.0
    return isl_low + u * (isl - isl_low), math.floor(osl_low + v * (osl - osl_low) + 0.5)


@njit(cache=True)
def _take_prompts(
    state: Any, left: Any, fresh: Any, prompt: Any, take: Any, budget: float, whole: bool
) -> tuple[float, float]:
    """Prompt tokens each slot gets in this step, begun prompts first; returns their sum and query-key pairs."""
    tokens = 0.0
    pairs = 0.0
    for begun_only in (True, False):
        for s in range(len(state)):
            if state[s] != PROMPT or (left[s] < fresh[s]) != begun_only:
                continue
            take[s] = 0.0
            n = left[s]
            if n > budget and (not whole or tokens == 0.0):
                n = n if whole else budget
            elif n > budget:
                continue
            if n <= 0.0:
                continue
            take[s] = n
            budget -= n
            tokens += n
            pairs += n * (prompt[s] - left[s] + 0.5 * n)
    return tokens, pairs


@njit(cache=True)
def run_closed_loop(
    c: Any, policy: int, chunk: float, max_batch: int, kv_tokens: float, isl: float, isl_low: float, osl: float,
    osl_low: float, cached_pu: float, clients: int, requests: int, client_s: float, clock_pu: float, out: Any
) -> int:  # fmt: skip
    """Steps through `requests` requests; `out` [requests, 4] receives arrival, first token, last token, output length.

    Rows of `out` follow the order of arrival. Times in seconds. Returns the number of steps, and writes totals into
    the spare row `out[requests]`: sum of decode tokens, sum of prompt steps' time, time-weighted compute and memory
    use. Further rows hold the gaps between tokens as (length s, weight), while clients still send: the emptying at the end is
    an artefact of a short run (with one round there is nothing else, so it counts).
    """
    left, fresh, done = np.zeros(clients), np.zeros(clients), np.zeros(clients)
    todo, prompt, take = np.zeros(clients), np.zeros(clients), np.zeros(clients)
    row = np.zeros(clients, dtype=np.int64)
    state = np.zeros(clients, dtype=np.int64)
    queue = np.zeros(requests + clients, dtype=np.int64)
    head, tail, sent, finished, steps, active = 0, 0, 0, 0, 0, 0
    now, free_kv, gaps = 0.0, kv_tokens, requests + 1
    for s in range(min(clients, requests)):
        row[s], state[s], queue[tail] = sent, WAITING, s
        prompt[s], todo[s] = _lengths(sent, isl_low, isl, osl_low, osl)
        tail += 1
        sent += 1
    while finished < requests:
        # admit in order of arrival while a slot and cache for the prompt and half the answer are free
        while head < tail and active < max_batch:
            s = queue[head]
            need = prompt[s] + 0.5 * todo[s]
            if out[row[s], 0] > now or (need > free_kv and active > 0):
                break
            free_kv -= need
            left[s] = fresh[s] = prompt[s] * (1.0 - cached_pu)
            state[s], done[s] = PROMPT, 0.0
            head += 1
            active += 1
        if active == 0:
            now = out[row[queue[head]], 0]
            continue
        batch, context, shortest, prompts = 0.0, 0.0, 1e18, 0
        for s in range(clients):
            if state[s] == DECODE:
                batch += 1.0
                context += prompt[s] + done[s]
                shortest = min(shortest, todo[s] - done[s])
            elif state[s] == PROMPT:
                prompts += 1
        jump, tokens, pairs, decoding = 1.0, 0.0, 0.0, batch
        if prompts > 0:
            if policy == PROMPT_FIRST:
                jump, decoding, context = 0.0, 0.0, 0.0
            tokens, pairs = _take_prompts(
                state, left, fresh, prompt, take, max(chunk - decoding, 1.0), policy == WHOLE
            )
            one = step_time_s(c, tokens, pairs, decoding, context, clock_pu)
        else:
            # nothing joins before the shortest answer ends or the next client comes back: all those steps at once
            jump = shortest
            if head < tail and active < max_batch and out[row[queue[head]], 0] > now:
                one = step_time_s(c, 0.0, 0.0, batch, context, clock_pu)
                jump = min(jump, math.ceil((out[row[queue[head]], 0] - now) / one))
            jump = max(jump, 1.0)
            context += batch * (jump - 1.0) / 2.0
            one = step_time_s(c, 0.0, 0.0, batch, context, clock_pu)
        repeats = max(jump, 1.0)
        uc, um = step_use(c, tokens, pairs, decoding, context, one)
        now += repeats * one
        steps += int(repeats)
        out[requests, 0] += decoding * repeats
        out[requests, 1] += one if prompts > 0 else 0.0
        out[requests, 2] += uc * one * repeats
        out[requests, 3] += um * one * repeats
        if gaps < out.shape[0] and decoding > 0.0 and (sent < requests or requests == clients):
            out[gaps, 0], out[gaps, 1] = one, decoding * repeats
            gaps += 1
        for s in range(clients):
            if state[s] == DECODE:
                done[s] += jump
            elif state[s] == PROMPT and take[s] > 0.0:
                left[s] -= take[s]
                take[s] = 0.0
                if left[s] <= 1e-9:
                    state[s], done[s] = DECODE, 1.0
                    out[row[s], 1] = now
            if state[s] != DECODE or done[s] < todo[s]:
                continue
            out[row[s], 2], out[row[s], 3] = now, todo[s]
            free_kv += prompt[s] + 0.5 * todo[s]
            finished += 1
            active -= 1
            state[s] = ABSENT
            if sent < requests:
                row[s], state[s], queue[tail] = sent, WAITING, s
                out[sent, 0] = now + client_s
                prompt[s], todo[s] = _lengths(sent, isl_low, isl, osl_low, osl)
                tail += 1
                sent += 1
    return steps


def closed_loop(
    d: Deployment,
    isl: float,
    osl: float,
    concurrency: int,
    *,
    spread: float = 0.0,
    cached_pu: float = 0.0,
    rounds: int = 5,
    client_s: float = 0.0,
    clock_pu: float = 1.0,
    profile: str | None = None,
    constants: Calibration | None = None,
) -> ClosedLoop:
    """What `concurrency` clients see that send prompts of `isl` tokens for answers of `osl`.

    `spread`: lengths lie evenly between (1 - spread) and 1 times isl and osl. `rounds`: requests of each client; the
    first round starts all at once and counts in the means, as in the usual benchmark clients. `cached_pu`: share of each
    prompt whose cache is already there. `client_s`: pause of a client between answer and next request. Raises ConfigError where the model or one request does not fit.

    >>> from plant.hardware.gpus import gpu
    >>> from plant.hardware.models import model
    >>> d = Deployment(model=model("llama-3.1-8b"), gpu=gpu("H100"))
    >>> loop = closed_loop(d, 1024, 256, 8)
    >>> 5.0 < loop.tpot_ms < 12.0
    True
    """
    pool = float(plan_memory(d).pool_tokens)
    if isl + osl > pool:
        raise ConfigError(
            f"one request of {isl:.0f} + {osl:.0f} tokens needs more cache than the {pool:.0f} tokens that fit",
            remedy="use shorter requests, more accelerators or narrower weights and cache",
        )
    c = step_coefficients(d, constants, profile)
    soft = engine_cost(profile or d.engine, constants)
    requests = concurrency * rounds
    out = np.zeros((requests + 1 + min(EVENTS, 64 * requests + 1000), 4))
    low = 1.0 - spread
    steps = run_closed_loop(
        c, POLICY[d.engine], float(d.chunk_tokens), d.max_batch, pool, float(isl), low * isl, float(osl), low * osl,
        cached_pu, concurrency, requests, client_s, clock_pu, out,
    )  # fmt: skip
    return _seen(out, requests, steps, soft)


def _seen(out: NDArray[np.float64], requests: int, steps: int, soft: EngineCost) -> ClosedLoop:
    """Means over the requests that `run_closed_loop` wrote down."""
    r, gaps = out[:requests], out[requests + 1 :]
    gaps = gaps[gaps[:, 1] > 0]
    batch = float(out[requests, 0]) / max(steps, 1)
    first_s = soft.first_s + soft.stream_s * batch
    ttft = r[:, 1] - r[:, 0] + first_s
    tpot = (r[:, 2] - r[:, 1]) / np.maximum(r[:, 3] - 1, 1)
    span = float(r[:, 2].max())
    total = out[requests]
    return ClosedLoop(
        ttft_ms=1e3 * float(ttft.mean()), ttft_median_ms=1e3 * float(np.median(ttft)),
        tpot_ms=1e3 * float(tpot.mean()), itl_median_ms=1e3 * _weighted_median(gaps),
        e2e_ms=1e3 * float((r[:, 2] - r[:, 0]).mean() + first_s),
        output_tok_s=float(r[:, 3].sum()) / span, batch=batch,
        prefill_share=float(total[1]) / span, u_compute=float(total[2]) / span, u_memory=float(total[3]) / span,
        steps=steps,
    )  # fmt: skip


def _weighted_median(gaps: NDArray[np.float64]) -> float:
    """The gap that half of all tokens came within."""
    if not len(gaps):
        return 0.0
    ordered = gaps[np.argsort(gaps[:, 0])]
    weight = np.cumsum(ordered[:, 1])
    return float(ordered[np.searchsorted(weight, weight[-1] / 2), 0])
