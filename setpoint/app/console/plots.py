"""The live plots of Now: site power, temperatures, storage and latency over the last hours, with what was done marked.

Colours come from the page's style by class; every line has its own dashes too. The page's script adds a cursor that all
plots share, from `data-plot`: edges of the picture against seconds and values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from setpoint.app.charts import Chart, Line, described, figure, thinned, ticks, value_range
from setpoint.app.console.readings import Lines, Past
from setpoint.app.formatting import day_and_time, one_line, visible
from setpoint.app.pictures import Axis
from setpoint.contracts.site import Site
from setpoint.ledger.records import ActionRecord
from tools.actions import describe

WIDTH, HEIGHT = 440.0, 168.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 34.0, 22.0
MOST_POOLS = 4
MOST_MARKS = 12
FLAGS_APART = 18.0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """One plot with its legend."""

    picture: Markup
    legend: Markup
    """Each line with its last value, in the colour and dashes of the line."""


@dataclass(frozen=True)
class Act:
    """One action on the plots: its flag's number, and what it was."""

    number: int
    when: str
    words: str
    state: str
    incident: str


def plots(site: Site, past: Past) -> list[Drawn]:
    """As many as there are readings for."""
    made = [chart for chart in _charts(site, past.lines) if chart.lines]
    return [_draw(chart, past, site) for chart in made]


def acts_of(site: Site, past: Past) -> list[Act]:
    """The latest actions in the span, as the flags number them."""
    return [
        Act(number, day_and_time(one.begun, site.zone), one_line(describe(one.action), 200), one.state.replace("_", " "), one.incident_id)
        for number, one in enumerate(_marked(past), 1)
    ]  # fmt: skip


# ---- which lines ------------------------------------------------------------------------------------------------


def _charts(site: Site, lines: Lines) -> list[Chart]:
    limits = site.limits
    return [
        Chart("Site power", "kW", _power(site, lines), _limit("contracted", limits.get("site_power_max_kw")), from_zero=True),
        Chart("Hottest GPU", "C", _greatest(site, lines, "gpu_temp_c"), _limit("limit", limits.get("gpu_temp_max_c"))),
        Chart("Warmest rack inlet", "C", _greatest(site, lines, "inlet_temp_c"), _limit("limit", limits.get("rack_inlet_max_c"))),
        Chart("Stored energy", "%", _each(site, lines, "soc_pct"), _limit("reserve", limits.get("soc_reserve_pct"))),
        Chart("Time to first token", "ms", _slowest(site, lines), _slo(site, lines), from_zero=True),
    ]  # fmt: skip


def _limit(name: str, value: float | None) -> tuple[tuple[str, float], ...]:
    return () if value is None else ((f"{name} {figure(value)}", value),)


def _power(site: Site, lines: Lines) -> tuple[Line, ...]:
    """Grid is what the feeds carry; IT what racks draw, or nodes where racks are not read; cooling what chillers,
    air handlers and pumps draw."""
    racks, pumps = _of(site, lines, "rack", "power_kw"), _of(site, lines, "pump", "power_kw")
    cooling = [
        *_of(site, lines, "chiller", "power_kw"), *_of(site, lines, "crah", "power_kw"),
        *(pumps or _of(site, lines, "cdu", "pump_kw")),
    ]  # fmt: skip
    sums = (
        ("grid", _sum(_of(site, lines, "feed", "load_kw"))),
        ("IT", _sum(racks or _of(site, lines, "gpu_node", "power_kw"))),
        ("cooling", _sum(cooling)),
    )
    return tuple(Line(name, values) for name, values in sums if values is not None)


def _of(site: Site, lines: Lines, kind: str, metric: str) -> list[Array]:
    return [
        lines[asset.name, metric]
        for asset in site.assets
        if asset.kind == kind and (asset.name, metric) in lines
    ]


def _sum(parts: Sequence[Array]) -> Array | None:
    """A moment at which one of them was not read has no sum."""
    return np.sum(parts, axis=0) if parts else None


def _greatest(site: Site, lines: Lines, metric: str) -> tuple[Line, ...]:
    """Of all assets, and which it is now."""
    named = [(asset, values) for (asset, what), values in lines.items() if what == metric]
    if not named:
        return ()
    table = np.array([values for _, values in named])
    filled = np.where(np.isfinite(table), table, -np.inf)
    top = filled.max(axis=0)
    last = next((column for column in range(len(top) - 1, -1, -1) if math.isfinite(top[column])), None)
    if last is None:
        return ()
    return (Line(named[int(filled[:, last].argmax())][0], np.where(np.isfinite(top), top, np.nan)),)


def _each(site: Site, lines: Lines, metric: str) -> tuple[Line, ...]:
    found = [Line(asset, values) for (asset, what), values in lines.items() if what == metric]
    return tuple(found[:MOST_POOLS])


def _slowest(site: Site, lines: Lines) -> tuple[Line, ...]:
    found = [Line(asset, values) for (asset, what), values in lines.items() if what == "ttft_ms"]
    return tuple(sorted(found, key=lambda line: -_peak(line.values))[:MOST_POOLS])


def _peak(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else -math.inf


def _slo(site: Site, lines: Lines) -> tuple[tuple[str, float], ...]:
    """One line where all pools promise the same, else one for each promise."""
    shown = {line.name.lower() for line in _slowest(site, lines)}
    promised = {pool.ttft_slo_ms for pool in site.pools if pool.name.lower() in shown}
    if not promised and (one := site.limits.get("ttft_slo_ms")) is not None:
        promised = {one}
    return tuple(limit for value in sorted(promised) for limit in _limit("SLO", value))


# ---- the picture ------------------------------------------------------------------------------------------------


def _marked(past: Past) -> list[ActionRecord]:
    return list(past.acts)[-MOST_MARKS:]


def _draw(chart: Chart, past: Past, site: Site) -> Drawn:
    low, high = value_range(chart)
    axis = Axis(past.start.timestamp(), past.end.timestamp(), LEFT, WIDTH - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        Markup('<text class="plot-title" x="4" y="14">{} <tspan class="dim">{}</tspan></text>').format(chart.title, chart.unit),
        *_grid(axis, low, high, y, site.zone),
        *(_limit_line(name, value, y) for name, value in chart.limits if low <= value <= high),
        *_flags(_marked(past), axis),
        *(_pieces(line, number, chart.unit, past.times_s, axis, y) for number, line in enumerate(chart.lines)),
    ]  # fmt: skip
    edges = (LEFT, WIDTH - RIGHT, axis.first, axis.last, HEIGHT - BOTTOM, TOP, low, high)
    picture = Markup(
        '<svg class="live-plot" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" data-plot="{}" data-clock="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, visible(described(chart)), " ".join(f"{edge:.12g}" for edge in edges), site.timezone, Markup("").join(parts))  # fmt: skip
    return Drawn(picture, _legend(chart))


def _grid(axis: Axis, low: float, high: float, y: Callable[[float], float], zone: ZoneInfo) -> list[Markup]:
    made = [
        Markup(
            '<line class="chart-grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text class="tick" text-anchor="end" x="{}" y="{:.1f}">{}</text>'
        ).format(LEFT, WIDTH - RIGHT, y(value), y(value), LEFT - 5, y(value) + 4, f"{value:,.6g}")
        for value in ticks(low, high, 4)
    ]  # fmt: skip
    made += [
        Markup('<text class="tick" text-anchor="middle" x="{:.1f}" y="{}">{}</text>').format(x, HEIGHT - 6, label)
        for x, label in axis.ticks(zone, 6)
        if LEFT + 10 < x < WIDTH - RIGHT - 10
    ]  # fmt: skip
    return made


def _limit_line(name: str, value: float, y: Callable[[float], float]) -> Markup:
    """Its words stand above it, or below where the picture ends."""
    at = y(value)
    return Markup(
        '<line class="plot-limit" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="plot-limit-text" text-anchor="start" x="{}" y="{:.1f}">{}</text>'
    ).format(LEFT, WIDTH - RIGHT, at, at, LEFT + 4, at - 4 if at > TOP + 14 else at + 12, name)


def _flags(acts: Sequence[ActionRecord], axis: Axis) -> list[Markup]:
    """A flag for each act; those that would touch share one, "3-5"."""
    groups: list[list[int]] = []
    for number, one in enumerate(acts):
        if groups and axis.x(one.begun) - axis.x(acts[groups[-1][-1]].begun) < FLAGS_APART:
            groups[-1].append(number)
        else:
            groups.append([number])
    return [_flag([acts[number] for number in group], group[0] + 1, axis) for group in groups]


def _flag(acts: Sequence[ActionRecord], first: int, axis: Axis) -> Markup:
    label = str(first) if len(acts) == 1 else f"{first}-{first + len(acts) - 1}"
    half = 4 + 3.0 * len(label)
    x = axis.x(acts[0].begun)
    middle = min(max(x, LEFT + half), WIDTH - RIGHT - half)
    return Markup(
        '<g class="chart-flag"><title>{}</title><line class="chart-mark" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
        '<rect x="{:.1f}" y="{}" width="{:.1f}" height="13" rx="2"/><text text-anchor="middle" x="{:.1f}" y="{}">{}</text></g>'
    ).format(
        "; ".join(one_line(describe(one.action), 120) for one in acts), x, x, TOP - 4, HEIGHT - BOTTOM, middle - half, TOP - 15,
        2 * half, middle, TOP - 5, label,
    )  # fmt: skip


def _pieces(
    line: Line, number: int, unit: str, times_s: Array, axis: Axis, y: Callable[[float], float]
) -> Markup:
    """The line, with a hole where nothing was read; a lone reading is drawn as a short stroke."""
    times, values = thinned(times_s, line.values)
    pieces: list[list[str]] = [[]]
    for second, value in zip(times, values, strict=True):
        if math.isfinite(value):
            pieces[-1].append(f"{axis.x(float(second)):.1f},{y(float(value)):.1f}")
        elif pieces[-1]:
            pieces.append([])
    whole = [piece if len(piece) > 1 else _stroke(piece[0]) for piece in pieces if piece]
    return Markup("").join(
        Markup('<polyline class="line-{}" data-name="{}" data-unit="{}" points="{}"/>').format(
            number, visible(line.name), unit, " ".join(piece)
        )
        for piece in whole
    )


def _stroke(point: str) -> list[str]:
    x, y = point.split(",")
    return [f"{float(x) - 1.5:.1f},{y}", f"{float(x) + 1.5:.1f},{y}"]


def _legend(chart: Chart) -> Markup:
    made = []
    for number, line in enumerate(chart.lines):
        finite = line.values[np.isfinite(line.values)]
        last = f"{figure(float(finite[-1]))} {chart.unit}" if len(finite) else "not read"
        made.append(
            Markup(
                '<span class="name-{}"><svg class="swatch" viewBox="0 0 22 6" width="22" height="6" aria-hidden="true">'
                '<line class="line-{}" x1="0" x2="22" y1="3" y2="3"/></svg> {} <b>{}</b></span>'
            ).format(number, number, visible(line.name), last)
        )
    return Markup(" ").join(made)
