"""The page of one service incident: conclusion, plots of what moved, order of events, what was ruled out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from agents.service_causes import ServiceFindings
from agents.service_causes.findings import Cited
from setpoint.app.charts import Chart, Line, Mark, draw
from setpoint.app.formatting import one_line, visible
from setpoint.app.still_page import render_still, write_still
from tools.case_types import Readings, ServiceCase

MOST_CHARTS = 8
_MARKED = ("cause", "change", "effect", "recovery")


def write_service_report(path: Path, case: ServiceCase, found: ServiceFindings) -> None:
    """Write the page. Raises BackendError where it cannot be written."""
    write_still(path, render_page(case, found))


def render_page(case: ServiceCase, found: ServiceFindings) -> str:
    """The page as text."""
    shown = {
        "found": found,
        "start": _start(case),
        "marks": _marks(found),
        "charts": _charts(case, found),
    }
    filters: dict[str, Callable[..., object]] = {
        "visible": visible,
        "clock": _clock,
        "percent": "{:.0%}".format,
    }
    return render_still("service.html.j2", ("parts.css", "report.css", "plant.css"), shown, filters=filters)


def summary(found: Sequence[ServiceFindings]) -> str:
    """One line a case."""
    wide = max((len(one.case) for one in found), default=0)
    return "\n".join(
        f"{visible(one.case):<{wide}}  {one.answer}: {one.title} ({one.share:.0%}, {one.certainty})"
        for one in found
    )


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _start(case: ServiceCase) -> datetime | None:
    return min((readings.times[0] for readings in case.readings), default=None)


def _marks(found: ServiceFindings) -> list[Cited]:
    """What is numbered in the plots: things said to have happened, not the movements themselves."""
    return [
        one
        for one in found.order
        if one.role in _MARKED and one.place and not one.text.startswith(one.quote.split(" ")[0] + " of")
    ]


def _charts(case: ServiceCase, found: ServiceFindings) -> list[Markup]:
    start = _start(case)
    if start is None:
        return []
    cited = [(one.file, one.place, one.quote.split(" ")[0]) for one in (*found.evidence, *found.order)]
    ranked = sorted(
        (cited.index(key), number, readings)
        for number, readings in enumerate(case.readings)
        if (key := (readings.file, readings.field, readings.name.split(" ")[0])) in cited
        and len(readings.values) > 1
    )
    shown = [readings for _, _, readings in ranked[:MOST_CHARTS]]
    return [_chart(readings, start, _marks(found)) for readings in shown]


def _chart(readings: Readings, start: datetime, marks: Sequence[Cited]) -> Markup:
    times = np.array([(time - start).total_seconds() for time in readings.times])
    title = one_line(f"{readings.name} {readings.of}".strip(), 90)
    values, unit = _readable(readings)
    chart = Chart(title, one_line(unit, 24), (Line(one_line(readings.name, 40), values),))
    flags = [
        (number, second)
        for number, one in enumerate(marks, 1)
        if one.time and times[0] <= (second := (one.time - start).total_seconds()) <= times[-1]
    ]
    return draw(
        chart, times, _in_place([Mark(second, one_line(marks[n - 1].text, 80)) for n, second in flags], flags)
    )


def _readable(readings: Readings) -> tuple[NDArray[np.float64], str]:
    """Values with their unit; large byte counts in GiB, so that the axis can be read."""
    values = np.array(readings.values)
    if readings.unit.lower() in ("bytes", "byte", "b") and float(np.abs(values).max()) >= 2**30:
        return values / 2**30, "GiB"
    return values, readings.unit


def _in_place(made: list[Mark], flags: Sequence[tuple[int, float]]) -> list[Mark]:
    """Marks are numbered by their place in the list: those outside a plot keep theirs out of sight."""
    placed = dict(zip((number for number, _ in flags), made, strict=True))
    return [placed.get(n) or Mark(-1e12, "") for n in range(1, max(placed, default=0) + 1)]
