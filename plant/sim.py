"""The simulated site: what stands in the site file, in motion, with the catalog's actions and faults.

Physics and numbers live in plant/dynamics; this is the handle that adapter, executor, guards, rehearsals and tests
hold. It is deterministic: the same start, faults, actions and steps give the same readings, and `to_dict` writes the
whole down so that `from_dict` goes on exactly where it stopped. On/off states are 1.0 and 0.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plant.dynamics import kernel
from plant.dynamics.columns import COLUMNS, dtype
from plant.dynamics.kernel import TRIP_C
from plant.dynamics.knobs import FAULT_KNOBS, SENSOR_KNOBS, knob
from plant.dynamics.loop_effects import LOOP_EFFECTS
from plant.dynamics.state import State, Value
from plant.dynamics.store import Store, build
from plant.power.gpu import stretch_at_clock
from plant.site import Site
from setpoint.errors import InputError, UsageError

__all__ = ["EFFECTS", "FAULTS", "FAULT_KNOBS", "MODELS", "TRIP_C", "Plant", "Reading", "State", "Value"]

FloatArray = NDArray[np.float64]
STEP_S = 5.0
WARM_UP_S = 3 * 3600.0
SAVED_VERSION = 2
AT_ONCE_S = 1e-3
"""Length of a ramp that is none: it waits for its time and then jumps."""
MODELS = ("large", "medium", "small")
"""Size classes of a pool's model, by their rank."""
_GPU = re.compile(r"^(?P<node>[^/]+)/gpu(?P<number>\d+)$", re.IGNORECASE)
_NO_RAMPS, _NO_PROBES, _NO_HISTORY = np.zeros((0, 5)), np.zeros(0, np.int64), np.zeros((0, 0))


@dataclass(frozen=True)
class Reading:
    """What the sensors of one asset say, and when they were last read."""

    asset: str
    time: datetime
    values: Mapping[str, float]


class Plant:
    """The site in motion. `now` is plant time."""

    def __init__(self, site: Site, now: datetime, store: Store | None = None) -> None:
        """A site as built, still cold; `start` warms it up."""
        self.site, self.now = site, now
        self.store = store or build(site)
        self.journal: dict[str, dict[str, dict[str, float]]] = {}
        """What was applied, by idempotency key: {"before": ..., "after": ...}."""
        self.ramps: list[list[float]] = []
        """Quantities on their way: offset, from, to, start (seconds of plant time) and length in seconds."""
        self.state: dict[str, State] = {asset.name: self._view(asset.name) for asset in site.assets}
        self._set_clock()

    @classmethod
    def start(cls, site: Site, now: datetime) -> Self:
        """The site in a quiet steady state."""
        plant = cls(site, now)
        plant._set_clock(-WARM_UP_S)
        plant.advance(WARM_UP_S)
        plant.now = now
        plant._set_clock()
        for meter in ("elapsed_s", "grid_kwh", "it_kwh", "residual_pu"):
            plant.store.tables.site[meter] = 0.0
        return plant

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` with the same site gives the same plant."""
        return {
            "version": SAVED_VERSION,
            "now": self.now.isoformat(),
            "state": {name: dict(state) for name, state in self.state.items()},
            "layout": self._layout(),
            "inside": {kind: self._inside(kind) for kind in COLUMNS},
            "ramps": self.ramps,
            "journal": self.journal,
        }

    @classmethod
    def from_dict(cls, site: Site, saved: Mapping[str, Any]) -> Self:
        """The plant as it was written down.

        What an older version wrote, or what was written for a site that has changed since, is taken over as far as
        names agree, on a warm plant. Raises InputError where the text is not a saved plant.
        """
        try:
            now, state = datetime.fromisoformat(saved["now"]), dict(saved["state"])
            version, journal = int(saved.get("version", 1)), dict(saved["journal"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"not a saved plant: {error}",
                where="plant state",
                remedy="Remove it; the plant starts afresh",
            ) from error
        if version > SAVED_VERSION:
            raise InputError(
                f"saved by a newer version ({version}, this one reads {SAVED_VERSION})", where="plant state",
                remedy="Update Setpoint, or remove the file; the plant starts afresh",
            )  # fmt: skip
        plant = cls(site, now)
        whole = "inside" in saved and saved.get("layout") == plant._layout()
        if whole:
            plant._take_inside(saved["inside"])
            plant.ramps = [list(ramp) for ramp in saved["ramps"]]
        else:
            plant = cls.start(site, now)
        for name in state:
            if name in plant.state:
                plant._take(name, state[name], whole)
        plant.journal = journal
        return plant

    def copy(self) -> Self:
        """A twin that goes its own way: for rehearsals."""
        twin = type(self)(self.site, self.now, self.store.copy())
        for name, state in self.state.items():
            twin.state[name].notes = dict(state.notes)
        twin.ramps = [list(ramp) for ramp in self.ramps]
        twin.journal = dict(self.journal)
        return twin

    # ---- time ---------------------------------------------------------------------------------------

    def advance(self, seconds: float, step_s: float = STEP_S) -> None:
        """Let time pass in steps of at most `step_s`."""
        whole = int(seconds / step_s + 1e-9)
        rest = seconds - whole * step_s
        if whole:
            self._run(step_s, whole)
        if rest > 1e-9:
            self._run(rest, 1)
        self.now += timedelta(seconds=seconds)

    def skip_to(self, now: datetime) -> None:
        """Set the clock without letting anything happen, after a long sleep."""
        self.now = now
        self._set_clock()

    def record(
        self, seconds: float, every_s: float = 10.0, columns: Iterable[str] | None = None, step_s: float = 1.0
    ) -> dict[str, FloatArray]:
        """Advance and note quantities: arrays by "asset.metric", and "time_s" from the start of the record.

        `columns` are names such as "cdu-1.flow_lpm", "gpu-07/gpu3.die_c" or "site.grid_kw"; None takes the usual
        ones of every rack, loop, storage and of the site. Raises UsageError for an unknown one.
        """
        names = list(columns) if columns is not None else self._usual_columns()
        history = self.sample(seconds, self.probes(names), every_s, step_s)
        found: dict[str, FloatArray] = {"time_s": np.arange(1, len(history) + 1, dtype=np.float64) * every_s}
        return found | {name: history[:, k] for k, name in enumerate(names)}

    def probes(self, columns: Iterable[str]) -> NDArray[np.int64]:
        """Where quantities stand in `store.values`, for `sample`. Raises UsageError for an unknown one."""
        return np.array([self._probe(name) for name in columns], dtype=np.int64)

    def sample(
        self, seconds: float, probes: NDArray[np.int64], every_s: float = 10.0, step_s: float = 1.0
    ) -> FloatArray:
        """Advance and note the probed quantities: a row after each `every_s`, a column a probe."""
        per = max(1, round(every_s / step_s))
        rows = int(seconds / every_s + 1e-9)
        history = np.zeros((rows, len(probes)))
        self._run(every_s / per, rows * per, probes, per, history)
        self.now += timedelta(seconds=rows * every_s)
        return history

    def _run(
        self, step_s: float, steps: int, probes: Any = _NO_PROBES, every: int = 0, history: Any = _NO_HISTORY
    ) -> None:
        ramps = np.array(self.ramps) if self.ramps else _NO_RAMPS
        store = self.store
        kernel.run(
            store.tables, store.edges, store.values, step_s, steps, True, ramps, probes, every, history
        )
        elapsed_s = float(store.tables.site["elapsed_s"][0])
        self.ramps = [ramp for ramp in self.ramps if ramp[3] + ramp[4] > elapsed_s]

    def _set_clock(self, shift_s: float = 0.0) -> None:
        local = (self.now + timedelta(seconds=shift_s)).astimezone(self.site.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        self.store.tables.site["clock_s"] = (local - midnight).total_seconds() % 86400.0

    # ---- readings -----------------------------------------------------------------------------------

    def telemetry(self, asset: str) -> Reading:
        """Readings of one asset, units in the names. A lost sensor keeps its last values and their time.

        Raises KeyError for an asset that is not on this site.
        """
        name = self._name(asset)
        state = self.state[name]
        if "frozen_at" in state.notes:
            return Reading(name, datetime.fromisoformat(str(state.notes["frozen_at"])), _frozen(state))
        return Reading(name, self.now, self._sensed(state))

    def _sensed(self, state: State) -> dict[str, float]:
        """True values, then what sensor faults make of them."""
        values = {key: state[key] for key in state}
        told = {k: v for k, v in values.items() if isinstance(v, float) and not k.startswith(SENSOR_KNOBS)}
        for key in state.notes:
            fault, _, metric = key.partition(".")
            if metric in told:
                amount = self._note_now(str(state.notes[key]))
                old = told[metric]
                told[metric] = {
                    "sensor_offset": old + amount, "sensor_scale": old * amount, "sensor_stuck": amount
                }[fault]  # fmt: skip
        return {key: round(value, 3) for key, value in told.items()}

    def _note_now(self, note: str) -> float:
        """A sensor fault is written "from to start ramp"."""
        low, high, start_s, ramp_s = (float(part) for part in note.split())
        share = (self.elapsed_s - start_s) / ramp_s if ramp_s > 0 else 1.0
        return low + (high - low) * min(1.0, max(0.0, share))

    def totals(self) -> dict[str, float]:
        """Readings of the whole site: IT, losses, cooling, storage, grid, PUE, weather, meters."""
        row = self.store.tables.site[0]
        return {column.name: float(row[column.name]) for column in COLUMNS["site"] if column.told}

    def gpu_telemetry(self, gpu: str) -> dict[str, float]:
        """Readings of one accelerator, as `gpu-03/gpu5`. Raises KeyError where there is none."""
        node, number = self._gpu(gpu)
        row, top = self._gpus_of(node)[number], self.number(node, "clock_max_mhz")
        return {
            "gpu_temp_c": float(row["die_c"]), "plate_temp_c": float(row["plate_c"]), "gpu_power_w": float(row["power_w"]),
            "clock_mhz": float(row["clock_pu"]) * top, "ok": float(row["ok"]), "throttled": float(row["held"]),
        }  # fmt: skip

    def number(self, asset: str, metric: str) -> float:
        value = self.state[asset][metric]
        return value if isinstance(value, float) else 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds simulated since the start."""
        return float(self.store.tables.site["elapsed_s"][0])

    @property
    def residual_pu(self) -> float:
        """Greatest residual of the energy balance of a step over the energy moved, since the start."""
        return float(self.store.tables.site["residual_pu"][0])

    # ---- moves --------------------------------------------------------------------------------------

    def inject(self, fault: str, asset: str, **values: float) -> None:
        """Start a fault by name (see `FAULTS`), or set a knob (see `FAULT_KNOBS`) with `value` and `ramp_s`.

        Raises KeyError for an unknown fault or asset.
        """
        if fault in FAULTS:
            FAULTS[fault](self, self._name(asset), values)
        elif fault.split(".")[0] in FAULT_KNOBS:
            self.inject_knob(asset, fault, values["value"], values.get("ramp_s", 0.0))
        else:
            raise KeyError(fault)

    def inject_knob(self, asset: str, name: str, value: float, ramp_s: float = 0.0) -> None:
        """Set one quantity, at once or growing evenly over `ramp_s`.

        `asset` may be one accelerator (`gpu-03/gpu5`), or "site". A knob of accelerators on a node takes all of them.
        Raises UsageError for an unknown knob, an asset of another kind or a value out of range, KeyError for an
        unknown asset.
        """
        found = knob(name)
        found.check(value)
        if found.name in SENSOR_KNOBS:
            self._sense(self._name(asset), name, value, ramp_s)
            return
        if found.name == "gpus_ok":
            node = self._name(asset)
            self.state[node]["gpus_ok"] = max(
                0.0, value + (self.number(node, "gpus_ok") if value < 0 else 0.0)
            )
            return
        for offset in self._offsets(asset, found.kinds, found.of, found.name):
            self._move(offset, value, ramp_s)
        if found.name == "leak":
            self._wet(self._name(asset), value)

    def move_at(self, asset: str, column: str, value: float, after_s: float = 0.0) -> None:
        """Set one quantity of an asset after so many seconds; what was on its way to it is called off."""
        kind, row = self.store.rows[self._name(asset)]
        offset = self.store.offset(kind, row, column)
        self.ramps = [ramp for ramp in self.ramps if ramp[0] != offset]
        if after_s > 0.0:
            now = float(self.store.values[offset])
            self.ramps.append([float(offset), now, value, self.elapsed_s + after_s, AT_ONCE_S])
        else:
            self.store.values[offset] = value

    def _move(self, offset: int, value: float, ramp_s: float) -> None:
        self.ramps = [ramp for ramp in self.ramps if ramp[0] != offset]
        if ramp_s > 0:
            now = float(self.store.values[offset])
            self.ramps.append([float(offset), now, float(value), self.elapsed_s, float(ramp_s)])
        else:
            self.store.values[offset] = value

    def _sense(self, name: str, fault: str, value: float, ramp_s: float) -> None:
        metric = fault.partition(".")[2]
        if not isinstance(self.state[name].get(metric), float):
            known = ", ".join(self.state[name].told) or "nothing"
            raise UsageError(f"{name} tells no {metric or 'metric'}", remedy=f"Write {fault.split('.')[0]}.METRIC; "
                             f"it tells {known}")  # fmt: skip
        quiet = {"sensor_offset": 0.0, "sensor_scale": 1.0}.get(fault.split(".")[0], value)
        self.state[name].notes[fault] = f"{quiet!r} {float(value)!r} {self.elapsed_s!r} {float(ramp_s)!r}"

    def _wet(self, asset: str, value: float) -> None:
        """The sensors that stand on a leaking asset get wet."""
        for sensor in self.site.assets:
            if sensor.kind == "leak_sensor" and asset in sensor.on and value > 0:
                self.state[sensor.name]["wet"] = 1.0

    def set_load(
        self, node_or_pool: str, busy: float, u_compute: float, u_memory: float, clock_pu: float = 1.0
    ) -> None:
        """Drive nodes from outside, such as by a serving engine, until `free_load`.

        `busy`: share of time in kernels. `u_compute`, `u_memory`: achieved shares of peak over that busy time, while
        the clock stood at `clock_pu` of its maximum. A driven pool keeps the queue, TTFT and KV use it is given.
        """
        name = self._name(node_or_pool)
        nodes = [name]
        if self.state[name].kind == "pool":
            self.state[name]["driven"], nodes = 1.0, self.pool_nodes(name)
        for node in nodes:
            state = self.state[node]
            compute, memory = self._at_full_clock(node, u_compute, u_memory, clock_pu)
            state |= {"driven": 1.0, "busy": busy, "load_pu": busy, "u_compute": compute, "u_memory": memory}

    def _at_full_clock(
        self, node: str, u_compute: float, u_memory: float, clock_pu: float
    ) -> tuple[float, float]:
        """Uses of the same work at the maximal clock: u = achieved * stretch(u), solved by repetition."""
        if clock_pu >= 1.0:
            return u_compute, u_memory
        power = self.store.edges.power[int(self.number(node, "hw"))]
        compute, memory = u_compute, u_memory
        for _ in range(8):
            stretch = float(stretch_at_clock(power, compute, memory, clock_pu))
            compute, memory = u_compute * stretch, u_memory * stretch
        return compute, memory

    def free_load(self, node_or_pool: str) -> None:
        """Hand nodes back to the plant's own pools and jobs."""
        name = self._name(node_or_pool)
        nodes = [name]
        if self.state[name].kind == "pool":
            self.state[name]["driven"], nodes = 0.0, self.pool_nodes(name)
        for node in nodes:
            self.state[node]["driven"] = 0.0

    def apply(
        self, name: str, asset: str, args: Mapping[str, float | int | str | bool], key: str = ""
    ) -> dict[str, dict[str, float]]:
        """Do one catalog action; returns the asset's readings before and after.

        The same non-empty `key` is applied once: later calls return what was noted then. Tickets and calls may be about
        what the plant does not have, such as the site itself. Raises KeyError for any other action there.
        """
        if key and key in self.journal:
            return self.journal[key]
        if name in TELLS and self.site.find(asset) is None:
            done: dict[str, dict[str, float]] = {"before": {}, "after": {}}
        else:
            target = self._name(asset)
            before = dict(self.telemetry(target).values)
            EFFECTS[name](self, self.state[target], target, args)
            done = {"before": before, "after": dict(self.telemetry(target).values)}
        if key:
            self.journal[key] = done
        return done

    # ---- structure ----------------------------------------------------------------------------------

    def nodes_of(self, asset: str) -> list[str]:
        """GPU nodes that stand on this asset, itself included where it is one."""
        own = self.site.find(asset)
        names = (*((own.name,) if own else ()), *self.site.downstream(asset))
        return [name for name in names if self._kind(name) == "gpu_node"]

    def pumps_of(self, cdu: str) -> list[str]:
        return self._parents(cdu, "pump")

    def pool_nodes(self, service: str) -> list[str]:
        """GPU nodes that serve for it: those it stands on and those its pool names."""
        row = self.store.rows.get(service, ("", 0))
        if row[0] != "pool":
            return self._parents(service, "gpu_node")
        first, last = self.store.edges.pool_node_at[row[1] : row[1] + 2]
        return [self.store.names["gpu_node"][i] for i in self.store.edges.pool_node[first:last]]

    def rack_of(self, node: str) -> str:
        """The rack it stands in, "" where the site file names none."""
        return next(iter(self._parents(node, "rack")), "")

    def loop_of(self, node: str) -> str:
        """The CDU whose coolant reaches the node; "" for an air-cooled one."""
        return next(iter(self._parents(self.rack_of(node), "cdu")), "")

    def each(self, kind: str) -> list[str]:
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str, list[str]]:
        kinds: dict[str, list[str]] = {}
        for asset in self.site.assets:
            kinds.setdefault(asset.kind, []).append(asset.name)
        return kinds

    @cached_property
    def _by_parent_kind(self) -> dict[tuple[str, str], list[str]]:
        parents: dict[tuple[str, str], list[str]] = {}
        for asset in self.site.assets:
            for parent in asset.on:
                parents.setdefault((asset.name, self._kind(parent)), []).append(parent)
        return parents

    def _parents(self, name: str, kind: str) -> list[str]:
        return self._by_parent_kind.get((name, kind), [])

    def _name(self, asset: str) -> str:
        found = self.site.find(asset)
        if found is None:
            raise KeyError(asset)
        return found.name

    def _kind(self, name: str) -> str:
        found = self.site.by_name.get(name.lower())
        return found.kind if found else "unknown"

    def _gpu(self, name: str) -> tuple[str, int]:
        match = _GPU.match(name)
        if not match or int(match["number"]) >= len(self._gpus_of(node := self._name(match["node"]))):
            raise KeyError(name)
        return node, int(match["number"])

    def _gpus_of(self, node: str) -> Any:
        kind, row = self.store.rows[node]
        n = getattr(self.store.tables, kind)[row]
        return self.store.tables.gpu[int(n["gpu_first"]) : int(n["gpu_first"] + n["gpu_rows"])]

    def _view(self, name: str) -> State:
        if name not in self.store.rows:
            return State("", None)
        kind, row = self.store.rows[name]
        gpus = self._gpus_of(name) if kind == "gpu_node" else None
        return State(kind, getattr(self.store.tables, kind)[row : row + 1], gpus)

    # ---- offsets ------------------------------------------------------------------------------------

    def _offsets(self, asset: str, kinds: tuple[str, ...], column: str, named: str) -> list[int]:
        """Where a quantity of an asset stands; several for the accelerators of a node."""
        if kinds == ("site",):
            return [self.store.offset("site", 0, column)]
        if kinds == ("gpu",):
            return self._gpu_offsets(asset, column)
        name = self._name(asset)
        kind, row = self.store.rows.get(name, (self._kind(name), -1))
        if row < 0 or kind not in kinds:
            raise UsageError(
                f"{named} is no quantity of {name}, a {self._kind(name)}",
                remedy=f"Name a {' or '.join(kinds)}",
            )
        return [self.store.offset(kind, row, column)]

    def _gpu_offsets(self, asset: str, column: str) -> list[int]:
        if _GPU.match(asset):
            node, number = self._gpu(asset)
            numbers = [number]
        else:
            node = self._name(asset)
            if self._kind(node) != "gpu_node":
                raise UsageError(
                    f"{node} is a {self._kind(node)}", remedy="Name a GPU node, or one GPU as gpu-03/gpu5"
                )
            numbers = list(range(len(self._gpus_of(node))))
        first = int(self.number(node, "gpu_first"))
        return [self.store.offset("gpu", first + k, column) for k in numbers]

    def _probe(self, name: str) -> int:
        asset, _, metric = name.rpartition(".")
        try:
            if asset == "site" or asset == self.site.name:
                return self.store.offset("site", 0, metric)
            if _GPU.match(asset):
                return self._gpu_offsets(asset, metric)[0]
            kind, row = self.store.rows[self._name(asset)]
            return self.store.offset(kind, row, metric)
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"{name!r} cannot be recorded",
                remedy="Write ASSET.METRIC, such as cdu-1.flow_lpm or site.grid_kw",
            ) from error

    def _usual_columns(self) -> list[str]:
        """What plots show."""
        wanted = {
            "rack": ("power_kw", "inlet_temp_c", "outlet_temp_c"),
            "cdu": ("flow_lpm", "supply_temp_c", "return_temp_c", "heat_kw"),
            "ess": ("soc_pct", "power_kw"),
            "feed": ("load_kw",),
            "service": ("queue", "ttft_ms", "kv_use_pct", "load_pu"),
            "hall": ("temp_c",),
            "gpu_node": ("gpu_temp_c", "clock_mhz", "power_kw"),
        }
        names = [
            f"{name}.{metric}"
            for kind, metrics in wanted.items()
            for name in self.each(kind)
            for metric in metrics
            if metric in self.state[name].told
        ]
        return [
            *names,
            "site.it_kw",
            "site.cooling_kw",
            "site.losses_kw",
            "site.grid_kw",
            "site.ess_kw",
            "site.pue",
        ]

    # ---- saving -------------------------------------------------------------------------------------

    def _layout(self) -> dict[str, list[str]]:
        """What must agree for the inside of a saved plant to fit: assets and columns."""
        return {
            kind: [*self.store.names[kind], *(column.name for column in COLUMNS[kind])] for kind in COLUMNS
        }

    def _inside(self, kind: str) -> dict[str, list[float]]:
        rows = getattr(self.store.tables, kind)
        return {name: rows[name].tolist() for name in dtype(kind).names or ()}

    def _take_inside(self, saved: Mapping[str, Mapping[str, list[float]]]) -> None:
        for kind, columns in saved.items():
            for name, values in columns.items():
                getattr(self.store.tables, kind)[name] = values

    def _take(self, name: str, saved: Mapping[str, Value], whole: bool) -> None:
        """Told columns of a plant of another version; notes always."""
        state = self.state[name]
        for key, value in saved.items():
            if key == "model" and value in MODELS:
                state["model_rank"] = float(MODELS.index(str(value)))
            elif key not in state.told:
                state.notes[key] = value
            elif not whole:
                state[key] = value


def _frozen(state: State) -> dict[str, float]:
    prefix = "frozen:"
    return {
        k.removeprefix(prefix): v
        for k, v in state.notes.items()
        if k.startswith(prefix) and isinstance(v, float)
    }


# ---- faults ---------------------------------------------------------------------------------------------


def _set(name: str, value: float) -> Callable[[Plant, str, Mapping[str, float]], None]:
    def set_it(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
        plant.inject_knob(asset, name, float(values.get(name, value)), values.get("ramp_s", 0.0))

    return set_it


def _gpu_off_bus(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    """One GPU less on the bus. `hard`=1: a reset does not bring it back."""
    rows = plant._gpus_of(asset)
    lost = [k for k in range(len(rows)) if rows["ok"][k] == 1.0][-1:]
    rows["hard"][lost] = values.get("hard", 0.0)
    rows["ok"][lost] = 0.0
    plant.state[asset]["gpus_ok"] = float(rows["ok"].sum())


def _prefill_surge(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    wanted = plant.number(asset, "arrival_rps") * values.get("factor", 2.0)
    plant.inject_knob(asset, "arrival_rps", wanted, values.get("ramp_s", 0.0))


def _sensor_lost(plant: Plant, asset: str, values: Mapping[str, float]) -> None:
    """Readings stay at their last values and times from now on."""
    state = plant.state[asset]
    if "frozen_at" not in state.notes:
        frozen = {f"frozen:{key}": value for key, value in plant.telemetry(asset).values.items()}
        state.notes |= {**frozen, "frozen_at": plant.now.isoformat()}


FAULTS: dict[str, Callable[[Plant, str, Mapping[str, float]], None]] = {
    "coolant_pump_failure": _set("failed", 1.0),
    "coolant_leak": _set("leak", 1.0),
    "coolant_flow_restricted": _set("passage_pu", 0.3),
    "chiller_failure": _set("running", 0.0),
    "crah_failure": _set("running", 0.0),
    "power_feed_lost": _set("available", 0.0),
    "ess_fault": _set("available", 0.0),
    "gpu_off_bus": _gpu_off_bus,
    "host_crash": _set("up", 0.0),
    "prefill_surge": _prefill_surge,
    "sensor_lost": _sensor_lost,
}
"""Faults by cause id of the root-cause catalog. More are in plant/faults, made of knobs."""


# ---- effects of the catalog's actions -------------------------------------------------------------------

Args = Mapping[str, float | int | str | bool]
Effect = Callable[[Plant, State, str, Args], None]


def _writes(**metrics: str | float) -> Effect:
    """Sets metrics: a word names the argument to take the value from, a number is the value itself."""

    def write(plant: Plant, state: State, name: str, args: Args) -> None:
        for metric, source in metrics.items():
            value = args[source] if isinstance(source, str) else source
            state[metric] = value if isinstance(value, str) else float(value)

    return write


def _reset_gpu(plant: Plant, state: State, name: str, args: Args) -> None:
    """Brings back every GPU without a hard fault, cooled down or not."""
    state["resets"] = plant.number(name, "resets") + 1
    rows = plant._gpus_of(name)
    rows["tripped"] = 0.0
    rows["ok"][rows["hard"] == 0.0] = 1.0
    state["gpus_ok"] = float(rows["ok"].sum())


def _storage(sign: float) -> Effect:
    def run(plant: Plant, state: State, name: str, args: Args) -> None:
        state |= {"power_setpoint_kw": sign * float(args["power_kw"]), "hold_kw": 0.0}
        state["left_s"] = 60 * float(args["duration_min"])

    return run


def _close_valve(plant: Plant, state: State, name: str, args: Args) -> None:
    state |= {"valve_open": 0.0, "leak": 0.0}


def _batch_limit(plant: Plant, state: State, name: str, args: Args) -> None:
    """A pool's limit is shown by its nodes too."""
    for target in (name, *plant.pool_nodes(name)):
        plant.state[target]["batch_limit"] = float(args["batch_limit"])


def _smaller_model(plant: Plant, state: State, name: str, args: Args) -> None:
    state["model_rank"] = float(MODELS.index(str(args["model"])))


def _shed(plant: Plant, state: State, name: str, args: Args) -> None:
    """So much of what its nodes draw above idle goes off."""
    nodes = plant.pool_nodes(name) or plant.nodes_of(name)
    state["shed_kw"] = float(args["power_kw"])
    above_idle_kw = sum(
        max(0.0, plant.number(n, "power_kw") - plant.number(n, "base_idle_kw")
            - plant.number(n, "gpus") * plant.store.gpus[int(plant.number(n, "hw"))].idle_w / 1000)
        for n in nodes
    )  # fmt: skip
    if nodes:
        state["shed_of_kw"] = max(above_idle_kw, 1e-3)


def _count(metric: str) -> Effect:
    def count(plant: Plant, state: State, name: str, args: Args) -> None:
        old = state.get(metric, 0.0)
        state[metric] = (old if isinstance(old, float) else 0.0) + 1

    return count


EFFECTS: dict[str, Effect] = {
    "cap_gpu_power": _writes(power_cap_w="cap_w"),
    "lock_gpu_clock": _writes(clock_lock_mhz="clock_mhz"),
    "set_batch_limit": _batch_limit,
    "set_kv_watermark": _writes(kv_watermark_pct="watermark_pct"),
    "drain_node": _writes(drained=1.0, cordoned=1.0, job_running=0.0),
    "cordon_node": _writes(cordoned=1.0),
    "reset_gpu": _reset_gpu,
    "migrate_job": _writes(job_running=0.0, cordoned=1.0),
    "switch_to_smaller_model": _smaller_model,
    "set_coolant_flow": _writes(flow_setpoint_lpm="flow_lpm"),
    "set_supply_temp": _writes(supply_setpoint_c="temp_c"),
    "start_standby_pump": _writes(running=1.0),
    "close_leak_valve": _close_valve,
    "charge_ess": _storage(-1.0),
    "discharge_ess": _storage(1.0),
    "shed_load": _shed,
    "open_ticket": _count("tickets"),
    "page": _count("pages"),
    **LOOP_EFFECTS,
}
TELLS = frozenset({"open_ticket", "page"})
"""These only tell people."""
