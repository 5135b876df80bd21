"""Line charts over plant time as inline SVG. Colours come from the page's style by class name, for light, dark and
print; a chart carries its own description for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

WIDTH, HEIGHT = 1160.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 184.0, 38.0, 24.0
LONGEST_NAME = 20
"""A longer name of a line is cut in its middle, so that it stays in the picture."""
MOST_POINTS = 1400
"""A line of more is drawn as the least and the greatest value of each step across, so that a spike stays visible."""
LEAST_SPAN = 0.04
"""An axis spans at least this share of its largest value."""
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True)
class Line:
    """One quantity over time."""

    name: str
    values: NDArray[np.float64]
    stepped: bool = False
    kind: str = ""
    """Class of its colour: `line-KIND`, `name-KIND`; empty: by its place among the lines."""


@dataclass(frozen=True)
class Interval:
    """The room between two values at each moment, drawn behind the lines."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    kind: str = "interval"
    """Class of its colour: `band-KIND`."""


@dataclass(frozen=True)
class Chart:
    """Lines that share an axis, with their unit, and limits worth seeing."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    limits: tuple[tuple[str, float], ...] = ()
    from_zero: bool = False
    intervals: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class Mark:
    """Something that happened, at a time of the run."""

    at_s: float
    what: str
    label: str = ""
    """What its flag shows; empty: its place among the marks."""


Told = Callable[[float], str]
"""A second of the axis in words."""


def draw(
    chart: Chart, time_s: NDArray[np.float64], marks: Sequence[Mark] = (), told: Told | None = None
) -> Markup:
    """One chart. Values that are not finite leave a hole. `told` names the seconds of the axis; without it they are
    counted from zero."""
    told = told or clock
    low, high = value_range(chart)
    plane = _Plane(float(time_s[0]), max(float(time_s[-1]), float(time_s[0]) + 1e-9), low, high)
    parts = [Markup('<text class="chart-title" x="{}" y="15">{} <tspan class="dim">{}</tspan></text>').format(
        LEFT, chart.title, chart.unit)]  # fmt: skip
    parts += _grid(plane, told)
    parts += [_interval(one, time_s, plane) for one in chart.intervals]
    parts += [_limit(name, value, plane) for name, value in chart.limits if low <= value <= high]
    parts += [_mark(mark, plane, mark.label or str(number), told) for number, mark in enumerate(marks, 1)]
    parts += [_polyline(line, time_s, plane, number, chart.unit) for number, line in enumerate(chart.lines)]
    parts += _names(chart, plane)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}" data-plot="{}">{}</svg>'
    ).format(int(WIDTH), int(HEIGHT), described(chart), plane.told, Markup("").join(parts))


@dataclass(frozen=True)
class _Plane:
    first: float
    last: float
    low: float
    high: float

    def x(self, second: float) -> float:
        return LEFT + (second - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    @property
    def told(self) -> str:
        """For a cursor over the picture: units of it against seconds and values, as the console's page reads them."""
        edges = (LEFT, WIDTH - RIGHT, self.first, self.last, HEIGHT - BOTTOM, TOP, self.low, self.high)
        return " ".join(f"{edge:.12g}" for edge in edges)


def value_range(chart: Chart) -> tuple[float, float]:
    """Least and greatest value of its axis: all values and near limits, with a little room."""
    drawn = [line.values for line in chart.lines] + [
        v for one in chart.intervals for v in (one.low, one.high)
    ]
    finite = [values[np.isfinite(values)] for values in drawn]
    finite = [values for values in finite if len(values)]
    low = min((float(v.min()) for v in finite), default=0.0)
    high = max((float(v.max()) for v in finite), default=1.0)
    reach = max(high - low, abs(high) * 0.02, 1e-6)
    for _, limit in chart.limits:
        if low - reach < limit < high + reach:
            low, high = min(low, limit), max(high, limit)
    if chart.from_zero:
        low = min(low, 0.0)
    # A line that hardly moves is drawn as one: noise of a per mille is no news.
    middle, least = (low + high) / 2, max(abs(high), abs(low)) * LEAST_SPAN or 1.0
    if high - low < least:
        low, high = middle - least / 2, middle + least / 2
        if chart.from_zero and middle >= 0.0:
            low = max(low, 0.0)
    room = 0.06 * (high - low)
    return (low if chart.from_zero and low == 0.0 else low - room), high + room


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two values.

    >>> ticks(0.0, 103.0)
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _grid(plane: _Plane, told: Told) -> list[Markup]:
    made = []
    for value in ticks(plane.low, plane.high):
        y = plane.y(value)
        made.append(
            Markup('<line class="chart-grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                LEFT, WIDTH - RIGHT, y, y
            )
        )
        made.append(
            Markup('<text class="tick" text-anchor="end" x="{}" y="{:.1f}">{}</text>').format(
                LEFT - 6, y + 4, f"{value:,.6g}"
            )
        )
    span = plane.last - plane.first
    step = next((s for s in _STEPS_S if span / s <= 10), _STEPS_S[-1])
    for count in range(math.ceil(plane.first / step), int(plane.last / step) + 1):
        x = plane.x(count * step)
        made.append(
            Markup('<text class="tick" text-anchor="middle" x="{:.1f}" y="{}">{}</text>').format(
                x, HEIGHT - 7, told(count * step)
            )
        )
    return made


def clock(second: float) -> str:
    """Time since the start of a run.

    >>> clock(90), clock(4500), clock(45)
    ('1:30', '1:15:00', '0:45')
    """
    minutes, seconds = divmod(round(second), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _limit(name: str, value: float, plane: _Plane) -> Markup:
    y = plane.y(value)
    return Markup(
        '<line class="chart-limit" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="chart-limit-text" text-anchor="end" x="{}" y="{:.1f}">{}</text>'
    ).format(LEFT, WIDTH - RIGHT, y, y, WIDTH - RIGHT - 4, y - 4, name)


def _mark(mark: Mark, plane: _Plane, label: str, told: Told) -> Markup:
    """A line with its number in a flag, as in the list of what happened; the words are its title."""
    x = plane.x(mark.at_s)
    return Markup(
        '<g class="chart-flag"><title>{}</title><line class="chart-mark" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
        '<rect x="{:.1f}" y="{}" width="{}" height="13" rx="2"/>'
        '<text text-anchor="middle" x="{:.1f}" y="{}">{}</text></g>'
    ).format(
        f"{told(mark.at_s)} {mark.what}", x, x, TOP - 6, HEIGHT - BOTTOM,
        x - 4 - 3.5 * len(label), TOP - 17, 8 + 7 * len(label), x, TOP - 6.5, label,
    )  # fmt: skip


def _interval(one: Interval, time_s: NDArray[np.float64], plane: _Plane) -> Markup:
    """The room between low and high, in pieces between holes."""
    known = np.isfinite(one.low) & np.isfinite(one.high)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(int)))
    drawn = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        rows = zip(time_s[begin:end], one.low[begin:end], one.high[begin:end], strict=True)
        ends = [
            (f"{plane.x(t):.1f},{plane.y(low):.1f}", f"{plane.x(t):.1f},{plane.y(high):.1f}")
            for t, low, high in rows
        ]
        around = [high for _, high in ends] + [low for low, _ in reversed(ends)]
        drawn.append(Markup('<polygon class="band-{}" points="{}"/>').format(one.kind, " ".join(around)))
    return Markup("").join(drawn)


def _polyline(line: Line, time_s: NDArray[np.float64], plane: _Plane, number: int, unit: str) -> Markup:
    """The line in pieces between holes."""
    times, values = thinned(time_s, line.values)
    pieces: list[list[str]] = [[]]
    for second, value in zip(times, values, strict=True):
        if not math.isfinite(value):
            pieces.append([])
            continue
        point = f"{plane.x(second):.1f},{plane.y(value):.1f}"
        if line.stepped and pieces[-1]:
            pieces[-1].append(f"{plane.x(second):.1f},{pieces[-1][-1].split(',')[1]}")
        pieces[-1].append(point)
    drawn = [
        Markup('<polyline class="line-{}" data-name="{}" data-unit="{}" points="{}"/>').format(
            line.kind or number % 6, line.name, unit, " ".join(p)
        )
        for p in pieces
        if p
    ]
    return Markup("").join(drawn)


def thinned(
    time_s: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most MOST_POINTS points that keep every extreme: lowest and highest of each step across, in their order."""
    if len(values) <= MOST_POINTS:
        return time_s, values
    keep: list[int] = []
    for part in np.array_split(np.arange(len(values)), MOST_POINTS // 2):
        finite = part[np.isfinite(values[part])]
        if not len(finite):
            keep.append(int(part[0]))
            continue
        keep += sorted({int(finite[values[finite].argmin()]), int(finite[values[finite].argmax()])})
    return time_s[keep], values[keep]


def _names(chart: Chart, plane: _Plane) -> list[Markup]:
    """Names at the right, beside where each line ends, moved apart where they would touch."""
    ends = []
    for number, line in enumerate(chart.lines):
        finite = line.values[np.isfinite(line.values)]
        if len(finite):
            words = f"{_short(line.name)} {figure(float(finite[-1]))}"
            ends.append((plane.y(float(finite[-1])), line.kind or str(number % 6), words))
    ends.sort()
    placed: list[Markup] = []
    below = TOP
    for rank, (y, kind, words) in enumerate(ends):
        room = HEIGHT - BOTTOM - 14.0 * (len(ends) - 1 - rank)
        y = min(max(y + 4, below), room)
        below = y + 14.0
        placed.append(
            Markup('<text class="name-{}" x="{}" y="{:.1f}">{}</text>').format(
                kind, WIDTH - RIGHT + 8, y, words
            )
        )
    return placed


def figure(value: float) -> str:
    """Four figures, never an exponent for what a site has.

    >>> figure(21221.7), figure(0.12345), figure(-0.0)
    ('21,222', '0.1235', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value + 0.0:.4g}"


def _short(name: str) -> str:
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}\u2026{name[-half:]}"


def described(chart: Chart) -> str:
    """The chart in words: from where to where each line goes."""
    said = []
    for line in chart.lines:
        finite = line.values[np.isfinite(line.values)]
        if len(finite):
            said.append(f"{line.name} from {finite.min():.4g} to {finite.max():.4g}, last {finite[-1]:.4g}")
    return f"{chart.title} in {chart.unit}: {'; '.join(said)}"
