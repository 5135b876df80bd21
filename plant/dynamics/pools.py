"""Nodes of a pool taken out for want of load, and brought back.

A parked node serves nothing and draws what it draws at rest: its host and idle GPUs (a DGX H100 2.8 kW of 10.2). It is
not switched off, so that it is back as soon as its engine has started and its weights are loaded. Requests in flight are
not modelled one by one: real engines finish them first, which takes some seconds to minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plant.specs import NodeSpec
from setpoint.errors import ConfigError

if TYPE_CHECKING:
    from plant.sim import Plant

ENGINE_START_S = 60.0
"""Process, context, profiling and graph capture of an engine besides its weights: vLLM tells 30 to 90 s for models of 8 to
70 billion parameters [remembered]."""
UNKNOWN_LOAD_S = 60.0
"""Time to load weights of a pool that the site file does not describe."""
SERVES, PARKED, RETURNING = 0.0, 1.0, 2.0


def come_back_s(plant: Plant, pool: str) -> float:
    """Seconds from the wish until a parked node of the pool serves: its engine starts and its weights are read from its
    own drives (`plant.inference.way.load_times_s`), over the fastest path it has."""
    from plant.inference.way import load_times_s

    try:
        deployment = plant.site.deployment(pool)
        times_s = load_times_s(deployment, plant.site.spec(plant.site.pool(pool).nodes[0], NodeSpec))
    except ConfigError:
        return ENGINE_START_S + UNKNOWN_LOAD_S
    return ENGINE_START_S + min(times_s.values(), default=UNKNOWN_LOAD_S)


def serve_with(plant: Plant, pool: str, nodes: int) -> None:
    """Let the first so many sound nodes of the pool serve, in the order of its file, and park the others. What an operator
    drained, and what is broken, is left as it is and counts for none."""
    plant.state[pool]["serving_nodes"] = float(nodes)
    wanted = 0
    for node in plant.pool_nodes(pool):
        parked, drained = plant.number(node, "parked"), plant.number(node, "drained")
        sound = plant.number(node, "up") > 0.5 and plant.number(node, "gpus_ok") >= plant.number(node, "gpus")
        if not sound or (drained > 0.5 and parked == SERVES):
            continue
        wanted += 1
        if wanted > nodes:
            _park(plant, node)
        elif parked == PARKED:
            _bring_back(plant, node, come_back_s(plant, pool))


def _park(plant: Plant, node: str) -> None:
    for column, value in (("drained", 1.0), ("parked", PARKED)):
        plant.move_at(node, column, value)


def _bring_back(plant: Plant, node: str, after_s: float) -> None:
    plant.move_at(node, "parked", RETURNING)
    for column in ("drained", "parked"):
        plant.move_at(node, column, SERVES, after_s)
