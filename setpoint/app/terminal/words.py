"""What the console in the terminal says, as text that cannot be taken for markup: rows of lists, plots, the header."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from setpoint.app.charts import figure
from setpoint.app.formatting import one_line, visible
from setpoint.app.terminal.braille import BLANK, dot_row, line_chart
from setpoint.app.views import COLOUR, DONE, VIEWS, Screen

Row = Mapping[str, Any]
URGENT_S = 300.0
"""A decision that expires within so long is marked."""
NO_READINGS = "not read"
AXIS = 7
"""Columns of a plot's axis."""


def viewed(view: str, value: Any, width: int, zone: str) -> Text:
    """A desk value as the commands show it."""
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=True,
        color_system="standard",
        width=width,
        highlight=False,
        legacy_windows=False,
    )
    VIEWS[view](Screen(console, ZoneInfo(zone)), value)
    return Text.from_ansi(out.getvalue().rstrip("\n"))


# ---- rows of lists ------------------------------------------------------------------------------------------------


def incident_row(row: Row, now: datetime) -> Text:
    """Rank, age, state and title; a second line where there is more to it."""
    state = {"open": "nobody has it", "acknowledged": "somebody has it"}.get(row["state"], row["state"])
    text = Text.assemble(
        (f" {row['priority']} ", COLOUR[row["priority"]]), " ", (one_line(row["title"]), "bold"), "\n",
        (f"    {age(row['opened'], now):>6}  {state}  {row['id']}{_around(row)}", "dim"),
    )  # fmt: skip
    return text


def _around(row: Row) -> str:
    if row.get("explains"):
        return f"  explains {row['explains']} more"
    return f"  explained by {row['explained_by']}" if row.get("explained_by") else ""


def review_row(row: Row, now: datetime) -> Text:
    """What is asked, at what risk, how long it may still be decided, and what it is about."""
    left = time_left(row["expires"], now)
    soon = row["expires"] and (moment(row["expires"]) - now).total_seconds() < URGENT_S
    priority = row.get("priority") or ""
    text = Text.assemble((one_line(row["subject"]), "bold"), "\n    ")
    if priority:
        text.append(f" {priority} ", COLOUR[priority])
    text.append(f" {risk_words(row)}", risk_style(row))
    text.append(f"  {left}", "bold yellow" if soon else "dim")
    notes = (
        "recommended" if row.get("recommended") else "",
        agreed_words(row),
        one_line(row.get("incident_title") or ""),
    )
    for note in filter(None, notes):
        text.append(f"  {note}", "dim")
    if row["brief"]:
        text.append(f"\n    {one_line(row['brief'])}", "dim")
    return text


def risk_words(row: Row) -> str:
    return f"{row['proposal']['risk']} risk" if row["proposal"] else row["kind"].replace("_", " ")


def risk_style(row: Row) -> str:
    risk = row["proposal"]["risk"] if row["proposal"] else ""
    return {"high": "bold red", "medium": "yellow"}.get(risk, "dim")


def agreed_words(row: Row) -> str:
    return f"{len(row['approvals'])} of {row['needed']} have agreed" if row["needed"] > 1 else ""


def fate(row: Row) -> str:
    """What became of a review: "" while it waits."""
    if row["state"] == "pending":
        return ""
    if not (decision := row["decision"]):
        return str(row["state"])
    why = decision["reason"] or decision["answer"]
    return f"{DONE[decision['type']]} by {visible(decision['who'])}{f': {one_line(why)}' if why else ''}"


# ---- times ------------------------------------------------------------------------------------------------------------


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def age(begun: str, now: datetime) -> str:
    """`4 min`, `3 h`, `2 d`: how long ago.

    >>> age("2026-03-14T22:00:00+00:00", datetime(2026, 3, 15, 1, 30, tzinfo=UTC))
    '3 h'
    """
    return length((now - moment(begun)).total_seconds())


def length(seconds: float) -> str:
    """
    >>> length(45), length(600), length(7300), length(200000), length(-5)
    ('45 s', '10 min', '2 h', '2 d', '0 s')
    """
    for unit_s, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {word}"
    return f"{max(0, int(seconds))} s"


def time_left(expires: str | None, now: datetime) -> str:
    """How long something may still be decided, to the second.

    >>> time_left("2026-03-14T22:05:09+00:00", datetime(2026, 3, 14, 22, 0, tzinfo=UTC))
    'expires in 5:09'
    """
    if not expires:
        return "does not expire"
    left_s = int((moment(expires) - now).total_seconds())
    if left_s <= 0:
        return "expired"
    minutes, seconds = divmod(left_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"expires in {hours}:{minutes:02}:{seconds:02}" if hours else f"expires in {minutes}:{seconds:02}"


# ---- plots ------------------------------------------------------------------------------------------------------------


def plot_text(plot: Row, width: int, height: int, zone: ZoneInfo) -> Text:
    """One quantity in `height` lines: its name with the last value and the limit in words, and the line with its axis,
    from the first reading on."""
    text = Text(no_wrap=True, overflow="ellipsis")
    first = next((place for place, value in enumerate(plot["values"]) if value is not None), None)
    if first is None:
        text.append(str(plot["name"]), "bold")
        text.append("  not read", "dim")
        return text
    values, times = plot["values"][first:], plot["times"][first:]
    read = [value for value in values if value is not None]
    _plot_head(text, plot, read[-1], width)
    if height < 2:
        return text
    low, high = _scale(read, plot["limit"])
    rows = line_chart(values, low, high, max(4, width - AXIS), height - (2 if height > 3 else 1))
    at = {0: high, len(rows) - 1: low}
    limit_row = -1 if plot["limit"] is None else dot_row(plot["limit"], low, high, len(rows)) // 4
    if limit_row >= 0:
        at[limit_row] = plot["limit"]
    if len(rows) == 1:  # too low for an axis
        at = {}
    for place, row in enumerate(rows):
        label = (
            f"{at[place]:.3g}"
            if place in at and abs(at[place]) < 1000
            else figure(at[place])
            if place in at
            else ""
        )
        text.append(f"\n{label:>{AXIS - 1}} ", "dim")
        _plot_line(text, row, place == limit_row)
    if height > 3:
        _plot_times(text, times, width, zone)
    return text


def _plot_head(text: Text, plot: Row, last: float, width: int) -> None:
    """Whose readings they are is left out where it does not fit."""
    said, style = _now_words(plot, last)
    of = f" ({one_line(plot['of'])})" if plot["of"] else ""
    text.append(str(plot["name"]), "bold")
    if len(plot["name"]) + len(of) + len(said) + 2 <= width:
        text.append(of, "dim")
    text.append("  ")
    text.append(said, style)


def _now_words(plot: Row, last: float) -> tuple[str, str]:
    """The last value beside its limit, and whether it is beyond it."""
    of, limit = plot["unit"], plot["limit"]
    value = f"{figure(last)} {of}".strip()
    if limit is None:
        return f"{value}, no limit set", ""
    beyond = last > limit if plot["limit_is"] == "most" else last < limit
    word = {"most": ("over its limit", "at most"), "least": ("under its limit", "at least")}[plot["limit_is"]]
    return (f"{value}, {word[0] if beyond else word[1]} {figure(limit)}", "bold red" if beyond else "")


def _plot_line(text: Text, row: str, at_limit: bool) -> None:
    """The line itself; dashes where the limit runs and nothing else is."""
    if not at_limit:
        text.append(row, "cyan")
        return
    for char in row:
        blank = ord(char) == BLANK
        text.append("-" if blank else char, "red" if blank else "cyan")


def _scale(read: Sequence[float], limit: float | None) -> tuple[float, float]:
    """From the least to the most, the limit among them: how far it is to the limit is what is asked."""
    all_of = [*read, *([] if limit is None else [limit])]
    low, high = min(all_of), max(all_of)
    spare = 0.04 * (high - low) or max(0.02 * abs(high), 0.5)
    return low - spare, high + spare


def _plot_times(text: Text, times: Sequence[str], width: int, zone: ZoneInfo) -> None:
    first, last = (moment(times[at]).astimezone(zone).strftime("%H:%M") for at in (0, -1))
    text.append(f"\n{' ' * AXIS}{first}{last:>{max(1, width - AXIS - len(first))}}", "dim")


def until_words(plots: Sequence[Row], now: datetime, zone: ZoneInfo) -> str:
    """Up to when there are readings, where that is not just now; "" where it is."""
    ends = [moment(plot["times"][-1]) for plot in plots if any(v is not None for v in plot["values"])]
    if not ends:
        return NO_READINGS
    old_s = (now - max(ends)).total_seconds()
    if old_s < 120:
        return ""
    return f"last read {max(ends).astimezone(zone):%Y-%m-%d %H:%M}, {length(old_s)} ago"


def now_utc() -> datetime:
    return datetime.now(UTC)
