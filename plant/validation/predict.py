"""What the model says of a case, in the metrics the case was measured in."""

from __future__ import annotations

from plant.inference.closed_loop import closed_loop
from plant.inference.cost import Calibration, engine_cost, step_coefficients, step_time_s
from plant.inference.deployment import Deployment
from plant.inference.memory import plan_memory
from plant.validation.cases import Case, Unusable
from setpoint.errors import ConfigError

CONTEXT_PER_STEP = 0.5
"""Mean share of an answer that stands in the cache while it is written."""


def predict(case: Case, constants: Calibration | None = None) -> dict[str, float]:
    """The modelled value of every measured metric. Raises Unusable where the row cannot run as described."""
    try:
        if case.scenario in ("Offline", "Server", "Interactive"):
            return best_throughput(case, constants)
        if case.decode is not None:
            return apart(case, constants)
        if "prompt_ms" in case.measured:
            return static_batch(case, constants)
        return saturated(case, constants)
    except ConfigError as why:
        raise Unusable(f"{case.model} on {case.gpu} does not fit as described") from why


def saturated(case: Case, constants: Calibration | None) -> dict[str, float]:
    """A closed loop on one instance."""
    longest = 1 / (1 - case.spread / 2) if case.mean_lengths else 1.0
    seen = closed_loop(
        case.deployment, case.isl * longest, case.osl * longest, case.concurrency, spread=case.spread,
        cached_pu=case.cached_pu, rounds=case.rounds, profile=case.profile, constants=constants,
    )  # fmt: skip
    every = {
        "ttft_ms": seen.ttft_ms, "tpot_ms": seen.tpot_ms, "itl_ms": seen.itl_median_ms,
        "output_tok_s": seen.output_tok_s, "e2e_ms": seen.e2e_ms,
    }  # fmt: skip
    return {name: every[name] for name in case.measured}


def static_batch(case: Case, constants: Calibration | None) -> dict[str, float]:
    """All prompts, then all answers, in step: the way Splitwise measured."""
    d, n = case.deployment, float(case.concurrency)
    c = step_coefficients(d, constants, case.profile)
    _must_hold(d, n * (case.isl + case.osl))
    prompt = step_time_s(c, n * case.isl, n * case.isl * case.isl / 2, 0.0, 0.0, 1.0)
    token = step_time_s(c, 0.0, 0.0, n, n * (case.isl + CONTEXT_PER_STEP * case.osl), 1.0)
    first = engine_cost(case.profile or d.engine, constants).first_s
    return {"prompt_ms": 1e3 * (prompt + first), "token_ms": 1e3 * token}


def apart(case: Case, constants: Calibration | None) -> dict[str, float]:
    """Prompt workers, a transfer of the cache, answer workers: the fixed point of one closed loop through all three.

    Clients are either at the prompt workers (waiting or served) or at the answer workers. The prompt workers are one
    queue whose wait, for a finite number of clients, is that of all others there (mean value analysis, Reiser and
    Lavenberg 1980): ttft = service * (1 + others there / workers).
    """
    pre, dec = case.deployment, case.decode
    assert dec is not None
    c_pre, c_dec = step_coefficients(pre, constants), step_coefficients(dec, constants)
    mean = 1 - case.spread / 2
    isl, osl, clients = case.isl * mean, case.osl * mean, float(case.concurrency)
    serve = step_time_s(c_pre, isl, isl * isl / 2, 0.0, 0.0, 1.0) / pre.pp
    latency = serve * pre.pp + isl * pre.model.kv_bytes_per_token(pre.kv) / (
        pre.gpu.network_bytes_per_s * pre.tp
    )
    first = engine_cost(pre.engine, constants).first_s
    ttft, tpot = latency, 0.02
    for _ in range(200):
        cycle = ttft + first + tpot * (osl - 1)
        there = clients * ttft / cycle
        batch = clients * tpot * (osl - 1) / cycle / case.decode_workers
        tpot = step_time_s(c_dec, 0.0, 0.0, batch, batch * (isl + CONTEXT_PER_STEP * osl), 1.0)
        others = there * (clients - 1) / clients / case.prefill_workers
        ttft = 0.5 * ttft + 0.5 * (latency + serve * max(others - serve / max(ttft, 1e-9), 0.0))
    wave = 0.5 * (clients / case.prefill_workers) * serve / case.rounds
    return {"ttft_ms": 1e3 * (ttft + wave + first), "tpot_ms": 1e3 * tpot}


def _must_hold(d: Deployment, tokens: float) -> None:
    if plan_memory(d).pool_tokens < tokens:
        raise Unusable("the batch does not fit the cache, so the run was cut up")


BATCHES = (16, 32, 64, 128, 256, 512, 1024, 2048)
"""Concurrencies a submitter is taken to have tried."""
TAIL = 0.85
"""Share of a 99th-percentile limit that the mean may reach."""


def best_throughput(case: Case, constants: Calibration | None) -> dict[str, float]:
    """Output tokens a second of the best split of a whole system, within the scenario's limits on latency.

    Equal instances of tp accelerators each; `case.concurrency` holds the number of accelerators.
    """
    total = case.concurrency
    best = 0.0
    for tp in (1, 2, 4, 8):
        if total % tp:
            continue
        d = case.deployment.model_copy(update={"tp": tp})
        best = max(best, total / tp * _instance_throughput(case, d, constants))
    if best <= 0:
        raise Unusable(f"{case.model} on {case.gpu} does not fit as described")
    return {"output_tok_s": best}


def _instance_throughput(case: Case, d: Deployment, constants: Calibration | None) -> float:
    """Tokens a second of one instance at the best concurrency that keeps the limits; 0 where it does not fit."""
    best = 0.0
    for clients in BATCHES:
        try:
            seen = closed_loop(d, case.isl / 0.75, case.osl / 0.75, clients, spread=case.spread, rounds=case.rounds,
                               profile=case.profile, constants=constants)  # fmt: skip
        except ConfigError:
            return best
        if case.limits and seen.tpot_ms > TAIL * case.limits[1]:
            break
        if seen.output_tok_s < 0.99 * best:
            break
        best = max(best, seen.output_tok_s)
    return best
