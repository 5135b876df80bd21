"""Pictures of plans as inline SVG, over the site's own clock: forecasts with their interval, what is planned against what
would be without it, and when parts are expected to fail beside when they are serviced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from agents.plan_words import figure, move_words, share, unit_sign
from setpoint.app.charts import WIDTH, Chart, Interval, Line, Mark, draw
from setpoint.contracts.loops import Curve, Forecast, LoopPlan, Move, Task

MOST_TASKS = 24
MOST_MARKS = 30
"""More flags than that on a chart cover each other: then those of one moment share a flag, and the rest is in the table."""
DAY_S = 86400.0
Place = Callable[[datetime], float]
"""Where a moment stands across a picture."""


@dataclass(frozen=True)
class Axis:
    """Seconds since local midnight before a moment, so that round seconds are round hours there."""

    midnight: datetime
    zone: ZoneInfo
    span_s: float

    @classmethod
    def since(cls, start: datetime, span_s: float, zone: ZoneInfo) -> Axis:
        there = start.astimezone(zone)
        return cls(datetime.combine(there.date(), time(), zone), zone, span_s)

    def at(self, moment: datetime) -> float:
        return (moment - self.midnight).total_seconds()

    def told(self, second: float) -> str:
        """The hour; where days pass, the day at midnight; over weeks, the date."""
        moment = (self.midnight + timedelta(seconds=second)).astimezone(self.zone)
        if self.span_s > 5 * DAY_S:
            return f"{moment:%d %b}"
        midnight = moment.hour == moment.minute == moment.second == 0
        if midnight and self.span_s > 0.9 * DAY_S:
            return f"{moment:%a %d}"
        return f"{moment:%H:%M:%S}" if second % 60 else f"{moment:%H:%M}"

    def steps(self, start: datetime, step_s: float, many: int) -> NDArray[np.float64]:
        return self.at(start) + step_s * np.arange(many, dtype=np.float64)


def _array(values: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def forecast_chart(one: Forecast, zone: ZoneInfo) -> Markup:
    """The expected course with its interval."""
    axis = Axis.since(one.start, one.step_s * len(one.expected), zone)
    times = axis.steps(one.start, one.step_s, len(one.expected))
    chart = Chart(
        one.title, f"{unit_sign(one.unit)}, band {share(one.level)}", (Line("expected", _array(one.expected), kind="plan"),),
        intervals=(Interval(_array(one.low), _array(one.high), "plan"),),
    )  # fmt: skip
    return draw(chart, times, told=axis.told)


def curve_chart(one: Curve, moves: Sequence[Move], zone: ZoneInfo) -> Markup:
    """The planned course, the course without the plan, the limit, and as flags the moves of what it is about; all of
    them where it is about none of them alone."""
    span = one.step_s * max(len(one.planned), len(one.without))
    axis = Axis.since(one.start, span, zone)
    times = axis.steps(one.start, one.step_s, len(one.planned))
    stepped = all(float(value).is_integer() for value in one.planned)
    lines = [Line("with the plan", _array(one.planned), stepped, "plan")]
    if len(one.without) == len(one.planned):
        lines.insert(0, Line("without it", _array(one.without), stepped, "without"))
    limits = ((one.limit_name or "limit", one.limit),) if one.limit is not None else ()
    told = "".join(f", {name} {figure(value)}" for name, value in limits)
    chart = Chart(one.title, f"{unit_sign(one.unit)}{told}".lstrip(", "), tuple(lines), limits)
    last = float(times[-1]) if len(times) else 0.0
    return draw(chart, times, marks_of(moves, one.name.rpartition(".")[0], axis, last), axis.told)


def marks_of(moves: Sequence[Move], asset: str, axis: Axis, last_s: float) -> list[Mark]:
    """The moves by time; those of one moment share a flag, numbered as in the table of moves."""
    numbers = flag_numbers(moves)
    own = [move for move in moves if move.asset == asset] or moves
    by_time: dict[datetime, list[str]] = {}
    for move in own:
        by_time.setdefault(move.at, []).append(move_words(move))
    marks = [
        Mark(
            axis.at(moment),
            said[0] if len(said) == 1 else f"{said[0]} and {len(said) - 1} more",
            str(numbers[moment]),
        )
        for moment, said in sorted(by_time.items())
    ]
    return [mark for mark in marks if mark.at_s <= last_s][:MOST_MARKS]


def flag_numbers(moves: Sequence[Move]) -> dict[datetime, int]:
    """The number of each moment's flag, as `marks_of` gives them."""
    return {moment: number for number, moment in enumerate(sorted({move.at for move in moves}), 1)}


# ---- parts that wear ---------------------------------------------------------------------------------------------

_ROW, _HEAD, _NAMES = 24.0, 30.0, 250.0
_YEAR_STEPS = (1, 2, 7, 14, 30, 60, 90, 180, 365)


def task_chart(plan: LoopPlan, zone: ZoneInfo) -> Markup:
    """A row for each part: the interval of its failure with the expected day, and the window of its service."""
    tasks = [one for one in plan.tasks if one.expected_failure or one.low or one.high or one.window_start][
        :MOST_TASKS
    ]
    if not tasks:
        return Markup("")
    first = plan.made
    last = max(moment for one in tasks for moment in (*_ends(one), first + timedelta(seconds=plan.horizon_s)))
    last = min(last, first + timedelta(seconds=4 * plan.horizon_s))
    span_s = (last - first).total_seconds()

    def x(moment: datetime) -> float:
        share_of = (moment - first).total_seconds() / span_s
        return _NAMES + min(1.0, max(0.0, share_of)) * (WIDTH - _NAMES - 24.0)

    height = _HEAD + _ROW * len(tasks) + 10.0
    parts = _days(first, last, x, height, zone)
    end = x(first + timedelta(seconds=plan.horizon_s))
    parts.append(
        Markup('<line class="task-horizon" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(
            end, end, _HEAD - 8, height
        )
    )
    parts += [_task_row(one, _HEAD + _ROW * (place + 0.5), x, zone) for place, one in enumerate(tasks)]
    said = "; ".join(_task_said(one, zone) for one in tasks)
    return Markup('<svg class="chart tasks" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        int(WIDTH), int(height), f"Parts and when they fail: {said}", Markup("").join(parts)
    )


def _ends(one: Task) -> list[datetime]:
    return [moment for moment in (one.expected_failure, one.high, one.window_end) if moment]


def _days(first: datetime, last: datetime, x: Place, height: float, zone: ZoneInfo) -> list[Markup]:
    days = (last - first).total_seconds() / DAY_S
    step = next((n for n in _YEAR_STEPS if days / n <= 10), _YEAR_STEPS[-1])
    begin: date = first.astimezone(zone).date()
    made = []
    for place in range(int(days / step) + 1):
        moment = datetime.combine(begin + timedelta(days=1 + place * step), time(), zone)
        if moment > last:
            break
        made.append(
            Markup('<line class="chart-grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                   '<text class="tick" text-anchor="middle" x="{0:.1f}" y="14">{3}</text>').format(
                x(moment), _HEAD - 8, height, f"{moment:%d %b}")
        )  # fmt: skip
    return made


def _task_row(one: Task, y: float, x: Place, zone: ZoneInfo) -> Markup:
    parts = [
        Markup('<text class="tick" text-anchor="end" x="{}" y="{:.1f}">{}</text>').format(
            _NAMES - 10, y + 4, _short_name(f"{one.asset} {one.part}")
        )
    ]
    if one.low or one.high:
        begin = x(one.low) if one.low else _NAMES
        end = x(one.high) if one.high else WIDTH - 24.0
        parts.append(
            Markup(
                '<rect class="task-interval" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="8" rx="2"/>'
            ).format(begin, y - 4, max(end - begin, 2.0))
        )
    if one.expected_failure:
        parts.append(
            Markup('<circle class="task-failure" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(
                x(one.expected_failure), y
            )
        )
    if one.window_start:
        begin, end = x(one.window_start), x(one.window_end or one.window_start)
        parts.append(
            Markup(
                '<rect class="task-window" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="16" rx="2"/>'
            ).format(begin - 3, y - 8, max(end - begin, 6.0))
        )
    return Markup("<g><title>{}</title>{}</g>").format(_task_said(one, zone), Markup("").join(parts))


def _short_name(name: str, most: int = 38) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}\u2026"


def _task_said(one: Task, zone: ZoneInfo) -> str:
    fails = (
        f"fails near {one.expected_failure.astimezone(zone):%Y-%m-%d}"
        if one.expected_failure
        else "no date known"
    )
    done = (
        f", serviced {one.window_start.astimezone(zone):%Y-%m-%d %H:%M}"
        if one.window_start
        else ", no window"
    )
    return f"{one.asset} {one.part} {fails}{done}"
