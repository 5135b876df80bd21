"""The steady state of one instance whose prompts share steps, with prefill and decode clocked apart, in closed form.

`plant.inference.queueing.expect` gives every prompt a step of its own, which is true of long prompts and low rates.
Here prompts that arrive during one step are computed together in the next, as the engine does, so that what a prompt
costs is its marginal time. With a(B) seconds of a step without prompts at batch B and S the marginal seconds of a
prompt, a step takes T = a / (1 - l S) on average, and a batch of B makes l o tokens a second where B = l o T (Little).
For lone prompts this is the fixed point of `expect`. Waiting is that of M/G/1, P(W > t) = r exp(-t / theta) with
theta = E[R^2] / (2 E[R] (1 - l S)) (Pollaczek and Khinchine): R is the time a prompt takes with its part of the step,
r = l E[R] the share of time in steps with prompts, and what delays the next prompt in the long run is S alone. The
step under way comes on top. Block pool and preemption are left out; `plant.inference.engine` is the judge.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from plant.compiled import njit
from plant.inference.cost import step_time_s
from plant.power.gpu import gpu_power_w
from plant.power.use import issued_use

HALVINGS, ROUNDS, CLOSE = 18, 6, 1e-3
"""Halvings of the batch's logarithm: to 1e-4 of it. Rounds of prompts that share a step, until they change by CLOSE."""


class Steady(NamedTuple):
    """What `solve` finds; seconds."""

    batch: float
    """Sequences that decode at once, mean; -1 where the instance cannot keep up."""
    together: float
    """Prompts that share a step, at least 1."""
    step_s: float
    """Of a step without prompts."""
    cycle_s: float
    """Mean time a token: steps with and without prompts."""
    rho: float
    """Share of time that prompts add."""
    filled: float
    """Share of time in steps with prompts."""
    theta_s: float
    """Scale of the wait behind other prompts."""
    square_s2: float
    """Mean square of the time a prompt takes, its part of the steps included."""


@njit(cache=True)
def solve(
    c: Any, prompts: Any, chunk_tokens: float, most_batch: float, context_tokens: float, output_tokens: float,
    rate_rps: float, prefill_pu: float, decode_pu: float,
) -> Any:  # fmt: skip
    """`Steady` as a tuple; `prompts` are equally likely lengths, `c` the cost vector of `step_coefficients`."""
    low, high, batch = 1e-2, most_batch, most_batch
    for _ in range(HALVINGS):
        g, step_s, cycle_s, rho, _filled, _theta_s, _square = at_batch(
            c, prompts, chunk_tokens, batch, context_tokens, rate_rps, prefill_pu, decode_pu
        )
        short = rho >= 1.0 or batch < rate_rps * output_tokens * cycle_s
        if short and batch == most_batch:
            return -1.0, g, step_s, cycle_s, rho, 1.0, 0.0, 0.0
        low, high = (batch, high) if short else (low, batch)
        batch = math.sqrt(low * high)
    g, step_s, cycle_s, rho, filled, theta_s, square = at_batch(
        c, prompts, chunk_tokens, high, context_tokens, rate_rps, prefill_pu, decode_pu
    )
    return high, g, step_s, cycle_s, rho, filled, theta_s, square


@njit(cache=True)
def at_batch(
    c: Any, prompts: Any, chunk_tokens: float, batch: float, context_tokens: float, rate_rps: float,
    prefill_pu: float, decode_pu: float,
) -> Any:  # fmt: skip
    """All of `Steady` but the batch, beside a given one; rho is 1 where prompts fill all time."""
    room = max(chunk_tokens - batch, 1.0)
    step_s = step_time_s(c, 0.0, 0.0, batch, batch * context_tokens, decode_pu)
    together, rho, cycle_s, square, taken = 1.0, 0.0, step_s, 0.0, 0.0
    fill = max(1.0, room / max(prompts.mean(), 1.0))
    for _ in range(ROUNDS):
        mean, square, taken = 0.0, 0.0, 0.0
        for prompt in prompts:
            s = marginal_s(c, prompt, room, batch, context_tokens, together, prefill_pu, step_s)
            whole = s + math.ceil(prompt / room) * step_s / together
            mean += s / prompts.size
            taken += whole / prompts.size
            square += whole * whole / prompts.size
        rho = rate_rps * mean
        if rho >= 0.999:
            if together >= fill:
                return together, step_s, 1e9, 1.0, 1.0, 1e9, square
            together = fill
            continue
        cycle_s = step_s / (1.0 - rho)
        before, together = together, min(max(1.0, rate_rps * cycle_s), fill)
        if abs(together - before) <= CLOSE * before:
            break
    if rho >= 0.999:
        return together, step_s, 1e9, 1.0, 1.0, 1e9, square
    theta_s = square / (2.0 * taken * (1.0 - rho))
    return together, step_s, cycle_s, rho, min(rate_rps * taken, 1.0), theta_s, square


@njit(cache=True)
def marginal_s(
    c: Any, prompt: float, room: float, batch: float, context_tokens: float, together: float, prefill_pu: float,
    step_s: float,
) -> float:  # fmt: skip
    """Seconds a prompt adds to the steps that would be made anyway, where `together` such share each of its steps."""
    steps = math.ceil(prompt / room)
    new = prompt / steps
    shared = max(1.0, min(together, room / new))
    whole_s = step_time_s(
        c, shared * new, shared * new * prompt / 2.0, batch, batch * context_tokens, prefill_pu
    )
    return float(steps * max(whole_s - step_s, 0.0) / shared)


@njit(cache=True)
def alone_s(
    c: Any,
    prompts: Any,
    chunk_tokens: float,
    batch: float,
    context_tokens: float,
    prefill_pu: float,
    step_s: float,
) -> Any:
    """Seconds of the steps that compute each prompt by itself, the running sequences beside it."""
    room = max(chunk_tokens - batch, 1.0)
    found = np.empty(prompts.size)
    for i in range(prompts.size):
        more_s = marginal_s(c, prompts[i], room, batch, context_tokens, 1.0, prefill_pu, step_s)
        found[i] = more_s + math.ceil(prompts[i] / room) * step_s
    return found


@njit(cache=True)
def mean_power_w(
    c: Any, use: Any, power: Any, prompts: Any, chunk_tokens: float, batch: float, together: float,
    context_tokens: float, rate_rps: float, prefill_pu: float, decode_pu: float,
) -> float:  # fmt: skip
    """Mean power of one accelerator: of steps with prompts, of steps without, and of rest.

    Between prompts the instance decodes while any sequence runs; with a mean of B at once, and arrivals at random,
    none does for exp(-B) of the time. `use`, `power`: the vectors of `use_coefficients` and `power_coefficients`.
    """
    room = max(chunk_tokens - batch, 1.0)
    context, joule, seconds = batch * context_tokens, 0.0, 0.0
    for prompt in prompts:
        steps = math.ceil(prompt / room)
        new = prompt / steps
        shared = max(1.0, min(together, room / new))
        pairs = shared * new * prompt / 2.0
        step_s = step_time_s(c, shared * new, pairs, batch, context, prefill_pu)
        u_compute, u_memory = issued_use(use, shared * new, pairs, batch, context, step_s)
        joule += (
            steps / shared * step_s * gpu_power_w(power, 1.0, u_compute, u_memory, prefill_pu) / prompts.size
        )
        seconds += steps / shared * step_s / prompts.size
    least = max(batch, 1.0)
    step_s = step_time_s(c, 0.0, 0.0, least, least * context_tokens, decode_pu)
    u_compute, u_memory = issued_use(use, 0.0, 0.0, least, least * context_tokens, step_s)
    between_w = gpu_power_w(power, 1.0 - math.exp(-batch), u_compute, u_memory, decode_pu)
    return rate_rps * joule + max(0.0, 1.0 - rate_rps * seconds) * between_w


def steady(
    c: Any, prompts: Any, chunk_tokens: int, most_batch: int, context_tokens: float, output_tokens: float,
    rate_rps: float, prefill_pu: float, decode_pu: float,
) -> Steady | None:  # fmt: skip
    """The steady state at that rate; None where the instance cannot keep up."""
    found = Steady(*solve(
        c, np.asarray(prompts, dtype=np.float64), float(chunk_tokens), float(most_batch), context_tokens,
        output_tokens, rate_rps, prefill_pu, decode_pu,
    ))  # fmt: skip
    return None if found.batch < 0.0 else found
