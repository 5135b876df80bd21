"""A loss curve as a picture of its own, readable without any program of ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 44
_COLOURS = ("#1f5f8b", "#b3541e", "#4c7a34")
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """One quantity over another."""

    name: str
    points: Sequence[tuple[float, float]]


def curve_svg(title: str, across: str, up: str, lines: Sequence[Line]) -> str:
    """Lines with axes from 0; points that are no numbers are left out."""
    drawn = [Line(line.name, [p for p in line.points if all(map(math.isfinite, p))]) for line in lines]
    points = [point for line in drawn for point in line.points] or [(1.0, 1.0)]
    right, top = (max(1e-9, max(point[axis] for point in points)) for axis in (0, 1))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x / right * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - y / top * (HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" '
        f'font-size="12"><title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for number in range(_TICKS + 1):
        share = number / _TICKS
        x, y = place(share * right, share * top)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * top:.3g}</text>'
            f'<text x="{x:.1f}" y="{HEIGHT - 26}" text-anchor="middle">{_short(share * right)}</text>'
        )
    for number, line in enumerate(drawn):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{_LEFT + 170 * number}" y="34" fill="{colour}">{escape(line.name)}</text>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(across)}</text>')
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 8}">up: {escape(up)}</text></svg>')
    return "\n".join(parts) + "\n"


def _short(value: float) -> str:
    """
    >>> _short(129065.0), _short(40.0)
    ('129k', '40')
    """
    return f"{value / 1000:.0f}k" if value >= 10_000 else f"{value:.0f}"
