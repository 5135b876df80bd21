"""The report of a run of control loops: one file, no script. What changed against the same days without first, then day
by day, what forecasts were worth, what was asked and what became of it, and every refusal with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from markupsafe import Markup

from agents.plan_words import figure, length, quantity, share, span_of, unit_sign
from setpoint.app.charts import Mark
from setpoint.app.formatting import counted, period, span
from setpoint.app.loop_figures import (
    Came,
    Day,
    asked_words,
    came,
    coverage_words,
    days_of,
    fate_why,
    fates_of,
    figures,
    headline,
    outcomes,
    pair_words,
    reasons,
    rehearsal_words,
    worst_day,
)
from setpoint.app.loop_pictures import came_chart, track_chart
from setpoint.app.loop_text import fate
from setpoint.app.loop_wear import wear_rows, wear_words
from setpoint.app.loops_run import Asked, LoopRun, Track
from setpoint.app.plan_page import joined
from setpoint.app.plan_views import trouble_words
from setpoint.app.still_page import render_still, write_still

STYLES = ("parts.css", "report.css", "plant.css", "small.css", "plan.css")
TILES = ("grid_kwh", "bill", "billed_kw", "cooling_kwh", "hottest_gpu_c", "slo_late_share")
FIRST_TRACKS = ("site.grid_kw", "site.it_kw", "site.cooling_kw", "site.gpu_temp_max_c", "site.ess_kw")
MOST_CAME, MOST_REASONS, MOST_FLAGS, MOST_TROUBLES = 6, 40, 30, 60


@dataclass(frozen=True)
class DayPart:
    """What was asked on one day."""

    day: Day
    asked: Sequence[Asked]


def write_loop_report(path: Path, run: LoopRun) -> None:
    """Write the page. Raises BackendError where it cannot be written."""
    write_still(path, render_loop_report(run))


def render_loop_report(run: LoopRun) -> str:
    """The page as text."""
    zone, rows, days = ZoneInfo(run.zone), figures(run), days_of(run)
    by_name = {one.name: one for one in rows}
    moving = {name: track for name, track in run.series.items() if _moves(track)}
    first = [moving[name] for name in FIRST_TRACKS if name in moving]
    rest = [track for name, track in moving.items() if name not in FIRST_TRACKS]
    foreseen, worst = came(run.cycles), worst_day(days)
    shown = {
        "run": run, "zone": zone, "said": headline(run), "figures": rows, "days": days, "worst": worst,
        "tiles": [by_name[name] for name in TILES if name in by_name],
        "charts": _drawn(first, run), "more_charts": _drawn(rest, run),
        "worst_charts": _of_day(first, run, worst) if worst else [],
        "came": foreseen, "came_charts": [_came(one, run, zone) for one in foreseen[:MOST_CAME]],
        "came_folded": [_came(one, run, zone) for one in foreseen[MOST_CAME : 4 * MOST_CAME]],
        "fates": [*fates_of(run.asked)], "parts": [DayPart(day, day.asked) for day in days if day.asked],
        "reasons": reasons(run)[:MOST_REASONS], "reasons_left": len(reasons(run)) - MOST_REASONS,
        "troubles": run.troubles[:MOST_TROUBLES], "troubles_left": len(run.troubles) - MOST_TROUBLES,
        "spent": sorted(run.spent_s.items(), key=lambda item: -item[1]),
        "wear_said": wear_words(run.wear, run.without.get("parts_failed")) if run.wear else [],
        "wear_rows": wear_rows(run.wear) if run.wear else [],
        "loop_of": {cycle.id: cycle.loop for cycle in run.cycles},
    }  # fmt: skip
    functions = (
        figure, length, quantity, share, span_of, unit_sign, counted, period, span, fate, fate_why, asked_words,
        rehearsal_words, coverage_words, pair_words, trouble_words, at_time, day_words, outcomes, fates_of,
        percent_or_figure,
    )  # fmt: skip
    return render_still("loop_run.html.j2", STYLES, shown, filters={"joined": joined}, functions=functions)


def at_time(moment: datetime, zone: ZoneInfo) -> str:
    """`14 Mar 18:30`."""
    return f"{moment.astimezone(zone):%d %b %H:%M}"


def percent_or_figure(value: float, unit: str) -> str:
    """A share in per cent, anything else as it is; the unit stands in a column of its own.

    >>> percent_or_figure(0.00412, "share"), percent_or_figure(1412.0, "kW")
    ('0.412', '1,412')
    """
    return figure(100 * value) if unit == "share" else figure(value)


def day_words(day: Day) -> str:
    """`Sat 14 Mar`."""
    return f"{day.day:%a %d %b}"


def _moves(track: Track) -> bool:
    """Whether anything happened there: storage at rest all along is no picture."""
    return any(value == value and value != 0.0 for value in (*track.with_loop, *track.without))


def _drawn(tracks: Sequence[Track], run: LoopRun) -> list[Markup]:
    return [chart for track in tracks if (chart := track_chart(track, run))]


def _of_day(tracks: Sequence[Track], run: LoopRun, day: Day) -> list[Markup]:
    """The day's courses, with what was carried out as flags."""
    done: dict[datetime, list[str]] = {}
    for one in day.asked:
        if one.outcome is not None and one.outcome.state == "done":
            done.setdefault(one.outcome.finished or one.at, []).append(asked_words(one))
    marks = [
        Mark(
            (moment - run.start).total_seconds(),
            said[0] if len(said) == 1 else f"{said[0]} and {len(said) - 1} more",
        )
        for moment, said in sorted(done.items())
    ]
    shown = marks if len(marks) <= MOST_FLAGS else ()
    return [chart for track in tracks if (chart := track_chart(track, run, shown, day.day))]


def _came(one: Came, run: LoopRun, zone: ZoneInfo) -> Markup:
    known = next((skill for skill in run.skill if (skill.loop, skill.name) == (one.loop, one.name)), None)
    planned = (f for cycle in reversed(run.cycles) for f in cycle.plan.forecasts if f.name == one.name)
    track = run.series.get(one.name)
    title = known.title if known else track.title if track else next((f.title for f in planned), one.name)
    return came_chart(one, zone, f"{title}, {coverage_words(one)}", known.level if known else 0.9)
