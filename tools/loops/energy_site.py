"""What the energy loop reads of a site: its pools with what a node of each serves and draws, and the rest of the load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from plant.control.energy.pool_plan import PoolModel
from plant.specs import NodeSpec
from setpoint.contracts.loops import Trouble
from setpoint.contracts.site import Site
from setpoint.errors import SetpointError
from tools.loops.sensing import Sensing, named

RATE = "arrival_rps"
LOAD_MOST_PU = 0.7
"""Where the pool's engine cannot be computed."""
CHAT_SAMPLE, SEED = 4000, 7
ALONE_PU = 0.5
"""Prompts whose own computation takes more of the deadline than this are left out: no load lets them keep it."""
PLACED_REQUESTS, PLACED_RPS, PLACED_MOST = 2000, 16.0, 8
"""Of the made-up chat trace that placements are judged on, and the most instances tried."""
SCALES = (0.7, 1.4)
"""How far a pool's read power may stand from the model's before the reading is doubted."""


@dataclass(frozen=True)
class Known:
    """A pool as it is read."""

    model: PoolModel
    now: tuple[int, float]
    """Nodes that serve, and their clock as a share of the maximum."""


def pools_of(site: Site) -> Sequence[str]:
    """Names of the pools the site file describes."""
    return [pool.name for pool in site.pools]


def model_of(site: Site, sensing: Sensing, pool: str) -> Known | None:
    """The pool's model from its readings; None, with the troubles in `sensing`, where it cannot be planned for."""
    rate = sensing.number(pool, RATE, blocks=False)
    serving = sensing.number(pool, "healthy_nodes", blocks=False)
    if rate is None or serving is None:
        return None
    spec = site.pool(pool)
    node, gpu = site.spec(spec.nodes[0], NodeSpec), site.node_gpu(spec.nodes[0])
    nodes, locked = _able(sensing, spec.nodes), sensing.number(pool, "clock_lock_mhz", blocks=False)
    clock = min(1.0, (locked or gpu.clock_max_mhz) / gpu.clock_max_mhz)
    count = max(1, round(serving))
    if serving < 1:
        sensing.add(Trouble(
            kind="impossible", asset=pool, metric="healthy_nodes", what=f"No node of {pool} serves", blocks=False,
            instead="leaves the pool to its operator", remedy="Look at its nodes and its incident first",
        ))  # fmt: skip
        return None
    unit = max(1, math.ceil(spec.tp * spec.pp * spec.dp / node.gpus))
    plain = PoolModel(pool, max(nodes, count), 1.0, gpu, node, load_most_pu(site, pool), unit=unit)
    model = _with_rate(plain, sensing, count, clock)
    return Known(_with_power(model, sensing, spec.nodes, count, clock, rate), (count, clock))


def _able(sensing: Sensing, nodes: Sequence[str]) -> int:
    """Nodes that serve or are parked: what is down, or lost a GPU, cannot be called back."""
    able = 0
    for name in nodes:
        reading = sensing.ports.read(name)
        values = {} if reading is None else reading.values
        sound = values.get("up", 1.0) > 0.5 and values.get("gpus_ok", 1.0) >= values.get("gpus", 1.0)
        by_hand = values.get("drained", 0.0) > 0.5 and values.get("parked", 1.0) < 0.5
        able += sound and not by_hand
    return able


def _with_rate(model: PoolModel, sensing: Sensing, serving: int, clock_pu: float) -> PoolModel:
    """What a node serves at full clock: as the pool tells it, else by its engine."""
    told = sensing.number(model.name, "rate_rps", blocks=False)
    load = sensing.number(model.name, "load_pu", blocks=False)
    if told is not None and told > 0.0:
        each = told / serving * model.stretch(1.0 if load is None else load, clock_pu)
        return replace(model, node_rps=each)
    each = engine_rps(sensing.ports.site, model.name)
    sensing.add(Trouble(
        kind="missing", asset=model.name, metric="rate_rps", what=f"{model.name} does not tell what it can serve",
        instead=f"takes {each:.1f} requests a second of a node, by its engine", blocks=False,
        remedy="Read the rate the pool can serve",
    ))  # fmt: skip
    return replace(model, node_rps=each)


def _with_power(
    model: PoolModel, sensing: Sensing, nodes: Sequence[str], serving: int, clock_pu: float, rate: float
) -> PoolModel:
    """The model scaled to what its nodes draw now, within reason."""
    read = [sensing.number(name, "power_kw", blocks=False) for name in nodes]
    drawn = [kw for kw in read if kw is not None]
    if len(drawn) < len(nodes):
        return model
    rest_kw = len(nodes) * model.idle_kw
    above = model.power_kw(rate, serving, clock_pu) - model.nodes * model.idle_kw
    scale = (sum(drawn) - rest_kw) / above if above > 1.0 else 1.0
    if not SCALES[0] <= scale <= SCALES[1]:
        return model
    return replace(model, power_scale=scale)


def site_other_kw(site: Site, sensing: Sensing, pools_kw: float) -> float | None:
    """What the site draws besides its pools, kW; None where no feed is read."""
    read = [sensing.number(name, "load_kw", blocks=False) for name in named(site, "feed")]
    drawn = [kw for kw in read if kw is not None]
    if not drawn or len(drawn) < len(read):
        return None
    stored = [sensing.number(name, "power_kw", blocks=False) or 0.0 for name in named(site, "ess")]
    return max(0.0, sum(drawn) + sum(stored) - pools_kw)


# ---- engines ---------------------------------------------------------------------------------------------------


def load_most_pu(site: Site, pool: str) -> float:
    """Load at which the pool's engine still keeps its deadlines, by its profile (`plant.control.energy`) under chat
    lengths; LOAD_MOST_PU where it keeps them at none or cannot be computed."""
    found = _engine(site, pool)
    return LOAD_MOST_PU if found is None else found[0]


def engine_rps(site: Site, pool: str) -> float:
    """Requests a second of one node at full load, by the pool's engine under chat lengths."""
    found = _engine(site, pool)
    spec = site.pool(pool)
    return 1.0 if found is None else found[1] * len(site.instances(spec)) / len(spec.nodes)


def _engine(site: Site, pool: str) -> tuple[float, float] | None:
    spec = site.pool(pool)
    try:
        d = site.deployment(pool)
        return _profiled(d.model_dump_json(), spec.ttft_slo_ms, spec.tpot_slo_ms, len(site.instances(pool)))
    except (SetpointError, ValueError):
        return None


@lru_cache(maxsize=64)
def _profiled(deployment: str, ttft_ms: float, tpot_ms: float, instances: int) -> tuple[float, float] | None:
    """(share of its full load that keeps the deadlines, requests a second at full load) of one instance; None where
    it keeps them at no load."""
    from plant.control.energy.profile import load_of, profile
    from plant.control.energy.steady import alone_s
    from plant.inference.cost import step_coefficients
    from plant.inference.deployment import Deployment
    from plant.inference.trace import CHAT

    d = Deployment.model_validate_json(deployment)
    prompts, answers = CHAT.draw(CHAT_SAMPLE, np.random.default_rng(SEED))
    own_s = alone_s(
        step_coefficients(d), prompts.astype(np.float64), float(d.chunk_tokens), 0.0, 0.0, 1.0, 0.0
    )
    able = (prompts + answers <= d.max_len) & (own_s <= ALONE_PU * ttft_ms / 1000.0)
    if able.sum() < 0.5 * CHAT_SAMPLE:
        return None
    kinds = np.zeros(int(able.sum()), np.int64)
    load = load_of(prompts[able], answers[able], kinds, (ttft_ms / 1000.0,), tpot_ms / 1000.0)
    found = profile(d, load, instances)
    share = found.capacity_rps / found.most_rps
    return (share, found.most_rps) if share > 0 else None


# ---- placement -------------------------------------------------------------------------------------------------


def placements(site: Site) -> tuple[str, ...]:
    """For the pool that takes most requests: prefill and decode together or apart, decode from HBM or SRAM, in a
    sentence each with its figures. Empty where its deadlines are kept by no number tried."""
    if not site.pools:
        return ()
    pool = max(site.pools, key=lambda one: one.share)
    try:
        d = site.deployment(pool.name)
        said = _placed(d.model_dump_json(), pool.ttft_slo_ms, pool.tpot_slo_ms)
    except (SetpointError, ValueError):
        return ()
    return tuple(f"{pool.name}, at {PLACED_RPS:g} requests a second: {one}" for one in said)


@lru_cache(maxsize=16)
def _placed(deployment: str, ttft_ms: float, tpot_ms: float) -> tuple[str, ...]:
    from plant.control.energy.placement import hbm_or_sram, together_or_split
    from plant.hardware.gpus import gpu
    from plant.inference.deployment import Deployment
    from plant.inference.slo import make_slo
    from plant.inference.trace import Lengths, synthetic

    d, slo = Deployment.model_validate_json(deployment), make_slo(ttft_ms / 1000.0, tpot_ms / 1000.0)
    trace = synthetic(PLACED_REQUESTS, PLACED_RPS, SEED, lengths=Lengths(longest=max(1, d.max_len // 2)))
    found = (
        together_or_split(d, trace, slo, PLACED_MOST),
        hbm_or_sram(d, trace, slo, PLACED_MOST, gpu("Groq-LPU-v1")),
    )
    return tuple(str(one) for one in found)
