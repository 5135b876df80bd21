"""Telemetry history and how good it is: coverage, resolution, gaps and stuck values.

A plan says when its data are too coarse for it: what a power spike, a loop or a tariff needs is in `NEEDS`.
"""

from __future__ import annotations

import bisect
import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Literal, Protocol

from setpoint.errors import InputError

Purpose = Literal["power_spikes", "thermal_control", "peak_shaving", "tariff", "capacity"]
NEEDS: dict[Purpose, float] = {
    "power_spikes": 0.5, "thermal_control": 10.0, "peak_shaving": 60.0, "tariff": 900.0, "capacity": 3600.0,
}  # fmt: skip
"""Longest step in seconds that still shows what the purpose is about: a prefill spike lasts under a second, a rack
loop's time constant is one to five minutes, demand is billed by the quarter of an hour."""
LEAST_COVERAGE = 0.9
GAP_FACTOR = 3.0
"""A step of more than so many usual ones is a gap."""
STUCK_RUN = 20
"""So many equal readings in a row of a quantity that otherwise moves are suspicious."""


@dataclass(frozen=True)
class Series:
    """Readings of one metric of one asset, oldest first."""

    asset: str
    metric: str
    times: tuple[datetime, ...]
    values: tuple[float, ...]

    def since(self, moment: datetime) -> Series:
        first = bisect.bisect_left(self.times, moment)
        return Series(self.asset, self.metric, self.times[first:], self.values[first:])


class History(Protocol):
    """Where readings of the past come from."""

    def metrics(self, asset: str) -> Sequence[str]: ...

    def series(self, asset: str, metric: str) -> Series | None: ...


@dataclass(frozen=True)
class Quality:
    """How good a series is over a span."""

    readings: int
    span_s: float
    step_s: float
    """Median distance of two readings; 0 with fewer than two."""
    coverage_pu: float
    """Share of the span that lies within a usual step of a reading."""
    gaps: tuple[tuple[datetime, float], ...]
    """Begin and length in seconds of each hole."""
    stuck_s: float
    """Longest run of one value, where the quantity otherwise moves."""

    def fit_for(self, purpose: Purpose) -> tuple[bool, str]:
        """Whether a plan of this kind may rest on it, and why not.

        >>> Quality(2, 3600.0, 3600.0, 1.0, (), 0.0).fit_for("peak_shaving")
        (False, 'one reading in 3600 s; peak_shaving needs one in 60 s or less')
        """
        need = NEEDS[purpose]
        if self.readings < 2:
            many = "1 reading" if self.readings == 1 else f"{self.readings} readings"
            return False, f"{many}; {purpose} needs one in {need:g} s or less"
        if self.step_s > need * 1.05:
            return False, f"one reading in {self.step_s:g} s; {purpose} needs one in {need:g} s or less"
        if self.coverage_pu < LEAST_COVERAGE:
            return (
                False,
                f"{self.coverage_pu:.0%} covered, {len(self.gaps)} gaps; {LEAST_COVERAGE:.0%} is needed",
            )
        if self.stuck_s > max(STUCK_RUN * self.step_s, 0.1 * self.span_s):
            return False, f"the value stood still for {self.stuck_s:.0f} s while it should move"
        return True, f"one reading in {self.step_s:g} s, {self.coverage_pu:.0%} covered"


def quality(series: Series, start: datetime, end: datetime) -> Quality:
    """Quality of a series over [start, end]."""
    inside = [(t, v) for t, v in zip(series.times, series.values, strict=True) if start <= t <= end]
    times = [t for t, _ in inside]
    steps = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
    usual = median(steps) if steps else 0.0
    edges = [start, *times, end]
    gaps = tuple(
        (a, (b - a).total_seconds())
        for a, b in itertools.pairwise(edges)
        if usual and (b - a).total_seconds() > GAP_FACTOR * usual
    )
    span = (end - start).total_seconds()
    missing = sum(length - usual for _, length in gaps)
    covered = (1.0 - missing / span) if times and span > 0 else 0.0
    return Quality(len(inside), span, usual, max(0.0, covered), gaps, _longest_still(inside))


def _longest_still(readings: Sequence[tuple[datetime, float]]) -> float:
    """Seconds of the longest run of one value; 0 where the quantity never moves at all or only switches."""
    if len({value for _, value in readings}) < 4:
        return 0.0
    longest, begin = 0.0, 0
    for at in range(1, len(readings) + 1):
        if at == len(readings) or readings[at][1] != readings[begin][1]:
            longest = max(longest, (readings[at - 1][0] - readings[begin][0]).total_seconds())
            begin = at
    return longest


@dataclass(frozen=True)
class Kept:
    """A history held in memory, from any source of (asset, metric, time, value)."""

    by_asset: Mapping[str, Mapping[str, Series]]

    @classmethod
    def of(cls, readings: Iterable[tuple[str, str, datetime, float]]) -> Kept:
        collected: dict[str, dict[str, list[tuple[datetime, float]]]] = {}
        for asset, metric, time, value in readings:
            collected.setdefault(asset.lower(), {}).setdefault(metric, []).append((time, value))
        return cls({
            asset: {metric: _series(asset, metric, points) for metric, points in metrics.items()}
            for asset, metrics in collected.items()
        })  # fmt: skip

    def metrics(self, asset: str) -> Sequence[str]:
        return sorted(self.by_asset.get(asset.lower(), {}))

    def series(self, asset: str, metric: str) -> Series | None:
        return self.by_asset.get(asset.lower(), {}).get(metric)


def _series(asset: str, metric: str, points: list[tuple[datetime, float]]) -> Series:
    points.sort(key=lambda point: point[0])
    return Series(asset, metric, tuple(t for t, _ in points), tuple(v for _, v in points))


def read_history(path: Path) -> Kept:
    """A CSV file with the columns time, asset, metric, value; an empty value is no reading.

    Raises InputError with the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"time", "asset", "metric", "value"} - set(rows.fieldnames or ())
            if missing:
                raise InputError(
                    f"no column {', '.join(sorted(missing))}", where=str(path), remedy="Name the columns time,asset,metric,value"
                )  # fmt: skip
            told = ((row, number) for number, row in enumerate(rows, 2) if row["value"] != "")
            return Kept.of(_reading(row, path, number) for row, number in told)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error


def _reading(row: Mapping[str, str], path: Path, number: int) -> tuple[str, str, datetime, float]:
    try:
        time = datetime.fromisoformat(row["time"])
        value = float(row["value"])
    except (TypeError, ValueError) as error:
        raise InputError(
            str(error), where=f"{path}, line {number}", remedy="Mend or drop the line"
        ) from error
    if time.tzinfo is None:
        raise InputError(
            f"{row['time']} has no zone",
            where=f"{path}, line {number}",
            remedy="Write it as 2026-03-14T21:00:00Z",
        )
    return row["asset"], row["metric"], time, value


def within(minutes: float, end: datetime) -> tuple[datetime, datetime]:
    """The span that ends at `end`."""
    return end - timedelta(minutes=minutes), end
