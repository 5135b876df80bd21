"""The energy loop: each pool runs the nodes and the clock that its coming requests need, and no more.

Every half hour it forecasts each pool's requests, provides for the upper end of the forecast within the time to first
token, parks nodes and lowers clocks where that saves, and calls them back in time. Few changes are proposed at once,
those that add capacity first, and each is safe by itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from plant.control.energy.pool_plan import PoolModel, PoolPath, Step, due, plan_pool
from setpoint.contracts.loops import Forecast, Foreseen, LoopName, LoopPlan, Observed, Trouble, Watch
from tools.loops.energy_site import RATE, model_of, pools_of, site_other_kw
from tools.loops.energy_words import Outlook, plan_of
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing

FloatArray = NDArray[np.float64]
CYCLE_S, STEP_S = 1800.0, 600.0
HORIZON_S, LEAST_S, MOST_S = 24 * 3600.0, 3600.0, 48 * 3600.0
HISTORY_DAYS = 14.0
LEVEL = 0.9
NEAR_STEPS = 6
"""Steps whose upper end counts for what is due: this cycle's and the next one's, since a change may wait for review."""
BEYOND = 1.5
"""Times the upper half of the band that is provided for: of a band of 90 %, about one step in a hundred is above."""
MOST_MOVES = 3
"""Proposals of one cycle, over the whole site."""
LEAST_KW, LEAST_CLOCK_PU = 2.0, 0.1
"""Smaller savings and smaller changes of clock are not worth a person's time."""
WIDEN, NARROW, WIDEST = 1.06, 0.995, 3.0
"""Factors of the bands after a miss and after a hit: they hold still where nine of ten readings are inside."""


@dataclass(frozen=True)
class PoolOutlook:
    """One pool over the horizon."""

    model: PoolModel
    forecast: Forecast
    high: FloatArray
    """Rates that are provided for."""
    now: tuple[int, float]
    """Nodes that serve and their clock, as a share of the maximum."""
    path: PoolPath
    steps: tuple[Step, ...]

    @property
    def near(self) -> tuple[float, float]:
        """(expected now, highest rate provided for) of the steps that what is due must carry."""
        return self.forecast.expected[0], float(self.high[:NEAR_STEPS].max())


class EnergyLoop:
    """`tools.loops.ports.Loop` of energy."""

    name: LoopName = "energy"
    cycle_s = CYCLE_S

    def __init__(self, ports: LoopPorts) -> None:
        self.ports = ports
        self.horizon_s = min(max(ports.horizon_s or HORIZON_S, LEAST_S), MOST_S)
        self._spread: dict[str, float] = {}
        """Factor on a pool's bands, learned from what came."""
        self._held: dict[str, list[int]] = {}
        """By pool: readings within their interval, and all."""
        self._fitted: dict[str, tuple[object, object]] = {}

    @property
    def _steps(self) -> int:
        return round(self.horizon_s / STEP_S)

    # ---- monitor ------------------------------------------------------------------------------------------------

    def monitor(self, now: datetime) -> Watch:
        sensing = Sensing(self.ports, now)
        pools = pools_of(self.ports.site)
        if not pools:
            sensing.add(Trouble(
                kind="missing", what=f"Site {self.ports.site.name} names no pool", instead="leaves everything as it is",
                remedy="Describe the pools that serve under `pools:` in the site file",
            ))  # fmt: skip
        read = [model_of(self.ports.site, sensing, pool) is not None for pool in pools]
        if pools and not any(read):
            sensing.add(Trouble(
                kind="missing", what=f"None of the {len(pools)} pools tells its requests and nodes",
                instead="leaves nodes and clocks as they are", remedy="Check the gateway or the adapter that reads the pools",
            ))  # fmt: skip
        site_other_kw(self.ports.site, sensing, 0.0)
        return sensing.watch(self.name)

    # ---- predict ------------------------------------------------------------------------------------------------

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        found = (self._ahead(pool, watch) for pool in pools_of(self.ports.site))
        return tuple(one for one in found if one is not None)

    def _ahead(self, pool: str, watch: Watch) -> Forecast | None:
        """The pool's requests ahead; the model learns anew once a day."""
        from plant.control.forecast.model import Forecaster

        if f"{pool}.{RATE}" not in watch.readings:
            return None
        values = Sensing(self.ports, watch.at).series(pool, RATE, HISTORY_DAYS * 24.0, STEP_S)
        read = np.flatnonzero(np.isfinite(values))
        values = values[read[0] :] if len(read) else np.array([watch.readings[f"{pool}.{RATE}"]])
        start = watch.at - timedelta(seconds=len(values) * STEP_S)
        key = (watch.at.date(), start.date())
        kept = self._fitted.get(pool)
        if kept is None or kept[0] != key:
            kept = (key, Forecaster(STEP_S, self._steps, level=LEVEL).fit(values, start))
            self._fitted[pool] = kept
        model = kept[1]
        assert isinstance(model, Forecaster)
        bands, wider = model.predict(values, start), self._spread.get(pool, 1.0)
        low = np.maximum(bands.expected - wider * (bands.expected - bands.low), 0.0)
        high = bands.expected + wider * (bands.high - bands.expected)
        held, told = self._held.get(pool, [0, 0])
        return Forecast(
            name=f"{pool}.{RATE}", title=f"Requests to {pool}", unit="1/s", start=watch.at, step_s=STEP_S,
            expected=_tuple(np.maximum(bands.expected, 0.0)), low=_tuple(low), high=_tuple(np.maximum(high, low)), level=LEVEL,
            method=f"{model.method}, {len(values) * STEP_S / 86400:.1f} days of readings",
            skill=f"held {held} of {told} readings" if told else "",
        )  # fmt: skip

    # ---- optimise -----------------------------------------------------------------------------------------------

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        began = time.perf_counter()
        sensing = Sensing(self.ports, watch.at)
        found = {one.name: one for one in forecasts}
        pools: list[PoolOutlook] = []
        for pool in pools_of(self.ports.site):
            forecast, known = found.get(f"{pool}.{RATE}"), model_of(self.ports.site, sensing, pool)
            if forecast is not None and known is not None:
                pools.append(_outlook(known.model, forecast, known.now))
        kept, later = _few(pools)
        pools_kw = sum(pool.model.power_kw(pool.near[0], *pool.now) for pool in pools)
        outlook = Outlook(
            pools=tuple(kept), put_off=later, step_s=STEP_S, cycle_s=CYCLE_S,
            other_kw=site_other_kw(self.ports.site, sensing, pools_kw), seconds=time.perf_counter() - began,
        )  # fmt: skip
        return plan_of(self.ports.site, watch, tuple(forecasts), outlook, self.horizon_s)

    # ---- what comes of it ---------------------------------------------------------------------------------------

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        """Each pool's requests when the next cycle begins."""
        at = round(CYCLE_S / STEP_S) - 1
        return tuple(
            Foreseen(loop=self.name, at=plan.made, due=plan.made + timedelta(seconds=CYCLE_S), name=one.name,
                     expected=one.expected[at], low=one.low[at], high=one.high[at], unit=one.unit)
            for one in plan.forecasts if one.name.endswith(RATE) and len(one.expected) > at
        )  # fmt: skip

    def learn(self, observed: Sequence[Observed]) -> None:
        for one in observed:
            if one.inside is None or not one.foreseen.name.endswith(RATE):
                continue
            pool = one.foreseen.name.removesuffix(f".{RATE}")
            held, told = self._held.get(pool, [0, 0])
            self._held[pool] = [held + int(one.inside), told + 1]
            wider = self._spread.get(pool, 1.0) * (NARROW if one.inside else WIDEN)
            self._spread[pool] = min(max(wider, 1.0), WIDEST)

    def state(self) -> dict[str, object]:
        return {"spread": dict(self._spread), "held": {pool: list(kept) for pool, kept in self._held.items()}}

    def restore(self, state: Mapping[str, object]) -> None:
        spread, held = state.get("spread"), state.get("held")
        if isinstance(spread, Mapping):
            self._spread = {
                str(k): min(max(float(v), 1.0), WIDEST)
                for k, v in spread.items()
                if isinstance(v, int | float)
            }
        if isinstance(held, Mapping):
            self._held = {
                str(k): [int(v[0]), int(v[1])] for k, v in held.items() if isinstance(v, list) and len(v) == 2
            }


def make(ports: LoopPorts) -> EnergyLoop:
    """The energy loop of a site."""
    return EnergyLoop(ports)


def _outlook(model: PoolModel, forecast: Forecast, now: tuple[int, float]) -> PoolOutlook:
    expected, high = np.array(forecast.expected), _provided(forecast)
    path = plan_pool(model, expected, high, STEP_S)
    steps = due(
        model, path, now, float(expected[0]), float(high[:NEAR_STEPS].max()),
        least_kw=LEAST_KW, least_clock_pu=LEAST_CLOCK_PU,
    )  # fmt: skip
    return PoolOutlook(model, forecast, high, now, path, tuple(steps))


def _provided(forecast: Forecast) -> FloatArray:
    """The rate each step is provided for: beyond the upper end of the forecast, since a burst is over before a parked
    node is back. Beyond the next hour the next hour's spread counts: nodes are called for an hour ahead, not a day."""
    expected, high = np.array(forecast.expected), np.array(forecast.high)
    above = BEYOND * (high - expected)
    spread = np.max(above[:NEAR_STEPS] / np.maximum(expected[:NEAR_STEPS], 1e-9))
    later = np.minimum(above, expected * spread)
    later[:NEAR_STEPS] = above[:NEAR_STEPS]
    return np.asarray(expected + later, np.float64)


def _few(pools: Sequence[PoolOutlook]) -> tuple[list[PoolOutlook], int]:
    """The pools with the changes that matter most, and how many are put off: capacity first, then what saves most."""
    ranked = sorted(
        ((pool.model.name, step) for pool in pools for step in pool.steps),
        key=lambda one: (not one[1].raises, -abs(one[1].saves_kw)),
    )
    raising = sum(step.raises for _, step in ranked)
    keep = ranked[: max(MOST_MOVES, raising)]
    kept = [replace(p, steps=tuple(s for s in p.steps if (p.model.name, s) in keep)) for p in pools]
    return kept, len(ranked) - len(keep)


def _tuple(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
