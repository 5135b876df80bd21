"""How much people leave unchanged, week by week, as a picture: one line a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from markupsafe import Markup

from setpoint.app.charts import Chart, Line, draw

DRAWN = ("alert", "summary", "step", "priority", "cause")
"""Kinds with a line of their own: what a model words, and what triage and analysis decide. Actions stand in the table."""
LEAST_WEEKS = 2
WEEK = timedelta(days=7)


def acceptance_plot(kinds: Sequence[Mapping[str, Any]]) -> Markup:
    """Empty before there are two weeks to compare."""
    rows = [row for row in kinds if row["kind"] in DRAWN and row["writer"] != "template" and row["weeks"]]
    begins = [date.fromisoformat(week["begins"]) for row in rows for week in row["weeks"]]
    if not begins or len(set(begins)) < LEAST_WEEKS:
        return Markup("")
    first = min(begins)
    count = (max(begins) - first) // WEEK + 1
    lines = tuple(Line(row["kind"], _shares(row, first, count)) for row in rows)
    chart = Chart("Left unchanged, by week", "%", lines, limits=(("all of it", 100.0),), from_zero=True)
    return draw(
        chart, np.arange(count, dtype=float), told=lambda week: f"{first + WEEK * round(week):%-d %b}"
    )


def _shares(row: Mapping[str, Any], first: date, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """In percent; a week without a judgement leaves the line at what it was, for nobody said otherwise."""
    known = {
        (date.fromisoformat(week["begins"]) - first) // WEEK: 100.0 * week["unchanged"] / week["judged"]
        for week in row["weeks"]
    }
    values, last = [], float("nan")
    for week in range(count):
        last = known.get(week, last)
        values.append(last)
    return np.array(values, dtype=np.float64)
