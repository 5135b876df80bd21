"""Lines over time in braille dots: two columns and four rows of dots a character."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLANK = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of the dot by column and by row from the top."""


def line_chart(values: Sequence[float | None], low: float, high: float, width: int, height: int) -> list[str]:
    """Rows of characters from the top. Neighbouring readings are joined; where nothing was read there is a gap.

    >>> line_chart([0.0, 1.0, 2.0, 3.0], 0.0, 3.0, 2, 1)
    ['\u2860\u280a']
    """
    cells = [[0] * width for _ in range(height)]
    before: int | None = None
    for column, value in enumerate(stretched(values, 2 * width)):
        row = None if value is None else dot_row(value, low, high, height)
        if row is not None:
            for dot in _joined(before, row):
                cells[dot // 4][column // 2] |= _DOTS[column % 2][dot % 4]
        before = row
    return ["".join(chr(BLANK + bits) for bits in line) for line in cells]


def dot_row(value: float, low: float, high: float, height: int) -> int:
    """The row of dots from the top where a value lies; at the edge where it lies outside."""
    share = (value - low) / ((high - low) or 1.0)
    return min(4 * height - 1, max(0, round((1 - share) * (4 * height - 1))))


def stretched(values: Sequence[float | None], columns: int) -> list[float | None]:
    """One value a column, by the nearest reading."""
    if not values:
        return [None] * columns
    last = len(values) - 1
    picked = [values[round(k * last / max(1, columns - 1))] for k in range(columns)]
    return [value if value is not None and math.isfinite(value) else None for value in picked]


def _joined(before: int | None, row: int) -> range:
    """The dots of one column: from next to where the line was to where it is."""
    if before is None or abs(row - before) <= 1:
        return range(row, row + 1)
    return range(row, before) if row < before else range(before + 1, row + 1)
