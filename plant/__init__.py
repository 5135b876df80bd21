"""The model of the plant: hardware, inference, power, cooling, storage and jobs. Knows no language model.

    from plant import load_site, load_of, plan_run, simulate

    site = load_site("hall-1024")
    run = simulate(plan_run(site, load_of(site, None), hours=0.5))
    print(run.totals.pue, run.pools[0].ttft_p99_ms)

Names are imported when they are first used: a site file is read in milliseconds, the compiled kernels take longer.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plant.arrivals import load_of as load_of
    from plant.change import read_changes as read_changes
    from plant.inference.engine import replay as replay
    from plant.inference.sizing import size as size
    from plant.inference.trace import read_trace as read_trace
    from plant.run import Run as Run
    from plant.show import describe as describe
    from plant.sim import Plant as Plant
    from plant.simulation import plan_run as plan_run
    from plant.simulation import simulate as simulate
    from plant.site import Site as Site

_HOMES = {
    "Plant": "plant.sim", "Run": "plant.run", "Site": "plant.site", "describe": "plant.show", "load_of": "plant.arrivals",
    "plan_run": "plant.simulation", "read_changes": "plant.change", "read_trace": "plant.inference.trace",
    "replay": "plant.inference.engine", "simulate": "plant.simulation", "size": "plant.inference.sizing",
}  # fmt: skip
__all__ = [*_HOMES, "load_site"]


def load_site(name: str | Path) -> Site:
    """A site file, or an included site by name (demo, lab-16, hall-1024, gb200-row). Raises ConfigError."""
    from plant import site

    return site.load_site(site.site_file_of(name))


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'plant' has no attribute {name!r}")
