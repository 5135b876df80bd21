"""When the site carries little: its draw ahead, and the windows in which work costs least."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from plant.control.forecast.model import Forecaster
from plant.control.maintenance.schedule import Window
from plant.control.maintenance.trend import FloatArray
from plant.specs import FeedSpec
from setpoint.contracts.loops import Forecast, Trouble
from setpoint.contracts.site import Site
from tools.loops.sensing import Sensing, SiteKw

HOUR_S = 3600.0
HISTORY_DAYS, AHEAD_DAYS = 14, 14
LEAST_HOURS = 24
"""With less history no draw is foretold."""
WINDOW_HOURS = 8
WINDOWS_A_DAY = 2
EVEN_LOAD_PU = 0.7
"""Taken for all hours where no load is known."""


@dataclass(frozen=True)
class SiteLoad:
    """The site's draw of the last days by the hour."""

    series: SiteKw
    now: datetime

    @property
    def known(self) -> int:
        return int(np.isfinite(self.series.own).sum())

    @property
    def trouble(self) -> Trouble | None:
        if self.known >= LEAST_HOURS:
            return None
        return Trouble(
            kind="missing", metric="load_kw", what=f"The site's draw is known for {self.known} of "
            f"{len(self.series.own)} hours; {LEAST_HOURS} are needed to tell hours of low load",
            instead="All hours count alike", remedy="Connect the feeds' meters, or wait for a day", blocks=False,
        )  # fmt: skip

    def forecast(self, now: datetime, most_kw: float = math.inf) -> Forecast | None:
        """The draw of the next fourteen days, within 0 and `most_kw`, or what was drawn where that was more; None with
        too little history."""
        if self.known < LEAST_HOURS:
            return None
        model = Forecaster(HOUR_S, AHEAD_DAYS * 24)
        model.fit(self.series.own, self.series.start)
        bands = model.predict(self.series.own, self.series.start)
        most_kw = max(most_kw, float(np.nanmax(self.series.own)))
        return Forecast(
            name="site.own_kw", title="Draw of the site without its storage", unit="kW", start=now, step_s=HOUR_S,
            expected=_plain(bands.expected, most_kw), low=_plain(bands.low, most_kw), high=_plain(bands.high, most_kw), level=bands.level,
            method=f"{model.method}, over {self.known} hours",
        )  # fmt: skip


def site_load(sensing: Sensing) -> SiteLoad:
    return SiteLoad(sensing.site_kw(HISTORY_DAYS * 24, HOUR_S), sensing.now)


@dataclass(frozen=True)
class Windows:
    """Where work may be put."""

    spans: tuple[Window, ...]
    notes: tuple[str, ...]


def low_windows(site: Site, now: datetime, load: Forecast | None, days: float) -> Windows:
    """The spans of least load of each day, and the site's own maintenance windows.

    Beyond the forecast's end its weeks go on. Loads are shares of the greatest that is foreseen.
    """
    hours = max(int(days * 24), WINDOW_HOURS)
    pu, note = _load_pu(load, hours)
    spans = []
    for day in range(int(days)):
        starts = range(24 * day, min(24 * day + 24, hours - WINDOW_HOURS + 1), 2)
        ranked = sorted(starts, key=lambda start: (float(pu[start : start + WINDOW_HOURS].mean()), start))
        spans += [_window(pu, start) for start in _apart(ranked)]
    own = [
        Window(begin / 24.0, length, float(pu[min(int(begin), hours - 1)]))
        for window in site.maintenance
        if 0.0 <= (begin := (window.start - now).total_seconds() / HOUR_S) < hours
        and (length := (window.end - window.start).total_seconds() / HOUR_S) > 0.0
    ]
    return Windows(tuple(sorted([*spans, *own], key=lambda span: span.start_days)), note)


def _apart(ranked: list[int]) -> list[int]:
    """The first few that do not overlap."""
    kept: list[int] = []
    for start in ranked:
        if len(kept) < WINDOWS_A_DAY and all(abs(start - other) >= WINDOW_HOURS for other in kept):
            kept.append(start)
    return kept


def _window(pu: FloatArray, start: int) -> Window:
    return Window(start / 24.0, float(WINDOW_HOURS), float(pu[start : start + WINDOW_HOURS].mean()))


def _load_pu(load: Forecast | None, hours: int) -> tuple[FloatArray, tuple[str, ...]]:
    if load is None:
        return np.full(hours, EVEN_LOAD_PU), ("No load is foreseen: all hours count alike.",)
    expected = np.array(load.expected)
    week = 7 * 24
    tail = expected[-week:] if len(expected) >= week else expected
    more = np.tile(tail, hours // len(tail) + 1)
    whole = np.concatenate([expected, more])[:hours]
    note = (
        f"Load beyond {len(expected) / 24:.0f} days repeats the last week that is foreseen."
        if hours > len(expected) else ""
    )  # fmt: skip
    return whole / max(float(whole.max()), 1e-9), (note,) if note else ()


def _plain(values: FloatArray, most: float) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in np.clip(values, 0.0, most))


def most_draw_kw(site: Site) -> float:
    """What the site can draw: by its feeds together, and by the limit that its file sets."""
    feeds_kw = sum(site.spec(feed.name, FeedSpec).capacity_kw for feed in site.of_kind("feed"))
    return min(feeds_kw or math.inf, site.limits.get("site_power_max_kw", math.inf))
