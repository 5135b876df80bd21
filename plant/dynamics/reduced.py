"""A small twin of the part of a site that a fault or an action touches, for runs by the hundred.

Nodes that are alike (same loop or hall, pool, hardware, caps and health) become one row that stands for all of them,
on one virtual rack; loop, pumps, pool, room and water stay; what lies outside is held at what it drew and gave off at
the start. Physics is the same kernel as the whole site's, so the two agree where the nodes are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plant.dynamics import kernel
from plant.dynamics.columns import COLUMNS, dtype
from plant.dynamics.store import Edges, Store, lists
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
Change = tuple[float, str, str, float]
"""After so many seconds, on this asset, this column, to this value."""
POWER_KINDS = ("feed", "ups", "pdu", "ats", "ess")
_SUMMED = {"crah": ("capacity_kw", "fan_rated_kw"), "chiller": ("capacity_kw", "fan_rated_kw")}
_CONTROLS = (
    "up",
    "drained",
    "gpus_ok",
    "power_cap_w",
    "clock_lock_mhz",
    "job_running",
    "driven",
    "link_pu",
    "fan_pu",
)
_RACK_CONTROLS = ("valve_open", "passage_pu", "leak", "shed_kw", "recirculation_pu", "fed")
_GPU_CONTROLS = ("ok", "tripped", "thermal_pu", "clock_stuck_mhz", "hard")


@dataclass
class Reduced:
    """The twin. `run` starts from the state it was made in, each time anew."""

    store: Store
    rows: dict[str, list[tuple[str, int]]]
    """Asset to the rows that carry it; a node that shares its row with others stands there too."""
    groups: dict[str, tuple[str, ...]]
    """Nodes of each row of nodes, by the name of the first."""
    labels: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, plant: Any, asset: str) -> Self:
        """The subtree around an asset of a `plant.sim.Plant`: its loop, or its hall where air cools it; the whole
        site, grouped, for chillers and the power chain. Raises KeyError for an asset that is not on the site."""
        return cls(*_Reduction(plant, plant._name(asset)).made())

    @property
    def states(self) -> int:
        """Numbers that carry the twin from one step to the next: temperatures, flows, fills, charges, queues."""
        sizes = {"gpu": 2, "rack": 2, "cdu": 3, "water": 1, "hall": 1, "pool": 2, "ups": 1, "ess": 1}
        return sum(count * len(getattr(self.store.tables, kind)) for kind, count in sizes.items())

    def run(
        self,
        seconds: float,
        step_s: float = 5.0,
        changes: Iterable[Change] = (),
        every_s: float | None = None,
    ) -> dict[str, FloatArray]:
        """Arrays by "asset.metric", with "time_s" and "gpu_temp_c", the hottest die of all.

        `every_s` is the distance of the samples, a multiple of `step_s`; None: each step. Raises UsageError for a
        change that the twin cannot make.
        """
        store = self.store.copy()
        names, probes = self._probes(store)
        per = max(1, round((every_s or step_s) / step_s))
        rows = int(seconds / (per * step_s) + 1e-9)
        history, done = np.zeros((rows, len(names))), 0
        for at_s, asset, column, value in (*sorted(changes), (seconds, "", "", 0.0)):
            upto = min(rows, round(at_s / (per * step_s)))
            if upto > done:
                _move(store, step_s, (upto - done) * per, probes, per, history[done:upto])
                done = upto
            if asset:
                self._change(store, asset, column, value)
        dies = [k for k, name in enumerate(names) if name.endswith(".gpu_temp_c")]
        found: dict[str, FloatArray] = {
            "time_s": np.arange(1, rows + 1, dtype=np.float64) * (per * step_s),
            "gpu_temp_c": history[:, dies].max(axis=1) if dies else np.zeros(rows),
        }
        return found | {name: history[:, k] for k, name in enumerate(names)}

    def _probes(self, store: Store) -> tuple[list[str], NDArray[np.int64]]:
        wanted = {
            "gpu_node": ("gpu_temp_c", "clock_mhz", "power_kw", "throttled"),
            "rack": ("inlet_temp_c", "outlet_temp_c"),
            "cdu": ("flow_lpm", "supply_temp_c", "return_temp_c", "heat_kw"),
            "hall": ("temp_c",),
            "pool": ("queue", "ttft_ms", "kv_use_pct"),
            "ess": ("soc_pct",),
        }
        names, offsets = [], []
        for label, (kind, row) in self.labels.items():
            for metric in wanted.get(kind, ()):
                names.append(f"{label}.{metric}")
                offsets.append(store.offset(kind, row, metric))
        for metric in ("grid_kw", "cooling_kw", "it_kw"):
            names.append(f"site.{metric}")
            offsets.append(store.offset("site", 0, metric))
        return names, np.array(offsets, dtype=np.int64)

    def _change(self, store: Store, asset: str, column: str, value: float) -> None:
        for kind, row in self._targets(asset, column):
            rows = getattr(store.tables, kind)
            if kind == "gpu_node" and column in _GPU_CONTROLS:
                first, count = int(rows["gpu_first"][row]), int(rows["gpu_rows"][row])
                store.tables.gpu[column][first : first + count] = value
            else:
                rows[column][row] = value

    def _targets(self, asset: str, column: str) -> list[tuple[str, int]]:
        """Rows that a change falls on. Raises UsageError where it would fall on more than was named."""
        found = self.rows.get(asset, [])
        own = [(kind, row) for kind, row in found if column in (dtype(kind).names or ())
               or (kind == "gpu_node" and column in _GPU_CONTROLS)]  # fmt: skip
        if not own:
            raise UsageError(
                f"{column} of {asset} is not in this twin",
                remedy="Make the twin around that asset, or run the whole plant",
            )
        for kind, row in own:
            alike = self.groups.get(f"{kind}:{row}", ())
            if asset in alike and len(alike) > 1:
                raise UsageError(
                    f"{asset} is one of {len(alike)} that share a row", remedy=f"Make the twin around it: Reduced.of(plant, {asset!r})"
                )  # fmt: skip
        return own


_NO_RAMPS = np.zeros((0, 5))


def _move(store: Store, step_s: float, steps: int, probes: Any, every: int, history: FloatArray) -> None:
    kernel.run(
        store.tables, store.edges, store.values, step_s, steps, False, _NO_RAMPS, probes, every, history
    )


class _Reduction:
    """Chooses what is in, groups it, and adds up rows."""

    def __init__(self, plant: Any, asset: str) -> None:
        self.plant, self.asset = plant, asset
        self.full: Store = plant.store
        self.t, self.e = self.full.tables, self.full.edges
        self.kind, self.row = self.full.rows.get(asset, ("", -1))
        self.whole_chain = self.kind in POWER_KINDS
        self.racks = self._racks()
        self.nodes = [i for i in range(len(self.t.gpu_node)) if int(self.t.gpu_node["rack"][i]) in self.racks]
        self.pools_of = {
            i: tuple(p for p in range(len(self.t.pool)) if i in self._below("pool_node", p))
            for i in self.nodes
        }
        keys = {i: self._node_key(i) for i in self.nodes}
        self.rack_groups = self._grouped(self.racks, lambda r: self._rack_key(r, keys))
        self.rack_row = {r: i for i, group in enumerate(self.rack_groups) for r in group}
        self.node_groups = self._grouped(self.nodes, lambda i: (self.rack_row[self._rack_of([i])], keys[i]))

    # ---- what is in -----------------------------------------------------------------------------------

    def _racks(self) -> list[int]:
        """Racks on the loop (or in the hall) of the asset; all where it touches all."""
        every = range(len(self.t.rack))
        rack, node_rack = self.t.rack, self.t.gpu_node["rack"]
        starts: dict[str, Callable[[], list[int]]] = {
            "gpu_node": lambda: [int(node_rack[self.row])],
            "rack": lambda: [self.row],
            "cdu": lambda: [r for r in every if rack["cdu"][r] == self.row],
            "pump": lambda: [r for r in every if rack["cdu"][r] == self.t.pump["cdu"][self.row]],
            "crah": lambda: [r for r in every if rack["hall"][r] == self.t.crah["hall"][self.row]],
            "hall": lambda: [r for r in every if rack["hall"][r] == self.row],
            "pool": lambda: sorted({int(node_rack[n]) for n in self._below("pool_node", self.row)}),
        }
        chosen: Callable[[], list[int]] = starts.get(self.kind, lambda: list(every))
        first = chosen()
        loops = {float(rack["cdu"][r]) for r in first if rack["cdu"][r] >= 0}
        halls = {float(rack["hall"][r]) for r in first if rack["cdu"][r] < 0}
        same = [
            r for r in every if rack["cdu"][r] in loops or (rack["cdu"][r] < 0 and rack["hall"][r] in halls)
        ]
        return same or list(every)

    def _below(self, name: str, row: int) -> list[int]:
        at = getattr(self.e, f"{name}_at")
        return [int(i) for i in getattr(self.e, name)[at[row] : at[row + 1]]]

    def _node_key(self, i: int) -> tuple[Any, ...]:
        """Nodes with equal keys behave alike in the same rack."""
        n = self.t.gpu_node[i]
        gpus = self.t.gpu[int(n["gpu_first"]) : int(n["gpu_first"] + n["gpu_rows"])]
        classes = tuple(sorted(tuple(float(g[c]) for c in _GPU_CONTROLS) for g in gpus))
        load = (round(float(n["busy"]), 3),) if n["driven"] > 0 else ()
        focus = self.kind == "gpu_node" and i == self.row
        return (focus, float(n["hw"]), self.pools_of[i], classes, *(float(n[c]) for c in _CONTROLS), *load)

    def _rack_key(self, rack: int, keys: dict[int, tuple[Any, ...]]) -> tuple[Any, ...]:
        """Racks with equal keys hold equal nodes on the same loop and room."""
        r = self.t.rack[rack]
        chain = tuple(self._below("rack_pdu", rack)) if self.whole_chain else ()
        inside = tuple(sorted(repr(keys[i]) for i in self.nodes if self._rack_of([i]) == rack))
        place = (float(r["cdu"]), float(r["hall"]), float(r["share"]))
        return (
            self.kind == "rack" and rack == self.row,
            *place,
            chain,
            inside,
            *(float(r[c]) for c in _RACK_CONTROLS),
        )

    @staticmethod
    def _grouped(rows: Iterable[int], key: Any) -> list[list[int]]:
        groups: dict[Any, list[int]] = {}
        for row in rows:
            groups.setdefault(key(row), []).append(row)
        return list(groups.values())

    def _alike(self, kind: str, rows: Sequence[int], shared: Sequence[str]) -> list[list[int]]:
        """Handlers or chillers in the same state, the named one apart."""
        data = getattr(self.t, kind)
        return self._grouped(
            rows, lambda i: (kind == self.kind and i == self.row, *(float(data[c][i]) for c in shared))
        )

    # ---- rows -----------------------------------------------------------------------------------------

    def made(
        self,
    ) -> tuple[
        Store, dict[str, list[tuple[str, int]]], dict[str, tuple[str, ...]], dict[str, tuple[str, int]]
    ]:
        t = self.t
        cdus = sorted({int(c) for c in t.rack["cdu"][self.racks] if c >= 0})
        halls = sorted({int(h) for h in t.rack["hall"][self.racks]})
        crahs = self._alike("crah", [i for i in range(len(t.crah)) if int(t.crah["hall"][i]) in halls],
                            ("hall", "water", "running", "fan_pu", "fan_setpoint_pu", "supply_temp_c"))  # fmt: skip
        waters = sorted({int(t.cdu["water"][c]) for c in cdus} | {int(t.crah["water"][g[0]]) for g in crahs})
        chillers = self._alike("chiller", [i for i in range(len(t.chiller)) if int(t.chiller["water"][i]) in waters],
                               ("water", "dry", "running", "capacity_pu", "fouling_pu", "cop_design",
                                "water_setpoint_c"))  # fmt: skip
        pumps = [i for i in range(len(t.pump)) if int(t.pump["cdu"][i]) in cdus]
        pools = [p for p in range(len(t.pool)) if set(self._below("pool_node", p)) & set(self.nodes)]
        chain = {k: list(range(len(getattr(t, k)))) for k in (*POWER_KINDS,)}
        self.kept: dict[str, list[list[int]]] = {
            "rack": self.rack_groups, "cdu": [[c] for c in cdus],
            "pump": [[p] for p in pumps], "water": [[w] for w in waters], "chiller": chillers, "crah": crahs,
            "hall": [[h] for h in halls], "pool": [[p] for p in pools], "gpu_node": self.node_groups,
            "site": [[0]], "ess": [[b] for b in chain["ess"]],
        }  # fmt: skip
        for kind in ("feed", "ups", "pdu", "ats"):
            together = [chain[kind]] if chain[kind] and kind != "ats" else []
            self.kept[kind] = [[i] for i in chain[kind]] if self.whole_chain else together
        self._classes()
        sizes = {kind: len(self.kept.get(kind, [])) for kind in COLUMNS} | {"gpu": len(self.gpu_rows)}
        self.new = Store.blank(sizes, self._edges())
        self.new.gpus = self.full.gpus
        self._fill()
        self._calibrate()
        return self.new, self._named(), self._groups(), self._labels()

    def _rack_of(self, group: Sequence[int]) -> int:
        return int(self.t.gpu_node["rack"][group[0]])

    def _classes(self) -> None:
        """Accelerators of a node row: one row for each class, with how many it stands for."""
        self.gpu_rows: list[tuple[int, float]] = []
        self.gpu_first: list[tuple[int, int]] = []
        for group in self.node_groups:
            n = self.t.gpu_node[group[0]]
            rows = range(int(n["gpu_first"]), int(n["gpu_first"] + n["gpu_rows"]))
            classes = self._grouped(rows, lambda k: tuple(float(self.t.gpu[c][k]) for c in _GPU_CONTROLS))
            self.gpu_first.append((len(self.gpu_rows), len(classes)))
            self.gpu_rows += [(members[0], float(len(members))) for members in classes]

    def _edges(self) -> Any:
        k = self.kept
        cdu_of = [int(self.t.rack["cdu"][g[0]]) for g in k["rack"]]
        hall_of = [int(self.t.rack["hall"][g[0]]) for g in k["rack"]]
        where = {kind: {old: i for i, g in enumerate(groups) for old in g} for kind, groups in k.items()}
        pdus = where["pdu"]
        found = lists(
            rack_pdu=[sorted({pdus[p] for p in self._below("rack_pdu", g[0])}) for g in k["rack"]],
            pool_node=[
                [i for i, g in enumerate(self.node_groups) if g[0] in self._below("pool_node", p[0])] for p in k["pool"]
            ],
            node_switch=[[] for _ in self.node_groups],
            cdu_rack=[[i for i, c in enumerate(cdu_of) if c == g[0]] for g in k["cdu"]],
            cdu_pump=[[i for i, p in enumerate(k["pump"]) if self.t.pump["cdu"][p[0]] == g[0]] for g in k["cdu"]],
            hall_rack=[[i for i, h in enumerate(hall_of) if h == g[0]] for g in k["hall"]],
            hall_crah=[[i for i, c in enumerate(k["crah"]) if self.t.crah["hall"][c[0]] == g[0]] for g in k["hall"]],
            water_chiller=[
                [i for i, c in enumerate(k["chiller"]) if self.t.chiller["water"][c[0]] == g[0]] for g in k["water"]
            ],
        )  # fmt: skip
        self.where = where
        empty = {"link_share": np.zeros(0), "uplinks": np.zeros(0, np.int64)}
        return Edges(**found, **empty, power=self.e.power)

    def _fill(self) -> None:
        for kind, groups in self.kept.items():
            old, new = getattr(self.t, kind), getattr(self.new.tables, kind)
            for i, members in enumerate(groups):
                new[i] = old[members[0]]
                for column in _SUMMED.get(kind, ()):
                    new[column][i] = old[column][members].sum()
        for i, (row, count) in enumerate(self.gpu_rows):
            self.new.tables.gpu[i] = self.t.gpu[row]
            self.new.tables.gpu["count"][i] = count
        self._fill_nodes()
        self._fill_chain()
        for kind, column, other in (
            ("cdu", "water", "water"), ("pump", "cdu", "cdu"), ("chiller", "water", "water"), ("crah", "water", "water"),
            ("crah", "hall", "hall"), ("rack", "hall", "hall"), ("rack", "cdu", "cdu"),
        ):  # fmt: skip
            self._renumber(kind, column, other)

    def _renumber(self, kind: str, column: str, other: str) -> None:
        rows = getattr(self.new.tables, kind)
        rows[column] = [float(self.where.get(other, {}).get(int(v), -1)) for v in rows[column]]

    def _fill_nodes(self) -> None:
        """Means of temperatures, sums of what adds up."""
        t, n, r = self.t, self.new.tables.gpu_node, self.new.tables.rack
        for i, racks in enumerate(self.rack_groups):
            for column in ("share", "design_lpm", "kj_per_k", "flow_lpm", "power_kw", "liquid_kw", "air_kw"):
                r[column][i] = float(t.rack[column][racks].sum())
            for column in ("outlet_temp_c", "inlet_temp_c", "plate_c", "film"):
                r[column][i] = float(t.rack[column][racks].mean())
        for i, group in enumerate(self.node_groups):
            first, count = self.gpu_first[i]
            n["count"][i], n["rack"][i] = len(group), self.rack_row[self._rack_of(group)]
            n["gpu_first"][i], n["gpu_rows"][i] = first, count
            for k in range(first, first + count):
                sample = self.gpu_rows[k][0] - int(t.gpu_node["gpu_first"][group[0]])
                rows = t.gpu_node["gpu_first"][group].astype(int) + sample
                self.new.tables.gpu["die_c"][k] = float(t.gpu["die_c"][rows].mean())
                self.new.tables.gpu["plate_c"][k] = float(t.gpu["plate_c"][rows].mean())

    def _fill_chain(self) -> None:
        """One PDU, one UPS, one feed for all, where the fault is not in the chain itself."""
        new = self.new.tables
        if not self.whole_chain:
            for kind, summed in (
                ("pdu", ("capacity_kw",)),
                ("ups", ("capacity_kw", "battery_kwh")),
                ("feed", ("capacity_kw",)),
            ):
                old = getattr(self.t, kind)
                for column in summed if len(old) else ():
                    getattr(new, kind)[column][0] = old[column].sum()
            for kind in ("pump", "crah", "chiller"):
                getattr(new, kind)["ats"] = -1.0
            if len(new.feed):
                new.feed["available"][0] = float(self.t.feed["available"].max())
                new.ess["feed"] = 0.0
            if len(new.ups):
                new.ups["feed"], new.ups["feed_2"] = 0.0 if len(new.feed) else -1.0, -1.0
                new.pdu["ups"] = 0.0
            elif len(new.pdu):
                new.pdu["feed"] = 0.0 if len(new.feed) else -1.0
        for p, (old_row,) in enumerate(self.kept["pool"]):
            outside = [i for i in self._below("pool_node", old_row) if i not in self.nodes]
            pool = new.pool[p]
            pool["other_rps"] += pool["node_rps"] * sum(self._serves(i) for i in outside)

    def _serves(self, i: int) -> float:
        n = self.t.gpu_node[i]
        sound = n["up"] > 0.5 and n["drained"] < 0.5 and n["gpus_ok"] >= n["gpus"]
        return float(kernel._node_speed(n)) if sound else 0.0

    def _calibrate(self) -> None:
        """What is not in the twin goes on as it was: heat into rooms and water, load on the feeds."""
        trial, full = self.new.copy(), self.full.copy()
        for store in (trial, full):
            _move(store, 1.0, 1, np.zeros(0, np.int64), 0, np.zeros((0, 0)))
        new = self.new.tables
        for kind, column in (("hall", "heat_kw"), ("water", "heat_kw")):
            if kind == "water":
                _move(again := self.new.copy(), 1.0, 1, np.zeros(0, np.int64), 0, np.zeros((0, 0)))
                trial = again
            for i, (old,) in enumerate(self.kept[kind]):
                gap = float(getattr(full.tables, kind)[column][old] - getattr(trial.tables, kind)[column][i])
                getattr(new, kind)["other_kw"][i] += gap
        _move(trial := self.new.copy(), 1.0, 1, np.zeros(0, np.int64), 0, np.zeros((0, 0)))
        gap = float(full.tables.site["grid_kw"][0] - trial.tables.site["grid_kw"][0])
        if len(new.feed):
            new.feed["other_kw"] += gap / len(new.feed) / (1.0 + new.feed["loss_pu"])

    # ---- names ----------------------------------------------------------------------------------------

    def _named(self) -> dict[str, list[tuple[str, int]]]:
        names = self.full.names
        rows: dict[str, list[tuple[str, int]]] = {"site": [("site", 0)]}
        for kind, groups in self.kept.items():
            for i, members in enumerate(groups):
                for name in (names[kind][old] for old in members) if kind != "site" else ():
                    if name:
                        rows.setdefault(name, []).append((kind, i))
        for i, group in enumerate(self.node_groups):
            for above in {a for n in group for a in self.plant.site.upstream(names["gpu_node"][n])}:
                if self._all_in(above):
                    rows.setdefault(above, []).append(("gpu_node", i))
            for p in self.pools_of[group[0]]:
                rows[names["pool"][p]].append(("gpu_node", i))
        return rows

    def _all_in(self, asset: str) -> bool:
        """Whether all nodes that stand on the asset are in groups of their own."""
        below = {self.full.rows[n][1] for n in self.plant.nodes_of(asset)}
        return all(set(g) <= below or not set(g) & below for g in self.node_groups)

    def _groups(self) -> dict[str, tuple[str, ...]]:
        return {
            f"{kind}:{i}": tuple(self.full.names[kind][m] for m in members)
            for kind, groups in self.kept.items() if kind != "site"
            for i, members in enumerate(groups)
        }  # fmt: skip

    def _labels(self) -> dict[str, tuple[str, int]]:
        """Names of the recorded rows: the first asset each stands for."""
        return {
            self.full.names[kind][members[0]] or f"{kind}-{i}": (kind, i)
            for kind in ("gpu_node", "rack", "cdu", "hall", "pool", "ess")
            for i, members in enumerate(self.kept[kind])
        }
