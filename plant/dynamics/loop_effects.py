"""What the actions of control loops do to the plant, by name in the catalog (tools/actions.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from plant.dynamics.pools import serve_with
from plant.dynamics.state import State

if TYPE_CHECKING:
    from plant.sim import Plant

Args = Mapping[str, float | int | str | bool]
Effect = Callable[["Plant", State, str, Args], None]


def _scale_pool(plant: Plant, state: State, name: str, args: Args) -> None:
    serve_with(plant, name, int(args["nodes"]))


def _lock_pool_clock(plant: Plant, state: State, name: str, args: Args) -> None:
    """A pool's clock is that of its nodes, parked ones included."""
    for target in (name, *plant.pool_nodes(name)):
        plant.state[target]["clock_lock_mhz"] = float(args["clock_mhz"])


def _job(running: float) -> Effect:
    """A job runs on all its nodes or on none. A node whose job nobody numbers stands for itself."""

    def move(plant: Plant, state: State, name: str, args: Args) -> None:
        nodes, number = plant.store.tables.gpu_node, plant.number(name, "job")
        state["job_running"] = running
        if number > 0.0:
            nodes["job_running"][nodes["job"] == number] = running

    return move


def _water_temp(plant: Plant, state: State, name: str, args: Args) -> None:
    """Chillers that share a water supply it at one temperature."""
    chillers = plant.store.tables.chiller
    shared = chillers["water"] == plant.number(name, "water")
    chillers["water_setpoint_c"][shared] = float(args["temp_c"])


def _hold_draw(plant: Plant, state: State, name: str, args: Args) -> None:
    """The battery's reserve stays; what is kept for peaks lies above it."""
    state |= {
        "hold_kw": float(args["target_kw"]), "power_setpoint_kw": float(args["base_kw"]),
        "charge_cap_kw": float(args["charge_cap_kw"]), "keep_pct": float(args["keep_pct"]),
        "floor_pct": plant.site.limits.get("soc_reserve_pct", 0.0), "left_s": 60.0 * float(args["duration_min"]),
    }  # fmt: skip


LOOP_EFFECTS: dict[str, Effect] = {
    "pause_job": _job(0.0),
    "resume_job": _job(1.0),
    "scale_pool": _scale_pool,
    "lock_pool_clock": _lock_pool_clock,
    "set_water_temp": _water_temp,
    "hold_draw": _hold_draw,
}
