"""Small plots of tested causes and of rehearsed actions, and shares with their intervals: inline SVG and text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from plant.diagnosis.quantities import quantity_words
from plant.diagnosis.results import Band, Curve
from plant.diagnosis.words import named, unit
from setpoint.app.charts import figure
from setpoint.app.small_charts import (
    SmallPlane,
    small_band,
    small_dots,
    small_limit,
    small_line,
    small_plot,
)

BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
LEAST_BEFORE_S = 600.0
"""So long before the onset is shown, and at least as long as after it."""
_KEYS = {
    "observed": Markup('<circle class="small-dot" cx="4" cy="5" r="1.9"/><circle class="small-dot" cx="11" cy="5" r="1.9"/>'
                       '<circle class="small-dot" cx="18" cy="5" r="1.9"/>'),
    "sound": Markup('<polyline class="small-sound" points="0,5 22,5"/>'),
    "cause": Markup('<polyline class="small-cause" points="0,5 22,5"/>'),
    "act": Markup('<polygon class="small-act-band" points="0,1 22,1 22,9 0,9"/><polyline class="small-act" points="0,5 22,5"/>'),
    "none": Markup('<polygon class="small-none-band" points="0,1 22,1 22,9 0,9"/><polyline class="small-none" points="0,5 22,5"/>'),
}  # fmt: skip


def curve_plot(curve: Curve) -> Markup:
    """One signal: what was read as dots, without a fault in grey, with the cause as a line."""
    curve = near_onset(curve)
    read = [value for value in curve.observed if value is not None]
    plane = SmallPlane.around(curve.times_s, [*read, *curve.healthy, *curve.simulated])
    parts = [
        small_line(plane, curve.times_s, curve.healthy, "sound"),
        small_line(plane, curve.times_s, curve.simulated, "cause"),
        small_dots(plane, curve.times_s, curve.observed),
    ]
    return small_plot(
        f"{curve.asset} {named(curve.metric)}", unit(curve.metric), plane, parts, curve_words(curve), "onset"
    )


def near_onset(curve: Curve) -> Curve:
    """Without most of a long quiet time before the onset, which would squeeze what came."""
    from_s = -max(LEAST_BEFORE_S, curve.times_s[-1])
    first = next(
        k for k, second in enumerate(curve.times_s) if second >= from_s or second == curve.times_s[-1]
    )
    kept = {name: getattr(curve, name)[first:] for name in ("times_s", "observed", "healthy", "simulated")}
    return curve.model_copy(update=kept)


def curve_words(curve: Curve) -> str:
    """The end of the three lines in words.

    >>> one = Curve(asset="cdu-1", metric="flow_lpm", times_s=(0, 60), observed=(150, 41), healthy=(150, 151),
    ...             simulated=(150, 40.2), evidence=9.0)
    >>> curve_words(one)
    'at the end 41 read, 151 without a fault, 40.2 with the cause'
    """
    last = next((value for value in reversed(curve.observed) if value is not None), None)
    said = f"{figure(last)} read" if last is not None else "nothing read"
    return f"at the end {said}, {figure(curve.healthy[-1])} without a fault, {figure(curve.simulated[-1])} with the cause"


def band_plot(band: Band) -> Markup:
    """One quantity over the next minutes, with the action and without: medians, and 90 % intervals as bands."""
    columns = [[row[k] for row in rows] for rows in (band.without, band.acted) for k in range(3)]
    limits = () if band.limit is None else (band.limit,)
    plane = SmallPlane.around((0.0, *band.times_s), [value for column in columns for value in column], limits)
    parts = []
    for kind, (low, middle, high) in (("none", columns[:3]), ("act", columns[3:])):
        parts.append(small_band(plane, band.times_s, low, high, kind))
        parts.append(small_line(plane, band.times_s, middle, kind))
    parts += [small_limit(plane, limit) for limit in limits]
    said = f"at the end {_range(band.without[-1])} without it, {_range(band.acted[-1])} with it"
    return small_plot(quantity_words(band.asset, band.metric), unit(band.metric), plane, parts, said, "now")


def _range(row: tuple[float, float, float]) -> str:
    return f"{figure(row[0])} to {figure(row[2])}"


def key_sign(kind: str) -> Markup:
    """The sign of one kind of line, for the legend."""
    return Markup('<svg class="key" viewBox="0 0 22 10" aria-hidden="true">{}</svg>').format(_KEYS[kind])


def interval_bar(share: float, low: float, high: float) -> Markup:
    """A share between 0 and 1 as a bar, with its interval as a line across its end."""
    place = [100 * min(max(value, 0.0), 1.0) for value in (share, low, high)]
    return Markup(
        '<svg class="bar interval" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-whole" y="1" width="100" height="8"/><rect class="bar-part" y="1" width="{:.1f}" height="8"/>'
        '<rect class="bar-span" x="{:.1f}" y="4.2" width="{:.1f}" height="1.6"/></svg>'
    ).format(place[0], place[1], max(place[2] - place[1], 0.6))


def interval_words(low: float, high: float) -> str:
    """
    >>> interval_words(0.612, 0.94), interval_words(0.0, 0.004), interval_words(0.7, 0.7)
    ('61 to 94 %', 'under 1 %', '70 %')
    """
    first, last = round(100 * low), round(100 * high)
    if last < 1:
        return "under 1 %"
    return f"{first} to {last} %" if first != last else f"{last} %"


def sparkline(values: Sequence[float | None], low: float, high: float, width: int = 24) -> str:
    """Values as a row of block characters between two levels; a blank where nothing was read.

    >>> sparkline([0, 1, 2, 3, None, 7], 0, 7, 6)
    '\u2581\u2582\u2583\u2584 \u2588'
    """
    many = min(width, len(values))
    picked = [values[round(k * (len(values) - 1) / max(1, many - 1))] for k in range(many)]
    span = (high - low) or 1.0
    return "".join(
        " " if value is None or not math.isfinite(value)
        else BARS[min(7, max(0, round(7 * (value - low) / span)))]
        for value in picked
    )  # fmt: skip
