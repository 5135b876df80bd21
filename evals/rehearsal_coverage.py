"""How often an action came out as rehearsed: `python -m evals.rehearsal_coverage --cases 60 [--site demo] [--json]`.

The site that acts differs from the site model: its constants are drawn 10 to 20 % off, each asset for itself, its
sensors are off and noisy, its load drifts. A fault of the catalog strikes it, the model is brought to its state from
readings, with the fault's severity known to some 15 %, an action that fits is rehearsed, taken, and held against what
the sensors say at the end of the horizon.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from evals.intervals import wilson
from knowledge.causes import load_causes
from plant.diagnosis.compared import compare, quantities_of
from plant.diagnosis.estimate import Estimate, estimate
from plant.diagnosis.observed import FloatArray, Key, Observed
from plant.diagnosis.outlook import Runs, Watch, outside_now, reaches
from plant.diagnosis.results import Compared, Rehearsal
from plant.dynamics.knobs import SENSOR_KNOBS
from plant.faults.catalog import Fault, load_catalog
from plant.faults.effects import inject
from plant.faults.place import FaultPlan, fitting
from plant.sim import WARM_UP_S, Plant
from plant.site import load_site, site_file_of
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from tools.rehearsal import other_ways, rehearse_action

START = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
BEFORE_S, STEP_S = 2700.0, 30.0
OFF = 0.15
"""Sigma of the logarithm of each constant of the acting site over the model's."""
CONSTANTS: dict[str, tuple[str, ...]] = {
    "gpu_node": ("r0", "film", "c_die", "c_plate", "base_idle_kw", "base_max_kw"), "rack": ("kj_per_k",),
    "cdu": ("kj_per_k", "ntu_design", "flow_max_lpm", "volume_l"), "pump": ("rated_kw",), "water": ("kj_per_k",),
    "chiller": ("cop_design",), "hall": ("kj_per_k", "ua_kw_per_k"), "ups": ("battery_kwh",), "pool": ("ttft_base_ms",),
}  # fmt: skip
SEVERITY_OFF, LOAD_DRIFT = 0.15, 0.08
NOISE = {
    "c": (0.3, 0.2),
    "lpm": (0.01, 0.01),
    "kw": (0.01, 0.01),
    "pct": (0.2, 0.1),
    "ms": (0.0, 0.03),
    "mhz": (0.0, 2.0),
}
"""Sigma of a sensor's own offset, and of its noise, by unit; of flow and power as a share, of ms noise as a share."""
RELATIVE = ("lpm", "kw", "ms")


@dataclass(frozen=True)
class Case:
    """One fault, one action, and how its rehearsal compared."""

    fault: str
    asset: str
    action: str
    acted_on: str
    said: str
    compared: Compared
    widths: tuple[tuple[str, float], ...]
    chances: tuple[tuple[str, float, bool], ...]
    """(limit, predicted chance, broken)."""


@dataclass(frozen=True)
class Coverage:
    """Of one metric: how many observed values lay in their 90 % interval."""

    metric: str
    count: int
    inside: int
    low: float
    high: float
    width: float
    """Median width of the interval, in the metric's unit."""


@dataclass(frozen=True)
class Report:
    """All cases together. Intervals are Wilson's, 95 %."""

    cases: int
    skipped: int
    quantities: Coverage
    by_metric: tuple[Coverage, ...]
    came_true: int
    came_true_low: float
    came_true_high: float
    limits: int
    brier: float
    """Mean squared error of the chances of breaking a limit; 0 is perfect."""
    brier_even: float
    """What always saying the base rate would have."""


# ---- the acting site ---------------------------------------------------------------------------------------------


def acting(site: Site, rng: np.random.Generator, start: datetime) -> Plant:
    """A steady plant whose constants are off."""
    plant = Plant(site, start - timedelta(seconds=WARM_UP_S))
    for kind, columns in CONSTANTS.items():
        table = getattr(plant.store.tables, kind)
        for column in columns:
            table[column] *= np.exp(OFF * rng.standard_normal(len(table)))
    power = plant.store.edges.power
    off = np.exp(0.07 * rng.standard_normal(power.shape))
    off[:, :2] = 1.0  # idle and rated power stand on the card
    plant.store.edges = plant.store.edges._replace(power=power * off)
    plant._set_clock()
    plant.advance(WARM_UP_S)
    return plant


class Sensors:
    """What is read of a plant: true values, each with its own offset, and noise."""

    def __init__(self, plant: Plant, rng: np.random.Generator) -> None:
        self._rng = rng
        keys = [
            (asset.name, metric) for asset in plant.site.assets if (state := plant.state[asset.name]).kind
            for metric in state.told
        ]  # fmt: skip
        self.keys: tuple[Key, ...] = tuple(keys)
        self.probes = plant.probes(f"{asset}.{metric}" for asset, metric in keys)
        units = [metric.rpartition("_")[2] for _, metric in keys]
        told = ["setpoint" not in metric and "max" not in metric for _, metric in keys]
        sigma = np.array([NOISE.get(unit, (0.0, 0.0)) for unit in units]) * np.array(told)[:, None]
        self._relative = np.array([unit in RELATIVE for unit in units])
        self._offset = sigma[:, 0] * rng.standard_normal(len(keys))
        self._noise = sigma[:, 1]

    def read(self, true: FloatArray) -> FloatArray:
        """Readings of [times, keys]."""
        error = self._offset + self._noise * self._rng.standard_normal(true.shape)
        return np.asarray(np.where(self._relative, true * (1.0 + error), true + error))


# ---- one case ----------------------------------------------------------------------------------------------------


def candidates(site: Site) -> list[tuple[Fault, str]]:
    """Faults that move the plant, with an asset each can strike."""
    moving = [
        fault for fault in load_catalog().values()
        if fault.effects and not any(e.knob.startswith(SENSOR_KNOBS) for e in fault.effects)
    ]  # fmt: skip
    return [(fault, asset) for fault in moving for asset in fitting(fault, site)[:4]]


def play(site: Site, seed: int) -> Case | None:
    """One case; None where the fault has no remedy that can be rehearsed."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    fault, asset = chance.choice(candidates(site))
    low, high = fault.severity
    plan = FaultPlan(fault, asset, 0.0, chance.uniform(low, high))
    true = acting(site, rng, START)
    sensors = Sensors(true, rng)
    before = true.sample(BEFORE_S, sensors.probes, STEP_S, 5.0)
    inject(true, plan)
    since_s = STEP_S * round((chance.uniform(0.2, 1.0) * fault.ramp_s + chance.uniform(30.0, 240.0)) / STEP_S)
    since_s = max(STEP_S, since_s)
    after = true.sample(since_s, sensors.probes, STEP_S, 5.0)
    known = present(site, plan, sensors, before, after, rng)
    remedies = list(load_causes()[fault.cause].remedies)
    chance.shuffle(remedies)
    ways = other_ways(site, known, remedies, asset)
    if not ways:
        return None
    rehearsal = rehearse_action(
        site, known, ways[0], others=ways[1:], cause=f"{fault.cause}@{asset}", seed=seed
    )
    return None if rehearsal is None else _acted(site, true, sensors, fault, asset, ways[0], rehearsal, rng)


def present(
    site: Site, plan: FaultPlan, sensors: Sensors, before: FloatArray, after: FloatArray, rng: np.random.Generator
) -> Estimate:  # fmt: skip
    """The model brought to the site's state before the fault, with the fault as a diagnosis would have fitted it."""
    times_s: FloatArray = np.arange(1.0, len(before) + 1) * STEP_S
    read = sensors.read(before)
    observed = Observed(START, times_s, {key: read[:, k] for k, key in enumerate(sensors.keys)})
    quiet = estimate(site, observed, float(times_s[-1]))
    plant = quiet.plant.copy()
    fitted = min(1.0, plan.severity * float(np.exp(SEVERITY_OFF * rng.standard_normal())))
    inject(plant, replace(plan, severity=fitted))
    plant.advance(len(after) * STEP_S, 5.0)
    levels = np.median(sensors.read(after)[-3:], axis=0)
    model = plant.store.values[sensors.probes]
    bias = {key: float(levels[k] - model[k]) for k, key in enumerate(sensors.keys) if key in quiet.bias}
    return replace(quiet, plant=plant, bias=bias)


def _acted(
    site: Site, true: Plant, sensors: Sensors, fault: Fault, asset: str, action: Action, rehearsal: Rehearsal,
    rng: np.random.Generator,
) -> Case:  # fmt: skip
    """Take the action on the acting site and look at the end of the horizon."""
    for pool in (name for name in true.store.names["pool"] if name):
        drift = float(np.exp(LOAD_DRIFT * rng.standard_normal()))
        now = true.number(pool, "arrival_rps")
        if now > 0.0 and not any(ramp[0] == true.probes([f"{pool}.arrival_rps"])[0] for ramp in true.ramps):
            true.inject_knob(pool, "arrival_rps", now * drift, rehearsal.horizon_s)
    watch = Watch(true, quantities_of(site, rehearsal) or ())
    whole = Watch(true, _all_quantities(true, action))
    nothing = np.array([true.store.values[whole.probes]])
    true.apply(action.name, action.asset, action.args)
    probes = np.concatenate([sensors.probes, whole.probes])
    run = true.sample(rehearsal.horizon_s, probes, 10.0, 5.0)
    told = dict(zip(sensors.keys, sensors.read(run[-3:, : len(sensors.keys)]).mean(axis=0), strict=True))
    seen = {
        (q.asset, q.metric): v
        for q in watch.quantities
        if (v := q.read(lambda *key: told.get(key))) is not None
    }
    times_s: FloatArray = np.arange(1.0, len(run) + 1) * 10.0
    runs = Runs(whole, run[None, :, len(sensors.keys) :], times_s)
    already = outside_now(site, Runs(whole, nothing[None, :, :], np.zeros(1)))
    broken: dict[str, bool] = {}
    for reach in reaches(site, runs, already):
        broken[reach.limit_name] = broken.get(reach.limit_name, False) or bool(reach.broken[0])
    compared = compare(rehearsal, seen)
    widths = tuple((band.metric, band.acted[-1][2] - band.acted[-1][0]) for band in rehearsal.bands)
    chances = tuple((r.name, r.acted, broken[r.name]) for r in rehearsal.risks if r.name in broken)
    return Case(fault.id, asset, action.name, action.asset, rehearsal.said, compared, widths, chances)


def _all_quantities(plant: Plant, action: Action) -> Any:
    from plant.diagnosis.quantities import watched

    return watched(plant, action.asset)


# ---- the report --------------------------------------------------------------------------------------------------


def report(cases: Sequence[Case], skipped: int) -> Report:
    """Coverage over all quantities and by metric; chances of limits by the Brier score."""
    rows = [
        (name.rpartition(".")[2], low <= seen <= high)
        for case in cases for name, low, _, high, seen in _within(case.compared)
    ]  # fmt: skip
    widths = [pair for case in cases for pair in case.widths]
    true = sum(case.compared.came_true for case in cases)
    low, high = wilson(true, len(cases))
    chances = [(p, float(hit)) for case in cases for _, p, hit in case.chances]
    rate = float(np.mean([hit for _, hit in chances])) if chances else 0.0
    return Report(
        cases=len(cases), skipped=skipped, quantities=_coverage("all", rows, widths),
        by_metric=tuple(_coverage(m, [r for r in rows if r[0] == m], [w for w in widths if w[0] == m])
                        for m in dict.fromkeys(sorted(row[0] for row in rows))),
        came_true=true, came_true_low=low, came_true_high=high, limits=len(chances),
        brier=float(np.mean([(p - hit) ** 2 for p, hit in chances])) if chances else 0.0, brier_even=rate * (1.0 - rate),
    )  # fmt: skip


def _within(compared: Compared) -> tuple[tuple[str, float, float, float, float], ...]:
    """Rows as `compare` judges them: the last digit decides nothing."""
    from plant.diagnosis.quantities import METRICS

    slack = {name: 0.05 * METRICS[name.rpartition(".")[2]].notable for name, *_ in compared.rows}
    return tuple((n, low - slack[n], mid, high + slack[n], seen) for n, low, mid, high, seen in compared.rows)


def _coverage(metric: str, rows: Sequence[tuple[str, bool]], widths: Sequence[tuple[str, float]]) -> Coverage:
    inside = sum(hit for _, hit in rows)
    low, high = wilson(inside, len(rows))
    width = float(np.median([w for _, w in widths])) if widths and metric != "all" else 0.0
    return Coverage(metric, len(rows), inside, low, high, width)


def run(site: Site, cases: int, seed: int = 1) -> tuple[Report, list[Case]]:
    """So many cases; those without a remedy to rehearse are counted as skipped and replaced."""
    played: list[Case] = []
    tried = 0
    while len(played) < cases and tried < 10 * cases:
        case = play(site, seed + tried)
        tried += 1
        if case is not None:
            played.append(case)
    return report(played, tried - len(played)), played


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How often actions come out as rehearsed")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--site", default="demo", help="a site file or an included site")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    parser.add_argument("--misses", action="store_true", help="what lay furthest outside, case by case")
    options = parser.parse_args(argv)
    found, cases = run(load_site(site_file_of(options.site)), options.cases, options.seed)
    if options.json:
        print(json.dumps(asdict(found), indent=2))
        return
    print(f"{found.cases} cases on {options.site} ({found.skipped} faults without a remedy to rehearse): came true "
          f"{found.came_true} ({found.came_true / max(1, found.cases):.2f}, {found.came_true_low:.2f} to {found.came_true_high:.2f})")  # fmt: skip
    for row in (found.quantities, *found.by_metric):
        share = row.inside / max(1, row.count)
        print(f"  {row.metric:<18} {row.inside:>4} of {row.count:<4} in the 90 % interval ({share:.2f}, {row.low:.2f} to "
              f"{row.high:.2f})" + (f", median width {row.width:.3g}" if row.width else ""))  # fmt: skip
    print(
        f"  chances of {found.limits} limits: Brier {found.brier:.4f}; always the base rate {found.brier_even:.4f}"
    )
    for case in cases if options.misses else ():
        if case.compared.worst:
            print(f"  {case.fault} at {case.asset}, {case.action} {case.acted_on}: {case.compared.worst}")


if __name__ == "__main__":
    main()
