"""What the console in the terminal shows of the shift, as read in one look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from setpoint.app.trial_views import in_brief

Row = Mapping[str, Any]
Call = Callable[..., Any]
MOST_INCIDENTS = 200
WATCHED = ["P0", "P1", "P2"]
"""Ranks that are listed; P3 is routine, which is recorded and asked for in words."""
SLOW_EVERY_S = 5.0


@dataclass(frozen=True)
class Picture:
    """One look at the desk. Lists come with the most urgent first."""

    site: str = ""
    who: str = ""
    """Under which name the desk keeps what is decided here."""
    zone: str = "UTC"
    incidents: Sequence[Row] = ()
    reviews: Sequence[Row] = ()
    plots: Sequence[Row] = ()
    stopped: str = ""
    """Who stopped every action and why; "" while nothing is stopped."""
    taken: datetime = field(default_factory=lambda: datetime.now(UTC))

    def review(self, id: str) -> Row | None:
        return next((row for row in self.reviews if row["id"] == id), None)

    def incident(self, id: str) -> Row | None:
        return next((row for row in self.incidents if row["id"] == id), None)


class Looker:
    """Looks again and again; what changes slowly is asked for less often. Used by one thread at a time."""

    def __init__(self, call: Call, stopped: Callable[[], str], who: str) -> None:
        self._call, self._stopped, self._who = call, stopped, who
        self._last = Picture()
        self._slow_at: datetime | None = None
        self._briefs: dict[tuple[str, str], str] = {}

    def __call__(self) -> Picture:
        """Raises what the desk raises."""
        now = datetime.now(UTC)
        if self._slow_at is None or (now - self._slow_at).total_seconds() >= SLOW_EVERY_S:
            self._last = replace(self._last, **self._slow())
            self._slow_at = now
        incidents = self._call(
            "incidents_list", states=["open", "acknowledged"], priorities=WATCHED, limit=MOST_INCIDENTS
        )
        reviews = sorted(map(self._reviewed, self._call("review_list")), key=_urgency)
        self._last = replace(
            self._last, incidents=incidents, reviews=reviews,
            stopped=self._stopped(), taken=now,
        )  # fmt: skip
        return self._last

    def _slow(self) -> dict[str, Any]:
        """What changes slowly: the site, its readings, and who this is, which another server may say otherwise."""
        info = self._call("site_info")
        who = self._call("who_show", who=self._who)["who"]
        return {
            "site": info["name"], "zone": info["timezone"], "who": who, "plots": self._call("site_plots_list")
        }  # fmt: skip

    def _reviewed(self, row: Row) -> Row:
        """With its rehearsal in one line, which is made once for each proposal."""
        key = (row["id"], row["digest"])
        if key not in self._briefs:
            self._briefs[key] = in_brief(row["proposal"])
        return {**row, "brief": self._briefs[key]}


def _urgency(row: Row) -> tuple[str, str, str]:
    """By the incident's rank, then by what expires first."""
    return (row.get("priority") or "P9", row["expires"] or "9", row["created"])
