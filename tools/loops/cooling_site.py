"""What the cooling loop reads of a site: minutes of history as snapshots, and the gear's setpoints as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from plant.control.cooling.layout import FloatArray, Layout
from plant.control.cooling.predictor import Snapshot
from plant.control.watch import bounds_of
from setpoint.contracts.loops import Trouble
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing
from tools.telemetry import History
from tools.windows import BlockHistory

STEP_S = 60.0
LEAST_READ_PU = 0.5
"""Of the nodes on a loop, or the racks of a hall: with fewer read, its hottest says nothing."""
Key = tuple[str, str]


class CoolingSite:
    """Reads for one site. Holds no readings."""

    def __init__(self, ports: LoopPorts, layout: Layout) -> None:
        self.ports, self.layout = ports, layout
        n, halls = layout.nodes, layout.halls
        self._load: list[Key] = [(name, "load_pu") for name in n.names]
        self._die: list[Key] = [(name, "gpu_temp_c") for name in n.names]
        self._loop: dict[str, list[Key]] = {
            metric: [(name, metric) for name in layout.loops.names]
            for metric in ("heat_kw", "flow_lpm", "supply_temp_c", "return_temp_c")
        }
        self._crah: list[list[Key]] = [[(name, "heat_kw") for name in names] for names in halls.crahs]
        self._rack: list[list[Key]] = [[(name, "inlet_temp_c") for name in names] for names in halls.racks]
        self._water: list[list[Key]] = [
            [(name, "water_temp_c") for name in names] for names in layout.waters.chillers
        ]
        groups = (
            self._load,
            self._die,
            *self._loop.values(),
            *self._crah,
            *self._rack,
            *self._water,
            [("site", "wet_bulb_c")],
        )
        self.keys: list[Key] = [key for group in groups for key in group]
        self._place = {key: k for k, key in enumerate(self.keys)}

    # ---- minutes of history ---------------------------------------------------------------------------

    def snapshots(self, since: datetime, until: datetime) -> Iterator[Snapshot]:
        """One a minute after `since`, the last at `until`; NaN where nothing possible was read within that minute."""
        steps = int((until - since).total_seconds() // STEP_S)
        if steps < 1:
            return
        values = self._grid(until, steps)
        for k in range(steps):
            yield self._snapshot(until - timedelta(seconds=(steps - 1 - k) * STEP_S), values[k])

    def _grid(self, until: datetime, steps: int) -> FloatArray:
        """(steps, keys), the last reading of each minute."""
        history = self.ports.history
        if isinstance(history, BlockHistory):
            found = self._of_block(history, until, steps)
        else:
            found = np.stack([self._of_series(history, *key, until, steps) for key in self.keys], axis=1)
        low, high = np.array([bounds_of(metric) for _, metric in self.keys]).T
        with np.errstate(invalid="ignore"):
            return np.where((found >= low) & (found <= high), found, np.nan)

    def _of_series(
        self, history: History, asset: str, metric: str, until: datetime, steps: int
    ) -> FloatArray:
        """(steps,), one metric where readings are not told together."""
        kept = history.series(asset, metric)
        recent = kept.since(until - timedelta(seconds=steps * STEP_S)) if kept is not None else None
        if recent is None or not recent.times:
            return np.full(steps, np.nan)
        order = np.argsort([moment.timestamp() for moment in recent.times], kind="stable")
        times = np.array([recent.times[k].timestamp() for k in order])
        ends = until.timestamp() - np.arange(steps - 1, -1, -1) * STEP_S
        rows = np.searchsorted(times, ends + 1e-6, side="right") - 1
        fresh = (rows >= 0) & (ends - times[rows] < STEP_S)
        return np.where(fresh, np.array(recent.values, dtype=float)[order[rows]], np.nan)

    def _of_block(self, history: BlockHistory, until: datetime, steps: int) -> FloatArray:
        block = history.block(until - timedelta(seconds=steps * STEP_S - 1.0), until)
        place = {key: k for k, key in enumerate(block.keys)}
        columns = np.array([place.get(key, -1) for key in self.keys])
        ends = until.timestamp() - np.arange(steps - 1, -1, -1) * STEP_S
        rows = np.searchsorted(block.times, ends + 1e-6, side="right") - 1
        found = np.full((steps, len(self.keys)), np.nan)
        for k, row in enumerate(rows):
            if row >= 0 and ends[k] - block.times[row] < STEP_S:
                found[k] = np.where(columns >= 0, block.values[row, columns], np.nan)
        return found

    def _snapshot(self, at: datetime, row: FloatArray) -> Snapshot:
        n, loops, halls = self.layout.nodes, self.layout.loops, self.layout.halls
        dies = self._of(row, self._die)
        loop = {metric: self._of(row, keys) for metric, keys in self._loop.items()}
        carried = loop["flow_lpm"] * loops.kj_per_l_k / 60.0 * (loop["return_temp_c"] - loop["supply_temp_c"])
        aired = n.loop < 0
        return Snapshot(
            at, self._of(row, self._load), np.where(np.isfinite(loop["heat_kw"]), loop["heat_kw"], carried),
            loop["flow_lpm"], loop["supply_temp_c"],
            np.array([_top(dies[n.loop == i]) for i in range(len(loops.names))]),
            np.array([_whole(self._of(row, keys)) for keys in self._crah]),
            np.array([_top(self._of(row, keys)) for keys in self._rack]),
            np.array([_top(dies[aired & (n.hall == i)]) for i in range(len(halls.names))]),
            np.array([_top(self._of(row, keys)) for keys in self._water]),
            float(row[self._place["site", "wet_bulb_c"]]),
        )  # fmt: skip

    def _of(self, row: FloatArray, keys: Sequence[Key]) -> FloatArray:
        return np.asarray(row[[self._place[key] for key in keys]], np.float64)

    # ---- gear now -------------------------------------------------------------------------------------

    def gear(self, sensing: Sensing) -> None:
        """Reads setpoints and what they steer into `sensing`. A loop whose readings fail is left to its own control; that
        does not keep the others from being steered."""
        for name in self.layout.loops.names:
            for metric in (
                "flow_setpoint_lpm",
                "supply_setpoint_c",
                "flow_lpm",
                "supply_temp_c",
                "return_temp_c",
            ):
                sensing.number(name, metric, blocks=False)
        for chillers in self.layout.waters.chillers:
            for name in chillers:
                sensing.number(name, "water_setpoint_c", blocks=False)
        for name in (name for names in self.layout.halls.crahs for name in names):
            sensing.number(name, "heat_kw", blocks=False)

    def nodes_lost(self, seen: Snapshot) -> tuple[Trouble, ...]:
        """Loops and halls whose hottest GPU or warmest intake is not known."""
        found = [
            _lost(name, "gpu_temp_c", "too few of its GPU nodes show a temperature")
            for i, name in enumerate(self.layout.loops.names) if not np.isfinite(seen.gpu_c[i])
        ]  # fmt: skip
        found += [
            _lost(self.layout.halls.names[i] or f"hall {i + 1}", "inlet_temp_c", "too few of its racks show an intake temperature")
            for i in range(len(self.layout.halls.names))
            if self.layout.halls.water[i] >= 0 and not np.isfinite(seen.inlet_c[i])
        ]  # fmt: skip
        return tuple(found)


def _top(values: FloatArray) -> float:
    """The greatest of those read; NaN where too few were."""
    read = np.isfinite(values)
    return float(values[read].max()) if len(values) and read.mean() >= LEAST_READ_PU else float("nan")


def _whole(values: FloatArray) -> float:
    """Their sum; NaN where one is missing or there is none."""
    return float(values.sum()) if len(values) else float("nan")


def _lost(asset: str, metric: str, what: str) -> Trouble:
    return Trouble(
        kind="missing", asset=asset, metric=metric, what=f"{asset}: {what} within the last minute",
        instead="leaves it to its local controller", remedy="Check the nodes' sensors and the path of their readings",
        blocks=False,
    )  # fmt: skip
