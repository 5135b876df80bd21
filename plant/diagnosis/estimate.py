"""Where the site stands: the plant model brought to the state that telemetry shows.

The model is warmed up, given the inputs that were read (states, setpoints, loads, charges), and left to settle. What
then still parts a reading from the model is that signal's bias, learned from readings before the trouble; how readings
scatter around model plus bias is its noise. So a model with wrong constants still predicts changes, and a sensor that
is off by a fixed amount does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from plant.diagnosis.mechanisms import inject, load_mechanisms
from plant.diagnosis.observed import FloatArray, Key, Observed
from plant.diagnosis.results import SensorProblem, StateNote, Verdict
from plant.diagnosis.sensing import sensor_problems, wired
from plant.sim import Plant
from plant.site import Site
from setpoint.errors import InputError

QUIET_S = 1800.0
"""Readings of so long before the moment tell state, bias and noise."""
SETTLE_S = 3600.0
STEP_S = 5.0
LEAST_READINGS = 4
MODEL_OFF = 0.35
"""A reading further than this share from the model says that the site file does not fit."""
MISMATCH_SHARE = 0.3
PROBLEM_COST = 0.05
"""Of the confidence, for each problem; half of it at most."""
RELATIVE_NOISE, LEAST_NOISE = 0.008, 0.02
_LEVELS = {
    "gpu_node": ("clock_lock_mhz", "power_cap_w", "drained", "cordoned", "job_running", "psu_ok", "up", "gpus_ok",
                 "parked", "job"),
    "pool": ("arrival_rps", "kv_watermark_pct", "batch_limit", "model_rank", "up", "serving_nodes", "clock_lock_mhz"),
    "cdu": ("flow_setpoint_lpm", "supply_setpoint_c", "valve_open", "reservoir_pct"),
    "rack": ("valve_open",),
    "pump": ("running", "failed"),
    "chiller": ("running", "water_setpoint_c"),
    "crah": ("running", "supply_temp_c", "fan_setpoint_pu"),
    "hall": ("humidity_pct",),
    "pdu": ("breaker_closed",),
    "ups": ("battery_pct",),
    "ats": ("on_source",),
    "feed": ("available",),
    "ess": ("available", "soc_pct", "power_setpoint_kw", "hold_kw", "charge_cap_kw", "keep_pct", "left_s"),
    "switch": ("up",),
    "storage": ("up",),
}  # fmt: skip
"""Inputs of the model that telemetry tells, by table: states, setpoints and charges."""
_SWITCHES = frozenset(
    {"up", "running", "failed", "breaker_closed", "available", "drained", "cordoned", "job_running", "gpus_ok", "psu_ok",
     "on_source", "valve_open", "parked", "job", "serving_nodes", "fan_setpoint_pu", "power_setpoint_kw", "hold_kw",
     "charge_cap_kw", "keep_pct", "left_s"}
)  # fmt: skip
"""Of those, what is counted, switched or ordered: the last reading holds, where for the others the median does."""


@dataclass(frozen=True)
class Estimate:
    """The plant model at one moment, and how far it may be trusted."""

    plant: Plant
    """At `at_s` of the window; copy it before it is moved."""
    at_s: float
    keys: tuple[Key, ...]
    """Observed signals that the model computes."""
    offsets: NDArray[np.int64]
    """Where each stands in the model's numbers, for `Plant.sample`."""
    model: FloatArray
    """[times after `at_s`, keys]: the model without a fault, bias not added."""
    healthy: Mapping[Key, FloatArray]
    """What each observed signal would read without a fault, on the window's grid; NaN before `at_s`."""
    bias: Mapping[Key, float]
    """Observed minus model, by signal, from readings before the trouble. Add it to what the model says."""
    noise: Mapping[Key, float]
    """Standard deviation of a reading around model plus bias."""
    note: StateNote

    @property
    def rows(self) -> int:
        """Samples after `at_s`."""
        return len(self.model)


def estimate(site: Site, observed: Observed, at_s: float) -> Estimate:
    """The state at `at_s` of the window, from the readings before it. Never raises for bad readings: they stand in
    `note.problems` and lower its confidence."""
    upto = observed.index(at_s) + 1
    quiet = slice(max(0, upto - round(QUIET_S / max(observed.step_s, 1.0))), upto)
    levels = {key: _level(values[quiet]) for key, values in observed.series.items()}
    at_s = float(observed.times_s[upto - 1])
    plant = _warm(site, observed, at_s)
    _set_inputs(plant, observed, levels, quiet)
    plant.advance(SETTLE_S, 10.0)
    _set_inputs(plant, observed, levels, quiet)  # charges and fills moved meanwhile
    plant.now = observed.start + timedelta(seconds=at_s)
    return _compared(site, plant, observed, at_s, upto, quiet, levels)


def doubted(state: Estimate, doubts: Sequence[SensorProblem]) -> Estimate:
    """With problems of the input that were found elsewhere; each lowers the confidence."""
    if not doubts:
        return state
    confidence = state.note.confidence * max(0.5, 1.0 - PROBLEM_COST * len(doubts))
    note = state.note.model_copy(
        update={"confidence": round(confidence, 3), "problems": (*state.note.problems, *doubts)}
    )
    return replace(state, note=note)


@dataclass(frozen=True)
class Act:
    """One action of the catalog that was done, in seconds of the window."""

    at_s: float
    name: str
    asset: str
    args: Mapping[str, float | int | str | bool]


def present(
    site: Site, observed: Observed, verdict: Verdict | None = None, acts: Sequence[Act] = ()
) -> Estimate:
    """The state at the window's end, where rehearsals start: with the fault of the verdict at work in it, and with what
    was done meanwhile."""
    end_s = float(observed.times_s[-1])
    turns = [(act.at_s, _applied(act)) for act in acts if act.at_s <= end_s]
    if verdict is not None and verdict.onset is not None and verdict.mechanism:
        turns.append(((verdict.onset - observed.start).total_seconds(), _injected(verdict)))
    if not turns:
        return estimate(site, observed, end_s)
    turns.sort(key=lambda turn: turn[0])
    before = estimate(site, observed, max(0.0, min(turns[0][0], end_s) - 60.0))
    plant, clock_s = before.plant.copy(), before.at_s
    for at_s, turn in turns:
        plant.advance(max(0.0, at_s - clock_s), STEP_S)
        clock_s = max(clock_s, at_s)
        turn(plant)
    plant.advance(max(0.0, end_s - clock_s), STEP_S)
    tail = slice(max(0, len(observed.times_s) - 3), len(observed.times_s))
    levels = {key: _level(values[tail]) for key, values in observed.series.items()}
    _set_inputs(plant, observed, levels, tail)
    now = _compared(site, plant, observed, end_s, len(observed.times_s), tail, levels)
    far = _unexplained(before, now)
    note = now.note.model_copy(update={"confidence": round(now.note.confidence * (1.0 - far), 3)})
    return replace(now, noise=before.noise, note=note)


def _applied(act: Act) -> Callable[[Plant], object]:
    return lambda plant: plant.apply(act.name, act.asset, act.args)


def _injected(verdict: Verdict) -> Callable[[Plant], object]:
    mechanism = load_mechanisms().get(verdict.mechanism)
    if mechanism is None:
        raise InputError(
            f"no mechanism {verdict.mechanism!r} in the plant's catalog",
            where=verdict.asset,
            remedy="Another version of Setpoint concluded it: analyse the incident again",
        )
    severity = 0.5 if verdict.severity is None else verdict.severity
    return lambda plant: inject(plant, mechanism, verdict.asset, severity, verdict.ramp_s or 0.0)


def _unexplained(before: Estimate, now: Estimate) -> float:
    """Share of the signals whose gap to the model grew far beyond noise while the fault ran."""
    grown = [
        abs(now.bias[key] - before.bias[key]) > 6 * before.noise[key] + 0.1 * abs(now.bias[key])
        for key in now.bias
        if key in before.bias
    ]
    return float(np.mean(grown)) if grown else 0.0


_STEADY: dict[tuple[int, datetime], tuple[Site, Plant]] = {}
"""Plants warmed up, by identity of the site and hour; the site is kept so that its identity stays its own."""
MOST_STEADY = 8


def _steady(site: Site, hour: datetime) -> Plant:
    key = (id(site), hour)
    if key not in _STEADY:
        while len(_STEADY) >= MOST_STEADY:
            _STEADY.pop(next(iter(_STEADY)), None)
        _STEADY[key] = (site, Plant.start(site, hour))
    return _STEADY[key][1]


def _warm(site: Site, observed: Observed, at_s: float) -> Plant:
    """A steady plant with its clock `SETTLE_S` before the moment."""
    hour = (observed.start + timedelta(seconds=at_s)).replace(minute=0, second=0, microsecond=0)
    plant = _steady(site, hour).copy()
    plant.skip_to(observed.start + timedelta(seconds=at_s - SETTLE_S))
    return plant


def _level(values: FloatArray) -> float:
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if len(kept) else np.nan


def _set_inputs(plant: Plant, observed: Observed, levels: Mapping[Key, float], rows: slice) -> None:
    """What was read of states, setpoints, charges and loads goes into the model; what was not read stays."""
    for asset, (kind, _) in plant.store.rows.items():
        state = plant.state[asset]
        for metric in _LEVELS.get(kind, ()):
            value = levels.get((asset, metric), np.nan)
            if metric in _SWITCHES:
                value = _last(observed.series.get((asset, metric)), rows)
            if np.isfinite(value) and state[metric] != value:
                state[metric] = float(value)
        if kind == "gpu_node" and state["pooled"] == 0.0:
            load = levels.get((asset, "load_pu"), np.nan)
            if np.isfinite(load) and state["job_running"] == 1.0:
                state["job_load_pu"] = float(np.clip(load, 0.0, 1.0))
            elif state["job"] == -1.0:
                state["job_load_pu"] = 0.0


def _last(values: FloatArray | None, rows: slice) -> float:
    if values is None:
        return np.nan
    kept = values[rows][np.isfinite(values[rows])]
    return float(kept[-1]) if len(kept) else np.nan


def _compared(
    site: Site, plant: Plant, observed: Observed, at_s: float, upto: int, quiet: slice, levels: Mapping[Key, float]
) -> Estimate:  # fmt: skip
    """Model against readings: bias, noise and what is wrong with the readings; and the healthy course from here."""
    places = {key: place for key in observed.series if (place := wired(plant, *key)) is not None}
    keys = tuple(key for key in places if np.isfinite(levels[key]))
    offsets = np.array([places[key] for key in keys], dtype=np.int64)
    now = plant.store.values[offsets].copy()
    bias = {key: levels[key] - float(now[k]) for k, key in enumerate(keys)}
    ahead = len(observed.times_s) - upto
    noise = {key: _noise(observed.series[key][:upto], levels[key], ahead) for key in observed.series}
    step_s = max(observed.step_s, 1.0)
    model = plant.copy().sample(ahead * step_s, offsets, step_s, min(STEP_S, step_s))
    healthy: dict[Key, FloatArray] = {}
    for key, values in observed.series.items():
        course = np.full(len(values), np.nan)
        course[upto:] = levels[key]
        healthy[key] = course
    for k, key in enumerate(keys):
        healthy[key][upto:] = model[:, k] + bias[key]
    return Estimate(
        plant, at_s, keys, offsets, model, healthy, bias, noise, _note(site, observed, at_s, bias, noise, levels)
    )  # fmt: skip


def _noise(values: FloatArray, level: float, ahead: int) -> float:
    """Robust scatter of a reading around where it stood so many rows before, no less than its resolution and a small
    share of its size: slow swings of load are noise too, where no model foretells them."""
    kept = values[np.isfinite(values)]
    floor = max(LEAST_NOISE, RELATIVE_NOISE * abs(level) if np.isfinite(level) else 0.0)
    if len(kept) < LEAST_READINGS:
        return max(floor, 0.02 * abs(level) if np.isfinite(level) else 0.0)
    steps = np.abs(np.diff(np.unique(kept)))
    resolution = float(steps.min()) if len(steps) else 0.25 if level in (0.0, 1.0) else 0.0
    near = kept[-min(len(kept), 60) :]
    spread = max(_scatter(near), 0.7 * float(np.std(near)))
    lag = min(ahead, len(kept) // 2)
    swing = _scatter(kept[lag:] - kept[:-lag]) if lag > 1 else 0.0
    return max(floor, spread, swing, 0.3 * resolution)


def _scatter(values: FloatArray) -> float:
    """Standard deviation from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _note(
    site: Site, observed: Observed, at_s: float, bias: Mapping[Key, float], noise: Mapping[Key, float],
    levels: Mapping[Key, float],
) -> StateNote:  # fmt: skip
    compared = [key for key in bias if abs(levels[key]) > 1e-6 or abs(bias[key]) > 3 * noise[key]]
    off = [key for key in compared if abs(bias[key]) > MODEL_OFF * abs(levels[key]) + 6 * noise[key]]
    problems = list(sensor_problems(site, observed))
    share = len(off) / len(compared) if compared else 1.0
    if compared and share > MISMATCH_SHARE:
        worst = max(off, key=lambda key: abs(bias[key]) / (abs(levels[key]) + noise[key]))
        problems.append(
            SensorProblem(
                kind="mismatch",
                asset=worst[0],
                metric=worst[1],
                text=f"{len(off)} of {len(compared)} readings are more than {MODEL_OFF:.0%} from what the site file "
                f"gives, {worst[0]} {worst[1]} most: read {levels[worst]:.4g}, computed {levels[worst] - bias[worst]:.4g}; "
                "the site file may not describe this site",
            )
        )
    confidence = (1.0 - share) * max(0.5, 1.0 - PROBLEM_COST * len(problems)) if compared else 0.0
    return StateNote(
        as_of=observed.start + timedelta(seconds=at_s), signals=len(compared), confidence=round(confidence, 3),
        problems=tuple(problems),
    )  # fmt: skip
