"""A plan as a page that stands alone: what it wants and saves first, then forecasts, courses, moves, and what it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from agents.plan_words import due, figure, length, move_words, quantity, share, span_of, unit_sign, when
from setpoint.app.formatting import counted, day_and_time
from setpoint.app.plan_pictures import curve_chart, flag_numbers, forecast_chart, task_chart
from setpoint.app.plan_views import (
    Made,
    failure_words,
    interval_said,
    interval_words,
    share_saved,
    solver_words,
    trouble_name,
    trouble_words,
    window_words,
)
from setpoint.app.still_page import render_still, write_still
from setpoint.contracts.loops import Saving

STYLES = ("parts.css", "report.css", "plant.css", "small.css", "plan.css")
MOST_TILES = 6
MOST_CHARTS = 6
"""So many forecasts, and so many courses, are drawn at once; the others fold away."""

FUNCTIONS: tuple[Callable[..., object], ...] = (
    figure, length, move_words, quantity, share, span_of, unit_sign, when, counted, day_and_time, failure_words,
    interval_said, interval_words, share_saved, solver_words, trouble_name, trouble_words, window_words,
)  # fmt: skip
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|[A-Za-z][A-Za-z/]{0,4})(?![\w/]))")


def write_page(path: Path, made: Made) -> None:
    """Write the page. Raises BackendError where it cannot be written."""
    write_still(path, render_page(made))


def render_page(made: Made) -> str:
    """The page as text."""
    return render_still(
        "plan.html.j2", STYLES, plan_values(made), filters={"joined": joined}, functions=FUNCTIONS
    )


def plan_values(made: Made) -> dict[str, Any]:
    """What `plan_body.html.j2` shows."""
    plan = made.plan
    drawn = [forecast_chart(one, made.zone) for one in plan.forecasts if one.expected]
    courses = [curve_chart(one, plan.moves, made.zone) for one in plan.curves if one.planned]
    return {
        "made": made, "plan": plan, "zone": made.zone, "now": len(due(plan)), "flags": flag_numbers(plan.moves),
        "tiles": plan.savings[:MOST_TILES], "leading": _leading(plan.savings), "forecasts": drawn[:MOST_CHARTS], "folded": drawn[MOST_CHARTS:],
        "courses": courses[:MOST_CHARTS], "more_courses": courses[MOST_CHARTS:],
        "worths": any(move.saves for move in plan.moves),
        "parts": task_chart(plan, made.zone) if plan.tasks else Markup(""),
    }  # fmt: skip


def _leading(savings: Sequence[Saving]) -> list[Saving]:
    """Of each quantity the first baseline: the one that decides whether the plan is worth it."""
    return list({one.what: one for one in reversed(savings)}.values())


def joined(text: str) -> str:
    """Numbers and their units do not part at a line's end.

    >>> joined("rises to 1,300 kW at 18:00, 5 % more") == "rises to 1,300\u00a0kW at 18:00, 5\u00a0% more"
    True
    """
    return _BEFORE_UNIT.sub(lambda found: "\u00a0", text)
