"""What a control loop reads, checked: single numbers and series on an even grid, and a trouble for each that fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from plant.control.watch import AHEAD_S, LEAD_S, EvenSeries, FloatArray, bounds_of, even_series
from plant.diagnosis.words import span
from plant.jobs.schedule import ScheduledJob
from plant.specs import SPECS
from setpoint.contracts.loops import LoopName, Trouble, Watch
from setpoint.contracts.site import Site
from tools.loops.ports import LoopPorts
from tools.readings import Reading, age_s

STALE_S = 300.0
"""A reading older than this says nothing of now."""
CAPACITY_TIMES = 3.0
"""Of its rating: no feed, battery or distributor carries more, and what says so reads in another unit."""
ANNOUNCED_S = 12 * 3_600.0
"""How far ahead a scheduler knows most of what will run. Jobs are handed in later than that, so that an empty schedule
tells nothing of the day after."""
_RATED = {
    "load_kw": "capacity_kw",
    "power_kw": "power_kw",
    "heat_kw": "capacity_kw",
    "flow_lpm": "flow_max_lpm",
}
"""The rating that bounds a metric, by its name in the asset's spec."""


@dataclass(frozen=True)
class SiteKw:
    """The site's draw on one even grid, kW; NaN where a part of it is not known."""

    start: datetime
    step_s: float
    grid: FloatArray
    """Drawn from the grid; negative: given back."""
    storage: FloatArray
    """From batteries into the site; negative: they charge."""

    @property
    def own(self) -> FloatArray:
        """What the site draws without storage: what has to be forecast, since the plan decides on the rest."""
        return self.grid + self.storage


class Sensing:
    """Reads a site for one cycle, at `now`. `troubles` and `readings` fill as it is asked."""

    def __init__(self, ports: LoopPorts, now: datetime) -> None:
        self.ports, self.now = ports, now
        self.readings: dict[str, float] = {}
        """By "asset.metric", the numbers that are to be trusted."""
        self._troubles: dict[tuple[str, str, str], Trouble] = {}
        self._read: dict[str, Reading | None] = {}

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Each once: by kind, asset and metric; one that blocks stands before one that does not."""
        return tuple(self._troubles.values())

    def watch(self, loop: LoopName) -> Watch:
        """What was read so far."""
        return Watch(loop=loop, at=self.now, readings=self.readings, troubles=self.troubles)

    def add(self, trouble: Trouble) -> None:
        """A trouble found elsewhere; the same one twice is one."""
        key = (trouble.kind, trouble.asset, trouble.metric)
        if key not in self._troubles or (trouble.blocks and not self._troubles[key].blocks):
            self._troubles[key] = trouble

    def number(self, asset: str, metric: str, *, blocks: bool = True) -> float | None:
        """The latest reading; None, and a trouble, where it is missing, too old, from the future or impossible.

        `blocks`: no move may be proposed without it.
        """
        if asset not in self._read:
            self._read[asset] = self.ports.read(asset)
        reading = self._read[asset]
        wrong = self._wrong(reading, asset, metric)
        if wrong is None and reading is not None:
            self.readings[f"{asset}.{metric}"] = value = float(reading.values[metric])
            return value
        if wrong is not None:
            self.add(wrong.model_copy(update={"blocks": blocks}))
        return None

    def series(self, asset: str, metric: str, hours: float, step_s: float) -> FloatArray:
        """Means of `step_s` over the last `hours`, ending now; NaN for gaps. What is wrong is among `troubles`."""
        return self.even(asset, metric, hours, step_s).values

    def even(self, asset: str, metric: str, hours: float, step_s: float) -> EvenSeries:
        """As `series`, with where it starts and how much of it was bridged."""
        steps = max(1, round(hours * 3600.0 / step_s))
        kept = self.ports.history.series(asset, metric)
        since = self.now - timedelta(seconds=steps * step_s + LEAD_S)
        recent = kept.since(since) if kept is not None else None
        found = even_series(
            asset, metric, recent.times if recent else (), recent.values if recent else (),
            end=self.now, steps=steps, step_s=step_s, bounds=self._bounds(asset, metric),
        )  # fmt: skip
        for trouble in found.troubles:
            self.add(trouble)
        return found

    def site_kw(self, hours: float, step_s: float) -> SiteKw:
        """The site's draw from all its feeds, and what its batteries gave. A battery without history counts as at rest."""
        site = self.ports.site
        feeds = [self.series(name, "load_kw", hours, step_s) for name in named(site, "feed")]
        steps = max(1, round(hours * 3600.0 / step_s))
        grid = np.sum(feeds, axis=0) if feeds else np.full(steps, np.nan)
        if not feeds:
            self.add(_no_feeds(site))
        storage = np.zeros(steps)
        for name in named(site, "ess"):
            storage = storage + np.nan_to_num(self.series(name, "power_kw", hours, step_s))
        return SiteKw(self.now - timedelta(seconds=steps * step_s), step_s, grid, storage)

    def scheduled_nodes(self, hours: float, step_s: float, ahead_steps: int) -> tuple[FloatArray, FloatArray]:
        """Node-loads of jobs (one node at full load is 1) over the last `hours` and the next `ahead_steps`, as the
        scheduler tells them now: what `Forecaster` may know ahead, on the grid of `series`. Beyond ANNOUNCED_S the
        schedule is not complete, and NaN."""
        steps = max(1, round(hours * 3600.0 / step_s))
        start = self.now - timedelta(seconds=steps * step_s)
        jobs = self.ports.jobs(start, self.now + timedelta(seconds=ahead_steps * step_s))
        loads = node_loads(jobs, start, steps + ahead_steps, step_s)
        ahead = loads[steps:]
        ahead[round(ANNOUNCED_S / step_s) :] = np.nan
        return loads[:steps], ahead

    def _wrong(self, reading: Reading | None, asset: str, metric: str) -> Trouble | None:
        """What keeps a reading from being trusted."""
        if reading is None or metric not in reading.values:
            return _trouble(
                "missing", asset, metric, "is not read", "Check the sensor and the adapter that reads it"
            )
        value, old_s = float(reading.values[metric]), age_s(reading, self.now)
        if old_s < -AHEAD_S:
            return _trouble(
                "clock_jump", asset, metric, f"is stamped {span(-old_s)} ahead of now", "Set the clocks"
            )
        if old_s > STALE_S:
            return _trouble(
                "stale", asset, metric, f"was last read {span(old_s)} ago", "Check the sensor's path"
            )
        least, most = self._bounds(asset, metric)
        if not math.isfinite(value) or not least <= value <= most:
            return _trouble(
                "impossible", asset, metric, f"reads {value:g}, possible is {least:g} to {most:g}",
                "Check the sensor, its unit and its scaling",
            )  # fmt: skip
        return None

    def _bounds(self, asset: str, metric: str) -> tuple[float, float]:
        """Physical bounds, narrowed by what the asset is rated for."""
        least, most = bounds_of(metric)
        found = self.ports.site.find(asset)
        described = found is not None and found.kind in SPECS and metric in _RATED
        rated = getattr(self.ports.site.spec(asset), _RATED[metric], None) if described else None
        if not rated:
            return least, most
        return max(least, -CAPACITY_TIMES * rated), min(most, CAPACITY_TIMES * rated)


def node_loads(jobs: Sequence[ScheduledJob], start: datetime, steps: int, step_s: float) -> FloatArray:
    """Mean node-load of the jobs in each of `steps` steps from `start` on; paused ones count nothing."""
    begins = np.arange(steps) * step_s
    loads = np.zeros(steps)
    for job in jobs:
        if not job.paused:
            first, last = (job.start - start).total_seconds(), (job.end - start).total_seconds()
            inside_s = np.minimum(begins + step_s, last) - np.maximum(begins, first)
            loads += len(job.nodes) * job.load_pu * np.clip(inside_s, 0.0, step_s) / step_s
    return loads


def named(site: Site, kind: str) -> Sequence[str]:
    """Names of the assets of one kind, in the order of the site file."""
    return [asset.name for asset in site.assets if asset.kind == kind]


def _trouble(kind: str, asset: str, metric: str, what: str, remedy: str) -> Trouble:
    return Trouble.model_validate({
        "kind": kind, "asset": asset, "metric": metric, "what": f"{asset} {metric} {what}",
        "instead": "goes on without it", "remedy": remedy,
    })  # fmt: skip


def _no_feeds(site: Site) -> Trouble:
    return Trouble(
        kind="missing", what=f"site {site.name} names no feed, so its draw is not known", instead="plans no power",
        remedy="Name the feeds in the site file",
    )  # fmt: skip
