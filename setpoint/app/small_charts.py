"""Small plots as inline SVG: one quantity, a few lines, beside others of their kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from setpoint.app.charts import LEAST_SPAN, figure, ticks

SMALL_WIDTH, SMALL_HEIGHT = 320.0, 138.0
_SMALL_LEFT, _SMALL_RIGHT, _SMALL_TOP, _SMALL_BOTTOM = 44.0, 10.0, 24.0, 20.0
SMALL_NAMES = {"sound": "without a fault", "cause": "with the cause", "none": "without it", "act": "with it"}
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

    @property
    def told(self) -> str:
        """For a cursor over the picture, as of a larger chart."""
        across = (_SMALL_LEFT, SMALL_WIDTH - _SMALL_RIGHT, self.first_s, self.last_s)
        up = (SMALL_HEIGHT - _SMALL_BOTTOM, _SMALL_TOP, self.low, self.high)
        return " ".join(f"{edge:.6g}" for edge in (*across, *up))


def small_plot(
    head: str, unit: str, plane: SmallPlane, parts: Sequence[Markup], said: str, zero: str
) -> Markup:
    """A small plot. `zero` names the second 0, such as "onset"; `said` is for those who cannot see it."""
    title = Markup('<text class="small-head" x="2" y="13">{} <tspan class="dim">{}</tspan></text>').format(
        head, unit
    )
    whole = [title, *_small_axes(plane, zero), *parts]
    return Markup('<svg class="small-plot" viewBox="0 0 {} {}" role="img" aria-label="{}" data-plot="{}">{}</svg>').format(
        int(SMALL_WIDTH), int(SMALL_HEIGHT), f"{head} in {unit}: {said}" if unit else f"{head}: {said}", plane.told,
        Markup("").join(whole),
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
    """A line of class `small-KIND`, with a hole where a value is not finite. Its name is what a cursor calls it."""
    pieces: list[list[str]] = [[]]
    for second, value in zip(times_s, values, strict=True):
        if math.isfinite(value):
            pieces[-1].append(f"{plane.x(second):.1f},{plane.y(value):.1f}")
        else:
            pieces.append([])
    drawn = [
        Markup('<polyline class="small-{}" data-name="{}" points="{}"/>').format(
            kind, SMALL_NAMES.get(kind, kind), " ".join(p)
        )
        for p in pieces
        if p
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
