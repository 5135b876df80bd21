"""Pictures of a run of control loops: the days with and without, and what was foreseen against what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from agents.plan_words import share, unit_sign
from setpoint.app.charts import Chart, Interval, Line, Mark, draw
from setpoint.app.loop_figures import DAY_S, Came
from setpoint.app.loops_run import LoopRun, Track
from setpoint.app.plan_pictures import Axis

LIMIT_OF = {
    "site.grid_kw": ("site_power_max_kw", "contracted peak"), "site.gpu_temp_max_c": ("gpu_temp_max_c", "limit"),
    "soc_pct": ("soc_min_pct", "least charge"), "flow_lpm": ("flow_min_lpm", "least flow"), "ttft_ms": ("ttft_slo_ms", "SLO"),
}  # fmt: skip
"""By track, or by its metric: the site limit drawn with it, and its words."""


def track_chart(track: Track, run: LoopRun, marks: Sequence[Mark] = (), on: date | None = None) -> Markup:
    """One quantity with the loops and without; of one local day where `on` is given. "" where nothing was read then."""
    zone = ZoneInfo(run.zone)
    times, columns = _within(track, run, on)
    if not len(times):
        return Markup("")
    axis = Axis.since(run.start if on is None else _midnight(on, zone), _reach(times), zone)
    offset = axis.at(run.start)
    lines = []
    if len(columns[1]) == len(times) and np.isfinite(columns[1]).any():
        lines.append(Line("without", columns[1], kind="without"))
    lines.append(Line("with the loop" if len(run.names) == 1 else "with the loops", columns[0], kind="plan"))
    known = LIMIT_OF.get(track.name) or LIMIT_OF.get(track.name.rpartition(".")[2])
    limits = ((known[1], run.limits[known[0]]),) if known and known[0] in run.limits else ()
    chart = Chart(track.title, unit_sign(track.unit), tuple(lines), limits)
    shifted = [Mark(mark.at_s + offset, mark.what) for mark in marks]
    return draw(chart, times + offset, shifted, axis.told)


def _within(
    track: Track, run: LoopRun, on: date | None
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Times and both columns, of the whole run or of one day; nothing where nothing was read."""
    times = np.asarray(track.times_s, dtype=np.float64)
    both = (np.asarray(track.with_loop, dtype=np.float64), np.asarray(track.without, dtype=np.float64))
    if on is not None:
        first = (_midnight(on, ZoneInfo(run.zone)) - run.start).total_seconds()
        inside = (times >= first) & (times < first + DAY_S)
        times = times[inside]
        both = (both[0][inside], both[1][inside] if len(both[1]) == len(inside) else both[1][:0])
    return (times, both) if np.isfinite(both[0]).any() else (times[:0], both)


def _midnight(on: date, zone: ZoneInfo) -> datetime:
    return datetime(on.year, on.month, on.day, tzinfo=zone)


def _reach(times: NDArray[np.float64]) -> float:
    return float(times[-1] - times[0]) if len(times) > 1 else 1.0


def came_chart(one: Came, zone: ZoneInfo, title: str, level: float) -> Markup:
    """What was read as a line, over the interval that was foreseen for each moment."""
    first = one.rows[0].foreseen.due
    axis = Axis.since(first, (one.rows[-1].foreseen.due - first).total_seconds(), zone)
    times = np.array([axis.at(row.foreseen.due) for row in one.rows])
    low, high, expected = (
        np.array([getattr(row.foreseen, name) for row in one.rows], dtype=np.float64) for name in ("low", "high", "expected")
    )  # fmt: skip
    read = np.array([math.nan if row.read is None else row.read for row in one.rows])
    chart = Chart(
        title, f"{unit_sign(one.unit)}, band {share(level)}".lstrip(", "),
        (Line("foreseen", expected, kind="plan"), Line("read", read, kind="read")), intervals=(Interval(low, high, "plan"),),
    )  # fmt: skip
    return draw(chart, times, told=axis.told)
