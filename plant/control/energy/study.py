"""Fourteen days of public request rates under the managers and under two fleets without them.

Rates: ServeGen m-large, means of ten minutes. Lengths: Azure's conversation trace of 2023. Carbon: PJM's hourly
intensity of 2022. The same requests, deadlines, hosts and margins for all; nothing but what the policy's name says
differs. A forecast sees the series up to the beginning of a step and nothing later.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plant.control.energy.fleet import Ahead, Books, OffState, Policy, Pool, run
from plant.control.energy.lengths import NAMES, AnswerPredictor, prompt_class
from plant.control.energy.profile import load_of
from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.deployment import Deployment
from plant.inference.trace import Trace, read_rates, read_trace
from plant.specs import NodeSpec
from setpoint.errors import InputError, UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RATES, TRACE, CARBON = (
    "rate_servegen_m-large_10min.csv", "trace_azure2023_conv.csv", "carbon_intensity_PJM_2022_hourly.csv",
)  # fmt: skip
START = datetime(2024, 1, 1, tzinfo=UTC)
"""Of the series, which gives no date: a day is a day to the forecaster."""
Group = tuple[tuple[int, ...], tuple[int, ...]]
"""Classes of prompts, and classes of answers as predicted on arrival, that share a pool."""
ANY, BRIEF, LONG = (0, 1, 2), (0, 1), (2,)
ONE: tuple[Group, ...] = ((ANY, ANY),)
PARTITIONS: tuple[tuple[Group, ...], ...] = (
    ONE, (((0, 1), ANY), ((2,), ANY)), (((0,), ANY), ((1, 2), ANY)), (((0,), ANY), ((1,), ANY), ((2,), ANY)),
    ((ANY, BRIEF), (ANY, LONG)), (((0,), ANY), ((1, 2), BRIEF), ((1, 2), LONG)),
    (((0, 1), ANY), ((2,), BRIEF), ((2,), LONG)),
)  # fmt: skip
"""What the queue manager may choose from: neighbouring classes of prompts, split by the answer foretold or not."""
HORIZON_STEPS = 7
REFIT_DAYS = 1.0
LEAST_RATIOS = 144
"""A day of steps, before which a reactive scaler takes FIRST_PU above the last rate."""
FIRST_PU = 0.3


def data_folder(given: Path | None = None) -> Path:
    """Where the public series lie: as given, else under SETPOINT_SHARED_DATA, else beside the repository.

    Raises InputError with a remedy where they are not.
    """
    shared = os.environ.get("SETPOINT_SHARED_DATA")
    root = Path(__file__).resolve().parents[3]
    folder = given or (Path(shared) / "plant" if shared else root.parent / "shared" / "data" / "plant")
    for name in (RATES, TRACE, CARBON):
        if not (folder / name).is_file():
            raise InputError(
                f"the public series {name} is not in {folder}",
                remedy="Give the folder with --data or SETPOINT_SHARED_DATA; the bench needs all three series",
            )
    return folder


@dataclass(frozen=True)
class Setting:
    """What is served on what, and what it must keep."""

    model: str = "llama-3.1-70b"
    gpu: str = "H100"
    tps: tuple[int, ...] = (4, 8)
    """Tensor parallel ways a pool may take; the fleets without managers take their best too, in hindsight."""
    ttft_s: tuple[float, float, float] = (0.5, 0.8, 2.0)
    """Deadlines of the first token by class of prompt, S, M, L."""
    tpot_s: float = 0.1
    quantile: float = 0.95
    """Upper end that scalers provide for, of each step ahead."""
    off: OffState = "off"
    node: NodeSpec = field(default_factory=NodeSpec)


@dataclass(frozen=True)
class Series:
    """What the study reads."""

    rates_rps: FloatArray
    step_s: float
    trace: Trace
    carbon_g_per_kwh: FloatArray
    """Hourly."""


def read_series(folder: Path, days: float | None = None) -> Series:
    """The public series; the first `days` of the rates. Raises InputError where one cannot be read."""
    t_s, rates = read_rates(folder / RATES)
    step_s = float(np.median(np.diff(t_s)))
    count = len(rates) if days is None else max(1, round(days * 86400.0 / step_s))
    return Series(rates[:count], step_s, read_trace(folder / TRACE), _carbon(folder / CARBON))


def _carbon(path: Path) -> FloatArray:
    """The hourly intensity; its missing hours are bridged from their neighbours."""
    rows = path.read_text(encoding="utf-8").splitlines()[1:]
    read = np.array([float(row.split(",")[1] or "nan") for row in rows])
    hours, there = np.arange(len(read)), np.isfinite(read)
    return np.asarray(np.interp(hours, hours[there], read[there]), np.float64)


class Study:
    """The fleets of one setting over one series."""

    def __init__(self, series: Series, setting: Setting) -> None:
        self.series, self.setting = series, setting
        self.kinds = prompt_class(series.trace.prompt_tokens)

    @cached_property
    def foretold(self) -> IntArray:
        """The answer's class of each request of the trace, as a predictor taught on the other half tells it."""
        trace, half = self.series.trace, len(self.series.trace) // 2
        found = np.zeros(len(trace), np.int64)
        for own, other in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
            taught = AnswerPredictor.fit(trace.prompt_tokens[other], trace.output_tokens[other])
            found[own] = taught.predict(trace.prompt_tokens[own])
        return found

    def pool(self, group: Group, tp: int) -> Pool:
        """A pool that serves those classes. Answers that were foretold wrongly are in it with their true lengths."""
        s, trace = self.setting, self.series.trace
        mine = np.flatnonzero(np.isin(self.kinds, group[0]) & np.isin(self.foretold, group[1]))
        load = load_of(
            trace.prompt_tokens[mine], trace.output_tokens[mine], self.kinds[mine], s.ttft_s, s.tpot_s
        )
        d = Deployment(model=model(s.model), gpu=gpu(s.gpu), tp=tp, max_len=16384)
        name = "+".join(NAMES[k] for k in group[0])
        if group[1] != ANY:
            name += " brief" if group[1] == BRIEF else " long"
        return Pool(name, len(mine) / len(trace), d, load, s.node, mine)

    def shaped(self, group: Group, rate_rps: float, clocked: bool) -> Pool:
        """The same with the tensor parallelism that draws least at that rate of all requests."""
        able = [p for p in (self.pool(group, tp) for tp in self.setting.tps) if p.tables[-1].capacity_rps > 0]
        if not able:
            raise UsageError(
                f"no tensor parallelism of {self.setting.tps} keeps {self.setting.ttft_s} s for {group}",
                remedy="Loosen the deadlines",
            )
        return min(able, key=lambda p: _drawn_kw(p, p.share * rate_rps, clocked))

    @cached_property
    def typical_rps(self) -> float:
        """Rate that pools are shaped for: the mean of the first day."""
        return float(self.series.rates_rps[: round(86400.0 / self.series.step_s)].mean())

    @cached_property
    def single(self) -> tuple[Pool, ...]:
        """One pool for all, with the tensor parallelism that draws least as a fixed fleet over the whole series."""
        able = [
            p for p in (self.pool(ONE[0], tp) for tp in self.setting.tps) if p.tables[-1].capacity_rps > 0
        ]
        if not able:
            raise UsageError(
                f"no tensor parallelism of {self.setting.tps} keeps {self.setting.ttft_s} s in one pool",
                remedy="Loosen the deadlines",
            )
        rates = self.series.rates_rps

        def drawn_kw(pool: Pool) -> float:
            count = pool.fewest(float(rates.max()))
            return float(np.mean([pool.power_kw(rate, count, pool.table(count).full) for rate in rates[::6]]))

        return (min(able, key=drawn_kw),)

    @cached_property
    def partitions(self) -> tuple[tuple[float, tuple[Pool, ...]], ...]:
        """Every partition that holds requests and can keep the deadlines, with its kW at the typical rate."""
        found = []
        for parts in PARTITIONS:
            try:
                pools = tuple(self.shaped(group, self.typical_rps, True) for group in parts)
            except UsageError:
                continue
            drawn_kw = sum(_drawn_kw(pool, pool.share * self.typical_rps, True) for pool in pools)
            found.append((drawn_kw, pools))
        return tuple(found)

    @cached_property
    def parted(self) -> tuple[Pool, ...]:
        """The queue manager: the partition of the classes that draws least at the typical rate."""
        return min(self.partitions, key=lambda one: one[0])[1]

    @cached_property
    def nodes(self) -> int:
        """Of the fleet: what the static one needs."""
        return int(
            np.ceil(sum(p.fewest(p.share * self.series.rates_rps.max()) * p.host_share for p in self.single))
        )

    # ---- forecasts ----------------------------------------------------------------------------------

    @cached_property
    def forecast(self) -> Ahead:
        """By the common forecaster, refitted daily, at the quantile of the setting."""
        from plant.control.forecast.model import Forecaster

        rates, step_s = self.series.rates_rps, self.series.step_s
        made = Forecaster(step_s, HORIZON_STEPS, level=2 * self.setting.quantile - 1)
        expected, high = (np.full((len(rates), HORIZON_STEPS), rates[0]) for _ in range(2))
        high *= 1 + FIRST_PU
        refit = round(REFIT_DAYS * 86400.0 / step_s)
        for t in range(1, len(rates)):
            if t == 1 or t % refit == 0:
                made.fit(rates[:t], START)
            bands = made.predict(rates[:t], START)
            expected[t], high[t] = bands.expected, bands.high
        return Ahead(expected, high, "forecast")

    @cached_property
    def reactive(self) -> Ahead:
        """The last rate, with the quantile of how far such a guess fell short before."""
        return reactive(self.series.rates_rps, HORIZON_STEPS, self.setting.quantile)

    @cached_property
    def oracle(self) -> Ahead:
        """What comes, known."""
        rates = self.series.rates_rps
        later = np.stack([np.append(rates[h:], np.full(h, rates[-1])) for h in range(HORIZON_STEPS)], axis=1)
        return Ahead(later, later, "oracle")

    # ---- policies -----------------------------------------------------------------------------------

    def policies(self) -> dict[str, tuple[tuple[Pool, ...], Policy]]:
        """By name: the pools and who decides. "static" and "hourly" are the baselines, "all three" is ours."""
        named: dict[str, tuple[tuple[Pool, ...], Policy]] = {
            "static": (self.single, Policy("static", None)),
            "hourly": (self.single, Policy("hourly", self.reactive, every_steps=6)),
        }
        for cluster, queue, instance in product((False, True), repeat=3):
            name = _name(cluster, queue, instance)
            if name:
                ahead = self.forecast if cluster else None
                pools = self.parted if queue else self.single
                named[name] = (pools, Policy(name, ahead, clocked=instance, emergency=cluster))
        named["oracle"] = (self.parted, Policy("oracle", self.oracle, clocked=True))
        return named

    def books(self) -> dict[str, Books]:
        """Every policy run over the series."""
        s = self.series
        return {
            name: run(pools, policy, s.rates_rps, s.step_s, self.nodes, self.setting.off)
            for name, (pools, policy) in self.policies().items()
        }


def _drawn_kw(pool: Pool, rate_rps: float, clocked: bool) -> float:
    count = pool.thrifty(rate_rps, pool.fewest(rate_rps), clocked)
    return pool.power_kw(rate_rps, count, pool.clocks(rate_rps, count) if clocked else pool.table(count).full)


def _name(cluster: bool, queue: bool, instance: bool) -> str:
    if cluster and queue and instance:
        return "all three"
    return " + ".join(n for n, on in (("cluster", cluster), ("queue", queue), ("instance", instance)) if on)


def reactive(rates: FloatArray, horizon: int, quantile: float) -> Ahead:
    """At each step the rate of the step before, and the quantile of the ratios that such a guess met so far."""
    expected = np.repeat(np.append(rates[:1], rates[:-1])[:, None], horizon, axis=1)
    high = expected * (1 + FIRST_PU)
    for h in range(horizon):
        ratios = rates[1 + h :] / np.maximum(rates[: len(rates) - 1 - h], 1e-9)
        for t in range(LEAST_RATIOS + h + 1, len(rates)):
            high[t, h] = expected[t, h] * max(1.0, float(np.quantile(ratios[: t - 1 - h], quantile)))
    return Ahead(expected, high, "last rate")


def with_margin(rates: FloatArray, horizon: int, margin_pu: float) -> Ahead:
    """At each step the rate of the step before, and that much more."""
    expected = np.repeat(np.append(rates[:1], rates[:-1])[:, None], horizon, axis=1)
    return Ahead(expected, expected * (1.0 + margin_pu), "last rate and a margin")
