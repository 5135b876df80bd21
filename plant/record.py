"""What a run keeps of each window: the plant as it stands and what its pools did, one row of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.run import FloatArray
from plant.serving import Moment, PoolEngines
from plant.sim import Plant
from plant.site import Site

_TOLD: dict[str, tuple[tuple[str, str], ...]] = {
    "rack": (("power_kw", "rack_kw"), ("inlet_temp_c", "inlet_temp_c")),
    "cdu": (("supply_temp_c", "supply_temp_c"), ("return_temp_c", "return_temp_c"), ("flow_lpm", "flow_lpm")),
    "ess": (("power_kw", "ess_kw"), ("soc_pct", "soc_pct")),
    "site": (("it_kw", "it_kw"), ("grid_kw", "grid_kw"), ("cooling_kw", "cooling_kw"), ("losses_kw", "losses_kw"),
             ("lights_kw", "lights_kw"), ("pue", "pue"), ("ess_kw", "ess_total_kw")),
}  # fmt: skip
"""Columns that a run keeps of every asset of a kind, and what the series is called."""


def facility_kw(site: Any) -> float:
    """IT, cooling, losses and lights, whatever feeds them: grid, storage or UPS batteries."""
    return float(sum(site[part] for part in ("it_kw", "cooling_kw", "losses_kw", "lights_kw")))


class Record:
    """What is kept of each window: one row of a matrix."""

    def __init__(self, plant: Plant, site: Site, count: int) -> None:
        self._plant, self._site = plant, site
        self._keys: list[tuple[str, str]] = []
        self._columns: list[tuple[Any, str]] = []
        for kind, columns in _TOLD.items():
            names = [site.name] if kind == "site" else plant.store.names[kind]
            for column, metric in columns:
                self._columns.append((getattr(plant.store.tables, kind), column))
                self._keys += [(metric, name) for name in names]
        racks = plant.store.names["rack"]
        self._rack_of = plant.store.tables.gpu_node["rack"].astype(np.int64)
        self._keys += [("gpu_temp_c", name) for name in racks]
        self._racks = len(racks)
        self._own: dict[tuple[str, str], FloatArray] = {}
        self._matrix = np.zeros((count, len(self._keys)))
        self._count = count

    def keep(
        self,
        number: int,
        span_s: float,
        pools: list[PoolEngines],
        rows: list[list[int]],
        moments: list[Moment],
        serving: NDArray[np.int64],
    ) -> None:
        """The plant as it stands, and the pools over the window that ended."""
        nodes = self._plant.store.tables.gpu_node
        hottest = np.full(self._racks, -np.inf)
        np.maximum.at(hottest, self._rack_of, nodes["gpu_temp_c"])
        parts = [table[column] for table, column in self._columns]
        self._matrix[number] = np.concatenate([*parts, np.where(np.isfinite(hottest), hottest, np.nan)])
        for pool, mine, moment in zip(pools, rows, moments, strict=True):
            self._pool(number, pool.spec.name, {
                "queue": moment.queue, "running": moment.running, "kv_use_pct": 100 * moment.kv_share,
                "prefill_tokens_per_s": moment.prefill_tokens / span_s,
                "decode_tokens_per_s": moment.decode_tokens / span_s,
                "gpu_power_w": moment.energy_j / span_s / pool.gpu_count, "gpu_peak_w": moment.peak_w,
                "clock_mhz": float(nodes["clock_min_mhz"][mine].min()),
            })  # fmt: skip
        site = self._plant.store.tables.site[0]
        whole_kw = facility_kw(site)
        serving_kw = whole_kw * float(nodes["power_kw"][serving].sum() / max(nodes["power_kw"].sum(), 1e-9))
        self._pool(number, self._site.name, {
            "facility_kw": whole_kw, "serving_kw": serving_kw,
        })  # fmt: skip

    def _pool(self, number: int, asset: str, values: dict[str, float]) -> None:
        for metric, value in values.items():
            if (metric, asset) not in self._own:
                self._own[metric, asset] = np.full(self._count, np.nan)
            self._own[metric, asset][number] = value

    def series(self) -> dict[tuple[str, str], FloatArray]:
        """All that was kept, by metric and asset; what the site file did not name is left out."""
        kept = {key: self._matrix[:, place].copy() for place, key in enumerate(self._keys) if key[1]}
        return {**self._own, **kept}
