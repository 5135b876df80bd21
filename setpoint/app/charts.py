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
    low, high = _range(chart)
    plane = _Plane(float(time_s[0]), max(float(time_s[-1]), float(time_s[0]) + 1e-9), low, high)
    parts = [Markup('<text class="chart-title" x="{}" y="15">{} <tspan class="dim">{}</tspan></text>').format(
        LEFT, chart.title, chart.unit)]  # fmt: skip
    parts += _grid(plane, told)
    parts += [_interval(one, time_s, plane) for one in chart.intervals]
    parts += [_limit(name, value, plane) for name, value in chart.limits if low <= value <= high]
    parts += [_mark(mark, plane, mark.label or str(number), told) for number, mark in enumerate(marks, 1)]
    parts += [_polyline(line, time_s, plane, number) for number, line in enumerate(chart.lines)]
    parts += _names(chart, plane)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        int(WIDTH), int(HEIGHT), _described(chart), Markup("").join(parts)
    )


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


def _range(chart: Chart) -> tuple[float, float]:
    """All values and near limits, with a little room."""
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


def _polyline(line: Line, time_s: NDArray[np.float64], plane: _Plane, number: int) -> Markup:
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
        Markup('<polyline class="line-{}" points="{}"/>').format(line.kind or number % 6, " ".join(p))
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


def _described(chart: Chart) -> str:
    said = []
    for line in chart.lines:
        finite = line.values[np.isfinite(line.values)]
        if len(finite):
            said.append(f"{line.name} from {finite.min():.4g} to {finite.max():.4g}, last {finite[-1]:.4g}")
    return f"{chart.title} in {chart.unit}: {'; '.join(said)}"


# ---- small plots: one quantity, a few lines, beside others of their kind --------------------------------------

SMALL_WIDTH, SMALL_HEIGHT = 320.0, 138.0
_SMALL_LEFT, _SMALL_RIGHT, _SMALL_TOP, _SMALL_BOTTOM = 44.0, 10.0, 24.0, 20.0
_MINUTES = (0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360)


@dataclass(frozen=True)
class SmallPlane:
    """Axes of a small plot: seconds, and values with a little room."""

    first_s: float
    last_s: float
    low: float
    high: float

    @classmethod
    def around(
        cls, times_s: Sequence[float], values: Sequence[float], near: Sequence[float] = ()
    ) -> SmallPlane:
        """Room for all values, and for those of `near` that lie within their span of them."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        reach = max(high - low, 0.02 * max(abs(low), abs(high)), 1e-6)
        for value in near:
            if low - reach < value < high + reach:
                low, high = min(low, value), max(high, value)
        least = max(abs(low), abs(high)) * LEAST_SPAN or 1.0
        if high - low < least:
            low, high = (low + high - least) / 2, (low + high + least) / 2
        room = 0.08 * (high - low)
        first = min(times_s, default=0.0)
        return cls(first, max(max(times_s, default=0.0), first + 1.0), low - room, high + room)

    def x(self, second: float) -> float:
        share = (second - self.first_s) / (self.last_s - self.first_s)
        return _SMALL_LEFT + share * (SMALL_WIDTH - _SMALL_LEFT - _SMALL_RIGHT)

    def y(self, value: float) -> float:
        """Values outside the plane stand at its edge."""
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return SMALL_HEIGHT - _SMALL_BOTTOM - share * (SMALL_HEIGHT - _SMALL_TOP - _SMALL_BOTTOM)


def small_plot(
    head: str, unit: str, plane: SmallPlane, parts: Sequence[Markup], said: str, zero: str
) -> Markup:
    """A small plot. `zero` names the second 0, such as "onset"; `said` is for those who cannot see it."""
    title = Markup('<text class="small-head" x="2" y="13">{} <tspan class="dim">{}</tspan></text>').format(
        head, unit
    )
    whole = [title, *_small_axes(plane, zero), *parts]
    return Markup('<svg class="small-plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        int(SMALL_WIDTH), int(SMALL_HEIGHT), f"{head} in {unit}: {said}" if unit else f"{head}: {said}", Markup("").join(whole)
    )  # fmt: skip


def _small_axes(plane: SmallPlane, zero: str) -> list[Markup]:
    bottom, right = SMALL_HEIGHT - _SMALL_BOTTOM, SMALL_WIDTH - _SMALL_RIGHT
    made = [
        Markup('<rect class="small-frame" x="{}" y="{}" width="{}" height="{}"/>').format(
            _SMALL_LEFT, _SMALL_TOP, right - _SMALL_LEFT, bottom - _SMALL_TOP
        )
    ]
    for value in ticks(plane.low, plane.high, 3):
        y = plane.y(value)
        made.append(
            Markup(
                '<line class="chart-grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="tick" text-anchor="end" x="{}" y="{:.1f}">{}</text>'
            ).format(_SMALL_LEFT, right, y, y, _SMALL_LEFT - 4, y + 4, f"{value:,.6g}")
        )
    for second, label in _minute_ticks(plane, zero):
        x = plane.x(second)
        anchor = "start" if x < _SMALL_LEFT + 12 else "end" if x > right - 14 else "middle"
        made.append(
            Markup('<text class="tick" text-anchor="{}" x="{:.1f}" y="{}">{}</text>').format(
                anchor, x, SMALL_HEIGHT - 6, label
            )
        )
        if second == 0.0 and plane.first_s < 0.0:
            made.append(
                Markup('<line class="small-zero" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(
                    x, x, _SMALL_TOP, bottom
                )
            )
    return made


def _minute_ticks(plane: SmallPlane, zero: str) -> list[tuple[float, str]]:
    """Round minutes around second 0, which is named; the last other one tells the unit."""
    span_min = (plane.last_s - plane.first_s) / 60
    step = next((m for m in _MINUTES if span_min / m <= 4.5), _MINUTES[-1])
    numbers = range(
        math.ceil(plane.first_s / 60 / step - 1e-9), math.floor(plane.last_s / 60 / step + 1e-9) + 1
    )
    told = next((n for n in reversed(numbers) if n), 0)
    return [
        (60.0 * n * step, zero if n == 0 else f"{n * step:+g}{' min' if n == told else ''}") for n in numbers
    ]


def small_line(plane: SmallPlane, times_s: Sequence[float], values: Sequence[float], kind: str) -> Markup:
    """A line of class `small-KIND`, with a hole where a value is not finite."""
    pieces: list[list[str]] = [[]]
    for second, value in zip(times_s, values, strict=True):
        if math.isfinite(value):
            pieces[-1].append(f"{plane.x(second):.1f},{plane.y(value):.1f}")
        else:
            pieces.append([])
    drawn = [
        Markup('<polyline class="small-{}" points="{}"/>').format(kind, " ".join(p)) for p in pieces if p
    ]
    return Markup("").join(drawn)


def small_band(
    plane: SmallPlane, times_s: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str
) -> Markup:
    """The space between two lines, of class `small-KIND-band`."""
    points = [f"{plane.x(t):.1f},{plane.y(v):.1f}" for t, v in zip(times_s, high, strict=True)]
    points += [f"{plane.x(t):.1f},{plane.y(v):.1f}" for t, v in reversed([*zip(times_s, low, strict=True)])]
    return Markup('<polygon class="small-{}-band" points="{}"/>').format(kind, " ".join(points))


def small_dots(plane: SmallPlane, times_s: Sequence[float], values: Sequence[float | None]) -> Markup:
    """What was read, a dot each; at most a hundred, evenly spaced."""
    read = [(t, v) for t, v in zip(times_s, values, strict=True) if v is not None and math.isfinite(v)]
    each = max(1, math.ceil(len(read) / 100))
    dots = [
        Markup('<circle class="small-dot" cx="{:.1f}" cy="{:.1f}" r="1.7"/>').format(plane.x(t), plane.y(v))
        for t, v in read[::each]
    ]
    return Markup("").join(dots)


def small_limit(plane: SmallPlane, value: float) -> Markup:
    """A limit, where it lies within the plane."""
    if not plane.low <= value <= plane.high:
        return Markup("")
    y = plane.y(value)
    return Markup(
        '<line class="chart-limit" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="chart-limit-text" text-anchor="end" x="{}" y="{:.1f}">limit {}</text>'
    ).format(
        _SMALL_LEFT, SMALL_WIDTH - _SMALL_RIGHT, y, y, SMALL_WIDTH - _SMALL_RIGHT - 3,
        y - 3 if y > _SMALL_TOP + 14 else y + 11, figure(value),
    )  # fmt: skip
