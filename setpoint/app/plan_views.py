"""A plan made from a simulated site's days, and what `setpoint plan` prints of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from agents.advisor import advise, why_nothing
from agents.interpreter import interpret
from agents.plan_said import Words
from agents.plan_words import (
    due,
    figure,
    length,
    move_words,
    quantity,
    share,
    span_of,
    unit_sign,
    upper_first,
    when,
)
from setpoint.app.charts import LEAST_SPAN
from setpoint.app.formatting import counted
from setpoint.app.screen import Cell, console, head, put, say
from setpoint.app.trial_pictures import sparkline
from setpoint.contracts.loops import Forecast, LoopName, LoopPlan, Saving, Task, Trouble

if TYPE_CHECKING:
    from plant.site import Site

WARM_DAYS = 14.0
"""Days of history that a loop finds: two of each weekday."""
MOST_ROWS = 16
"""Of one table on a terminal; the page and --json hold all."""
HOURS_SHOWN = 8
SPARK = 32


@dataclass(frozen=True)
class Wanted:
    """What was asked for. `start` without a zone is in the site's; None: this hour."""

    loop: LoopName
    site: str
    horizon_s: float | None = None
    start: datetime | None = None
    seed: int = 7


@dataclass(frozen=True)
class Made:
    """One plan with its words, and where it comes from."""

    plan: LoopPlan
    zone: ZoneInfo
    forecast: Words
    advice: Words
    source: str
    """Where the state comes from, for a reader."""
    seed: int = 0
    spent_s: tuple[tuple[str, float], ...] = ()
    """Wall seconds by what was done."""

    @property
    def nothing(self) -> str:
        """Why nothing could be planned; "" where something could."""
        return why_nothing(self.plan)


def made_plan(wanted: Wanted) -> Made:
    """Simulate the site's days up to the start, let the loop read, foresee and plan. Raises what a wrong site raises."""
    from agents.forecaster import forecast
    from agents.optimizer import optimise
    from plant.site import load_site, site_file_of
    from tools.loops.days_site import DaysSite
    from tools.loops.ports import make_loop

    site = load_site(site_file_of(wanted.site))
    start = _start(wanted.start, site)
    spent: list[tuple[str, float]] = []
    with _timed(spent, f"simulating {WARM_DAYS:g} days of {site.name}"):
        days = DaysSite(site, start, seed=wanted.seed, warm_days=WARM_DAYS, wear=wanted.loop == "maintenance")
    ports = days.ports(wanted.horizon_s)
    with _timed(spent, f"reading and foreseeing for the {wanted.loop} loop"):
        loop = make_loop(wanted.loop, ports)
        watch = loop.monitor(days.now)
        looked = forecast(loop, watch)
    with _timed(spent, "planning"):
        plan = optimise(loop, watch, looked, ports=ports)
    source = (
        f"{WARM_DAYS:g} simulated days of {site.name} before {start.astimezone(site.zone):%Y-%m-%d %H:%M %Z}, seed "
        f"{wanted.seed}{', its parts wear by that seed' if wanted.loop == 'maintenance' else ''}; nothing real was read "
        "and nothing is moved"
    )
    return told(plan, site.zone, source, wanted.seed, tuple(spent))


def told(
    plan: LoopPlan, zone: ZoneInfo, source: str, seed: int = 0, spent_s: tuple[tuple[str, float], ...] = ()
) -> Made:
    """A plan with its words by code."""
    return Made(plan, zone, interpret(plan, zone=zone), advise(plan, zone=zone), source, seed, spent_s)


def _start(wanted: datetime | None, site: Site) -> datetime:
    from setpoint.app.cli_plan import this_hour

    if wanted is None:
        return this_hour()
    return wanted if wanted.tzinfo else wanted.replace(tzinfo=site.zone)


@contextmanager
def _timed(spent: list[tuple[str, float]], what: str) -> Iterator[None]:
    """Says on stderr what is being done, where that is a terminal, and keeps how long it took."""
    import sys

    shown = sys.stderr.isatty()
    if shown:
        print(f"\r\x1b[K{what} ...", end="", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        yield
    finally:
        spent.append((what, time.monotonic() - started))
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def as_values(made: Made) -> dict[str, Any]:
    """For --json: the plan whole, with its words. What is not finite becomes null."""
    plan = cast(dict[str, Any], _finite(made.plan.model_dump(mode="json")))
    for saving, one in zip(plan["savings"], made.plan.savings, strict=True):
        saving |= {"saved": one.saved, "saved_pu": one.saved_pu}
    return {
        "from": made.source, "seed": made.seed, "nothing_planned": made.nothing, "forecast": made.forecast.text,
        "advice": made.advice.text, "spent_s": {what: round(seconds, 3) for what, seconds in made.spent_s}, "plan": plan,
    }  # fmt: skip


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- terminal ----------------------------------------------------------------------------------------------------


def tell(made: Made) -> None:
    """Print it."""
    screen, plan = console(), made.plan
    say(screen, plan.headline, "bold")
    say(
        screen,
        f"{plan.site}, {plan.loop} loop, {plan.made.astimezone(made.zone):%Y-%m-%d %H:%M %Z}, for {length(plan.horizon_s)}",
        "dim",
    )
    for title, words in (("What is coming", made.forecast), ("What to do", made.advice)):
        head(screen, title)
        say(screen, words.text)
    _forecasts(screen, made)
    _moves(screen, made)
    _tasks(screen, made)
    _worth(screen, plan)
    _risks(screen, plan)
    _curves(screen, plan)
    _troubles(screen, plan)
    _rests(screen, made)


def _forecasts(screen: Console, made: Made) -> None:
    plan = made.plan
    if not plan.forecasts:
        return
    head(screen, "Forecasts")
    put(
        screen, ("", f"next {length(_reach_s(plan))}", "now", "lowest", "at", "highest", "at", "interval there", "unit"),
        [_forecast_row(one, made) for one in plan.forecasts[:MOST_ROWS]], left=2,
    )  # fmt: skip
    _more(screen, len(plan.forecasts))
    first = plan.forecasts[0]
    if len(first.expected) > 1:
        say(screen, f"\n{first.title}, {unit_sign(first.unit)}, {share(first.level)} interval", "dim")
        put(screen, ("at", "expected", "low", "high"), [*hours_of(first, made)])
    for one in {(one.method, one.skill): one for one in plan.forecasts}.values():
        say(screen, f"{one.method}{f': {one.skill}' if one.skill else ''}", "dim")


def _reach_s(plan: LoopPlan) -> float:
    return max(one.step_s * len(one.expected) for one in plan.forecasts)


def _forecast_row(one: Forecast, made: Made) -> tuple[Cell, ...]:
    known = [value for value in one.expected if math.isfinite(value)]
    if not known:
        return (one.title, "", *[""] * 6, unit_sign(one.unit))
    low, high = min(known), max(known)
    least, top = one.expected.index(low), one.expected.index(high)
    return (
        one.title, spark(one.expected), figure(one.expected[0]), figure(low), at(one, least, made),
        figure(high), at(one, top, made), span_of(one.low[top], one.high[top], ""), unit_sign(one.unit),
    )  # fmt: skip


def spark(values: Sequence[float]) -> str:
    """A course in a row of blocks. What hardly moves is flat: noise of a per mille is no news.

    >>> spark([100.0, 100.2, 100.1]), spark([1.0, 2.0])
    ('\u2584\u2585\u2585', '\u2581\u2588')
    """
    known = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    least = LEAST_SPAN * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    return sparkline(values, low, high, SPARK)


def at(one: Forecast, step: int, made: Made) -> str:
    """When a step begins."""
    return when(one.start + timedelta(seconds=step * one.step_s), made.plan.made, made.zone)


def hours_of(one: Forecast, made: Made, most: int = HOURS_SHOWN) -> Iterator[tuple[str, str, str, str]]:
    """Evenly spaced steps, the first and the last among them: time, expected, low, high."""
    last = len(one.expected) - 1
    for place in range(min(most, last + 1)):
        step = round(place * last / max(1, min(most, last + 1) - 1))
        yield at(one, step, made), figure(one.expected[step]), figure(one.low[step]), figure(one.high[step])


def _moves(screen: Console, made: Made) -> None:
    plan = made.plan
    head(screen, "Moves")
    if not plan.moves:
        say(screen, "none")
        return
    now, shown = len(due(plan)), plan.moves[:MOST_ROWS]
    rows = [
        (
            "now" if place < now else when(move.at, plan.made, made.zone),
            move_words(move),
            move.why,
            move.saves,
        )
        for place, move in enumerate(shown)
    ]
    if any(move.saves for move in shown):
        put(screen, ("when", "move", "why", "worth"), rows, left=4)
    else:
        put(screen, ("when", "move", "why"), [row[:3] for row in rows], left=3)
    _more(screen, len(plan.moves))


def _tasks(screen: Console, made: Made) -> None:
    plan = made.plan
    if not plan.tasks:
        return
    head(screen, "Work")
    put(
        screen, ("asset", "part", "work", "chance", "expected failure", "90 % interval", "window", "crew"),
        [(one.asset, one.part, one.work, share(one.fails_within), *failure_words(one, made.zone), window_words(one, made),
          one.crew) for one in plan.tasks[:MOST_ROWS]], left=3,
    )  # fmt: skip
    _more(screen, len(plan.tasks))
    for one in plan.tasks[:3]:
        if one.because:
            say(screen, f"{one.asset} {one.part}: {one.because}", "dim")


def failure_words(one: Task, zone: ZoneInfo) -> tuple[str, str]:
    """When a part is expected to fail, and the interval."""
    days = [
        f"{moment.astimezone(zone):%Y-%m-%d}" if moment else ""
        for moment in (one.expected_failure, one.low, one.high)
    ]
    ends = (
        " to ".join(days[1:])
        if all(days[1:])
        else f"from {days[1]}"
        if days[1]
        else f"to {days[2]}"
        if days[2]
        else ""
    )
    return days[0] or "beyond", ends


def window_words(one: Task, made: Made) -> str:
    if one.window_start is None:
        return "none"
    begin = when(one.window_start, made.plan.made, made.zone)
    return f"{begin} to {one.window_end.astimezone(made.zone):%H:%M}" if one.window_end else begin


def _worth(screen: Console, plan: LoopPlan) -> None:
    if not plan.savings:
        return
    head(screen, "What it is worth")
    put(
        screen, ("", "planned", "baseline", "saved", "", "interval", "unit", "against"),
        [(one.what, figure(one.planned), figure(one.baseline), figure(one.saved), share_saved(one), interval_words(one),
          unit_sign(one.unit), one.baseline_name) for one in plan.savings],
    )  # fmt: skip


def share_saved(one: Saving) -> str:
    """
    >>> share_saved(Saving(what="bill", unit="EUR", planned=95.0, baseline=100.0, baseline_name="x"))
    '5.0 %'
    """
    return f"{100 * one.saved_pu:.1f} %" if one.baseline else ""


def interval_words(one: Saving) -> str:
    """Of what is saved."""
    return "" if one.low is None or one.high is None else span_of(one.low, one.high, "")


def interval_said(one: Saving) -> str:
    """The same in words, for what is saved and for what is not.

    >>> interval_said(Saving(what="peak", unit="kW", planned=9, baseline=5, baseline_name="x", low=-6, high=-2))
    '2 to 6 kW more'
    """
    if one.low is None or one.high is None:
        return ""
    if one.saved >= 0:
        return f"{span_of(one.low, one.high, one.unit)} less"
    return f"{span_of(-one.high, -one.low, one.unit)} more"


def _risks(screen: Console, plan: LoopPlan) -> None:
    if not plan.risks:
        return
    head(screen, "Risks")
    put(
        screen, ("", "with the plan", "without"),
        [(one.what, "" if one.chance is None else share(one.chance), "" if one.without is None else share(one.without))
         for one in plan.risks[:MOST_ROWS]],
    )  # fmt: skip


def _curves(screen: Console, plan: LoopPlan) -> None:
    rows = [one for one in plan.curves if one.planned]
    if not rows:
        return
    head(screen, "Planned course")
    put(
        screen, ("", f"next {length(plan.horizon_s)}", "lowest", "highest", "without, lowest", "highest", "unit", "limit"),
        [(one.title, spark(one.planned), figure(min(one.planned)),
          figure(max(one.planned)), figure(min(one.without)) if one.without else "",
          figure(max(one.without)) if one.without else "", unit_sign(one.unit),
          f"{one.limit_name} {quantity(one.limit, one.unit)}".strip() if one.limit is not None else "")
         for one in rows[:MOST_ROWS]], left=2,
    )  # fmt: skip
    _more(screen, len(rows))


def _troubles(screen: Console, plan: LoopPlan) -> None:
    if not plan.troubles:
        return
    head(screen, "Troubles")
    for one in plan.troubles[:MOST_ROWS]:
        screen.print(
            Text.assemble(
                (f"{trouble_name(one)}: ", "bold red" if one.blocks else "yellow"), trouble_words(one)
            )
        )
    _more(screen, len(plan.troubles))


def trouble_name(one: Trouble) -> str:
    """`stale, blocks the plan`."""
    return one.kind.replace("_", " ") + (", no move is proposed" if one.blocks else "")


def trouble_words(one: Trouble) -> str:
    """What is wrong, what is done in its place, and the remedy, each a sentence."""
    parts = [part.strip() for part in (one.what, one.instead, one.remedy) if part.strip()]
    return " ".join(f"{upper_first(part).rstrip('.')}." for part in parts)


def _rests(screen: Console, made: Made) -> None:
    plan = made.plan
    head(screen, "What it rests on")
    say(screen, f"{made.source}.")
    for note in plan.notes:
        say(screen, note)
    if plan.solver:
        say(screen, solver_words(plan), "dim")
    spent = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in made.spent_s)
    if spent:
        say(screen, f"Wall time: {spent}.", "dim")


def solver_words(plan: LoopPlan) -> str:
    """`LP by HiGHS: optimal after 0.08 s, 672 variables.`"""
    note = plan.solver
    if note is None:
        return ""
    said = f"{note.method}: {note.status} after {note.seconds:.2g} s"
    said += f", {counted(note.variables, 'variable')}" if note.variables else ""
    return f"{said}{f', gap {100 * note.gap:.2g} %' if note.gap is not None else ''}."


def _more(screen: Console, total: int) -> None:
    if total > MOST_ROWS:
        say(screen, f"and {total - MOST_ROWS} more: --json or --report has all", "dim")
